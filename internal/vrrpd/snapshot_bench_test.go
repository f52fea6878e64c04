package vrrpd

import (
	"bufio"
	"io"
	"log/slog"
	"testing"
	"time"

	"keepalived-go/internal/output/status/api"
)

// BenchmarkSnapshot is the state of 4,000 virtual routers, and its JSON. It reports the
// longest step, which is what a timer may have to wait for.
func BenchmarkSnapshot(b *testing.B) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	c := owners(4000)
	for _, i := range c.Instances {
		i.AdvertInterval = time.Hour
	}
	d, _ := newMemoryDaemon(b, c)
	turnUntil(b, d, "addresses", func() bool { return d.routers[3999].vips[0].present })
	w := bufio.NewWriter(io.Discard)
	var longest, filling time.Duration
	b.ReportAllocs()
	for b.Loop() {
		begun := time.Now()
		f := d.newFilling(true, beside{})
		for _, step := range f.steps(nil) {
			begin := time.Now()
			step()
			longest = max(longest, time.Since(begin))
		}
		filling += time.Since(begun)
		if err := api.WriteVRRP(w, f.out); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
	b.ReportMetric(filling.Seconds()*1000/float64(b.N), "filling-ms")
}

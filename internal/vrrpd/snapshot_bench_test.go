package vrrpd

import (
	"bufio"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"keepalived-go/internal/output/status"
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
	w, room := bufio.NewWriter(io.Discard), make([]status.Instance, snapshotSlice)
	var longest, filling time.Duration
	b.ReportAllocs()
	for b.Loop() {
		f := d.newFilling(true, beside{})
		timed := func(step func()) {
			begin := time.Now()
			step()
			took := time.Since(begin)
			longest, filling = max(longest, took), filling+took
		}
		instances := func(yield func([]status.Instance) bool) {
			for some := range slices.Chunk(f.routers, snapshotSlice) {
				timed(func() { f.instances(room, some) })
				yield(room[:len(some)])
			}
			for _, step := range f.rest() {
				timed(step)
			}
		}
		if err := api.WriteVRRP(w, instances, f.out, false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
	b.ReportMetric(filling.Seconds()*1000/float64(b.N), "filling-ms")
}

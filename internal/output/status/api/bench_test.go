package api_test

import (
	"bufio"
	"io"
	"slices"
	"testing"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/statustest"
)

// BenchmarkWriteVRRP measures what the VRRP process does with a snapshot of 4,000 virtual
// routers, outside its loop.
func BenchmarkWriteVRRP(b *testing.B) {
	s := statustest.VRRP(b, statustest.Load(b))
	for len(s.Instances) < 4000 {
		s.Instances = append(s.Instances, s.Instances[1])
	}
	w := bufio.NewWriter(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		if err := api.WriteVRRP(w, slices.Chunk(s.Instances, 128), s, false); err != nil {
			b.Fatal(err)
		}
	}
}

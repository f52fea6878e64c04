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
	s := statustest.Many(b)
	w := bufio.NewWriter(io.Discard)
	b.ReportAllocs()
	for b.Loop() {
		if err := api.WriteVRRP(w, slices.Chunk(s.Instances, 128), s, false); err != nil {
			b.Fatal(err)
		}
	}
}

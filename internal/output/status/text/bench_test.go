package text

import (
	"testing"

	"keepalived-go/internal/output/status/statustest"
)

// BenchmarkData measures the view of 4,000 virtual routers, outside the loop of their process.
func BenchmarkData(b *testing.B) {
	s := statustest.Many(b)
	b.ReportAllocs()
	for b.Loop() {
		Data(s)
	}
}

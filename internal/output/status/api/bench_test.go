package api_test

import (
	"encoding/json"
	"testing"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/statustest"
)

// BenchmarkOfVRRP is what the VRRP process does of a snapshot of 4,000 virtual routers,
// beside its loop.
func BenchmarkOfVRRP(b *testing.B) {
	s := statustest.VRRP(b, statustest.Load(b))
	for len(s.Instances) < 4000 {
		s.Instances = append(s.Instances, s.Instances[1])
	}
	b.Run("view", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			api.OfVRRP(s)
		}
	})
	v := api.OfVRRP(s)
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			body, err := json.Marshal(v)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(body)))
		}
	})
}

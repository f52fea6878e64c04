package screen

import (
	"encoding/json"
	"fmt"
	"testing"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/api/apitest"
	"keepalived-go/internal/output/status/explain"
)

// BenchmarkStatus measures what keepalived status does with the answer of a daemon with
// 4,000 virtual routers.
func BenchmarkStatus(b *testing.B) {
	s := apitest.Daemon(b)
	one := s.VRRP.Instances[2]
	for i := range 4000 {
		one.Name = fmt.Sprint("VI_", i)
		s.VRRP.Instances = append(s.VRRP.Instances, one)
	}
	body, err := json.Marshal(s)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			var s api.Status
			if err := json.Unmarshal(body, &s); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("show", func(b *testing.B) {
		for b.Loop() {
			Status(s, Options{Width: 80})
		}
	})
	b.Run("explain", func(b *testing.B) {
		for b.Loop() {
			for i := range s.VRRP.Instances {
				explain.Instance(s, s.VRRP.Instances[i].Name)
			}
		}
	})
}

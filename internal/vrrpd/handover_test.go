package vrrpd

import (
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/vrrp"
)

// TestStopHandover checks that a stop waits, within its limit, for masters to hand over.
// A router that has handed over sends no priority 0; a router without another node to
// take over does.
func TestStopHandover(t *testing.T) {
	for _, tt := range []struct {
		name  string
		taken int // of two virtual routers, by another node
		wait  time.Duration
		least time.Duration
		most  time.Duration
	}{
		{"all are taken over", 2, 20 * time.Second, vrrp.Linger, time.Second},
		{"one is", 1, 20 * time.Second, 5 * time.Second, 10 * time.Second},
		{"none is, in time", 0, 2 * time.Second, 2 * time.Second, 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			k := memoryKernel()
			c := backups(2)
			c.Global.StopHandover = tt.wait
			for _, in := range c.Instances {
				in.AdvertInterval = time.Second
			}
			virtually(t, k, c, func(t *testing.T, d *daemon, log *logtest.Log) {
				turnUntil(t, d, "masters", masters(d))
				begun := time.Now()
				d.loop.Post(func() {
					d.handOverAndStop()
					d.handOverAndStop() // the parent and systemd may both ask
				})
				turnUntil(t, d, "the lowest priority", func() bool {
					return d.routers[0].engine.Priority() == 1 && d.routers[1].engine.Priority() == 1
				})
				var serve func() // adverts of the other node from now on
				serve = func() {
					for _, r := range d.routers[:tt.taken] {
						arrive(k, r, 100)
					}
					time.AfterFunc(time.Second, serve)
				}
				serve()
				turnUntil(t, d, "the end", func() bool { return d.stopping && d.addrs.idle() })
				if took := time.Since(begun); took < tt.least || took > tt.most {
					t.Errorf("it has taken %v, want %v to %v", took, tt.least, tt.most)
				}
				for i, r := range d.routers {
					want := uint64(1)
					if i < tt.taken {
						want = 0
					}
					if got := r.engine.Stats().PriorityZeroSent; got != want {
						t.Errorf("%s has sent priority 0 %d times, want %d", r.conf.Name, got, want)
					}
				}
				if got := strings.Count(log.String(), "has taken over with priority 100)"); got != tt.taken {
					t.Errorf("%d are logged as taken over:\n%s", got, log)
				}
				if left := k.Addrs(); len(left) != 1 {
					t.Errorf("left: %v", left)
				}
			})
		})
	}
}

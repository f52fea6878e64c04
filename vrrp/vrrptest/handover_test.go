package vrrptest_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"keepalived-go/vrrp"
	"keepalived-go/vrrp/vrrptest"
)

// TestHandOverNeverLeavesAGap checks that while a master hands over, some node holds the
// addresses at any time, for any number of backups and any loss of packets. Unless too
// many packets are lost, the master ends as a backup and the new master is not disturbed;
// otherwise it remains master with its own priority.
func TestHandOverNeverLeavesAGap(t *testing.T) {
	taken := 0
	const seeds = 600
	for seed := range uint64(seeds) {
		r := rand.New(rand.NewPCG(seed, 7))
		lan := vrrptest.New(seed)
		version, interval := uint8(2), time.Second
		if r.IntN(2) == 0 {
			version, interval = 3, 100*time.Millisecond
		}
		for n := range 2 + r.IntN(3) {
			lan.Add(string(rune('a'+n)), vrrptest.Router{Source: netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", n+1)), Config: vrrp.Config{
				VRID: 51, Version: version, Priority: uint8(150 - 40*n), AdvertInterval: interval, Group: netip.MustParseAddr("224.0.0.18"),
				Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.100")}, PreemptDelay: time.Duration(r.IntN(2)) * interval * time.Duration(n),
			}}).Start(0, false)
		}
		a := lan.Node("a").Routers[0]
		if _, ok := lan.RunUntil(10*interval, func() bool { return a.State() == vrrp.Master }); !ok {
			t.Fatalf("seed %d: %v", seed, lan)
		}
		lan.Run(time.Duration(r.Int64N(int64(2 * interval))))
		lan.Loss = []float64{0, 0.1, 0.3}[r.IntN(3)]
		over := false
		lan.Observe = func(n *vrrptest.Node, _ vrrp.Event, actions []vrrp.Action) {
			for _, a := range actions {
				over = over || a.Kind == vrrp.Transition && a.Reason == vrrp.ReasonHandedOver || a.Kind == vrrp.Notify && a.Note == vrrp.NoteNotTakenOver
			}
			for _, n := range lan.Nodes {
				if n.Routers[0].Holds {
					return
				}
			}
			t.Fatalf("seed %d: at %v no node holds the addresses: %v", seed, lan.Now, lan)
		}
		a.Step(vrrp.Event{Kind: vrrp.HandOver})
		if got := a.Instance.Priority(); got != 1 {
			t.Fatalf("seed %d: priority %d", seed, got)
		}
		lan.RunUntil(a.Instance.HandOverTime()+time.Millisecond, func() bool { return over })
		if !over || a.Instance.Priority() != 150 || a.Instance.HandingOver() {
			t.Fatalf("seed %d: no end after %v: %v", seed, a.Instance.HandOverTime(), lan)
		}
		if a.State() == vrrp.Backup {
			taken++
			lan.Loss = 0
			lan.Run(10 * interval)
			if a.State() != vrrp.Backup || a.Instance.Restraint() != vrrp.LeavesMasters || len(lan.Masters("")) != 1 {
				t.Fatalf("seed %d: it takes the service back: %v", seed, lan)
			}
		}
	}
	if taken < seeds*9/10 {
		t.Errorf("%d of %d were taken over", taken, seeds)
	}
}

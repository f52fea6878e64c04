package vrrpd

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"keepalived-go/internal/output/status"
	"keepalived-go/vrrp"
)

// TestSnapshot checks that a snapshot is complete, that the loop turns while it is taken,
// and that later events do not change it.
func TestSnapshot(t *testing.T) {
	const n = 3*snapshotSlice + 1
	d := newTestDaemon(t, owners(n))
	reported := func() bool {
		return len(d.unreported) == 0 && !slices.ContainsFunc(d.routers, func(r *router) bool { return r.engine.State() != vrrp.Master || !r.vips[0].present })
	}
	for end := d.loop.Now() + 30*time.Second; !reported(); d.turn() {
		if d.loop.Now() > end {
			t.Fatal("not all are masters, and reported, after 30 s")
		}
	}

	var s *status.VRRP
	visited, most, turns := 0, 0, 0
	d.snapshot(func(r *router) {
		visited++
		r.engine.ClearStats()
	}, func(out *status.VRRP) { s = out })
	for end := d.loop.Now() + 30*time.Second; s == nil; turns++ {
		if d.loop.Now() > end {
			t.Fatal("no snapshot after 30 s")
		}
		before := visited
		d.turn()
		most = max(most, visited-before)
	}
	if visited != n || most > 2*snapshotSlice || turns < n/snapshotSlice {
		t.Errorf("%d of %d virtual routers in %d turns, up to %d in one", visited, n, turns, most)
	}

	if !s.Running || s.Conf != d.conf || len(s.Instances) != n || len(s.Sockets) != 1 || len(s.Sockets[0].Users) != n {
		t.Fatalf("running %t, %d instances, %d sockets", s.Running, len(s.Instances), len(s.Sockets))
	}
	for k := range s.Instances {
		i, r := &s.Instances[k], d.routers[k]
		if i.Conf != r.conf || i.State != vrrp.Master || i.Stats.BecomeMaster != 1 || i.Stats.AdvertsSent == 0 ||
			i.Source != netip.MustParseAddr("192.0.2.1") || i.Link == 0 || i.Socket < 0 || i.Since.IsZero() || i.Timeout.IsZero() ||
			!i.Held || len(i.Listed) != 1 || !i.Listed[0].Set || i.Listed[0].Link != "eth0" || len(i.History) == 0 {
			t.Fatalf("%s: %+v", r.conf.Name, i)
		}
	}
	at := slices.IndexFunc(s.Links, func(l status.Link) bool { return l.Name == "eth0" })
	if at < 0 {
		t.Fatalf("links: %+v", s.Links)
	}
	if l := &s.Links[at]; !l.Flags.Up || len(l.Users) != n || len(l.IPv4) != 1 || l.IPv4[0] != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("eth0: %+v", l)
	}

	held := slices.Clone(s.Instances[0].History)
	for range 2 * historyLen {
		d.routers[0].remember(&vrrp.Action{From: vrrp.Backup, To: vrrp.Fault})
	}
	if len(d.routers[0].history) != historyLen || !slices.Equal(s.Instances[0].History, held) {
		t.Errorf("after %d changes the router has %d, and the snapshot %+v instead of %+v", 2*historyLen, len(d.routers[0].history), s.Instances[0].History, held)
	}
	if now := d.snapshotNow(); now.Running || len(now.Instances) != n {
		t.Errorf("at once: running %t, %d instances", now.Running, len(now.Instances))
	}
}

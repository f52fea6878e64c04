package vrrpd

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/kernel/kerneltest"
	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/vrrp"
)

// routed gives the first instance of c a tracked and an untracked route and rule of both
// families.
func routed(c *conf.Config) *conf.Config {
	ours := uint8(conf.ProtocolKeepalived)
	route := func(dst string, noTrack bool) conf.Route {
		r := conf.Route{Type: conf.RouteUnicast, Table: 254, Destination: netip.MustParsePrefix(dst), NoTrack: noTrack,
			Hop: conf.NextHop{Interface: "eth0"}, Protocol: &ours, Family: conf.IPv4}
		if r.Destination.Addr().Is6() {
			r.Family = conf.IPv6
		}
		return r
	}
	rule := func(priority uint32, noTrack bool) conf.Rule {
		return conf.Rule{Family: conf.IPv4, From: netip.MustParsePrefix("10.0.0.0/8"), Priority: priority, Action: conf.RuleLookup,
			Table: 100, SuppressGroup: -1, SuppressPrefixLength: -1, NoTrack: noTrack, Protocol: &ours}
	}
	c.Instances[0].Routing = &conf.Routing{
		Routes: []conf.Route{route("10.1.0.0/16", false), route("2001:db8:1::/64", false), route("10.2.0.0/16", true)},
		Rules:  []conf.Rule{rule(10, false), rule(11, true)},
	}
	return c
}

func destinations(k *kerneltest.Kernel) []string {
	var all []string
	for _, r := range k.Routes() {
		all = append(all, r.Dst.String())
	}
	for _, r := range k.Rules() {
		all = append(all, r.Text())
	}
	slices.Sort(all)
	return all
}

var allRouted = []string{"10.1.0.0/16", "10.2.0.0/16", "2001:db8:1::/64", "rule from 10.0.0.0/8 priority 10 lookup 100", "rule from 10.0.0.0/8 priority 11 lookup 100"}

func hasAll(k *kerneltest.Kernel) func() bool {
	return func() bool { return slices.Equal(destinations(k), allRouted) }
}

// TestRoutesMoveWithTheMaster checks that routes and rules are set by a master and
// removed when it ends. If another program removes a tracked one, the router ceases to be
// master; an untracked one is set again by the next master.
func TestRoutesMoveWithTheMaster(t *testing.T) {
	log := logtest.Capture(t)
	d, k := newMemoryDaemon(t, patient(routed(owners(1))))
	turnUntil(t, d, "master", masters(d))
	if !hasAll(k)() {
		t.Fatalf("the kernel has %q", destinations(k))
	}
	find := func(dst string) kernel.Route {
		for _, r := range k.Routes() {
			if r.Dst.String() == dst {
				return r
			}
		}
		t.Fatalf("no route to %s", dst)
		return kernel.Route{}
	}
	untracked := k.Rules()[1]
	k.RemoveRoute(find("10.2.0.0/16"))
	k.RemoveRule(untracked)
	turnUntil(t, d, "the events", func() bool {
		return !d.routers[0].routes[2].present && !d.routers[0].rules[1].present && d.addrs.idle()
	})
	if got := len(destinations(k)); got != len(allRouted)-2 || !d.routers[0].held {
		t.Errorf("%d are left, held %v", got, d.routers[0].held)
	}
	for _, remove := range []func(){
		func() { k.RemoveRoute(find("10.1.0.0/16")) },
		func() { k.RemoveRoute(find("2001:db8:1::/64")) },
		func() { k.RemoveRule(k.Rules()[0]) },
	} {
		n := strings.Count(log.String(), "was removed by another program")
		remove()
		turnUntil(t, d, "the loss", func() bool { return strings.Count(log.String(), "was removed by another program") > n })
		turnUntil(t, d, "master again, with all", func() bool { return masters(d)() && hasAll(k)() })
	}
	d.loop.Post(d.stop)
	turnUntil(t, d, "the end", func() bool { return d.stopping && d.addrs.idle() })
	if left := destinations(k); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestOnExternalDelete checks that on_external_delete restore sets again what another
// program removes, while the virtual router stays master, and that fault keeps it in
// FAULT until a reload.
func TestOnExternalDelete(t *testing.T) {
	log := logtest.Capture(t)
	for _, policy := range []conf.OnDelete{conf.OnDeleteRestore, conf.OnDeleteFault} {
		c := patient(routed(owners(1)))
		c.Instances[0].OnDelete = policy
		d, k := newMemoryDaemon(t, c)
		r := d.routers[0]
		all := func() bool { return masters(d)() && hasAll(k)() }
		turnUntil(t, d, "master", all)
		since := r.history[len(r.history)-1].At
		for _, remove := range []func(){
			func() { k.RemoveAddr(memoryLink, r.vips[0].key.Prefix) },
			func() { k.RemoveRoute(k.Routes()[0]) },
			func() { k.RemoveRule(k.Rules()[0]) },
		} {
			n := strings.Count(log.String(), "was removed by another program")
			remove()
			turnUntil(t, d, "the loss", func() bool { return strings.Count(log.String(), "was removed by another program") > n })
			if policy == conf.OnDeleteFault {
				turnUntil(t, d, "FAULT, with nothing", func() bool { return r.faults == vrrp.FaultRemoved && !r.held && d.addrs.idle() })
				d.reloadTurn(d.conf)
			}
			turnUntil(t, d, "all again", all)
		}
		if at := r.history[len(r.history)-1].At; (at == since) != (policy == conf.OnDeleteRestore) {
			t.Errorf("%v: the last change of state was at %v, that to master at %v", policy, at, since)
		}
	}
}

// TestRestoreHasAPace checks that restoring has a minimum interval however often another
// program removes the route.
func TestRestoreHasAPace(t *testing.T) {
	quiet(t)
	c := patient(owners(1))
	c.Instances[0].OnDelete = conf.OnDeleteRestore
	d, k := newMemoryDaemon(t, c)
	turnUntil(t, d, "master", masters(d))
	address, begun := d.routers[0].vips[0].key.Prefix, d.addrs.begun
	for range 3 * restoredAtOnce {
		if k.RemoveAddr(memoryLink, address) {
			turnUntil(t, d, "the event", func() bool { return !d.routers[0].vips[0].present || d.addrs.idle() })
		}
	}
	if n := d.addrs.begun - begun; n > restoredAtOnce+1 {
		t.Errorf("set again %d times", n)
	}
	turnUntil(t, d, "the address again", func() bool { return k.Has(memoryLink, address) && masters(d)() })
}

// TestReloadOfRoutes checks that a reload changes only the routes that differ, and does
// not touch a route that moves to another instance.
func TestReloadOfRoutes(t *testing.T) {
	quiet(t)
	d, k := newMemoryDaemon(t, patient(routed(owners(2))))
	turnUntil(t, d, "masters", masters(d))
	before := k.Routes()
	jobs := d.addrs.begun
	next := patient(routed(owners(2)))
	next.Instances[1].Routing, next.Instances[0].Routing = next.Instances[0].Routing, nil
	d.reloadTurn(next)
	turnUntil(t, d, "the reload", func() bool { return d.addrs.idle() })
	if d.addrs.begun != jobs || !slices.EqualFunc(before, k.Routes(), func(a, b kernel.Route) bool { return a.Equal(&b) }) {
		t.Errorf("%d plans, and %q", d.addrs.begun-jobs, destinations(k))
	}
	next = patient(routed(owners(2)))
	next.Instances[0].Routing.Routes = next.Instances[0].Routing.Routes[1:]
	next.Instances[0].Routing.Routes[1].Metric = 7
	d.reloadTurn(next)
	turnUntil(t, d, "the other reload", func() bool { return d.addrs.idle() })
	if got := k.Routes(); len(got) != 2 || got[1].Metric != 7 || len(k.Rules()) != 2 {
		t.Errorf("%+v", got)
	}
	if n := len(d.addrs.routes.items); n != 2 || len(d.addrs.slots) != 2 {
		t.Errorf("%d routes and %d slots are remembered, want 2", n, len(d.addrs.slots))
	}
}

// TestRoutesFollowTheirLink checks that routes follow their link when it is removed and
// returns with another index.
func TestRoutesFollowTheirLink(t *testing.T) {
	quiet(t)
	c := patient(routed(owners(1)))
	for i := range c.Instances[0].Routing.Routes {
		r := &c.Instances[0].Routing.Routes[i]
		r.Hop.Interface, r.NoTrack = "eth1", true
	}
	d, k := newMemoryDaemon(t, c)
	turnUntil(t, d, "master without its routes", masters(d))
	for index := 5; index < 8; index++ {
		k.SetLink(kerneltest.Ethernet(index, "eth1"))
		turnUntil(t, d, "routes", func() bool { return hasAll(k)() && d.addrs.idle() })
		if r := k.Routes()[0]; r.Hops[0].Link != index {
			t.Errorf("over link %d, want %d", r.Hops[0].Link, index)
		}
		for _, r := range k.Routes() {
			k.RemoveRoute(r)
		}
		k.RemoveLink(index)
		turnUntil(t, d, "the end of the link", func() bool { return d.routers[0].routes[0] == nil && d.addrs.idle() })
		if n := len(d.addrs.routes.items); n != 0 {
			t.Errorf("%d routes are remembered without their link", n)
		}
	}
}

// TestRoutesReturnWithTheirLink checks that routes that the kernel removes with a link
// that goes down are not taken for removed by a program, and are set again when the link
// is up.
func TestRoutesReturnWithTheirLink(t *testing.T) {
	log := logtest.Capture(t)
	c := patient(routed(owners(1)))
	for i := range c.Instances[0].Routing.Routes {
		c.Instances[0].Routing.Routes[i].Hop.Interface = "eth1"
		c.Instances[0].Routing.Routes[i].NoTrack = true
	}
	k := memoryKernel()
	k.SetLink(kerneltest.Ethernet(5, "eth1"))
	k.SetAddr(kernel.Addr{Link: 5, Prefix: netip.MustParsePrefix("198.51.100.1/24")})
	d := startTestDaemon(t, c, k)
	turnUntil(t, d, "master", func() bool { return masters(d)() && hasAll(k)() })
	down := kerneltest.Ethernet(5, "eth1")
	down.Flags &^= unix.IFF_UP | unix.IFF_RUNNING
	k.ForgetRoutes()
	k.SetLink(down)
	turnUntil(t, d, "the link down", func() bool { return !d.net.byName["eth1"].Up() && d.addrs.idle() })
	if len(k.Routes()) != 0 {
		t.Errorf("set over a link that is down: %q", destinations(k))
	}
	k.SetLink(kerneltest.Ethernet(5, "eth1"))
	turnUntil(t, d, "all routes", func() bool { return hasAll(k)() && d.addrs.idle() })
	if strings.Contains(log.String(), "removed by another program") {
		t.Error(log.String())
	}
}

// TestStaticEntries checks that static entries are set before an engine starts, whatever
// its state, that a static address can be the source of adverts, that entries removed by
// another program are restored with a minimum interval, and that all are removed at the
// stop.
func TestStaticEntries(t *testing.T) {
	quiet(t)
	c := patient(owners(1))
	from := routed(patient(owners(1))).Instances[0].Routing
	c.StaticRoutes, c.StaticRules = from.Routes, from.Rules
	address := netip.MustParsePrefix("203.0.113.1/24")
	c.StaticAddresses = []conf.StaticAddress{{Address: conf.Address{Prefix: address, Interface: "eth0"}}}
	k := kerneltest.New(kerneltest.Ethernet(memoryLink, "eth0"))
	d := startTestDaemon(t, c, k)
	if !hasAll(k)() || !k.Has(memoryLink, address) {
		t.Fatalf("after the start: %q, %v", destinations(k), k.Addrs())
	}
	if d.routers[0].source != address.Addr() || d.routers[0].faults != 0 {
		t.Errorf("adverts come from %v, faults %v", d.routers[0].source, d.routers[0].faults)
	}
	turnUntil(t, d, "master", masters(d))
	for range 3 {
		k.RemoveRoute(k.Routes()[0])
		k.RemoveRule(k.Rules()[0])
		turnUntil(t, d, "all again", func() bool { return hasAll(k)() && d.addrs.idle() })
	}
	k.RemoveAddr(memoryLink, address)
	turnUntil(t, d, "the address again", func() bool { return k.Has(memoryLink, address) && masters(d)() })
	next := patient(owners(1))
	next.StaticRules = from.Rules[:1]
	next.StaticAddresses = c.StaticAddresses
	d.reloadTurn(next)
	turnUntil(t, d, "the reload", func() bool { return d.addrs.idle() && len(destinations(k)) == 1 })
	d.loop.Post(d.stop)
	turnUntil(t, d, "the end", func() bool { return d.stopping && d.addrs.idle() })
	if left := destinations(k); len(left) != 0 || len(k.Addrs()) != 0 {
		t.Errorf("left behind: %q, %v", left, k.Addrs())
	}
}

// TestLeftoverRoutes checks that a successor keeps routes and rules of a killed process
// that are in its own configuration, removes others that it finds in the state file, and
// does not touch those of other programs.
func TestLeftoverRoutes(t *testing.T) {
	quiet(t)
	for _, wanted := range []bool{true, false} {
		state := t.TempDir() + "/state"
		k := memoryKernel()
		d := startTestDaemonWith(t, patient(routed(owners(1))), Options{Host: k, StateFile: state})
		turnUntil(t, d, "master", func() bool { return masters(d)() && hasAll(k)() })
		theirs := k.Routes()[0]
		theirs.Table, theirs.Protocol = 99, unix.RTPROT_STATIC
		k.AddRoute(theirs.Sealed())
		d.journal.close() // and no turn follows: nothing is removed, and the state file stays
		next := patient(owners(1))
		if wanted {
			next = routed(next)
		}
		d = startTestDaemonWith(t, next, Options{Host: k, StateFile: state})
		turnUntil(t, d, "the successor", func() bool { return masters(d)() })
		want := 1
		if wanted {
			want += len(allRouted)
		}
		turnUntil(t, d, "its routes", func() bool { return d.addrs.idle() && len(destinations(k)) == want })
	}
}

// TestInheritedUntilSocketsOpen checks that the leftovers of a predecessor are not
// removed before the engine that continues with them has its socket, however long that
// takes, with and without static entries.
func TestInheritedUntilSocketsOpen(t *testing.T) {
	quiet(t)
	for _, static := range []bool{false, true} {
		state := t.TempDir() + "/state"
		k := memoryKernel()
		c := patient(routed(owners(1)))
		if static {
			c.StaticAddresses = []conf.StaticAddress{{Address: conf.Address{Prefix: netip.MustParsePrefix("203.0.113.1/24"), Interface: "eth0"}}}
		}
		d := startTestDaemonWith(t, c, Options{Host: k, StateFile: state})
		turnUntil(t, d, "master", func() bool { return masters(d)() && hasAll(k)() })
		d.journal.close() // and no turn follows: nothing is removed, and the state file stays

		next, found, err := newDaemon(Options{Host: k, StateFile: state}, c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(next.close)
		var removed atomic.Int32
		k.Refuse(func(op kernel.Op, _ kernel.Addr) *nl.Error {
			if op == kernel.Remove {
				removed.Add(1)
			}
			return nil
		})
		time.AfterFunc(100*time.Millisecond, k.Hang())
		next.start(c, found)
		next.flush()
		turnUntil(t, next, "the successor", masters(next))
		if n := removed.Load(); n != 0 {
			t.Errorf("static %v: %d addresses were removed", static, n)
		}
		if !hasAll(k)() {
			t.Errorf("static %v: %q is left", static, destinations(k))
		}
		k.Refuse(nil)
	}
}

// TestRouteOfVRF checks that a route of a VRF is in the table that the VRF has at the
// time, and is not set while there is no such VRF or another link has its name.
func TestRouteOfVRF(t *testing.T) {
	log := logtest.Capture(t)
	c := routed(owners(1))
	c.Instances[0].Routing.Routes = c.Instances[0].Routing.Routes[:1]
	c.Instances[0].Routing.Routes[0].VRF = "red"
	d, k := newMemoryDaemon(t, patient(c))
	vrf := func(index int, table uint32) kernel.Link {
		l := kerneltest.Ethernet(index, "red")
		l.Kind, l.Table = "vrf", table
		return l
	}
	in := func(table uint32) func() bool {
		return func() bool { all := k.Routes(); return len(all) == 1 && all[0].Table == table }
	}
	k.SetLink(vrf(7, 10))
	turnUntil(t, d, "the route in its table", in(10))
	if !strings.Contains(log.String(), "interface red does not exist") {
		t.Errorf("no fault without the VRF: %s", log.String())
	}
	k.RemoveLink(7)
	turnUntil(t, d, "the fault", func() bool {
		return strings.Count(log.String(), "interface red does not exist") > 1 && len(k.Routes()) == 0
	})
	k.SetLink(vrf(8, 11))
	turnUntil(t, d, "the route in another table", in(11))
	k.RemoveLink(8)
	k.SetLink(kerneltest.Ethernet(9, "red"))
	turnUntil(t, d, "a line about it", func() bool {
		return strings.Contains(log.String(), "the route to 10.1.0.0/16 is not set: interface red is no VRF")
	})
	turnUntil(t, d, "no route", func() bool { return len(k.Routes()) == 0 && d.addrs.idle() })
}

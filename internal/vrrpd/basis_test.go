package vrrpd

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/vrrp"
)

// TestWanted checks on which settings and links the wanted socket of a virtual router
// depends, and on which it does not.
func TestWanted(t *testing.T) {
	base := func() (conf.VRRPInstance, netLink) {
		c := conf.VRRPInstance{Name: "VI", Interface: "eth0", Family: conf.IPv6, Version: 3, VRID: 51, TTL: 255, Group: netip.MustParseAddr("ff02::12")}
		return c, netLink{Link: kernel.Link{Index: 2, Name: "eth0", MTU: 1500, Flags: linkIsUp}}
	}
	for _, c := range []struct {
		name   string
		change func(c *conf.VRRPInstance, l *netLink)
		same   bool
	}{
		{"nothing", func(*conf.VRRPInstance, *netLink) {}, true},
		{"name of the interface", func(_ *conf.VRRPInstance, l *netLink) { l.Name = "lan0" }, true},
		{"MTU", func(_ *conf.VRRPInstance, l *netLink) { l.MTU = 9000 }, true},
		{"down", func(_ *conf.VRRPInstance, l *netLink) { l.Flags = 0 }, true},
		{"enslaved", func(_ *conf.VRRPInstance, l *netLink) { l.Master = 9 }, true},
		{"hardware address", func(_ *conf.VRRPInstance, l *netLink) { l.HardwareAddr[5] = 1 }, true},
		{"IPv4 lost", func(_ *conf.VRRPInstance, l *netLink) { l.losses[0]++ }, true},
		{"priority, addresses", func(c *conf.VRRPInstance, _ *netLink) { c.Priority, c.Addresses = 7, make([]conf.Address, 3) }, true},
		{"source", func(c *conf.VRRPInstance, _ *netLink) { c.SourceIP = netip.MustParseAddr("fe80::9") }, true},
		{"IPv6 lost: its groups are joined again", func(_ *conf.VRRPInstance, l *netLink) { l.losses[1]++ }, true},
		{"index", func(_ *conf.VRRPInstance, l *netLink) { l.Index = 7 }, false},
		{"group", func(c *conf.VRRPInstance, _ *netLink) { c.Group = netip.MustParseAddr("ff02::13") }, false},
		{"unicast", func(c *conf.VRRPInstance, _ *netLink) { c.Unicast = true }, false},
		{"hop limit", func(c *conf.VRRPInstance, _ *netLink) { c.TTL = 64 }, false},
		{"family", func(c *conf.VRRPInstance, _ *netLink) { c.Family = conf.IPv4 }, false},
		{"protocol", func(c *conf.VRRPInstance, _ *netLink) { c.Auth.Type = conf.AuthAH }, false},
	} {
		was, link := base()
		before, ok := wanted(&was, &link)
		if !ok {
			t.Fatal("no socket wanted")
		}
		c.change(&was, &link)
		now, ok := wanted(&was, &link)
		if !ok || (now == before) != c.same {
			t.Errorf("%s: the same is %t, want %t", c.name, now == before, c.same)
		}
	}
	c, _ := base()
	if _, ok := wanted(&c, nil); ok {
		t.Error("a socket is wanted without the interface")
	}
	c.Interface, c.Unicast = "", true
	if b, ok := wanted(&c, nil); !ok || b.key.link != 0 {
		t.Error("unicast needs no interface")
	}
}

// TestFamiliesLost checks that the loss of a family is counted in whatever order the
// kernel reports an MTU and its consequences, and that a change without a loss replaces
// no socket.
func TestFamiliesLost(t *testing.T) {
	type report struct {
		mtu    int
		v4, v6 bool
	}
	for _, c := range []struct {
		name    string
		reports []report
		want    [2]bool // lost at least once
	}{
		{"nothing", []report{{1500, true, true}, {1500, true, true}}, [2]bool{}},
		{"another MTU", []report{{1500, true, true}, {1280, true, true}, {9000, true, true}}, [2]bool{}},
		{"reported before it is lost", []report{{1500, true, true}, {1279, true, true}, {1500, true, false}}, [2]bool{false, true}},
		{"reported when it is lost", []report{{1500, true, true}, {1200, true, false}, {1500, true, true}}, [2]bool{false, true}},
		{"by something else", []report{{1500, true, true}, {1500, true, false}}, [2]bool{false, true}},
		{"IPv4 too", []report{{1500, true, true}, {67, true, true}}, [2]bool{true, true}},
		{"never there", []report{{1500, true, false}, {1500, true, false}}, [2]bool{}},
		{"comes", []report{{1500, false, false}, {1500, true, true}}, [2]bool{}},
		{"small from the start", []report{{1000, true, false}, {900, true, false}}, [2]bool{}},
	} {
		n := newNetwork(nil, nil)
		for _, r := range c.reports {
			n.setLink(kernel.Link{Index: 2, Name: "eth0", MTU: r.mtu, IPv4: r.v4, IPv6: r.v6})
		}
		l := n.links[2].losses
		if got := [2]bool{l[0] > 0, l[1] > 0}; got != c.want {
			t.Errorf("%s: lost %v, want %v", c.name, got, c.want)
		}
	}

	// An address proves that its family is available again; the next loss counts again.
	n := newNetwork([]kernel.Link{{Index: 2, Name: "eth0", MTU: 1500, IPv6: true}}, nil)
	for want := uint32(1); want < 4; want++ {
		n.setLink(kernel.Link{Index: 2, Name: "eth0", MTU: 1500})
		if got := n.links[2].losses[1]; got != want {
			t.Errorf("%d losses, want %d", got, want)
		}
		n.setAddr(kernel.Addr{Link: 2, Prefix: netip.MustParsePrefix("fe80::1/64")})
	}

	// After lost events a family that is in doubt counts as lost.
	n.setLink(kernel.Link{Index: 3, Name: "eth1"})
	n.doubt(func(link int, ipv6 bool) bool { return link == 3 || !ipv6 })
	if got := [][2]uint32{n.links[2].losses, n.links[3].losses}; got[0] != [2]uint32{1, 3} || got[1] != [2]uint32{1, 1} {
		t.Errorf("losses %v after a new reading, want [1 3] and [1 1]", got)
	}
}

// TestSocketsFollowTheKernel checks that a socket stays the same until something changes
// that it depends on, and is then opened again.
func TestSocketsFollowTheKernel(t *testing.T) {
	c := buffered(conf.Global{}, 0, 0)
	for _, i := range c.Instances {
		i.Addresses = []conf.Address{{Prefix: netip.MustParsePrefix("198.51.100.1/32"), Interface: "eth1"}}
	}
	d := newTestDaemon(t, c)
	await := func(what string, f func() bool) {
		t.Helper()
		for end := d.loop.Now() + 20e9; !f(); d.turn() {
			if d.loop.Now() > end {
				t.Fatal("waited in vain: " + what)
			}
			d.loop.Post(func() {}) // a turn ends
		}
	}
	inUse := func() *socket { return d.routers[0].socket }
	before := inUse()
	if before == nil || d.routers[1].socket != before || d.routers[0].member.users != 2 || len(before.groups) != 1 {
		t.Fatalf("%+v", before)
	}
	ip(t, "link add v1 type veth peer name v2")
	ip(t, "link set v1 mtu 1000")
	ip(t, "link del v1")
	ip(t, "link set eth0 mtu 1400")
	ip(t, "link add eth1 type veth peer name far1") // the addresses now have their link
	await("eth1", func() bool { return d.net.byName["eth1"] != nil && d.routers[0].vips[0] != nil })
	ip(t, "link set eth1 name eth2")
	await("no eth1", func() bool { return d.routers[1].vips[0] == nil })
	if inUse() != before || d.routers[1].socket != before || len(d.sockets) != 1 {
		t.Error("a change that does not concern the socket has replaced it")
	}
	// Events were lost, but the kernel still lists the group.
	d.reread(d.reading(t), 0, true)
	if inUse() != before {
		t.Error("the socket was replaced though the membership still exists")
	}
	// The kernel no longer lists the group, as if it had dropped it without an event.
	if err := before.raw.Leave(netip.MustParseAddr("224.0.0.18")); err != nil {
		t.Fatal(err)
	}
	d.reread(d.reading(t), 0, true)
	if inUse() != before {
		t.Error("the socket was replaced though only its membership was lost")
	}
	answered := false
	d.worker.Do(func() {}, func() { answered = true })
	await("the answer of the kernel", func() bool { return answered })
	if r := d.routers[1]; r.socket != before || r.member.users != 2 || r.faults&vrrp.FaultSocket != 0 {
		t.Errorf("%+v, faults %v: the group was not joined again", r.member, r.faults)
	}
	groups, err := kernel.Groups(4)
	if link := d.net.byName["eth0"].Index; err != nil || !groups[kernel.Group{Link: link, Addr: netip.MustParseAddr("224.0.0.18")}] {
		t.Errorf("%v, %v: the kernel does not list the group", groups, err)
	}
}

// reading returns the kernel's current links and addresses.
func (d *daemon) reading(t *testing.T) *reading {
	t.Helper()
	state, err := d.readAgain()
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// TestSocketRefused checks that while sockets cannot be opened no router serves, that the
// cause is recorded, and that opening is tried again without an event.
func TestSocketRefused(t *testing.T) {
	d := newTestDaemon(t, owners(2))
	for _, r := range d.routers {
		d.unbind(r)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	setLimit := func(n uint64) {
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
	}
	setLimit(3)
	defer setLimit(limit.Cur)
	d.check(d.routers)
	open(t, d)
	for _, r := range d.routers {
		if r.faults != vrrp.FaultSocket || r.whyFault().Detail != "open raw IPv4 socket for protocol 112: socket: too many open files" {
			t.Errorf("%s: faults %v, %q", r.conf.Name, r.faults, r.whyFault().Detail)
		}
	}
	setLimit(limit.Cur)
	if !d.rebinding.Running() {
		t.Fatal("no further attempt")
	}
	d.loop.Set(&d.rebinding, 0)
	d.turn()
	open(t, d)
	for _, r := range d.routers {
		if r.faults != 0 || r.socket == nil {
			t.Errorf("%s: faults %v after the limit was lifted", r.conf.Name, r.faults)
		}
	}
}

package vrrpd

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/kernel/kerneltest"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/link/linktest"
	"keepalived-go/vrrp"
)

// backups returns the configuration of owners(n) with priority 100, so that peers decide
// about the state.
func backups(n int) *conf.Config {
	c := patient(owners(n))
	for _, i := range c.Instances {
		i.Priority = 100
	}
	return c
}

// TestAdvertsArrive checks that an advert goes to the virtual router of its VRID, that a
// VRID without a virtual router is logged once, and that packets that are no adverts or
// are refused are counted by reason.
func TestAdvertsArrive(t *testing.T) {
	log := logtest.Capture(t)
	c := backups(2)
	c.Global.LogUnknownVRIDs = true
	d, k := newMemoryDaemon(t, c)
	r, other := d.routers[0], d.routers[1]
	arrive(k, r, 200)
	turnUntil(t, d, "an advert", func() bool { return r.engine.Stats().AdvertsReceived == 1 })
	if n := other.engine.Stats().AdvertsReceived; n != 0 {
		t.Errorf("another virtual router has %d", n)
	}

	stranger := *r.conf
	stranger.VRID = 77
	unknown := &router{engine: vrrp.New(d.engineConfig(r, &stranger)), conf: &stranger, basis: r.basis, link: r.link}
	for range 3 {
		arrive(k, unknown, 200)
	}
	turnUntil(t, d, "three adverts of no one here", func() bool { return d.foreign[vrrp.RejectVRID] == 3 })
	if n := strings.Count(log.String(), "Unknown VRID(77) received on interface(eth0)"); n != 1 {
		t.Errorf("an unknown VRID is logged %d times", n)
	}

	var heard []status.Neighbour
	d.snapshot(nil, func(s *status.VRRP) { heard = s.Neighbours })
	turnUntil(t, d, "the neighbours", func() bool { return len(heard) == 2 })
	for _, n := range heard {
		want, adverts := r.conf.Name, uint64(1)
		if n.Claim[1] == 77 {
			want, adverts = "", 3
		}
		if n.Interface != "eth0" || n.Instance != want || n.Adverts != adverts || n.Address.String() != "192.0.2.99" {
			t.Errorf("%+v", n)
		}
	}

	k.Arrive(4, protocolVRRP, kernel.Datagram{Data: []byte{0x45}, Dst: r.conf.Group, IfIndex: memoryLink})
	turnUntil(t, d, "half a packet", func() bool {
		n := uint64(0)
		for _, m := range d.foreign {
			n += m
		}
		return n == 4
	})

	if r.engine.State() != vrrp.Backup {
		t.Errorf("state %v", r.engine.State())
	}
}

// TestMasterChanges checks that a master removes its addresses for a better one, and sets
// them again when the better one sends priority 0.
func TestMasterChanges(t *testing.T) {
	quiet(t)
	c := backups(1)
	c.Instances[0].AdvertInterval = time.Second
	d, k := newMemoryDaemon(t, c)
	r := d.routers[0]
	arrive(k, r, 0) // after priority 0 of a master only the skew time remains
	turnUntil(t, d, "master", masters(d))
	arrive(k, r, 200)
	turnUntil(t, d, "backup", func() bool { return !r.held && d.addrs.idle() })
	if left := k.Addrs(); len(left) != 1 {
		t.Errorf("a backup has %v", left)
	}
	arrive(k, r, 0)
	turnUntil(t, d, "master again", masters(d))
}

// TestLinkChanges checks the reactions to changes of a link: fewer addresses in adverts
// for a smaller MTU, announcements for another hardware address, and a warning for a
// bridge that takes its packets.
func TestLinkChanges(t *testing.T) {
	log := logtest.Capture(t)
	c := patient(owners(1))
	for i := range 30 {
		c.Instances[0].Addresses = append(c.Instances[0].Addresses,
			conf.Address{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)}), 32)})
	}
	d, k := newMemoryDaemon(t, c)
	turnUntil(t, d, "master", masters(d))
	turnUntil(t, d, "its announcements", func() bool { return d.routers[0].announce.rounds == 0 })
	r := d.routers[0]
	advertised := func() int { return len(r.engine.Config().Advertised()) }
	if advertised() != 31 {
		t.Fatalf("%d addresses are advertised", advertised())
	}
	l := kerneltest.Ethernet(memoryLink, "eth0")
	l.MTU = 100
	k.SetLink(l)
	turnUntil(t, d, "fewer addresses", func() bool { return advertised() < 31 })
	l.MTU = 1500
	k.SetLink(l)
	turnUntil(t, d, "all addresses", func() bool { return advertised() == 31 })
	for _, text := range []string{"exceeds maximum/space available in packet", "all 31 VIPs fit into a packet again"} {
		if !strings.Contains(log.String(), text) {
			t.Errorf("no log line %q", text)
		}
	}

	before := k.FramesSent()
	l.HardwareAddr[5] = 99
	k.SetLink(l)
	turnUntil(t, d, "announcements of the new hardware address", func() bool { return k.FramesSent() >= before+31 })
	if f := k.LastFrame(); f.Data[11] != 99 {
		t.Errorf("the last frame comes from % x", f.Data[6:12])
	}

	bridge := kerneltest.Ethernet(9, "br0")
	bridge.Kind = "bridge"
	k.SetLink(bridge)
	l.Master = 9
	k.SetLink(l)
	turnUntil(t, d, "the warning", func() bool { return strings.Contains(log.String(), "interface eth0 is part of bridge br0") })
}

// TestSourceGone checks that the loss of the source address is a fault, and that peers
// get priority 0 in a frame that bypasses the IP layer of the kernel.
func TestSourceGone(t *testing.T) {
	log := logtest.Capture(t)
	c := patient(owners(1))
	d, k := newMemoryDaemon(t, c)
	turnUntil(t, d, "master", masters(d))
	own := netip.MustParsePrefix("192.0.2.1/24")
	if !k.RemoveAddr(memoryLink, own) {
		t.Fatal("no address")
	}
	turnUntil(t, d, "FAULT", func() bool { return d.routers[0].engine.State() == vrrp.Fault })
	if f := k.LastFrame(); len(f.Data) < 14+20+8 || f.Data[14+20+2] != 0 {
		t.Errorf("the last frame is no advert of priority 0: %+v", f)
	}
	k.SetAddr(kernel.Addr{Link: memoryLink, Prefix: own})
	turnUntil(t, d, "master again", masters(d))
	if !strings.Contains(log.String(), "no IPv4 address for interface eth0") {
		t.Error("the log has no reason")
	}
}

// TestUnicast checks that unicast adverts are sent to each peer, and that adverts are
// accepted from the address of a peer.
func TestUnicast(t *testing.T) {
	quiet(t)
	c := patient(owners(1))
	in := c.Instances[0]
	in.Unicast, in.Group = true, netip.Addr{}
	peers := []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("198.51.100.200")}
	for _, p := range peers {
		in.Peers = append(in.Peers, conf.Peer{Addr: p})
	}
	d, k := newMemoryDaemon(t, c)
	turnUntil(t, d, "master", masters(d))
	if groups, _ := k.Groups(4); len(groups) != 0 {
		t.Errorf("joined %v", groups)
	}
	seen := map[netip.Addr]bool{}
	for _, p := range k.Sent(0) {
		seen[p.Dst] = true
	}
	if len(seen) != 2 || !seen[peers[0]] || !seen[peers[1]] {
		t.Errorf("adverts to %v", seen)
	}
	r := d.routers[0]
	if d.linkTo(r, peers[0]) != memoryLink || d.linkTo(r, peers[1]) != 0 {
		t.Error("only the first peer must be on the link")
	}
	if d.unreachable(r, peers[1]) {
		t.Error("the other peer counts as unreachable although there is an address")
	}
	k.RemoveAddr(memoryLink, netip.MustParsePrefix("192.0.2.1/24"))
	turnUntil(t, d, "FAULT", func() bool { return r.engine.State() == vrrp.Fault })
}

// TestSendRefused checks that refused sends are reported once with the remedy, and that
// the router counts as blocked meanwhile.
func TestSendRefused(t *testing.T) {
	log := logtest.Capture(t)
	c := owners(1)
	d, k := newMemoryDaemon(t, c)
	turnUntil(t, d, "master", masters(d))
	k.RefuseSending(unix.EPERM)
	r := d.routers[0]
	turnUntil(t, d, "a refusal that the engine knows", func() bool { return r.blocked })
	k.RefuseSending(nil)
	turnUntil(t, d, "adverts again", func() bool { return !r.blocked && !r.muted })
	if n := strings.Count(log.String(), "a firewall on this machine blocks it: allow IP protocol 112 (VRRP)"); n != 1 {
		t.Errorf("the remedy is logged %d times", n)
	}
}

// TestPriorityZeroRefused checks that priority 0 is sent in a frame where the kernel
// has no source or route for it any more, although no event has reported that yet; but
// not where a packet filter refuses it.
func TestPriorityZeroRefused(t *testing.T) {
	quiet(t)
	for _, c := range []struct {
		why     error
		inFrame bool
	}{{unix.ENETUNREACH, true}, {unix.EADDRNOTAVAIL, true}, {unix.EPERM, false}} {
		d, k := newMemoryDaemon(t, patient(owners(1)))
		turnUntil(t, d, "master", masters(d))
		r := d.routers[0]
		turnUntil(t, d, "its announcements", func() bool { return r.announce.rounds == 0 })
		k.RefuseSending(c.why)
		d.loop.Post(d.stop)
		turnUntil(t, d, "the end", func() bool { return d.stopping && d.addrs.idle() })
		f := k.LastFrame()
		if inFrame := len(f.Data) >= 14+20+8 && f.Data[14+9] == 112 && f.Data[14+20+2] == 0; inFrame != c.inFrame {
			t.Errorf("%v: priority 0 in a frame is %v; last frame %+v", c.why, inFrame, f)
		}
		if (r.unsent == nil) != c.inFrame {
			t.Errorf("%v: the advert counts as unsent for %v", c.why, r.unsent)
		}
	}
}

// TestDumpFiles checks that dumps are written to the configured files and, with
// config_save_dir, the state before and after a reload.
func TestDumpFiles(t *testing.T) {
	quiet(t)
	dir := t.TempDir()
	c := patient(owners(2))
	c.Global.ConfigSaveDir = dir
	d := startTestDaemonWith(t, c, Options{Host: memoryKernel(), DumpDir: dir})
	turnUntil(t, d, "masters", masters(d))
	written := func(pattern, text string) {
		t.Helper()
		turnUntil(t, d, pattern+" with "+text, func() bool {
			names, _ := filepath.Glob(filepath.Join(dir, pattern))
			d.loop.Post(func() {}) // a turn ends
			if len(names) != 1 {
				return false
			}
			b, err := os.ReadFile(names[0])
			return err == nil && strings.Contains(string(b), text)
		})
	}
	for _, kind := range []link.Kind{link.DumpData, link.DumpStats, link.DumpJSON} {
		d.loop.Post(func() { d.dump(kind) })
	}
	written("keepalived.data", "State = MASTER")
	written("keepalived.stats", "VRRP Instance: VI_1")
	written("keepalived.json", `"iname":"VI_1"`)
	sent := d.routers[0].engine.Stats().AdvertsSent
	d.loop.Post(func() { d.dump(link.ClearStats) })
	turnUntil(t, d, "cleared statistics", func() bool { return sent > 0 && d.routers[0].engine.Stats().AdvertsSent < sent })

	next := patient(owners(3))
	next.Global.ConfigSaveDir = dir
	confirmed := false
	d.loop.Post(func() { d.reloadTo(next, func() { confirmed = true }) })
	turnUntil(t, d, "the reload", func() bool { return confirmed })
	written("keepalived_vrrp.*.pre", "VI_1")
	written("keepalived_vrrp.*.post", "VI_2")
}

// TestGroups checks that members of a sync group go to FAULT together, and that a reload
// that changes the groups applies the new ones.
func TestGroups(t *testing.T) {
	log := logtest.Capture(t)
	c := owners(3)
	c.Instances[1].Interface = "eth1"
	c.SyncGroups = []*conf.SyncGroup{{Name: "G", Members: []string{"VI_0", "VI_1"}}}
	k := memoryKernel()
	k.SetLink(kerneltest.Ethernet(3, "eth1"))
	k.SetAddr(kernel.Addr{Link: 3, Prefix: netip.MustParsePrefix("192.0.2.2/24")})
	d := startTestDaemon(t, c, k)
	turnUntil(t, d, "three masters", masters(d))
	down := kerneltest.Ethernet(3, "eth1")
	down.Flags &^= unix.IFF_RUNNING
	k.SetLink(down)
	turnUntil(t, d, "a group in FAULT", func() bool {
		return d.routers[0].engine.State() == vrrp.Fault && d.routers[1].engine.State() == vrrp.Fault && d.routers[2].held
	})
	k.SetLink(kerneltest.Ethernet(3, "eth1"))
	turnUntil(t, d, "three masters again", masters(d))

	next := owners(3)
	next.Instances[1].Interface = "eth1"
	next.SyncGroups = []*conf.SyncGroup{{Name: "H", Members: []string{"VI_0", "VI_2"}}}
	d.loop.Post(func() { d.reloadNow(next) })
	turnUntil(t, d, "another group", func() bool { return d.groups["H"] != nil && strings.Contains(log.String(), "(H)") })
	if d.groups["G"] != nil || !masters(d)() {
		t.Error("the old group is there, or a master changed its state")
	}
}

// TestRunWithoutParent checks that a process whose parent exits before it has sent a
// configuration ends with an error.
func TestRunWithoutParent(t *testing.T) {
	quiet(t)
	parent, child := linktest.Pair(t)
	parent.Close()
	ended := make(chan error)
	go func() { ended <- Run(Options{Link: child, Host: memoryKernel()}) }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ends as if it had been asked to")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it does not end")
	}
}

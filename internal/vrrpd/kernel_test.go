package vrrpd

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/kernel/kerneltest"
	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/vrrp"
)

// These tests need no root: they run on a kernel in memory.

const memoryLink = 2

// newMemoryDaemon starts virtual routers on eth0 of a kernel in memory.
func newMemoryDaemon(t testing.TB, c *conf.Config) (*daemon, *kerneltest.Kernel) {
	t.Helper()
	k := memoryKernel()
	return startTestDaemon(t, c, k), k
}

func memoryKernel() *kerneltest.Kernel {
	k := kerneltest.New(kerneltest.Ethernet(memoryLink, "eth0"))
	k.SetAddr(kernel.Addr{Link: memoryLink, Prefix: netip.MustParsePrefix("192.0.2.1/24")})
	return k
}

// patient sets advertisement intervals so long that no pause of a test on a busy machine
// is longer than the peers wait, and returns c.
func patient(c *conf.Config) *conf.Config {
	for _, i := range c.Instances {
		i.AdvertInterval = 10 * time.Second
	}
	return c
}

// turnUntil turns the loop until f returns true.
func turnUntil(t testing.TB, d *daemon, what string, f func() bool) {
	t.Helper()
	end := time.Now().Add(30 * time.Second)
	defer time.AfterFunc(31*time.Second, func() { d.loop.Post(func() {}) }).Stop() // a turn ends
	for ; !f(); d.turn() {
		if time.Now().After(end) || d.err != nil {
			t.Fatalf("not within 30 s: %s (%v)", what, d.err)
		}
	}
}

// masters returns a function that reports whether all routers are master with all their
// addresses, and that is reported.
func masters(d *daemon) func() bool {
	return func() bool {
		for _, r := range d.routers {
			if !r.held {
				return false
			}
			for _, v := range r.vips {
				if !v.present {
					return false
				}
			}
		}
		return d.addrs.idle() && len(d.unreported) == 0
	}
}

func TestMasterInMemory(t *testing.T) {
	quiet(t)
	d, k := newMemoryDaemon(t, patient(owners(3)))
	turnUntil(t, d, "three masters", masters(d))
	turnUntil(t, d, "announcements", func() bool { return k.FramesSent() >= 3 })
	for _, r := range d.routers {
		p := r.vips[0].key.Prefix
		i := slices.IndexFunc(k.Addrs(), func(a kernel.Addr) bool { return a.Prefix == p })
		if i < 0 || k.Addrs()[i].Proto != kernel.AddrProto {
			t.Errorf("%v is not there with our mark: %+v", p, k.Addrs())
		}
	}
	d.loop.Post(d.stop)
	turnUntil(t, d, "the end", func() bool { return d.stopping && d.addrs.idle() })
	if left := k.Addrs(); len(left) != 1 {
		t.Errorf("left behind: %+v", left)
	}
	sent := k.Sent(0)
	if last := sent[len(sent)-1]; last.Link != memoryLink || last.Dst != netip.MustParseAddr("224.0.0.18") || last.Data[20+2] != 0 {
		t.Errorf("the last packet is no advert of priority 0: %+v", last)
	}
}

// TestPriorityZeroWithoutSocket checks that a master sends priority 0 even when its socket
// cannot be opened again because the kernel has disabled the family on the interface.
func TestPriorityZeroWithoutSocket(t *testing.T) {
	log := logtest.Capture(t)
	d, k := newMemoryDaemon(t, patient(owners(1)))
	turnUntil(t, d, "master", masters(d))
	l := kerneltest.Ethernet(memoryLink, "eth0")
	l.IPv4 = false
	k.SetLink(l)
	turnUntil(t, d, "FAULT", func() bool { return strings.Contains(log.String(), "Entering FAULT STATE") })
	if faults := d.routers[0].faults; faults != vrrp.FaultSocket {
		t.Errorf("faults %v", faults)
	}
	// Ethernet, IPv4 with 20 bytes of header, VRRP: its third byte is the priority.
	if f := k.LastFrame(); f.Link != memoryLink || len(f.Data) < 14+20+8 || f.Data[14+20+2] != 0 {
		t.Errorf("the last frame is no advert of priority 0: %+v", f)
	}
	if err := d.routers[0].unsent; err != nil {
		t.Errorf("the advert counts as unsent: %v", err)
	}
}

// TestPriorityZeroToPeerWithoutSocket checks the same for a peer on the link, for each way
// in which the source address determines that link.
func TestPriorityZeroToPeerWithoutSocket(t *testing.T) {
	quiet(t)
	c := patient(owners(2))
	peer := netip.MustParseAddr("192.0.2.2")
	for _, i := range c.Instances {
		i.Unicast, i.Group, i.SourceIP = true, netip.Addr{}, netip.MustParseAddr("192.0.2.1")
		i.Peers = []conf.Peer{{Addr: peer}}
		i.Addresses[0].Interface = "eth0"
	}
	c.Instances[1].Interface = ""
	d, k := newMemoryDaemon(t, c)
	turnUntil(t, d, "masters", masters(d))
	k.RefuseRaw(unix.EMFILE)
	for _, r := range d.routers {
		turnUntil(t, d, "its announcements", func() bool { return r.announce.rounds == 0 })
		d.unbind(r)
	}
	for _, r := range d.routers {
		d.check([]*router{r})
		open(t, d)
		if r.faults != vrrp.FaultSocket || r.unsent != nil {
			t.Errorf("%s: faults %v, unsent for %v", r.conf.Name, r.faults, r.unsent)
		}
		f := k.LastFrame()
		if f.Link != memoryLink || len(f.Data) < 14+20+8 || f.Data[14+20+2] != 0 || f.Data[14+20+1] != r.conf.VRID ||
			[4]byte(f.Data[14+16:]) != peer.As4() || f.Data[0] != 0xff {
			t.Errorf("%s: the last frame is no advert of priority 0 to the peer: %+v", r.conf.Name, f)
		}
	}
}

// TestReloadAnnouncesNewAddress checks that an address that a reload adds to a master is
// announced once the kernel has it.
func TestReloadAnnouncesNewAddress(t *testing.T) {
	quiet(t)
	d, k := newMemoryDaemon(t, patient(owners(1)))
	turnUntil(t, d, "master", masters(d))
	turnUntil(t, d, "its announcements", func() bool { return d.routers[0].announce.rounds == 0 })
	next := patient(owners(1))
	added := netip.MustParsePrefix("203.0.113.7/32")
	next.Instances[0].Addresses = append(next.Instances[0].Addresses, conf.Address{Prefix: added})
	d.loop.Post(func() { d.reloadNow(next) })
	turnUntil(t, d, "the address", func() bool { return k.Has(memoryLink, added) })
	turnUntil(t, d, "its announcement", func() bool {
		f := k.LastFrame()
		return len(f.Data) >= 14+28 && netip.AddrFrom4([4]byte(f.Data[28:32])) == added.Addr()
	})
}

// TestReloadRemovesInOrder checks that instances that a reload removes end in the order
// of the old configuration: readers of a FIFO get upstream's order.
func TestReloadRemovesInOrder(t *testing.T) {
	log := logtest.Capture(t)
	d, _ := newMemoryDaemon(t, patient(owners(8)))
	turnUntil(t, d, "eight masters", masters(d))
	d.reloadTurn(patient(owners(1)))
	var want, got []string
	for i := 1; i < 8; i++ {
		want = append(want, fmt.Sprintf("(VI_%d) removed by reload", i))
	}
	for _, line := range strings.Split(log.String(), "\n") {
		if _, text, ok := strings.Cut(line, `msg="`); ok && strings.Contains(line, "removed by reload") {
			text, _, _ = strings.Cut(text, `"`)
			got = append(got, text)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestRefusals checks that a refusal by the kernel is logged once with the kernel's
// message, and that the request is repeated until the kernel accepts it.
func TestRefusals(t *testing.T) {
	log := logtest.Capture(t)
	var refused atomic.Int32 // used by the goroutine of the executor
	k, c := memoryKernel(), patient(owners(2))
	virtual := c.Instances[1].Addresses[0].Prefix
	k.Refuse(func(op kernel.Op, a kernel.Addr) *nl.Error {
		if a.Prefix != virtual || op != kernel.Add {
			return nil
		}
		refused.Add(1)
		return &nl.Error{Errno: unix.EPERM, Message: "not today"}
	})
	d := startTestDaemon(t, c, k)
	turnUntil(t, d, "a second request after the refusal", func() bool { return refused.Load() >= 2 && d.addrs.idle() })
	k.Refuse(nil)
	turnUntil(t, d, "all addresses", masters(d))
	if !k.Has(memoryLink, virtual) {
		t.Errorf("%v is not there", virtual)
	}
	text := fmt.Sprintf("(VI_1) add %v to eth0: not today: operation not permitted", virtual)
	if n := strings.Count(log.String(), text); n != 1 {
		t.Errorf("%q is logged %d times, want once:\n%s", text, n, log.String())
	}
}

// TestKernelHangs checks that while the kernel hangs for a second in requests of masters,
// for one address or for many, all masters advertise on time: in virtual time, to the
// nanosecond.
func TestKernelHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quiet(t)
		c := owners(4)
		interval, many := c.Instances[0].AdvertInterval, 100
		for i := range many {
			c.Instances[3].Excluded = append(c.Instances[3].Excluded,
				conf.Address{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{203, 0, 113, byte(i + 1)}), 32)})
		}
		l, err := loop.NewVirtual()
		if err != nil {
			t.Fatal(err)
		}
		k := memoryKernel()
		d := startTestDaemonWith(t, c, Options{Host: k, Loop: l})
		turnUntil(t, d, "four masters", masters(d))

		last := make([]time.Time, 5) // by VRID
		for _, p := range k.Sent(0) {
			last[p.Data[20+1]] = p.Time
		}
		from := len(k.Sent(0))
		release := k.Hang()
		began := time.Now()
		time.AfterFunc(time.Second, release)
		var move func(i int) // removes the addresses of one router after the other and requests them again
		move = func(i int) {
			if i > 0 {
				d.hold(d.routers[i-1], true)
			}
			if i < len(d.routers) {
				d.hold(d.routers[i], false)
				d.loop.Post(func() { move(i + 1) }) // in the next turn
			}
		}
		d.loop.Post(func() { move(0) })
		released := false
		time.AfterFunc(time.Second-1, func() {
			d.loop.Post(func() {
				if d.addrs.idle() || k.Waiting() == 0 {
					t.Error("the kernel did not hang")
				}
				released = true
			})
		})
		turnUntil(t, d, "most of a second", func() bool { return released })
		adverts := make([]int, 5)
		for _, p := range k.Sent(from) {
			vrid := p.Data[20+1]
			if gap := p.Time.Sub(last[vrid]); gap != interval {
				t.Errorf("VRID %d: an advert %v after the one before, %v after the kernel began to hang; want %v",
					vrid, gap, p.Time.Sub(began), interval)
			}
			last[vrid] = p.Time
			adverts[vrid]++
		}
		for vrid, n := range adverts[1:] {
			if want := int(time.Second/interval) - 1; n < want {
				t.Errorf("VRID %d: %d adverts, want %d", vrid+1, n, want)
			}
		}
		turnUntil(t, d, "four masters after the hang", masters(d))
		if n := len(k.Addrs()); n != 1+4+many {
			t.Errorf("the kernel has %d addresses", n)
		}
	})
}

// TestSocketsWhileKernelHangs checks that while the kernel hangs, and a reload and a new
// link open and close sockets, join and leave groups and change settings, masters
// advertise on time, one of them with a new group, and that new instances start when the
// kernel answers.
func TestSocketsWhileKernelHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logtest.Capture(t)
		l, err := loop.NewVirtual()
		if err != nil {
			t.Fatal(err)
		}
		k := memoryKernel()
		d := startTestDaemonWith(t, owners(4), Options{Host: k, Loop: l})
		turnUntil(t, d, "four masters", masters(d))
		interval := d.routers[0].conf.AdvertInterval
		last := make([]time.Time, 7) // by VRID
		for _, p := range k.Sent(0) {
			last[p.Data[20+1]] = p.Time
		}
		from := len(k.Sent(0))

		time.AfterFunc(time.Second, k.Hang())
		group := netip.MustParseAddr("224.0.0.77")
		next := owners(6)
		next.Instances[1].Group = group
		next.Instances[4].Interface, next.Instances[4].PromoteSecondaries = "eth1", true
		next.Instances[5].Auth.Type, next.Instances[5].Version = conf.AuthAH, 2
		next.Instances = slices.Delete(next.Instances, 3, 4)
		d.loop.Post(func() {
			d.reloadNow(next)
			// Events of links are not delayed: only requests are.
			k.SetLink(kerneltest.Ethernet(3, "eth1"))
			k.SetAddr(kernel.Addr{Link: 3, Prefix: netip.MustParsePrefix("192.0.2.2/24")})
			d.net.doubt(func(link int, ipv6 bool) bool { return link == memoryLink && !ipv6 })
			d.check(d.routers)
		})
		// Just before the kernel answers again: a turn may wait for the answer.
		var before struct {
			waiting int
			sent    []kerneltest.Packet
			faults  vrrp.Faults
			starts  bool
		}
		time.AfterFunc(time.Second-1, func() {
			d.loop.Post(func() {
				before.waiting, before.sent = k.Waiting(), k.Sent(from)
				before.faults, before.starts = d.routers[3].faults, !d.routers[4].waiting
			})
		})
		turnUntil(t, d, "most of a second", func() bool { return before.sent != nil })
		if before.waiting == 0 {
			t.Error("the kernel did not hang")
		}
		adverts := make([]int, len(last))
		for _, p := range before.sent {
			vrid := p.Data[20+1]
			if p.Data[20+2] == 0 {
				continue // VRID 4 is removed
			}
			if gap := p.Time.Sub(last[vrid]); gap != interval {
				t.Errorf("VRID %d: an advert %v after the one before, want %v", vrid, gap, interval)
			}
			if changed := p.Dst == group; changed != (vrid == 2) {
				t.Errorf("VRID %d: an advert to %v", vrid, p.Dst)
			}
			last[vrid] = p.Time
			adverts[vrid]++
		}
		for vrid, n := range adverts {
			if want := int(time.Second/interval) - 1; vrid >= 1 && vrid <= 3 && n < want || vrid > 3 && n > 0 {
				t.Errorf("VRID %d: %d adverts", vrid, n)
			}
		}
		if before.faults != vrrp.FaultSocket || before.starts {
			t.Errorf("faults %v on the new link, the new instance starts: %t", before.faults, before.starts)
		}

		turnUntil(t, d, "five masters", masters(d))
		groups, err := k.Groups(4)
		want := map[kernel.Group]bool{{Link: memoryLink, Addr: group}: true,
			{Link: memoryLink, Addr: netip.MustParseAddr("224.0.0.18")}: true, {Link: 3, Addr: netip.MustParseAddr("224.0.0.18")}: true}
		if err != nil || !maps.Equal(groups, want) {
			t.Errorf("groups %v, %v; want %v", groups, err, want)
		}
		if len(d.sockets) != 3 || k.Sockets() != 3 {
			t.Errorf("%d sockets, the kernel has %d", len(d.sockets), k.Sockets())
		}
		turnUntil(t, d, "settings", d.settings.idle)
		if changed, _ := k.SetSysctl("1", "net", "ipv4", "conf", "eth1", "promote_secondaries"); changed {
			t.Error("promote_secondaries is not set on the new link")
		}
		if strings.Count(log.String(), "Entering FAULT") != 1 { // VI_4, without its link
			t.Errorf("a router without a fault of its own went to FAULT:\n%s", log)
		}
		d.loop.Post(func() { d.reloadNow(owners(0)) })
		turnUntil(t, d, "no socket", func() bool { return k.Sockets() == 0 && len(d.sockets) == 0 })
	})
}

// TestForwardingIsAnnounced checks that the neighbour advertisements of a node that
// forwards IPv6 have the router flag as soon as the kernel reports forwarding.
func TestForwardingIsAnnounced(t *testing.T) {
	quiet(t)
	c := patient(owners(1))
	i := c.Instances[0]
	i.Family, i.Group, i.Addresses = conf.IPv6, netip.MustParseAddr("ff02::12"), []conf.Address{{Prefix: netip.MustParsePrefix("fe80::10/128")}}
	k := memoryKernel()
	k.SetAddr(kernel.Addr{Link: memoryLink, Prefix: netip.MustParsePrefix("fe80::1/64")})
	d := startTestDaemon(t, c, k)
	turnUntil(t, d, "master", masters(d))
	router := func() bool { // Ethernet and IPv6 headers, ICMPv6: type, code, checksum, flags
		f := k.LastFrame()
		return len(f.Data) > 58 && f.Data[54] == 136 && f.Data[58]&0x80 != 0
	}
	turnUntil(t, d, "an announcement", func() bool { return k.FramesSent() > 0 && d.routers[0].announce.rounds == 0 })
	if router() {
		t.Error("a node that does not forward is announced as a router")
	}
	k.SetForwarding(memoryLink, true)
	turnUntil(t, d, "the event", func() bool { return d.routers[0].link.Forwards6 })
	d.announceAddresses(d.routers[0], 1, false)
	turnUntil(t, d, "an announcement as a router", router)
}

// TestTakeOverWhileKernelHangs checks that a backup that takes over while the kernel
// hangs sends its adverts on time, and sets and announces its addresses when the kernel
// answers again.
func TestTakeOverWhileKernelHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		quiet(t)
		c := owners(1)
		c.Instances[0].Priority = 100
		l, err := loop.NewVirtual()
		if err != nil {
			t.Fatal(err)
		}
		k := memoryKernel()
		began := time.Now()
		d := startTestDaemonWith(t, c, Options{Host: k, Loop: l})
		release := k.Hang()
		time.AfterFunc(time.Second, func() {
			if k.FramesSent() != 0 || len(k.Addrs()) != 1 {
				t.Errorf("%d frames, addresses %v, while the kernel hangs", k.FramesSent(), k.Addrs())
			}
			release()
		})
		due := d.routers[0].timer.Deadline() - l.Now()
		turnUntil(t, d, "a master", func() bool { return d.routers[0].held })
		turnUntil(t, d, "ten adverts", func() bool { return len(k.Sent(0)) >= 10 })
		interval := c.Instances[0].AdvertInterval
		for i, p := range k.Sent(0) {
			if at, want := p.Time.Sub(began), due+time.Duration(i)*interval; at != want {
				t.Errorf("advert %d leaves after %v, want %v", i, at, want)
			}
		}
		turnUntil(t, d, "the address and its announcement", func() bool { return masters(d)() && k.FramesSent() > 0 })
	})
}

// TestLostEvents checks that changes whose events are lost are found by a reading, even
// if the first readings are interrupted, and corrected.
func TestLostEvents(t *testing.T) {
	log := logtest.Capture(t)
	d, k := newMemoryDaemon(t, patient(owners(3)))
	turnUntil(t, d, "three masters", masters(d))
	stolen, theirs := d.routers[1].vips[0].key.Prefix, netip.MustParsePrefix("203.0.113.7/32")
	for _, interrupted := range []int{0, 7} { // a reading of two lists tries each three times
		k.Interrupt(interrupted)
		k.LoseEvents(func() {
			k.RemoveAddr(memoryLink, stolen)
			k.SetAddr(kernel.Addr{Link: memoryLink, Prefix: theirs})
		})
		known := func() bool {
			_, ok := d.net.byName["eth0"].addrs[kernel.Key{Link: memoryLink, Prefix: theirs}]
			return ok
		}
		turnUntil(t, d, "what was set is known and what was removed is there again", func() bool {
			return known() && k.Has(memoryLink, stolen) && masters(d)()
		})
		k.RemoveAddr(memoryLink, theirs)
		turnUntil(t, d, "events again", func() bool { return !known() })
	}
	if !strings.Contains(log.String(), "Netlink events were lost; state of links and addresses read again") {
		t.Errorf("the loss is not logged:\n%s", log.String())
	}
}

// TestForeignChanges checks the reaction to other programs that remove addresses of
// masters, and change or remove the link.
func TestForeignChanges(t *testing.T) {
	log := logtest.Capture(t)
	d, k := newMemoryDaemon(t, patient(owners(2)))
	turnUntil(t, d, "two masters", masters(d))
	virtual := d.routers[0].vips[0].key.Prefix
	if !k.RemoveAddr(memoryLink, virtual) {
		t.Fatal("it was not there")
	}
	turnUntil(t, d, "the address again", func() bool { return k.Has(memoryLink, virtual) && masters(d)() })
	if text := "IP " + virtual.Addr().String() + " removed from eth0"; strings.Count(log.String(), text) != 1 {
		t.Errorf("want %q once:\n%s", text, log.String())
	}

	down := kerneltest.Ethernet(memoryLink, "eth0")
	down.Flags &^= unix.IFF_RUNNING
	k.SetLink(down)
	turnUntil(t, d, "faults and no addresses", func() bool {
		return !d.routers[0].held && !d.routers[1].held && d.addrs.idle() && len(k.Addrs()) == 1
	})
	k.SetLink(kerneltest.Ethernet(memoryLink, "eth0"))
	turnUntil(t, d, "two masters again", masters(d))

	k.RemoveLink(memoryLink)
	turnUntil(t, d, "no link", func() bool { return !d.routers[0].held && d.routers[0].link == nil && d.routers[0].socket == nil })
	k.SetLink(kerneltest.Ethernet(9, "eth0")) // the link returns with another index
	k.SetAddr(kernel.Addr{Link: 9, Prefix: netip.MustParsePrefix("192.0.2.1/24")})
	turnUntil(t, d, "masters on the new link", func() bool { return k.Has(9, virtual) && masters(d)() })
}

// arrive delivers an advert of a peer with the configuration of r.
func arrive(k *kerneltest.Kernel, r *router, priority uint8) {
	peer := vrrp.New(*r.engine.Config())
	source := netip.MustParseAddr("192.0.2.99")
	peer.Step(0, vrrp.Event{Kind: vrrp.SourceChanged, Source: source}, nil)
	data := slices.Clone(peer.Advert(-1, priority, time.Time{}))
	if source.Is4() { // the kernel writes the source
		copy(data[12:16], source.AsSlice())
	}
	k.Arrive(int(r.basis.key.family), int(r.basis.key.protocol), kernel.Datagram{
		Data: data, Src: source, Dst: r.conf.Group, HopLimit: 255, IfIndex: r.link.Index})
}

// TestMasterForAMoment checks that a master that becomes backup while the kernel still
// sets its address has no address in the end, whenever the advert of the better master
// arrives.
func TestMasterForAMoment(t *testing.T) {
	for _, after := range []time.Duration{1, 100 * time.Microsecond, time.Millisecond, 3 * time.Millisecond, 20 * time.Millisecond, 30 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				quiet(t)
				c := owners(1)
				c.Instances[0].Priority = 100
				l, err := loop.NewVirtual()
				if err != nil {
					t.Fatal(err)
				}
				k := memoryKernel()
				d := startTestDaemonWith(t, c, Options{Host: k, Loop: l})
				r := d.routers[0]
				at := r.timer.Deadline() - l.Now()
				time.AfterFunc(at-time.Microsecond, func() { time.AfterFunc(20*time.Millisecond, k.Hang()) })
				time.AfterFunc(at+after, func() {
					arrive(k, r, 200)
					d.loop.Post(func() {})
				})
				turnUntil(t, d, "a backup that was master", func() bool {
					return r.engine.State() == vrrp.Backup && r.engine.Stats().BecomeMaster > 0 && d.addrs.idle()
				})
				if left := k.Addrs(); len(left) != 1 {
					t.Errorf("a backup has %v", left)
				}
			})
		})
	}
}

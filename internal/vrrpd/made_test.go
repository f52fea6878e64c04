package vrrpd

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/kernel/kerneltest"
	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/proc/link/linktest"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/vrrp"
)

// vmacs returns a configuration of n owners with use_vmac and VRIDs from 1 on.
func vmacs(n int) *conf.Config {
	c := owners(n)
	c.Global.VMACPrefix, c.Global.VMACAddrPrefix = "vrrp", "vrrp"
	for _, i := range c.Instances {
		i.Link = &conf.Link{Kind: conf.LinkVMAC}
	}
	return c
}

// linkNamed returns the link of the kernel with a name. Its index is 0 if there is none.
func linkNamed(k *kerneltest.Kernel, name string) kernel.Link {
	for _, l := range k.Links() {
		if l.Name == name {
			return l
		}
	}
	return kernel.Link{}
}

// calm returns a function that reports whether all routers are master and no request is
// pending.
func calm(d *daemon) func() bool {
	return func() bool { return masters(d)() && d.settings.idle() }
}

// value returns the value of a setting of the kernel.
func value(t *testing.T, k *kerneltest.Kernel, name string) string {
	t.Helper()
	v, err := k.ReadSysctl(strings.Split(name, "/")...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// virtually runs a test with a daemon in virtual time.
func virtually(t *testing.T, k *kerneltest.Kernel, c *conf.Config, f func(t *testing.T, d *daemon, log *logtest.Log)) {
	synctest.Test(t, func(t *testing.T) {
		log := logtest.Capture(t)
		l, err := loop.NewVirtual()
		if err != nil {
			t.Fatal(err)
		}
		f(t, startTestDaemonWith(t, c, Options{Host: k, Loop: l}), log)
	})
}

// TestLinkIsMade checks that a virtual MAC address has its link and the settings that it
// needs while a virtual router is configured, and that everything is restored afterwards.
func TestLinkIsMade(t *testing.T) {
	k := memoryKernel()
	for name, v := range map[string]string{"all": "1", "eth0": "2", "default": "0"} {
		if _, err := k.SetSysctl(v, "net", "ipv4", "conf", name, "rp_filter"); err != nil {
			t.Fatal(err)
		}
	}
	virtually(t, k, vmacs(2), func(t *testing.T, d *daemon, log *logtest.Log) {
		turnUntil(t, d, "masters", calm(d))
		l := linkNamed(k, "vrrp.2")
		if l.HardwareAddr != [6]byte{0, 0, 0x5e, 0, 1, 2} || l.Base != memoryLink || l.Flags&unix.IFF_UP == 0 || l.Alias != kernel.LinkAlias || l.Mode != kernel.MACVLANPrivate {
			t.Errorf("%+v", l)
		}
		if p := d.routers[1].vips[0].key.Prefix; !k.Has(l.Index, p) || k.Has(memoryLink, p) {
			t.Errorf("%v is not on the link: %v", p, k.Addrs())
		}
		for _, p := range k.Sent(0) {
			if p.Link == memoryLink {
				t.Fatalf("an advert left by the interface below: %+v", p)
			}
		}
		for name, want := range map[string]string{"all/rp_filter": "0", "eth0/rp_filter": "2", "default/rp_filter": "1",
			"vrrp.1/rp_filter": "0", "vrrp.1/arp_ignore": "1", "vrrp.1/accept_local": "1", "vrrp.1/promote_secondaries": "1",
			"eth0/arp_ignore": "1", "eth0/arp_filter": "1", "eth0/arp_announce": "2"} {
			if got := value(t, k, "net/ipv4/conf/"+name); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		if got := value(t, k, "net/ipv6/conf/vrrp.1/disable_ipv6"); got != "1" {
			t.Errorf("IPv6 is not disabled")
		}

		// Without the second router its link is removed; the settings of the other links
		// stay.
		d.loop.Post(func() { d.reloadNow(vmacs(1)) })
		turnUntil(t, d, "the end of one", func() bool { return linkNamed(k, "vrrp.2").Index == 0 && calm(d)() })
		if got := value(t, k, "net/ipv4/conf/all/rp_filter"); got != "0" || linkNamed(k, "vrrp.1").Index == 0 {
			t.Errorf("rp_filter %s, links %v", got, k.Links())
		}
		if strings.Contains(log.String(), "FAULT") {
			t.Errorf("a router was in FAULT:\n%s", log)
		}
		d.loop.Post(d.stop)
		turnUntil(t, d, "the end", func() bool { return d.stopping && d.addrs.idle() && d.settings.idle() })
		if links := k.Links(); len(links) != 1 {
			t.Errorf("left behind: %v", links)
		}
		for name, want := range map[string]string{"all/rp_filter": "1", "eth0/rp_filter": "2", "default/rp_filter": "0",
			"eth0/arp_ignore": "0", "eth0/arp_filter": "0", "eth0/arp_announce": "0"} {
			if got := value(t, k, "net/ipv4/conf/"+name); got != want {
				t.Errorf("afterwards %s is %s, want %s", name, got, want)
			}
		}
	})
}

// TestLinkIsLost checks that a made link that another program removes or sets down is a
// fault until it is restored, and so is the loss of the interface below.
func TestLinkIsLost(t *testing.T) {
	k := memoryKernel()
	virtually(t, k, patient(vmacs(1)), func(t *testing.T, d *daemon, log *logtest.Log) {
		turnUntil(t, d, "master", calm(d))
		r := d.routers[0]
		k.RemoveLink(linkNamed(k, "vrrp.1").Index)
		turnUntil(t, d, "FAULT", func() bool { // its link is down, then missing, unless it has been made again by then
			return strings.Contains(log.String(), "(VI_0) Entering FAULT STATE (interface vrrp.1 ")
		})
		turnUntil(t, d, "master again", calm(d))

		l := linkNamed(k, "vrrp.1")
		l.Flags &^= unix.IFF_UP
		k.SetLink(l)
		turnUntil(t, d, "FAULT", func() bool { return r.faults&vrrp.FaultLinkDown != 0 })
		l.Flags |= unix.IFF_UP
		k.SetLink(l)
		turnUntil(t, d, "master again", calm(d))

		k.RemoveLink(memoryLink)
		turnUntil(t, d, "FAULT", func() bool { return r.faults != 0 && r.link == nil })
		k.SetLink(kerneltest.Ethernet(40, "eth0"))
		k.SetAddr(kernel.Addr{Link: 40, Prefix: netip.MustParsePrefix("192.0.2.1/24")})
		turnUntil(t, d, "master above the new interface", calm(d))
		if l := linkNamed(k, "vrrp.1"); l.Base != 40 {
			t.Errorf("%+v", l)
		}
		if got := value(t, k, "net/ipv4/conf/eth0/arp_ignore"); got != "1" {
			t.Errorf("arp_ignore is %s", got)
		}
	})
}

// TestLinkIsRefused checks that a link that the kernel refuses is a fault, logged with
// its cause, and that it is requested again.
func TestLinkIsRefused(t *testing.T) {
	k := memoryKernel()
	k.RefuseLinks(func(kernel.MadeLink) *nl.Error {
		return &nl.Error{Errno: unix.EOPNOTSUPP, Message: "Unknown device type"}
	})
	virtually(t, k, vmacs(1), func(t *testing.T, d *daemon, log *logtest.Log) {
		r := d.routers[0]
		turnUntil(t, d, "FAULT", func() bool { return r.engine.State() == vrrp.Fault })
		if r.faults&vrrp.FaultLinkMissing == 0 || !strings.Contains(log.String(), "(VI_0) add macvlan vrrp.1 to eth0: Unknown device type: operation not supported") {
			t.Errorf("%v\n%s", r.faults, log)
		}
		k.RefuseLinks(nil)
		turnUntil(t, d, "master", calm(d))
	})
}

// TestSettingsAreHeld checks that settings that cannot be set are reported without
// keeping a router from serving, and that settings that another program changes are set
// again.
func TestSettingsAreHeld(t *testing.T) {
	k := memoryKernel()
	k.RefuseSysctls(true)
	virtually(t, k, vmacs(1), func(t *testing.T, d *daemon, log *logtest.Log) {
		turnUntil(t, d, "master", calm(d))
		if n := strings.Count(log.String(), "sysctl net.ipv4.conf.eth0.arp_ignore must be 1 for virtual MAC addresses: "); n != 1 {
			t.Errorf("reported %d times:\n%s", n, log)
		}
		k.RefuseSysctls(false)
		turnUntil(t, d, "the setting", func() bool { return value(t, k, "net/ipv4/conf/eth0/arp_ignore") == "1" && d.settings.idle() })
		for range 3 {
			if _, err := k.SetSysctl("0", "net", "ipv4", "conf", "eth0", "arp_ignore"); err != nil {
				t.Fatal(err)
			}
			turnUntil(t, d, "the setting again", func() bool { return value(t, k, "net/ipv4/conf/eth0/arp_ignore") == "1" && d.settings.idle() })
		}
		if _, err := k.SetSysctl("1", "net", "ipv4", "conf", "all", "arp_filter"); err != nil {
			t.Fatal(err)
		}
		turnUntil(t, d, "the hindrance", func() bool {
			return strings.Contains(log.String(), "sysctl net.ipv4.conf.all.arp_filter is 1: virtual addresses are not answered for")
		})
		if n := strings.Count(log.String(), "sysctl net.ipv4.conf.eth0.arp_ignore was changed by another program"); n != 2 { // the first and second time
			t.Errorf("reported %d times:\n%s", n, log)
		}
	})
}

// TestLinkOfOthers checks that a macvlan of another program with the wanted address is
// used, set up and kept, and that a link of another kind with the wanted name is not
// touched.
func TestLinkOfOthers(t *testing.T) {
	k := memoryKernel()
	theirs := kerneltest.Ethernet(10, "admin0")
	theirs.Base, theirs.Kind, theirs.Mode, theirs.HardwareAddr = memoryLink, kernel.KindMACVLAN, kernel.MACVLANPrivate, [6]byte{0, 0, 0x5e, 0, 1, 1}
	theirs.Flags &^= unix.IFF_UP
	k.SetLink(theirs)
	k.SetLink(kerneltest.Ethernet(11, "vrrp.2"))
	virtually(t, k, vmacs(2), func(t *testing.T, d *daemon, _ *logtest.Log) {
		turnUntil(t, d, "masters", calm(d))
		if !k.Has(10, d.routers[0].vips[0].key.Prefix) || linkNamed(k, "vrrp.1").Index != 0 {
			t.Errorf("the macvlan is not used: %v %v", k.Addrs(), k.Links())
		}
		if l := linkNamed(k, "vrrp1.2"); !k.Has(l.Index, d.routers[1].vips[0].key.Prefix) {
			t.Errorf("the other name is not used: %v %v", k.Addrs(), k.Links())
		}
		d.loop.Post(d.stop)
		turnUntil(t, d, "the end", func() bool { return d.stopping && d.addrs.idle() && d.settings.idle() })
		var names []string
		for _, l := range k.Links() {
			names = append(names, l.Name)
		}
		if !slices.Equal(names, []string{"eth0", "admin0", "vrrp.2"}) {
			t.Errorf("left: %v", names)
		}
	})
}

// TestLinksOfPredecessor checks that a successor uses the links of a predecessor that was
// killed, removes links that it does not need, and restores the settings that the
// predecessor found.
func TestLinksOfPredecessor(t *testing.T) {
	quiet(t)
	k, state := memoryKernel(), filepath.Join(t.TempDir(), "state")
	if _, err := k.SetSysctl("1", "net", "ipv4", "conf", "all", "rp_filter"); err != nil {
		t.Fatal(err)
	}
	before := startTestDaemonWith(t, patient(vmacs(2)), Options{Host: k, StateFile: state})
	turnUntil(t, before, "masters", calm(before))
	before.journal.close()
	index := linkNamed(k, "vrrp.1").Index

	d := startTestDaemonWith(t, patient(vmacs(1)), Options{Host: k, StateFile: state})
	turnUntil(t, d, "the successor", func() bool { return calm(d)() && linkNamed(k, "vrrp.2").Index == 0 })
	if l := linkNamed(k, "vrrp.1"); l.Index != index {
		t.Errorf("the link was made again: %d, was %d", l.Index, index)
	}
	d.loop.Post(d.stop)
	turnUntil(t, d, "the end", func() bool { return d.stopping && d.addrs.idle() && d.settings.idle() })
	if got := value(t, k, "net/ipv4/conf/all/rp_filter"); got != "1" || len(k.Links()) != 1 {
		t.Errorf("rp_filter is %s, links %v", got, k.Links())
	}
}

// TestReloadMovesToLink checks that a reload that adds use_vmac, removes it, renames the
// link or changes its address moves the addresses without a change of state.
func TestReloadMovesToLink(t *testing.T) {
	k := memoryKernel()
	plain := func(c *conf.Config) *conf.Config { c.Instances[0].Link = nil; return c }
	with := func(f func(l *conf.Link)) *conf.Config {
		c := vmacs(1)
		f(c.Instances[0].Link)
		return c
	}
	virtually(t, k, plain(vmacs(1)), func(t *testing.T, d *daemon, log *logtest.Log) {
		turnUntil(t, d, "master", calm(d))
		p := d.routers[0].vips[0].key.Prefix
		for _, tt := range []struct {
			to   *conf.Config
			link string
			n    int // of links
		}{
			{vmacs(1), "vrrp.1", 2},
			{with(func(l *conf.Link) { l.Name = "v" }), "v", 2},
			{with(func(l *conf.Link) { l.Name, l.MAC, l.MACSet = "v", [6]byte{2, 1, 2, 3, 4, 5}, true }), "v", 2},
			{with(func(l *conf.Link) { l.TransmitBase = true }), "vrrp.1", 2},
			{with(func(l *conf.Link) { l.Group = 7 }), "vrrp.1", 2},
			{plain(vmacs(1)), "eth0", 1},
		} {
			d.loop.Post(func() { d.reloadNow(tt.to) })
			turnUntil(t, d, "the address on "+tt.link, func() bool {
				return k.Has(linkNamed(k, tt.link).Index, p) && len(k.Links()) == tt.n && calm(d)()
			})
			if n := len(k.Addrs()); n != 2 {
				t.Errorf("%d addresses with %s: %v", n, tt.link, k.Addrs())
			}
		}
		if strings.Count(log.String(), "Entering") != 2 {
			t.Errorf("the state has changed:\n%s", log)
		}
	})
}

// TestExtraAnnouncements checks that a master repeats the announcements of addresses on
// interfaces without its adverts as configured by garp_extra_if, and that a backup does
// not.
func TestExtraAnnouncements(t *testing.T) {
	for _, all := range []bool{false, true} {
		k := memoryKernel()
		k.SetLink(kerneltest.Ethernet(3, "eth1"))
		c := vmacs(1)
		in := c.Instances[0]
		in.Link.AddressVMACs = true
		in.GARP.Extra = conf.ExtraGARP{Period: 10 * time.Second, All: all}
		in.Addresses = append(in.Addresses, conf.Address{Prefix: netip.MustParsePrefix("203.0.113.1/32"), Interface: "eth1"})
		plain := *in
		plain.Name, plain.VRID, plain.Link = "plain", 2, nil
		plain.Addresses = []conf.Address{{Prefix: netip.MustParsePrefix("203.0.113.2/32"), Interface: "eth1"}}
		c.Instances = append(c.Instances, &plain)
		virtually(t, k, c, func(t *testing.T, d *daemon, _ *logtest.Log) {
			turnUntil(t, d, "masters", calm(d))
			turnUntil(t, d, "announcements", func() bool { return d.routers[0].announce.rounds+d.routers[1].announce.rounds == 0 })
			before, want := k.FramesSent(), 3
			if all {
				want = 6
			}
			over := false
			time.AfterFunc(35*time.Second, func() { d.loop.Post(func() { over = true }) })
			for !over {
				d.turn()
			}
			if got := k.FramesSent() - before; got != want {
				t.Errorf("all %t: %d announcements, want %d", all, got, want)
			}
			d.hold(d.routers[0], false)
			if d.routers[0].extra.Running() {
				t.Error("a backup announces")
			}
		})
	}
}

// TestIPVLAN checks that an ipvlan has the address that adverts are sent from while it is
// configured, and that virtual addresses are on the interface below.
func TestIPVLAN(t *testing.T) {
	own := netip.MustParsePrefix("192.0.2.77/24")
	k := memoryKernel()
	c := vmacs(2)
	for i, in := range c.Instances {
		*in.Link = conf.Link{Kind: conf.LinkIPVLAN, Name: "ipv" + strconv.Itoa(i), Address: own, Mode: conf.IPVLANPrivate}
		in.SourceIP = own.Addr()
	}
	c.Instances[1].Link.Address = netip.Prefix{}
	virtually(t, k, c, func(t *testing.T, d *daemon, log *logtest.Log) {
		r := d.routers[0]
		turnUntil(t, d, "the address", func() bool { return k.Has(linkNamed(k, "ipv0").Index, own) && r.held && d.addrs.idle() })
		if l := linkNamed(k, "ipv0"); l.Kind != kernel.KindIPVLAN || l.Mode != 0 || l.IPVLANFlags != 1 || l.Base != memoryLink || l.Flags&unix.IFF_UP == 0 || l.Alias != kernel.LinkAlias {
			t.Errorf("%+v", l)
		}
		if p := r.vips[0].key.Prefix; !k.Has(memoryLink, p) {
			t.Errorf("%v is not on the interface below: %v", p, k.Addrs())
		}
		turnUntil(t, d, "the fault of the one without an address", func() bool { return d.routers[1].faults == vrrp.FaultNoSource })
		for name, want := range map[string]string{"ipv4/conf/ipv0/rp_filter": "0", "ipv6/conf/ipv0/disable_ipv6": "1", "ipv4/conf/eth0/arp_ignore": "0"} {
			if got := value(t, k, "net/"+name); got != want {
				t.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		k.RemoveAddr(linkNamed(k, "ipv0").Index, own)
		turnUntil(t, d, "the address again", func() bool { return k.Has(linkNamed(k, "ipv0").Index, own) && d.addrs.idle() })
		if strings.Count(log.String(), "(VI_0) Entering") != 2 {
			t.Errorf("states:\n%s", log)
		}
		d.loop.Post(func() { d.reloadNow(owners(2)) })
		turnUntil(t, d, "no ipvlans", func() bool { return len(k.Links()) == 1 && calm(d)() })
		if len(k.Addrs()) != 3 {
			t.Errorf("left: %v", k.Addrs())
		}
	})
}

// TestLinkFollowsBase checks that a made link follows the MTU and the VRF of its
// interface, also after changes by another program, and that a link set down by hand
// stays down.
func TestLinkFollowsBase(t *testing.T) {
	k := memoryKernel()
	blue := kerneltest.Ethernet(90, "blue")
	blue.Kind = kernel.KindVRF
	k.SetLink(blue)
	virtually(t, k, vmacs(1), func(t *testing.T, d *daemon, _ *logtest.Log) {
		turnUntil(t, d, "master", calm(d))
		change := func(name string, f func(l *kernel.Link)) {
			l := linkNamed(k, name)
			f(&l)
			k.SetLink(l)
		}
		has := func(what string, mtu, master int) {
			t.Helper()
			turnUntil(t, d, what, func() bool {
				l := linkNamed(k, "vrrp.1")
				return l.MTU == mtu && l.Master == master && calm(d)()
			})
		}
		change("eth0", func(l *kernel.Link) { l.MTU, l.Master = 1400, 90 })
		has("smaller, in a VRF", 1400, 90)
		change("eth0", func(l *kernel.Link) { l.MTU = 9000 })
		has("larger", 9000, 90)
		change("vrrp.1", func(l *kernel.Link) { l.MTU, l.Master = 1300, 0 })
		has("changed by another program", 9000, 90)
		change("vrrp.1", func(l *kernel.Link) { l.Flags &^= unix.IFF_UP })
		turnUntil(t, d, "FAULT", func() bool { return d.routers[0].faults&vrrp.FaultLinkDown != 0 })
		change("eth0", func(l *kernel.Link) { l.MTU, l.Master = 1500, 0 })
		turnUntil(t, d, "the event", func() bool { return d.net.byName["eth0"].MTU == 1500 && d.addrs.idle() })
		if l := linkNamed(k, "vrrp.1"); l.Flags&unix.IFF_UP != 0 {
			t.Errorf("set up: %+v", l)
		}
		change("vrrp.1", func(l *kernel.Link) { l.Flags |= unix.IFF_UP })
		has("up again", 1500, 0)
	})
}

// TestVRF checks that the sockets of an instance with a VRF are bound to the VRF, and
// that the instance is in FAULT without it.
func TestVRF(t *testing.T) {
	k := memoryKernel()
	c := owners(1)
	in := c.Instances[0]
	in.Addresses[0].Interface = in.Interface
	in.Interface, in.Link, in.SourceIP = "", &conf.Link{VRF: "blue"}, netip.MustParseAddr("192.0.2.1")
	in.Unicast, in.Peers = true, []conf.Peer{{Addr: netip.MustParseAddr("192.0.2.2")}}
	d := startTestDaemon(t, c, k)
	r := d.routers[0]
	turnUntil(t, d, "FAULT", func() bool { return r.whyFault().Detail == "VRF blue does not exist" })
	blue := kerneltest.Ethernet(90, "blue")
	k.SetLink(blue)
	turnUntil(t, d, "the event", func() bool { return d.net.byName["blue"] != nil })
	if r.faults&vrrp.FaultLinkMissing == 0 {
		t.Errorf("a link that is no VRF: %v", r.whyFault())
	}
	blue.Kind = kernel.KindVRF
	k.RemoveLink(90)
	k.SetLink(blue)
	turnUntil(t, d, "master", masters(d))
	for _, p := range k.Sent(0) {
		if p.Link != 90 {
			t.Errorf("sent by %+v", p)
		}
	}
	if len(k.Sent(0)) == 0 {
		t.Error("no advert")
	}
}

// TestLeftoversOutliveSuccessors checks that the links and addresses that a process
// leaves are removed even if its successors end before they have done so, and that the
// state file does not grow with the number of successors.
func TestLeftoversOutliveSuccessors(t *testing.T) {
	quiet(t)
	k, state := memoryKernel(), filepath.Join(t.TempDir(), "state")
	before := startTestDaemonWith(t, patient(vmacs(3)), Options{Host: k, StateFile: state})
	turnUntil(t, before, "masters", calm(before))
	before.journal.close()
	var sizes []int64
	for range 3 {
		_, conn := linktest.Pair(t)
		c := patient(vmacs(1))
		d, found, err := newDaemon(Options{Host: k, Firewall: &kerneltest.Firewall{}, StateFile: state, Link: conn}, c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { d.close(); conn.Close() })
		d.start(c, found) // and no turn follows
		d.journal.close()
		at, err := os.Stat(state)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, at.Size())
	}
	if sizes[2] != sizes[1] {
		t.Errorf("sizes of the state file: %v", sizes)
	}
	d := startTestDaemonWith(t, patient(vmacs(1)), Options{Host: k, StateFile: state})
	turnUntil(t, d, "the last successor", func() bool { return calm(d)() && len(k.Links()) == 2 && len(k.Addrs()) == 2 })
	turnUntil(t, d, "the state file of its own", func() bool { return len(d.left.addrs) == 0 })
	d.journal.close()
	if p, err := readJournal(state); err != nil || len(p.addrs) != 1 || len(p.links) != 1 {
		t.Errorf("%v, links %v, %v", p.addrs, p.links, err)
	}
}

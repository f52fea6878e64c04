package vrrpd

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/kernel/kerneltest"
	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/proc/link/linktest"
	"keepalived-go/internal/tool/lab"
	"keepalived-go/vrrp"
)

// newTestDaemon moves the thread of the test into a new network namespace, which ends
// with the test, and starts virtual routers there on one end of a veth pair.
func newTestDaemon(t testing.TB, c *conf.Config) *daemon {
	t.Helper()
	return newTestDaemonWith(t, c, false)
}

func newTestDaemonWith(t testing.TB, c *conf.Config, ipv6 bool) *daemon {
	t.Helper()
	return newTestDaemonIn(t, c, ipv6, func() {})
}

// newTestDaemonAfter is newTestDaemon with a call of before on the link before the start.
func newTestDaemonAfter(t testing.TB, c *conf.Config, before func()) *daemon {
	t.Helper()
	return newTestDaemonIn(t, c, false, before)
}

func newTestDaemonIn(t testing.TB, c *conf.Config, ipv6 bool, before func()) *daemon {
	t.Helper()
	lab.Need(t, lab.Root)
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	if !ipv6 { // no address appears or disappears later, as after duplicate address detection
		if _, err := kernel.SetSysctl("1", "net", "ipv6", "conf", "default", "disable_ipv6"); err != nil {
			t.Fatal(err)
		}
	}
	ip(t, "link add eth0 type veth peer name far0")
	ip(t, "link set eth0 up")
	ip(t, "link set far0 up")
	ip(t, "addr add 192.0.2.1/24 dev eth0")
	before()
	namespace, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { namespace.Close() })
	return startTestDaemon(t, c, inNamespace{kernel.Machine, int(namespace.Fd())})
}

// inNamespace is the host in the network namespace of a test, whichever thread uses it:
// state is read again by other threads, which have not entered the namespace.
type inNamespace struct {
	kernel.Host
	namespace int
}

func (h inNamespace) Netlink(family int, o nl.Options) (nl.Socket, error) {
	o.NetNS = h.namespace
	return h.Host.Netlink(family, o)
}

func (h inNamespace) Groups(family int) (groups map[kernel.Group]bool, err error) {
	h.enter(&err, func() { groups, err = h.Host.Groups(family) })
	return groups, err
}

func (h inNamespace) Raw(family, protocol, link int, o kernel.RawOptions) (c kernel.PacketConn, err error) {
	h.enter(&err, func() { c, err = h.Host.Raw(family, protocol, link, o) })
	return c, err
}

func (h inNamespace) SetSysctl(value string, name ...string) (changed bool, err error) {
	h.enter(&err, func() { changed, err = h.Host.SetSysctl(value, name...) })
	return changed, err
}

func (h inNamespace) ReadSysctl(name ...string) (value string, err error) {
	h.enter(&err, func() { value, err = h.Host.ReadSysctl(name...) })
	return value, err
}

// enter calls f on a thread in the namespace.
func (h inNamespace) enter(err *error, f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if *err = unix.Setns(h.namespace, unix.CLONE_NEWNET); *err == nil {
			f()
		}
	}()
	<-done
}

// startTestDaemon starts virtual routers on a host, and opens their sockets.
func startTestDaemon(t testing.TB, c *conf.Config, host kernel.Host) *daemon {
	t.Helper()
	return startTestDaemonWith(t, c, Options{Host: host})
}

func startTestDaemonWith(t testing.TB, c *conf.Config, o Options) *daemon {
	t.Helper()
	_, conn := linktest.Pair(t)
	if o.Host != nil && o.Firewall == nil {
		o.Firewall = &kerneltest.Firewall{}
	}
	if o.Link = conn; o.StateFile == "" {
		o.StateFile = filepath.Join(t.TempDir(), "state")
	}
	d, found, err := newDaemon(o, c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.close(); conn.Close() })
	d.start(c, found)
	d.flush() // no event may be processed before links are made
	open(t, d)
	return d
}

// reloadNow reloads at once, without turning the loop.
func (d *daemon) reloadNow(c *conf.Config) { prepare(d.conf, c, nil, d.reload) }

// reloadTurn reloads as an otherwise idle turn does.
func (d *daemon) reloadTurn(c *conf.Config) {
	d.reloadNow(c)
	d.flush()
}

// open turns the loop until the kernel has answered all requests for sockets and for
// static entries.
func open(t testing.TB, d *daemon) {
	t.Helper()
	turnUntil(t, d, "sockets", func() bool {
		return !d.setting.Running() && !slices.ContainsFunc(d.routers, func(r *router) bool { return r.asked != nil })
	})
}

func ip(t testing.TB, args string) string {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, out)
	}
	return string(out)
}

// owners returns a configuration of n virtual routers that are master at once and
// advertise every 50 ms.
func owners(n int) *conf.Config {
	c := &conf.Config{}
	for i := range n {
		c.Instances = append(c.Instances, &conf.VRRPInstance{
			Name: fmt.Sprintf("VI_%d", i), Interface: "eth0", Family: conf.IPv4, Version: 3, VRID: uint8(i + 1),
			Accept: true, Priority: vrrp.PriorityOwner, AdvertInterval: 50 * time.Millisecond, DownTimerAdverts: 3, TTL: 255,
			Group:     netip.MustParseAddr("224.0.0.18"),
			Addresses: []conf.Address{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 51, 100, byte(i + 1)}), 32)}},
			GARP:      &conf.GARP{Repeat: 1},
		})
	}
	return c
}

// TestSteadyStateAllocatesNothing checks that a master in its steady state allocates
// nothing, however many routes and rules it has, so that no garbage collection can come
// between two adverts.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	c := routed(owners(20))
	routing := c.Instances[0].Routing
	routing.Routes = slices.DeleteFunc(routing.Routes, func(r conf.Route) bool { return r.Family == conf.IPv6 })
	for i := range 2000 {
		r := routing.Routes[0]
		r.Destination = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}), 32)
		routing.Routes = append(routing.Routes, r)
	}
	d := newTestDaemon(t, c)
	settled := func() bool { // masters, with their addresses set and announced
		for _, r := range d.routers {
			if !r.held || !r.vips[0].present || r.announce.rounds > 0 || slices.ContainsFunc(r.routes, func(v *heldPath) bool { return !v.present }) {
				return false
			}
		}
		return d.addrs.idle()
	}
	for patience := lab.NewPatience(30 * time.Second); !settled() && patience.Left() > 0; {
		d.turn()
	}
	for range 40 { // until the consequences have been processed
		d.turn()
	}
	sent := func() (n uint64) {
		for _, r := range d.routers {
			n += r.engine.Stats().AdvertsSent
		}
		return n
	}
	// If the machine delays the process for longer than its peers wait, masters become
	// backup. That is no steady state, and the test tries again. Masters that have not
	// started in the same turn send in different turns.
	const turns = 21
	var allocations float64
	var adverts uint64
	for patience := lab.NewPatience(30 * time.Second); patience.Left() > 0; {
		before := sent()
		allocations = testing.AllocsPerRun(turns-1, d.turn)
		if adverts = sent() - before; adverts >= turns && (allocations == 0 || raceDetector) {
			break
		}
	}
	if allocations != 0 && !raceDetector {
		t.Errorf("a turn allocates %v times, want 0", allocations)
	}
	if adverts < turns {
		t.Errorf("%d adverts in %d turns, want one in each", adverts, turns)
	}
	if d.err != nil {
		t.Error(d.err)
	}
}

// BenchmarkTurn measures a turn of a loop with 250 masters whose adverts are due: step,
// build and send them all.
func BenchmarkTurn(b *testing.B) {
	d := newTestDaemon(b, owners(250))
	for end := d.loop.Now() + 300*time.Millisecond; d.loop.Now() < end; {
		d.turn()
	}
	b.ReportAllocs()
	for b.Loop() {
		at := d.loop.Now()
		for _, r := range d.routers {
			deadline, _ := r.engine.Deadline()
			d.step(r, max(at, deadline), vrrp.Event{Kind: vrrp.Expiry})
		}
		d.sendAdverts()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(d.routers)), "ns/advert")
}

// TestSize bounds the memory of a virtual router and of an address, of which there may be
// thousands, by what Go allocates. It adds 8 bytes to more than 512.
func TestSize(t *testing.T) {
	if size := unsafe.Sizeof(router{}); size > 576-8 {
		t.Errorf("%d bytes for a router", size)
	}
	if size := unsafe.Sizeof(vip{}); size > 224 {
		t.Errorf("%d bytes for an address", size)
	}
}

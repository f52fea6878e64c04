package test

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/lab/uml"
	"keepalived-go/internal/tool/required"
)

// linkLocal returns the source address of IPv6 adverts of the node.
func (s *scene) linkLocal(node string) netip.Addr {
	s.Helper()
	out, err := s.Node(node).Run("ip", "-o", "-6", "addr", "show", "dev", "eth0", "scope", "link")
	s.must(err)
	for _, field := range strings.Fields(out) {
		if p, err := netip.ParsePrefix(field); err == nil && p.Addr().IsLinkLocalUnicast() && p.Addr() != addr("fe80::77:2") {
			return p.Addr()
		}
	}
	s.Fatalf("%s has no link-local address: %q", node, out)
	return netip.Addr{}
}

func (s *scene) disableIPv6(node, value string) {
	s.Helper()
	_, err := s.Node(node).Run("sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6="+value)
	s.must(err)
}

// advertising waits for an advert with that priority from that address.
func (s *scene) advertising(from time.Time, node string, priority uint8, source netip.Addr, timeout time.Duration) {
	s.Helper()
	if _, ok := s.Wait(from, timeout, func(e *lab.Event) bool {
		return e.Kind == lab.Advert && e.Node.Name == node && e.Priority == priority && e.Addr == source
	}); !ok {
		s.Fatalf("no advert of priority %d from %s (%v) on the wire", priority, node, source)
	}
}

// family is a virtual router of IPv4 or IPv6, with multicast or unicast, and the address
// that node a sends from.
type family struct {
	name   string
	in     instance
	vip    netip.Addr
	peers  [2]string // lines of node a and of node b
	source func(s *scene) netip.Addr
	own    string // an address of node a, and of node b, in addition to those of the lab; X stands for the node
}

// setUp adds the nodes' own addresses, including those that were lost.
func (f *family) setUp(s *scene) {
	if f.own != "" {
		for _, n := range s.Nodes { // the command fails if the address exists
			n.IP("addr add " + strings.ReplaceAll(f.own, "X", n.Name) + " dev eth0 nodad")
		}
	}
}

var families = []family{
	{"IPv4", instance{VIPs: []string{"10.99.0.1/32"}}, addr("10.99.0.1"), [2]string{},
		func(s *scene) netip.Addr { return s.Node("a").Addr(0) }, ""},
	{"IPv4 with AH", instance{Version: 2, VIPs: []string{"10.99.0.1/32"}}, addr("10.99.0.1"),
		[2]string{"authentication {\n    auth_type AH\n    auth_pass secret\n}", "authentication {\n    auth_type AH\n    auth_pass secret\n}"},
		func(s *scene) netip.Addr { return s.Node("a").Addr(0) }, ""},
	{"IPv4 unicast", instance{VIPs: []string{"10.99.0.1/32"}}, addr("10.99.0.1"),
		[2]string{"unicast_peer {\n    10.0.0.2\n}", "unicast_peer {\n    10.0.0.1\n}"},
		func(s *scene) netip.Addr { return s.Node("a").Addr(0) }, ""},
	{"IPv4 unicast, address of the subnet", instance{VIPs: []string{"10.0.99.1/16"}}, addr("10.0.99.1"),
		[2]string{"unicast_peer {\n    10.0.0.2\n}", "unicast_peer {\n    10.0.0.1\n}"},
		func(s *scene) netip.Addr { return s.Node("a").Addr(0) }, ""},
	{"IPv6", instance{VIPs: []string{"fe80::77:2/64", "fd00:99::1/128"}}, addr("fd00:99::1"), [2]string{},
		func(s *scene) netip.Addr { return s.linkLocal("a") }, ""},
	{"IPv6 unicast", instance{VIPs: []string{"fd00:99::1/128"}}, addr("fd00:99::1"),
		[2]string{"unicast_src_ip fd00::1\nunicast_peer {\n    fd00::2\n}", "unicast_src_ip fd00::2\nunicast_peer {\n    fd00::1\n}"},
		func(s *scene) netip.Addr { return s.Node("a").Addr6(0) }, ""},
	{"IPv6 unicast by link-local addresses", instance{VIPs: []string{"fe80::77:2/64", "fd00:99::1/128"}}, addr("fd00:99::1"),
		[2]string{"unicast_src_ip fe80::a\nunicast_peer {\n    fe80::b\n}", "unicast_src_ip fe80::b\nunicast_peer {\n    fe80::a\n}"},
		func(s *scene) netip.Addr { return addr("fe80::a") }, "fe80::X/64"},
}

// pairOf starts both nodes; a is master.
func (f *family) pairOf(s *scene) (a, b *lab.Daemon) {
	s.Helper()
	f.setUp(s)
	high, low := f.in.at(150), f.in.at(100)
	high.More, low.More = f.peers[0], f.peers[1]
	a = s.start("a", ours, config(high))
	b = s.start("b", ours, config(low))
	s.awaitOwner(f.vip, 6*time.Second+masterDown(high), "a")
	s.awaitLog(b, b.Started, "Entering BACKUP STATE", 6*time.Second)
	return a, b
}

// TestPriorityZeroOnLoss checks that a master that loses its source sends priority 0 just before
// or even after the loss, that its log has the line only if the packet was sent, and that
// it is the only master again when the source is restored.
func TestPriorityZeroOnLoss(t *testing.T) {
	t.Parallel()
	differs(t, "of version 2.2.7 goes on without a source address")
	gone := func(s *scene, source netip.Addr) (undo func()) {
		bits := 16
		if source.Is6() {
			bits = 64
		}
		rest := fmt.Sprintf("%v/%d dev eth0", source, bits)
		s.must(s.Node("a").IP("addr del " + rest))
		if source.Is6() {
			rest += " nodad"
		}
		return func() { s.must(s.Node("a").IP("addr add " + rest)) }
	}
	losses := []struct {
		name string
		ipv6 bool // for IPv6 only
		lose func(s *scene, source netip.Addr) (undo func())
	}{
		{"source address", false, gone},
		{"all addresses", false, func(s *scene, source netip.Addr) func() {
			add := fmt.Sprintf("addr add %v/16 dev eth0", source)
			if source.Is6() {
				add = fmt.Sprintf("addr add %v/64 dev eth0 nodad", source)
			}
			s.must(s.Node("a").IP("addr flush dev eth0"))
			return func() { s.must(s.Node("a").IP(add)) }
		}},
		{"interface renamed", false, func(s *scene, _ netip.Addr) func() {
			if err := s.Node("a").IP("link set eth0 name lan0"); err != nil {
				required.Missing(s.T, "a kernel that renames what is up: ", err)
			}
			return func() { s.must(s.Node("a").IP("link set lan0 name eth0")) }
		}},
		{"MTU", true, func(s *scene, source netip.Addr) func() {
			s.must(s.Node("a").IP("link set eth0 mtu 1200"))
			return func() {
				s.must(s.Node("a").IP("link set eth0 mtu 1500"))
				s.Node("a").IP(fmt.Sprintf("addr add %v/64 dev eth0 nodad", s.Node("a").Addr6(0)))
			}
		}},
		{"disable_ipv6", true, func(s *scene, source netip.Addr) func() {
			s.disableIPv6("a", "1")
			return func() {
				s.disableIPv6("a", "0")
				s.Node("a").IP(fmt.Sprintf("addr add %v/64 dev eth0 nodad", s.Node("a").Addr6(0)))
			}
		}},
	}
	for _, f := range families {
		for _, l := range losses {
			if l.ipv6 && !strings.HasPrefix(f.name, "IPv6") {
				continue
			}
			t.Run(f.name+", "+l.name, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, "a", "b")
				a, b := f.pairOf(s)
				source := f.source(s)
				from := time.Now()
				undo := l.lose(s, source)
				s.advertising(from, "a", 0, source, 5*time.Second)
				s.awaitLog(a, from, "sent 0 priority", 5*time.Second)
				s.awaitLog(b, from, "Backup received priority 0 advertisement", 5*time.Second)
				s.awaitOwner(f.vip, 6*time.Second, "b")
				undo()
				f.setUp(s)
				s.awaitOwner(f.vip, 10*time.Second, "a")
				s.stays(f.vip, "a", 3*f.in.interval()+masterDown(f.in.at(100)))
			})
		}
	}
}

// TestPriorityZeroUnsent checks that no priority 0 is sent by an interface that is down or
// removed, and that the log does not claim it.
func TestPriorityZeroUnsent(t *testing.T) {
	t.Parallel()
	differs(t, "logs that it was sent")
	for name, how := range map[string]func(s *scene) error{
		"down":       func(s *scene) error { return s.Node("a").IP("link set eth0 down") },
		"no carrier": func(s *scene) error { return s.Node("a").Unplug(0) },
		"deleted":    func(s *scene) error { return s.Node("a").IP("link del eth0") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a")
			a := s.start("a", ours, config(instance{}.at(150)))
			s.awaitOwner(vip, 5*time.Second, "a")
			from := time.Now()
			s.must(how(s))
			s.awaitLog(a, from, "(VI_1) priority 0 could not be sent: ", 5*time.Second)
			if a.Logged(from, "sent 0 priority") {
				t.Error("the log claims that priority 0 was sent")
			}
		})
	}
}

// TestPriorityZeroBehindRouter checks that a peer that is not on the link gets no priority 0
// once the last source address for the router in between has gone, and that the log does
// not claim it.
func TestPriorityZeroBehindRouter(t *testing.T) {
	t.Parallel()
	differs(t, "logs that it was sent")
	for name, c := range map[string]struct{ way, more, vip, source string }{
		"IPv4": {"route add 192.0.2.0/24 via 10.0.0.9", "unicast_peer {\n    192.0.2.2\n}", "10.99.0.1/32 dev eth1", "10.0.0.1/16"},
		"IPv6": {"route add 2001:db8::/64 via fd00::9", "unicast_src_ip fd00::1\nunicast_peer {\n    2001:db8::2\n}", "fd00:99::1/128 dev eth1", "fd00::1/64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWideScene(t, 2, "a")
			s.must(s.Node("a").IP(c.way))
			s.must(s.Node("a").IP(fmt.Sprintf("addr del %v/64 dev eth0", s.linkLocal("a"))))
			a := s.start("a", ours, config(instance{VIPs: []string{c.vip}, More: c.more}.at(150)))
			s.awaitLog(a, a.Started, "Entering MASTER STATE", 8*time.Second)
			from := time.Now()
			s.must(s.Node("a").IP("addr del " + c.source + " dev eth0"))
			s.awaitLog(a, from, "(VI_1) priority 0 could not be sent: ", 5*time.Second)
			if a.Logged(from, "sent 0 priority") {
				t.Error("the log claims that priority 0 was sent")
			}
		})
	}
}

// disturbance is a disturbance of the interface of a backup.
type disturbance struct {
	name string
	do   func(s *scene)
}

// onB runs lines of ip(8) on node b.
func onB(lines ...string) func(s *scene) {
	return func(s *scene) { s.must(s.Node("b").IPBatch(strings.Join(lines, "\n") + "\n")) }
}

// disturbances lists those for any kernel.
var disturbances = []disturbance{
	{"MTU too small for IPv6 and back", onB("link set eth0 mtu 1200", "link set eth0 mtu 1500")},
	{"MTU thrice", onB("link set eth0 mtu 1200", "link set eth0 mtu 1500", "link set eth0 mtu 1200", "link set eth0 mtu 1500",
		"link set eth0 mtu 1000", "link set eth0 mtu 1500")},
	{"MTU with a pause", func(s *scene) {
		s.must(s.Node("b").IP("link set eth0 mtu 1200"))
		s.Until(500*time.Millisecond, func() bool { return false }) // the daemon settles with the change
		s.must(s.Node("b").IP("link set eth0 mtu 1500"))
	}},
	{"disable_ipv6", func(s *scene) { s.disableIPv6("b", "1"); s.disableIPv6("b", "0") }},
	{"down and up", onB("link set eth0 down", "link set eth0 up")},
	{"in a bridge and out", onB("link add br9 type bridge", "link set eth0 master br9", "link set eth0 nomaster", "link del br9")},
	{"renamed and back", onB("link set eth0 down", "link set eth0 name lan0", "link set lan0 up", "link set lan0 down", "link set lan0 name eth0", "link set eth0 up")},
	{"made again", func(s *scene) { s.must(s.Node("b").IP("link del eth0")); s.must(s.Node("b").Replug(0)) }},
	{"another source address", func(s *scene) {
		onB("addr add 10.0.77.2/16 dev eth0", fmt.Sprintf("addr del %v/16 dev eth0", s.Node("b").Addr(0)),
			fmt.Sprintf("addr add %v/16 dev eth0", s.Node("b").Addr(0)))(s)
	}},
	{"all groups of IPv4 lost", onB("link set eth0 down", "link set eth0 multicast off", "link set eth0 multicast on", "link set eth0 up")},
}

// enslavements lists those that need other modules of the kernel.
var enslavements = []disturbance{
	{"in a VRF and out", onB("link add vrf9 type vrf table 9", "link set vrf9 up", "link set eth0 master vrf9", "link set eth0 nomaster", "link del vrf9")},
	{"in a bond and out", onB("link add bond9 type bond", "link set eth0 down", "link set eth0 master bond9", "link set eth0 nomaster", "link del bond9", "link set eth0 up")},
}

// TestReceivesAgain checks that after any disturbance of its interface a backup receives the
// master again in the end, as it would after a restart.
func TestReceivesAgain(t *testing.T) {
	t.Parallel()
	testReceivesAgain(t, families, disturbances)
}

// testEnslaved is the part of TestReceivesAgain that needs other modules, for sockets
// with and without a group.
func testEnslaved(t *testing.T) {
	testReceivesAgain(t, slices.DeleteFunc(slices.Clone(families), func(f family) bool {
		return !slices.Contains([]string{"IPv4", "IPv6", "IPv6 unicast"}, f.name)
	}), enslavements)
}

func testReceivesAgain(t *testing.T, families []family, disturbances []disturbance) {
	for _, f := range families {
		for _, d := range disturbances {
			t.Run(f.name+", "+d.name, func(t *testing.T) {
				t.Parallel()
				s := newScene(t, "a", "b")
				f := f
				least := 300 * time.Millisecond
				if uml.Inside() { // the host may be busy with other programs for long
					least = 3 * time.Second
				}
				f.in.Interval = max(f.in.interval(), least)
				_, b := f.pairOf(s)
				from := time.Now()
				d.do(s)
				// Restore the addresses that were removed with IPv6 or the interface.
				s.Node("b").IP(fmt.Sprintf("addr add %v/64 dev eth0 nodad", s.Node("b").Addr6(0)))
				s.Node("b").IP(fmt.Sprintf("addr add %v/16 dev eth0", s.Node("b").Addr(0)))
				f.setUp(s)
				// The daemon is in BACKUP, and the dump shows that it receives the
				// master.
				s.dataWhen(b, "keepalived.data", "State = BACKUP", "Master priority = 150")
				s.stays(f.vip, "a", masterDown(f.in.at(100))+f.in.interval())
				if d.name != "made again" && // a unicast peer has to learn its new hardware address
					!uml.Inside() { // where a backup may miss the master's adverts for lack of a processor
					s.silent(from, time.Now(), "b")
				}
			})
		}
	}
}

// vipsOf returns n addresses on eth1.
func vipsOf(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("10.78.7.%d/32 dev eth1", i+1))
	}
	return lines
}

func vips6Of(n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("fe80::77:%d/128 dev eth1", i+1))
	}
	return lines
}

// TestAdvertFitsMTU checks that addresses that do not fit into an advert are served as
// excluded addresses are, and that there is one master after any change of the MTU.
func TestAdvertFitsMTU(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   instance
		more string
		at   map[int]int // addresses in an advert by MTU
	}{
		{"version 2", instance{Version: 2}, "", map[int]int{400: 87, 300: 62, 1500: 120}},
		{"version 3", instance{Interval: 500 * time.Millisecond}, "", map[int]int{400: 89, 300: 64, 1500: 120}},
		{"AH", instance{Version: 2}, "authentication {\n    auth_type AH\n    auth_pass secret\n}", map[int]int{400: 81, 300: 56, 1500: 120}},
		{"HMAC", instance{Interval: 500 * time.Millisecond},
			"auth_hmac {\n    key 1 0123456789012345678901234567890123456789\n    active_key 1\n}", map[int]int{400: 82, 300: 57, 1500: 120}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.name == "HMAC" {
				differs(t, "of version 2.2.7 has no trailer")
			}
			s := newWideScene(t, 2, "a", "b")
			mtu := func(n int, nodes ...string) time.Time {
				for _, node := range nodes {
					s.must(s.Node(node).IP(fmt.Sprint("link set eth0 mtu ", n)))
				}
				return time.Now()
			}
			mtu(400, "a", "b")
			in := c.in
			in.VIPs, in.More = vipsOf(120), c.more
			a := s.start("a", ours, config(in.at(150)))
			last := addr("10.78.7.120")
			s.awaitOwner(last, 10*time.Second, "a") // the excess is served too
			b := s.start("b", ours, config(in.at(100)))
			carries := func(from time.Time, n int) {
				t.Helper()
				if _, ok := s.Wait(from, 8*time.Second, func(e *lab.Event) bool {
					return e.Kind == lab.Advert && e.Node.Name == "a" && e.Count == n
				}); !ok {
					t.Errorf("no advert of %d addresses", n)
				}
			}
			carries(a.Started, c.at[400])
			s.awaitLog(a, a.Started, fmt.Sprintf("(VI_1) Number of VIPs (120) exceeds maximum/space available in packet (max %d addresses) - excess moved to eVIPs", c.at[400]), time.Second)
			s.awaitLog(b, b.Started, "Entering BACKUP STATE", 5*time.Second)
			s.stays(last, "a", masterDown(in.at(100)))
			if underC {
				return // the C daemon reads the MTU once
			}
			carries(mtu(300, "a", "b"), c.at[300]) // while master, and while backup
			s.stays(last, "a", masterDown(in.at(100)))

			// A reload uses the current MTU.
			in.VIPs = vipsOf(110)
			for _, d := range []*lab.Daemon{a, b} {
				s.must(d.Reload(config(in.at(100 + 50*btoi(d == a)))))
			}
			s.awaitOwner(addr("10.78.7.120"), 5*time.Second)
			carries(time.Now(), c.at[300])
			carries(mtu(1500, "a", "b"), 110)
			s.stays(addr("10.78.7.110"), "a", masterDown(in.at(100)))
			s.silent(b.Started, time.Now(), "b")
			for _, d := range []*lab.Daemon{a, b} {
				// One advert may be sent between the kernel's change of the MTU and its
				// event.
				if n := count(d, d.Started, "message too long"); n > 1 {
					t.Errorf("%d adverts were too long", n)
				}
				if n := count(d, d.Started, "Entering MASTER STATE"); n > 1 {
					t.Errorf("MASTER %d times", n)
				}
			}
			if c.name != "HMAC" { // tshark takes the trailer for a part of the checksum
				s.noneMalformed()
			}
		})
	}
}

// TestAdvertFitsMTUAsC checks that both daemons put the same number of addresses into
// their adverts, so that neither logs a warning about the other.
func TestAdvertFitsMTUAsC(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Peer)
	for _, c := range []struct {
		name string
		mtu  int
		in   instance
	}{
		{"version 2", 400, instance{Version: 2}},
		{"version 3", 333, instance{Interval: 500 * time.Millisecond}},
		{"AH", 402, instance{Version: 2, More: "authentication {\n    auth_type AH\n    auth_pass secret\n}"}},
		{"IPv6", 1300, instance{Interval: 500 * time.Millisecond, VIPs: vips6Of(120)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newWideScene(t, 2, "a", "b")
			for _, n := range s.Nodes {
				s.must(n.IP(fmt.Sprint("link set eth0 mtu ", c.mtu)))
			}
			in := c.in
			last := addr("fe80::77:120")
			if in.VIPs == nil {
				in.VIPs, last = vipsOf(120), addr("10.78.7.120")
			}
			s.start("a", ours, config(in.at(150)))
			s.awaitOwner(last, 10*time.Second, "a")
			b := s.start("b", lab.C(), config(in.at(100)))
			s.awaitLog(b, b.Started, "Entering BACKUP STATE", 5*time.Second)
			// This release drops adverts with another number.
			s.stays(last, "a", masterDown(in.at(100))+time.Second)
		})
	}
}

// mcasts counts the IPv4 multicast packets that the node has sent.
func (s *scene) mcasts(node string) int {
	s.Helper()
	out, err := s.Node(node).Run("cat", "/proc/thread-self/net/netstat")
	s.must(err)
	var names []string
	for line := range strings.Lines(out) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "IpExt:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "OutMcastPkts" {
				n, err := strconv.Atoi(fields[i])
				s.must(err)
				return n
			}
		}
	}
	s.Fatal("no OutMcastPkts")
	return 0
}

// TestUnrelatedInterfaces checks that an instance with addresses on one or several
// interfaces misses no packet when interfaces change that it does not use.
func TestUnrelatedInterfaces(t *testing.T) {
	t.Parallel()
	s := newWideScene(t, 2, "a", "b")
	in := instance{VIPs: []string{"10.78.0.101/32 dev eth1", vip.String() + "/16"}, Interval: 300 * time.Millisecond}
	s.start("a", ours, config(in.at(150)))
	s.awaitOwner(vip, 5*time.Second, "a")
	b := s.start("b", ours, config(in.at(100)))
	s.awaitLog(b, b.Started, "Entering BACKUP STATE", 5*time.Second)
	// The kernel repeats the membership report of a joined group within about a second
	// (RFC 3376, 8.11).
	before := -1
	if !s.Until(20*time.Second, func() bool {
		was := before
		before = s.mcasts("b")
		return was == before && !s.Until(2*time.Second, func() bool { return s.mcasts("b") != before })
	}) {
		t.Fatal("the backup never falls silent")
	}
	const n = 10
	from := time.Now()
	for i := range n {
		s.must(s.Node("b").IPBatch(fmt.Sprintf("link add v%d type veth peer name w%[1]d\nlink set v%[1]d mtu 1200\nlink set v%[1]d name x%[1]d\nlink del x%[1]d\n", i)))
	}
	if !underC && !s.Until(10*time.Second, func() bool { return count(b, from, "Interface x") >= n }) {
		t.Fatal("the daemon has not noticed the interfaces")
	}
	s.stays(vip, "a", masterDown(in.at(100)))
	if after := s.mcasts("b"); after != before {
		t.Errorf("%d multicast packets", after-before)
	}
	s.silent(b.Started, time.Now(), "b")
}

// TestSourceReplaced checks that a master whose source address is replaced by another
// continues with that address, without priority 0.
func TestSourceReplaced(t *testing.T) {
	t.Parallel()
	differs(t, "of version 2.2.7 keeps the source that it started with")
	for name, c := range map[string]struct {
		before, at string // ip(8) commands
		then       netip.Addr
	}{
		"another subnet": {"addr add 10.77.0.1/24 dev eth0", "addr del 10.0.0.1/16 dev eth0", addr("10.77.0.1")},
		"promoted":       {"addr add 10.0.0.77/16 dev eth0", "addr del 10.0.0.1/16 dev eth0", addr("10.0.0.77")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a", "b")
			_, err := s.Node("a").Run("sysctl", "-qw", "net.ipv4.conf.eth0.promote_secondaries=1")
			s.must(err)
			s.must(s.Node("a").IPBatch(c.before + "\n"))
			in := instance{VIPs: []string{"10.99.0.1/32"}, Interval: 300 * time.Millisecond}
			a := s.start("a", ours, config(in.at(150)))
			s.awaitOwner(addr("10.99.0.1"), 5*time.Second, "a")
			s.start("b", ours, config(in.at(100)))
			s.advertising(time.Now(), "a", 150, s.Node("a").Addr(0), 3*time.Second)
			from := time.Now()
			s.must(s.Node("a").IPBatch(c.at + "\n"))
			s.advertising(from, "a", 150, c.then, 5*time.Second)
			s.stays(addr("10.99.0.1"), "a", masterDown(in.at(100)))
			s.onlyPriorities(from, "a", 150)
			if a.Logged(from, "STATE") {
				t.Error("a change of state")
			}
		})
	}
}

// TestWithoutProc checks that the protocol and scripts work without /proc, also after the
// death of the VRRP process.
func TestWithoutProc(t *testing.T) {
	t.Parallel()
	differs(t, "needs /proc")
	s := newScene(t, "a")
	s.must(s.Node("a").Do(func() error { return unix.Mount("none", "/proc", "tmpfs", 0, "") }))
	good := s.path("a", "good")
	s.write("a", "good", "")
	a := s.start("a", ours, vrrpScript("chk", s.script("a", "chk", "[ -e "+good+" ]"), "")+config(instance{}.at(150).tracks("script", "chk")))
	s.awaitOwner(vip, 8*time.Second, "a")
	old := a.VRRPPid()
	s.must(unix.Kill(old, unix.SIGKILL))
	s.awaitSuccessor(a, old)
	s.awaitOwner(vip, 8*time.Second, "a")
	s.must(unix.Unlink(good))
	s.awaitOwner(vip, 8*time.Second)
	s.write("a", "good", "")
	s.awaitOwner(vip, 8*time.Second, "a")
	s.must(a.Stop())
	s.awaitOwner(vip, 3*time.Second)
}

// TestFewDescriptors checks that with hardly any descriptors the protocol works, and that
// the failure of everything else is logged.
func TestFewDescriptors(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	few := s.script("a", "few", fmt.Sprintf("ulimit -n 20\nexec %s \"$@\"\n", ours.Path))
	in := instance{}
	a := s.start("a", lab.Program{Name: "ours", Path: few}, config(in.at(150)))
	s.awaitOwner(vip, 8*time.Second, "a")
	s.start("b", ours, config(in.at(100)))
	s.stays(vip, "a", 2*masterDown(in.at(100)))
	s.must(a.Stop())
	s.awaitOwner(vip, 5*time.Second, "b")
}

// TestPartOfBridge checks that a port of a bridge, which receives nothing, is reported
// when it becomes one and at the start.
func TestPartOfBridge(t *testing.T) {
	t.Parallel()
	differs(t, "logs nothing")
	s := newScene(t, "a")
	const text = "(VI_1) interface eth0 is part of bridge br9, which receives its packets"
	a := s.start("a", ours, config(instance{}.at(150)))
	s.awaitOwner(vip, 5*time.Second, "a")
	s.must(s.Node("a").IPBatch("link add br9 type bridge\nlink set eth0 master br9\n"))
	s.awaitLog(a, a.Started, text, 5*time.Second)
	s.must(a.Stop())
	a = s.start("a", ours, config(instance{}.at(150)))
	s.awaitLog(a, a.Started, text, 5*time.Second)
	if n := count(a, a.Started, text); n != 1 {
		t.Errorf("logged %d times", n)
	}
}

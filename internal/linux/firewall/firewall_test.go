package firewall

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/tool/lab"
)

// network returns a lab of two nodes, a and b, on two segments, and a firewall for a.
func network(t *testing.T, also ...lab.Requirement) (*lab.Lab, *lab.Node, *Firewall) {
	t.Helper()
	lab.Need(t, append(also, lab.Root, lab.Nft)...)
	l, err := lab.New(2, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	f := New()
	t.Cleanup(func() { f.Close() })
	return l, l.Node("a"), f
}

// try carries out changes in the node.
func try(t *testing.T, n *lab.Node, f *Firewall, changes ...kernel.Change) (found []kernel.Found, err error) {
	t.Helper()
	var errs []error
	if err := n.Do(func() error { errs, found = f.Carry(changes); return nil }); err != nil {
		t.Fatal(err)
	}
	return found, errors.Join(errs...)
}

// carry is try, and fails if a change is refused.
func carry(t *testing.T, n *lab.Node, f *Firewall, changes ...kernel.Change) []kernel.Found {
	t.Helper()
	found, err := try(t, n, f, changes...)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func add(o kernel.Object) kernel.Change     { return kernel.Change{Op: kernel.Add, Object: o} }
func replace(o kernel.Object) kernel.Change { return kernel.Change{Op: kernel.Replace, Object: o} }
func remove(o kernel.Object) kernel.Change  { return kernel.Change{Op: kernel.Remove, Object: o} }

// table returns a table of a family, with the name keepalived unless s has another one.
func table(ipv6 bool, s Settings) *Table {
	if s.Name == "" {
		s.Name, s.Priority = "keepalived", -1
	}
	return &Table{ipv6, s}
}

// drop returns the drop of an address. It is on link 2, eth0, if the address is
// link-local.
func drop(addr string) *Entry {
	a := netip.MustParseAddr(addr)
	e := &Entry{IPv6: a.Is6(), Addr: a}
	if a.Is6() && a.IsLinkLocalUnicast() {
		e.Link, e.Name = 2, "eth0"
	}
	return e
}

func ruleset(t *testing.T, n *lab.Node) string { return must(t, n, "nft", "list", "ruleset") }

func must(t *testing.T, n *lab.Node, name string, args ...string) string {
	t.Helper()
	text, err := n.Run(name, args...)
	if err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, text)
	}
	return text
}

// TestTables checks that the tables are those of the C daemon, including the rules for
// macvlans.
func TestTables(t *testing.T) {
	_, a, f := network(t)
	const theirs = "table ip theirs {\n\tchain in {\n\t}\n}\n"
	must(t, a, "nft", theirs)
	carry(t, a, f, add(table(false, Settings{})), add(table(true, Settings{})), add(drop("10.0.0.1")), add(drop("10.0.0.2")),
		add(drop("2001:db8::1")), add(drop("fe80::9")))
	const want = theirs + `table ip keepalived {
	set vips {
		type ipv4_addr
		elements = { 10.0.0.1, 10.0.0.2 }
	}

	chain out {
		type filter hook output priority filter - 1; policy accept;
		ip saddr @vips drop
	}

	chain in {
		type filter hook input priority filter - 1; policy accept;
		ip daddr @vips drop
	}
}
table ip6 keepalived {
	set vips {
		type ipv6_addr
		elements = { 2001:db8::1 }
	}

	set vips_link_local {
		type ipv6_addr . iface_index
		elements = { fe80::9 . "eth0" }
	}

	set neighbor-discovery {
		type icmpv6_type
		flags constant
		elements = { nd-neighbor-solicit,
			     nd-neighbor-advert }
	}

	chain out {
		type filter hook output priority filter - 1; policy accept;
		icmpv6 type @neighbor-discovery accept
		ip6 saddr fe80::/10 goto out_link_local
		ip6 saddr @vips drop
	}

	chain in {
		type filter hook input priority filter - 1; policy accept;
		icmpv6 type @neighbor-discovery accept
		ip6 daddr fe80::/10 goto in_link_local
		ip6 daddr @vips drop
	}

	chain in_link_local {
		ip6 daddr . iif @vips_link_local drop
	}

	chain out_link_local {
		ip6 saddr . oif @vips_link_local drop
	}
}
`
	if diff := cmp.Diff(want, ruleset(t, a)); diff != "" {
		t.Fatalf("rules (-want +got):\n%s", diff)
	}
	// A successor does not know the existing tables, and replaces a table of that name.
	successor := New()
	defer successor.Close()
	successor.Inherit(*table(false, Settings{}))
	carry(t, a, successor, add(table(false, Settings{})), add(drop("10.0.0.3")))
	if got := ruleset(t, a); !strings.Contains(got, "elements = { 10.0.0.3 }") || strings.Contains(got, "10.0.0.1") {
		t.Errorf("rules of a successor:\n%s", got)
	}
	// Other settings replace the table, which keeps its entries.
	other := table(false, Settings{Name: "other", Priority: 7, Counters: true})
	carry(t, a, successor, replace(other))
	got := ruleset(t, a)
	for _, text := range []string{"table ip other", "priority filter + 7", "elements = { 10.0.0.3 }", "ip daddr @vips counter packets 0 bytes 0 drop"} {
		if !strings.Contains(got, text) {
			t.Errorf("no %q in\n%s", text, got)
		}
	}
	if strings.Contains(got, "table ip keepalived") {
		t.Errorf("the former table is left:\n%s", got)
	}
	carry(t, a, successor, remove(drop("10.0.0.3")), remove(other))
	carry(t, a, f, remove(table(true, Settings{})))
	if got := ruleset(t, a); got != theirs {
		t.Errorf("left behind:\n%s", got)
	}
}

// TestLeftTableIsRemoved checks that a table of a predecessor that is not wanted is
// removed, also under another name.
func TestLeftTableIsRemoved(t *testing.T) {
	_, a, f := network(t)
	carry(t, a, f, add(table(false, Settings{Name: "old"})), add(drop("10.0.0.1")))
	successor := New()
	defer successor.Close()
	successor.Inherit(*table(false, Settings{Name: "old"}))
	carry(t, a, successor, replace(table(false, Settings{})), add(drop("10.0.0.1")))
	if got := ruleset(t, a); strings.Contains(got, "table ip old") || !strings.Contains(got, "table ip keepalived") {
		t.Errorf("rules:\n%s", got)
	}
	last := New()
	defer last.Close()
	last.Inherit(*table(false, Settings{}))
	carry(t, a, last, remove(table(false, Settings{})))
	if got := ruleset(t, a); got != "" {
		t.Errorf("left behind:\n%s", got)
	}
}

// ways lists the ways to drop packets.
var ways = []struct {
	name     string
	settings Settings
	damage   []string // the changes of another program to the rules
}{
	{"nftables", Settings{}, []string{
		"nft delete table ip keepalived", "nft flush chain ip6 keepalived in", "nft flush set ip keepalived vips", "nft add element ip6 keepalived vips { 2001:db8::77 }",
		"nft add rule ip keepalived in drop", "nft add chain ip keepalived in { policy drop ; }", "nft flush ruleset",
	}},
	{"nftables for macvlans, with counters", Settings{Counters: true, VMACs: true}, nil},
	{"iptables and ipset", Settings{IPTables: IPTables{In: "INPUT", Out: "OUTPUT", Sets4: "keepalived", Sets6: "keepalived6", SetsOnLink6: "keepalived_if6", SetIGMP: "keepalived_igmp", SetMLD: "keepalived_mld", SetND: "keepalived_nd"}}, []string{
		"iptables -F INPUT", "ip6tables -F keepalived_in", "ipset flush keepalived", "ipset add keepalived6 2001:db8::77", "iptables -I keepalived_in -j DROP",
	}},
	{"iptables", Settings{IPTables: IPTables{In: "INPUT", Out: "OUTPUT"}}, []string{"ip6tables -D INPUT -j keepalived_in", "iptables -F keepalived_in"}},
}

// TestPackets checks that packets to and from addresses are dropped, for a link-local
// address on its link only, that neighbour discovery is not, and that rules changed by
// other programs are restored.
func TestPackets(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			l, a, f := network(t, lab.IPTables)
			b := l.Node("b")
			for _, line := range []string{"addr add 10.55.0.9/32 dev eth0", "addr add 2001:db8:55::9/128 dev eth0 nodad", "addr add fe80::55:9/128 dev eth0 nodad",
				"addr add fe80::55:9/128 dev eth1 nodad"} {
				if err := a.IP(line); err != nil {
					t.Fatal(err)
				}
			}
			for _, line := range []string{"route add 10.55.0.9/32 dev eth0", "-6 route add 2001:db8:55::9/128 dev eth0"} {
				must(t, b, "ip", strings.Fields(line)...)
			}
			four, six := table(false, way.settings), table(true, way.settings)
			drops := []*Entry{drop("10.55.0.9"), drop("2001:db8:55::9"), drop("fe80::55:9")}
			carry(t, a, f, add(four), add(six), add(drops[0]), add(drops[1]), add(drops[2]))

			dropped := []string{"10.55.0.9", "2001:db8:55::9", "fe80::55:9%eth0"}
			passed := []string{a.Addr(0).String(), a.Addr6(0).String(), "fe80::55:9%eth1"}
			expectPackets(t, l, passed, dropped)
			// Outgoing packets are dropped too.
			for _, from := range dropped {
				if err := sendFrom(a, from, b); !errors.Is(err, unix.EPERM) {
					t.Errorf("a packet from %s: %v", from, err)
				}
			}
			// Neighbour discovery is answered.
			for _, to := range []string{"2001:db8:55::9", "fe80::55:9"} {
				if text := must(t, b, "ip", "neigh", "show", to, "dev", "eth0"); !strings.Contains(text, "lladdr") {
					t.Errorf("b does not know the neighbour %s: %q", to, text)
				}
			}

			for _, damage := range way.damage {
				words := strings.Fields(damage)
				if words[0] == "nft" {
					words = []string{"nft", strings.Join(words[1:], " ")}
				}
				verify := func() []kernel.Found {
					for _, b := range f.backends { // which otherwise checks rarely
						if p, ok := b.(*programs); ok {
							p.lookedAt = [2]time.Time{}
						}
					}
					return carry(t, a, f, add(four), add(six))
				}
				if found := verify(); !slices.Equal(found, []kernel.Found{kernel.FoundThere, kernel.FoundThere}) {
					t.Fatalf("before %q: found %v", damage, found)
				}
				must(t, a, words[0], words[1:]...)
				if found := verify(); len(found) > 0 && !slices.Contains(found, kernel.NotFound) {
					t.Errorf("%q is not noticed: found %v", damage, found)
				}
				expectPackets(t, l, passed, dropped)
			}
			// A change finds the damage, too, and is carried out.
			if len(way.damage) > 0 && way.settings.In == "" {
				must(t, a, "nft", "delete", "table", "ip", "keepalived")
			}
			carry(t, a, f, remove(drops[0]), remove(drops[2]))
			expectPackets(t, l, append(passed, dropped[0], dropped[2]), dropped[1:2])
			carry(t, a, f, remove(drops[1]), remove(four), remove(six))
			expectPackets(t, l, append(passed, dropped...), nil)
			left := must(t, a, "ipset", "save") + must(t, a, "iptables", "-S") + must(t, a, "ip6tables", "-S")
			if way.settings.In == "" {
				left += ruleset(t, a)
			}
			if strings.Contains(left, "keepalived") {
				t.Errorf("left behind:\n%s", left)
			}
		})
	}
}

// expectPackets checks that UDP datagrams from b reach the addresses passed of a, and do
// not reach those in dropped.
func expectPackets(t *testing.T, l *lab.Lab, passed, dropped []string) {
	t.Helper()
	a, b := l.Node("a"), l.Node("b")
	var socket net.PacketConn
	if err := a.Do(func() (err error) { socket, err = net.ListenPacket("udp", ":5353"); return err }); err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	got := map[string]bool{}
	end := lab.NewPatience(20 * time.Second)
	for missing := true; missing && end.Left() > 0; {
		for _, to := range append(slices.Clone(dropped), passed...) { // the passed addresses are last
			if err := b.Do(func() error {
				c, err := net.Dial("udp", net.JoinHostPort(to, "5353"))
				if err != nil {
					return err
				}
				defer c.Close()
				_, err = fmt.Fprint(c, to)
				return err
			}); err != nil && !errors.Is(err, unix.ECONNREFUSED) {
				t.Fatalf("send to %s: %v", to, err)
			}
		}
		socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		for buf := make([]byte, 100); ; {
			n, _, err := socket.ReadFrom(buf)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err != nil {
				t.Fatal(err)
			}
			got[string(buf[:n])] = true
		}
		missing = slices.ContainsFunc(passed, func(to string) bool { return !got[to] })
	}
	for _, to := range passed {
		if !got[to] {
			t.Errorf("packets to %s are dropped", to)
		}
	}
	for _, to := range dropped {
		if got[to] {
			t.Errorf("a packet to %s passed", to)
		}
	}
}

// sendFrom sends a datagram from an address of a to b.
func sendFrom(a *lab.Node, from string, b *lab.Node) error {
	at, zone, _ := strings.Cut(from, "%")
	local := &net.UDPAddr{IP: net.ParseIP(at), Zone: zone}
	to := b.Addr(0).String()
	switch {
	case zone != "":
		to = "fe80::1%" + zone
	case strings.Contains(at, ":"):
		to = b.Addr6(0).String()
	}
	return a.Do(func() error {
		remote, err := net.ResolveUDPAddr("udp", net.JoinHostPort(to, "5353"))
		if err != nil {
			return err
		}
		c, err := net.DialUDP("udp", local, remote)
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("x"))
		return err
	})
}

// TestBackendsThatAreMissing checks that without nftables the programs have the same
// effect, without ipset(8) by a rule for each address, and that without any of them the
// error names what is missing and the other family still works.
func TestBackendsThatAreMissing(t *testing.T) {
	_, a, f := network(t, lab.IPTables)
	gone := missing{&tables{}}
	f.backends[0] = gone
	t.Cleanup(func() { programPlaces = []string{"/usr/sbin", "/sbin", "/usr/bin", "/bin"} })
	carry(t, a, f, add(table(false, Settings{})), add(drop("10.0.0.1")))
	if rules := must(t, a, "iptables", "-S"); !strings.Contains(rules, "-A INPUT -j keepalived_in") || !strings.Contains(rules, "--match-set keepalived dst -j DROP") {
		t.Errorf("rules:\n%s", rules)
	}
	only := t.TempDir()
	for _, name := range []string{"iptables", "iptables-restore"} {
		if err := os.Symlink("/usr/sbin/"+name, only+"/"+name); err != nil {
			t.Fatal(err)
		}
	}
	programPlaces = []string{only}
	carry(t, a, f, replace(table(false, Settings{Name: "another"})))
	if rules := must(t, a, "iptables", "-S"); !strings.Contains(rules, "-A keepalived_in -d 10.0.0.1/32 -j DROP") {
		t.Errorf("rules without ipset:\n%s", rules)
	}
	found, err := try(t, a, f, add(table(true, Settings{})), add(drop("2001:db8::1")), add(drop("10.0.0.2")))
	if err == nil || !strings.Contains(err.Error(), "CONFIG_NF_TABLES") || !strings.Contains(err.Error(), "ip6tables") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if found != nil {
		t.Errorf("found %v", found)
	}
	if rules := must(t, a, "iptables", "-S"); !strings.Contains(rules, "-A keepalived_in -d 10.0.0.2/32 -j DROP") {
		t.Errorf("rules of the other family:\n%s", rules)
	}
	carry(t, a, f, remove(table(true, Settings{})), remove(table(false, Settings{Name: "another"})))
	if rules := must(t, a, "iptables", "-S"); strings.Contains(rules, "keepalived") {
		t.Errorf("left behind:\n%s", rules)
	}
}

// missing is a back end that the kernel does not have.
type missing struct{ backend }

func (missing) commit(*work) error    { return unix.EOPNOTSUPP }
func (missing) absent(err error) bool { return errors.Is(err, unix.EOPNOTSUPP) }

// TestManyAddresses checks that 1,000 addresses are dropped in one transaction.
func TestManyAddresses(t *testing.T) {
	_, a, f := network(t)
	changes := []kernel.Change{add(table(false, Settings{}))}
	for i := range 1000 {
		changes = append(changes, add(drop(fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250))))
	}
	carry(t, a, f, changes...)
	if n := strings.Count(ruleset(t, a), "10.0."); n != 1000 {
		t.Errorf("%d addresses", n)
	}
	for i := range changes {
		changes[i].Op = kernel.Remove
	}
	carry(t, a, f, changes[1:]...)
	if got := ruleset(t, a); strings.Contains(got, "10.0.") || !strings.Contains(got, "@vips drop") {
		t.Errorf("left:\n%s", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x02\x00\x00\x00\x0c\x00\x01\x00keepaliv"))
	f.Fuzz(func(t *testing.T, b []byte) {
		decodeTable(b)
		decodeObject(unix.NFT_MSG_GETCHAIN, b)
		decodeObject(unix.NFT_MSG_GETRULE, b)
		keys := 0
		decodeKeys(b, func(key []byte) { keys += 4 + len(key) })
		if keys > len(b) {
			t.Errorf("%d bytes of keys in %d", keys, len(b))
		}
	})
}

func FuzzParseSet(f *testing.F) {
	f.Add("create keepalived_if6 hash:net,iface family inet6\nadd keepalived_if6 fe80::9,eth0\nadd keepalived6 2001:db8:0::1\n")
	f.Fuzz(func(t *testing.T, text string) {
		parseSet(text, func(element string) {
			if strings.ContainsAny(element, " \n") {
				t.Errorf("element %q", element)
			}
		})
	})
}

// TestTableGoneAtOnce checks that a table that another program removes before its rules
// were first read is made again.
func TestTableGoneAtOnce(t *testing.T) {
	_, a, f := network(t, lab.Nft)
	carry(t, a, f, add(table(false, Settings{Name: "k"})), add(drop("10.0.0.1")))
	must(t, a, "nft", "delete table ip k")
	b := f.backends[0].(*tables)
	p, err := print{}, error(nil)
	if e := a.Do(func() error { p, err = b.readPrint(f.families[0].built); return nil }); e != nil || err != nil {
		t.Fatal(e, err)
	}
	b.print[0] = p
	carry(t, a, f, add(table(false, Settings{Name: "k"})))
	if rules := must(t, a, "nft", "list table ip k"); !strings.Contains(rules, "10.0.0.1") {
		t.Errorf("the table is\n%s", rules)
	}
}

// TestProgramsThatFail checks that the error of a program that fails names its command
// and the line of its input.
func TestProgramsThatFail(t *testing.T) {
	_, a, _ := network(t, lab.IPTables)
	for _, c := range []struct{ input, name, args, want string }{
		{"*filter\n-A INPUT -j ACCEPT\n-A MISSING -j DROP\nCOMMIT\n", "iptables-restore", "--noflush", `iptables-restore --noflush failed with status `},
		{"create k4 hash:ip\nadd k4 nonsense!\n", "ipset", "restore", `ipset restore failed with status 1 at "add k4 nonsense!": "ipset `},
		{"", "iptables", "-S MISSING", `iptables -S MISSING failed with status 1: "`},
	} {
		var err error
		if f := a.Do(func() error { _, err = run(c.input, c.name, strings.Fields(c.args)...); return nil }); f != nil {
			t.Fatal(f)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %s: %v, want %s", c.name, c.args, err, c.want)
		}
	}
	for output, want := range map[string]string{
		"iptables-restore: line 3 failed": "c", "line 2: RULE_APPEND failed": "b", "Error occurred at line: 1\nTry": "a",
		"ipset v7.17: Error in line 4: x": "", "line 99999999999999999999": "", "nothing": "",
	} {
		if got := lineIn("a\n b \nc\n", output); got != want {
			t.Errorf("%q: line %q, want %q", output, got, want)
		}
	}
}

// TestReportsOfMacvlans checks that multicast membership reports of a macvlan are sent by
// its parent, and router solicitations not at all.
func TestReportsOfMacvlans(t *testing.T) {
	for _, way := range []struct {
		name     string
		settings Settings
		parent   bool // reports are sent by the parent
	}{
		{"nftables", Settings{VMACs: true}, true},
		{"iptables", Settings{VMACs: true, IPTables: IPTables{In: "INPUT", Out: "OUTPUT"}}, false},
		{"ipset", Settings{VMACs: true, IPTables: IPTables{In: "INPUT", Out: "OUTPUT", Sets4: "k4", Sets6: "k6", SetsOnLink6: "kif", SetIGMP: "kigmp", SetMLD: "kmld", SetND: "knd"}}, false},
	} {
		t.Run(way.name, func(t *testing.T) {
			l, a, f := network(t, lab.IPTables)
			b := l.Node("b")
			must(t, b, "nft", `table inet seen {
	set macs {
		type ether_addr . inet_proto
		flags dynamic
	}
	chain in {
		type filter hook prerouting priority -300
		ip protocol igmp add @macs { ether saddr . meta l4proto }
		icmpv6 type { mld-listener-report, mld2-listener-report, nd-router-solicit } add @macs { ether saddr . meta l4proto }
	}
}`)
			must(t, b, "ip", "link", "set", "eth0", "allmulticast", "on")
			const mac = "00:00:5e:00:01:33"
			if err := a.IP("link add vrrp.51 link eth0 address " + mac + " type macvlan mode private"); err != nil {
				t.Fatal(err)
			}
			var link, parent *net.Interface
			if err := a.Do(func() (err error) {
				if link, err = net.InterfaceByName("vrrp.51"); err == nil {
					parent, err = net.InterfaceByName("eth0")
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
			carry(t, a, f, add(table(false, way.settings)), add(table(true, way.settings)),
				add(&Entry{Role: VMAC, Link: link.Index, Name: link.Name, Parent: parent.Index}),
				add(&Entry{Role: VMAC, IPv6: true, Link: link.Index, Name: link.Name, Parent: parent.Index}))
			must(t, a, "ip", "link", "set", "vrrp.51", "up")
			// Groups are joined on both, and reported.
			for _, on := range []*net.Interface{link, parent} {
				for _, group := range []string{"239.1.2.3", "ff05::1:3"} {
					var c net.PacketConn
					if err := a.Do(func() (err error) {
						c, err = net.ListenMulticastUDP("udp", on, &net.UDPAddr{IP: net.ParseIP(group), Port: 9})
						return err
					}); err != nil {
						t.Fatal(err)
					}
					defer c.Close()
				}
			}
			own := parent.HardwareAddr.String()
			seen := ""
			if !l.Until(20*time.Second, func() bool {
				time.Sleep(50 * time.Millisecond)
				seen = must(t, b, "nft", "list", "set", "inet", "seen", "macs")
				return strings.Contains(seen, own+" . igmp") && strings.Contains(seen, own+" . ipv6-icmp")
			}) {
				t.Errorf("no reports of the parent: %s", seen)
			}
			l.Watch(time.Now(), time.Second, func(*lab.Event) bool { return false }) // until the macvlan has repeated its reports
			if seen = must(t, b, "nft", "list", "set", "inet", "seen", "macs"); strings.Contains(seen, mac) {
				t.Errorf("packets with the virtual MAC address: %s", seen)
			}
			if way.settings.Sets4 != "" {
				sets, rules := must(t, a, "ipset", "save"), must(t, a, "iptables", "-S")+must(t, a, "ip6tables", "-S")
				for _, want := range []string{"add kigmp 224.0.0.0/4,vrrp.51", "add kmld ff00::/8,vrrp.51", "add knd ff00::/8,vrrp.51"} {
					if !strings.Contains(sets, want) {
						t.Errorf("no element %q:\n%s", want, sets)
					}
				}
				if strings.Contains(rules, "vrrp.51") || !strings.Contains(rules, "-p igmp -m set --match-set kigmp dst,dst -j DROP") {
					t.Errorf("rules:\n%s", rules)
				}
				b := &programs{}
				for _, family := range []bool{false, true} {
					e := Entry{Role: VMAC, IPv6: family, Link: link.Index, Name: link.Name, Parent: parent.Index}
					if err := a.Do(func() error {
						same, err := b.intact(table(family, way.settings), map[Entry]Entry{e.Key(): e})
						if err == nil && !same {
							t.Errorf("sets of IPv6 %v are not recognised:\n%s", family, sets)
						}
						return err
					}); err != nil {
						t.Error(err)
					}
				}
			}
			counted := must(t, a, "nft", "list", "ruleset")
			if way.parent && !strings.Contains(counted, "dup to ip daddr device oif map @vmac_map") {
				t.Errorf("rules:\n%s", counted)
			}
		})
	}
}

package fwmark

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// network returns a lab of two nodes, and a connection to the nftables of the first.
func network(t *testing.T) (*lab.Lab, *Conn) {
	t.Helper()
	lab.Need(t, lab.Root, lab.Nft)
	l, err := lab.New(1, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var c *Conn
	if err := l.Node("a").Do(func() (err error) { c, err = Dial(0); return err }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return l, c
}

// ruleset returns the output of nft list ruleset, without handles.
func ruleset(t *testing.T, n *lab.Node) string {
	t.Helper()
	text, err := n.Run("nft", "list", "ruleset")
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return text
}

func ranges(t *testing.T, lines ...string) (out []Range) {
	t.Helper()
	for _, line := range lines {
		var protocol, first, last string
		r := Range{}
		if _, err := fmt.Sscan(line, &protocol, &first, &last, &r.Port, &r.Mark); err != nil {
			t.Fatal(err)
		}
		r.Protocol = map[string]uint8{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}[protocol]
		r.First, r.Last = netip.MustParseAddr(first), netip.MustParseAddr(last)
		out = append(out, r)
	}
	return out
}

func replace(t *testing.T, c *Conn, table *Table, old string) {
	t.Helper()
	if err := c.Replace(table, old); err != nil {
		t.Fatal(err)
	}
}

// TestTable checks that the table is that of the C daemon, except for entries for every
// port, that another table replaces it, and that tables of other programs stay.
func TestTable(t *testing.T) {
	l, c := network(t)
	a := l.Node("a")
	const theirs = "table ip theirs {\n\tchain in {\n\t}\n}\n"
	if out, err := a.Run("nft", theirs); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	table := &Table{Name: "keepalived_ipvs", Priority: -1, Ranges: ranges(t,
		"tcp 10.0.0.1 10.0.0.1 80 1000", "tcp 10.0.0.2 10.0.0.4 81 1000", "tcp 10.0.0.9 10.0.0.9 0 1000",
		"tcp 2001:db8::1 2001:db8::1 80 1001", "tcp 2001:db8::2 2001:db8::5 443 1001",
		"tcp 10.0.0.40 10.0.0.40 53 1002", "udp 10.0.0.40 10.0.0.40 53 1003", "sctp 10.0.0.40 10.0.0.40 53 1004",
	)}
	replace(t, c, table, "")
	const want = `table ip theirs {
	chain in {
	}
}
table ip keepalived_ipvs {
	map tcp_map {
		type ipv4_addr . inet_service : mark
		flags interval
		elements = { 10.0.0.1 . 80 : 0x000003e8,
			     10.0.0.2-10.0.0.4 . 81 : 0x000003e8,
			     10.0.0.40 . 53 : 0x000003ea }
	}

	map udp_map {
		type ipv4_addr . inet_service : mark
		flags interval
		elements = { 10.0.0.40 . 53 : 0x000003eb }
	}

	map sctp_map {
		type ipv4_addr . inet_service : mark
		flags interval
		elements = { 10.0.0.40 . 53 : 0x000003ec }
	}

	map tcp_every_map {
		type ipv4_addr . inet_service : mark
		flags interval
		elements = { 10.0.0.9 . 0-65535 : 0x000003e8 }
	}

	chain in {
		type filter hook input priority filter - 1; policy accept;
		meta mark set ip daddr . tcp dport map @tcp_map return
		meta mark set ip daddr . udp dport map @udp_map return
		meta mark set ip daddr . sctp dport map @sctp_map return
		meta mark set ip daddr . tcp dport map @tcp_every_map return
	}
}
table ip6 keepalived_ipvs {
	map tcp_map {
		type ipv6_addr . inet_service : mark
		flags interval
		elements = { 2001:db8::1 . 80 : 0x000003e9,
			     2001:db8::2-2001:db8::5 . 443 : 0x000003e9 }
	}

	chain in {
		type filter hook input priority filter - 1; policy accept;
		meta mark set ip6 daddr . tcp dport map @tcp_map return
	}
}
`
	if diff := cmp.Diff(want, ruleset(t, a)); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	// A successor does not know the existing tables, and replaces a table of that name.
	replace(t, c, table, "")
	if diff := cmp.Diff(want, ruleset(t, a)); diff != "" {
		t.Errorf("rules of a successor (-want +got):\n%s", diff)
	}
	replace(t, c, &Table{Name: "other", Ranges: ranges(t, "tcp 10.0.0.1 10.0.0.1 80 7")}, "keepalived_ipvs")
	got := ruleset(t, a)
	if strings.Contains(got, "keepalived_ipvs") || !strings.Contains(got, "table ip other") || strings.Contains(got, "ip6") || !strings.Contains(got, "priority filter; policy") {
		t.Errorf("after a change of its name:\n%s", got)
	}
	for range 2 {
		if err := c.Remove("other"); err != nil {
			t.Fatal(err)
		}
		if got := ruleset(t, a); got != theirs {
			t.Errorf("left behind:\n%s", got)
		}
	}
}

// TestCounters checks that with counters the packets of each rule and range are counted.
func TestCounters(t *testing.T) {
	l, c := network(t)
	replace(t, c, &Table{Name: "x", Priority: -1, Counters: true, Ranges: ranges(t, "tcp 10.0.0.1 10.0.0.1 80 1000")}, "")
	got := ruleset(t, l.Node("a"))
	for _, want := range []string{"\t\tcounter\n", "10.0.0.1 . 80 counter packets 0 bytes 0 : 0x000003e8", "map @tcp_map counter packets 0 bytes 0 return"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestRefused checks that a change that the kernel refuses has no effect.
func TestRefused(t *testing.T) {
	l, c := network(t)
	a := l.Node("a")
	replace(t, c, &Table{Name: "x", Ranges: ranges(t, "tcp 10.0.0.1 10.0.0.1 80 7")}, "")
	before := ruleset(t, a)
	err := c.Replace(&Table{Name: "x", Ranges: ranges(t, "tcp 10.0.0.2 10.0.0.9 80 7", "tcp 10.0.0.5 10.0.0.12 80 8")}, "x")
	if err == nil || !strings.Contains(err.Error(), "table x") {
		t.Errorf("overlapping ranges: %v", err)
	}
	if diff := cmp.Diff(before, ruleset(t, a)); diff != "" {
		t.Errorf("it has changed (-before +after):\n%s", diff)
	}
	replace(t, c, &Table{Name: "x", Ranges: ranges(t, "tcp 10.0.0.2 10.0.0.2 80 7")}, "x")
}

// TestManyRanges checks that a large table is one transaction, too.
func TestManyRanges(t *testing.T) {
	l, c := network(t)
	var many []Range
	for i := range 20_000 {
		at := netip.AddrFrom4([4]byte{10, byte(i >> 14), byte(i >> 6), byte(i << 2)})
		many = append(many, Range{unix.IPPROTO_TCP, at, at.Next(), 80, uint32(1000 + i)})
	}
	replace(t, c, &Table{Name: "x", Ranges: many}, "")
	if n := strings.Count(ruleset(t, l.Node("a")), " . 80 : 0x"); n != len(many) {
		t.Errorf("%d of %d ranges", n, len(many))
	}
}

// TestPackets checks that packets get the mark of their address, protocol and port.
func TestPackets(t *testing.T) {
	l, c := network(t)
	a, b := l.Node("a"), l.Node("b")
	own := a.Addr(0).String()
	replace(t, c, &Table{Name: "x", Priority: -1, Ranges: ranges(t, "udp "+own+" "+own+" 53 1000", "udp "+own+" "+own+" 0 1001")}, "")
	if out, err := a.Run("nft", "table ip count {\nchain in {\ntype filter hook input priority 1\nudp dport 53 meta mark 1000 counter\nudp dport 54 meta mark 1001 counter\n}\n}"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	counted := func() int { return strings.Count(ruleset(t, a), "counter packets 1 ") }
	for _, port := range []string{"53", "54"} {
		if err := b.Do(func() error {
			s, err := net.Dial("udp4", net.JoinHostPort(own, port))
			if err != nil {
				return err
			}
			defer s.Close()
			_, err = s.Write([]byte("x"))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if !l.Until(10*time.Second, func() bool { time.Sleep(20 * time.Millisecond); return counted() == 2 }) {
		t.Errorf("no packet with each mark:\n%s", ruleset(t, a))
	}
}

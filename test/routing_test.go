package test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// routingLines are routes and rules with every option that the kernel of the lab and
// version 2.2.7 of the C daemon have; each daemon is given the same.
const routingLines = `virtual_routes {
    10.101.0.0/16 via 10.0.0.77 dev eth0
    10.101.1.0/24 via 10.0.0.77
    to 10.101.2.0/24 gw 10.0.0.77 dev eth0 src 10.99.0.1 metric 7
    10.101.3.0/24 dev eth0 scope link table 300 no_track
    10.101.4.0/24 via 10.0.0.77 dev eth0 tos 0x10 protocol 22 no_track
    10.101.5.0/24 via 192.0.2.77 dev eth0 onlink
    10.101.6.0/24 via 10.0.0.77 dev eth0 mtu lock 1400 advmss 1300 hoplimit 9 reordering 5 window 60000
    10.101.7.0/24 via 10.0.0.77 dev eth0 rtt 400ms rttvar lock 300ms rto_min 250ms cwnd lock 30 ssthresh 40
    10.101.8.0/24 via 10.0.0.77 dev eth0 initcwnd 20 initrwnd 21 features ecn quickack 1 congctl lock reno fastopen_no_cookie 1
    10.101.9.0/24 via 10.0.0.77 dev eth0 realms 3/4
    10.101.11.0/24 via 10.0.0.77 dev eth0 priority 9
    10.101.12.0/24 via 10.0.0.77 dev eth0 preference 10
    10.101.13.0/24 oif eth0 dsfield 0x08
    10.102.0.0/24 nexthop via 10.0.0.77 dev eth0 weight 3 nexthop via 10.0.0.78 dev eth0 weight 1 nexthop via 192.0.2.78 dev eth0 onlink
    10.102.1.0/24 nexthop via 10.0.0.77 dev eth0 realms 9 nexthop via 10.0.0.78 dev eth0 realms 8
    blackhole 10.103.0.0/24
    unreachable 10.103.1.0/24
    prohibit 10.103.2.0/24
    throw 10.103.3.0/24 table 301
    append 10.101.0.0/16 via 10.0.0.79 dev eth0
    add 10.104.0.0/16 via 10.0.0.79 dev eth0
    prepend 10.104.0.0/16 via 10.0.0.80 dev eth0
    default via 10.0.0.77 dev eth0 table 302
    10.105.0.0/24 encap ip id 7 dst 10.0.0.9 src 10.0.0.1 ttl 3 tos 4 dev eth0
    10.106.0.0/24 via 10.0.0.77 dev eth0 ttl-propagate enabled
    fd00:101::/64 via fd00::77 dev eth0
    fd00:102::/64 via fd00::77 dev eth0 metric 5 pref high
    fd00:103::/64 dev eth0 table 303 no_track
    fd00:104::/64 via fd00::77 dev eth0 pref low mtu 1300
    fd00:105::/64 from fd00:106::/64 via fd00::77 dev eth0
    fd00:107::/64 nexthop via fd00::77 dev eth0 weight 2 nexthop via fd00::78 dev eth0
    fd00:108::/64 via fd00:ffff::1 dev eth0 onlink
    fd00:109::/64 encap ip6 id 8 dst fd00::9 hoplimit 5 tc 6 dev eth0
    blackhole fd00:10a::/64
    default6 via fd00::77 dev eth0 table 304
}
virtual_rules {
    from 10.0.0.0/8 table 300 priority 10
    from 10.0.0.0/8 to 10.101.0.0/16 tos 0x10 lookup 100000 preference 11
    not from 10.0.0.0/8 table 300 priority 12
    fwmark 5 table 300 priority 13
    fwmark 5/0xf table 300 order 14
    iif eth0 oif lo table 300 priority 15 no_track
    uidrange 5-9 table 300 priority 16
    ipproto tcp sport 1-2 dport 80-80 table 300 priority 17
    tunnel-id 99 table 300 priority 18
    from 10.0.0.0/8 realms 1/2 table 300 priority 19
    table 300 suppress_prefixlength 8 priority 20
    table 300 suppress_ifgroup 7 priority 21
    from 10.9.0.0/16 goto 40 priority 22
    from 10.9.0.0/16 nop priority 23
    from 10.9.0.0/16 blackhole priority 24
    from 10.9.0.0/16 unreachable priority 25
    type prohibit from 10.9.0.0/16 priority 26
    from fd00::/16 to fd00:1::/64 dsfield 0x08 table 300 priority 27
    l3mdev priority 30
    from 10.10.0.0/16 table 300
    from fd00:10::/64 table 300
}`

// routing is what the kernel of a node has that a daemon may have set.
func (s *scene) routing(node string) []string {
	s.Helper()
	var all []string
	for _, args := range []string{"-d -o -4 route show table all", "-d -o -6 route show table all", "-d -4 rule", "-d -6 rule"} {
		out, err := s.Node(node).Run("ip", strings.Fields(args)...)
		s.must(err)
		for line := range strings.Lines(out) {
			if !strings.Contains(line, "proto kernel") && !strings.Contains(line, "proto boot") {
				all = append(all, strings.Join(strings.Fields(line), " "))
			}
		}
	}
	slices.Sort(all)
	return all
}

// TestRoutingLikeC: ours and the C daemon make the same of every option of routes and
// rules, and of ours nothing is left at the end.
func TestRoutingLikeC(t *testing.T) {
	t.Parallel()
	differs(t, "is what is compared")
	lab.Need(t, lab.Root, lab.Peer)
	s := newScene(t, "a", "b")
	in := instance{VIPs: []string{"10.99.0.1/32"}, More: routingLines}.at(100)
	a := s.start("a", ours, config(in))
	s.awaitOwner(addr("10.99.0.1"), 10*time.Second, "a")
	mine := s.settled("a")
	s.must(a.Stop())
	if left := s.routing("a"); len(left) != 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
	s.start("b", lab.C(), config(in))
	s.awaitOwner(addr("10.99.0.1"), 10*time.Second, "b")
	theirs := s.settled("b")
	for _, line := range mine {
		if !slices.Contains(theirs, line) {
			t.Errorf("only ours: %s", line)
		}
	}
	for _, line := range theirs {
		if !slices.Contains(mine, line) {
			t.Errorf("only theirs: %s", line)
		}
	}
	if len(mine) < 50 {
		t.Errorf("only %d routes and rules were compared", len(mine))
	}
}

// settled is the routing of a node once it has not changed for a while: a daemon reports
// nothing when it has set all.
func (s *scene) settled(node string) []string {
	s.Helper()
	var last []string
	same := 0
	for range 100 {
		now := s.routing(node)
		if same++; !slices.Equal(now, last) || len(now) == 0 {
			last, same = now, 0
		}
		if same == 5 {
			return now
		}
		time.Sleep(100 * time.Millisecond)
	}
	s.Fatalf("the routing of %s does not settle", node)
	return nil
}

var routeLine = regexp.MustCompile(`10\.101\.0\.0/16`)

// routeAt waits until the node has the route, and the others do not.
func (s *scene) routeAt(node string, others ...string) {
	s.Helper()
	has := func(n string) bool { return slices.ContainsFunc(s.routing(n), routeLine.MatchString) }
	if !s.Until(20*time.Second, func() bool { return has(node) && !slices.ContainsFunc(others, has) }) {
		s.Fatalf("the route is not at %s alone: %q", node, s.routing(node))
	}
}

// TestRoutesFailOver: routes and rules are where the master is: after a failover, after
// both processes were killed, and at the end nowhere.
func TestRoutesFailOver(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root)
	differs(t, "leaves routes behind")
	s := newScene(t, "a", "b")
	in := instance{More: "virtual_routes {\n    10.101.0.0/16 via 10.0.0.77 dev eth0\n    fd00:101::/64 dev eth0\n}\nvirtual_rules {\n    from 10.101.0.0/16 table 300 priority 10\n}"}
	a := s.start("a", ours, config(in.at(150)))
	b := s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 10*time.Second, "a")
	s.routeAt("a", "b")
	s.must(s.Node("a").Unplug(0))
	s.routeAt("b", "a")
	s.must(s.Node("a").Plug(0))
	s.routeAt("a", "b")

	a.Kill()
	s.routeAt("b")
	a = s.start("a", ours, config(in.at(50))) // stays backup, and removes what is left
	s.routeAt("b", "a")
	s.must(b.Stop())
	s.routeAt("a", "b")
	s.must(a.Stop())
	for _, n := range []string{"a", "b"} {
		if left := s.routing(n); len(left) != 0 {
			t.Errorf("left at %s: %q", n, left)
		}
	}
}

// TestNetworkFlushed: whatever another program removes, in whatever order, the address
// and the route are on exactly one node soon.
func TestNetworkFlushed(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root)
	differs(t, "of version 2.2.7 does not react to routes")
	s := newScene(t, "a", "b")
	in := instance{More: "virtual_routes {\n    10.101.0.0/16 via 10.0.0.77 dev eth0\n}\nvirtual_rules {\n    from 10.101.0.0/16 table 300 priority 10\n}"}
	s.start("a", ours, config(in.at(150)))
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 10*time.Second, "a")
	own := fmt.Sprintf("addr add %v/16 dev eth0", s.Node("a").Addr(0))
	for _, commands := range [][]string{
		{"route del 10.101.0.0/16"},
		{"rule del priority 10"},
		{"route flush proto 18"},
		{"addr flush dev eth0", own},
		{"link set eth0 down", "link set eth0 up"},
		{"addr flush dev eth0", "link set eth0 down", "link set eth0 up", own},
	} {
		s.routeAt("a", "b")
		s.awaitOwner(vip, 10*time.Second, "a")
		for _, c := range commands {
			s.must(s.Node("a").IP(c))
		}
	}
	s.awaitOwner(vip, 10*time.Second, "a")
	s.routeAt("a", "b")
}

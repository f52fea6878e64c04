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

package test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// routing returns the objects in the kernel of a node that a daemon may have set.
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

// TestRoutesFailOver checks that routes and rules are on the master only: after a
// failover, after both processes were killed, and nowhere at the end.
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
	a = s.start("a", ours, config(in.at(50))) // stays backup, and removes the leftovers
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

// TestNetworkFlushed checks that soon after any removals by another program, in any
// order, the address and the route are on exactly one node.
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

// storm changes its own routes in a node, at least 5,000 per second if the machine is
// fast enough, until the returned function is called, which returns the number of
// changes.
func (s *scene) storm(node string) (stop func() int) {
	s.Helper()
	var b strings.Builder
	const n = 500
	for _, op := range []string{"add", "del"} {
		for i := range n {
			fmt.Fprintf(&b, "route %s 100.64.%d.%d dev lo table 99\n", op, i>>8, i&255)
		}
	}
	changes := 0
	end, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-end:
				ended <- nil
				return
			default:
			}
			if err := s.Node(node).IPBatch(b.String()); err != nil {
				ended <- err
				return
			}
			changes += 2 * n
		}
	}()
	return func() int {
		close(end)
		s.must(<-ended)
		return changes
	}
}

// TestRoutesStorm checks that thousands of route changes per second by other programs, on
// master and backup, delay no advert so much that the backup takes over. The benchmarks
// run the same with an interval of 10 ms.
func TestRoutesStorm(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root)
	differs(t, "reads all routes")
	s := newScene(t, "a", "b")
	in := instance{More: "virtual_routes {\n    10.101.0.0/16 via 10.0.0.77 dev eth0\n}"}
	s.start("a", ours, config(in.at(150)))
	s.awaitOwner(vip, 10*time.Second, "a")
	b := s.start("b", ours, config(in.at(100)))
	s.awaitLog(b, b.Started, "Entering BACKUP STATE", 10*time.Second)
	var stops []func() int
	for _, node := range []string{"a", "b"} {
		stops = append(stops, s.storm(node))
	}
	s.stays(vip, "a", 2*time.Second)
	for i, stop := range stops {
		if n := stop(); n < 1000 {
			t.Errorf("%d changes of routes on node %d only", n, i)
		}
	}
	s.routeAt("a", "b")
}

// TestForeignRoutesDoNotWake checks that the kernel reports to the process no routes that
// other programs add and delete: the process wakes as often as its adverts need.
func TestForeignRoutesDoNotWake(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root)
	differs(t, "reads all routes")
	s := newScene(t, "a")
	in := instance{Interval: time.Second, More: "virtual_routes {\n    10.101.0.0/16 via 10.0.0.77 dev eth0\n}"}
	d := s.start("a", ours, config(in.at(150)))
	s.awaitOwner(vip, 20*time.Second, "a")
	s.routeAt("a")
	began, before := time.Now(), wakeups(t, d.VRRPPid())
	stop := s.storm("a")
	s.stays(vip, "a", 2*time.Second)
	changes := stop()
	woken, took := wakeups(t, d.VRRPPid())-before, time.Since(began)
	// The threads of the process wake each other about a hundred times a second.
	if limit := 200*int(took.Seconds()+1) + changes/20; woken > limit {
		t.Errorf("woken %d times in %v by %d changes, want %d at most", woken, took, changes, limit)
	}
	t.Logf("woken %d times in %v beside %d changes", woken, took, changes)
}

// wakeups returns how often the threads of a process have waited so far.
func wakeups(t *testing.T, pid int) (n int) {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	if err != nil || len(files) == 0 {
		t.Fatal(pid, err)
	}
	for _, file := range files {
		text, _ := os.ReadFile(file) // a thread may have ended
		for line := range strings.Lines(string(text)) {
			var k int
			if _, err := fmt.Sscanf(line, "voluntary_ctxt_switches: %d", &k); err == nil {
				n += k
			}
		}
	}
	return n
}

// TestDeletedInALoop checks that routes, rules, addresses and nftables tables that
// another program deletes repeatedly are restored soon after it has stopped, that the
// node stays master, and that the number of log lines is bounded.
func TestDeletedInALoop(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.Nft)
	differs(t, "gives way, and does not restore tables")
	s := newScene(t, "a", "b")
	in := instance{Interval: time.Second, More: `no_accept
on_external_delete restore
virtual_routes {
    10.101.0.0/16 via 10.0.0.77 dev eth0
    10.101.0.0/24 via 10.0.0.77 dev eth0 table 300
    fd00:101::/64 via fd00::77 dev eth0
}
virtual_rules {
    from 10.101.0.0/16 table 300 priority 10
}`}
	static := "static_routes {\n    10.102.0.0/16 via 10.0.0.77 dev eth0\n}\nstatic_rules {\n    from 10.102.0.0/16 table 300 priority 11\n}\n"
	a := s.start("a", ours, static+config(in.at(150)))
	s.awaitOwner(vip, 10*time.Second, "a")
	s.start("b", ours, static+config(in.at(100)))
	whole := func() []string {
		all := append(s.routing("a"), s.rules("a")...)
		slices.Sort(all)
		return all
	}
	before := whole()
	if len(before) < 12 {
		t.Fatalf("only %q", before)
	}
	from := time.Now()
	for range 10 {
		for _, c := range []string{
			"ip route flush proto 18", "ip route flush table 300", "ip -6 route flush proto 18", "ip rule del priority 10", "ip rule del priority 11",
			"ip addr del " + vip.String() + "/16 dev eth0", "nft delete table ip keepalived", "nft flush ruleset",
		} {
			words := strings.Fields(c)
			s.Node("a").Run(words[0], words[1:]...) // fails if everything is deleted already
		}
	}
	var now []string
	if !s.Until(20*time.Second, func() bool { now = whole(); return slices.Equal(now, before) }) {
		t.Errorf("missing:\n%s\nthere as well:\n%s", only(before, now), only(now, before))
	}
	s.awaitOwner(vip, 10*time.Second, "a")
	if a.Logged(from, "STATE") {
		t.Error("a change of state")
	}
	if n := len(a.LinesWith(from, "another program")); n == 0 || n > 200 {
		t.Errorf("%d lines about it", n)
	}
}

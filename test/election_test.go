package test

import (
	"fmt"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

func TestFailoverAndFailback(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{}
	s.pair(vip, ours, in.at(150), ours, in.at(100))
}

// TestDualMaster checks two instances with crossed priorities: each node is master of
// one, and the node that survives takes both.
func TestDualMaster(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	one := instance{Name: "VI_1", VRID: 51}
	two := instance{Name: "VI_2", VRID: 52, VIPs: []string{vip2.String() + "/16"}}
	s.start("a", ours, config(one.at(150), two.at(100)))
	b := s.start("b", ours, config(one.at(100), two.at(150)))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.awaitOwner(vip2, 3*time.Second, "b")
	s.must(b.Stop())
	s.awaitOwner(vip, time.Second, "a")
	s.awaitOwner(vip2, time.Second, "a")
	s.start("b", ours, config(one.at(100), two.at(150)))
	s.awaitOwner(vip2, 3*time.Second, "b")
	s.awaitOwner(vip, time.Second, "a")
}

// TestGracefulStop checks that within a second the addresses are removed, priority 0 is
// sent and the process has ended, with exit code 0.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{Version: 2}
	a := s.start("a", ours, config(in.at(150)))
	s.awaitOwner(vip, 6*time.Second, "a")
	s.start("b", ours, config(in.at(100)))
	s.stays(vip, "a", 1500*time.Millisecond)

	from := time.Now()
	s.must(a.Stop())
	exit := time.Since(from)
	gone, ok := s.Wait(from, time.Second, func(e *lab.Event) bool { return e.Kind == lab.AddrRemoved && e.Addr == vip })
	if !ok {
		t.Fatal("the address is still there")
	}
	s.within("removal of the address", gone.Time.Sub(from), 0, time.Second)
	if !underC { // which always waits for a second
		s.within("exit", exit, 0, time.Second)
	}
	var zero []lab.Event
	for _, e := range s.adverts(from, time.Now(), "a") {
		if e.Priority == 0 {
			zero = append(zero, e)
		}
	}
	if len(zero) != 1 {
		t.Fatalf("%d adverts of priority 0, want 1", len(zero))
	}
	first := s.awaitAdvert(from, 2*time.Second, "b")
	s.within("takeover", first.Time.Sub(zero[0].Time), skew(in.at(100))-5*time.Millisecond, skew(in.at(100))+slack)
}

func TestNopreempt(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{More: "nopreempt"}
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "b")
	a := s.start("a", ours, config(in.at(150)))
	s.stays(vip, "b", 2*time.Second)

	// Leaving FAULT is no reason to preempt either.
	s.must(s.Node("a").Unplug(0))
	s.stays(vip, "b", time.Second)
	s.must(s.Node("a").Plug(0))
	s.stays(vip, "b", 2*time.Second)

	// A master does yield to a better advert: both were master while cut.
	lab.Need(t, lab.Nft)
	s.must(s.Node("a").Cut(0))
	s.awaitOwner(vip, 3*time.Second, "a", "b")
	s.must(s.Node("a").Heal(0))
	s.awaitOwner(vip, 3*time.Second, "a")
	if !a.Running() {
		t.Error("a ended")
	}
}

// TestPreemptDelay checks that a better node tolerates the worse master for the delay,
// counted from the first advert of lower priority.
func TestPreemptDelay(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{}
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "b")
	high := in.at(150)
	high.More = "preempt_delay 2"
	from := time.Now()
	s.start("a", ours, config(high))
	first := s.awaitAdvert(from, 6*time.Second, "a")
	s.within("preemption", first.Time.Sub(from), 2*time.Second, 2*time.Second+masterDown(high)+100*time.Millisecond+slack)
	s.awaitOwner(vip, time.Second, "a")
}

// TestEqualPriority checks that a master of equal priority stays master, that two nodes
// that are cut off from one another both serve, and that then the higher address wins.
func TestEqualPriority(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Nft)
	s := newScene(t, "a", "b") // b has the higher address
	in := instance{}
	s.start("a", ours, config(in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.start("b", ours, config(in.at(100)))
	s.stays(vip, "a", 1500*time.Millisecond)
	s.must(s.Node("b").Cut(0))
	s.awaitOwner(vip, 3*time.Second, "a", "b")
	s.must(s.Node("b").Heal(0))
	s.awaitOwner(vip, 2*time.Second, "b")
	s.stays(vip, "b", time.Second)
}

// TestHealedSplitAnnounces checks that the winner announces its addresses again after a
// split, because switches have learned the port of the other node.
func TestHealedSplitAnnounces(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Nft)
	s := newScene(t, "a", "b")
	in := instance{}
	s.start("a", ours, config(in.at(150)))
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.must(s.Node("b").Cut(0))
	s.awaitOwner(vip, 3*time.Second, "a", "b")
	// The winner must receive an advert first: had the loser received one first, it would
	// have become backup without sending anything.
	healed := time.Now()
	s.must(s.Node("b").DropReceived(0))
	s.awaitAdvert(healed, time.Second, "b")
	s.must(s.Node("b").Heal(0))
	s.awaitOwner(vip, 2*time.Second, "a")
	if _, ok := s.Wait(healed, time.Second, func(e *lab.Event) bool {
		return e.Kind == lab.Announce && e.Node.Name == "a" && e.Addr == vip
	}); !ok {
		t.Error("the winner announced nothing")
	}
}

// TestDeafNode checks that a node that receives nothing becomes a second master, and
// yields as soon as it receives the better one.
func TestDeafNode(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Nft)
	s := newScene(t, "a", "b")
	in := instance{}
	s.start("a", ours, config(in.at(150)))
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.must(s.Node("b").DropReceived(0))
	s.awaitOwner(vip, 3*time.Second, "a", "b")
	s.must(s.Node("b").Heal(0))
	s.awaitOwner(vip, 2*time.Second, "a")
}

// TestOwner checks that priority 255 serves at once and takes the address from any other
// node.
func TestOwner(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{Version: 2}
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 6*time.Second, "b")
	from := time.Now()
	owner := in.at(255)
	owner.State = "MASTER"
	s.start("a", ours, config(owner))
	first := s.awaitAdvert(from, 2*time.Second, "a")
	s.within("the owner's first advert", first.Time.Sub(from), 0, time.Second)
	if first.Priority != 255 {
		t.Errorf("priority %d on the wire, want 255", first.Priority)
	}
	s.awaitOwner(vip, time.Second, "a")
}

// TestMismatch checks that nodes that do not accept each other's adverts are both master.
func TestMismatch(t *testing.T) {
	t.Parallel()
	pass := func(word string) string {
		return fmt.Sprintf("authentication {\n    auth_type PASS\n    auth_pass %s\n}", word)
	}
	ah := func(word string) string {
		return fmt.Sprintf("authentication {\n    auth_type AH\n    auth_pass %s\n}", word)
	}
	two := instance{Version: 2}
	with := func(more string) instance { return instance{Version: 2, More: more} }
	for name, pair := range map[string][2]instance{
		"VRID":              {{VRID: 51}, {VRID: 52}},
		"password":          {with(pass("one")), with(pass("two"))},
		"PASS against none": {with(pass("one")), two},
		"AH key":            {with(ah("one")), with(ah("two"))},
		"AH against none":   {with(ah("one")), two},
		"version":           {two, {}},
		"v2 interval":       {two, {Version: 2, Interval: 2 * time.Second}},
		"multicast group":   {{}, {More: "mcast_dst_ip 224.1.101.33"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a", "b")
			s.start("a", ours, config(pair[0].at(150)))
			s.start("b", ours, config(pair[1].at(100)))
			s.awaitOwner(vip, 12*time.Second, "a", "b")
			if underC {
				return // a refused advert can delay its own
			}
			from := time.Now()
			for _, node := range []string{"a", "b"} {
				s.awaitAdvert(from, 2500*time.Millisecond, node)
			}
		})
	}
}

// TestMulticastGroup checks that adverts are sent to the group that vrrp_mcast_group4
// names.
func TestMulticastGroup(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{}
	const group = "224.1.101.33"
	s.start("a", ours, configWith("vrrp_mcast_group4 "+group, in.at(150)))
	s.start("b", ours, configWith("vrrp_mcast_group4 "+group, in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.stays(vip, "a", time.Second)
	if e := s.awaitAdvert(time.Time{}, 3*time.Second, "a"); e.Dst != addr(group) || e.TTL != 255 {
		t.Errorf("sent to %v with TTL %d, want %s with 255", e.Dst, e.TTL, group)
	}
}

// TestSyncGroup checks that when one member loses its interface, the other ceases to be
// master too.
func TestSyncGroup(t *testing.T) {
	t.Parallel()
	s := newWideScene(t, 2, "a", "b")
	inner := lab.SegmentAddr(1, 1000)
	one := instance{Name: "outside", VRID: 51}
	two := instance{Name: "inside", VRID: 52, Iface: "eth1", VIPs: []string{inner.String() + "/16"}}
	group := "vrrp_sync_group G {\n    group {\n        outside\n        inside\n    }\n}\n"
	s.start("a", ours, config(one.at(150), two.at(150))+group)
	s.start("b", ours, config(one.at(100), two.at(100))+group)
	s.awaitOwner(vip, 3*time.Second, "a")
	s.awaitOwner(inner, 3*time.Second, "a")
	s.must(s.Node("a").Unplug(1))
	s.awaitOwner(vip, 3*time.Second, "b")
	s.awaitOwner(inner, 3*time.Second, "b")
	s.must(s.Node("a").Plug(1))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.awaitOwner(inner, 3*time.Second, "a")
}

// TestStartupDelay checks that nothing is sent during the delay, not even by an owner.
func TestStartupDelay(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	in := instance{}.at(100)
	from := time.Now()
	s.start("a", ours, configWith("vrrp_startup_delay 2", in))
	first := s.awaitAdvert(from, 5*time.Second, "a")
	s.within("first advert", first.Time.Sub(from), 2*time.Second+masterDown(in)-50*time.Millisecond, 2*time.Second+masterDown(in)+2*slack)
}

// TestIntervalIsLearned checks that a version 3 backup waits by the master's interval,
// not its own.
func TestIntervalIsLearned(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	slow := instance{Interval: 300 * time.Millisecond} // short enough to be received in time
	a := s.start("a", ours, config(slow.at(150)))
	s.awaitOwner(vip, 4*time.Second, "a")
	b := s.start("b", ours, config(instance{}.at(100)))
	s.awaitLog(b, b.Started, "Entering BACKUP STATE", 4*time.Second)
	s.stays(vip, "a", time.Second) // and b receives its adverts
	killed := a.Kill()
	first := s.awaitAdvert(killed, 4*time.Second, "b")
	last := s.lastAdvert("a", first.Time)
	down := masterDown(slow.at(100))
	s.within("takeover", first.Time.Sub(last.Time), down-5*time.Millisecond, down+slack)
}

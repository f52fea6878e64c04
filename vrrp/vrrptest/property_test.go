package vrrptest_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"keepalived-go/vrrp"
	"keepalived-go/vrrp/vrrptest"
)

var (
	schedules = flag.Int("schedules", 4000, "how many random schedules of faults to run")
	schedule  = flag.Int64("schedule", -1, "run only this schedule, and log its events")
)

// TestSchedules applies random faults to random networks and checks the guarantees
// of VRRP:
//
//   - after the last fault there is exactly one master within one
//     Master_Down_Interval, Skew_Time included;
//   - it is the right one: no router that preempts is better;
//   - no two routers that receive each other's packets are master for longer
//     than an advert takes;
//   - a router that is not master holds no address (checked in vrrptest);
//   - the same events give the same actions.
func TestSchedules(t *testing.T) {
	if *schedule >= 0 {
		run(t, *schedule, true)
		return
	}
	n := *schedules
	if testing.Short() {
		n /= 10
	}
	for seed := range int64(n) {
		run(t, seed, false)
		if t.Failed() {
			t.Fatalf("repeat with -run TestSchedules -schedule %d -v", seed)
		}
	}
}

type faultRun struct {
	*testing.T
	lan      *vrrptest.LAN
	rand     *rand.Rand
	verbose  bool
	interval time.Duration // the longest
	settled  time.Duration // when cuts, losses and pauses last changed
}

func run(t *testing.T, seed int64, verbose bool) {
	s := &faultRun{T: t, lan: vrrptest.New(uint64(seed)), rand: rand.New(rand.NewPCG(uint64(seed), 1)), verbose: verbose}
	s.lan.Observe = s.observe
	s.build()
	for range 2 + s.rand.IntN(8) {
		s.fault()
		s.lan.Run(time.Duration(s.rand.Int64N(int64(5 * s.interval))))
	}
	s.endFaults()
	s.settle()
	for _, n := range s.lan.Nodes {
		if err := n.Replay(); err != nil {
			t.Errorf("replay: %v", err)
		}
	}
}

// build makes a network of two to four nodes.
func (s *faultRun) build() {
	c := vrrp.Config{
		VRID: 51, Version: uint8(2 + s.rand.IntN(2)), Family: vrrp.IPv4,
		Group:     netip.MustParseAddr("224.0.0.18"),
		Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.100")},
		Announce:  vrrp.Announcements{Repeat: 1, Delay: time.Second, LowerRepeat: 1, LowerDelay: time.Second},
	}
	base := "10.0.0."
	if s.rand.IntN(4) == 0 {
		c.Family, c.Group = vrrp.IPv6, netip.MustParseAddr("ff02::12")
		c.Addresses = []netip.Addr{netip.MustParseAddr("fe80::100")}
		base = "fe80::"
	}
	intervals := []time.Duration{time.Second, 2 * time.Second}
	if c.Version == 3 {
		intervals = []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, time.Second}
	}
	c.AdvertInterval = intervals[s.rand.IntN(len(intervals))]
	mixed := c.Version == 3 && s.rand.IntN(4) == 0
	switch s.rand.IntN(4) {
	case 0:
		copy(c.Key[:], "secret")
		c.Auth = vrrp.AuthPass
	case 1:
		copy(c.Key[:], "secret")
		c.Auth = vrrp.AuthAH
	case 2:
		c.HMAC = vrrp.HMAC{Mode: vrrp.HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: []byte(strings.Repeat("k", 32))}}
	}
	nodes := 2 + s.rand.IntN(3)
	unicast := s.rand.IntN(4) == 0
	// In a sync group every node has the same two virtual routers.
	sync := s.rand.IntN(4) == 0
	segments := []string{"left", "right"}
	if !sync {
		segments = segments[:1]
	}
	noPreempt := s.rand.IntN(4) == 0
	for n := range nodes {
		c := c
		if mixed {
			c.AdvertInterval = intervals[s.rand.IntN(len(intervals))]
		}
		s.interval = max(s.interval, c.AdvertInterval)
		c.Priority = uint8(50 + 50*s.rand.IntN(4))
		if s.rand.IntN(16) == 0 && n == 0 {
			c.Priority = vrrp.PriorityOwner
		}
		c.NoPreempt = noPreempt && c.Priority != vrrp.PriorityOwner
		if !c.NoPreempt && c.Priority != vrrp.PriorityOwner && s.rand.IntN(8) == 0 {
			c.PreemptDelay = 3 * c.AdvertInterval
		}
		// Not with mixed intervals: the others learn the interval of a fast master from
		// its last advert, and take over before the slow one sends.
		c.HigherPrioritySendAdvert = !mixed && s.rand.IntN(4) == 0
		c.LowerPriorityNoAdvert = s.rand.IntN(4) == 0
		if unicast {
			c.Unicast = true
			for m := range nodes {
				if m != n {
					c.Peers = append(c.Peers, vrrp.Peer{Addr: netip.MustParseAddr(fmt.Sprint(base, m+1)), MaxTTL: 255})
				}
			}
		}
		var routers []vrrptest.Router
		for _, seg := range segments {
			c.Name = seg
			routers = append(routers, vrrptest.Router{Segment: seg, Source: netip.MustParseAddr(fmt.Sprint(base, n+1)), Config: c})
		}
		node := s.lan.Add(string(rune('a'+n)), routers...)
		node.Sync = sync
		s.log("%s: %+v", node.Name, c)
		if s.rand.IntN(8) != 0 {
			node.Start(0, false)
		}
		s.lan.Run(time.Duration(s.rand.Int64N(int64(s.interval))))
	}
}

func (s *faultRun) log(format string, args ...any) {
	if s.verbose {
		s.Logf("%v: "+format, append([]any{s.lan.Now}, args...)...)
	}
}

func (s *faultRun) node() *vrrptest.Node { return s.lan.Nodes[s.rand.IntN(len(s.lan.Nodes))] }

func (s *faultRun) router() *vrrptest.Router {
	n := s.node()
	return n.Routers[s.rand.IntN(len(n.Routers))]
}

// fault applies one fault.
func (s *faultRun) fault() {
	s.settled = s.lan.Now
	l, n, r := s.lan, s.node(), s.router()
	kind := s.rand.IntN(17)
	s.log("fault %d, %s, %s", kind, n.Name, r.Name)
	switch kind {
	case 0:
		l.Cut(n.Name, "")
	case 1:
		l.Cut(r.Name, s.node().Name)
	case 2:
		l.CutOneWay(n.Name, s.node().Name)
	case 3:
		l.Heal()
	case 4:
		l.Loss = s.rand.Float64()
	case 5:
		l.Loss = 0
	case 6:
		n.Stop()
	case 7:
		n.Kill()
	case 8:
		n.Start(0, s.rand.IntN(2) == 0)
	case 9:
		n.Pause()
	case 10:
		n.Continue()
	case 11:
		if r.Faults == 0 {
			r.SetFaults(vrrp.FaultLinkDown)
		} else {
			r.SetFaults(0)
		}
	case 12:
		r.Step(vrrp.Event{Kind: vrrp.AddressLost})
	case 13:
		prio := uint8(50 + 50*s.rand.IntN(4))
		for _, r := range n.Routers {
			c := r.Config
			if c.Priority != vrrp.PriorityOwner {
				c.Priority = prio
			}
			r.Reload(c)
		}
	case 14, 15: // of one router, or of all
		for _, m := range n.Routers {
			if m == r || kind == 15 {
				m.Step(vrrp.Event{Kind: vrrp.HandOver, Force: s.rand.IntN(2) == 0})
			}
		}
	case 16:
		r.Step(vrrp.Event{Kind: vrrp.Restrain, Restraint: vrrp.Restraint(s.rand.IntN(3))})
	}
}

// calm ends all faults. Some nodes stay stopped, but not all.
func (s *faultRun) endFaults() {
	s.log("end of faults")
	s.settled = s.lan.Now
	s.lan.Heal()
	s.lan.Loss = 0
	for k, n := range s.lan.Nodes {
		n.Continue()
		if k == 0 || s.rand.IntN(4) != 0 {
			n.Start(0, s.rand.IntN(2) == 0)
		}
		for _, r := range n.Routers {
			r.SetFaults(0)
		}
	}
	handing := func(r *vrrptest.Router) bool { return r.Node().Running() && r.Instance.HandingOver() }
	for _, n := range s.lan.Nodes {
		for _, r := range n.Routers {
			if handing(r) {
				s.lan.RunUntil(r.Instance.HandOverTime()+time.Second, func() bool { return !handing(r) })
			}
		}
	}
	for _, n := range s.lan.Nodes {
		for _, r := range n.Routers {
			r.Step(vrrp.Event{Kind: vrrp.Restrain})
		}
	}
}

// settle waits for as long as the protocol may take and checks the outcome.
func (s *faultRun) settle() {
	wait := time.Duration(0)
	for _, n := range s.lan.Nodes {
		for _, r := range n.Routers {
			c := r.Config
			c.AdvertInterval = s.interval // learned from the slowest master, at worst
			down := vrrp.New(c).MasterDownInterval()
			if c.PreemptDelay > 0 {
				// The delay begins with the first advert of a master of lower priority,
				// which has to take over first, and each of its adverts until the end of
				// the delay starts the timer again.
				down = 2*down + c.PreemptDelay + c.AdvertInterval
			}
			if c.Auth == vrrp.AuthAH {
				// A master that has lost its sequence number learns it from the router
				// that therefore takes over.
				down += c.AdvertInterval
			}
			if n.Sync {
				// Members wait for one another: once more the same time.
				down *= 2
			}
			wait = max(wait, down)
		}
	}
	// An advert in transit when the last fault ended counts from its arrival.
	s.lan.Run(wait + 2*s.lan.MaxDelay)
	s.log("settled? %v", s.lan)
	for _, segment := range []string{"left", "right"} {
		var running []*vrrptest.Router
		for _, n := range s.lan.Nodes {
			for _, r := range n.Routers {
				if r.Segment == segment && n.Running() {
					running = append(running, r)
				}
			}
		}
		if len(running) == 0 {
			continue
		}
		masters := s.lan.Masters(segment)
		if len(masters) != 1 {
			s.Errorf("%d masters on %s, %v after the last fault: %v", len(masters), segment, wait, s.lan)
			return
		}
		for _, r := range running {
			m := masters[0]
			if r.Config.Priority > m.Config.Priority && !r.Config.NoPreempt {
				s.Errorf("%s is master with %d on %s, and %s has %d: %v",
					m.Name, m.Config.Priority, segment, r.Name, r.Config.Priority, s.lan)
			}
		}
	}
}

// observe checks after each step that no two masters receive each other's adverts for
// longer than the next advert of the better one takes.
func (s *faultRun) observe(n *vrrptest.Node, ev vrrp.Event, actions []vrrp.Action) {
	if s.verbose {
		for _, a := range actions {
			if a.Kind != vrrp.SendAdvert || a.Priority == 0 || len(actions) > 1 {
				s.log("  %v (on %v)", a, ev.Kind)
			}
		}
	}
	for _, segment := range []string{"left", "right"} {
		masters := s.lan.Masters(segment)
		for k, a := range masters {
			for _, b := range masters[:k] {
				since := max(a.Since, b.Since, a.Lost, b.Lost, s.settled)
				allowed := max(a.Config.AdvertInterval, b.Config.AdvertInterval) + 3*s.lan.MaxDelay
				if a.Config.Auth == vrrp.AuthAH {
					// A master that has lost its sequence number must receive the advert
					// of the other first.
					allowed *= 2
				}
				if s.lan.Hears(a, b) && s.lan.Hears(b, a) && s.lan.Now-since > allowed {
					s.Errorf("%s and %s are master and hear each other since %v: %v", a.Name, b.Name, since, s.lan)
				}
			}
		}
	}
}

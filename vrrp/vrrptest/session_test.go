package vrrptest_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"keepalived-go/bfd"
	"keepalived-go/vrrp"
	"keepalived-go/vrrp/vrrptest"
)

// watched is a network whose nodes watch each other with BFD sessions, with an interval
// of 10 ms and a multiplier of 3, over the paths of the adverts.
type watched struct {
	*vrrptest.LAN
	rand     *rand.Rand
	sessions []*watch
	wire     []sessionPacket
	lose     func(from, to *vrrptest.Router) bool // whether a BFD packet is lost; nil: none
	downs    int
}

// watch is the session of a node with another one.
type watch struct {
	own, other *vrrptest.Router
	engine     *bfd.Session
}

type sessionPacket struct {
	at time.Duration
	to *watch
	b  []byte
}

const (
	tick      = 500 * time.Microsecond // of the sessions
	detection = 30 * time.Millisecond
)

func newWatched(seed uint64, sessions bool, priorities ...uint8) *watched {
	w := &watched{LAN: vrrptest.New(seed), rand: rand.New(rand.NewPCG(seed, 2))}
	for n, prio := range priorities {
		w.Add(string(rune('a'+n)), vrrptest.Router{
			Segment: "s", Source: netip.MustParseAddr(fmt.Sprint("10.0.0.", n+1)),
			Config: vrrp.Config{
				Name: "V", VRID: 1, Version: 3, Family: vrrp.IPv4, Priority: prio, AdvertInterval: time.Second,
				Group: netip.MustParseAddr("224.0.0.18"), Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.100")},
			},
		}).Start(0, false)
	}
	for _, a := range w.Nodes {
		for _, b := range w.Nodes {
			if sessions && a != b {
				w.sessions = append(w.sessions, &watch{own: a.Routers[0], other: b.Routers[0]})
			}
		}
	}
	return w
}

// run advances the time by d.
func (w *watched) run(d time.Duration) {
	for end := w.Now + d; w.Now < end; {
		w.Run(tick)
		for len(w.wire) > 0 && w.wire[0].at <= w.Now {
			p := w.wire[0]
			w.wire = w.wire[1:]
			var packet bfd.Packet
			if p.to.engine != nil && bfd.Parse(p.b, &packet) == bfd.RejectNone {
				w.step(p.to, bfd.Event{Kind: bfd.Received, Packet: &packet, TTL: 255})
			}
		}
		for i, s := range w.sessions {
			switch {
			case !s.own.Node().Running():
				s.engine = nil
			case s.engine == nil:
				s.engine = bfd.New(bfd.Config{
					Discriminator: uint32(i + 1), DesiredMinTx: detection / 3, RequiredMinRx: detection / 3, DetectMult: 3, Seed: w.rand.Uint64(),
				})
				w.step(s, bfd.Event{Kind: bfd.Start})
			default:
				if at, runs := s.engine.Deadline(); runs && at <= w.Now {
					w.step(s, bfd.Event{Kind: bfd.Expiry})
				}
			}
		}
	}
}

func (w *watched) step(s *watch, ev bfd.Event) {
	for _, a := range s.engine.Step(w.Now, ev, nil) {
		switch {
		case a.Kind == bfd.SendControl:
			b := s.engine.AppendControl(nil, a)
			back := w.sessions[slices.IndexFunc(w.sessions, func(o *watch) bool { return o.own == s.other && o.other == s.own })]
			if w.Hears(s.other, s.own) && (w.lose == nil || !w.lose(s.own, s.other)) {
				w.wire = append(w.wire, sessionPacket{w.Now + tick, back, b})
			}
		case a.Kind == bfd.Transition && a.To == bfd.Up:
			s.own.Step(vrrp.Event{Kind: vrrp.SessionUp, Neighbor: s.other.Source})
		case a.Kind == bfd.Transition && a.From == bfd.Up:
			w.downs++
			ev := vrrp.Event{Kind: vrrp.SessionDown, Neighbor: s.other.Source}
			if a.Diag == bfd.DiagExpired {
				ev.Silence = detection
			}
			s.own.Step(ev)
		}
	}
}

func (w *watched) masters() string {
	var all []string
	for _, r := range w.Masters("s") {
		all = append(all, r.Name)
	}
	return fmt.Sprint(all)
}

// TestSessionHastensTakeover checks that when the master loses power, the best backup
// replaces it within the detection time and its skew.
func TestSessionHastensTakeover(t *testing.T) {
	for seed := range uint64(100) {
		w := newWatched(seed, true, 200, 150, 50)
		w.run(8*time.Second + time.Duration(w.rand.IntN(1000))*time.Millisecond)
		if w.masters() != "[a]" {
			t.Fatalf("seed %d: %s", seed, w.masters())
		}
		w.Node("a").Kill()
		w.run(detection + vrrp.SkewTime(150, detection) + 3*tick)
		if w.masters() != "[b]" {
			t.Fatalf("seed %d: %s", seed, w)
		}
		if why := w.Router("b").Instance.Stats().BecomeMaster; why != 1 {
			t.Errorf("seed %d: b has become master %d times", seed, why)
		}
		w.run(5 * time.Second)
		if w.masters() != "[b]" || w.Router("c").Instance.Stats().BecomeMaster != 0 {
			t.Fatalf("seed %d: the order is not kept: %s", seed, w)
		}
	}
}

// TestSessionsMakeNoSecondMaster checks that sessions cause no two masters that the timer
// alone would not have caused: whatever is cut, in one direction or in both, in the end
// the same nodes are masters as without sessions, and in between there is no other second
// master.
func TestSessionsMakeNoSecondMaster(t *testing.T) {
	const settle = 12 * time.Second
	for seed := range uint64(25) {
		with, without := newWatched(seed, true, 200, 150, 50), newWatched(seed, false, 200, 150, 50)
		both := [...]*watched{with, without}
		for _, w := range both {
			w.run(settle)
		}
		rnd := rand.New(rand.NewPCG(seed, 3))
		name := func() string { return string(rune('a' + rnd.IntN(3))) }
		for range 5 {
			from, to, kind := name(), name(), rnd.IntN(6)
			for _, w := range both {
				switch kind {
				case 0:
					w.Cut(from, to)
				case 1, 2:
					w.CutOneWay(from, to)
				case 3:
					w.CutOneWay(from, "")
				case 4:
					w.CutOneWay("", to)
				case 5:
					w.Heal()
				}
			}
			what := fmt.Sprintf("seed %d: kind %d, %s, %s", seed, kind, from, to)
			without.run(settle)
			later := without.Masters("s")
			var alone time.Duration // how long there have been two masters that do not last
			for end := with.Now + settle; with.Now < end; {
				with.run(10 * time.Millisecond)
				strange := len(with.Masters("s")) > 1 && slices.ContainsFunc(with.Masters("s"), func(r *vrrptest.Router) bool {
					return !slices.ContainsFunc(later, func(o *vrrptest.Router) bool { return o.Name == r.Name })
				})
				if alone += 10 * time.Millisecond; !strange {
					alone = 0
				}
				// A master that is to yield does so with the next advert that it
				// receives.
				if alone > 1100*time.Millisecond {
					t.Fatalf("%s: %s, without sessions %s", what, with, without)
				}
			}
			if with.masters() != without.masters() {
				t.Fatalf("%s: %s, without sessions %s", what, with, without)
			}
		}
	}
}

// TestSessionLossTowardsMaster checks that a path that loses packets only towards the
// master takes sessions down and changes nothing else, because the backups still receive
// the adverts of the master.
func TestSessionLossTowardsMaster(t *testing.T) {
	w := newWatched(1, true, 200, 150, 50)
	w.run(8 * time.Second)
	w.lose = func(_, to *vrrptest.Router) bool { return to.Name == "a" && w.rand.IntN(2) == 0 }
	w.Observe = func(n *vrrptest.Node, _ vrrp.Event, actions []vrrp.Action) {
		for _, a := range actions {
			if a.Kind == vrrp.Transition {
				t.Errorf("at %v: %s: %v", w.Now, n.Name, a)
			}
		}
	}
	w.downs = 0
	w.run(2 * time.Minute)
	if w.downs < 10 {
		t.Errorf("sessions went down %d times", w.downs)
	}
}

// TestSessionAloneFails checks that when a session fails from the master to a backup and
// adverts do not, an advert of the master arrives before the backup takes over.
func TestSessionAloneFails(t *testing.T) {
	for seed := range uint64(50) {
		w := newWatched(seed, true, 200, 150, 50)
		w.run(8*time.Second + time.Duration(w.rand.IntN(1000))*time.Millisecond)
		w.lose = func(from, to *vrrptest.Router) bool { return from.Name == "a" }
		w.run(5 * time.Second)
		if b := w.Router("b").Instance.Stats().BecomeMaster; w.masters() != "[a]" || b != 0 {
			t.Fatalf("seed %d: %s, b became master %d times", seed, w, b)
		}
	}
}

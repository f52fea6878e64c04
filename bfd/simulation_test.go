package bfd

import (
	"container/heap"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var rounds = flag.Int("rounds", 300, "seeds of the simulation")

// link is two sessions with a path between them, in virtual time. Packets are encoded and
// parsed.
type link struct {
	t     testing.TB
	rnd   *rand.Rand
	now   time.Duration
	ends  [2]*end
	queue deliveries

	// path returns the delay of a packet to the end with this index, and whether it is
	// lost; nil: it arrives 1 ms later.
	path func(to int) (delay time.Duration, lost bool)

	downs int // how often an end left Up
	each  func()
}

type end struct {
	config  Config
	session *Session
	out     []Action
}

type delivery struct {
	at time.Duration
	to int
	b  []byte
	n  int // order of sending
}

type deliveries []delivery

func (d deliveries) Len() int { return len(d) }
func (d deliveries) Less(i, j int) bool {
	return d[i].at < d[j].at || d[i].at == d[j].at && d[i].n < d[j].n
}
func (d deliveries) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *deliveries) Push(x any)   { *d = append(*d, x.(delivery)) }
func (d *deliveries) Pop() any {
	old := *d
	x := old[len(old)-1]
	*d = old[:len(old)-1]
	return x
}

func newLink(t testing.TB, seed uint64) *link {
	l := &link{t: t, rnd: rand.New(rand.NewPCG(seed, 7)), now: time.Hour}
	for i := range l.ends {
		l.ends[i] = &end{config: Config{
			Discriminator: uint32(i + 1), DesiredMinTx: 50 * ms, RequiredMinRx: 50 * ms, DetectMult: 3,
			MinTTL: SingleHopTTL, Seed: l.rnd.Uint64(),
		}}
	}
	return l
}

func (l *link) step(i int, ev Event) {
	e := l.ends[i]
	e.out = e.session.Step(l.now, ev, e.out[:0])
	for _, a := range e.out {
		switch a.Kind {
		case SendControl:
			l.send(1-i, e.session.AppendControl(nil, a))
		case Transition:
			if a.From == Up {
				l.downs++
			}
		}
	}
}

func (l *link) send(to int, b []byte) {
	delay, lost := ms, false
	if l.path != nil {
		delay, lost = l.path(to)
	}
	if !lost {
		heap.Push(&l.queue, delivery{l.now + delay, to, b, len(l.queue)})
	}
}

// run advances the time: packets first, then timers.
func (l *link) run(d time.Duration) {
	until := l.now + d
	for i, e := range l.ends {
		if e.session == nil {
			e.session = New(e.config)
			l.step(i, Event{Kind: Start})
		}
	}
	for steps := 0; ; steps++ {
		next, who := until+1, -1
		if len(l.queue) > 0 {
			next = l.queue[0].at
		}
		for i, e := range l.ends {
			if d, runs := e.session.Deadline(); runs && d < next {
				next, who = d, i
			}
		}
		if next > until {
			break
		}
		l.now = max(l.now, next)
		if who >= 0 {
			l.step(who, Event{Kind: Expiry})
		} else {
			got := heap.Pop(&l.queue).(delivery)
			var p Packet
			if r := Parse(got.b, &p); r != RejectNone {
				l.t.Fatalf("a session has sent %x: %v", got.b, r)
			}
			if p.YourDiscriminator == 0 || p.YourDiscriminator == l.ends[got.to].session.Config().Discriminator {
				l.step(got.to, Event{Kind: Received, Packet: &p, TTL: 255})
			}
		}
		if l.each != nil {
			l.each()
		}
		if steps > 1e6 {
			l.t.Fatal("does not rest")
		}
	}
	l.now = until
}

func (l *link) states() string {
	return fmt.Sprintf("%v and %v", l.ends[0].session.State(), l.ends[1].session.State())
}

func (l *link) bothUp() bool {
	return l.ends[0].session.State() == Up && l.ends[1].session.State() == Up
}

// anyConfig sets random intervals, multipliers and modes.
func (l *link) anyConfig() {
	for _, e := range l.ends {
		c := &e.config
		c.DesiredMinTx = time.Duration(10+l.rnd.IntN(500)) * ms
		c.RequiredMinRx = time.Duration(10+l.rnd.IntN(500)) * ms
		c.DetectMult = uint8(1 + l.rnd.IntN(6))
		c.IdleTx = time.Second + time.Duration(l.rnd.IntN(1000))*ms
		c.Auth = authOf(AuthType(l.rnd.IntN(int(numAuthTypes)-1) + 1))
		if l.rnd.IntN(2) == 0 {
			c.Auth = Auth{}
		}
		if c.DetectMult == 1 {
			c.DetectMult = 2 // with 1 a delay would be a failure
		}
	}
	l.ends[1].config.Auth = l.ends[0].config.Auth
	if l.rnd.IntN(3) == 0 {
		l.ends[l.rnd.IntN(2)].config.Passive = true
	}
}

func seeds(t *testing.T, f func(t *testing.T, l *link)) {
	for seed := range uint64(*rounds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := newLink(t, seed)
			l.anyConfig()
			f(t, l)
		})
	}
}

// TestBothComeUp checks that without loss both ends come Up soon and stay Up, and use the
// negotiated values.
func TestBothComeUp(t *testing.T) {
	seeds(t, func(t *testing.T, l *link) {
		l.run(5 * time.Second)
		if !l.bothUp() {
			t.Fatal(l.states())
		}
		l.run(time.Minute)
		if l.downs > 0 {
			t.Fatal("went down")
		}
		for i, e := range l.ends {
			other := l.ends[1-i]
			if want := max(e.config.DesiredMinTx, other.config.RequiredMinRx); e.session.TxInterval() != want || e.session.Polling() {
				t.Errorf("sends each %v instead of %v, polling %v", e.session.TxInterval(), want, e.session.Polling())
			}
			if e.session.RemoteDetectionTime() != other.session.DetectionTime() {
				t.Errorf("the ends disagree on a detection time: %v, %v", e.session.RemoteDetectionTime(), other.session.DetectionTime())
			}
		}
	})
}

// TestCut checks that when one or both directions are cut, no end stays Up for longer
// than the detection time, and that both come Up again afterwards. A passive end that
// receives nothing may not inform its neighbour (RFC 5880, 6.8.7), which then detects the
// failure by its own detection time.
func TestCut(t *testing.T) {
	seeds(t, func(t *testing.T, l *link) {
		l.run(6*time.Second + time.Duration(l.rnd.IntN(2000))*ms)
		if !l.bothUp() {
			t.Fatal(l.states())
		}
		cut := [2]bool{}
		cut[l.rnd.IntN(2)] = true
		if l.rnd.IntN(2) == 0 {
			cut = [2]bool{true, true}
		}
		l.path = func(to int) (time.Duration, bool) { return ms, cut[to] }
		limit := 2 * ms
		mute := false
		for i, e := range l.ends {
			if cut[i] {
				limit = max(limit, e.session.DetectionTime()+2*ms)
				if e.config.Passive && !cut[1-i] {
					mute = true
					limit += l.ends[1-i].session.DetectionTime()
				}
			}
		}
		l.run(limit)
		for i, e := range l.ends {
			if e.session.State() == Up {
				t.Fatalf("end %d is still Up after %v: %s", i, limit, l.states())
			}
			if want := map[bool]Diag{true: DiagExpired, false: DiagNeighbor}[cut[i]]; !mute && cut != [2]bool{true, true} && e.session.Diag() != want {
				t.Errorf("end %d, cut %v: %v", i, cut, e.session.Diag())
			}
		}
		l.run(20 * time.Second)
		if l.ends[0].session.State() == Up || l.ends[1].session.State() == Up {
			t.Fatal("Up without hearing each other: ", l.states())
		}
		l.path = nil
		if l.run(10 * time.Second); !l.bothUp() {
			t.Fatal("not Up again: ", l.states())
		}
	})
}

// TestLossyPath checks that on a path that loses, delays, repeats and reorders packets,
// an end is never Up alone for longer than the detection times of both ends, and that
// both come Up afterwards.
func TestLossyPath(t *testing.T) {
	seeds(t, func(t *testing.T, l *link) {
		loss := [2]float64{l.rnd.Float64() * 0.7, l.rnd.Float64() * 0.7}
		late := time.Duration(1+l.rnd.IntN(30)) * ms
		l.path = func(to int) (time.Duration, bool) {
			delay := time.Duration(l.rnd.Int64N(int64(late)))
			return delay, l.rnd.Float64() < loss[to]
		}
		var since, limit [2]time.Duration
		l.each = func() {
			for i, e := range l.ends {
				if e.session.State() != Up || l.ends[1-i].session.State() == Up {
					since[i], limit[i] = 0, 0
					continue
				}
				limit[i] = max(limit[i], e.session.DetectionTime()+l.ends[1-i].session.DetectionTime()+2*late)
				if since[i] == 0 {
					since[i] = l.now
				}
				if l.now-since[i] > limit[i] {
					t.Fatalf("end %d is Up alone for %v, more than %v: %s", i, l.now-since[i], limit[i], l.states())
				}
			}
		}
		l.run(time.Minute)
		l.path, l.each = nil, nil
		if l.run(30 * time.Second); !l.bothUp() {
			t.Fatal("not Up on a good path: ", l.states())
		}
		downs := l.downs
		if l.run(30 * time.Second); l.downs != downs {
			t.Error("went down on a good path")
		}
	})
}

// TestTimersChangedWhileUp checks that timers that are changed while Up, at both ends and
// at any moment, take no session down.
func TestTimersChangedWhileUp(t *testing.T) {
	seeds(t, func(t *testing.T, l *link) {
		l.run(6 * time.Second)
		for range 30 {
			e := l.rnd.IntN(2)
			c := *l.ends[e].session.Config()
			c.DesiredMinTx = time.Duration(10+l.rnd.IntN(900)) * ms
			c.RequiredMinRx = time.Duration(10+l.rnd.IntN(900)) * ms
			c.DetectMult = uint8(2 + l.rnd.IntN(5))
			c.Demand = l.rnd.IntN(5) == 0
			l.step(e, Event{Kind: Reconfigure, Config: &c})
			l.run(time.Duration(l.rnd.IntN(2000)) * ms)
		}
		if l.run(time.Minute); l.downs != 0 || !l.bothUp() {
			t.Fatalf("went down %d times, %s", l.downs, l.states())
		}
	})
}

// TestSuccessorGoesUnnoticed checks that an end whose process is replaced resumes within
// the detection time, without an effect on the other end.
func TestSuccessorGoesUnnoticed(t *testing.T) {
	seeds(t, func(t *testing.T, l *link) {
		if l.ends[0].config.Auth.Type.meticulous() {
			return // no successor has the number of the last packet
		}
		l.run(6 * time.Second)
		for range 5 {
			l.run(time.Duration(l.rnd.IntN(3000)) * ms)
			old := l.ends[0]
			before := old.session.Snapshot()
			gone := min(l.ends[1].session.DetectionTime(), old.session.DetectionTime()) / 3
			at := l.now + gone
			l.path = func(int) (time.Duration, bool) { return ms, l.now < at }
			idle := &end{config: old.config, session: New(old.config)}
			l.ends[0] = idle // not started: it receives and sends nothing
			l.run(gone)
			l.path = nil
			next := old.config
			next.Seed = l.rnd.Uint64()
			l.ends[0] = &end{config: next, session: New(next)}
			l.step(0, Event{Kind: Start, Resume: &before})
		}
		if l.run(10 * time.Second); l.downs != 0 || !l.bothUp() {
			t.Fatalf("went down %d times, %s", l.downs, l.states())
		}
	})
}

// TestGoodbye checks that an end that stops, or is disabled, informs the other end, which
// does not count it as a failure, even if the first packet is lost.
func TestGoodbye(t *testing.T) {
	seeds(t, func(t *testing.T, l *link) {
		how := []Event{{Kind: Shutdown}, {Kind: Shutdown, Within: time.Second}, {Kind: Disable}}[l.rnd.IntN(3)]
		l.run(6 * time.Second)
		lost := 0
		l.path = func(to int) (time.Duration, bool) {
			if to == 1 && lost == 0 {
				lost++
				return 0, true
			}
			return ms, false
		}
		l.step(0, how)
		l.run(l.ends[1].session.DetectionTime() + 2*ms)
		if s := l.ends[1].session; lost != 1 || s.State() != Down || s.Diag() != DiagNeighbor || s.RemoteState() != AdminDown || s.RemoteDiag() != DiagAdminDown {
			t.Fatal(s.State(), s.Diag(), s.RemoteDiag())
		}
	})
}

package bfd

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	ms = time.Millisecond
	us = time.Microsecond
)

// ours returns the configuration of the session under test: 50 ms, 60 ms, multiplier 4.
func ours() Config {
	return Config{Discriminator: 0x11, DesiredMinTx: 50 * ms, RequiredMinRx: 60 * ms, DetectMult: 4, MinTTL: SingleHopTTL, Seed: 1}
}

// theirs returns a packet of a neighbour with 100 ms, 80 ms, multiplier 3 while Up.
func theirs(state State) Packet {
	p := Packet{State: state, DetectMult: 3, MyDiscriminator: 0x22, YourDiscriminator: 0x11,
		DesiredMinTx: time.Second, RequiredMinRx: 80 * ms}
	if state == Up {
		p.DesiredMinTx = 100 * ms
	}
	return p
}

// at is a session with its time and the actions of the last step.
type at struct {
	*Session
	t   testing.TB
	now time.Duration
	out []Action
}

func begin(t testing.TB, c Config) *at {
	a := &at{Session: New(c), t: t, now: time.Hour}
	a.step(Event{Kind: Start})
	return a
}

func (a *at) step(ev Event) *at {
	a.out = a.Step(a.now, ev, a.out[:0])
	return a
}

func (a *at) hear(p Packet) *at { return a.step(Event{Kind: Received, Packet: &p, TTL: 255}) }

// wait advances the time, with every expiry on time, and collects the actions.
func (a *at) wait(d time.Duration) *at {
	until := a.now + d
	var all []Action
	for {
		next, runs := a.Deadline()
		if !runs || next > until {
			break
		}
		a.now = max(a.now, next)
		all = append(all, a.step(Event{Kind: Expiry}).out...)
		if len(all) > 1<<16 {
			a.t.Fatal("does not rest")
		}
	}
	a.now, a.out = until, all
	return a
}

// to brings the session to a state by packets of a neighbour.
func (a *at) to(s State) *at {
	switch s {
	case AdminDown:
		a.step(Event{Kind: Disable})
	case Init:
		a.hear(theirs(Down))
	case Up:
		a.hear(theirs(Init))
		p := theirs(Up)
		p.Final = true
		a.hear(p)
	}
	if a.State() != s {
		a.t.Fatalf("the state is %v instead of %v", a.State(), s)
	}
	return a
}

func (a *at) did(k ActionKind) []Action {
	return slices.DeleteFunc(slices.Clone(a.out), func(x Action) bool { return x.Kind != k })
}

// TestReceivedState checks the state machine of RFC 5880, 6.8.6 and 6.2: each state with
// each received state.
func TestReceivedState(t *testing.T) {
	for _, row := range []struct {
		from, received, to State
		diag               Diag
	}{
		{Down, AdminDown, Down, DiagNone},
		{Down, Down, Init, DiagNone},
		{Down, Init, Up, DiagNone},
		{Down, Up, Down, DiagNone},
		{Init, AdminDown, Down, DiagNeighbor},
		{Init, Down, Init, DiagNone},
		{Init, Init, Up, DiagNone},
		{Init, Up, Up, DiagNone},
		{Up, AdminDown, Down, DiagNeighbor},
		{Up, Down, Down, DiagNeighbor},
		{Up, Init, Up, DiagNone},
		{Up, Up, Up, DiagNone},
		{AdminDown, AdminDown, AdminDown, DiagAdminDown},
		{AdminDown, Down, AdminDown, DiagAdminDown},
		{AdminDown, Init, AdminDown, DiagAdminDown},
		{AdminDown, Up, AdminDown, DiagAdminDown},
	} {
		t.Run(fmt.Sprintf("%v hears %v", row.from, row.received), func(t *testing.T) {
			a := begin(t, ours()).to(row.from)
			a.hear(theirs(row.received))
			if a.State() != row.to || a.Diag() != row.diag {
				t.Errorf("%v, %v; want %v, %v", a.State(), a.Diag(), row.to, row.diag)
			}
			changes := a.did(Transition)
			if (len(changes) > 0) != (row.from != row.to) {
				t.Errorf("reported %v", changes)
			}
			if sent := len(a.did(SendControl)); (sent == 1) != (row.from != row.to) {
				t.Errorf("%d packets at once; the neighbour is informed of a change only", sent)
			}
		})
	}
}

// TestReception checks the other rules of RFC 5880, 6.8.6, in its order.
func TestReception(t *testing.T) {
	for _, row := range []struct {
		name   string
		config func(*Config)
		state  State
		packet func(*Packet)
		ttl    uint8
		reject Reject
		check  func(*testing.T, *at)
	}{
		{name: "TTL 254 in a single-hop session", state: Up, ttl: 254, reject: RejectTTL},
		{name: "TTL 254 in a multihop session", config: func(c *Config) { c.MinTTL = 250 }, state: Up, ttl: 254},
		{name: "TTL 249 there", config: func(c *Config) { c.MinTTL = 250 }, state: Up, ttl: 249, reject: RejectTTL},
		{name: "authentication where none is configured", state: Up, packet: func(p *Packet) { p.Auth.Type = AuthPassword }, reject: RejectAuthUnexpected},
		{name: "none where it is configured", state: Down, config: func(c *Config) {
			c.Auth = Auth{Type: AuthPassword, SendKey: 1, Keys: map[uint8][]byte{1: []byte("x")}}
		}, reject: RejectAuthMissing},
		{name: "the discriminator of the neighbour is taken", state: Down, packet: func(p *Packet) { p.MyDiscriminator = 99 }, check: func(t *testing.T, a *at) {
			if k := a.did(NeighborKnown); a.RemoteDiscriminator() != 99 || len(k) != 1 || k[0].Number != 99 {
				t.Errorf("%d, %v", a.RemoteDiscriminator(), k)
			}
		}},
		{name: "detection time", state: Up, check: func(t *testing.T, a *at) {
			if d := a.DetectionTime(); d != 3*100*ms {
				t.Error(d) // their multiplier, the greater of their Tx and our Rx
			}
		}},
		{name: "detection time by our own Rx", state: Up, packet: func(p *Packet) { p.DesiredMinTx = 10 * ms }, check: func(t *testing.T, a *at) {
			if d := a.DetectionTime(); d != 3*60*ms {
				t.Error(d)
			}
		}},
		{name: "transmit interval", state: Up, check: func(t *testing.T, a *at) {
			if d := a.TxInterval(); d != 80*ms {
				t.Error(d) // the greater of our Tx and their Rx
			}
		}},
		{name: "a smaller Rx of the neighbour shortens the interval at once", state: Up, packet: func(p *Packet) { p.RequiredMinRx = us }, check: func(t *testing.T, a *at) {
			if d, _ := a.Deadline(); a.TxInterval() != 50*ms || d > a.now+50*ms {
				t.Error(a.TxInterval(), d-a.now)
			}
		}},
		{name: "Rx 0: no periodic packets", state: Up, packet: func(p *Packet) { p.RequiredMinRx = 0 }, check: func(t *testing.T, a *at) {
			if a.wait(250 * ms); len(a.did(SendControl)) != 0 || a.State() != Up {
				t.Error(a.out)
			}
		}},
		{name: "demand of the neighbour: no periodic packets", state: Up, packet: func(p *Packet) { p.Demand = true }, check: func(t *testing.T, a *at) {
			if a.wait(250 * ms); len(a.did(SendControl)) != 0 || a.State() != Up {
				t.Error(a.out)
			}
		}},
		{name: "demand of a neighbour that is not Up counts not", state: Up, packet: func(p *Packet) { p.Demand, p.State = true, Init }, check: func(t *testing.T, a *at) {
			if a.wait(250 * ms); len(a.did(SendControl)) == 0 {
				t.Error("nothing was sent")
			}
		}},
		{name: "a poll is answered at once", state: Up, packet: func(p *Packet) { p.Poll = true }, check: func(t *testing.T, a *at) {
			if s := a.did(SendControl); len(s) != 1 || !s[0].Final || s[0].Poll {
				t.Error(a.out)
			}
		}},
		{name: "a poll that changes the state has one answer", state: Down, packet: func(p *Packet) { p.Poll = true }, check: func(t *testing.T, a *at) {
			if s := a.did(SendControl); len(s) != 1 || !s[0].Final || a.State() != Init {
				t.Error(a.out)
			}
		}},
		{name: "disabled: a poll is not answered", state: AdminDown, packet: func(p *Packet) { p.Poll = true }, reject: RejectAdminDown},
		{name: "a final without a poll means nothing", state: Up, packet: func(p *Packet) { p.Final = true }, check: func(t *testing.T, a *at) {
			if len(a.out) != 0 {
				t.Error(a.out)
			}
		}},
		{name: "a diagnostic that is not defined is taken", state: Up, packet: func(p *Packet) { p.Diag = 30 }, check: func(t *testing.T, a *at) {
			if a.RemoteDiag() != 30 || a.RemoteDiag().String() != "Reserved" {
				t.Error(a.RemoteDiag())
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := ours()
			if row.config != nil {
				row.config(&c)
			}
			a := begin(t, c)
			if c.Auth.Type == AuthNone {
				a.to(row.state)
			}
			p := theirs(row.state)
			if row.state == AdminDown {
				p = theirs(Down)
			}
			if row.packet != nil {
				row.packet(&p)
			}
			before := *a.Stats()
			if row.ttl == 0 {
				row.ttl = 255
			}
			a.step(Event{Kind: Received, Packet: &p, TTL: row.ttl})
			counted := a.Stats().Rejected[row.reject] - before.Rejected[row.reject]
			if dropped := row.reject != RejectNone; dropped && (counted != 1 || len(a.did(SendControl)) > 0) || !dropped && a.Stats().Received != before.Received+1 {
				t.Errorf("counted %d of %v, received %d", counted, row.reject, a.Stats().Received-before.Received)
			}
			if row.check != nil {
				row.check(t, a)
			}
		})
	}
}

// TestTransmission checks which packets are sent when: RFC 5880, 6.8.7, in its order.
func TestTransmission(t *testing.T) {
	t.Run("a packet each IdleTx while not Up, jittered", func(t *testing.T) {
		a := begin(t, ours())
		a.wait(100 * time.Second)
		if n := len(a.did(SendControl)); n < 101 || n > 134 {
			t.Error(n)
		}
	})
	t.Run("the passive role waits for the neighbour", func(t *testing.T) {
		c := ours()
		c.Passive = true
		a := begin(t, c)
		if a.wait(10 * time.Second); len(a.out) != 0 {
			t.Error(a.out)
		}
		if a.hear(theirs(Down)); len(a.did(SendControl)) != 1 {
			t.Error(a.out)
		}
		// The session stops sending when the neighbour has disappeared.
		a.wait(10 * time.Second)
		if a.wait(10 * time.Second); len(a.out) != 0 || a.RemoteDiscriminator() != 0 || a.State() != Down {
			t.Error(a.out, a.State())
		}
	})
	t.Run("between 75 and 100 percent of the interval", func(t *testing.T) {
		spacing(t, 4, 75, 100)
	})
	t.Run("between 75 and 90 percent with a multiplier of one", func(t *testing.T) {
		spacing(t, 1, 75, 90)
	})
	t.Run("the fields", func(t *testing.T) {
		a := begin(t, ours())
		want := func(name string, p Packet) {
			t.Helper()
			var got Packet
			b := a.AppendControl(nil, a.did(SendControl)[0])
			if r := Parse(b, &got); r != RejectNone || !samePacket(got, p) {
				t.Errorf("%s: %+v, %v", name, got, r)
			}
		}
		a.wait(0)
		p := Packet{State: Down, DetectMult: 4, MyDiscriminator: 0x11, DesiredMinTx: time.Second, RequiredMinRx: 60 * ms}
		want("Down", p)
		a.hear(theirs(Down))
		p.State, p.YourDiscriminator = Init, 0x22
		want("Init", p)
		a.hear(theirs(Up))
		p.State, p.Poll, p.DesiredMinTx = Up, true, 50*ms
		want("Up", p)
		f := theirs(Up)
		f.Final = true
		if a.hear(f); a.Polling() {
			t.Error("the poll is answered")
		}
		a.wait(80 * ms)
		p.Poll = false
		want("Up, polled", p)
		a.hear(theirs(Down))
		p.State, p.Diag, p.DesiredMinTx = Down, DiagNeighbor, time.Second
		want("Down by the neighbour", p)
	})
	t.Run("a longer Tx waits for the end of the poll, a shorter does not", func(t *testing.T) {
		a := begin(t, ours()).to(Up)
		c := ours()
		c.DesiredMinTx = 500 * ms
		a.step(Event{Kind: Reconfigure, Config: &c})
		if a.TxInterval() != 80*ms || !a.Polling() {
			t.Error(a.TxInterval(), a.Polling())
		}
		a.wait(80 * ms)
		p := theirs(Up)
		p.Final = true
		if a.hear(p); a.TxInterval() != 500*ms || a.Polling() {
			t.Error(a.TxInterval(), a.Polling())
		}
		c.DesiredMinTx = 90 * ms
		if a.step(Event{Kind: Reconfigure, Config: &c}); a.TxInterval() != 90*ms || !a.Polling() {
			t.Error(a.TxInterval(), a.Polling())
		}
	})
	t.Run("a shorter Rx waits for the end of the poll, a longer does not", func(t *testing.T) {
		a := begin(t, ours()).to(Up)
		fast := theirs(Up)
		fast.DesiredMinTx = 10 * ms
		a.hear(fast)
		c := ours()
		c.RequiredMinRx = 20 * ms
		if a.step(Event{Kind: Reconfigure, Config: &c}); a.DetectionTime() != 3*60*ms {
			t.Error(a.DetectionTime())
		}
		a.wait(80 * ms)
		fast.Final = true
		if a.hear(fast); a.DetectionTime() != 3*20*ms {
			t.Error(a.DetectionTime())
		}
		c.RequiredMinRx = 200 * ms
		if a.step(Event{Kind: Reconfigure, Config: &c}); a.DetectionTime() != 3*200*ms {
			t.Error(a.DetectionTime())
		}
	})
	t.Run("a change during a poll has a poll of its own", func(t *testing.T) {
		a := begin(t, ours()).to(Up)
		c := ours()
		for _, tx := range []time.Duration{200 * ms, 300 * ms} {
			c.DesiredMinTx = tx
			a.step(Event{Kind: Reconfigure, Config: &c}).wait(80 * ms)
		}
		p := theirs(Up)
		p.Final = true
		if a.hear(p); !a.Polling() || a.TxInterval() != 80*ms {
			t.Error("the answer may be to the first")
		}
		a.wait(80 * ms)
		if a.hear(p); a.Polling() || a.TxInterval() != 300*ms {
			t.Error(a.TxInterval())
		}
	})
}

func samePacket(a, b Packet) bool {
	a.Auth, b.Auth = AuthSection{}, AuthSection{}
	return fmt.Sprint(a) == fmt.Sprint(b)
}

// spacing measures the intervals between packets while Up.
func spacing(t *testing.T, mult uint8, least, most time.Duration) {
	c := ours()
	c.DetectMult = mult
	a := begin(t, c).to(Up)
	low, high, last := never, time.Duration(0), a.now
	for range 5000 {
		a.wait(ms)
		if len(a.did(SendControl)) > 0 {
			low, high, last = min(low, a.now-last), max(high, a.now-last), a.now
		}
		a.hear(theirs(Up))
	}
	every := a.TxInterval()
	if low < every*least/100-ms || high > every*most/100+ms || high-low < every/20 {
		t.Errorf("between %v and %v of %v", low, high, every)
	}
}

// TestDetection checks the detection time: RFC 5880, 6.8.4.
func TestDetection(t *testing.T) {
	for _, from := range []State{Down, Init, Up} {
		t.Run(from.String(), func(t *testing.T) {
			a := begin(t, ours())
			if from == Down { // received, without an effect on the state
				a.hear(theirs(Up))
			} else {
				a.to(from)
			}
			wait := a.DetectionTime()
			if a.wait(wait - us); a.State() != from || a.RemoteDiscriminator() == 0 {
				t.Fatal("too early")
			}
			a.wait(us)
			if a.State() != Down || a.RemoteDiscriminator() != 0 {
				t.Fatal("not in time", a.State())
			}
			e := a.did(Expired)
			if from == Down {
				if len(e) != 0 || len(a.did(Transition)) != 0 {
					t.Error(a.out)
				}
				return
			}
			if len(e) != 1 || e[0].Time != wait || a.Diag() != DiagExpired || len(a.did(SendControl)) == 0 {
				t.Error(a.out)
			}
		})
	}
	t.Run("a late expiry says how late", func(t *testing.T) {
		a := begin(t, ours()).to(Up)
		a.now += a.DetectionTime() + 7*ms
		if e := a.step(Event{Kind: Expiry}).did(Expired); len(e) != 1 || e[0].Late != 7*ms {
			t.Error(a.out)
		}
	})
	t.Run("a packet at the last moment counts", func(t *testing.T) {
		a := begin(t, ours()).to(Up)
		a.now += a.DetectionTime()
		a.hear(theirs(Up)).step(Event{Kind: Expiry})
		if a.State() != Up {
			t.Error(a.State())
		}
	})
}

func TestDemand(t *testing.T) {
	c := ours()
	c.Demand, c.PollInterval = true, 2*time.Second
	a := begin(t, c).to(Up)
	if !a.Polling() {
		t.Fatal("the neighbour must hear of the demand bit")
	}
	a.wait(80 * ms)
	var p Packet
	if Parse(a.AppendControl(nil, a.did(SendControl)[0]), &p); !p.Demand || !p.Poll {
		t.Fatalf("%+v", p)
	}
	final := theirs(Up)
	final.Final = true
	a.hear(final)
	if a.wait(1900 * ms); a.State() != Up || a.Polling() {
		t.Fatal("silence is what was asked for")
	}
	a.wait(200 * ms)
	if !a.Polling() {
		t.Fatal("no poll after its interval")
	}
	a.hear(final)
	if a.wait(time.Second); a.State() != Up {
		t.Fatal(a.State())
	}
	a.step(Event{Kind: Verify})
	if a.wait(4*80*ms + 81*ms); a.State() != Down || a.Diag() != DiagExpired {
		t.Fatal("a poll without an answer", a.State())
	}
}

func TestEcho(t *testing.T) {
	c := ours()
	c.EchoTx, c.RequiredMinEchoRx = 20*ms, 10*ms
	a := begin(t, c).to(Up)
	if a.wait(200 * ms); len(a.did(SendEcho)) != 0 {
		t.Fatal("the neighbour returns no echo packets")
	}
	with := theirs(Up)
	with.RequiredMinEchoRx = 25 * ms
	a.hear(with)
	if a.requiredRx != time.Second || !a.Polling() {
		t.Error("control packets need not come often now", a.requiredRx)
	}
	with.Final = true
	for range 100 {
		a.wait(25 * ms)
		if len(a.did(SendEcho)) > 0 {
			e, ok := ParseEcho(a.AppendEcho(nil))
			if !ok {
				t.Fatal("not an echo packet")
			}
			a.step(Event{Kind: EchoReceived, Echo: e})
		}
		a.hear(with)
	}
	if a.State() != Up || a.Stats().EchoReceived < 90 {
		t.Fatal(a.State(), a.Stats().EchoReceived)
	}
	forged := Echo{Discriminator: 0x11, Sequence: a.echoSeq, Cookie: 1}
	for range 3 {
		a.wait(25 * ms)
		a.hear(with).step(Event{Kind: EchoReceived, Echo: forged})
	}
	a.wait(26 * ms)
	if a.State() != Down || a.Diag() != DiagEchoFailed || len(a.did(EchoExpired)) != 1 {
		t.Fatal(a.State(), a.Diag())
	}
	without := theirs(Init)
	without.RequiredMinEchoRx = 0
	if a.hear(without); a.requiredRx != 60*ms {
		t.Error(a.requiredRx)
	}
}

func TestAdministration(t *testing.T) {
	a := begin(t, ours()).to(Up)
	a.step(Event{Kind: PathFailed, Diag: DiagConcatenatedDown})
	if a.State() != Down || a.Diag() != DiagConcatenatedDown {
		t.Error(a.State(), a.Diag())
	}
	a.step(Event{Kind: Disable})
	if s := a.did(SendControl); a.State() != AdminDown || a.Diag() != DiagAdminDown || len(s) != 1 {
		t.Error(a.out)
	}
	if a.wait(3 * time.Second); len(a.did(SendControl)) < 3 {
		t.Error("the neighbour is informed for longer than its detection time")
	}
	a.step(Event{Kind: Enable})
	if a.State() != Down {
		t.Error(a.State())
	}
	a.hear(theirs(Init))
	if a.State() != Up {
		t.Error(a.State())
	}
}

// TestAdminDownPace checks that AdminDown is sent for as long as the neighbour waits for
// a packet, at intervals at which the loss of one packet has no effect (RFC 5880,
// 6.8.16).
func TestAdminDownPace(t *testing.T) {
	slow := func(c *Config) { c.DesiredMinTx, c.DetectMult = 2*time.Second, 3 }
	for _, row := range []struct {
		name        string
		config      func(*Config)
		from        State
		receives    time.Duration // Required Min RX Interval of the neighbour
		event       Event
		during      time.Duration // after the event, until Stopped; with Disable: until the pace of AdminDown
		least, most int           // packets in this time
	}{
		{"a stop", nil, Up, 80 * ms, Event{Kind: Shutdown}, 4 * 80 * ms, 4, 6},
		{"a stop with time enough", nil, Up, 80 * ms, Event{Kind: Shutdown, Within: time.Second}, 4 * 80 * ms, 4, 6},
		{"a stop with too little time", nil, Up, 80 * ms, Event{Kind: Shutdown, Within: 100 * ms}, 100 * ms, 2, 2},
		{"disabled", nil, Up, 80 * ms, Event{Kind: Disable}, 4 * 80 * ms, 4, 6},
		{"slow packets: the whole time", slow, Up, 80 * ms, Event{Kind: Shutdown}, 6 * time.Second, 6, 9},
		{"slow packets, a second: as many as matter", slow, Up, 80 * ms, Event{Kind: Shutdown, Within: time.Second}, time.Second, 4, 6},
		{"a neighbour that cannot receive more", slow, Up, 700 * ms, Event{Kind: Shutdown, Within: time.Second}, time.Second, 2, 2},
		{"a neighbour that wants nothing hears the news", nil, Up, 0, Event{Kind: Shutdown, Within: time.Second}, 4 * 50 * ms, 1, 1},
		{"the neighbour may be Up already", nil, Init, 80 * ms, Event{Kind: Shutdown}, 4 * time.Second, 4, 6},
		{"Down: nobody is to be informed for long", nil, Down, 80 * ms, Event{Kind: Shutdown}, 0, 1, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			c := ours()
			if row.config != nil {
				row.config(&c)
			}
			a := begin(t, c).to(row.from)
			if row.from == Up {
				p := theirs(Up)
				p.RequiredMinRx = row.receives
				a.hear(p)
			}
			before := len(a.step(row.event).did(SendControl))
			if a.State() != AdminDown {
				t.Fatal(a.State())
			}
			if row.during > 0 {
				a.wait(row.during - us)
				before += len(a.did(SendControl))
				if len(a.did(Stopped)) != 0 {
					t.Error("stopped too early")
				}
			}
			if before < row.least || before > row.most {
				t.Errorf("%d packets, want %d to %d", before, row.least, row.most)
			}
			if row.event.Kind == Disable {
				if n := len(a.wait(10 * time.Second).did(SendControl)); n < 10 || n > 14 {
					t.Errorf("%d packets in the ten seconds after it, want one in 0.75 to 1 s", n)
				}
				return
			}
			if a.wait(us); len(a.did(Stopped)) != 1 {
				t.Error("not stopped")
			}
		})
	}
}

func TestShutdown(t *testing.T) {
	a := begin(t, ours()).to(Up)
	wait := a.RemoteDetectionTime()
	a.step(Event{Kind: Shutdown})
	a.hear(theirs(Up)).wait(wait)
	if a.State() != AdminDown || len(a.did(Stopped)) != 1 {
		t.Error(a.State(), a.out)
	}
	if _, runs := a.Deadline(); runs || len(a.hear(theirs(Down)).out) != 0 {
		t.Error("something happens after the end")
	}
	b := begin(t, ours()).to(Up)
	b.step(Event{Kind: Shutdown}).wait(ms)
	if b.step(Event{Kind: Shutdown, Within: time.Hour}); b.end != b.now-ms+wait {
		t.Errorf("a second one makes it longer: %v", b.end-b.now)
	}
	if b.step(Event{Kind: Shutdown, Within: 10 * ms}).wait(10 * ms); len(b.did(Stopped)) != 1 {
		t.Error("a second one cannot shorten it")
	}
	d := begin(t, ours()).to(Up)
	d.step(Event{Kind: Disable}).wait(wait / 2)
	if d.step(Event{Kind: Shutdown}).wait(wait/2 - us); len(d.did(Stopped)) != 0 {
		t.Error("a neighbour that is being informed is not informed to the end")
	}
	if d.wait(us); len(d.did(Stopped)) != 1 {
		t.Error("one that has been informed is informed again")
	}
}

// TestResume checks that a successor continues where its predecessor ended.
func TestResume(t *testing.T) {
	before := begin(t, ours()).to(Up).Snapshot()
	c := ours()
	c.Discriminator, c.Seed = 77, 2
	a := &at{Session: New(c), t: t, now: 2 * time.Hour}
	a.step(Event{Kind: Start, Resume: &before})
	if a.State() != Up || a.Config().Discriminator != 0x11 || len(a.did(Transition)) != 0 {
		t.Fatal(a.State(), a.out)
	}
	var p Packet
	if Parse(a.AppendControl(nil, a.did(SendControl)[0]), &p); p.State != Up || p.YourDiscriminator != 0x22 || p.DesiredMinTx != 50*ms {
		t.Errorf("%+v", p)
	}
	if a.wait(299 * ms); a.State() != Up {
		t.Error("the neighbour has its detection time")
	}
	if a.wait(ms); a.State() != Down {
		t.Error(a.State())
	}
	down := before
	down.State = Init
	b := &at{Session: New(c), t: t, now: time.Hour}
	if b.step(Event{Kind: Start, Resume: &down}); b.State() != Down || b.Config().Discriminator != 0x11 {
		t.Error(b.State())
	}
}

func TestNames(t *testing.T) {
	for r := range Reject(numRejects) {
		if r.String() == "" || strings.Contains(r.String(), " ") {
			t.Errorf("reason %d is called %q", r, r)
		}
	}
	for _, s := range []string{State(9).String(), Reject(200).String(), AuthType(9).String(), Diag(40).String()} {
		if s == "" {
			t.Error("a value without a name")
		}
	}
}

package bfdd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"keepalived-go/bfd"
	"keepalived-go/conf"
	"keepalived-go/internal/linux/mmsg"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/proc/statefile"
	"keepalived-go/internal/proc/wire"
)

const ms = time.Millisecond

func instance(name, neighbor string) *conf.BFDInstance {
	return &conf.BFDInstance{
		Name: name, Neighbor: netip.MustParseAddr(neighbor), MinRx: 50 * ms, MinTx: 50 * ms, IdleTx: time.Second,
		Multiplier: 3, TTL: 255, VRRP: true,
	}
}

// testDaemon is a daemon without sockets, and its reports.
type testDaemon struct {
	*daemon
	events  []link.Event
	blocked bool // the parent does not read
}

func newTestDaemon(t *testing.T) *testDaemon {
	x := &testDaemon{daemon: newDaemon(Options{})}
	var err error
	if x.loop, err = loop.New(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.loop.Close)
	x.saver.Begin(x.loop)
	x.emit = func(m link.Message) bool {
		if !x.blocked {
			x.events = append(x.events, *m.Event)
		}
		return !x.blocked
	}
	return x
}

// add adds a session as reload does, but opens no socket.
func (x *testDaemon) add(b *conf.BFDInstance, left *sessionState) *peer {
	p := x.newPeer(b)
	p.out.fd = 0 // open does nothing
	x.peers = append(x.peers, p)
	x.start(p, x.loop.Now(), left)
	p.out.fd = -1 // and neither does send
	x.index()
	return p
}

func (x *testDaemon) reports() (all []policy.Session) {
	x.spread()
	for _, e := range x.events {
		var s policy.Session
		if wire.Decode(e.Body, &s) == nil {
			all = append(all, s)
		}
	}
	x.events = nil
	return all
}

// packet returns a packet of the neighbour of p in a state.
func packet(p *peer, s bfd.State) bfd.Packet {
	return bfd.Packet{
		State: s, DetectMult: 3, MyDiscriminator: 77, YourDiscriminator: p.engine.Config().Discriminator,
		DesiredMinTx: 50 * ms, RequiredMinRx: 50 * ms,
	}
}

func from(src string, p bfd.Packet) *datagram {
	return &datagram{data: p.Append(nil), src: netip.MustParseAddr(src), Arrival: mmsg.Arrival{Dst: netip.MustParseAddr("192.0.2.1"), Link: 2, HopLimit: 255}}
}

func TestHear(t *testing.T) {
	x := newTestDaemon(t)
	a := x.add(instance("A", "192.0.2.2"), nil)
	b := x.add(instance("B", "192.0.2.3"), nil)
	own := instance("L", "fe80::1%eth0")
	l := x.newPeer(own)
	l.out.fd, l.out.link = 0, 2
	x.peers = append(x.peers, l)
	x.start(l, x.loop.Now(), nil)
	l.out.fd = -1
	x.index()
	multi := instance("M", "192.0.2.2")
	multi.MultiHop = true
	m := x.add(multi, nil)

	first := packet(a, bfd.Down)
	first.YourDiscriminator = 0
	now := x.loop.Now()
	hear := func(g *datagram, multihop bool, p *peer, want bfd.State) {
		t.Helper()
		x.hear(g, multihop, now)
		if p.engine.State() != want {
			t.Errorf("%s is %v, want %v", p.conf.Name, p.engine.State(), want)
		}
	}
	hear(from("192.0.2.9", first), false, a, bfd.Down) // from an unknown address
	hear(from("192.0.2.2", first), true, a, bfd.Down)  // to the port of multihop sessions
	hear(from("192.0.2.2", first), true, m, bfd.Init)
	hear(from("192.0.2.2", first), false, a, bfd.Init)
	hear(from("192.0.2.3", packet(a, bfd.Up)), false, a, bfd.Init) // by the neighbour of another session
	if a.engine.Stats().Rejected[bfd.RejectAddress] != 1 {
		t.Error("not counted")
	}
	hear(from("192.0.2.3", packet(b, bfd.Init)), false, b, bfd.Up)
	hear(from("192.0.2.2", packet(a, bfd.Up)), false, a, bfd.Up)
	b.conf.Source = netip.MustParseAddr("192.0.2.7")
	hear(from("192.0.2.3", packet(b, bfd.Down)), false, b, bfd.Up) // sent to another address of ours

	g := from("fe80::1", first)
	g.Link = 3
	hear(g, false, l, bfd.Down) // the same address on another link
	g.Link = 2
	hear(g, false, l, bfd.Init)

	far := from("192.0.2.2", packet(a, bfd.Down))
	far.HopLimit = 254
	hear(far, false, a, bfd.Up)
	for _, junk := range [][]byte{nil, {1}, bytes.Repeat([]byte{0xff}, 60)} {
		x.hear(&datagram{data: junk, src: netip.MustParseAddr("192.0.2.2")}, false, now)
	}
}

func TestReports(t *testing.T) {
	x := newTestDaemon(t)
	b := instance("A", "192.0.2.2")
	b.Checker = true
	p := x.add(b, nil)
	x.spread()
	if len(x.events) != 2 || x.events[0].To != "vrrp" || x.events[1].To != "checkers" || x.events[0].Subject != "bfd_instance A" {
		t.Fatalf("%+v", x.events)
	}
	if r := x.reports(); len(r) != 2 || r[0].Up || r[0].Silent != 0 {
		t.Fatalf("at the start: %+v", r)
	}
	now := x.loop.Now()
	x.blocked = true
	x.hear(from("192.0.2.2", packet(p, bfd.Init)), false, now)
	x.spread()
	if !x.resend.Running() {
		t.Fatal("what the parent did not take is forgotten")
	}
	x.blocked = false
	if r := x.reports(); len(r) != 2 || !r[0].Up || r[0].Neighbor != b.Neighbor {
		t.Fatalf("Up: %+v", r)
	}
	x.step(p, now+time.Hour, bfd.Event{Kind: bfd.Expiry})
	if r := x.reports(); len(r) != 2 || r[0].Up || r[0].Silent != 150*ms {
		t.Fatalf("silent: %+v", r)
	}
	x.hear(from("192.0.2.2", packet(p, bfd.Init)), false, now+time.Hour)
	x.hear(from("192.0.2.2", packet(p, bfd.Down)), false, now+time.Hour)
	if r := x.reports(); len(r) != 2 || r[0].Up || r[0].Silent != 0 {
		t.Fatalf("by the neighbour, at once: %+v", r)
	}
}

// TestUnknown checks that the state of a session of a predecessor is unknown until a packet
// shows that it is up, or until it could have come up again: also if it came up after the
// predecessor had written its state for the last time.
func TestUnknown(t *testing.T) {
	left := &sessionState{Port: 50000, Snapshot: bfd.Snapshot{
		State: bfd.Up, RemoteState: bfd.Up, Discriminator: 5, RemoteDiscr: 77,
		RemoteMinTx: 50 * ms, RemoteMinRx: 50 * ms, RemoteMult: 3,
	}}
	begin := func() (*testDaemon, *peer) {
		x := newTestDaemon(t)
		p := x.add(instance("A", "192.0.2.2"), left)
		if r := x.reports(); len(r) != 0 || !p.unknown || p.engine.Config().Discriminator != 5 || p.out.port != 50000 {
			t.Fatalf("%+v, %+v", r, p)
		}
		return x, p
	}
	x, p := begin()
	x.hear(from("192.0.2.2", packet(p, bfd.Up)), false, x.loop.Now())
	if r := x.reports(); len(r) != 1 || !r[0].Up {
		t.Errorf("after a packet: %+v", r)
	}
	x, p = begin()
	x.step(p, x.loop.Now()+time.Second, bfd.Event{Kind: bfd.Expiry})
	if r := x.reports(); len(r) != 0 || p.engine.State() != bfd.Down {
		t.Errorf("its detection time alone decides nothing: %+v", r)
	}
	if p.patience.Deadline() == loop.Never {
		t.Fatal("patience without end")
	}
	p.patience.Expire(0)
	if r := x.reports(); len(r) != 1 || r[0].Up {
		t.Errorf("in the end: %+v", r)
	}
	x, p = begin()
	x.step(p, x.loop.Now()+time.Second, bfd.Event{Kind: bfd.Expiry})
	x.hear(from("192.0.2.2", packet(p, bfd.Init)), false, x.loop.Now()+2*time.Second)
	if r := x.reports(); len(r) != 1 || !r[0].Up || p.unknown {
		t.Errorf("up again: %+v", r)
	}
	left.Snapshot.State, left.Snapshot.RemoteState = bfd.Down, bfd.Down
	x, p = begin()
	x.hear(from("192.0.2.2", packet(p, bfd.Down)), false, x.loop.Now())
	if r := x.reports(); len(r) != 0 || p.engine.State() != bfd.Init {
		t.Errorf("on its way up: %v, %+v", p.engine.State(), r)
	}
	x.hear(from("192.0.2.2", packet(p, bfd.Init)), false, x.loop.Now()+time.Second)
	if r := x.reports(); len(r) != 1 || !r[0].Up || p.unknown {
		t.Errorf("up: %+v", r)
	}
}

func TestState(t *testing.T) {
	x := newTestDaemon(t)
	path := filepath.Join(t.TempDir(), "state")
	x.saver.Path = path
	p := x.add(instance("A", "192.0.2.2"), nil)
	x.hear(from("192.0.2.2", packet(p, bfd.Init)), false, x.loop.Now())
	if !x.saver.Busy() {
		t.Fatal("nothing is to be written")
	}
	for x.saver.Busy() {
		if err := x.loop.Wait(); err != nil {
			t.Fatal(err)
		}
		x.loop.Expire()
	}
	s, err := statefile.Load[state](path, maxState, header())
	if err != nil {
		t.Fatal(err)
	}
	before := s.byIdentity()
	got := before[identityOf(p.conf)]
	if got == nil || got.Snapshot != p.engine.Snapshot() || got.Snapshot.State != bfd.Up {
		t.Fatalf("%+v", got)
	}
	if before[identityOf(instance("A", "192.0.2.3"))] != nil {
		t.Error("the state of another neighbour")
	}
}

func FuzzParseState(f *testing.F) {
	this := statefile.Header{Version: stateVersion, Boot: "x"}
	b, err := json.Marshal(&state{Header: this, Sessions: []sessionState{{Port: 50000}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"Version":1,"Boot":"x","Sessions":[{"Snapshot":{"State":3,"RemoteDiscr":1,"RemoteMult":1}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := statefile.Decode[state](b, this)
		if err != nil || s == nil {
			return
		}
		for i := range s.Sessions {
			e := bfd.New(policy.SessionConfig(instance("A", "192.0.2.2")))
			e.Step(time.Hour, bfd.Event{Kind: bfd.Start, Resume: &s.Sessions[i].Snapshot}, nil)
			e.Step(2*time.Hour, bfd.Event{Kind: bfd.Expiry}, nil)
		}
	})
}

// TestSteadyStateDoesNotAllocate checks that a received packet allocates nothing.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	x := newTestDaemon(t)
	p := x.add(instance("A", "192.0.2.2"), nil)
	now := x.loop.Now()
	x.hear(from("192.0.2.2", packet(p, bfd.Init)), false, now)
	x.spread()
	g := from("192.0.2.2", packet(p, bfd.Up))
	if n := testing.AllocsPerRun(1000, func() { x.hear(g, false, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestReload(t *testing.T) {
	x := newTestDaemon(t)
	a, b := x.add(instance("A", "192.0.2.2"), nil), x.add(instance("B", "192.0.2.3"), nil)
	x.reports()
	now := x.loop.Now()
	x.hear(from("192.0.2.2", packet(a, bfd.Init)), false, now)
	x.reports()
	faster, renamed := instance("A", "192.0.2.2"), instance("C", "192.0.2.2")
	faster.MinTx = 10 * ms
	x.reconfigure(a, now, faster)
	if a.engine.State() != bfd.Up || !a.engine.Polling() || len(x.reports()) != 0 {
		t.Error("a session that is up continues")
	}
	x.reconfigure(a, now, renamed)
	x.spread()
	if text := fmt.Sprint(len(x.events), x.events[0].Subject, len(x.events[0].Body), x.events[1].Subject); text != "2bfd_instance A0bfd_instance C" {
		t.Errorf("another name: %s", text)
	}
	x.peers = x.peers[:1]
	x.leave(b, now, maxGoodbye)
	x.step(b, now, bfd.Event{Kind: bfd.Expiry})
	if b.engine.State() != bfd.AdminDown || len(x.leaving) != 0 || x.byDiscr[b.engine.Config().Discriminator] != nil {
		t.Errorf("a session that is not configured any more: %v", b.engine.State())
	}
}

// TestLeave checks that the end of a session that is removed is reported to its
// neighbour, but not to the processes that have used it: it is no failure.
func TestLeave(t *testing.T) {
	x := newTestDaemon(t)
	slow := func(name, neighbor string) *peer {
		b := instance(name, neighbor)
		b.MinTx, b.Source = 2*time.Second, netip.MustParseAddr("192.0.2.1")
		p := x.add(b, nil)
		x.hear(from(neighbor, packet(p, bfd.Init)), false, x.loop.Now())
		return p
	}
	a, b, c := slow("A", "192.0.2.2"), slow("B", "192.0.2.3"), slow("C", "192.0.2.4")
	if r := x.reports(); len(r) != 3 || !r[0].Up {
		t.Fatalf("%+v", r)
	}
	now := x.loop.Now()
	x.hear(from("192.0.2.2", packet(a, bfd.Down)), false, now)
	x.hear(from("192.0.2.2", packet(a, bfd.Init)), false, now) // not informed yet
	x.peers = []*peer{c}
	x.leave(a, now, maxGoodbye)
	x.leave(b, now, maxGoodbye)
	x.spread()
	for _, e := range x.events {
		if e.Body != nil {
			t.Errorf("%s is reported", e.Subject)
		}
	}
	if len(x.events) != 2 {
		t.Errorf("%d reports are withdrawn", len(x.events))
	}
	if end := b.timer.Deadline(); a.engine.State() != bfd.AdminDown || end > now+time.Second {
		t.Errorf("%v, the next packet after %v", a.engine.State(), end-now)
	}

	// The same neighbour again, by another source address.
	x.makeRoom(identity{Neighbor: a.conf.Neighbor, Source: netip.MustParseAddr("192.0.2.9")})
	x.makeRoom(identity{Neighbor: a.conf.Neighbor, Source: a.conf.Source, MultiHop: true})
	if len(x.leaving) != 2 {
		t.Fatal("another session than the new one is dropped")
	}
	x.makeRoom(identity{Neighbor: a.conf.Neighbor})
	if len(x.leaving) != 1 || x.leaving[0] != b || a.timer.Running() {
		t.Error("the old session with the neighbour disturbs the new one")
	}

	x.stop()
	for range 100 {
		for _, p := range []*peer{b, c} {
			if p.timer.Running() {
				x.step(p, p.timer.Deadline(), bfd.Event{Kind: bfd.Expiry})
			}
		}
	}
	if !x.released() {
		t.Error("not stopped")
	}
}

// TestStop checks that a stop takes at most a second, even if a reload was to inform the
// neighbour for longer.
func TestStop(t *testing.T) {
	x := newTestDaemon(t)
	add := func(neighbor string) *peer {
		b := instance(neighbor, neighbor)
		b.MinTx = 20 * time.Second
		p := x.add(b, nil)
		x.hear(from(neighbor, packet(p, bfd.Init)), false, x.loop.Now())
		return p
	}
	a, b := add("192.0.2.2"), add("192.0.2.3")
	now := x.loop.Now()
	x.peers = []*peer{b}
	x.leave(a, now, maxGoodbye)
	x.stop()
	at := x.loop.Now() + maxStop
	for _, p := range []*peer{a, b} {
		x.step(p, at, bfd.Event{Kind: bfd.Expiry})
	}
	if !x.released() {
		t.Error("not stopped")
	}
}

func TestRole(t *testing.T) {
	c := &conf.Config{BFDInstances: []*conf.BFDInstance{instance("A", "192.0.2.2")}, Instances: []*conf.VRRPInstance{{}}}
	c.Global.ProcessNames = true
	s := Role.Share(c)
	if s.Units != 1 || s.ProcessName != "keepalived_bfd" || s.Config.Instances != nil || len(s.Config.BFDInstances) != 1 {
		t.Errorf("%+v", s)
	}
	c.Global.BFDProcessName = "b"
	if s := Role.Share(c); s.ProcessName != "b" {
		t.Error(s.ProcessName)
	}
}

func TestMinTTL(t *testing.T) {
	for _, row := range []struct{ ttl, hops, want uint8 }{{255, 0, 255}, {255, 2, 253}, {64, 0, 64}, {64, 64, 0}, {255, 255, 0}} {
		b := instance("A", "192.0.2.2")
		b.TTL, b.MaxHops = row.ttl, row.hops
		if got := policy.SessionConfig(b).MinTTL; got != row.want {
			t.Errorf("ttl %d, max_hops %d: %d, want %d", row.ttl, row.hops, got, row.want)
		}
	}
}

package agentx

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// numbers holds the objects 1.1 to 1.9, whose values are their numbers.
type numbers struct{ committed []Varbind }

func (*numbers) Get(name OID) Value {
	if len(name) == 2 && name[0] == 1 && name[1] >= 1 && name[1] <= 9 {
		return Int(int64(name[1]))
	}
	return Value{Type: NoSuchObject}
}

func (n *numbers) Next(r Range) Varbind {
	for i := uint32(1); i <= 9; i++ {
		if o := (OID{1, i}); o.Compare(r.From) > 0 || r.Include && o.Compare(r.From) == 0 {
			return Varbind{o, n.Get(o)}
		}
	}
	return Varbind{r.From, Value{Type: EndOfMIBView}}
}

func (*numbers) Test(set []Varbind) (Status, int) {
	i := slices.IndexFunc(set, func(v Varbind) bool { return v.Value.Type != Integer })
	if i >= 0 {
		return WrongType, i
	}
	return NoError, 0
}

func (n *numbers) Commit(set []Varbind) (Status, int) { n.committed = set; return NoError, 0 }
func (n *numbers) Undo() Status                       { n.committed = nil; return NoError }

// master is a master agent for the agent under test.
type master struct {
	t testing.TB
	net.Listener
	conn net.Conn
	r    *bufio.Reader
}

func newMaster(t testing.TB) (*master, *Agent) {
	path := filepath.Join(t.TempDir(), "master")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	a := &Agent{Network: "unix", Address: path, ID: OID{1, 2, 3}, Subtrees: []OID{{1}, {7}}, Handler: &numbers{}}
	a.Init()
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); a.Run(ctx) }()
	t.Cleanup(func() { end(); <-done })
	return &master{t: t, Listener: l}, a
}

func (m *master) accept() {
	m.t.Helper()
	conn, err := m.Accept()
	if err != nil {
		m.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	m.conn, m.r = conn, bufio.NewReader(conn)
}

func (m *master) read(want Kind) *PDU {
	m.t.Helper()
	p, err := Read(m.r)
	if err != nil || p.Kind != want {
		m.t.Fatalf("%+v, %v; want kind %d", p, err, want)
	}
	return p
}

func (m *master) answer(p *PDU, id uint32) {
	m.conn.Write((&PDU{Kind: Response, Session: id, Transaction: p.Transaction, Packet: p.Packet}).Append(nil))
}

// open lets the agent open a session and register.
func (m *master) open() {
	m.t.Helper()
	m.accept()
	m.answer(m.read(Open), 42)
	for range 2 {
		p := m.read(Register)
		if p.Session != 42 {
			m.t.Fatalf("%+v", p)
		}
		m.answer(p, 42)
	}
}

func (m *master) ask(p PDU) *PDU {
	m.t.Helper()
	p.Session, p.Packet, p.Little = 42, 9, true
	m.conn.Write(p.Append(nil))
	return m.read(Response)
}

func names(list []Varbind) (s string) {
	for _, v := range list {
		s += fmt.Sprintf("%v=%d/%d ", v.Name, v.Value.Type, v.Value.Number)
	}
	return s
}

// TestSession checks that requests are answered in their own byte order.
func TestSession(t *testing.T) {
	m, a := newMaster(t)
	m.open()
	for _, test := range []struct {
		name string
		ask  PDU
		want string
	}{
		{"get", PDU{Kind: Get, Ranges: []Range{{From: OID{1, 3}}, {From: OID{1, 99}}}}, "0.0 1.3=2/3 1.99=128/0 "},
		{"next", PDU{Kind: GetNext, Ranges: []Range{{From: OID{1, 3}}, {From: OID{1, 3}, Include: true}, {From: OID{1, 9}}}}, "0.0 1.4=2/4 1.3=2/3 1.9=130/0 "},
		{"bulk", PDU{Kind: GetBulk, NonRepeaters: 1, MaxRepetitions: 3, Ranges: []Range{{From: OID{1}}, {From: OID{1, 7}}}}, "0.0 1.1=2/1 1.8=2/8 1.9=2/9 1.9=130/0 "},
		{"ping", PDU{Kind: Ping}, "0.0 "},
		{"commit without a test", PDU{Kind: CommitSet}, "14.1 "},
		{"bad set", PDU{Kind: TestSet, Varbinds: []Varbind{{OID{1, 1}, Int(1)}, {OID{1, 2}, Text("x")}}}, "7.2 "},
		{"set", PDU{Kind: TestSet, Varbinds: []Varbind{{OID{1, 1}, Int(1)}}}, "0.0 "},
		{"commit", PDU{Kind: CommitSet}, "0.0 "},
		{"undo", PDU{Kind: UndoSet}, "0.0 "},
		{"context", PDU{Kind: Get, Context: []byte("x")}, "262.1 "},
		{"unknown", PDU{Kind: 77}, "266.1 "},
	} {
		p := m.ask(test.ask)
		if got := fmt.Sprintf("%d.%d %s", p.Error, p.Index, names(p.Varbinds)); got != test.want || !p.Little {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
	// Flush waits until the notification has been acknowledged.
	a.Trap([]Varbind{{OID{1, 5}, Int(5)}})
	flushed := make(chan struct{})
	go func() { a.Flush(context.Background()); close(flushed) }()
	p := m.read(Notify)
	select {
	case <-flushed:
		t.Error("flushed before the answer")
	default:
	}
	m.answer(p, 42)
	<-flushed
}

// TestManyBulk checks that an answer is bounded.
func TestManyBulk(t *testing.T) {
	s := &session{Agent: &Agent{Handler: &endless{}}}
	var out PDU
	s.bulk(&PDU{Kind: GetBulk, MaxRepetitions: 65535, Ranges: []Range{{From: OID{1}}}}, &out)
	if n := len(out.Varbinds); n < 100 || n > maxAnswer+1 {
		t.Errorf("%d varbinds", n)
	}
}

type endless struct{ numbers }

func (*endless) Next(r Range) Varbind { return Varbind{OID{1, r.From[len(r.From)-1] + 1}, Int(1)} }

// TestHostile checks that whatever a master agent does, the next one is served.
func TestHostile(t *testing.T) {
	for name, act := range map[string]func(*master){
		"ends": func(m *master) {},
		"refuses": func(m *master) {
			p := m.read(Open)
			m.conn.Write((&PDU{Kind: Response, Packet: p.Packet, Error: 266}).Append(nil))
		},
		"garbage": func(m *master) { io.CopyN(m.conn, rand.Reader, 1<<16) },
		"4 GiB":   func(m *master) { m.conn.Write(append([]byte{1, 5, 16, 0}, slices.Repeat([]byte{0xfc}, 16)...)) },
		"closes":  func(m *master) { m.answer(m.read(Open), 42); m.conn.Write((&PDU{Kind: Close}).Append(nil)) },
		"requests before the session": func(m *master) {
			m.read(Open)
			if p := m.ask(PDU{Kind: Get, Ranges: []Range{{From: OID{1, 1}}}}); p.Error != NotOpen {
				m.t.Errorf("%+v", p)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, _ := newMaster(t)
			m.accept()
			act(m)
			m.conn.Close()
			m.open()
			if p := m.ask(PDU{Kind: Get, Ranges: []Range{{From: OID{1, 3}}}}); names(p.Varbinds) != "1.3=2/3 " {
				t.Errorf("%+v", p)
			}
		})
	}
}

// TestTrapsWait checks that without a session the last notifications wait, and that
// callers do not.
func TestTrapsWait(t *testing.T) {
	a := &Agent{}
	a.Init()
	for i := range maxTraps + 10 {
		a.Trap([]Varbind{{OID{1}, Int(int64(i))}})
	}
	if first := <-a.traps; first[0].Value.Number != 10 {
		t.Errorf("the first one that is left is %d", first[0].Value.Number)
	}
}

// BenchmarkRequest measures a request of the master agent and the answer.
func BenchmarkRequest(b *testing.B) {
	m, _ := newMaster(b)
	m.open()
	for b.Loop() {
		m.ask(PDU{Kind: GetNext, Ranges: []Range{{From: OID{1, 3}}}})
	}
}

// TestFlush checks that no notification is left when Flush returns.
func TestFlush(t *testing.T) {
	m, a := newMaster(t)
	var got atomic.Int64
	m.open()
	go func() {
		for {
			p, err := Read(m.r)
			if err != nil {
				return
			}
			if p.Kind == Notify {
				got.Add(1)
			}
			m.answer(p, 42)
		}
	}()
	for n := range int64(2000) {
		a.Trap([]Varbind{{OID{1}, Int(n)}})
		a.Flush(t.Context())
		if got := got.Load(); got != n+1 {
			t.Fatalf("%d of %d notifications have come", got, n+1)
		}
	}
}

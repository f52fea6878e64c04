// Package session is the conversation of a child with its parent: the
// configurations and orders that come, each carried into the loop that owns the
// child's state, and what the loop reports.
package session

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/loop"
)

// Orders is what a child does for its parent. All of it runs in the loop.
type Orders struct {
	// Reload makes c the configuration and calls done when it is in force. The
	// next one comes after that.
	Reload func(c *conf.Config, done func())
	Stop   func() // may come more than once
	Dump   func(kind link.Kind)
	Event  func(e *link.Event)   // another process reports; nil: none is expected
	Ask    func(link.Question)   // a snapshot is wanted; nil: there is none
	Answer func(m *link.Message) // to a question of this process; nil: it asks none

	Changed func() // what another process knows has changed; nil: this one does not care

	Act    func(a *act.Act, reply act.Reply) // change something; nil: there is nothing to change
	Intend func([]act.Intent)                // these are all intents from now on; nil: there are none for this process
	Done   func(o *link.Outcome)             // of an act that this process has asked for; nil: it asks for none
}

// Session is the conversation.
type Session struct {
	conn   *link.Conn
	loop   *loop.Loop
	alive  loop.Timer
	orders Orders
	out    chan link.Message
	large  chan link.Message // snapshots, and results of acts
	alone  chan struct{}
	next   []*conf.Config // that wait to be taken up; of the loop
}

// First receives the configuration that the process begins with.
func First(conn *link.Conn) (*conf.Config, error) {
	m, err := conn.Receive()
	if err != nil {
		return nil, fmt.Errorf("receive the configuration: %w", err)
	}
	if m.Kind != link.Configure {
		return nil, fmt.Errorf("receive the configuration: unexpected message %d", m.Kind)
	}
	return m.Config, nil
}

// Begin begins to take orders. They are posted to the loop: what comes before it
// turns waits for that.
func Begin(conn *link.Conn, l *loop.Loop, orders Orders) *Session {
	s := &Session{conn: conn, loop: l, orders: orders, out: make(chan link.Message, 64), large: make(chan link.Message), alone: make(chan struct{})}
	go s.report()
	go s.listen()
	s.heed()
	return s
}

// aliveInterval is how often the loop shows that it is alive. One that is stuck
// does not.
const aliveInterval = time.Second

// Started reports that the first configuration is in force, and from then on that
// the loop is alive.
func (s *Session) Started() {
	s.Signal(link.Started)
	s.alive.Expire = func(at time.Duration) {
		s.Signal(link.Alive)
		s.loop.Set(&s.alive, at+aliveInterval)
	}
	s.loop.Set(&s.alive, s.loop.Now()+aliveInterval)
}

// Alone is closed when the parent has ended.
func (s *Session) Alone() <-chan struct{} { return s.alone }

// Signal sends a message without contents, of this kind. It does not wait: a parent that
// does not read sends no configurations either, and will notice.
func (s *Session) Signal(kind link.Kind) {
	if again := kind == link.Alive || kind == link.Reload || kind == link.Changed; again && len(s.out) >= cap(s.out)/2 {
		return // the rest is for what is not repeated
	}
	s.Send(link.Message{Kind: kind})
}

// Send reports m, unless the parent does not read, and returns whether it did. It does
// not wait.
func (s *Session) Send(m link.Message) bool {
	select {
	case s.out <- m:
		return true
	default:
		return false
	}
}

// Answer sends what write writes, the snapshot that Orders.Ask was called for, on a goroutine
// of its own. A fault in write refuses the answer.
func (s *Session) Answer(id uint32, write func(*bufio.Writer) error) {
	go func() {
		s.pass(link.Snapshot(id, func(w *bufio.Writer) (err error) {
			if fault := loop.Guard(func() { err = write(w) }); fault != nil {
				err = fault
			}
			return err
		}))
	}()
}

// AnswerJSON sends what view returns likewise, as JSON.
func (s *Session) AnswerJSON(id uint32, view func() any) {
	s.Answer(id, func(w *bufio.Writer) error { return json.NewEncoder(w).Encode(view()) })
}

// pass sends m after the reports of the loop. It returns when m is on its way, so it is for
// a goroutine beside the loop.
func (s *Session) pass(m link.Message) {
	select {
	case s.large <- m:
	case <-s.alone:
		m.Drop()
	}
}

// report sends what the loop reports, and what was passed in between.
func (s *Session) report() {
	for {
		var m link.Message
		select {
		case m = <-s.out:
		default:
			select {
			case m = <-s.out:
			case m = <-s.large:
			}
		}
		if s.conn.Send(m) != nil {
			return
		}
	}
}

// listen carries the messages of the parent into the loop.
func (s *Session) listen() {
	for {
		m, err := s.conn.Receive()
		if err != nil {
			if !errors.Is(err, io.EOF) {
				slog.Error(fmt.Sprintf("parent process: %v", err))
			}
			close(s.alone)
			s.loop.Post(s.orders.Stop) // without a parent nothing else would end us
			return
		}
		s.loop.Post(func() { s.take(m) })
	}
}

func (s *Session) take(m link.Message) {
	switch m.Kind {
	case link.Configure:
		if s.next = append(s.next, m.Config); len(s.next) == 1 {
			s.reload()
		}
	case link.Stop:
		s.orders.Stop()
	case link.Ask:
		if s.orders.Ask != nil && m.Question != nil {
			s.orders.Ask(*m.Question)
		}
	case link.Changed:
		if s.orders.Changed != nil {
			s.orders.Changed()
		}
	case link.Answer:
		if s.orders.Answer != nil && m.Reply != nil {
			s.orders.Answer(&m)
		}
	case link.Act:
		if m.Order != nil {
			s.act(m.Order)
		}
	case link.Intend:
		if s.orders.Intend != nil && m.Intents != nil {
			s.orders.Intend(m.Intents.List)
		}
	case link.Done:
		if s.orders.Done != nil && m.Outcome != nil {
			s.orders.Done(m.Outcome)
		}
	case link.Report:
		if s.orders.Event != nil && m.Event != nil {
			s.orders.Event(m.Event)
		}
	default:
		s.orders.Dump(m.Kind)
	}
}

// act has an act done. Its result is on its way when the parent reads: the parent bounds how
// many wait.
func (s *Session) act(o *link.Order) {
	reply := func(result any, err error) {
		m := link.Message{Kind: link.Done, Outcome: &link.Outcome{ID: o.ID, Result: act.Answer(result, err)}}
		go s.pass(m)
	}
	if s.orders.Act == nil {
		reply(nil, act.Refuse(act.Invalid, "this process has no acts"))
		return
	}
	s.orders.Act(&o.Act, reply)
}

// reload takes up the first configuration that waits, and then the others.
func (s *Session) reload() {
	s.orders.Reload(s.next[0], func() {
		s.Signal(link.Reloaded)
		if s.next = slices.Delete(s.next, 0, 1); len(s.next) > 0 {
			s.reload()
		}
	})
}

// heed takes signals that are sent to this process rather than to its parent.
// TERM may come from the parent, from its death, or from killall.
func (s *Session) heed() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGHUP)
	for sig := range link.DumpSignals {
		signal.Notify(signals, sig)
	}
	go func() {
		for sig := range signals {
			switch sig {
			case unix.SIGTERM:
				s.loop.Post(s.orders.Stop)
			case unix.SIGHUP:
				s.Signal(link.Reload)
			default:
				s.loop.Post(func() { s.orders.Dump(link.DumpSignals[sig]) })
			}
		}
	}()
}

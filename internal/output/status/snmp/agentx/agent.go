package agentx

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Handler has the objects. One call is made at a time.
type Handler interface {
	// Get returns the value of an object; of type NoSuchObject or NoSuchInstance: there is
	// none.
	Get(name OID) Value
	// Next returns the first object of a range; of type EndOfMIBView: there is none.
	Next(r Range) Varbind
	// Test decides whether all of a set may have these values. If not, the error is that of
	// the varbind with the index, from 0.
	Test(set []Varbind) (err Status, index int)
	// Commit gives them the values that were tested last.
	Commit(set []Varbind) (err Status, index int)
	// Undo gives them back the values from before the last Commit.
	Undo() Status
}

// Agent is a subagent: it keeps a session with the master agent, and begins another one
// whenever that has ended.
type Agent struct {
	Network, Address string // of the master agent, for package net
	Description      string // of this program
	ID               OID    // likewise
	Subtrees         []OID  // that the Handler provides
	Handler          Handler

	traps chan []Varbind
	flush chan struct{} // takes what waits for an empty queue
	state string        // of the session, as logged
}

const (
	// maxTraps is how many notifications wait for a session, or for a master agent that
	// does not read.
	maxTraps = 4096
	// A session is tried again after a time that doubles between these.
	leastPause, mostPause = time.Second, 15 * time.Second
	pingEvery             = 15 * time.Second
	// answerWait is how long the master agent may take for an answer, or to take up a
	// message.
	answerWait = 5 * time.Second
	// requestTimeout is how long the master agent is to wait for our answers, in seconds.
	requestTimeout = 3
	priority       = 127 // default (RFC 2741, section 6.2.3)
	// maxAnswer bounds the varbinds of an answer to GetBulk, and maxAnswerSize their length
	// in bytes: what fits a datagram.
	maxAnswer, maxAnswerSize = 2000, 60_000
	maxDatagram              = 64 << 10
)

// ParseAddress returns what package net calls the address of a master agent, which is written
// as for Net-SNMP: unix:PATH or a path, or HOST:PORT after tcp:, tcp6:, udp: or udp6:; without
// a host that is this one, without a port 705.
func ParseAddress(s string) (network, address string, err error) {
	scheme, rest, found := strings.Cut(s, ":")
	switch {
	case strings.HasPrefix(s, "/"):
		return "unix", s, nil
	case !found:
		return "", "", fmt.Errorf("%q is no address of a master agent: write unix:PATH or tcp:HOST:PORT", s)
	}
	switch scheme {
	case "unix":
		return "unix", rest, nil
	case "tcp", "tcp6", "udp", "udp6":
		host, port, err := net.SplitHostPort(rest)
		if err != nil {
			host, port = strings.Trim(rest, "[]"), ""
			if !strings.Contains(host, ".") && strings.Trim(host, "0123456789") == "" { // a port alone
				host, port = "", host
			}
		}
		if host == "" {
			host = map[bool]string{false: "127.0.0.1", true: "::1"}[strings.HasSuffix(scheme, "6")]
		}
		if port == "" {
			port = "705"
		}
		return scheme, net.JoinHostPort(host, port), nil
	}
	return "", "", fmt.Errorf("%q is no address of a master agent: write unix:PATH or tcp:HOST:PORT", s)
}

// Init prepares a for [Agent.Run] and [Agent.Trap].
func (a *Agent) Init() {
	a.traps, a.flush = make(chan []Varbind, maxTraps), make(chan struct{})
}

// Trap sends a notification when there is a session. It does not wait: if too many wait
// already, the oldest is lost.
func (a *Agent) Trap(v []Varbind) {
	for {
		select {
		case a.traps <- v:
			return
		default:
		}
		select {
		case <-a.traps:
		default:
		}
	}
}

// Flush waits until every notification has been sent and answered, or ctx ends.
func (a *Agent) Flush(ctx context.Context) {
	// The first time, the session may have seen no notification before the last one came.
	for range 2 {
		select {
		case a.flush <- struct{}{}:
		case <-ctx.Done():
			return
		}
	}
}

// Run keeps a session until ctx ends.
func (a *Agent) Run(ctx context.Context) {
	for pause := leastPause; ; pause = min(2*pause, mostPause) {
		begun := time.Now()
		err := a.session(ctx)
		if ctx.Err() != nil {
			return
		}
		if time.Since(begun) > mostPause {
			pause = leastPause
		}
		a.report(slog.LevelWarn, fmt.Sprintf("SNMP: master agent %s: %v; it is tried again", a.Address, err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// report logs what has changed.
func (a *Agent) report(level slog.Level, text string) {
	if a.state != text {
		a.state = text
		slog.Log(context.Background(), level, text)
	}
}

// session is a session with the master agent. A goroutine reads, and answers requests at
// once; another has what comes of our own messages.
type session struct {
	*Agent
	conn   net.Conn
	id     atomic.Uint32 // 0: not open yet
	packet uint32        // number of the last message of ours
	sent   map[uint32]sent

	ordered []Varbind // of the last TestSet that was accepted; of the first goroutine
}

// sent is a message of ours that is not answered yet.
type sent struct {
	kind Kind
	what string
	at   time.Time
}

// session opens a session and serves it to its end.
func (a *Agent) session(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	conn, err := (&net.Dialer{Timeout: answerWait}).DialContext(ctx, a.Network, a.Address)
	if err != nil {
		return errors.Unwrap(err)
	}
	s := &session{Agent: a, conn: conn, sent: map[uint32]sent{}}
	answers, failed := make(chan *PDU), make(chan error, 1)
	var listening sync.WaitGroup
	listening.Go(func() { failed <- s.listen(ctx, answers) })
	defer func() { // the next session calls the Handler no sooner
		end()
		conn.Close()
		listening.Wait()
	}()
	if err := s.ask(&PDU{Kind: Open, Timeout: requestTimeout, ID: a.ID, Description: []byte(a.Description)}, "open"); err != nil {
		return err
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	pinged := time.Now()
	for {
		var traps chan []Varbind
		if s.id.Load() != 0 && len(s.sent) < maxUnanswered {
			traps = a.traps
		}
		var flush chan struct{}
		if len(a.traps) == 0 && len(s.sent) == 0 {
			flush = a.flush
		}
		select {
		case <-ctx.Done():
			_ = s.ask(&PDU{Kind: Close, Reason: 5}, "close") // shutdown; the answer is not needed
			return ctx.Err()
		case err = <-failed:
		case p := <-answers:
			err = s.answered(p)
		case v := <-traps:
			err = s.ask(&PDU{Kind: Notify, Varbinds: v}, "notification")
		case <-flush:
		case now := <-tick.C:
			if s.id.Load() != 0 && now.Sub(pinged) >= pingEvery {
				pinged = now
				err = s.ask(&PDU{Kind: Ping}, "ping")
			}
			for _, q := range s.sent {
				if now.Sub(q.at) > answerWait {
					err = fmt.Errorf("no answer to %s within %v", q.what, answerWait)
				}
			}
		}
		if err != nil {
			return err
		}
	}
}

// maxUnanswered is how many messages of ours may wait for their answers before no
// notification is sent.
const maxUnanswered = 64

// ask sends a message of ours.
func (s *session) ask(p *PDU, what string) error {
	s.packet++
	p.Session, p.Packet = s.id.Load(), s.packet
	s.sent[p.Packet] = sent{p.Kind, what, time.Now()}
	return s.write(p)
}

func (s *session) write(p *PDU) error {
	if err := s.conn.SetWriteDeadline(time.Now().Add(answerWait)); err != nil {
		return err
	}
	_, err := s.conn.Write(p.Append(nil))
	return err
}

// listen reads until the session ends. It answers requests, and hands over the answers to
// messages of ours.
func (s *session) listen(ctx context.Context, answers chan<- *PDU) error {
	r := bufio.NewReaderSize(s.conn, maxDatagram)
	for {
		p, err := Read(r)
		if bad := (*BadPDU)(nil); errors.As(err, &bad) {
			p, err = &PDU{Kind: Response + 1, Session: bad.PDU.Session, Transaction: bad.PDU.Transaction, Packet: bad.PDU.Packet}, nil
		}
		switch {
		case err != nil:
			return err
		case p.Kind == Response:
			select {
			case answers <- p:
			case <-ctx.Done():
				return ctx.Err()
			}
		case p.Kind == Close:
			return errors.New("it has closed the session")
		default:
			if err := s.take(p); err != nil {
				return err
			}
		}
	}
}

// take takes up a request of the master agent.
func (s *session) take(p *PDU) error {
	if p.Kind == CleanupSet && p.Session == s.id.Load() {
		s.ordered = nil
		return nil // it has no answer
	}
	out := &PDU{Kind: Response, Little: p.Little, Session: p.Session, Transaction: p.Transaction, Packet: p.Packet}
	index := 0
	switch {
	case p.Session == 0 || p.Session != s.id.Load():
		out.Error = NotOpen
	case p.Context != nil:
		out.Error = UnsupportedContext
	default:
		out.Error, index = s.serve(p, out)
	}
	if out.Error != NoError {
		out.Varbinds = nil
		out.Index = uint16(index + 1)
	}
	return s.write(out)
}

// serve carries out a request.
func (s *session) serve(p, out *PDU) (err Status, index int) {
	switch p.Kind {
	case Get:
		for i := range p.Ranges {
			out.Varbinds = append(out.Varbinds, Varbind{p.Ranges[i].From, s.Handler.Get(p.Ranges[i].From)})
		}
	case GetNext:
		for _, r := range p.Ranges {
			out.Varbinds = append(out.Varbinds, s.Handler.Next(r))
		}
	case GetBulk:
		s.bulk(p, out)
	case TestSet:
		if err, index = s.Handler.Test(p.Varbinds); err == NoError {
			s.ordered = p.Varbinds
		}
	case CommitSet:
		if s.ordered == nil {
			return CommitFailed, 0
		}
		return s.Handler.Commit(s.ordered)
	case UndoSet:
		return s.Handler.Undo(), 0
	case Ping:
	default:
		return ParseError, 0
	}
	return err, index
}

// bulk answers a GetBulk. An answer that would be too long ends after a whole repetition.
func (s *session) bulk(p, out *PDU) {
	fixed := min(int(p.NonRepeaters), len(p.Ranges))
	for _, r := range p.Ranges[:fixed] {
		out.Varbinds = append(out.Varbinds, s.Handler.Next(r))
	}
	repeated := p.Ranges[fixed:]
	size := 0
	for range p.MaxRepetitions {
		more := false
		for i := range repeated {
			v := s.Handler.Next(repeated[i])
			out.Varbinds = append(out.Varbinds, v)
			size += 4*len(v.Name) + len(v.Value.Bytes) + 16
			repeated[i].From, repeated[i].Include = v.Name, false
			more = more || v.Value.Type != EndOfMIBView
		}
		if !more || len(out.Varbinds) > maxAnswer || size > maxAnswerSize {
			return
		}
	}
}

// answered takes up the answer to a message of ours.
func (s *session) answered(p *PDU) error {
	q, known := s.sent[p.Packet]
	if !known {
		return nil
	}
	delete(s.sent, p.Packet)
	switch {
	case q.kind == Open && p.Error != NoError:
		return fmt.Errorf("it refuses a session (error %d)", p.Error)
	case q.kind == Open:
		s.id.Store(p.Session)
		for _, tree := range s.Subtrees {
			if err := s.ask(&PDU{Kind: Register, Timeout: requestTimeout, Priority: priority, ID: tree}, "the registration of "+tree.String()); err != nil {
				return err
			}
		}
		s.report(slog.LevelInfo, "SNMP: connected to the master agent "+s.Address)
	case q.kind == Register && p.Error != NoError:
		slog.Warn(fmt.Sprintf("SNMP: the master agent refuses %s (error %d)", q.what, p.Error))
	case p.Error != NoError:
		return fmt.Errorf("it refuses a %s (error %d)", q.what, p.Error)
	}
	return nil
}

package nl

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// scripted answers each datagram with the datagrams that its script returns.
type scripted struct {
	script   func(sent []Message) [][]byte
	incoming [][]byte
	err      error // of the next Receive
	deadline time.Time
}

func (s *scripted) Port() uint32 { return 7 }

func (s *scripted) Send(b []byte) error {
	s.incoming = append(s.incoming, s.script(split(b))...)
	return nil
}

func (s *scripted) Receive(in []Datagram, wait bool) (n int, err error) {
	if err := s.err; err != nil {
		s.err = nil
		return 0, err
	}
	for n < len(in) && len(s.incoming) > 0 {
		d := &in[n]
		d.N = copy(d.Buffer, s.incoming[0])
		d.Truncated = d.N < len(s.incoming[0])
		s.incoming = s.incoming[1:]
		n++
	}
	switch {
	case n > 0:
		return n, nil
	case !wait:
		return 0, unix.EAGAIN
	case s.deadline.IsZero():
		panic("a wait without an end")
	}
	return 0, os.ErrDeadlineExceeded
}

func (s *scripted) SetReadDeadline(t time.Time) error { s.deadline = t; return nil }
func (s *scripted) Close() error                      { return nil }

func split(b []byte) (all []Message) {
	for {
		m, rest, ok := Next(b)
		if !ok {
			return all
		}
		all, b = append(all, m), rest
	}
}

func answer(typ, flags uint16, seq uint32, body ...byte) []byte {
	b, start := Begin(nil, typ, flags, seq)
	return End(append(b, body...), start)
}

// acknowledge answers m with an error number, or 0 for success.
func acknowledge(m Message, errno unix.Errno) []byte {
	b := native.AppendUint32(nil, uint32(-int32(errno)))
	return answer(unix.NLMSG_ERROR, unix.NLM_F_CAPPED, m.Seq, append(b, make([]byte, HeaderLen)...)...)
}

func empty(b []byte) []byte { return b }

const testType = 100

// TestList checks that a listing that changes interrupt is read again, that the attempts
// are merged if the interruptions do not end, and that any part may have the flag, the
// last one included.
func TestList(t *testing.T) {
	attempts := func(all ...[][3]uint16) func([]Message) [][]byte { // parts of a value, flags, type
		return func(sent []Message) (out [][]byte) {
			for _, part := range all[0] {
				out = append(out, answer(part[2], part[1], sent[0].Seq, byte(part[0]), 0, 0, 0))
			}
			if len(all) > 1 {
				all = all[1:]
			}
			return out
		}
	}
	const interrupted = unix.NLM_F_DUMP_INTR
	whole := [][3]uint16{{1, 0, testType}, {2, 0, testType}, {0, 0, unix.NLMSG_DONE}}
	inside := [][3]uint16{{3, interrupted, testType}, {0, 0, unix.NLMSG_DONE}}
	atEnd := [][3]uint16{{4, 0, testType}, {0, interrupted, unix.NLMSG_DONE}}
	for _, tt := range []struct {
		name   string
		script func([]Message) [][]byte
		want   []byte
		err    error
	}{
		{"whole", attempts(whole), []byte{1, 2}, nil},
		{"interrupted once", attempts(inside, whole), []byte{1, 2}, nil},
		{"interrupted at its last part", attempts(atEnd, whole), []byte{1, 2}, nil},
		{"always", attempts(atEnd, inside, atEnd), []byte{4, 3, 4}, ErrInterrupted},
		{"refused", func(sent []Message) [][]byte { return [][]byte{acknowledge(sent[0], unix.EPERM)} }, nil, unix.EPERM},
		{"after answers to others", func(sent []Message) [][]byte {
			return append([][]byte{answer(testType, 0, sent[0].Seq-1, 9, 0, 0, 0)}, attempts(whole)(sent)...)
		}, []byte{1, 2}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := NewConn(&scripted{script: tt.script})
			got, err := List(c, testType, empty, func(m Message) (byte, bool) { return m.Body[0], m.Type == testType })
			if !slices.Equal(got, tt.want) || !errors.Is(err, tt.err) || (err == nil) != (tt.err == nil) {
				t.Errorf("got %v, %v; want %v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// TestBatch checks that a batch requests one acknowledgement, that refusals are assigned
// to their requests, and that messages of another batch are ignored.
func TestBatch(t *testing.T) {
	var sent []Message
	s := &scripted{script: func(m []Message) [][]byte {
		sent = m
		return [][]byte{
			acknowledge(Message{Seq: m[0].Seq - 1}, unix.EIO), // of the batch before
			append(acknowledge(m[1], unix.EEXIST), acknowledge(m[3], unix.ENODEV)...),
			acknowledge(m[len(m)-1], 0),
		}
	}}
	c := NewConn(s)
	for _, from := range []uint32{0, quietMark - 3} { // numbers do not reach the mark
		c.seq = from
		refused := make([]*Error, 5)
		err := c.Batch(5, func(i int, b []byte) ([]byte, Request) {
			return append(b, byte(i)), Request{Type: testType, Flags: unix.NLM_F_CREATE, Quiet: i == 1}
		}, refused)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []error{nil, unix.EEXIST, nil, unix.ENODEV, nil} {
			m := sent[i]
			if want == nil && refused[i] != nil || want != nil && !errors.Is(refused[i], want) {
				t.Errorf("request %d: %v, want %v", i, refused[i], want)
			}
			acked := m.Flags&unix.NLM_F_ACK != 0
			if acked != (i == 4) || m.Flags&unix.NLM_F_CREATE == 0 || m.Body[0] != byte(i) || (m.Seq&quietMark != 0) != (i == 1) {
				t.Errorf("request %d: %+v", i, m)
			}
		}
	}
}

// TestAnswersThatFail checks that a missing or malformed answer is an error with a clear
// message, and that the next request works.
func TestAnswersThatFail(t *testing.T) {
	s := &scripted{}
	c := NewConn(s)
	good := func(m []Message) [][]byte { return [][]byte{acknowledge(m[0], 0)} }
	for _, tt := range []struct {
		name   string
		script func([]Message) [][]byte
		err    error
		want   string
	}{
		{"none", func([]Message) [][]byte { return nil }, nil, "no answer within 5s"},
		{"too long", func([]Message) [][]byte { return [][]byte{make([]byte, connBuffer+1)} }, nil, "longer than 65536 bytes"},
		{"too short", func(m []Message) [][]byte { return [][]byte{answer(unix.NLMSG_ERROR, 0, m[0].Seq, 1)} }, nil, "acknowledgement of 1 bytes"},
		{"lost", good, unix.ENOBUFS, "recvmmsg: no buffer space available"},
	} {
		s.script, s.err = tt.script, tt.err
		if err := c.Do(testType, 0, empty, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
		s.script = good
		if err := c.Do(testType, 0, empty, nil); err != nil {
			t.Errorf("after %s: %v", tt.name, err)
		}
	}
}

// TestLostEvents checks that any loss of events is reported, and that later events
// follow.
func TestLostEvents(t *testing.T) {
	s := &scripted{}
	e := NewEvents(s, 4, 64)
	read := func() (types []uint16, err error) {
		err = e.Read(func(m Message) { types = append(types, m.Type) })
		return types, err
	}
	s.err = unix.ENOBUFS
	if got, err := read(); got != nil || !errors.Is(err, ErrLost) {
		t.Errorf("%v, %v; want a loss", got, err)
	}
	s.incoming = [][]byte{answer(1, 0, 0), answer(2, 0, 0, make([]byte, 64)...), answer(3, 0, 0)}
	if got, err := read(); !slices.Equal(got, []uint16{1, 3}) || !errors.Is(err, ErrLost) {
		t.Errorf("%v, %v; want 1 and 3 and a loss", got, err)
	}
	s.incoming = [][]byte{append(answer(4, 0, 0), answer(5, 0, 0)...)}
	if got, err := read(); !slices.Equal(got, []uint16{4, 5}) || err != nil {
		t.Errorf("%v, %v; want 4 and 5", got, err)
	}
}

// Package nltest has the netlink sockets of kernels in memory, and the messages
// with which every kernel answers.
package nltest

import (
	"encoding/binary"
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

var native = binary.NativeEndian

// Socket is a netlink socket of a kernel in memory.
type Socket struct {
	port  uint32
	serve func(b []byte)

	mu       sync.Mutex
	queue    [][]byte
	lost     bool
	closed   bool
	deadline time.Time
	wake     chan struct{} // holds one token when there may be something for Receive
}

var _ nl.Socket = (*Socket)(nil)

// NewSocket returns a socket with a port, whose kernel serves each datagram that is
// sent before Send returns.
func NewSocket(port uint32, serve func(b []byte)) *Socket {
	return &Socket{port: port, serve: serve, wake: make(chan struct{}, 1)}
}

// Deliver queues a datagram that the kernel sends.
func (s *Socket) Deliver(b []byte) {
	s.mu.Lock()
	s.queue = append(s.queue, b)
	s.mu.Unlock()
	s.signal()
}

// Lose has a Receive report that datagrams were lost.
func (s *Socket) Lose() {
	s.mu.Lock()
	s.lost = true
	s.mu.Unlock()
	s.signal()
}

func (s *Socket) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Port is the socket's port.
func (s *Socket) Port() uint32 { return s.port }

// Send has the kernel serve a datagram.
func (s *Socket) Send(b []byte) error {
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return fs.ErrClosed
	}
	s.serve(b)
	return nil
}

// Receive fills in with the datagrams that are there.
func (s *Socket) Receive(in []nl.Datagram, wait bool) (int, error) {
	for {
		s.mu.Lock()
		n, err := s.take(in)
		deadline := s.deadline
		s.mu.Unlock()
		if err != unix.EAGAIN || !wait {
			return n, err
		}
		var expired <-chan time.Time
		if !deadline.IsZero() {
			timer := time.NewTimer(time.Until(deadline))
			defer timer.Stop()
			expired = timer.C
		}
		select {
		case <-s.wake:
		case <-expired:
		}
	}
}

// take fills in with what has come.
func (s *Socket) take(in []nl.Datagram) (n int, err error) {
	switch {
	case s.closed:
		return 0, fs.ErrClosed
	case !s.deadline.IsZero() && !time.Now().Before(s.deadline):
		return 0, os.ErrDeadlineExceeded
	case s.lost:
		s.lost = false
		return 0, unix.ENOBUFS
	case len(s.queue) == 0:
		return 0, unix.EAGAIN
	}
	for n < len(in) && len(s.queue) > 0 {
		d := &in[n]
		d.N = copy(d.Buffer, s.queue[0])
		d.Truncated = d.N < len(s.queue[0])
		s.queue = s.queue[1:]
		n++
	}
	return n, nil
}

// SetReadDeadline ends waits at t.
func (s *Socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	s.deadline = t
	s.mu.Unlock()
	s.signal()
	return nil
}

// Close ends a wait of Receive.
func (s *Socket) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.signal()
	return nil
}

// Message is a message that answers m, or that m has caused.
func Message(typ, flags uint16, m nl.Message, body []byte) []byte {
	b, start := nl.Begin(nil, typ, flags, m.Seq)
	native.PutUint32(b[start+12:], m.Port)
	return nl.End(append(b, body...), start)
}

// Done ends the list that m has asked for; interrupted reports that changes have
// interrupted it.
func Done(m nl.Message, interrupted bool) []byte {
	flags := uint16(unix.NLM_F_MULTI)
	if interrupted {
		flags |= unix.NLM_F_DUMP_INTR
	}
	return Message(unix.NLMSG_DONE, flags, m, make([]byte, 4))
}

// Acknowledgement answers m: with a refusal, or nil for success.
func Acknowledgement(m nl.Message, refusal *nl.Error) []byte {
	if refusal == nil {
		return Message(unix.NLMSG_ERROR, unix.NLM_F_CAPPED, m, make([]byte, 4+nl.HeaderLen))
	}
	b := append(native.AppendUint32(nil, uint32(-int32(refusal.Errno))), make([]byte, nl.HeaderLen)...)
	if refusal.Message == "" {
		return Message(unix.NLMSG_ERROR, unix.NLM_F_CAPPED, m, b)
	}
	b = nl.AppendString(b, unix.NLMSGERR_ATTR_MSG, refusal.Message)
	return Message(unix.NLMSG_ERROR, unix.NLM_F_CAPPED|unix.NLM_F_ACK_TLVS, m, b)
}

// Serve hands the messages of a datagram to answer and acknowledges each as the
// kernel does: when it was refused, or asked for that and was no list.
func Serve(s *Socket, b []byte, answer func(nl.Message) *nl.Error) {
	for {
		m, rest, ok := nl.Next(b)
		if !ok {
			return
		}
		b = rest
		m.Port = s.port
		switch refusal := answer(m); {
		case refusal == nil && m.Flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP:
		case refusal == nil && m.Flags&unix.NLM_F_ACK == 0:
		default:
			s.Deliver(Acknowledgement(m, refusal))
		}
	}
}

package nl

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Conn makes requests of a kernel. It is for one goroutine at a time.
type Conn struct {
	socket Socket
	seq    uint32
	out    []byte
	in     [1]Datagram
}

// The kernel fills at most 32 KiB per dump message (netlink_recvmsg).
const connBuffer = 64 << 10

// The kernel answers before send returns; a missing answer is lost.
const answerTimeout = 5 * time.Second

// NewConn returns a connection that owns s from now on.
func NewConn(s Socket) *Conn {
	return &Conn{socket: s, in: [1]Datagram{{Buffer: make([]byte, connBuffer)}}}
}

// Dial opens a connection for requests of a netlink family.
func Dial(family int, o Options) (*Conn, error) {
	s, err := Open(family, o)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return NewConn(s), nil
}

// PortID is the connection's netlink port: events caused by its requests carry
// it in their Port.
func (c *Conn) PortID() uint32 { return c.socket.Port() }

// Close closes the connection.
func (c *Conn) Close() error { return c.socket.Close() }

// receive returns the next datagram; it is valid until the next call.
func (c *Conn) receive() ([]byte, error) {
	_, err := c.socket.Receive(c.in[:], false)
	if errors.Is(err, unix.EAGAIN) {
		c.socket.SetReadDeadline(time.Now().Add(answerTimeout))
		_, err = c.socket.Receive(c.in[:], true)
		c.socket.SetReadDeadline(time.Time{})
	}
	d := &c.in[0]
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("no answer within %v", answerTimeout)
	case err != nil:
		return nil, os.NewSyscallError("recvmmsg", err)
	case d.Truncated:
		return nil, fmt.Errorf("answer is longer than %d bytes", len(d.Buffer))
	}
	return d.Buffer[:d.N], nil
}

// messages hands the messages of the following datagrams to f until it is done
// or fails.
func (c *Conn) messages(f func(Message) (done bool, err error)) error {
	for {
		b, err := c.receive()
		if err != nil {
			return err
		}
		for {
			m, rest, ok := Next(b)
			if !ok {
				break
			}
			if done, err := f(m); done || err != nil {
				return err
			}
			b = rest
		}
	}
}

// request sends one message; body appends what follows its header.
func (c *Conn) request(typ, flags uint16, body func(b []byte) []byte) error {
	c.seq = (c.seq + 1) &^ quietMark
	b, start := Begin(c.out[:0], typ, unix.NLM_F_REQUEST|flags, c.seq)
	c.out = End(body(b), start)
	return c.socket.Send(c.out)
}

// Do makes one request, whose body the function appends to its argument, and
// hands the answers, if there are any, to yield, which may be nil. A refusal is an
// [*Error].
func (c *Conn) Do(typ, flags uint16, body func(b []byte) []byte, yield func(Message)) error {
	if err := c.request(typ, flags|unix.NLM_F_ACK, body); err != nil {
		return err
	}
	return c.messages(func(m Message) (bool, error) {
		if m.Seq != c.seq { // of a request given up before
			return false, nil
		}
		if m.Type == unix.NLMSG_ERROR {
			refused, err := m.Refusal()
			if err == nil && refused != nil {
				err = refused
			}
			return true, err
		}
		if yield != nil {
			yield(m)
		}
		return false, nil
	})
}

// ErrInterrupted comes with a list during whose reading others changed what it
// lists, again and again. What it names was there; what it does not name may be
// there all the same. Events report what has changed since.
var ErrInterrupted = fmt.Errorf("interrupted by changes of others: %w", unix.EINTR)

// A dump that changes interrupt is repeated so many times: there may be a moment
// of quiet, and what one leaves out another is likely to name.
const dumpAttempts = 3

// List makes a dump and returns what decode makes of its messages; decode is
// false for what does not belong to the list. With [ErrInterrupted] the list is
// that of all attempts together: right as far as it goes, and it may name a thing
// several times.
func List[T any](c *Conn, typ uint16, body func(b []byte) []byte, decode func(Message) (T, bool)) ([]T, error) {
	var all []T
	for range dumpAttempts {
		first := len(all)
		err := c.Dump(typ, body, func(m Message) {
			if v, ok := decode(m); ok {
				all = append(all, v)
			}
		})
		if err == nil {
			return all[first:], nil
		}
		if !errors.Is(err, ErrInterrupted) {
			return all, err
		}
	}
	return all, ErrInterrupted
}

// Dump makes a request for a list and hands the messages of the answer to yield.
// [ErrInterrupted] means that the kernel's state changed between two parts.
func (c *Conn) Dump(typ uint16, body func(b []byte) []byte, yield func(Message)) error {
	if err := c.request(typ, unix.NLM_F_DUMP, body); err != nil {
		return err
	}
	interrupted := false
	err := c.messages(func(m Message) (bool, error) {
		if m.Seq != c.seq { // of a request given up before
			return false, nil
		}
		// The last part too can have the mark of an interruption.
		interrupted = interrupted || m.Flags&unix.NLM_F_DUMP_INTR != 0
		switch m.Type {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(m.Body) == 0 {
				return true, nil
			}
			refused, err := m.Refusal()
			if err == nil && refused != nil {
				err = refused
			}
			return true, err
		}
		yield(m)
		return false, nil
	})
	if err == nil && interrupted {
		return ErrInterrupted
	}
	return err
}

// Request is the header of a message in a batch.
type Request struct {
	Type  uint16
	Flags uint16 // NLM_F_*, beside those that the batch sets itself

	// Quiet marks the request: [IgnoreQuiet] keeps the events it causes from a
	// socket.
	Quiet bool
}

// quietMark is set in the sequence numbers of quiet requests.
const quietMark = 1 << 31

// Batch sends n requests in one datagram; encode appends the body of the request
// i to b. The kernel serves them in their order, and a refusal does not keep it
// from the next. Batch stores the refusals in refused, which has n places.
//
// Only the last is acknowledged: its acknowledgement ends the batch, and refusals
// are reported in any case. The error means that the outcome is unknown.
func (c *Conn) Batch(n int, encode func(i int, b []byte) ([]byte, Request), refused []*Error) error {
	if n == 0 {
		return nil
	}
	if c.seq+uint32(n) >= quietMark {
		c.seq = 0
	}
	first, last := c.seq+1, c.seq+uint32(n)
	c.seq = last
	c.out = c.out[:0]
	for i := range n {
		c.out = append(c.out, "\x00\x00\x00"[:align4(len(c.out))-len(c.out)]...)
		b, start := Begin(c.out, 0, 0, 0)
		b, r := encode(i, b)
		c.out = End(b, start)
		flags, seq := r.Flags|unix.NLM_F_REQUEST, first+uint32(i)
		if i == n-1 {
			flags |= unix.NLM_F_ACK
		}
		if r.Quiet {
			seq |= quietMark
		}
		setHeader(c.out[start:], r.Type, flags, seq)
	}
	if err := c.socket.Send(c.out); err != nil {
		return err
	}
	return c.messages(func(m Message) (done bool, err error) {
		seq := m.Seq &^ quietMark
		i := seq - first // wraps for older ones
		if m.Type != unix.NLMSG_ERROR || i >= uint32(n) {
			return false, nil
		}
		refused[i], err = m.Refusal()
		return seq == last, err
	})
}

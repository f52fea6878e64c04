package nl

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

var (
	// ErrLost reports that events were lost: what was known is no longer sure. A dump
	// that is made now shows what they would have said; later events follow.
	ErrLost = errors.New("netlink events were lost")

	// ErrReminder reports that the time of [Events.Remind] has come.
	ErrReminder = errors.New("reminder")
)

// Events receives what a kernel reports by itself. One goroutine reads.
type Events struct {
	socket Socket
	in     []Datagram
}

// NewEvents returns events that own s from now on. batch datagrams are received
// at once, each at most size bytes; one that is longer counts as lost.
func NewEvents(s Socket, batch, size int) *Events {
	e := &Events{socket: s, in: make([]Datagram, batch)}
	buffers := make([]byte, batch*size)
	for i := range e.in {
		e.in[i].Buffer = buffers[i*size:][:size:size]
	}
	return e
}

// Listen subscribes to events of a netlink family: those of the groups in o. A
// dump made after it returns misses nothing. batch and size are as in
// [NewEvents].
func Listen(family int, o Options, batch, size int) (*Events, error) {
	s, err := Open(family, o)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return NewEvents(s, batch, size), nil
}

// Read waits for events and passes the events that have arrived to yield, at most a batch.
// The messages are valid during the call. After the error is [ErrLost] or
// [ErrReminder] it can be called again; it is [fs.ErrClosed] after Close.
func (e *Events) Read(yield func(Message)) error {
	_, err := e.read(true, yield)
	return err
}

// ReadNow is Read without the wait; n is how many datagrams there were.
func (e *Events) ReadNow(yield func(Message)) (n int, err error) {
	n, err = e.read(false, yield)
	if errors.Is(err, unix.EAGAIN) {
		return 0, nil
	}
	return n, err
}

func (e *Events) read(wait bool, yield func(Message)) (int, error) {
	n, err := e.socket.Receive(e.in, wait)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		e.socket.SetReadDeadline(time.Time{})
		return 0, ErrReminder
	case errors.Is(err, fs.ErrClosed), errors.Is(err, unix.EAGAIN):
		return 0, err
	case err != nil:
		// ENOBUFS: the receive buffer was full. Whatever else it may be, the kernel
		// reports it once, and what we know is no longer sure.
		return 0, ErrLost
	}
	for i := range e.in[:n] {
		d := &e.in[i]
		if d.Truncated {
			err = ErrLost
			continue
		}
		for b := d.Buffer[:d.N]; ; {
			m, rest, ok := Next(b)
			if !ok {
				break
			}
			yield(m)
			b = rest
		}
	}
	return n, err
}

// Remind has a Read that waits after d, or the next one, return [ErrReminder]. The
// last call counts. Any goroutine may call it.
func (e *Events) Remind(d time.Duration) { e.socket.SetReadDeadline(time.Now().Add(d)) }

// Send sends the kernel a message that begins events, where it wants one.
func (e *Events) Send(b []byte) error { return e.socket.Send(b) }

// Close ends a Read that waits.
func (e *Events) Close() error { return e.socket.Close() }

// IgnoreQuiet is a filter that leaves out the events of a type which quiet
// requests of the port caused. What follows from others of its requests is
// delivered.
func IgnoreQuiet(port uint32, typ uint16) []bpf.Instruction {
	const atType, atSeq, atPort = 4, 8, 12 // offsets in struct nlmsghdr
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: atType, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: Filter16(typ), SkipTrue: 5},
		bpf.LoadAbsolute{Off: atPort, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: Filter32(port), SkipTrue: 3},
		bpf.LoadAbsolute{Off: atSeq, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: Filter32(quietMark), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: math.MaxUint32},
	}
}

// Filter16 and Filter32 are numbers as filters see them: filters load in network
// byte order what the kernel has written in the order of the machine.
func Filter16(v uint16) uint32 { return uint32(binary.BigEndian.Uint16(native.AppendUint16(nil, v))) }

// Filter32 is like [Filter16].
func Filter32(v uint32) uint32 { return binary.BigEndian.Uint32(native.AppendUint32(nil, v)) }

package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// EventKind tells the events apart.
type EventKind uint8

const (
	LinkNew  EventKind = iota // a link appeared or changed
	LinkGone                  // a link was deleted or left the namespace
	AddrNew                   // an address appeared or changed
	AddrGone                  // an address was removed
	Overrun                   // events were lost: dump again
	Reminder                  // the time that [Monitor.Remind] was given has passed
)

// Event is a change in the kernel, whoever made it.
type Event struct {
	Kind EventKind
	Link Link // LinkNew, LinkGone
	Addr Addr // AddrNew, AddrGone

	// PortID and Seq are those of the request that caused it, also when it is
	// a consequence, as the end of a secondary address with its primary; 0 if
	// there was none.
	PortID, Seq uint32
}

// Monitor delivers the events of the links and addresses of a namespace.
type Monitor struct {
	file *os.File // in the runtime's poller, so that Close ends a wait
	done chan struct{}
}

// What is read at once. A message about a link is 1 to 2 KiB; one that does
// not fit counts as lost.
const (
	monitorBatch   = 32
	monitorMessage = 8 << 10
)

// Watch subscribes to events, and then returns: a dump made afterwards misses
// nothing. deliver is called from the monitor's goroutine with at least one
// event; the slice is valid during the call. rcvbuf and force are as in [Dial];
// 1 MiB holds 2,500 addresses set while deliver is busy.
//
// The IPv4 addresses that own adds cause no event, unless own is nil: it is
// told by the completion, and waking up for each of thousands would take as
// long as adding them.
func Watch(rcvbuf int, force bool, own *Conn, deliver func([]Event)) (*Monitor, error) {
	const groups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR
	fd, _, err := openNetlink(unix.SOCK_NONBLOCK, groups, rcvbuf, force)
	if err != nil {
		return nil, fmt.Errorf("watch links and addresses: %w", err)
	}
	if own != nil {
		if err := ignoreAdditions(fd, own.port); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("watch links and addresses: %w", err)
		}
	}
	m := &Monitor{file: os.NewFile(uintptr(fd), "netlink"), done: make(chan struct{})}
	conn, err := m.file.SyscallConn()
	if err != nil {
		m.file.Close()
		return nil, fmt.Errorf("watch links and addresses: %w", err)
	}
	go m.run(conn, deliver)
	return m, nil
}

// ignoreAdditions keeps events of added addresses from the socket fd, as far as
// the connection with the port asked for them. An address that is promoted
// because of a removal carries the sequence number of that.
func ignoreAdditions(fd int, port uint32) error {
	// The filter loads in network byte order what the kernel has written in the
	// order of the machine.
	is16 := func(v uint16) uint32 { return uint32(binary.BigEndian.Uint16(native.AppendUint16(nil, v))) }
	is32 := func(v uint32) uint32 { return binary.BigEndian.Uint32(native.AppendUint32(nil, v)) }
	const typ, seq, pid = 4, 8, 12 // offsets in struct nlmsghdr
	program, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: typ, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: is16(unix.RTM_NEWADDR), SkipTrue: 5},
		bpf.LoadAbsolute{Off: pid, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: is32(port), SkipTrue: 3},
		bpf.LoadAbsolute{Off: seq, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: is32(addMark), SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.RetConstant{Val: math.MaxUint32},
	})
	if err != nil {
		return err
	}
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	err = unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]})
	return os.NewSyscallError("setsockopt", err)
}

// Remind has a [Reminder] delivered after d, in the order of the events. The
// last call counts.
func (m *Monitor) Remind(d time.Duration) { m.file.SetReadDeadline(time.Now().Add(d)) }

// Close ends the monitor; deliver is not called any more when it returns. It
// must not be called from deliver.
func (m *Monitor) Close() error {
	err := m.file.Close()
	<-m.done
	return err
}

func (m *Monitor) run(conn syscall.RawConn, deliver func([]Event)) {
	defer close(m.done)
	var (
		hdrs    [monitorBatch]mmsghdr
		iovs    [monitorBatch]unix.Iovec
		buffers = make([]byte, monitorBatch*monitorMessage)
		names   = make(names)
		events  []Event
		n       int
		err     error
	)
	for i := range hdrs {
		iovs[i].Base = &buffers[i*monitorMessage]
		iovs[i].SetLen(monitorMessage)
		hdrs[i].hdr.Iov = &iovs[i]
		hdrs[i].hdr.SetIovlen(1)
	}
	read := func(fd uintptr) bool {
		n, err = recvmmsg(int(fd), hdrs[:])
		return err != unix.EAGAIN
	}
	for {
		events = events[:0]
		if e := conn.Read(read); errors.Is(e, os.ErrDeadlineExceeded) {
			m.file.SetReadDeadline(time.Time{})
			deliver(append(events, Event{Kind: Reminder}))
			continue
		} else if e != nil {
			return // closed
		}
		if err != nil {
			// ENOBUFS: the receive buffer was full. Whatever else it may be, the
			// kernel reports it once, and what we know is no longer sure.
			events = append(events, Event{Kind: Overrun})
		}
		for i := range n {
			if hdrs[i].hdr.Flags&unix.MSG_TRUNC != 0 {
				events = append(events, Event{Kind: Overrun})
				continue
			}
			events = appendEvents(events, buffers[i*monitorMessage:][:hdrs[i].n], names)
		}
		if len(events) > 0 {
			deliver(events)
		}
	}
}

// appendEvents decodes the messages of a datagram.
func appendEvents(events []Event, b []byte, names names) []Event {
	for {
		m, rest, ok := nextMessage(b)
		if !ok {
			return events
		}
		b = rest
		e := Event{PortID: m.port, Seq: m.seq}
		switch m.typ {
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			if m.typ == unix.RTM_DELLINK {
				e.Kind = LinkGone
			}
			e.Link, ok = decodeLink(m.body, names)
		case unix.RTM_NEWADDR, unix.RTM_DELADDR:
			e.Kind = AddrNew
			if m.typ == unix.RTM_DELADDR {
				e.Kind = AddrGone
			}
			e.Addr, ok = decodeAddr(m.body, names)
		default:
			ok = false
		}
		if ok {
			events = append(events, e)
		}
	}
}

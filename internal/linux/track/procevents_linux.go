package track

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// Events of processes (linux/cn_proc.h). They come as netlink messages that
// hold a connector message that holds the event.
const (
	connProcIndex, connProcValue = 1, 1 // CN_IDX_PROC, CN_VAL_PROC
	connListen                   = 1    // PROC_CN_MCAST_LISTEN

	procAck  = 0
	procFork = 0x1
	procExec = 0x2
	procComm = 0x200
	procExit = 0x80000000

	connHeader  = 20
	eventWhat   = connHeader     // offset of proc_event.what in a message's body
	eventData   = eventWhat + 16 // after what, CPU and time
	eventLength = eventData + 16 // as much as is looked at
)

// procEvent is one event of a process, not of its other threads.
type procEvent struct {
	what   uint32
	pid    int32
	parent int32         // of procFork
	err    syscall.Errno // of procAck
}

// procConn receives the events of all processes of the machine.
type procConn struct{ events *nl.Events }

// Inodes that the kernel gives to its first namespaces (linux/proc_ns.h).
const (
	firstPIDNamespace  = "pid:[4026531836]"
	firstUserNamespace = "user:[4026531837]"
)

// openProcEvents subscribes to events; from its return on none is missed unless
// a read says so. The kernel reports them only in the first PID and user
// namespaces, and on sockets of the first network namespace; if this process
// is in another, the socket is taken there.
func openProcEvents(rcvbuf int, force bool) (*procConn, error) {
	for path, first := range map[string]string{"/proc/self/ns/pid": firstPIDNamespace, "/proc/self/ns/user": firstUserNamespace} {
		if have, err := os.Readlink(path); err != nil || have != first {
			return nil, errors.New("the kernel does not report processes in a container")
		}
	}
	o := nl.Options{ReceiveBuffer: rcvbuf, Force: force}
	c, err := dialProcEvents(o)
	if errors.Is(err, unix.ECONNREFUSED) {
		c, err = dialProcEventsIn("/proc/1/ns/net", o)
	}
	return c, err
}

func (c *procConn) close() { c.events.Close() }

// dialProcEventsIn is dialProcEvents in a network namespace.
func dialProcEventsIn(path string, o nl.Options) (*procConn, error) {
	ns, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	o.NetNS = int(ns.Fd())
	return dialProcEvents(o)
}

func dialProcEvents(o nl.Options) (*procConn, error) {
	o.Groups, o.Filter = []uint32{connProcIndex}, procFilter()
	events, err := nl.Listen(unix.NETLINK_CONNECTOR, o, procBatch, procMessage)
	if err != nil {
		return nil, fmt.Errorf("process events: %w", err)
	}
	if err := events.Send(listenRequest()); err != nil {
		events.Close()
		return nil, fmt.Errorf("process events: %w", err)
	}
	return &procConn{events}, nil
}

// listenRequest asks for events.
func listenRequest() []byte {
	native := binary.NativeEndian
	b, start := nl.Begin(nil, unix.NLMSG_DONE, 0, 0)
	b = native.AppendUint32(b, connProcIndex)
	b = native.AppendUint32(b, connProcValue)
	b = native.AppendUint32(b, 0) // sequence
	b = native.AppendUint32(b, 0) // acknowledgement
	b = native.AppendUint16(b, 4) // length
	b = native.AppendUint16(b, 0) // flags
	b = native.AppendUint32(b, connListen)
	return nl.End(b, start)
}

// procFilter leaves, in the kernel, only events that are of use: those of whole
// processes.
func procFilter() []bpf.Instruction {
	load := func(offset uint32) bpf.Instruction {
		return bpf.LoadAbsolute{Off: nl.HeaderLen + offset, Size: 4}
	}
	equal := func(v uint32, yes, no uint8) bpf.Instruction {
		return bpf.JumpIf{Cond: bpf.JumpEqual, Val: nl.Filter32(v), SkipTrue: yes, SkipFalse: no}
	}
	equalX := func(yes, no uint8) bpf.Instruction {
		return bpf.JumpIfX{Cond: bpf.JumpEqual, SkipTrue: yes, SkipFalse: no}
	}
	return []bpf.Instruction{
		0:  load(eventWhat),
		1:  equal(procAck, 12, 0),
		2:  equal(procFork, 3, 0), // child: PID and TGID come after the parent's
		3:  equal(procExec, 6, 0),
		4:  equal(procComm, 5, 0),
		5:  equal(procExit, 4, 9),
		6:  load(eventData + 8),
		7:  bpf.TAX{},
		8:  load(eventData + 12),
		9:  equalX(4, 5),
		10: load(eventData),
		11: bpf.TAX{},
		12: load(eventData + 4),
		13: equalX(0, 1),
		14: bpf.RetConstant{Val: 1 << 16},
		15: bpf.RetConstant{Val: 0},
	}
}

// What is read at most before something else is done, and the room for a message.
const (
	procBatch   = 256
	procMessage = 256
)

// read waits for events and appends those that have arrived to events. The error
// is nl.ErrLost when some were lost, and fs.ErrClosed after close.
func (c *procConn) read(events []procEvent) ([]procEvent, error) {
	err := c.events.Read(func(m nl.Message) {
		if e, ok := decodeProcEvent(m.Body); ok {
			events = append(events, e)
		}
	})
	return events, err
}

// decodeProcEvent decodes the body of a message.
func decodeProcEvent(b []byte) (procEvent, bool) {
	if len(b) < eventLength {
		return procEvent{}, false
	}
	native := binary.NativeEndian
	if native.Uint32(b) != connProcIndex || native.Uint32(b[4:]) != connProcValue {
		return procEvent{}, false
	}
	e := procEvent{what: native.Uint32(b[eventWhat:])}
	data := b[eventData:]
	first, second := int32(native.Uint32(data)), int32(native.Uint32(data[4:]))
	switch e.what {
	case procAck:
		e.err = syscall.Errno(first)
		return e, true
	case procFork:
		e.parent = second // its TGID
		e.pid = int32(native.Uint32(data[8:]))
		return e, e.pid == int32(native.Uint32(data[12:]))
	case procExec, procComm, procExit:
	default:
		return procEvent{}, false
	}
	e.pid = first
	return e, first == second
}

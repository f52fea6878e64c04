package track

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
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
	eventWhat   = unix.SizeofNlMsghdr + connHeader // offset of proc_event.what
	eventData   = eventWhat + 16                   // behind what, CPU and time
	eventLength = eventData + 16                   // as much as is looked at
)

// procEvent is one event of a process, not of its other threads.
type procEvent struct {
	what   uint32
	pid    int32
	parent int32         // of procFork
	err    syscall.Errno // of procAck
}

// procConn receives the events of all processes of the machine.
type procConn struct {
	file *os.File
	conn syscall.RawConn
}

// Inodes that the kernel gives to its first namespaces (linux/proc_ns.h).
const (
	firstPIDNamespace  = "pid:[4026531836]"
	firstUserNamespace = "user:[4026531837]"
)

// openProcEvents subscribes to events; from its return on none is missed unless
// a read says so. The kernel tells them only in the first PID and user
// namespaces, and on sockets of the first network namespace; if this process
// is in another, the socket is taken there.
func openProcEvents(rcvbuf int, force bool) (*procConn, error) {
	for path, first := range map[string]string{"/proc/self/ns/pid": firstPIDNamespace, "/proc/self/ns/user": firstUserNamespace} {
		if have, err := os.Readlink(path); err != nil || have != first {
			return nil, errors.New("the kernel does not tell of processes in a container")
		}
	}
	fd, err := dialProcEvents()
	if errors.Is(err, unix.ECONNREFUSED) {
		fd, err = dialProcEventsIn("/proc/1/ns/net")
	}
	if err != nil {
		return nil, err
	}
	if rcvbuf > 0 {
		option := unix.SO_RCVBUF
		if force {
			option = unix.SO_RCVBUFFORCE
		}
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, rcvbuf); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("receive buffer of %d bytes for process events: %w", rcvbuf, err)
		}
	}
	c := &procConn{file: os.NewFile(uintptr(fd), "process events")}
	if c.conn, err = c.file.SyscallConn(); err != nil {
		c.file.Close()
		return nil, err
	}
	return c, nil
}

func (c *procConn) close() { c.file.Close() }

// dialProcEventsIn is dialProcEvents on a thread that has moved to a network
// namespace, and that ends with its goroutine.
func dialProcEventsIn(path string) (fd int, err error) {
	fd = -1
	done := make(chan struct{})
	go func() {
		defer close(done)
		var ns *os.File
		if ns, err = os.Open(path); err != nil {
			return
		}
		defer ns.Close()
		runtime.LockOSThread()
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			err = os.NewSyscallError("setns", err)
			return
		}
		fd, err = dialProcEvents()
	}()
	<-done
	return fd, err
}

func dialProcEvents() (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_CONNECTOR)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	err = func() error {
		if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: connProcIndex}); err != nil {
			return os.NewSyscallError("bind", err)
		}
		if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, procFilter()); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		if err := unix.Sendto(fd, listenRequest(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return os.NewSyscallError("sendto", err)
		}
		return nil
	}()
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// listenRequest asks for events.
func listenRequest() []byte {
	native := binary.NativeEndian
	b := make([]byte, 0, eventWhat+4)
	b = native.AppendUint32(b, eventWhat+4)
	b = native.AppendUint16(b, unix.NLMSG_DONE)
	b = native.AppendUint16(b, 0) // flags
	b = native.AppendUint32(b, 0) // sequence
	b = native.AppendUint32(b, 0) // port: the kernel knows
	b = native.AppendUint32(b, connProcIndex)
	b = native.AppendUint32(b, connProcValue)
	b = native.AppendUint32(b, 0) // sequence
	b = native.AppendUint32(b, 0) // acknowledgement
	b = native.AppendUint16(b, 4) // length
	b = native.AppendUint16(b, 0) // flags
	return native.AppendUint32(b, connListen)
}

// procFilter leaves, in the kernel, only events that are of use: those of whole
// processes. Programs load in network order, so values are turned.
func procFilter() *unix.SockFprog {
	turned := func(v uint32) uint32 { return binary.BigEndian.Uint32(binary.NativeEndian.AppendUint32(nil, v)) }
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	equal := func(v uint32, yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: yes, Jf: no, K: v}
	}
	toX := unix.SockFilter{Code: unix.BPF_MISC | unix.BPF_TAX}
	equalX := func(yes, no uint8) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_X, Jt: yes, Jf: no}
	}
	ret := func(n uint32) unix.SockFilter { return unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: n} }
	program := []unix.SockFilter{
		0:  load(eventWhat),
		1:  equal(turned(procAck), 12, 0),
		2:  equal(turned(procFork), 3, 0), // child: PID and TGID come after the parent's
		3:  equal(turned(procExec), 6, 0),
		4:  equal(turned(procComm), 5, 0),
		5:  equal(turned(procExit), 4, 9),
		6:  load(eventData + 8),
		7:  toX,
		8:  load(eventData + 12),
		9:  equalX(4, 5),
		10: load(eventData),
		11: toX,
		12: load(eventData + 4),
		13: equalX(0, 1),
		14: ret(1 << 16),
		15: ret(0),
	}
	return &unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
}

// procBatch is how many events are read at most before something else is done.
const procBatch = 1024

// read waits for events and appends those that are there to events. The error
// is ENOBUFS when some were lost, and fs.ErrClosed after close.
func (c *procConn) read(buf []byte, events []procEvent) ([]procEvent, error) {
	var failed error
	err := c.conn.Read(func(fd uintptr) bool {
		for n := range procBatch {
			size, err := unix.Read(int(fd), buf)
			switch {
			case err == unix.EINTR:
				continue
			case err == unix.EAGAIN:
				return n > 0
			case err != nil:
				failed = err
				return true
			}
			if e, ok := decodeProcEvent(buf[:size]); ok {
				events = append(events, e)
			}
		}
		return true
	})
	if err != nil {
		return events, fs.ErrClosed
	}
	return events, failed
}

// decodeProcEvent decodes one message.
func decodeProcEvent(b []byte) (procEvent, bool) {
	if len(b) < eventLength {
		return procEvent{}, false
	}
	native := binary.NativeEndian
	if native.Uint32(b[unix.SizeofNlMsghdr:]) != connProcIndex || native.Uint32(b[unix.SizeofNlMsghdr+4:]) != connProcValue {
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

package nl

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/mmsg"
)

// A Socket carries datagrams of netlink messages to a kernel and back. One
// goroutine receives; the other methods may be called from any.
type Socket interface {
	// Port is the socket's netlink port: what its requests cause carries it.
	Port() uint32

	// Send sends one datagram. The kernel has served it when Send returns.
	Send(b []byte) error

	// Receive fills datagrams, in order, with the datagrams that have arrived. If there
	// are none it waits for one, or returns unix.EAGAIN. It returns unix.ENOBUFS,
	// once, after datagrams were lost because the socket's buffer was full,
	// os.ErrDeadlineExceeded after the deadline and fs.ErrClosed after Close.
	Receive(in []Datagram, wait bool) (n int, err error)

	// SetReadDeadline ends waits at t; with the zero time they do not end.
	SetReadDeadline(t time.Time) error

	Close() error
}

// Datagram is a buffer and what it has received.
type Datagram struct {
	Buffer    []byte
	N         int
	Truncated bool // it was longer than the buffer
}

// Options are those of Open; the zero value serves.
type Options struct {
	// ReceiveBuffer is the size of the receive buffer in bytes, 0 for the system's
	// default. Force exceeds net.core.rmem_max where CAP_NET_ADMIN permits it.
	ReceiveBuffer int
	Force         bool

	// NetNS is a descriptor of the network namespace; 0: that of the caller's
	// thread.
	NetNS int

	// Groups are the numbers of the multicast groups to be joined, as RTNLGRP_LINK.
	Groups []uint32

	// Filter chooses, in the kernel, what is received.
	Filter []bpf.Instruction
}

// KernelSocket is a socket that leads to the kernel.
type KernelSocket struct {
	conn *netlink.Conn
	raw  syscall.RawConn

	// Of Receive, whose callbacks are made once, so that it allocates nothing.
	hdrs []mmsg.Header
	iovs []unix.Iovec
	wait bool
	try  func(fd uintptr) bool
	n    int
	err  error
}

// Open opens a socket of a netlink family, as NETLINK_ROUTE. It hears the kernel
// alone.
func Open(family int, o Options) (_ *KernelSocket, err error) {
	// Acknowledgements have a sentence, and dumps refuse what they do not
	// understand.
	conn, err := netlink.Dial(family, &netlink.Config{Strict: true, NetNS: o.NetNS})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			conn.Close()
		}
	}()
	s := &KernelSocket{conn: conn}
	if s.raw, err = conn.SyscallConn(); err != nil {
		return nil, err
	}
	s.try = func(fd uintptr) bool {
		s.n, s.err = mmsg.Receive(int(fd), s.hdrs)
		return s.err != unix.EAGAIN || !s.wait
	}
	// An acknowledgement does not repeat our own request.
	if err = conn.SetOption(netlink.CapAcknowledge, true); err != nil {
		return nil, err
	}
	err = s.Control(func(fd int) error {
		if err := SetReceiveBuffer(fd, o.ReceiveBuffer, o.Force); err != nil {
			return err
		}
		return os.NewSyscallError("connect", unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}))
	})
	if err != nil {
		return nil, err
	}
	if o.Filter != nil {
		program, err := bpf.Assemble(o.Filter)
		if err != nil {
			return nil, err
		}
		if err := conn.SetBPF(program); err != nil {
			return nil, err
		}
	}
	for _, g := range o.Groups {
		if err := conn.JoinGroup(g); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// SetReceiveBuffer sets the size of a socket's receive buffer in bytes; 0 leaves
// it. Where force is not permitted, as in a user namespace, it goes as far as
// net.core.rmem_max.
func SetReceiveBuffer(fd, size int, force bool) error {
	if size == 0 {
		return nil
	}
	if force {
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size)
		if !errors.Is(err, unix.EPERM) {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size))
}

// Control calls f with the descriptor, which stays open meanwhile.
func (s *KernelSocket) Control(f func(fd int) error) error {
	var err error
	if cerr := s.raw.Control(func(fd uintptr) { err = f(int(fd)) }); cerr != nil {
		return fs.ErrClosed
	}
	return err
}

// Port is the address that the kernel gave the socket.
func (s *KernelSocket) Port() uint32 { return s.conn.PID() }

// Send writes one datagram of requests, waiting for room.
func (s *KernelSocket) Send(b []byte) error {
	var err error
	cerr := s.raw.Write(func(fd uintptr) bool {
		err = unix.Send(int(fd), b, 0)
		return err != unix.EAGAIN
	})
	if cerr != nil {
		return fs.ErrClosed
	}
	return os.NewSyscallError("send", err)
}

// Receive reads as many datagrams as there are, at most len(in), waiting for the
// first if wait is set. It returns [fs.ErrClosed] after Close.
func (s *KernelSocket) Receive(in []Datagram, wait bool) (int, error) {
	if len(s.hdrs) != len(in) {
		s.hdrs, s.iovs = make([]mmsg.Header, len(in)), make([]unix.Iovec, len(in))
	}
	for i := range in {
		s.iovs[i].Base = &in[i].Buffer[0]
		s.iovs[i].SetLen(len(in[i].Buffer))
		s.hdrs[i].Msg.Iov = &s.iovs[i]
		s.hdrs[i].Msg.SetIovlen(1)
	}
	s.wait = wait
	if err := s.raw.Read(s.try); errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, os.ErrDeadlineExceeded
	} else if err != nil {
		return 0, fs.ErrClosed
	}
	if s.err != nil {
		return 0, s.err
	}
	for i := range s.n {
		h := &s.hdrs[i]
		in[i].N, in[i].Truncated = int(h.N), h.Msg.Flags&unix.MSG_TRUNC != 0
	}
	return s.n, nil
}

// SetReadDeadline bounds the wait of Receive.
func (s *KernelSocket) SetReadDeadline(t time.Time) error { return s.conn.SetReadDeadline(t) }

// Close ends a wait of Receive, too.
func (s *KernelSocket) Close() error { return s.conn.Close() }

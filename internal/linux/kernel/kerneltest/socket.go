package kerneltest

import (
	"io/fs"
	"os"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// socket is a netlink socket of a kernel in memory.
type socket struct {
	kernel *Kernel
	port   uint32
	groups []uint32
	filter *bpf.VM // nil: everything is wanted

	mu       sync.Mutex
	queue    [][]byte
	lost     bool
	closed   bool
	deadline time.Time
	wake     chan struct{} // holds one token when there may be something for Receive
}

// Netlink opens a netlink socket of the kernel.
func (k *Kernel) Netlink(family int, o nl.Options) (nl.Socket, error) {
	if family != unix.NETLINK_ROUTE {
		return nil, os.NewSyscallError("socket", unix.EPROTONOSUPPORT)
	}
	s := &socket{kernel: k, groups: o.Groups, wake: make(chan struct{}, 1)}
	if o.Filter != nil {
		var err error
		if s.filter, err = bpf.NewVM(o.Filter); err != nil {
			return nil, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ports++
	s.port = k.ports
	if len(s.groups) > 0 {
		k.listeners = append(k.listeners, s)
	}
	return s, nil
}

// wants reports whether the filter leaves a datagram in.
func (s *socket) wants(b []byte) bool {
	if s.filter == nil {
		return true
	}
	n, err := s.filter.Run(b)
	return err != nil || n > 0
}

func (s *socket) receive(b []byte) {
	s.mu.Lock()
	s.queue = append(s.queue, b)
	s.mu.Unlock()
	s.signal()
}

func (s *socket) lose() {
	s.mu.Lock()
	s.lost = true
	s.mu.Unlock()
	s.signal()
}

func (s *socket) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *socket) Port() uint32 { return s.port }

func (s *socket) Send(b []byte) error {
	s.kernel.serve(s, b)
	return nil
}

func (s *socket) Receive(in []nl.Datagram, wait bool) (int, error) {
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
func (s *socket) take(in []nl.Datagram) (n int, err error) {
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

func (s *socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	s.deadline = t
	s.mu.Unlock()
	s.signal()
	return nil
}

func (s *socket) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.signal()
	return nil
}

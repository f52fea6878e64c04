package kerneltest

import (
	"os"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/linux/nl/nltest"
)

// socket is a netlink socket of a kernel in memory.
type socket struct {
	*nltest.Socket
	groups []uint32
	filter *bpf.VM // nil: everything is wanted
}

// Netlink opens a netlink socket of the kernel.
func (k *Kernel) Netlink(family int, o nl.Options) (nl.Socket, error) {
	if family != unix.NETLINK_ROUTE {
		return nil, os.NewSyscallError("socket", unix.EPROTONOSUPPORT)
	}
	s := &socket{groups: o.Groups}
	if o.Filter != nil {
		var err error
		if s.filter, err = bpf.NewVM(o.Filter); err != nil {
			return nil, err
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ports++
	s.Socket = nltest.NewSocket(k.ports, func(b []byte) { k.serve(s, b) })
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

package kernel

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/mmsg"
	"keepalived-go/internal/linux/nl"
)

// RawSocket is a non-blocking raw IP socket for VRRP, on one link or none. It
// is used by one goroutine.
//
// IPv4 packets are sent and received with their header (IP_HDRINCL); the kernel
// fills in the header checksum and total length, and an identification or
// source left 0. IPv6 packets come and go without; their source, hop limit and
// link travel beside them.
type RawSocket struct {
	fd      int
	family  int
	link    int
	buffers *Buffers

	ownRcvBuf int // receive buffer before SetReceiveBuffer; 0: it has not been called
}

// RawOptions are the options of OpenRaw; the zero value serves.
type RawOptions struct {
	// HopLimit is that of IPv6 packets sent, 1 to 255; 0 means 255. IPv4
	// packets bring their own.
	HopLimit int

	// Buffers are what packets are read into and headers built in. Sockets
	// used by the same goroutine can share them; nil: the socket's own.
	Buffers *Buffers
}

// MaxDatagram is the longest packet that is received whole: an advert of 255
// IPv6 addresses is 4088 bytes, and a trailer may follow.
const MaxDatagram = 4608

// MaxBatch is how many packets one system call receives or sends.
const MaxBatch = 64

// Datagram is one received packet.
type Datagram struct {
	// Data is the payload, with IPv4 preceded by the IP header. It is valid
	// until the next ReadBatch with the same Buffers.
	Data      []byte
	Src, Dst  netip.Addr // without zone
	HopLimit  uint8      // TTL or hop limit
	IfIndex   int        // link it came in on
	Truncated bool       // it was longer than MaxDatagram
}

// Outgoing is one packet to send.
type Outgoing struct {
	Data []byte // IPv4: with the IP header
	Dst  netip.Addr

	// Of an IPv6 packet: its source, and the link it leaves by. Zero leaves the
	// choice to the kernel.
	Src     netip.Addr
	IfIndex int
}

// pktinfoSpace is the room for the control message of a sent packet: a cmsghdr and an
// in6_pktinfo, padded to words.
const pktinfoSpace = 16 + 24

// Buffers hold everything that system calls read and write for a batch of
// packets, about 300 KiB of address space; what was never used is not
// resident.
type Buffers struct {
	in  *inBuffers
	out *outBuffers
}

type inBuffers struct {
	hdrs  [MaxBatch]mmsg.Header
	iovs  [MaxBatch]unix.Iovec
	names [MaxBatch]unix.RawSockaddrInet6
	ctrl  [MaxBatch][mmsg.ControlSpace / 8]uint64 // words: control messages are aligned
	data  [MaxBatch][MaxDatagram]byte
}

type outBuffers struct {
	hdrs  [MaxBatch]mmsg.Header
	iovs  [MaxBatch]unix.Iovec
	names [MaxBatch]unix.RawSockaddrInet6
	ctrl  [MaxBatch][pktinfoSpace / 8]uint64
}

// NewBuffers returns buffers that several sockets of one goroutine can share.
func NewBuffers() *Buffers {
	b := &Buffers{new(inBuffers), new(outBuffers)}
	for i := range MaxBatch {
		h := &b.in.hdrs[i].Msg
		h.Iov = &b.in.iovs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.in.names[i]))
		h.Control = (*byte)(unsafe.Pointer(&b.in.ctrl[i]))
		b.in.iovs[i].Base = &b.in.data[i][0]
		b.in.iovs[i].SetLen(MaxDatagram)

		h = &b.out.hdrs[i].Msg
		h.Iov = &b.out.iovs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.out.names[i]))
	}
	return b
}

// OpenRaw opens a raw socket of the family (4 or 6) for an IP protocol, bound
// to the link with index link; 0: to none. It receives multicast only of
// groups joined, and nothing that it sent itself.
func OpenRaw(family, protocol, link int, opt RawOptions) (*RawSocket, error) {
	s, err := openRaw(family, protocol, link, opt)
	if err != nil {
		return nil, fmt.Errorf("open raw IPv%d socket for protocol %d: %w", family, protocol, err)
	}
	return s, nil
}

func openRaw(family, protocol, link int, opt RawOptions) (_ *RawSocket, err error) {
	domain := unix.AF_INET
	switch family {
	case 4:
	case 6:
		domain = unix.AF_INET6
	default:
		return nil, unix.EAFNOSUPPORT
	}
	fd, err := unix.Socket(domain, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()

	type option struct {
		name              string
		level, opt, value int
	}
	// Before any address is bound, so that nothing of another link gets in.
	options := []option{{"SO_PRIORITY", unix.SOL_SOCKET, unix.SO_PRIORITY, priorityControl}}
	if link != 0 {
		options = append(options, option{"SO_BINDTOIFINDEX", unix.SOL_SOCKET, unix.SO_BINDTOIFINDEX, link})
	}
	if domain == unix.AF_INET {
		options = append(options,
			option{"IP_HDRINCL", unix.IPPROTO_IP, unix.IP_HDRINCL, 1},
			option{"IP_MULTICAST_ALL", unix.IPPROTO_IP, unix.IP_MULTICAST_ALL, 0},
			option{"IP_MULTICAST_LOOP", unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, 0})
		if link == 0 {
			options = append(options, option{"IP_PKTINFO", unix.IPPROTO_IP, unix.IP_PKTINFO, 1})
		}
	} else {
		hops := opt.HopLimit
		if hops == 0 {
			hops = 255
		}
		options = append(options,
			option{"IPV6_CHECKSUM", unix.IPPROTO_IPV6, unix.IPV6_CHECKSUM, -1},
			option{"IPV6_MULTICAST_HOPS", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, hops},
			option{"IPV6_UNICAST_HOPS", unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, hops},
			option{"IPV6_TCLASS", unix.IPPROTO_IPV6, unix.IPV6_TCLASS, 0xc0},
			option{"IPV6_RECVPKTINFO", unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1},
			option{"IPV6_RECVHOPLIMIT", unix.IPPROTO_IPV6, unix.IPV6_RECVHOPLIMIT, 1},
			// Last words come from an address that may be gone.
			option{"IPV6_FREEBIND", unix.IPPROTO_IPV6, unix.IPV6_FREEBIND, 1},
			option{"IPV6_MULTICAST_LOOP", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, 0},
			option{"IPV6_MULTICAST_ALL", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_ALL, 0})
		if link != 0 {
			options = append(options, option{"IPV6_MULTICAST_IF", unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, link})
		}
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return nil, fmt.Errorf("set %s to %d: %w", o.name, o.value, err)
		}
	}
	if domain == unix.AF_INET && link != 0 {
		mreq := &unix.IPMreqn{Ifindex: int32(link)}
		if err := unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, mreq); err != nil {
			return nil, fmt.Errorf("set IP_MULTICAST_IF to link #%d: %w", link, err)
		}
	}
	s := &RawSocket{fd: fd, family: domain, link: link, buffers: opt.Buffers}
	if s.buffers == nil {
		s.buffers = NewBuffers()
	}
	return s, nil
}

// priorityControl is TC_PRIO_CONTROL (tc-prio(8)): ahead of bulk traffic in
// the link's queue.
const priorityControl = 6

// FD is the descriptor, for a poller.
func (s *RawSocket) FD() int { return s.fd }

// Close closes the socket, which also leaves its groups.
func (s *RawSocket) Close() error { return os.NewSyscallError("close", unix.Close(s.fd)) }

// SetReceiveBuffer gives the socket a receive buffer of size bytes, of which
// the kernel makes twice as much and at most twice net.core.rmem_max; 0: the
// one that it was opened with.
func (s *RawSocket) SetReceiveBuffer(size int) error {
	if s.ownRcvBuf == 0 {
		own, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		if err != nil {
			return fmt.Errorf("get SO_RCVBUF: %w", err)
		}
		s.ownRcvBuf = own
	}
	if size == 0 {
		size = s.ownRcvBuf / 2
	}
	size = min(size, math.MaxInt32)
	if err := nl.SetReceiveBuffer(s.fd, size, false); err != nil {
		return fmt.Errorf("set SO_RCVBUF to %d: %w", size, err)
	}
	return nil
}

// Join makes the socket receive what is sent to the group on its link.
func (s *RawSocket) Join(group netip.Addr) error {
	return s.member("join", group, unix.IP_ADD_MEMBERSHIP, unix.IPV6_JOIN_GROUP)
}

// Leave ends a Join. Leaving a group that was not joined is an error.
func (s *RawSocket) Leave(group netip.Addr) error {
	return s.member("leave", group, unix.IP_DROP_MEMBERSHIP, unix.IPV6_LEAVE_GROUP)
}

func (s *RawSocket) member(verb string, group netip.Addr, opt4, opt6 int) error {
	var err error
	switch {
	case s.link == 0:
		err = errors.New("the socket is bound to no link")
	case group.Is4() != (s.family == unix.AF_INET):
		err = unix.EAFNOSUPPORT
	case group.Is4():
		mreq := &unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(s.link)}
		err = unix.SetsockoptIPMreqn(s.fd, unix.IPPROTO_IP, opt4, mreq)
	default:
		mreq := &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(s.link)}
		err = unix.SetsockoptIPv6Mreq(s.fd, unix.IPPROTO_IPV6, opt6, mreq)
	}
	if err != nil {
		return fmt.Errorf("%s group %v on link #%d: %w", verb, group, s.link, err)
	}
	return nil
}

// ReadBatch receives up to len(dst) packets, at most MaxBatch, and returns how
// many; 0 and no error if none is waiting. It allocates nothing.
func (s *RawSocket) ReadBatch(dst []Datagram) (int, error) {
	in := s.buffers.in
	want := min(len(dst), MaxBatch)
	if want == 0 {
		return 0, nil
	}
	for i := range want {
		in.hdrs[i].Msg.Namelen = unix.SizeofSockaddrInet6
		in.hdrs[i].Msg.SetControllen(mmsg.ControlSpace)
	}
	n, err := mmsg.Receive(s.fd, in.hdrs[:want])
	if err == unix.EAGAIN {
		return 0, nil
	}
	if err != nil {
		return 0, os.NewSyscallError("recvmmsg", err)
	}
	for i := range n {
		h := &in.hdrs[i]
		d := &dst[i]
		*d = Datagram{
			Data:      in.data[i][:h.N:h.N],
			IfIndex:   s.link,
			Truncated: h.Msg.Flags&unix.MSG_TRUNC != 0,
		}
		a := h.Arrival()
		if a.Dst.IsValid() {
			d.Dst, d.IfIndex = a.Dst, a.Link
		}
		d.HopLimit = a.HopLimit
		if s.family == unix.AF_INET {
			if len(d.Data) >= 20 { // RFC 791, 3.1
				d.HopLimit = d.Data[8]
				d.Src = netip.AddrFrom4([4]byte(d.Data[12:]))
				d.Dst = netip.AddrFrom4([4]byte(d.Data[16:]))
			}
		} else {
			d.Src = netip.AddrFrom16(in.names[i].Addr)
		}
	}
	return n, nil
}

// WriteBatch sends the packets in order and returns how many were taken. If
// not all were, the error is that of msgs[n]: unix.EAGAIN when the socket's
// buffer is full, else what was wrong with that packet; the caller decides
// whether to continue after it. It allocates nothing.
func (s *RawSocket) WriteBatch(msgs []Outgoing) (int, error) {
	out := s.buffers.out
	sent := 0
	for sent < len(msgs) {
		batch := msgs[sent:min(sent+MaxBatch, len(msgs))]
		for i := range batch {
			s.prepare(out, i, &batch[i])
		}
		n, err := mmsg.Send(s.fd, out.hdrs[:len(batch)])
		for i := range batch {
			out.iovs[i].Base = nil // do not keep the caller's bytes alive
		}
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// prepare fills slot i for a packet.
func (s *RawSocket) prepare(out *outBuffers, i int, m *Outgoing) {
	h := &out.hdrs[i].Msg
	out.iovs[i].Base = unsafe.SliceData(m.Data)
	out.iovs[i].SetLen(len(m.Data))
	h.Control = nil
	h.SetControllen(0)
	if s.family == unix.AF_INET {
		h.Namelen = unix.SizeofSockaddrInet4
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(&out.names[i])) = unix.RawSockaddrInet4{
			Family: unix.AF_INET, Addr: m.Dst.Unmap().As4(),
		}
		return
	}
	h.Namelen = unix.SizeofSockaddrInet6
	out.names[i] = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: m.Dst.As16(), Scope_id: uint32(m.IfIndex)}
	if !m.Src.IsValid() && m.IfIndex == 0 {
		return
	}
	c := (*unix.Cmsghdr)(unsafe.Pointer(&out.ctrl[i]))
	c.Level, c.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	c.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	info := (*unix.Inet6Pktinfo)(unsafe.Add(unsafe.Pointer(c), unix.CmsgLen(0)))
	*info = unix.Inet6Pktinfo{Ifindex: uint32(m.IfIndex)}
	if m.Src.IsValid() {
		info.Addr = m.Src.As16()
	}
	h.Control = (*byte)(unsafe.Pointer(c))
	h.SetControllen(unix.CmsgSpace(unix.SizeofInet6Pktinfo))
}

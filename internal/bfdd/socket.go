package bfdd

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"keepalived-go/bfd"
	"keepalived-go/conf"
	"keepalived-go/internal/linux/mmsg"
	"keepalived-go/internal/proc/loop"
)

// An outSocket is what a session sends from, with a port of its own that stays
// (RFC 5881, 4).
type outSocket struct {
	fd    int // -1: not open
	port  int // 0: none yet
	link  uint32
	hdr   [1]mmsg.Header
	iov   unix.Iovec
	to    unix.RawSockaddrInet6 // or the shorter of IPv4
	buf   [bfd.MaxControl]byte
	wrong bool // it could not be opened, or the last packet not be sent: this was reported
	retry loop.Timer
}

const (
	// retryInterval is how long after a failure a socket is opened again.
	retryInterval = time.Second
	// classControl is the traffic class of network control (RFC 4594, 3.1).
	classControl = 0xc0
	// priorityControl is TC_PRIO_CONTROL (tc-prio(8)).
	priorityControl = 6
)

// open opens the socket of p; one that cannot be opened is tried again. What it needs
// may come late: its address, the interface of a link-local neighbour.
func (d *daemon) open(p *peer) {
	o := &p.out
	if o.fd >= 0 || d.err != nil {
		return
	}
	was := o.link
	if err := o.open(p.conf); err != nil {
		if !o.wrong {
			o.wrong = true
			slog.Error(fmt.Sprintf("(%s) no socket: %v; tried again every %v", p.conf.Name, err, retryInterval))
		}
		d.loop.Set(&o.retry, d.loop.Now()+retryInterval)
		return
	}
	if o.wrong {
		o.wrong = false
		slog.Info(fmt.Sprintf("(%s) socket opened", p.conf.Name))
	}
	if o.link != was {
		d.index()
	}
}

func (o *outSocket) open(b *conf.BFDInstance) (err error) {
	domain := unix.AF_INET6
	if b.Neighbor.Is4() {
		domain = unix.AF_INET
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	o.link = 0
	if b.Neighbor.IsLinkLocalUnicast() && b.Neighbor.Is6() {
		if o.link, err = linkIndex(fd, b); err != nil {
			return err
		}
	}
	if err := setOutOptions(fd, b); err != nil {
		return err
	}
	if err := o.bind(fd, b); err != nil {
		return err
	}
	o.address(b)
	o.fd = fd
	return nil
}

// linkIndex is the index of the interface of a link-local neighbour.
func linkIndex(fd int, b *conf.BFDInstance) (uint32, error) {
	zone := b.Neighbor.Zone()
	if zone == "" {
		zone = b.Source.Zone()
	}
	if zone == "" {
		return 0, fmt.Errorf("the link-local neighbour %v needs its interface: write neighbor_ip %v%%eth0", b.Neighbor, b.Neighbor)
	}
	req, err := unix.NewIfreq(zone)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req)
	}
	if err != nil {
		return 0, fmt.Errorf("interface %s: %w", zone, err)
	}
	return req.Uint32(), nil
}

func setOutOptions(fd int, b *conf.BFDInstance) error {
	type option struct {
		name              string
		level, opt, value int
	}
	options := []option{{"SO_PRIORITY", unix.SOL_SOCKET, unix.SO_PRIORITY, priorityControl}}
	if b.Neighbor.Is4() {
		options = append(options,
			option{"IP_TTL", unix.IPPROTO_IP, unix.IP_TTL, int(b.TTL)},
			option{"IP_TOS", unix.IPPROTO_IP, unix.IP_TOS, classControl})
	} else {
		options = append(options,
			option{"IPV6_V6ONLY", unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
			option{"IPV6_UNICAST_HOPS", unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, int(b.TTL)},
			option{"IPV6_TCLASS", unix.IPPROTO_IPV6, unix.IPV6_TCLASS, classControl})
	}
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("set %s to %d: %w", o.name, o.value, err)
		}
	}
	return nil
}

// setTTL gives the open socket the TTL of b.
func (o *outSocket) setTTL(b *conf.BFDInstance) {
	if o.fd >= 0 {
		if err := setOutOptions(o.fd, b); err != nil {
			slog.Error(fmt.Sprintf("(%s) %v", b.Name, err))
		}
	}
}

// bind binds to the source and a free port of RFC 5881: the one that it had before,
// or any other.
func (o *outSocket) bind(fd int, b *conf.BFDInstance) error {
	const ports = bfd.MaxSourcePort - bfd.MinSourcePort + 1
	port := o.port
	if port == 0 {
		port = bfd.MinSourcePort + rand.IntN(ports)
	}
	for range ports {
		err := unix.Bind(fd, localAddress(b, port, o.link))
		if err == nil {
			o.port = port
			return nil
		}
		if !errors.Is(err, unix.EADDRINUSE) {
			return fmt.Errorf("bind to %v: %w", b.Source, err)
		}
		if port++; port > bfd.MaxSourcePort {
			port = bfd.MinSourcePort
		}
	}
	return fmt.Errorf("no port from %d to %d is free", bfd.MinSourcePort, bfd.MaxSourcePort)
}

func localAddress(b *conf.BFDInstance, port int, link uint32) unix.Sockaddr {
	if b.Neighbor.Is4() {
		a := &unix.SockaddrInet4{Port: port}
		if b.Source.IsValid() {
			a.Addr = b.Source.As4()
		}
		return a
	}
	a := &unix.SockaddrInet6{Port: port}
	if b.Source.IsValid() {
		a.Addr = b.Source.As16()
		if b.Source.IsLinkLocalUnicast() {
			a.ZoneId = link
		}
	}
	return a
}

// address prepares the header of sent packets.
func (o *outSocket) address(b *conf.BFDInstance) {
	port := uint16(bfd.PortControl)
	if b.MultiHop {
		port = bfd.PortMultihop
	}
	h := &o.hdr[0].Msg
	h.Name = (*byte)(unsafe.Pointer(&o.to))
	h.Iov = &o.iov
	h.SetIovlen(1)
	o.iov.Base = &o.buf[0]
	if b.Neighbor.Is4() {
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(&o.to)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: bigEndian(port), Addr: b.Neighbor.As4()}
		h.Namelen = unix.SizeofSockaddrInet4
		return
	}
	o.to = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: bigEndian(port), Addr: b.Neighbor.As16(), Scope_id: o.link}
	h.Namelen = unix.SizeofSockaddrInet6
}

// bigEndian is a port as it stands in a socket address.
func bigEndian(port uint16) (raw uint16) {
	b := (*[2]byte)(unsafe.Pointer(&raw))
	b[0], b[1] = byte(port>>8), byte(port)
	return raw
}

func (o *outSocket) close() {
	if o.fd >= 0 {
		unix.Close(o.fd)
		o.fd = -1
	}
}

// send sends the packet of a SendControl. It allocates nothing, and a packet that the
// kernel does not take is lost like any other.
func (d *daemon) send(p *peer, a *bfd.Action) {
	o := &p.out
	b := p.engine.AppendControl(o.buf[:0], *a)
	if o.fd < 0 {
		return
	}
	o.iov.SetLen(len(b))
	_, err := mmsg.Send(o.fd, o.hdr[:])
	switch {
	case err == nil:
		if o.wrong {
			o.wrong = false
			slog.Info(fmt.Sprintf("(%s) packets are sent again", p.conf.Name))
		}
	case err == unix.EAGAIN || err == unix.ENOBUFS:
	default:
		if !o.wrong {
			o.wrong = true
			slog.Warn(fmt.Sprintf("(%s) send to %v: %v", p.conf.Name, p.conf.Neighbor, err))
		}
		if o.link != 0 { // the interface may be another by now
			o.close()
			d.loop.Set(&o.retry, d.loop.Now()+retryInterval)
		}
	}
}

// listenerKey is what a listener receives.
type listenerKey struct {
	v4, multihop bool
}

func (k listenerKey) port() int {
	if k.multihop {
		return bfd.PortMultihop
	}
	return bfd.PortControl
}

// listener is a socket that receives the packets of all sessions of its kind.
type listener struct {
	key   listenerKey
	fd    int  // -1: it could not be opened yet
	wrong bool // this was reported
}

// receiveBuffer is room for the packets of a second of a thousand sessions at 50 ms, in
// bytes of the kernel: what waits while this process does not run.
const receiveBuffer = 16 << 20

// listen opens the sockets for the kinds of sessions that there are, and closes others.
func (d *daemon) listen() {
	wanted := map[listenerKey]bool{}
	for _, p := range d.peers {
		wanted[listenerKey{p.conf.Neighbor.Is4(), p.conf.MultiHop}] = true
	}
	for key, l := range d.listeners {
		if !wanted[key] {
			l.close(d.loop)
			delete(d.listeners, key)
		}
	}
	for key := range wanted {
		l := d.listeners[key]
		if l == nil {
			l = &listener{key: key, fd: -1}
			d.listeners[key] = l
		}
		if l.fd >= 0 {
			continue
		}
		err := l.open()
		if err == nil {
			err = d.loop.Watch(l.fd, func() { d.receive(l) })
		}
		if err == nil {
			l.wrong = false
			continue
		}
		l.close(d.loop)
		if !l.wrong {
			l.wrong = true
			slog.Error(fmt.Sprintf("listen for BFD packets on port %d: %v; tried again every %v", key.port(), err, retryInterval))
		}
		d.loop.Set(&d.retry, d.loop.Now()+retryInterval)
	}
}

func (l *listener) open() error {
	domain, level, addr := unix.AF_INET6, unix.IPPROTO_IPV6, unix.Sockaddr(&unix.SockaddrInet6{Port: l.key.port()})
	options := [][2]int{{unix.IPV6_V6ONLY, 1}, {unix.IPV6_RECVPKTINFO, 1}, {unix.IPV6_RECVHOPLIMIT, 1}}
	if l.key.v4 {
		domain, level, addr = unix.AF_INET, unix.IPPROTO_IP, &unix.SockaddrInet4{Port: l.key.port()}
		options = [][2]int{{unix.IP_PKTINFO, 1}, {unix.IP_RECVTTL, 1}}
	}
	fd, err := unix.Socket(domain, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	l.fd = fd
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, level, o[0], o[1]); err != nil {
			return fmt.Errorf("set option %d: %w", o[0], err)
		}
	}
	// Forced where the process may: the default is too small for a thousand sessions.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	err = unix.Bind(fd, addr)
	if errors.Is(err, unix.EADDRINUSE) {
		return fmt.Errorf("another BFD daemon has the port: %w", err)
	}
	return err
}

func (l *listener) close(on *loop.Loop) {
	if l.fd >= 0 {
		on.Forget(l.fd)
		unix.Close(l.fd)
		l.fd = -1
	}
}

// inBuffers hold a batch of received packets.
type inBuffers struct {
	hdrs  [batch]mmsg.Header
	iovs  [batch]unix.Iovec
	names [batch]unix.RawSockaddrInet6
	ctrl  [batch][mmsg.ControlSpace / 8]uint64 // words: control messages are aligned
	data  [batch][bfd.MaxControl]byte
}

const (
	batch = 64
	// mostBatches bounds what is read at once: what is in the receive buffer when the
	// process wakes up, and not what a flood adds.
	mostBatches = 256
)

func newInBuffers() *inBuffers {
	in := new(inBuffers)
	for i := range batch {
		h := &in.hdrs[i].Msg
		h.Iov = &in.iovs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&in.names[i]))
		h.Control = (*byte)(unsafe.Pointer(&in.ctrl[i]))
		in.iovs[i].Base = &in.data[i][0]
		in.iovs[i].SetLen(bfd.MaxControl)
	}
	return in
}

// datagram is a received packet.
type datagram struct {
	data []byte
	src  netip.Addr
	mmsg.Arrival
}

// receive reads all packets that wait.
func (d *daemon) receive(l *listener) {
	in := d.in
	for range mostBatches {
		for i := range in.hdrs {
			in.hdrs[i].Msg.Namelen = unix.SizeofSockaddrInet6
			in.hdrs[i].Msg.SetControllen(mmsg.ControlSpace)
		}
		n, err := mmsg.Receive(l.fd, in.hdrs[:])
		if err != nil && err != unix.EAGAIN {
			slog.Error(fmt.Sprintf("receive on port %d: %v", l.key.port(), err))
		}
		now := d.loop.Now()
		for i := range n {
			g := in.datagram(i, l.key.v4)
			d.hear(&g, l.key.multihop, now)
		}
		if n < batch {
			return
		}
	}
}

func (in *inBuffers) datagram(i int, v4 bool) (g datagram) {
	h := &in.hdrs[i]
	g.data = in.data[i][:min(int(h.N), bfd.MaxControl)]
	if v4 {
		g.src = netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&in.names[i])).Addr)
	} else {
		g.src = netip.AddrFrom16(in.names[i].Addr)
	}
	g.Arrival = h.Arrival()
	return g
}

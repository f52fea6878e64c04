package vrrpd

import (
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/kernel"
	"keepalived-go/vrrp"
)

// socketKey identifies a raw socket: all virtual routers of one family and
// protocol on an interface share one. Link 0 is for unicast without interface.
type socketKey struct {
	link     int
	family   vrrp.Family
	protocol uint8 // 112, or 51 with an authentication header
	hops     uint8 // IPv6: the hop limit of what is sent; IPv4 packets bring their own
}

type socket struct {
	key    socketKey
	raw    *kernel.RawSocket
	users  int
	rcvBuf int                // what SetReceiveBuffer was told; 0: nothing
	groups map[netip.Addr]int // joined, by how many virtual routers
	byVRID [256]*router

	out     []kernel.Outgoing // adverts of this turn
	senders []*router         // whose
}

const (
	protocolVRRP = 112
	protocolAH   = 51
)

// receiveLimit bounds the packets taken from one socket in one turn, so that a
// flood cannot keep the timers waiting.
const receiveLimit = 16 // batches

// bind opens or joins the socket that r needs. It does nothing when r has it.
func (d *daemon) bind(r *router) {
	if r.socket != nil || r.conf.Interface != "" && r.link == nil {
		return
	}
	key := socketKey{family: vrrp.Family(r.conf.Family), protocol: protocolVRRP}
	if r.link != nil {
		key.link = r.link.Index
	}
	if r.conf.Auth.Type == conf.AuthAH {
		key.protocol = protocolAH
	}
	if r.ipv6() {
		key.hops = r.conf.TTL
	}
	s := d.sockets[key]
	if s == nil {
		raw, err := kernel.OpenRaw(int(key.family), int(key.protocol), key.link, kernel.RawOptions{
			HopLimit: int(key.hops), Buffers: d.buffers})
		if err != nil {
			d.socketFailed(r, err)
			return
		}
		s = &socket{key: key, raw: raw, groups: map[netip.Addr]int{}}
		if err := d.loop.watch(raw.FD(), func() { d.receive(s) }); err != nil {
			raw.Close()
			d.socketFailed(r, err)
			return
		}
		d.sockets[key] = s
	}
	if !r.conf.Unicast {
		if s.groups[r.conf.Group] == 0 {
			if err := s.raw.Join(r.conf.Group); err != nil {
				d.socketFailed(r, fmt.Errorf("join %v on %s: %w", r.conf.Group, r.conf.Interface, err))
				if s.users == 0 {
					d.closeSocket(s)
				}
				return
			}
		}
		s.groups[r.conf.Group]++
	}
	s.users++
	r.socket = s
	r.next = s.byVRID[r.conf.VRID]
	s.byVRID[r.conf.VRID] = r
	r.muted = false
	d.unsized = true
}

func (d *daemon) socketFailed(r *router, err error) {
	if !r.muted {
		r.muted = true
		slog.Error(fmt.Sprintf("(%s) %v", r.conf.Name, err), "instance", r.conf.Name)
	}
}

// unbind gives up the socket of r.
func (d *daemon) unbind(r *router) {
	s := r.socket
	if s == nil {
		return
	}
	r.socket = nil
	for p := &s.byVRID[r.engine.Config().VRID]; *p != nil; p = &(*p).next {
		if *p == r {
			*p, r.next = r.next, nil
			break
		}
	}
	if group := r.engine.Config().Group; !r.engine.Config().Unicast {
		if s.groups[group]--; s.groups[group] == 0 {
			delete(s.groups, group)
			s.raw.Leave(group) // fails only when the link is gone, and the membership with it
		}
	}
	if s.users--; s.users == 0 {
		d.closeSocket(s)
	}
	d.unsized = true
}

func (d *daemon) closeSocket(s *socket) {
	d.loop.forget(s.raw.FD())
	s.raw.Close()
	delete(d.sockets, s.key)
}

// sizeBuffers gives every socket a receive buffer of what its virtual routers
// ask for together.
func (d *daemon) sizeBuffers() {
	d.unsized = false
	sizes := make(map[*socket]int, len(d.sockets))
	for _, r := range d.routers {
		if r.socket != nil {
			sizes[r.socket] += d.receiveBuffer(r)
		}
	}
	for s, size := range sizes {
		if s.rcvBuf == size {
			continue
		}
		s.rcvBuf = size
		if err := s.raw.SetReceiveBuffer(size); err != nil {
			slog.Warn(fmt.Sprintf("receive buffer of %s: %v", d.linkName(s.key.link), err))
		}
	}
}

// receiveBuffer is the size that kernel_rx_buf_size, or else
// vrrp_rx_bufs_policy, asks for; 0 leaves the kernel's default.
func (d *daemon) receiveBuffer(r *router) int {
	if r.conf.RxBuf > 0 {
		return r.conf.RxBuf
	}
	g := &d.conf.Global
	switch g.RxBufPolicy {
	case conf.RxBufMTU:
		if r.link != nil {
			return r.link.MTU * g.RxBufMultiplier
		}
	case conf.RxBufAdvert:
		return advertRoom * g.RxBufMultiplier
	case conf.RxBufBytes:
		return g.RxBufSize
	}
	return 0
}

// advertRoom is what the kernel accounts for an advert of any size.
const advertRoom = 2048

// receive takes what has arrived on s to the engines.
func (d *daemon) receive(s *socket) {
	for range receiveLimit {
		n, err := s.raw.ReadBatch(d.datagrams)
		if err != nil {
			slog.Warn(fmt.Sprintf("receive adverts: %v", err))
			return
		}
		if n == 0 {
			return
		}
		at := now()
		for i := range d.datagrams[:n] {
			d.deliver(s, &d.datagrams[i], at)
		}
		if n < len(d.datagrams) {
			return
		}
	}
}

func (d *daemon) deliver(s *socket, g *kernel.Datagram, at time.Duration) {
	p := &d.packet
	var reject vrrp.Reject
	if s.key.family == vrrp.IPv4 {
		reject = vrrp.ParseIPv4(g.Data, p)
	} else {
		reject = vrrp.ParseIPv6(g.Src, g.Dst, g.HopLimit, g.Data, p)
	}
	if reject != vrrp.RejectNone {
		d.foreign[reject]++
		return
	}
	r := s.find(p)
	if r == nil {
		d.foreign[vrrp.RejectVRID]++
		d.unknown(s, p)
		return
	}
	d.step(r, at, vrrp.Event{Kind: vrrp.Received, Packet: p, Wall: time.Now()})
}

// find chooses the virtual router that p is for. One VRID may stand several
// times on a link, with other groups or other peers.
func (s *socket) find(p *vrrp.Packet) *router {
	first := s.byVRID[p.VRID()]
	if first == nil || first.next == nil {
		return first
	}
	for r := first; r != nil; r = r.next {
		c := r.conf
		switch {
		case c.Unicast == p.Multicast:
		case p.Multicast:
			if c.Group == p.Dst {
				return r
			}
		default:
			for i := range c.Peers {
				if c.Peers[i].Addr == p.Src {
					return r
				}
			}
		}
	}
	return first
}

// unknown logs a VRID that nobody here has, once each.
func (d *daemon) unknown(s *socket, p *vrrp.Packet) {
	if !d.conf.Global.LogUnknownVRIDs || s.key.link == 0 {
		return
	}
	id := unknownVRID{s.key.link, p.VRID()}
	if d.unknownVRIDs[id] {
		return
	}
	d.unknownVRIDs[id] = true
	name := ""
	if l := d.net.links[s.key.link]; l != nil {
		name = l.Name
	}
	slog.Info(fmt.Sprintf("Unknown VRID(%d) received on interface(%s). ignoring...", p.VRID(), name),
		"vrid", p.VRID(), "interface", name, "source", p.Src)
}

type unknownVRID struct {
	link int
	vrid uint8
}

// queueAdvert puts the adverts of r with the given priority into the outgoing
// batch of its socket.
func (d *daemon) queueAdvert(r *router, priority uint8) {
	s := r.socket
	if s == nil {
		return
	}
	if r.queued { // the bytes of its last advert are about to change
		d.sendAdverts()
	}
	if len(s.out) == 0 {
		d.sending = append(d.sending, s)
	}
	wall := time.Now()
	c := r.engine.Config()
	if !c.Unicast {
		s.queue(r, r.engine.Advert(-1, priority, wall), c.Group)
	}
	for i := range c.Peers {
		s.queue(r, r.engine.Advert(i, priority, wall), c.Peers[i].Addr)
	}
}

// queue adds one packet; there is none while a router has no source address.
func (s *socket) queue(r *router, packet []byte, to netip.Addr) {
	if packet != nil {
		s.out = append(s.out, kernel.Outgoing{Data: packet, Dst: to, Src: r.source, IfIndex: s.key.link})
		s.senders = append(s.senders, r)
		r.queued = true
	}
}

// sendAdverts sends what queueAdvert collected, one system call per socket and
// batch. An advert that cannot be sent is not repeated: the next one is never
// far.
func (d *daemon) sendAdverts() {
	for _, s := range d.sending {
		for _, r := range s.senders {
			r.queued = false
		}
		for rest, who := s.out, s.senders; len(rest) > 0; {
			n, err := s.raw.WriteBatch(rest)
			for _, r := range who[:n] {
				r.muted = false
			}
			rest, who = rest[n:], who[n:]
			if err == nil && n > 0 {
				continue
			}
			if len(rest) == 0 {
				break
			}
			if r := who[0]; !r.muted {
				r.muted = true
				slog.Warn(fmt.Sprintf("(%s) send advert to %v: %v", r.conf.Name, rest[0].Dst, err), "instance", r.conf.Name)
			}
			rest, who = rest[1:], who[1:]
		}
		s.out, s.senders = s.out[:0], s.senders[:0]
	}
	d.sending = d.sending[:0]
}

package vrrpd

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/policy"
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

// A basis is all that the socket of a virtual router follows from. While it is
// the same, the socket is as good as a new one.
type basis struct {
	key   socketKey
	group netip.Addr // joined; the zero Addr for unicast
}

// wanted is what the socket of a virtual router is to be made from now, l being
// the link of its adverts. There is none without the interface or the VRF.
func wanted(c *conf.VRRPInstance, l *netLink) (b basis, ok bool) {
	if policy.Bound(c) != "" && l == nil {
		return basis{}, false
	}
	b.key = socketKey{family: vrrp.Family(c.Family), protocol: protocolVRRP}
	if c.Auth.Type == conf.AuthAH {
		b.key.protocol = protocolAH
	}
	if c.Family == conf.IPv6 {
		b.key.hops = c.TTL
	}
	if l != nil {
		b.key.link = l.Index
	}
	if !c.Unicast {
		b.group = c.Group
	}
	return b, true
}

// A socket is a raw socket and the virtual routers that use it. The kernel opens it,
// joins and leaves groups, and closes it beside the loop, in the order of the
// requests: each of these waits while another program changes the network.
//
//	ask ──▶ worker: open, join ──▶ joined: the routers that wait use it
//	                         └───▶ refused: they are in FAULT, and try again later
//	leave ─▶ worker: leave, close
type socket struct {
	key     socketKey
	conn    *rawConn
	raw     kernel.PacketConn          // that of conn; nil: it is not open yet
	losses  uint32                     // of the family on the link, when the groups were joined last: see netLink
	groups  map[netip.Addr]*membership // by the group
	rcvBuf  int                        // what SetReceiveBuffer got; 0: nothing
	byVRID  [256]*router
	strange [256]bool // VRIDs that no virtual router here has, already logged

	out     []kernel.Outgoing // adverts of this turn
	senders []sender          // whose
}

// A membership is what virtual routers with the same basis share: a socket, as a
// member of a group or for unicast.
type membership struct {
	basis
	socket *socket
	users  int       // virtual routers that use it or wait for it
	ready  bool      // the socket is open and in the group
	askers []*router // virtual routers that waited for it, until it is ready
}

// multicast reports whether a socket is in any group.
func (s *socket) multicast() bool {
	for group := range s.groups {
		if group.IsValid() {
			return true
		}
	}
	return false
}

// rawConn is the kernel's part of a socket, which belongs to the worker.
type rawConn struct {
	raw  kernel.PacketConn // nil: not open
	open func() (kernel.PacketConn, error)
	name string // of the link, for errors
}

// join makes the socket a member of a group; the zero Addr: it only opens it.
func (c *rawConn) join(group netip.Addr) (err error) {
	if c.raw == nil {
		if c.raw, err = c.open(); err != nil {
			c.raw = nil
			return err
		}
	}
	if group.IsValid() {
		if err := c.raw.Join(group); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}

// leave undoes join. It fails only if the link is gone, and the membership with it.
func (c *rawConn) leave(group netip.Addr) {
	if c.raw != nil && group.IsValid() {
		c.raw.Leave(group)
	}
}

func (c *rawConn) close() {
	if c.raw != nil {
		c.raw.Close()
	}
}

// sender is the router of a packet that waits to be sent.
type sender struct {
	*router
	last bool // the packet has priority 0
}

const (
	protocolVRRP = 112
	protocolAH   = 51
)

// receiveLimit bounds the packets taken from one socket in one turn, so that a
// flood cannot keep the timers waiting.
const receiveLimit = 16 // batches

// errNotOpen is the refusal of a virtual router whose interface has just come.
var errNotOpen = errors.New("its socket is not open yet")

// bind brings r to the socket that it shall have now. If the kernel has yet to make
// it, r continues with the one that it has, unless that is on another link.
func (d *daemon) bind(r *router) {
	there := d.net.links[r.basis.key.link] != nil || r.basis.key.link == 0
	if r.changing && there && d.making(r) {
		return // until the link is there
	}
	b, ok := wanted(r.conf, r.port())
	if !ok || r.member != nil && r.basis.key.link != b.key.link && !(r.changing && there) {
		d.detach(r)
		if !r.changing {
			r.refusal = errNotOpen
		}
	}
	if r.member != nil && r.basis == b && !d.making(r) {
		r.changing = false
	}
	asked := r.asked
	r.asked = nil
	if ok && (r.member == nil || r.basis != b) {
		r.asked = d.ask(b, r)
	}
	d.leave(asked) // after the request: what both need stays as it is
	if r.asked != nil && r.asked.ready {
		d.attach(r)
	}
}

// unbind gives up the socket of r, and the one that it waits for.
func (d *daemon) unbind(r *router) {
	d.detach(r)
	d.leave(r.asked)
	r.asked = nil
}

// opening reports whether r cannot start because the kernel has not made its links, or
// not opened its socket yet.
func (d *daemon) opening(r *router) bool {
	return r.waiting && (d.making(r) || r.socket == nil && r.asked != nil)
}

// attach has r use the socket that it has asked for.
func (d *daemon) attach(r *router) {
	m := r.asked
	r.asked = nil
	d.detach(r)
	r.member, r.socket, r.basis = m, m.socket, m.basis
	r.next = m.socket.byVRID[r.conf.VRID]
	m.socket.byVRID[r.conf.VRID] = r
	r.muted, r.refusal, r.changing = false, nil, false
	d.unsized = true
}

// detach ends the use of a socket by r, after what waits to be sent by it.
func (d *daemon) detach(r *router) {
	s := r.socket
	if s == nil {
		return
	}
	if len(s.out) > 0 {
		d.sendAdverts()
	}
	for p := &s.byVRID[r.conf.VRID]; *p != nil; p = &(*p).next {
		if *p == r {
			*p, r.next = r.next, nil
			break
		}
	}
	m := r.member
	r.member, r.socket = nil, nil
	d.leave(m)
	d.unsized = true
}

// ask returns the membership made from b for one more user, r. If it is not ready,
// the kernel is asked for it.
func (d *daemon) ask(b basis, r *router) *membership {
	s := d.sockets[b.key]
	if s == nil {
		s = &socket{key: b.key, losses: d.losses(b.key), groups: map[netip.Addr]*membership{}}
		s.conn = &rawConn{name: d.linkName(b.key.link), open: func() (kernel.PacketConn, error) {
			return d.Host.Raw(int(b.key.family), int(b.key.protocol), b.key.link, kernel.RawOptions{
				HopLimit: int(b.key.hops), Buffers: d.buffers})
		}}
		d.sockets[b.key] = s
	}
	m := s.groups[b.group]
	if m == nil {
		m = &membership{basis: b, socket: s}
		s.groups[b.group] = m
		var err error
		d.worker.Do(func() { err = s.conn.join(b.group) }, func() { d.joined(m, err) })
	}
	m.users++
	if !m.ready {
		m.askers = append(m.askers, r)
	}
	return m
}

// leave ends one use of m; nil: of nothing.
func (d *daemon) leave(m *membership) {
	if m == nil {
		return
	}
	if m.users--; m.users > 0 {
		return
	}
	s := m.socket
	delete(s.groups, m.group)
	last := len(s.groups) == 0
	if last {
		if s.raw != nil {
			d.loop.Forget(s.raw.FD())
		}
		delete(d.sockets, s.key)
	}
	d.worker.Do(func() {
		if s.conn.leave(m.group); last {
			s.conn.close()
		}
	}, nil)
}

// joined takes up the kernel's answer to a request for m.
func (d *daemon) joined(m *membership, err error) {
	s := m.socket
	if m.users == 0 {
		return // the request to leave it has followed
	}
	if err == nil && s.raw == nil {
		if err = d.loop.Watch(s.conn.raw.FD(), func() { d.receive(s) }); err == nil {
			s.raw = s.conn.raw
		}
	}
	if err != nil {
		d.refused(m, err)
		return
	}
	askers := slices.DeleteFunc(m.askers, func(r *router) bool { return r.asked != m })
	m.ready, m.askers = true, nil
	d.check(askers)
	d.startReady(askers)
}

// refused gives up m for all who use it or wait for it. They are in FAULT until another
// attempt succeeds.
func (d *daemon) refused(m *membership, err error) {
	var all []*router
	for _, r := range d.routers {
		if r.asked == m || r.member == m {
			all = append(all, r)
		}
	}
	for _, r := range all {
		d.unbind(r)
		r.refusal, r.changing = err, false
		if !r.muted {
			r.muted = true
			slog.Error(fmt.Sprintf("(%s) %v", r.conf.Name, err), "instance", r.conf.Name)
		}
		d.inform(r)
	}
	if !d.rebinding.Running() {
		d.loop.Set(&d.rebinding, d.loop.Now()+rebindDelay)
	}
	d.startReady(all)
}

// startReady starts those of the routers that wait for nothing any more.
func (d *daemon) startReady(routers []*router) {
	for _, r := range routers {
		if r.waiting && !d.stopping {
			d.startWaiting(r)
		}
	}
}

// losses is how often the kernel has given up the family of a socket on its link.
func (d *daemon) losses(k socketKey) uint32 {
	if l := d.net.links[k.link]; l != nil {
		return l.losses[familyIndex(k.family == vrrp.IPv6)]
	}
	return 0
}

// rejoin has the sockets on links that have lost a family join their groups again. All
// of them leave first: a group that is left for one socket is left for a newer
// membership of another one too.
func (d *daemon) rejoin() {
	d.net.lost = false
	var again []*membership
	for _, s := range d.sockets {
		if n := d.losses(s.key); n != s.losses {
			s.losses = n
			for _, m := range s.groups {
				if m.group.IsValid() {
					again = append(again, m)
				}
			}
		}
	}
	if len(again) == 0 {
		return
	}
	errs := make([]error, len(again))
	d.worker.Do(func() {
		for _, m := range again {
			m.socket.conn.leave(m.group)
		}
		for i, m := range again {
			errs[i] = m.socket.conn.join(m.group)
		}
	}, func() {
		for i, m := range again {
			d.joined(m, errs[i])
		}
	})
}

// doubtful reports whether sockets of the family on a link may have lost a
// group: the reading does not list one as joined. A group that was joined after the
// reading is joined again for nothing.
func (d *daemon) doubtful(state *reading) func(link int, ipv6 bool) bool {
	return func(link int, ipv6 bool) bool {
		for _, s := range d.sockets {
			if s.key.link != link || (s.key.family == vrrp.IPv6) != ipv6 {
				continue
			}
			for group := range s.groups {
				if group.IsValid() && !state.joined[familyIndex(ipv6)][kernel.Group{Link: link, Addr: group}] {
					return true
				}
			}
		}
		return false
	}
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
			if missed, ok := d.readErr.Take(d.loop.Now()); ok {
				slog.Warn(fmt.Sprintf("receive adverts on %s: %v", d.linkName(s.key.link), err) + missedText(missed))
			}
			return
		}
		if n == 0 {
			return
		}
		at := d.loop.Now()
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
	r, wall := s.find(p), time.Now()
	d.heard.hear(s.key.link, p, r, at, wall)
	if r == nil {
		d.foreign[vrrp.RejectVRID]++
		d.unknown(s, p)
		return
	}
	d.step(r, at, vrrp.Event{Kind: vrrp.Received, Packet: p, Wall: wall})
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

// unknown logs a VRID that no virtual router here has, once each while the socket is open.
func (d *daemon) unknown(s *socket, p *vrrp.Packet) {
	if !d.conf.Global.LogUnknownVRIDs || s.key.link == 0 {
		return
	}
	if s.strange[p.VRID()] {
		return
	}
	s.strange[p.VRID()] = true
	name := ""
	if l := d.net.links[s.key.link]; l != nil {
		name = l.Name
	}
	slog.Info(fmt.Sprintf("Unknown VRID(%d) received on interface(%s). ignoring...", p.VRID(), name),
		"vrid", p.VRID(), "interface", name, "source", p.Src)
}

// queueAdvert puts the adverts of r with the given priority into the outgoing
// batch of its socket.
func (d *daemon) queueAdvert(r *router, priority uint8) {
	last := priority == 0
	s := r.socket
	if last {
		r.unsent = errNoSource
	}
	if s == nil {
		r.unsent = errNoSocket
		if !last {
			return
		}
	}
	if r.queued { // the bytes of its last advert are about to change
		d.sendAdverts()
	}
	direct := last && (s == nil || r.sourceGone) // without the IP of the kernel, if possible
	wall := time.Now()
	c := r.engine.Config()
	if !c.Unicast {
		packet := r.engine.Advert(-1, priority, wall)
		if direct && d.sendFrame(r, packet, c.Group) || s == nil {
			return
		}
		d.queue(s, r, packet, c.Group, last)
	}
	for i := range c.Peers {
		packet, peer := r.engine.Advert(i, priority, wall), c.Peers[i].Addr
		if direct && (d.sendFrame(r, packet, peer) || d.unreachable(r, peer)) || s == nil {
			continue
		}
		d.queue(s, r, packet, peer, last)
	}
}

var (
	errNoSocket = errors.New("there is no socket")
	errNoSource = errors.New("there is no source address")
	errDown     = errors.New("the interface is down")
)

// queue adds one packet; there is none while a router has no source address.
func (d *daemon) queue(s *socket, r *router, packet []byte, to netip.Addr, last bool) {
	if packet == nil {
		return
	}
	if len(s.out) == 0 {
		d.sending = append(d.sending, s)
	}
	s.out = append(s.out, kernel.Outgoing{Data: packet, Dst: to, Src: r.source, IfIndex: s.key.link})
	s.senders = append(s.senders, sender{r, last})
	r.queued = true
}

// sendFrame sends the last words of a router whose source address or socket is
// gone past the kernel's IP, which may have gone with it: to its group, or to a peer on
// the link. It reports false where only the kernel knows how: to an IPv4 peer while
// there is a socket, to peers behind a router, off Ethernet, or when it refuses.
func (d *daemon) sendFrame(r *router, packet []byte, to netip.Addr) bool {
	index := r.basis.key.link
	switch {
	case to.IsMulticast():
	case r.ipv6() || r.socket == nil:
		index = d.linkTo(r, to)
	default:
		return false // the kernel finds an IPv4 peer on the link without an address, too
	}
	l := d.net.links[index]
	if packet == nil || l == nil || !l.Up() || l.HardwareAddr == [6]byte{} {
		return false
	}
	f := kernel.Frame{Link: l.Index, Proto: kernel.EtherTypeIPv4}
	if r.ipv6() {
		f.Proto = kernel.EtherTypeIPv6
		f.Data = kernel.AppendIPv6(nil, l.HardwareAddr, r.source, to, r.engine.Config().TTL, packet)
	} else {
		f.Data = kernel.AppendIPv4(nil, l.HardwareAddr, packet)
	}
	if n, _ := d.announcer.send([]kernel.Frame{f}); n != 1 {
		return false
	}
	r.unsent = nil
	return true
}

// linkTo is the link on which a peer is reached directly, according to the source
// address that r has or has just lost; 0: there is none.
func (d *daemon) linkTo(r *router, peer netip.Addr) int {
	own := r.basis.key.link
	reaches := func(k kernel.Key) bool {
		return k.Prefix.Addr() == r.source && (peer.IsLinkLocalUnicast() || k.Prefix.Contains(peer))
	}
	for _, k := range d.withdrawn {
		if (own == 0 || own == k.Link) && reaches(k) {
			return k.Link
		}
	}
	on := func(l *netLink) bool {
		for k := range l.addrs {
			if reaches(k) {
				return true
			}
		}
		return false
	}
	if own != 0 {
		if l := d.net.links[own]; l != nil && on(l) {
			return own
		}
		return 0
	}
	for index, l := range d.net.links {
		if on(l) {
			return index
		}
	}
	return 0
}

// unreachable reports whether a peer is not on the link, and no address is left from
// which the kernel could ask for the router in between. It takes the packet all the
// same, and drops it later.
func (d *daemon) unreachable(r *router, peer netip.Addr) bool {
	l := d.net.links[r.basis.key.link]
	if l == nil || d.linkTo(r, peer) != 0 {
		return false
	}
	for k, a := range l.addrs {
		if k.Prefix.Addr().Is6() == r.ipv6() && a.usable {
			return false
		}
	}
	return true
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
				d.sendStatus(r.router, false)
				if r.last {
					r.unsent = d.impassable(s.key.link)
				}
			}
			rest, who = rest[n:], who[n:]
			if err == nil && n > 0 {
				continue
			}
			if len(rest) == 0 {
				break
			}
			r := who[0]
			if r.last && !errors.Is(err, unix.EPERM) && d.sendFrame(r.router, rest[0].Data, rest[0].Dst) {
				rest, who = rest[1:], who[1:]
				continue // the source is gone, and the event that reports it is still to come
			}
			if r.last && r.unsent == errNoSource {
				r.unsent = err
			}
			if !r.muted {
				r.muted = true
				slog.Warn(fmt.Sprintf("(%s) send advert to %v: %v%s", r.conf.Name, rest[0].Dst, err, s.firewallText(err)),
					"instance", r.conf.Name)
			}
			d.sendStatus(r.router, errors.Is(err, unix.EPERM))
			rest, who = rest[1:], who[1:]
		}
		s.out, s.senders = s.out[:0], s.senders[:0]
	}
	d.sending = d.sending[:0]
}

// impassable is the reason why a packet that the kernel took does not leave by a link.
func (d *daemon) impassable(link int) error {
	if l := d.net.links[link]; link != 0 && (l == nil || !l.Up()) {
		return errDown
	}
	return nil
}

// firewallText is what to do about an advert that a packet filter of this
// machine refused.
func (s *socket) firewallText(err error) string {
	if !errors.Is(err, unix.EPERM) {
		return ""
	}
	protocol := "112 (VRRP)"
	if s.key.protocol == protocolAH {
		protocol = "51 (AH)"
	}
	return "; a firewall on this machine blocks it: allow IP protocol " + protocol +
		", in and out, or the other nodes will also be master"
}

// sendStatus informs the engine of r whether a firewall holds its adverts back.
func (d *daemon) sendStatus(r *router, blocked bool) {
	if r.blocked == blocked {
		return
	}
	r.blocked = blocked
	d.loop.Post(func() { // not within a step, which may be what sends
		if d.byEngine[r.engine] == r {
			d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.SendStatus, Blocked: blocked, Wall: time.Now()})
		}
	})
}

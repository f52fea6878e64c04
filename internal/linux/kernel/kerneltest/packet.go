package kerneltest

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
)

// Packet is a packet that was sent by a raw socket.
type Packet struct {
	Time     time.Time
	Link     int
	Protocol int
	Dst      netip.Addr
	Data     []byte // IPv4: with the IP header
}

// packetConn is a raw socket. Its descriptor, an eventfd, can be read while
// packets wait.
type packetConn struct {
	kernel *Kernel

	family, protocol, link int

	fd     int
	groups map[netip.Addr]bool
	queue  []kernel.Datagram
}

// Raw opens a raw socket on a link.
func (k *Kernel) Raw(family, protocol, link int, _ kernel.RawOptions) (kernel.PacketConn, error) {
	fd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	c := &packetConn{kernel: k, family: family, protocol: protocol, link: link, fd: fd, groups: map[netip.Addr]bool{}}
	k.lock()
	defer k.mu.Unlock()
	if k.refuseRaw != nil {
		unix.Close(fd)
		return nil, k.refuseRaw
	}
	k.conns = append(k.conns, c)
	return c, nil
}

// RefuseRaw has the kernel open no raw socket, for the reason why, until it is nil.
func (k *Kernel) RefuseRaw(why error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuseRaw = why
}

// Arrive has a packet come in on a link.
func (k *Kernel) Arrive(family, protocol int, d kernel.Datagram) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.conns {
		if c.family == family && c.protocol == protocol && c.link == d.IfIndex && (!d.Dst.IsMulticast() || c.groups[d.Dst]) {
			c.queue = append(c.queue, d)
			unix.Write(c.fd, binary.NativeEndian.AppendUint64(nil, 1))
		}
	}
}

// Sent returns the packets sent by raw sockets, from number from on.
func (k *Kernel) Sent(from int) []Packet {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.sent[min(from, len(k.sent)):])
}

// RefuseSending has raw sockets refuse packets with err, as a firewall does; nil: they
// take them.
func (k *Kernel) RefuseSending(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sending = err
}

// Sockets is how many raw sockets are open.
func (k *Kernel) Sockets() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return len(k.conns)
}

// FramesSent is how many frames were sent.
func (k *Kernel) FramesSent() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.frames
}

// LastFrame is the frame sent last.
func (k *Kernel) LastFrame() kernel.Frame {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lastFrame
}

// Frames returns a function that sends frames.
func (k *Kernel) Frames() (func([]kernel.Frame) (int, error), error) {
	return func(frames []kernel.Frame) (int, error) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.frames += len(frames)
		if n := len(frames); n > 0 {
			k.lastFrame = frames[n-1]
			k.lastFrame.Data = slices.Clone(k.lastFrame.Data)
		}
		return len(frames), nil
	}, nil
}

// Groups lists the groups that raw sockets of a family have joined.
func (k *Kernel) Groups(family int) (map[kernel.Group]bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	all := map[kernel.Group]bool{}
	for _, c := range k.conns {
		for group := range c.groups {
			if c.family == family {
				all[kernel.Group{Link: c.link, Addr: group}] = true
			}
		}
	}
	return all, nil
}

func (c *packetConn) FD() int                    { return c.fd }
func (c *packetConn) SetReceiveBuffer(int) error { return nil }

func (c *packetConn) Join(group netip.Addr) error {
	c.kernel.lock()
	defer c.kernel.mu.Unlock()
	for _, l := range c.kernel.links {
		if l.Index == c.link && (group.Is4() && !l.IPv4 || group.Is6() && !l.IPv6) {
			return unix.EINVAL
		}
	}
	if c.groups[group] {
		return unix.EADDRINUSE
	}
	c.groups[group] = true
	return nil
}

func (c *packetConn) Leave(group netip.Addr) error {
	c.kernel.lock()
	defer c.kernel.mu.Unlock()
	if !c.groups[group] {
		return unix.EADDRNOTAVAIL
	}
	delete(c.groups, group)
	return nil
}

func (c *packetConn) ReadBatch(dst []kernel.Datagram) (int, error) {
	c.kernel.mu.Lock()
	defer c.kernel.mu.Unlock()
	n := copy(dst, c.queue)
	if c.queue = c.queue[n:]; len(c.queue) == 0 {
		unix.Read(c.fd, make([]byte, 8))
	}
	return n, nil
}

func (c *packetConn) WriteBatch(msgs []kernel.Outgoing) (int, error) {
	c.kernel.mu.Lock()
	defer c.kernel.mu.Unlock()
	if err := c.kernel.sending; err != nil {
		return 0, err
	}
	for _, m := range msgs {
		c.kernel.sent = append(c.kernel.sent, Packet{time.Now(), c.link, c.protocol, m.Dst, slices.Clone(m.Data)})
	}
	return len(msgs), nil
}

func (c *packetConn) Close() error {
	c.kernel.lock()
	defer c.kernel.mu.Unlock()
	c.kernel.conns = slices.DeleteFunc(c.kernel.conns, func(have *packetConn) bool { return have == c })
	return unix.Close(c.fd)
}

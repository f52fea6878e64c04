package mmsg

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ControlSpace is the room, in bytes, for the control messages that Arrival reads:
// in6_pktinfo, or the shorter in_pktinfo, and a hop limit, each after its header and
// padded to words. The room must begin at a word.
const ControlSpace = unix.SizeofCmsghdr + 24 + unix.SizeofCmsghdr + 8

// Arrival is how a packet came, as far as the socket was asked to receive this.
type Arrival struct {
	Dst      netip.Addr // IP_PKTINFO, IPV6_RECVPKTINFO; else invalid
	Link     int        // index of the interface; with Dst, else 0
	HopLimit uint8      // or TTL: IP_RECVTTL, IPV6_RECVHOPLIMIT; else 0
}

// Arrival reads the control messages of a received packet. It ignores others, and all
// after one whose length cannot be.
func (h *Header) Arrival() (a Arrival) {
	const head = unix.SizeofCmsghdr
	b := unsafe.Slice(h.Msg.Control, h.Msg.Controllen)
	for len(b) >= head {
		c := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		n := int(c.Len)
		if n < head || n > len(b) {
			break
		}
		v := b[head:n]
		switch {
		case c.Level == unix.IPPROTO_IPV6 && c.Type == unix.IPV6_PKTINFO && len(v) >= unix.SizeofInet6Pktinfo:
			info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&v[0]))
			a.Dst, a.Link = netip.AddrFrom16(info.Addr), int(info.Ifindex)
		case c.Level == unix.IPPROTO_IP && c.Type == unix.IP_PKTINFO && len(v) >= unix.SizeofInet4Pktinfo:
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&v[0]))
			a.Dst, a.Link = netip.AddrFrom4(info.Addr), int(info.Ifindex)
		case c.Level == unix.IPPROTO_IPV6 && c.Type == unix.IPV6_HOPLIMIT && len(v) >= 4,
			c.Level == unix.IPPROTO_IP && c.Type == unix.IP_TTL && len(v) >= 4:
			a.HopLimit = uint8(*(*int32)(unsafe.Pointer(&v[0])))
		}
		b = b[min(unix.CmsgSpace(n-head), len(b)):]
	}
	return a
}

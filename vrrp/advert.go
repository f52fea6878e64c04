package vrrp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// groupIPv4 is the multicast group of VRRP over IPv4 (RFC 9568, 5.1.1.2), which
// old unicast checksums contain.
var groupIPv4 = netip.AddrFrom4([4]byte{224, 0, 0, 18})

// tos is class selector 6, internetwork control.
const tos = 0xc0

// size returns the length of an address.
func (f Family) size() int {
	if f == IPv6 {
		return 16
	}
	return 4
}

// prepareAddresses puts the addresses into wire form.
func (i *Instance) prepareAddresses() {
	all := i.cfg.Advertised()
	i.addrs = make([]byte, 0, len(all)*i.cfg.Family.size())
	for _, a := range all {
		i.addrs = append(i.addrs, a.AsSlice()...)
	}
}

// lengths of the parts of a packet as we send it.
func (c *Config) lenHeaders() (n int) {
	if c.Family == IPv4 {
		n = lenIPv4
	}
	if c.Auth == AuthAH {
		n += lenAH
	}
	return n
}

func (c *Config) lenMessage() int {
	n := lenVRRP + len(c.Advertised())*c.Family.size()
	if c.Version == 2 && c.Family == IPv4 {
		n += lenAuthData
	}
	return n
}

func (c *Config) signs() bool { return c.HMAC.Mode == HMACEnforce || c.HMAC.Mode == HMACPermissive }

// Advert returns the packet to send for a SendAdvert action: a complete IPv4
// packet, header included, or an IPv6 payload with its checksum. peer is an
// index into Config.Peers, or -1 for multicast; those of one advert must be
// asked for in order. wall is the wall clock, which only the HMAC trailer
// needs.
//
// The bytes are the instance's own and valid until the next call for the same
// peer or the next Step. They are kept: a call writes the identification and
// what depends on it, and allocates nothing unless the configuration, the
// source or a peer's checksum form has changed. Advert returns nil when there
// is no such destination, or no source address.
func (i *Instance) Advert(peer int, priority uint8, wall time.Time) []byte {
	slot := 0
	if i.cfg.Unicast {
		if peer < 0 || peer >= len(i.cfg.Peers) {
			return nil
		}
		slot = peer
	} else if peer != -1 {
		return nil
	}
	if i.cfg.foreign(i.source) || i.cfg.foreign(i.destination(slot)) {
		return nil
	}
	if i.wire == nil {
		i.build()
	}
	c := &i.cfg
	b := i.packet(slot)
	headers := c.lenHeaders()
	message := b[headers : headers+c.lenMessage()]
	next := slot <= int(i.round) || message[2] != priority // the first packet of an advert
	i.round = int32(slot)
	changed := message[2] != priority
	message[2] = priority

	if trailer := b[headers+len(message):]; len(trailer) > 0 {
		i.sign(message, trailer, next, wall)
		changed = changed || c.Family == IPv6 // whose sum covers the trailer
	}
	if changed {
		i.putChecksum(slot, message, b[headers:])
	}
	if c.Family == IPv4 {
		i.putIPv4(b)
		if c.Auth == AuthAH {
			i.ah.authenticate(b, next, c.Unicast)
		}
	}
	return b
}

// packet is that of a slot, as it stands in wire.
func (i *Instance) packet(slot int) []byte {
	size := int(i.stride)
	return i.wire[slot*size : (slot+1)*size]
}

// destination returns where the packet of a slot goes.
func (i *Instance) destination(slot int) netip.Addr {
	if i.cfg.Unicast {
		return i.cfg.Peers[slot].Addr
	}
	return i.cfg.Group
}

// build writes all packets as they are before the first is sent: with
// everything but identification, sequence numbers and codes.
func (i *Instance) build() {
	c := &i.cfg
	headers, message := c.lenHeaders(), c.lenMessage()
	size := headers + message
	if c.signs() {
		size += lenTrailer
	}
	slots := 1
	if c.Unicast {
		slots = len(c.Peers)
	}
	i.wire, i.stride = make([]byte, slots*size), int32(size)
	i.round = int32(slots) // so that the next packet begins an advert
	for slot := range slots {
		b := i.packet(slot)
		if c.Family == IPv4 {
			src := i.source.As4()
			b[0] = 0x45
			b[1] = tos
			binary.BigEndian.PutUint16(b[2:], uint16(size))
			b[8] = c.TTL
			b[9] = protocolVRRP
			copy(b[12:], src[:])
			copy(b[16:lenIPv4], i.destination(slot).AsSlice())
			if c.Auth == AuthAH {
				b[9] = protocolAH
				ah := b[lenIPv4:]
				ah[0] = protocolVRRP
				ah[1] = lenAH/4 - 2
				copy(ah[4:], src[:]) // the security parameter index
			}
		}
		m := b[headers : headers+message]
		m[0] = c.Version<<4 | typeAdvert
		m[1] = c.VRID
		m[2] = i.prio
		m[3] = uint8(len(c.Advertised()))
		if c.Version == 2 {
			m[4] = uint8(c.Auth)
			m[5] = uint8(c.AdvertInterval / time.Second)
		} else {
			binary.BigEndian.PutUint16(m[4:], uint16(c.AdvertInterval/centisecond))
		}
		copy(m[lenVRRP:], i.addrs)
		if c.Auth == AuthPass {
			copy(m[message-lenAuthData:], c.Key[:])
		}
		i.putChecksum(slot, m, b[headers:])
	}
}

// putChecksum computes the checksum of message; all is the message with its
// trailer, which the IPv6 sum covers and the IPv4 sum does not.
func (i *Instance) putChecksum(slot int, message, all []byte) {
	c := &i.cfg
	message[6], message[7] = 0, 0
	var s uint64
	switch {
	case c.Family == IPv6:
		s = sum(sumPseudo(i.source, i.destination(slot), len(all)), all)
	case c.Version == 2, c.ChecksumAsV2:
		s = sum(0, message)
	default:
		dst := i.destination(slot)
		if c.Unicast && i.oldChecksum(slot) {
			dst = groupIPv4
		}
		s = sum(sumPseudo(i.source, dst, len(message)), message)
	}
	binary.BigEndian.PutUint16(message[6:], fold(s))
}

// putIPv4 gives the packet the next identification, which counts from 1 and
// leaves out 0, and the header checksum.
func (i *Instance) putIPv4(b []byte) {
	i.ipid++
	if i.ipid == 0 {
		i.ipid = 1
	}
	binary.BigEndian.PutUint16(b[4:], i.ipid)
	b[10], b[11] = 0, 0
	binary.BigEndian.PutUint16(b[10:], fold(sum(0, b[:lenIPv4])))
}

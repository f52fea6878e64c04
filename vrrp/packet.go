package vrrp

import (
	"encoding/binary"
	"net/netip"
)

// Lengths and numbers of the wire format (RFC 9568, 5; RFC 2338, 5.3 for the
// authentication data of version 2).
const (
	protocolAH   = 51
	protocolVRRP = 112

	lenIPv4     = 20 // header as we send it, without options
	lenAH       = 24 // AH with a 96-bit integrity check value
	lenVRRP     = 8  // header before the addresses
	lenAuthData = 8  // version 2 IPv4: after the addresses
	lenTrailer  = 28 // HMAC trailer

	typeAdvert = 1
)

// Packet is one received VRRP packet. Its slices refer to the caller's buffer
// and are read only during Step.
type Packet struct {
	Src, Dst  netip.Addr
	TTL       uint8  // TTL or hop limit
	Protocol  uint8  // 112, or 51 when an authentication header comes first
	Multicast bool   // Dst is a multicast address
	IPHeader  []byte // IPv4: the header, options included
	Payload   []byte // what the IP header carries: AH, VRRP message, trailer
}

// ParseIPv4 splits b, an IPv4 packet as read from a raw socket, into p. Bytes
// beyond the total length, such as the padding of a short Ethernet frame, are
// left out. Anything but RejectNone means that p must not be used.
func ParseIPv4(b []byte, p *Packet) Reject {
	if len(b) < lenIPv4 || b[0]>>4 != 4 {
		return RejectIPHeader
	}
	header := int(b[0]&0x0f) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if header < lenIPv4 || total < header || total > len(b) {
		return RejectIPHeader
	}
	if binary.BigEndian.Uint16(b[6:])&0x3fff != 0 { // more fragments, or an offset
		return RejectFragment
	}
	p.Src = netip.AddrFrom4([4]byte(b[12:16]))
	p.Dst = netip.AddrFrom4([4]byte(b[16:20]))
	p.TTL = b[8]
	p.Protocol = b[9]
	p.Multicast = p.Dst.IsMulticast()
	p.IPHeader = b[:header:header]
	p.Payload = b[header:total:total]
	return p.check()
}

// ParseIPv6 takes what an IPv6 raw socket and its control messages said. Zones
// are dropped: an instance knows one link only.
func ParseIPv6(src, dst netip.Addr, hopLimit uint8, payload []byte, p *Packet) Reject {
	p.Src = src.WithZone("")
	p.Dst = dst.WithZone("")
	p.TTL = hopLimit
	p.Protocol = protocolVRRP
	p.Multicast = dst.IsMulticast()
	p.IPHeader = nil
	p.Payload = payload
	if !src.Is6() || !dst.Is6() || src.Is4In6() {
		return RejectFamily
	}
	return p.check()
}

// check reports whether the packet holds a VRRP header.
func (p *Packet) check() Reject {
	switch p.Protocol {
	case protocolVRRP:
	case protocolAH:
		if len(p.Payload) < lenAH+lenVRRP {
			return RejectShort
		}
		// Payload length 4 is 24 bytes less two words (RFC 2402, 2.2).
		if p.Payload[0] != protocolVRRP || p.Payload[1] != lenAH/4-2 {
			return RejectProtocol
		}
		return RejectNone
	default:
		return RejectProtocol
	}
	if len(p.Payload) < lenVRRP {
		return RejectShort
	}
	return RejectNone
}

// message returns the VRRP message with whatever follows it. The packet must
// have been accepted by ParseIPv4 or ParseIPv6.
func (p *Packet) message() []byte {
	if p.Protocol == protocolAH {
		return p.Payload[lenAH:]
	}
	return p.Payload
}

// VRID returns the virtual router identifier, by which packets find their
// instance.
func (p *Packet) VRID() uint8 { return p.message()[1] }

// Version returns the protocol version, unchecked.
func (p *Packet) Version() uint8 { return p.message()[0] >> 4 }

// Priority returns the sender's priority.
func (p *Packet) Priority() uint8 { return p.message()[2] }

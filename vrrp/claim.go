package vrrp

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Claim is what an advert states of its sender. Nothing of it is checked: it may come from
// anybody.
type Claim struct {
	Version   uint8
	VRID      uint8
	Priority  uint8
	Interval  time.Duration // between adverts
	Addresses []netip.Addr  // that the sender holds, if it is master
}

// Claim returns the part of an advert of version 2 or 3 that [ParseClaim] takes, without
// authentication data; nil: the packet is none, or is cut short. It is part of the
// payload. The packet must have been accepted by ParseIPv4 or ParseIPv6.
func (p *Packet) Claim() []byte {
	m := p.message()
	if v := m[0] >> 4; m[0]&0x0f != typeAdvert || v != 2 && v != 3 {
		return nil
	}
	n := lenVRRP + int(m[3])*p.Src.BitLen()/8
	if n > len(m) {
		return nil
	}
	return m[:n:n]
}

// ParseClaim reads what [Packet.Claim] returns, of an advert over IPv6 or IPv4.
func ParseClaim(b []byte, ipv6 bool) Claim {
	c := Claim{Version: b[0] >> 4, VRID: b[1], Priority: b[2]}
	if c.Version == 2 {
		c.Interval = time.Duration(b[5]) * time.Second
	} else {
		c.Interval = time.Duration(binary.BigEndian.Uint16(b[4:])&0x0fff) * centisecond
	}
	size := 4
	if ipv6 {
		size = 16
	}
	for b = b[lenVRRP:]; len(b) >= size; b = b[size:] {
		a, _ := netip.AddrFromSlice(b[:size])
		c.Addresses = append(c.Addresses, a)
	}
	return c
}

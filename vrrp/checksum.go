package vrrp

import (
	"encoding/binary"
	"net/netip"
)

// sum adds b, as big-endian 16-bit words, to a one's complement sum that is
// not folded yet (RFC 1071). 64 bits cannot overflow on a packet.
func sum(acc uint64, b []byte) uint64 {
	for len(b) >= 8 {
		v := binary.BigEndian.Uint64(b)
		acc += v>>48 + v>>32&0xffff + v>>16&0xffff + v&0xffff
		b = b[8:]
	}
	for len(b) >= 2 {
		acc += uint64(b[0])<<8 | uint64(b[1])
		b = b[2:]
	}
	if len(b) == 1 {
		acc += uint64(b[0]) << 8
	}
	return acc
}

// fold makes a checksum of a sum.
func fold(acc uint64) uint16 {
	for acc > 0xffff {
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}

// sumAddr adds an address.
func sumAddr(acc uint64, a netip.Addr) uint64 {
	if a.Is4() {
		b := a.As4()
		return sum(acc, b[:])
	}
	b := a.As16()
	return sum(acc, b[:])
}

// sumPseudo returns the sum of the pseudo-header for n bytes of VRRP. It has
// the same value in both families: IPv4 has {source, destination, 0,
// protocol, length}, IPv6 the same fields in other widths (RFC 8200, 8.1).
func sumPseudo(src, dst netip.Addr, n int) uint64 {
	return sumAddr(sumAddr(protocolVRRP+uint64(n), src), dst)
}

package kernel

import (
	"encoding/binary"
	"net/netip"
)

// EtherTypes of frames.
const (
	EtherTypeARP  = 0x0806
	EtherTypeIPv4 = 0x0800
	EtherTypeIPv6 = 0x86dd
)

// Lengths of announcements, the Ethernet header included.
const (
	GratuitousARPLen = 14 + 28
	UnsolicitedNALen = 14 + 40 + 32
)

// AppendGratuitousARP appends the Ethernet frame that announces on the
// link that the IPv4 address ip is at hw: a broadcast ARP request whose sender
// and target are both ip (RFC 826, RFC 5944 section 4.6).
func AppendGratuitousARP(b []byte, hw [6]byte, ip netip.Addr) []byte {
	const broadcast = "\xff\xff\xff\xff\xff\xff"
	addr := ip.As4()
	b = append(b, broadcast...)
	b = append(b, hw[:]...)
	b = binary.BigEndian.AppendUint16(b, EtherTypeARP)
	b = append(b,
		0, 1, // hardware: Ethernet
		8, 0, // protocol: IPv4
		6, 4, // lengths of their addresses
		0, 1) // request
	b = append(b, hw[:]...)
	b = append(b, addr[:]...)
	b = append(b, broadcast...)
	return append(b, addr[:]...)
}

// AppendUnsolicitedNA appends the Ethernet frame that announces to all nodes of the
// link that the IPv6 address ip is at hw: a neighbour advertisement with the
// Override flag and the target link-layer address option (RFC 4861, sections
// 4.4 and 7.2.6). router is whether this node forwards.
func AppendUnsolicitedNA(b []byte, hw [6]byte, ip netip.Addr, router bool) []byte {
	const (
		allNodes = "\xff\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
		icmpv6   = 58
		length   = 32
	)
	addr := ip.As16()
	b = append(b, 0x33, 0x33, 0, 0, 0, 1) // of ff02::1, RFC 2464 section 7
	b = append(b, hw[:]...)
	b = binary.BigEndian.AppendUint16(b, EtherTypeIPv6)
	b = append(b, 0x60, 0, 0, 0, 0, length, icmpv6, 255)
	pseudo := len(b)
	b = append(b, addr[:]...)
	b = append(b, allNodes...)
	flags := byte(0x20) // Override
	if router {
		flags |= 0x80
	}
	message := len(b)
	b = append(b, 136, 0, 0, 0, flags, 0, 0, 0) // neighbour advertisement
	b = append(b, addr[:]...)
	b = append(b, 2, 1) // target link-layer address, in units of 8 bytes
	b = append(b, hw[:]...)
	// The pseudo-header is both addresses, length and protocol (RFC 8200, 8.1).
	binary.BigEndian.PutUint16(b[message+2:], checksum(b[pseudo:], length+icmpv6))
	return b
}

// AppendIPv4 appends the Ethernet frame of an IPv4 packet, header and checksums
// included. The frame to a group goes to the address of the group (RFC 1112, section
// 6.4), that to a node of the link to all nodes: so it needs no ARP, which would need
// an address to ask from. Linux takes such a frame unless the receiver's sysctl
// drop_unicast_in_l2_multicast is set.
func AppendIPv4(b []byte, hw [6]byte, packet []byte) []byte {
	if packet[16]>>4 == 0xe {
		b = append(b, 1, 0, 0x5e, packet[17]&0x7f, packet[18], packet[19])
	} else {
		b = append(b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)
	}
	b = append(b, hw[:]...)
	b = binary.BigEndian.AppendUint16(b, EtherTypeIPv4)
	return append(b, packet...)
}

// AppendIPv6 appends the Ethernet frame of a VRRP message, its checksum included,
// from src to dst, of traffic class CS6. The frame to a group goes to the address
// of the group (RFC 2464, section 7). That to a node of the link goes to the
// node's solicited-node group (RFC 4291, section 2.7.1): so it needs no neighbour
// discovery, which would need an address to ask from. Linux takes such a frame
// unless the receiver's sysctl drop_unicast_in_l2_multicast is set.
func AppendIPv6(b []byte, hw [6]byte, src, dst netip.Addr, hops uint8, message []byte) []byte {
	const vrrp = 112
	from, to := src.As16(), dst.As16()
	group := to[12]
	if !dst.IsMulticast() {
		group = 0xff
	}
	b = append(b, 0x33, 0x33, group, to[13], to[14], to[15])
	b = append(b, hw[:]...)
	b = binary.BigEndian.AppendUint16(b, EtherTypeIPv6)
	b = append(b, 0x6c, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(len(message)))
	b = append(b, vrrp, hops)
	b = append(b, from[:]...)
	b = append(b, to[:]...)
	return append(b, message...)
}

// checksum is the Internet checksum (RFC 1071) of b, of even length, with the
// sum so far.
func checksum(b []byte, sum uint32) uint16 {
	for i := 0; i < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

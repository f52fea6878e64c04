package kerneltest

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/nl"
)

var native = binary.NativeEndian

// appendLink appends the body of RTM_NEWLINK.
func appendLink(b []byte, l kernel.Link) []byte {
	b = append(b, unix.AF_UNSPEC, 0, 0, 0) // struct ifinfomsg: family, type, index, flags, change
	b = native.AppendUint32(b, uint32(l.Index))
	b = native.AppendUint32(b, l.Flags)
	b = native.AppendUint32(b, 0)
	b = nl.AppendString(b, unix.IFLA_IFNAME, l.Name)
	b = nl.AppendAttr(b, unix.IFLA_ADDRESS, l.HardwareAddr[:])
	b = nl.AppendUint32(b, unix.IFLA_MTU, uint32(l.MTU))
	if l.Master != 0 {
		b = nl.AppendUint32(b, unix.IFLA_MASTER, uint32(l.Master))
	}
	if l.Base != 0 {
		b = nl.AppendUint32(b, unix.IFLA_LINK, uint32(l.Base))
	}
	b = nl.AppendUint32(b, unix.IFLA_GROUP, l.Group)
	if l.Alias != "" {
		b = nl.AppendString(b, unix.IFLA_IFALIAS, l.Alias)
	}
	if l.Kind != "" {
		info := nl.AppendString(nil, unix.IFLA_INFO_KIND, l.Kind)
		if l.Table != 0 {
			info = nl.AppendAttr(info, unix.IFLA_INFO_DATA, nl.AppendUint32(nil, unix.IFLA_VRF_TABLE, l.Table))
		}
		if l.Kind == kernel.KindMACVLAN {
			info = nl.AppendAttr(info, unix.IFLA_INFO_DATA, nl.AppendUint32(nil, 1, l.Mode)) // IFLA_MACVLAN_MODE
		}
		if l.Kind == kernel.KindIPVLAN { // IFLA_IPVLAN_MODE, IFLA_IPVLAN_FLAGS
			data := nl.AppendAttr(nil, 1, native.AppendUint16(nil, uint16(l.Mode)))
			info = nl.AppendAttr(info, unix.IFLA_INFO_DATA, nl.AppendAttr(data, 2, native.AppendUint16(nil, l.IPVLANFlags)))
		}
		b = nl.AppendAttr(b, unix.IFLA_LINKINFO, info)
	}
	var families []byte
	if l.IPv4 {
		families = nl.AppendAttr(families, unix.AF_INET, nil)
	}
	if l.IPv6 {
		conf := []byte{0, 0, 0, 0} // IFLA_INET6_CONF begins with the forwarding
		if l.Forwards6 {
			conf[0] = 1
		}
		families = nl.AppendAttr(families, unix.AF_INET6, nl.AppendAttr(nil, 2, conf))
	}
	return nl.AppendAttr(b, unix.IFLA_AF_SPEC, families)
}

// appendForwarding appends the body of RTM_NEWNETCONF: struct netconfmsg, padded,
// NETCONFA_IFINDEX and NETCONFA_FORWARDING.
func appendForwarding(b []byte, l kernel.Link) []byte {
	on := uint32(0)
	if l.Forwards6 {
		on = 1
	}
	b = append(b, unix.AF_INET6, 0, 0, 0)
	b = nl.AppendUint32(b, 1, uint32(l.Index))
	return nl.AppendUint32(b, 2, on)
}

const ifaProto = 11 // IFA_PROTO, not yet in x/sys

// appendAddr appends the body of RTM_NEWADDR.
func appendAddr(b []byte, a kernel.Addr) []byte {
	ip, family := a.Prefix.Addr(), byte(unix.AF_INET6)
	if ip.Is4() {
		family = unix.AF_INET
	}
	peer, bits := ip, a.Prefix.Bits()
	if a.Peer.IsValid() {
		peer, bits = a.Peer.Addr(), a.Peer.Bits()
	}
	b = append(b, family, byte(bits), byte(a.Flags), a.Scope) // struct ifaddrmsg, and the link
	b = native.AppendUint32(b, uint32(a.Link))
	b = nl.AppendIP(b, unix.IFA_ADDRESS, peer)
	if ip.Is4() || peer != ip {
		b = nl.AppendIP(b, unix.IFA_LOCAL, ip)
	}
	if a.Broadcast.IsValid() {
		b = nl.AppendIP(b, unix.IFA_BROADCAST, a.Broadcast)
	}
	if a.Label != "" {
		b = nl.AppendString(b, unix.IFA_LABEL, a.Label)
	}
	b = nl.AppendUint32(b, unix.IFA_FLAGS, a.Flags)
	if a.Proto != 0 {
		b = nl.AppendAttr(b, ifaProto, []byte{a.Proto})
	}
	valid, preferred := a.ValidLft, a.PreferredLft
	if valid == 0 {
		valid, preferred = kernel.Forever, kernel.Forever
	}
	times := native.AppendUint32(native.AppendUint32(nil, preferred), valid)
	return nl.AppendAttr(b, unix.IFA_CACHEINFO, append(times, make([]byte, 8)...))
}

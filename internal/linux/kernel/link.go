package kernel

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

var native = binary.NativeEndian

// Link is a network interface as the kernel reported it last.
type Link struct {
	Index        int // identity: names change, and a deleted interface comes back with another index
	Name         string
	HardwareAddr [6]byte // zero if it has none, or none of six bytes
	MTU          int
	Flags        uint32 // IFF_*, netdevice(7)
	Master       int    // index of the bridge, bond or VRF it belongs to; 0: none
	Kind         string // "veth", "macvlan", "bridge" …; empty for hardware
	Table        uint32 // routing table of a VRF
	Base         int    // index of the link below it, in this namespace; 0: there is none
	Mode         uint32 // of a macvlan or ipvlan
	IPVLANFlags  uint16 // of an ipvlan: IPVLAN_F_*
	Group        uint32 // see ip-link(8)
	Alias        string // a text that others can set (IFLA_IFALIAS)

	// Whether the kernel ran the protocols on it when it reported. It gives one
	// up, with addresses and group memberships, below a smallest MTU.
	IPv4, IPv6 bool

	Forwards6 bool // it forwards IPv6 packets: this node is a router there (RFC 4861, 4.4)
}

// The smallest MTUs on which the kernel runs the protocols (RFC 791, RFC 8200
// section 5).
const (
	MinMTU4 = 68
	MinMTU6 = 1280
)

// Up reports whether packets can pass: administratively up, with carrier.
func (l *Link) Up() bool {
	return l.Flags&(unix.IFF_UP|unix.IFF_RUNNING) == unix.IFF_UP|unix.IFF_RUNNING
}

// CanMulticast reports whether the link can send to a multicast group.
func (l *Link) CanMulticast() bool { return l.Flags&unix.IFF_MULTICAST != 0 }

// NoARP reports whether neighbours on the link are not resolved, so that
// announcing an address is pointless.
func (l *Link) NoARP() bool { return l.Flags&unix.IFF_NOARP != 0 }

// Loopback reports whether it is the loopback interface.
func (l *Link) Loopback() bool { return l.Flags&unix.IFF_LOOPBACK != 0 }

// appendLinkHeader appends the struct ifinfomsg of a request; index 0: of all
// links.
func appendLinkHeader(b []byte, index int) []byte {
	b = append(b, unix.AF_UNSPEC, 0, 0, 0)
	b = native.AppendUint32(b, uint32(index))
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0) // flags, change
}

// decodeLink decodes the body of RTM_NEWLINK or RTM_DELLINK. It is false for
// messages that are not about the link itself: with family AF_BRIDGE they are about
// a bridge port, and a link whose port is "deleted" still exists.
func decodeLink(body []byte, names nl.Names) (Link, bool) {
	l, ok := decodeAnyLink(body, names)
	return l, ok && l.Index > 0
}

// decodeAnyLink is decodeLink for links that need no index.
func decodeAnyLink(body []byte, names nl.Names) (Link, bool) {
	if len(body) < unix.SizeofIfInfomsg || body[0] != unix.AF_UNSPEC {
		return Link{}, false
	}
	l := Link{Index: int(int32(native.Uint32(body[4:]))), Flags: native.Uint32(body[8:])}
	elsewhere := false // the link below is in another namespace
	attrs := body[unix.SizeofIfInfomsg:]
	for {
		typ, v, rest, ok := nl.NextAttr(attrs)
		if !ok {
			if elsewhere {
				l.Base = 0
			}
			return l, true
		}
		attrs = rest
		switch typ {
		case unix.IFLA_LINK:
			l.Base = int(nl.Uint32(v))
		case unix.IFLA_LINK_NETNSID:
			elsewhere = true
		case unix.IFLA_GROUP:
			l.Group = nl.Uint32(v)
		case unix.IFLA_IFALIAS:
			l.Alias = names.Of(v)
		case unix.IFLA_IFNAME:
			l.Name = names.Of(v)
		case unix.IFLA_ADDRESS:
			if len(v) == len(l.HardwareAddr) {
				l.HardwareAddr = [6]byte(v)
			}
		case unix.IFLA_MTU:
			l.MTU = int(nl.Uint32(v))
		case unix.IFLA_MASTER:
			l.Master = int(nl.Uint32(v))
		case unix.IFLA_LINKINFO:
			for {
				typ, kind, rest, ok := nl.NextAttr(v)
				if !ok {
					break
				}
				v = rest
				switch {
				case typ == unix.IFLA_INFO_KIND:
					l.Kind = names.Of(kind)
				case typ == unix.IFLA_INFO_DATA && l.Kind == KindVRF: // after the kind
					if typ, table, _, ok := nl.NextAttr(kind); ok && typ == unix.IFLA_VRF_TABLE {
						l.Table = nl.Uint32(table)
					}
				case typ == unix.IFLA_INFO_DATA && (l.Kind == KindMACVLAN || l.Kind == KindIPVLAN):
					l.readMode(kind)
				}
			}
		case unix.IFLA_AF_SPEC: // one for each protocol that runs
			for {
				family, attrs, rest, ok := nl.NextAttr(v)
				if !ok {
					break
				}
				v = rest
				switch family {
				case unix.AF_INET:
					l.IPv4 = true
				case unix.AF_INET6:
					l.IPv6, l.Forwards6 = true, forwards6(attrs)
				}
			}
		}
	}
}

// readMode reads the mode of a macvlan, of 32 bits, or that of an ipvlan and its flags, of
// 16 bits each.
func (l *Link) readMode(attrs []byte) {
	for {
		typ, v, rest, ok := nl.NextAttr(attrs)
		switch {
		case !ok:
			return
		case typ == linkModeAttr && len(v) == 2:
			l.Mode = uint32(native.Uint16(v))
		case typ == linkModeAttr:
			l.Mode = nl.Uint32(v)
		case typ == linkFlagsAttr && len(v) == 2 && l.Kind == KindIPVLAN:
			l.IPVLANFlags = native.Uint16(v)
		}
		attrs = rest
	}
}

const (
	inet6Conf      = 2 // IFLA_INET6_CONF: the settings below net.ipv6.conf, 32 bits each
	confForwarding = 0 // DEVCONF_FORWARDING, the first of them

	netconfIndex      = 1 // NETCONFA_IFINDEX
	netconfForwarding = 2 // NETCONFA_FORWARDING
)

// forwards6 reads the attributes of a link that IPv6 has.
func forwards6(attrs []byte) bool {
	for {
		typ, v, rest, ok := nl.NextAttr(attrs)
		if !ok {
			return false
		}
		attrs = rest
		if typ == inet6Conf {
			return len(v) >= 4*(confForwarding+1) && native.Uint32(v[4*confForwarding:]) != 0
		}
	}
}

// decodeForwarding decodes the body of RTM_NEWNETCONF of IPv6. It is false if that is
// about another setting, or no link.
func decodeForwarding(body []byte) (l Link, ok bool) {
	const header = 4 // struct netconfmsg: the family
	if len(body) < header || body[0] != unix.AF_INET6 {
		return Link{}, false
	}
	for attrs := body[header:]; ; {
		typ, v, rest, more := nl.NextAttr(attrs)
		if !more {
			return l, ok && l.Index > 0
		}
		attrs = rest
		switch typ {
		case netconfIndex:
			l.Index = int(int32(nl.Uint32(v)))
		case netconfForwarding:
			l.Forwards6, ok = nl.Uint32(v) != 0, true
		}
	}
}

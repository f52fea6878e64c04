package ipvs

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// familyName and familyVersion are those of the family of generic netlink.
const (
	familyName    = "IPVS"
	familyVersion = 1
)

// Command is that of a message of the family.
type Command uint8

// The commands (IPVS_CMD_*).
const (
	NewService Command = iota + 1
	SetService
	DelService
	GetService
	NewDest
	SetDest
	DelDest
	GetDest
	NewDaemon
	DelDaemon
	GetDaemon
	SetConfig
	GetConfig
	SetInfo // answers GetInfo
	GetInfo
	Zero
	Flush
)

// Attributes: IPVS_CMD_ATTR_*, _SVC_, _DEST_, _DAEMON_, _STATS_, _INFO_.
const (
	attrService = iota + 1
	attrDest
	attrDaemon
	attrTimeoutTCP
	attrTimeoutTCPFin
	attrTimeoutUDP
)

const (
	svcFamily = iota + 1
	svcProtocol
	svcAddr
	svcPort
	svcMark
	svcScheduler
	svcFlags
	svcTimeout
	svcNetmask
	svcStats
	svcEngine
	svcStats64
)

const (
	destAddr = iota + 1
	destPort
	destForward
	destWeight
	destUpper
	destLower
	destActive
	destInactive
	destPersistent
	destStats
	destFamily
	destStats64
	destTunnelType
	destTunnelPort
	destTunnelFlags
)

const (
	daemonState = iota + 1
	daemonInterface
	daemonID
	daemonMaxLen
	daemonGroup
	daemonGroup6
	daemonPort
	daemonTTL
)

const (
	infoVersion = iota + 1
	infoTableSize
)

const nested = unix.NLA_F_NESTED

var native = binary.NativeEndian

// Message is the content of a message of the family: a request, or an answer, whose
// command is that of the request that would make what it describes.
type Message struct {
	Command     Command
	Service     *ServiceState     // of commands about services and destinations
	Destination *DestinationState // of those about destinations
	Daemon      *Daemon
	Timeouts    *Timeouts
	Info        *Info

	// Whole has the attributes beyond identity written or, in a decoded message,
	// reports that the service's were there. State has statistics and connections
	// written, as in answers.
	Whole, State bool
}

// Append appends the message with its generic header.
func (m *Message) Append(b []byte) []byte {
	b = append(b, byte(m.Command), familyVersion, 0, 0)
	if m.Service != nil {
		// A request about a destination names its service.
		whole := m.Whole && m.Destination == nil
		b = m.Service.append(b, whole, m.State && whole)
	}
	if m.Destination != nil {
		b = m.Destination.append(b, m.Whole, m.State)
	}
	if m.Daemon != nil {
		b = m.Daemon.append(b)
	}
	if t := m.Timeouts; t != nil {
		for _, a := range []struct {
			typ uint16
			v   uint32
		}{{attrTimeoutTCP, t.TCP}, {attrTimeoutTCPFin, t.TCPFin}, {attrTimeoutUDP, t.UDP}} {
			if a.v != 0 {
				b = nl.AppendUint32(b, a.typ, a.v)
			}
		}
	}
	if m.Info != nil {
		b = nl.AppendUint32(b, infoVersion, uint32(m.Info.Version))
		b = nl.AppendUint32(b, infoTableSize, m.Info.TableSize)
	}
	return b
}

// begin appends the header of an attribute whose length finish sets.
func begin(b []byte, typ uint16) ([]byte, int) {
	at := len(b)
	b = native.AppendUint16(b, 0)
	return native.AppendUint16(b, typ), at
}

func finish(b []byte, at int) []byte {
	native.PutUint16(b[at:], uint16(len(b)-at))
	return b
}

func appendUint16(b []byte, typ, v uint16) []byte {
	var a [2]byte
	native.PutUint16(a[:], v)
	return nl.AppendAttr(b, typ, a[:])
}

func appendPort(b []byte, typ, port uint16) []byte {
	return nl.AppendAttr(b, typ, []byte{byte(port >> 8), byte(port)})
}

// appendAddr appends an address in 16 bytes, those of IPv4 in front.
func appendAddr(b []byte, typ uint16, ip netip.Addr) []byte {
	a := ip.As16()
	if ip.Is4() {
		v4 := ip.As4()
		a = [16]byte{}
		copy(a[:], v4[:])
	}
	return nl.AppendAttr(b, typ, a[:])
}

func (s *ServiceState) append(b []byte, whole, stats bool) []byte {
	b, at := begin(b, attrService|nested)
	b = appendUint16(b, svcFamily, uint16(s.AddressFamily()))
	if s.Mark != 0 {
		b = nl.AppendUint32(b, svcMark, s.Mark)
	} else {
		b = appendUint16(b, svcProtocol, uint16(s.Protocol))
		b = appendAddr(b, svcAddr, s.Addr.Addr())
		b = appendPort(b, svcPort, s.Addr.Port())
	}
	if whole {
		n := s.Normal()
		flags := n.Flags
		if n.Timeout != 0 {
			flags |= persistent
		}
		b = nl.AppendString(b, svcScheduler, n.Scheduler)
		if n.Engine != "" {
			b = nl.AppendString(b, svcEngine, n.Engine)
		}
		b = native.AppendUint16(b, unix.SizeofRtAttr+8) // struct ip_vs_flags: flags, mask
		b = native.AppendUint16(b, svcFlags)
		b = native.AppendUint32(b, uint32(flags))
		b = native.AppendUint32(b, ^uint32(0))
		b = nl.AppendUint32(b, svcTimeout, n.Timeout)
		b = appendMask(b, n)
	}
	if stats {
		b = s.Stats.append(b, svcStats64)
	}
	return finish(b, at)
}

// appendMask appends the netmask: of IPv4 in network order, of IPv6 a number.
func appendMask(b []byte, s Service) []byte {
	if s.AddressFamily() == IPv6 {
		return nl.AppendUint32(b, svcNetmask, s.Mask)
	}
	return nl.AppendAttr(b, svcNetmask, binary.BigEndian.AppendUint32(nil, s.Mask))
}

func (d *DestinationState) append(b []byte, whole, state bool) []byte {
	b, at := begin(b, attrDest|nested)
	b = appendUint16(b, destFamily, uint16(familyOf(d.Addr.Addr())))
	b = appendAddr(b, destAddr, d.Addr.Addr())
	b = appendPort(b, destPort, d.Addr.Port())
	if whole {
		n := d.Normal()
		b = nl.AppendUint32(b, destForward, uint32(n.Forward))
		b = nl.AppendUint32(b, destWeight, n.Weight)
		b = nl.AppendUint32(b, destUpper, n.Upper)
		b = nl.AppendUint32(b, destLower, n.Lower)
		if n.Forward == Tunnel {
			// Always, for in a change of the destination what is missing stays.
			b = nl.AppendAttr(b, destTunnelType, []byte{byte(n.Tunnel.Type)})
			b = appendPort(b, destTunnelPort, n.Tunnel.Port)
			b = appendUint16(b, destTunnelFlags, uint16(n.Tunnel.Checksum))
		}
	}
	if state {
		b = nl.AppendUint32(b, destActive, d.Connections.Active)
		b = nl.AppendUint32(b, destInactive, d.Connections.Inactive)
		b = nl.AppendUint32(b, destPersistent, d.Connections.Persistent)
		b = d.Stats.append(b, destStats64)
	}
	return finish(b, at)
}

func (d *Daemon) append(b []byte) []byte {
	b, at := begin(b, attrDaemon|nested)
	b = nl.AppendUint32(b, daemonState, uint32(d.Role))
	b = nl.AppendString(b, daemonInterface, d.Interface)
	b = nl.AppendUint32(b, daemonID, uint32(d.ID))
	if d.MaxLen != 0 {
		b = appendUint16(b, daemonMaxLen, d.MaxLen)
	}
	switch {
	case !d.Group.IsValid():
	case d.Group.Is4():
		b = nl.AppendIP(b, daemonGroup, d.Group)
	default:
		b = nl.AppendIP(b, daemonGroup6, d.Group)
	}
	if d.Port != 0 {
		b = appendUint16(b, daemonPort, d.Port)
	}
	if d.TTL != 0 {
		b = nl.AppendAttr(b, daemonTTL, []byte{d.TTL})
	}
	return finish(b, at)
}

// fields are the statistics in the order of their attributes, from 1.
func (s *Stats) fields() [10]*uint64 {
	return [...]*uint64{
		&s.Connections, &s.InPackets, &s.OutPackets, &s.InBytes, &s.OutBytes,
		&s.ConnectionRate, &s.InPacketRate, &s.OutPacketRate, &s.InByteRate, &s.OutByteRate,
	}
}

func (s *Stats) append(b []byte, typ uint16) []byte {
	b, at := begin(b, typ|nested)
	for i, v := range s.fields() {
		var a [8]byte
		native.PutUint64(a[:], *v)
		b = nl.AppendAttr(b, uint16(i+1), a[:])
	}
	return finish(b, at)
}

// decode reads statistics of 64 bits or, of kernels before 4.1, of 32.
func (s *Stats) decode(b []byte) {
	fields := s.fields()
	each(b, func(typ uint16, v []byte) {
		if typ < 1 || int(typ) > len(fields) {
			return
		}
		if len(v) >= 8 {
			*fields[typ-1] = native.Uint64(v)
		} else {
			*fields[typ-1] = uint64(nl.Uint32(v))
		}
	})
}

// each hands the attributes of b to f.
func each(b []byte, f func(typ uint16, v []byte)) {
	for {
		typ, v, rest, ok := nl.NextAttr(b)
		if !ok {
			return
		}
		f(typ, v)
		b = rest
	}
}

func number16(v []byte) uint16 {
	if len(v) < 2 {
		return 0
	}
	return native.Uint16(v)
}

func port(v []byte) uint16 {
	if len(v) < 2 {
		return 0
	}
	return binary.BigEndian.Uint16(v)
}

// number8 reads the first byte.
func number8(v []byte) uint8 {
	if len(v) < 1 {
		return 0
	}
	return v[0]
}

// addr reads an address of 16 bytes; the zero Addr if it is none.
func addr(f Family, v []byte) netip.Addr {
	switch {
	case f == IPv4 && len(v) >= 4:
		return netip.AddrFrom4([4]byte(v))
	case f == IPv6 && len(v) >= 16:
		return netip.AddrFrom16([16]byte(v))
	}
	return netip.Addr{}
}

// DecodeMessage decodes what follows the netlink header of a message of the family.
// It is false if the message is too short, or if the address of what it describes
// is missing or of no family that is known here. What it returns does not refer to
// b.
func DecodeMessage(b []byte) (m Message, ok bool) {
	if len(b) < nl.GenericHeaderLen {
		return m, false
	}
	m.Command = Command(b[0])
	ok = true
	attrs := b[nl.GenericHeaderLen:]
	if m.Command == SetInfo {
		m.Info = &Info{}
		each(attrs, func(typ uint16, v []byte) {
			switch typ {
			case infoVersion:
				m.Info.Version = Version(nl.Uint32(v))
			case infoTableSize:
				m.Info.TableSize = nl.Uint32(v)
			}
		})
		return m, true
	}
	each(attrs, func(typ uint16, v []byte) {
		switch typ {
		case attrService:
			m.Service = &ServiceState{}
			var known bool
			m.Whole, known = m.Service.decode(v)
			ok = ok && known
		case attrDest:
			m.Destination = &DestinationState{}
			ok = m.Destination.decode(v) && ok
		case attrDaemon:
			m.Daemon = &Daemon{}
			m.Daemon.decode(v)
		case attrTimeoutTCP, attrTimeoutTCPFin, attrTimeoutUDP:
			if m.Timeouts == nil {
				m.Timeouts = &Timeouts{}
			}
			*[]*uint32{&m.Timeouts.TCP, &m.Timeouts.TCPFin, &m.Timeouts.UDP}[typ-attrTimeoutTCP] = nl.Uint32(v)
		}
	})
	return m, ok
}

func (s *ServiceState) decode(b []byte) (whole, ok bool) {
	// What the kernel sends in another order than it declares is not lost.
	var family Family
	each(b, func(typ uint16, v []byte) {
		if typ == svcFamily {
			family = Family(number16(v))
		}
	})
	var ip netip.Addr
	var at uint16
	var mask []byte
	var flags Flags
	var seen []uint16
	each(b, func(typ uint16, v []byte) {
		switch typ {
		case svcProtocol:
			s.Protocol = Protocol(number16(v))
		case svcAddr:
			ip = addr(family, v)
		case svcPort:
			at = port(v)
		case svcMark:
			s.Mark = nl.Uint32(v)
		case svcScheduler:
			s.Scheduler = unix.ByteSliceToString(v)
			seen = append(seen, typ)
		case svcFlags:
			flags = Flags(nl.Uint32(v))
			seen = append(seen, typ)
		case svcTimeout:
			s.Timeout = nl.Uint32(v)
			seen = append(seen, typ)
		case svcNetmask:
			mask = v
			seen = append(seen, typ)
		case svcStats:
			if !slices.Contains(seen, svcStats64) {
				s.Stats.decode(v)
			}
		case svcEngine:
			s.Engine = unix.ByteSliceToString(v)
		case svcStats64:
			s.Stats.decode(v)
			seen = append(seen, typ)
		}
	})
	if flags&persistent == 0 {
		s.Timeout = 0
	}
	s.Flags = flags & askable
	if family == IPv6 {
		s.Mask = nl.Uint32(mask)
	} else if len(mask) >= 4 {
		s.Mask = binary.BigEndian.Uint32(mask)
	}
	if s.Mark != 0 {
		s.Protocol, s.Family = 0, family
		ok = family == IPv4 || family == IPv6
	} else {
		s.Addr = netip.AddrPortFrom(ip, at)
		ok = ip.IsValid()
	}
	whole = true
	for _, typ := range []uint16{svcScheduler, svcFlags, svcTimeout, svcNetmask} {
		whole = whole && slices.Contains(seen, typ)
	}
	return whole, ok
}

func (d *DestinationState) decode(b []byte) (ok bool) {
	var family Family
	each(b, func(typ uint16, v []byte) {
		if typ == destFamily {
			family = Family(number16(v))
		}
	})
	var ip netip.Addr
	var at uint16
	stats64 := false
	each(b, func(typ uint16, v []byte) {
		switch typ {
		case destAddr:
			ip = addr(family, v)
		case destPort:
			at = port(v)
		case destForward:
			d.Forward = Forward(nl.Uint32(v) & 7) // IP_VS_CONN_F_FWD_MASK
		case destWeight:
			d.Weight = nl.Uint32(v)
		case destUpper:
			d.Upper = nl.Uint32(v)
		case destLower:
			d.Lower = nl.Uint32(v)
		case destActive:
			d.Connections.Active = nl.Uint32(v)
		case destInactive:
			d.Connections.Inactive = nl.Uint32(v)
		case destPersistent:
			d.Connections.Persistent = nl.Uint32(v)
		case destStats:
			if !stats64 {
				d.Stats.decode(v)
			}
		case destStats64:
			d.Stats.decode(v)
			stats64 = true
		case destTunnelType:
			d.Tunnel.Type = TunnelType(number8(v))
		case destTunnelPort:
			d.Tunnel.Port = port(v)
		case destTunnelFlags:
			d.Tunnel.Checksum = Checksum(number16(v))
		}
	})
	d.Addr = netip.AddrPortFrom(ip, at)
	d.Destination = d.Destination.Normal()
	return ip.IsValid()
}

func (d *Daemon) decode(b []byte) {
	each(b, func(typ uint16, v []byte) {
		switch typ {
		case daemonState:
			d.Role = Role(nl.Uint32(v))
		case daemonInterface:
			d.Interface = unix.ByteSliceToString(v)
		case daemonID:
			d.ID = uint8(nl.Uint32(v))
		case daemonMaxLen:
			d.MaxLen = number16(v)
		case daemonGroup, daemonGroup6:
			if ip, ok := netip.AddrFromSlice(v); ok {
				d.Group = ip
			}
		case daemonPort:
			d.Port = number16(v)
		case daemonTTL:
			d.TTL = number8(v)
		}
	})
}

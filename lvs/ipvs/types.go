package ipvs

import (
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Protocol is the number of a transport protocol in the IP header.
type Protocol uint8

// The protocols of which the kernel balances connections.
const (
	TCP  Protocol = unix.IPPROTO_TCP
	UDP  Protocol = unix.IPPROTO_UDP
	SCTP Protocol = unix.IPPROTO_SCTP
)

func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	}
	return fmt.Sprintf("protocol %d", uint8(p))
}

// Family is an address family.
type Family uint8

// The families of addresses.
const (
	IPv4 Family = unix.AF_INET
	IPv6 Family = unix.AF_INET6
)

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// ServiceID is what distinguishes a service from all others of a namespace: its
// protocol and address, or the mark that a firewall gives its packets and their
// family. It is a comparable value.
type ServiceID struct {
	Protocol Protocol       // 0 with a Mark
	Addr     netip.AddrPort // zero with a Mark; port 0 is all ports of a persistent service

	Mark   uint32 // 0: the service has an address
	Family Family // of the packets with the Mark, else 0: it is that of the address
}

// AddrService is the identity of a service by its address.
func AddrService(p Protocol, a netip.AddrPort) ServiceID { return ServiceID{Protocol: p, Addr: a} }

// MarkService is the identity of a service by the mark of its packets, which is not
// 0.
func MarkService(mark uint32, f Family) ServiceID { return ServiceID{Mark: mark, Family: f} }

// AddressFamily is the family of the service's packets.
func (id ServiceID) AddressFamily() Family {
	if id.Mark != 0 {
		return id.Family
	}
	return familyOf(id.Addr.Addr())
}

// String prints "tcp 192.0.2.1:80" or "fwmark 7 IPv6".
func (id ServiceID) String() string {
	switch {
	case id.Mark == 0:
		return fmt.Sprintf("%v %v", id.Protocol, id.Addr)
	case id.Family == IPv6:
		return fmt.Sprintf("fwmark %d IPv6", id.Mark)
	}
	return fmt.Sprintf("fwmark %d", id.Mark)
}

// Flags of a service.
type Flags uint32

// What one can ask for. The meaning of the scheduler flags is that of the
// scheduler: of sh and mh the first is fallback and the second port.
const (
	OnePacket Flags = 1 << 2 // each datagram is scheduled by itself; UDP
	Sched1    Flags = 1 << 3
	Sched2    Flags = 1 << 4
	Sched3    Flags = 1 << 5

	askable = OnePacket | Sched1 | Sched2 | Sched3

	persistent Flags = 1 << 0 // follows from the timeout
)

// WholeAddress is a [Service.Mask] that distinguishes all clients of IPv4, and
// WholeAddress6 one that distinguishes all of IPv6.
const (
	WholeAddress  = 0xffffffff
	WholeAddress6 = 128
)

// Service is a virtual service: packets that are balanced, and how.
type Service struct {
	ServiceID

	Scheduler string // as "wlc", at most 15 bytes; the kernel loads its module
	Flags     Flags

	// Timeout makes the service persistent: in so many seconds after its last
	// connection a client is led to the same destination. 0: it is not persistent.
	Timeout uint32

	// Mask decides which clients count as one for a persistent service: for IPv4 the
	// bits of a netmask, as 0xffffff00, for IPv6 a prefix length, 1 to 128. 0 is
	// the whole address.
	Mask uint32

	Engine string // persistence engine, as "sip", at most 15 bytes; empty: none
}

// Normal returns the service in the form in which the kernel reports it, to be
// compared.
func (s Service) Normal() Service {
	if s.Mask == 0 {
		s.Mask = WholeAddress
		if s.AddressFamily() == IPv6 {
			s.Mask = WholeAddress6
		}
	}
	s.Flags &= askable
	return s
}

// Forward is how packets get to a destination.
type Forward uint8

// The methods. A destination on this machine gets its packets by any of them.
const (
	Masquerade  Forward = iota // NAT
	Local                      // to this machine
	Tunnel                     // encapsulated, see [TunnelOptions]
	DirectRoute                // as they are, to the destination's link address
	Bypass                     // past the balancer
)

func (f Forward) String() string {
	if names := []string{"masquerade", "local", "tunnel", "direct route", "bypass"}; int(f) < len(names) {
		return names[f]
	}
	return fmt.Sprintf("forward %d", uint8(f))
}

// TunnelType is an encapsulation.
type TunnelType uint8

// The encapsulations. GUE and GRE are known since Linux 5.3.
const (
	IPIP TunnelType = iota
	GUE             // in UDP, to a port
	GRE
)

func (t TunnelType) String() string {
	if names := []string{"ipip", "gue", "gre"}; int(t) < len(names) {
		return names[t]
	}
	return fmt.Sprintf("tunnel %d", uint8(t))
}

// Checksum is how the packets of GUE and GRE tunnels are protected.
type Checksum uint16

// The checksums.
const (
	NoChecksum     Checksum = 0
	FullChecksum   Checksum = 1 << 0
	RemoteChecksum Checksum = 1 << 1 // remote checksum offload; GUE
)

// TunnelOptions are those of a destination that is forwarded to by [Tunnel]. The
// zero value is IPIP.
type TunnelOptions struct {
	Type     TunnelType
	Port     uint16 // of GUE, not 0
	Checksum Checksum
}

// Destination is a real server of a service. Its address is its identity. It is a
// comparable value.
type Destination struct {
	Addr    netip.AddrPort
	Forward Forward
	Tunnel  TunnelOptions
	Weight  uint32 // 0 to 2^31-1; 0: no new connections

	// Upper is the number of connections from which on there are no new ones, and
	// Lower that below which there are again. Lower is at most Upper; 0: none.
	Upper, Lower uint32
}

// Normal returns the destination in the form in which the kernel reports it, to be
// compared.
func (d Destination) Normal() Destination {
	if d.Forward != Tunnel {
		d.Tunnel = TunnelOptions{}
	}
	return d
}

// Stats are the counters of a service or destination since it was added, and rates
// of the last seconds.
type Stats struct {
	Connections                 uint64
	InPackets, OutPackets       uint64
	InBytes, OutBytes           uint64
	ConnectionRate              uint64 // a second
	InPacketRate, OutPacketRate uint64 // a second
	InByteRate, OutByteRate     uint64 // a second
}

// Connections counts the connections that a destination has now.
type Connections struct {
	Active     uint32 // established
	Inactive   uint32
	Persistent uint32 // clients that are bound to it
}

// ServiceState is a service as the kernel reports it.
type ServiceState struct {
	Service
	Stats Stats
}

// DestinationState is a destination as the kernel reports it.
type DestinationState struct {
	Destination
	Connections Connections
	Stats       Stats
}

// Timeouts of connections, in seconds, at most 2^31/HZ. For [Conn.SetTimeouts] 0
// leaves one as it is.
type Timeouts struct {
	TCP    uint32 // established
	TCPFin uint32 // after a FIN
	UDP    uint32
}

// Role is what a synchronisation daemon does.
type Role uint8

// The roles. Each can run once in a namespace, and both together.
const (
	Master Role = 1 // sends connections
	Backup Role = 2 // receives them
)

func (r Role) String() string {
	switch r {
	case Master:
		return "master"
	case Backup:
		return "backup"
	}
	return fmt.Sprintf("role %d", uint8(r))
}

// Daemon is a thread of the kernel that sends connections to other balancers, or
// receives them. For all but Role, Interface and ID zero is the kernel's default.
type Daemon struct {
	Role      Role
	Interface string     // at most 15 bytes
	ID        uint8      // of the connections sent; those of others are not taken
	MaxLen    uint16     // bytes of a datagram, without headers; of a backup at least 1024
	Group     netip.Addr // multicast; 224.0.0.81 is the default
	Port      uint16     // 8848 is the default
	TTL       uint8      // 1 is the default
}

// Info is what the kernel reports of its load balancer.
type Info struct {
	Version   Version
	TableSize uint32 // places of the table of connections
}

// Version is that of IPVS, as 0x010201.
type Version uint32

// String prints "1.2.1".
func (v Version) String() string {
	return fmt.Sprintf("%d.%d.%d", v>>16&0xff, v>>8&0xff, v&0xff)
}

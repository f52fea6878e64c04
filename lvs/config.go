package lvs

import (
	"math"
	"net/netip"
)

// Family is an address family.
type Family uint8

const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// Protocol is a transport protocol, by its number in IP.
type Protocol uint8

const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// Endpoint is what one virtual service of the kernel is known by: protocol,
// address and port, or a firewall mark and a family.
type Endpoint struct {
	Protocol Protocol       // 0 with FWMark
	Addr     netip.AddrPort // port 0: every port
	FWMark   uint32         // 0: none
	Family   Family         // of FWMark; 0 with an address, which has its own
}

// AF returns the family of the address, or the one of the mark (IPv4 when not
// given).
func (e Endpoint) AF() Family {
	switch a := e.Addr.Addr(); {
	case !a.IsValid():
		if e.Family == IPv6 {
			return IPv6
		}
		return IPv4
	case a.Is4():
		return IPv4
	}
	return IPv6
}

// ServiceID is what a service is known by. For a virtual server group it is the
// name of the group and the protocol, else the only endpoint.
type ServiceID struct {
	Group string
	Endpoint
}

// Config is what an [Engine] has to do. Values are effective ones: inheritance
// has happened before.
type Config struct {
	// Services in the order in which things are reported. Left out are the second
	// of two with the same ID, and any without a real server. Of two with the same
	// endpoint the first has it.
	Services []Service

	InitNotifies bool // report each server that is up when its service starts (rs_init_notifies)
	Flush        bool // remove everything from the kernel's table at the start (lvs_flush)
	FlushOnStop  bool // remove everything at the end, foreign services too (lvs_flush_on_stop without VS)
}

// Service is a virtual service: one pool of servers behind one or several
// endpoints.
type Service struct {
	ID ServiceID
	// Endpoints are the entries of a group, ranges expanded, or the mark that
	// stands for it. Without a group they are not looked at: the ID is the
	// endpoint. One that repeats another has no effect.
	Endpoints []Endpoint

	// Addresses are those behind the marks among the endpoints, as far as they are
	// known: HASuspend looks at them as well.
	Addresses []netip.Addr

	Attributes Attributes

	// Quorum is the sum of weights that the service needs; 0 means 1. More than
	// the configured weights of all servers is brought down to their sum.
	Quorum uint32
	// Hysteresis widens the quorum: it is gained at Quorum + Hysteresis and lost
	// below Quorum − Hysteresis. At most Quorum − 1.
	Hysteresis uint32

	// Servers is the pool. The second of two with the same address and port is
	// left out.
	Servers []RealServer
	// Sorry takes the place of the pool while the quorum is lost; nil: none
	// does. Its checks are not looked at; with Inhibit it is always in the table,
	// with weight 0 while it is not needed (sorry_server_inhibit).
	Sorry *RealServer

	// HASuspend suspends the checks while no address of the endpoints, nor of
	// Addresses, is on this machine. Without any address it has no effect.
	HASuspend bool
	Omega     bool // report everything as down at Shutdown

	Data any // the driver's own; the engine passes it on
}

// RealServer is a server of a pool, known by Addr.
type RealServer struct {
	// Addr is where it is. In an entry the port is that of the endpoint, if it is
	// 0 here, or the method is Direct or Tunnel, which cannot change ports.
	Addr       netip.AddrPort
	Weight     int // as configured, 0 to 2147483647
	Attributes DestinationAttributes
	Inhibit    bool // out of the pool it stays in the table with weight 0 (inhibit_on_failure)
	Order      Order
	Checks     []Check

	Data any // the driver's own; the engine passes it on
}

// Order is what an operator wants of a real server, whatever its checks find.
type Order uint8

const (
	Serve   Order = iota // nothing: it serves clients while it is up
	Drain                // it gets no new clients and counts nothing for the quorum; its connections continue
	Disable              // it counts as down
)

// CheckID names a check in events and actions. It is unique in a configuration (of
// two with the same one the first gets the results), and may differ in the next
// configuration: Key identifies a check.
type CheckID uint32

// Check is one health check of a server.
type Check struct {
	ID CheckID
	// Key is what the check is: its kind and definition. In the next
	// configuration the check with the same key of the same server keeps its
	// state; of several with one key the first does what the first did, and so on.
	// Another key is another check.
	Key string
	// Alpha lets the check count as down until it passes for the first time. A
	// server that is up stays so when it gets a new check: alpha is about servers
	// of which nothing is known.
	Alpha bool
}

// Attributes are what an entry has besides its identity. The engine passes them
// on.
type Attributes struct {
	Scheduler string // name of its kernel module without ip_vs_: "wlc"
	Flags     ServiceFlags
	// Persistence is for how many seconds a client stays with its server; 0: not.
	Persistence       uint32
	PersistenceEngine string // "sip", or nothing
	// Granularity4 is the mask of what counts as one client, for IPv4; 0: all
	// bits. Granularity6 is a prefix length, for IPv6; 0: 128.
	Granularity4 uint32
	Granularity6 uint8
}

// ServiceFlags are the flags of an entry, numbered as in the kernel.
type ServiceFlags uint32

const (
	OnePacket  ServiceFlags = 4  // ops: each UDP packet is scheduled by itself
	SchedFlag1 ServiceFlags = 8  // flag-1; fallback of sh and mh
	SchedFlag2 ServiceFlags = 16 // flag-2; port of sh and mh
	SchedFlag3 ServiceFlags = 32 // flag-3
)

// DestinationAttributes are what a destination has besides its identity and
// weight. The engine passes them on.
type DestinationAttributes struct {
	Method     Method
	Tunnel     TunnelType     // of Tunnel
	TunnelPort uint16         // of GUE
	Checksum   TunnelChecksum // of GUE and GRE
	// UpperThreshold is the number of connections at which the server gets no new
	// ones; 0: none. It gets them again below LowerThreshold; 0: the kernel's own
	// rule. A lower one above the upper one, which the kernel refuses, counts as
	// the upper one.
	UpperThreshold, LowerThreshold uint32
}

// Method is how packets get to a server, numbered as in the kernel.
type Method uint8

const (
	Masquerade Method = 0 // NAT
	Tunnel     Method = 2 // TUN
	Direct     Method = 3 // DR
)

// TunnelType is how packets are wrapped, numbered as in the kernel.
type TunnelType uint8

const (
	IPIP TunnelType = 0
	GUE  TunnelType = 1
	GRE  TunnelType = 2
)

// TunnelChecksum is whether what wraps packets has a checksum, numbered as in
// the kernel.
type TunnelChecksum uint8

const (
	NoChecksum     TunnelChecksum = 0
	Checksum       TunnelChecksum = 1
	RemoteChecksum TunnelChecksum = 2
)

// Places returns where the service is reached: its ID, or the entries of its group, each once.
func (s *Service) Places() []Endpoint {
	if s.ID.Group != "" {
		return once(s.Endpoints, func(e *Endpoint) Endpoint { return *e })
	}
	return []Endpoint{s.ID.Endpoint}
}

// thresholds returns the quorum and hysteresis in force.
func (s *Service) thresholds() (quorum, hysteresis int64) {
	var total int64
	for i := range s.Servers {
		total += bound(int64(s.Servers[i].Weight))
	}
	quorum = min(max(int64(s.Quorum), 1), total)
	return quorum, min(int64(s.Hysteresis), max(quorum-1, 0))
}

// bound brings a weight to the nearest one that the kernel takes.
func bound(weight int64) int64 { return min(max(weight, 0), math.MaxInt32) }

// once returns a list without what repeats a key.
func once[T any, K comparable](list []T, key func(*T) K) []T {
	if len(list) <= few && distinct(list, key) {
		return list
	}
	seen := make(map[K]bool, len(list))
	for i := range list {
		seen[key(&list[i])] = true
	}
	if len(seen) == len(list) {
		return list
	}
	kept := make([]T, 0, len(seen))
	for i := range list {
		if k := key(&list[i]); seen[k] {
			kept = append(kept, list[i])
			delete(seen, k)
		}
	}
	return kept
}

// few is how long a list may be to be searched without a map: a start with
// thousands of small pools would spend its time in making maps.
const few = 16

func distinct[T any, K comparable](list []T, key func(*T) K) bool {
	for i := range list {
		for j := range i {
			if key(&list[i]) == key(&list[j]) {
				return false
			}
		}
	}
	return true
}

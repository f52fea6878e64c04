package conf

import (
	"net/netip"
	"time"
)

// ProtocolKeepalived marks routes and rules as ours (RTPROT_KEEPALIVED).
const ProtocolKeepalived = 18

// StaticAddress is one line of static_ipaddress.
type StaticAddress struct {
	Address           // Interface is default_interface unless given
	TrackGroup string // of a TrackGroup that exists; empty: none
}

// TrackGroup is one track_group block: the loss of a static item that names it
// concerns these instances.
type TrackGroup struct {
	Name      string
	Pos       Pos
	Instances []string // that exist
}

// Routing is the routes and rules of an instance.
type Routing struct {
	Routes []Route
	Rules  []Rule
}

// RouteType is the type of a route, by its number in the kernel (RTN_*).
type RouteType uint8

const (
	RouteUnicast     RouteType = 1
	RouteLocal       RouteType = 2
	RouteBroadcast   RouteType = 3
	RouteAnycast     RouteType = 4
	RouteMulticast   RouteType = 5
	RouteBlackhole   RouteType = 6
	RouteUnreachable RouteType = 7
	RouteProhibit    RouteType = 8
	RouteThrow       RouteType = 9
	RouteNAT         RouteType = 10
)

// String is the word of iproute2.
func (t RouteType) String() string {
	if t == 0 || int(t) > len(routeTypes) {
		return "none"
	}
	return routeTypes[t-1]
}

var routeTypes = []string{"unicast", "local", "broadcast", "anycast", "multicast", "blackhole", "unreachable", "prohibit", "throw", "nat"}

// RouteOrder is where a route goes among equal ones.
type RouteOrder uint8

const (
	RoutePrepend RouteOrder = iota // default
	RouteAppend
	RouteAdd // nowhere: it is an error if there is one; default if the type is written
)

func (o RouteOrder) String() string { return [...]string{"prepend", "append", "add"}[o] }

// Route is one line of static_routes or virtual_routes.
type Route struct {
	Pos    Pos
	Family Family
	Type   RouteType
	Order  RouteOrder

	Destination netip.Prefix // default is length 0
	From        netip.Prefix // IPv6 only; zero: any source
	Source      netip.Addr   // src: preferred source address; zero: none
	Hop         NextHop      // without Hops
	Hops        []NextHop    // nexthop

	TOS      uint8
	Table    uint32 // default main (254)
	Protocol *uint8 // ProtocolKeepalived if tracked; nil: not given, which is the same
	Scope    uint8  // rtnetlink scope; default global
	Metric   uint32 // 0: kernel's default

	Expires time.Duration // IPv6 only; 0: never
	Metrics []RouteMetric // in the order of their numbers
	// CongestionControl is congctl; empty: the system's.
	CongestionControl       string
	CongestionControlLocked bool
	Preference              *uint8 // pref as ICMPv6 writes it: 0 medium, 1 high, 3 low
	TTLPropagate            *bool  // ttl-propagate

	VRF string // routing domain; empty: none

	NoTrack    bool // its loss is no fault
	OnDelete   OnDelete
	TrackGroup string // of a TrackGroup that exists; of static routes only
}

// NextHop is a way to a destination.
type NextHop struct {
	Via       netip.Addr // zero: directly connected
	Interface string
	OnLink    bool
	Weight    int    // 1 to 256; 0: not given, which is 1
	Realms    uint32 // source realm in the upper half, destination in the lower
	Encap     *Encap
}

// Metric is a property of a route, by its number in the kernel (RTAX_*).
type Metric uint8

const (
	MetricMTU              Metric = 2
	MetricWindow           Metric = 3
	MetricRTT              Metric = 4 // milliseconds, at least 200
	MetricRTTVar           Metric = 5 // milliseconds, at least 200
	MetricSSThresh         Metric = 6
	MetricCWnd             Metric = 7
	MetricAdvMSS           Metric = 8
	MetricReordering       Metric = 9
	MetricHopLimit         Metric = 10
	MetricInitCWnd         Metric = 11
	MetricFeatures         Metric = 12 // bits; 1: ECN
	MetricRTOMin           Metric = 13 // milliseconds, at least 200
	MetricInitRWnd         Metric = 14
	MetricQuickAck         Metric = 15
	MetricFastOpenNoCookie Metric = 17
)

// RouteMetric is the value of a metric. A locked one is not learnt.
type RouteMetric struct {
	Metric Metric
	Value  uint32
	Locked bool
}

// EncapType is a light-weight tunnel.
type EncapType uint8

const (
	EncapMPLS EncapType = iota
	EncapIP
	EncapIP6
	EncapILA
)

func (t EncapType) String() string { return [...]string{"mpls", "ip", "ip6", "ila"}[t] }

// Encap is what a route wraps packets in.
type Encap struct {
	Type     EncapType
	Labels   []uint32   // EncapMPLS: 20 bits each
	ID       uint64     // EncapIP, EncapIP6
	Src, Dst netip.Addr // likewise; zero: none
	TOS, TTL uint8      // likewise: tos or tc, ttl or hoplimit; 0: none
	Flags    uint16     // likewise
	Locator  uint64     // EncapILA
}

// RuleAction is what a rule does, by its number in the kernel (FR_ACT_*).
type RuleAction uint8

const (
	RuleLookup      RuleAction = 1 // look in Table
	RuleGoto        RuleAction = 2
	RuleNop         RuleAction = 3
	RuleBlackhole   RuleAction = 6
	RuleUnreachable RuleAction = 7
	RuleProhibit    RuleAction = 8
)

// Rule is one line of static_rules or virtual_rules.
type Rule struct {
	Pos      Pos
	Family   Family
	Not      bool         // match the opposite
	From, To netip.Prefix // zero: any
	Priority uint32       // default 16384, for each further one of a family one less

	TOS            uint8
	FWMark, FWMask uint32 // a FWMask of 0: any mark
	Iif, Oif       string
	TunnelID       uint64
	UIDs           *Range // uidrange
	L3MDev         bool   // look in the table of the routing domain
	IPProto        uint8  // 0: any
	SPort, DPort   *Range
	Realms         uint32

	Action RuleAction
	Table  uint32 // of RuleLookup; 0 with L3MDev
	Goto   uint32 // of RuleGoto; above Priority

	SuppressPrefixLength int // -1: none
	SuppressGroup        int // interface group; -1: none

	Protocol   *uint8 // ProtocolKeepalived if tracked; nil: none
	NoTrack    bool
	OnDelete   OnDelete
	TrackGroup string // likewise
}

// Range is First to Last.
type Range struct{ First, Last uint32 }

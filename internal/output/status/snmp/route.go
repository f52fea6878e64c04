package snmp

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/snmp/agentx"
)

// routeRow is a line of virtual_routes.
type routeRow struct {
	*State
	conf *conf.Route
	set  bool // the kernel has it
}

// routeTypes are the numbers of RouteType. A route with several next hops is ecmp(2).
var routeTypes = map[conf.RouteType]int{
	conf.RouteUnicast: 1, conf.RouteBlackhole: 3, conf.RouteAnycast: 4, conf.RouteMulticast: 5, conf.RouteBroadcast: 6,
	conf.RouteUnreachable: 7, conf.RouteProhibit: 8, conf.RouteThrow: 9, conf.RouteNAT: 10,
}

// metric is the value of a metric, if the route has it.
func metric(m conf.Metric) func(*routeRow) agentx.Value {
	return of(m, none, func(k *conf.RouteMetric) agentx.Value { return unsigned(k.Value) })
}

// locked is whether a metric is, if the route has it.
func locked(m conf.Metric) func(*routeRow) agentx.Value {
	return of(m, none, func(k *conf.RouteMetric) agentx.Value { return which(k.Locked) })
}

// bit is whether a bit of a metric is set.
func bit(m conf.Metric) func(*routeRow) agentx.Value {
	return of(m, which(false), func(k *conf.RouteMetric) agentx.Value { return which(k.Value&1 != 0) })
}

// of is a value of a metric; without that metric it is another one.
func of(m conf.Metric, without agentx.Value, value func(*conf.RouteMetric) agentx.Value) func(*routeRow) agentx.Value {
	return func(r *routeRow) agentx.Value {
		for i := range r.conf.Metrics {
			if k := &r.conf.Metrics[i]; k.Metric == m {
				return value(k)
			}
		}
		return without
	}
}

// realm is the upper or the lower half of realms, if that is not 0.
func realm(realms uint32, source bool) agentx.Value {
	if source {
		return nonzero(realms >> 16)
	}
	return nonzero(realms & 0xffff)
}

// protocol is the protocol of a route or a rule: that of the kernel and 1.
func protocol(p uint8) agentx.Value { return integer(int(p) + 1) }

// encap gives what a light-weight tunnel has; a value of no tunnel is none.
func encap[R any](of func(R) *conf.NextHop, value func(*conf.Encap) agentx.Value) func(R) agentx.Value {
	return func(r R) agentx.Value {
		if e := of(r).Encap; e != nil {
			return value(e)
		}
		return none
	}
}

func encapType(e *conf.Encap) agentx.Value {
	return integer([...]int{conf.EncapMPLS: 1, conf.EncapIP: 2, conf.EncapILA: 3, conf.EncapIP6: 4}[e.Type])
}

func encapLabels(e *conf.Encap) agentx.Value {
	labels := make([]string, len(e.Labels))
	for i, n := range e.Labels {
		labels[i] = strconv.FormatUint(uint64(n), 10)
	}
	return given(strings.Join(labels, "/"))
}

// tunnels reports whether e is a tunnel of IP.
func tunnels(e *conf.Encap) bool { return e.Type == conf.EncapIP || e.Type == conf.EncapIP6 }

// encapColumns are the objects of a tunnel, the first of which has a number.
func encapColumns[R any](prefix string, first uint32, of func(R) *conf.NextHop) []column[R] {
	return []column[R]{
		{prefix + "MplsLabels", first, encap(of, encapLabels)},
		{prefix + "Id", first + 1, encap(of, func(e *conf.Encap) agentx.Value { return when(tunnels(e), agentx.Count64(e.ID)) })},
		{prefix + "DstAddress", first + 2, encap(of, func(e *conf.Encap) agentx.Value { return address(e.Dst) })},
		{prefix + "SrcAddress", first + 3, encap(of, func(e *conf.Encap) agentx.Value { return address(e.Src) })},
		{prefix + "TOS", first + 4, encap(of, func(e *conf.Encap) agentx.Value { return nonzero(e.TOS) })},
		{prefix + "TTL", first + 5, encap(of, func(e *conf.Encap) agentx.Value { return nonzero(e.TTL) })},
		{prefix + "Flags", first + 6, encap(of, func(e *conf.Encap) agentx.Value { return nonzero(e.Flags) })},
		{prefix + "IlaLocator", first + 7, encap(of, func(e *conf.Encap) agentx.Value { return when(e.Type == conf.EncapILA, agentx.Count64(e.Locator)) })},
	}
}

func onlyHop(r *routeRow) *conf.NextHop { return &r.conf.Hop }

var routeColumns = append(append([]column[*routeRow]{
	{"vrrpRouteAddressType", 2, func(r *routeRow) agentx.Value {
		if r.conf.Family == conf.IPv6 {
			return agentx.Int(inetIPv6)
		}
		return agentx.Int(inetIPv4)
	}},
	{"vrrpRouteDestination", 3, func(r *routeRow) agentx.Value { return address(r.conf.Destination.Addr()) }},
	{"vrrpRouteDestinationMask", 4, func(r *routeRow) agentx.Value { return prefixLength(r.conf.Destination) }},
	{"vrrpRouteGateway", 5, func(r *routeRow) agentx.Value { return address(r.conf.Hop.Via) }},
	{"vrrpRouteSecondaryGateway", 6, func(*routeRow) agentx.Value { return none }}, // such routes are not in the language any more
	{"vrrpRouteSource", 7, func(r *routeRow) agentx.Value { return address(r.conf.Source) }},
	{"vrrpRouteMetric", 8, func(r *routeRow) agentx.Value { return unsigned(r.conf.Metric) }},
	{"vrrpRouteScope", 9, func(r *routeRow) agentx.Value { return scope(r.conf.Scope) }},
	{"vrrpRouteType", 10, func(r *routeRow) agentx.Value {
		if len(r.conf.Hops) > 0 {
			return agentx.Int(2) // ecmp
		}
		return when(routeTypes[r.conf.Type] != 0, integer(routeTypes[r.conf.Type]))
	}},
	{"vrrpRouteIfIndex", 11, func(r *routeRow) agentx.Value {
		index := r.link(r.conf.Hop.Interface).Index
		return when(index != 0, integer(index))
	}},
	{"vrrpRouteIfName", 12, func(r *routeRow) agentx.Value { return given(r.conf.Hop.Interface) }},
	{"vrrpRouteRoutingTable", 13, func(r *routeRow) agentx.Value { return unsigned(r.conf.Table) }},
	{"vrrpRouteStatus", 14, func(r *routeRow) agentx.Value { return which(r.set) }},
	{"vrrpRouteFromAddress", 15, func(r *routeRow) agentx.Value { return address(r.conf.From.Addr()) }},
	{"vrrpRouteFromAddressMask", 16, func(r *routeRow) agentx.Value { return prefixLength(r.conf.From) }},
	{"vrrpRouteTos", 17, func(r *routeRow) agentx.Value { return nonzero(r.conf.TOS) }},
	{"vrrpRouteProtocol", 18, func(r *routeRow) agentx.Value {
		if r.conf.Protocol != nil {
			return protocol(*r.conf.Protocol)
		}
		return protocol(conf.ProtocolKeepalived)
	}},
	{"vrrpRouteECN", 19, bit(conf.MetricFeatures)},
	{"vrrpRouteQuickAck", 20, bit(conf.MetricQuickAck)},
	{"vrrpRouteExpires", 21, func(r *routeRow) agentx.Value {
		return when(r.conf.Expires > 0, integer(int(r.conf.Expires/time.Second)))
	}},
	{"vrrpRouteMTU", 22, metric(conf.MetricMTU)},
	{"vrrpRouteMTULock", 23, locked(conf.MetricMTU)},
	{"vrrpRouteHopLimit", 24, metric(conf.MetricHopLimit)},
	{"vrrpRouteAdvmss", 25, metric(conf.MetricAdvMSS)},
	{"vrrpRouteAdvmssLock", 26, locked(conf.MetricAdvMSS)},
	{"vrrpRouteRTT", 27, metric(conf.MetricRTT)},
	{"vrrpRouteRTTLock", 28, locked(conf.MetricRTT)},
	{"vrrpRouteRTTvar", 29, metric(conf.MetricRTTVar)},
	{"vrrpRouteRTTvarLock", 30, locked(conf.MetricRTTVar)},
	{"vrrpRouteReordering", 31, metric(conf.MetricReordering)},
	{"vrrpRouteReorderingLock", 32, locked(conf.MetricReordering)},
	{"vrrpRouteWindow", 33, metric(conf.MetricWindow)},
	{"vrrpRouteCwnd", 34, metric(conf.MetricCWnd)},
	{"vrrpRouteCwndLock", 35, locked(conf.MetricCWnd)},
	{"vrrpRouteSSthresh", 36, metric(conf.MetricSSThresh)},
	{"vrrpRouteSSthreshLock", 37, locked(conf.MetricSSThresh)},
	{"vrrpRouteRTOMin", 38, metric(conf.MetricRTOMin)},
	{"vrrpRouteRTOMinLock", 39, locked(conf.MetricRTOMin)},
	{"vrrpRouteInitCwnd", 40, metric(conf.MetricInitCWnd)},
	{"vrrpRouteInitRwnd", 41, metric(conf.MetricInitRWnd)},
	{"vrrpRouteCongCtl", 42, func(r *routeRow) agentx.Value { return given(r.conf.CongestionControl) }},
	{"vrrpRoutePref", 43, func(r *routeRow) agentx.Value {
		if r.conf.Preference == nil {
			return none
		}
		return integer(map[uint8]int{3: 1, 0: 2, 1: 3}[*r.conf.Preference])
	}},
	{"vrrpRouteRealmDst", 44, func(r *routeRow) agentx.Value { return realm(r.conf.Hop.Realms, false) }},
	{"vrrpRouteRealmSrc", 45, func(r *routeRow) agentx.Value { return realm(r.conf.Hop.Realms, true) }},
	{"vrrpRouteEncapType", 46, encap(onlyHop, encapType)},
}, encapColumns("vrrpRouteEncap", 47, onlyHop)...), column[*routeRow]{
	"vrrpRouteFastOpenNoCookie", 55, func(r *routeRow) agentx.Value {
		return when(metric(conf.MetricFastOpenNoCookie)(r).Type != 0, bit(conf.MetricFastOpenNoCookie)(r))
	},
})

// hopRow is one of several next hops of a route.
type hopRow struct {
	*State
	conf *conf.NextHop
}

var hopColumns = append([]column[*hopRow]{
	{"vrrpRouteNextHopAddressType", 2, func(r *hopRow) agentx.Value { return addressType(r.conf.Via) }},
	{"vrrpRouteNextHopAddress", 3, func(r *hopRow) agentx.Value { return address(r.conf.Via) }},
	{"vrrpRouteNextHopIfIndex", 4, func(r *hopRow) agentx.Value {
		index := r.link(r.conf.Interface).Index
		return when(index != 0, integer(index))
	}},
	{"vrrpRouteNextHopIfName", 5, func(r *hopRow) agentx.Value { return given(r.conf.Interface) }},
	{"vrrpRouteNextHopWeight", 6, func(r *hopRow) agentx.Value { return nonzero(r.conf.Weight) }},
	{"vrrpRouteNextHopOnlink", 7, func(r *hopRow) agentx.Value { return which(r.conf.OnLink) }},
	{"vrrpRouteNextHopRealmDst", 8, func(r *hopRow) agentx.Value { return realm(r.conf.Realms, false) }},
	{"vrrpRouteNextHopRealmSrc", 9, func(r *hopRow) agentx.Value { return realm(r.conf.Realms, true) }},
}, encapColumns("vrrpRouteNextHopEncap", 11, func(r *hopRow) *conf.NextHop { return r.conf })...)

// ruleRow is a line of virtual_rules.
type ruleRow struct {
	conf *conf.Rule
	set  bool // the kernel has it
}

// first is the source of a rule, or its destination if it has none, as the obsolete
// objects have it.
func (r *ruleRow) first() (direction string, p netip.Prefix) {
	if r.conf.From.IsValid() {
		return "from", r.conf.From
	}
	return "to", r.conf.To
}

// bound is the first or the last number of a range, if there is one.
func bound(r *conf.Range, last bool) agentx.Value {
	switch {
	case r == nil:
		return none
	case last:
		return unsigned(r.Last)
	}
	return unsigned(r.First)
}

var ruleColumns = []column[*ruleRow]{
	{"vrrpRuleDirection", 2, func(r *ruleRow) agentx.Value {
		direction, p := r.first()
		return when(p.IsValid(), text(direction))
	}},
	{"vrrpRuleAddressType", 3, func(r *ruleRow) agentx.Value { _, p := r.first(); return addressType(p.Addr()) }},
	{"vrrpRuleAddress", 4, func(r *ruleRow) agentx.Value { _, p := r.first(); return address(p.Addr()) }},
	{"vrrpRuleAddressMask", 5, func(r *ruleRow) agentx.Value { _, p := r.first(); return prefixLength(p) }},
	{"vrrpRuleRoutingTable", 6, ruleTable},
	{"vrrpRuleStatus", 7, func(r *ruleRow) agentx.Value { return which(r.set) }},
	{"vrrpRuleInvert", 8, func(r *ruleRow) agentx.Value { return which(r.conf.Not) }},
	{"vrrpRuleDestinationAddressType", 9, func(r *ruleRow) agentx.Value { return addressType(r.conf.To.Addr()) }},
	{"vrrpRuleDestinationAddress", 10, func(r *ruleRow) agentx.Value { return address(r.conf.To.Addr()) }},
	{"vrrpRuleDestinationAddressMask", 11, func(r *ruleRow) agentx.Value { return prefixLength(r.conf.To) }},
	{"vrrpRuleSourceAddressType", 12, func(r *ruleRow) agentx.Value { return addressType(r.conf.From.Addr()) }},
	{"vrrpRuleSourceAddress", 13, func(r *ruleRow) agentx.Value { return address(r.conf.From.Addr()) }},
	{"vrrpRuleSourceAddressMask", 14, func(r *ruleRow) agentx.Value { return prefixLength(r.conf.From) }},
	{"vrrpRuleTos", 15, func(r *ruleRow) agentx.Value { return unsigned(r.conf.TOS) }},
	{"vrrpRuleFwmark", 16, func(r *ruleRow) agentx.Value { return when(r.conf.FWMask != 0, unsigned(r.conf.FWMark)) }},
	{"vrrpRuleFwmask", 17, func(r *ruleRow) agentx.Value { return nonzero(r.conf.FWMask) }},
	{"vrrpRuleRealmDst", 18, func(r *ruleRow) agentx.Value { return realm(r.conf.Realms, false) }},
	{"vrrpRuleRealmSrc", 19, func(r *ruleRow) agentx.Value { return realm(r.conf.Realms, true) }},
	{"vrrpRuleInInterface", 20, func(r *ruleRow) agentx.Value { return given(r.conf.Iif) }},
	{"vrrpRuleOutInterface", 21, func(r *ruleRow) agentx.Value { return given(r.conf.Oif) }},
	{"vrrpRuleTarget", 22, func(r *ruleRow) agentx.Value { return when(r.conf.Action == conf.RuleGoto, unsigned(r.conf.Goto)) }},
	{"vrrpRuleAction", 23, func(r *ruleRow) agentx.Value { return integer(r.conf.Action) }},
	{"vrrpRuleTableNo", 24, ruleTable},
	{"vrrpRulePreference", 25, func(r *ruleRow) agentx.Value { return unsigned(r.conf.Priority) }},
	{"vrrpRuleSuppressPrefixLen", 26, func(r *ruleRow) agentx.Value {
		return when(r.conf.SuppressPrefixLength >= 0, unsigned(r.conf.SuppressPrefixLength))
	}},
	{"vrrpRuleSuppressGroup", 27, func(r *ruleRow) agentx.Value {
		return when(r.conf.SuppressGroup >= 0, text(fmt.Sprint(r.conf.SuppressGroup)))
	}},
	{"vrrpRuleTunnelIdHigh", 28, func(r *ruleRow) agentx.Value { return when(r.conf.TunnelID != 0, unsigned(r.conf.TunnelID>>32)) }},
	{"vrrpRuleTunnelIdLow", 29, func(r *ruleRow) agentx.Value { return when(r.conf.TunnelID != 0, unsigned(uint32(r.conf.TunnelID))) }},
	{"vrrpRuleUidRangeStart", 30, func(r *ruleRow) agentx.Value { return bound(r.conf.UIDs, false) }},
	{"vrrpRuleUidRangeEnd", 31, func(r *ruleRow) agentx.Value { return bound(r.conf.UIDs, true) }},
	{"vrrpRuleL3mdev", 32, func(r *ruleRow) agentx.Value { return when(r.conf.L3MDev, which(true)) }},
	{"vrrpRuleProtocol", 33, func(r *ruleRow) agentx.Value {
		if r.conf.Protocol == nil {
			return none
		}
		return protocol(*r.conf.Protocol)
	}},
	{"vrrpRuleIPProto", 34, func(r *ruleRow) agentx.Value { return nonzero(r.conf.IPProto) }},
	{"vrrpRuleSrcPortStart", 35, func(r *ruleRow) agentx.Value { return bound(r.conf.SPort, false) }},
	{"vrrpRuleSrcPortEnd", 36, func(r *ruleRow) agentx.Value { return bound(r.conf.SPort, true) }},
	{"vrrpRuleDstPortStart", 37, func(r *ruleRow) agentx.Value { return bound(r.conf.DPort, false) }},
	{"vrrpRuleDstPortEnd", 38, func(r *ruleRow) agentx.Value { return bound(r.conf.DPort, true) }},
}

func ruleTable(r *ruleRow) agentx.Value {
	return when(r.conf.Action == conf.RuleLookup, nonzero(r.conf.Table))
}

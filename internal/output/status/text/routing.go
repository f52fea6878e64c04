package text

import (
	"fmt"
	"net/netip"
	"strings"

	"keepalived-go/conf"
)

// words joins what is not empty.
type words []string

func (w *words) add(format string, args ...any) { *w = append(*w, fmt.Sprintf(format, args...)) }

func (w *words) addIf(yes bool, format string, args ...any) {
	if yes {
		w.add(format, args...)
	}
}

func (w words) String() string { return strings.Join(w, " ") }

// realms are those of a route; a source realm of 0 is not said.
func realms(r uint32) string {
	if r>>16 == 0 {
		return fmt.Sprintf("realm %d", r)
	}
	return fmt.Sprintf("realms %d/%d", r>>16, r&0xffff)
}

func via(a netip.Addr) string {
	if a.Is6() {
		return "via inet6 " + a.String()
	}
	return "via inet " + a.String()
}

// metricNames are in the order in which they are written.
var metricNames = []struct {
	metric conf.Metric
	name   string
}{
	{conf.MetricRTT, "rtt"}, {conf.MetricRTTVar, "rttvar"}, {conf.MetricRTOMin, "rto_min"}, {conf.MetricFeatures, "features"},
	{conf.MetricMTU, "mtu"}, {conf.MetricWindow, "window"}, {conf.MetricSSThresh, "ssthresh"}, {conf.MetricCWnd, "cwnd"},
	{conf.MetricAdvMSS, "advmss"}, {conf.MetricReordering, "reordering"}, {conf.MetricHopLimit, "hoplimit"},
	{conf.MetricInitCWnd, "initcwnd"}, {conf.MetricInitRWnd, "initrwnd"}, {conf.MetricQuickAck, "quickack"},
	{conf.MetricFastOpenNoCookie, "fastopen_no_cookie"},
}

func metricValue(m conf.RouteMetric) string {
	switch m.Metric {
	case conf.MetricRTT, conf.MetricRTTVar, conf.MetricRTOMin:
		if m.Value%1000 == 0 {
			return fmt.Sprintf("%ds", m.Value/1000)
		}
		return fmt.Sprintf("%dms", m.Value)
	case conf.MetricFeatures:
		if m.Value == 1 {
			return "ecn"
		}
	}
	return fmt.Sprint(m.Value)
}

// Route is a route, with every option that it has.
func Route(r *conf.Route) string {
	var w words
	w.add("%v", r.Order)
	w.addIf(r.Type != conf.RouteUnicast, "%v", r.Type)
	w.add("%s", Prefix(r.Destination))
	w.addIf(r.From.IsValid(), "from %s", Prefix(r.From))
	w.addIf(r.Source.IsValid(), "src %v", r.Source)
	w.addIf(r.TOS != 0, "tos %d", r.TOS)
	hop := &r.Hop
	if hop.Encap != nil {
		w.add("%s", encap(hop.Encap))
	}
	if hop.Via.IsValid() {
		w.add("%s", via(hop.Via))
	}
	w.addIf(hop.Interface != "", "dev %s", hop.Interface)
	w.addIf(r.VRF != "", "vrf %s", r.VRF)
	w.addIf(r.Table != mainTable && r.VRF == "", "table %d", r.Table)
	if r.Protocol != nil {
		w.add("proto %d", *r.Protocol)
	}
	w.addIf(r.Scope != 0, "scope %d", r.Scope)
	w.addIf(r.Metric != 0, "metric %d", r.Metric)
	w.addIf(r.Expires != 0, "expires %.0fsec", r.Expires.Seconds())
	w.addIf(hop.OnLink, "onlink")
	w.addIf(hop.Realms != 0, "%s", realms(hop.Realms))
	if r.CongestionControl != "" {
		lock := ""
		if r.CongestionControlLocked {
			lock = "lock "
		}
		w.add("congctl %s%s", lock, r.CongestionControl)
	}
	for _, n := range metricNames {
		for _, m := range r.Metrics {
			if m.Metric != n.metric {
				continue
			}
			lock := ""
			if m.Locked {
				lock = "lock "
			}
			w.add("%s %s%s", n.name, lock, metricValue(m))
		}
	}
	if r.Preference != nil {
		name := map[uint8]string{0: "medium", 1: "high", 3: "low"}[*r.Preference]
		w.add("pref %s", name)
	}
	if r.TTLPropagate != nil {
		w.add("ttl-propagate %s", Enabled(*r.TTLPropagate))
	}
	for i := range r.Hops {
		h := &r.Hops[i]
		w.add("nexthop")
		if h.Encap != nil {
			w.add("%s", encap(h.Encap))
		}
		if h.Via.IsValid() {
			w.add("%s", via(h.Via))
		}
		w.addIf(h.Interface != "", "dev %s", h.Interface)
		w.addIf(h.Weight != 0, "weight %d", h.Weight)
		w.addIf(h.OnLink, "onlink")
		w.addIf(h.Realms != 0, "%s", realms(h.Realms))
	}
	w.addIf(r.NoTrack, "no_track")
	w.addIf(r.TrackGroup != "", "track_group %s", r.TrackGroup)
	return w.String()
}

const mainTable = 254 // RT_TABLE_MAIN

func encap(e *conf.Encap) string {
	var w words
	w.add("encap %v", e.Type)
	switch e.Type {
	case conf.EncapMPLS:
		var labels []string
		for _, l := range e.Labels {
			labels = append(labels, fmt.Sprint(l))
		}
		w.add("%s", strings.Join(labels, "/"))
	case conf.EncapILA:
		w.add("%d", e.Locator)
	default:
		w.addIf(e.ID != 0, "id %d", e.ID)
		w.addIf(e.Dst.IsValid(), "dst %v", e.Dst)
		w.addIf(e.Src.IsValid(), "src %v", e.Src)
		w.addIf(e.TOS != 0, "tos %d", e.TOS)
		w.addIf(e.TTL != 0, "ttl %d", e.TTL)
		w.addIf(e.Flags != 0, "flags 0x%x", e.Flags)
	}
	return w.String()
}

// Rule is a rule, with every option that it has.
func Rule(r *conf.Rule) string {
	var w words
	w.addIf(r.Family == conf.IPv6 && !r.From.IsValid() && !r.To.IsValid(), "inet6")
	w.addIf(r.Not, "not")
	if r.From.IsValid() {
		w.add("from %s", Prefix(r.From))
	} else {
		w.add("from all")
	}
	w.addIf(r.To.IsValid(), "to %s", Prefix(r.To))
	w.add("priority %d", r.Priority)
	w.add("tos 0x%x", r.TOS)
	switch {
	case r.FWMask == ^uint32(0):
		w.add("fwmark 0x%x", r.FWMark)
	case r.FWMask != 0:
		w.add("fwmark 0x%x/0x%x", r.FWMark, r.FWMask)
	}
	w.addIf(r.Iif != "", "iif %s", r.Iif)
	w.addIf(r.Oif != "", "oif %s", r.Oif)
	w.addIf(r.SuppressPrefixLength >= 0, "suppress_prefixlen %d", r.SuppressPrefixLength)
	w.addIf(r.SuppressGroup >= 0, "suppress_ifgroup %d", r.SuppressGroup)
	w.addIf(r.TunnelID != 0, "tunnel-id %d", r.TunnelID)
	w.addIf(r.L3MDev, "l3mdev")
	if r.UIDs != nil {
		w.add("uidrange %d-%d", r.UIDs.First, r.UIDs.Last)
	}
	if r.Protocol != nil {
		w.add("protocol %d", *r.Protocol)
	}
	w.addIf(r.IPProto != 0, "ipproto %d", r.IPProto)
	for _, p := range []struct {
		name  string
		ports *conf.Range
	}{{"sport", r.SPort}, {"dport", r.DPort}} {
		if p.ports != nil {
			w.add("%s %d-%d", p.name, p.ports.First, p.ports.Last)
		}
	}
	w.addIf(r.Realms != 0, "realms %d/%d", r.Realms>>16, r.Realms&0xffff)
	switch r.Action {
	case conf.RuleLookup:
		w.add("lookup %d", r.Table)
	case conf.RuleGoto:
		w.add("goto %d", r.Goto)
	case conf.RuleNop:
		w.add("nop")
	case conf.RuleBlackhole:
		w.add("type blackhole")
	case conf.RuleUnreachable:
		w.add("type unreachable")
	case conf.RuleProhibit:
		w.add("type prohibit")
	}
	w.addIf(r.NoTrack, "no_track")
	w.addIf(r.TrackGroup != "", "track_group %s", r.TrackGroup)
	return w.String()
}

// Static writes the sections of static items. They are as configured.
func Static(t *Writer, c *conf.Config) {
	section := func(title string, n int, item func(i int) string) {
		if n == 0 {
			return
		}
		t.Section(title)
		for i := range n {
			t.Line("     %s", item(i))
		}
	}
	section("Static Addresses", len(c.StaticAddresses), func(i int) string {
		a := &c.StaticAddresses[i]
		text := Address(&a.Address, a.Interface)
		if a.TrackGroup != "" {
			text += " track_group " + a.TrackGroup
		}
		return text
	})
	section("Static Routes", len(c.StaticRoutes), func(i int) string { return Route(&c.StaticRoutes[i]) })
	section("Static Rules", len(c.StaticRules), func(i int) string { return Rule(&c.StaticRules[i]) })
	if len(c.TrackGroups) == 0 {
		return
	}
	t.Section("Static Track groups")
	for _, g := range c.TrackGroups {
		t.Line(" Static Track Group = %s", g.Name)
		t.List("   VRRP member instances :", g.Instances)
	}
}

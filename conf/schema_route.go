package conf

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// entryWord is an option in a line of routes or rules.
type entryWord[T any] struct {
	name, args, doc string
	read            func(e *entry, v *T)
}

// routeEntry is a Route while its line is read.
type routeEntry struct {
	Route
	devices int
}

// ruleEntry is a Rule while its line is read.
type ruleEntry struct {
	Rule
	priority opt[uint32]
	actions  int
}

// routeWords and ruleWords are what iproute2 knows by the same names.
var routeWords = []entryWord[routeEntry]{
	{"TYPE", "unicast|local|broadcast|multicast|throw|unreachable|prohibit|blackhole|nat", "type of the route", nil},
	{"inet", "", "the route is an IPv4 route", func(e *entry, r *routeEntry) { e.family(&r.Family, IPv4) }},
	{"inet6", "", "the route is an IPv6 route", func(e *entry, r *routeEntry) { e.family(&r.Family, IPv6) }},
	{"to", "PREFIX|default", "destination", func(e *entry, r *routeEntry) { r.Destination = e.network(e.value(), &r.Family) }},
	{"src", "ADDR", "preferred source address", func(e *entry, r *routeEntry) { r.Source = e.addr(&r.Family) }},
	{"from", "PREFIX", "source prefix, IPv6 only", func(e *entry, r *routeEntry) {
		if r.From = e.network(e.value(), &r.Family); e.ok && r.Family == IPv4 {
			e.fail("route-family", "route from address only supported with IPv6 (%s)", r.From)
		}
	}},
	{"as", "[to] ADDR", "destination in another family", readAs[routeEntry]},
	{"via", "[inet|inet6] ADDR", "next router", func(e *entry, r *routeEntry) { e.via(&r.Hop, &r.Family) }},
	{"gw", "ADDR", "old name of via", func(e *entry, r *routeEntry) {
		e.deprecated("gw", "via")
		e.via(&r.Hop, &r.Family)
	}},
	{"tos", "TOS", "type of service", func(e *entry, r *routeEntry) { r.TOS = e.tos() }},
	{"dsfield", "TOS", "type of service", func(e *entry, r *routeEntry) { r.TOS = e.tos() }},
	{"table", "ID|NAME", "routing table", func(e *entry, r *routeEntry) {
		r.Table = e.named("rt_tables", 32, "Routing table %s not found for route")
	}},
	{"protocol", "ID|NAME", "routing protocol, the origin of the route; keepalived by default", func(e *entry, r *routeEntry) {
		r.Protocol = e.protocol("Protocol %s not found or invalid for route")
	}},
	{"scope", "ID|NAME", "scope of the destination", func(e *entry, r *routeEntry) {
		r.Scope = uint8(e.named("rt_scopes", 8, "Scope %s not found or invalid for route"))
	}},
	{"metric", "N", "metric; the route with the lowest one is used", readMetric},
	{"priority", "N", "the same as metric", readMetric},
	{"preference", "N", "the same as metric", readMetric},
	{"dev", "IFNAME", "interface", func(e *entry, r *routeEntry) { r.Hop.Interface = e.device(); r.devices++ }},
	{"oif", "IFNAME", "the same as dev", func(e *entry, r *routeEntry) { r.Hop.Interface = e.device(); r.devices++ }},
	{"onlink", "", "treat the next hop as directly reachable", func(e *entry, r *routeEntry) { r.Hop.OnLink = true }},
	{"encap", "TYPE OPTION...", "light-weight tunnel: mpls, ip, ip6 or ila", func(e *entry, r *routeEntry) { r.Hop.Encap = e.encap() }},
	{"expires", "SECS", "lifetime, IPv6 only", func(e *entry, r *routeEntry) {
		if e.only6(r, "expires") {
			r.Expires = time.Duration(e.number(0, 1<<32-1)) * time.Second
		}
	}},
	{"mtu", "[lock] N", "largest packet", metric(MetricMTU)},
	{"hoplimit", "N", "hop limit of sent packets", func(e *entry, r *routeEntry) { r.put(MetricHopLimit, uint32(e.number(0, 255)), false) }},
	{"advmss", "[lock] N", "segment size offered to TCP peers", metric(MetricAdvMSS)},
	{"rtt", "[lock] TIME", "initial estimate of the round-trip time: with s or ms, or in units of 125 µs", timeMetric(MetricRTT, 8)},
	{"rttvar", "[lock] TIME", "initial estimate of its variance: with s or ms, or in units of 250 µs", timeMetric(MetricRTTVar, 4)},
	{"reordering", "[lock] N", "expected reordering", metric(MetricReordering)},
	{"window", "[lock] N", "largest window to offer", metric(MetricWindow)},
	{"cwnd", "[lock] N", "limit of the congestion window", metric(MetricCWnd)},
	{"ssthresh", "[lock] N", "initial slow start threshold", metric(MetricSSThresh)},
	{"realms", "R[/R]", "realms, for accounting", func(e *entry, r *routeEntry) { r.Hop.Realms = e.realms("Invalid realms %s for route") }},
	{"rto_min", "[lock] TIME", "shortest retransmission timeout: with s or ms, or in milliseconds", timeMetric(MetricRTOMin, 1)},
	{"initcwnd", "[lock] N", "initial congestion window", metric(MetricInitCWnd)},
	{"initrwnd", "[lock] N", "initial receive window", metric(MetricInitRWnd)},
	{"features", "ecn", "TCP features", func(e *entry, r *routeEntry) {
		if v := e.value(); e.ok && v != "ecn" {
			e.fail("route-value", "feature %s not supported; expected ecn", printable(v))
		}
		r.put(MetricFeatures, 1, false)
	}},
	{"quickack", "0|1", "send acknowledgements at once", func(e *entry, r *routeEntry) { r.put(MetricQuickAck, uint32(e.number(0, 1)), false) }},
	{"congctl", "[lock] NAME", "congestion control", func(e *entry, r *routeEntry) {
		r.CongestionControlLocked = e.locked()
		r.CongestionControl = e.d.intern(e.value())
	}},
	{"pref", "low|medium|high", "router preference, IPv6 only", func(e *entry, r *routeEntry) {
		if !e.only6(r, "pref") {
			return
		}
		v := e.value()
		code, ok := map[string]uint8{"medium": 0, "high": 1, "low": 3}[v]
		if e.ok && !ok {
			e.fail("route-value", "unknown router preference %s; expected low, medium or high", printable(v))
		}
		r.Preference = &code
	}},
	{"ttl-propagate", "enabled|disabled", "copy the TTL into MPLS headers", func(e *entry, r *routeEntry) {
		v := e.value()
		if e.ok && v != "enabled" && v != "disabled" {
			e.fail("route-value", "ttl-propagate value %s not recognised; expected enabled or disabled", printable(v))
		}
		on := v == "enabled"
		r.TTLPropagate = &on
	}},
	{"fastopen_no_cookie", "0|1", "TCP fast open without a cookie", func(e *entry, r *routeEntry) { r.put(MetricFastOpenNoCookie, uint32(e.number(0, 1)), false) }},
	{"nexthop", "OPTION...", "one of several next hops, with via, dev, weight, onlink, realms, encap", readNextHop},
	{"or", "ADDR", "second gateway, old notation", func(e *entry, r *routeEntry) {
		e.deprecated("or", "nexthop")
		second := NextHop{}
		e.via(&second, &r.Family)
		first := NextHop{Via: r.Hop.Via}
		r.Hop.Via = netip.Addr{}
		r.Hops = append(r.Hops, first, second)
	}},
	{"add", "", "fail if the route exists", func(e *entry, r *routeEntry) { r.Order = RouteAdd }},
	{"prepend", "", "put the route before equal ones", func(e *entry, r *routeEntry) { r.Order = RoutePrepend }},
	{"append", "", "put the route after equal ones", func(e *entry, r *routeEntry) { r.Order = RouteAppend }},
	{"vrf", "NAME", "routing domain", func(e *entry, r *routeEntry) {
		name := e.value()
		if d := e.d; e.ok && d.Interface != nil && !d.Interface(name) {
			e.fail("no-vrf", "VRF %s not found for route", printable(name))
		}
		r.VRF = e.d.intern(name)
	}},
	{"no_track", "", "its loss does not cause FAULT", func(e *entry, r *routeEntry) { r.NoTrack = true }},
	{"on_external_delete", "yield|restore|fault", onDeleteDoc, func(e *entry, r *routeEntry) { r.OnDelete = e.onDelete() }},
	{"track_group", "NAME", "group of instances that the loss of a static route or rule affects", func(e *entry, r *routeEntry) { r.TrackGroup = e.trackGroup() }},
}

var ruleWords = []entryWord[ruleEntry]{
	{"inet", "", "an IPv4 rule", func(e *entry, r *ruleEntry) { e.family(&r.Family, IPv4) }},
	{"inet6", "", "an IPv6 rule", func(e *entry, r *ruleEntry) { e.family(&r.Family, IPv6) }},
	{"not", "", "invert the match", func(e *entry, r *ruleEntry) { r.Not = true }},
	{"from", "PREFIX", "source", func(e *entry, r *ruleEntry) { r.From = e.network(e.value(), &r.Family) }},
	{"to", "PREFIX", "destination", func(e *entry, r *ruleEntry) { r.To = e.network(e.value(), &r.Family) }},
	{"table", "ID|NAME", "routing table to use", readLookup},
	{"lookup", "ID|NAME", "the same as table", readLookup},
	{"preference", "N", "priority of the rule; the lowest one comes first", readPriority},
	{"order", "N", "the same as preference", readPriority},
	{"priority", "N", "the same as preference", readPriority},
	{"tos", "TOS", "type of service", func(e *entry, r *ruleEntry) { r.TOS = e.tos() }},
	{"dsfield", "TOS", "type of service", func(e *entry, r *ruleEntry) { r.TOS = e.tos() }},
	{"fwmark", "N[/MASK]", "firewall mark", readMark},
	{"realms", "R[/R]", "realms, for accounting", func(e *entry, r *ruleEntry) { r.Realms = e.realms("invalid realms %s for rule") }},
	{"suppress_prefixlength", "N", "ignore routes with at most this prefix length", readSuppressLength},
	{"sup_pl", "N", "the same as suppress_prefixlength", readSuppressLength},
	{"suppress_ifgroup", "GROUP", "ignore routes over interfaces of this group", readSuppressGroup},
	{"sup_group", "GROUP", "the same as suppress_ifgroup", readSuppressGroup},
	{"dev", "IFNAME", "interface on which a packet arrived", func(e *entry, r *ruleEntry) { r.Iif = e.device() }},
	{"iif", "IFNAME", "the same as dev", func(e *entry, r *ruleEntry) { r.Iif = e.device() }},
	{"oif", "IFNAME", "interface to which the sending socket is bound", func(e *entry, r *ruleEntry) { r.Oif = e.device() }},
	{"tunnel-id", "N", "id of the tunnel from which a packet came", func(e *entry, r *ruleEntry) { r.TunnelID = uint64(e.integer(0, 0, 1<<62)) }},
	{"uidrange", "N-N", "users of the sending process", func(e *entry, r *ruleEntry) { r.UIDs = e.span(1<<32 - 1) }},
	{"l3mdev", "", "use the routing table of the VRF", func(e *entry, r *ruleEntry) { r.L3MDev = true; r.act(RuleLookup) }},
	{"protocol", "ID|NAME", "routing protocol, the origin of the rule", func(e *entry, r *ruleEntry) { r.Protocol = e.protocol("Invalid protocol %s") }},
	{"ipproto", "ID|NAME", "protocol of the packet", func(e *entry, r *ruleEntry) { r.IPProto = uint8(e.named("protocols", 8, "Invalid ipproto %s")) }},
	{"sport", "N[-N]", "source port", func(e *entry, r *ruleEntry) { r.SPort = e.span(65535) }},
	{"dport", "N[-N]", "destination port", func(e *entry, r *ruleEntry) { r.DPort = e.span(65535) }},
	{"type", "blackhole|unreachable|prohibit", "action for the packet, instead of a look-up", func(e *entry, r *ruleEntry) {
		v := e.value()
		action, ok := ruleActions[v]
		if e.ok && !ok {
			e.fail("rule-action", "Invalid rule action %s; expected blackhole, unreachable or prohibit", printable(v))
		}
		r.act(action)
	}},
	{"goto", "N", "continue with the rule of this preference", func(e *entry, r *ruleEntry) { r.Goto = uint32(e.integer(0, 0, 1<<32-1)); r.act(RuleGoto) }},
	{"nop", "", "no effect", func(e *entry, r *ruleEntry) { r.act(RuleNop) }},
	{"no_track", "", "its loss does not cause FAULT", func(e *entry, r *ruleEntry) { r.NoTrack = true }},
	{"on_external_delete", "yield|restore|fault", onDeleteDoc, func(e *entry, r *ruleEntry) { r.OnDelete = e.onDelete() }},
	{"track_group", "NAME", "group of instances that the loss of a static route or rule affects", func(e *entry, r *ruleEntry) { r.TrackGroup = e.trackGroup() }},
}

var ruleActions = map[string]RuleAction{"blackhole": RuleBlackhole, "unreachable": RuleUnreachable, "prohibit": RuleProhibit}

func routeBlock(path string) *block {
	return entryBlock(path, "ROUTE", routeWords, func(d *decoder, l entryLine) { d.routing.routes = append(d.routing.routes, l) })
}

func ruleBlock(path string) *block {
	return entryBlock(path, "RULE", ruleWords, func(d *decoder, l entryLine) { d.routing.rules = append(d.routing.rules, l) })
}

// entryBlock declares the words of one kind of entry. Lines are read when all
// is known that they may refer to.
func entryBlock[T any](path, placeholder string, words []entryWord[T], keep func(d *decoder, l entryLine)) *block {
	b := &block{path: path}
	lower := strings.ToLower(placeholder)
	b.lines(func(d *decoder, s *Statement) { keep(d, entryLine{s, d.inst}) },
		&Keyword{Name: placeholder, Args: lower + " words", Doc: "a " + lower + " as iproute2 writes it, one per line"})
	for _, w := range words {
		k := &Keyword{Block: path + "." + placeholder, Name: w.name, Args: w.args, Doc: w.doc, option: true}
		if slices.Contains(ownOptions, w.name) {
			k.own()
		}
		b.order = append(b.order, k)
	}
	return b
}

// routing are the lines of routes and rules until all is read.
type routing struct {
	routes, rules []entryLine
	groups        []*trackGroup
	static        []staticLine
	names         names
	byName        map[string]*trackGroup
}

// entryLine is a line of routes or rules; inst is nil for static ones.
type entryLine struct {
	s    *Statement
	inst *instance
}

// entry reads the words of a line one after the other.
type entry struct {
	d    *decoder
	s    *Statement
	inst *instance // nil for static ones
	i    int       // the current word
	ok   bool      // nothing was wrong so far
}

// fail reports why an entry cannot be used.
func (e *entry) fail(code, format string, args ...any) {
	if e.ok {
		e.d.wrong(e.s, e.i, code, format, args...)
	}
	e.ok = false
}

// value is the next word.
func (e *entry) value() string {
	if !e.ok {
		return ""
	}
	if e.i+1 == len(e.s.Words) {
		e.ok = false
		e.d.report(e.s, e.i, Diagnostic{
			Severity: Fatal, Class: ClassMissingArgument, Exit: 2, Code: "missing-argument",
			Message: "*** Configuration line starting `" + printable(e.s.Words[0].Text) + "` is missing a parameter after keyword `" + e.s.Words[e.i].Text + "` at word position " + strconv.Itoa(e.i+2),
		})
		return ""
	}
	e.i++
	return e.s.Words[e.i].Text
}

// peek is the word after the current one.
func (e *entry) peek() string {
	if e.i+1 < len(e.s.Words) {
		return e.s.Words[e.i+1].Text
	}
	return ""
}

// take skips the next word if it is w.
func (e *entry) take(w string) bool {
	if e.peek() != w {
		return false
	}
	e.i++
	return true
}

func (e *entry) locked() bool { return e.take("lock") }

// number reads a decimal number.
func (e *entry) number(min, max int64) int64 { return e.integer(10, min, max) }

// integer reads a number in the given base; 0 is the notation of C.
func (e *entry) integer(base int, min, max int64) int64 {
	option := e.s.Words[e.i].Text
	text := e.value()
	if !e.ok {
		return 0
	}
	n, err := strconv.ParseInt(text, base, 64)
	if err != nil || n < min || n > max {
		e.fail("route-value", "invalid number '%s' for %s; expected %d to %d", printable(text), option, min, max)
		return 0
	}
	return n
}

// named reads a number or a name of iproute2.
func (e *entry) named(kind string, bits int, message string) uint32 {
	text := e.value()
	v, ok := e.d.routing.names.number(kind, text, bits)
	if !ok {
		e.fail("route-name", message, printable(text))
	}
	return v
}

// protocol reads the number or name of who made a route or rule.
func (e *entry) protocol(message string) *uint8 {
	v := uint8(e.named("rt_protos", 8, message))
	return &v
}

func (e *entry) tos() uint8 {
	text := e.value()
	v, ok := e.d.routing.names.number("rt_dsfield", text, 8)
	if !ok {
		e.fail("route-name", "TOS value %s is invalid", printable(text))
	}
	return uint8(v)
}

// realms reads TO or FROM/TO.
func (e *entry) realms(message string) uint32 {
	text := e.value()
	from, to, both := strings.Cut(text, "/")
	if !both {
		from, to = "0", from
	}
	f, ok1 := e.d.routing.names.number("rt_realms", from, 16)
	t, ok2 := e.d.routing.names.number("rt_realms", to, 16)
	if !ok1 || !ok2 {
		e.fail("route-name", message, printable(text))
	}
	return f<<16 | t
}

// span reads N or N-N.
func (e *entry) span(most uint64) *Range {
	option := e.s.Words[e.i].Text
	text := e.value()
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	from, err1 := strconv.ParseUint(first, 10, 32)
	to, err2 := strconv.ParseUint(last, 10, 32)
	if err1 != nil || err2 != nil || from > to || to > most {
		e.fail("route-value", "invalid %s range %s; expected two numbers up to %d", option, printable(text), most)
	}
	return &Range{uint32(from), uint32(to)}
}

// family notes of which family the entry is; all its addresses have the same.
func (e *entry) family(have *Family, f Family) {
	if *have != 0 && *have != f {
		e.fail("entry-family", "Cannot mix IPv4 and IPv6 addresses for route or rule")
	}
	*have = f
}

func (e *entry) addr(family *Family) netip.Addr {
	text := e.value()
	addr, err := plainAddr(text)
	if err != nil {
		e.fail("bad-address", "invalid address %s; expected an IPv4 or IPv6 address", printable(text))
		return addr
	}
	e.family(family, familyOf(addr))
	return addr
}

// network reads ADDR[/LEN], default or any; those leave the family open.
func (e *entry) network(text string, family *Family) netip.Prefix {
	switch text {
	case "default", "any", "all":
		return netip.Prefix{}
	case "default6", "any6", "all6":
		e.family(family, IPv6)
		return netip.Prefix{}
	}
	if !e.ok {
		return netip.Prefix{}
	}
	addr, prefix, ok := e.d.prefix(e.s, e.i)
	if !ok {
		e.fail("bad-address", "invalid address %s; expected ADDRESS[/LENGTH], default or any", printable(text))
		return prefix
	}
	e.family(family, familyOf(addr))
	return prefix
}

// via reads the next router. With a family before it, it may be of another one
// than the route.
func (e *entry) via(hop *NextHop, family *Family) {
	if other := map[string]Family{"inet": IPv4, "inet6": IPv6}[e.peek()]; other != 0 {
		e.i++
		hop.Via = e.addr(&other)
		return
	}
	hop.Via = e.addr(family)
}

func (e *entry) device() string {
	name := e.value()
	if e.ok {
		e.d.needInterface(e.s, e.i, "WARNING - interface %s for route or rule doesn't exist")
	}
	return e.d.intern(name)
}

func (e *entry) trackGroup() string {
	if e.inst != nil {
		e.fail("entry-word", "track_group is only for static routes and rules; an instance tracks its own unless they have no_track")
		return ""
	}
	name := e.value()
	if e.ok && e.d.routing.byName[name] == nil {
		e.d.wrong(e.s, e.i, "no-track-group", "track_group %s not found", printable(name))
		return ""
	}
	return e.d.intern(name)
}

func (e *entry) onDelete() OnDelete {
	if e.inst == nil {
		e.fail("entry-word", "on_external_delete is only for routes and rules of an instance; static ones are always set again")
		return OnDeleteUnset
	}
	v := e.value()
	o, ok := onDelete(v)
	if e.ok && !ok {
		e.fail("bad-choice", "on_external_delete value %s not recognised; expected %s", printable(v), onDeleteWords)
	}
	return o
}

func (e *entry) deprecated(word, successor string) {
	e.d.report(e.s, e.i, Diagnostic{
		Severity: Warning, Class: ClassDeprecated, Code: "deprecated",
		Message: `"` + word + `" for routes is deprecated. Please use "` + successor + `"`,
	})
}

// only6 takes the value of a word that is only for IPv6; it reports the word
// for IPv4, which is then without effect.
func (e *entry) only6(r *routeEntry, word string) bool {
	if r.Family == IPv6 {
		return true
	}
	e.d.wrong(e.s, e.i, "route-family", "%s is only valid for IPv6", word)
	e.value()
	return false
}

func readAs[T any](e *entry, _ *T) {
	e.d.wrong(e.s, e.i, "route-as", `"as to" for MPLS only - ignoring`)
	e.take("to")
	e.value()
}

func readMetric(e *entry, r *routeEntry) { r.Metric = uint32(e.number(0, 1<<32-1)) }

// put sets a metric.
func (r *routeEntry) put(m Metric, v uint32, locked bool) {
	at, found := slices.BinarySearchFunc(r.Metrics, m, func(a RouteMetric, m Metric) int { return int(a.Metric) - int(m) })
	if !found {
		r.Metrics = slices.Insert(r.Metrics, at, RouteMetric{})
	}
	r.Metrics[at] = RouteMetric{m, v, locked}
}

func metric(m Metric) func(*entry, *routeEntry) {
	return func(e *entry, r *routeEntry) {
		locked := e.locked()
		r.put(m, uint32(e.number(0, 1<<32-1)), locked)
	}
}

// timeMetric reads a time with a unit, or a number of which there are so many in
// a millisecond.
func timeMetric(m Metric, perMilli uint32) func(*entry, *routeEntry) {
	const least = 200
	return func(e *entry, r *routeEntry) {
		option := e.s.Words[e.i].Text
		locked := e.locked()
		text := e.value()
		digits, scale := text, 0.0
		if t, ok := strings.CutSuffix(text, "ms"); ok {
			digits, scale = t, 1
		} else if t, ok := strings.CutSuffix(strings.TrimSuffix(text, "ec"), "s"); ok {
			digits, scale = t, 1000
		}
		us, _, ok := parseDecimal(digits, 3)
		if scale == 0 {
			scale = 1 / float64(perMilli)
		}
		ms := float64(us) / 1000 * scale
		if !ok || ms < 0 || ms > 1<<31 {
			e.fail("route-value", "Invalid %s %s for route; expected a number, or one with s or ms", option, printable(text))
			return
		}
		if ms < least {
			e.d.report(e.s, e.i, Diagnostic{
				Severity: Note, Code: "route-minimum", Message: option + " value " + printable(text) + " below minimum 200ms, resetting",
			})
			ms = least
		}
		r.put(m, uint32(ms), locked)
	}
}

// readNextHop reads nexthop and its own words.
func readNextHop(e *entry, r *routeEntry) {
	hop := NextHop{}
	for e.ok && e.i+1 < len(e.s.Words) && e.peek() != "nexthop" {
		e.i++
		switch word := e.s.Words[e.i].Text; word {
		case "via":
			e.via(&hop, &r.Family)
		case "dev", "oif":
			hop.Interface = e.device()
		case "weight":
			hop.Weight = int(e.number(1, 256))
		case "onlink":
			hop.OnLink = true
		case "encap":
			hop.Encap = e.encap()
		case "realms":
			hop.Realms = e.realms("Invalid realms %s for route")
		case "as":
			readAs(e, r)
		default: // no_track and track_group stand before the routers
			e.d.wrong(e.s, e.i, "entry-word", "Route has trailing nonsense after nexthops - %s; what follows is ignored; expected via, dev, weight, onlink, realms, encap or nexthop", printable(word))
			e.i = len(e.s.Words) - 1
		}
	}
	r.Hops = append(r.Hops, hop)
}

// encap reads a type and its own words.
func (e *entry) encap() *Encap {
	c := &Encap{}
	switch kind := e.value(); kind {
	case "mpls":
		text := e.value()
		for label := range strings.SplitSeq(text, "/") {
			n, err := strconv.ParseUint(label, 0, 20)
			if err != nil {
				e.fail("route-encap", "invalid mpls address %s for encapsulation; expected LABEL[/LABEL...]", printable(text))
			}
			c.Labels = append(c.Labels, uint32(n))
		}
	case "ip", "ip6":
		c.Type = EncapIP
		if kind == "ip6" {
			c.Type = EncapIP6
		}
		e.encapIP(c, kind)
	case "ila":
		c.Type = EncapILA
		c.Locator = e.locator()
	default:
		e.fail("route-encap", "Unknown encap type - %s; expected mpls, ip, ip6 or ila", printable(kind))
	}
	return c
}

func (e *entry) encapIP(c *Encap, kind string) {
	family := IPv4
	if c.Type == EncapIP6 {
		family = IPv6
	}
	start := e.i
	for e.ok {
		word := e.peek()
		switch {
		case word == "id", word == "dst", word == "src", word == "flags",
			kind == "ip" && (word == "tos" || word == "ttl"), kind == "ip6" && (word == "tc" || word == "hoplimit"):
			e.i++
		default:
			if e.i == start || c.ID == 0 && !c.Dst.IsValid() {
				e.fail("route-encap", "address or id missing for %s encapsulation", kind)
			}
			return
		}
		switch word {
		case "id":
			c.ID = uint64(e.number(0, 1<<62))
		case "dst":
			c.Dst = e.addr(&family)
		case "src":
			c.Src = e.addr(&family)
		case "flags":
			c.Flags = uint16(e.number(0, 65535))
		case "tos", "tc":
			c.TOS = e.tos()
		case "ttl", "hoplimit":
			c.TTL = uint8(e.number(0, 255))
		}
	}
}

// locator reads four groups of 16 bits.
func (e *entry) locator() (v uint64) {
	text := e.value()
	groups := strings.Split(text, ":")
	for _, g := range groups {
		n, err := strconv.ParseUint(g, 16, 16)
		if err != nil || len(groups) != 4 {
			e.fail("route-encap", "invalid locator %s for ila encapsulation; expected four hexadecimal numbers with colons", printable(text))
			return 0
		}
		v = v<<16 | n
	}
	return v
}

// act notes what a rule does; it can do one thing.
func (r *ruleEntry) act(a RuleAction) {
	r.Action = a
	r.actions++
}

func readLookup(e *entry, r *ruleEntry) {
	r.Table = e.named("rt_tables", 32, "Routing table %s not found for rule")
	if e.ok && r.Table == 0 {
		e.fail("rule-table", "Table 0 is not valid")
	}
	r.act(RuleLookup)
}

func readPriority(e *entry, r *ruleEntry) { r.priority.put(uint32(e.integer(0, 0, 1<<32-1))) }

func readMark(e *entry, r *ruleEntry) {
	text := e.value()
	mark, mask, masked := strings.Cut(text, "/")
	n, err := strconv.ParseUint(mark, 0, 32)
	m := uint64(1<<32 - 1)
	if err == nil && masked {
		m, err = strconv.ParseUint(mask, 0, 32)
	}
	if err != nil {
		e.fail("route-value", "Invalid rule fwmark %s specified; expected MARK[/MASK]", printable(text))
	}
	r.FWMark, r.FWMask = uint32(n), uint32(m)
}

func readSuppressLength(e *entry, r *ruleEntry) { r.SuppressPrefixLength = int(e.number(0, 1<<31-1)) }

func readSuppressGroup(e *entry, r *ruleEntry) {
	r.SuppressGroup = int(e.named("group", 31, "suppress_group %s is invalid"))
}

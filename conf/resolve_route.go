package conf

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
)

// routeTables of lines, by their first words.
var (
	routeIndex = indexed(routeWords)
	ruleIndex  = indexed(ruleWords)
)

func indexed[T any](words []entryWord[T]) map[string]*entryWord[T] {
	index := make(map[string]*entryWord[T], len(words))
	for i := range words {
		if words[i].read != nil {
			index[words[i].name] = &words[i]
		}
	}
	return index
}

type trackGroup struct {
	TrackGroup
	at place
}

// staticLine is a line of static_ipaddress.
type staticLine struct {
	s    *Statement
	addr Address
}

// routes reads the lines of routes and rules, static ones and those of
// instances.
func (d *decoder) routes() {
	r := &d.routing
	g := &d.cfg.Global
	if d.Names != "" {
		r.names.usr, r.names.etc = filepath.Join(d.Names, g.IPRouteUsrDir), filepath.Join(d.Names, g.IPRouteEtcDir)
		r.names.protocols = filepath.Join(d.Names, "/etc/protocols")
	}
	d.trackGroups()
	d.names = nil // large, and not needed any more
	for _, l := range r.static {
		a := StaticAddress{Address: l.addr}
		if a.Interface == "" {
			a.Interface = g.DefaultInterface
		}
		e := &entry{d: d, s: l.s, ok: true}
		for ; e.i < len(l.s.Words); e.i++ {
			if l.s.Words[e.i].Text == "track_group" && e.i+1 < len(l.s.Words) {
				a.TrackGroup = e.trackGroup()
			}
		}
		d.cfg.StaticAddresses = append(d.cfg.StaticAddresses, a)
	}
	into := func(l entryLine) *Routing {
		if l.inst.Routing == nil {
			l.inst.Routing = &Routing{}
		}
		return l.inst.Routing
	}
	for _, l := range r.routes {
		route, ok := d.route(l)
		switch {
		case !ok:
		case l.inst == nil:
			d.cfg.StaticRoutes = append(d.cfg.StaticRoutes, route)
		default:
			to := into(l)
			to.Routes = append(to.Routes, route)
		}
	}
	last := make(map[Family]uint32)
	for _, l := range r.rules {
		rule, ok := d.rule(l, last)
		switch {
		case !ok:
		case l.inst == nil:
			d.cfg.StaticRules = append(d.cfg.StaticRules, rule)
		default:
			to := into(l)
			to.Rules = append(to.Rules, rule)
		}
	}
}

// trackGroups keeps the instances that exist.
func (d *decoder) trackGroups() {
	for _, g := range d.routing.groups {
		g.Instances = slices.DeleteFunc(g.Instances, func(name string) bool {
			_, ok := d.names[name]
			if !ok {
				d.reportAt(g.at, Diagnostic{
					Severity: Warning, Class: ClassNone, Code: "no-instance",
					Message: fmt.Sprintf("track_group %s: vrrp_instance %s doesn't exist - ignoring", printable(g.Name), printable(name)),
				})
			}
			return !ok
		})
		d.cfg.TrackGroups = append(d.cfg.TrackGroups, g.TrackGroup)
	}
}

// route reads one line of routes.
func (d *decoder) route(l entryLine) (Route, bool) {
	s := l.s
	e := &entry{d: d, s: s, inst: l.inst, ok: true}
	r := &routeEntry{Route: Route{Pos: d.pos(s), Table: 254}}
	destination := false
	for ; e.ok && e.i < len(s.Words); e.i++ {
		text := s.Words[e.i].Text
		switch w := routeIndex[text]; {
		case text == "to":
			destination = true
			w.read(e, r)
		case w != nil:
			w.read(e, r)
		case slices.Contains(routeTypes, text):
			r.Type = RouteType(slices.Index(routeTypes, text) + 1)
			r.Order = RouteAdd // unless a later word gives the place
		case !destination && isNetwork(text):
			destination = true
			r.Destination = e.network(text, &r.Family)
		default:
			e.fail("entry-word", "unknown route keyword %s", printable(text))
		}
	}
	if e.ok && !destination {
		e.i = 0
		e.fail("route-destination", "Route must have a destination; write a network, or default")
	}
	if !e.ok {
		return r.Route, false
	}
	if r.Family == 0 {
		r.Family = IPv4
	}
	if r.Destination == (netip.Prefix{}) {
		r.Destination = anyOf(r.Family)
	}
	if r.Type == 0 {
		r.Type = RouteUnicast
	}
	d.routeTracking(s, r)
	return r.Route, true
}

// routeTracking settles whether the loss of a route can be noticed.
func (d *decoder) routeTracking(s *Statement, r *routeEntry) {
	r.Protocol = d.entryProtocol(s, "Route", r.Protocol, r.NoTrack)
	if r.devices == 0 {
		r.NoTrack = true // there is no interface whose loss could be noticed
	}
}

// entryProtocol is the protocol of a route or rule. Only what is marked as ours
// can be tracked.
func (d *decoder) entryProtocol(s *Statement, what string, protocol *uint8, noTrack bool) *uint8 {
	if noTrack {
		return protocol
	}
	if protocol != nil && *protocol != ProtocolKeepalived {
		d.wrong(s, 0, "entry-protocol", "%s cannot be tracked if protocol is not RTPROT_KEEPALIVED(18), resetting protocol", what)
	}
	ours := uint8(ProtocolKeepalived)
	return &ours
}

func isNetwork(s string) bool {
	switch s {
	case "default", "any", "all", "default6", "any6", "all6":
		return true
	}
	return startsAddress(s)
}

func startsAddress(s string) bool {
	for i := range len(s) {
		if s[i] == '/' {
			s = s[:i]
			break
		}
	}
	_, err := netip.ParseAddr(s)
	return err == nil
}

func anyOf(f Family) netip.Prefix {
	if f == IPv6 {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// firstPreference is the preference of the first rule of a family that has none
// of its own. Those after it come before it, as if ip had added them.
const firstPreference = 16384

// rule reads one line of rules; last has the preference given last to a rule of
// each family without one.
func (d *decoder) rule(l entryLine, last map[Family]uint32) (Rule, bool) {
	s := l.s
	e := &entry{d: d, s: s, inst: l.inst, ok: true}
	r := &ruleEntry{Rule: Rule{Pos: d.pos(s), SuppressPrefixLength: -1, SuppressGroup: -1}}
	for ; e.ok && e.i < len(s.Words); e.i++ {
		text := s.Words[e.i].Text
		switch w := ruleIndex[text]; {
		case w != nil:
			w.read(e, r)
		case ruleActions[text] != 0:
			r.act(ruleActions[text])
		default:
			e.fail("entry-word", "Unknown rule option %s", printable(text))
		}
	}
	e.i = 0
	switch {
	case !e.ok:
		return r.Rule, false
	case r.actions == 0:
		e.fail("rule-action", "No action specified for rule - ignoring; write table and a routing table")
		return r.Rule, false
	case r.actions > 1:
		e.fail("rule-action", "Cannot specify more than one of table/nop/goto/blackhole/prohibit/unreachable/l3mdev for rule")
		return r.Rule, false
	case r.Action == RuleGoto && !r.priority.set:
		e.fail("rule-goto", "Invalid rule - goto target %d specified without preference; write preference and a number below %d", r.Goto, r.Goto)
		return r.Rule, false
	}
	if r.Family == 0 {
		r.Family = IPv4
	}
	r.Priority = r.priority.v
	if !r.priority.set {
		r.Priority = firstPreference
		if before, ok := last[r.Family]; ok {
			r.Priority = before - 1
		}
		last[r.Family] = r.Priority
		d.report(s, 0, Diagnostic{
			Severity: Warning, Class: ClassOrdinary, Code: "rule-preference",
			Message: fmt.Sprintf("Rule has no preference specified - setting to %d. This is probably not what you want.", r.Priority),
			Fix:     "write priority and a number",
		})
	}
	if r.Action == RuleGoto && r.Goto <= r.Priority {
		e.fail("rule-goto", "Invalid rule - preference %d >= goto target %d", r.Priority, r.Goto)
		return r.Rule, false
	}
	if r.TrackGroup != "" && r.Iif == "" {
		d.wrong(s, 0, "rule-track", "Static rule cannot have track_group if dev/iif not specified")
		r.TrackGroup = ""
	}
	r.Protocol = d.entryProtocol(s, "Rule", r.Protocol, r.NoTrack)
	return r.Rule, true
}

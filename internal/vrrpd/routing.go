package vrrpd

import (
	"fmt"
	"log/slog"
	"slices"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
)

// routing is what a virtual router holds besides its addresses: routes and rules in the
// order of its configuration, and what drops packets to its addresses, in their order.
// It is nil for a route that leads over a link that does not exist, and for an address
// that is not dropped.
type routing struct {
	routes []*heldPath
	rules  []*heldRule
	drops  []*heldEntry
}

// kernelRoute is the route as the kernel shall have it; false: a link is missing, or is
// another one than a VRF.
func (n *network) kernelRoute(c *conf.Route) (kernel.Route, bool) {
	r := kernel.Route{
		Slot:     kernel.Slot{Dst: c.Destination, Table: c.Table, Metric: c.Metric, TOS: c.TOS},
		Type:     uint8(c.Type),
		Order:    c.Order,
		Protocol: protocolOf(c.Protocol, kernel.RouteProto),
		Scope:    c.Scope,
		From:     c.From, Source: c.Source,
		Expires: uint32(c.Expires.Seconds()),
		Metrics: c.Metrics, CongestionControl: c.CongestionControl, CongestionControlLocked: c.CongestionControlLocked,
		TTLPropagate: c.TTLPropagate,
	}
	if c.Preference != nil {
		r.Preference = *c.Preference
	}
	if c.VRF != "" {
		vrf := n.byName[c.VRF]
		if vrf == nil {
			return r, false
		}
		if vrf.Kind != kernel.KindVRF {
			slog.Warn(fmt.Sprintf("the route to %v is not set: interface %s is no VRF", c.Destination, c.VRF))
			return r, false
		}
		r.Table = vrf.Table
	}
	hops := c.Hops
	if len(hops) == 0 && (c.Hop.Via.IsValid() || c.Hop.Interface != "" || c.Hop.Encap != nil) {
		hops = []conf.NextHop{c.Hop}
	}
	for i := range hops {
		h := &hops[i]
		hop := kernel.Hop{Via: h.Via, Weight: h.Weight, OnLink: h.OnLink, Realms: h.Realms, Encap: h.Encap}
		if h.Interface != "" {
			l := n.byName[h.Interface]
			if l == nil {
				return r, false
			}
			hop.Link = l.Index
		}
		r.Hops = append(r.Hops, hop)
	}
	return r.Sealed(), true
}

// protocolOf is the protocol that an entry has, or else what the C daemon takes.
func protocolOf(p *uint8, otherwise uint8) uint8 {
	if p == nil {
		return otherwise
	}
	return *p
}

// kernelRule is the rule as the kernel shall have it.
func kernelRule(c *conf.Rule) kernel.Rule {
	span := func(r *conf.Range) kernel.Span {
		if r == nil {
			return kernel.Span{}
		}
		return kernel.Span{Set: true, First: r.First, Last: r.Last}
	}
	r := kernel.Rule{
		IPv6: c.Family == conf.IPv6, Not: c.Not, From: c.From, To: c.To, Priority: c.Priority,
		TOS: c.TOS, FWMark: c.FWMark, FWMask: c.FWMask, Iif: c.Iif, Oif: c.Oif, TunnelID: c.TunnelID,
		UIDs: span(c.UIDs), L3MDev: c.L3MDev, IPProto: c.IPProto, SPort: span(c.SPort), DPort: span(c.DPort),
		Realms: c.Realms, Action: uint8(c.Action), Table: c.Table, Goto: c.Goto,
		SuppressPrefixLength: uint32(c.SuppressPrefixLength + 1), SuppressGroup: uint32(c.SuppressGroup + 1),
		Protocol: protocolOf(c.Protocol, unix.RTPROT_UNSPEC),
	}
	return r.Key()
}

// staticConf is the static entries of a configuration, as those of a virtual router.
func staticConf(c *conf.Config) *conf.VRRPInstance {
	in := &conf.VRRPInstance{Name: "static", Accept: true, GARP: &conf.GARP{}}
	for i := range c.StaticAddresses {
		in.Addresses = append(in.Addresses, c.StaticAddresses[i].Address)
	}
	if len(c.StaticRoutes)+len(c.StaticRules) > 0 {
		in.Routing = &conf.Routing{Routes: c.StaticRoutes, Rules: c.StaticRules}
	}
	return in
}

// newStatic makes what holds the static entries of c.
func newStatic(c *conf.Config) *router { return &router{isStatic: true, conf: staticConf(c)} }

// static reports whether r holds the static entries: it has no engine, and always has
// what it holds.
func (r *router) static() bool { return r != nil && r.isStatic }

// resolveRouting looks the routes and rules of r up, on the links that exist now.
func (d *daemon) resolveRouting(r *router) {
	r.routing = routing{drops: make([]*heldEntry, len(r.vips))}
	c := r.conf.Routing
	if c == nil {
		return
	}
	t := &d.addrs
	r.routes, r.rules = make([]*heldPath, len(c.Routes)), make([]*heldRule, len(c.Rules))
	for i := range c.Routes {
		want, ok := d.net.kernelRoute(&c.Routes[i])
		if !ok {
			continue
		}
		v, fresh := t.routes.get(want.Key())
		if fresh {
			v.sent = want
			t.slots[want.Slot] = append(t.slots[want.Slot], v)
		}
		r.routes[i] = claim(v, r, policy.OnDelete(r.conf, c.Routes[i].OnDelete, c.Routes[i].NoTrack))
	}
	for i := range c.Rules {
		want := kernelRule(&c.Rules[i])
		v, fresh := t.rules.get(want)
		if fresh {
			v.sent = want
		}
		r.rules[i] = claim(v, r, policy.OnDelete(r.conf, c.Rules[i].OnDelete, c.Rules[i].NoTrack))
	}
}

// claim has r among the routers that have v in their lists.
func claim[O any, K comparable](v *item[O, K], r *router, onDelete conf.OnDelete) *item[O, K] {
	if v.users == 0 {
		v.owner = r
	}
	v.refs++
	v.onDelete = onDelete
	return v
}

func (d *daemon) acquireRouting(r *router) {
	for _, v := range r.routes {
		if v != nil {
			d.addrs.routes.acquire(v, v.sent, r)
		}
	}
	for _, v := range r.rules {
		d.addrs.rules.acquire(v, v.sent, r)
	}
	for _, v := range r.drops {
		if v != nil {
			d.addrs.entries.acquire(v, v.sent, r)
		}
	}
}

func (d *daemon) releaseRouting(had routing) {
	for _, v := range had.routes {
		if v != nil {
			d.addrs.routes.release(v)
		}
	}
	for _, v := range had.rules {
		d.addrs.rules.release(v)
	}
	for _, v := range had.drops {
		if v != nil {
			d.addrs.entries.release(v)
		}
	}
}

// reapSlot forgets the routes of a slot that are not needed any more.
func (t *addressTable) reapSlot(r *kernel.Route) {
	if t.routes.items[r.Key()] != nil {
		return
	}
	left := slices.DeleteFunc(t.slots[r.Slot], func(v *heldPath) bool { return t.routes.items[v.key] != v })
	if len(left) == 0 {
		delete(t.slots, r.Slot)
	} else {
		t.slots[r.Slot] = left
	}
}

// routeGone takes up that a route of ours has gone from its slot, or was replaced.
// events of port 0 are the kernel's own doing: of a link, or because it has expired.
func (d *daemon) routeGone(e *kernel.Event) {
	if e.PortID == d.port {
		return
	}
	t := &d.addrs
	for _, v := range slices.Clone(t.slots[e.Route.Slot]) {
		same, _ := e.Route.Compare(&v.sent)
		switch {
		case !v.requested:
		case e.PortID == 0 && v.sent.Expires != 0, e.PortID != 0 && same && !v.watched() && !v.owner.static():
			t.routes.left(v)
			t.reapSlot(&v.sent)
		case e.PortID == 0:
			v.uncertain()
		default:
			t.routes.removed(v)
		}
	}
}

// ruleGone takes up that a rule is gone.
func (d *daemon) ruleGone(e *kernel.Event) {
	t := &d.addrs.rules
	switch v := t.items[*e.Rule]; {
	case v == nil, e.PortID == d.port:
	case v.theirs, v.watched(), v.owner.static():
		t.removed(v)
	default:
		t.left(v)
	}
}

// shaken are the links of which something has changed in a batch of events that the
// kernel may have dropped routes for without a word.
type shaken map[int]bool

// reroute looks again at the routes over links that have changed. The kernel drops them
// when a link goes down, when it has no IPv4 address any more, and when the address
// that they come from is removed. It reports that for IPv6 only, and brings back none.
func (d *daemon) reroute(links shaken, gone []kernel.Key) {
	if len(links) == 0 || len(d.addrs.routes.items) == 0 {
		return
	}
	usable := func(index int, ipv6 bool) bool {
		l := d.net.links[index]
		if l == nil || l.Flags&unix.IFF_UP == 0 {
			return false
		}
		if ipv6 {
			return true
		}
		for k := range l.addrs {
			if k.Prefix.Addr().Is4() {
				return true
			}
		}
		return false
	}
	for _, v := range d.addrs.routes.items {
		if v.users == 0 {
			continue
		}
		r, concerned, whole := &v.sent, false, true
		ipv6 := r.Dst.Addr().Is6()
		for i := range r.Hops {
			link := r.Hops[i].Link
			concerned = concerned || links[link] || link == 0
			whole = whole && (link == 0 || usable(link, ipv6 || r.Hops[i].Via.Is6()))
		}
		bySource := r.Source.IsValid() && slices.ContainsFunc(gone, func(k kernel.Key) bool { return k.Prefix.Addr() == r.Source })
		if bySource || concerned && !whole {
			v.uncertain()
		}
		if v.doubt && whole && (concerned || bySource) {
			d.addrs.routes.touch(v)
		}
	}
}

// unlinked notes that the routes over a link end with it, as far as they have no
// other way.
func (d *daemon) unlinked(link int) {
	for _, v := range d.addrs.routes.items {
		if v.sent.On(link) {
			v.uncertain()
		}
	}
}

// verifyRouting compares what routes and rules the kernel holds by a reading, which shows
// what the jobs up to jobsDone have done, with what is known of it.
func (d *daemon) verifyRouting(state *reading, jobsDone uint64) {
	for _, v := range d.addrs.routes.items {
		if v.requested && v.job <= jobsDone && v.sent.Protocol == kernel.RouteProto && state.allRoutes {
			if _, same := state.route(&v.sent); !same {
				d.addrs.routes.removed(v)
			}
		}
	}
	rules := make(map[kernel.Rule]bool, len(state.rules))
	for _, r := range state.rules {
		rules[r] = true
	}
	for _, v := range d.addrs.rules.items {
		if v.requested && v.job <= jobsDone && state.allRules && !rules[v.key] {
			d.addrs.rules.removed(v)
		}
	}
}

// inheritRouting takes over the routes and rules that a predecessor has set and that this
// configuration or the state file has.
func (d *daemon) inheritRouting(found *reading, routes []kernel.Route, rules []kernel.Rule) {
	t := &d.addrs
	for _, v := range t.routes.items {
		routes = append(routes, v.sent)
	}
	for _, want := range routes {
		if _, same := found.route(&want); !same {
			continue
		}
		if v, fresh := t.routes.get(want.Key()); fresh {
			t.slots[want.Slot] = append(t.slots[want.Slot], v)
		}
		t.routes.inherit(want)
	}
	here := make(map[kernel.Rule]bool, len(found.rules))
	for _, r := range found.rules {
		here[r] = true
	}
	for _, want := range rules { // those of the state file, marked or not
		if here[want.Key()] {
			t.rules.inherit(want.Key())
		}
	}
	for k, v := range t.rules.items {
		if here[k] && !v.requested && k.Protocol == kernel.RouteProto {
			t.rules.inherit(k)
		}
	}
}

// routeLost and ruleLost inform the engine that anyone else removed what it holds.
func (d *daemon) routeLost(v *heldPath) { d.entryLost(d.ownerOfRoute(v), v.onDelete, v.sent.Text()) }
func (d *daemon) ruleLost(v *heldRule)  { d.entryLost(d.ownerOfRule(v), v.onDelete, v.sent.Text()) }

func (d *daemon) entryLost(r *router, onDelete conf.OnDelete, what string) {
	slog.Info(fmt.Sprintf("Netlink reflector reports %s removed", what))
	d.lose(r, onDelete, vrrp.Cause{Code: "route-removed", Object: what, Detail: what + " was removed by another program"})
}

// lose does what follows when another program has removed what r holds. It is set again
// in any case, unless r gives it up.
func (d *daemon) lose(r *router, onDelete conf.OnDelete, cause vrrp.Cause) {
	switch {
	case r == nil || r.static():
	case onDelete == conf.OnDeleteRestore:
		if missed, ok := d.takenAway.Take(d.loop.Now()); ok {
			slog.Warn("("+r.conf.Name+") "+cause.Detail+", and is set again"+missedText(missed), "instance", r.conf.Name, "cause", cause.Code, "object", cause.Object)
		}
	case onDelete == conf.OnDeleteFault:
		r.removed = &cause
		d.check([]*router{r})
	default:
		d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.AddressLost, Cause: cause})
	}
}

func (d *daemon) ownerOfRoute(v *heldPath) *router {
	return ownerIn(d, v, func(r *router) []*heldPath { return r.routes })
}

func (d *daemon) ownerOfRule(v *heldRule) *router {
	return ownerIn(d, v, func(r *router) []*heldRule { return r.rules })
}

// ownerIn is the router that is informed about v: the one that asked for it last, or
// another one that has it in its list.
func ownerIn[O any, K comparable](d *daemon, v *item[O, K], list func(*router) []*item[O, K]) *router {
	if v.owner == nil && v.refs > 0 {
		for _, r := range d.routers {
			if (r.held || v.users == 0) && slices.Contains(list(r), v) {
				v.owner = r
				break
			}
		}
	}
	return v.owner
}

package vrrpd

import (
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/vrrp"
)

// A router is one virtual router as this process runs it: the engine, what it
// is bound to, and the addresses it holds.
type router struct {
	engine *vrrp.Instance
	conf   *conf.VRRPInstance
	timer  loop.Timer // of engine; its Order is the place in the configuration

	link   *netLink    // nil: the interface, or the VRF, does not exist, or none is configured
	socket *socket     // in use; nil: there is none
	basis  basis       // what it was made from, also when it is closed
	next   *router     // with the same VRID on the same socket
	member *membership // of socket, in use
	asked  *membership // that the kernel has yet to make; nil: there is none

	faults     vrrp.Faults // as last given to the engine
	sourceGone bool        // source is not there any more
	changing   bool        // a reload moves it to another link: until it has a socket there, it is not at fault
	waiting    bool        // the engine is not started yet
	inherited  bool        // the priority is the predecessor's: a tracker has yet to report
	cause      *vrrp.Cause // of the first of faults; nil: there is none
	source     netip.Addr  // as last given to the engine

	master  int         // index of what the interface is part of, as far as it was looked at; 0: nothing
	removed *vrrp.Cause // what another program has removed, where that is a fault: until a reload; nil: nothing
	refusal error       // why there is no socket though it should be; nil as long as none has been asked for
	unsent  error       // why the last advert of priority 0 was not sent; nil: it was

	places []place // of addresses or routes on other links than the interface, if spread
	vips   []*vip  // the configured addresses in their order; nil: the link does not exist
	routing
	made []made // the links that are made for it

	tracked     *tracked       // nil: nothing is tracked
	predecessor *vrrp.Snapshot // until the engine is started; nil: there was none
	adjust      int            // what an operator adds to the priority
	handover    *handover      // switchover that is on its way; nil: none is

	history        []status.Change // the last ones, oldest first
	notices        []status.Change // likewise of what it has reported without a change of state
	announce       announcement
	extra          *loop.Timer       // of garp_extra_if; nil: it has not been needed
	record         *record           // in the state file
	lastTransition time.Time         // wall clock, for dumps
	rejection      *status.Rejection // the last that was reported; nil: none was

	isStatic bool // holds the static entries, and has no engine
	spread   bool // some addresses or routes are on other links than the interface
	held     bool // the addresses, routes and rules shall be in the kernel
	muted    bool // a failure to send has been logged
	blocked  bool // the last advert was refused by a firewall of this machine
	queued   bool // an advert waits in the batch of the socket
}

// whyFault is the cause of the first fault, zero if there is none.
func (r *router) whyFault() vrrp.Cause {
	if r.cause == nil {
		return vrrp.Cause{}
	}
	return *r.cause
}

// ipv6 reports the family of the virtual router.
func (r *router) ipv6() bool { return r.conf.Family == conf.IPv6 }

// kernelAddr is the address as the kernel shall have it on link.
func kernelAddr(a *conf.Address, link *netLink) kernel.Addr {
	out := kernel.Addr{
		Link:         link.Index,
		Prefix:       a.Prefix,
		Peer:         a.Peer,
		Broadcast:    a.Broadcast,
		Label:        a.Label,
		Scope:        a.Scope,
		Proto:        kernel.AddrProto,
		ValidLft:     kernel.Forever,
		PreferredLft: a.PreferredLft,
	}
	for _, f := range []struct {
		set  bool
		flag uint32
	}{
		{a.Home, unix.IFA_F_HOMEADDRESS},
		// A virtual address was another node's a moment ago: there is no time to
		// ask whether anyone else has it. A static one is as the C daemon has it.
		{a.Prefix.Addr().Is6(), unix.IFA_F_NODAD},
		{a.MngTmpAddr, unix.IFA_F_MANAGETEMPADDR},
		{a.NoPrefixRoute, unix.IFA_F_NOPREFIXROUTE},
		{a.AutoJoin, unix.IFA_F_MCAUTOJOIN},
	} {
		if f.set {
			out.Flags |= f.flag
		}
	}
	return out
}

// address returns the i-th configured address: the excluded ones come last.
func (r *router) address(i int) *conf.Address {
	if n := len(r.conf.Addresses); i >= n {
		return &r.conf.Excluded[i-n]
	}
	return &r.conf.Addresses[i]
}

// bound is the interface that is configured for r, or else its VRF; nil: it does not
// exist, or there is none.
func (d *daemon) bound(r *router) *netLink {
	if r.conf.Interface == "" {
		return d.net.vrf(policy.VRF(r.conf))
	}
	return d.net.byName[r.conf.Interface]
}

// resolve binds r to the links that exist now and looks up its addresses on
// them. The caller releases what r held before, and acquires again.
func (d *daemon) resolve(r *router) {
	r.link = d.bound(r)
	if !r.isStatic {
		d.resolveMade(r, d.madeLinks[r.conf.Name])
	}
	r.vips, r.spread, r.places = make([]*vip, len(r.conf.Addresses)+len(r.conf.Excluded)), false, nil
	d.locate(r)
	d.resolveRouting(r)
	for i := range r.vips {
		a := r.address(i)
		if link := d.addressLink(r, a); link != nil {
			r.vips[i] = claim(d.findAddress(r, link, kernelAddr(a, link)), r, policy.OnDelete(r.conf, a.OnDelete, a.NoTrack))
			if policy.Drops(r.conf) {
				r.drops[i] = d.claimDrop(r, dropOf(a, link))
			}
		}
	}
}

// findAddress is the item of an address of r on a link.
func (d *daemon) findAddress(r *router, link *netLink, a kernel.Addr) *vip {
	v, fresh := d.addrs.get(a.Key())
	if there, ok := link.addrs[v.key]; fresh && ok && !there.ours {
		d.addrs.foreign(v, a)
		d.logForeign(v, r)
	}
	return v
}

// hold makes the kernel have the addresses of r, or not.
func (d *daemon) hold(r *router, held bool) {
	if r.held == held {
		return
	}
	r.held = held
	if held {
		d.acquire(r)
	} else {
		d.release(r.vips, r.routing)
	}
	d.repeatElsewhere(r)
}

// moved reports whether a link that r or one of its addresses is on has come,
// gone or become another one.
func (d *daemon) moved(r *router) bool {
	if d.bound(r) != r.link || slices.ContainsFunc(r.made, func(m made) bool { return d.upLink(m.item) != m.at || d.misnamed(&m) }) {
		return true
	}
	return slices.ContainsFunc(r.places, func(p place) bool { return p.link != d.net.indexOf(p.name) })
}

// place is a link other than the interface that addresses or routes of a router are
// on, and its index when they were looked up; 0: it did not exist.
type place struct {
	name string
	link int
}

// manyLinks reports whether the loss of other links than the interface may concern r.
func (d *daemon) manyLinks(r *router) bool { return r.spread || len(d.staticLinks[r.conf.Name]) > 0 }

// locate notes the places of r.
func (d *daemon) locate(r *router) {
	note := func(name string) {
		if name == r.conf.Interface || name == "" || slices.ContainsFunc(r.places, func(p place) bool { return p.name == name }) {
			return
		}
		r.spread = true
		r.places = append(r.places, place{name, d.net.indexOf(name)})
	}
	for i := range r.vips {
		base, _ := policy.MadeFor(r.conf, r.address(i))
		note(base)
	}
	if c := r.conf.Routing; c != nil {
		for i := range c.Routes {
			route := &c.Routes[i]
			note(route.VRF)
			note(route.Hop.Interface)
			for k := range route.Hops {
				note(route.Hops[k].Interface)
			}
		}
	}
}

func (d *daemon) acquire(r *router) {
	for i, v := range r.vips {
		if v != nil {
			d.addrs.acquire(v, kernelAddr(r.address(i), d.net.links[v.key.Link]), r)
		}
	}
	d.acquireRouting(r)
}

func (d *daemon) release(vips []*vip, had routing) {
	for _, v := range vips {
		if v != nil {
			d.addrs.release(v)
		}
	}
	d.releaseRouting(had)
}

// rebind resolves r again while its addresses keep their place: addresses that are
// the same before and after are not touched.
func (d *daemon) rebind(r *router) {
	old, had := r.vips, r.routing
	d.resolve(r)
	if r.held {
		d.acquire(r)
		d.release(old, had)
	}
	d.disown(r, old, had)
}

// lists are the addresses that adverts of r have and those that it holds beside:
// the excluded ones, and before them what does not fit into an advert.
func (r *router) lists() (advertised, excluded []conf.Address) {
	c := r.conf
	n := min(len(r.engine.Config().Advertised()), len(c.Addresses))
	if n == len(c.Addresses) {
		return c.Addresses, c.Excluded
	}
	return c.Addresses[:n], slices.Concat(c.Addresses[n:], c.Excluded)
}

// disown gives up what r had until now; its new lists count already.
func (d *daemon) disown(r *router, old []*vip, had routing) {
	t := &d.addrs
	t.disown(r, old, r.vips)
	t.routes.disown(r, had.routes, r.routes)
	for _, v := range had.routes {
		if v != nil {
			t.reapSlot(&v.sent)
		}
	}
	t.rules.disown(r, had.rules, r.rules)
	t.entries.disown(r, had.drops, r.drops)
}

// ownerOf is the router that is informed about v.
func (d *daemon) ownerOf(v *vip) *router {
	return ownerIn(d, v, func(r *router) []*vip { return r.vips })
}

// findFaults computes the reasons that keep r from serving and the address its
// adverts come from.
func (d *daemon) findFaults(r *router) policy.Faults {
	var trackers *policy.Outcome
	if r.tracked != nil {
		trackers = &r.tracked.outcome
	}
	return policy.FindFaults(r.conf, d.staticLinks[r.conf.Name], machine{d, r}, r.refusal, trackers)
}

// machine is what the kernel reports, as package policy asks for it about a router.
type machine struct {
	d *daemon
	r *router
}

// Link implements [policy.Machine].
func (m machine) Link(name string) (exists, up bool) {
	l := m.d.net.byName[name]
	return l != nil, l != nil && m.d.linkUp(l)
}

// Renamed implements [policy.Machine].
func (m machine) Renamed(name string) string {
	if l := m.d.net.formerly[name]; l != nil {
		return l.Name
	}
	return ""
}

// Holds implements [policy.Machine].
func (m machine) Holds(ip netip.Addr) bool { return m.d.net.holds(nil, ip) }

// Removed implements [policy.Machine].
func (m machine) Removed(*conf.VRRPInstance) vrrp.Cause {
	if m.r.removed == nil {
		return vrrp.Cause{}
	}
	return *m.r.removed
}

// Source implements [policy.Machine].
func (m machine) Source(c *conf.VRRPInstance) (source netip.Addr, link string) {
	l := m.d.net.byName[c.Interface]
	if own := m.r.own(); own != nil && own.at != nil && own.spec.Kind == conf.LinkIPVLAN {
		l = own.at
	}
	if l == nil {
		return netip.Addr{}, c.Interface
	}
	return m.d.sourceOf(l, c.Family == conf.IPv6), l.Name
}

// VRF implements [policy.Machine].
func (m machine) VRF(name string) (exists, up bool) {
	l := m.d.net.vrf(name)
	return l != nil, l != nil && m.d.linkUp(l)
}

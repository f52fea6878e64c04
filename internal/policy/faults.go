package policy

import (
	"cmp"
	"net/netip"
	"slices"

	"keepalived-go/conf"
	"keepalived-go/vrrp"
)

// Machine is what [FindFaults] asks about the node that a virtual router runs
// on: the kernel's state in the daemon, an assumed one in the lint.
type Machine interface {
	// Link reports whether an interface exists, and whether it counts as up.
	Link(name string) (exists, up bool)
	// Renamed is the present name of an interface that was called name; empty: none was.
	Renamed(name string) string
	// Holds reports whether any interface has the address.
	Holds(ip netip.Addr) bool
	// VRF reports whether a VRF exists, and whether it is up.
	VRF(name string) (exists, up bool)
	// Source is the address that the adverts of a virtual router with an interface come
	// from, if none is configured, and the interface that has it: the one configured, or
	// an ipvlan above. It is invalid if that has none of the family.
	Source(c *conf.VRRPInstance) (source netip.Addr, link string)
	// Made finds the first of the interfaces made for a virtual router (see
	// [MadeLinks]) that it cannot use: its name, and whether it exists. The name is
	// empty if there is none.
	Made(c *conf.VRRPInstance) (name string, exists bool)
	// Removed is the removal by another program that is a fault of a virtual router (see
	// [OnDelete]); zero: there was none.
	Removed(c *conf.VRRPInstance) vrrp.Cause
}

// Faults are the reasons that keep a virtual router from serving.
type Faults struct {
	Set    vrrp.Faults
	Cause  vrrp.Cause // of the first of them
	Source netip.Addr // what adverts come from; invalid: there is none
}

func (f *Faults) add(fault vrrp.Faults, cause vrrp.Cause) {
	if f.Set == 0 {
		f.Cause = cause
	}
	f.Set |= fault
}

func (f *Faults) link(m Machine, name string) {
	exists, up := m.Link(name)
	if now := m.Renamed(name); !exists && now != "" {
		f.add(vrrp.FaultLinkMissing, vrrp.Cause{Code: "link-renamed", Object: name, Detail: "interface " + name + " does not exist: it is called " + now + " now"})
		return
	}
	f.missing("interface", name, exists, up)
}

// missing adds the fault of an interface, or of a VRF, that does not exist or is not up.
func (f *Faults) missing(what, name string, exists, up bool) {
	switch {
	case !exists:
		f.add(vrrp.FaultLinkMissing, vrrp.Cause{Code: "link-missing", Object: name, Detail: what + " " + name + " does not exist"})
	case !up:
		f.add(vrrp.FaultLinkDown, vrrp.Cause{Code: "link-down", Object: name, Detail: what + " " + name + " is down"})
	}
}

// OtherLinks are the interfaces besides its own that must be up for a virtual router to
// serve: those of its addresses and routes without no_track, and static ones, which are
// those of static entries that concern it (see [StaticLinks]).
func OtherLinks(c *conf.VRRPInstance, static []string) (names []string) {
	add := func(name string) {
		if name != "" && name != c.Interface && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, list := range [][]conf.Address{c.Addresses, c.Excluded} {
		for i := range list {
			if !list[i].NoTrack {
				add(list[i].Interface)
			}
		}
	}
	if c.Routing != nil {
		for i := range c.Routing.Routes {
			if r := &c.Routing.Routes[i]; !r.NoTrack {
				routeLinks(r, add)
			}
		}
	}
	for _, name := range static {
		add(name)
	}
	return names
}

// routeLinks hands the interfaces that a route names to add.
func routeLinks(r *conf.Route, add func(name string)) {
	add(r.VRF)
	add(r.Hop.Interface)
	for i := range r.Hops {
		add(r.Hops[i].Interface)
	}
}

// StaticLinks are the interfaces whose loss concerns virtual routers, by their names:
// those of static entries with a track_group that has the virtual router.
func StaticLinks(c *conf.Config) map[string][]string {
	all := map[string][]string{}
	adder := func(group string) func(name string) {
		return func(name string) {
			for _, g := range c.TrackGroups {
				if name == "" || g.Name != group {
					continue
				}
				for _, instance := range g.Instances {
					if !slices.Contains(all[instance], name) {
						all[instance] = append(all[instance], name)
					}
				}
			}
		}
	}
	for i := range c.StaticAddresses {
		adder(c.StaticAddresses[i].TrackGroup)(c.StaticAddresses[i].Interface)
	}
	for i := range c.StaticRoutes {
		routeLinks(&c.StaticRoutes[i], adder(c.StaticRoutes[i].TrackGroup))
	}
	for i := range c.StaticRules {
		adder(c.StaticRules[i].TrackGroup)(c.StaticRules[i].Iif)
	}
	return all
}

// OnDelete is what follows when another program removes an address, a route or a rule of
// a virtual router, from its own words; conf.OnDeleteUnset: nothing.
func OnDelete(c *conf.VRRPInstance, own conf.OnDelete, noTrack bool) conf.OnDelete {
	if own == conf.OnDeleteUnset && !noTrack {
		return cmp.Or(c.OnDelete, conf.OnDeleteYield)
	}
	return own
}

// FindFaults computes the faults of a virtual router from what holds now: its
// interfaces, those of static entries that concern it (see [StaticLinks]), its source
// address, its peers, the refusal of its socket (nil: there is none), and what its
// trackers make of it (nil: it has none).
func FindFaults(c *conf.VRRPInstance, static []string, m Machine, refusal error, trackers *Outcome) Faults {
	var f Faults
	exists := false
	if c.Interface != "" {
		exists, _ = m.Link(c.Interface)
		if !exists || !c.DontTrackPrimary {
			f.link(m, c.Interface)
		}
	} else if vrf := VRF(c); vrf != "" {
		there, up := m.VRF(vrf)
		f.missing("VRF", vrf, there, up)
	}
	for _, name := range OtherLinks(c, static) {
		f.link(m, name)
	}
	if f.Set == 0 { // else they cannot be used because of what they are above
		switch name, there := m.Made(c); {
		case name == "":
		case there:
			f.add(vrrp.FaultLinkDown, vrrp.Cause{Code: "vmac-down", Object: name, Detail: "interface " + name + " is down"})
		default:
			f.add(vrrp.FaultLinkMissing, vrrp.Cause{Code: "vmac-missing", Object: name, Detail: "interface " + name + " does not exist"})
		}
	}
	f.Source = c.SourceIP
	switch {
	case HasIPVLAN(c) && c.Family == conf.IPv4 && !c.Link.Address.IsValid():
		f.add(vrrp.FaultNoSource, vrrp.Cause{Code: "no-source", Object: c.Interface, Detail: "use_ipvlan has no IPv4 address"})
	case c.SourceIP.IsValid():
		if (c.TrackSourceIP || c.Unicast) && !m.Holds(c.SourceIP) {
			text := c.SourceIP.String()
			f.add(vrrp.FaultSourceMissing, vrrp.Cause{Code: "source-missing", Object: text, Detail: "source address " + text + " is not on this machine"})
		}
	case exists:
		var link string
		if f.Source, link = m.Source(c); !f.Source.IsValid() {
			family := "IPv4"
			if c.Family == conf.IPv6 {
				family = "IPv6"
			}
			f.add(vrrp.FaultNoSource, vrrp.Cause{Code: "no-source", Object: link, Detail: "no " + family + " address for interface " + link})
		}
	}
	if c.Unicast && len(c.Peers) == 0 {
		why := "no unicast peer is configured"
		if !c.FaultNoPeer {
			why = "every unicast peer was lost to a mistake in the configuration"
		}
		f.add(vrrp.FaultNoPeers, vrrp.Cause{Code: "no-peers", Detail: why})
	}
	if refusal != nil && f.Set&vrrp.FaultLinkMissing == 0 {
		f.add(vrrp.FaultSocket, vrrp.Cause{Code: "socket", Detail: refusal.Error()})
	}
	if trackers != nil && trackers.Fault {
		f.add(vrrp.FaultTracker, trackers.Cause)
	}
	if cause := m.Removed(c); cause.Code != "" {
		cause.Detail += "; a reload ends this fault"
		f.add(vrrp.FaultRemoved, cause)
	}
	return f
}

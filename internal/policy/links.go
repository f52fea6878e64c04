package policy

import (
	"cmp"
	"net/netip"
	"strconv"

	"keepalived-go/conf"
)

// MadeLink is an interface that the daemon makes above another one for a virtual
// router: its own, or one for addresses on another interface.
type MadeLink struct {
	Name string // what it is called; see Alternative
	Base string // the interface below
	Kind conf.LinkKind
	MAC  [6]byte         // of a macvlan
	Mode conf.IPVLANMode // of an ipvlan: that of the first above the interface, as the kernel has one for all
	// Address is what the adverts of an ipvlan come from, and is set on it; zero: none.
	Address netip.Prefix
	Group   uint32 // 0: that of the interface below
	IPv6    bool   // the family of the virtual router

	prefix string // of automatic names
	vrid   uint8
}

// VirtualMAC is the hardware address of a virtual router (RFC 9568, section 7.3), or the
// one that is configured instead.
func VirtualMAC(c *conf.VRRPInstance) [6]byte {
	if c.Link != nil && c.Link.MACSet {
		return c.Link.MAC
	}
	mac := [6]byte{0x00, 0x00, 0x5e, 0x00, 0x01, c.VRID}
	if c.Family == conf.IPv6 {
		mac[4] = 2
	}
	return mac
}

// MakesLink reports whether a virtual router has an interface of its own above the one
// that is configured.
func MakesLink(c *conf.VRRPInstance) bool {
	return c.Link != nil && c.Link.Kind != conf.LinkPlain && c.Interface != ""
}

// VRF is the VRF of a virtual router without an interface; empty: it is in none.
func VRF(c *conf.VRRPInstance) string {
	if c.Link == nil {
		return ""
	}
	return c.Link.VRF
}

// Bound is the interface that is configured for a virtual router, or else its VRF: its
// sockets are bound to it, unless adverts leave by an interface that is made. Empty: they
// are bound to none.
func Bound(c *conf.VRRPInstance) string { return cmp.Or(c.Interface, VRF(c)) }

// HasIPVLAN reports whether a virtual router has an ipvlan.
func HasIPVLAN(c *conf.VRRPInstance) bool { return MakesLink(c) && c.Link.Kind == conf.LinkIPVLAN }

// TransmitsOnMade reports whether adverts leave by the interface that is made.
func TransmitsOnMade(c *conf.VRRPInstance) bool { return MakesLink(c) && !c.Link.TransmitBase }

// MadeFor reports whether an address of a virtual router is on a macvlan, and the name of
// the interface below it, or else of the one that the address is on. Addresses of a
// virtual router with an ipvlan are on the interface below.
func MadeFor(c *conf.VRRPInstance, a *conf.Address) (base string, made bool) {
	if a.Interface == "" || a.Interface == c.Interface {
		return c.Interface, a.UseVMAC || MakesLink(c) && c.Link.Kind == conf.LinkVMAC
	}
	return a.Interface, a.UseVMAC || c.Link != nil && c.Link.AddressVMACs
}

// MadeLinks are the interfaces that virtual routers have made for them, by the name of
// the virtual router: first its own, if it has one. The names are a function of the
// configuration alone, and no two links that differ have the same one.
func MadeLinks(c *conf.Config) map[string][]MadeLink {
	type identity struct {
		base, name string
		mac        [6]byte
	}
	all := map[string][]MadeLink{}
	names, taken := map[identity]string{}, map[string]bool{}
	named := func(in *conf.VRRPInstance) bool { return MakesLink(in) && in.Link.Name != "" }
	for _, in := range c.Instances {
		if named(in) {
			taken[in.Link.Name] = true // no automatic name
		}
	}
	given, modes := map[string]identity{}, map[string]conf.IPVLANMode{}
	for _, in := range c.Instances {
		add := func(l MadeLink, wanted string) {
			id := identity{base: l.Base, mac: l.MAC}
			if l.Kind == conf.LinkIPVLAN {
				id.name = in.Name
			}
			if before, claimed := given[wanted]; wanted != "" && (!claimed || before == id) {
				given[wanted] = id
				l.Name = wanted
			}
			for i := 0; l.Name == ""; i++ {
				if name := l.Alternative(i); names[id] != "" {
					l.Name = names[id]
				} else if !taken[name] {
					l.Name = name
				}
			}
			taken[l.Name], names[id] = true, l.Name
			all[in.Name] = append(all[in.Name], l)
		}
		base := MadeLink{Kind: conf.LinkVMAC, MAC: VirtualMAC(in), IPv6: in.Family == conf.IPv6, vrid: in.VRID}
		if MakesLink(in) {
			l := base
			l.Base, l.prefix, l.Group = in.Interface, c.Global.VMACPrefix, in.Link.Group
			if in.Link.Kind == conf.LinkIPVLAN {
				l.Kind, l.MAC, l.Address = conf.LinkIPVLAN, [6]byte{}, in.Link.Address
				if _, known := modes[l.Base]; !known {
					modes[l.Base] = in.Link.Mode
				}
				l.Mode = modes[l.Base]
			}
			add(l, in.Link.Name)
		}
		for _, list := range [][]conf.Address{in.Addresses, in.Excluded} {
			for i := range list {
				name, made := MadeFor(in, &list[i])
				if !made || name == "" || hasBase(all[in.Name], name) {
					continue
				}
				l := base
				l.Base, l.prefix = name, c.Global.VMACAddrPrefix
				add(l, "")
			}
		}
	}
	return all
}

// hasBase reports whether a macvlan above the interface is among the links.
func hasBase(links []MadeLink, base string) bool {
	for i := range links {
		if links[i].Kind == conf.LinkVMAC && links[i].Base == base {
			return true
		}
	}
	return false
}

// Alternative is the i-th automatic name, from 0, of the link: vrrp.51, for IPv6
// then vrrp6.51, vrrp1.51, vrrp2.51 and so on.
func (l *MadeLink) Alternative(i int) string {
	number := ""
	switch {
	case l.IPv6 && i == 1:
		number = "6"
	case l.IPv6 && i > 6:
		number = strconv.Itoa(i)
	case l.IPv6 && i > 1:
		number = strconv.Itoa(i - 1)
	case i > 0:
		number = strconv.Itoa(i)
	}
	return l.prefix + number + "." + strconv.Itoa(int(l.vrid))
}

// AnnouncedElsewhere reports whether garp_extra_if is about an address of a virtual
// router: one on a macvlan above another interface or, with "all", on any other one.
func AnnouncedElsewhere(c *conf.VRRPInstance, a *conf.Address) bool {
	base, made := MadeFor(c, a)
	return base != c.Interface && (made || c.GARP.Extra.All) || made && !MakesLink(c)
}

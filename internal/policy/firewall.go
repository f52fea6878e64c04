package policy

import (
	"net/netip"

	"keepalived-go/conf"
)

// Drops reports whether a master drops packets to and from the addresses of its virtual
// router: it is not their owner, and Accept_Mode (RFC 9568, section 6.1) is off. All other
// traffic of the node stays as it is, as does neighbour discovery, without which no one
// could send by way of the addresses (section 6.4.3).
func Drops(in *conf.VRRPInstance) bool { return !in.Accept }

// DropsOnLink reports whether packets to a are dropped on its link only: another link may
// have another node with the same link-local address, or this one.
func DropsOnLink(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() }

// Filter is what a configuration needs of the firewall for one family.
type Filter struct {
	Drops bool // addresses that are not accepted
	VMACs bool // macvlans, whose reports of multicast groups leave by the interface below, if there are any
}

// Filters are the filters that a configuration needs for IPv4 and IPv6, with the links
// that [MadeLinks] gives.
func Filters(c *conf.Config, made map[string][]MadeLink) (filters [2]Filter) {
	for _, in := range c.Instances {
		for _, list := range [][]conf.Address{in.Addresses, in.Excluded} {
			for i := range list {
				if Drops(in) {
					filters[index(list[i].Prefix.Addr().Is6())].Drops = true
				}
			}
		}
	}
	for _, links := range made {
		for i := range links {
			if l := &links[i]; l.Kind == conf.LinkVMAC && (l.IPv6 || !c.Global.DisableLocalIGMP) {
				filters[index(l.IPv6)].VMACs = true
			}
		}
	}
	return filters
}

func index(ipv6 bool) int {
	if ipv6 {
		return 1
	}
	return 0
}

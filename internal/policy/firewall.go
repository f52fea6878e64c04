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

// Dropping reports of which families a configuration has addresses that are dropped.
func Dropping(c *conf.Config) (ipv4, ipv6 bool) {
	for _, in := range c.Instances {
		if !Drops(in) {
			continue
		}
		for _, list := range [][]conf.Address{in.Addresses, in.Excluded} {
			for i := range list {
				is4 := list[i].Prefix.Addr().Is4()
				ipv4, ipv6 = ipv4 || is4, ipv6 || !is4
			}
		}
	}
	return ipv4, ipv6
}

package kernel

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// PrimaryAddr returns the address of a link that adverts of the family (4 or 6)
// are sent from: the first primary IPv4 address, one of wider scope than the
// host, or the first link-local IPv6 address that can be used. Addresses for
// which skip is true, such as the virtual ones, do not count. The zero Addr
// means that there is none.
func PrimaryAddr(addrs []Addr, link, family int, skip func(Addr) bool) netip.Addr {
	for _, a := range addrs {
		ip := a.Prefix.Addr()
		switch {
		case a.Link != link:
			continue
		case family == 4:
			if !ip.Is4() || a.Flags&unix.IFA_F_SECONDARY != 0 || a.Scope >= unix.RT_SCOPE_HOST {
				continue
			}
		default:
			if !ip.Is6() || !ip.IsLinkLocalUnicast() || a.Tentative() || a.DADFailed() {
				continue
			}
		}
		if skip == nil || !skip(a) {
			return ip
		}
	}
	return netip.Addr{}
}

package conf

import (
	"fmt"
	"net/netip"
	"slices"
)

const (
	maxAddresses = 255 // the count field is one byte
	// usualAddresses6 fit into the usual MTU: 1500 bytes, from which the C daemon
	// takes the headers of Ethernet (14), IPv6 (40) and VRRP (8).
	usualAddresses6 = (1500 - 14 - 40 - 8) / 16
)

func (d *decoder) addresses(in *instance) {
	if len(in.Addresses) == 0 {
		if in.Strict && in.noVIP {
			d.problem(in, "strict-no-address", "Strict mode requires a virtual address - ignoring no_virtual_ipaddress")
			in.noVIP = false
		}
		switch {
		case in.Strict || in.Version == 3 && !in.noVIP:
			d.drop(in, "no-address", "write virtual_ipaddress", "No VIP specified; at least one is required")
		case !in.noVIP:
			d.problem(in, "no-address", "No VIP specified; at least one is sensible")
		}
	}
	const many = "Number of VIPs (%d) exceeds maximum/space available in packet (max %d addresses) - excess moved to eVIPs"
	switch n := len(in.Addresses); {
	case n > maxAddresses:
		d.problem(in, "many-addresses", many, n, maxAddresses)
		in.Excluded = append(slices.Clone(in.Addresses[maxAddresses:]), in.Excluded...)
		in.Addresses = in.Addresses[:maxAddresses:maxAddresses]
	case in.Family == IPv6 && n > usualAddresses6:
		// The MTU that counts is that of the interface when the daemon runs.
		d.problem(in, "many-addresses", many+" where the MTU is 1500", n, usualAddresses6)
	}
	if in.Family == IPv6 && len(in.Addresses) > 0 && !in.Unicast && !in.Addresses[0].Prefix.Addr().IsLinkLocalUnicast() {
		p := Diagnostic{
			Severity: Note, Code: "first-address",
			Message: fmt.Sprintf("(%s) the first IPv6 VIP address %s is not link local", in.Name, in.Addresses[0].Prefix.Addr()),
			Fix:     "RFC 9568 requires a link-local address first",
		}
		if in.Strict {
			p.Severity, p.Class = Error, ClassOrdinary
			p.Message = fmt.Sprintf("(%s) the first IPv6 VIP address must be link local", in.Name)
		}
		d.reportAt(in.at, p)
	}
	var seen map[addressOn]bool
	if len(in.Addresses)+len(in.Excluded) > 1 {
		seen = make(map[addressOn]bool, len(in.Addresses)+len(in.Excluded))
	}
	in.Addresses = d.onInterface(in, in.Addresses, seen)
	in.Excluded = d.onInterface(in, in.Excluded, seen)
	if in.Priority < priorityOwner { // an owner has them by itself
		d.alreadyThere(in, in.Addresses)
		d.alreadyThere(in, in.Excluded)
	}
}

// priorityOwner is that of the node whose addresses the virtual ones are.
const priorityOwner = 255

// alreadyThere warns of virtual addresses that the machine has by itself.
func (d *decoder) alreadyThere(in *instance, list []Address) {
	if d.Options.Addresses == nil {
		return
	}
	for i := range list {
		a := &list[i]
		for _, p := range d.Options.Addresses(a.Interface) {
			if p.Addr() == a.Prefix.Addr() {
				d.diags.Add(Diagnostic{
					Pos: a.Pos, Severity: Warning, Class: ClassNone, Code: "address-there",
					Message: fmt.Sprintf("(%s) %s already has the virtual address %v, added by another program: it exists on this node whether or not it is master, and keepalived never removes it", in.Name, a.Interface, p),
					Fix:     "delete it from the settings of the interface, and remove it with: ip addr del " + p.String() + " dev " + a.Interface,
				})
				break
			}
		}
	}
}

type addressOn struct {
	prefix netip.Prefix
	dev    string
}

// onInterface gives every address its interface and drops repetitions: of itself,
// and of those in seen.
func (d *decoder) onInterface(in *instance, list []Address, seen map[addressOn]bool) []Address {
	kept := list[:0]
	for _, a := range list {
		if a.Interface == "" {
			a.Interface = in.Interface
		}
		if seen != nil {
			k := addressOn{a.Prefix, a.Interface}
			if seen[k] {
				d.diags.Add(Diagnostic{
					Pos: a.Pos, Severity: Warning, Class: ClassOrdinary, Code: "address-twice",
					Message: fmt.Sprintf("(%s) duplicate VIP %s - ignoring", in.Name, a.Prefix.Addr()),
				})
				continue
			}
			seen[k] = true
		}
		kept = append(kept, a)
	}
	return kept
}

package vrrpd

import (
	"math"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
)

// network is what the kernel's events have reported about links and addresses.
// Interfaces may come, go, be renamed and return with another index at any
// time; nothing here is configuration.
type network struct {
	links      map[int]*netLink
	byName     map[string]*netLink
	formerly   map[string]*netLink           // by names that they do not have any more
	lookalikes map[kernel.LinkKey][]*netLink // those that could be made by us: see made
	lost       bool                          // a family of a link: sockets have to join their groups again
}

type netLink struct {
	kernel.Link
	addrs map[kernel.Key]seenAddr
	seen  int32 // how many addresses were ever added: their order

	former []string // the last names that it had, at most formerNames, the oldest first

	// How often the kernel has given up IPv4 and IPv6 on the link. The group
	// memberships of sockets end with that, and do not come back with it.
	losses [2]uint32

	// The sources chosen last, of IPv4 and IPv6: a reload asks once for each of
	// thousands of routers.
	chosen [2]struct {
		addr  netip.Addr
		valid bool
		edits uint64 // of the virtual addresses when it was chosen
	}
}

// seenAddr is what matters of an address on a link. There may be thousands.
type seenAddr struct {
	order  int32 // which came first: it is the one the kernel would choose as a source
	second bool  // a secondary address
	usable bool  // not waiting for duplicate address detection, and not found to be one
	ours   bool  // set by us or by a predecessor, as its mark or the state file shows
}

func newNetwork(links []kernel.Link, addrs []kernel.Addr) *network {
	n := &network{links: map[int]*netLink{}, byName: map[string]*netLink{}, formerly: map[string]*netLink{}, lookalikes: map[kernel.LinkKey][]*netLink{}}
	for _, l := range links {
		n.setLink(l)
	}
	for _, a := range addrs {
		n.setAddr(a)
	}
	return n
}

// setLink records a link as it is now and returns it with what it was before;
// known is false for a new one.
func (n *network) setLink(l kernel.Link) (now *netLink, before kernel.Link, known bool) {
	have := n.links[l.Index]
	if have == nil {
		have = &netLink{addrs: map[kernel.Key]seenAddr{}}
		n.links[l.Index] = have
	} else {
		before, known = have.Link, true
		if before.Name != l.Name && n.byName[before.Name] == have {
			delete(n.byName, before.Name)
			n.rename(have, before.Name)
		}
	}
	n.identify(have, &l)
	have.Link = l
	n.byName[l.Name] = have
	if known {
		for i, lost := range familiesLost(&before, &l) {
			if lost {
				have.losses[i]++
				n.lost = true
			}
		}
	}
	return have, before, known
}

// formerNames is how many names of a link are remembered that it does not have any more.
const formerNames = 4

// rename notes that a link was called from.
func (n *network) rename(l *netLink, from string) {
	if len(l.former) == formerNames {
		n.forgetNames(l, 1)
	}
	l.former = append(l.former, from)
	n.formerly[from] = l
}

// forgetNames forgets the oldest of the former names of a link.
func (n *network) forgetNames(l *netLink, count int) {
	for _, name := range l.former[:count] {
		if n.formerly[name] == l {
			delete(n.formerly, name)
		}
	}
	l.former = slices.Delete(l.former, 0, count)
}

// familiesLost finds out from two successive reports of a link whether the kernel
// has given up IPv4 and IPv6 on it meanwhile. The report of a smaller MTU may
// be older than its consequence, and that of a larger one likewise.
func familiesLost(before, now *kernel.Link) [2]bool {
	shrunk := func(least int) bool { return before.MTU >= least && now.MTU < least }
	return [2]bool{
		before.IPv4 && !now.IPv4 || shrunk(kernel.MinMTU4),
		before.IPv6 && !now.IPv6 || shrunk(kernel.MinMTU6),
	}
}

// indexOf is the index of a link; 0: it does not exist.
func (n *network) indexOf(name string) int {
	if l := n.byName[name]; l != nil {
		return l.Index
	}
	return 0
}

// familyIndex is the place of a family in what is kept for both.
func familyIndex(ipv6 bool) int {
	if ipv6 {
		return 1
	}
	return 0
}

// vrf is a VRF; nil: it does not exist.
func (n *network) vrf(name string) *netLink {
	if l := n.byName[name]; l != nil && l.Kind == kernel.KindVRF {
		return l
	}
	return nil
}

// vrfOf is the index of the VRF that a link is in; 0: it is in none.
func (n *network) vrfOf(l *netLink) int {
	if m := n.links[l.Master]; m != nil && m.Kind == kernel.KindVRF {
		return m.Index
	}
	return 0
}

// doubt counts a family of a link as lost where, after events were lost, that
// may have happened and is not known.
func (n *network) doubt(doubtful func(link int, ipv6 bool) bool) {
	for index, l := range n.links {
		for i := range l.losses {
			if doubtful(index, i == 1) {
				l.losses[i]++
				n.lost = true
			}
		}
	}
}

// removeLink forgets a link and its addresses.
func (n *network) removeLink(index int) *netLink {
	l := n.links[index]
	if l == nil {
		return nil
	}
	delete(n.links, index)
	if n.byName[l.Name] == l {
		delete(n.byName, l.Name)
	}
	n.forgetNames(l, len(l.former))
	n.identify(l, &kernel.Link{})
	return l
}

// made is the link with an identity that could be one of ours; nil: there is none. Of several
// it is one that has our mark, or else the first. There may be several for a moment: one
// that is gone is known until its event, or a reading, is taken up.
func (n *network) made(key kernel.LinkKey) *netLink {
	if all := n.lookalikes[key]; len(all) > 0 {
		return all[0]
	}
	return nil
}

// identify notes that l becomes another link as far as [network.made] is concerned.
func (n *network) identify(l *netLink, now *kernel.Link) {
	from, was := l.MadeKey()
	to, is := now.MadeKey()
	if was == is && from == to && l.Alias == now.Alias {
		return
	}
	if was {
		if n.lookalikes[from] = slices.DeleteFunc(n.lookalikes[from], func(o *netLink) bool { return o == l }); len(n.lookalikes[from]) == 0 {
			delete(n.lookalikes, from)
		}
	}
	switch all := n.lookalikes[to]; {
	case !is:
	case now.Alias == kernel.LinkAlias:
		n.lookalikes[to] = slices.Insert(all, 0, l)
	default:
		n.lookalikes[to] = append(all, l)
	}
}

// changes puts a reading of the kernel's state into the events that would have
// led to it. What a reading that was interrupted does not name may be there all
// the same.
func (n *network) changes(r *reading) []kernel.Event {
	var events []kernel.Event
	links := make(map[int]bool, len(r.links))
	for _, l := range r.links {
		links[l.Index] = true
	}
	if r.allLinks { // first: another link may have the name, or the place of a made one, by now
		for index, l := range n.links {
			if !links[index] {
				events = append(events, kernel.Event{Kind: kernel.LinkGone, Link: l.Link})
			}
		}
	}
	for _, l := range r.links {
		if n.links[l.Index] == nil || n.links[l.Index].Link != l {
			events = append(events, kernel.Event{Kind: kernel.LinkNew, Link: l})
		}
	}
	addrs := make(map[kernel.Key]bool, len(r.addrs))
	for _, a := range r.addrs {
		k := a.Key()
		if addrs[k] {
			continue
		}
		addrs[k] = true
		if l := n.links[a.Link]; l != nil {
			if have, known := l.addrs[k]; known && have == have.with(a) {
				continue
			}
		}
		events = append(events, kernel.Event{Kind: kernel.AddrNew, Addr: a})
	}
	if r.allAddrs {
		for _, l := range n.links {
			for k := range l.addrs {
				if !addrs[k] {
					events = append(events, kernel.Event{Kind: kernel.AddrGone, Addr: kernel.Addr{Link: k.Link, Prefix: k.Prefix}})
				}
			}
		}
	}
	return events
}

// with is what the kernel's account a makes of s.
func (s seenAddr) with(a kernel.Addr) seenAddr {
	s.second = a.Flags&unix.IFA_F_SECONDARY != 0
	s.usable = !a.Tentative() && !a.DADFailed()
	s.ours = a.Proto == kernel.AddrProto || s.ours && !kernel.MarksAddresses()
	return s
}

func (n *network) setAddr(a kernel.Addr) {
	if l := n.links[a.Link]; l != nil {
		have, known := l.addrs[a.Key()]
		if !known {
			have.order = l.seen
			l.seen++
		}
		l.addrs[a.Key()] = have.with(a)
		if a.Prefix.Addr().Is6() {
			l.IPv6 = true // its return is not reported otherwise
		} else {
			l.IPv4 = true
		}
		l.forgetSources()
	}
}

func (n *network) removeAddr(a kernel.Addr) {
	if l := n.links[a.Link]; l != nil {
		delete(l.addrs, a.Key())
		l.forgetSources()
	}
}

// holds reports whether ip is a usable address of this machine: on link, or on
// any link when link is nil.
func (n *network) holds(link *netLink, ip netip.Addr) bool {
	if link == nil {
		for _, l := range n.links {
			if n.holds(l, ip) {
				return true
			}
		}
		return false
	}
	for k, a := range link.addrs {
		if k.Prefix.Addr() == ip && a.usable {
			return true
		}
	}
	return false
}

// source chooses the address that adverts on link are sent from: for IPv4 the
// primary address, for IPv6 the link-local one. Addresses for which skip
// answers true are virtual ones and no choice. A secondary address without a
// primary one is about to be promoted: where secondary addresses end with the
// primary one, the kernel removes them first.
func (l *netLink) source(ipv6 bool, skip func(kernel.Key) bool) netip.Addr {
	var best netip.Addr
	first, second := int32(math.MaxInt32), true
	for k, a := range l.addrs {
		ip := k.Prefix.Addr()
		switch {
		case ip.Is6() != ipv6 || skip(k):
			continue
		case ipv6 && !(ip.IsLinkLocalUnicast() && a.usable):
			continue
		case a.second && !second, a.second == second && a.order >= first:
			continue
		}
		best, first, second = ip, a.order, a.second
	}
	return best
}

func (l *netLink) forgetSources() {
	for i := range l.chosen {
		l.chosen[i].valid = false
	}
}

// sourceOf is the address that adverts on l are sent from.
func (d *daemon) sourceOf(l *netLink, ipv6 bool) netip.Addr {
	c := &l.chosen[familyIndex(ipv6)]
	if !c.valid || c.edits != d.addrs.edits {
		c.addr, c.valid, c.edits = l.source(ipv6, d.addrs.isVirtual), true, d.addrs.edits
	}
	return c.addr
}

package policy

import (
	"net/netip"
	"slices"
	"sort"

	"keepalived-go/conf"
	"keepalived-go/lvs"
)

// A Mark is what a firewall mark stands for with nftables_ipvs: a virtual_server_group,
// for the virtual server with this protocol. Addresses of both families have one mark,
// for which the kernel has a service for each family.
type Mark struct {
	Group    string
	Protocol conf.Protocol
}

// Marked is addresses whose packets get a mark.
type Marked struct {
	Protocol    conf.Protocol
	First, Last netip.Addr // of one family
	Port        uint16     // 0: every port that has no Marked of its own
	Mark        uint32
}

// marker gives groups their marks: those that they had, or else the smallest free ones
// from nftables_ipvs_start_fwmark on.
type marker struct {
	on     bool
	next   uint32
	before map[Mark]uint32
	taken  map[uint32]bool // by groups before, or in the configuration
	used   map[Mark]uint32
	marked []Marked
	spans  map[spanKey][]span // of marked, in order
}

type spanKey struct {
	protocol conf.Protocol
	port     uint16
	four     bool
}

type span struct{ first, last netip.Addr }

func newMarker(c *conf.Config, before map[Mark]uint32) *marker {
	f := &c.Global.Firewall
	m := &marker{on: f.IPVSTable != ""}
	if !m.on {
		return m
	}
	m.next, m.before = f.IPVSFirstMark, before
	m.taken, m.used, m.spans = map[uint32]bool{0: true}, map[Mark]uint32{}, map[spanKey][]span{}
	for _, n := range before {
		m.taken[n] = true
	}
	for _, v := range c.VirtualServers {
		m.taken[v.FWMark] = true
	}
	for _, group := range c.ServerGroups {
		for _, e := range group.Entries {
			m.taken[e.FWMark] = true
		}
	}
	return m
}

// marks reports whether marks stand for the addresses of a group: not if it has marks
// of its own.
func (m *marker) marks(group *conf.ServerGroup) bool {
	return m.on && !slices.ContainsFunc(group.Entries, func(e conf.GroupEntry) bool { return !e.First.IsValid() })
}

// endpoints are the marks that stand for a group, and the addresses for which they do.
func (m *marker) endpoints(v *conf.VirtualServer, group *conf.ServerGroup) (marks []lvs.Endpoint, addresses []netip.Addr) {
	n := m.of(Mark{group.Name, v.Protocol})
	for _, e := range group.Entries {
		ep := lvs.Endpoint{FWMark: n, Family: lvs.IPv4}
		if e.First.Is6() {
			ep.Family = lvs.IPv6
		}
		if !slices.Contains(marks, ep) {
			marks = append(marks, ep)
		}
		m.claim(Marked{v.Protocol, e.First, e.Last, e.Port, n})
	}
	for _, ep := range endpoints(v, group) {
		addresses = append(addresses, ep.Addr.Addr())
	}
	return marks, addresses
}

func (m *marker) of(k Mark) uint32 {
	n, known := m.used[k]
	if !known {
		if n, known = m.before[k]; !known {
			for m.taken[m.next] {
				m.next++
			}
			n = m.next
			m.taken[n] = true
		}
		m.used[k] = n
	}
	return n
}

// claim marks the addresses of w that are not marked yet: of two services with one
// address the first has it.
func (m *marker) claim(w Marked) {
	k := spanKey{w.Protocol, w.Port, w.First.Is4()}
	all := m.spans[k]
	i := sort.Search(len(all), func(i int) bool { return !all[i].last.Less(w.First) })
	from := w.First
	add := func(last netip.Addr) {
		if last.Less(from) {
			return
		}
		all = slices.Insert(all, i, span{from, last})
		i++
		w.First, w.Last = from, last
		m.marked = append(m.marked, w)
	}
	end := w.Last
	for ; i < len(all) && !end.Less(all[i].first); i++ {
		if from.Less(all[i].first) {
			add(all[i].first.Prev())
		}
		from = all[i].last.Next()
		if !from.IsValid() { // that was the last address of all
			m.spans[k] = all
			return
		}
	}
	add(end)
	m.spans[k] = all
}

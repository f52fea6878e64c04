package lint

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
)

// compare finds what the members of a virtual router do not agree on. Each is
// compared with the first one.
func (c *cluster) compare(v *virtualRouter) {
	first := v.members[0]
	if len(v.members) == 1 {
		c.found("cluster-alone", first.Pos,
			fmt.Sprintf("(%s) is configured only on %s: no other node can take over", first.Name, c.nameOf(first)), "add it to another node")
		return
	}
	for _, m := range v.members[1:] {
		c.differences(v, first, m)
	}
	for i, m := range v.members {
		for _, o := range v.members[:i] {
			c.rivals(v, o, m)
		}
	}
	c.pointlessNoPreempt(v)
	c.syncGroups(v)
}

func (c *cluster) nameOf(m *member) string { return c.nodes[m.node].Name }

// split reports a difference because of which more than one becomes master.
func (c *cluster) split(v *virtualRouter, code string, a, b *member, what, remedy string) {
	v.explained = true
	c.differ(code, a, b, what, remedy)
}

// differ reports something about b that a has otherwise.
func (c *cluster) differ(code string, a, b *member, what, remedy string) {
	c.found(code, b.Pos, "("+b.Name+") "+what, remedy, other(a.Pos, "%s on %s is", a.Name, c.nameOf(a)))
}

func (c *cluster) differences(v *virtualRouter, a, b *member) {
	// versus describes what each of the two has.
	versus := func(what string, x, y any) string {
		return fmt.Sprintf("%s is %v on %s and %v on %s", what, x, c.nameOf(a), y, c.nameOf(b))
	}
	if a.VRID != b.VRID {
		c.split(v, "cluster-vrid", a, b, versus("virtual_router_id", a.VRID, b.VRID)+": both nodes become master", "use one number")
	}
	if a.Version != b.Version {
		c.split(v, "cluster-version", a, b, versus("version", a.Version, b.Version)+": they drop each other's adverts", "use one version on all nodes")
	}
	if why := authDifference(a, b); why != "" {
		c.split(v, "cluster-auth", a, b, fmt.Sprintf("%s and %s %s", c.nameOf(a), c.nameOf(b), why), "use the same authentication and keys")
	}
	if a.AdvertInterval != b.AdvertInterval {
		what := versus("advert_int", seconds(a.AdvertInterval), seconds(b.AdvertInterval))
		if a.Version == 2 {
			c.split(v, "cluster-advert-int", a, b, what+": they drop each other's adverts", "use one interval")
		} else {
			c.differ("cluster-advert-learned", a, b, what+": the time of a failover depends on the master's interval", "use one interval")
		}
	}
	c.addressDifferences(a, b)
	switch {
	case a.Unicast != b.Unicast:
		kind := map[bool]string{true: "unicast", false: "multicast"}
		c.split(v, "cluster-destination", a, b, versus("the kind of adverts", kind[a.Unicast], kind[b.Unicast]), "write unicast_peer on all nodes or on none")
	case a.Group != b.Group:
		c.split(v, "cluster-destination", a, b, versus("the multicast group", a.Group, b.Group), "use one vrrp_mcast_group or mcast_dst_ip")
	}
	for _, way := range [][2]*member{{a, b}, {b, a}} {
		if from, to := way[0], way[1]; deafByVMAC(from, to) {
			c.split(v, "cluster-vmac-base", from, to, fmt.Sprintf("with vmac_xmit_base, %s does not receive the adverts of %s, which have the virtual MAC address", c.nameOf(to), c.nameOf(from)),
				"write vmac_xmit_base on all nodes or on none")
		}
	}
}

// deafByVMAC reports whether the adverts of a node have a MAC address that belongs to a
// macvlan of another one, which listens on the interface below.
func deafByVMAC(from, to *member) bool {
	hasVMAC := func(m *member) bool { return policy.MakesLink(m.VRRPInstance) && m.Link.Kind == conf.LinkVMAC }
	return hasVMAC(from) && !from.Link.TransmitBase && hasVMAC(to) && to.Link.TransmitBase &&
		policy.VirtualMAC(from.VRRPInstance) == policy.VirtualMAC(to.VRRPInstance)
}

// authDifference describes how authentication differs, without keys.
func authDifference(a, b *member) string {
	switch {
	case a.Auth.Type != b.Auth.Type:
		return fmt.Sprintf("have different types of authentication: %s and %s", a.Auth.Type, b.Auth.Type)
	case a.Auth.Password != b.Auth.Password:
		return "have different passwords (auth_pass)"
	case !accepts(&a.HMAC, &b.HMAC) || !accepts(&b.HMAC, &a.HMAC):
		return "do not accept each other's auth_hmac"
	}
	return ""
}

// accepts reports whether h takes what from signs, or does not sign.
func accepts(h, from *conf.HMAC) bool {
	signs := from.Mode == conf.HMACEnforce || from.Mode == conf.HMACPermissive
	switch {
	case h.Mode == conf.HMACOff:
		return !signs
	case !signs:
		return h.Mode != conf.HMACEnforce
	}
	return h.Keys[from.SendKey] != "" && h.Keys[from.SendKey] == from.Keys[from.SendKey]
}

// addressDifferences compares the addresses and their prefix lengths.
func (c *cluster) addressDifferences(a, b *member) {
	prefixes := func(m *member) map[netip.Addr]netip.Prefix {
		all := make(map[netip.Addr]netip.Prefix)
		for x := range addresses(m.VRRPInstance) {
			all[x.Prefix.Addr()] = x.Prefix
		}
		return all
	}
	ofA, ofB := prefixes(a), prefixes(b)
	lacks := func(has, not map[netip.Addr]netip.Prefix) []string {
		var missing []netip.Addr
		for addr := range has {
			if _, ok := not[addr]; !ok {
				missing = append(missing, addr)
			}
		}
		slices.SortFunc(missing, netip.Addr.Compare)
		return some(missing)
	}
	var parts []string
	if list := lacks(ofA, ofB); len(list) > 0 {
		parts = append(parts, c.nameOf(b)+" lacks "+strings.Join(list, ", "))
	}
	if list := lacks(ofB, ofA); len(list) > 0 {
		parts = append(parts, c.nameOf(a)+" lacks "+strings.Join(list, ", "))
	}
	if len(parts) > 0 {
		c.differ("cluster-addresses", a, b, strings.Join(parts, "; "), "use one list of addresses")
	}
	for _, addr := range slices.SortedFunc(maps.Keys(ofA), netip.Addr.Compare) {
		if p, ok := ofB[addr]; ok && p != ofA[addr] {
			c.differ("cluster-prefix", a, b,
				fmt.Sprintf("%s has the prefix length %d on %s and %d on %s", addr, ofA[addr].Bits(), c.nameOf(a), p.Bits(), c.nameOf(b)),
				"use one prefix length")
			return
		}
	}
	if (len(a.Addresses) != len(b.Addresses)) && len(parts) == 0 {
		c.differ("cluster-addresses", a, b,
			fmt.Sprintf("the adverts of %s carry %d addresses, those of %s %d", c.nameOf(a), len(a.Addresses), c.nameOf(b), len(b.Addresses)),
			"use the same virtual_ipaddress and virtual_ipaddress_excluded")
	}
}

// some are the first of a list, with how many more there are.
func some(list []netip.Addr) []string {
	const most = 5
	var out []string
	for _, a := range list[:min(len(list), most)] {
		out = append(out, a.String())
	}
	if more := len(list) - most; more > 0 {
		out = append(out, fmt.Sprintf("%d more", more))
	}
	return out
}

// rivals compares two members that may be master in turn.
func (c *cluster) rivals(v *virtualRouter, a, b *member) {
	both := fmt.Sprintf("%s and %s", c.nameOf(a), c.nameOf(b))
	switch {
	case a.Priority != b.Priority:
	case a.Priority == vrrp.PriorityOwner:
		c.differ("cluster-owners", a, b, both+" both claim to own the addresses (priority 255)", "give one of them a priority of 254 or less")
	default:
		c.differ("cluster-priority", a, b, fmt.Sprintf("%s have the same priority %d: their addresses decide which node is master", both, a.Priority), "give them different priorities")
	}
	if a.source == b.source {
		c.split(v, "cluster-source", a, b, fmt.Sprintf("%s send from the same address %s and ignore each other", both, a.source), "give each node its own")
	}
	if !a.Unicast || !b.Unicast {
		return
	}
	for _, way := range [][2]*member{{a, b}, {b, a}} {
		from, to := way[0], way[1]
		if from.hasPeer(to.source) || from.source == to.source {
			continue
		}
		what := fmt.Sprintf("%s sends no adverts to %s", c.nameOf(from), c.nameOf(to))
		if to.SourceIP.IsValid() {
			what += fmt.Sprintf(": %s is not among its peers", to.source)
		}
		c.split(v, "cluster-peers", to, from, what, "add it to unicast_peer")
	}
}

// pointlessNoPreempt finds nopreempt on a node that has no node to spare.
func (c *cluster) pointlessNoPreempt(v *virtualRouter) {
	best := v.preferred()
	if best.NoPreempt || len(best.terms) > 0 {
		return // trackers may change who is best
	}
	lowest := slices.MinFunc(v.members, func(a, b *member) int { return int(a.Priority) - int(b.Priority) })
	if lowest.NoPreempt && len(lowest.terms) == 0 && lowest.Priority < best.Priority {
		c.differ("cluster-nopreempt", best, lowest,
			fmt.Sprintf("nopreempt on %s has no effect: it has the lowest priority (%d), and %s (%d) preempts it",
				c.nameOf(lowest), lowest.Priority, c.nameOf(best), best.Priority),
			"write nopreempt on "+c.nameOf(best)+" if it should not take the addresses back")
	}
}

// syncGroups compares with whom the members change state.
func (c *cluster) syncGroups(v *virtualRouter) {
	company := func(m *member) map[*virtualRouter]bool {
		all := make(map[*virtualRouter]bool)
		if m.group != nil && len(m.group.Members) > 1 {
			for _, in := range c.nodes[m.node].Config.Instances {
				if c.groups[m.node][in.Name] == m.group {
					all[c.at[in]] = true
				}
			}
		}
		return all
	}
	describe := func(m *member) string {
		if m.group == nil {
			return "is in no sync group on " + c.nameOf(m)
		}
		return fmt.Sprintf("is in sync group %s with %d members on %s", m.group.Name, len(m.group.Members), c.nameOf(m))
	}
	a := v.members[0]
	for _, b := range v.members[1:] {
		if a.group == nil && b.group == nil {
			continue
		}
		if !maps.Equal(company(a), company(b)) {
			what := describe(a) + " and " + strings.TrimPrefix(describe(b), "is ")
			c.differ("cluster-sync-group", a, b, what, "use the same sync groups on all nodes")
		}
	}
}

// preferred is the member with the highest priority while all is well.
func (v *virtualRouter) preferred() *member {
	return slices.MaxFunc(v.members, func(a, b *member) int {
		return int(a.healthyPriority()) - int(b.healthyPriority())
	})
}

// prefers reports whether no node has a higher priority than the given one.
func (v *virtualRouter) prefers(node int) bool {
	m := v.on(node)
	return m != nil && m.healthyPriority() == v.preferred().healthyPriority()
}

// preferences finds sync groups whose members prefer different nodes.
func (c *cluster) preferences() {
	reported := make(map[[2]*virtualRouter]bool)
	for n, node := range c.nodes {
		firsts := make(map[*conf.SyncGroup]*virtualRouter)
		for _, in := range node.Config.Instances {
			g, v := c.groups[n][in.Name], c.at[in]
			if g == nil || len(v.members) < 2 {
				continue
			}
			first := firsts[g]
			if first == nil {
				firsts[g] = v
				continue
			}
			a, b := first.preferred(), v.preferred()
			if first.prefers(b.node) || v.prefers(a.node) || reported[[2]*virtualRouter{first, v}] {
				continue
			}
			reported[[2]*virtualRouter{first, v}] = true
			c.found("cluster-sync-priority", g.Pos,
				fmt.Sprintf("members of sync group %s prefer different nodes: %s prefers %s (%d), %s prefers %s (%d)",
					g.Name, a.Name, c.nameOf(a), a.healthyPriority(), b.Name, c.nameOf(b), b.healthyPriority()),
				"give all members their highest priority on the same node",
				other(a.Pos, "%s on %s is", a.Name, c.nameOf(a)), other(b.Pos, "%s on %s is", b.Name, c.nameOf(b)))
		}
	}
}

// sharedAddresses finds addresses of more than one virtual router, on different
// nodes. Within one file conf finds them.
func (c *cluster) sharedAddresses() {
	type holder struct {
		v *virtualRouter
		m *member
	}
	first := make(map[netip.Addr]holder)
	type pair struct{ a, b *virtualRouter }
	reported := make(map[pair]bool)
	for _, v := range c.routers {
		for _, m := range v.members {
			for a := range addresses(m.VRRPInstance) {
				addr := a.Prefix.Addr()
				f, known := first[addr]
				switch {
				case !known:
					first[addr] = holder{v, m}
				case f.v != v && f.m.node != m.node && !reported[pair{f.v, v}]:
					reported[pair{f.v, v}] = true
					c.found("cluster-address-shared", a.Pos,
						fmt.Sprintf("%s is in %s on %s and in %s on %s, which are unrelated: both nodes may hold it", addr, f.m.describe(), c.nameOf(f.m), m.describe(), c.nameOf(m)),
						"write it in only one of them, on all nodes", other(f.m.Pos, "%s on %s is", f.m.Name, c.nameOf(f.m)))
				}
			}
		}
	}
}

// describe is a virtual router with its number and group.
func (m *member) describe() string {
	s := fmt.Sprintf("%s (virtual_router_id %d", m.Name, m.VRID)
	if m.group != nil {
		s += ", sync group " + m.group.Name
	}
	return s + ")"
}

// ownAddresses finds virtual addresses that a node has by itself, as far as the
// files declare it: it sends from them, or others send to it there. [Check] finds the same within
// the file of one node.
func (c *cluster) ownAddresses() {
	type use struct {
		m    *member
		word string
	}
	own := make(map[netip.Addr]use)
	note := func(a netip.Addr, u use) {
		if _, ok := own[a]; a.IsValid() && !ok {
			own[a] = u
		}
	}
	for _, v := range c.routers {
		for _, m := range v.members {
			word := "mcast_src_ip"
			if m.Unicast {
				word = "unicast_src_ip"
			}
			note(m.SourceIP, use{m, word})
		}
	}
	for _, v := range c.routers {
		for _, m := range v.members {
			for _, p := range m.Peers {
				note(p.Addr, use{m, "unicast_peer"})
			}
		}
	}
	for _, v := range c.routers {
		for _, m := range v.members {
			for a := range addresses(m.VRRPInstance) {
				u, ok := own[a.Prefix.Addr()]
				if !ok || u.m.node == m.node {
					continue
				}
				c.found("cluster-address-own", a.Pos,
					fmt.Sprintf("(%s) the virtual address %s on %s is %s of %s on %s", m.Name, a.Prefix.Addr(), c.nameOf(m), u.word, u.m.Name, c.nameOf(u.m)),
					"write an address that no node has of its own", other(u.m.Pos, "%s on %s is", u.m.Name, c.nameOf(u.m)))
				break
			}
		}
	}
}

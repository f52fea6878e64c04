package lint

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
)

// Node is one node of a cluster.
type Node struct {
	Name   string
	Config *conf.Config
}

// Report is what [Cluster] found.
type Report struct {
	Diagnostics conf.Diagnostics
	// Outcomes are the tables of failures: one for all virtual routers that
	// fare alike.
	Outcomes []Outcome
}

// Cluster puts the configurations of all nodes of a cluster together: what they
// do not agree on, and who is master when something fails.
//
// Virtual routers belong together that have the same VRID, family and
// interface; then, for nodes whose interfaces have other names, the same VRID
// and family and a common address or the same name; and at last the same
// addresses or name without the VRID, which is then a finding.
func Cluster(nodes []Node) Report {
	c := &cluster{nodes: nodes, at: make(map[*conf.VRRPInstance]*virtualRouter)}
	for n := range nodes {
		c.groups = append(c.groups, groupsOf(nodes[n].Config))
		c.static = append(c.static, policy.StaticLinks(nodes[n].Config))
	}
	c.match()
	for _, v := range c.routers {
		c.guessSources(v)
		c.compare(v)
	}
	c.sharedAddresses()
	c.ownAddresses()
	c.preferences()
	outcomes := c.simulate()
	return Report{c.sorted(), outcomes}
}

// cluster is the work of [Cluster].
type cluster struct {
	findings
	nodes   []Node
	groups  []map[string]*conf.SyncGroup // of each node, by instance
	static  []map[string][]string        // likewise: policy.StaticLinks
	routers []*virtualRouter
	at      map[*conf.VRRPInstance]*virtualRouter
}

// virtualRouter is one virtual router with its members on the nodes.
type virtualRouter struct {
	members []*member // in the order of the nodes
	// explained: a finding reports already why more than one is master.
	explained bool
}

// member is one virtual router on one node.
type member struct {
	*conf.VRRPInstance
	node   int
	group  *conf.SyncGroup // nil: none
	terms  []conf.Track
	static []string   // interfaces that concern it by static entries
	source netip.Addr // that its adverts come from; made up if no file gives it
}

// on is the member on a node, or nil.
func (v *virtualRouter) on(node int) *member {
	for _, m := range v.members {
		if m.node == node {
			return m
		}
	}
	return nil
}

// likeness gives the keys by which instances are recognised as the same virtual
// router, the strictest first.
var likeness = []func(*conf.VRRPInstance, func(string)){
	func(in *conf.VRRPInstance, key func(string)) {
		key(fmt.Sprintf("%d/%d/%s/%s", in.VRID, in.Family, in.Interface, addressKey(in)))
	},
	func(in *conf.VRRPInstance, key func(string)) {
		key(fmt.Sprintf("%d/%d/%s", in.VRID, in.Family, in.Interface))
	},
	func(in *conf.VRRPInstance, key func(string)) {
		for a := range addresses(in) {
			key(fmt.Sprintf("%d/%d/%v", in.VRID, in.Family, a.Prefix.Addr()))
		}
	},
	func(in *conf.VRRPInstance, key func(string)) {
		key(fmt.Sprintf("%d/%d/%s", in.VRID, in.Family, in.Name))
	},
	func(in *conf.VRRPInstance, key func(string)) {
		for a := range addresses(in) {
			key(a.Prefix.Addr().String())
		}
	},
	func(in *conf.VRRPInstance, key func(string)) { key(fmt.Sprintf("%d/%s", in.Family, in.Name)) },
}

// addressKey is the list of addresses in any order.
func addressKey(in *conf.VRRPInstance) string {
	var list []string
	for a := range addresses(in) {
		list = append(list, a.Prefix.Addr().String())
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// match finds the virtual routers of the cluster.
func (c *cluster) match() {
	for n, node := range c.nodes {
		left := slices.Clone(node.Config.Instances)
		for _, keys := range likeness {
			if len(c.routers) == 0 {
				break
			}
			known := make(map[string][]*virtualRouter)
			for _, v := range c.routers {
				if v.on(n) != nil {
					continue
				}
				for _, m := range v.members {
					keys(m.VRRPInstance, func(k string) {
						if list := known[k]; len(list) == 0 || list[len(list)-1] != v {
							known[k] = append(list, v)
						}
					})
				}
			}
			left = slices.DeleteFunc(left, func(in *conf.VRRPInstance) bool {
				var found *virtualRouter
				keys(in, func(k string) {
					for len(known[k]) > 0 && known[k][0].on(n) != nil {
						known[k] = known[k][1:] // taken meanwhile
					}
					if found == nil && len(known[k]) > 0 {
						found = known[k][0]
					}
				})
				if found != nil {
					c.join(found, n, in)
				}
				return found != nil
			})
		}
		for _, in := range left {
			v := &virtualRouter{}
			c.routers = append(c.routers, v)
			c.join(v, n, in)
		}
	}
}

func (c *cluster) join(v *virtualRouter, node int, in *conf.VRRPInstance) {
	g := c.groups[node][in.Name]
	v.members = append(v.members, &member{VRRPInstance: in, node: node, group: g, terms: terms(in, g), static: c.static[node][in.Name]})
	c.at[in] = v
}

// guessSources settles where the adverts of each member come from. Without a
// configured source a unicast member has that address which its peers send to
// and no other has; a multicast one gets an address in the order of the
// nodes.
func (c *cluster) guessSources(v *virtualRouter) {
	taken := make(map[netip.Addr]bool)
	for _, m := range v.members {
		if m.SourceIP.IsValid() {
			m.source = m.SourceIP
			taken[m.source] = true
		}
	}
	for _, strict := range []bool{true, false} {
		for _, m := range v.members {
			if m.source.IsValid() || !m.Unicast {
				continue
			}
			for _, o := range v.members {
				for _, p := range o.Peers {
					if o != m && !m.source.IsValid() && !taken[p.Addr] && !(strict && m.hasPeer(p.Addr)) {
						m.source = p.Addr
						taken[p.Addr] = true
					}
				}
			}
		}
	}
	for _, m := range v.members {
		if m.source.IsValid() {
			continue
		}
		if m.Family == conf.IPv4 {
			m.source = netip.AddrFrom4([4]byte{169, 254, 0, byte(m.node + 1)})
		} else {
			m.source = netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 15: byte(m.node + 1)})
		}
	}
}

func (m *member) hasPeer(a netip.Addr) bool {
	return slices.ContainsFunc(m.Peers, func(p conf.Peer) bool { return p.Addr == a })
}

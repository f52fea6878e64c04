package lint

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
)

// virtualServer looks at a service that is balanced.
func (l *linter) virtualServer(v *conf.VirtualServer) {
	checked := false
	for _, r := range v.RealServers {
		checked = checked || len(r.Checks) > 0
		for _, c := range r.Checks {
			l.checkTimes(v, r, c)
		}
		if r.Alpha && len(r.Checks) == 0 {
			l.found("alpha-unchecked", r.Pos,
				fmt.Sprintf("alpha has no effect on %s: it has no check to wait for, and is up from the start", v.Endpoint(r.Addr, r.Port)),
				"add a check, or remove alpha", other(v.Pos, "virtual server %v is", v))
		}
		if s := v.Sorry; s != nil && s.Addr == r.Addr && s.Port == r.Port {
			l.found("sorry-server-in-pool", r.Pos,
				fmt.Sprintf("%s is a real server and the sorry server of %v: it gets all connections when the quorum is lost, even if it is the one that failed", v.Endpoint(r.Addr, r.Port), v),
				"write another sorry_server, or remove it")
		}
	}
	if !checked && len(v.RealServers) > 1 {
		l.found("servers-unchecked", v.Pos,
			fmt.Sprintf("virtual server %v does not check its %d real servers: a server that fails still gets connections", v, len(v.RealServers)),
			"add a check to each")
	}
	if v.HASuspend && v.Addr.IsValid() && l.virtual[v.Addr] == nil {
		l.found("ha-suspend", v.Pos,
			fmt.Sprintf("virtual server %v suspends its checks until %s is on this node (ha_suspend), but no vrrp_instance has that address", v, v.Addr),
			"remove ha_suspend, or add the address to a vrrp_instance")
	}
	if in := l.virtual[v.Addr]; in != nil && policy.Drops(in) {
		l.found("unaccepted-service", v.Pos,
			fmt.Sprintf("virtual server %v gets no packets: %s accepts none to %s", v, in.Name, v.Addr),
			"write accept in "+in.Name, other(in.Pos, "%s is", in.Name))
	}
	l.serverWeights(v)
	if v.Persistence > 0 && len(v.RealServers) == 1 && !l.servesEveryPort(v) {
		l.found("persistence-one-server", v.Pos,
			fmt.Sprintf("virtual server %v has persistence_timeout and one real server, so that a client has no other server to move to", v),
			"remove persistence_timeout, or add a real server")
	}
	if l.Global.NetNamespaceIPVS == l.Global.NetNamespace { // else the host is another one
		l.forwarding(v)
		l.directRouting(v)
	}
}

// serverWeights looks whether the weights let a service work.
func (l *linter) serverWeights(v *conf.VirtualServer) {
	total := uint64(0)
	for _, r := range v.RealServers {
		total += uint64(max(0, r.Weight))
		if slices.ContainsFunc(r.Checks, setsWeight) {
			return // the sum is unknown
		}
	}
	switch need := uint64(v.Quorum) + uint64(v.Hysteresis); {
	case total == 0:
		l.found("weights-zero", v.Pos,
			fmt.Sprintf("all real servers of %v have weight 0: none of them gets a new connection", v),
			"give a server a weight, or add a MISC_CHECK with misc_dynamic or a FILE_CHECK that does")
	case need > total:
		l.found("quorum-unreachable", v.Pos,
			fmt.Sprintf("virtual server %v needs servers of weight %d to gain its quorum (quorum %d + hysteresis %d), but all of its servers together have weight %d", v, need, v.Quorum, v.Hysteresis, total),
			"lower quorum or hysteresis, or raise the weights")
	}
}

// setsWeight reports whether the results of a check change the weight of its server.
func setsWeight(c *conf.Check) bool {
	return c.File != nil || c.Misc != nil && c.Misc.Dynamic
}

// servesEveryPort reports whether a service has all ports of an address, which the
// kernel accepts only with persistence.
func (l *linter) servesEveryPort(v *conf.VirtualServer) bool {
	if v.Addr.IsValid() {
		return v.Port == 0
	}
	return slices.ContainsFunc(l.ServerGroups, func(g *conf.ServerGroup) bool {
		return g.Name == v.Group && slices.ContainsFunc(g.Entries, func(e conf.GroupEntry) bool { return e.First.IsValid() && e.Port == 0 })
	})
}

// forwarding looks whether this host would forward the answers of NAT servers.
func (l *linter) forwarding(v *conf.VirtualServer) {
	if l.host.Sysctl == nil {
		return
	}
	for _, r := range v.RealServers {
		if r.Forward.Method != conf.ForwardNAT || r.Addr.IsLoopback() || l.holder(r.Addr) != "" {
			continue
		}
		name := []string{"net", "ipv4", "ip_forward"}
		if r.Addr.Is6() {
			name = []string{"net", "ipv6", "conf", "all", "forwarding"}
		}
		if l.host.Sysctl(name...) != "0" {
			continue
		}
		setting := strings.Join(name, ".")
		l.found("nat-forwarding", v.Pos,
			fmt.Sprintf("virtual server %v uses NAT, and this machine does not forward the answers of its real servers (%s is 0)", v, setting),
			"set "+setting+" to 1 in /etc/sysctl.d")
		return
	}
}

// directRouting looks whether this host answers ARP for an address that it must
// accept while another node is its director.
func (l *linter) directRouting(v *conf.VirtualServer) {
	in := l.virtual[v.Addr]
	if l.host.Sysctl == nil || !v.Addr.Is4() || in == nil ||
		!slices.ContainsFunc(v.RealServers, func(r *conf.RealServer) bool { return r.Forward.Method == conf.ForwardDirect }) {
		return
	}
	held := l.holder(v.Addr)
	if held == "" {
		return
	}
	ignores := func(iface string) bool {
		value := l.host.Sysctl("net", "ipv4", "conf", iface, "arp_ignore")
		return value != "0" // not known either
	}
	if held != in.Interface && (ignores("all") || ignores(in.Interface)) {
		return
	}
	l.found("dr-arp", v.Pos,
		fmt.Sprintf("%s is always on %s of this machine, which answers ARP for it there even while another node is master of %s", v.Addr, held, in.Name),
		"put the address on lo, and set net.ipv4.conf.all.arp_ignore to 1 and net.ipv4.conf.all.arp_announce to 2",
		other(in.Pos, "%s is", in.Name))
}

func (l *linter) holder(a netip.Addr) string {
	if l.host.Holder == nil {
		return ""
	}
	return l.host.Holder(a)
}

// checkTimes looks whether a check is over, with its retries, before the next one
// is due.
func (l *linter) checkTimes(v *conf.VirtualServer, r *conf.RealServer, c *conf.Check) {
	var word string
	var longest time.Duration
	switch {
	case c.Connect != nil:
		word, longest = "connect_timeout", c.Connect.Timeout
	case c.Misc != nil:
		word, longest = "misc_timeout", c.Misc.Timeout
	default:
		return // they are notified of changes
	}
	switch name := v.Endpoint(r.Addr, r.Port); {
	case longest > c.DelayLoop:
		l.found("check-timeout", c.Pos,
			fmt.Sprintf("%v of %s may take %s (%s), but it is due every %s (delay_loop)",
				c.Kind, name, seconds(longest), word, seconds(c.DelayLoop)),
			"make "+word+" at most delay_loop")
	case longest*time.Duration(c.Retry) > c.DelayLoop:
		l.found("check-timeout", c.Pos,
			fmt.Sprintf("%v of %s takes %s more to report a server that does not answer (%d retries of %s), longer than the interval of %s (delay_loop)",
				c.Kind, name, seconds(longest*time.Duration(c.Retry)), c.Retry, seconds(longest), seconds(c.DelayLoop)),
			"lower "+word+" or retry, or raise delay_loop")
	}
}

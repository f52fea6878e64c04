package conf

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// virtualServers makes the values of virtual servers, real servers and checks
// effective.
func (d *decoder) virtualServers() {
	groups := make(map[string]*ServerGroup, len(d.servers.groups))
	for _, g := range d.servers.groups {
		if first := groups[g.Name]; first != nil {
			d.reportAt(g.at, Diagnostic{
				Severity: Warning, Class: ClassNone, Code: "group-twice",
				Message: "virtual server group " + printable(g.Name) + " is already defined - ignoring", Fix: "the first is at " + first.Pos.String(),
			})
			continue
		}
		groups[g.Name] = g.ServerGroup
		d.cfg.ServerGroups = append(d.cfg.ServerGroups, g.ServerGroup)
	}
	seen := make(map[serviceKey]Pos, len(d.servers.list))
	for _, vs := range d.servers.list {
		if d.virtualServer(vs, groups) {
			key := serviceKey{vs.Group, vs.Family, vs.Protocol, netip.AddrPortFrom(vs.Addr, vs.Port), vs.FWMark}
			if first, twice := seen[key]; twice {
				d.reportAt(vs.at, Diagnostic{
					Severity: Warning, Class: ClassNone, Code: "service-twice",
					Message: fmt.Sprintf("Virtual server %s is already defined - ignoring", vs), Fix: "the first is at " + first.String(),
				})
				continue
			}
			seen[key] = vs.Pos
			d.cfg.VirtualServers = append(d.cfg.VirtualServers, vs.VirtualServer)
		}
	}
}

// serviceKey is what identifies a service to the kernel.
type serviceKey struct {
	group    string
	family   Family
	protocol Protocol
	addr     netip.AddrPort
	fwmark   uint32
}

// virtualServer settles one virtual server; ok is false if there is nothing to
// balance.
func (d *decoder) virtualServer(vs *virtualServer, groups map[string]*ServerGroup) (ok bool) {
	warn := func(code, format string, args ...any) { d.atPlace(vs.at, code, format, args...) }
	var group *ServerGroup
	if vs.Group != "" {
		if group = groups[vs.Group]; group == nil {
			d.reportAt(vs.at, Diagnostic{
				Severity: Error, Class: ClassNone, Code: "no-group",
				Message: fmt.Sprintf("Virtual server group %s specified but not configured - ignoring virtual server %s", printable(vs.Group), vs),
				Fix:     "define it with virtual_server_group",
			})
			return false
		}
	}
	if len(vs.real) == 0 {
		warn("no-real-server", "Virtual server %s has no real servers - ignoring", vs)
		return false
	}
	switch {
	case vs.FWMark != 0 && vs.Protocol != NoProtocol:
		warn("fwmark-protocol", "Warning: Virtual server %s: protocol specified for fwmark - protocol will be ignored", vs)
		vs.Protocol = NoProtocol
	case vs.FWMark == 0 && vs.Protocol == NoProtocol:
		warn("no-protocol", "Virtual server %s: no protocol set - defaulting to UDP", vs)
		vs.Protocol = UDP
	}
	if !vs.given.any(root().words["virtual_server"].block, "lb_algo", "lvs_sched") {
		warn("no-scheduler", "Virtual server %s: no scheduler set, setting default 'wlc'", vs)
	}
	if vs.OnePacket && vs.FWMark == 0 && vs.Protocol != UDP {
		warn("one-packet", "Virtual server %s: one packet scheduling requires UDP - resetting", vs)
		vs.OnePacket = false
	}
	if vs.Persistence == 0 && vs.anyPort(group) {
		warn("any-port", "Virtual server %s: zero port only valid for persistent services - setting", vs)
		vs.Persistence = defaultPersistence
	}
	if vs.Persistence == 0 && vs.PersistenceEngine != "" {
		d.reportAt(vs.at, Diagnostic{
			Severity: Warning, Class: ClassNone, Code: "engine-alone",
			Message: fmt.Sprintf("Virtual server %s: persistence_engine has no effect without persistence_timeout - ignoring", vs),
		})
		vs.PersistenceEngine = ""
	}
	vs.Forward = vs.forward.v
	vs.SMTPAlert = vs.smtpAlert.or(d.alertOr(false))
	vs.Defaults = d.servers.defaults.of(vs.times.defaults())
	d.sorryServer(vs)
	d.family(vs, group)
	if vs.RealServers = d.realServers(vs); len(vs.RealServers) == 0 {
		warn("no-real-server", "Virtual server %s has no real servers - ignoring", vs)
		return false
	}
	d.quorum(vs)
	return true
}

// anyPort reports whether a service without a port is asked for.
func (v *VirtualServer) anyPort(group *ServerGroup) bool {
	if v.Addr.IsValid() {
		return v.Port == 0
	}
	if group != nil {
		for _, e := range group.Entries {
			if e.First.IsValid() && e.Port == 0 {
				return true
			}
		}
	}
	return false
}

func (d *decoder) sorryServer(vs *virtualServer) {
	if vs.Sorry == nil {
		return
	}
	vs.Sorry.Forward = vs.sorryForward.or(vs.Forward)
	if vs.Sorry.Forward.Method == ForwardNAT {
		return
	}
	if want := vs.Port; vs.Group == "" && vs.Sorry.Port != want {
		d.atPlace(vs.sorryAt, "server-port", "WARNING - virtual server %s and sorry server ports don't match - resetting", vs)
		vs.Sorry.Port = want
	}
}

// family settles the family of a virtual server and drops servers that are of
// another one. Only a tunnel can lead into the other family.
func (d *decoder) family(vs *virtualServer, group *ServerGroup) {
	if group != nil && vs.Family == 0 {
		switch v4, v6, _ := group.families(); {
		case v4 && !v6:
			vs.Family = IPv4
		case v6 && !v4:
			vs.Family = IPv6
		}
	}
	var tunnelled Family // of all tunnelled servers; 0: none, or several
	mixed := false
	fits := func(f Forward, addr netip.Addr) bool {
		family := familyOf(addr)
		if f.Method == ForwardTunnel {
			mixed = mixed || tunnelled != 0 && tunnelled != family
			tunnelled = family
			return true
		}
		if vs.Family == 0 {
			vs.Family = family
		}
		return vs.Family == family
	}
	kept := vs.real[:0]
	for _, rs := range vs.real {
		if !fits(rs.forward.or(vs.Forward), rs.Addr) {
			d.atPlace(rs.at, "server-family", "Address family of virtual server and real server %s don't match - skipping real server.", rs.Addr)
			continue
		}
		kept = append(kept, rs)
	}
	vs.real = kept
	if s := vs.Sorry; s != nil && !fits(s.Forward, s.Addr) {
		d.atPlace(vs.sorryAt, "server-family", "Address family of virtual server and sorry server %s don't match - skipping sorry server.", s.Addr)
		vs.Sorry = nil
	}
	if vs.Family == 0 {
		vs.Family = IPv4
		if !mixed && tunnelled != 0 {
			vs.Family = tunnelled
		}
	}
}

// realServers settles the real servers of vs.
func (d *decoder) realServers(vs *virtualServer) []*RealServer {
	seen := make(map[netip.AddrPort]bool, len(vs.real))
	list := make([]*RealServer, 0, len(vs.real))
	checks := make([]*Check, 0, len(vs.checks))
	words := root().words["virtual_server"].block.words["real_server"].block
	defer func() { d.servers.vs, d.servers.rs, d.servers.check = nil, nil, nil }()
	noMethod := false
	for _, rs := range vs.real {
		if !rs.forward.set && !vs.forward.set && !noMethod {
			noMethod = true
			d.atPlace(vs.at, "no-method", "Virtual server %s: no forwarding method set, setting default NAT", vs)
		}
		rs.Forward = rs.forward.or(vs.Forward)
		d.realPort(vs, rs)
		key := netip.AddrPortFrom(rs.Addr, rs.Port)
		if seen[key] {
			d.atPlace(rs.at, "server-twice", "VS %s: real server %s is duplicated - removing second rs", vs, vs.Endpoint(rs.Addr, rs.Port))
			continue
		}
		seen[key] = true
		d.servers.vs, d.servers.rs = vs, rs
		words.inherit(d)
		rs.SMTPAlert = rs.smtpAlert.or(d.alertOr(true))
		times := rs.times.inherit(words, vs.times)
		rs.Defaults = d.servers.defaults.of(times.defaults())
		n := len(checks)
		for _, c := range vs.checks[rs.checks[0]:rs.checks[1]] {
			if d.resolveCheck(c, times, rs, vs) {
				checks = append(checks, &c.Check)
			}
		}
		rs.Checks = checks[n:len(checks):len(checks)]
		list = append(list, &rs.RealServer)
	}
	vs.real, vs.checks = nil, nil
	return list
}

// realPort settles the port of a real server. Only NAT can change it.
func (d *decoder) realPort(vs *virtualServer, rs *realServer) {
	rs.Port = rs.port.or(vs.Port)
	if rs.Forward.Method == ForwardNAT || !rs.port.set || rs.Port == vs.Port {
		return
	}
	name := vs.Endpoint(rs.Addr, rs.Port)
	switch {
	case vs.FWMark != 0:
		d.atPlace(rs.at, "fwmark-port", "WARNING - fwmark virtual server %s, real server %s has port specified - clearing", vs, name)
	case vs.Group != "":
		d.groupPort(vs, rs, name)
		return
	default:
		d.atPlace(rs.at, "server-port", "WARNING - virtual server %s and real server %s ports don't match - resetting", vs, name)
	}
	rs.Port = vs.Port
}

// groupPort compares the port of a real server with those of the group.
func (d *decoder) groupPort(vs *virtualServer, rs *realServer, name string) {
	i := slices.IndexFunc(d.servers.groups, func(g *serverGroup) bool { return g.Name == vs.Group })
	if i < 0 {
		return
	}
	for _, e := range d.servers.groups[i].Entries {
		switch {
		case e.FWMark != 0:
			d.atPlace(rs.at, "fwmark-port", "WARNING - fwmark virtual server %s, real server %s has port specified - port will be ignored", vs, name)
			return
		case e.Port != rs.Port:
			d.atPlace(rs.at, "server-port", "virtual server %s:[%s,%d] and real server %s ports don't match", vs, e.First, e.Port, name)
			return
		}
	}
}

// quorum bounds the quorum by what the real servers can reach.
func (d *decoder) quorum(vs *virtualServer) {
	total := uint64(0)
	for i := range vs.RealServers {
		total += uint64(vs.RealServers[i].Weight)
	}
	if uint64(vs.Quorum) > total {
		d.atPlace(vs.at, "quorum", "Warning - quorum %d for %s exceeds total weight of real servers %d, reducing quorum to %d", vs.Quorum, vs, total, total)
		vs.Quorum = uint32(total)
	}
	if vs.Hysteresis != 0 && vs.Hysteresis >= vs.Quorum {
		most := max(vs.Quorum, 1) - 1
		d.atPlace(vs.at, "hysteresis", "Virtual server %s: hysteresis %d >= quorum %d; setting hysteresis to %d", vs, vs.Hysteresis, vs.Quorum, most)
		vs.Hysteresis = most
	}
}

// resolveCheck settles one check; ok is false if it cannot run.
func (d *decoder) resolveCheck(c *check, outer checkTimes, rs *realServer, vs *virtualServer) (ok bool) {
	t := c.times.inherit(c.words, outer)
	d.servers.check = c
	c.words.inherit(d)
	timing := CheckTiming{DelayLoop: t.period(loopTime, 0), Warmup: t.period(warmupTime, 0)}
	retry, before := int64(1), time.Second
	ok = true
	switch c.Kind {
	case CheckHTTP, CheckSSL:
		before = 3 * time.Second
	case CheckDNS:
		retry, before = 3, timing.DelayLoop
	case CheckMisc:
		retry = 0
		if c.Misc.Timeout == 0 {
			c.Misc.Timeout = timing.DelayLoop
		}
	case CheckBFD:
		ok = d.checkBFD(c, rs, vs)
	case CheckFile:
		ok = d.checkFile(c)
	}
	timing.Retry, timing.DelayBeforeRetry = int(t.of(retryTime, retry)), t.period(beforeTime, before)
	c.CheckTiming = d.servers.timing.of(timing)
	if c.Connect != nil {
		d.connection(c, t, rs)
	}
	if c.HTTP != nil {
		for _, u := range c.urls {
			if u.Host == "" {
				u.Host = cmp.Or(c.host, rs.VirtualHost, vs.VirtualHost)
			}
			u.TLSCompliant = u.tls.or(c.tls.v)
			c.HTTP.URLs = append(c.HTTP.URLs, u.URL)
		}
	}
	return ok
}

func (d *decoder) connection(c *check, t checkTimes, rs *realServer) {
	to := c.Connect
	if !to.Addr.IsValid() {
		to.Addr = rs.Addr
	}
	// With DR, TUN or a mark the server has the port of the service. The check still
	// needs the one that the user wrote: a mark has none.
	to.Port = cmp.Or(c.port.v, rs.port.v, rs.Port)
	to.Timeout = t.period(timeoutTime, 0)
	if to.Bind.IsValid() && to.Bind.Is4() != to.Addr.Is4() {
		d.atPlace(c.at, "bind-family", "bindto address %s does not match address family of connect_ip - skipping", to.Bind)
		to.Bind = netip.Addr{}
	}
}

// alertOr is whether health checks send mail, or a default.
func (d *decoder) alertOr(def bool) bool { return d.global.alertChecker.or(d.global.alert.or(def)) }

func (d *decoder) checkBFD(c *check, rs *realServer, vs *virtualServer) bool {
	b := d.bfdNamed(c.BFD.Name)
	if b == nil || !b.Checker {
		d.atPlace(c.at, "no-bfd", "(%s) BFD_CHECK - BFD %s not configured", vs.Endpoint(rs.Addr, rs.Port), printable(c.BFD.Name))
		return false
	}
	return true
}

func (d *decoder) checkFile(c *check) bool {
	f := d.tracked.defined[trackerKey{TrackedFile, c.File.File}]
	if f == nil {
		d.atPlace(c.at, "no-tracker", "track_file %s not found - ignoring FILE_CHECK", printable(c.File.File))
		return false
	}
	f.tracked = true
	c.File.Weight, c.File.Reverse = c.file.or(*f.weight), c.fileReverse.or(*f.reverse)
	return true
}

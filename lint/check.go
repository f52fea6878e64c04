package lint

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
)

// Host is what a configuration is to run on. The zero value is a host no one
// knows anything about.
type Host struct {
	// CheckCommand reports why a command cannot be run, or not safely, under a
	// policy; the error gives the remedy. One with a method Insecure that
	// returns true means that users other than root could change what root would run.
	CheckCommand func(c conf.Command, p conf.ScriptPolicy) error
	// Networks are the addresses of an interface with their prefix lengths.
	Networks func(iface string) []netip.Prefix
	// Holder is the interface that has an address, unless a VRRP daemon has set it;
	// empty: none.
	Holder func(netip.Addr) string
	// Sysctl is the value of a setting of the kernel, such as net ipv4 ip_forward;
	// empty: it is not known.
	Sysctl func(name ...string) string
}

// Check finds what is legal and yet wrong in the configuration of one node,
// sorted by place.
func Check(c *conf.Config, h Host) conf.Diagnostics {
	l := &linter{Config: c, host: h, virtual: make(map[netip.Addr]*conf.VRRPInstance)}
	for _, in := range c.Instances {
		for a := range addresses(in) {
			l.virtual[a.Prefix.Addr()] = in
		}
	}
	l.nothing()
	l.sharedVRIDs()
	l.madeLinks()
	groups := groupsOf(c)
	for _, in := range c.Instances {
		l.addresses(in)
		l.ownership(in)
		l.partners(in)
		l.announcements(in)
		if in.Routing != nil {
			l.routeSources(in.Routing.Routes)
		}
		l.weights(in, terms(in, groups[in.Name]))
	}
	l.routeSources(c.StaticRoutes)
	l.scripts()
	l.mail()
	l.sessions()
	for _, v := range c.VirtualServers {
		l.virtualServer(v)
	}
	return l.sorted()
}

// nothing finds files without any block that the daemon acts on.
func (l *linter) nothing() {
	c := l.Config
	if len(c.Instances) == 0 && !c.HasVirtualServers && !c.HasBFD && len(c.StaticAddresses)+len(c.StaticRoutes)+len(c.StaticRules) == 0 {
		l.found("nothing-configured", conf.Pos{File: c.Path}, "nothing is configured: the daemon would run and protect nothing", "write a vrrp_instance")
	}
}

// linter checks one configuration.
type linter struct {
	*conf.Config
	findings
	host    Host
	virtual map[netip.Addr]*conf.VRRPInstance // who holds an address
}

// sorted is the list by file, line and column.
func (f *findings) sorted() conf.Diagnostics {
	slices.SortStableFunc(f.list, func(a, b conf.Diagnostic) int {
		return cmp.Or(
			cmp.Compare(a.Pos.File, b.Pos.File),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return f.list
}

// addresses yields all addresses of a virtual router.
func addresses(in *conf.VRRPInstance) func(func(*conf.Address) bool) {
	return func(yield func(*conf.Address) bool) {
		for _, list := range [][]conf.Address{in.Addresses, in.Excluded} {
			for i := range list {
				if !yield(&list[i]) {
					return
				}
			}
		}
	}
}

// groupsOf is the sync group of each instance that has one.
func groupsOf(c *conf.Config) map[string]*conf.SyncGroup {
	m := make(map[string]*conf.SyncGroup)
	for _, g := range c.SyncGroups {
		for _, name := range g.Members {
			m[name] = g
		}
	}
	return m
}

// terms are the trackers that count for an instance of a group or of none.
func terms(in *conf.VRRPInstance, g *conf.SyncGroup) []conf.Track {
	if g == nil {
		return in.Track
	}
	return slices.Concat(in.Track, g.Track)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%g s", d.Seconds()) }

// sharedVRIDs finds what conf lets pass: one VRID on one link, to destinations
// that differ.
func (l *linter) sharedVRIDs() {
	type key struct {
		link   string
		family conf.Family
		vrid   uint8
	}
	seen := make(map[key]*conf.VRRPInstance, len(l.Instances))
	for _, in := range l.Instances {
		k := key{in.Interface, in.Family, in.VRID}
		first := seen[k]
		if first == nil || in.Interface == "" {
			seen[k] = in
			continue
		}
		l.found("vrid-shared", in.Pos,
			fmt.Sprintf("(%s) has virtual_router_id %d on %s, and so has %s", in.Name, in.VRID, in.Interface, first.Name),
			"give one of them another virtual_router_id", other(first.Pos, "%s is", first.Name))
	}
}

// madeLinks finds links that the kernel does not make above the same interface, or makes
// otherwise.
func (l *linter) madeLinks() {
	type maker struct {
		*conf.VRRPInstance
		link policy.MadeLink
	}
	all, firsts := policy.MadeLinks(l.Config), map[string]maker{}
	for _, in := range l.Instances {
		for _, m := range all[in.Name] {
			first, known := firsts[m.Base]
			switch {
			case !known:
				firsts[m.Base] = maker{in, m}
			case first.link.Kind != m.Kind:
				l.found("links-mixed", in.Pos,
					fmt.Sprintf("(%s) has %v above %s, and %s has %v", in.Name, m.Kind, m.Base, first.Name, first.link.Kind),
					"use the same for all above one interface", other(first.Pos, "%s is", first.Name))
			case m.Kind == conf.LinkIPVLAN && in.Link.Mode != m.Mode:
				l.found("ipvlan-modes", in.Pos,
					fmt.Sprintf("(%s) has an ipvlan of mode %v above %s, whose mode is that of %s: %v", in.Name, in.Link.Mode, m.Base, first.Name, m.Mode),
					fmt.Sprintf("write %v", m.Mode), other(first.Pos, "%s is", first.Name))
			}
		}
	}
}

// addresses looks at the virtual addresses of an instance.
func (l *linter) addresses(in *conf.VRRPInstance) {
	lengths := false // once is enough
	known := l.networks(in)
	for a := range addresses(in) {
		p := a.Prefix
		if p.Addr().Is4() && p.Bits() < 31 && (p.Addr() == p.Masked().Addr() || p.Addr() == broadcast(p)) {
			l.found("address-of-network", a.Pos,
				fmt.Sprintf("(%s) %s is not a host address in %s", in.Name, p.Addr(), p.Masked()),
				"write a host address, or the intended prefix length")
		}
		if lengths {
			continue
		}
		if net, of := around(a, known); of != "" {
			lengths = true
			l.found("prefix-length", a.Pos,
				fmt.Sprintf("(%s) %s is in %s, the network of %s", in.Name, p, net, of),
				fmt.Sprintf("write %s/%d", p.Addr(), net.Bits()))
		}
	}
}

// broadcast is the last address of an IPv4 network.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Masked().Addr().As4()
	for bit := p.Bits(); bit < 32; bit++ {
		b[bit/8] |= 0x80 >> (bit % 8)
	}
	return netip.AddrFrom4(b)
}

// network is a network on an interface, and whose it is: the interface's, or
// that of a virtual address there.
type network struct {
	iface  string
	prefix netip.Prefix
	whose  string
}

// networks are the networks that the addresses of an instance may be in. What the
// host reports comes first.
func (l *linter) networks(in *conf.VRRPInstance) []network {
	var known []network
	seen := make(map[string]bool)
	if l.host.Networks != nil {
		for a := range addresses(in) {
			if seen[a.Interface] {
				continue
			}
			seen[a.Interface] = true
			for _, p := range l.host.Networks(a.Interface) {
				if l.virtual[p.Addr()] == nil && !p.IsSingleIP() {
					known = append(known, network{a.Interface, p.Masked(), a.Interface})
				}
			}
		}
	}
	distinct := make(map[network]bool)
	for a := range addresses(in) {
		n := network{a.Interface, a.Prefix.Masked(), ""}
		if !a.Prefix.IsSingleIP() && !distinct[n] {
			distinct[n] = true
			n.whose = a.Prefix.Addr().String()
			known = append(known, n)
		}
	}
	return known
}

// around is the smallest network of its interface that an address is in, if its
// prefix length is another than that of the address, and whose it is. Where the
// host knows one, that counts.
func around(a *conf.Address, known []network) (net netip.Prefix, of string) {
	addr := a.Prefix.Addr()
	if addr.IsLinkLocalUnicast() || a.Peer.IsValid() {
		return net, ""
	}
	fromHost := false
	for _, n := range known {
		host := n.whose == n.iface
		if n.iface != a.Interface || !n.prefix.Contains(addr) || fromHost && !host {
			continue
		}
		if of == "" || n.prefix.Bits() > net.Bits() {
			net, of, fromHost = n.prefix, n.whose, host
		}
	}
	if net.Bits() == a.Prefix.Bits() {
		return net, ""
	}
	return net, of
}

// ownership looks whether an address owner has an address.
func (l *linter) ownership(in *conf.VRRPInstance) {
	if in.Priority != vrrp.PriorityOwner || l.host.Networks == nil {
		return
	}
	for a := range addresses(in) {
		held := l.host.Networks(a.Interface)
		if len(held) == 0 || slices.ContainsFunc(held, func(p netip.Prefix) bool { return p.Addr() == a.Prefix.Addr() }) {
			return // nothing is known, or it has one
		}
	}
	l.found("owner-without-address", in.Pos,
		fmt.Sprintf("(%s) has priority 255, which means address owner, but %s has none of its addresses of its own", in.Name, cmp.Or(in.Interface, "the node")),
		"write a priority of 254 or less, unless the node owns the addresses")
}

// partners looks at where an instance sends adverts from and to, and when.
func (l *linter) partners(in *conf.VRRPInstance) {
	if owner := l.virtual[in.SourceIP]; owner != nil && in.SourceIP.IsValid() {
		l.found("source-is-virtual", in.Pos,
			fmt.Sprintf("(%s) adverts come from %s, a virtual address of %s", in.Name, in.SourceIP, owner.Name),
			"write an address that the node always has")
	}
	for _, p := range in.Peers {
		if owner := l.virtual[p.Addr]; owner != nil {
			l.found("peer-is-virtual", in.Pos,
				fmt.Sprintf("(%s) the peer %s is a virtual address of %s", in.Name, p.Addr, owner.Name),
				"write an address that the peer always has")
		}
	}
	if in.DownTimerAdverts == 1 {
		l.found("single-advert", in.Pos,
			fmt.Sprintf("(%s) with down_timer_adverts 1 one lost advert makes a backup take over", in.Name),
			"write 2 or more; 3 is the default")
	}
}

// announcements looks at gratuitous ARPs and neighbour advertisements.
func (l *linter) announcements(in *conf.VRRPInstance) {
	g := in.GARP
	if g.Refresh > 0 && g.Refresh <= g.Delay {
		l.found("announcements-overlap", in.Pos,
			fmt.Sprintf("(%s) garp_master_refresh (%s) comes before garp_master_delay (%s)", in.Name, seconds(g.Refresh), seconds(g.Delay)),
			"refresh less often than the delay")
	}
	var round time.Duration
	for a := range addresses(in) {
		if a.Prefix.Addr().Is4() {
			round += g.Interval
		} else {
			round += g.NAInterval
		}
	}
	switch {
	case g.Refresh > 0 && round*time.Duration(g.RefreshRepeat) > g.Refresh:
		l.found("announcements-slow", in.Pos,
			fmt.Sprintf("(%s) announcing its addresses takes %s, and starts again every %s (garp_master_refresh)",
				in.Name, seconds(round*time.Duration(g.RefreshRepeat)), seconds(g.Refresh)),
			"shorten garp_interval or gna_interval, or refresh less often")
	case g.Delay > 0 && round*time.Duration(g.Repeat) > g.Delay:
		l.found("announcements-slow", in.Pos,
			fmt.Sprintf("(%s) the first announcement of its addresses takes %s; the second begins after %s (garp_master_delay)",
				in.Name, seconds(round*time.Duration(g.Repeat)), seconds(g.Delay)),
			"shorten garp_interval or gna_interval, or lower garp_master_repeat")
	}
}

// masterDown is the longest time after which a backup takes over (RFC 9568, 6.1).
func masterDown(in *conf.VRRPInstance) time.Duration {
	return time.Duration(in.DownTimerAdverts+1) * in.AdvertInterval
}

// weights looks at what the trackers of an instance can do.
func (l *linter) weights(in *conf.VRRPInstance, trackers []conf.Track) {
	owner := in.Priority == vrrp.PriorityOwner
	weighted := ""
	for i, t := range trackers {
		if t.Weight == 0 {
			continue
		}
		if weighted == "" {
			weighted = t.Kind.String() + " " + t.Name
		}
		up := policy.Evaluate(in.Priority, owner, statuses(trackers, -1))
		down := policy.Evaluate(in.Priority, owner, statuses(trackers, i))
		if !down.Fault && up.Priority == down.Priority {
			why := fmt.Sprintf("%d, whether it fails or not: %s", up.Priority, arithmetic(&up, &down))
			if owner {
				why = "255, that of an address owner"
			}
			l.found("weight-without-effect", t.Pos,
				fmt.Sprintf("(%s) %v %s of weight %d changes nothing; the priority stays %s", in.Name, t.Kind, t.Name, t.Weight, why),
				"give the instance another priority, or the tracker weight 0, so that its failure causes FAULT",
				other(in.Pos, "%s is", in.Name))
		}
		l.slowAdverts(in, t)
	}
	if weighted != "" && in.NoPreempt {
		l.found("weight-and-nopreempt", in.Pos,
			fmt.Sprintf("(%s) with nopreempt this node does not take over from a master whose priority %s lowers", in.Name, weighted),
			"use weight 0, so that a failure causes FAULT")
	}
}

func arithmetic(up, down *policy.Outcome) string {
	if a := down.Arithmetic(); len(a) > len(up.Arithmetic()) {
		return a
	}
	return up.Arithmetic()
}

// script is a defined script, or nil.
func (l *linter) script(name string) *conf.Script {
	if i := slices.IndexFunc(l.Scripts, func(s *conf.Script) bool { return s.Name == name }); i >= 0 {
		return l.Scripts[i]
	}
	return nil
}

func (l *linter) slowAdverts(in *conf.VRRPInstance, t conf.Track) {
	if t.Kind != conf.TrackedScript {
		return
	}
	s := l.script(t.Name)
	if s == nil {
		return
	}
	if notice := s.Interval * time.Duration(s.Fall); in.AdvertInterval > notice && in.AdvertInterval > time.Second {
		l.found("advert-slow", t.Pos,
			fmt.Sprintf("(%s) script %s notices a failure within %s, but the other nodes learn the new priority from the next advert, up to %s later",
				in.Name, t.Name, seconds(notice), seconds(in.AdvertInterval)),
			"shorten advert_int, or use weight 0, so that the node gives way at once")
	}
}

// scripts looks at what is run: by trackers, and to report changes.
func (l *linter) scripts() {
	// fastest is how soon a backup could act on each script.
	fastest := make(map[string]*conf.VRRPInstance)
	groups := groupsOf(l.Config)
	for _, in := range l.Instances {
		for _, t := range terms(in, groups[in.Name]) {
			if t.Kind == conf.TrackedScript && (fastest[t.Name] == nil || masterDown(in) < masterDown(fastest[t.Name])) {
				fastest[t.Name] = in
			}
		}
	}
	for _, s := range l.Scripts {
		if in := fastest[s.Name]; in != nil {
			if notice := s.Interval * time.Duration(s.Fall); notice > 3*masterDown(in) {
				l.found("script-slow", s.Pos,
					fmt.Sprintf("script %s needs up to %s to notice a failure (interval × fall); the failover of %s takes at most %s",
						s.Name, seconds(notice), in.Name, seconds(masterDown(in))),
					"shorten interval, or lower fall")
			}
		}
		if s.Timeout > s.Interval {
			l.found("script-timeout", s.Pos,
				fmt.Sprintf("script %s may run for %s (timeout), but it is due every %s (interval)", s.Name, seconds(s.Timeout), seconds(s.Interval)),
				"set timeout to at most interval")
		}
	}
	if l.host.CheckCommand == nil || l.Global.Scripts.Secure {
		return // unknown, or conf has looked
	}
	secure := l.Global.Scripts
	secure.Secure = true
	if secure.User == "" && l.host.CheckCommand(conf.Command{}, secure) != nil {
		secure.User = "root" // there is no account that would be the default
	}
	for c := range l.commands() {
		if l.host.CheckCommand(*c, l.Global.Scripts) != nil {
			continue // it is not run at all, which conf reports
		}
		var p interface{ Insecure() bool }
		if err := l.host.CheckCommand(*c, secure); errors.As(err, &p) && p.Insecure() {
			l.found("script-writable", c.Pos, err.Error(), "")
		}
	}
}

// commands yields all commands of the configuration.
func (l *linter) commands() func(func(*conf.Command) bool) {
	var all []*conf.Command
	g := &l.Global
	all = append(all, &g.Startup, &g.Shutdown, &g.FIFO.Script, &g.VRRPFIFO.Script, &g.LVSFIFO.Script)
	for _, s := range l.Scripts {
		all = append(all, &s.Command)
	}
	notify := func(n *conf.Notify) {
		if n != nil {
			all = append(all, &n.Any, &n.Master, &n.Backup, &n.Fault, &n.Stop, &n.Deleted, &n.MasterRxLowerPri)
		}
	}
	for _, in := range l.Instances {
		notify(in.Notify)
	}
	for _, s := range l.SyncGroups {
		notify(s.Notify)
	}
	for _, v := range l.VirtualServers {
		all = append(all, &v.QuorumUp, &v.QuorumDown)
		for _, r := range v.RealServers {
			for _, c := range []*conf.Command{r.NotifyUp, r.NotifyDown} {
				if c != nil {
					all = append(all, c)
				}
			}
			for _, c := range r.Checks {
				if c.Misc != nil {
					all = append(all, &c.Misc.Command)
				}
			}
		}
	}
	return func(yield func(*conf.Command) bool) {
		for _, c := range all {
			if c.Given() && !yield(c) {
				return
			}
		}
	}
}

// mail looks whether mail can be sent and is.
func (l *linter) mail() {
	m := &l.Global.Mail
	at := conf.Pos{File: l.Path}
	switch {
	case len(m.To) == 0 && m.Server == "":
		return
	case m.Server == "":
		l.found("mail-incomplete", at, "notification_email is set but not smtp_server: no mail is sent", "write smtp_server in global_defs")
		return
	case len(m.To) == 0:
		l.found("mail-incomplete", at, "smtp_server is set but not notification_email: no mail is sent", "write notification_email in global_defs")
		return
	}
	wanted := func(n *conf.Notify) bool { return n != nil && n.SMTPAlert }
	if slices.ContainsFunc(l.Instances, func(in *conf.VRRPInstance) bool { return wanted(in.Notify) }) ||
		slices.ContainsFunc(l.SyncGroups, func(g *conf.SyncGroup) bool { return wanted(g.Notify) }) ||
		slices.ContainsFunc(l.VirtualServers, func(v *conf.VirtualServer) bool {
			return v.SMTPAlert || slices.ContainsFunc(v.RealServers, func(r *conf.RealServer) bool { return r.SMTPAlert })
		}) {
		return
	}
	l.found("mail-unused", at, "mail goes to "+m.To[0]+", but nothing requests it", "write smtp_alert in global_defs, or in the blocks that should send mail")
}

// sessions finds BFD sessions that nothing uses.
func (l *linter) sessions() {
	used := make(map[string]bool)
	mark := func(list []conf.Track) {
		for _, t := range list {
			if t.Kind == conf.TrackedBFD {
				used[t.Name] = true
			}
		}
	}
	for _, in := range l.Instances {
		mark(in.Track)
		for _, name := range in.BFDPeers {
			used[name] = true
		}
	}
	for _, g := range l.SyncGroups {
		mark(g.Track)
	}
	for _, v := range l.VirtualServers {
		for _, r := range v.RealServers {
			for _, c := range r.Checks {
				if c.BFD != nil {
					used[c.BFD.Name] = true
				}
			}
		}
	}
	for _, b := range l.BFDInstances {
		if !used[b.Name] {
			l.found("bfd-unused", b.Pos, "bfd_instance "+b.Name+" affects nothing", "name it in track_bfd, bfd_peer or BFD_CHECK, or remove it")
		}
	}
}

// routeSources looks whether routes have a source address from which nothing is sent.
func (l *linter) routeSources(routes []conf.Route) {
	for i := range routes {
		r := &routes[i]
		if in := l.virtual[r.Source]; in != nil && policy.Drops(in) {
			l.found("unaccepted-source", r.Pos,
				fmt.Sprintf("packets by the route to %v would leave from %v, and are dropped: %s accepts no packets to it", r.Destination, r.Source, in.Name),
				"write accept in "+in.Name+", or another src", other(in.Pos, "%s is", in.Name))
		}
	}
}

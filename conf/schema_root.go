package conf

import (
	"cmp"
	"sync"
	"time"
)

// root is the vocabulary of the outermost level, and with it the whole language.
var root = sync.OnceValue(func() *block {
	b := vocabulary("")
	// The pipeline acts on include lines of files; anywhere else the word is
	// unknown. Here they are declared for the manual only.
	b.order = append(b.order,
		kw("include", word("GLOB"), "", "read the files that match; names are relative to the directory of the including file"),
		kw("includer", word("GLOB"), "", "like include, and every file found must be readable"),
		kw("includem", word("GLOB"), "", "like includer, and a name without wildcards must exist"),
		kw("includew", word("GLOB"), "", "like includem, and a pattern must match a file"),
		kw("includeb", word("GLOB"), "", "like includer, and each alternative in braces must match a file"),
		kw("includea", word("GLOB"), "", "like include, with all of these checks"),
	)
	b.add(
		text("net_namespace", word("NAME").soft("net_namespace name missing - ignoring"), "that of the caller", "network namespace to run in", func(g *Global) *string { return &g.NetNamespace }),
		kw("net_namespace_ipvs", word("NAME").opt(), sibling("net_namespace").as("that of net_namespace; without a name that of process 1"), "network namespace for IPVS").
			sets(func(d *decoder, a *argument) {
				if d.global.ipvsNamespace.set {
					d.wrong(a.Statement, 0, "word-twice", "Duplicate net_namespace_ipvs definition %s - ignoring", printable(a.text))
					return
				}
				d.global.ipvsNamespace.put(cmp.Or(d.intern(a.text), FirstNamespace))
			}).shows(shown(func(g *Global) *string { return &g.NetNamespaceIPVS })).place(),
		switched("namespace_with_ipsets", bare(), "use address sets of the firewall even in a namespace", func(g *Global) *bool { return &g.NamespaceWithIPSets }),
		kw("instance", word("NAME").soft("instance name missing - ignoring"), "", "name of this daemon if several run; added to pid file names and log lines").
			sets(func(d *decoder, a *argument) {
				if d.cfg.Global.InstanceName != "" {
					d.wrong(a.Statement, 1, "word-twice", "Duplicate instance definition %s - ignoring", printable(a.text))
					return
				}
				d.cfg.Global.InstanceName = d.intern(a.text)
			}).fills(inGlobal(func(g *Global) *string { return &g.InstanceName })),
		switched("use_pid_dir", bare(), "keep pid files in their own directory", func(g *Global) *bool { return &g.UsePidDir }),
		kw("child_wait_time", number(0, 1<<32-1).as("SECS"), "5", "time for processes to end at a stop, and for scripts and FIFO readers to end after SIGTERM").
			fills(inGlobal(func(g *Global) *time.Duration { return &g.ChildWait })),
		kw("linkbeat_use_polling", bare(), "off", "poll the link state of all interfaces rather than rely on events of the kernel").
			sets(func(d *decoder, a *argument) { d.global.poll = true }),
		kw("global_defs", braced(""), "", "settings of the daemon and defaults").holds(globalBlock()),
		kw("linkbeat_interfaces", braced("{ IFNAME [MII|ETHTOOL|IOCTL] }"), "", "interfaces whose link state is polled").
			holds(interfaceLines("linkbeat_interfaces", "IFNAME [MII|ETHTOOL|IOCTL]", "an interface, and the method to poll it", setLinkBeat)),
		kw("interface_up_down_delays", braced("{ IFNAME DOWN [UP] }"), "", "how long a link change must last before it counts").
			holds(interfaceLines("interface_up_down_delays", "IFNAME DOWN [UP]", "an interface and its delays in seconds, at most 255", setDelays)),
		kw("static_ipaddress", braced("{ ADDRESS }"), "", "addresses that always exist").holds(staticAddressBlock()),
		kw("static_routes", braced("{ ROUTE }"), "", "routes that always exist").holds(routeBlock("static_routes")),
		kw("static_rules", braced("{ RULE }"), "", "routing rules that always exist").holds(ruleBlock("static_rules")),
		kw("track_group", named("NAME {}").soft("track_group must have a name - skipping"), "", "static items whose loss is a fault of some instances").holds(trackGroupBlock()),
		kw("track_file", named("NAME {}"), "", "a file; the number in it changes priorities").holds(trackFileBlock("track_file")),
		kw("vrrp_track_file", named("NAME {}"), "", "old name of track_file").alias("track_file").holds(trackFileBlock("vrrp_track_file")),
		kw("vrrp_track_process", named("NAME {}"), "", "processes; the number of running ones changes priorities").holds(trackProcessBlock()),
		kw("vrrp_script", named("NAME {}"), "", "a command that runs periodically; its result changes priorities").holds(scriptBlock()),
		kw("bfd_instance", named("NAME {}").as("NAME {}"), "", "a BFD session").holds(bfdBlock()),
		kw("vrrp_sync_group", named("NAME {}").soft("vrrp_sync_group must have a name - skipping"), "", "instances that change state together").holds(syncGroupBlock()),
		kw("garp_group", braced("{}"), "", "interfaces that share delays between announcements").holds(garpGroupBlock()),
		kw("vrrp_instance", named("NAME {}").soft("vrrp_instance must have a name"), "", "a virtual router").holds(instanceBlock()),
		kw("virtual_server_group", named("NAME {}"), "", "addresses that form one service").holds(virtualServerGroupBlock()),
		kw("virtual_server", named("IP [PORT] | fwmark N | group NAME {}"), "", "a service balanced over real servers").holds(virtualServerBlock()),
		kw("SSL", braced("{}"), "", "certificates for SSL_GET checks").holds(sslBlock()),
	)
	all := make(map[string]*Keyword)
	b.index(all)
	b.link(nil, all)
	return b
})

func interfaceLines(path, args, doc string, set func(*decoder, *Statement, *InterfaceSettings)) *block {
	b := &block{path: path}
	return b.lines(func(d *decoder, s *Statement) {
		name := s.Words[0].Text
		if !d.hasInterface(name) {
			d.report(s, 0, Diagnostic{
				Severity: Error, Class: ClassCannotRun, Code: "no-interface",
				Message: "unknown interface " + printable(name) + " specified in " + path,
			})
		}
		set(d, s, d.settingsOf(d.intern(name), s.Pos(0)))
	}, &Keyword{Name: "IFNAME", Args: args, Doc: doc})
}

func staticAddressBlock() *block {
	b := &block{path: "static_ipaddress"}
	return b.lines(func(d *decoder, s *Statement) {
		if a, ok := d.address(s); ok {
			d.routing.static = append(d.routing.static, staticLine{s, a})
		}
	}, &Keyword{
		Name: "ADDRESS", Args: addressArgs + " [track_group NAME]", Initial: global("default_interface").as("/32 or /128 on default_interface"),
		Doc: "an address and its options, one per line",
	})
}

func trackGroupBlock() *block {
	members := &block{path: "track_group.group"}
	members.lines(func(d *decoder, s *Statement) {
		g := d.routing.groups[len(d.routing.groups)-1]
		for _, w := range s.Words {
			g.Instances = append(g.Instances, d.intern(w.Text))
		}
	}, &Keyword{Name: "INSTANCE", Args: "INSTANCE...", Doc: "name of a vrrp_instance"}).
		filled("Warning - track group has empty group block")
	b := vocabulary("track_group", kw("group", braced("{ INSTANCE... }"), "", "instances that depend on the group").holds(members).
		shows(shown(func(g *TrackGroup) *[]string { return &g.Instances })))
	b.open = func(d *decoder, s *Statement) bool {
		if len(s.Words) > 2 {
			d.wrong(s, 2, "group-name", "track_group must have a name - skipping")
			return false
		}
		name := d.intern(s.Words[1].Text)
		r := &d.routing
		if first := r.byName[name]; first != nil {
			d.wrong(s, 1, "group-twice", "track_group %s already defined; the first is at %v", printable(name), first.Pos)
			return false
		}
		g := &trackGroup{TrackGroup{Name: name, Pos: d.pos(s)}, s.Place(0)}
		if r.byName == nil {
			r.byName = make(map[string]*trackGroup)
		}
		r.byName[name] = g
		r.groups = append(r.groups, g)
		return true
	}
	return b
}

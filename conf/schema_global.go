package conf

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"keepalived-go/conf/syntax"
)

// globalBlock is what may stand in global_defs.
func globalBlock() *block {
	b := vocabulary("global_defs")
	b.given = func(d *decoder) *written { return &d.global.given }
	b.add(processWords()...)
	b.add(pageWords()...)
	b.add(mailWords()...)
	b.add(lvsWords()...)
	b.add(vrrpWords()...)
	b.add(garpWords("vrrp_garp_", "vrrp_garp_", func(d *decoder) *garpSettings { return &d.global.garp })...)
	b.add(firewallWords()...)
	b.add(bufferWords()...)
	b.add(fifoWords()...)
	b.add(snmpWords()...)
	b.add(dbusWords()...)
	b.add(fileWords()...)
	return b
}

// switched declares a word that turns a field of Global on, or off.
func switched(name string, a args, doc string, field func(*Global) *bool) *Keyword {
	return kw(name, a, "off", doc).fills(inGlobal(field))
}

func text[D string | Initial](name string, a args, def D, doc string, field func(*Global) *string) *Keyword {
	return kw(name, a, def, doc).fills(inGlobal(field))
}

// processName declares the name of a process, which the kernel limits.
func processName(name, def, of string, field func(*Global) *string) *Keyword {
	return kw(name, word("NAME"), def, "name of "+of+", at most 15 bytes").sets(func(d *decoder, a *argument) {
		v := a.text
		if len(v) > 15 {
			d.wrong(a.Statement, 1, "long-name", "Process name %s more than 15 characters, truncating", printable(v))
			v = v[:15]
		}
		*field(&d.cfg.Global) = d.intern(v)
	}).shows(shown(field))
}

// maxAutoPriority is what max_auto_priority sets: one word for all processes.
var maxAutoPriority = []Field{
	shown(func(g *Global) *int { return &g.VRRP.MaxAutoPriority }),
	shown(func(g *Global) *int { return &g.Checker.MaxAutoPriority }),
	shown(func(g *Global) *int { return &g.BFD.MaxAutoPriority }),
}

// processWords are the words about the processes themselves.
func processWords() []*Keyword {
	words := []*Keyword{
		text("router_id", word("STRING").soft("routerid name missing - ignoring"), "host name", "name of this node in mail subjects", func(g *Global) *string { return &g.RouterID }),
		kw("process_names", bare(), "off", "give each process its own name").sets(func(d *decoder, a *argument) {
			g := &d.cfg.Global
			g.ProcessNames, g.VRRPProcessName, g.CheckerProcessName, g.BFDProcessName = true, "", "", ""
		}).fills(inGlobal(func(g *Global) *bool { return &g.ProcessNames })),
		processName("process_name", "keepalived", "the parent", func(g *Global) *string { return &g.ProcessName }),
		processName("vrrp_process_name", "", "the VRRP process", func(g *Global) *string { return &g.VRRPProcessName }),
		processName("checker_process_name", "", "the health-check process", func(g *Global) *string { return &g.CheckerProcessName }),
		processName("lvs_process_name", "", "the health-check process", func(g *Global) *string { return &g.CheckerProcessName }).alias("checker_process_name"),
		processName("bfd_process_name", "", "the BFD process", func(g *Global) *string { return &g.BFDProcessName }),
		kw("max_auto_priority", number(-1, 99).opt(), "0", "highest real-time priority that a process scheduled too late gets automatically; 0: none; -1: none, and no advice is logged").
			sets(func(d *decoder, a *argument) {
				v := &d.cfg.Global.VRRP
				v.MaxAutoPriority = 99
				if a.given() {
					v.MaxAutoPriority = int(a.n)
				}
			}).shows(maxAutoPriority...),
		kw("min_auto_priority_delay", number(1, 10000000).as("USECS").soft("min_auto_priority_delay requires delay time"), "1000000", "lateness in microseconds that raises the priority").
			fills(inGlobal(func(g *Global) *time.Duration { return &g.VRRP.MinAutoPriorityDelay })).
			shows(
				shown(func(g *Global) *time.Duration { return &g.Checker.MinAutoPriorityDelay }),
				shown(func(g *Global) *time.Duration { return &g.BFD.MinAutoPriorityDelay }),
			),
		kw("umask", word("NUMBER|BITS"), "0177", "permissions removed from created files: octal, or names such as IRGRP|IWGRP or IRWXO").sets(setUmask).shows(shown(func(g *Global) *uint32 { return &g.Umask }).argument(0)),
		kw("random_seed", number(0, 1<<32-1), "the clock", "makes the values of ${_RANDOM} after it the same each time").seedsRandom().
			sets(func(d *decoder, a *argument) { d.cfg.Global.RandomSeed, d.cfg.Global.SeedSet = a.n, true }).
			shows(shown(func(g *Global) *int64 { return &g.RandomSeed })),
		kw("startup_script", cmd().soft("startup script missing"), "", "command that runs before anything else starts").
			sets(func(d *decoder, a *argument) {
				d.keep(&d.cfg.Global.Startup, a, "startup script", "startup script already specified")
			}).shows(shown(func(g *Global) *Command { return &g.Startup })),
		kw("startup_script_timeout", number(1, 1000).as("SECS").soft("startup_script_timeout requires value"), "10", "how long startup_script may take").
			fills(inGlobal(func(g *Global) *time.Duration { return &g.StartupTimeout })),
		kw("shutdown_script", cmd().soft("shutdown script missing"), "", "command that runs after everything has stopped").
			sets(func(d *decoder, a *argument) {
				d.keep(&d.cfg.Global.Shutdown, a, "shutdown script", "shutdown script already specified")
			}).shows(shown(func(g *Global) *Command { return &g.Shutdown })),
		kw("shutdown_script_timeout", number(1, 1000).as("SECS").soft("shutdown_script_timeout requires value"), "10", "how long shutdown_script may take").
			fills(inGlobal(func(g *Global) *time.Duration { return &g.ShutdownTimeout })),
		kw("script_user", several("USER [[:]GROUP]").soft("No script username specified"), depends("keepalived_script; without that account the daemon's user, or none with enable_script_security"), "user that runs scripts").
			sets(func(d *decoder, a *argument) {
				p := &d.cfg.Global.Scripts
				p.User, p.Group = d.userGroup(a)
				p.Group = strings.TrimPrefix(p.Group, ":")
				d.scripts.user = a.Place(1)
			}).shows(
			shown(func(g *Global) *string { return &g.Scripts.User }).argument(0),
			shown(func(g *Global) *string { return &g.Scripts.Group }).argument(0),
		),
		switched("no_control_socket", bare(), "open no control socket: keepalived status and its like have nobody to ask", func(g *Global) *bool { return &g.Control.Off }).own(),
		text("control_group", word("GROUP"), literal(ControlGroup), "group whose members may ask at the control socket, besides root", func(g *Global) *string { return &g.Control.Group }).own().place(),
		text("control_admin_group", word("GROUP"), "", "group whose members may ask at the control socket, and have something changed: reload and the like", func(g *Global) *string { return &g.Control.Admin }).own().place(),
		switched("enable_script_security", bare(), "refuse scripts that would run as root and that other users can change, and allow only keepalived_script as default user", func(g *Global) *bool { return &g.Scripts.Secure }),
		switched("use_symlink_paths", onOff(), "do not resolve symbolic links in script paths", func(g *Global) *bool { return &g.Scripts.SymlinkPaths }).newer(),
		switched("set_supplementary_groups", onOff(), "run scripts with all groups of their user", func(g *Global) *bool { return &g.Scripts.SupplementaryGroups }).newer(),
	}
	words = append(words, limitWords("vrrp", "VRRP", func(g *Global) *ProcessLimits { return &g.VRRP })...)
	words = append(words, limitWords("checker", "health-check", func(g *Global) *ProcessLimits { return &g.Checker })...)
	return append(words, limitWords("bfd", "BFD", func(g *Global) *ProcessLimits { return &g.BFD })...)
}

// limitWords are the scheduling and memory words of one process.
func limitWords(prefix, of string, limits func(*Global) *ProcessLimits) []*Keyword {
	own := func(k *Keyword, f func(*decoder, *argument, *ProcessLimits)) *Keyword {
		return k.sets(func(d *decoder, a *argument) { f(d, a, limits(&d.cfg.Global)) })
	}
	set := func(k *Keyword, f func(*ProcessLimits, *argument)) *Keyword {
		return own(k, func(_ *decoder, a *argument, p *ProcessLimits) { f(p, a) })
	}
	rttime := func(p *ProcessLimits, a *argument) { p.RTTime = max(a.n, 2) }
	longest := shown(func(g *Global) *int64 { return &limits(g).RTTime })
	nice, most := "0", "10000"
	if prefix == "vrrp" {
		nice, most = "-20, unless it is real-time", "1000000"
	}
	return []*Keyword{
		set(kw(prefix+"_priority", number(-20, 19).soft("No "+prefix+" process priority specified"), nice, "nice value of the "+of+" process"),
			func(p *ProcessLimits, a *argument) { p.Priority, p.PrioritySet = int(a.n), true }).
			shows(shown(func(g *Global) *int { return &limits(g).Priority })),
		kw(prefix+"_no_swap", bare(), "off", "keep the "+of+" process in memory").
			fills(inGlobal(func(g *Global) *bool { return &limits(g).NoSwap })),
		own(kw(prefix+"_rt_priority", number(-1<<31, 1<<31-1).soft("No "+prefix+" process real-time priority specified"), "not real-time", "real-time priority of the "+of+" process, 1 to 99"),
			setRTPriority).shows(shown(func(g *Global) *int { return &limits(g).RTPriority })),
		own(kw(prefix+"_cpu_affinity", several("CPU...").soft("No "+prefix+" cpu_id set specified"), "all", "CPUs that the "+of+" process may use"),
			setAffinity).shows(shown(func(g *Global) *[]int { return &limits(g).CPUAffinity })),
		set(kw(prefix+"_rlimit_rttime", number(1, 1<<32-1).as("USECS"), most, "microseconds of real-time work of the "+of+" process without a pause"), rttime).shows(longest),
		set(kw(prefix+"_rlimit_rtime", number(1, 1<<32-1).as("USECS"), "", "old name of "+prefix+"_rlimit_rttime").alias(prefix+"_rlimit_rttime"), rttime).shows(longest),
	}
}

func setRTPriority(d *decoder, a *argument, p *ProcessLimits) {
	switch {
	case a.n > 99:
		d.wrong(a.Statement, 1, "out-of-range", "%s %d is greater than maximum 99 - setting to maximum", a.k.Name, a.n)
	case a.n < 1:
		d.wrong(a.Statement, 1, "out-of-range", "%s %d is less than minimum 1 - setting to minimum", a.k.Name, a.n)
	}
	p.RTPriority = int(min(max(a.n, 1), 99))
}

// setAffinity takes the numbers of CPUs that the machine has if that is
// known.
func setAffinity(d *decoder, a *argument, p *ProcessLimits) {
	last := int64(8191)
	if d.CPUs > 0 {
		last = int64(d.CPUs) - 1
	}
	for i := 1; i < len(a.Words); i++ {
		if n, ok := d.number(a.Statement, i, 0, last); ok {
			p.CPUAffinity = append(p.CPUAffinity, int(n))
		}
	}
}

// nothingBehind reports words from the given one on.
func (d *decoder) nothingBehind(a *argument, word int, message string) bool {
	if len(a.Words) > word {
		d.wrong(a.Statement, word, "extra-argument", "%s", message)
	}
	return len(a.Words) <= word
}

var umaskBits = map[string]uint32{
	"IRWXU": 0o700, "IRWXG": 0o070, "IRWXO": 0o007,
	"IRUSR": 0o400, "IWUSR": 0o200, "IXUSR": 0o100,
	"IRGRP": 0o040, "IWGRP": 0o020, "IXGRP": 0o010,
	"IROTH": 0o004, "IWOTH": 0o002, "IXOTH": 0o001,
}

// setUmask reads a number in C notation or names of bits joined by |.
func setUmask(d *decoder, a *argument) {
	g := &d.cfg.Global
	if n, err := strconv.ParseUint(a.text, 0, 32); err == nil && n <= 0o777 {
		d.nothingBehind(a, 2, "Extra parameter(s) to umask option")
		g.Umask, g.UmaskSet = uint32(n), true
		return
	}
	var mask uint32
	for name := range strings.SplitSeq(strings.ReplaceAll(strings.Trim(a.Rest(), syntax.Blanks), " ", ""), "|") {
		bit, ok := umaskBits[strings.TrimPrefix(name, "S_")]
		if !ok {
			d.wrong(a.Statement, 1, "bad-umask", "umask '%s' is neither a number up to 0777 nor names such as IRGRP|IWGRP", printable(strings.Trim(a.Rest(), syntax.Blanks)))
			return
		}
		mask |= bit
	}
	g.Umask, g.UmaskSet = mask, true
}

// vrrpWords are defaults of all instances and settings of the VRRP process.
func vrrpWords() []*Keyword {
	return []*Keyword{
		kw("dynamic_interfaces", oneOf("allow_if_changes").opt(), "off", "allow interfaces to be missing, to appear, to disappear and to change").
			sets(func(d *decoder, a *argument) {
				d.cfg.Global.DynamicInterfaces, d.cfg.Global.AllowIfChanges = true, a.given()
			}).shows(
			shown(func(g *Global) *bool { return &g.DynamicInterfaces }).argument(0),
			shown(func(g *Global) *bool { return &g.AllowIfChanges }).argument(0),
		),
		text("default_interface", word("IFNAME").soft("default_interface requires interface name"), literal("eth0"), "interface of static addresses without dev", func(g *Global) *string { return &g.DefaultInterface }),
		switched("disable_local_igmp", bare(), "send no IGMP reports for link-local groups", func(g *Global) *bool { return &g.DisableLocalIGMP }),
		kw("v3_checksum_as_v2", bare(), "off", "omit the pseudo header from the IPv4 checksum of version 3, as in RFC 9568").newer().
			fills(inGlobal(func(g *Global) *bool { return &g.Defaults.ChecksumAsV2 })),
		kw("vrrp_mcast_group4", address(), "224.0.0.18", "multicast group of IPv4 adverts").fills(inGlobal(func(g *Global) *netip.Addr { return &g.McastGroup4 })).sets(setMcastGroup4),
		kw("vrrp_mcast_group6", address(), "ff02::12", "multicast group of IPv6 adverts").fills(inGlobal(func(g *Global) *netip.Addr { return &g.McastGroup6 })).sets(setMcastGroup6),
		kw("vrrp_version", number(2, 3), "2", "protocol version of IPv4 instances").
			fills(inGlobal(func(g *Global) *int { return &g.Defaults.Version })),
		kw("vrrp_down_timer_adverts", number(1, 100), "3", "adverts that must be missed before a backup takes over").
			fills(inGlobal(func(g *Global) *int { return &g.Defaults.DownTimerAdverts })),
		kw("vrrp_garp_interval", seconds(0.000001, 4294), "0", "time between two gratuitous ARPs on an interface").
			sets(func(d *decoder, a *argument) { d.global.garpInterval = a.d }),
		kw("vrrp_gna_interval", seconds(0.000001, 4294), "0", "time between two neighbour advertisements on an interface").
			sets(func(d *decoder, a *argument) { d.global.naInterval = a.d }),
		kw("vrrp_min_garp", onOff(), "off", "announce each address once, without a second set").
			sets(func(d *decoder, a *argument) { d.global.minGARP = a.on }),
		extraGARP("vrrp_garp_extra_if", plain("0"), 1, func(d *decoder) *opt[ExtraGARP] { return &d.global.garp.extra }),
		extraGARP("vrrp_vmac_garp_intvl", plain(""), 1, func(d *decoder) *opt[ExtraGARP] { return &d.global.garp.extra }).gone("vrrp_garp_extra_if"),
		kw("vrrp_lower_prio_no_advert", onOff(), "off", "do not answer adverts of a lower priority").
			fills(inGlobal(func(g *Global) *bool { return &g.Defaults.LowerPriorityNoAdvert })),
		kw("vrrp_higher_prio_send_advert", onOff(), "off", "send one more advert before yielding to a higher priority").
			fills(inGlobal(func(g *Global) *bool { return &g.Defaults.HigherPrioritySendAdvert })),
		kw("vrrp_owner_ignore_adverts", onOff(), "off", "let address owners ignore adverts of other masters").newer().
			fills(inGlobal(func(g *Global) *bool { return &g.Defaults.OwnerIgnoreAdverts })),
		kw("vrrp_check_unicast_src", bare(), "off", "drop unicast adverts that do not come from a configured peer").
			fills(inGlobal(func(g *Global) *bool { return &g.Defaults.CheckUnicastSource })),
		kw("vrrp_skip_check_adv_addr", onOff(), "off", "do not compare the address list of the current master").
			fills(inGlobal(func(g *Global) *bool { return &g.Defaults.SkipCheckAdvertAddresses })),
		kw("vrrp_strict", onOff(), "off", "follow the RFCs strictly").
			fills(inGlobal(func(g *Global) *bool { return &g.Defaults.Strict })),
		kw("vrrp_startup_delay", seconds(0.001, 4294), "0", "time after the start of the daemon during which adverts are ignored and no timer runs").
			fills(inGlobal(func(g *Global) *time.Duration { return &g.StartupDelay })),
		kw("stop_handover", seconds(0.1, 20), "off", "time in which a graceful stop hands each master over to another node, without a gap; whoever is still master then, sends priority 0").own().
			fills(inGlobal(func(g *Global) *time.Duration { return &g.StopHandover })),
		kw("vrrp_delay_after_boot", seconds(0.001, 4294), "0", "time after the boot of the machine during which adverts are ignored and no timer runs").newer().
			fills(inGlobal(func(g *Global) *time.Duration { return &g.DelayAfterBoot })),
		switched("log_unknown_vrids", bare(), "log adverts of virtual routers that are not configured", func(g *Global) *bool { return &g.LogUnknownVRIDs }),
		onceText("vmac_prefix", word("PREFIX"), "vrrp", "prefix for the names of macvlans", "vmac prefix has already been specified", func(g *Global) *string { return &g.VMACPrefix }),
		onceText("vmac_addr_prefix", word("PREFIX"), "vmac_prefix", "prefix for the names of macvlans for single addresses", "vmac_addr prefix has already been specified", func(g *Global) *string { return &g.VMACAddrPrefix }).
			inherits(global("vmac_prefix")),
	}
}

func setMcastGroup4(d *decoder, a *argument) {
	addr := a.addr
	if !addr.Is4() || !addr.IsMulticast() {
		d.wrong(a.Statement, 1, "bad-address", "vrrp_mcast_group4 [%s] is not multicast. Skipping; expected an IPv4 multicast address", printable(a.text))
		return
	}
	d.cfg.Global.McastGroup4 = addr
}

func setMcastGroup6(d *decoder, a *argument) {
	addr := a.addr
	if !addr.Is6() || !addr.IsMulticast() {
		d.wrong(a.Statement, 1, "bad-address", "vrrp_mcast_group6 [%s] is not multicast. Skipping; expected an IPv6 multicast address", printable(a.text))
		return
	}
	if !addr.IsLinkLocalMulticast() {
		d.report(a.Statement, 1, Diagnostic{
			Severity: Warning, Class: ClassOrdinary, Code: "group-scope",
			Message: "vrrp_mcast_group6 address " + addr.String() + " is not link local multicast", Fix: "it is used all the same",
		})
	}
	d.cfg.Global.McastGroup6 = addr
}

// bufferWords are the receive buffers.
func bufferWords() []*Keyword {
	bytes := func(name, of string) *Keyword {
		return kw(name, number(0, 1<<31-1).as("BYTES").soft(name+" size missing"), "kernel", "receive buffer of "+of)
	}
	force := func(name, of string) *Keyword {
		return kw(name, onOff().as("BOOL"), "off", "let the buffer of "+of+" exceed the limit of the kernel")
	}
	on := func(k *Keyword, field func(*Global) *bool) *Keyword {
		return k.fills(inGlobal(field))
	}
	size := func(k *Keyword, field func(*Global) *int) *Keyword {
		return k.fills(inGlobal(field))
	}
	return []*Keyword{
		size(bytes("vrrp_netlink_cmd_rcv_bufs", "netlink requests"), func(g *Global) *int { return &g.NetlinkCmdRcvBuf }),
		on(force("vrrp_netlink_cmd_rcv_bufs_force", "netlink requests"), func(g *Global) *bool { return &g.NetlinkCmdRcvBufForce }),
		size(bytes("vrrp_netlink_monitor_rcv_bufs", "netlink events"), func(g *Global) *int { return &g.NetlinkMonitorRcvBuf }),
		on(force("vrrp_netlink_monitor_rcv_bufs_force", "netlink events"), func(g *Global) *bool { return &g.NetlinkMonitorRcvBufForce }),
		size(bytes("process_monitor_rcv_bufs", "process events"), func(g *Global) *int { return &g.ProcessRcvBuf }),
		on(force("process_monitor_rcv_bufs_force", "process events"), func(g *Global) *bool { return &g.ProcessRcvBufForce }),
		size(bytes("lvs_netlink_cmd_rcv_bufs", "netlink requests of the health checks"), func(g *Global) *int { return &g.LVS.NetlinkCmdRcvBuf }),
		on(force("lvs_netlink_cmd_rcv_bufs_force", "netlink requests of the health checks"), func(g *Global) *bool { return &g.LVS.NetlinkCmdRcvBufForce }),
		size(bytes("lvs_netlink_monitor_rcv_bufs", "netlink events of the health checks"), func(g *Global) *int { return &g.LVS.NetlinkMonitorRcvBuf }),
		on(force("lvs_netlink_monitor_rcv_bufs_force", "netlink events of the health checks"), func(g *Global) *bool { return &g.LVS.NetlinkMonitorRcvBufForce }),
		kw("vrrp_rx_bufs_policy", word("MTU|ADVERT|BYTES").soft("vrrp_rx_bufs_policy missing"), "kernel", "part of the receive buffer of a socket for each of its virtual routers").sets(setRxBufPolicy).
			shows(shown(func(g *Global) *RxBufPolicy { return &g.RxBufPolicy }), shown(func(g *Global) *int { return &g.RxBufSize })),
		kw("vrrp_rx_bufs_multiplier", number(1, 1<<31-1).soft("Invalid vrrp_rx_bufs_multiplier"), "3", "number of packets of size MTU or ADVERT in a receive buffer").
			sets(func(d *decoder, a *argument) {
				if d.nothingBehind(a, 2, "Invalid vrrp_rx_bufs_multiplier") {
					d.cfg.Global.RxBufMultiplier = int(a.n)
				}
			}).fills(inGlobal(func(g *Global) *int { return &g.RxBufMultiplier })),
	}
}

func setRxBufPolicy(d *decoder, a *argument) {
	g := &d.cfg.Global
	if !d.nothingBehind(a, 2, "Invalid vrrp_rx_bufs_policy") {
		return
	}
	switch strings.ToUpper(a.text) {
	case "MTU":
		g.RxBufPolicy = RxBufMTU
	case "ADVERT":
		g.RxBufPolicy = RxBufAdvert
	default:
		if n, ok := d.number(a.Statement, 1, 1, 1<<31-1); ok {
			g.RxBufPolicy, g.RxBufSize = RxBufBytes, int(n)
		}
	}
}

// fifoWords are the FIFOs for notifications, and what else is written into them.
func fifoWords() []*Keyword {
	var words []*Keyword
	for _, p := range []struct {
		prefix, of string
		fifo       func(*Global) *FIFO
	}{
		{"", "all", func(g *Global) *FIFO { return &g.FIFO }},
		{"vrrp_", "VRRP", func(g *Global) *FIFO { return &g.VRRPFIFO }},
		{"lvs_", "health-check", func(g *Global) *FIFO { return &g.LVSFIFO }},
	} {
		name := p.prefix + "notify_fifo"
		path := kw(name, several("PATH [USER [GROUP]]").soft("No "+name+" name specified"), "", "FIFO that "+p.of+" notifications are written to").
			sets(func(d *decoder, a *argument) { setFIFO(d, a, p.fifo(&d.cfg.Global)) }).
			shows(
				shown(func(g *Global) *string { return &p.fifo(g).Path }),
				shown(func(g *Global) *string { return &p.fifo(g).User }).argument(2),
				shown(func(g *Global) *string { return &p.fifo(g).Group }).argument(3),
			).place()
		reader := kw(name+"_script", cmd().soft("No "+name+"_script specified"), "", "command that reads "+name).
			sets(func(d *decoder, a *argument) {
				d.keep(&p.fifo(&d.cfg.Global).Script, a, name+"_script", name+"_script already specified - ignoring "+firstOf(d, a))
			}).shows(shown(func(g *Global) *Command { return &p.fifo(g).Script }))
		words = append(words, path, reader)
	}
	return append(words,
		kw("vrrp_notify_priority_changes", onOff(), "off", "write changes of the effective priority to FIFOs").
			fills(inGlobal(func(g *Global) *bool { return &g.Defaults.PriorityChanges })),
		switched("fifo_write_vrrp_states_on_reload", bare(), "write all states to the FIFO again after a reload", func(g *Global) *bool { return &g.StatesOnReload }),
	)
}

func setFIFO(d *decoder, a *argument, f *FIFO) {
	if f.Path != "" {
		d.wrong(a.Statement, 1, "fifo-twice", "%s already specified - ignoring %s", a.k.Name, printable(a.text))
		return
	}
	f.Path, f.Pos = d.intern(a.text), a.Pos(1)
	if len(a.Words) > 2 {
		f.User = d.intern(a.Words[2].Text)
	}
	if len(a.Words) > 3 {
		f.Group = d.intern(a.Words[3].Text)
	}
	d.scripts.used = append(d.scripts.used, commandUse{
		at: a.Place(1), what: a.k.Name, cmd: Command{User: f.User, Group: f.Group, Pos: f.Pos},
	})
}

// fileWords are the words about files it reads and writes.
func fileWords() []*Keyword {
	return []*Keyword{
		kw("include_check", several("[+|-|^][readable match wildcard_match brace_match]").opt(), "none", "checks for the include lines that follow").setsChecks().sets(checkIncludeWords),
		text("config_save_dir", word("DIR"), "", "directory for a copy of each configuration read", func(g *Global) *string { return &g.ConfigSaveDir }).place(),
		kw("tmp_config_directory", word("DIR").soft("tmp_config_directory missing directory name"), "", "directory for the copy in use").sets(func(d *decoder, a *argument) {
			if d.cfg.Global.TmpConfigDir != "" {
				d.wrong(a.Statement, 0, "word-twice", "tmp_config_directory already specified - ignoring")
				return
			}
			d.cfg.Global.TmpConfigDir = d.intern(a.text)
		}).fills(inGlobal(func(g *Global) *string { return &g.TmpConfigDir })).place(),
		kw("reload_check_config", word("LOGFILE").opt(), depends("off; /dev/null"), "check the new configuration before a reload, as -t does").sets(func(d *decoder, a *argument) {
			r := &d.cfg.Global.Reload
			r.Check, r.CheckLog = true, cmp.Or(d.intern(a.text), "/dev/null")
		}).shows(shown(func(g *Global) *bool { return &g.Reload.Check }).argument(0), shown(func(g *Global) *string { return &g.Reload.CheckLog })).place(),
		kw("reload_time_file", word("PATH").soft("reload_time_file invalid"), "", "file with the time of the next reload").sets(func(d *decoder, a *argument) {
			if d.nothingBehind(a, 2, "reload_time_file invalid") {
				d.cfg.Global.Reload.TimeFile = d.intern(a.text)
			}
		}).fills(inGlobal(func(g *Global) *string { return &g.Reload.TimeFile })).place(),
		switched("reload_repeat", bare(), "reload at the time in reload_time_file every day", func(g *Global) *bool { return &g.Reload.Repeat }),
		kw("reload_file", word("PATH").opt(), depends("off; keepalived.reload in the directory of pid files"), "file that exists while the configuration is being read").sets(func(d *decoder, a *argument) {
			d.cfg.Global.Reload.Marker, d.cfg.Global.Reload.MarkerPath = true, d.intern(a.text)
		}).shows(shown(func(g *Global) *bool { return &g.Reload.Marker }).argument(0), shown(func(g *Global) *string { return &g.Reload.MarkerPath })).place(),
		switched("data_use_instance", onOff(), "add namespace and instance to the names of dump files", func(g *Global) *bool { return &g.DataUseInst }),
		kw("json_version", number(1, 2), "1", "layout of the JSON dump").newer().
			fills(inGlobal(func(g *Global) *int { return &g.JSONVersion })),
		text("iproute_usr_dir", word("DIR"), literal("/usr/share/iproute2"), "directory with the iproute2 name files of the system", func(g *Global) *string { return &g.IPRouteUsrDir }).newer(),
		text("iproute_etc_dir", word("DIR"), literal("/etc/iproute2"), "directory with the iproute2 name files of the administrator", func(g *Global) *string { return &g.IPRouteEtcDir }).newer(),
		text("state_dump_file", word("PATH"), "/tmp/keepalived.data", "file to which SIGUSR1 writes the state", func(g *Global) *string { return &g.StateDumpFile }).newer().place(),
		text("stats_dump_file", word("PATH"), "/tmp/keepalived.stats", "file to which SIGUSR2 writes the statistics", func(g *Global) *string { return &g.StatsDumpFile }).newer().place(),
		text("json_dump_file", word("PATH"), "/tmp/keepalived.json", "file for the JSON dump", func(g *Global) *string { return &g.JSONDumpFile }).newer().place(),
		text("state_dump_file_location", word("PATH"), "", "the manual's name of state_dump_file", func(g *Global) *string { return &g.StateDumpFile }).newer().place(),
		text("stats_dump_file_location", word("PATH"), "", "the manual's name of stats_dump_file", func(g *Global) *string { return &g.StatsDumpFile }).newer().place(),
		text("json_dump_file_location", word("PATH"), "", "the manual's name of json_dump_file", func(g *Global) *string { return &g.JSONDumpFile }).newer().place(),
	}
}

// checkIncludeWords reports what is no check of include lines. The reader applies
// them.
func checkIncludeWords(d *decoder, a *argument) {
	for i, w := range a.Words[1:] {
		if !syntax.IsIncludeCheck(w.Text) {
			d.wrong(a.Statement, i+1, "bad-choice", "Unknown include_check option '%s'; expected readable, match, wildcard_match or brace_match", printable(strings.TrimLeft(w.Text, "+-^")))
		}
	}
}

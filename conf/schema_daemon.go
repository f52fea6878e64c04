package conf

import (
	"net/netip"
	"slices"
	"strconv"
	"time"
)

func lvsWords() []*Keyword {
	flush := func(k *Keyword) *Keyword {
		return k.sets(func(d *decoder, a *argument) {
			d.cfg.Global.LVS.FlushOnStop = FlushAll
			if a.given() {
				d.cfg.Global.LVS.FlushOnStop = FlushServices
			}
		}).shows(shown(func(g *Global) *FlushOnStop { return &g.LVS.FlushOnStop }))
	}
	return []*Keyword{
		kw("lvs_timeouts", several("[tcp SECS] [tcpfin SECS] [udp SECS]").soft("lvs_timeouts requires at least one option"), "kernel", "IPVS connection timeouts").sets(setLVSTimeouts).shows(
			shown(func(g *Global) *time.Duration { return &g.LVS.TCPTimeout }).argument(0),
			shown(func(g *Global) *time.Duration { return &g.LVS.TCPFinTimeout }).argument(0),
			shown(func(g *Global) *time.Duration { return &g.LVS.UDPTimeout }).argument(0),
		),
		switched("lvs_flush", bare(), "remove all IPVS services at start", func(g *Global) *bool { return &g.LVS.Flush }),
		flush(kw("lvs_flush_on_stop", oneOf("VS").opt(), "off", "remove all IPVS services at stop, or with VS only the configured ones")),
		flush(kw("lvs_flush_onstop", oneOf("VS").opt(), "", "old name of lvs_flush_on_stop").alias("lvs_flush_on_stop")),
		kw("lvs_sync_daemon", several("IFNAME [[inst] INSTANCE] [id N] [maxlen N] [port N] [ttl N] [group ADDR]").soft("lvs_sync_daemon requires interface"), "", "copy IPVS connections to the other node; an instance decides which node sends").sets(setSyncDaemon).shows(syncDaemonFields...),
		switched("checker_log_all_failures", onOff(), "log every failed attempt of a check until it is down", func(g *Global) *bool { return &g.LVS.LogAllFailures }),
		switched("rs_init_notifies", onOff(), "send notifications when real servers come up for the first time", func(g *Global) *bool { return &g.LVS.InitNotifies }),
	}
}

var syncDaemonFields = []Field{
	shown(func(g *Global) *string { return &g.LVS.Sync.Interface }),
	shown(func(g *Global) *string { return &g.LVS.Sync.Instance }).argument(0),
	shown(func(g *Global) *int { return &g.LVS.Sync.ID }).argument(0),
	shown(func(g *Global) *uint16 { return &g.LVS.Sync.MaxLen }).argument(0),
	shown(func(g *Global) *uint16 { return &g.LVS.Sync.Port }).argument(0),
	shown(func(g *Global) *uint8 { return &g.LVS.Sync.TTL }).argument(0),
	shown(func(g *Global) *netip.Addr { return &g.LVS.Sync.Group }).argument(0),
}

func setLVSTimeouts(d *decoder, a *argument) {
	l := &d.cfg.Global.LVS
	fields := map[string]*time.Duration{"tcp": &l.TCPTimeout, "tcpfin": &l.TCPFinTimeout, "udp": &l.UDPTimeout}
	for i := 1; i < len(a.Words); i++ {
		option := a.Words[i].Text
		field := fields[option]
		if field == nil {
			d.wrong(a.Statement, i, "unknown-option", "Unknown option %s specified for lvs_timeouts; expected tcp, tcpfin or udp", printable(option))
			continue
		}
		if i++; i == len(a.Words) {
			d.wrong(a.Statement, i, "missing-argument", "lvs_timeouts %s has no value", option)
			return
		}
		if n, ok := d.number(a.Statement, i, 0, 2678400); ok {
			*field = time.Duration(n) * time.Second
		}
	}
}

// setSyncDaemon reads IFNAME [[inst] INSTANCE] and options. A word that is no
// option is the instance.
func setSyncDaemon(d *decoder, a *argument) {
	g := &d.cfg.Global
	if s := g.LVS.Sync; s != nil {
		d.wrong(a.Statement, 0, "sync-twice", "lvs_sync_daemon has already been specified as %s %s - ignoring", s.Interface, s.Instance)
		return
	}
	s := &SyncDaemon{Interface: d.intern(a.text), ID: -1}
	g.LVS.Sync = s
	d.global.syncAt = a.Place(0)
	for i := 2; i < len(a.Words); i++ {
		option := a.Words[i].Text
		if !slices.Contains([]string{"inst", "id", "maxlen", "port", "ttl", "group"}, option) {
			_, err := strconv.ParseUint(option, 10, 32)
			switch {
			case i == 2:
				s.Instance = d.intern(option)
			case i == 3 && err == nil:
				d.wrong(a.Statement, i, "sync-id", `Please use keyword "id" before lvs_sync_daemon SYNCID`)
				if n, ok := d.number(a.Statement, i, 0, 255); ok {
					s.ID = int(n)
				}
			default:
				d.wrong(a.Statement, i, "unknown-option", "Unknown option %s specified for lvs_sync_daemon; expected inst, id, maxlen, port, ttl or group", printable(option))
			}
			continue
		}
		if i++; i == len(a.Words) {
			d.report(a.Statement, i, Diagnostic{
				Severity: Fatal, Class: ClassMissingArgument, Exit: 2, Code: "missing-argument",
				Message: "*** Configuration line starting `lvs_sync_daemon` is missing a parameter after keyword `" + option + "` at word position " + strconv.Itoa(i+1),
			})
			return
		}
		switch option {
		case "inst":
			s.Instance = d.intern(a.Words[i].Text)
		case "id":
			if n, ok := d.number(a.Statement, i, 0, 255); ok {
				s.ID = int(n)
			}
		case "maxlen":
			if n, ok := d.number(a.Statement, i, 1, 65507); ok {
				s.MaxLen = uint16(n)
			}
		case "port":
			if n, ok := d.number(a.Statement, i, 1, 65535); ok {
				s.Port = uint16(n)
			}
		case "ttl":
			if n, ok := d.number(a.Statement, i, 1, 255); ok {
				s.TTL = uint8(n)
			}
		case "group":
			group, ok := d.single(a.Statement, i, "group of lvs_sync_daemon")
			if !ok || !group.IsMulticast() {
				d.wrong(a.Statement, i, "bad-address", "lvs_sync_daemon group address %s is not multicast - ignoring", printable(a.Words[i].Text))
				continue
			}
			s.Group = group
		}
	}
}

// syncDaemon settles the number of the sync daemon: that of its instance unless
// given.
func (d *decoder) syncDaemon() {
	s := d.cfg.Global.LVS.Sync
	if s == nil {
		return
	}
	i := slices.IndexFunc(d.cfg.Instances, func(in *VRRPInstance) bool { return in.Name == s.Instance })
	if s.Instance != "" && i < 0 {
		d.reportAt(d.global.syncAt, Diagnostic{
			Severity: Warning, Class: ClassNone, Code: "no-instance",
			Message: "lvs_sync_daemon: there is no vrrp_instance " + printable(s.Instance), Fix: "it runs as if no instance were given",
		})
		s.Instance = ""
	}
	switch {
	case s.ID >= 0:
	case i >= 0:
		s.ID = int(d.cfg.Instances[i].VRID)
	default:
		s.ID = 0
	}
}

// onceText is text for a word of which the first stays, which def is if it has
// no argument; message reports it.
func onceText(name string, a args, def, doc, message string, field func(*Global) *string) *Keyword {
	return kw(name, a, def, doc).sets(func(d *decoder, a *argument) {
		v := field(&d.cfg.Global)
		switch {
		case *v != "":
			d.wrong(a.Statement, 0, "word-twice", "%s - ignoring", message)
		case a.given():
			*v = d.intern(a.text)
		default:
			*v = def
		}
	}).shows(shown(field))
}

func firewallWords() []*Keyword {
	priority := func(name, of string, field func(*Firewall) *int32) *Keyword {
		return kw(name, number(-1<<31, 1<<31-1), "-1", "priority of "+of).
			fills(inGlobal(func(g *Global) *int32 { return field(&g.Firewall) }))
	}
	tables := func(d *decoder) *IPTables {
		f := &d.cfg.Global.Firewall
		if f.IPTables == nil {
			f.IPTables = &IPTables{}
		}
		return f.IPTables
	}
	return []*Keyword{
		kw("vrrp_iptables", several("[IN [OUT]]").opt(), "INPUT OUTPUT", "use iptables to drop packets").sets(func(d *decoder, a *argument) {
			t := tables(d)
			t.In, t.Out = "INPUT", "OUTPUT"
			if a.given() {
				t.In, t.Out = d.intern(a.text), ""
			}
			if len(a.Words) > 2 {
				t.Out = d.intern(a.Words[2].Text)
			}
		}).shows(
			shown(func(g *Global) *string { return &g.Firewall.IPTables.In }),
			shown(func(g *Global) *string { return &g.Firewall.IPTables.Out }).argument(2),
		),
		kw("vrrp_ipsets", several("[NAME...]").opt(), "keepalived and derived names", "names of the address sets that iptables uses; none: no sets").newer().sets(setIPSets).shows(shown(func(g *Global) *[]string { return &g.Firewall.IPTables.Sets })),
		onceText("nftables", word("TABLE").opt(), "keepalived", "use nftables to drop packets", "nftables already specified", func(g *Global) *string { return &g.Firewall.NFTables }),
		priority("nftables_priority", "the nftables chains", func(f *Firewall) *int32 { return &f.Priority }),
		switched("nftables_ifindex", bare(), "match interfaces by index rather than by name", func(g *Global) *bool { return &g.Firewall.IfIndex }),
		switched("nftables_counters", bare(), "count packets in the rules", func(g *Global) *bool { return &g.Firewall.Counters }),
		onceText("nftables_ipvs", word("TABLE").opt(), "keepalived_ipvs", "use nftables to mark packets for groups of virtual servers", "ipvs nftables already specified", func(g *Global) *string { return &g.Firewall.IPVSTable }),
		priority("nftables_ipvs_priority", "the nftables_ipvs chains", func(f *Firewall) *int32 { return &f.IPVSPriority }),
		kw("nftables_ipvs_start_fwmark", number(1, 1<<32-1), "1000", "first firewall mark for nftables_ipvs").
			fills(inGlobal(func(g *Global) *uint32 { return &g.Firewall.IPVSFirstMark })),
	}
}

// setIPSets takes names in the order of IPTables.Sets. Those that are left out
// are made of the ones before.
func setIPSets(d *decoder, a *argument) {
	var names []string
	if a.given() {
		names = ipSets(a.text)
		for i, w := range a.Words[1:min(len(a.Words), 1+len(names))] {
			names[i] = d.intern(w.Text)
		}
	}
	d.global.ipSets.put(names)
}

// ipSets are the names of the address sets that begin with base.
func ipSets(base string) []string {
	return []string{base, base + "6", base + "_if6", base + "_igmp", base + "_mld", base + "_nd"}
}

func snmpWords() []*Keyword {
	on := func(name, doc string, field func(*SNMP) *bool) *Keyword {
		return switched(name, bare(), doc, func(g *Global) *bool { return field(&g.SNMP) })
	}
	age := func(name string, def Initial, of string, field func(*SNMP) *time.Duration) *Keyword {
		return kw(name, seconds(0.001, 30), def, "age after which statistics of "+of+" are read again").newer().
			fills(inGlobal(func(g *Global) *time.Duration { return field(&g.SNMP) }))
	}
	vrrp := func(s *SNMP) *bool { return &s.VRRP }
	v2 := func(s *SNMP) *bool { return &s.RFCv2 }
	v3 := func(s *SNMP) *bool { return &s.RFCv3 }
	return []*Keyword{
		kw("snmp_socket", several("URL").soft("SNMP error : snmp socket name missing"), "unix:/var/agentx/master", "socket of the SNMP master agent").sets(setSNMPSocket).shows(shown(func(g *Global) *string { return &g.SNMP.Socket })),
		on("enable_traps", "send SNMP notifications", func(s *SNMP) *bool { return &s.Traps }),
		on("enable_snmp_vrrp", "provide the VRRP part of KEEPALIVED-MIB", vrrp),
		on("enable_snmp_keepalived", "old name of enable_snmp_vrrp", vrrp).alias("enable_snmp_vrrp"),
		on("enable_snmp_rfcv2", "provide the MIB of RFC 2787", v2),
		on("enable_snmp_rfcv3", "provide the MIB of RFC 6527", v3),
		on("enable_snmp_rfc", "provide both VRRP MIBs of the RFCs", v2).sets(func(d *decoder, a *argument) {
			d.cfg.Global.SNMP.RFCv2, d.cfg.Global.SNMP.RFCv3 = true, true
		}).shows(shown(func(g *Global) *bool { return &g.SNMP.RFCv3 })),
		on("enable_snmp_checker", "provide the health-check part of KEEPALIVED-MIB", func(s *SNMP) *bool { return &s.Checker }),
		age("snmp_vs_stats_update_interval", plain("5"), "virtual servers", func(s *SNMP) *time.Duration { return &s.VirtualServerAge }),
		age("snmp_rs_stats_update_interval", sibling("snmp_vs_stats_update_interval").as("as for virtual servers"), "real servers", func(s *SNMP) *time.Duration { return &s.RealServerAge }),
	}
}

// dbusWords are the words of the D-Bus interface.
func dbusWords() []*Keyword {
	return []*Keyword{
		switched("enable_dbus", bare(), "provide the D-Bus interface", func(g *Global) *bool { return &g.DBus.Enabled }),
		text("dbus_service_name", word("NAME").soft("dbus_service_name missing - ignoring"), literal("org.keepalived.Vrrp1"), "name of keepalived on the bus", func(g *Global) *string { return &g.DBus.ServiceName }),
		text("dbus_no_interface_name", word("NAME"), literal("none"), "name in object paths for an instance without an interface", func(g *Global) *string { return &g.DBus.NoInterface }).newer(),
	}
}

func setSNMPSocket(d *decoder, a *argument) {
	socket := &d.cfg.Global.SNMP.Socket
	switch {
	case len(a.Words) > 2:
		d.wrong(a.Statement, 2, "extra-argument", "Too many parameters specified for snmp_socket - ignoring")
	case *socket != "":
		d.wrong(a.Statement, 0, "word-twice", "SNMP socket already set to %s - ignoring", *socket)
	default:
		*socket = d.intern(a.text)
	}
}

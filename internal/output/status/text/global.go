package text

import (
	"fmt"
	"os"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
)

// Process is whose data is written.
type Process struct {
	// Parent: the process that reads the configuration, which has scripts and
	// times of its own.
	Parent       bool
	NetNamespace string    // it runs in; empty: that of its caller
	Reload       time.Time // that is scheduled; zero: none
	MarkerPath   string    // of reload_file
}

// Global writes the section of global_defs.
func Global(t *Writer, g *conf.Global, p Process, a *Accounts) {
	t.Section("Global definitions")
	named(t, " Config save dir", g.ConfigSaveDir)
	t.Line(" Network namespace = %s", or(p.NetNamespace, "(default)"))
	table := g.NetNamespaceIPVS
	if table == conf.FirstNamespace {
		table = ""
	}
	t.Line(" Network namespace ipvs = %s", or(table, "(main namespace)"))
	named(t, " Instance name", g.InstanceName)
	processNames(t, g)
	named(t, " Router ID", g.RouterID)
	mail(t, g)
	d := &g.Defaults
	t.Line(" Default smtp_alert = %v", d.Alert)
	t.Line(" Default smtp_alert_vrrp = %v", d.AlertVRRP)
	t.Line(" Default smtp_alert_checker = %v", d.AlertChecker)
	t.Line(" Checkers log all failures = %t", g.LVS.LogAllFailures)
	reload(t, g, p)
	if p.Parent {
		onceScript(t, " Startup script", g.Startup, g.StartupTimeout, a)
		onceScript(t, " Shutdown script", g.Shutdown, g.ShutdownTimeout, a)
	}
	t.Line(" Dynamic interfaces = %t", g.DynamicInterfaces)
	note(t, g.AllowIfChanges, " Allow interface changes = true")
	note(t, g.Mail.NoFaults, " Send emails for fault transitions = off")
	ipvs(t, g, p)
	fifo(t, " Global notify fifo", &g.FIFO, p, a)
	fifo(t, " VRRP notify fifo", &g.VRRPFIFO, p, a)
	fifo(t, " LVS notify fifo", &g.LVSFIFO, p, a)
	t.Line(" FIFO write vrrp states on reload = %t", g.StatesOnReload)
	vrrpDefaults(t, g)
	firewall(t, &g.Firewall)
	t.Line(" VRRP check unicast_src = %t", d.CheckUnicastSource)
	t.Line(" VRRP skip check advert addresses = %t", d.SkipCheckAdvertAddresses)
	t.Line(" VRRP strict mode = %t", d.Strict)
	if n := g.VRRP.MaxAutoPriority; n < 0 {
		t.Line(" Max auto priority = Disabled")
	} else {
		t.Line(" Max auto priority = %d", n)
	}
	t.Line(" Min auto priority delay = %d usecs", orDuration(g.VRRP.MinAutoPriorityDelay, time.Second).Microseconds())
	limits(t, "VRRP", &g.VRRP)
	limits(t, "Checker", &g.Checker)
	limits(t, "BFD", &g.BFD)
	agents(t, g)
	t.Line(" Script security %s", Enabled(g.Scripts.Secure))
	t.Line(" Default script uid:gid %s", a.Of("", ""))
	buffers(t, g)
	umask := uint32(0o177)
	if g.UmaskSet {
		umask = g.Umask
	}
	t.Line(" umask = 0%o", umask)
	if g.StartupDelay > 0 {
		t.Line(" vrrp_startup_delay = %s", Seconds(g.StartupDelay))
	}
	note(t, g.LogUnknownVRIDs, " log_unknown_vrids")
	if g.VMACPrefix != defaultVMACPrefix {
		named(t, " VMAC prefix", g.VMACPrefix)
	}
	if g.VMACAddrPrefix != g.VMACPrefix {
		named(t, " VMAC address prefix", g.VMACAddrPrefix)
	}
}

// Defaults that are not written.
const (
	defaultVMACPrefix = "vrrp"
	defaultBusName    = "org.keepalived.Vrrp1"
)

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}

func orDuration(d, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return d
}

// named writes "name = value" unless there is none.
func named(t *Writer, name, value string) {
	if value != "" {
		t.Line("%s = %s", name, value)
	}
}

func note(t *Writer, on bool, line string) {
	if on {
		t.Line("%s", line)
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

func processNames(t *Writer, g *conf.Global) {
	def := func(name, suffix string) string {
		if name == "" && g.ProcessNames {
			return "keepalived_" + suffix
		}
		return name
	}
	named(t, " Parent process name", g.ProcessName)
	named(t, " VRRP process name", def(g.VRRPProcessName, "vrrp"))
	named(t, " LVS process name", def(g.CheckerProcessName, "lvs"))
	named(t, " BFD process name", def(g.BFDProcessName, "bfd"))
}

func mail(t *Writer, g *conf.Global) {
	m := g.Mail
	if m.Server != "" {
		host, _ := os.Hostname()
		m = m.Complete(script.OwnUser(), host)
		t.Line(" Smtp server = %s", m.Server)
		t.Line(" Smtp server port = %d", m.Port)
	}
	named(t, " Smtp HELO name", m.HeloName)
	if m.Server != "" {
		t.Line(" Smtp server connection timeout = %s", Seconds(m.ConnectTimeout))
	}
	if len(m.To) > 0 {
		named(t, " Email notification from", m.From)
		t.List(" Email notification to:", m.To)
	}
}

func reload(t *Writer, g *conf.Global, p Process) {
	r := &g.Reload
	if r.Check {
		t.Line(" Test config before reload, log to %s", r.CheckLog)
	} else {
		t.Line(" No test config before reload")
	}
	if r.TimeFile != "" {
		repeat := ""
		if r.Repeat {
			repeat = " (repeat)"
		}
		t.Line(" Reload time file = %s%s", r.TimeFile, repeat)
		switch {
		case !p.Parent: // only the parent knows
		case p.Reload.IsZero():
			t.Line(" No reload scheduled")
		default:
			t.Line(" Reload scheduled for %s", p.Reload.Local().Format(time.DateTime))
		}
	}
	if r.Marker {
		t.Line(" Reload_file = %s", or(r.MarkerPath, p.MarkerPath))
	}
	named(t, " config save directory", g.TmpConfigDir)
	note(t, g.DataUseInst, " Use instance name in data dumps")
}

func onceScript(t *Writer, name string, c conf.Command, timeout time.Duration, a *Accounts) {
	if c.Given() {
		t.Line("%s = %s, timeout %s", name, a.Command(&c), Seconds(timeout))
	}
}

func ipvs(t *Writer, g *conf.Global, p Process) {
	l := &g.LVS
	for _, timeout := range []struct {
		name string
		d    time.Duration
	}{{"TCP", l.TCPTimeout}, {"TCP FIN", l.TCPFinTimeout}, {"UDP", l.UDPTimeout}} {
		if timeout.d != 0 {
			t.Line(" LVS %s timeout = %s", timeout.name, Seconds(timeout.d))
		}
	}
	if !p.Parent {
		named(t, " Default interface", g.DefaultInterface)
	}
	t.Line(" Disable local IGMP = %s", YesNo(g.DisableLocalIGMP))
	if s := l.Sync; s != nil {
		of := "instance"
		if p.Parent {
			of = "name"
		}
		named(t, " LVS syncd vrrp "+of, s.Instance)
		t.Line(" LVS syncd interface = %s", s.Interface)
		t.Line(" LVS syncd syncid = %d", s.ID)
		if s.MaxLen != 0 {
			t.Line(" LVS syncd maxlen = %d", s.MaxLen)
		}
		if s.Group.IsValid() {
			t.Line(" LVS mcast group %v", s.Group)
		}
		if s.Port != 0 {
			t.Line(" LVS syncd mcast port = %d", s.Port)
		}
		if s.TTL != 0 {
			t.Line(" LVS syncd mcast ttl = %d", s.TTL)
		}
	}
	t.Line(" LVS flush = %t", l.Flush)
	t.Line(" LVS flush on stop = %s", [...]string{"disabled", "VS", "full"}[l.FlushOnStop])
}

// fifo writes a FIFO and its reader, which the processes that write into the FIFO
// start with its path.
func fifo(t *Writer, name string, f *conf.FIFO, p Process, a *Accounts) {
	if f.Path == "" {
		return
	}
	t.Line("%s = %s, uid:gid %s", name, f.Path, a.Of(f.User, f.Group))
	if f.Script.Given() {
		reader := f.Script
		if !p.Parent {
			reader.Args = append(reader.Args[:len(reader.Args):len(reader.Args)], f.Path)
		}
		t.Line("%s script = %s", name, a.Command(&reader))
	}
}

func vrrpDefaults(t *Writer, g *conf.Global) {
	d := &g.Defaults
	t.Line(" VRRP notify priority changes = %t", d.PriorityChanges)
	t.Line(" VRRP IPv4 mcast group = %v", g.McastGroup4)
	t.Line(" VRRP IPv6 mcast group = %v", g.McastGroup6)
	GARP(t, " ", " timer", &d.GARP)
	t.Line(" Num adverts before down = %d", d.DownTimerAdverts)
	where := "VMAC"
	if d.GARP.Extra.All {
		where = "i/f"
	}
	t.Line(" Gratuitous ARP for each secondary %s = %ss", where, Seconds(d.GARP.Extra.Period))
	t.Line(" Send advert after receive lower priority advert = %t", !d.LowerPriorityNoAdvert)
	t.Line(" Send advert after receive higher priority advert = %t", d.HigherPrioritySendAdvert)
	t.Line(" Gratuitous ARP interval = %f", d.GARP.Interval.Seconds())
	t.Line(" Gratuitous NA interval = %f", d.GARP.NAInterval.Seconds())
	t.Line(" VRRP default protocol version = %d", d.Version)
}

// GARP writes how addresses are announced.
func GARP(t *Writer, indent, timer string, g *conf.GARP) {
	t.Line("%sGratuitous ARP delay = %s", indent, Seconds(g.Delay))
	t.Line("%sGratuitous ARP repeat = %d", indent, g.Repeat)
	t.Line("%sGratuitous ARP refresh%s = %s", indent, timer, Seconds(g.Refresh))
	t.Line("%sGratuitous ARP refresh repeat = %d", indent, g.RefreshRepeat)
	t.Line("%sGratuitous ARP lower priority delay = %s", indent, Seconds(g.LowerDelay))
	t.Line("%sGratuitous ARP lower priority repeat = %d", indent, g.LowerRepeat)
}

func firewall(t *Writer, f *conf.Firewall) {
	if f.NFTables != "" {
		t.Line(" nftables table name = %s", f.NFTables)
		t.Line(" nftables base chain priority = %d", f.Priority)
		not := "don't "
		if f.IfIndex {
			not = ""
		}
		t.Line(" nftables %sforce use ifindex for link local IPv6", not)
	}
	if f.IPVSTable != "" {
		t.Line(" ipvs nftables table name = %s", f.IPVSTable)
		t.Line(" ipvs nftables base chain priority = %d", f.IPVSPriority)
		t.Line(" ipvs nftables start fwmark = %d", f.IPVSFirstMark)
	}
	with := "without"
	if f.Counters {
		with = "with"
	}
	t.Line(" nftables %s counters", with)
}

func limits(t *Writer, of string, p *conf.ProcessLimits) {
	t.Line(" %s process priority = %d", of, p.Priority)
	t.Line(" %s don't swap = %t", of, p.NoSwap)
	t.Line(" %s realtime priority = %d", of, p.RTPriority)
	if len(p.CPUAffinity) > 0 {
		t.Line(" %s CPU Affinity = %s", of, strings.Trim(fmt.Sprint(p.CPUAffinity), "[]"))
	}
	limit := p.RTTime
	if limit == 0 {
		limit = conf.DefaultRTTime
	}
	t.Line(" %s realtime limit = %d", of, limit)
}

func agents(t *Writer, g *conf.Global) {
	s := &g.SNMP
	for _, part := range []struct {
		name string
		on   bool
	}{{"vrrp", s.VRRP}, {"checker", s.Checker}, {"RFCv2", s.RFCv2}, {"RFCv3", s.RFCv3}, {"traps", s.Traps}} {
		t.Line(" SNMP %s %s", part.name, Enabled(part.on))
	}
	t.Line(" SNMP socket = %s", or(s.Socket, "default (unix:/var/agentx/master)"))
	t.Line(" DBus %s", Enabled(g.DBus.Enabled))
	name := g.DBus.ServiceName
	if name == defaultBusName {
		name = ""
	}
	t.Line(" DBus service name = %s", name)
}

func buffers(t *Writer, g *conf.Global) {
	for _, b := range []struct {
		name  string
		size  int
		force bool
	}{
		{"vrrp_netlink_cmd", g.NetlinkCmdRcvBuf, g.NetlinkCmdRcvBufForce},
		{"vrrp_netlink_monitor", g.NetlinkMonitorRcvBuf, g.NetlinkMonitorRcvBufForce},
		{"process_monitor", g.ProcessRcvBuf, g.ProcessRcvBufForce},
		{"lvs_netlink_cmd", g.LVS.NetlinkCmdRcvBuf, g.LVS.NetlinkCmdRcvBufForce},
		{"lvs_netlink_monitor", g.LVS.NetlinkMonitorRcvBuf, g.LVS.NetlinkMonitorRcvBufForce},
	} {
		t.Line(" %s_rcv_bufs = %d", b.name, b.size)
		t.Line(" %s_rcv_bufs_force = %d", b.name, number(b.force))
	}
	t.Line(" rs_init_notifies = %d", number(g.LVS.InitNotifies))
	switch g.RxBufPolicy {
	case conf.RxBufMTU:
		t.Line(" rx_bufs_policy = MTU")
	case conf.RxBufAdvert:
		t.Line(" rx_bufs_policy = ADVERT")
	case conf.RxBufBytes:
		t.Line(" rx_bufs_size = %d", g.RxBufSize)
	}
	t.Line(" rx_bufs_multiples = %d", g.RxBufMultiplier)
}

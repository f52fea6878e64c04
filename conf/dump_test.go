package conf

import (
	"bufio"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The files testdata/dump/*.conf have beside them what the C daemon's dump of
// its data says of them, as far as effectiveLines says it too.

// TestEffectiveAsDumped compares effective values with the recorded dumps.
func TestEffectiveAsDumped(t *testing.T) {
	eachDump(t, func(t *testing.T, path string, cfg *Config) {
		want, err := os.ReadFile(strings.TrimSuffix(path, ".conf") + ".dump")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(effectiveLines(cfg), "\n")); diff != "" {
			t.Errorf("%s (-the C daemon +ours):\n%s", path, diff)
		}
	})
}

// TestDumpsAgainstC compares the recorded dumps with what an installed
// keepalived says; -update records them.
func TestDumpsAgainstC(t *testing.T) {
	program := oracle(t)
	shim := filepath.Join(t.TempDir(), "ipvs.so")
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-o", shim, "testdata/dump/ipvs.c").CombinedOutput(); err != nil {
		if os.Getenv("KEEPALIVED_CI") == "1" {
			t.Fatalf("cc: %v\n%s", err, out)
		}
		t.Skipf("cc: %v\n%s", err, out)
	}
	eachDump(t, func(t *testing.T, path string, cfg *Config) {
		got := selected(dump(t, program, shim, path, cfg))
		recorded := strings.TrimSuffix(path, ".conf") + ".dump"
		if *update {
			if err := os.WriteFile(recorded, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			return
		}
		want, err := os.ReadFile(recorded)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s (-recorded +the C daemon):\n%s", path, diff)
		}
	})
}

func eachDump(t *testing.T, f func(t *testing.T, path string, cfg *Config)) {
	files, err := filepath.Glob("testdata/dump/*.conf")
	if err != nil || len(files) < 12 {
		t.Fatalf("%d files, want at least 12: %v", len(files), err)
	}
	for _, path := range files {
		cfg, diags := Load(path, Options{Interface: exists})
		if diags.Fatal() != 0 {
			t.Errorf("%s: cannot run:\n%s", path, list(diags))
			continue
		}
		f(t, path, cfg)
	}
}

// dump runs the C daemon until its data are written.
func dump(t *testing.T, program, shim, path string, cfg *Config) string {
	dir := t.TempDir()
	args := []string{"-d", "-n", "-l", "-G", "-f", path}
	for flag, name := range map[string]string{"-p": "parent", "-r": "vrrp", "-c": "checkers", "-b": "bfd"} {
		args = append(args, flag, filepath.Join(dir, name))
	}
	// The last line of each process comes behind its data.
	last, times := "Name = lo", 1
	switch {
	case cfg.HasVirtualServers:
		args, last = append(args, "-C"), "Activating BFD healthchecker"
	case cfg.HasBFD:
		last, times = "send event to checker process", len(cfg.BFDInstances)
	default:
		args = append(args, "-P")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+shim)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		cmd.Wait()
		w.Close()
	}()
	var out strings.Builder
	for lines := bufio.NewScanner(r); lines.Scan(); {
		out.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), last) {
			if times--; times == 0 {
				cancel()
			}
		}
	}
	if times > 0 {
		t.Fatalf("%s: the C daemon did not write its data:\n%s", path, &out)
	}
	return out.String()
}

var (
	stamp = regexp.MustCompile(`^\w{3} \w{3} +\d+ [\d:]+ \d{4}: `)
	// shown are the lines that effectiveLines writes too.
	shown = regexp.MustCompile(`^ +(VS (VIP|FWMARK|GROUP) = |VirtualHost = |SNMP name = |Address family = |connection timeout = |delay_loop = |lvs_sched = |` +
		`One packet sched|persistence |protocol = |alpha is |omega is |Retry |Warmup = |Inhibit on |quorum = |Using smtp notification = |` +
		`(default )?forwarding method = |sorry server = |RIP = |Alpha |connection limit|Delay loop = |\[[^ ]+ -> |FWM [^ ]+ -> |Retries = |Delay before retry = |` +
		`Connection$|Dest = |Bind |Mark = |Timeout = |Keepalive method = |Checked url = |digest = |\d{3}(-\d{3})?$|Virtual host = |` +
		`Payload |Require reply = |M(in|ax) reply length|Reply data |helo = |Type = |Name = |` +
		`Neighbor IP = |Source IP = |Required min|Desired |Detection mult|TTL = |max_hops = |passive = |send event|BFD Instance = |` +
		`Virtual Server Group = |VIP( Range)? = |FWMARK = |LVS (TCP|syncd|mcast|flush)|nftables |ipvs nftables|` +
		`(Checker|BFD) (process|don|realtime)|VMAC (address )?prefix|DBus |SNMP socket|` +
		`Use (VMAC|IPVLAN)|MAC = .*using|Kernel rx|Gratuitous ARP for each secondary [iV]|Static Track Group|VI_\d$)|` +
		`^     ((prepend|append|add|from|not) |[\d.:a-f]+(/\d+)? (dev|brd))`)
	installed = regexp.MustCompile(` (set|\[[^]]*\])$`)
	// extent are the parts of a dump that are compared.
	extent = regexp.MustCompile(`^-+< (.*) >-+$`)
)

// selected are the lines of a dump that effectiveLines writes too.
func selected(dump string) string {
	var b strings.Builder
	part, globals := "", 0
	for line := range strings.Lines(dump) {
		line = stamp.ReplaceAllString(strings.TrimRight(line, "\n"), "")
		if m := extent.FindStringSubmatch(line); m != nil {
			if part = m[1]; part == "Global definitions" {
				globals++
			}
		}
		switch part {
		case "", "Interfaces":
			continue
		case "VRRP Topology":
			if !vrrpShown.MatchString(line) {
				continue
			}
		case "Global definitions":
			if globals > 1 || !globalShown.MatchString(line) {
				continue
			}
		default:
			if globalShown.MatchString(line) {
				continue
			}
		}
		if shown.MatchString(line) {
			b.WriteString(installed.ReplaceAllString(line, "") + "\n")
		}
	}
	return b.String()
}

var (
	globalShown = regexp.MustCompile(`^ (LVS|nftables|ipvs nftables|Checker|BFD (process|don|realtime)|VMAC|DBus|SNMP socket|Gratuitous ARP for)`)
	vrrpShown   = regexp.MustCompile(`^ +(Use (VMAC|IPVLAN)|MAC = .*using|Kernel rx|(prepend|append|add|from|not) )`)
)

// effectiveLines writes a configuration as the C daemon's dump does.
func effectiveLines(cfg *Config) string {
	w := &dumpWriter{}
	w.globals(cfg)
	for _, b := range cfg.BFDInstances {
		w.bfd(b)
	}
	for _, g := range cfg.ServerGroups {
		w.group(g)
	}
	for _, vs := range cfg.VirtualServers {
		w.virtualServer(vs)
	}
	for _, vs := range cfg.VirtualServers {
		for i := range vs.RealServers {
			rs := &vs.RealServers[i]
			for j := range rs.Checks {
				w.check(vs, rs, &rs.Checks[j])
			}
		}
	}
	for i := range cfg.StaticAddresses {
		w.address(&cfg.StaticAddresses[i])
	}
	for i := range cfg.StaticRoutes {
		w.route(&cfg.StaticRoutes[i])
	}
	for i := range cfg.StaticRules {
		w.rule(&cfg.StaticRules[i])
	}
	for _, g := range cfg.TrackGroups {
		w.line(" Static Track Group = %s", g.Name)
		for _, name := range g.Instances {
			w.line("     %s", name)
		}
	}
	for _, in := range cfg.Instances {
		w.instance(in)
	}
	return w.String()
}

type dumpWriter struct{ strings.Builder }

func (w *dumpWriter) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

func pick(on bool, yes, no string) string {
	if on {
		return yes
	}
	return no
}

func decimals(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }

func (w *dumpWriter) globals(cfg *Config) {
	g := &cfg.Global
	l := &g.LVS
	for _, t := range []struct {
		name string
		d    time.Duration
	}{{"TCP", l.TCPTimeout}, {"TCP FIN", l.TCPFinTimeout}, {"TCP", l.UDPTimeout}} {
		if t.d != 0 {
			w.line(" LVS %s timeout = %d", t.name, t.d/time.Second)
		}
	}
	if s := l.Sync; s != nil {
		if s.Instance != "" {
			w.line(" LVS syncd vrrp instance = %s", s.Instance)
		}
		w.line(" LVS syncd interface = %s", s.Interface)
		w.line(" LVS syncd syncid = %d", s.ID)
		if s.MaxLen != 0 {
			w.line(" LVS syncd maxlen = %d", s.MaxLen)
		}
		if s.Group.IsValid() {
			w.line(" LVS mcast group %s", s.Group)
		}
		if s.Port != 0 {
			w.line(" LVS syncd mcast port = %d", s.Port)
		}
		if s.TTL != 0 {
			w.line(" LVS syncd mcast ttl = %d", s.TTL)
		}
	}
	w.line(" LVS flush = %t", l.Flush)
	w.line(" LVS flush on stop = %s", [...]string{"disabled", "VS", "full"}[l.FlushOnStop])
	if cfg.HasVirtualServers || cfg.HasBFD || len(cfg.Instances) > 0 {
		extra := ExtraGARP{}
		if len(cfg.Instances) > 0 {
			extra = cfg.Instances[0].GARP.Extra
		}
		w.line(" Gratuitous ARP for each secondary %s = %ds", pick(extra.All, "i/f", "VMAC"), extra.Period/time.Second)
	}
	f := &g.Firewall
	if f.NFTables != "" {
		w.line(" nftables table name = %s", f.NFTables)
		w.line(" nftables base chain priority = %d", f.Priority)
		w.line(" nftables %sforce use ifindex for link local IPv6", pick(f.IfIndex, "", "don't "))
	}
	if f.IPVSTable != "" {
		w.line(" ipvs nftables table name = %s", f.IPVSTable)
		w.line(" ipvs nftables base chain priority = %d", f.IPVSPriority)
		w.line(" ipvs nftables start fwmark = %d", f.IPVSFirstMark)
	}
	w.line(" nftables with%s counters", pick(f.Counters, "", "out"))
	for _, p := range []struct {
		name string
		l    *ProcessLimits
	}{{"Checker", &g.Checker}, {"BFD", &g.BFD}} {
		w.line(" %s process priority = %d", p.name, p.l.Priority)
		w.line(" %s don't swap = %t", p.name, p.l.NoSwap)
		w.line(" %s realtime priority = %d", p.name, p.l.RTPriority)
		limit := p.l.RTTime
		if limit == 0 {
			limit = 10000
		}
		w.line(" %s realtime limit = %d", p.name, limit)
	}
	w.line(" SNMP socket = %s", pick(g.SNMP.Socket == "", "default (unix:/var/agentx/master)", g.SNMP.Socket))
	w.line(" DBus %s", pick(g.DBus.Enabled, "enabled", "disabled"))
	w.line(" DBus service name = %s", pick(g.DBus.ServiceName == "org.keepalived.Vrrp1", "", g.DBus.ServiceName))
	if g.VMACPrefix != "vrrp" {
		w.line(" VMAC prefix = %s", g.VMACPrefix)
	}
	if g.VMACAddrPrefix != g.VMACPrefix {
		w.line(" VMAC address prefix = %s", g.VMACAddrPrefix)
	}
}

func (w *dumpWriter) bfd(b *BFDInstance) {
	w.line(" BFD Instance = %s", b.Name)
	w.line("   Neighbor IP = %s", b.Neighbor)
	if b.Source.IsValid() {
		w.line("   Source IP = %s", b.Source)
	}
	w.line("   Required min RX interval = %d us", b.MinRx.Microseconds())
	w.line("   Desired min TX interval = %d us", b.MinTx.Microseconds())
	w.line("   Desired idle TX interval = %d us", b.IdleTx.Microseconds())
	w.line("   Detection multiplier = %d", b.Multiplier)
	if b.Neighbor.Is4() {
		w.line("   TTL = %d", b.TTL)
	}
	w.line("   max_hops = %d", b.MaxHops)
	w.line("   passive = %t", b.Passive)
	w.line("   send event to VRRP process = %s", pick(b.VRRP, "Yes", "No"))
	w.line("   send event to checker process = %s", pick(b.Checker, "Yes", "No"))
}

func (w *dumpWriter) group(g *ServerGroup) {
	v4, v6, _ := g.families()
	w.line(" Virtual Server Group = %s, IPv4 = %s, IPv6 = %s", g.Name, pick(v4, "yes", "no"), pick(v6, "yes", "no"))
	for _, marks := range []bool{false, true} {
		for _, e := range g.Entries {
			switch {
			case e.First.IsValid() == marks:
			case marks:
				w.line("   FWMARK = %d", e.FWMark)
			case e.First == e.Last:
				w.line("   VIP = %s, VPORT = %d", e.First, e.Port)
			default:
				w.line("   VIP Range = %s-%s, VPORT = %d", e.First, e.Last, e.Port)
			}
		}
	}
}

func forwardText(f Forward) string {
	if f.Method != ForwardTunnel {
		return f.Method.String()
	}
	s := "TUN, type = " + strings.ToUpper(f.Tunnel.String())
	if f.Tunnel == TunnelGUE {
		s += fmt.Sprintf(", port = %d", f.Port)
	}
	if f.Tunnel != TunnelIPIP {
		s += ", " + [...]string{"no checksum", "checksum", "remote checksum"}[f.Checksum]
	}
	return s
}

func (w *dumpWriter) virtualServer(v *VirtualServer) {
	switch {
	case v.Group != "":
		w.line(" VS GROUP = [%s]:0", v.Group)
	case v.FWMark != 0:
		w.line(" VS FWMARK = %d", v.FWMark)
	default:
		w.line(" VS VIP = %s, VPORT = %d", v.Addr, v.Port)
	}
	if v.VirtualHost != "" {
		w.line("   VirtualHost = %s", v.VirtualHost)
	}
	if v.SNMPName != "" {
		w.line("   SNMP name = '%s'", v.SNMPName)
	}
	w.line("   Address family = inet%s", pick(v.Family == IPv6, "6", ""))
	w.line("   connection timeout = %s", decimals(v.Defaults.ConnectTimeout))
	w.line("   delay_loop = %s", decimals(v.Defaults.DelayLoop))
	w.line("   lvs_sched = %s", v.Scheduler)
	w.line("   One packet scheduling = %s", pick(v.OnePacket, "enabled", "disabled"))
	if v.Persistence != 0 {
		w.line("   persistence timeout = %d", v.Persistence/time.Second)
	}
	if m := v.Granularity; m != 0 && v.Family == IPv6 {
		w.line("   persistence granularity = %d", m)
	} else if m != 0 {
		w.line("   persistence granularity = %s", netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}))
	}
	w.line("   protocol = %s", pick(v.Protocol == NoProtocol, "none", strings.ToUpper(v.Protocol.String())))
	w.line("   alpha is %s", pick(v.Alpha, "ON", "OFF"))
	w.line("   omega is %s", pick(v.Omega, "ON", "OFF"))
	w.repeats(&v.Defaults)
	w.line("   Inhibit on failure is %s", pick(v.InhibitOnFail, "ON", "OFF"))
	w.line("   quorum = %d, hysteresis = %d", v.Quorum, v.Hysteresis)
	w.line("   Using smtp notification = %s", pick(v.SMTPAlert, "yes", "no"))
	w.line("   %sforwarding method = %s", pick(strings.Contains(forwardText(v.Forward), "G"), "", "default "), forwardText(v.Forward))
	if s := v.Sorry; s != nil {
		w.line("   sorry server = %s", v.Endpoint(s.Addr, s.Port))
		w.line("  %sforwarding method = %s", pick(strings.Contains(forwardText(s.Forward), "G"), " ", "   "), forwardText(s.Forward))
		w.line("     Inhibit on failure is %s", pick(s.InhibitOnFail, "ON", "OFF"))
	}
	for i := range v.RealServers {
		r := &v.RealServers[i]
		w.line("   RIP = %s, RPORT = %d, WEIGHT = %d EFF WEIGHT = %d", r.Addr, r.Port, r.Weight, r.Weight)
		w.line("   forwarding method = %s", forwardText(r.Forward))
		w.line("   Alpha is %s", pick(r.Alpha, "ON", "OFF"))
		w.line("   connection timeout = %s", decimals(r.Defaults.ConnectTimeout))
		w.line("   connection limit range = %d -> %d", r.Lower, r.Upper)
		w.line("   Delay loop = %s", decimals(r.Defaults.DelayLoop))
		w.repeats(&r.Defaults)
		w.line("   Inhibit on failure is %s", pick(r.InhibitOnFail, "ON", "OFF"))
		if r.VirtualHost != "" {
			w.line("    VirtualHost = '%s'", r.VirtualHost)
		}
		if r.SNMPName != "" {
			w.line("   SNMP name = %s", r.SNMPName)
		}
		w.line("   Using smtp notification = %s", pick(r.SMTPAlert, "yes", "no"))
	}
}

func (w *dumpWriter) repeats(c *CheckDefaults) {
	if c.Retry >= 0 {
		w.line("   Retry count = %d", c.Retry)
	}
	if c.DelayBeforeRetry >= 0 {
		w.line("   Retry delay = %s", decimals(c.DelayBeforeRetry))
	}
	if c.Warmup >= 0 {
		w.line("   Warmup = %s", decimals(c.Warmup))
	}
}

func (w *dumpWriter) check(v *VirtualServer, r *RealServer, c *Check) {
	w.line(" %s -> %s", v, v.Endpoint(r.Addr, r.Port))
	w.line("   Alpha = %s", pick(c.Alpha, "yes", "no"))
	w.line("   Delay loop = %d us", c.DelayLoop.Microseconds())
	w.line("   Warmup = %d us", c.Warmup.Microseconds())
	w.line("   Retries = %d", c.Retry)
	if c.Retry > 0 {
		w.line("   Delay before retry = %d us", c.DelayBeforeRetry.Microseconds())
	}
	if to := c.Connect; to != nil {
		w.line("   Connection")
		w.line("     Dest = [%s]:%d", to.Addr, to.Port)
		if to.Bind.IsValid() {
			w.line("     Bind to = [%s]:%d", to.Bind, to.BindPort)
		}
		if to.BindIf != "" {
			w.line("     Bind i/f = %s", to.BindIf)
		}
		if to.FWMark != 0 {
			w.line("     Mark = %d", to.FWMark)
		}
		w.line("     Timeout = %s", decimals(to.Timeout))
	}
	if c.HTTP == nil {
		w.line("   Keepalive method = %s", c.Kind)
	} else {
		w.line("   Keepalive method = %s, http protocol %s", c.Kind, c.HTTP.Protocol)
		for _, u := range c.HTTP.URLs {
			w.line("   Checked url = %s", u.Path)
			if u.Digest != "" {
				w.line("     digest = %s", u.Digest)
			}
			for _, s := range u.Status {
				if s.First == s.Last {
					w.line("       %d", s.First)
				} else {
					w.line("       %d-%d", s.First, s.Last)
				}
			}
		}
	}
	if c.Helo != "" {
		w.line("   helo = %s", c.Helo)
	}
	if c.DNS != nil {
		w.line("   Type = %s", c.DNS.Type)
		w.line("   Name = %s", c.DNS.Name)
	}
	if u := c.UDP; u != nil {
		if u.Payload == nil {
			w.line("   Payload specified = no")
		} else {
			w.line("   Payload len = %d", len(u.Payload))
		}
		w.line("   Require reply = %s", pick(u.RequireReply, "yes", "no"))
		if u.RequireReply {
			w.line("     Min reply length = %d", u.MinLength)
			w.line("     Max reply length = %d", u.MaxLength)
			w.line("     Reply data len = %d", len(u.Reply))
			if len(u.Reply) > 0 {
				w.line("     Reply data mask = %s", pick(u.ReplyMask != nil, "yes", "no"))
			}
		}
	}
}

var scopes = map[uint8]string{0: "global", 200: "site", 253: "link", 254: "host"}

func (w *dumpWriter) address(a *StaticAddress) {
	host := a.Prefix.Addr().String()
	if !a.Prefix.IsSingleIP() {
		host = a.Prefix.String()
	}
	s := "     " + host
	if a.Broadcast.IsValid() {
		s += " brd " + a.Broadcast.String()
	}
	s += " dev " + a.Interface + " scope " + scopes[a.Scope]
	if a.Label != "" {
		s += " label " + a.Label
	}
	for _, f := range []struct {
		on   bool
		word string
	}{{a.Home, "home"}, {a.NoPrefixRoute, "noprefixroute"}, {a.AutoJoin, "autojoin"}, {a.NoTrack, "no_track"}, {a.TrackGroup != "", "track_group " + a.TrackGroup}} {
		if f.on {
			s += " " + f.word
		}
	}
	w.line("%s", s)
}

func hopText(h NextHop) string {
	s := ""
	if h.Via.IsValid() {
		s += " via inet" + pick(h.Via.Is4(), "", "6") + " " + h.Via.String()
	}
	if h.Interface != "" {
		s += " dev " + h.Interface
	}
	return s
}

func (w *dumpWriter) route(r *Route) {
	to := r.Destination.String()
	if r.Destination.IsSingleIP() {
		to = r.Destination.Addr().String()
	}
	s := "     " + r.Order.String() + " " + to
	if r.From.IsValid() {
		s += " from " + r.From.String()
	}
	if r.TOS != 0 {
		s += fmt.Sprintf(" tos %d", r.TOS)
	}
	if e := r.Hop.Encap; e != nil {
		s += fmt.Sprintf(" encap %s id %d dst %s src %s tos %d ttl %d", e.Type, e.ID, e.Dst, e.Src, e.TOS, e.TTL)
	}
	s += hopText(r.Hop)
	if r.Table != 254 {
		s += fmt.Sprintf(" table %d", r.Table)
	}
	s += fmt.Sprintf(" proto %d", r.Protocol)
	if r.Scope != 0 {
		s += fmt.Sprintf(" scope %d", r.Scope)
	}
	if r.Metric != 0 {
		s += fmt.Sprintf(" metric %d", r.Metric)
	}
	if r.Expires != 0 {
		s += fmt.Sprintf(" expires %dsec", r.Expires/time.Second)
	}
	if n := r.Hop.Realms; n>>16 != 0 {
		s += fmt.Sprintf(" realms %d/%d", n>>16, n&0xffff)
	} else if n != 0 {
		s += fmt.Sprintf(" realm %d", n)
	}
	s += metricText(r.Metrics)
	if r.Preference != nil {
		s += " pref " + [...]string{"medium", "high", "", "low"}[*r.Preference]
	}
	for _, h := range r.Hops {
		s += " nexthop" + hopText(h) + fmt.Sprintf(" weight %d", h.Weight) + pick(h.OnLink, " onlink", "")
	}
	w.line("%s%s%s", s, pick(r.NoTrack, " no_track", ""), pick(r.TrackGroup != "", " track_group "+r.TrackGroup, ""))
}

func metricText(list []RouteMetric) (s string) {
	for _, m := range []struct {
		metric Metric
		word   string
	}{
		{MetricRTT, "rtt"}, {MetricRTTVar, "rttvar"}, {MetricRTOMin, "rto_min"}, {MetricFeatures, "features"}, {MetricMTU, "mtu"},
		{MetricWindow, "window"}, {MetricSSThresh, "ssthresh"}, {MetricCWnd, "cwnd"}, {MetricAdvMSS, "advmss"}, {MetricReordering, "reordering"},
		{MetricHopLimit, "hoplimit"}, {MetricInitCWnd, "initcwnd"}, {MetricInitRWnd, "initrwnd"},
	} {
		for _, v := range list {
			if v.Metric != m.metric {
				continue
			}
			s += " " + m.word + pick(v.Locked, " lock", "")
			switch {
			case v.Metric == MetricFeatures:
				s += " ecn"
			case v.Metric == MetricRTT || v.Metric == MetricRTTVar || v.Metric == MetricRTOMin:
				if v.Value%1000 == 0 {
					s += fmt.Sprintf(" %ds", v.Value/1000)
				} else {
					s += fmt.Sprintf(" %dms", v.Value)
				}
			default:
				s += fmt.Sprintf(" %d", v.Value)
			}
		}
	}
	return s
}

func prefixText(p netip.Prefix) string {
	if p.IsSingleIP() {
		return p.Addr().String()
	}
	return p.String()
}

func (w *dumpWriter) rule(r *Rule) {
	s := "     " + pick(r.Not, "not ", "") + "from " + pick(r.From.IsValid(), prefixText(r.From), "all")
	if r.To.IsValid() {
		s += " to " + prefixText(r.To)
	}
	s += fmt.Sprintf(" priority %d tos 0x%x", r.Priority, r.TOS)
	if r.FWMask != 0 {
		s += fmt.Sprintf(" fwmark 0x%x", r.FWMark)
		if r.FWMask != 1<<32-1 {
			s += fmt.Sprintf("/0x%x", r.FWMask)
		}
	}
	if r.Iif != "" {
		s += " iif " + r.Iif
	}
	if r.Oif != "" {
		s += " oif " + r.Oif
	}
	if r.SuppressPrefixLength >= 0 {
		s += fmt.Sprintf(" suppress_prefixlen %d", r.SuppressPrefixLength)
	}
	if r.SuppressGroup >= 0 {
		s += fmt.Sprintf(" suppress_ifgroup %d", r.SuppressGroup)
	}
	if r.L3MDev {
		s += " l3mdev"
	}
	if r.UIDs != nil {
		s += fmt.Sprintf(" uidrange %d-%d", r.UIDs.First, r.UIDs.Last)
	}
	s += fmt.Sprintf(" protocol %d", r.Protocol)
	if r.IPProto != 0 {
		s += fmt.Sprintf(" ipproto %d", r.IPProto)
	}
	if r.SPort != nil {
		s += fmt.Sprintf(" sport %d-%d", r.SPort.First, r.SPort.Last)
	}
	if r.DPort != nil {
		s += fmt.Sprintf(" dport %d-%d", r.DPort.First, r.DPort.Last)
	}
	if r.Realms != 0 {
		s += fmt.Sprintf(" realms %d/%d", r.Realms>>16, r.Realms&0xffff)
	}
	switch r.Action {
	case RuleLookup:
		s += fmt.Sprintf(" lookup %d", r.Table)
	case RuleGoto:
		s += fmt.Sprintf(" goto %d", r.Goto)
	case RuleNop:
		s += " nop"
	default:
		s += " type " + [...]string{6: "blackhole", 7: "unreachable", 8: "prohibit"}[r.Action]
	}
	w.line("%s%s", s, pick(r.NoTrack, " no_track", ""))
}

func (w *dumpWriter) instance(in *VRRPInstance) {
	if l := in.Link; l != nil {
		name := l.Name
		if name == "" {
			name = fmt.Sprintf("vrrp.%d", in.VRID)
		}
		switch l.Kind {
		case LinkVMAC:
			w.line("   Use VMAC, i/f name %s, is_up = true, xmit_base = %t", name, l.TransmitBase)
			if l.MACSet {
				m := hex.EncodeToString(l.MAC[:])
				w.line("     MAC = %s:%s:%s:%s:%s:%s%s", m[:2], m[2:4], m[4:6], m[6:8], m[8:10], m[10:], pick(l.MAC[5] == in.VRID, " (using VRID)", ""))
			}
		case LinkPlain:
			if l.AddressVMACs {
				w.line("   Use VMAC for VIPs on other interfaces")
			}
		}
	}
	if in.RxBuf != 0 {
		w.line("   Kernel rx buffer size = %d", in.RxBuf)
	}
	if in.Routing != nil {
		for i := range in.Routing.Routes {
			w.route(&in.Routing.Routes[i])
		}
		for i := range in.Routing.Rules {
			w.rule(&in.Routing.Rules[i])
		}
	}
}

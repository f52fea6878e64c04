package text

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"keepalived-go/conf"
)

// Servers writes the sections of virtual servers and of health checks as
// configured.
func Servers(t *Writer, c *conf.Config) {
	if len(c.VirtualServers) == 0 {
		return
	}
	t.Section("LVS Topology")
	for _, g := range c.ServerGroups {
		t.Line(" ------< Virtual server group >------")
		serverGroup(t, g)
	}
	for _, v := range c.VirtualServers {
		t.Line(" ------< Virtual server >------")
		virtualServer(t, v)
	}
	if !slices.ContainsFunc(c.VirtualServers, func(v *conf.VirtualServer) bool {
		return slices.ContainsFunc(v.RealServers, func(r *conf.RealServer) bool { return len(r.Checks) > 0 })
	}) {
		return
	}
	t.Section("Health checkers")
	for _, v := range c.VirtualServers {
		for _, r := range v.RealServers {
			for _, c := range r.Checks {
				check(t, v, r, c)
			}
		}
	}
}

func serverGroup(t *Writer, g *conf.ServerGroup) {
	of := func(f conf.Family) string {
		return YesNo(slices.ContainsFunc(g.Entries, func(e conf.GroupEntry) bool { return e.Family == f }))
	}
	t.Line(" Virtual Server Group = %s, IPv4 = %s, IPv6 = %s", g.Name, of(conf.IPv4), of(conf.IPv6))
	for _, marks := range []bool{false, true} {
		for _, e := range g.Entries {
			switch {
			case e.First.IsValid() == marks:
			case marks:
				t.Line("   FWMARK = %d", e.FWMark)
			case e.First == e.Last:
				t.Line("   VIP = %v, VPORT = %d", e.First, e.Port)
			default:
				t.Line("   VIP Range = %v-%v, VPORT = %d", e.First, e.Last, e.Port)
			}
		}
	}
}

func onOff(on bool) string {
	if on {
		return "ON"
	}
	return "OFF"
}

func decimals(d time.Duration) string { return fmt.Sprintf("%.6f", d.Seconds()) }

// forwarding is a forwarding method; special reports one that has more than a
// name, which is said without "default".
func forwarding(f conf.Forward) (text string, special bool) {
	if f.Method != conf.ForwardTunnel {
		return f.Method.String(), false
	}
	text = "TUN, type = " + strings.ToUpper(f.Tunnel.String())
	if f.Tunnel == conf.TunnelGUE {
		text += fmt.Sprintf(", port = %d", f.Port)
	}
	if f.Tunnel != conf.TunnelIPIP {
		text += ", " + [...]string{"no checksum", "checksum", "remote checksum"}[f.Checksum]
	}
	return text, f.Tunnel != conf.TunnelIPIP
}

func virtualServer(t *Writer, v *conf.VirtualServer) {
	switch {
	case v.Group != "":
		t.Line(" VS GROUP = [%s]:0", v.Group)
	case v.FWMark != 0:
		t.Line(" VS FWMARK = %d", v.FWMark)
	default:
		t.Line(" VS VIP = %v, VPORT = %d", v.Addr, v.Port)
	}
	named(t, "   VirtualHost", v.VirtualHost)
	if v.SNMPName != "" {
		t.Line("   SNMP name = '%s'", v.SNMPName)
	}
	family := "inet"
	if v.Family == conf.IPv6 {
		family = "inet6"
	}
	t.Line("   Address family = %s", family)
	t.Line("   connection timeout = %s", decimals(v.Defaults.ConnectTimeout))
	t.Line("   delay_loop = %s", decimals(v.Defaults.DelayLoop))
	t.Line("   lvs_sched = %s", v.Scheduler)
	t.Line("   One packet scheduling = %s", Enabled(v.OnePacket))
	if v.Persistence != 0 {
		t.Line("   persistence timeout = %s", Seconds(v.Persistence))
	}
	if m := v.Granularity; m != 0 && v.Family == conf.IPv6 {
		t.Line("   persistence granularity = %d", m)
	} else if m != 0 {
		t.Line("   persistence granularity = %v", netip.AddrFrom4([4]byte{byte(m >> 24), byte(m >> 16), byte(m >> 8), byte(m)}))
	}
	protocol := "none"
	if v.Protocol != conf.NoProtocol {
		protocol = strings.ToUpper(v.Protocol.String())
	}
	t.Line("   protocol = %s", protocol)
	t.Line("   alpha is %s", onOff(v.Alpha))
	t.Line("   omega is %s", onOff(v.Omega))
	checkDefaults(t, v.Defaults)
	t.Line("   Inhibit on failure is %s", onOff(v.InhibitOnFail))
	t.Line("   quorum = %d, hysteresis = %d", v.Quorum, v.Hysteresis)
	t.Line("   Using smtp notification = %s", YesNo(v.SMTPAlert))
	if method, special := forwarding(v.Forward); special {
		t.Line("   forwarding method = %s", method)
	} else {
		t.Line("   default forwarding method = %s", method)
	}
	if s := v.Sorry; s != nil {
		t.Line("   sorry server = %s", v.Endpoint(s.Addr, s.Port))
		if method, special := forwarding(s.Forward); special {
			t.Line("   forwarding method = %s", method)
		} else {
			t.Line("     forwarding method = %s", method)
		}
		t.Line("     Inhibit on failure is %s", onOff(s.InhibitOnFail))
	}
	for _, r := range v.RealServers {
		t.Line("   ------< Real server >------")
		realServer(t, r)
	}
}

func realServer(t *Writer, r *conf.RealServer) {
	t.Line("   RIP = %v, RPORT = %d, WEIGHT = %d EFF WEIGHT = %d", r.Addr, r.Port, r.Weight, r.Weight)
	method, _ := forwarding(r.Forward)
	t.Line("   forwarding method = %s", method)
	t.Line("   Alpha is %s", onOff(r.Alpha))
	t.Line("   connection timeout = %s", decimals(r.Defaults.ConnectTimeout))
	t.Line("   connection limit range = %d -> %d", r.Lower, r.Upper)
	t.Line("   Delay loop = %s", decimals(r.Defaults.DelayLoop))
	checkDefaults(t, r.Defaults)
	t.Line("   Inhibit on failure is %s", onOff(r.InhibitOnFail))
	if r.VirtualHost != "" {
		t.Line("    VirtualHost = '%s'", r.VirtualHost)
	}
	named(t, "   SNMP name", r.SNMPName)
	t.Line("   Using smtp notification = %s", YesNo(r.SMTPAlert))
}

// checkDefaults writes what a server says about its checks, as far as it does.
func checkDefaults(t *Writer, c *conf.CheckDefaults) {
	if c.Retry >= 0 {
		t.Line("   Retry count = %d", c.Retry)
	}
	if c.DelayBeforeRetry >= 0 {
		t.Line("   Retry delay = %s", decimals(c.DelayBeforeRetry))
	}
	if c.Warmup >= 0 {
		t.Line("   Warmup = %s", decimals(c.Warmup))
	}
}

func check(t *Writer, v *conf.VirtualServer, r *conf.RealServer, c *conf.Check) {
	t.Line(" %v -> %s", v, v.Endpoint(r.Addr, r.Port))
	t.Line("   Alpha = %s", YesNo(c.Alpha))
	t.Line("   Delay loop = %d us", c.DelayLoop.Microseconds())
	t.Line("   Warmup = %d us", c.Warmup.Microseconds())
	t.Line("   Retries = %d", c.Retry)
	if c.Retry > 0 {
		t.Line("   Delay before retry = %d us", c.DelayBeforeRetry.Microseconds())
	}
	if to := c.Connect; to != nil {
		t.Line("   Connection")
		t.Line("     Dest = [%v]:%d", to.Addr, to.Port)
		if to.Bind.IsValid() {
			t.Line("     Bind to = [%v]:%d", to.Bind, to.BindPort)
		}
		named(t, "     Bind i/f", to.BindIf)
		if to.FWMark != 0 {
			t.Line("     Mark = %d", to.FWMark)
		}
		t.Line("     Timeout = %s", decimals(to.Timeout))
	}
	if c.HTTP == nil {
		t.Line("   Keepalive method = %v", c.Kind)
	} else {
		httpCheck(t, c)
	}
	if c.SMTP != nil {
		named(t, "   helo", c.SMTP.Helo)
	}
	if c.DNS != nil {
		t.Line("   Type = %v", c.DNS.Type)
		t.Line("   Name = %s", c.DNS.Name)
	}
	if c.UDP != nil {
		udpCheck(t, c.UDP)
	}
}

func httpCheck(t *Writer, c *conf.Check) {
	t.Line("   Keepalive method = %v, http protocol %v", c.Kind, c.HTTP.Protocol)
	for _, u := range c.HTTP.URLs {
		t.Line("   Checked url = %s", u.Path)
		named(t, "     digest", u.Digest)
		if len(u.Status) == 0 {
			continue
		}
		t.Line("     HTTP Status Code(s)")
		for _, s := range u.Status {
			if s.First == s.Last {
				t.Line("       %d", s.First)
			} else {
				t.Line("       %d-%d", s.First, s.Last)
			}
		}
	}
}

func udpCheck(t *Writer, u *conf.UDPCheck) {
	if u.Payload == nil {
		t.Line("   Payload specified = no")
	} else {
		t.Line("   Payload len = %d", len(u.Payload))
	}
	t.Line("   Require reply = %s", YesNo(u.RequireReply))
	if !u.RequireReply {
		return
	}
	t.Line("     Min reply length = %d", u.MinLength)
	t.Line("     Max reply length = %d", u.MaxLength)
	t.Line("     Reply data len = %d", len(u.Reply))
	if len(u.Reply) > 0 {
		t.Line("     Reply data mask = %s", YesNo(u.ReplyMask != nil))
	}
}

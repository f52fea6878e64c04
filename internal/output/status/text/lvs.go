package text

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
)

// lvsData is the state dump of the process of the health checks in the making.
type lvsData struct {
	Writer
	*status.LVS
	accounts Accounts
}

// LVS is the state dump of the process of the health checks: what is configured,
// and what is if the checks have begun.
func LVS(s *status.LVS) []byte {
	t := &lvsData{LVS: s, accounts: Accounts{Policy: s.Conf.Global.Scripts}}
	Global(&t.Writer, &s.Conf.Global, Process{NetNamespace: s.NetNamespace}, &t.accounts)
	t.identity()
	t.topology()
	t.trackedFiles()
	t.sessions()
	if s.Running {
		t.reasons()
		loop(&t.Writer, &s.Loop)
		t.table()
		notifications(&t.Writer, s.Notifications)
		t.List("------< Disabled scripts >------", disabledNotifications(s.Notifications))
	}
	return t.Bytes()
}

// identity writes what SSL_GET shows to servers.
func (t *lvsData) identity() {
	t.Section("SSL definitions")
	c := t.Conf.TLSClient
	if c == nil {
		t.Line(" Using autogen SSL context")
		return
	}
	if c.Password != "" {
		t.Line(" Password : %v", c.Password) // masked
	}
	for _, f := range []struct{ name, path string }{{"CA-file", c.CA}, {"Certificate file", c.Certificate}, {"Key file", c.Key}} {
		if f.path != "" {
			t.Line(" %s : %s", f.name, f.path)
		}
	}
}

// topology writes the sections of virtual servers and of health checks.
func (t *lvsData) topology() {
	if len(t.Services) == 0 {
		return
	}
	t.Section("LVS Topology")
	for _, g := range t.Conf.ServerGroups {
		t.Line(" ------< Virtual server group >------")
		t.serverGroup(g)
	}
	for i := range t.Services {
		t.Line(" ------< Virtual server >------")
		t.virtualServer(&t.Services[i])
	}
	title := false
	for v, r := range t.servers {
		for i := range r.Checks {
			if !title {
				title = true
				t.Section("Health checkers")
			}
			t.check(v, r, &r.Checks[i])
		}
	}
}

// servers are all real servers with their virtual servers.
func (t *lvsData) servers(yield func(*status.VirtualServer, *status.RealServer) bool) {
	for i := range t.Services {
		v := &t.Services[i]
		for j := range v.Servers {
			if !yield(v, &v.Servers[j]) {
				return
			}
		}
	}
}

func (t *lvsData) serverGroup(g *conf.ServerGroup) {
	of := func(f conf.Family) string {
		return YesNo(slices.ContainsFunc(g.Entries, func(e conf.GroupEntry) bool { return e.Family == f }))
	}
	alive := map[string]int{} // servers in the kernel's table, by protocol and by family
	for i := range t.Services {
		v := &t.Services[i]
		for j := range v.Servers {
			if v.Conf.Group == g.Name && v.Servers[j].InTable() {
				alive[v.Conf.Protocol.String()]++
				alive[familyName(v.Conf.Family)]++
			}
		}
	}
	t.Line(" Virtual Server Group = %s, IPv4 = %s, IPv6 = %s", g.Name, of(conf.IPv4), of(conf.IPv6))
	for _, marks := range []bool{false, true} {
		for _, e := range g.Entries {
			switch {
			case e.First.IsValid() == marks:
				continue
			case marks:
				t.Line("   FWMARK = %d", e.FWMark)
			case e.First == e.Last:
				t.Line("   VIP = %v, VPORT = %d", e.First, e.Port)
			default:
				t.Line("   VIP Range = %v-%v, VPORT = %d", e.First, e.Last, e.Port)
			}
			switch {
			case !t.Running:
			case marks:
				t.Line("     Alive: %d IPv4, %d IPv6", alive["inet"], alive["inet6"])
			default:
				t.Line("     Alive: %d tcp, %d udp, %d sctp", alive["tcp"], alive["udp"], alive["sctp"])
			}
		}
	}
}

func familyName(f conf.Family) string {
	if f == conf.IPv6 {
		return "inet6"
	}
	return "inet"
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

func (t *lvsData) virtualServer(s *status.VirtualServer) {
	v := s.Conf
	switch {
	case v.Group != "":
		t.Line(" VS GROUP = [%s]:0", v.Group)
	case v.FWMark != 0:
		t.Line(" VS FWMARK = %d", v.FWMark)
	default:
		t.Line(" VS VIP = %v, VPORT = %d", v.Addr, v.Port)
	}
	named(&t.Writer, "   VirtualHost", v.VirtualHost)
	if v.SNMPName != "" {
		t.Line("   SNMP name = '%s'", v.SNMPName)
	}
	t.Line("   Address family = %s", familyName(v.Family))
	t.Line("   connection timeout = %s", decimals(v.Defaults.ConnectTimeout))
	t.Line("   delay_loop = %s", decimals(v.Defaults.DelayLoop))
	t.scheduler(v)
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
	t.checkDefaults(v.Defaults)
	t.Line("   Inhibit on failure is %s", onOff(v.InhibitOnFail))
	quorum, hysteresis := int64(v.Quorum), int64(v.Hysteresis)
	if t.Running {
		quorum, hysteresis = s.Quorum, s.Hysteresis
	}
	t.Line("   quorum = %d, hysteresis = %d", quorum, hysteresis)
	t.script("   Quorum up notify script", &v.QuorumUp)
	t.script("   Quorum down notify script", &v.QuorumDown)
	note(&t.Writer, v.HASuspend, "   Using HA suspend")
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
	if t.Running {
		t.Line("   alive = 1")
		t.Line("   quorum_state_up = %d", number(s.Up))
	}
	for i := range s.Servers {
		t.Line("   ------< Real server >------")
		t.realServer(&s.Servers[i])
	}
}

// scheduler writes the scheduler and its flags, which sh and mh have names for.
func (t *lvsData) scheduler(v *conf.VirtualServer) {
	t.Line("   lvs_sched = %s", v.Scheduler)
	t.Line("   Hashed = %s", Enabled(v.Hashed))
	if v.Scheduler == "sh" || v.Scheduler == "mh" {
		t.Line("   %s-port = %s", v.Scheduler, Enabled(v.Flag2))
		t.Line("   %s-fallback = %s", v.Scheduler, Enabled(v.Flag1))
	} else {
		for i, on := range []bool{v.Flag1, v.Flag2, v.Flag3} {
			t.Line("   flag-%d = %s", i+1, Enabled(on))
		}
	}
	t.Line("   One packet scheduling = %s", Enabled(v.OnePacket))
}

// script writes a script and as whom it runs, unless there is none.
func (t *lvsData) script(title string, c *conf.Command) {
	if c != nil && c.Given() {
		t.Line("%s = %s", title, t.accounts.Command(c))
	}
}

func (t *lvsData) realServer(s *status.RealServer) {
	r := s.Conf
	effective := r.Weight
	if t.Running {
		effective = s.Weight
	}
	t.Line("   RIP = %v, RPORT = %d, WEIGHT = %d EFF WEIGHT = %d", r.Addr, r.Port, effective, effective)
	method, _ := forwarding(r.Forward)
	t.Line("   forwarding method = %s", method)
	t.Line("   Alpha is %s", onOff(r.Alpha))
	t.Line("   connection timeout = %s", decimals(r.Defaults.ConnectTimeout))
	t.Line("   connection limit range = %d -> %d", r.Lower, r.Upper)
	t.Line("   Delay loop = %s", decimals(r.Defaults.DelayLoop))
	t.checkDefaults(r.Defaults)
	t.Line("   Inhibit on failure is %s", onOff(r.InhibitOnFail))
	t.script("     RS up notify script", r.NotifyUp)
	t.script("     RS down notify script", r.NotifyDown)
	if r.VirtualHost != "" {
		t.Line("    VirtualHost = '%s'", r.VirtualHost)
	}
	named(&t.Writer, "   SNMP name", r.SNMPName)
	t.Line("   Using smtp notification = %s", YesNo(r.SMTPAlert))
	if t.Running {
		t.Line("   initial weight = %d", r.Weight)
		t.Line("   effective weight = %d", s.Weight)
		t.Line("   alive = %d", number(s.Up))
		t.Line("   num failed checkers = %d", s.Failed)
		t.Line("   RS set = %d", number(s.InTable()))
	}
	var files, sessions []string
	for i := range s.Checks {
		switch c := s.Checks[i].Conf; {
		case c.File != nil:
			files = append(files, c.File.File+", weight "+weight(c.File.Weight, c.File.Reverse))
		case c.BFD != nil:
			sessions = append(sessions, c.BFD.Name)
		}
	}
	t.List("   Tracked Files", files)
	t.List("   Tracked BFDs", sessions)
}

// checkDefaults writes the defaults that a server has for its checks, if any.
func (t *lvsData) checkDefaults(c *conf.CheckDefaults) {
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

func (t *lvsData) check(v *status.VirtualServer, r *status.RealServer, s *status.Check) {
	c := s.Conf
	t.Line(" %v -> %s", v.Conf, v.Name(r))
	if t.Running {
		t.Line("   Enabled = %s", YesNo(s.Active))
		t.Line("   Up = %s", YesNo(s.Up))
		t.Line("   Has run = %s", YesNo(!s.Last.At.IsZero()))
		t.Line("   Current weight = %d", s.Weight)
	}
	if c.BFD == nil && c.File == nil {
		t.Line("   Alpha = %s", YesNo(c.Alpha))
		t.Line("   Delay loop = %d us", c.DelayLoop.Microseconds())
		t.Line("   Warmup = %d us", c.Warmup.Microseconds())
		t.Line("   Retries = %d", c.Retry)
		if c.Retry > 0 {
			t.Line("   Delay before retry = %d us", c.DelayBeforeRetry.Microseconds())
			if t.Running {
				t.Line("   Retries iterations = %d", s.Failures)
			}
		}
	}
	t.Line("   Log all failures = %s", YesNo(c.LogAllFailures))
	if to := c.Connect; to != nil {
		t.Line("   Connection")
		t.Line("     Dest = [%v]:%d", to.Addr, to.Port)
		if to.Bind.IsValid() {
			t.Line("     Bind to = [%v]:%d", to.Bind, to.BindPort)
		}
		named(&t.Writer, "     Bind i/f", to.BindIf)
		if to.FWMark != 0 {
			t.Line("     Mark = %d", to.FWMark)
		}
		t.Line("     Timeout = %s", decimals(to.Timeout))
	}
	if c.HTTP == nil {
		t.Line("   Keepalive method = %v", c.Kind)
	}
	switch {
	case c.HTTP != nil:
		t.httpCheck(s)
	case c.SMTP != nil:
		named(&t.Writer, "   helo", c.SMTP.Helo)
	case c.DNS != nil:
		t.Line("   Type = %v", c.DNS.Type)
		t.Line("   Name = %s", c.DNS.Name)
	case c.UDP != nil:
		t.udpCheck(c.UDP)
	case c.Misc != nil:
		t.miscCheck(s)
	case c.BFD != nil:
		t.Line("   Name = %s", c.BFD.Name)
		t.Line("   Alpha is %s", onOff(c.Alpha))
	case c.File != nil:
		t.Line("     Tracked file = %s", c.File.File)
	}
}

func set(on bool) string {
	if on {
		return "set"
	}
	return "unset"
}

func (t *lvsData) httpCheck(s *status.Check) {
	c := s.Conf
	t.Line("   Keepalive method = %v, http protocol %v", c.Kind, c.HTTP.Protocol)
	t.Line("   Enable SNI %s", set(c.HTTP.SNI))
	named(&t.Writer, "   SNI name", c.HTTP.SNIName)
	t.Line("   Fast recovery %s", set(c.HTTP.FastRecovery))
	for i := range c.HTTP.URLs {
		u := &c.HTTP.URLs[i]
		t.Line("   Checked url = %s", u.Path)
		named(&t.Writer, "     digest", u.Digest)
		if len(u.Status) > 0 {
			t.Line("     HTTP Status Code(s)")
		}
		for _, s := range u.Status {
			if s.First == s.Last {
				t.Line("       %d", s.First)
			} else {
				t.Line("       %d-%d", s.First, s.Last)
			}
		}
		if r := u.Regex; r != nil {
			t.Line("     Regex = \"%s\"", r.Pattern)
			note(&t.Writer, r.NoMatch, "     Regex no match")
			if r.MinOffset != 0 || r.MaxOffset >= 0 {
				t.Line("     Regex min offset = %d, max_offset = %d", r.MinOffset, r.MaxOffset)
			}
			if len(r.Options) > 0 {
				t.Line("     Regex options: %s", strings.Join(r.Options, " "))
			}
		}
	}
	if p := s.Last.Page; t.Running && s.Known && !s.Up && p < len(c.HTTP.URLs) {
		t.Line("   Failed URL = %s", c.HTTP.URLs[p].Path)
	}
}

func (t *lvsData) udpCheck(u *conf.UDPCheck) {
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

func (t *lvsData) miscCheck(s *status.Check) {
	m := s.Conf.Misc
	t.Line("   script = %s", t.accounts.Program(&m.Command))
	t.Line("   timeout = %s", Seconds(m.Timeout))
	t.Line("   dynamic = %s", strings.ToUpper(YesNo(m.Dynamic)))
	t.Line("   uid:gid = %s", t.accounts.Of(m.Command.User, m.Command.Group))
	if t.Running {
		t.Line("   Last ran = %s", When(s.Last.At))
	}
}

func (t *lvsData) trackedFiles() {
	if len(t.Files) == 0 {
		return
	}
	users := map[string][]string{}
	for v, r := range t.servers {
		for i := range r.Checks {
			if c := r.Checks[i].Conf.File; c != nil {
				users[c.File] = append(users[c.File], fmt.Sprintf("%v -> %s, weight %s", v.Conf, v.Name(r), weight(c.Weight, c.Reverse)))
			}
		}
	}
	t.Section("Checker track files")
	for i := range t.Files {
		f := &t.Files[i]
		t.Line(" Track file = %s", f.Conf.Name)
		t.Line("   File = %s", f.Conf.Path)
		if t.Running {
			t.Line("   Status = %d", f.Number)
		}
		t.Line("   Weight = %s", weight(f.Conf.Weight, f.Conf.Reverse))
		t.List("   Tracking instances :", users[f.Conf.Name])
	}
}

func (t *lvsData) sessions() {
	if len(t.Sessions) == 0 {
		return
	}
	users := map[string][]string{}
	for v, r := range t.servers {
		for i := range r.Checks {
			if c := r.Checks[i].Conf.BFD; c != nil {
				users[c.Name] = append(users[c.Name], v.Name(r))
			}
		}
	}
	t.Section("Checker track BFDs")
	for i := range t.Sessions {
		s := &t.Sessions[i]
		t.Line(" Checker Track BFD = %s", s.Name)
		if t.Running {
			t.Line("   Session = %s", s.State())
		}
		t.List("   Tracking RS :", users[s.Name])
	}
}

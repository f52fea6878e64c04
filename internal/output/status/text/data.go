package text

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"math/bits"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
	"keepalived-go/vrrp"
)

// data is the state dump of the VRRP process in the making.
type data struct {
	Writer
	*status.VRRP
	accounts Accounts
}

// Data is the state dump of the VRRP process: what is configured, and what is if
// the engines have begun.
func Data(s *status.VRRP) []byte {
	var b bytes.Buffer
	w := bufio.NewWriter(&b)
	WriteData(w, slices.Values([][]status.Instance{s.Instances}), s)
	w.Flush()
	return b.Bytes()
}

// WriteData writes [Data]. There may be thousands of virtual routers: they come in slices, and
// each is written before the next one is looked at. What else the snapshot has but the
// configuration is complete when there are no more slices; its own instances are not written.
// The errors of w wait for its Flush.
func WriteData(w *bufio.Writer, instances iter.Seq[[]status.Instance], s *status.VRRP) {
	t := &data{Writer{out: w}, s, Accounts{Policy: s.Conf.Global.Scripts}}
	reasons := &data{VRRP: s} // written last
	t.head()
	for some := range instances {
		for i := range some {
			t.instance(&some[i])
			if s.Running {
				reasons.why(&some[i])
			}
		}
	}
	t.sockets()
	t.syncGroups()
	t.trackScripts()
	t.trackFiles()
	t.trackProcesses()
	t.trackBFDs()
	t.links()
	if s.Running {
		t.Section("Reasons")
		w.Write(reasons.Bytes())
		loop(&t.Writer, &t.Loop)
		notifications(&t.Writer, t.Notifications)
		t.List("------< Disabled scripts >------", t.disabledScripts())
		t.unclaimed()
	}
}

func (t *data) head() {
	g := &t.Conf.Global
	Global(&t.Writer, g, Process{NetNamespace: t.NetNamespace, MarkerPath: t.MarkerPath}, &t.accounts)
	if now := max(g.VRRP.RTPriority, t.RealtimePriority); now > 0 {
		t.Line(" current realtime priority = %d", now)
		t.Line(" current realtime time limit = %d", cmp.Or(g.VRRP.RTTime, conf.DefaultRTTime))
	}
	t.paces()
	Static(&t.Writer, t.Conf)
	t.Section("VRRP Topology")
}

// instance writes what a virtual router is and does.
func (t *data) instance(i *status.Instance) {
	c := i.Conf
	ipv6 := c.Family == conf.IPv6
	t.Line(" VRRP Instance = %s", c.Name)
	t.Line("   VRRP Version = %d", c.Version)
	if i.Group != "" {
		t.Line("   Sync group = %s", i.Group)
	}
	if ipv6 {
		t.Line("   Using Native IPv6")
	}
	if t.Running {
		t.state(i)
	}
	if c.Unicast {
		t.Line("   Flags:")
		t.Line("     Using unicast")
	} else {
		t.Line("   Flags: none")
	}
	t.Line("   Wantstate = %v", i.Wanted)
	t.Line("   Number of config faults = %d", count(i.Found&configFaults))
	if t.Running {
		t.times(i)
	}
	Link(&t.Writer, c, or(i.Own, linkNameOf(c, t.Conf.Global.VMACPrefix)), i.OwnUp)
	if c.Interface != "" {
		t.Line("   Interface = %s", LinkName(c, i.Own))
	}
	if c.DontTrackPrimary {
		t.Line("   VRRP interface tracking disabled")
	}
	if c.SkipCheckAdvertAddresses {
		t.Line("   Skip checking advert IP addresses")
	}
	if c.Strict {
		t.Line("   Enforcing strict VRRP compliance")
	}
	if i.Source.IsValid() {
		t.Line("   Using src_ip = %v%s", i.Source, map[bool]string{true: " (from configuration)"}[c.SourceIP.IsValid()])
	}
	switch {
	case c.Unicast:
	case ipv6 && i.Link != 0:
		t.Line("   Multicast address %v, ifindex %d", c.Group, i.Link)
	default:
		t.Line("   Multicast address %v", c.Group)
	}
	GARP(&t.Writer, "   ", "", c.GARP)
	t.Line("   Down timer adverts = %d", c.DownTimerAdverts)
	t.Line("   Send advert after receive lower priority advert = %t", !c.LowerPriorityNoAdvert)
	t.Line("   Send advert after receive higher priority advert = %t", c.HigherPrioritySendAdvert)
	t.Line("   Virtual Router ID = %d", c.VRID)
	t.Line("   Priority = %d", c.Priority)
	if t.Running {
		t.Line("   Effective priority = %d", i.Priority)
		t.Line("   Total priority = %d", i.Total)
	}
	t.Line("   Advert interval = %s", interval(c, c.AdvertInterval))
	if t.Running && c.Version == 3 && i.State == vrrp.Backup {
		t.Line("   Master advert interval = %s", interval(c, i.MasterInterval))
	}
	t.Line("   Accept = %s", Enabled(c.Accept))
	t.Line("   Preempt = %s", Enabled(!c.NoPreempt))
	if c.PreemptDelay > 0 {
		t.Line("   Preempt delay = %s secs", Seconds(c.PreemptDelay))
	}
	t.Line("   Promote_secondaries = %s", Enabled(c.PromoteSecondaries))
	if c.Version == 2 {
		t.Line("   Authentication type = %s", [...]string{"none", "SIMPLE_PASSWORD", "IPSEC_AH"}[c.Auth.Type])
		if c.Auth.Type == conf.AuthPass {
			t.Line("   Password = %v", c.Auth.Password) // masked
		}
	}
	if c.Debug > 0 {
		t.Line("   Debug level = %d", c.Debug)
	}
	if c.RxBuf > 0 {
		t.Line("   Kernel rx buffer size = %d", c.RxBuf)
	}
	if len(i.Listed) > 0 {
		t.List(fmt.Sprintf("   Virtual IP (%d):", len(i.Listed)), Addresses(i.Listed))
	}
	t.List("   Virtual IP Excluded :", Addresses(i.Excluded))
	if c.Unicast {
		t.unicast(c)
	}
	if i.Socket >= 0 {
		t.Line("   fd_in %d, fd_out %d", i.Socket, i.Socket)
	} else {
		t.Line("   No sockets allocated")
	}
	Routing(&t.Writer, c.Routing)
	t.tracked(c.Track)
	n := notifyOf(c.Notify)
	t.Line("   Using smtp notification = %s", YesNo(n.SMTPAlert))
	deleted := "Fault"
	if n.SignalDeleted {
		deleted = "Deleted"
	}
	t.Line("   Notify deleted = %s", deleted)
	t.notifyScripts(n)
	t.Line("   Notify priority changes = %t", n.PriorityChanges)
}

// configFaults are the faults that are in the configuration itself.
const configFaults = vrrp.FaultNoPeers | vrrp.FaultConfig

func count(f vrrp.Faults) int { return bits.OnesCount32(uint32(f)) }

// state writes the state of a virtual router and of its master.
func (t *data) state(i *status.Instance) {
	t.Line("   State = %v", i.State)
	if i.State != vrrp.Backup {
		return
	}
	master := "(none)"
	if i.Master.IsValid() {
		master = i.Master.String()
	}
	t.Line("   Master router = %s", master)
	t.Line("   Master priority = %d", i.MasterPriority)
	if i.Conf.Version == 3 {
		t.Line("   Master advert int = %.2f sec", i.MasterInterval.Seconds())
	}
}

// times writes what keeps a virtual router waiting.
func (t *data) times(i *status.Instance) {
	faults := count(i.Found &^ (configFaults | vrrp.FaultTracker))
	waiting := 0
	for j := range i.Trackers {
		switch tr := &i.Trackers[j]; {
		case tr.Weight != 0 || tr.Disabled:
		case !tr.Known:
			waiting++
		case tr.Fault:
			faults++
		}
	}
	t.Line("   Number of interface and track script faults = %d", faults)
	t.Line("   Number of track scripts init = %d", waiting)
	t.Line("   Last transition = %s", When(i.Since))
	if i.Timeout.IsZero() {
		t.Line("   Read timeout = DISABLED")
	} else {
		t.Line("   Read timeout = %s", When(i.Timeout))
	}
	t.Line("   Master down timer = %d usecs", i.MasterDown.Microseconds())
}

// interval is a time between adverts, in the unit of the version.
func interval(c *conf.VRRPInstance, d time.Duration) string {
	if c.Version == 2 {
		return fmt.Sprintf("%d sec", d/time.Second)
	}
	return fmt.Sprintf("%d milli-sec", d.Milliseconds())
}

// Addresses are virtual addresses, one text each, and whether the kernel has
// them.
func Addresses(list []status.Address) (texts []string) {
	for _, a := range list {
		text := Address(a.Conf, a.Link)
		if a.Set {
			text += " set"
		}
		texts = append(texts, text)
	}
	return texts
}

func (t *data) unicast(c *conf.VRRPInstance) {
	t.Line("   Unicast TTL = %d", c.TTL)
	t.Line("   Check unicast src : %s", YesNo(c.CheckUnicastSource))
	var peers []string
	for _, p := range c.Peers {
		peers = append(peers, fmt.Sprintf("%v min_ttl %d max_ttl %d", p.Addr, p.MinTTL, p.MaxTTL))
	}
	t.List("   Unicast Peer :", peers)
	t.Line("   Unicast checksum compatibility = %s", [...]string{"no", "config", "never"}[c.OldUnicastChecksum])
}

// notifyOf is n, or empty notifications if it is nil.
func notifyOf(n *conf.Notify) *conf.Notify {
	if n == nil {
		return &conf.Notify{}
	}
	return n
}

func (t *data) notifyScripts(n *conf.Notify) {
	for _, s := range []struct {
		title   string
		command *conf.Command
	}{
		{"Backup", &n.Backup},
		{"Master", &n.Master},
		{"Fault", &n.Fault},
		{"Stop", &n.Stop},
		{"Deleted", &n.Deleted},
		{"Generic", &n.Any},
		{"Master rx lower pri", &n.MasterRxLowerPri},
	} {
		if s.command.Given() {
			t.Line("   %s state transition script = %s", s.title, t.accounts.Command(s.command))
		}
	}
}

func (t *data) syncGroups() {
	if len(t.Conf.SyncGroups) == 0 {
		return
	}
	t.Section("VRRP Sync groups")
	for i := range t.Groups {
		g := &t.Groups[i]
		t.Line(" VRRP Sync Group = %s, %v", g.Conf.Name, g.State)
		t.Line("   Num member fault %d, num member init %d", g.Faulty, g.Waiting)
		t.List("   VRRP member instances :", g.Conf.Members)
		if g.Conf.TrackingWeight {
			t.Line("   sync group tracking weight set")
		}
		n := notifyOf(g.Conf.Notify)
		t.Line("   Using smtp notification = %s", YesNo(n.SMTPAlert))
		t.tracked(g.Conf.Track)
		t.notifyScripts(n)
	}
}

// sockets writes the sockets and who shares them.
func (t *data) sockets() {
	if len(t.Sockets) == 0 {
		return
	}
	t.Section("VRRP Sockpool")
	for i := range t.Sockets {
		s := &t.Sockets[i]
		t.Line(" fd_in %d fd_out = %d", s.FD, s.FD)
		if s.Interface != "" {
			t.Line("   Interface = %s", s.Interface)
		}
		family, protocol, kind := "IPv4", "VRRP", "Multicast"
		if s.IPv6 {
			family = "IPv6"
		}
		if s.AH {
			protocol = "AH"
		}
		if !s.Multicast {
			kind = "Unicast"
		}
		t.Line("   Family = %s", family)
		t.Line("   Protocol = %s", protocol)
		t.Line("   Type = %s", kind)
		if !s.Multicast {
			t.Line("   Address = %v", s.Source)
		}
		t.Line("   Rx buf size = %d", s.ReceiveBuffer)
		var users []string
		for _, u := range s.Users {
			users = append(users, fmt.Sprintf("%s vrid %d", u.Instance, u.VRID))
		}
		t.List("   VRRP instances", users)
	}
}

// paces writes who shares a pace of announcements.
func (t *data) paces() {
	type pace struct {
		garp *conf.GARP
		on   []string
	}
	byName := map[string]*pace{}
	var order []*pace
	for _, c := range t.Conf.Instances {
		g, on := c.GARP, c.Interface
		if on == "" || g.Interval == 0 && g.NAInterval == 0 {
			continue
		}
		name := cmp.Or(g.PacingGroup, "interface "+on)
		p := byName[name]
		if p == nil {
			p = &pace{garp: g}
			byName[name] = p
			order = append(order, p)
		}
		if !slices.Contains(p.on, on) {
			p.on = append(p.on, on)
		}
	}
	if len(order) == 0 {
		return
	}
	t.Section("Gratuitous ARP delays")
	for i, p := range order {
		t.Section(fmt.Sprintf("GARP delay group %d", i))
		t.Line(" GARP interval = %s", Seconds(p.garp.Interval))
		t.Line(" GNA interval = %s", Seconds(p.garp.NAInterval))
		t.List(" Interfaces", p.on)
	}
}

package vrrpd

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/dump"
	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
)

// A report is a state dump in the making: the sections of the C daemon, then
// what only this one knows.
type report struct {
	*daemon
	dump.Text
	beside
	running bool // the engines have begun
}

// composeData writes the state dump in slices and hands it over on the loop.
func (d *daemon) composeData(done func([]byte)) {
	d.askBeside(func(b beside) {
		t := &report{daemon: d, beside: b, running: true}
		t.head()
		d.forEachRouter(t.instance, func() {
			t.tail()
			t.Section("Reasons")
			d.forEachRouter(t.why, func() {
				t.whyTail()
				done(t.Bytes())
			})
		})
	})
}

// configurationText is the state dump before anything has a state.
func (d *daemon) configurationText() []byte {
	t := &report{daemon: d, beside: beside{accounts: &dump.Accounts{Policy: d.conf.Global.Scripts}}}
	t.head()
	for _, r := range d.routers {
		t.instance(r)
	}
	t.tail()
	return t.Bytes()
}

func (t *report) head() {
	dump.Global(&t.Text, &t.conf.Global, t.dumpProcess(), t.accounts)
	if limits := &t.conf.Global.VRRP; limits.RTPriority > 0 || t.hurry.now > 0 {
		t.Line(" current realtime priority = %d", max(limits.RTPriority, t.hurry.now))
		t.Line(" current realtime time limit = %d", cmp.Or(limits.RTTime, conf.DefaultRTTime))
	}
	t.paces()
	dump.Static(&t.Text, t.conf)
	t.Section("VRRP Topology")
}

func (t *report) tail() {
	t.sockpool()
	t.syncGroups()
	t.trackScripts()
	t.trackFiles()
	t.trackProcesses()
	t.trackBFDs()
	t.links()
}

// router writes what a virtual router is and does.
func (t *report) instance(r *router) {
	c, e := r.conf, r.engine
	t.Line(" VRRP Instance = %s", c.Name)
	t.Line("   VRRP Version = %d", c.Version)
	if g := e.Group(); g != nil {
		t.Line("   Sync group = %s", g.Name())
	}
	if r.ipv6() {
		t.Line("   Using Native IPv6")
	}
	if t.running {
		t.routerState(r)
	}
	if c.Unicast {
		t.Line("   Flags:")
		t.Line("     Using unicast")
	} else {
		t.Line("   Flags: none")
	}
	t.Line("   Wantstate = %s", stateName(r.wanted()))
	t.Line("   Number of config faults = %d", bits.OnesCount32(uint32(r.faults&configFaults)))
	if t.running {
		t.routerTimes(r)
	}
	dump.Link(&t.Text, c, t.conf.Global.VMACPrefix, false)
	if c.Interface != "" {
		t.Line("   Interface = %s", c.Interface)
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
	if r.source.IsValid() {
		t.Line("   Using src_ip = %v%s", r.source, map[bool]string{true: " (from configuration)"}[c.SourceIP.IsValid()])
	}
	switch {
	case c.Unicast:
	case r.ipv6() && r.link != nil:
		t.Line("   Multicast address %v, ifindex %d", c.Group, r.link.Index)
	default:
		t.Line("   Multicast address %v", c.Group)
	}
	dump.GARP(&t.Text, "   ", "", c.GARP)
	t.Line("   Down timer adverts = %d", c.DownTimerAdverts)
	t.Line("   Send advert after receive lower priority advert = %t", !c.LowerPriorityNoAdvert)
	t.Line("   Send advert after receive higher priority advert = %t", c.HigherPrioritySendAdvert)
	t.Line("   Virtual Router ID = %d", c.VRID)
	t.Line("   Priority = %d", c.Priority)
	if t.running {
		t.Line("   Effective priority = %d", e.Priority())
		t.Line("   Total priority = %d", r.totalPriority())
	}
	t.Line("   Advert interval = %s", interval(c, c.AdvertInterval))
	if t.running && c.Version == 3 && e.State() == vrrp.Backup {
		t.Line("   Master advert interval = %s", interval(c, e.Snapshot().MasterInterval))
	}
	t.Line("   Accept = %s", dump.Enabled(c.Accept))
	t.Line("   Preempt = %s", dump.Enabled(!c.NoPreempt))
	if c.PreemptDelay > 0 {
		t.Line("   Preempt delay = %s secs", dump.Seconds(c.PreemptDelay))
	}
	t.Line("   Promote_secondaries = %s", dump.Enabled(c.PromoteSecondaries))
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
	advertised, excluded := r.lists()
	if len(advertised) > 0 {
		t.List(fmt.Sprintf("   Virtual IP (%d):", len(advertised)), t.addressTexts(r, advertised))
	}
	t.List("   Virtual IP Excluded :", t.addressTexts(r, excluded))
	if c.Unicast {
		t.unicast(c)
	}
	if s := r.socket; s != nil {
		t.Line("   fd_in %d, fd_out %d", s.raw.FD(), s.raw.FD())
	} else {
		t.Line("   No sockets allocated")
	}
	dump.Routing(&t.Text, c.Routing)
	t.tracked(c.Track)
	n := notifyOf(c.Notify)
	t.Line("   Using smtp notification = %s", dump.YesNo(n.SMTPAlert))
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

// routerState writes the state of a virtual router and of its master.
func (t *report) routerState(r *router) {
	e := r.engine
	t.Line("   State = %s", stateName(e.State()))
	if e.State() != vrrp.Backup {
		return
	}
	master := "(none)"
	if m := e.Master(); m.IsValid() {
		master = m.String()
	}
	t.Line("   Master router = %s", master)
	t.Line("   Master priority = %d", e.MasterPriority())
	if r.conf.Version == 3 {
		t.Line("   Master advert int = %.2f sec", e.Snapshot().MasterInterval.Seconds())
	}
}

// routerTimes writes what keeps a virtual router waiting.
func (t *report) routerTimes(r *router) {
	faults := bits.OnesCount32(uint32(r.faults &^ (configFaults | vrrp.FaultTracker)))
	waiting := 0
	if r.tracked != nil {
		for i := range r.tracked.terms {
			switch term := &r.tracked.terms[i]; {
			case term.Weight != 0 || term.Disabled:
			case !term.Known:
				waiting++
			case policy.Evaluate(r.conf.Priority, false, r.tracked.terms[i:i+1]).Fault:
				faults++
			}
		}
	}
	t.Line("   Number of interface and track script faults = %d", faults)
	t.Line("   Number of track scripts init = %d", waiting)
	t.Line("   Last transition = %s", dump.When(r.lastTransition))
	if deadline, running := r.engine.Deadline(); running {
		t.Line("   Read timeout = %s", dump.When(time.Now().Add(deadline-now())))
	} else {
		t.Line("   Read timeout = DISABLED")
	}
	t.Line("   Master down timer = %d usecs", r.engine.MasterDownInterval().Microseconds())
}

// wanted is the state that r is in or goes into when it starts.
func (r *router) wanted() vrrp.State {
	switch s := r.engine.State(); {
	case s != vrrp.Init:
		return s
	case r.conf.Master:
		return vrrp.Master
	}
	return vrrp.Backup
}

// totalPriority is the effective priority before it was brought into its range.
func (r *router) totalPriority() int {
	if r.tracked != nil {
		return r.tracked.outcome.Total
	}
	return int(r.engine.Priority())
}

// interval is a time between adverts, in the unit of the version.
func interval(c *conf.VRRPInstance, d time.Duration) string {
	if c.Version == 2 {
		return fmt.Sprintf("%d sec", d/time.Second)
	}
	return fmt.Sprintf("%d milli-sec", d.Milliseconds())
}

func (d *daemon) addressTexts(r *router, list []conf.Address) (texts []string) {
	for i := range list {
		texts = append(texts, d.addressText(r, &list[i]))
	}
	return texts
}

// addressText is a virtual address and whether the kernel has it.
func (d *daemon) addressText(r *router, a *conf.Address) string {
	text := dump.Address(a, linkOf(r.conf, a))
	if l := d.net.byName[linkOf(r.conf, a)]; l != nil {
		if v := d.addrs.vips[kernelAddr(a, l).Key()]; v != nil && v.present {
			text += " set"
		}
	}
	return text
}

func (t *report) unicast(c *conf.VRRPInstance) {
	t.Line("   Unicast TTL = %d", c.TTL)
	t.Line("   Check unicast src : %s", dump.YesNo(c.CheckUnicastSource))
	var peers []string
	for _, p := range c.Peers {
		peers = append(peers, fmt.Sprintf("%v min_ttl %d max_ttl %d", p.Addr, p.MinTTL, p.MaxTTL))
	}
	t.List("   Unicast Peer :", peers)
	t.Line("   Unicast checksum compatibility = %s", [...]string{"no", "config", "never"}[c.OldUnicastChecksum])
}

// notifyOf is n, or the notifications of nobody.
func notifyOf(n *conf.Notify) *conf.Notify {
	if n == nil {
		return &conf.Notify{}
	}
	return n
}

func (t *report) notifyScripts(n *conf.Notify) {
	for _, s := range notifyCommands(n) {
		t.Line("   %s state transition script = %s", s.title, t.accounts.Command(s.command))
	}
}

// notifyCommand is a script that is told of changes.
type notifyCommand struct {
	title   string
	command *conf.Command
}

// notifyCommands are the scripts of n, in the order of dumps.
func notifyCommands(n *conf.Notify) []notifyCommand {
	all := []notifyCommand{
		{"Backup", &n.Backup},
		{"Master", &n.Master},
		{"Fault", &n.Fault},
		{"Stop", &n.Stop},
		{"Deleted", &n.Deleted},
		{"Generic", &n.Any},
		{"Master rx lower pri", &n.MasterRxLowerPri},
	}
	return slices.DeleteFunc(all, func(c notifyCommand) bool { return !c.command.Given() })
}

// tracked writes what an instance or a sync group tracks.
func (t *report) tracked(list []conf.Track) {
	for _, k := range []struct {
		kind  conf.TrackKind
		title string
		glue  string
	}{
		{conf.TrackedInterface, "interfaces", ""}, {conf.TrackedScript, "scripts", ""},
		{conf.TrackedFile, "files", ","}, {conf.TrackedProcess, "processes", ","}, {conf.TrackedBFD, "BFDs", ":"},
	} {
		var lines []string
		for _, c := range list {
			if c.Kind == k.kind {
				lines = append(lines, c.Name+k.glue+" "+weight(c.Weight, c.Reverse))
			}
		}
		t.List("   Tracked "+k.title+" :", lines)
	}
}

func weight(n int, reverse bool) string {
	text := fmt.Sprintf("weight %d", n)
	if reverse {
		text += " reverse"
	}
	return text
}

func (t *report) syncGroups() {
	if len(t.conf.SyncGroups) == 0 {
		return
	}
	t.Section("VRRP Sync groups")
	for _, c := range t.conf.SyncGroups {
		g := t.groups[c.Name]
		if g == nil {
			continue
		}
		state, faults, waiting := g.State(), 0, 0
		for _, m := range g.Members() {
			r := t.router(m)
			if r.faults != 0 {
				faults++
			}
			if r.waiting {
				waiting++
			}
		}
		t.Line(" VRRP Sync Group = %s, %s", c.Name, stateName(state))
		t.Line("   Num member fault %d, num member init %d", faults, waiting)
		t.List("   VRRP member instances :", c.Members)
		if c.TrackingWeight {
			t.Line("   sync group tracking weight set")
		}
		n := notifyOf(c.Notify)
		t.Line("   Using smtp notification = %s", dump.YesNo(n.SMTPAlert))
		t.tracked(c.Track)
		t.notifyScripts(n)
	}
}

// users writes who uses a tracker.
func (t *report) users(k trackerKey) {
	var lines []string
	for _, u := range t.tracking.users[k] {
		term := &u.t.terms[u.i]
		lines = append(lines, u.r.conf.Name+", "+weight(term.Weight, term.Reverse))
	}
	t.List("   Tracking instances :", lines)
}

func (t *report) trackScripts() {
	if len(t.conf.Scripts) == 0 {
		return
	}
	t.Section("VRRP Scripts")
	for _, s := range t.conf.Scripts {
		k := trackerKey{conf.TrackedScript, s.Name}
		status, run := t.tracking.status[k], t.scripts[s.Name]
		t.Line(" VRRP Script = %s", s.Name)
		t.Line("   Command = %s", t.accounts.Program(&s.Command))
		t.Line("   Interval = %s sec", dump.Seconds(s.Interval))
		t.Line("   Timeout = %s sec", dump.Seconds(s.Timeout))
		t.Line("   Weight = %s", strings.TrimPrefix(weight(s.Weight, s.Reverse), "weight "))
		t.Line("   Rise = %d", s.Rise)
		t.Line("   Fall = %d", s.Fall)
		t.Line("   Result = %d", run.Count)
		t.Line("   Insecure = %s", dump.YesNo(status.Disabled))
		init, verdict := "INIT", "BAD"
		if status.Known {
			init = "unknown"
		}
		if status.Up {
			verdict = "GOOD"
		}
		t.Line("   Init state = %s", init)
		t.Line("   Status = %s", verdict)
		t.Line("   Script uid:gid = %s", t.accounts.Of(s.Command.User, s.Command.Group))
		t.users(k)
		state := "idle"
		if run.Running {
			state = "running"
		}
		t.Line("   State = %s", state)
	}
}

func (t *report) trackFiles() {
	if len(t.conf.Files) == 0 {
		return
	}
	t.Section("VRRP Track files")
	for _, f := range t.conf.Files {
		k := trackerKey{conf.TrackedFile, f.Name}
		t.Line(" Track file = %s", f.Name)
		t.Line("   File = %s", f.Path)
		t.Line("   Status = %d", t.tracking.status[k].Number)
		t.Line("   Weight = %s", strings.TrimPrefix(weight(f.Weight, f.Reverse), "weight "))
		t.users(k)
	}
}

// matchNames are the words of param_match.
var matchNames = [...]string{conf.MatchExact: "exact", conf.MatchNone: "none", conf.MatchInitial: "initial", conf.MatchPartial: "partial"}

func (t *report) trackProcesses() {
	if len(t.conf.Processes) == 0 {
		return
	}
	t.Section("VRRP Track processes")
	for _, p := range t.conf.Processes {
		k := trackerKey{conf.TrackedProcess, p.Name}
		n := t.processes[p.Name]
		t.Line(" VRRP Track process = %s", p.Name)
		t.Line("   Process = %s", p.Process)
		if len(p.Params) > 0 {
			t.Line("   Parameters = %s", strings.Join(p.Params, " "))
			t.Line("   Param match = %s", matchNames[p.Match])
		}
		t.Line("   Min processes = %d", p.Quorum)
		if p.QuorumMax >= 0 {
			t.Line("   Max processes = %d", p.QuorumMax)
		}
		t.Line("   Current processes = %d", n.Count)
		t.Line("   Have quorum = %t", n.Quorum)
		t.Line("   Weight = %s", strings.TrimPrefix(weight(p.Weight, p.Reverse), "weight "))
		t.Line("   Terminate delay = %fs", p.TerminateDelay.Seconds())
		t.Line("   Fork delay = %fs", p.ForkDelay.Seconds())
		t.Line("   Fork delay timer %srunning", not(n.ForkDelay))
		t.Line("   Terminate delay timer %srunning", not(n.TerminateDelay))
		t.Line("   Full command = %t", p.FullCommand)
		t.users(k)
	}
}

func not(yes bool) string {
	if yes {
		return ""
	}
	return "not "
}

func (t *report) trackBFDs() {
	if len(t.conf.BFDs) == 0 {
		return
	}
	t.Section("VRRP Track BFDs")
	for _, b := range t.conf.BFDs {
		k := trackerKey{conf.TrackedBFD, b.Name}
		t.Line(" VRRP Track BFD = %s", b.Name)
		t.Line("   Weight = %s", strings.TrimPrefix(weight(b.Weight, b.Reverse), "weight "))
		state := "down"
		if t.tracking.status[k].Up {
			state = "up"
		}
		t.Line("   Bfd is %s", state)
		t.users(k)
	}
}

// sockets writes the sockets and who shares them.
func (t *report) sockpool() {
	if len(t.sockets) == 0 {
		return
	}
	t.Section("VRRP Sockpool")
	users := map[*socket][]string{}
	first := map[*socket]*router{}
	for _, r := range t.routers {
		if s := r.socket; s != nil {
			if first[s] == nil {
				first[s] = r
			}
			users[s] = append(users[s], fmt.Sprintf("%s vrid %d", r.conf.Name, r.conf.VRID))
		}
	}
	all := make([]*socket, 0, len(first))
	for s := range first {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *socket) int { return cmp.Compare(a.raw.FD(), b.raw.FD()) })
	for _, s := range all {
		r := first[s]
		t.Line(" fd_in %d fd_out = %d", s.raw.FD(), s.raw.FD())
		if r.conf.Interface != "" {
			t.Line("   Interface = %s", r.conf.Interface)
		}
		family, protocol, kind := "IPv4", "VRRP", "Multicast"
		if s.key.family == vrrp.IPv6 {
			family = "IPv6"
		}
		if s.key.protocol == protocolAH {
			protocol = "AH"
		}
		if len(s.groups) == 0 {
			kind = "Unicast"
		}
		t.Line("   Family = %s", family)
		t.Line("   Protocol = %s", protocol)
		t.Line("   Type = %s", kind)
		if kind == "Unicast" {
			t.Line("   Address = %v", r.source)
		}
		t.Line("   Rx buf size = %d", t.receiveBuffer(r))
		t.List("   VRRP instances", users[s])
	}
}

// paces writes who shares a pace of announcements.
func (t *report) paces() {
	type pace struct {
		garp *conf.GARP
		on   []string
	}
	byName := map[string]*pace{}
	var order []*pace
	for _, r := range t.routers {
		g, on := r.conf.GARP, r.conf.Interface
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
		t.Line(" GARP interval = %s", dump.Seconds(p.garp.Interval))
		t.Line(" GNA interval = %s", dump.Seconds(p.garp.NAInterval))
		t.List(" Interfaces", p.on)
	}
}

package conf

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// globals are the values of global_defs that instances inherit.
type globals struct {
	given                    written // words of global_defs
	garp                     garpSettings
	garpInterval, naInterval time.Duration
	minGARP                  bool

	ipvsNamespace opt[string]
	ipSets        opt[[]string]
	syncAt        place // of lvs_sync_daemon

	poll                           bool      // linkbeat_use_polling
	alert, alertVRRP, alertChecker opt[bool] // smtp_alert, smtp_alert_vrrp, smtp_alert_checker
	mailAuth                       place     // of smtp_auth
	httpAt                         place     // of http_listen
	httpShut                       bool      // http_token is not usable
}

// settle completes the values that an instance without its own gets.
func (g *globals) settle(i *InstanceDefaults) {
	i.Alert, i.AlertVRRP, i.AlertChecker = switchOf(g.alert), switchOf(g.alertVRRP), switchOf(g.alertChecker)
	i.GARP = g.garpOf(&garpSettings{})
}

func switchOf(o opt[bool]) Switch {
	switch {
	case !o.set:
		return SwitchUnset
	case o.v:
		return SwitchOn
	}
	return SwitchOff
}

// resolve turns the statements of the file into effective values. It runs when all is
// read: a global_defs block counts for instances before it too.
func (d *decoder) resolve() {
	g := &d.cfg.Global
	root().words["global_defs"].block.inherit(d)
	d.routes()
	d.global.settle(&g.Defaults)
	d.absentInterfaces()
	d.mail()
	d.http()
	pace := d.paceGroups()
	for _, in := range d.instances {
		d.instance(in, pace)
	}
	d.uniqueVRIDs()
	d.commands()
	d.tracked.resolve(d)
	for _, in := range d.instances {
		d.weightlessOwner(in)
	}
	d.interfaceSettings()
	d.cfg.Instances = make([]*VRRPInstance, 0, len(d.instances))
	for _, in := range d.instances {
		if !in.bad {
			d.cfg.Instances = append(d.cfg.Instances, in.VRRPInstance)
		}
	}
	d.syncGroups()
	d.syncDaemon()
	d.virtualServers()
	d.notifications()
	d.sharedAddresses()
	d.keepTracked()
	g.NetNamespaceIPVS = d.global.ipvsNamespace.or(g.NetNamespace)
	g.VMACPrefix = cmp.Or(g.VMACPrefix, "vrrp")
	g.VMACAddrPrefix = cmp.Or(g.VMACAddrPrefix, g.VMACPrefix)
	for _, p := range []*ProcessLimits{&g.Checker, &g.BFD} {
		p.MaxAutoPriority, p.MinAutoPriorityDelay = g.VRRP.MaxAutoPriority, g.VRRP.MinAutoPriorityDelay
	}
	if t := g.Firewall.IPTables; t != nil {
		t.Sets = d.global.ipSets.or(ipSets("keepalived"))
	}
	d.named()
}

// problem reports something about an instance, at its first line.
func (d *decoder) problem(in *instance, code, format string, args ...any) reason {
	return d.about(in, Diagnostic{
		Severity: Warning, Class: ClassOrdinary, Code: code,
		Message: "(" + in.Name + ") " + fmt.Sprintf(format, args...),
	})
}

// about reports a problem of an instance, unless it follows from another.
func (d *decoder) about(in *instance, p Diagnostic) reason {
	r := in.mistakes[needsWord[p.Code]]
	if r != 0 {
		d.diags.Follow(r, p)
	} else {
		p.Pos, p.Chain = in.at.Pos(), in.at.Chain()
		if r = d.diags.Add(p); r != 0 && aboutWord[p.Code] != nil {
			d.pointed = append(d.pointed, pointed{r, p.Pos, aboutWord[p.Code]})
		}
	}
	if in.bad {
		d.notDefined(in.Name, r)
	}
	return r
}

// atPlace reports a mistake that is found when everything is read.
func (d *decoder) atPlace(at place, code, format string, args ...any) {
	d.reportAt(at, Diagnostic{Severity: Warning, Class: ClassOrdinary, Code: code, Message: fmt.Sprintf(format, args...)})
}

// drop reports why an instance cannot run. Like the C daemon, a daemon does not
// start without one of its instances.
func (d *decoder) drop(in *instance, code, fix, format string, args ...any) {
	in.bad = true
	d.about(in, Diagnostic{
		Severity: Fatal, Class: ClassOrdinary, Exit: 2, Code: code, Fix: fix,
		Message: "(" + in.Name + ") " + fmt.Sprintf(format, args...),
	})
}

// instance makes the values of one instance effective.
func (d *decoder) instance(in *instance, pace map[string]*paceGroup) {
	d.inst = in
	root().words["vrrp_instance"].block.inherit(d)
	d.inst = nil
	if in.VRID == 0 {
		d.drop(in, "no-vrid", "write virtual_router_id with a number from 1 to 255", "the virtual router id must be set")
	}
	d.interfaceAndFamily(in)
	d.version(in)
	d.priorityAndState(in)
	d.preemption(in)
	d.adverts(in)
	d.authentication(in)
	d.destinations(in)
	d.linkOf(in)
	d.elections(in)
	d.addresses(in)
	d.announcements(in, pace)
	d.bfdPeers(in)
}

// bfdPeers leaves out the sessions of bfd_peer that VRRP hears nothing of.
func (d *decoder) bfdPeers(in *instance) {
	in.BFDPeers = slices.DeleteFunc(in.BFDPeers, func(name string) bool {
		b := d.bfdNamed(name)
		if b == nil || !b.VRRP {
			d.problem(in, "no-bfd", "bfd_peer %s not found, ignoring...", printable(name))
			return true
		}
		return false
	})
}

func (d *decoder) interfaceAndFamily(in *instance) {
	if in.Family == 0 {
		in.Family = IPv4
	}
	if in.Interface == "" && !(len(in.Peers) > 0 && in.SourceIP.IsValid()) {
		d.drop(in, "unknown-interface", "write interface", "Unknown interface!")
	}
}

func (d *decoder) version(in *instance) {
	in.Version = in.version
	if in.Version == 0 {
		in.Version = 3
		if in.Family == IPv4 {
			in.Version = d.cfg.Global.Defaults.Version
		}
	}
	if in.Strict && in.Family == IPv6 && in.Version == 2 {
		d.problem(in, "strict-version", "cannot use IPv6 with VRRP version 2; setting version 3")
		in.Version = 3
	}
}

func (d *decoder) priorityAndState(in *instance) {
	master := in.state.or(in.priority == 255)
	switch {
	case in.priority != 0:
		in.Priority = uint8(in.priority)
	case in.state.set && in.state.v:
		in.Priority = 255
	default:
		in.Priority = 100
	}
	owner := in.Priority == 255
	if in.Strict && master != owner {
		d.problem(in, "strict-state", "State MASTER must match being address owner")
		master = owner
	}
	in.Master = master
}

// preemption clears what cannot work together.
func (d *decoder) preemption(in *instance) {
	owner := in.Priority == 255
	if in.Strict && in.PreemptDelay != 0 {
		d.problem(in, "strict-preempt-delay", "preempt_delay is incompatible with strict mode - resetting")
		in.PreemptDelay = 0
	}
	if in.NoPreempt && owner {
		d.problem(in, "nopreempt-owner", "nopreempt is incompatible with priority 255. resetting nopreempt")
		in.NoPreempt = false
	}
	if in.NoPreempt && in.Master {
		d.problem(in, "nopreempt-master", "Warning - nopreempt will not work with initial state MASTER - clearing")
		in.NoPreempt = false
	}
	if in.PreemptDelay != 0 {
		switch {
		case in.NoPreempt:
			d.problem(in, "preempt-delay", "preempt_delay is incompatible with nopreempt mode - resetting")
			in.PreemptDelay = 0
		case in.Master || owner:
			fix := "write state BACKUP: the priority decides who becomes master"
			if owner {
				fix = "remove preempt_delay, or write state BACKUP and a priority below 255"
			}
			d.about(in, Diagnostic{
				Severity: Warning, Class: ClassOrdinary, Code: "preempt-delay", Fix: fix,
				Message: "(" + in.Name + ") Warning - preempt delay will not work with initial state MASTER - clearing",
			})
			in.PreemptDelay = 0
		}
	}
	if in.TimerExpiredBackup > 0 && !in.NoPreempt {
		d.problem(in, "timer-expired", "timer_expired_backup requires nopreempt - ignoring")
		in.TimerExpiredBackup = 0
	}
}

func (d *decoder) adverts(in *instance) {
	if in.Strict && in.DownTimerAdverts != 3 {
		d.problem(in, "strict-down-timer", "down_timer_adverts is incompatible with strict mode - resetting")
		in.DownTimerAdverts = 3
	}
	t := in.AdvertInterval
	if in.Version == 2 {
		if t%time.Second != 0 {
			d.problem(in, "advert-int", "VRRPv2 advertisement interval %fs must be an integer. rounding", t.Seconds())
			in.AdvertInterval = max(t.Round(time.Second), time.Second)
		}
		return
	}
	const unit = 10 * time.Millisecond
	switch {
	case t > 4095*unit:
		d.problem(in, "advert-int", "VRRPv3 advertisement interval %.2fs is out of range. Must be less than 40.96s. Setting to 40.95s", t.Seconds())
		in.AdvertInterval = 4095 * unit
	case t%unit != 0:
		d.problem(in, "advert-int", "VRRPv3 advertisement interval %fs must be in units of 10ms - rounding", t.Seconds())
		in.AdvertInterval = max(t.Round(unit), unit)
	}
}

func (d *decoder) authentication(in *instance) {
	a := &in.Auth
	switch {
	case a.Type == AuthNone:
		*a = Auth{}
	case a.Password == "":
		d.problem(in, "no-password", "Authentication specified but no password given. Ignoring")
		*a = Auth{}
	case in.Strict:
		d.problem(in, "strict-auth", "Strict mode does not support authentication. Ignoring.")
		*a = Auth{}
	case in.Version == 3:
		d.problem(in, "auth-v3", "VRRP version 3 does not support authentication. Ignoring.")
		*a = Auth{}
	case a.Type == AuthAH && in.Family == IPv6:
		d.problem(in, "auth-ah", "Cannot use auth_type AH with IPv6. Ignoring.")
		*a = Auth{}
	case in.Family == IPv6:
		d.problem(in, "auth-ipv6", "IPv6 adverts carry no authentication. Ignoring.")
		*a = Auth{}
	}
	if a.Type == AuthAH && in.Master && in.Priority != 255 {
		d.problem(in, "master-ah", "Initial state master is incompatible with AH authentication - clearing")
		in.Master = false
	}
	h := &in.HMAC
	if h.Mode != HMACOff && a.Type != AuthNone {
		d.problem(in, "auth-both", "auth_hmac and authentication exclude each other - ignoring authentication")
		*a = Auth{}
	}
	if h.Mode != HMACOff && h.Mode != HMACEnforce && in.Strict {
		d.problem(in, "strict-hmac", "Strict mode requires auth_hmac mode enforce - using it")
		h.Mode = HMACEnforce
	}
}

// destinations settles multicast against unicast.
func (d *decoder) destinations(in *instance) {
	in.Peers = slices.DeleteFunc(in.Peers, func(p Peer) bool {
		if p.Addr == in.SourceIP {
			in.meant = true
			in.blame("unicast_peer", d.problem(in, "peer-self", "unicast peer %s is the instance's own source address - ignoring", p.Addr))
		}
		return p.Addr == in.SourceIP
	})
	in.Unicast = len(in.Peers) > 0 || in.FaultNoPeer || in.meant
	if in.Unicast {
		if in.meant && len(in.Peers) == 0 {
			d.peersLost(in)
		}
		if in.Strict && len(in.Peers) > 0 {
			d.drop(in, "strict-unicast", "remove unicast_peer or strict mode", "Unicast peers are not supported in strict mode")
		}
		if in.SourceIP.IsValid() && d.HasAddress != nil && !d.HasAddress(in.SourceIP) {
			d.about(in, Diagnostic{
				Severity: Warning, Class: ClassNone, Code: "source-missing",
				Message: fmt.Sprintf("(%s) this machine does not have unicast_src_ip %s. Staying in FAULT state until it does", in.Name, in.SourceIP),
			})
		}
		in.Group = netip.Addr{}
		return
	}
	if p := in.unicast; p.Known() {
		d.reportAt(p, Diagnostic{
			Severity: Warning, Class: ClassDeprecated, Code: "unicast-no-peers",
			Message: "(" + in.Name + ") A unicast keyword has been specified without any unicast peers. Defaulting to multicast. This usage is deprecated - please update your configuration.",
		})
	}
	in.TTL = 255
	in.CheckUnicastSource = false
	if in.Group.IsValid() && familyOf(in.Group) != in.Family {
		d.problem(in, "group-family", "address family of mcast_dst_ip %s does not match the instance - ignoring", in.Group)
		in.Group = netip.Addr{}
	}
	if !in.Group.IsValid() {
		in.Group = d.cfg.Global.McastGroup4
		if in.Family == IPv6 {
			in.Group = d.cfg.Global.McastGroup6
		}
	}
}

// peersLost reports that an instance without a peer stays in FAULT: after the
// mistake that took the peers, if one is listed.
func (d *decoder) peersLost(in *instance) {
	r := in.mistakes["unicast_peer"]
	if r == 0 {
		d.problem(in, "peers-lost", "unicast_peer has no valid peer left. Staying in FAULT state")
		return
	}
	first := d.diags.At(r)
	first.Fix = strings.TrimPrefix(first.Fix+"; without a unicast peer ("+in.Name+") stays in FAULT", "; ")
}

// elections clears what the priority or strict mode does not allow.
func (d *decoder) elections(in *instance) {
	owner := in.Priority == 255
	ignore, noAdvert := in.OwnerIgnoreAdverts, in.LowerPriorityNoAdvert
	if ignore && !owner {
		if in.wrote("owner_ignore_adverts") {
			d.problem(in, "owner-ignore", "owner_ignore_adverts needs priority 255 - ignoring")
		}
		in.OwnerIgnoreAdverts = false
	}
	in.Accept = in.accept.or(!in.Strict || owner)
	if owner {
		in.Accept = true
	}
	if !in.Strict {
		return
	}
	if in.accept.set && in.accept.v && !owner && in.Version == 2 {
		d.problem(in, "strict-accept", "warning - accept mode for VRRP version 2 does not comply with RFC3768 - resetting")
		in.Accept = false
	}
	if !noAdvert && in.wrote("lower_prio_no_advert") {
		d.problem(in, "strict-lower-prio", "Strict mode requires no lower priority advert. resetting")
	}
	in.LowerPriorityNoAdvert = true
	if in.HigherPrioritySendAdvert {
		d.problem(in, "strict-higher-prio", "strict mode requires higher_prio_send_advert to be clear. resetting")
		in.HigherPrioritySendAdvert = false
	}
	if owner {
		if !ignore && in.wrote("owner_ignore_adverts") {
			d.problem(in, "strict-owner-ignore", "Strict mode requires owner_ignore_adverts - setting it")
		}
		in.OwnerIgnoreAdverts = true
	}
}

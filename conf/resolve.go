package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// globals are the values of global_defs that instances inherit.
type globals struct {
	version                  int
	downTimer                int
	garp                     garpSettings
	garpInterval, naInterval time.Duration
	minGARP                  bool

	strict, checkUnicastSrc, skipCheck     bool
	lowerNoAdvert, higherSend, ownerIgnore bool
	checksumAsV2                           bool
}

// resolve turns what the file says into effective values. It runs when all is
// read: a global_defs block counts for instances before it too.
func (d *decoder) resolve() {
	g := &d.cfg.Global
	if !g.McastGroup4.IsValid() {
		g.McastGroup4 = netip.AddrFrom4([4]byte{224, 0, 0, 18})
	}
	if !g.McastGroup6.IsValid() {
		g.McastGroup6 = netip.MustParseAddr("ff02::12")
	}
	d.absentInterfaces()
	d.scripts.check(d)
	pace := d.paceGroups()
	for _, in := range d.instances {
		d.instance(in, pace)
	}
	d.uniqueVRIDs()
	d.cfg.Instances = make([]*VRRPInstance, 0, len(d.instances))
	for _, in := range d.instances {
		if !in.bad {
			if !in.Accept && !in.accept.set {
				// Strict mode says it without the word.
				d.waitAt("vrrp_instance", "no_accept", in.Pos)
			}
			d.cfg.Instances = append(d.cfg.Instances, in.VRRPInstance)
		}
	}
	d.syncGroups()
}

// problem reports something about an instance, at its first line.
func (d *decoder) problem(in *instance, code, format string, args ...any) {
	d.reportAt(in.at, Diagnostic{
		Severity: Warning, Class: ClassOrdinary, Code: code,
		Message: "(" + in.Name + ") " + fmt.Sprintf(format, args...),
	})
}

// atPlace reports a mistake that is found when everything is read.
func (d *decoder) atPlace(at place, code, format string, args ...any) {
	d.reportAt(at, Diagnostic{Severity: Warning, Class: ClassOrdinary, Code: code, Message: fmt.Sprintf(format, args...)})
}

// drop reports why an instance cannot run. Like the C daemon, a daemon does not
// start without one of its instances.
func (d *decoder) drop(in *instance, code, fix, format string, args ...any) {
	in.bad = true
	d.reportAt(in.at, Diagnostic{
		Severity: Fatal, Class: ClassOrdinary, Exit: 2, Code: code, Fix: fix,
		Message: "(" + in.Name + ") " + fmt.Sprintf(format, args...),
	})
}

// instance makes the values of one instance effective.
func (d *decoder) instance(in *instance, pace map[string]*paceGroup) {
	in.Strict = in.strict.or(d.global.strict)
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
	d.inherit(in)
	d.addresses(in)
	d.announcements(in, pace)
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
			in.Version = max(d.global.version, 2)
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
			d.problem(in, "preempt-delay", "Warning - preempt delay will not work with initial state MASTER - clearing")
			in.PreemptDelay = 0
		}
	}
	if in.TimerExpiredBackup > 0 && !in.NoPreempt {
		d.problem(in, "timer-expired", "timer_expired_backup requires nopreempt - ignoring")
		in.TimerExpiredBackup = 0
	}
}

func (d *decoder) adverts(in *instance) {
	if in.DownTimerAdverts == 0 {
		in.DownTimerAdverts = d.global.downTimer
	}
	if in.DownTimerAdverts == 0 {
		in.DownTimerAdverts = 3
	}
	if in.Strict && in.DownTimerAdverts != 3 {
		d.problem(in, "strict-down-timer", "down_timer_adverts is incompatible with strict mode - resetting")
		in.DownTimerAdverts = 3
	}
	t := in.AdvertInterval
	if t == 0 {
		in.AdvertInterval = time.Second
		return
	}
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
			d.problem(in, "peer-self", "unicast peer %s is the own source address - ignoring", p.Addr)
		}
		return p.Addr == in.SourceIP
	})
	in.Unicast = len(in.Peers) > 0 || in.FaultNoPeer
	if in.Unicast {
		if in.Strict && len(in.Peers) > 0 {
			d.drop(in, "strict-unicast", "remove unicast_peer or strict mode", "Unicast peers are not supported in strict mode")
		}
		in.CheckUnicastSource = in.CheckUnicastSource || d.global.checkUnicastSrc
		in.Group = netip.Addr{}
		return
	}
	if in.unicast.origin != nil {
		d.reportAt(in.unicast, Diagnostic{
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

// inherit fills the switches that global_defs gives a default for.
func (d *decoder) inherit(in *instance) {
	g := &d.global
	owner := in.Priority == 255
	in.SkipCheckAdvertAddresses = in.skipCheck.or(g.skipCheck)
	in.ChecksumAsV2 = in.checksumAsV2.or(g.checksumAsV2)
	in.LowerPriorityNoAdvert = in.lowerNoAdvert.or(g.lowerNoAdvert)
	in.HigherPrioritySendAdvert = in.higherSend.or(g.higherSend)
	in.OwnerIgnoreAdverts = in.ownerIgnore.or(g.ownerIgnore) && owner
	if in.ownerIgnore.v && !owner {
		d.problem(in, "owner-ignore", "owner_ignore_adverts needs priority 255 - ignoring")
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
	if in.lowerNoAdvert.set && !in.lowerNoAdvert.v {
		d.problem(in, "strict-lower-prio", "Strict mode requires no lower priority advert. resetting")
	}
	in.LowerPriorityNoAdvert = true
	if in.HigherPrioritySendAdvert {
		d.problem(in, "strict-higher-prio", "strict mode requires higher_prio_send_advert to be clear. resetting")
		in.HigherPrioritySendAdvert = false
	}
	if owner {
		if in.ownerIgnore.set && !in.ownerIgnore.v {
			d.problem(in, "strict-owner-ignore", "Strict mode requires owner_ignore_adverts - setting it")
		}
		in.OwnerIgnoreAdverts = true
	}
}

const (
	maxAddresses = 255 // the count field is one byte
	// maxAddresses6 fit in an Ethernet frame: 1500 bytes less the headers of
	// IPv6 (40) and VRRP (8) and the authentication trailer (28).
	maxAddresses6 = (1500 - 40 - 8 - 28) / 16
)

func (d *decoder) addresses(in *instance) {
	if len(in.Addresses) == 0 {
		if in.Strict && in.noVIP {
			d.problem(in, "strict-no-address", "Strict mode requires a virtual address - ignoring no_virtual_ipaddress")
			in.noVIP = false
		}
		switch {
		case in.Strict || in.Version == 3 && !in.noVIP:
			d.drop(in, "no-address", "write virtual_ipaddress", "No VIP specified; at least one is required")
		case !in.noVIP:
			d.problem(in, "no-address", "No VIP specified; at least one is sensible")
		}
	}
	most := maxAddresses
	if in.Family == IPv6 {
		most = maxAddresses6
	}
	if n := len(in.Addresses); n > most {
		d.problem(in, "many-addresses", "Number of VIPs (%d) exceeds maximum/space available in packet (max %d addresses) - excess moved to eVIPs", n, most)
		in.Excluded = append(slices.Clone(in.Addresses[most:]), in.Excluded...)
		in.Addresses = in.Addresses[:most:most]
	}
	if in.Family == IPv6 && len(in.Addresses) > 0 && !in.Unicast && !in.Addresses[0].Prefix.Addr().IsLinkLocalUnicast() {
		p := Diagnostic{
			Severity: Note, Code: "first-address",
			Message: fmt.Sprintf("(%s) the first IPv6 VIP address %s is not link local", in.Name, in.Addresses[0].Prefix.Addr()),
			Fix:     "RFC 9568 wants a link-local address first",
		}
		if in.Strict {
			p.Severity, p.Class = Error, ClassOrdinary
			p.Message = fmt.Sprintf("(%s) the first IPv6 VIP address must be link local", in.Name)
		}
		d.reportAt(in.at, p)
	}
	in.Addresses = d.onInterface(in, in.Addresses)
	in.Excluded = d.onInterface(in, in.Excluded)
}

// onInterface gives every address its interface and drops repetitions.
func (d *decoder) onInterface(in *instance, list []Address) []Address {
	type key struct {
		prefix netip.Prefix
		dev    string
	}
	var seen map[key]bool
	if len(list) > 1 {
		seen = make(map[key]bool, len(list))
	}
	kept := list[:0]
	for _, a := range list {
		if a.Interface == "" {
			a.Interface = in.Interface
		}
		if seen != nil {
			k := key{a.Prefix, a.Interface}
			if seen[k] {
				d.diags.add(Diagnostic{
					Pos: a.Pos, Severity: Warning, Class: ClassOrdinary, Code: "address-twice",
					Message: fmt.Sprintf("(%s) duplicate VIP %s - ignoring", in.Name, a.Prefix.Addr()),
				})
				continue
			}
			seen[k] = true
		}
		kept = append(kept, a)
	}
	return kept
}

func (d *decoder) announcements(in *instance, pace map[string]*paceGroup) {
	own, g := &in.garp, &d.global.garp
	inherited := func(own, global opt[int], def int) int { return own.or(global.or(def)) }
	in.GARP = GARP{
		Repeat:        inherited(own.repeat, g.repeat, 5),
		Delay:         own.delay.or(g.delay.or(5 * time.Second)),
		Refresh:       own.refresh.or(g.refresh.or(0)),
		RefreshRepeat: inherited(own.refreshRepeat, g.refreshRepeat, 1),
		Interval:      d.global.garpInterval,
		NAInterval:    d.global.naInterval,
	}
	if d.global.minGARP {
		if !own.repeat.set && !g.repeat.set {
			in.GARP.Repeat = 1
		}
		if !own.delay.set && !g.delay.set {
			in.GARP.Delay = 0
		}
		if !own.refresh.set && !g.refresh.set {
			in.GARP.Refresh = 0
		}
	}
	in.GARP.LowerRepeat = inherited(own.lowerRepeat, g.lowerRepeat, in.GARP.Repeat)
	in.GARP.LowerDelay = own.lowerDelay.or(g.lowerDelay.or(in.GARP.Delay))
	if in.Strict {
		if own.lowerRepeat.v != 0 || own.lowerDelay.v != 0 {
			d.problem(in, "strict-garp", "Strict mode requires no repeat garps. resetting")
		}
		in.GARP.LowerRepeat, in.GARP.LowerDelay = 0, 0
	}
	if p := pace[in.Interface]; p != nil {
		in.GARP.Interval, in.GARP.NAInterval, in.GARP.PacingGroup = p.garpInterval, p.naInterval, p.name
	}
}

type paceGroup struct {
	*garpGroup
	name string
}

// paceGroups finds the garp_group of each interface.
func (d *decoder) paceGroups() map[string]*paceGroup {
	byInterface := make(map[string]*paceGroup)
	for i, g := range d.garps {
		group := &paceGroup{g, fmt.Sprintf("garp_group %d", i+1)}
		if len(g.interfaces) == 0 {
			d.reportAt(g.at, Diagnostic{
				Severity: Note, Code: "garp-group", Message: "the garp_group has no interface", Fix: "write interface or interfaces",
			})
		}
		for _, name := range g.interfaces {
			if byInterface[name] != nil {
				d.atPlace(g.at, "garp-group", "garp_group: interface %s is already in another group - ignoring", name)
				continue
			}
			byInterface[name] = group
		}
	}
	return byInterface
}

// uniqueVRIDs finds instances that could not be told apart: the same VRID and
// family on one interface with one multicast group, or with a common peer.
func (d *decoder) uniqueVRIDs() {
	type key struct {
		dev    string
		group  netip.Addr // of multicast, or the peer
		family Family
		vrid   uint8
	}
	seen := make(map[key]*instance, len(d.instances))
	clash := func(k key, in *instance) bool {
		first := seen[k]
		if first == nil {
			seen[k] = in
			return false
		}
		if first == in {
			return false
		}
		in.bad = true
		message := fmt.Sprintf("%s and %s both use VRID %d with IPv%d on interface %s", first.Name, in.Name, in.VRID, in.Family, in.Interface)
		if in.Unicast {
			message = fmt.Sprintf("(%s) duplicate VRID conflict with %s VRID %d: both have the peer %s", first.Name, in.Name, in.VRID, k.group)
		}
		d.reportAt(in.at, Diagnostic{
			Severity: Fatal, Class: ClassOrdinary, Exit: 2, Code: "vrid-twice",
			Message: message,
			Fix:     fmt.Sprintf("give one another virtual_router_id; %s is at %v", first.Name, first.Pos),
		})
		return true
	}
	for _, in := range d.instances {
		if in.bad {
			continue
		}
		k := key{in.Interface, in.Group, in.Family, in.VRID}
		if !in.Unicast {
			clash(k, in)
			continue
		}
		for _, p := range in.Peers {
			k.group = p.Addr
			if clash(k, in) {
				break
			}
		}
	}
}

// syncGroups keeps the members that exist and are in no earlier group.
func (d *decoder) syncGroups() {
	if len(d.groups) == 0 {
		return
	}
	alive := make(map[string]*VRRPInstance, len(d.cfg.Instances))
	for _, in := range d.cfg.Instances {
		alive[in.Name] = in
	}
	group := make(map[string]string)
	for _, g := range d.groups {
		at := func(code, format string, args ...any) {
			d.atPlace(g.at, code, format, args...)
		}
		if len(g.Members) == 0 {
			at("empty-group", "Sync group %s has no virtual router(s). removing", g.Name)
			continue
		}
		var unknown []string
		owners := 0
		g.Members = slices.DeleteFunc(g.Members, func(name string) bool {
			switch in := alive[name]; {
			case in == nil:
				unknown = append(unknown, printable(name))
				return true
			case group[name] != "":
				at("two-groups", "instance %s is already in sync group %s - ignoring", name, group[name])
				return true
			case in.Priority == 255:
				owners++
			}
			group[name] = g.Name
			return false
		})
		if len(unknown) > 0 {
			at("no-member", "Virtual router %s specified in sync group %s doesn't exist - ignoring", strings.Join(unknown, ", "), g.Name)
		}
		switch {
		case len(g.Members) == 0:
			at("empty-group", "Sync group %s has no virtual router(s). removing", g.Name)
			continue
		case len(g.Members) == 1:
			at("small-group", "Sync group %s has only 1 virtual router(s) - this probably isn't what you want", g.Name)
		case owners != 0 && owners != len(g.Members):
			at("group-owners", "Sync group %s mixes address owners and others. This won't work", g.Name)
		}
		d.cfg.SyncGroups = append(d.cfg.SyncGroups, g.SyncGroup)
	}
}

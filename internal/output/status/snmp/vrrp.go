package snmp

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/snmp/agentx"
	"keepalived-go/vrrp"
)

// vrrp are the objects of the VRRP part of KEEPALIVED-MIB.
func (s *State) vrrp() []node {
	c := s.Config
	var (
		groups, members       []row[*groupRow]
		instances             []row[*instanceRow]
		addresses             []row[*addressRow]
		routes                []row[*routeRow]
		hops                  []row[*hopRow]
		rules                 []row[*ruleRow]
		ofInstances, ofGroups [conf.TrackedBFD + 1][]row[*conf.Track]
	)
	groupOf := map[string]*conf.SyncGroup{}
	for i, g := range c.SyncGroups {
		at := agentx.OID{uint32(i + 1)}
		r := &groupRow{State: s, conf: g}
		groups = append(groups, row[*groupRow]{at, r})
		for k, m := range g.Members {
			groupOf[m] = g
			members = append(members, row[*groupRow]{at.Append(uint32(k + 1)), &groupRow{conf: g, member: m}})
		}
		s.tracked(&ofGroups, at, g.Track)
	}
	for i, v := range c.Instances {
		at := agentx.OID{uint32(i + 1)}
		r := s.instance(v, groupOf[v.Name])
		s.rows = append(s.rows, r)
		instances = append(instances, row[*instanceRow]{at, r})
		s.tracked(&ofInstances, at, v.Track)
		for _, list := range []struct {
			of       []conf.Address
			excluded bool
		}{{v.Addresses, false}, {v.Excluded, true}} {
			for k := range list.of {
				a := &addressRow{conf: &list.of[k], excluded: list.excluded, instance: r}
				n := len(r.addresses)
				a.status = r.address(n)
				r.addresses = append(r.addresses, a)
				addresses = append(addresses, row[*addressRow]{at.Append(uint32(n + 1)), a})
			}
		}
		if v.Routing == nil {
			continue
		}
		for k := range v.Routing.Routes {
			of := &routeRow{State: s, conf: &v.Routing.Routes[k], set: k < len(r.status.Routes) && r.status.Routes[k]}
			below := at.Append(uint32(k + 1))
			routes = append(routes, row[*routeRow]{below, of})
			hops = append(hops, numbered(of.conf.Hops, below, func(h *conf.NextHop) *hopRow { return &hopRow{s, h} })...)
		}
		for k := range v.Routing.Rules {
			rules = append(rules, row[*ruleRow]{at.Append(uint32(k + 1)), &ruleRow{
				conf: &v.Routing.Rules[k], set: k < len(r.status.Rules) && r.status.Rules[k],
			}})
		}
	}
	at := func(number uint32) agentx.OID { return vrrpPart.Append(number, 1) }
	tracks := func(number uint32, prefix string, first uint32, rows []row[*conf.Track]) node {
		return &table[*conf.Track]{at(number), trackColumns(prefix, first), rows}
	}
	return []node{
		&table[*groupRow]{at(1), groupColumns, groups},
		&table[*groupRow]{at(2), memberColumns, members},
		&table[*instanceRow]{at(3), instanceColumns, instances},
		tracks(4, "vrrpTrackedInterface", 1, ofInstances[conf.TrackedInterface]),
		tracks(5, "vrrpTrackedScript", 2, ofInstances[conf.TrackedScript]),
		&table[*addressRow]{at(6), addressColumns, addresses},
		&table[*routeRow]{at(7), routeColumns, routes},
		&table[*ruleRow]{at(8), ruleColumns, rules},
		&table[*scriptRow]{at(9), scriptColumns, numbered(c.Scripts, nil, func(x **conf.Script) *scriptRow {
			return &scriptRow{*x, s.tracker(conf.TrackedScript, (*x).Name)}
		})},
		&table[*hopRow]{at(11), hopColumns, hops},
		tracks(12, "vrrpTrackedFile", 2, ofInstances[conf.TrackedFile]),
		&table[*fileRow]{at(13), fileColumns, numbered(c.Files, nil, func(x **conf.TrackFile) *fileRow {
			return &fileRow{*x, s.tracker(conf.TrackedFile, (*x).Name)}
		})},
		tracks(14, "vrrpSyncTrackedInterface", 1, ofGroups[conf.TrackedInterface]),
		tracks(15, "vrrpSyncTrackedScript", 2, ofGroups[conf.TrackedScript]),
		tracks(16, "vrrpSyncTrackedFile", 2, ofGroups[conf.TrackedFile]),
		tracks(17, "vrrpTrackedBfd", 2, ofInstances[conf.TrackedBFD]),
		&table[*bfdRow]{at(18), bfdColumns, numbered(c.BFDs, nil, func(x **conf.TrackBFD) *bfdRow {
			return &bfdRow{*x, s.tracker(conf.TrackedBFD, (*x).Name)}
		})},
		tracks(19, "vrrpSyncTrackedBfd", 2, ofGroups[conf.TrackedBFD]),
		tracks(20, "vrrpTrackedProcess", 2, ofInstances[conf.TrackedProcess]),
		&table[*processRow]{at(21), processColumns, numbered(c.Processes, nil, func(x **conf.TrackProcess) *processRow {
			return &processRow{*x, s.tracker(conf.TrackedProcess, (*x).Name)}
		})},
		tracks(22, "vrrpSyncTrackedProcess", 2, ofGroups[conf.TrackedProcess]),
	}
}

// tracked adds the rows of trackers of an instance or a sync group: interfaces by their
// index, the others in their order.
func (s *State) tracked(all *[conf.TrackedBFD + 1][]row[*conf.Track], below agentx.OID, list []conf.Track) {
	var numbers [conf.TrackedBFD + 1]uint32
	var links []row[*conf.Track]
	for i := range list {
		k := list[i].Kind
		if k == conf.TrackedInterface {
			if index := s.link(list[i].Name).Index; index > 0 {
				links = append(links, row[*conf.Track]{below.Append(uint32(index)), &list[i]})
			}
			continue
		}
		numbers[k]++
		all[k] = append(all[k], row[*conf.Track]{below.Append(numbers[k]), &list[i]})
	}
	all[conf.TrackedInterface] = append(all[conf.TrackedInterface], sorted(links)...)
}

// trackColumns are those of a table of trackers, whose first readable column has a number.
func trackColumns(prefix string, first uint32) []column[*conf.Track] {
	return []column[*conf.Track]{
		{prefix + "Name", first, func(t *conf.Track) agentx.Value { return text(t.Name) }},
		{prefix + "Weight", first + 1, func(t *conf.Track) agentx.Value { return integer(t.Weight) }},
		{prefix + "WgtRev", first + 2, func(t *conf.Track) agentx.Value { return which(t.Reverse) }},
	}
}

// stateNumbers are the numbers of VrrpState.
var stateNumbers = map[string]int{
	vrrp.Init.String(): 0, vrrp.Backup.String(): 1, vrrp.Master.String(): 2, vrrp.Fault.String(): 3, vrrp.Stopped.String(): 5,
}

const unknownState = 4

// stateNumber is a VrrpState.
func stateNumber(state string) agentx.Value {
	n, known := stateNumbers[state]
	if !known {
		n = unknownState
	}
	return integer(n)
}

// groupRow is a sync group, or a member of it.
type groupRow struct {
	*State
	conf   *conf.SyncGroup
	member string
}

// notify is how a group reports changes.
func (r *groupRow) notify() *conf.Notify { return notifyOf(r.conf.Notify) }

// notifyOf is n, or one that reports nothing.
func notifyOf(n *conf.Notify) *conf.Notify {
	if n == nil {
		return &conf.Notify{}
	}
	return n
}

// executes reports whether changes run a program.
func executes(n *conf.Notify) bool {
	return n.Any.Given() || n.Master.Given() || n.Backup.Given() || n.Fault.Given() || n.Stop.Given()
}

var groupColumns = []column[*groupRow]{
	{"vrrpSyncGroupName", 2, func(r *groupRow) agentx.Value { return text(r.conf.Name) }},
	{"vrrpSyncGroupState", 3, func(r *groupRow) agentx.Value {
		if g := r.groups[r.conf.Name]; g != nil {
			return stateNumber(g.State)
		}
		return integer(unknownState)
	}},
	{"vrrpSyncGroupSmtpAlert", 4, func(r *groupRow) agentx.Value { return which(r.notify().SMTPAlert) }},
	{"vrrpSyncGroupNotifyExec", 5, func(r *groupRow) agentx.Value { return which(executes(r.notify())) }},
	{"vrrpSyncGroupScriptMaster", 6, func(r *groupRow) agentx.Value { return command(&r.notify().Master) }},
	{"vrrpSyncGroupScriptBackup", 7, func(r *groupRow) agentx.Value { return command(&r.notify().Backup) }},
	{"vrrpSyncGroupScriptFault", 8, func(r *groupRow) agentx.Value { return command(&r.notify().Fault) }},
	{"vrrpSyncGroupScript", 9, func(r *groupRow) agentx.Value { return command(&r.notify().Any) }},
	{"vrrpSyncGroupTrackingWeight", 10, func(r *groupRow) agentx.Value { return which(r.conf.TrackingWeight) }},
	{"vrrpSyncGroupScriptStop", 11, func(r *groupRow) agentx.Value { return command(&r.notify().Stop) }},
}

var memberColumns = []column[*groupRow]{
	{"vrrpSyncGroupMemberName", 2, func(r *groupRow) agentx.Value { return text(r.member) }},
}

// instanceRow is a virtual router.
type instanceRow struct {
	*State
	conf      *conf.VRRPInstance
	group     *conf.SyncGroup // nil: none
	notify    *conf.Notify
	status    *api.Instance
	addresses []*addressRow
}

// instance is the row of an instance. Without anything known of it, its state is unknown.
func (s *State) instance(c *conf.VRRPInstance, group *conf.SyncGroup) *instanceRow {
	r := &instanceRow{State: s, conf: c, group: group, notify: notifyOf(c.Notify), status: s.instances[c.Name]}
	if r.status == nil {
		r.status = &api.Instance{Priority: api.Priority{Base: c.Priority, Effective: c.Priority}}
	}
	return r
}

// base is the priority without trackers: the configured one, and what operators have added.
func (r *instanceRow) base() int { return int(r.status.Priority.Base) + r.adjusted(r.conf.Name) }

// address is what is known of the address with a number.
func (r *instanceRow) address(n int) *api.Address {
	if n < len(r.status.Addresses) {
		return &r.status.Addresses[n]
	}
	return &api.Address{}
}

// index is that of the interface of r; 0: it is not there.
func (r *instanceRow) index() int { return r.status.Index }

// mac is the hardware address that r uses; empty: none is known.
func (r *instanceRow) mac() []byte {
	name := r.status.Own
	if name == "" {
		name = r.conf.Interface
	}
	mac, err := net.ParseMAC(r.link(name).MAC)
	if err != nil {
		return nil
	}
	return mac
}

func (r *instanceRow) source() netip.Addr { return parseAddr(r.status.Source) }

// begun is when r left INIT or FAULT; zero: it is there.
func (r *instanceRow) begun() (t time.Time) {
	out := func(state string) bool { return state == "MASTER" || state == "BACKUP" }
	if !out(r.status.State) {
		return t
	}
	if r.status.Since != nil {
		t = *r.status.Since
	}
	for i := len(r.status.History) - 1; i >= 0 && out(r.status.History[i].To); i-- {
		t = r.status.History[i].At
	}
	return t
}

var instanceColumns = []column[*instanceRow]{
	{"vrrpInstanceName", 2, func(r *instanceRow) agentx.Value { return text(r.conf.Name) }},
	{"vrrpInstanceVirtualRouterId", 3, func(r *instanceRow) agentx.Value { return unsigned(r.conf.VRID) }},
	{"vrrpInstanceState", 4, func(r *instanceRow) agentx.Value { return stateNumber(r.status.State) }},
	{"vrrpInstanceInitialState", 5, func(r *instanceRow) agentx.Value {
		if r.conf.Master {
			return stateNumber(vrrp.Master.String())
		}
		return stateNumber(vrrp.Backup.String())
	}},
	{"vrrpInstanceWantedState", 6, func(r *instanceRow) agentx.Value { return stateNumber(r.status.Wanted) }},
	{"vrrpInstanceBasePriority", 7, func(r *instanceRow) agentx.Value { return integer(r.base()) }},
	{"vrrpInstanceEffectivePriority", 8, func(r *instanceRow) agentx.Value { return integer(r.status.Priority.Effective) }},
	{"vrrpInstanceVipsStatus", 9, func(r *instanceRow) agentx.Value {
		unset := func(a api.Address) bool { return !a.Set }
		return which(len(r.status.Addresses) > 0 && !slices.ContainsFunc(r.status.Addresses, unset))
	}},
	{"vrrpInstancePrimaryInterface", 10, func(r *instanceRow) agentx.Value {
		if r.status.Own != "" {
			return text(r.status.Own)
		}
		return given(r.conf.Interface)
	}},
	{"vrrpInstanceTrackPrimaryIf", 11, func(r *instanceRow) agentx.Value { return which(!r.conf.DontTrackPrimary) }},
	{"vrrpInstanceAdvertisementsInt", 12, func(r *instanceRow) agentx.Value {
		if r.conf.Version == 2 {
			return wholeSeconds(r.conf.AdvertInterval)
		}
		return unsigned(int64(r.conf.AdvertInterval / (10 * time.Millisecond)))
	}},
	{"vrrpInstancePreempt", 13, func(r *instanceRow) agentx.Value { return which(!r.status.NoPreempt) }},
	{"vrrpInstancePreemptDelay", 14, func(r *instanceRow) agentx.Value { return wholeSeconds(r.conf.PreemptDelay) }},
	{"vrrpInstanceAuthType", 15, func(r *instanceRow) agentx.Value { return integer(r.conf.Auth.Type) }},
	{"vrrpInstanceLvsSyncDaemon", 16, func(r *instanceRow) agentx.Value { return which(r.sync() != nil) }},
	{"vrrpInstanceLvsSyncInterface", 17, func(r *instanceRow) agentx.Value {
		if d := r.sync(); d != nil {
			return text(d.Interface)
		}
		return none
	}},
	{"vrrpInstanceSyncGroup", 18, func(r *instanceRow) agentx.Value {
		if r.group == nil {
			return none
		}
		return text(r.group.Name)
	}},
	{"vrrpInstanceGarpDelay", 19, func(r *instanceRow) agentx.Value { return wholeSeconds(r.conf.GARP.Delay) }},
	{"vrrpInstanceSmtpAlert", 20, func(r *instanceRow) agentx.Value { return which(r.notify.SMTPAlert) }},
	{"vrrpInstanceNotifyExec", 21, func(r *instanceRow) agentx.Value { return which(executes(r.notify)) }},
	{"vrrpInstanceScriptMaster", 22, func(r *instanceRow) agentx.Value { return command(&r.notify.Master) }},
	{"vrrpInstanceScriptBackup", 23, func(r *instanceRow) agentx.Value { return command(&r.notify.Backup) }},
	{"vrrpInstanceScriptFault", 24, func(r *instanceRow) agentx.Value { return command(&r.notify.Fault) }},
	{"vrrpInstanceScriptStop", 25, func(r *instanceRow) agentx.Value { return command(&r.notify.Stop) }},
	{"vrrpInstanceScript", 26, func(r *instanceRow) agentx.Value { return command(&r.notify.Any) }},
	{"vrrpInstanceAccept", 27, func(r *instanceRow) agentx.Value { return which(r.conf.Accept) }},
	{"vrrpInstancePromoteSecondaries", 28, func(r *instanceRow) agentx.Value { return which(r.conf.PromoteSecondaries) }},
	{"vrrpInstanceUseLinkbeat", 29, func(r *instanceRow) agentx.Value {
		return which(slices.ContainsFunc(r.Config.Interfaces, func(i conf.InterfaceSettings) bool {
			return i.Name == r.conf.Interface && i.LinkBeat != conf.LinkBeatNone
		}))
	}},
	{"vrrpInstanceVrrpVersion", 30, func(r *instanceRow) agentx.Value { return integer(r.conf.Version) }},
	{"vrrpInstanceScriptMstrRxLowerPri", 31, func(r *instanceRow) agentx.Value { return command(&r.notify.MasterRxLowerPri) }},
	{"vrrpInstanceScriptDeleted", 32, func(r *instanceRow) agentx.Value { return command(&r.notify.Deleted) }},
	{"vrrpInstanceNotifyDeleted", 33, func(r *instanceRow) agentx.Value { return which(r.notify.SignalDeleted) }},
	{"vrrpInstanceMulticastAddressType", 34, func(r *instanceRow) agentx.Value { return when(!r.conf.Unicast, addressType(r.conf.Group)) }},
	{"vrrpInstanceMulticastAddress", 35, func(r *instanceRow) agentx.Value { return when(!r.conf.Unicast, address(r.conf.Group)) }},
	{"vrrpInstanceV3ChecksumAsV2", 36, func(r *instanceRow) agentx.Value { return which(r.conf.ChecksumAsV2) }},
}

// sync is the synchronisation daemon of IPVS that follows r; nil: none does.
func (r *instanceRow) sync() *conf.SyncDaemon {
	if d := r.Config.Global.LVS.Sync; d != nil && d.Instance == r.conf.Name {
		return d
	}
	return nil
}

// addressRow is a virtual address.
type addressRow struct {
	conf     *conf.Address
	status   *api.Address
	instance *instanceRow
	excluded bool
}

func (r *addressRow) interfaceName() string {
	name := r.status.Interface
	if name == "" {
		name = r.conf.Interface
	}
	name, _, _ = strings.Cut(name, "@")
	return name
}

func (r *addressRow) index() int {
	if i := r.instance.link(r.interfaceName()).Index; i != 0 {
		return i
	}
	if r.interfaceName() == r.instance.conf.Interface {
		return r.instance.index()
	}
	return 0
}

// scope is an InetScopeType of a scope of rtnetlink.
func scope(n uint8) agentx.Value {
	switch n {
	case 254: // host
		return agentx.Int(1)
	case 253: // link
		return agentx.Int(2)
	case 200: // site
		return agentx.Int(5)
	}
	return agentx.Int(14)
}

var addressColumns = []column[*addressRow]{
	{"vrrpAddressType", 2, func(r *addressRow) agentx.Value { return addressType(r.conf.Prefix.Addr()) }},
	{"vrrpAddressValue", 3, func(r *addressRow) agentx.Value { return address(r.conf.Prefix.Addr()) }},
	{"vrrpAddressBroadcast", 4, func(r *addressRow) agentx.Value {
		switch b := r.conf.Broadcast; {
		case b.IsValid():
			return address(b)
		case r.conf.Prefix.Addr().Is4():
			return address(netip.IPv4Unspecified())
		}
		return none
	}},
	{"vrrpAddressMask", 5, func(r *addressRow) agentx.Value {
		if r.conf.Peer.IsValid() {
			return prefixLength(r.conf.Peer)
		}
		return prefixLength(r.conf.Prefix)
	}},
	{"vrrpAddressScope", 6, func(r *addressRow) agentx.Value { return scope(r.conf.Scope) }},
	{"vrrpAddressIfIndex", 7, func(r *addressRow) agentx.Value { return when(r.index() != 0, integer(r.index())) }},
	{"vrrpAddressIfName", 8, func(r *addressRow) agentx.Value { return given(r.interfaceName()) }},
	{"vrrpAddressIfAlias", 9, func(r *addressRow) agentx.Value { return given(r.conf.Label) }},
	{"vrrpAddressStatus", 10, func(r *addressRow) agentx.Value { return which(r.status.Set) }},
	{"vrrpAddressAdvertising", 11, func(r *addressRow) agentx.Value { return which(!r.excluded) }},
	{"vrrpAddressPeer", 12, func(r *addressRow) agentx.Value { return address(r.conf.Peer.Addr()) }},
}

// scriptRow is a vrrp_script.
type scriptRow struct {
	conf   *conf.Script
	status *api.Tracker
}

var scriptColumns = []column[*scriptRow]{
	{"vrrpScriptName", 2, func(r *scriptRow) agentx.Value { return text(r.conf.Name) }},
	{"vrrpScriptCommand", 3, func(r *scriptRow) agentx.Value { return command(&r.conf.Command) }},
	{"vrrpScriptInterval", 4, func(r *scriptRow) agentx.Value { return integer(int(r.conf.Interval / time.Second)) }},
	{"vrrpScriptWeight", 5, func(r *scriptRow) agentx.Value { return integer(r.conf.Weight) }},
	{"vrrpScriptResult", 6, func(r *scriptRow) agentx.Value {
		switch r.status.State {
		case "up":
			return agentx.Int(3) // good
		case "down", "disabled":
			return agentx.Int(2) // bad
		}
		if r.conf.InitFail {
			return agentx.Int(5) // initfailed
		}
		return agentx.Int(1) // init
	}},
	{"vrrpScriptRise", 7, func(r *scriptRow) agentx.Value { return unsigned(r.conf.Rise) }},
	{"vrrpScriptFall", 8, func(r *scriptRow) agentx.Value { return unsigned(r.conf.Fall) }},
	{"vrrpScriptWgtRev", 9, func(r *scriptRow) agentx.Value { return which(r.conf.Reverse) }},
	{"vrrpScriptPath", 10, func(r *scriptRow) agentx.Value { return path(&r.conf.Command) }},
	{"vrrpScriptIntervalUsec", 11, func(r *scriptRow) agentx.Value { return microseconds(r.conf.Interval) }},
	{"vrrpScriptTimeoutUsec", 12, func(r *scriptRow) agentx.Value { return microseconds(r.conf.Timeout) }},
}

// number is that of a tracker, 0 without one.
func number(t *api.Tracker) int {
	if t.Number == nil {
		return 0
	}
	return *t.Number
}

// fileRow is a track_file.
type fileRow struct {
	conf   *conf.TrackFile
	status *api.Tracker
}

var fileColumns = []column[*fileRow]{
	{"vrrpFileName", 2, func(r *fileRow) agentx.Value { return text(r.conf.Name) }},
	{"vrrpFilePath", 3, func(r *fileRow) agentx.Value { return text(r.conf.Path) }},
	{"vrrpFileResult", 4, func(r *fileRow) agentx.Value { return integer(number(r.status)) }},
	{"vrrpFileWeight", 5, func(r *fileRow) agentx.Value { return integer(r.conf.Weight) }},
	{"vrrpFileWgtRev", 6, func(r *fileRow) agentx.Value { return which(r.conf.Reverse) }},
}

// bfdRow is a bfd_instance that is tracked.
type bfdRow struct {
	conf   *conf.TrackBFD
	status *api.Tracker
}

var bfdColumns = []column[*bfdRow]{
	{"vrrpBfdName", 2, func(r *bfdRow) agentx.Value { return text(r.conf.Name) }},
	{"vrrpBfdResult", 3, func(r *bfdRow) agentx.Value {
		if r.status.State == "up" {
			return agentx.Int(1)
		}
		return agentx.Int(0)
	}},
	{"vrrpBfdWeight", 4, func(r *bfdRow) agentx.Value { return integer(r.conf.Weight) }},
	{"vrrpBfdWgtRev", 5, func(r *bfdRow) agentx.Value { return which(r.conf.Reverse) }},
}

// processRow is a track_process.
type processRow struct {
	conf   *conf.TrackProcess
	status *api.Tracker
}

var processColumns = []column[*processRow]{
	{"vrrpProcessName", 2, func(r *processRow) agentx.Value { return text(r.conf.Name) }},
	{"vrrpProcessPath", 3, func(r *processRow) agentx.Value { return text(r.conf.Process) }},
	{"vrrpProcessParams", 4, func(r *processRow) agentx.Value { return given(strings.Join(r.conf.Params, " ")) }},
	{"vrrpProcessParamMatch", 5, func(r *processRow) agentx.Value {
		return integer([...]int{conf.MatchNone: 0, conf.MatchExact: 1, conf.MatchPartial: 2, conf.MatchInitial: 3}[r.conf.Match])
	}},
	{"vrrpProcessWeight", 6, func(r *processRow) agentx.Value { return integer(r.conf.Weight) }},
	{"vrrpProcessWgtRev", 7, func(r *processRow) agentx.Value { return which(r.conf.Reverse) }},
	{"vrrpProcessQuorum", 8, func(r *processRow) agentx.Value { return unsigned(r.conf.Quorum) }},
	{"vrrpProcessQuorumMax", 9, func(r *processRow) agentx.Value { return integer(r.conf.QuorumMax) }},
	{"vrrpProcessForkDelay", 10, func(r *processRow) agentx.Value { return microseconds(r.conf.ForkDelay) }},
	{"vrrpProcessTerminateDelay", 11, func(r *processRow) agentx.Value { return microseconds(r.conf.TerminateDelay) }},
	{"vrrpProcessFullCommand", 12, func(r *processRow) agentx.Value { return which(r.conf.FullCommand) }},
	{"vrrpProcessCurProc", 13, func(r *processRow) agentx.Value { return integer(number(r.status)) }},
	{"vrrpProcessResult", 14, func(r *processRow) agentx.Value { return which(r.status.State == "up") }},
}

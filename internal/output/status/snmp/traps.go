package snmp

import (
	"maps"
	"slices"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/snmp/agentx"
	"keepalived-go/vrrp"
)

// Traps makes notifications of what happens. As those of the C daemon, those of
// KEEPALIVED-MIB name their objects without an index; those of the RFCs name the row.
type Traps struct {
	groups   map[string]string    // states of sync groups, as notified
	states   map[string]string    // of instances
	rejected map[string]time.Time // when a dropped packet of an instance was notified last
	begun    time.Time            // what was before is of no interest
	starting bool                 // the daemon has started, and its servers are not known yet

	known configured
}

// configured finds what a configuration has, by name: much may happen at once.
type configured struct {
	in        *conf.Config
	instances map[string]*conf.VRRPInstance
	groups    map[string]*conf.SyncGroup // by the names of their members
	services  map[string]*conf.VirtualServer
}

// know takes up a configuration, and reports whether it is another one.
func (k *configured) know(c *conf.Config) bool {
	if k.in == c {
		return false
	}
	*k = configured{c, map[string]*conf.VRRPInstance{}, map[string]*conf.SyncGroup{}, map[string]*conf.VirtualServer{}}
	for _, i := range c.Instances {
		k.instances[i.Name] = i
	}
	for _, g := range c.SyncGroups {
		for _, m := range g.Members {
			k.groups[m] = g
		}
	}
	for _, v := range c.VirtualServers {
		k.services[v.String()] = v
	}
	return true
}

// NewTraps returns the notifications of what happens from now on.
func NewTraps(now time.Time) *Traps {
	return &Traps{groups: map[string]string{}, states: map[string]string{}, rejected: map[string]time.Time{}, begun: now}
}

// snmpTrapOID is the object whose value is what a notification is.
var snmpTrapOID = agentx.OID{1, 3, 6, 1, 6, 3, 1, 1, 4, 1, 0}

var (
	vrrpTraps       = vrrpPart.Append(10, 0)
	checkTraps      = checkPart.Append(5, 0)
	routerID        = global.Append(2, 0)
	trapPacketSrc   = vrrpMIB.Append(1, 5, 0)
	trapAuthError   = vrrpMIB.Append(1, 6, 0)
	operTable       = vrrpMIB.Append(1, 3, 1)
	operations3     = vrrpv3MIB.Append(1, 1, 1, 1)
	statistics3     = vrrpv3MIB.Append(1, 2, 5, 1)
	groupEntry      = vrrpPart.Append(1, 1)
	instanceEntry   = vrrpPart.Append(3, 1)
	serviceEntry    = checkPart.Append(3, 1)
	realServerEntry = checkPart.Append(4, 1)
)

// notification is the identifier of a trap, and its objects.
func notification(kind agentx.OID, objects ...[]agentx.Varbind) []agentx.Varbind {
	return append([]agentx.Varbind{{Name: snmpTrapOID, Value: agentx.Value{Type: agentx.ObjectID, OID: kind}}}, slices.Concat(objects...)...)
}

// values are objects of a row by their names; those that it does not have are left out.
func values[R any](entry agentx.OID, columns []column[R], of R, index agentx.OID, names ...string) (all []agentx.Varbind) {
	for _, name := range names {
		for _, c := range columns {
			if c.name != name {
				continue
			}
			if v := c.value(of); v.Type != 0 {
				all = append(all, agentx.Varbind{Name: entry.Append(c.number).Append(index...), Value: v})
			}
		}
	}
	return all
}

func (s *State) routerID() []agentx.Varbind {
	return []agentx.Varbind{{Name: routerID, Value: text(s.Config.Global.RouterID)}}
}

// Step returns the notifications of what has happened, in its order. s need not have what has
// not changed.
func (t *Traps) Step(s *State, news []history.Event) (all [][]agentx.Varbind) {
	s.index()
	on := &s.Config.Global.SNMP
	if !on.Traps {
		return nil
	}
	if t.known.know(s.Config) {
		t.forget()
	}
	news = t.fromStart(s.Status, news)
	for i := range news {
		e := &news[i]
		switch {
		case e.Kind == history.Router && (on.VRRP || on.RFCv2 || on.RFCv3):
			all = append(all, t.router(s, e.Name, e.To)...)
		case (e.Kind == history.Service || e.Kind == history.Server) && on.Checker:
			if v := t.server(s, e); v != nil {
				all = append(all, v)
			}
		}
	}
	if v := s.Status.VRRP; v != nil && (on.RFCv2 || on.RFCv3) {
		for i := range v.Instances {
			if c := t.known.instances[v.Instances[i].Name]; c != nil && v.Instances[i].Rejection != nil {
				all = append(all, t.rejection(s, c)...)
			}
		}
	}
	return all
}

// fromStart returns what has happened when a daemon has started, which may have been recorded
// by another one before: virtual and real servers have their first states. The C daemon, which
// remembers nothing, notifies of these.
func (t *Traps) fromStart(s *api.Status, news []history.Event) []history.Event {
	t.starting = t.starting || slices.ContainsFunc(news, func(e history.Event) bool {
		return e.Kind == history.Process && e.Name == history.Daemon && e.To == history.Started
	})
	l := s.LVS
	if !t.starting || l == nil || l.Stale != "" || !l.Running {
		return news
	}
	t.starting = false
	all := slices.DeleteFunc(slices.Clone(news), func(e history.Event) bool { return e.Kind == history.Service || e.Kind == history.Server })
	add := func(kind history.Kind, name string, up bool, since *time.Time) {
		e := history.Event{At: s.At, Kind: kind, Name: name, To: history.UpDown(up)}
		if since != nil {
			e.At = *since
		}
		all = append(all, e)
	}
	for i := range l.Services {
		v := &l.Services[i]
		for k := range v.Servers {
			add(history.Server, v.Name+" "+v.Servers[k].Name, v.Servers[k].Up, v.Servers[k].Since)
		}
		add(history.Service, v.Name, v.Up, v.Since)
	}
	slices.SortStableFunc(all, func(a, b history.Event) int { return a.At.Compare(b.At) })
	return all
}

// forget forgets what is not configured any more.
func (t *Traps) forget() {
	has := map[string]bool{}
	for _, g := range t.known.in.SyncGroups {
		has[g.Name] = true
	}
	maps.DeleteFunc(t.groups, func(name, _ string) bool { return !has[name] })
	maps.DeleteFunc(t.states, func(name, _ string) bool { return t.known.instances[name] == nil })
	maps.DeleteFunc(t.rejected, func(name string, _ time.Time) bool { return t.known.instances[name] == nil })
}

// Stop returns the notifications of the end of the daemon: each instance, then each group.
func (t *Traps) Stop(s *State) (all [][]agentx.Varbind) {
	s.index()
	if on := &s.Config.Global.SNMP; !on.Traps || !on.VRRP {
		return nil
	}
	stopped := vrrp.Stopped.String()
	for _, c := range s.Config.Instances {
		if was := t.states[c.Name]; was != stopped {
			all = append(all, s.instanceTrap(c, stopped))
			t.states[c.Name] = stopped
		}
	}
	for _, g := range s.Config.SyncGroups {
		if t.groups[g.Name] != stopped {
			all = append(all, s.groupTrap(g, stopped))
			t.groups[g.Name] = stopped
		}
	}
	return all
}

// router are the notifications of a change of state of an instance. Its sync group is first,
// once for all members.
func (t *Traps) router(s *State, name, to string) (all [][]agentx.Varbind) {
	c, on := t.known.instances[name], &s.Config.Global.SNMP
	if c == nil {
		return nil
	}
	t.states[name] = to
	if g := t.known.groups[name]; on.VRRP && g != nil && t.groups[g.Name] != to {
		t.groups[g.Name] = to
		all = append(all, s.groupTrap(g, to))
	}
	if on.VRRP {
		all = append(all, s.instanceTrap(c, to))
	}
	if to != vrrp.Master.String() {
		return all
	}
	r := s.instance(c, nil)
	status := *r.status // the event may be older
	status.State, r.status = to, &status
	if on.RFCv2 && inRFC2787(c) {
		all = append(all, notification(vrrpMIB.Append(0, 1), values(operTable, vrrpOperColumns, r, r.index2(), "vrrpOperMasterIpAddr")))
	}
	if on.RFCv3 {
		all = append(all, notification(vrrpv3MIB.Append(0, 1),
			values(operations3, vrrpv3OperationsColumns, r, r.index3(), "vrrpv3OperationsMasterIpAddr"),
			values(statistics3, vrrpv3StatisticsColumns, r, r.index3(), "vrrpv3StatisticsNewMasterReason")))
	}
	return all
}

// index2 and index3 are the indexes of r in the MIBs of the RFCs.
func (r *instanceRow) index2() agentx.OID { return agentx.OID{uint32(r.index()), uint32(r.conf.VRID)} }

func (r *instanceRow) index3() agentx.OID {
	family := uint32(inetIPv4)
	if r.conf.Family == conf.IPv6 {
		family = inetIPv6
	}
	return r.index2().Append(family)
}

func (s *State) instanceTrap(c *conf.VRRPInstance, to string) []agentx.Varbind {
	r := s.instance(c, nil)
	r.status = &api.Instance{State: to}
	return notification(vrrpTraps.Append(2),
		values(instanceEntry, instanceColumns, r, nil, "vrrpInstanceName", "vrrpInstanceState", "vrrpInstanceInitialState"), s.routerID())
}

func (s *State) groupTrap(g *conf.SyncGroup, to string) []agentx.Varbind {
	at := *s
	at.groups = map[string]*api.Group{g.Name: {State: to}}
	r := &groupRow{State: &at, conf: g}
	return notification(vrrpTraps.Append(1), values(groupEntry, groupColumns, r, nil, "vrrpSyncGroupName", "vrrpSyncGroupState"), s.routerID())
}

// rejection are the notifications of an advert that was dropped.
func (t *Traps) rejection(s *State, c *conf.VRRPInstance) (all [][]agentx.Varbind) {
	r := s.instance(c, nil)
	x := r.status.Rejection
	if !x.At.After(t.begun) || !x.At.After(t.rejected[c.Name]) {
		return nil
	}
	t.rejected[c.Name] = x.At
	on := &s.Config.Global.SNMP
	if kind := authErrorType(x); kind != 0 && on.RFCv2 && inRFC2787(c) {
		all = append(all, notification(vrrpMIB.Append(0, 2), []agentx.Varbind{
			{Name: trapPacketSrc, Value: agentx.IPv4(parseAddr(x.From))}, {Name: trapAuthError, Value: integer(kind)},
		}))
	}
	if reason := protoErrReason(x); reason.Number != 0 && on.RFCv3 {
		all = append(all, notification(vrrpv3MIB.Append(0, 2),
			values(statistics3, vrrpv3StatisticsColumns, r, r.index3(), "vrrpv3StatisticsProtoErrReason")))
	}
	return all
}

// serviceNames are the objects that identify a virtual server; not all have each.
var serviceNames = []string{
	"virtualServerType", "virtualServerNameOfGroup", "virtualServerFwMark", "virtualServerAddrType", "virtualServerAddress", "virtualServerPort", "virtualServerProtocol",
}

// server is the notification of a change of a virtual or a real server; nil: it is not
// configured any more, or a real server is still in the state in which it starts.
func (t *Traps) server(s *State, e *history.Event) []agentx.Varbind {
	name, real := e.Name, ""
	if e.Kind == history.Server { // after the name of its service and a blank
		i := strings.LastIndexByte(name, ' ')
		if i < 0 {
			return nil
		}
		name, real = name[:i], name[i+1:]
	}
	c, now := t.known.services[name], s.services[name]
	if c == nil || now == nil {
		return nil
	}
	status := *now // the event may be older
	v := &serviceRow{c, &status}
	serviceNames := serviceNames
	if !c.Addr.IsValid() {
		serviceNames = slices.DeleteFunc(slices.Clone(serviceNames), func(n string) bool { return n == "virtualServerAddrType" })
	}
	counts := []string{"virtualServerRealServersUp", "virtualServerRealServersTotal"}
	if e.Kind == history.Service {
		status.Up = e.To == "up"
		return notification(checkTraps.Append(2),
			values(serviceEntry, serviceColumns, v, nil, slices.Concat(serviceNames, []string{"virtualServerQuorumStatus", "virtualServerQuorum"}, counts)...), s.routerID())
	}
	k := slices.IndexFunc(status.Servers, func(r api.RealServer) bool { return r.Name == real })
	if k < 0 || k >= len(c.RealServers) {
		return nil
	}
	r, up := v.server(k), e.To == "up"
	if e.From == "" && up != c.RealServers[k].StartsDown() {
		return nil
	}
	server := *r.status
	server.Up, r.status = up, &server
	return notification(checkTraps.Append(1),
		values(realServerEntry, serverColumns, r, nil, "realServerAddrType", "realServerAddress", "realServerPort", "realServerStatus"),
		values(serviceEntry, serviceColumns, v, nil, slices.Concat(serviceNames, counts)...), s.routerID())
}

package snmp

import (
	"slices"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/snmp/agentx"
)

// State is what the objects are a view of.
type State struct {
	Config *conf.Config // in force; Share has what it needs
	Status *api.Status

	now       time.Time
	instances map[string]*api.Instance
	rows      []*instanceRow // of vrrpInstanceTable
	groups    map[string]*api.Group
	trackers  map[string]*api.Tracker // by kind and name
	links     map[string]*api.Link
	services  map[string]*api.VirtualServer
}

// Roots of the MIBs.
var (
	keepalived = agentx.OID{1, 3, 6, 1, 4, 1, 9586, 100, 5}
	global     = keepalived.Append(1)
	vrrpPart   = keepalived.Append(2)
	checkPart  = keepalived.Append(3)
	vrrpMIB    = agentx.OID{1, 3, 6, 1, 2, 1, 68}
	vrrpv3MIB  = agentx.OID{1, 3, 6, 1, 2, 1, 207}
)

// ID identifies the daemon to a master agent.
var ID = keepalived

// Subtrees are what a configuration wants to be provided. Notifications alone provide
// nothing.
func Subtrees(c *conf.SNMP) (all []agentx.OID) {
	for _, part := range []struct {
		on   bool
		root agentx.OID
	}{{c.VRRP || c.Checker, global}, {c.VRRP, vrrpPart}, {c.Checker, checkPart}, {c.RFCv2, vrrpMIB}, {c.RFCv3, vrrpv3MIB}} {
		if part.on {
			all = append(all, part.root)
		}
	}
	return all
}

// Share is what of a configuration the objects and notifications need: no secret, and of
// checks only that one is alpha.
func Share(c *conf.Config) *conf.Config {
	out := *c
	out.TLSClient, out.Global.Mail.Password = nil, ""
	out.Instances = make([]*conf.VRRPInstance, len(c.Instances))
	for i, v := range c.Instances {
		v := *v
		v.Auth.Password, v.HMAC.Keys = "", nil
		out.Instances[i] = &v
	}
	out.VirtualServers = make([]*conf.VirtualServer, len(c.VirtualServers))
	for i, v := range c.VirtualServers {
		v := *v
		v.RealServers = make([]*conf.RealServer, len(v.RealServers))
		for k, r := range c.VirtualServers[i].RealServers {
			r := *r
			if r.StartsDown() {
				r.Checks = []*conf.Check{{Alpha: true}}
			} else {
				r.Checks = nil
			}
			v.RealServers[k] = &r
		}
		out.VirtualServers[i] = &v
	}
	return &out
}

// NewTree returns the objects of s that its configuration wants to be provided.
func NewTree(s *State) *Tree {
	s.index()
	on := &s.Config.Global.SNMP
	t := &Tree{}
	if on.VRRP || on.Checker {
		t.nodes = append(t.nodes, s.globals()...)
	}
	if on.VRRP {
		t.nodes = append(t.nodes, s.vrrp()...)
		t.rows = s.rows
	}
	if on.Checker {
		nodes, servers := s.check()
		t.nodes, t.servers = append(t.nodes, nodes...), servers
	}
	if on.RFCv2 {
		t.nodes = append(t.nodes, s.rfc2787()...)
	}
	if on.RFCv3 {
		t.nodes = append(t.nodes, s.rfc6527()...)
	}
	slices.SortStableFunc(t.nodes, func(a, b node) int { return a.root().Compare(b.root()) })
	return t
}

// index finds things by their names.
func (s *State) index() {
	s.now = s.Status.At
	s.instances, s.groups = map[string]*api.Instance{}, map[string]*api.Group{}
	s.trackers, s.links = map[string]*api.Tracker{}, map[string]*api.Link{}
	s.services = map[string]*api.VirtualServer{}
	if l := s.Status.LVS; l != nil {
		for i := range l.Services {
			s.services[l.Services[i].Name] = &l.Services[i]
		}
	}
	v := s.Status.VRRP
	if v == nil {
		return
	}
	for i := range v.Instances {
		s.instances[v.Instances[i].Name] = &v.Instances[i]
	}
	for i := range v.Groups {
		s.groups[v.Groups[i].Name] = &v.Groups[i]
	}
	for i := range v.Trackers {
		s.trackers[v.Trackers[i].Kind+" "+v.Trackers[i].Name] = &v.Trackers[i]
	}
	for i := range v.Links {
		s.links[v.Links[i].Name] = &v.Links[i]
	}
}

// tracker is what is known of a tracker; without anything known: nothing.
func (s *State) tracker(kind conf.TrackKind, name string) *api.Tracker {
	if t := s.trackers[kind.String()+" "+name]; t != nil {
		return t
	}
	return &api.Tracker{}
}

// link is the interface of that name; one that is not known has the index 0.
func (s *State) link(name string) *api.Link {
	name, _, _ = strings.Cut(name, "@")
	if l := s.links[name]; l != nil {
		return l
	}
	return &api.Link{}
}

// switched is 1 on, 2 off, 3 unset.
func switched(v conf.Switch) agentx.Value {
	switch v {
	case conf.SwitchOn:
		return agentx.Int(1)
	case conf.SwitchOff:
		return agentx.Int(2)
	}
	return agentx.Int(3)
}

// command is a program and its arguments, each in quotes.
func command(c *conf.Command) agentx.Value {
	if c == nil || !c.Given() {
		return none
	}
	quoted := make([]string, len(c.Args))
	for i, arg := range c.Args {
		quoted[i] = "'" + arg + "'"
	}
	return text(strings.Join(quoted, " "))
}

// path is the program of a command.
func path(c *conf.Command) agentx.Value {
	if c == nil || !c.Given() {
		return none
	}
	return text(c.Args[0])
}

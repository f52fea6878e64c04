package policy

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"keepalived-go/conf"
	"keepalived-go/lvs"
)

// LoadBalancer is what the virtual servers of a configuration mean for the
// service engine.
type LoadBalancer struct {
	Config *lvs.Config
	Checks []ServerCheck // that with lvs.CheckID n is at n-1

	// With nftables_ipvs: the marks that stand for groups, and the addresses whose
	// packets get them, of which no two overlap.
	Marks  map[Mark]uint32
	Marked []Marked
}

// ServerCheck is a health check with the server and the service that it is for.
type ServerCheck struct {
	Service *conf.VirtualServer
	Server  *conf.RealServer
	Check   *conf.Check
	Key     string // what the check is: see CheckKey
}

// Name is the name of the server in messages.
func (c *ServerCheck) Name() string { return c.Service.Endpoint(c.Server.Addr, c.Server.Port) }

// ServiceConfig translates the virtual servers of a configuration for the service
// engine. Marks are those that stand for groups already, which keep them.
func ServiceConfig(c *conf.Config, marks map[Mark]uint32) *LoadBalancer {
	g := &c.Global
	b := &LoadBalancer{Config: &lvs.Config{
		InitNotifies: g.LVS.InitNotifies,
		Flush:        g.LVS.Flush,
		FlushOnStop:  g.LVS.FlushOnStop == conf.FlushAll,
		Services:     make([]lvs.Service, len(c.VirtualServers)),
	}}
	groups := make(map[string]*conf.ServerGroup, len(c.ServerGroups))
	for _, group := range c.ServerGroups {
		groups[group.Name] = group
	}
	m := newMarker(c, marks)
	for i, v := range c.VirtualServers {
		s := &b.Config.Services[i]
		b.service(s, v)
		switch group := groups[v.Group]; {
		case group == nil:
		case m.marks(group):
			s.Endpoints, s.Addresses = m.endpoints(v, group)
		default:
			s.Endpoints = endpoints(v, group)
		}
	}
	b.Marks, b.Marked = m.used, m.marked
	return b
}

func (b *LoadBalancer) service(out *lvs.Service, v *conf.VirtualServer) {
	out.ID = ServiceIDOf(v)
	out.Attributes = attributesOf(v)
	out.Quorum, out.Hysteresis = v.Quorum, v.Hysteresis
	out.HASuspend, out.Omega = v.HASuspend, v.Omega
	out.Data = v
	out.Servers = make([]lvs.RealServer, len(v.RealServers))
	for i, r := range v.RealServers {
		s := &out.Servers[i]
		*s = lvs.RealServer{
			Addr:       netip.AddrPortFrom(r.Addr, r.Port),
			Weight:     r.Weight,
			Attributes: destinationAttributes(r.Forward, r.Upper, r.Lower),
			Inhibit:    r.InhibitOnFail,
			Checks:     make([]lvs.Check, len(r.Checks)),
			Data:       r,
		}
		for j, k := range r.Checks {
			key := CheckKey(k)
			b.Checks = append(b.Checks, ServerCheck{v, r, k, key})
			s.Checks[j] = lvs.Check{ID: lvs.CheckID(len(b.Checks)), Key: key, Alpha: k.Alpha}
		}
	}
	if s := v.Sorry; s != nil {
		out.Sorry = &lvs.RealServer{
			Addr:       netip.AddrPortFrom(s.Addr, s.Port),
			Weight:     1,
			Attributes: destinationAttributes(s.Forward, 0, 0),
			Inhibit:    s.InhibitOnFail,
			Data:       s,
		}
	}
}

// ServiceIDOf is what a virtual server is known by.
func ServiceIDOf(v *conf.VirtualServer) lvs.ServiceID {
	protocol := lvs.Protocol(v.Protocol)
	switch {
	case v.Group != "":
		return lvs.ServiceID{Group: v.Group, Endpoint: lvs.Endpoint{Protocol: protocol}}
	case v.Addr.IsValid():
		return lvs.ServiceID{Endpoint: lvs.Endpoint{Protocol: protocol, Addr: netip.AddrPortFrom(v.Addr, v.Port)}}
	}
	return lvs.ServiceID{Endpoint: lvs.Endpoint{FWMark: v.FWMark, Family: lvs.Family(v.Family)}}
}

func attributesOf(v *conf.VirtualServer) lvs.Attributes {
	a := lvs.Attributes{
		Scheduler:         v.Scheduler,
		Persistence:       uint32(v.Persistence / time.Second),
		PersistenceEngine: v.PersistenceEngine,
	}
	for _, f := range []struct {
		on   bool
		flag lvs.ServiceFlags
	}{{v.OnePacket, lvs.OnePacket}, {v.Flag1, lvs.SchedFlag1}, {v.Flag2, lvs.SchedFlag2}, {v.Flag3, lvs.SchedFlag3}} {
		if f.on {
			a.Flags |= f.flag
		}
	}
	if v.Family == conf.IPv6 {
		a.Granularity6 = uint8(v.Granularity)
	} else {
		a.Granularity4 = v.Granularity
	}
	return a
}

func destinationAttributes(f conf.Forward, upper, lower uint32) lvs.DestinationAttributes {
	a := lvs.DestinationAttributes{Method: methods[f.Method], UpperThreshold: upper, LowerThreshold: lower}
	if f.Method == conf.ForwardTunnel {
		a.Tunnel, a.TunnelPort, a.Checksum = tunnels[f.Tunnel], f.Port, checksums[f.Checksum]
	}
	return a
}

// endpoints expands the entries of a group.
func endpoints(v *conf.VirtualServer, group *conf.ServerGroup) []lvs.Endpoint {
	var all []lvs.Endpoint
	for _, e := range group.Entries {
		switch {
		case !e.First.IsValid():
			family := e.Family
			if family == 0 {
				family = v.Family
			}
			all = append(all, lvs.Endpoint{FWMark: e.FWMark, Family: lvs.Family(family)})
		default:
			for a := e.First; ; a = a.Next() {
				all = append(all, lvs.Endpoint{Protocol: lvs.Protocol(v.Protocol), Addr: netip.AddrPortFrom(a, e.Port)})
				if a == e.Last || !a.Less(e.Last) {
					break
				}
			}
		}
	}
	return all
}

// CheckKey is what a check is known by: what it tests, where, and what it expects. How
// often it does is no part of that, nor is its timeout: a check of which only
// these change continues with what it knows.
func CheckKey(c *conf.Check) string {
	b := make([]byte, 0, 64)
	b = append(b, c.Kind.String()...)
	add := func(name string, v any) {
		b = fmt.Appendf(b, " %s=%v", name, v)
	}
	if p := c.Connect; p != nil {
		b = append(b, ' ')
		b = p.Addr.AppendTo(b)
		b = strconv.AppendUint(append(b, ' '), uint64(p.Port), 10)
		if p.Bind.IsValid() || p.BindIf != "" || p.BindPort != 0 || p.FWMark != 0 {
			add("from", fmt.Sprintf("%v:%d%%%q mark %d", p.Bind, p.BindPort, p.BindIf, p.FWMark))
		}
	}
	if h := c.HTTP; h != nil {
		add("http", fmt.Sprintf("%v %t %q", h.Protocol, h.SNI, h.SNIName))
		for i := range h.URLs {
			u := &h.URLs[i]
			add("url", fmt.Sprintf("%q %q %q %v %t", u.Path, u.Host, u.Digest, u.Status, u.TLSCompliant))
			if r := u.Regex; r != nil {
				add("regex", fmt.Sprintf("%q %t %q %d %d %d %d", r.Pattern, r.NoMatch, r.Options, r.StackStart, r.StackMax, r.MinOffset, r.MaxOffset))
			}
		}
	}
	if s := c.SMTP; s != nil {
		add("helo", strconv.Quote(s.Helo))
	}
	if q := c.DNS; q != nil {
		add("dns", fmt.Sprintf("%q %q", q.Type, q.Name))
	}
	if m := c.Misc; m != nil {
		add("misc", fmt.Sprintf("%q %q %q %t", m.Command.Args, m.Command.User, m.Command.Group, m.Dynamic))
	}
	if f := c.BFD; f != nil {
		add("bfd", strconv.Quote(f.Name))
	}
	if u := c.UDP; u != nil {
		add("udp", fmt.Sprintf("%x %t %x %x %d %d", u.Payload, u.RequireReply, u.Reply, u.ReplyMask, u.MinLength, u.MaxLength))
	}
	if f := c.File; f != nil {
		add("file", fmt.Sprintf("%q %d %t", f.File, f.Weight, f.Reverse))
	}
	return string(b)
}

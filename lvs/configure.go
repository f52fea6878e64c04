package lvs

import (
	"net/netip"
	"slices"
)

// configure takes a configuration: the first one, or another. What has the same
// identity keeps its state, and what does not differ has no effect.
//
// The order is keepalived's: what leaves, in the old order; what comes and
// changes, in the new one; the checks that are new.
func (e *Engine) configure(t *turn, c *Config, resume *Snapshot) {
	if e.state == unconfigured && c.Flush && resume == nil { // a successor has its own table
		t.emit(Action{Kind: FlushTable, Reason: ReasonStart})
	}
	if e.state == running {
		resume = nil
	}
	e.state = running
	e.initNotifies, e.flushOnStop = c.InitNotifies, c.FlushOnStop

	before, services := e.services, make([]*service, 0, len(c.Services))
	byID := make(map[ServiceID]*service, len(c.Services))
	for i := range c.Services {
		cfg := &c.Services[i]
		if len(cfg.Servers) == 0 || byID[cfg.ID] != nil {
			continue
		}
		v := e.byID[cfg.ID]
		if v == nil {
			v = &service{engine: e}
		}
		v.next = cfg
		byID[cfg.ID] = v
		services = append(services, v)
	}

	for _, v := range before {
		if v.next == nil {
			v.gone = true
			t.emit(Action{Kind: ServiceGone, Reason: ReasonRemoved, Service: v.cfg})
			v.end(t, ReasonRemoved)
		} else {
			v.leave(t)
		}
	}

	past := resume.index()
	moved := !slices.Equal(before, services)
	suspended := make([]bool, len(services))
	for i, v := range services {
		suspended[i] = v.suspended()
		if endpoints := v.next.Places(); !slices.Equal(v.endpoints, endpoints) {
			moved, v.endpoints = true, endpoints
		}
		v.adopt(t, past[v.next.ID])
		v.next = nil
	}
	e.services, e.byID = services, byID
	if moved {
		e.assign()
	}

	clear(e.checks)
	e.watch = map[netip.Addr][]*service{}
	t.out = slices.Grow(t.out, fresh(services))
	for i, v := range services {
		v.watchAddresses(e.watch)
		for _, s := range v.servers {
			for _, c := range s.checks {
				if e.checks[c.cfg.ID] == nil {
					e.checks[c.cfg.ID] = c
				}
				if c.fresh || v.suspended() != suspended[i] {
					c.activity(t)
				}
				c.fresh = false
			}
		}
	}
}

// fresh counts the checks that were not there before.
func fresh(services []*service) (n int) {
	for _, v := range services {
		for _, s := range v.servers {
			for _, c := range s.checks {
				if c.fresh {
					n++
				}
			}
		}
	}
	return n
}

// assign gives each endpoint to the first service that has it.
func (e *Engine) assign() {
	was := e.owner
	e.owner = make(map[Endpoint]*service, len(e.services))
	for _, v := range e.services {
		for _, ep := range v.endpoints {
			if e.owner[ep] != nil {
				continue
			}
			e.owner[ep] = v
			if was[ep] != v {
				v.touch()
			}
			delete(was, ep)
		}
	}
	e.lose(was)
}

// leave reports and removes the endpoints and servers of a service that are not in
// the next configuration. The quorum is decided later, when the new servers are
// there.
func (v *service) leave(t *turn) {
	if v.cfg.ID.Group != "" && !slices.Equal(v.endpoints, v.next.Endpoints) {
		stay := make(map[Endpoint]bool, len(v.next.Endpoints))
		for _, ep := range v.next.Endpoints {
			stay[ep] = true
		}
		for _, ep := range v.endpoints {
			if !stay[ep] {
				t.emit(Action{Kind: EndpointGone, Reason: ReasonRemoved, Service: v.cfg, Entry: ep})
			}
		}
	}
	if slices.EqualFunc(v.servers, v.next.Servers, func(s *server, r RealServer) bool { return s.cfg.Addr == r.Addr }) {
		return
	}
	stay := make(map[netip.AddrPort]bool, len(v.next.Servers))
	for i := range v.next.Servers {
		stay[v.next.Servers[i].Addr] = true
	}
	v.servers = slices.DeleteFunc(v.servers, func(s *server) bool {
		if stay[s.cfg.Addr] {
			return false
		}
		t.emit(Action{Kind: ServerGone, Reason: ReasonRemoved, Service: v.cfg, Server: s.cfg})
		if s.up() {
			s.down(t, ReasonRemoved, PoolEntry)
		}
		return true
	})
}

// adopt takes the next configuration of a service.
func (v *service) adopt(t *turn, snap *ServiceSnapshot) {
	old := v.cfg
	v.cfg = v.next
	v.quorum, v.hysteresis = v.cfg.thresholds()

	list, past := once(v.cfg.Servers, func(r *RealServer) netip.AddrPort { return r.Addr }), snap.byAddr()
	byAddr := v.index(list)
	servers, room := make([]*server, len(list)), make([]server, max(0, len(list)-len(v.servers)))
	for i := range list {
		r := &list[i]
		var s *server
		switch {
		case byAddr != nil:
			s = byAddr[r.Addr]
		case i < len(v.servers):
			s = v.servers[i]
		}
		if s == nil {
			if len(room) == 0 { // as many leave as come
				room = make([]server, 1)
			}
			s, room = &room[0], room[1:]
			*s = server{service: v, cfg: r, since: t.now}
			s.begin(past[r.Addr])
		} else {
			s.adopt(t, r)
		}
		servers[i] = s
	}
	v.servers = servers
	v.sum, v.alive = 0, 0
	for _, s := range servers {
		s.count(1)
	}

	if old == nil || !sameTable(old, v.cfg) {
		v.findTwins()
		v.touch()
	}
	switch {
	case old != nil:
		was := v.up
		v.decide(t, ReasonReload, old.Sorry)
		if !was && !v.up {
			v.replaceSorry(t, old.Sorry)
		}
	case snap != nil:
		v.up, v.ordered, v.since = snap.Up, snap.Suspended, t.now
		v.decide(t, ReasonReload, v.cfg.Sorry)
	default:
		v.since = t.now
		v.start(t)
	}
}

// index finds the servers that are there by their address; nil: they are the
// first ones of the list, in its order.
func (v *service) index(list []RealServer) map[netip.AddrPort]*server {
	ordered := len(v.servers) <= len(list)
	for i := 0; ordered && i < len(v.servers); i++ {
		ordered = v.servers[i].cfg.Addr == list[i].Addr
	}
	if ordered {
		return nil
	}
	byAddr := make(map[netip.AddrPort]*server, len(v.servers))
	for _, s := range v.servers {
		byAddr[s.cfg.Addr] = s
	}
	return byAddr
}

// begin puts a new server into its first state, or where a predecessor left it.
func (s *server) begin(snap *ServerSnapshot) {
	s.checks = make([]*check, len(s.cfg.Checks))
	room := make([]check, len(s.cfg.Checks))
	var taken []bool
	if snap != nil {
		taken = make([]bool, len(snap.Checks))
	}
	for i := range s.checks {
		c := &room[i]
		*c = check{server: s, cfg: &s.cfg.Checks[i], state: CheckUp, fresh: true}
		if c.cfg.Alpha {
			c.state = CheckPending
		}
		if p := snap.take(taken, c.cfg.Key); p != nil {
			c.state, c.weight = p.State, p.Weight
		}
		if c.state != CheckUp {
			s.failed++
		}
		s.reported = s.reported || c.state == CheckDown
		s.checks[i] = c
	}
	s.weight = s.effective()
}

// adopt takes the next configuration of a server.
func (s *server) adopt(t *turn, r *RealServer) {
	was := s.up()
	s.cfg = r
	if !slices.EqualFunc(s.checks, r.Checks, func(c *check, next Check) bool { return c.cfg.Key == next.Key }) {
		s.recheck(was)
	}
	for i, c := range s.checks {
		c.cfg = &r.Checks[i]
	}
	if up := s.up(); up != was {
		s.since = t.now
		s.service.touch()
		if up {
			s.rise(t, ReasonReload, r.change())
		} else {
			s.down(t, ReasonReload, r.change())
		}
	}
	s.reweigh(t, ReasonReload)
}

// recheck finds the checks that stay by their key, and makes the new ones.
func (s *server) recheck(up bool) {
	stay := make(map[string][]*check, len(s.checks))
	for _, c := range s.checks {
		stay[c.cfg.Key] = append(stay[c.cfg.Key], c)
	}
	s.checks = make([]*check, len(s.cfg.Checks))
	s.failed = 0
	for i := range s.checks {
		cfg := &s.cfg.Checks[i]
		if same := stay[cfg.Key]; len(same) > 0 {
			s.checks[i], stay[cfg.Key] = same[0], same[1:]
		} else {
			s.checks[i] = &check{server: s, cfg: cfg, state: CheckUp, fresh: true}
			if cfg.Alpha && !up {
				s.checks[i].state = CheckPending
			}
		}
		if s.checks[i].state != CheckUp {
			s.failed++
		}
	}
}

// replaceSorry reports another sorry server while the quorum is lost.
func (v *service) replaceSorry(t *turn, before *RealServer) {
	after := v.cfg.Sorry
	if before != nil && after != nil && before.Addr == after.Addr {
		return
	}
	if before != nil {
		v.sorry(t, before, SorryRemoved, ReasonReload)
	}
	if after != nil {
		v.sorry(t, after, SorryAdded, ReasonReload)
	}
	switch {
	case before == nil && after != nil:
		v.pool(t, PoolRemoved, ReasonReload)
	case before != nil && after == nil:
		v.pool(t, PoolAdded, ReasonReload)
	}
}

// sameTable reports whether two configurations make the same table of the same
// states.
func sameTable(a, b *Service) bool {
	same := func(x, y RealServer) bool {
		return x.Addr == y.Addr && x.Weight == y.Weight && x.Attributes == y.Attributes && x.Inhibit == y.Inhibit && x.Order == y.Order
	}
	return a.Attributes == b.Attributes && slices.EqualFunc(a.Servers, b.Servers, same) &&
		(a.Sorry == nil) == (b.Sorry == nil) && (a.Sorry == nil || same(*a.Sorry, *b.Sorry))
}

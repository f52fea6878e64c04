package lvs

import "net/netip"

// Snapshot is what of an engine must outlive its process: with it the successor
// continues where its predecessor ended, and reports only what differs.
type Snapshot struct {
	Services []ServiceSnapshot
}

// ServiceSnapshot is the state of a service.
type ServiceSnapshot struct {
	ID        ServiceID
	Up        bool // has its quorum
	Suspended bool // by order: Suspend
	Servers   []ServerSnapshot
}

// ServerSnapshot is the state of a real server.
type ServerSnapshot struct {
	Addr   netip.AddrPort
	Checks []CheckSnapshot
}

// CheckSnapshot is the state of a check.
type CheckSnapshot struct {
	Key    string
	State  CheckState
	Weight Weight // what it does to the weight; WeightKeep: nothing
}

// Snapshot returns what a successor process needs to continue: see Event.Resume.
func (e *Engine) Snapshot() *Snapshot {
	out := &Snapshot{Services: make([]ServiceSnapshot, len(e.services))}
	for i, v := range e.services {
		out.Services[i] = v.snapshot()
	}
	return out
}

// ServiceSnapshot returns the part of Snapshot about one service, and false if there is
// none. With it a snapshot of many services can be made in parts.
func (e *Engine) ServiceSnapshot(id ServiceID) (ServiceSnapshot, bool) {
	v := e.byID[id]
	if v == nil {
		return ServiceSnapshot{}, false
	}
	return v.snapshot(), true
}

func (v *service) snapshot() ServiceSnapshot {
	servers := make([]ServerSnapshot, len(v.servers))
	for j, s := range v.servers {
		servers[j] = ServerSnapshot{Addr: s.cfg.Addr, Checks: make([]CheckSnapshot, len(s.checks))}
		for k, c := range s.checks {
			servers[j].Checks[k] = CheckSnapshot{Key: c.cfg.Key, State: c.state, Weight: c.weight}
		}
	}
	return ServiceSnapshot{ID: v.cfg.ID, Up: v.up, Suspended: v.ordered, Servers: servers}
}

func (s *Snapshot) index() map[ServiceID]*ServiceSnapshot {
	if s == nil {
		return nil
	}
	byID := make(map[ServiceID]*ServiceSnapshot, len(s.Services))
	for i := range s.Services {
		byID[s.Services[i].ID] = &s.Services[i]
	}
	return byID
}

// byAddr finds servers of a snapshot; nil if there is none.
func (s *ServiceSnapshot) byAddr() map[netip.AddrPort]*ServerSnapshot {
	if s == nil {
		return nil
	}
	at := make(map[netip.AddrPort]*ServerSnapshot, len(s.Servers))
	for i := range s.Servers {
		at[s.Servers[i].Addr] = &s.Servers[i]
	}
	return at
}

// take returns the first check of the snapshot with a key, and keeps it from
// being taken again. A state that no engine writes counts as none.
func (s *ServerSnapshot) take(taken []bool, key string) *CheckSnapshot {
	for i := range taken {
		if c := &s.Checks[i]; !taken[i] && c.Key == key && c.State <= CheckUp {
			taken[i] = true
			return c
		}
	}
	return nil
}

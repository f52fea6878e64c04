package lvs

import (
	"iter"
	"net/netip"
	"time"
)

// ServiceStatus is the present state of a service.
type ServiceStatus struct {
	Config             *Service
	Up                 bool          // has its quorum
	Sum                int64         // of the weights of the servers that are up
	Alive              int           // number of servers that are up
	Quorum, Hysteresis int64         // in force
	Suspended          bool          // its checks do not run
	Since              time.Duration // when Up last changed
}

// ServerStatus is the present state of a real server.
type ServerStatus struct {
	Config *RealServer
	Up     bool
	InPool bool // clients are sent to it, if its weight is not 0
	Weight int  // effective: what it has when it is in the pool
	Failed int  // checks that are down or have not passed yet
	Since  time.Duration
}

// Services gives the state of all services, in the order of the configuration.
func (e *Engine) Services() iter.Seq[ServiceStatus] {
	return func(yield func(ServiceStatus) bool) {
		for _, v := range e.services {
			if !yield(v.status()) {
				return
			}
		}
	}
}

// Service returns the state of a service, and false if there is none.
func (e *Engine) Service(id ServiceID) (ServiceStatus, bool) {
	v := e.byID[id]
	if v == nil {
		return ServiceStatus{}, false
	}
	return v.status(), true
}

// Servers gives the state of the real servers of a service, in the order of the
// configuration.
func (e *Engine) Servers(id ServiceID) iter.Seq[ServerStatus] {
	return func(yield func(ServerStatus) bool) {
		v := e.byID[id]
		if v == nil {
			return
		}
		for _, s := range v.servers {
			if !yield(s.status()) {
				return
			}
		}
	}
}

// Check returns the state of a check and the address of its server, and false if
// there is none.
func (e *Engine) Check(id CheckID) (CheckState, netip.AddrPort, bool) {
	c := e.checks[id]
	if c == nil {
		return 0, netip.AddrPort{}, false
	}
	return c.state, c.server.cfg.Addr, true
}

func (v *service) status() ServiceStatus {
	return ServiceStatus{
		Config: v.cfg, Up: v.up, Sum: v.sum, Alive: v.alive,
		Quorum: v.quorum, Hysteresis: v.hysteresis,
		Suspended: v.suspended(), Since: v.since,
	}
}

func (s *server) status() ServerStatus {
	return ServerStatus{
		Config: s.cfg, Up: s.up(), InPool: s.inPool(), Weight: int(s.weight),
		Failed: s.failed, Since: s.since,
	}
}

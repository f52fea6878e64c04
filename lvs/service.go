package lvs

import (
	"net/netip"
	"time"
)

// service is the state of a virtual service.
type service struct {
	engine *Engine
	cfg    *Service

	endpoints          []Endpoint
	servers            []*server // in the order of the configuration
	quorum, hysteresis int64     // in force

	up    bool          // has its quorum
	sum   int64         // of the weights of the servers that are up
	alive int           // servers that are up
	since time.Duration // when up last changed

	watched   int  // addresses whose presence counts, with HASuspend
	addresses int  // those of them that are on this machine
	ordered   bool // suspended by order

	dirty bool // in Engine.changed
	gone  bool // has left the configuration

	next *Service // during Configure: what the configuration will be; nil: it goes
}

// server is the state of a real server.
type server struct {
	service  *service
	cfg      *RealServer
	checks   []*check
	failed   int   // checks that are not up
	weight   int64 // effective
	twin     bool  // another server of the pool may be the same destination
	reported bool  // as down
	since    time.Duration
}

// check is the state of a check.
type check struct {
	server *server
	cfg    *Check
	state  CheckState
	weight Weight // WeightKeep: it does nothing
	fresh  bool   // during Configure: has not been there before
}

// CheckState is what a check has found.
type CheckState uint8

const (
	CheckPending CheckState = iota // alpha: has not run, counts as down
	CheckDown                      // failed
	CheckUp                        // passed, or not run
)

func (s *server) up() bool { return s.failed == 0 && s.cfg.Order != Disable }

// inPool reports whether clients are sent to the server.
func (s *server) inPool() bool {
	return s.up() && (s.service.up || s.service.cfg.Sorry == nil)
}

// drains reports whether the server stays in the table with weight 0 for its connections,
// also when the sorry server has taken the place of the pool.
func (s *server) drains() bool { return s.up() && s.cfg.Order == Drain }

// effective computes the weight.
func (s *server) effective() int64 {
	if s.cfg.Order == Drain {
		return 0
	}
	configured := bound(int64(s.cfg.Weight))
	sum := configured
	for _, c := range s.checks {
		switch c.weight.Kind {
		case WeightAdd:
			sum += int64(c.weight.Value)
		case WeightSet:
			sum += int64(c.weight.Value) - configured
		}
	}
	return bound(sum)
}

// count puts the server into the sums of its service, or with -1 takes it out.
func (s *server) count(sign int64) {
	if s.up() {
		s.service.sum += sign * s.weight
		s.service.alive += int(sign)
	}
}

// change is what happens to a server in the table when it enters or leaves the
// pool.
func (r *RealServer) change() PoolChange {
	if r.Inhibit {
		return PoolWeight
	}
	return PoolEntry
}

func (v *service) touch() {
	if !v.dirty {
		v.dirty = true
		v.engine.changed = append(v.engine.changed, v)
	}
}

func (v *service) suspended() bool { return v.ordered || v.watched > 0 && v.addresses == 0 }

// activity reports whether the checks run, if that has changed.
func (v *service) activity(t *turn, was bool) {
	if v.suspended() == was {
		return
	}
	for _, s := range v.servers {
		for _, c := range s.checks {
			c.activity(t)
		}
	}
}

func (c *check) activity(t *turn) {
	kind := CheckActivated
	if c.server.service.suspended() {
		kind = CheckDeactivated
	}
	t.emit(Action{Kind: kind, Service: c.server.service.cfg, Server: c.server.cfg, Check: c.cfg.ID})
}

// result applies the result of a check.
func (v *service) result(t *turn, c *check, up bool, weight Weight) {
	state := CheckDown
	if up {
		state = CheckUp
	}
	if c.state == state && (weight.Kind == WeightKeep || weight == c.weight) {
		return
	}
	s := c.server
	if weight.Kind != WeightKeep && weight != c.weight {
		c.weight = weight
		s.count(-1)
		s.reweigh(t, ReasonCheck)
		s.count(1)
	}
	if c.state != state {
		s.turn(t, c, state)
	}
	v.decide(t, ReasonCheck, v.cfg.Sorry)
}

// reweigh follows the configured weight and the results of checks.
func (s *server) reweigh(t *turn, why Reason) {
	was := s.weight
	s.weight = s.effective()
	if s.weight == was {
		return
	}
	t.emit(Action{
		Kind: WeightChanged, Reason: why, Service: s.service.cfg, Server: s.cfg,
		From: int(was), To: int(s.weight), Up: s.up(),
	})
	if s.inPool() {
		s.service.touch()
	}
}

// turn gives a check another state, and with it perhaps the server.
func (s *server) turn(t *turn, c *check, state CheckState) {
	was, before := s.up(), c.state
	c.state = state
	if before == CheckPending && state == CheckDown { // nothing but that it is known
		if !s.reported {
			s.down(t, ReasonCheck, PoolUnchanged)
		}
		return
	}
	s.count(-1)
	if state == CheckUp {
		s.failed--
	} else {
		s.failed++
	}
	s.count(1)
	changed := s.up() != was
	t.emit(Action{
		Kind: CheckChanged, Reason: ReasonCheck, Service: s.service.cfg, Server: s.cfg,
		Check: c.cfg.ID, Up: state == CheckUp, ServerChanged: changed,
	})
	switch {
	case !changed:
		return
	case was:
		s.down(t, ReasonCheck, s.cfg.change())
	default:
		s.rise(t, ReasonCheck, s.cfg.change())
	}
	s.since = t.now
	if s.service.up || s.service.cfg.Sorry == nil || s.cfg.Order == Drain {
		s.service.touch()
	}
}

func (s *server) rise(t *turn, why Reason, change PoolChange) {
	s.reported = false
	t.emit(Action{Kind: ServerUp, Reason: why, Change: change, Service: s.service.cfg, Server: s.cfg})
}

func (s *server) down(t *turn, why Reason, change PoolChange) {
	s.reported = true
	t.emit(Action{Kind: ServerDown, Reason: why, Change: change, Service: s.service.cfg, Server: s.cfg})
}

// decide compares the servers that are up with the quorum. before is the sorry
// server there has been up to now.
func (v *service) decide(t *turn, why Reason, before *RealServer) {
	switch {
	case !v.up && v.sum > 0 && v.sum >= v.quorum+v.hysteresis:
		v.up, v.since = true, t.now
		v.quorumAction(t, QuorumGained, why)
		if before != nil && why != ReasonStart {
			v.sorry(t, before, SorryRemoved, why)
			v.pool(t, PoolAdded, why)
		}
	case v.up && (v.sum == 0 || v.sum < v.quorum-v.hysteresis):
		v.up, v.since = false, t.now
		v.lose(t, why)
	}
}

// lose reports that the quorum is lost.
func (v *service) lose(t *turn, why Reason) {
	v.quorumAction(t, QuorumLost, why)
	if v.cfg.Sorry != nil {
		v.sorry(t, v.cfg.Sorry, SorryAdded, why)
		v.pool(t, PoolRemoved, why)
	}
}

func (v *service) quorumAction(t *turn, kind ActionKind, why Reason) {
	t.emit(Action{
		Kind: kind, Reason: why, Service: v.cfg,
		Sum: v.sum, Quorum: v.quorum, Hysteresis: v.hysteresis,
	})
}

func (v *service) sorry(t *turn, r *RealServer, kind ActionKind, why Reason) {
	t.emit(Action{Kind: kind, Reason: why, Change: r.change(), Service: v.cfg, Server: r})
	v.touch()
}

func (v *service) pool(t *turn, kind ActionKind, why Reason) {
	t.emit(Action{Kind: kind, Reason: why, Service: v.cfg})
}

// start reports a new service.
func (v *service) start(t *turn) {
	v.touch()
	if v.engine.initNotifies {
		for _, s := range v.servers {
			if s.up() {
				s.rise(t, ReasonStart, PoolUnchanged)
			}
		}
	}
	v.decide(t, ReasonStart, v.cfg.Sorry)
	if !v.up && v.cfg.Sorry != nil {
		v.lose(t, ReasonStart)
	}
}

// end reports that a service is removed with its servers. A quorum that is
// lost already is reported again, as in keepalived.
func (v *service) end(t *turn, why Reason) {
	for _, s := range v.servers {
		if s.up() {
			s.down(t, why, PoolEntry)
		}
	}
	v.sum = 0
	v.quorumAction(t, QuorumLost, why)
}

// watchAddresses makes the suspension follow the addresses of the endpoints.
func (v *service) watchAddresses(watch map[netip.Addr][]*service) {
	v.watched, v.addresses = 0, 0
	if !v.cfg.HASuspend {
		return
	}
	add := func(a netip.Addr) {
		if a = a.Unmap().WithZone(""); a.IsValid() {
			watch[a] = append(watch[a], v)
			v.watched++
			if v.engine.present[a] {
				v.addresses++
			}
		}
	}
	for _, ep := range v.endpoints {
		add(ep.Addr.Addr())
	}
	for _, a := range v.cfg.Addresses {
		add(a)
	}
}

package lvs

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Engine keeps the state of a set of virtual services. Make it with [New]. It
// must not be copied, and one goroutine at a time may use it.
type Engine struct {
	services []*service // in the order of the configuration
	byID     map[ServiceID]*service
	checks   map[CheckID]*check

	owner   map[Endpoint]*service     // who has it in the table
	present map[netip.Addr]bool       // the addresses of this machine
	watch   map[netip.Addr][]*service // who is suspended without them
	lost    []Endpoint                // no longer in the table; not given by Changes yet
	changed []*service                // differ in the table; not given by Changes yet

	initNotifies bool
	flushOnStop  bool
	state        engineState

	entry Entry // scratch of Changes and All
}

type engineState uint8

const (
	unconfigured engineState = iota
	running
	stopped
)

// New returns an engine without services. Its first events are AddressChanged
// for each address of the machine, if services have HASuspend, and Configure.
func New() *Engine {
	return &Engine{
		byID:    map[ServiceID]*service{},
		checks:  map[CheckID]*check{},
		owner:   map[Endpoint]*service{},
		present: map[netip.Addr]bool{},
	}
}

// turn is one call of Step.
type turn struct {
	now time.Duration
	out []Action
}

func (t *turn) emit(a Action) { t.out = append(t.out, a) }

// Step applies ev at now, a time on any clock that does not go back, and appends
// to out what the driver must report or do, in order. What the table shall hold
// is then given by [Engine.Changes].
//
// A CheckResult costs O(1), and allocates nothing when out has room.
func (e *Engine) Step(now time.Duration, ev Event, out []Action) []Action {
	if e.state == stopped {
		return out
	}
	t := turn{now: now, out: out}
	switch ev.Kind {
	case Configure:
		if ev.Config != nil {
			e.configure(&t, ev.Config, ev.Resume)
		}
	case CheckResult:
		if c := e.checks[ev.Check]; c != nil && !c.server.service.suspended() {
			c.server.service.result(&t, c, ev.Up, ev.Weight)
		}
	case AddressChanged:
		e.addressChanged(&t, ev.Addr.Unmap().WithZone(""), ev.Present)
	case Suspend, Unsuspend:
		if v := e.byID[ev.Service]; v != nil {
			was := v.suspended()
			v.ordered = ev.Kind == Suspend
			v.activity(&t, was)
		}
	case Shutdown:
		e.shutdown(&t, ev.Keep)
	}
	return t.out
}

func (e *Engine) addressChanged(t *turn, a netip.Addr, present bool) {
	if !a.IsValid() || e.present[a] == present {
		return
	}
	delta := 1
	if present {
		e.present[a] = true
	} else {
		delete(e.present, a)
		delta = -1
	}
	for _, v := range e.watch[a] {
		was := v.suspended()
		v.addresses += delta
		v.activity(t, was)
	}
}

func (e *Engine) shutdown(t *turn, keep bool) {
	for _, v := range e.services {
		if v.cfg.Omega {
			v.end(t, ReasonShutdown)
		}
	}
	e.state = stopped
	if keep {
		return
	}
	if e.flushOnStop {
		t.emit(Action{Kind: FlushTable, Reason: ReasonShutdown})
	}
	e.lose(e.owner)
	e.owner = nil
}

// lose notes endpoints that are no longer in the table.
func (e *Engine) lose(gone map[Endpoint]*service) {
	e.lost = slices.AppendSeq(e.lost, maps.Keys(gone))
	slices.SortFunc(e.lost, Endpoint.compare)
	e.lost = slices.Compact(e.lost)
}

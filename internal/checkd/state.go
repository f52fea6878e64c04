package checkd

import (
	"slices"
	"time"

	"keepalived-go/internal/checkd/life"
	"keepalived-go/internal/checkd/table"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/statefile"
	"keepalived-go/lvs"
	"keepalived-go/lvs/ipvs"
)

// state is what a successor of this process needs to continue where it ended: a
// server that was healthy is not checked again before it serves, and what is in the
// kernel's table is known to be ours.
type state struct {
	statefile.Header
	Services  *lvs.Snapshot
	Lives     []lifeState
	Endpoints []lvs.Endpoint // in the kernel's table
	Marks     []markState    // that stand for groups
	MarkTable string         // of nftables; empty: there is none
}

type lifeState struct {
	Check identity
	State life.State
}

type markState struct {
	Mark policy.Mark
	N    uint32
}

const (
	stateVersion = 1
	// saveDelay is how long changes are collected before they are written.
	saveDelay = 200 * time.Millisecond
	// maxState bounds what is read of a file, in bytes: 100,000 servers have less.
	maxState = 1 << 28
)

// header begins the state of this version of the process and this boot.
func header() statefile.Header {
	return statefile.Header{Version: stateVersion, Boot: statefile.BootID()}
}

// stateChanged has the state written soon.
func (d *daemon) stateChanged() {
	if !d.stopping {
		d.saver.Changed()
	}
}

// state is what a successor would need now. It is put together in slices, for there may
// be thousands of checks. What a reload adds in between is in the next state.
func (d *daemon) state() (any, []func()) {
	s := &state{Header: header(), Services: new(lvs.Snapshot), Lives: make([]lifeState, 0, len(d.checks)), Endpoints: d.endpoints, MarkTable: d.markTable}
	for k, n := range d.groups {
		s.Marks = append(s.Marks, markState{k, n})
	}
	var steps []func()
	services := d.services.Services
	slicesOfServices(len(services), func(i int) int { return len(services[i].Servers) }, func(from, to int) {
		steps = append(steps, func() {
			for _, v := range services[from:to] {
				if left, ok := d.engine.ServiceSnapshot(v.ID); ok {
					s.Services.Services = append(s.Services.Services, left)
				}
			}
		})
	})
	for some := range slices.Chunk(d.checks, checksSlice) {
		steps = append(steps, func() {
			for _, c := range some {
				if c.begun {
					s.Lives = append(s.Lives, lifeState{identityOf(c.planned), c.life.State()})
				}
			}
		})
	}
	return s, steps
}

// resume takes up what a predecessor has left. What it had in the kernel's table
// and is not configured any more is removed.
func (d *daemon) resume(s *state) {
	d.restored = make(map[identity][]life.State, len(s.Lives))
	for _, l := range s.Lives {
		d.restored[l.Check] = append(d.restored[l.Check], l.State)
	}
	d.inherited, d.markTable = s.Endpoints, s.MarkTable
	d.groups = make(map[policy.Mark]uint32, len(s.Marks))
	for _, m := range s.Marks {
		d.groups[m.Mark] = m.N
	}
}

// release removes from the kernel's table what a predecessor had there and is not
// configured.
func (d *daemon) release() {
	wanted := make(map[lvs.Endpoint]bool, len(d.endpoints))
	for _, e := range d.endpoints {
		wanted[e] = true
	}
	var rows []table.Row
	for _, e := range d.inherited {
		if !wanted[e] {
			rows = append(rows, table.Row{Service: ipvs.Service{ServiceID: serviceIDOf(e)}, Gone: true})
		}
	}
	d.inherited = nil
	if len(rows) > 0 {
		d.table.Set(rows)
	}
}

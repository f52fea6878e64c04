package checkd

import (
	"encoding/json"
	"fmt"
	"log/slog"
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
	Version   int
	Boot      string // of the machine: nothing outlives that
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
	// saveDelay is how long changes are collected before they are written, and
	// saveRest how many times as long as it took the loop to put the state together.
	saveDelay = 200 * time.Millisecond
	saveRest  = 50
	// maxState bounds what is read of a file, in bytes: 100,000 servers have less.
	maxState = 1 << 28
)

// readState reads what a predecessor has left; nil if it ended in good order.
func readState(path, boot string) (*state, error) {
	b, err := statefile.Read(path, maxState)
	if b == nil || err != nil {
		return nil, err
	}
	return parseState(b, boot)
}

func parseState(b []byte, boot string) (*state, error) {
	var s state
	if err := json.Unmarshal(b, &s); err != nil {
		return nil, fmt.Errorf("state file: %w", err)
	}
	switch {
	case s.Version != stateVersion:
		return nil, fmt.Errorf("state file of another version ignored")
	case s.Boot != boot:
		return nil, nil
	}
	return &s, nil
}

// stateChanged has the state written soon.
func (d *daemon) stateChanged() {
	if d.StateFile != "" && !d.save.Running() && !d.stopping {
		d.loop.Set(&d.save, d.loop.Now()+d.saveDelay)
	}
}

// saveState writes the state beside the loop. While one is written the next one
// waits.
func (d *daemon) saveState(at time.Duration) {
	if d.saving {
		d.loop.Set(&d.save, at+d.saveDelay)
		return
	}
	s := &state{Version: stateVersion, Boot: d.boot, Services: d.engine.Snapshot(), Endpoints: d.endpoints, MarkTable: d.markTable}
	for k, n := range d.groups {
		s.Marks = append(s.Marks, markState{k, n})
	}
	for _, c := range d.checks {
		if c.begun {
			s.Lives = append(s.Lives, lifeState{identityOf(c.planned), c.life.State()})
		}
	}
	d.saving = true
	d.saveDelay = max(saveDelay, saveRest*(d.loop.Now()-at))
	path := d.StateFile
	go func() {
		err := writeState(path, s)
		d.loop.Post(func() {
			d.saving = false
			if err != nil && !d.unsaved {
				slog.Warn(fmt.Sprintf("state file: %v; after a crash all checks begin again", err))
			}
			d.unsaved = err != nil
		})
	}()
}

func writeState(path string, s *state) error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return statefile.Write(path, b)
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

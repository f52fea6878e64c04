package checkd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
	"keepalived-go/internal/checkd/table"
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
}

type lifeState struct {
	Check identity
	State life.State
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

func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // absent: every boot looks the same
	return string(bytes.TrimSpace(id))
}

// readState reads what a predecessor has left; nil if it ended in good order.
func readState(path, boot string) (*state, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open state file: %w", err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, fmt.Errorf("examine state file %s: %w", path, err)
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("state file %s: not a regular file that only user %d can write; remove it", path, os.Geteuid())
	}
	b, err := io.ReadAll(io.LimitReader(f, maxState))
	if err != nil {
		return nil, fmt.Errorf("read state file: %w", err)
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
	s := &state{Version: stateVersion, Boot: d.boot, Services: d.engine.Snapshot(), Endpoints: d.endpoints}
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
	next := path + ".new"
	os.Remove(next) // of a predecessor
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		os.Remove(next)
	}
	return err
}

// resume takes up what a predecessor has left. What it had in the kernel's table
// and is not configured any more is removed.
func (d *daemon) resume(s *state) {
	d.restored = make(map[identity][]life.State, len(s.Lives))
	for _, l := range s.Lives {
		d.restored[l.Check] = append(d.restored[l.Check], l.State)
	}
	d.inherited = s.Endpoints
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

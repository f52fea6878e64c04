package bfdd

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"keepalived-go/bfd"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/proc/statefile"
)

// state is what a successor of this process needs to continue the sessions before any
// neighbour notices.
type state struct {
	Version  int
	Boot     string // of the machine: nothing outlives that
	Sessions []sessionState
}

type sessionState struct {
	Identity identity
	Port     int // that it sends from
	Snapshot bfd.Snapshot
	Unknown  bool // it was up before, and nothing has been reported since
}

// saving is how the state gets into its file.
type saving struct {
	timer loop.Timer
	busy  bool // it is being written
	wrong bool // it could not be written
}

const (
	stateVersion = 1
	// saveDelay is how long changes are collected before they are written.
	saveDelay = 20 * time.Millisecond
	// maxState bounds what is read of a file, in bytes: ten thousand sessions have less.
	maxState = 1 << 24
)

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
		return nil, errors.New("state file of another version ignored")
	case s.Boot != boot:
		return nil, nil
	}
	for i := range s.Sessions {
		if p := &s.Sessions[i].Port; *p < bfd.MinSourcePort || *p > bfd.MaxSourcePort {
			*p = 0
		}
	}
	return &s, nil
}

// of returns what was left of a session; nil: nothing.
func (s *state) of(id identity) *sessionState {
	if s == nil {
		return nil
	}
	for i := range s.Sessions {
		if s.Sessions[i].Identity == id {
			return &s.Sessions[i]
		}
	}
	return nil
}

// stateChanged has the state written soon.
func (d *daemon) stateChanged() {
	if d.StateFile != "" && !d.saving.timer.Running() && !d.stopping {
		d.loop.Set(&d.saving.timer, d.loop.Now()+saveDelay)
	}
}

// saveState writes the state beside the loop. While one is written the next one waits.
func (d *daemon) saveState(at time.Duration) {
	if d.saving.busy {
		d.loop.Set(&d.saving.timer, at+saveDelay)
		return
	}
	s := &state{Version: stateVersion, Boot: d.boot, Sessions: make([]sessionState, 0, len(d.peers))}
	for _, p := range d.peers {
		s.Sessions = append(s.Sessions, sessionState{identityOf(p.conf), p.out.port, p.engine.Snapshot(), p.unknown})
	}
	d.saving.busy = true
	path := d.StateFile
	go func() {
		b, err := json.Marshal(s)
		if err == nil {
			err = statefile.Write(path, b)
		}
		d.loop.Post(func() {
			d.saving.busy = false
			if err != nil && !d.saving.wrong {
				slog.Warn(fmt.Sprintf("state file: %v; after a crash all sessions begin again", err))
			}
			d.saving.wrong = err != nil
		})
	}()
}

package bfdd

import (
	"time"

	"keepalived-go/bfd"
	"keepalived-go/internal/proc/statefile"
)

// state is what a successor of this process needs to continue the sessions before any
// neighbour notices.
type state struct {
	statefile.Header
	Sessions []sessionState
}

type sessionState struct {
	Identity identity
	Port     int // that it sends from
	Snapshot bfd.Snapshot
}

const (
	stateVersion = 1
	// saveDelay is how long changes are collected before they are written.
	saveDelay = 20 * time.Millisecond
	// maxState bounds what is read of a file, in bytes: ten thousand sessions have less.
	maxState = 1 << 24
)

// header begins the state of this version of the process and this boot.
func header() statefile.Header {
	return statefile.Header{Version: stateVersion, Boot: statefile.BootID()}
}

// left is what a predecessor has left, by the identities of the sessions.
type left map[identity]*sessionState

func (s *state) byIdentity() left {
	if s == nil {
		return nil
	}
	all := make(left, len(s.Sessions))
	for i := range s.Sessions {
		x := &s.Sessions[i]
		if x.Port < bfd.MinSourcePort || x.Port > bfd.MaxSourcePort {
			x.Port = 0
		}
		all[x.Identity] = x
	}
	return all
}

// stateChanged has the state written soon.
func (d *daemon) stateChanged() {
	if !d.stopping {
		d.saver.Changed()
	}
}

// state is what a successor would need now.
func (d *daemon) state() (any, []func()) {
	s := &state{Header: header(), Sessions: make([]sessionState, 0, len(d.peers))}
	for _, p := range d.peers {
		s.Sessions = append(s.Sessions, sessionState{identityOf(p.conf), p.out.port, p.engine.Snapshot()})
	}
	return s, nil
}

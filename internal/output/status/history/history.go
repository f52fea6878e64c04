// Package history is what has happened to a daemon: each change between one state of it
// (package api) and the next, and the file that keeps them. [Recorder] is pure.
package history

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"keepalived-go/internal/output/status/api"
)

// Event is something that has happened.
type Event struct {
	ID    uint64    `json:"id" doc:"its number; a later event has a higher one"`
	At    time.Time `json:"at" doc:"when it happened"`
	Kind  Kind      `json:"kind" doc:"what it happened to: router, service, server, session, process or configuration; notice: a router has reported it, in the state to; act: it was asked for"`
	Name  string    `json:"name" doc:"of that; a server: with its service before a blank; of an act: empty for the daemon"`
	From  string    `json:"from,omitempty" doc:"state before, if one is known"`
	To    string    `json:"to" doc:"state after"`
	Cause string    `json:"cause,omitempty" doc:"code of the cause, of a router or a notice; of an act: done or refused"`
	Why   string    `json:"why,omitempty" doc:"cause as a sentence, if there is one"`
}

// Kind is what an event happens to.
type Kind string

// The kinds.
const (
	Router        Kind = "router"        // vrrp_instance
	Notice        Kind = "notice"        // of a vrrp_instance, without a change of its state
	Service       Kind = "service"       // virtual_server
	Server        Kind = "server"        // real_server
	Session       Kind = "session"       // bfd_instance
	Process       Kind = "process"       // of the daemon; Daemon: its parent process, with which it begins and ends
	Configuration Kind = "configuration" // read or refused
	Act           Kind = "act"           // asked for by a client; Name is what it was about
)

// Daemon is the name of the parent process among the processes.
const Daemon = "keepalived"

// Recorder compares states. The zero value knows none.
type Recorder struct {
	last uint64 // number of the last event
	seen map[subject]mark
	out  []Event
}

type subject struct {
	kind Kind
	name string
}

// mark is what was recorded last of a subject.
type mark struct {
	state string
	at    time.Time
}

// Resume takes up what a predecessor has recorded, in its order.
func (r *Recorder) Resume(past []Event) {
	for _, e := range past {
		r.last = max(r.last, e.ID)
		of := subject{e.Kind, e.Name}
		if e.Kind == Act {
			of.name = ""
		}
		r.mark(of, mark{e.To, e.At})
	}
}

func (r *Recorder) mark(of subject, m mark) {
	if r.seen == nil {
		r.seen = map[subject]mark{}
	}
	r.seen[of] = m
}

// Step returns what has happened since the last state, the earliest first. s need not have
// the routers and services that have not changed. Of a session that it sees for the first
// time it only learns the state.
func (r *Recorder) Step(s *api.Status) []Event {
	r.out = nil
	r.daemon(&s.Node)
	r.configuration(&s.Configuration)
	r.acts(s.Acts)
	for i := range s.Processes {
		r.process(&s.Processes[i], s.At, s.Node.Stopping)
	}
	if v := s.VRRP; v != nil && v.Stale == "" {
		for i := range v.Instances {
			r.router(&v.Instances[i])
		}
	}
	if l := s.LVS; l != nil && l.Stale == "" && l.Running {
		for i := range l.Services {
			r.service(&l.Services[i], l.At)
		}
	}
	if b := s.BFD; b != nil && b.Stale == "" {
		for i := range b.Sessions {
			x := &b.Sessions[i]
			r.state(subject{Session, x.Name}, x.State, nil, b.At, x.Diagnostic)
		}
	}
	return r.numbered()
}

// numbered is what has been recorded, the earliest first.
func (r *Recorder) numbered() []Event {
	slices.SortStableFunc(r.out, func(a, b Event) int { return a.At.Compare(b.At) })
	for i := range r.out {
		r.last++
		r.out[i].ID = r.last
	}
	return r.out
}

// Stop returns that the daemon gives up what it holds and ends.
func (r *Recorder) Stop(now time.Time) []Event {
	r.out = nil
	of := subject{Process, Daemon}
	r.record(of, Event{At: now, From: r.seen[of].state, To: stopping, Why: "it was told to stop, or cannot go on"})
	return r.numbered()
}

// Size is of how many things the recorder knows the state.
func (r *Recorder) Size() int { return len(r.seen) }

// Forget forgets what the daemon does not have any more. s is a whole state.
func (r *Recorder) Forget(s *api.Status) {
	has := map[subject]bool{}
	if v := s.VRRP; v != nil {
		for i := range v.Instances {
			has[subject{Router, v.Instances[i].Name}], has[subject{Notice, v.Instances[i].Name}] = true, true
		}
	}
	if l := s.LVS; l != nil {
		for i := range l.Services {
			v := &l.Services[i]
			has[subject{Service, v.Name}] = true
			for k := range v.Servers {
				has[serverOf(v, &v.Servers[k])] = true
			}
		}
	}
	if b := s.BFD; b != nil {
		for i := range b.Sessions {
			has[subject{Session, b.Sessions[i].Name}] = true
		}
	}
	for of := range r.seen {
		switch of.kind {
		case Router, Notice, Service, Server, Session:
			if !has[of] {
				delete(r.seen, of)
			}
		}
	}
}

func serverOf(v *api.VirtualServer, s *api.RealServer) subject {
	return subject{Server, v.Name + " " + s.Name}
}

func (r *Recorder) record(of subject, e Event) {
	e.Kind, e.Name = of.kind, of.name
	r.out = append(r.out, e)
	r.mark(of, mark{e.To, e.At})
}

// state records that a subject has another state than before: since a time, as far as that
// is known, or now.
func (r *Recorder) state(of subject, state string, since *time.Time, now time.Time, why string) {
	before, known := r.seen[of]
	at := now
	if since != nil {
		at = *since
	}
	switch {
	case !known && since == nil:
		r.mark(of, mark{state, at})
	case before.state != state:
		r.record(of, Event{At: at, From: before.state, To: state, Why: why})
	}
}

func (r *Recorder) router(i *api.Instance) {
	of := subject{Router, i.Name}
	last := r.seen[of]
	for _, h := range i.History[known(i.History, last):] {
		r.record(of, Event{At: h.At, From: h.From, To: h.To, Cause: h.Cause, Why: h.Why})
	}
	of.kind = Notice
	last = r.seen[of]
	for _, n := range i.Notices[known(i.Notices, last):] {
		r.record(of, Event{At: n.At, To: n.To, Cause: n.Cause, Why: n.Why})
	}
}

// known is how many of the changes of a router have been recorded, up to last. One step
// may change the state twice at one time, and clocks are set back.
func known(changes []api.Change, last mark) int {
	for k := range slices.Backward(changes) {
		if h := &changes[k]; h.At.Equal(last.at) && h.To == last.state {
			return k + 1
		}
	}
	for k := range slices.Backward(changes) {
		if !changes[k].At.After(last.at) {
			return k + 1
		}
	}
	return 0
}

// acts records those that are later than the last one.
func (r *Recorder) acts(list []api.PastAct) {
	all := subject{kind: Act}
	for i := range list {
		a := &list[i]
		if !a.At.After(r.seen[all].at) {
			continue
		}
		e := Event{At: a.At, Kind: Act, Name: a.Name, To: a.Kind, Cause: "done", Why: "asked for by " + a.By}
		if a.Reason != "" {
			e.Why += ": " + a.Reason
		}
		if a.Refused != "" {
			e.Cause, e.Why = "refused", a.Refused+"; "+e.Why
		}
		r.out = append(r.out, e)
		r.mark(all, mark{e.To, e.At})
	}
}

// UpDown is the state of a virtual or a real server as a word.
func UpDown(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func (r *Recorder) service(v *api.VirtualServer, at time.Time) {
	for i := range v.Servers {
		s := &v.Servers[i]
		var why []string
		if s.Disabled() {
			why = append(why, "an operator has disabled it")
		}
		for k := range s.Checks {
			if c := &s.Checks[k]; c.State == "down" {
				why = append(why, strings.TrimSuffix(c.Kind+": "+c.Reason, ": "))
			}
		}
		r.state(serverOf(v, s), UpDown(s.Up), s.Since, at, strings.Join(why, "; "))
	}
	why := strconv.Itoa(v.Alive) + " of " + strconv.Itoa(len(v.Servers)) + " servers are up"
	r.state(subject{Service, v.Name}, UpDown(v.Up), v.Since, at, why)
}

// States of processes.
const (
	Started  = "started"
	ended    = "ended"
	stopping = "stopping"
)

// daemon records the start of the daemon.
func (r *Recorder) daemon(n *api.Node) {
	of := subject{Process, Daemon}
	before := r.seen[of]
	e := Event{At: n.Started, From: before.state, To: Started}
	switch {
	case before.state == stopping && !n.Started.After(before.at) || before.state == Started && n.Started.Equal(before.at):
		return
	case before.state == Started:
		e.Why = "its predecessor did not stop: it was killed, or the machine went down"
	}
	r.record(of, e)
}

// process records starts and ends. A process that has started again since the last look
// has done both.
func (r *Recorder) process(p *api.Process, at time.Time, isStopping bool) {
	of := subject{Process, p.Name}
	before, known := r.seen[of]
	switch {
	case p.Started != nil && !p.Started.Equal(before.at):
		e := Event{At: *p.Started, To: Started}
		if known {
			e.From = before.state
		}
		if known && before.state == Started {
			e.Why = "its predecessor had ended"
		}
		r.record(of, e)
	case p.Started == nil && before.state == Started:
		e := Event{At: at, From: before.state, To: ended}
		if p.Wanted && !isStopping {
			e.Why = "unexpectedly; it is started again"
		}
		r.record(of, e)
	}
}

// maxWhy bounds the reasons of a refusal, in bytes.
const maxWhy = 1000

func (r *Recorder) configuration(c *api.Configuration) {
	of := subject{Configuration, c.File}
	before := r.seen[of]
	if c.Read.After(before.at) {
		r.record(of, Event{At: c.Read, To: "read", From: before.state})
	}
	if f := c.Refused; f != nil && f.At.After(r.seen[of].at) {
		why := strings.Join(f.Reasons, "; ")
		r.record(of, Event{At: f.At, From: r.seen[of].state, To: "refused", Why: strings.ToValidUTF8(why[:min(len(why), maxWhy)], "")})
	}
}

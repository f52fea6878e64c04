package vrrpd

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/wire"
	"keepalived-go/vrrp"
)

// hear takes up what the BFD process reports of its sessions. When it ends, they stay
// as they were: a process that has died is not a neighbour that has.
func (d *daemon) hear(e *link.Event) {
	kind, name := policy.SubjectOf(e.Subject)
	var s policy.Session
	if kind != policy.SessionState || len(e.Body) == 0 || wire.Decode(e.Body, &s) != nil {
		return
	}
	logDetail(fmt.Sprintf("Received BFD event: instance %s is in state %s (delivered in %d usec)",
		name, upDown("Up", "Down", s.Up), (d.loop.Now() - s.At).Microseconds()))
	was, known := d.sessions[name]
	if d.sessions == nil {
		d.sessions = map[string]policy.Session{}
	}
	d.sessions[name] = s
	if known && was.Up == s.Up {
		return
	}
	if known {
		d.watchPeers(name, s)
	}
	k := trackerKey{conf.TrackedBFD, name}
	if known || s.Up {
		d.logTracked(k, s.Up)
	}
	d.spread(k, d.sessionStatus(name))
}

// watchPeers informs the engines of a session that their bfd_peer names.
func (d *daemon) watchPeers(name string, s policy.Session) {
	ev := vrrp.Event{Kind: vrrp.SessionDown, Neighbor: s.Neighbor, Silence: s.Silent, Wall: time.Now()}
	if s.Up {
		ev.Kind = vrrp.SessionUp
	}
	for _, r := range d.routers {
		if slices.Contains(r.conf.BFDPeers, name) && !r.waiting {
			d.step(r, d.loop.Now(), ev)
		}
	}
}

// sessionStatus is the status of a BFD session as a tracker.
func (d *daemon) sessionStatus(name string) policy.Status {
	s, known := d.sessions[name]
	return policy.Status{Known: known, Up: s.Up, Cause: vrrp.Cause{
		Code: conf.TrackedBFD.String(), Object: name, Detail: upDown("up", "down", s.Up),
	}}
}

// logTracked logs a change of a session for those whose configuration names it, in
// the words of the C daemon.
func (d *daemon) logTracked(k trackerKey, up bool) {
	names := func(list []conf.Track) bool {
		return slices.ContainsFunc(list, func(t conf.Track) bool { return t.Kind == k.kind && t.Name == k.name })
	}
	for _, in := range d.conf.Instances {
		if names(in.Track) {
			slog.Info(fmt.Sprintf("VRRP_Instance(%s) Tracked BFD instance %s is %s", in.Name, k.name, upDown("UP", "DOWN", up)))
		}
	}
	for _, g := range d.conf.SyncGroups {
		if names(g.Track) {
			slog.Info(fmt.Sprintf("VRRP_Group(%s) Tracked BFD instance %s is %s", g.Name, k.name, upDown("UP", "DOWN", up)))
		}
	}
}

func upDown(yes, no string, up bool) string {
	if up {
		return yes
	}
	return no
}

func logDetail(text string) { slog.Log(context.Background(), logging.LevelDetail, text) }

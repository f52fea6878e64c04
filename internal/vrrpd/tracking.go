package vrrpd

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/track"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
)

// tracking is what the trackers report and which virtual routers depend on it.
//
//	scripts, files, processes ── track.Set ──post──▶ trackersReport ─▶ terms of
//	links, link beats, delays ── linkState ──────────────────────▶ the routers
//	                                                                  │
//	                             engines ◀── once a turn ── retrack ◀─┘
type tracking struct {
	set    *track.Set // nil: nothing is tracked that it would have to look at
	status map[trackerKey]policy.Status
	heard  map[trackerKey]heard
	users  map[trackerKey][]termRef
	dirty  []*router // to be evaluated before this turn ends
}

type trackerKey struct {
	kind conf.TrackKind
	name string
}

// heard is what a tracker reported last, and since when it has reported that. Of an
// interface it is the state that counts.
type heard struct {
	policy.Status
	at   time.Time
	past []status.Reported // the last ones, this one at the end
}

// maxReported is how many reports of a tracker are kept.
const maxReported = 16

// hear notes what a tracker reports.
func (t *tracking) hear(k trackerKey, s policy.Status) {
	if t.heard == nil {
		t.heard = map[trackerKey]heard{}
	}
	if h, known := t.heard[k]; s.Known && (!known || h.Status != s) {
		at := time.Now()
		past := append(h.past, status.Reported{At: at, Up: s.Up, Disabled: s.Disabled, Number: s.Number})
		if len(past) > maxReported {
			past = slices.Delete(past, 0, 1)
		}
		t.heard[k] = heard{s, at, past}
	}
}

// forget drops what trackers have reported that are gone.
func (t *tracking) forget() {
	maps.DeleteFunc(t.heard, func(k trackerKey, _ heard) bool {
		_, known := t.status[k]
		return !known && t.users[k] == nil
	})
}

// termRef is a place in the terms of a router.
type termRef struct {
	t *tracked
	r *router
	i int
}

// tracked is what a router tracks.
type tracked struct {
	terms   []policy.Term // its own trackers and those of its sync group
	outcome policy.Outcome
	because vrrp.Cause // what has changed last: a tracker, or the configuration
	dirty   bool       // a term has changed in this turn
}

func (r *router) evaluate() {
	if t := r.tracked; t != nil {
		t.outcome = policy.Adjusted(r.conf.Priority, r.adjust, r.conf.Priority == vrrp.PriorityOwner, t.terms)
	}
}

// tracksAnything reports whether c needs a track.Set.
func tracksAnything(c *conf.Config) bool {
	return len(c.Scripts)+len(c.Files)+len(c.Processes) > 0 ||
		slices.ContainsFunc(c.Interfaces, func(i conf.InterfaceSettings) bool { return i.LinkBeat != conf.LinkBeatNone })
}

// trackers returns the set of trackers; nil if neither c nor a configuration
// before it has any.
func (d *daemon) trackers(c *conf.Config) *track.Set {
	t := &d.tracking
	if t.set == nil && tracksAnything(c) {
		t.set = track.Start(track.Options{
			Runner:             d.scriptRunner(),
			ProcessRcvBuf:      c.Global.ProcessRcvBuf,
			ProcessRcvBufForce: c.Global.ProcessRcvBufForce,
			Report: func(updates []track.Update) {
				own := slices.Clone(updates)
				d.loop.Post(func() { d.trackersReport(own) })
			},
		})
	}
	return t.set
}

// learn notes the first status of the trackers in force, and forgets the
// others.
func (t *tracking) learn(c *conf.Config, first []track.Update) {
	known := t.status
	t.status = make(map[trackerKey]policy.Status, len(known))
	keep := func(kind conf.TrackKind, name string) {
		k := trackerKey{kind, name}
		if s, ok := known[k]; ok {
			t.status[k] = s
		}
	}
	for _, s := range c.Scripts {
		keep(conf.TrackedScript, s.Name)
	}
	for _, f := range c.Files {
		keep(conf.TrackedFile, f.Name)
	}
	for _, p := range c.Processes {
		keep(conf.TrackedProcess, p.Name)
	}
	for _, i := range c.Interfaces {
		if i.LinkBeat != conf.LinkBeatNone {
			keep(conf.TrackedInterface, i.Name)
		}
	}
	for _, u := range first {
		k := trackerKey{u.Kind, u.Name}
		t.status[k] = u.Status
		if u.Kind != conf.TrackedInterface {
			t.hear(k, u.Status)
		}
	}
}

// bindTrackers gives each router the terms of its priority.
func (d *daemon) bindTrackers() {
	t := &d.tracking
	t.users = map[trackerKey][]termRef{}
	defer t.forget()
	groupOf := map[string]*conf.SyncGroup{}
	for _, g := range d.conf.SyncGroups {
		if len(g.Track) > 0 {
			for _, m := range g.Members {
				groupOf[m] = g
			}
		}
	}
	for _, r := range d.routers {
		had := r.tracked
		r.tracked = nil
		lists := [][]conf.Track{r.conf.Track}
		if g := groupOf[r.conf.Name]; g != nil {
			lists = append(lists, g.Track)
		}
		for _, c := range slices.Concat(lists...) {
			if r.tracked == nil {
				r.tracked = &tracked{}
			}
			k := trackerKey{c.Kind, c.Name}
			s := d.statusOf(k)
			t.hear(k, s)
			t.users[k] = append(t.users[k], termRef{r.tracked, r, len(r.tracked.terms)})
			r.tracked.terms = append(r.tracked.terms, policy.Term{Track: c, Status: s})
		}
		r.adjust = d.adjustment(r)
		if had != nil || r.tracked != nil || r.adjust != 0 {
			if r.tracked == nil {
				// The last tracker is gone: once more without any.
				r.tracked = &tracked{}
			}
			r.tracked.because = reloaded
			d.reevaluate(r)
		}
	}
}

// reloaded is the cause of what a new configuration changes.
var reloaded = vrrp.Cause{Code: "reload", Detail: "reload"}

// statusOf is what is known of a tracker now.
func (d *daemon) statusOf(k trackerKey) policy.Status {
	switch k.kind {
	case conf.TrackedInterface:
		return d.linkStatus(k.name)
	case conf.TrackedBFD:
		return d.sessionStatus(k.name)
	}
	return d.tracking.status[k]
}

// trackersReport takes up what trackers report.
func (d *daemon) trackersReport(updates []track.Update) {
	for _, u := range updates {
		k := trackerKey{u.Kind, u.Name}
		d.tracking.status[k] = u.Status
		if u.Kind != conf.TrackedInterface {
			d.spread(k, u.Status)
		} else if d.linkChanged(u.Name) {
			d.linkSettled(u.Name)
		}
	}
}

// spread brings the status of a tracker to those who track it.
func (d *daemon) spread(k trackerKey, s policy.Status) {
	d.tracking.hear(k, s)
	for _, u := range d.tracking.users[k] {
		u.t.terms[u.i].Status = s
		u.t.because = s.Cause
		d.reevaluate(u.r)
	}
}

func (d *daemon) reevaluate(r *router) {
	if !r.tracked.dirty {
		r.tracked.dirty = true
		d.tracking.dirty = append(d.tracking.dirty, r)
	}
}

// retrack gives the engines what has become of their priority and faults:
// once, however many trackers have reported in this turn.
func (d *daemon) retrack() {
	t := &d.tracking
	if len(t.dirty) == 0 {
		return
	}
	slices.SortFunc(t.dirty, func(a, b *router) int { return cmp.Compare(a.timer.Order, b.timer.Order) })
	for _, r := range t.dirty {
		if d.byEngine[r.engine] != r || d.stopping {
			continue // removed by a reload, or nothing matters any more
		}
		r.tracked.dirty = false
		r.evaluate()
		d.check([]*router{r})
		if r.waiting {
			d.startWaiting(r)
		} else {
			d.setPriority(r)
		}
	}
	clear(t.dirty)
	t.dirty = t.dirty[:0]
}

// setPriority gives the engine of r the effective priority.
func (d *daemon) setPriority(r *router) {
	o := &r.tracked.outcome
	if r.inherited && o.Partial {
		return
	}
	r.inherited = false
	if o.Priority == r.engine.Priority() {
		return
	}
	cause := r.tracked.because
	cause.Arithmetic = o.Arithmetic()
	d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.PriorityChanged, Priority: o.Priority, Wall: time.Now(), Cause: cause})
}

// startWaiting starts the engine of r and those that wait with it, if they need
// not wait any longer.
func (d *daemon) startWaiting(r *router) {
	for _, m := range d.together(r) {
		if m.waiting {
			d.startRouter(m)
		}
	}
}

// together is r, or all members of its sync group.
func (d *daemon) together(r *router) []*router {
	g := r.engine.Group()
	if g == nil {
		return []*router{r}
	}
	all := make([]*router, 0, len(g.Members()))
	for _, m := range g.Members() {
		all = append(all, d.router(m))
	}
	return all
}

// startRouter starts the engine of r, unless it has to wait for the static entries, for
// its trackers or for its socket, or for those of another member of its sync group.
func (d *daemon) startRouter(r *router) {
	if d.setting.Running() {
		return
	}
	at, before := d.loop.Now(), r.predecessor
	d.restrain(r)
	resumes := before != nil && r.engine.Resumable(at, before)
	var outcomes []*policy.Outcome
	for _, m := range d.together(r) {
		if d.opening(m) {
			return
		}
		if m.waiting && m.tracked != nil {
			outcomes = append(outcomes, &m.tracked.outcome)
		}
	}
	if !policy.MayStart(resumes, outcomes...) {
		return
	}
	r.waiting, r.predecessor = false, nil
	if r.tracked != nil {
		r.tracked.because = vrrp.Cause{Code: "start", Detail: "start"}
	}
	d.step(r, at, vrrp.Event{Kind: vrrp.Start, Hold: policy.StartDelay(&d.conf.Global, d.started, at), Resume: before, Cause: r.whyFault(), Wall: time.Now()})
	if r.tracked == nil {
		return
	}
	if r.inherited = policy.KeepsPriority(resumes, &r.tracked.outcome); r.inherited {
		d.step(r, at, vrrp.Event{Kind: vrrp.PriorityChanged, Priority: before.Priority, Wall: time.Now(),
			Cause: vrrp.Cause{Code: "resumed", Detail: "restart", Arithmetic: "the priority before the restart, until all trackers have a result"}})
	}
	d.setPriority(r)
}

package vrrpd

import (
	"context"
	"log/slog"
	"time"

	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/proc/link"
	"keepalived-go/vrrp"
)

// stopWait is how long scripts that report the end may take, from the last that has ended.
const stopWait = time.Second

// aloneWait is how long scripts may take after SIGTERM when the parent process has
// ended: a new daemon waits for the end of this one.
const aloneWait = time.Second

// historyLen is how many changes of state of a router are remembered, and how many notices.
const historyLen = 16

// scriptRunner returns what runs programs; a configuration without any needs
// none.
func (d *daemon) scriptRunner() *script.Runner {
	if d.runner == nil {
		d.runner = script.StartRunner()
	}
	return d.runner
}

// reportSlice is how many actions one turn reports.
const reportSlice = 128

// reportSome reports what has happened, as much as one turn has time for; if there is more,
// the loop turns again without a pause.
func (d *daemon) reportSome() {
	d.report(min(len(d.unreported), d.reported+reportSlice))
	if len(d.unreported) > 0 {
		d.loop.Set(&d.reporting, d.loop.Now())
	}
}

// reportAll reports everything that has happened.
func (d *daemon) reportAll() { d.report(len(d.unreported)) }

// report reports actions up to the one at end: to the log, the history, and everyone who is
// to be notified.
func (d *daemon) report(end int) {
	changed := false
	for ; d.reported < end; d.reported++ {
		a := &d.unreported[d.reported]
		d.logAction(a)
		switch a.Kind {
		case vrrp.Transition:
			changed = true
			if r := d.router(a.Instance); r != nil {
				r.remember(a)
				d.notifyTransition(r, a.To)
				d.reportInstance(r, a.To)
			}
		case vrrp.GroupTransition:
			d.notifyGroup(a)
		case vrrp.Notify:
			if r := d.router(a.Instance); r != nil {
				if noticed(a.Note) {
					changed = true
					r.rememberNote(a)
				}
				if a.Note == vrrp.NoteRejected {
					r.rejection = &status.Rejection{At: time.Now(), From: a.Addr, Reason: a.Reject}
				}
				d.notifyNote(r, a)
			}
		}
		*a = vrrp.Action{}
	}
	if changed && d.session != nil {
		d.session.Signal(link.Changed)
	}
	if d.reported == len(d.unreported) {
		const usual = 256 // a burst's room is given back
		if cap(d.unreported) > usual {
			d.unreported = nil
		}
		d.unreported, d.reported = d.unreported[:0], 0
	}
	d.reportAnnounced()
}

// remember keeps a change of state in the history.
func (r *router) remember(a *vrrp.Action) {
	code := ""
	if a.Reason == vrrp.ReasonFault {
		code = a.Cause.Code
	}
	r.history = among(r.history, status.Change{At: r.lastTransition, From: a.From, To: a.To, Reason: a.Reason, Code: code, Why: why(a)})
}

// noticed reports whether a note explains why a router is in its state, or hints at a
// mistake of another node. The others come with a change of state, or are frequent.
func noticed(n vrrp.Note) bool {
	switch n {
	case vrrp.NoteRejected, vrrp.NoteOwnAddressReceived, vrrp.NoteOwnerConflict, vrrp.NoteClockSkew,
		vrrp.NoteAddressCountMismatch, vrrp.NoteAddressMismatch, vrrp.NoteStall, vrrp.NotePreemptDelayStarted,
		vrrp.NotePreemptDelayStopped, vrrp.NoteHoldEnded, vrrp.NoteNoPreempt, vrrp.NoteGroupWaits, vrrp.NoteHeld, vrrp.NoteNotTakenOver:
		return true
	}
	return false
}

// rememberNote keeps a note in the history, with the sentence of the log.
func (r *router) rememberNote(a *vrrp.Action) {
	code := a.Note.String()
	if a.Note == vrrp.NoteRejected {
		code = a.Reject.String()
	}
	_, text := noteText(a, r)
	r.notices = among(r.notices, status.Change{At: time.Now(), From: r.engine.State(), To: r.engine.State(), Code: code, Why: text})
}

// reportCause reports that r is in FAULT for another cause than before.
func (d *daemon) reportCause(r *router) {
	cause := r.whyFault()
	text := "stays in FAULT STATE: " + causeText(&cause)
	slog.LogAttrs(context.Background(), slog.LevelInfo, "("+r.conf.Name+") "+text, appendCause([]slog.Attr{slog.String("instance", r.conf.Name)}, &cause)...)
	r.notices = among(r.notices, status.Change{At: time.Now(), From: vrrp.Fault, To: vrrp.Fault, Code: cause.Code, Why: text})
	if d.session != nil {
		d.session.Signal(link.Changed)
	}
}

// among is the last changes with c. The given ones stay as they are: snapshots have them.
func among(last []status.Change, c status.Change) []status.Change {
	return append(last[max(0, len(last)+1-historyLen):], c)
}

// stamp notes the wall clock of a transition, for people and programs that read
// dumps; the engines never see it.
func (r *router) stamp() { r.lastTransition = time.Now() }

// closeScripts ends, outside the loop, everything that was started outside it.
// Scripts are sent SIGTERM, and SIGKILL after child_wait_time; when alone is
// closed, soon. The channel it returns has something when all have ended.
func (d *daemon) closeScripts(alone <-chan struct{}) <-chan struct{} {
	closed, ended := make(chan struct{}, 1), make(chan struct{})
	set, notifier, runner, wait := d.tracking.set, d.notifier, d.runner, d.conf.Global.ChildTime()
	if runner != nil {
		go func() {
			select {
			case <-alone:
				runner.Close(min(wait, aloneWait))
			case <-ended:
			}
		}()
	}
	go func() {
		if set != nil {
			set.Close()
		}
		left := wait
		if notifier != nil {
			left -= notifier.Close(stopWait, wait)
		}
		if runner != nil {
			for _, name := range runner.Close(max(0, left)) {
				slog.Warn("script " + name + " was still running and has been killed")
			}
		}
		close(ended)
		closed <- struct{}{}
		d.loop.Post(func() {})
	}()
	return closed
}

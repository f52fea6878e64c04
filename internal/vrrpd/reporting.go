package vrrpd

import (
	"log/slog"
	"slices"
	"time"

	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/proc/link"
	"keepalived-go/vrrp"
)

// stopWait is how long scripts that report the end may take.
const stopWait = time.Second

// aloneWait is how long scripts may take after SIGTERM when the parent process has
// ended: a new daemon waits for the end of this one.
const aloneWait = time.Second

// historyLen is how many changes of state of a router are remembered.
const historyLen = 16

// scriptRunner returns what runs programs; a configuration without any needs
// none.
func (d *daemon) scriptRunner() *script.Runner {
	if d.runner == nil {
		d.runner = script.StartRunner()
	}
	return d.runner
}

// reportTurn reports the actions of the last turn: to the log, the history, and
// everyone who is to be notified.
func (d *daemon) reportTurn() {
	changed := false
	for i := range d.unreported {
		a := &d.unreported[i]
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
				if a.Note == vrrp.NoteRejected {
					changed = true
					r.rejection = status.Rejection{At: time.Now(), From: a.Addr, Reason: a.Reject}
				}
				d.notifyNote(r, a)
			}
		}
	}
	if changed && d.session != nil {
		d.session.Say(link.Changed)
	}
	const usual = 256 // a burst's room is given back
	if clear(d.unreported); cap(d.unreported) > usual {
		d.unreported = nil
	}
	d.unreported = d.unreported[:0]
	d.reportAnnounced()
}

// remember keeps a change of state in the history.
func (r *router) remember(a *vrrp.Action) {
	c := status.Change{At: r.lastTransition, From: a.From, To: a.To, Reason: a.Reason, Why: why(a)}
	if len(r.history) == historyLen {
		r.history = slices.Delete(r.history, 0, 1)
	}
	r.history = append(r.history, c)
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
		if notifier != nil {
			notifier.Close(stopWait)
		}
		if runner != nil {
			for _, name := range runner.Close(wait) {
				slog.Warn("script " + name + " was still running and has been killed")
			}
		}
		close(ended)
		closed <- struct{}{}
		d.loop.Post(func() {})
	}()
	return closed
}

package vrrpd

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/notify"
	"keepalived-go/internal/output/status"
	"keepalived-go/vrrp"
)

// stopWait is how long scripts that are told of the end may take.
const stopWait = time.Second

// aloneWait is how long scripts may take after SIGTERM when the parent process has
// died: a new daemon waits for the end of this one.
const aloneWait = time.Second

// historyLen is how many changes of state of a router are remembered.
const historyLen = 16

// scriptRunner returns what runs programs; a configuration without any needs
// none.
func (d *daemon) scriptRunner() *script.Runner {
	if d.runner == nil {
		var err error
		if d.runner, err = script.NewRunner(); err != nil {
			err = fmt.Errorf("run scripts: %w", err)
			slog.Error(err.Error())
			d.runner = script.Refusing(err)
		}
	}
	return d.runner
}

// tellsAnybody reports whether c names anybody to be told of changes.
func tellsAnybody(c *conf.Config) bool {
	g := &c.Global
	return g.FIFO.Path != "" || g.VRRPFIFO.Path != "" || g.LVSFIFO.Path != "" ||
		slices.ContainsFunc(c.Instances, func(i *conf.VRRPInstance) bool { return i.Notify != nil }) ||
		slices.ContainsFunc(c.SyncGroups, func(g *conf.SyncGroup) bool { return g.Notify != nil })
}

// setNotifier makes those who are told the ones of the configuration in force.
func (d *daemon) setNotifier() {
	if d.notifier == nil {
		if !tellsAnybody(d.conf) {
			return
		}
		host, _ := os.Hostname()
		d.notifier = notify.New(d.scriptRunner(), host)
	}
	d.notifier.Configure(d.conf)
}

// tell passes on what the engines had to say in the last turn: to the log, the
// history, and whoever is to be notified.
func (d *daemon) tell() {
	for i := range d.told {
		a := &d.told[i]
		d.logAction(a)
		switch a.Kind {
		case vrrp.Transition:
			if r := d.router(a.Instance); r != nil {
				r.remember(a)
				d.notifyTransition(r, a.To)
			}
		case vrrp.GroupTransition:
			d.notifyGroup(a)
		case vrrp.Notify:
			if r := d.router(a.Instance); r != nil {
				d.notifyNote(r, a)
			}
		}
	}
	const usual = 256 // a burst's room is given back
	if clear(d.told); cap(d.told) > usual {
		d.told = nil
	}
	d.told = d.told[:0]
	d.tellAnnounced()
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

// kindOf is what a state is called where it is notified.
func kindOf(s vrrp.State) (notify.Kind, bool) {
	switch s {
	case vrrp.Master:
		return notify.Master, true
	case vrrp.Backup:
		return notify.Backup, true
	case vrrp.Fault:
		return notify.Fault, true
	case vrrp.Stopped:
		return notify.Stop, true
	}
	return 0, false
}

func (d *daemon) notifyTransition(r *router, to vrrp.State) {
	kind, known := kindOf(to)
	if d.notifier == nil || !known {
		return
	}
	if kind == notify.Stop && !d.stopping {
		kind = notify.Deleted // by a reload
	}
	d.notifier.Tell(r.event(kind))
}

// event is a notification about r.
func (r *router) event(k notify.Kind) notify.Event {
	return notify.Event{Name: r.conf.Name, Kind: k, Priority: int(r.engine.Priority()), To: r.conf.Notify}
}

func (d *daemon) notifyGroup(a *vrrp.Action) {
	kind, known := kindOf(a.To)
	if d.notifier == nil || !known {
		return
	}
	d.notifier.Tell(d.groupEvent(a.Group, kind))
}

func (d *daemon) groupEvent(g *vrrp.SyncGroup, k notify.Kind) notify.Event {
	ev := notify.Event{Group: true, Name: g.Name(), Kind: k}
	if i := slices.IndexFunc(d.conf.SyncGroups, func(c *conf.SyncGroup) bool { return c.Name == g.Name() }); i >= 0 {
		ev.To = d.conf.SyncGroups[i].Notify
	}
	return ev
}

func (d *daemon) notifyNote(r *router, a *vrrp.Action) {
	if d.notifier == nil {
		return
	}
	switch a.Note {
	case vrrp.NoteLowerPriorityReceived:
		d.notifier.Tell(r.event(notify.MasterRxLowerPri))
	case vrrp.NotePriorityEffective:
		switch n := r.conf.Notify; {
		case n == nil || !n.PriorityChanges:
		case r.engine.State() == vrrp.Master:
			d.notifier.Tell(r.event(notify.MasterPriority))
		case r.engine.State() == vrrp.Backup:
			d.notifier.Tell(r.event(notify.BackupPriority))
		}
	}
}

// repeatStates writes the present states into the FIFOs again
// (fifo_write_vrrp_states_on_reload).
func (d *daemon) repeatStates() {
	if d.notifier == nil || !d.conf.Global.StatesOnReload {
		return
	}
	again := func(ev notify.Event) {
		ev.FIFOOnly = true
		d.notifier.Tell(ev)
	}
	for _, c := range d.conf.SyncGroups {
		if g := d.groups[c.Name]; g != nil {
			if kind, known := kindOf(g.State()); known {
				again(d.groupEvent(g, kind))
			}
		}
	}
	for _, r := range d.routers {
		if kind, known := kindOf(r.engine.State()); known {
			again(r.event(kind))
		}
	}
}

// closeScripts ends, beside the loop, everything that was started beside it.
// Scripts, readers of FIFOs too, are sent SIGTERM, and SIGKILL after
// child_wait_time; when alone is closed, soon. The channel it returns has
// something when all have ended.
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
		d.loop.post(func() {})
	}()
	return closed
}

package vrrpd

import (
	"log/slog"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/track"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/loop"
)

// linkState is a link whose state is more than what netlink reports: its carrier
// is polled (linkbeat_interfaces), or changes count only when they last
// (interface_up_down_delays).
type linkState struct {
	settings conf.InterfaceSettings
	damper   track.Damper
	timer    loop.Timer // runs while a delay does, until its end
	up       bool       // what counts
}

// watchLinks takes up the settings of interfaces. A delay that runs continues.
func (d *daemon) watchLinks() {
	before := d.linkStates
	d.linkStates = nil
	for _, w := range before {
		d.loop.Stop(&w.timer)
	}
	for i, s := range d.conf.Interfaces {
		if s.LinkBeat == conf.LinkBeatNone && s.UpDelay == 0 && s.DownDelay == 0 {
			continue
		}
		if d.linkStates == nil {
			d.linkStates = map[string]*linkState{}
		}
		w := &linkState{settings: s}
		w.timer.Order = i
		w.timer.Expire = func(time.Duration) {
			if d.linkChanged(s.Name) {
				d.linkSettled(s.Name)
			}
		}
		if old := before[s.Name]; old != nil {
			w.damper = old.damper
			w.damper.Tune(s.UpDelay, s.DownDelay)
			w.up = w.damper.Step(d.loop.Now(), d.rawUp(w))
		} else {
			w.up = d.rawUp(w)
			w.damper = track.NewDamper(s.UpDelay, s.DownDelay, w.up)
		}
		d.linkStates[s.Name] = w
		d.awaitDelay(w)
	}
}

// rawUp is what is seen of a link this moment. Until the first poll that is
// what netlink reports.
func (d *daemon) rawUp(w *linkState) bool {
	l := d.net.byName[w.settings.Name]
	if l == nil || !l.Up() {
		return false
	}
	beat := d.tracking.status[trackerKey{conf.TrackedInterface, w.settings.Name}]
	return !beat.Known || beat.Up
}

// linkUp reports whether a link counts as up.
func (d *daemon) linkUp(l *netLink) bool {
	if w := d.linkStates[l.Name]; w != nil {
		return w.up
	}
	return l.Up()
}

// linkChanged acts on a change of what is seen of the link called name and
// reports whether it changes what counts.
func (d *daemon) linkChanged(name string) bool {
	w := d.linkStates[name]
	if w == nil {
		return true
	}
	was := w.up
	w.up = w.damper.Step(d.loop.Now(), d.rawUp(w))
	d.awaitDelay(w)
	return w.up != was
}

// awaitDelay sets the timer of a link to the end of its delay, if one runs.
func (d *daemon) awaitDelay(w *linkState) {
	if at, running := w.damper.Deadline(); running {
		d.loop.Set(&w.timer, at)
	} else {
		d.loop.Stop(&w.timer)
	}
}

// linkSettled informs all concerned that the link called name counts as up
// or down now.
func (d *daemon) linkSettled(name string) {
	l := d.net.byName[name]
	if l != nil {
		d.logLink(l)
	}
	d.spread(trackerKey{conf.TrackedInterface, name}, d.linkStatus(name))
	d.checkFaults(func(r *router) bool { return d.manyLinks(r) || r.link == l })
}

// linkStatus is the status of a link as a tracker.
func (d *daemon) linkStatus(name string) policy.Status {
	s := policy.Status{Known: true}
	switch l := d.net.byName[name]; {
	case l == nil:
		s.Cause.Detail = "interface does not exist"
	case !d.linkUp(l):
		s.Cause.Detail = "interface is down"
	default:
		s.Up = true
		s.Cause.Detail = "interface is up"
	}
	s.Cause.Code, s.Cause.Object = conf.TrackedInterface.String(), name
	return s
}

// spreadLinks brings the state of every tracked link to those who track it.
func (d *daemon) spreadLinks() {
	for k := range d.tracking.users {
		if k.kind == conf.TrackedInterface {
			d.spread(k, d.linkStatus(k.name))
		}
	}
}

func (d *daemon) logLink(l *netLink) {
	word := "down"
	if d.linkUp(l) {
		word = "up"
	}
	slog.Info("Netlink reports "+l.Name+" "+word, "interface", l.Name)
}

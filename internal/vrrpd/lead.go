package vrrpd

import (
	"time"

	"keepalived-go/vrrp"
)

// takeoverLead is how long before the Master_Down_Timer of a backup the loop
// wakes up, to turn without a pause until it expires. A processor that has gone
// to rest takes up to 0.2 ms to come back, which would be the larger part of a
// take-over. It costs nothing while the master lives: the timer of a backup
// comes so near its end only when the master is silent.
const takeoverLead = 300 * time.Microsecond

// lead is how much earlier than the deadline of r the loop is awake.
func (r *router) lead() time.Duration {
	if r.engine.State() == vrrp.Backup {
		return takeoverLead
	}
	return 0
}

// takeoverAlert is how long, from the lead on, the thread that carries out plans is
// awake too, and with it the loop while the addresses of a take-over are being set.
const takeoverAlert = takeoverLead + 1500*time.Microsecond

// hasty reports whether a take-over is not done yet: its addresses are being set, or
// are to be announced. Until it is, the loop does not sleep, and what happened is not
// yet put into words.
func (d *daemon) hasty() bool {
	if d.alert == 0 {
		return false
	}
	at := d.loop.Now()
	if at < d.alert && (!d.addrs.idle() || d.announcer.timer.Deadline() <= at) {
		d.loop.Alert(d.alert)
		return true
	}
	if at >= d.alert {
		d.alert = 0
	}
	d.loop.Alert(0)
	return false
}

// rehearse uses the lead of r: another engine with its configuration becomes
// master and nothing is done about it. What r is going to run is in memory and
// in the caches then.
func (d *daemon) rehearse(r *router) {
	at := d.loop.Now()
	if d.exec != nil {
		d.alert = at + takeoverAlert
		d.exec.Alert(takeoverAlert)
	}
	stand := vrrp.New(*r.engine.Config())
	for _, ev := range []vrrp.Event{
		{Kind: vrrp.SourceChanged, Source: r.source},
		{Kind: vrrp.Start},
		{Kind: vrrp.Expiry},
	} {
		clear(stand.Step(at, ev, d.actions[:0]))
		at, _ = stand.Deadline()
	}
	stand.Advert(0, stand.Priority(), time.Time{})
}

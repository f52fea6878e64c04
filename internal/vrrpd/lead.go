package vrrpd

import (
	"time"

	"keepalived-go/internal/proc/loop"
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

// takeoverHaste is how long after its lead a take-over keeps what happened from being
// put into words, and burstHaste how long many of them do.
const (
	takeoverHaste = takeoverLead + 1500*time.Microsecond
	burstHaste    = loop.Stall
)

// hasty reports whether a take-over is not done yet: adverts wait to leave, addresses are
// being set, or are to be announced. Until it is, what happened is not yet put into words.
func (d *daemon) hasty() bool {
	return d.haste.Running() && (d.loop.Due() || !d.addrs.idle() || d.announcer.timer.Deadline() <= d.loop.Now())
}

// behind reports whether more routers are due than one turn serves, and notes when that begins.
// Then the adverts of all come first: addresses wait until they have left, for burstHaste at
// most.
func (d *daemon) behind() bool {
	before := d.burst
	if d.burst = d.loop.Due(); d.burst && !before {
		d.loop.Set(&d.haste, d.loop.Now()+burstHaste)
	}
	return d.burst && d.haste.Running()
}

// rehearse uses the lead of r: another engine with its configuration becomes
// master and nothing is done about it. What r is going to run is in memory and
// in the caches then.
func (d *daemon) rehearse(r *router) {
	at := d.loop.Now()
	if !d.burst {
		d.loop.Set(&d.haste, at+takeoverHaste)
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

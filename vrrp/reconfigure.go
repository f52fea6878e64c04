package vrrp

import "slices"

// reconfigure replaces the configuration and keeps state, timers, sequence
// numbers and counters. What does not differ has no effect: the same
// configuration again emits nothing.
//
// Addresses that only come into the adverts or leave them, with another MTU, are
// not announced: the node holds them all the same.
//
// The difference that tracking has made to the priority stays, until
// PriorityChanged changes it.
func (i *Instance) reconfigure(t *turn, to *Config) {
	if to == nil || i.state == Stopped {
		return
	}
	c := to.normal()
	if c.Family != i.cfg.Family {
		return
	}
	if c.equal(&i.cfg) {
		i.cfg.MTU = c.MTU
		return
	}
	if i.until != never { // it was asked for with another configuration
		i.force = false
		i.notTaken(t)
	}
	was := i.cfg
	masterDown := i.MasterDownInterval()
	i.cfg = c
	i.prepare(&was)

	if c.Version == 2 || i.state != Backup || !i.master.IsValid() {
		i.masterInterval = c.AdvertInterval // not learned from a master
	}
	if i.state == Backup && i.timer != never && !i.immediate {
		if i.stopping {
			masterDown = i.MasterDownInterval() // waiting for Skew_Time only
		}
		i.moveTimer(i.MasterDownInterval()-masterDown, 0)
	}
	if c.NoPreempt || c.PreemptDelay != was.PreemptDelay {
		i.preempt, i.preemptElapsed = never, false
	}
	if c.Priority != was.Priority {
		if t.cause.Code == "" {
			t.cause = Cause{Code: "reload", Detail: "the configuration has another priority"}
		}
		i.rebase(t, was.Priority)
	}
	if i.state != Master {
		return
	}
	if c.AdvertInterval != was.AdvertInterval {
		i.changeRhythm(t)
	}
	if !slices.Equal(c.Addresses, was.Addresses) {
		t.emit(Action{Kind: SetAddresses, Instance: i})
		i.announce(t, c.Announce.Repeat, false)
	}
	if c.Announce.Refresh != was.Announce.Refresh || c.Announce.RefreshRepeat != was.Announce.RefreshRepeat {
		i.scheduleRefresh(t)
	}
}

// rebase moves the effective priority by as much as the base priority.
func (i *Instance) rebase(t *turn, was uint8) {
	if i.conceded {
		i.conceded = false
		i.prio = was
	}
	i.conflict = never
	prio := i.cfg.Priority
	if prio != PriorityOwner && was != PriorityOwner {
		moved := int(i.prio) + int(prio) - int(was)
		prio = uint8(min(max(moved, 1), PriorityOwner-1))
	}
	i.changePriority(t, prio)
}

// changeRhythm gives a master its new interval, counted from the last advert.
// One that is overdue by the new interval is sent at once, which also informs
// version 3 backups of it.
func (i *Instance) changeRhythm(t *turn) {
	i.timer = min(i.timer, i.lastAdvert+i.cfg.AdvertInterval)
	if i.timer <= t.now {
		i.sendAdvert(t, i.prio)
		i.timer = t.now + i.cfg.AdvertInterval
	}
}

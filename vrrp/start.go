package vrrp

import (
	"net/netip"
	"time"
)

// start is the Startup event (RFC 9568, 6.4.1). Every router begins in BACKUP,
// also one configured as MASTER; for the address owner the timer is due at
// once.
func (i *Instance) start(t *turn, ev Event) {
	if i.state != Init {
		return
	}
	g := i.group
	if g != nil {
		g.markFaults()
	}
	if ev.Resume != nil {
		i.restore(ev.Resume)
		if i.Resumable(t.now, ev.Resume) {
			i.resume(t, ev.Resume)
			if g != nil {
				g.started(t)
			}
			return
		}
		// Peers may have taken over: give up what the predecessor held.
		t.emit(Action{Kind: ClearAddresses, Instance: i})
	}
	if g != nil {
		g.starting(t)
	}
	if ev.Hold > 0 {
		i.hold = t.now + ev.Hold
	}
	if i.faults != 0 {
		i.become(t, Fault, Action{Reason: ReasonFault})
	} else {
		i.enterBackup(t)
		i.become(t, Backup, Action{Reason: ReasonStart})
		if g != nil && g.state == Master && i.timer != never && i.restraint != StaysBackup {
			i.enterMaster(t, Action{Reason: ReasonGroup}) // it joins running masters
		}
	}
	if g != nil {
		g.started(t)
	}
}

// enterBackup sets what every way into BACKUP has in common. The caller
// reports the transition.
func (i *Instance) enterBackup(t *turn) {
	i.stopping, i.wants, i.preemptElapsed = false, false, false
	i.account = account{since: t.now}
	i.preempt = never
	i.master = netip.Addr{}
	i.immediate = i.prio == PriorityOwner && i.state != Master && i.restraint == Unrestrained
	if i.hold <= t.now {
		i.hold = never // the start-up delay ran out during FAULT
	}
	switch {
	case i.hold != never:
		i.timer = never
	case i.immediate:
		i.timer = t.now // the owner does not wait
	default:
		i.timer = t.now + i.MasterDownInterval()
	}
}

// restore takes over the counters that peers check, whatever the state was.
func (i *Instance) restore(s *Snapshot) {
	i.ipid = s.IPID
	if i.ah != nil {
		i.ah.sequence = s.AHSequence
	}
	if i.hmac != nil {
		i.hmac.sequence = s.HMACSequence
	}
}

// Resumable reports whether Start with this snapshot would continue as master: there
// is no fault, the predecessor was master, and its last advert is so young that
// no peer can have taken over since. A time in the future comes from another
// boot of the machine.
func (i *Instance) Resumable(now time.Duration, s *Snapshot) bool {
	interval := i.cfg.AdvertInterval
	if s.MasterInterval > 0 {
		interval = min(interval, s.MasterInterval)
	}
	age := now - s.LastAdvert
	return i.faults == 0 && i.restraint != StaysBackup && s.State == Master && age >= 0 &&
		age < Patience(i.cfg.DownTimerAdverts, interval)
}

// resume continues as master where the predecessor ended, unnoticed by the
// peers: no election, no first advert, one announcement.
func (i *Instance) resume(t *turn, s *Snapshot) {
	i.lastAdvert = s.LastAdvert
	i.timer = min(max(s.AdvertDeadline, t.now), t.now+i.cfg.AdvertInterval)
	t.emit(Action{Kind: SetAddresses, Instance: i})
	i.announce(t, 1, false)
	i.scheduleRefresh(t)
	i.become(t, Master, Action{Reason: ReasonResumed})
}

// shutdown is the Shutdown event (RFC 9568, 6.4.2 and 6.4.3).
func (i *Instance) shutdown(t *turn) {
	if i.state == Stopped {
		return
	}
	if i.state == Master {
		i.abdicate(t)
	}
	i.become(t, Stopped, Action{Reason: ReasonShutdown})
}

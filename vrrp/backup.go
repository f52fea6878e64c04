package vrrp

import (
	"net/netip"
)

// expireBackup serves the timers of a backup.
func (i *Instance) expireBackup(t *turn) {
	if t.now >= i.linger {
		i.clearLinger(t)
	}
	if t.now >= i.hold {
		i.note(t, Action{Note: NoteHoldEnded})
		i.enterBackup(t)
	}
	if t.now >= i.preempt {
		i.preempt, i.preemptElapsed = never, true
	}
	if t.now < i.timer || i.stalledBackup(t) {
		return
	}
	i.masterDownExpired(t)
}

// masterDownExpired takes over (RFC 9568, 6.4.2). In a sync group
// all members must want to; the last one takes the others along.
func (i *Instance) masterDownExpired(t *turn) {
	if i.conceded {
		i.reclaim(t) // the other owner has gone
	}
	if i.restraint == StaysBackup {
		i.noteOnce(t, Action{Note: NoteHeld})
		i.stopping, i.immediate = false, false
		i.timer, i.account.silence = t.now+i.MasterDownInterval(), 0
		return
	}
	if i.group != nil && !i.group.othersWant(i) {
		i.wants = true
		i.noteOnce(t, Action{Note: NoteGroupWaits, Cause: Cause{Code: "group", Object: i.group.unwilling(i).cfg.Name}})
		i.timer, i.account.silence = t.now+i.MasterDownInterval(), 0
		return
	}
	i.note(t, Action{Note: NoteMasterDownExpired, Addr: i.master})
	i.enterMaster(t, i.whyMaster(t.now))
	if i.group != nil {
		i.group.takeAlong(t, i)
	}
}

// backupReceived is an advert that a backup hears (RFC 9568, 6.4.2).
func (i *Instance) backupReceived(t *turn, p *Packet, adv advert) {
	if i.conceded && adv.priority != PriorityOwner {
		i.reclaim(t)
	}
	switch {
	case adv.priority == 0:
		i.note(t, Action{Note: NotePriorityZeroReceived, Addr: p.Src})
		i.stopping, i.immediate = true, false
		i.account.stopped, i.account.silence = p.Src, 0
		i.timer = t.now + i.skew(i.prio)
	case i.tolerates(t, p.Src, adv.priority):
		if i.master != p.Src {
			i.master = p.Src
			i.noted, i.rejected = 0, 0
			i.note(t, Action{Note: NoteMasterChanged, Addr: p.Src, Priority: adv.priority})
		}
		i.learn(t, adv, p.Src)
		i.masterPrio = adv.priority
		i.stopping, i.wants, i.immediate = false, false, false
		i.timer = t.now + i.MasterDownInterval()
		i.account = account{since: t.now}
		if i.cfg.NoPreempt && adv.priority < i.prio {
			i.noteOnce(t, Action{Note: NoteNoPreempt, Addr: p.Src, Priority: adv.priority})
		}
	default:
		// The timer runs on: it will expire, whatever this master sends.
		i.account.lower(t.now, p.Src, adv.priority)
		i.note(t, Action{Note: NoteLowerPriorityDiscarded, Addr: p.Src, Priority: adv.priority})
	}
}

// tolerates reports whether a backup lets the sender be master: when it is not
// worse, when we do not preempt, and for the time of the preempt delay, which
// the first worse advert starts.
func (i *Instance) tolerates(t *turn, src netip.Addr, prio uint8) bool {
	if prio >= i.prio {
		if i.preempt != never {
			i.note(t, Action{Note: NotePreemptDelayStopped, Addr: src, Priority: prio})
		}
		i.preempt, i.preemptElapsed = never, false
		return true
	}
	if i.restraint != Unrestrained {
		return true
	}
	if i.prio == PriorityOwner {
		return false
	}
	if i.cfg.NoPreempt {
		return true
	}
	if i.cfg.PreemptDelay == 0 || i.preemptElapsed {
		return false
	}
	if i.preempt == never {
		i.preempt = t.now + i.cfg.PreemptDelay
		i.note(t, Action{Note: NotePreemptDelayStarted, Addr: src, Priority: prio, Time: i.cfg.PreemptDelay})
	}
	return t.now < i.preempt
}

// learn takes over the master's interval, which version 3 adverts carry for
// that purpose (RFC 9568, 6.4.2). Version 2 has dropped an advert of
// another interval before.
func (i *Instance) learn(t *turn, adv advert, src netip.Addr) {
	if i.cfg.Version == 2 || i.masterInterval == adv.interval {
		return
	}
	before := i.masterInterval
	i.masterInterval = adv.interval
	i.note(t, Action{Note: NoteIntervalLearned, Addr: src, Time: adv.interval, Count: int(before.Milliseconds())})
}

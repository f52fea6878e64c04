package vrrp

import (
	"math"
	"net/netip"
)

// enterMaster is the way into MASTER when no other router serves: the advert goes
// first, so that other backups stop their timers, then the addresses
// (RFC 9568, 6.4.2).
func (i *Instance) enterMaster(t *turn, a Action) {
	i.timer = t.now + i.cfg.AdvertInterval
	i.masterInterval = i.cfg.AdvertInterval
	i.master = netip.Addr{}
	i.preempt, i.preemptElapsed = never, false
	i.stopping, i.wants, i.immediate = false, false, false
	i.counts.BecomeMaster++
	if i.ah != nil {
		i.ah.restart()
	}
	i.sendAdvert(t, i.prio)
	t.emit(Action{Kind: SetAddresses, Instance: i})
	i.announceMastership(t)
	i.become(t, Master, a)
}

// sendAdvert has an advert sent now.
func (i *Instance) sendAdvert(t *turn, prio uint8) {
	i.lastAdvert = t.now
	i.counts.AdvertsSent++
	if prio == 0 {
		i.counts.PriorityZeroSent++
	}
	t.emit(Action{Kind: SendAdvert, Instance: i, Priority: prio})
}

// release gives up the addresses. The second set of announcements is left
// alone: a master that returns at once keeps its time.
func (i *Instance) release(t *turn) {
	i.endMastership()
	t.emit(Action{Kind: ClearAddresses, Instance: i})
	i.endHandOver(t)
}

// endMastership ends what only a master does.
func (i *Instance) endMastership() {
	i.counts.ReleaseMaster++
	i.conflict, i.announceLower, i.announceRefresh = never, never, never
	i.answerLower.due, i.answerZero.due = false, false
}

// abdicate releases the addresses after informing the backups that they need
// not wait (RFC 9568, 6.4.3). A master that yields to a better one
// does not: its priority 0 would hurry the third router into an election.
func (i *Instance) abdicate(t *turn) {
	i.sendAdvert(t, 0)
	i.note(t, Action{Note: NotePriorityZeroSent})
	i.release(t)
	i.announceSecond = never
}

// expireMaster serves the timers of a master.
func (i *Instance) expireMaster(t *turn) {
	if t.now >= i.conflict {
		i.concede(t)
	}
	if t.now >= i.until {
		if i.notTaken(t); i.state != Master {
			return
		}
	}
	if t.now >= i.answerZero.deadline() {
		i.answerZero.ask(t.now, answerZeroPause)
		i.advertiseNow(t)
	}
	if t.now >= i.timer {
		if i.ah != nil && i.ah.sequence == math.MaxUint32 {
			i.exhausted(t)
			return
		}
		if i.tooLate(t) {
			return
		}
		i.sendAdvert(t, i.prio)
		// From one deadline to the next, so that lateness does not add up.
		i.timer += i.cfg.AdvertInterval
		if i.timer <= t.now {
			i.timer = t.now + i.cfg.AdvertInterval
		}
	}
	if t.now >= i.answerLower.deadline() {
		unanswered := i.lastAdvert <= i.answerLower.asked
		i.answerLower.ask(t.now, answerLowerPause)
		i.reassert(t, unanswered)
	}
	i.expireAnnouncements(t)
}

// masterReceived is an advert that a master hears (RFC 9568, 6.4.3).
func (i *Instance) masterReceived(t *turn, p *Packet, adv advert) {
	if i.conceded && adv.priority != PriorityOwner {
		i.reclaim(t)
	}
	switch {
	case adv.priority == 0:
		// The other believed itself master: its backups must receive our advert at once.
		if i.answerZero.ask(t.now, answerZeroPause) {
			i.advertiseNow(t)
		}
	case adv.priority > i.prio:
		i.yield(t, p, adv, NoteHigherPriorityReceived, ReasonHigherPriority)
	case adv.priority == i.prio && p.Src.Compare(i.source) > 0:
		if i.prio == PriorityOwner {
			i.note(t, Action{Note: NoteOwnerConflict, Addr: p.Src, Priority: adv.priority, Count: ConflictYield})
		}
		i.yield(t, p, adv, NoteHigherAddressReceived, ReasonHigherAddress)
	default:
		if i.prio == PriorityOwner && adv.priority == PriorityOwner {
			i.contest(t, p, adv)
		}
		i.lowerReceived(t, p, adv)
	}
}

// advertiseNow sends an advert out of turn, from which the next one counts.
func (i *Instance) advertiseNow(t *turn) {
	i.sendAdvert(t, i.prio)
	i.timer = t.now + i.cfg.AdvertInterval
}

// yield goes to BACKUP under a better master.
func (i *Instance) yield(t *turn, p *Packet, adv advert, note Note, reason Reason) {
	i.note(t, Action{Note: note, Addr: p.Src, Priority: adv.priority})
	if i.cfg.HigherPrioritySendAdvert {
		i.sendAdvert(t, i.prio)
	}
	if i.pass(t) {
		reason = ReasonHandedOver
	}
	i.announceSecond = never
	i.learn(t, adv, p.Src)
	i.enterBackup(t)
	i.master, i.masterPrio = p.Src, adv.priority
	i.become(t, Backup, Action{Reason: reason, Addr: p.Src, Priority: adv.priority})
}

// lowerReceived is an advert of lower priority, or of the same and a lower
// address. RFC 3768 and RFC 5798 discard it; RFC 9568 (6.4.3)
// answers, and so does keepalived, with announcements because switches have
// learnt the other's port. Members of a sync group answer together: their
// peers split where ours did.
func (i *Instance) lowerReceived(t *turn, p *Packet, adv advert) {
	quiet := !i.note(t, Action{Note: NoteLowerPriorityReceived, Addr: p.Src, Priority: adv.priority})
	i.answer(t, quiet)
	if i.group != nil {
		for _, m := range i.group.members {
			if m != i && m.state == Master {
				m.answer(t, quiet)
			}
		}
	}
}

// answer reasserts the mastership, unless it has just been.
func (i *Instance) answer(t *turn, quiet bool) {
	i.quiet = quiet
	if i.answerLower.ask(t.now, answerLowerPause) {
		i.reassert(t, true)
	}
}

func (i *Instance) reassert(t *turn, advert bool) {
	if advert && !i.cfg.LowerPriorityNoAdvert {
		i.sendAdvert(t, i.prio)
	}
	i.announceAgainstLower(t)
}

// addressLost is the removal by anyone else of something this master holds. It
// makes way for a backup whose addresses are intact; if there is none it
// returns after Skew_Time with everything set again.
func (i *Instance) addressLost(t *turn) {
	if i.state != Master {
		return
	}
	i.withGroup(t, ReasonAddressLost, (*Instance).makeWay)
}

// withGroup has a master leave, and then the other masters of its group.
func (i *Instance) withGroup(t *turn, reason Reason, leave func(*Instance, *turn, Reason)) {
	leave(i, t, reason)
	if i.group == nil {
		return
	}
	for _, m := range i.group.members {
		if m.state == Master {
			leave(m, t, ReasonGroup)
		}
	}
}

// makeWay sends priority 0 and waits for others' Skew_Time in BACKUP.
func (i *Instance) makeWay(t *turn, reason Reason) {
	second := i.announceSecond
	i.abdicate(t)
	i.announceSecond = second
	i.enterBackup(t)
	i.timer = t.now + i.skew(i.prio)
	i.become(t, Backup, Action{Reason: reason})
}

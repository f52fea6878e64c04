package vrrp

import "time"

// Restraint is what an operator lets an instance be.
type Restraint uint8

const (
	Unrestrained  Restraint = iota
	LeavesMasters           // a backup does not take over from a live master, as with Config.NoPreempt
	StaysBackup             // it is no master, even if there is none; a master makes way
)

// restrain sets the restraint.
func (i *Instance) restrain(t *turn, to Restraint) {
	i.restraint = to
	if to == Unrestrained {
		return
	}
	i.preempt, i.preemptElapsed = never, false
	if to == StaysBackup {
		i.wants = false
		if i.state == Master {
			i.standDown(t, ReasonHeld)
		}
	}
}

// standDown makes way, with the masters of the group, for as long as any peer may wait.
func (i *Instance) standDown(t *turn, reason Reason) {
	i.withGroup(t, reason, (*Instance).stepDown)
}

func (i *Instance) stepDown(t *turn, reason Reason) {
	i.makeWay(t, reason)
	i.timer = t.now + i.MasterDownInterval()
}

// A handover is a planned switchover, make before break. The master advertises the lowest
// priority that a master can have, 1, and serves on. Backups discard such adverts, so one
// of them takes over when its timer ends, as it would without any. The first advert of
// it ends our mastership. The addresses stay for [Linger], as the other one has none yet
// at the moment in which it sends that advert.
//
// Priority 0 would work as well, but then no node serves for Skew_Time.

// Linger is how long a node holds the addresses after another one has taken over in a
// handover: until that one has set and announced them.
const Linger = 200 * time.Millisecond

// HandOverTime returns how long a handover may take: as long as a backup of priority 1
// waits for adverts, and two intervals, as adverts may be lost.
func (i *Instance) HandOverTime() time.Duration { return i.masterDown(1) + 2*i.cfg.AdvertInterval }

// HandingOver reports whether a handover is on its way.
func (i *Instance) HandingOver() bool { return i.until != never }

// Lingers reports whether a backup still holds the addresses, after a handover.
func (i *Instance) Lingers() bool { return i.linger != never }

// Restraint returns the restraint in force.
func (i *Instance) Restraint() Restraint { return i.restraint }

// handOver begins a handover. With force, the master ends its service if nobody has taken
// over in time.
func (i *Instance) handOver(t *turn, force bool) {
	if i.state != Master || i.until != never || i.cfg.Priority == PriorityOwner {
		return
	}
	i.until, i.force, i.own = t.now+i.HandOverTime(), force, i.prio
	i.changePriority(t, 1)
	i.advertiseNow(t)
}

// endHandOver gives the instance its own priority back.
func (i *Instance) endHandOver(t *turn) {
	if i.until == never {
		return
	}
	i.until = never
	cause := t.cause
	t.cause = Cause{Code: "switchover", Detail: "the switchover has ended"}
	i.changePriority(t, i.own)
	t.cause = cause
}

// notTaken is the end of a handover in which no other node has taken over.
func (i *Instance) notTaken(t *turn) {
	i.note(t, Action{Note: NoteNotTakenOver, Time: i.HandOverTime()})
	if i.force {
		i.giveUp(t)
		return
	}
	i.endHandOver(t)
	i.advertiseNow(t)
}

// giveUp ends the service, and does not preempt the node that continues it.
func (i *Instance) giveUp(t *turn) {
	i.restrainGroup()
	i.standDown(t, ReasonHandedOver)
}

// restrainGroup keeps the instance, and its group, from taking over from the new master.
func (i *Instance) restrainGroup() {
	i.restraint = max(i.restraint, LeavesMasters)
	if i.group != nil {
		for _, m := range i.group.members {
			m.restraint = max(m.restraint, LeavesMasters)
		}
	}
}

// pass leaves the addresses to a better router: at once, or in a handover after a while.
func (i *Instance) pass(t *turn) (handedOver bool) {
	if i.until == never {
		i.release(t)
		return false
	}
	i.endMastership()
	i.restrainGroup()
	i.endHandOver(t)
	i.linger = t.now + Linger
	return true
}

// clearLinger releases the addresses that have stayed after a handover.
func (i *Instance) clearLinger(t *turn) {
	if i.linger != never {
		i.linger = never
		t.emit(Action{Kind: ClearAddresses, Instance: i})
	}
}

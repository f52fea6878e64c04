package vrrp

// Two routers configured as address owner (priority 255) are a mistake that
// neither can repair. The one with the lower address yields as to any equal.
// The one with the higher address gives the other time to notice; if it still
// claims 255, it lowers itself to 254, which makes it yield in turn, until the
// other has gone.

// What Action.Count of a NoteOwnerConflict means.
const (
	ConflictWait    = 0 // the other has the lower address and is given time to yield
	ConflictYield   = 1 // we have the lower address and yield
	ConflictConcede = 2 // the other did not yield: our priority becomes 254
)

// contest notes that a master and owner has heard another one.
func (i *Instance) contest(t *turn, p *Packet, adv advert) {
	i.conflictHeard = t.now
	if i.conflict != never {
		return
	}
	// Two adverts of the other, and 1.2 times the longer interval.
	i.conflictGrace = max(adv.interval, i.cfg.AdvertInterval) * 6 / 5
	i.conflict = t.now + 2*adv.interval + i.conflictGrace
	i.master, i.masterPrio = p.Src, adv.priority
	i.note(t, Action{Note: NoteOwnerConflict, Addr: p.Src, Priority: adv.priority, Count: ConflictWait})
}

// concede ends the wait: the other owner has been silent for longer than
// either interval, or it has not yielded.
func (i *Instance) concede(t *turn) {
	until := i.conflict
	i.conflict = never
	if until-i.conflictHeard > i.conflictGrace {
		return
	}
	i.conceded = true
	i.note(t, Action{Note: NoteOwnerConflict, Addr: i.master, Priority: PriorityOwner, Count: ConflictConcede})
	t.cause = Cause{Code: "owner-conflict", Detail: "another node also claims to own the address"}
	i.changePriority(t, PriorityOwner-1)
}

// reclaim ends the concession.
func (i *Instance) reclaim(t *turn) {
	i.conceded = false
	t.cause = Cause{Code: "owner-conflict", Detail: "the other owner has stopped"}
	i.changePriority(t, i.cfg.Priority)
}

package vrrp

import "slices"

// SyncGroup joins instances that change state together, such as the two sides
// of a firewall: all are MASTER or none is, and a fault of one is a fault of
// all. Stepping one member may give actions for the others.
type SyncGroup struct {
	name           string
	trackingWeight bool
	members        []*Instance
	state          State
	dirty          bool // members must be brought together at the next Step
}

// NewSyncGroup joins members, which leave the group they were in.
// trackingWeight means that the members' own weighted trackers change their
// priorities; otherwise only those of the group do. The rule is the
// tracker's to obey: the engine takes PriorityChanged as it comes.
//
// Members may be running. They keep their states as far as these agree; what
// does not agree is settled by the next Step of any of them, which Deadline
// calls for at once: any fault becomes one of all, and where not all are
// MASTER no member is. A member that is still to be started among running masters
// becomes one of them by its Start, so that they need not step down for it.
func NewSyncGroup(name string, trackingWeight bool, members ...*Instance) *SyncGroup {
	g := &SyncGroup{name: name, trackingWeight: trackingWeight, members: slices.Clone(members)}
	for _, m := range members {
		if m.group != nil {
			m.group.Remove(m)
		}
		m.group = g
	}
	running := slices.DeleteFunc(slices.Clone(members), func(m *Instance) bool { return m.state == Init })
	g.state = (&SyncGroup{members: running}).common()
	g.dirty = g.state != Init
	return g
}

// Name returns the name of the group.
func (g *SyncGroup) Name() string { return g.name }

// State returns the state that was last reported for the group.
func (g *SyncGroup) State() State { return g.state }

// Members returns the members. The slice must not be changed.
func (g *SyncGroup) Members() []*Instance { return g.members }

// TrackingWeight reports whether the members' own weighted trackers count.
func (g *SyncGroup) TrackingWeight() bool { return g.trackingWeight }

// Remove lets m continue alone, in the state it has. A member that is in FAULT
// for another's sake leaves it with its next Step, which is due at once; the
// others do likewise when the fault was m's.
func (g *SyncGroup) Remove(m *Instance) {
	if m.group != g {
		return
	}
	m.group, m.wants = nil, false
	g.members = slices.DeleteFunc(g.members, func(o *Instance) bool { return o == m })
	g.dirty = g.state != Init
}

// Dissolve lets all members continue alone.
func (g *SyncGroup) Dissolve() {
	for len(g.members) > 0 {
		g.Remove(g.members[len(g.members)-1])
	}
}

// unsettled reports whether a change of group membership is still to be acted on.
func (i *Instance) unsettled() bool {
	if i.group == nil {
		return i.faults&FaultGroup != 0
	}
	return i.group.dirty
}

// settle acts on it.
func (i *Instance) settle(t *turn) {
	g := i.group
	if g == nil {
		i.faults &^= FaultGroup
		i.applyFaults(t)
		return
	}
	g.dirty = false
	g.markFaults()
	for _, m := range g.members {
		m.applyFaults(t)
	}
}

// markFaults sets FaultGroup on those members for whom another one has a
// fault, without acting on it. A stopped member does not count.
func (g *SyncGroup) markFaults() {
	faulty := 0
	for _, m := range g.members {
		if m.ownFault() {
			faulty++
		}
	}
	for _, m := range g.members {
		others := faulty
		if m.ownFault() {
			others--
		}
		m.faults &^= FaultGroup
		if others > 0 {
			m.faults |= FaultGroup
		}
	}
}

func (i *Instance) ownFault() bool { return i.state != Stopped && i.faults&^FaultGroup != 0 }

// spreadFaults acts on a change of the faults of m, on m first.
func (g *SyncGroup) spreadFaults(t *turn, m *Instance) {
	g.markFaults()
	m.applyFaults(t)
	for _, o := range g.members {
		if o != m {
			o.applyFaults(t)
		}
	}
}

// unwilling is the first member that keeps i from being master.
func (g *SyncGroup) unwilling(i *Instance) *Instance {
	for _, m := range g.members {
		if m != i && m.state != Master && m.state != Stopped && (m.state != Backup || !m.wants) {
			return m
		}
	}
	return nil
}

// othersWant reports whether all other members are MASTER or would be.
func (g *SyncGroup) othersWant(i *Instance) bool { return g.unwilling(i) == nil }

// takeAlong makes masters of the other members after i became one.
func (g *SyncGroup) takeAlong(t *turn, i *Instance) {
	for _, m := range g.members {
		if m != i && m.state == Backup {
			m.enterMaster(t, Action{Reason: ReasonGroup})
		}
	}
}

// followToBackup leaves MASTER silently: the peer that another member yielded
// to takes all of its own group along.
func (i *Instance) followToBackup(t *turn) {
	i.pass(t)
	i.announceSecond = never
	i.enterBackup(t)
	i.become(t, Backup, Action{Reason: ReasonGroup})
}

// starting reports the state of the group before that of its first member.
func (g *SyncGroup) starting(t *turn) {
	if g.state != Init {
		return
	}
	to := Backup
	for _, m := range g.members {
		if m.ownFault() {
			to = Fault
		}
	}
	g.set(t, to)
}

// started is called when a member has started: its fault is the others' too.
func (g *SyncGroup) started(t *turn) {
	for _, m := range g.members {
		m.applyFaults(t)
	}
}

// demote takes the masters back to BACKUP when all members have started and
// not all are MASTER any more: one has yielded, or could not resume, or they
// have just been joined.
func (g *SyncGroup) demote(t *turn) {
	all := true
	for _, m := range g.members {
		switch m.state {
		case Init:
			return
		case Backup, Fault:
			all = false
		}
	}
	if all {
		return
	}
	for _, m := range g.members {
		if m.state == Master {
			m.followToBackup(t)
		}
	}
}

// common returns the state the members have together. Until all have started
// it is that of the group so far.
func (g *SyncGroup) common() State {
	var starting, masters, backups bool
	running := false
	for _, m := range g.members {
		switch m.state {
		case Fault:
			return Fault
		case Init:
			starting = true
		case Master:
			masters = true
		case Backup:
			backups = true
		}
		running = running || m.state != Stopped
	}
	switch {
	case starting || len(g.members) == 0:
		return g.state
	case !running:
		return Stopped
	case masters && !backups:
		return Master
	}
	return Backup
}

// report emits the transition of the group when its members have completed
// one.
func (g *SyncGroup) report(t *turn) { g.set(t, g.common()) }

func (g *SyncGroup) set(t *turn, to State) {
	if to == g.state {
		return
	}
	t.emit(Action{Kind: GroupTransition, Group: g, From: g.state, To: to, Cause: t.cause})
	g.state = to
}

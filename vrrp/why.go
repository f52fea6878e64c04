package vrrp

import (
	"fmt"
	"net/netip"
	"time"
)

// account is what a backup has heard since the last advert that it let stand,
// or since it became one: why it will be master, if it will.
type account struct {
	since   time.Duration // when that was
	stopped netip.Addr    // who sent priority 0

	rival   netip.Addr // the last sender of a lower priority
	rivalAt time.Duration

	// silence is how long a session did not hear the master, after which the timer
	// was shortened; 0: it was not. whole is the timer without that.
	silence, whole time.Duration

	from      netip.Addr
	dropped   uint32 // how many adverts of that sender were
	reject    Reject // why the last one was
	rivalPrio uint8
}

// lower notes an advert of a master that is worse than we are.
func (a *account) lower(now time.Duration, src netip.Addr, prio uint8) {
	a.rival, a.rivalAt, a.rivalPrio = src, now, prio
}

// refuse notes a dropped packet that was sent to be heard.
func (a *account) refuse(now time.Duration, p *Packet, why Reject) {
	switch why {
	case RejectVRID, RejectFamily, RejectOwnAddress, RejectOwner:
		return
	}
	if a.from != p.Src {
		a.from, a.dropped = p.Src, 0
	}
	if a.dropped++; a.dropped == 0 {
		a.dropped--
	}
	a.reject = why
}

// whyMaster is the reason of a backup whose timer has expired.
func (i *Instance) whyMaster(now time.Duration) Action {
	a := &i.account
	silent := now - a.since
	switch {
	case i.stopping:
		return Action{Reason: ReasonPriorityZero, Addr: a.stopped}
	case i.immediate:
		return Action{Reason: ReasonOwner}
	case a.silence != 0 && a.whole > now:
		return Action{Reason: ReasonSession, Addr: i.master, Priority: i.masterPrio, Time: a.silence}
	case a.rival.IsValid() && now-a.rivalAt <= i.MasterDownInterval():
		return Action{Reason: ReasonPreempt, Addr: a.rival, Priority: a.rivalPrio}
	case a.from.IsValid() && (!i.master.IsValid() || i.master == a.from):
		return Action{Reason: ReasonRejected, Addr: a.from, Reject: a.reject, Count: int(a.dropped)}
	case i.blocked:
		return Action{Reason: ReasonFirewall, Addr: i.master, Time: silent}
	case i.master.IsValid():
		return Action{Reason: ReasonMasterDown, Addr: i.master, Priority: i.masterPrio, Time: silent}
	}
	return Action{Reason: ReasonNoMaster, Time: silent}
}

// Why describes why a transition came about. It is empty where the name of
// the Reason is enough, and for a fault, of which the driver has given the Cause.
func (a *Action) Why() string {
	switch a.Reason {
	case ReasonOwner:
		return "the owner of the address becomes master at once"
	case ReasonMasterDown:
		return fmt.Sprintf("no advert from %v, with priority %d, for %v", a.Addr, a.Priority, a.Time.Round(time.Millisecond))
	case ReasonNoMaster:
		return fmt.Sprintf("no master has been heard for %v", a.Time.Round(time.Millisecond))
	case ReasonPreempt:
		return fmt.Sprintf("the master %v has the lower priority %d", a.Addr, a.Priority)
	case ReasonRejected:
		return fmt.Sprintf("adverts of %v have been dropped, %d so far: %s", a.Addr, a.Count, a.Reject.Text())
	case ReasonSession:
		return fmt.Sprintf("the session with %v has heard nothing for %v", a.Addr, a.Time.Round(100*time.Microsecond))
	case ReasonFirewall:
		return "no adverts are heard, and a firewall on this machine blocks sent adverts"
	case ReasonPriorityZero:
		return fmt.Sprintf("the master %v has stopped", a.Addr)
	case ReasonHigherPriority:
		return fmt.Sprintf("%v has the higher priority %d", a.Addr, a.Priority)
	case ReasonHigherAddress:
		return fmt.Sprintf("%v has the same priority and the higher address", a.Addr)
	case ReasonHeld:
		return "an operator holds this node in BACKUP"
	case ReasonHandedOver:
		if !a.Addr.IsValid() {
			return "switchover: nobody has taken over, so this node has stopped"
		}
		return fmt.Sprintf("switchover: %v has taken over with priority %d", a.Addr, a.Priority)
	case ReasonFaultCleared:
		return "no fault is left"
	case ReasonGroup:
		return "its sync group"
	case ReasonAddressLost:
		return "an address was removed by another program"
	case ReasonStall:
		return fmt.Sprintf("this process was late by %v, longer than peers wait", a.Time.Round(time.Millisecond))
	case ReasonResumed:
		return "continues after its predecessor"
	case ReasonSequenceExhausted:
		return "the sequence numbers of AH are used up"
	}
	return ""
}

// Text describes what was wrong with a dropped packet.
func (r Reject) Text() string {
	switch r {
	case RejectIPHeader:
		return "no valid IPv4 header"
	case RejectFragment:
		return "a fragment"
	case RejectProtocol:
		return "another protocol"
	case RejectShort:
		return "too short for a VRRP header"
	case RejectType:
		return "not an advert"
	case RejectAuthType:
		return "an undefined type of authentication"
	case RejectHMACMalformed:
		return "a malformed authentication trailer"
	case RejectAHSPI:
		return "a security parameter index that is not the source address"
	case RejectAuthMismatch:
		return "another type of authentication"
	case RejectLength, RejectTotalLength:
		return "wrong length"
	case RejectTTL, RejectPeerTTL:
		return "wrong TTL"
	case RejectVersion:
		return "another version"
	case RejectHMACMissing:
		return "no authentication trailer"
	case RejectHMACStale:
		return "the clocks differ by too much"
	case RejectHMACUnknownKey:
		return "an unknown authentication key"
	case RejectHMACInvalid, RejectAHDigest:
		return "wrong key"
	case RejectHMACReplayed, RejectAHReplayed:
		return "a sequence number that is not new"
	case RejectPassword:
		return "wrong password"
	case RejectInterval:
		return "another advertisement interval"
	case RejectChecksum:
		return "wrong checksum"
	case RejectDestination:
		return "another group, or unicast against multicast"
	case RejectNotPeer, RejectHMACNotPeer:
		return "the sender is not a peer"
	}
	return r.String()
}

// Obstacle is what keeps a backup from being master that could be.
type Obstacle uint8

const (
	ObstacleNone         Obstacle = iota
	ObstacleStartDelay            // the start-up delay, for Left
	ObstacleNoPreempt             // nopreempt: Addr stays master with Priority
	ObstaclePreemptDelay          // preempt_delay, for Left: Addr stays master with Priority
	ObstacleHeld                  // an operator holds it in BACKUP
	ObstacleLeaves                // an operator lets Addr stay master with Priority
	ObstacleGroup                 // Member of its sync group cannot or does not want to be master
)

// Hindrance describes an Obstacle.
type Hindrance struct {
	Obstacle Obstacle
	Addr     netip.Addr
	Priority uint8
	Left     time.Duration
	Member   *Instance
}

// Hindrance returns what keeps a backup that could be master from it at now;
// its Obstacle is ObstacleNone when it is not a backup, or the worse router.
func (i *Instance) Hindrance(now time.Duration) Hindrance {
	worse := i.master.IsValid() && i.masterPrio < i.prio
	switch {
	case i.state != Backup:
	case i.restraint == StaysBackup:
		return Hindrance{Obstacle: ObstacleHeld}
	case i.hold != never:
		return Hindrance{Obstacle: ObstacleStartDelay, Left: max(0, i.hold-now)}
	case i.wants && i.group != nil && i.group.unwilling(i) != nil:
		return Hindrance{Obstacle: ObstacleGroup, Member: i.group.unwilling(i)}
	case worse && i.restraint == LeavesMasters:
		return Hindrance{Obstacle: ObstacleLeaves, Addr: i.master, Priority: i.masterPrio}
	case worse && i.cfg.NoPreempt:
		return Hindrance{Obstacle: ObstacleNoPreempt, Addr: i.master, Priority: i.masterPrio}
	case worse && i.preempt != never:
		return Hindrance{Obstacle: ObstaclePreemptDelay, Addr: i.master, Priority: i.masterPrio, Left: max(0, i.preempt-now)}
	}
	return Hindrance{}
}

// String is the hindrance in words, and nothing for none.
func (h Hindrance) String() string {
	left := h.Left.Round(100 * time.Millisecond)
	switch h.Obstacle {
	case ObstacleStartDelay:
		return fmt.Sprintf("start-up delay, %v left", left)
	case ObstacleHeld:
		return "an operator holds it in BACKUP"
	case ObstacleLeaves:
		return fmt.Sprintf("after a switchover it leaves the master %v alone, with priority %d", h.Addr, h.Priority)
	case ObstacleNoPreempt:
		return fmt.Sprintf("nopreempt: %v is master with priority %d", h.Addr, h.Priority)
	case ObstaclePreemptDelay:
		return fmt.Sprintf("preempt_delay, %v left: %v is master with priority %d", left, h.Addr, h.Priority)
	case ObstacleGroup:
		m := h.Member
		if m.state == Fault {
			return fmt.Sprintf("its sync group: %s is in FAULT", m.cfg.Name)
		}
		if m.master.IsValid() {
			return fmt.Sprintf("its sync group: %s hears the master %v", m.cfg.Name, m.master)
		}
		return fmt.Sprintf("its sync group: %s is %v and still waiting", m.cfg.Name, m.state)
	}
	return ""
}

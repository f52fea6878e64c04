package vrrp

import (
	"math"
	"net/netip"
	"time"
)

// Instance is one virtual router on one node. Make it with [New]. It must not
// be copied, and one goroutine at a time may use it together with the other
// members of its [SyncGroup].
type Instance struct {
	cfg    Config
	group  *SyncGroup
	source netip.Addr // of sent adverts

	state      State
	prio       uint8  // effective priority
	own        uint8  // the same without an operator's restraint
	masterPrio uint8  // of master
	faults     Faults // FaultGroup included

	// timer is the Adver_Timer of a master and the Master_Down_Timer of a
	// backup (RFC 9568, 6.2).
	timer    time.Duration
	hold     time.Duration // end of the start-up delay, during which nothing is heard
	preempt  time.Duration // end of the preempt delay
	conflict time.Duration // until when another address owner is given the chance to yield

	announceSecond  time.Duration // second set after becoming master
	announceRefresh time.Duration
	announceLower   time.Duration // second set after a lower-priority advert

	lastAdvert     time.Duration // when the last advert was sent
	conflictHeard  time.Duration // when the other owner was last heard
	conflictGrace  time.Duration // its silence for so long ends the conflict
	masterInterval time.Duration // Master_Adver_Interval
	master         netip.Addr    // the master according to a backup

	account account // what a backup will give as the reason of its take-over

	until  time.Duration // end of a handover that is on its way
	linger time.Duration // backup: until when the addresses stay after a handover

	restraint      Restraint // of an operator
	force          bool      // how a handover ends if no other node takes over: see handOver
	blocked        bool      // a firewall of this node refuses to send adverts
	quiet          bool      // the last advert of lower priority was not reported
	preemptElapsed bool      // the preempt delay has run out for the present master
	stopping       bool      // backup: the master has sent priority 0
	wants          bool      // backup in a group: would be master, but for other members
	immediate      bool      // backup: the timer is that of an address owner, which does not wait
	conceded       bool      // address owner: lowered to 254 by another owner
	ipid           uint16

	noted    uint64  // notes given since state or master last changed, by Note
	rejected uint64  // the same for NoteRejected, by Reject
	limits   *limits // of what packets have caused; nil: nothing so far

	answerLower answer // against adverts of lower priority
	answerZero  answer // against priority 0

	wire   []byte // packets ready to send, one for each destination; nil: to be built
	stride int32  // length of one of them
	round  int32  // destination of the last packet; a lower or equal one begins a new advert
	addrs  []byte // advertised addresses as they stand in a message
	ah     *ahState
	hmac   *hmacState
	peers  []peerState // parallel to cfg.Peers

	counts  Counts
	rejects *[numRejects]uint64 // see Stats.Rejected; nil: none so far
}

// never is the time of a timer that does not run.
const never = time.Duration(math.MaxInt64)

// New returns an instance in state Init. It keeps the slices and maps of c,
// which must not change any more. Zero values mean the protocol's defaults,
// and what the wire cannot carry is brought to the nearest value it can.
func New(c Config) *Instance {
	i := &Instance{
		cfg:             c.normal(),
		timer:           never,
		hold:            never,
		preempt:         never,
		conflict:        never,
		until:           never,
		linger:          never,
		announceSecond:  never,
		announceRefresh: never,
		announceLower:   never,
	}
	i.prio = i.cfg.Priority
	i.masterInterval = i.cfg.AdvertInterval
	i.prepare(nil)
	return i
}

// prepare makes what is derived from the configuration, keeping what is to
// survive from before.
func (i *Instance) prepare(before *Config) {
	i.prepareAddresses()
	i.preparePeers(before)
	i.prepareAH()
	i.prepareHMAC()
	i.wire = nil
}

// Config returns the configuration in force, defaults filled in. It must not
// be changed.
func (i *Instance) Config() *Config { return &i.cfg }

// State returns the present state.
func (i *Instance) State() State { return i.state }

// Priority returns the effective priority, which adverts carry.
func (i *Instance) Priority() uint8 { return i.prio }

// Faults returns the reasons that hold now, FaultGroup included.
func (i *Instance) Faults() Faults { return i.faults }

// Source returns the address adverts are sent from; the zero Addr when none
// has been set.
func (i *Instance) Source() netip.Addr { return i.source }

// Master returns whom the instance believes to be master: its own source, the
// sender of the last advert a backup accepted, or the zero Addr.
func (i *Instance) Master() netip.Addr {
	if i.state == Master {
		return i.source
	}
	return i.master
}

// MasterPriority returns the priority of Master, 0 when none is known.
func (i *Instance) MasterPriority() uint8 {
	switch {
	case i.state == Master:
		return i.prio
	case i.master.IsValid():
		return i.masterPrio
	}
	return 0
}

// Group returns the sync group, or nil.
func (i *Instance) Group() *SyncGroup { return i.group }

// Snapshot returns what a successor process needs to continue.
func (i *Instance) Snapshot() Snapshot {
	s := Snapshot{
		State:          i.state,
		Priority:       i.ownPriority(),
		LastAdvert:     i.lastAdvert,
		AdvertDeadline: i.timer,
		MasterInterval: i.masterInterval,
		IPID:           i.ipid,
	}
	if i.ah != nil {
		s.AHSequence = i.ah.sequence
	}
	if i.hmac != nil {
		s.HMACSequence = i.hmac.sequence
	}
	return s
}

// ownPriority is the effective priority, without a handover.
func (i *Instance) ownPriority() uint8 {
	if i.until != never {
		return i.own
	}
	return i.prio
}

// Deadline returns when Expiry is due next, and false when no timer runs. It
// may lie in the past, which means at once.
func (i *Instance) Deadline() (time.Duration, bool) {
	if i.unsettled() {
		return 0, true
	}
	switch i.state {
	case Backup:
		d := min(i.timer, i.hold, i.preempt, i.linger)
		return d, d != never
	case Master:
		d := min(i.timer, i.until, i.conflict, i.announceSecond, i.announceRefresh, i.announceLower,
			i.answerLower.deadline(), i.answerZero.deadline())
		return d, d != never
	}
	return 0, false
}

// turn is one call of Step, on whichever instances it acts.
type turn struct {
	now   time.Duration
	wall  time.Time
	cause Cause
	heard bool // the event is a packet
	out   []Action
}

func (t *turn) emit(a Action) { t.out = append(t.out, a) }

// note emits a Notify action and reports whether it did: what packets cause is
// limited, so that neither a persistent fault nor forged packets can flood a
// log or start a script for each of them.
func (i *Instance) note(t *turn, a Action) bool {
	if t.heard && !i.take(t, &a) {
		return false
	}
	a.Kind, a.Instance = Notify, i
	t.emit(a)
	return true
}

// noteOnce emits a Notify action unless its Note, or for a dropped packet its
// reason, has been given since the state or the master last changed.
func (i *Instance) noteOnce(t *turn, a Action) {
	given, bit := &i.noted, uint64(1)<<a.Note
	if a.Note == NoteRejected {
		given, bit = &i.rejected, uint64(1)<<a.Reject
	}
	if *given&bit == 0 && i.note(t, a) {
		*given |= bit
	}
}

// become changes the state and reports it.
func (i *Instance) become(t *turn, to State, a Action) {
	a.Kind, a.Instance, a.From, a.To, a.Cause = Transition, i, i.state, to, t.cause
	switch to {
	case Master:
		i.linger = never
	case Fault, Stopped:
		i.clearLinger(t)
	}
	i.state = to
	i.noted, i.rejected = 0, 0
	t.emit(a)
}

// Step applies ev at now and appends to out what the driver must do, in
// order. now is monotonic time since any fixed point (the boot of the
// machine, for one) and must not go back. Step allocates nothing when out has
// room, but for the first packet worth a note.
//
// Events that make no sense in the present state, such as anything after
// Shutdown, change nothing.
func (i *Instance) Step(now time.Duration, ev Event, out []Action) []Action {
	t := turn{now: now, wall: ev.Wall, cause: ev.Cause, heard: ev.Kind == Received, out: out}
	if i.unsettled() {
		i.settle(&t)
	}
	i.stalledMaster(&t)
	switch ev.Kind {
	case Expiry:
		i.expire(&t)
	case Start:
		i.start(&t, ev)
	case Received:
		i.receive(&t, ev.Packet)
	case PriorityChanged:
		i.setPriority(&t, ev.Priority)
	case FaultsChanged:
		i.setFaults(&t, ev.Faults)
	case SourceChanged:
		i.setSource(ev.Source)
	case AddressLost:
		i.addressLost(&t)
	case Reconfigure:
		i.reconfigure(&t, ev.Config)
	case Shutdown:
		i.shutdown(&t)
	case SendStatus:
		i.blocked = ev.Blocked
	case SessionDown:
		i.sessionDown(&t, ev.Neighbor, ev.Silence)
	case SessionUp:
		i.sessionUp(ev.Neighbor)
	case Restrain:
		i.restrain(&t, ev.Restraint)
	case StandDown:
		if i.state == Master {
			i.giveUp(&t)
		}
	case HandOver:
		i.handOver(&t, ev.Force)
	}
	if i.group != nil {
		i.group.demote(&t)
		i.group.report(&t)
	}
	return t.out
}

// expire serves every timer that is due.
func (i *Instance) expire(t *turn) {
	switch i.state {
	case Backup:
		i.expireBackup(t)
	case Master:
		i.expireMaster(t)
	}
}

func (i *Instance) setSource(a netip.Addr) {
	if a = a.WithZone(""); a != i.source {
		i.source = a
		i.wire = nil
	}
}

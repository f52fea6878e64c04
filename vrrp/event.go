package vrrp

import (
	"net/netip"
	"time"
)

// State is a state of the machine. The numbers are those of keepalived's
// status output.
type State uint8

const (
	Init    State = 0
	Backup  State = 1
	Master  State = 2
	Fault   State = 3
	Stopped State = 98
)

// Event is what happened to an instance. Which fields count depends on Kind.
type Event struct {
	Kind EventKind

	Packet    *Packet       // Received: valid only during the call
	Priority  uint8         // PriorityChanged: effective priority, 1 to 254 (255 stays the owner's)
	Faults    Faults        // FaultsChanged: the complete set that holds now
	Source    netip.Addr    // SourceChanged: address adverts are sent from; zero: none
	Hold      time.Duration // Start: ignore adverts and run no timer for so long
	Resume    *Snapshot     // Start: what a predecessor process left; nil: nothing
	Config    *Config       // Reconfigure: same Name and Family
	Restraint Restraint     // Restrain
	Force     bool          // HandOver: end the service even if no other node takes over
	Blocked   bool          // SendStatus: a firewall of this node refuses to send adverts
	Wall      time.Time     // any event: the wall clock, used by HMAC only
	Cause     Cause         // FaultsChanged, PriorityChanged: why, passed on to the transition

	// Of a session that watches a neighbour, such as one of BFD.
	Neighbor netip.Addr    // SessionDown, SessionUp: its address, as the source of adverts
	Silence  time.Duration // SessionDown: how long it was not heard; 0: that was not the reason
}

// EventKind is the kind of an event.
type EventKind uint8

const (
	// Expiry reports that Deadline has been reached.
	Expiry EventKind = iota
	// Start begins the protocol; the first event of an instance.
	Start
	// Received delivers one VRRP packet addressed to this instance.
	Received
	// PriorityChanged sets the effective priority after tracking.
	PriorityChanged
	// FaultsChanged sets the reasons that keep the node from serving. A
	// non-empty set means FAULT; an empty one ends it.
	FaultsChanged
	// SourceChanged sets the address that adverts are sent from.
	SourceChanged
	// AddressLost reports that an address or another tracked object of a master
	// was removed by someone else.
	AddressLost
	// Reconfigure replaces the configuration, keeping the state.
	Reconfigure
	// Shutdown ends the protocol; a master sends priority 0.
	Shutdown
	// SendStatus reports that adverts cannot leave this node, or can again.
	SendStatus
	// SessionDown reports that a session that was up is down.
	SessionDown
	// SessionUp reports that it is up again.
	SessionUp
	// Restrain sets what an operator lets the instance be; also before Start.
	Restrain
	// StandDown has a master end its service, and its sync group, with a gap until a backup
	// serves. Afterwards it is at least LeavesMasters.
	StandDown
	// HandOver has a master leave its service to a backup, make before break; it is for each
	// member of a sync group. It ends with a transition of ReasonHandedOver or with
	// NoteNotTakenOver. Afterwards the instance is at least LeavesMasters. An address owner
	// does not hand over.
	HandOver
)

// Faults is a set of reasons why a node must not serve.
type Faults uint32

const (
	FaultLinkMissing   Faults = 1 << iota // the interface does not exist
	FaultLinkDown                         // the interface is down or has no carrier
	FaultNoSource                         // no usable source address on the interface
	FaultSourceMissing                    // the configured source address is absent
	FaultNoPeers                          // unicast without a peer (unicast_fault_no_peer)
	FaultTracker                          // a tracker of weight 0 is down
	FaultGroup                            // another member of the sync group has a fault (set by the engine)
	FaultConfig                           // the configuration cannot be run
	FaultSocket                           // the sockets could not be opened
	FaultRemoved                          // another program removed what the node must hold as master
)

// Cause is the driver's own account of why a fault or priority changed, for
// example the tracker and its last result. The engine passes it through.
type Cause struct {
	Code       string // stable, for programs: "link-down", "track_script"
	Object     string // what it is about: name of the tracker, interface, address
	Detail     string // for people: such as the last result of the tracker
	Arithmetic string // how a priority came about: "100 - 20 (…) = 80"
}

// Snapshot is what of an instance must outlive its process.
type Snapshot struct {
	State          State
	Priority       uint8         // effective; for status only, as tracking starts again
	LastAdvert     time.Duration // time of the last advert sent as master, on the clock of Step
	AdvertDeadline time.Duration // when the next one is due
	MasterInterval time.Duration // Master_Adver_Interval
	IPID           uint16
	AHSequence     uint32
	HMACSequence   uint64
}

// Action is what the driver must do. Which fields count depends on Kind.
// Instance names the virtual router it is for: members of a sync group act
// on one another's events.
type Action struct {
	Kind     ActionKind
	Note     Note   // Notify
	Reject   Reject // Notify with NoteRejected, Transition with ReasonRejected
	From, To State  // Transition, GroupTransition
	Reason   Reason // Transition
	Priority uint8  // SendAdvert: priority to send; Notify, Transition: the one received
	Instance *Instance
	Group    *SyncGroup    // GroupTransition
	Addr     netip.Addr    // Notify, Transition: the peer concerned
	Count    int           // Announce: packets per address; Notify, Transition: a number belonging to it
	Time     time.Duration // Notify, Transition: a duration belonging to it, such as lateness
	Missed   int           // Notify: how many of the kind were not reported since the last one: see [Limit]
	Quiet    bool          // Announce: not worth a line; what it follows has not been reported either
	Cause    Cause         // Transition
}

// ActionKind is the kind of an action.
type ActionKind uint8

const (
	// SendAdvert: send the advert now, to the group or to each peer; the bytes
	// are those of [Instance.Advert].
	SendAdvert ActionKind = iota
	// Transition: the instance has changed state; log, notify.
	Transition
	// GroupTransition: the sync group has changed state; log, notify.
	GroupTransition
	// SetAddresses: the node shall hold all addresses, routes and rules of the
	// instance.
	SetAddresses
	// ClearAddresses: it shall hold none of them. Pending announcements end.
	ClearAddresses
	// Announce: send Count gratuitous ARPs or neighbour advertisements for each
	// address the node holds, as soon as it holds it.
	Announce
	// Notify: something worth a log line or counter happened; see Note.
	Notify
)

// Reason is why an instance changed state.
type Reason uint8

const (
	ReasonNone Reason = iota
	ReasonStart
	ReasonOwner          // address owner at start
	ReasonMasterDown     // the master, Addr, has been silent for Time
	ReasonPriorityZero   // the master said that it stops, and Skew_Time passed
	ReasonHigherPriority // a master yields to a higher priority
	ReasonHigherAddress  // a master yields to the same priority and a higher address
	ReasonFault          // a fault appeared
	ReasonFaultCleared   // the last fault disappeared
	ReasonGroup          // another member of the sync group changed
	ReasonAddressLost    // anyone else removed an address
	ReasonStall          // the process was stopped for longer than its peers wait
	ReasonResumed        // a new process continues where its predecessor ended
	ReasonShutdown
	ReasonSequenceExhausted // the AH sequence numbers are used up
	ReasonNoMaster          // no master has been heard for Time, since the start or the way into BACKUP
	ReasonPreempt           // the master, Addr, lives and has the lower priority Priority
	ReasonRejected          // Count adverts of Addr have been dropped; the last because of Reject
	ReasonSession           // a session noticed that the master, Addr, was silent for Time
	ReasonHeld              // an operator holds the node in BACKUP
	ReasonHandedOver        // Addr, with Priority, has taken over in a planned switchover
	ReasonFirewall          // nothing has been heard, and a firewall of this node refuses to send
)

// Note is a noteworthy occurrence that is not a change of state. Those that
// packets cause are limited, see [Limit], by their kind.
type Note uint8

const (
	NoteNone                   Note = iota
	NoteMasterDownExpired           // a backup heard no advert (Receive advertisement timeout)
	NotePriorityZeroReceived        // a backup: the master stops
	NoteLowerPriorityDiscarded      // a backup, preempting: advert of Addr with Priority is ignored
	NoteLowerPriorityReceived       // a master: answered by an election (or not: LowerPriorityNoAdvert)
	NoteHigherPriorityReceived      // a master: yields
	NoteHigherAddressReceived       // a master: same priority, higher address: yields
	NoteOwnAddressReceived          // an advert carries our own source address
	NoteMasterChanged               // a backup believes in another master: Addr
	NoteIntervalLearned             // version 3: the master's interval Time replaces the own one
	NotePreemptDelayStarted         // Time: its length
	NotePreemptDelayStopped
	NotePriorityZeroSent
	NotePriorityEffective    // effective priority changed from Count to Priority
	NoteAddressCountMismatch // Count received
	NoteAddressMismatch      // Addr missing in the advert of the master; Count unused
	NoteRejected             // a packet was dropped: see Reject; once per cause and state
	NoteOldChecksumDetected  // unicast peer uses the old checksum; answered in kind
	NoteOwnerConflict        // another owner: we wait, yield or lower our priority; see ConflictWait
	NoteStall                // the process was late by Time
	NoteHoldEnded            // the start-up delay is over
	NoteSequenceExhausted    // AH sequence number reached its end
	NoteClockSkew            // HMAC: the peer's clock is Time away
	NoteNoPreempt            // a backup leaves a master of lower priority alone: nopreempt
	NoteGroupWaits           // a backup would be master, but for the member of its group that Cause names
	NoteHeld                 // a backup hears no master, but an operator holds it in BACKUP
	NoteNotTakenOver         // no other node has taken over within Time: the switchover has ended

	numNotes
)

package lvs

import "net/netip"

// Event is what happened. Which fields count depends on Kind.
type Event struct {
	Kind EventKind

	Config  *Config    // Configure: kept by the engine, must not change any more
	Resume  *Snapshot  // Configure, the first one: what a predecessor process left; nil: nothing
	Check   CheckID    // CheckResult
	Up      bool       // CheckResult: passed
	Weight  Weight     // CheckResult: what the check does to the weight
	Service ServiceID  // Suspend, Unsuspend
	Addr    netip.Addr // AddressChanged
	Present bool       // AddressChanged: it is on this machine now
	Keep    bool       // Shutdown: the kernel's table stays as it is
}

// EventKind is what happened.
type EventKind uint8

const (
	// Configure starts the engine, or gives it another configuration.
	Configure EventKind = iota
	// CheckResult delivers the result of a check, after all retries. Results of
	// suspended and unknown checks are dropped.
	CheckResult
	// AddressChanged reports that an address has come to this machine or left it.
	AddressChanged
	// Suspend stops the checks of a service by order; their states stay.
	Suspend
	// Unsuspend ends what Suspend began. The checks run if HASuspend lets them.
	Unsuspend
	// Shutdown ends the engine. Nothing is in the table any more, unless Keep.
	Shutdown
)

// Weight is what a check does to the weight of its server. The effective weight is
// the configured one plus the differences that the checks make, at least 0.
type Weight struct {
	Kind  WeightKind
	Value int32
}

// WeightKind is how Weight.Value counts.
type WeightKind uint8

const (
	// WeightKeep keeps the difference that the check has made before.
	WeightKeep WeightKind = iota
	// WeightAdd adds Value to the weight (FILE_CHECK); 0 adds nothing any more.
	WeightAdd
	// WeightSet replaces the configured weight with Value (MISC_CHECK with
	// misc_dynamic): the difference is Value − configured weight.
	WeightSet
)

// Action is what the driver must report or do. Which fields count depends on
// Kind.
type Action struct {
	Kind    ActionKind
	Reason  Reason
	Change  PoolChange  // ServerUp, ServerDown, SorryAdded, SorryRemoved
	Service *Service    // all but FlushTable; of the old configuration for what is gone
	Server  *RealServer // the real or sorry server
	Check   CheckID     // CheckActivated, CheckDeactivated, CheckChanged
	Entry   Endpoint    // EndpointGone

	Up            bool // CheckChanged
	ServerChanged bool // CheckChanged: the server goes with it (no_checker_emails: others send no mail)

	From, To int // WeightChanged
	// QuorumGained, QuorumLost: the numbers that decided.
	Sum, Quorum, Hysteresis int64
}

// ActionKind is what to report or do. Each kind has the sentences of keepalived
// that it stands for, where X is a server and V a service. 'mail' is sent if the service
// or server wants it.
type ActionKind uint8

const (
	// FlushTable: remove everything from the kernel's table, also what others put
	// there.
	FlushTable ActionKind = iota
	// CheckActivated: run the check. Log: Activating healthchecker for service X
	// for VS V.
	CheckActivated
	// CheckDeactivated: do not run the check until it is activated. Log: Deactivating
	// healthchecker for service X for VS V.
	CheckDeactivated
	// CheckChanged: the state of a check has changed. Mail: Realserver X of virtual
	// server V - UP (or DOWN), with a body by the kind of check. Its log line
	// depends on the kind of check as well, and comes before the event. There is no
	// CheckChanged when an alpha check fails that has never passed.
	CheckChanged
	// WeightChanged: the weight of a server has changed. Log: Changing weight
	// from A to B for active service X of VS V (inactive: while the server is
	// down, see Up).
	WeightChanged
	// ServerUp: a server is up. Log, by Change: Adding service X to VS V; Enabling
	// service X of VS V. FIFO: RS X V UP. Script: notify_up.
	ServerUp
	// ServerDown: a server is down. Log, by Change: Removing service X from VS V;
	// Disabling service X of VS V; with ReasonShutdown: Shutting down service X
	// from VS V. FIFO: RS X V DOWN. Script: notify_down. Mail with ReasonRemoved:
	// => Removing <=; with ReasonShutdown: => Shutting down <=.
	ServerDown
	// ServerGone: the server has left the configuration. Log: service X no longer
	// exist. ServerDown follows if it was up.
	ServerGone
	// ServiceGone: the service has left the configuration. Log: Removing Virtual
	// Server V. ServerDown of each server that was up and QuorumLost follow.
	ServiceGone
	// EndpointGone: an endpoint has left a group. Log: VS [E] in group V no
	// longer exists.
	EndpointGone
	// QuorumGained: a service has gained its quorum. Log: Gained quorum Q+H=T <= S for VS
	// V. FIFO: VS V UP. Script: quorum_up. Mail: Virtualserver V - UP, with
	// ReasonStart: => Starting with quorum up Q+H=T <= S <=.
	QuorumGained
	// QuorumLost: a service has lost its quorum. Log, with ReasonCheck and
	// ReasonReload: Lost quorum Q-H=T > S for VS V; with ReasonStart: Starting with
	// quorum down Q-H=T > S for VS V. FIFO: VS V DOWN. Script: quorum_down. Mail, but
	// with ReasonShutdown: Virtualserver V - DOWN.
	QuorumLost
	// SorryAdded: the sorry server enters the pool. Log, by Change: Adding sorry server
	// X to VS V; Enabling sorry server X to VS V.
	SorryAdded
	// SorryRemoved: the sorry server leaves the pool. Log, by Change: Removing sorry
	// server X from VS V; Disabling sorry server X from VS V.
	SorryRemoved
	// PoolRemoved: the real servers leave the pool to the sorry server. Log:
	// Removing alive servers from the pool for VS V.
	PoolRemoved
	// PoolAdded: the real servers return to the pool. Log: Adding alive servers to the pool for VS V.
	PoolAdded
)

// Reason is why an action came about.
type Reason uint8

const (
	ReasonNone     Reason = iota
	ReasonCheck           // the result of a check
	ReasonStart           // the service is new
	ReasonReload          // the configuration has changed
	ReasonRemoved         // the server or service has left the configuration
	ReasonShutdown        // the engine ends
)

// PoolChange is what happens to a server in the table.
type PoolChange uint8

const (
	PoolUnchanged PoolChange = iota // nothing
	PoolEntry                       // it is added or removed
	PoolWeight                      // it stays, and gets its weight or 0 (Inhibit)
)

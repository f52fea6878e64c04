package bfd

import "time"

// EventKind is what happens to a session.
type EventKind uint8

const (
	Expiry       EventKind = iota // Deadline has come
	Start                         // begins; with Resume as the successor of another
	Received                      // Packet with TTL
	EchoReceived                  // Echo has come back
	Verify                        // in demand mode: is the neighbour alive?
	PathFailed                    // something else knows why the session cannot be Up: Diag
	Enable                        // ends Disable
	Disable                       // the session is administratively down (RFC 5880, 6.8.16)
	Reconfigure                   // Config
	Shutdown                      // the session ends: the neighbour is informed, if need be Within, then comes Stopped
)

// Event is an input of [Session.Step]; fields that its Kind does not name are zero.
type Event struct {
	Kind   EventKind
	Packet *Packet // read only during Step
	TTL    uint8
	Echo   Echo
	Diag   Diag
	Config *Config
	Resume *Snapshot

	// Within is how long a Shutdown may take at most. 0: as long as the neighbour waits
	// for a packet. A Shutdown that follows another one can shorten it.
	Within time.Duration
}

// ActionKind is what a driver must do.
type ActionKind uint8

const (
	SendControl ActionKind = iota // one packet of AppendControl with Poll and Final
	SendEcho                      // one packet of AppendEcho
	Transition                    // from From to To: Diag, RemoteDiag

	Expired       // Time was the detection time, over since Late; a Transition follows
	EchoExpired   // the same of echo packets
	TimersChanged // the detection time (of the neighbour's packets) was Was, is Time
	IntervalSet   // the interval of sent packets was Was, is Time
	PollBegun     // a poll sequence (RFC 5880, 6.5)
	PollEnded
	NeighborKnown // Number is its discriminator; 0: it is forgotten

	Stopped // after Shutdown: nothing more is sent
)

// Action is an output of [Session.Step]; fields that its Kind does not name are zero.
type Action struct {
	Kind             ActionKind
	Poll, Final      bool
	From, To         State
	Diag, RemoteDiag Diag
	Was, Time, Late  time.Duration
	Number           uint32
}

// Snapshot is what a successor needs to continue a session.
type Snapshot struct {
	State, RemoteState State
	Discriminator      uint32
	RemoteDiscr        uint32
	RemoteMinTx        time.Duration
	RemoteMinRx        time.Duration
	RemoteMult         uint8
	RemoteDemand       bool
	Sequence           uint32 // of the last packet with a digest
}

// Stats are counters of a session.
type Stats struct {
	Sent, Received uint64 // control packets; Received without those of Rejected
	Rejected       [Rejects]uint64
	EchoSent       uint64
	EchoReceived   uint64
	Ups, Downs     uint64 // changes to Up, and from Up
}

package status

import (
	"time"

	"keepalived-go/conf"
)

// Sessions is what the BFD process knows.
type Sessions struct {
	At   time.Time
	Conf *conf.Config // in force

	NetNamespace string // the process runs in; empty: that of its caller

	// List has the sessions in the order of the configuration. It is nil before they
	// have begun: then only what is configured is known.
	List []BFDSession
	Loop Loop
}

// Count is how often something of that name has happened.
type Count struct {
	Name string
	N    uint64
}

// BFDSession is a bfd_instance that runs.
type BFDSession struct {
	Conf *conf.BFDInstance

	SendError  bool // no socket, or the last packet could not be sent
	SourcePort int
	Unknown    bool // a predecessor had it, and it has not been up since

	State, RemoteState       string // as RFC 5880 names them
	Diag, RemoteDiag         string
	Discriminator, Remote    uint32
	RemoteMinTx, RemoteMinRx time.Duration
	RemoteMult               uint8
	Polling                  bool
	Tx, RemoteTx             time.Duration // intervals
	Detection, RemoteDetects time.Duration
	Seen                     time.Time // the last packet; zero: none

	Sent, Received uint64 // packets; Received without those of Dropped
	Ups, Downs     uint64 // changes to Up, and from Up
	Dropped        []Count
}

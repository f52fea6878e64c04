package conf

import (
	"net/netip"
	"time"
)

// BFDInstance is one bfd_instance block with effective values.
type BFDInstance struct {
	Name string // at most 31 bytes
	Pos  Pos

	Neighbor   netip.Addr
	Source     netip.Addr    // of the family of Neighbor; zero: any
	MinRx      time.Duration // shortest interval it can receive at; default 10 ms
	MinTx      time.Duration // shortest interval it wants to send at; default 10 ms
	IdleTx     time.Duration // interval while the session is not up, at least 1 s
	Multiplier uint8         // packets that must be missed; default 5
	Passive    bool          // wait for the neighbour to begin
	TTL        uint8         // of sent packets; default 255
	// MaxHops is by how much the TTL of a received packet may be below TTL. At
	// TTL anything is accepted.
	MaxHops  uint8
	MultiHop bool // use the port of multihop sessions

	Weight  int // of track_bfd lines that have none; 0: down is a fault
	Reverse bool
	// VRRP and Checker choose the processes that are notified.
	VRRP, Checker bool
}

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
	Auth     BFDAuth

	Weight  int // of track_bfd lines that have none; 0: down is a fault
	Reverse bool
	// VRRP and Checker choose the processes that are notified.
	VRRP, Checker bool
}

// BFDAuthType is the type of authentication of a BFD session (RFC 5880, 4.1).
type BFDAuthType uint8

const (
	BFDAuthNone BFDAuthType = iota
	BFDAuthSimple
	BFDAuthMD5
	BFDAuthMeticulousMD5
	BFDAuthSHA1
	BFDAuthMeticulousSHA1
)

// MaxKey is how long a key of the type can be, in bytes (RFC 5880, 4.2 to 4.4).
func (t BFDAuthType) MaxKey() int {
	switch t {
	case BFDAuthNone:
		return 0
	case BFDAuthSHA1, BFDAuthMeticulousSHA1:
		return 20
	}
	return 16
}

// BFDAuth is the authentication block of a bfd_instance.
type BFDAuth struct {
	Type    BFDAuthType
	SendKey uint8            // number of the key of sent packets
	Keys    map[uint8]Secret // accepted ones, of 1 to MaxKey bytes
}

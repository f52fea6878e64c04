package bfd

import (
	"encoding/binary"
	"time"
)

// Ports of UDP (RFC 5881, 4; RFC 5883, 5).
const (
	PortControl  = 3784 // single hop
	PortEcho     = 3785
	PortMultihop = 4784

	// A session sends from one port of this range (RFC 5881, 4).
	MinSourcePort, MaxSourcePort = 49152, 65535
)

// SingleHopTTL is the TTL or hop limit of sent packets of a single-hop session, and
// the only one that is accepted (RFC 5881, 5; RFC 5082).
const SingleHopTTL = 255

// MaxControl is the length of the longest control packet, in bytes.
const MaxControl = lenControl + lenSHA1

const (
	protocolVersion = 1
	lenControl      = 24 // without authentication

	flagPoll       = 0x20
	flagFinal      = 0x10
	flagPlane      = 0x08
	flagAuth       = 0x04
	flagDemand     = 0x02
	flagMultipoint = 0x01
)

// State is the state of a session (RFC 5880, 4.1 and 6.2), as in packets.
type State uint8

const (
	AdminDown State = iota
	Down
	Init
	Up
)

// Diag is why a session was last in state Down or AdminDown (RFC 5880, 4.1).
type Diag uint8

const (
	DiagNone             Diag = iota
	DiagExpired               // the detection time is over
	DiagEchoFailed            // echo packets do not come back
	DiagNeighbor              // the neighbour has signalled that the session is down
	DiagPlaneReset            // the forwarding plane was reset
	DiagPathDown              // something else knows that the path is down
	DiagConcatenatedDown      // a path that this one leads to is down
	DiagAdminDown             // the session is disabled
	DiagReverseDown           // a path that leads to this one is down

	maxDiag = 31 // of a packet
)

// Packet is a control packet (RFC 5880, 4.1). Times have a resolution of one
// microsecond and are at most [MaxInterval].
type Packet struct {
	State State
	Diag  Diag

	Poll, Final       bool
	ControlPlaneApart bool // C: the sender's forwarding outlives its control plane
	Demand            bool

	DetectMult        uint8
	MyDiscriminator   uint32
	YourDiscriminator uint32 // 0: the sender does not know it

	DesiredMinTx      time.Duration
	RequiredMinRx     time.Duration // 0: the sender receives no periodic packets
	RequiredMinEchoRx time.Duration // 0: the sender does not return echo packets

	Auth AuthSection
}

// AuthSection is the authentication section of a packet (RFC 5880, 4.2 to 4.4). Its
// Type is AuthNone if the packet has none.
type AuthSection struct {
	Type     AuthType
	KeyID    uint8
	Sequence uint32 // of the types with a digest
	// wire is the whole packet, in the buffer it was parsed from: the digest covers
	// it.
	wire []byte
}

// MaxInterval is the longest time that a packet can carry.
const MaxInterval = time.Duration(1<<32-1) * time.Microsecond

// Parse reads the UDP payload b into p, with the checks that need no session (RFC
// 5880, 6.8.6). Anything but RejectNone means that p must not be used. p refers to
// b. Bytes beyond the length field are ignored.
func Parse(b []byte, p *Packet) Reject {
	if len(b) < lenControl {
		return RejectShort
	}
	flags, length := b[1], int(b[3])
	least := lenControl
	if flags&flagAuth != 0 {
		least += 2
	}
	switch {
	case b[0]>>5 != protocolVersion:
		return RejectVersion
	case length < least || length > len(b):
		return RejectLength
	case b[2] == 0:
		return RejectMultiplier
	case flags&flagMultipoint != 0:
		return RejectMultipoint
	case flags&flagPoll != 0 && flags&flagFinal != 0:
		return RejectPollFinal
	}
	*p = Packet{
		State:             State(flags >> 6),
		Diag:              Diag(b[0] & maxDiag),
		Poll:              flags&flagPoll != 0,
		Final:             flags&flagFinal != 0,
		ControlPlaneApart: flags&flagPlane != 0,
		Demand:            flags&flagDemand != 0,
		DetectMult:        b[2],
		MyDiscriminator:   binary.BigEndian.Uint32(b[4:]),
		YourDiscriminator: binary.BigEndian.Uint32(b[8:]),
		DesiredMinTx:      interval(b[12:]),
		RequiredMinRx:     interval(b[16:]),
		RequiredMinEchoRx: interval(b[20:]),
	}
	switch {
	case p.MyDiscriminator == 0:
		return RejectMyDiscriminator
	case p.YourDiscriminator == 0 && p.State != Down && p.State != AdminDown:
		return RejectYourDiscriminator
	}
	if flags&flagAuth != 0 {
		return parseAuth(b[:length:length], &p.Auth)
	}
	return RejectNone
}

func interval(b []byte) time.Duration {
	return time.Duration(binary.BigEndian.Uint32(b)) * time.Microsecond
}

// Append appends p to b, without its authentication: only a session has the keys.
func (p *Packet) Append(b []byte) []byte {
	flags := byte(p.State) << 6
	for _, f := range [...]struct {
		on   bool
		flag byte
	}{{p.Poll, flagPoll}, {p.Final, flagFinal}, {p.ControlPlaneApart, flagPlane}, {p.Demand, flagDemand}} {
		if f.on {
			flags |= f.flag
		}
	}
	b = append(b, protocolVersion<<5|byte(p.Diag)&maxDiag, flags, p.DetectMult, lenControl)
	b = binary.BigEndian.AppendUint32(b, p.MyDiscriminator)
	b = binary.BigEndian.AppendUint32(b, p.YourDiscriminator)
	for _, t := range [...]time.Duration{p.DesiredMinTx, p.RequiredMinRx, p.RequiredMinEchoRx} {
		b = binary.BigEndian.AppendUint32(b, uint32(min(max(t, 0), MaxInterval)/time.Microsecond))
	}
	return b
}

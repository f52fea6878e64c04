package bfd

import (
	"encoding/binary"
	"time"
)

// LenEcho is the length of an echo packet, in bytes. What is in it concerns nobody
// but its sender (RFC 5880, 5).
const LenEcho = 16

// Echo is an echo packet of a [Session].
type Echo struct {
	Discriminator uint32 // of the session
	Sequence      uint32
	Cookie        uint64 // known only to nodes that see the packets
}

// ParseEcho reads an echo packet that has come back, and reports whether it can be
// one.
func ParseEcho(b []byte) (Echo, bool) {
	if len(b) != LenEcho {
		return Echo{}, false
	}
	return Echo{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint64(b[8:])}, true
}

// AppendEcho appends the packet that a SendEcho asks for to b.
func (s *Session) AppendEcho(b []byte) []byte {
	s.stats.EchoSent++
	b = binary.BigEndian.AppendUint32(b, s.cfg.Discriminator)
	b = binary.BigEndian.AppendUint32(b, s.echoSeq)
	return binary.BigEndian.AppendUint64(b, s.cookie)
}

func (s *Session) echoPatience() time.Duration {
	return time.Duration(s.cfg.DetectMult) * s.echoEvery
}

// receiveEcho is an echo packet that has come back (RFC 5880, 6.8.8). One of the last
// that were sent counts: an old one proves nothing of now.
func (s *Session) receiveEcho(t *turn, e Echo) {
	if s.echoEvery == 0 || e.Discriminator != s.cfg.Discriminator || e.Cookie != s.cookie ||
		s.echoSeq-e.Sequence >= uint32(s.cfg.DetectMult) {
		return
	}
	s.stats.EchoReceived++
	s.echoDetect = t.now + s.echoPatience()
}

// settleEcho begins, ends and paces the echo packets (RFC 5880, 6.8.9): they are sent
// while Up, to a neighbour that returns them, no faster than it does.
func (s *Session) settleEcho(t *turn) {
	every := time.Duration(0)
	if s.state == Up && s.cfg.EchoTx > 0 && s.remoteMinEcho > 0 {
		every = max(s.cfg.EchoTx, s.remoteMinEcho)
	}
	if every == s.echoEvery {
		return
	}
	s.echoEvery = every
	if every == 0 {
		s.nextEcho, s.echoDetect = never, never
		return
	}
	s.nextEcho, s.echoDetect = t.now, t.now+s.echoPatience()
}

package vrrp

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"hash"
	"math"
	"net/netip"
)

// ahState is the authentication header of RFC 2338, 5.3.6.3: HMAC-MD5-96
// (RFC 2403) over the IP header, whose fields that change on the way count as
// zero, the authentication header and the message.
type ahState struct {
	hash     hash.Hash
	key      [8]byte
	sequence uint32     // last one sent
	heard    uint32     // last one accepted
	from     netip.Addr // its sender
	header   [lenIPv4]byte
	digest   [md5.Size]byte
}

// lenICV is the length of the integrity check value, and offsetICV where it
// stands in the authentication header.
const (
	lenICV    = 12
	offsetICV = lenAH - lenICV
)

var zero [16]byte

func (i *Instance) prepareAH() {
	if i.cfg.Auth != AuthAH {
		i.ah = nil
		return
	}
	if i.ah == nil {
		i.ah = &ahState{}
	}
	if i.ah.hash == nil || i.ah.key != i.cfg.Key {
		i.ah.key = i.cfg.Key
		i.ah.hash = hmac.New(md5.New, i.ah.key[:])
	}
}

// icv returns the integrity check value of a packet in parts.
func (a *ahState) icv(ip, ah, message []byte, unicast bool) []byte {
	copy(a.header[:], ip)
	a.header[1] = 0                   // type of service
	a.header[6], a.header[7] = 0, 0   // flags and fragment offset
	a.header[10], a.header[11] = 0, 0 // checksum
	if unicast {
		a.header[8] = 0 // multicast never leaves the link: its TTL is protected
	}
	a.hash.Reset()
	a.hash.Write(a.header[:])
	a.hash.Write(ah[:offsetICV])
	a.hash.Write(zero[:lenICV])
	a.hash.Write(message)
	return a.hash.Sum(a.digest[:0])[:lenICV]
}

// authenticate completes the authentication header of b, a whole packet. The
// copies of one advert bear the same sequence number.
func (a *ahState) authenticate(b []byte, next, unicast bool) {
	if next && a.sequence != math.MaxUint32 {
		a.sequence++
	}
	ah, message := b[lenIPv4:lenIPv4+lenAH], b[lenIPv4+lenAH:]
	binary.BigEndian.PutUint32(ah[8:], a.sequence)
	copy(ah[offsetICV:], a.icv(b[:lenIPv4], ah, message, unicast))
}

// verify checks the authentication header of p and keeps its sequence number.
// The first packet of another sender begins a new sequence, and so does the
// one after a priority 0.
func (a *ahState) verify(p *Packet, stopping bool) Reject {
	ah, message := p.Payload[:lenAH], p.Payload[lenAH:]
	if len(p.IPHeader) != lenIPv4 ||
		!hmac.Equal(ah[offsetICV:], a.icv(p.IPHeader, ah, message, !p.Multicast)) {
		return RejectAHDigest
	}
	src := p.Src.As4()
	if [4]byte(ah[4:8]) != src {
		return RejectAHSPI
	}
	sequence := binary.BigEndian.Uint32(ah[8:])
	if a.from == p.Src && !stopping && sequence <= a.heard {
		return RejectAHReplayed
	}
	a.from, a.heard = p.Src, sequence
	return RejectNone
}

// goOn makes the next sequence number greater than any that was heard, for
// peers accept nothing else from the master.
func (a *ahState) goOn() { a.sequence = max(a.sequence, a.heard) }

// exhausted ends a mastership whose sequence numbers are used up: the number
// must not wrap (RFC 2402, 3.3.2). They begin anew with the next one.
func (i *Instance) exhausted(t *turn) {
	i.ah.sequence, i.ah.heard, i.ah.from = 0, 0, netip.Addr{}
	i.note(t, Action{Note: NoteSequenceExhausted})
	i.release(t)
	i.announceSecond = never
	i.enterBackup(t)
	i.become(t, Backup, Action{Reason: ReasonSequenceExhausted})
}

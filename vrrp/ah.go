package vrrp

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"hash"
	"math"
)

// ahState is the authentication header of RFC 2338, 5.3.6.3: HMAC-MD5-96
// (RFC 2403) over the IP header, whose fields that change on the way count as
// zero, the authentication header and the message.
//
// One sequence number serves the whole virtual router, whoever is its master:
// no one accepts a number that is not greater than the greatest it has sent or
// accepted so far, and each new master counts on from there. So a recording of
// a master that has stopped, died or yielded is as old as one of the present
// master. The number outlives FAULT, a reload and, as far as the journal goes,
// the process; the first one after a start is taken as it comes.
type ahState struct {
	hash     hash.Hash
	key      [8]byte
	sequence uint32 // greatest one sent or accepted
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

// verifyAH checks the authentication header of p and keeps its sequence number.
// A master takes its own number from another one, too: after a split two
// masters may count in step, and each would refuse the other for ever.
func (i *Instance) verifyAH(p *Packet) refusal {
	a := i.ah
	ah, message := p.Payload[:lenAH], p.Payload[lenAH:]
	if len(p.IPHeader) != lenIPv4 ||
		!hmac.Equal(ah[offsetICV:], a.icv(p.IPHeader, ah, message, !p.Multicast)) {
		return refusal{reject: RejectAHDigest}
	}
	src := p.Src.As4()
	if [4]byte(ah[4:8]) != src {
		return refusal{reject: RejectAHSPI}
	}
	sequence := binary.BigEndian.Uint32(ah[8:])
	if sequence < a.sequence || sequence == a.sequence && i.state != Master {
		return refusal{reject: RejectAHReplayed, count: int(sequence)}
	}
	a.sequence = sequence
	return refusal{}
}

// restart begins the numbers again for a mastership when they are used up.
func (a *ahState) restart() {
	if a.sequence == math.MaxUint32 {
		a.sequence = 0
	}
}

// exhausted ends a mastership whose sequence numbers are used up: the number
// must not wrap (RFC 2402, 3.3.2). The next master begins again.
func (i *Instance) exhausted(t *turn) {
	i.note(t, Action{Note: NoteSequenceExhausted})
	i.release(t)
	i.announceSecond = never
	i.enterBackup(t)
	i.become(t, Backup, Action{Reason: ReasonSequenceExhausted})
}

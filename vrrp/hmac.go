package vrrp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"net/netip"
	"time"
)

// The HMAC trailer follows the VRRP message in both versions and families:
//
//	 0                   1                   2                   3
//	+---------------+---------------+-------------------------------+
//	|    type 1     |    key id     |           reserved            |
//	+---------------+---------------+-------------------------------+
//	|                          seconds, UTC                         |
//	+-------------------------------+-------------------------------+
//	|     fraction of a second      |            counter            |
//	+-------------------------------+-------------------------------+
//	|           HMAC-SHA-256, truncated to 128 bits                 |
//	|                             ...                               |
//	+---------------------------------------------------------------+
//
// Seconds, fraction (in 1/65536) and counter are one 64-bit sequence number,
// which follows the clock and never repeats. The code covers a pseudo-header
// {family, version, VRID, 0, source in 16 bytes}, the message with a zero
// checksum, and the trailer with a zero code.

const (
	trailerType = 1
	offsetMAC   = 12
	lenMAC      = 16
)

// hmacState is the trailer's state.
type hmacState struct {
	keys     []hmacKey
	sequence uint64    // last one sent
	seen     [4]replay // multicast: the sources heard last, the latest first
	pseudo   [20]byte
	digest   [sha256.Size]byte
	trailer  [lenTrailer]byte // of the advert being sent, the same for each peer
}

type hmacKey struct {
	id   uint8
	hash hash.Hash
}

// replay is the last sequence number of one source.
type replay struct {
	src      netip.Addr
	sequence uint64
	at       time.Duration
}

func (i *Instance) prepareHMAC() {
	if i.cfg.HMAC.Mode == HMACOff {
		i.hmac = nil
		return
	}
	if i.hmac == nil {
		i.hmac = &hmacState{}
	}
	i.hmac.keys = make([]hmacKey, 0, len(i.cfg.HMAC.Keys))
	for id, key := range i.cfg.HMAC.Keys {
		i.hmac.keys = append(i.hmac.keys, hmacKey{id, hmac.New(sha256.New, key)})
	}
}

// window returns the accepted distance between the sender's clock and ours.
func (i *Instance) window() time.Duration {
	if w := i.cfg.HMAC.Window; w > 0 {
		return w
	}
	return min(max(3*i.cfg.AdvertInterval, 5*time.Second), 300*time.Second)
}

func (h *hmacState) key(id uint8) hash.Hash {
	for k := range h.keys {
		if h.keys[k].id == id {
			return h.keys[k].hash
		}
	}
	return nil
}

// mac returns the code of a message and its trailer.
func (h *hmacState) mac(key hash.Hash, src netip.Addr, message, trailer []byte) []byte {
	clear(h.pseudo[:])
	if src.Is4() {
		h.pseudo[0] = uint8(IPv4)
		b := src.As4()
		copy(h.pseudo[4:], b[:])
	} else {
		h.pseudo[0] = uint8(IPv6)
		b := src.As16()
		copy(h.pseudo[4:], b[:])
	}
	h.pseudo[1] = message[0] >> 4
	h.pseudo[2] = message[1]
	key.Reset()
	key.Write(h.pseudo[:])
	key.Write(message[:6])
	key.Write(zero[:2]) // the checksum
	key.Write(message[8:])
	key.Write(trailer[:offsetMAC])
	key.Write(zero[:lenMAC])
	return key.Sum(h.digest[:0])[:lenMAC]
}

// age returns how long before wall a sequence number was given out, in whole
// seconds; it is negative when its clock was ahead.
func age(sequence uint64, wall time.Time) time.Duration {
	return time.Duration(int32(uint32(wall.Unix())-uint32(sequence>>32))) * time.Second
}

// clock returns wall as a sequence number with counter 0.
func clock(wall time.Time) uint64 {
	return uint64(uint32(wall.Unix()))<<32 | uint64(wall.Nanosecond())<<16/1e9<<16
}

// sign writes the trailer. An advert is signed once; each peer gets the same.
func (i *Instance) sign(message, trailer []byte, next bool, wall time.Time) {
	h := i.hmac
	key := h.key(i.cfg.HMAC.SendKey)
	if key == nil {
		clear(trailer) // refused by the peers; the configuration has no such key
		return
	}
	if !next {
		copy(trailer, h.trailer[:])
		return
	}
	now := clock(wall)
	ahead := int64(h.sequence - now) // serial arithmetic (RFC 1982)
	switch {
	case h.sequence == 0, ahead < 0:
		h.sequence = now
	case !i.cfg.HMAC.Monotonic && time.Duration(ahead>>32)*time.Second > i.window():
		h.sequence = now // the clock was set back; peers forget after the window
	default:
		h.sequence++
	}
	h.trailer[0] = trailerType
	h.trailer[1] = i.cfg.HMAC.SendKey
	binary.BigEndian.PutUint64(h.trailer[4:], h.sequence)
	copy(h.trailer[offsetMAC:], h.mac(key, i.source, message, h.trailer[:]))
	copy(trailer, h.trailer[:])
}

// verifyTrailer checks the trailer of a message, which is absent unless
// signed.
func (i *Instance) verifyTrailer(t *turn, p *Packet, message, trailer []byte, signed bool, peer int) refusal {
	h := i.hmac
	if !signed {
		if i.cfg.HMAC.Mode == HMACEnforce {
			return refusal{reject: RejectHMACMissing}
		}
		return refusal{}
	}
	if i.cfg.Unicast && peer < 0 {
		return refusal{reject: RejectHMACNotPeer}
	}
	if trailer[0] != trailerType || trailer[2] != 0 || trailer[3] != 0 {
		return refusal{reject: RejectHMACMalformed, count: int(trailer[0])}
	}
	sequence := binary.BigEndian.Uint64(trailer[4:])
	window := i.window()
	skew := -age(sequence, t.wall)
	if !i.cfg.HMAC.Monotonic && skew.Abs() > window {
		return refusal{reject: RejectHMACStale, time: skew, count: int(window / time.Second)}
	}
	key := h.key(trailer[1])
	if key == nil {
		return refusal{reject: RejectHMACUnknownKey, count: int(trailer[1])}
	}
	if !hmac.Equal(trailer[offsetMAC:], h.mac(key, p.Src, message, trailer)) {
		return refusal{reject: RejectHMACInvalid, count: int(trailer[1])}
	}
	var last *replay
	if i.cfg.Unicast {
		last = &i.peers[peer].replay
	} else {
		last = h.source(p.Src)
	}
	// An entry is forgotten when its number is too old to be repeated: by our
	// clock, which the sender's may be ahead of.
	expired := !i.cfg.HMAC.Monotonic && t.now-last.at > window && age(last.sequence, t.wall) > window
	if last.src == p.Src && !expired && int64(sequence-last.sequence) <= 0 {
		return refusal{reject: RejectHMACReplayed}
	}
	*last = replay{src: p.Src, sequence: sequence, at: t.now}
	if !i.cfg.HMAC.Monotonic && skew.Abs() > window/2 {
		i.noteOnce(t, Action{Note: NoteClockSkew, Addr: p.Src, Time: skew})
	}
	return refusal{}
}

// source returns the entry of a multicast source at the front of the list; a
// new source takes the place of the one heard longest ago.
func (h *hmacState) source(a netip.Addr) *replay {
	n := len(h.seen) - 1
	for k := range h.seen {
		if h.seen[k].src == a {
			n = k
			break
		}
	}
	entry := h.seen[n]
	if entry.src != a {
		entry = replay{}
	}
	copy(h.seen[1:n+1], h.seen[:n])
	h.seen[0] = entry
	return &h.seen[0]
}

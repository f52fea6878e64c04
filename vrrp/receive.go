package vrrp

import (
	"bytes"
	"crypto/subtle"
	"time"
)

// advert is the content of an accepted packet.
type advert struct {
	priority uint8
	interval time.Duration
	count    int
	addrs    []byte // count addresses in wire form
}

// refusal is why a packet was dropped, with a number and a duration that
// belong to the reason.
type refusal struct {
	reject Reject
	count  int
	time   time.Duration
}

// receive is one packet. Nothing is heard before the start, in FAULT, or
// during the start-up delay.
func (i *Instance) receive(t *turn, p *Packet) {
	switch {
	case p == nil || p.check() != RejectNone:
		i.reject(RejectShort)
		return
	case i.state != Backup && i.state != Master, i.state == Backup && i.hold != never:
		i.reject(RejectInactive)
		return
	}
	var adv advert
	if why := i.validate(t, p, &adv); why.reject != RejectNone {
		i.refuse(t, p, why)
		return
	}
	trusted := i.cfg.SkipCheckAdvertAddresses && p.Src == i.master
	i.counts.AdvertsReceived++
	if adv.priority == 0 {
		i.counts.PriorityZeroReceived++
	}
	if i.state == Master {
		i.masterReceived(t, p, adv)
	} else {
		i.backupReceived(t, p, adv)
	}
	if !trusted {
		i.checkAddresses(t, p, adv)
	}
}

// refuse counts a dropped packet, and reports the first of each kind since
// state or master changed.
func (i *Instance) refuse(t *turn, p *Packet, why refusal) {
	i.reject(why.reject)
	i.account.refuse(t.now, p, why.reject)
	switch why.reject {
	case RejectOwnAddress:
		i.noteOnce(t, Action{Note: NoteOwnAddressReceived, Addr: p.Src, Priority: p.Priority()})
		return
	case RejectOwner, RejectVRID:
		return // as configured; as delivered
	}
	i.noteOnce(t, Action{
		Note: NoteRejected, Reject: why.reject, Addr: p.Src, Priority: p.Priority(),
		Count: why.count, Time: why.time,
	})
}

// validate checks a packet in keepalived's order, which decides what is
// counted (compare RFC 9568, 7.1), and reads it into adv.
func (i *Instance) validate(t *turn, p *Packet, adv *advert) refusal {
	c := &i.cfg
	m := p.message()
	switch {
	case m[1] != c.VRID:
		return refusal{reject: RejectVRID, count: int(m[1])}
	case p.Src.Is4() != (c.Family == IPv4):
		return refusal{reject: RejectFamily}
	case p.Src == i.source:
		return refusal{reject: RejectOwnAddress}
	case (p.Protocol == protocolAH) != (c.Auth == AuthAH):
		return refusal{reject: RejectAuthMismatch, count: int(m[4])}
	}

	version := m[0] >> 4
	adv.priority = m[2]
	adv.count = int(m[3])
	listEnd := lenVRRP + adv.count*c.Family.size()
	end := listEnd
	if version == 2 && c.Family == IPv4 {
		end += lenAuthData
	}
	if len(m) < end {
		return refusal{reject: RejectLength, count: len(m)}
	}
	adv.addrs = m[lenVRRP:listEnd]
	signed := i.hmac != nil && len(m) == end+lenTrailer
	peer := i.findPeer(p.Src)

	if p.Multicast && p.TTL != 255 {
		return refusal{reject: RejectTTL, count: int(p.TTL)}
	}
	if version != c.Version {
		return refusal{reject: RejectVersion, count: int(version)}
	}
	if i.hmac != nil {
		if why := i.verifyTrailer(t, p, m[:end], m[end:], signed, peer); why.reject != RejectNone {
			return why
		}
	}
	if version == 2 {
		if why := i.verifyAuth(p, m, m[end-lenAuthData:end]); why.reject != RejectNone {
			return why
		}
		adv.interval = time.Duration(m[5]) * time.Second
		if adv.interval != c.AdvertInterval {
			return refusal{reject: RejectInterval, count: int(m[5]), time: adv.interval}
		}
	} else {
		adv.interval = time.Duration(uint(m[4]&0x0f)<<8|uint(m[5])) * centisecond
		if adv.interval == 0 {
			// A Master_Down_Interval of nothing would have everybody preempt.
			return refusal{reject: RejectInterval}
		}
	}
	if m[0]&0x0f != typeAdvert {
		return refusal{reject: RejectType, count: int(m[0] & 0x0f)}
	}
	if len(m) != end && !signed {
		return refusal{reject: RejectTotalLength, count: len(m)}
	}
	if !i.verifyChecksum(t, p, m, m[:end], peer) {
		return refusal{reject: RejectChecksum}
	}
	if p.Multicast == c.Unicast || p.Multicast && c.Group.IsValid() && p.Dst != c.Group {
		return refusal{reject: RejectDestination}
	}
	if c.OwnerIgnoreAdverts && c.Priority == PriorityOwner {
		return refusal{reject: RejectOwner}
	}
	if c.Unicast {
		if peer < 0 {
			if c.CheckUnicastSource {
				return refusal{reject: RejectNotPeer}
			}
		} else if b := &c.Peers[peer]; p.TTL < b.MinTTL || b.MaxTTL != 0 && p.TTL > b.MaxTTL {
			return refusal{reject: RejectPeerTTL, count: int(p.TTL)}
		}
	}
	return refusal{}
}

// verifyAuth checks the authentication of version 2 (RFC 2338, 5.3.6). Over
// IPv6 the type must be none.
func (i *Instance) verifyAuth(p *Packet, m, data []byte) refusal {
	kind := m[4]
	if kind > uint8(AuthAH) {
		return refusal{reject: RejectAuthType, count: int(kind)}
	}
	if kind != uint8(i.cfg.Auth) {
		return refusal{reject: RejectAuthMismatch, count: int(kind)}
	}
	switch i.cfg.Auth {
	case AuthPass:
		if subtle.ConstantTimeCompare(data, i.cfg.Key[:]) == 0 {
			return refusal{reject: RejectPassword}
		}
	case AuthAH:
		return i.verifyAH(p)
	}
	return refusal{}
}

// verifyChecksum checks the sum over all, the message with what follows it.
// IPv4 leaves out a trailer, and version 3 over IPv4 has had several forms:
// with a pseudo-header (keepalived, and RFC 5798 as many read it), without
// (RFC 9568, 5.2.8), and with the multicast group for the destination of a
// unicast packet (old keepalived).
func (i *Instance) verifyChecksum(t *turn, p *Packet, all, message []byte, peer int) bool {
	c := &i.cfg
	if c.Family == IPv6 {
		return fold(sum(sumPseudo(p.Src, p.Dst, len(all)), all)) == 0
	}
	bare := sum(0, message)
	if c.Version == 2 {
		return fold(bare) == 0
	}
	if fold(bare+sumPseudo(p.Src, p.Dst, len(message))) == 0 {
		if peer >= 0 && i.peers[peer].oldChecksum && c.OldUnicastChecksum == OldChecksumAuto {
			i.peers[peer].oldChecksum = false // it has been upgraded
			i.wire = nil
		}
		return true
	}
	if fold(bare) == 0 {
		return true
	}
	if !c.Unicast || c.OldUnicastChecksum == OldChecksumNever ||
		fold(bare+sumPseudo(p.Src, groupIPv4, len(message))) != 0 {
		return false
	}
	if c.OldUnicastChecksum == OldChecksumAuto && peer >= 0 && !i.peers[peer].oldChecksum {
		i.peers[peer].oldChecksum = true
		i.wire = nil
		i.note(t, Action{Note: NoteOldChecksumDetected, Addr: p.Src})
	}
	return true
}

// checkAddresses compares the advertised addresses with ours, in any order.
// A difference is a mistake of configuration that would only become worse by
// a second master, so it is reported and the advert used (RFC 9568, 7.1).
func (i *Instance) checkAddresses(t *turn, p *Packet, adv advert) {
	if bytes.Equal(adv.addrs, i.addrs) {
		return
	}
	advertised := i.cfg.Advertised()
	if adv.count != len(advertised) {
		i.counts.AddressListErrors++
		i.noteOnce(t, Action{Note: NoteAddressCountMismatch, Addr: p.Src, Count: adv.count})
		return
	}
	size := i.cfg.Family.size()
	for n, own := range advertised {
		if !containsAddr(adv.addrs, i.addrs[n*size:(n+1)*size]) {
			i.counts.AddressListErrors++
			i.noteOnce(t, Action{Note: NoteAddressMismatch, Addr: own})
			return
		}
	}
}

func containsAddr(list, a []byte) bool {
	for ; len(list) >= len(a); list = list[len(a):] {
		if bytes.Equal(list[:len(a)], a) {
			return true
		}
	}
	return false
}

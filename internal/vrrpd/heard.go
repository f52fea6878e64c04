package vrrpd

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"keepalived-go/internal/output/status"
	"keepalived-go/vrrp"
)

const (
	// maxHeard bounds how many senders are known at a time: any node may send adverts.
	maxHeard = 4096
	// forgetHeard is the silence after which a sender may be replaced.
	forgetHeard = time.Hour
)

// neighbourhood is who sends adverts that arrive here, for whichever virtual router.
type neighbourhood struct {
	all  map[neighbour]*advertiser
	more uint64        // adverts of senders beyond the bound
	tidy time.Duration // when silent senders were last removed
}

// neighbour is who sends adverts of a virtual router on a link.
type neighbour struct {
	link int // 0: the socket is on no link
	vrid uint8
	src  netip.Addr
}

// advertiser is what is known of a sender.
type advertiser struct {
	first, last time.Time
	at          time.Duration // of the last advert
	adverts     uint64
	claim       []byte // of the last one, as [vrrp.Packet.Claim] has it
	router      string // the virtual router here that it was for; empty: there was none
}

// hear takes note of an advert for r; nil: there is no such virtual router here.
func (s *neighbourhood) hear(link int, p *vrrp.Packet, r *router, at time.Duration, wall time.Time) {
	claim := p.Claim()
	if claim == nil {
		return
	}
	k := neighbour{link, p.VRID(), p.Src}
	h := s.all[k]
	if h == nil {
		if !s.room(at) {
			s.more++
			return
		}
		h = &advertiser{first: wall}
		if s.all == nil {
			s.all = map[neighbour]*advertiser{}
		}
		s.all[k] = h
	}
	h.last, h.at = wall, at
	h.adverts++
	if h.router = ""; r != nil {
		h.router = r.conf.Name
	}
	if !bytes.Equal(h.claim, claim) {
		h.claim = append(h.claim[:0], claim...)
	}
}

// room reports whether there is room for another sender. Who has been silent makes some.
func (s *neighbourhood) room(at time.Duration) bool {
	if len(s.all) < maxHeard {
		return true
	}
	if at-s.tidy < time.Minute {
		return false
	}
	s.tidy = at
	for k, h := range s.all {
		if at-h.at > forgetHeard {
			delete(s.all, k)
		}
	}
	return len(s.all) < maxHeard
}

// neighbours are the senders of adverts, in no order.
func (f *filling) neighbours() {
	for k, h := range f.heard.all {
		n := status.Neighbour{
			Address: k.src, Instance: h.router, Claim: slices.Clone(h.claim),
			First: h.first, Last: h.last, Adverts: h.adverts,
		}
		if l := f.net.links[k.link]; l != nil {
			n.Interface = l.Name
		}
		f.out.Neighbours = append(f.out.Neighbours, n)
	}
	f.out.Unheard = f.heard.more
}

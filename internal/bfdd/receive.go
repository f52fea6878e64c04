package bfdd

import (
	"time"

	"keepalived-go/bfd"
)

// hear takes up a packet (RFC 5880, 6.8.6): its session is the one that it names or,
// while the neighbour does not know our discriminator, that of its source.
func (d *daemon) hear(g *datagram, multihop bool, now time.Duration) {
	var packet bfd.Packet
	if bfd.Parse(g.data, &packet) != bfd.RejectNone {
		return // its session is unknown
	}
	from := source{addr: g.src, multihop: multihop}
	if g.src.Is6() && g.src.IsLinkLocalUnicast() {
		from.link = uint32(g.Link)
	}
	p := d.bySource[from]
	if packet.YourDiscriminator != 0 {
		if p = d.byDiscr[packet.YourDiscriminator]; p != nil && p.source() != from {
			d.refuse(p, bfd.RejectAddress, g)
			return
		}
	}
	if p == nil {
		return
	}
	if s := p.conf.Source; s.IsValid() && s.WithZone("") != g.Dst {
		d.refuse(p, bfd.RejectAddress, g)
		return
	}
	stats := p.engine.Stats()
	accepted, dropped := stats.Received, stats.Rejected
	d.step(p, now, bfd.Event{Kind: bfd.Received, Packet: &packet, TTL: g.HopLimit})
	if stats.Received == accepted {
		d.reportRefusal(p, &dropped, g)
		return
	}
	if p.unknown && p.engine.State() == bfd.Up {
		d.decided(p)
	}
}

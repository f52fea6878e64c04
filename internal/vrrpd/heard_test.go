package vrrpd

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"keepalived-go/vrrp"
)

// TestNeighbourhoodIsBounded checks that the number of known senders is bounded, and that
// a sender that has been silent for an hour is replaced.
func TestNeighbourhoodIsBounded(t *testing.T) {
	var n neighbourhood
	p := vrrp.Packet{Protocol: 112, Payload: []byte{0x31, 7, 100, 0, 0, 100, 0, 0}}
	from := func(i int) netip.Addr {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(i))))
	}
	at, wall := time.Hour, time.Unix(0, 0)
	for i := range maxHeard + 100 {
		p.Src = from(i)
		n.hear(1, &p, nil, at, wall)
	}
	if len(n.all) != maxHeard || n.more != 100 {
		t.Fatalf("%d are known, %d are not", len(n.all), n.more)
	}
	p.Src = from(1)
	n.hear(1, &p, nil, at+forgetHeard, wall) // this sender alone is not silent
	p.Src = from(maxHeard + 1)
	n.hear(1, &p, nil, at+forgetHeard+time.Minute, wall)
	if len(n.all) != 2 || n.all[neighbour{1, 7, from(1)}].adverts != 2 {
		t.Errorf("%d are known: %v", len(n.all), n.all)
	}
	if got := testing.AllocsPerRun(100, func() { n.hear(1, &p, nil, at, wall) }); got != 0 {
		t.Errorf("an advert of a known sender allocates %v times", got)
	}
}

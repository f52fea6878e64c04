package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// TestSpoofedLowerPriority checks that a master with many addresses answers adverts of
// lower priority, however many arrive, once a second, and writes a few lines.
func TestSpoofedLowerPriority(t *testing.T) {
	t.Parallel()
	differs(t, "answers each of them")
	s := newScene(t, "a", "x")
	in := instance{Version: 2, Priority: 150}
	const addresses = 20
	for i := range addresses {
		in.VIPs = append(in.VIPs, lab.SegmentAddr(0, 1000+i).String()+"/16")
	}
	hear := s.fifo("a", "fifo")
	in.More = "garp_lower_prio_delay 0"
	a := s.start("a", ours, configWith("vrrp_notify_fifo "+hear.path, in), "-D")
	s.awaitOwner(vip, 12*time.Second, "a")
	// Wait for the second set of announcements after the take-over.
	if !s.Until(15*time.Second, func() bool {
		return len(s.Events(time.Time{}, time.Now(), func(e *lab.Event) bool { return e.Kind == lab.Announce })) >= 10*addresses
	}) {
		t.Fatal("no second set of announcements")
	}
	lower := s.speaker("x").advertiser(in, s.Node("x").Addr(0), nil)
	from := time.Now()
	const packets = 2000
	for range packets {
		lower.send(lower.advert(50))
		time.Sleep(time.Millisecond)
	}
	seconds := int(time.Since(from)/time.Second) + 2
	if !s.Until(5*time.Second, func() bool { return a.Logged(from, "with lower priority 50") }) {
		t.Fatal("nothing is logged")
	}
	if n := len(s.adverts(from, time.Now(), "a")); n > 2*seconds {
		t.Errorf("%d adverts against %d packets in %d s", n, packets, seconds)
	}
	sets := len(s.Events(from, time.Now(), func(e *lab.Event) bool { return e.Kind == lab.Announce })) / addresses / 5
	if sets > seconds || sets == 0 {
		t.Errorf("%d sets of announcements in %d s", sets, seconds)
	}
	if n := count(a, from, "with lower priority 50"); n > 5+seconds/10 {
		t.Errorf("%d lines", n)
	}
	if n := strings.Count(fmt.Sprint(hear.all()), "MASTER_RX_LOWER_PRI"); n == 0 || n > 5+seconds/10 {
		t.Errorf("%d lines in the FIFO", n)
	}
	if lines := len(a.LogText()); lines > 200_000 {
		t.Errorf("a log of %d bytes", lines)
	}
}

// TestUnknownVRIDs checks that each VRID without a virtual router on the link is logged
// once.
func TestUnknownVRIDs(t *testing.T) {
	t.Parallel()
	differs(t, "logs each packet")
	s := newScene(t, "a", "x")
	a := s.start("a", ours, configWith("log_unknown_vrids", instance{}.at(150)))
	s.awaitOwner(vip, 5*time.Second, "a")
	speaker := s.speaker("x")
	for range 50 {
		for id := 60; id < 70; id++ {
			speaker.send(speaker.advertiser(instance{VRID: id, Priority: 100}, s.Node("x").Addr(0), nil).advert(100))
		}
	}
	s.awaitLog(a, a.Started, "Unknown VRID(69) received on interface(eth0). ignoring...", 5*time.Second)
	// The advert of a known router is received after all of them. So many at once may
	// overflow a socket.
	received := func() bool { return a.Logged(a.Started, "with lower priority 50") }
	for range 20 {
		speaker.send(speaker.advertiser(instance{Priority: 50}, s.Node("x").Addr(0), nil).advert(50))
		if s.Until(500*time.Millisecond, received) {
			break
		}
	}
	if !received() {
		t.Fatal("adverts of a known router are not received")
	}
	if n := count(a, a.Started, "Unknown VRID"); n != 10 {
		t.Errorf("%d lines, want 10", n)
	}
	s.prints(a, 0, "peers -o json", `"vrid": 69`, `"instance": "VI_1"`)
}

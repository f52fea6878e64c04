package vrrp

import (
	"net/netip"
	"testing"
	"time"
)

// backupOf returns a backup of priority 100 that has just received an advert of priority
// 150.
func backupOf(t *testing.T) (*Instance, netip.Addr, time.Duration) {
	t.Helper()
	y := newCycle(t, Config{Version: 3, Group: group4})
	if y.peer.State() != Backup || y.peer.Master() != y.from {
		t.Fatal(y.peer.State(), y.peer.Master())
	}
	return y.peer, y.from, y.now
}

func TestSessionDown(t *testing.T) {
	const silence = 30 * time.Millisecond
	short := SkewTime(100, silence)
	for _, row := range []struct {
		name   string
		events func(master netip.Addr) []Event
		want   time.Duration // until the timer ends; 0: unchanged
	}{
		{"with the master, by silence", func(m netip.Addr) []Event {
			return []Event{{Kind: SessionDown, Neighbor: m, Silence: silence}}
		}, short},
		{"with the master, for another reason", func(m netip.Addr) []Event {
			return []Event{{Kind: SessionDown, Neighbor: m}}
		}, 0},
		{"with anyone else", func(m netip.Addr) []Event {
			return []Event{{Kind: SessionDown, Neighbor: m.Next().Next(), Silence: silence}}
		}, 0},
		{"up again", func(m netip.Addr) []Event {
			return []Event{{Kind: SessionDown, Neighbor: m, Silence: silence}, {Kind: SessionUp, Neighbor: m}}
		}, 0},
		{"another priority", func(m netip.Addr) []Event {
			return []Event{{Kind: SessionDown, Neighbor: m, Silence: silence}, {Kind: PriorityChanged, Priority: 120}}
		}, SkewTime(120, silence)},
		{"a silence that is longer than the timer", func(m netip.Addr) []Event {
			return []Event{{Kind: SessionDown, Neighbor: m, Silence: time.Hour}}
		}, 0},
	} {
		i, master, now := backupOf(t)
		before, _ := i.Deadline()
		want := before
		if row.want != 0 {
			want = now + row.want
		}
		for _, ev := range row.events(master) {
			i.Step(now, ev, nil)
		}
		if got, _ := i.Deadline(); got != want {
			t.Errorf("%s: the timer ends in %v, want %v", row.name, got-now, want-now)
		}
	}

	i, master, now := backupOf(t)
	i.Step(now, Event{Kind: SessionDown, Neighbor: master, Silence: silence}, nil)
	for _, a := range i.Step(now+short, Event{Kind: Expiry}, nil) {
		if a.Kind == Transition && (a.Reason != ReasonSession || a.Addr != master || a.Time != silence) {
			t.Errorf("%v, %s", a, a.Why())
		}
	}
	if i.State() != Master {
		t.Fatal(i.State())
	}
	// A master informs the backups at once.
	for n, want := range []int{1, 0} {
		sent := 0
		for _, a := range i.Step(now+time.Second/2, Event{Kind: SessionDown, Neighbor: master}, nil) {
			if a.Kind == SendAdvert {
				sent++
			}
		}
		if sent != want {
			t.Errorf("%d adverts at session %d, want %d: there is a limit", sent, n, want)
		}
	}
}

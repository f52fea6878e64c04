package lab

import (
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Kind is the kind of an event.
type Kind uint8

const (
	Advert      Kind = iota + 1 // a VRRP advert left a node
	Announce                    // a gratuitous ARP or unsolicited neighbour advertisement left a node
	AddrAdded                   // an address was added in a node's kernel
	AddrUpdated                 // an address was changed
	AddrRemoved                 // an address was removed
)

// Event is one entry of the timeline.
type Event struct {
	Time    time.Time // kernel receive time of a frame; arrival of a netlink event
	Node    *Node     // the sender, or the node whose address changed
	Segment int       // of a frame
	Kind    Kind
	Addr    netip.Addr // announced, added or removed; for an advert its source
	Frame   []byte     // as recorded, from the Ethernet header on; must not be changed

	// Only for an advert.
	Dst      netip.Addr
	TTL      uint8
	Version  uint8
	VRID     uint8
	Priority uint8
	AuthType uint8         // version 2; 2 with an AH header
	Interval time.Duration // as in the advert
	Addrs    []netip.Addr  // nil for more than 20, which only the bulk tests have
	Count    int
}

func (e Event) String() string {
	when := e.Time.Format("05.000000")
	switch e.Kind {
	case Advert:
		return fmt.Sprintf("%s %s advert v%d vrid %d priority %d", when, e.Node.Name, e.Version, e.VRID, e.Priority)
	case Announce:
		return fmt.Sprintf("%s %s announces %v", when, e.Node.Name, e.Addr)
	case AddrAdded:
		return fmt.Sprintf("%s %s has %v", when, e.Node.Name, e.Addr)
	case AddrUpdated:
		return fmt.Sprintf("%s %s updates %v", when, e.Node.Name, e.Addr)
	default:
		return fmt.Sprintf("%s %s lost %v", when, e.Node.Name, e.Addr)
	}
}

func (l *Lab) record(e Event) {
	l.mu.Lock()
	l.events = append(l.events, e)
	l.wakeLocked()
	l.mu.Unlock()
}

// wake makes every waiter check its condition again.
func (l *Lab) wake() {
	l.mu.Lock()
	l.wakeLocked()
	l.mu.Unlock()
}

func (l *Lab) wakeLocked() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

// changesLocked returns a channel that is closed at the next event. The channel is made
// only when a waiter needs it, because thousands of events may arrive while nothing
// waits.
func (l *Lab) changesLocked() <-chan struct{} {
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

func (l *Lab) fail(err error) {
	l.mu.Lock()
	if l.failure == nil {
		l.failure = err
	}
	l.mu.Unlock()
}

// Wait returns the first event after from for which match is true, and false if there is
// none before the timeout. The timeout is longer while the machine is busy (see
// [Starved]).
func (l *Lab) Wait(from time.Time, timeout time.Duration, match func(*Event) bool) (Event, bool) {
	return l.wait(from, match, NewPatience(timeout).Left)
}

// Watch is Wait for an event that must not occur: its timeout is exactly d.
func (l *Lab) Watch(from time.Time, d time.Duration, match func(*Event) bool) (Event, bool) {
	end := time.Now().Add(d)
	return l.wait(from, match, func() time.Duration { return time.Until(end) })
}

func (l *Lab) wait(from time.Time, match func(*Event) bool, left func() time.Duration) (Event, bool) {
	for i := 0; ; {
		l.mu.Lock()
		events, changed := l.events, l.changesLocked()
		l.mu.Unlock()
		for ; i < len(events); i++ {
			if e := &events[i]; !e.Time.Before(from) && match(e) {
				return *e, true
			}
		}
		rest := left()
		if rest <= 0 {
			return Event{}, false
		}
		select {
		case <-changed:
		case <-time.After(rest):
		}
	}
}

// Until waits until cond is true. It checks cond on every event and log line, and at
// least every 50 ms. The timeout is longer while the machine is busy.
func (l *Lab) Until(timeout time.Duration, cond func() bool) bool {
	patience := NewPatience(timeout)
	for {
		l.mu.Lock()
		changed := l.changesLocked()
		l.mu.Unlock()
		if cond() {
			return true
		}
		left := patience.Left()
		if left <= 0 {
			return false
		}
		select {
		case <-changed:
		case <-time.After(min(left, 50*time.Millisecond)):
		}
	}
}

// Events returns the matching events between two times, in order of time.
func (l *Lab) Events(from, to time.Time, match func(*Event) bool) []Event {
	l.mu.Lock()
	events := l.events
	l.mu.Unlock()
	var out []Event
	for i := range events {
		if e := &events[i]; !e.Time.Before(from) && !e.Time.After(to) && match(e) {
			out = append(out, *e)
		}
	}
	slices.SortStableFunc(out, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return out
}

// Last returns the latest event that matches, and false if there is none.
func (l *Lab) Last(match func(*Event) bool) (Event, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.events {
		if e := &l.events[len(l.events)-1-i]; match(e) {
			return *e, true
		}
	}
	return Event{}, false
}

// Forget empties the timeline, for long runs.
func (l *Lab) Forget() {
	l.mu.Lock()
	l.events, l.frames = nil, nil
	l.mu.Unlock()
}

package loop

import "time"

// Stall is how long a turn takes that counts as one in which the loop stood
// still: what it called has blocked, or the machine did not let it run. The dumps
// name this time.
const Stall = 50 * time.Millisecond

// Measures are how well a loop has kept time since its first Wait: what its
// process does before that, nothing waits for.
type Measures struct {
	Turns   uint64        // calls of Wait
	Longest time.Duration // the longest turn, from the end of a wait to the beginning of the next
	Stalls  uint64        // turns that took longer than Stall
	Late    time.Duration // by how much a timer expired too late at most, beyond Slack

	// Lateness counts turns in which timers expired, by how late the first of them was:
	// below each of LateBounds, and the rest.
	Lateness Lateness
}

// LateBounds are the bounds of Lateness.
var LateBounds = [...]time.Duration{
	100 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond,
	20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond,
}

// Lateness is a number for each of LateBounds, and one for what is above.
type Lateness [len(LateBounds) + 1]uint64

// A meter measures turns.
type meter struct {
	Measures
	began time.Duration // the first wait
	woke  time.Duration // when the last wait ended
}

// turned takes notice that a turn ended.
func (m *meter) turned(at time.Duration) {
	if m.Turns++; m.Turns == 1 {
		m.began = at
		return
	}
	took := at - m.woke
	m.Longest = max(m.Longest, took)
	if took > Stall {
		m.Stalls++
	}
}

// expired takes notice that the first of the timers was due at a time.
func (m *meter) expired(at, due time.Duration) {
	late := max(0, at-max(due, m.began))
	m.Late = max(m.Late, late)
	i := 0
	for i < len(LateBounds) && late >= LateBounds[i] {
		i++
	}
	m.Lateness[i]++
}

// Measure returns the measures so far.
func (l *Loop) Measure() Measures { return l.meter.Measures }

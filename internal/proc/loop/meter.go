package loop

import "time"

// Stall is how long a turn takes that counts as one in which the loop stood
// still: what it called has blocked, or the machine did not let it run.
const Stall = 50 * time.Millisecond

// Measures are how well a loop has kept time since it began or since
// [Loop.Measure] was asked to begin again.
type Measures struct {
	Turns   uint64        // calls of Wait
	Longest time.Duration // the longest turn, from the end of a wait to the beginning of the next
	Stalls  uint64        // turns that took longer than Stall
	Late    time.Duration // by how much a timer expired too late at most
	Waited  time.Duration // how long something posted waited at most
}

// A meter measures turns.
type meter struct {
	Measures
	woke time.Duration // when the last wait ended
}

// turned takes notice that a turn ended.
func (m *meter) turned(at time.Duration) {
	m.Turns++
	took := at - m.woke
	m.Longest = max(m.Longest, took)
	if took > Stall {
		m.Stalls++
	}
}

func (m *meter) late(by time.Duration)   { m.Late = max(m.Late, by) }
func (m *meter) waited(by time.Duration) { m.Waited = max(m.Waited, by) }

// Measure returns the measures so far; with again they begin again.
func (l *Loop) Measure(again bool) Measures {
	m := l.meter.Measures
	if again {
		l.meter.Measures = Measures{}
	}
	return m
}

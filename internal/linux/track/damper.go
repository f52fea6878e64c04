package track

import (
	"time"

	"keepalived-go/conf"
)

// Damper believes a change only when it has lasted.
type Damper struct {
	up, down time.Duration
	hold     hold
}

// NewDamper returns a damper that believes state. A change must last for up or
// down to be believed; 0: it is believed at once.
func NewDamper(up, down time.Duration, state bool) Damper {
	return Damper{up: up, down: down, hold: hold{known: true, up: state}}
}

// Tune changes the delays; one that runs ends as if it had been so from its
// beginning.
func (d *Damper) Tune(up, down time.Duration) {
	if d.hold.up {
		d.hold.deadline += down - d.down
	} else {
		d.hold.deadline += up - d.up
	}
	d.up, d.down = up, down
}

// Step takes what is observed at now, on any monotonic clock, and returns what to
// believe.
func (d *Damper) Step(now time.Duration, up bool) bool {
	delay := d.down
	if up {
		delay = d.up
	}
	return d.hold.step(now, up, delay)
}

// Deadline is when Step is to be called again though nothing changes; false:
// never.
func (d *Damper) Deadline() (time.Duration, bool) { return d.hold.deadline, d.hold.pending }

// hold is a state that changes after a delay.
type hold struct {
	known    bool
	up       bool
	pending  bool // it will change at deadline
	deadline time.Duration
}

// step returns the state that holds when want is wanted from now on; delay is
// that of a change beginning now.
func (h *hold) step(now time.Duration, want bool, delay time.Duration) bool {
	switch {
	case !h.known:
		h.known, h.up = true, want
	case want == h.up:
		h.pending = false
	case !h.pending:
		h.pending, h.deadline = true, now+delay
	}
	if h.pending && now >= h.deadline {
		h.up, h.pending = want, false
	}
	return h.up
}

// ProcessState decides from the number of processes whether there are enough and
// not too many.
type ProcessState struct {
	quorum, max int
	fork, exit  time.Duration

	count int
	grown bool // count, when it changed last
	hold  hold
}

// NewProcessState returns the state before the first count.
func NewProcessState(p *conf.TrackProcess) ProcessState {
	return ProcessState{quorum: p.Quorum, max: p.QuorumMax, fork: p.ForkDelay, exit: p.TerminateDelay}
}

// Step takes how many processes there are at now and returns whether that is a
// quorum. A change lasts for the fork delay if it came with more processes, and
// for the terminate delay if it came with fewer, before it counts. The first
// count counts at once.
func (s *ProcessState) Step(now time.Duration, count int) bool {
	delay := s.exit
	if count != s.count {
		s.grown = count > s.count
	}
	if count > s.count {
		delay = s.fork
	}
	s.count = count
	return s.hold.step(now, count >= s.quorum && (s.max < 0 || count <= s.max), delay)
}

// Delayed reports which of the delays runs.
func (s *ProcessState) Delayed() (fork, terminate bool) {
	return s.hold.pending && s.grown, s.hold.pending && !s.grown
}

// Count is the number of processes of the last Step.
func (s *ProcessState) Count() int { return s.count }

// Deadline is when Step is to be called again though the number stays; false:
// never.
func (s *ProcessState) Deadline() (time.Duration, bool) { return s.hold.deadline, s.hold.pending }

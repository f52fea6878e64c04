package supervisor

import (
	"fmt"
	"log/slog"
	"slices"
	"time"

	"keepalived-go/internal/proc/reap"
)

// A process whose loop turns reports it each second. A silent one is ended and
// started again, systemd or not; the stacks of its goroutines are in the log by
// then. systemd's watchdog is fed only while every process that runs has
// reported since the last ping.

// maxSilence is how long a process may be silent. With a watchdog of systemd it is
// less: the process runs again before systemd ends the whole service.
var maxSilence = 30 * time.Second

const (
	// leastSilence is the shortest silence that a watchdog can ask for: a busy
	// machine keeps a process from its turn of a second.
	leastSilence = 5 * time.Second
	// startPatience is how long a process may be silent until it serves: it reads
	// what is in the kernel, and a large configuration.
	startPatience = 2 * time.Minute
	// secondLook is how long a silent process is given after it was noticed: perhaps
	// it was this process that did not run, and the signs of life are in the queue.
	secondLook = 2 * time.Second
	// abortPatience is how long the trace, and a core dump, may take.
	abortPatience = 10 * time.Second
)

// life is what a slot knows of the life of its child.
type life struct {
	heard   time.Time // when it said last that it lives
	by      time.Time // when the next sign must have come; zero: none is waited for
	doubted bool      // it did not come in time
	aborted bool
	fed     bool // it has come since the watchdog was fed
}

// silence is how long a process may be silent.
func (s *supervisor) silence() time.Duration {
	if w := s.systemd.watchdog; w > 0 {
		return max(min(maxSilence, w/2), leastSilence)
	}
	return maxSilence
}

// lives takes up a sign of life.
func (sl *slot) lives() {
	if sl.life.aborted {
		return
	}
	now := time.Now()
	sl.life.heard, sl.life.doubted, sl.life.fed = now, false, true
	if !sl.s.stopping {
		sl.life.by = now.Add(sl.s.silence())
	}
	sl.s.feed()
}

// feed pings systemd's watchdog if every process that runs has shown a sign of
// life since the last time.
func (s *supervisor) feed() {
	if slices.ContainsFunc(s.slots, func(sl *slot) bool { return sl.runs() && !sl.life.fed }) {
		return
	}
	for _, sl := range s.slots {
		sl.life.fed = false
	}
	s.systemd.alive()
}

// silent goes further with a child that has not said in time that it lives.
func (sl *slot) silent(now time.Time) {
	switch l := &sl.life; {
	case !l.doubted:
		l.doubted = true
		l.by = now.Add(min(secondLook, sl.s.silence()))
	case !l.aborted:
		l.aborted = true
		slog.Error(fmt.Sprintf("%s has not responded for %d seconds: ending and restarting it; the stacks of its goroutines follow",
			sl.process(), int(now.Sub(l.heard).Seconds())), "pid", sl.child.pid)
		reap.Abort(sl.child.pid)
		l.by = now.Add(abortPatience)
	default:
		sl.child.kill()
	}
}

package track

import (
	"sync"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
)

// patience is how long Configure waits for the state of files and processes. They
// can be behind a network that does not answer.
const patience = 100 * time.Millisecond

// Options is what a [Set] needs.
type Options struct {
	Runner *script.Runner // runs the scripts

	// ProcessRcvBuf is the receive buffer for process events in bytes, 0 for the
	// kernel's default; ProcessRcvBufForce exceeds net.core.rmem_max.
	ProcessRcvBuf      int
	ProcessRcvBufForce bool

	// Report takes what is new. It is called by several goroutines, one at a time,
	// and must not block; the slice is its own. Updates of one tracker come in
	// their order.
	Report func([]Update)
}

// Set runs the trackers of a configuration: scripts, files, processes and
// polled links. What others know – links by netlink, BFD sessions – is not its
// business.
type Set struct {
	report  func([]Update)
	scripts *scripts
	procs   *processes
	drivers []driver
	running sync.WaitGroup
	stop    chan struct{}
	wait    time.Duration // patience; tests on a busy machine wait longer

	mu    sync.Mutex
	round *round // nil: Configure is not waiting
}

// round is one Configure.
type round struct {
	answered map[driver]bool
	first    []Update      // what these have said, in their answer and since
	complete chan struct{} // all have answered
}

// driver runs the trackers of one kind.
type driver interface {
	// run works until stop is closed, and takes requests from its mail.
	run(stop <-chan struct{})
	mailbox() mail
}

// request makes a driver run the trackers of its kind in conf. It answers with
// the status of the trackers that are new or look at something else.
type request struct {
	conf   *conf.Config
	answer func([]Update)
}

// mail is where a driver finds the latest request; it has room for one.
type mail chan request

func (m mail) mailbox() mail { return m }

// Start begins with no tracker at all.
func Start(o Options) *Set {
	s := &Set{report: o.Report, stop: make(chan struct{}), wait: patience}
	s.add(func(report func([]Update)) driver {
		s.scripts = newScripts(func(r script.Request) func() { return o.Runner.Start(r).Terminate }, report)
		return s.scripts
	})
	s.add(func(report func([]Update)) driver { return newFiles(report) })
	s.add(func(report func([]Update)) driver {
		s.procs = newProcesses(report, o.ProcessRcvBuf, o.ProcessRcvBufForce)
		return s.procs
	})
	s.add(func(report func([]Update)) driver { return newBeats(report) })
	return s
}

// add has start make a driver, and runs it.
func (s *Set) add(start func(report func([]Update)) driver) {
	var d driver
	d = start(func(updates []Update) { s.said(d, updates, nil) })
	s.drivers = append(s.drivers, d)
	s.running.Go(func() { d.run(s.stop) })
}

// said takes updates of a driver, in answer to a round or (nil) of itself. A
// driver that has answered speaks of the new trackers: that is kept until the
// round is over.
func (s *Set) said(d driver, updates []Update, answer *round) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.round
	if r != nil && r == answer {
		r.answered[d] = true
		if len(r.answered) == len(s.drivers) {
			close(r.complete)
		}
	}
	switch {
	case r != nil && r.answered[d]:
		r.first = append(r.first, updates...)
	case len(updates) > 0:
		s.report(updates)
	}
}

// Configure makes the set run what c defines. Trackers that look at the same as
// before keep their results and timers. It calls take with the first status of
// the others: of files, processes and polled links what holds now, of scripts
// that there is no result yet or that they are disabled. What cannot be learnt
// at once is reported later instead. What was reported before take is called is
// about the trackers as they were, what is reported after it about those of c.
// What c does not define ends, also a script that is running.
//
// It waits, though not for long, for the file system; so does take, which must
// not, for reports. One Configure at a time; Close may come meanwhile.
func (s *Set) Configure(c *conf.Config, take func(first []Update)) {
	r := &round{answered: make(map[driver]bool), complete: make(chan struct{})}
	s.mu.Lock()
	s.round = r
	s.mu.Unlock()
	for _, d := range s.drivers {
		m := d.mailbox()
		select {
		case <-m: // overtaken
		default:
		}
		m <- request{c, func(updates []Update) { s.said(d, updates, r) }}
	}
	select {
	case <-r.complete:
	case <-time.After(s.wait):
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	take(r.first)
	s.round = nil
}

// ScriptRun is how a script stands beyond its [policy.Status].
type ScriptRun struct {
	Count   int // of ScriptState: 0 to Rise+Fall-1, up from Rise on
	Running bool
	Ended   time.Time // when the last run ended; zero: none has
}

// Scripts asks how all scripts stand, by name. Any goroutine may; after Close
// there is no answer.
func (s *Set) Scripts() map[string]ScriptRun {
	answer := make(chan map[string]ScriptRun, 1)
	ask := func() {
		all := make(map[string]ScriptRun, len(s.scripts.all))
		for name, k := range s.scripts.all {
			all[name] = ScriptRun{k.state.count, k.run != nil, k.ended}
		}
		answer <- all
	}
	select {
	case s.scripts.ask <- ask:
		return <-answer
	case <-s.stop:
		return nil
	}
}

// ProcessCount is how a tracked process stands beyond its [policy.Status].
type ProcessCount struct {
	Count  int
	Quorum bool
	// ForkDelay and TerminateDelay: a change that counts when that is over.
	ForkDelay, TerminateDelay bool
}

// Processes reports the counts of all processes, by name. Any goroutine may ask.
func (s *Set) Processes() map[string]ProcessCount {
	p := s.procs
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[string]ProcessCount, len(p.all))
	for _, k := range p.all {
		c := ProcessCount{Count: k.count, Quorum: k.status.Up}
		c.ForkDelay, c.TerminateDelay = k.state.Delayed()
		all[k.conf.Name] = c
	}
	return all
}

// Close ends everything; Report is not called any more when it returns. Scripts
// that run are terminated, and left to the runner.
func (s *Set) Close() {
	close(s.stop)
	s.running.Wait()
}

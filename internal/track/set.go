package track

import (
	"sync"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/script"
)

// patience is how long Configure waits for what files and processes say. They
// can be behind a network that does not answer.
const patience = 100 * time.Millisecond

// Options is what a [Set] needs.
type Options struct {
	Runner *script.Runner // runs the scripts

	// ProcessRcvBuf is the receive buffer for process events in bytes, 0 for the
	// kernel's default; ProcessRcvBufForce exceeds net.core.rmem_max.
	ProcessRcvBuf      int
	ProcessRcvBufForce bool

	// Report takes what is new. It is called by several goroutines and must not
	// block; the slice is its own. Updates of one tracker come in their order.
	Report func([]Update)
}

// Set runs the trackers of a configuration: scripts, files, processes and
// polled links. What others know – links by netlink, BFD sessions – is not its
// business.
type Set struct {
	report  func([]Update)
	drivers []driver
	running sync.WaitGroup
	stop    chan struct{}
}

// driver runs the trackers of one kind.
type driver interface {
	// run works until stop is closed, and takes requests from its mail.
	run(stop <-chan struct{})
	mailbox() mail
}

// request makes a driver run the trackers of its kind in conf. It answers with
// the status of those that are new or look at something else.
type request struct {
	conf   *conf.Config
	answer func([]Update)
}

// mail is where a driver finds the latest request; it has room for one.
type mail chan request

func (m mail) mailbox() mail { return m }

// Start begins with no tracker at all.
func Start(o Options) *Set {
	s := &Set{report: o.Report, stop: make(chan struct{})}
	s.drivers = []driver{
		newScripts(func(r script.Request) func() { return o.Runner.Start(r).Terminate }, o.Report),
		newFiles(o.Report),
		newProcesses(o.Report, o.ProcessRcvBuf, o.ProcessRcvBufForce),
		newBeats(o.Report),
	}
	for _, d := range s.drivers {
		s.running.Go(func() { d.run(s.stop) })
	}
	return s
}

// Configure makes the set run what c defines. Trackers that look at the same as
// before keep their results and timers. It returns the first status of the
// others: of files, processes and polled links what holds now, of scripts that
// there is no result yet or that they are disabled. What cannot be learnt at
// once is reported later instead. What c does not define ends, also a script
// that is running.
//
// Configure and Close are for one goroutine at a time.
func (s *Set) Configure(c *conf.Config) []Update {
	var (
		mu      sync.Mutex
		updates []Update
		left    = len(s.drivers)
		late    bool
		all     = make(chan struct{})
	)
	answer := func(some []Update) {
		mu.Lock()
		defer mu.Unlock()
		if late {
			if len(some) > 0 {
				s.report(some)
			}
			return
		}
		updates = append(updates, some...)
		if left--; left == 0 {
			close(all)
		}
	}
	for _, d := range s.drivers {
		m := d.mailbox()
		select {
		case <-m: // overtaken
		default:
		}
		m <- request{c, answer}
	}
	select {
	case <-all:
	case <-time.After(patience):
	}
	mu.Lock()
	defer mu.Unlock()
	late = true
	return updates
}

// Close ends everything; Report is not called any more when it returns. Scripts
// that run are told to end, and left to the runner.
func (s *Set) Close() {
	close(s.stop)
	s.running.Wait()
}

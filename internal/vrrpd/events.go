package vrrpd

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"keepalived-go/internal/linux/kernel"
)

// A reading is the kernel's links, addresses, routes and rules as they were listed. Others may
// have changed them meanwhile: then it is right as far as it goes, and a later
// one has what it has left out.
type reading struct {
	links              []kernel.Link
	addrs              []kernel.Addr
	allLinks, allAddrs bool

	routes              []kernel.Route // with our mark
	rules               []kernel.Rule
	allRoutes, allRules bool
	route               func(want *kernel.Route) (have *kernel.Route, same bool) // finds one of routes

	// joined are the groups of sockets, of IPv4 and IPv6; nil where the kernel could
	// not be asked.
	joined [2]map[kernel.Group]bool
}

func (r *reading) complete() bool { return r.allLinks && r.allAddrs && r.allRoutes && r.allRules }

// lister is what a reading is made with: a kernel.Conn.
type lister interface {
	Links() ([]kernel.Link, error)
	Addrs() ([]kernel.Addr, error)
	Routes(protocol uint8) ([]kernel.Route, error)
	Rules() ([]kernel.Rule, error)
}

// readKernel lists links, addresses, routes and rules. That others interrupt it is no error.
func readKernel(conn lister) (*reading, error) {
	r := &reading{}
	var err error
	if r.links, err = conn.Links(); err != nil && !errors.Is(err, kernel.ErrInterrupted) {
		return nil, err
	}
	r.allLinks = err == nil
	if r.addrs, err = conn.Addrs(); err != nil && !errors.Is(err, kernel.ErrInterrupted) {
		return nil, err
	}
	r.allAddrs = err == nil
	if r.routes, err = conn.Routes(kernel.RouteProto); err != nil && !errors.Is(err, kernel.ErrInterrupted) {
		return nil, err
	}
	r.allRoutes = err == nil
	if r.rules, err = conn.Rules(); err != nil && !errors.Is(err, kernel.ErrInterrupted) {
		return nil, err
	}
	r.allRules = err == nil
	r.route = kernel.RouteFinder(r.routes)
	return r, nil
}

const (
	// rereadAfter is how long after a reading that was interrupted, or that
	// failed, the next is made.
	rereadAfter = time.Second
	// rereadPause is the least time between two readings: others can make the
	// kernel lose events at any rate.
	rereadPause = 100 * time.Millisecond
	// firstReadings is how often a start tries to read.
	firstReadings = 20
	// eventSlice is how many events the loop takes up between two looks at the
	// timers.
	eventSlice = 512
	// eventLimit is how many wait for the loop at most. Beyond that the kernel
	// keeps them, and reports when it has lost some.
	eventLimit = 1 << 14
)

// An inbox holds what the monitor has delivered until the loop takes it up.
type inbox struct {
	mu     sync.Mutex
	events []kernel.Event
	spare  []kernel.Event
	posted bool   // the loop will look
	put    uint64 // events so far
	taken  uint64 // the events that the loop has taken up

	// readings are those that the loop has yet to take up: how many events were delivered
	// before each. Later events are newer, and wait: a reading that is taken up after them
	// would undo them.
	readings []uint64

	room chan struct{} // holds one token when there may be room

	readAt time.Duration // when the monitor's goroutine last read the kernel's state
}

// deliverEvents runs on the monitor's goroutine. When events were lost it reads
// the whole state there, where no later event can overtake it. Nothing that
// fails here ends the process: what is not known now is asked for later.
func (d *daemon) deliverEvents(events []kernel.Event) {
	read, lost := false, uint64(0)
	for i := range events {
		switch events[i].Kind {
		case kernel.Overrun:
			read = true
			lost++
		case kernel.Reminder:
			read = true
		}
	}
	d.put(events)
	if !read {
		return
	}
	if wait := d.inbox.readAt + rereadPause - d.loop.Now(); d.inbox.readAt != 0 && wait > 0 {
		time.Sleep(wait)
	}
	d.inbox.readAt = d.loop.Now()
	jobsDone := d.addrs.done.Load() // before the reading: it shows what these jobs have done
	state, err := d.readAgain()
	before := d.inbox.hasRead()
	if err != nil || !state.complete() {
		d.mon.Remind(rereadAfter)
	}
	d.loop.Post(func() {
		d.drain(d.inbox.waiting(before))
		d.inbox.takesReading()
		if lost > 0 {
			d.logOverrun(lost)
		}
		if err != nil {
			slog.Warn("read links and addresses: " + err.Error() + "; trying again")
			return
		}
		d.reread(state, jobsDone, lost > 0)
	})
}

// reread takes up a reading, which shows what the jobs up to jobsDone have done.
// With lost, it is made because events are missing: what they would have reported about
// sockets is not in it.
func (d *daemon) reread(state *reading, jobsDone uint64, lost bool) {
	if lost {
		d.net.doubt(d.doubtful(state))
	}
	d.takeUp(d.net.changes(state), jobsDone)
	if state.allLinks {
		d.verifyLinks(jobsDone)
	}
	d.verifyRouting(state, jobsDone)
	if lost {
		d.check(d.routers)
	}
}

func (d *daemon) readAgain() (*reading, error) {
	conn, err := kernel.DialOn(d.Host, 0, false)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	state, err := readKernel(conn)
	if err != nil {
		return nil, err
	}
	for i, family := range []int{4, 6} {
		state.joined[i], _ = d.Host.Groups(family) // in doubt all are joined again
	}
	return state, nil
}

// put keeps events for the loop. It waits while there are too many.
func (d *daemon) put(events []kernel.Event) {
	b := &d.inbox
	b.mu.Lock()
	for len(b.events) > eventLimit && !d.closing.Load() {
		b.mu.Unlock()
		<-b.room
		b.mu.Lock()
	}
	for i := range events {
		if k := events[i].Kind; k != kernel.Overrun && k != kernel.Reminder {
			b.events = append(b.events, events[i])
			b.put++
		}
	}
	post := !b.posted && len(b.events) > 0
	b.posted = b.posted || post
	b.mu.Unlock()
	if post {
		d.loop.Post(d.takeEvents)
	}
}

// takeEvents handles a slice of what was delivered.
func (d *daemon) takeEvents() {
	if d.drain(eventSlice) {
		d.loop.Post(d.takeEvents)
	}
}

// drain handles at most n events, and reports whether there are more for which
// it must be called again.
func (d *daemon) drain(n int) (more bool) {
	b := &d.inbox
	b.mu.Lock()
	n = min(n, len(b.events))
	if len(b.readings) > 0 {
		n = min(n, int(b.readings[0]-b.taken))
	}
	batch := append(b.spare[:0], b.events[:n]...)
	b.events = b.events[:copy(b.events, b.events[n:])]
	b.taken += uint64(n)
	more = len(b.events) > 0
	b.posted = more
	b.mu.Unlock()
	d.inbox.signal()
	if len(batch) > 0 {
		d.handleEvents(batch)
	}
	if cap(batch) <= eventSlice {
		b.spare = batch
	}
	return more
}

// hasRead notes that the kernel's state has been read, and returns how many events were
// delivered before.
func (b *inbox) hasRead() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readings = append(b.readings, b.put)
	return b.put
}

// takesReading notes that the loop takes up the first of the readings.
func (b *inbox) takesReading() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.readings = b.readings[1:]
}

// waiting is how many of the first n events the loop has not taken up yet.
func (b *inbox) waiting(n uint64) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return int(max(n, b.taken) - b.taken)
}

func (b *inbox) signal() {
	select {
	case b.room <- struct{}{}:
	default:
	}
}

// overrunPause is the least time between two log lines about lost events.
const overrunPause = time.Minute

func (d *daemon) logOverrun(n uint64) {
	d.lost += n
	if at := d.loop.Now(); d.lostLogged == 0 || at >= d.lostLogged+overrunPause {
		text := "Netlink events were lost; state of links and addresses read again"
		if d.lost > 1 {
			text += fmt.Sprintf(" (%d times)", d.lost)
		}
		slog.Warn(text)
		d.lost, d.lostLogged = 0, at
	}
}

package kernel

import (
	"cmp"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// chunkSize is how many changes go into one sendmsg. Larger ones are hardly
// faster, and a chunk occupies a processor without pause: with thousands of
// addresses on a link each takes the kernel tens of microseconds.
const chunkSize = 64

// Completion reports the outcome of a part of a submitted plan.
type Completion struct {
	ID      uint64
	Changes []Change // this part, a slice of what was submitted
	Errs    []error  // nil, or one per change, nil for those that succeeded
	Found   []Found  // nil, or one per change: whether the address to be added was there
	Last    bool     // nothing of the plan is left
	Took    time.Duration
}

// Found says what an addition has found.
type Found uint8

const (
	NotFound     Found = iota // it was added
	FoundThere                // it was there just so
	FoundForeign              // likewise, and without our mark, which this kernel would have kept
)

// Executor carries out plans, one after the other in the order they were
// submitted, on its own goroutine.
//
// A change succeeds when its goal is reached: removing what is gone and adding
// what is there just so are successes.
type Executor struct {
	conn   *Conn
	report func(Completion)

	mu     sync.Mutex
	queue  []plan
	busy   bool // a plan is being carried out
	closed bool
	wake   chan struct{} // holds one token when there may be work
	done   chan struct{}

	chunk   []Change
	refused [chunkSize]*Error
}

type plan struct {
	id   uint64
	left []Change
}

// NewExecutor starts an executor that owns c from now on. It calls report from
// its goroutine, at least once per plan.
func NewExecutor(c *Conn, report func(Completion)) *Executor {
	e := &Executor{conn: c, report: report, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go e.run()
	return e
}

// Submit queues a plan; it never blocks. The executor keeps changes until the
// last completion.
func (e *Executor) Submit(id uint64, changes []Change) {
	e.mu.Lock()
	e.queue = append(e.queue, plan{id, changes})
	e.mu.Unlock()
	e.signal()
}

// Do carries out a plan on the caller's goroutine, which saves the way to the
// executor's and back. It does nothing and returns false when other plans are
// under way, for they come first. The caller waits for as long as the kernel
// takes, which others who change addresses or links can prolong.
func (e *Executor) Do(id uint64, changes []Change) bool {
	e.mu.Lock()
	if e.busy || len(e.queue) > 0 || e.closed {
		e.mu.Unlock()
		return false
	}
	e.busy = true
	e.mu.Unlock()

	for left := []plan{{id, changes}}; len(left) > 0; {
		left = e.step(left)
	}

	e.mu.Lock()
	e.busy = false
	more := len(e.queue) > 0 || e.closed
	e.mu.Unlock()
	if more {
		e.signal()
	}
	return true
}

// Close finishes what was submitted, reports it and closes the connection. It
// must not be called from report.
func (e *Executor) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.signal()
	<-e.done
}

func (e *Executor) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *Executor) run() {
	defer close(e.done)
	defer e.conn.Close()
	var work []plan
	for {
		e.mu.Lock()
		if e.busy { // Do signals when it is done
			e.mu.Unlock()
			<-e.wake
			continue
		}
		work, e.queue = e.queue, work[:0]
		e.busy = len(work) > 0
		closed := e.closed
		e.mu.Unlock()
		if len(work) == 0 {
			if closed {
				return
			}
			<-e.wake
			continue
		}
		for left := work; len(left) > 0; {
			left = e.step(left)
		}
		clear(work) // let go of the changes
		e.mu.Lock()
		e.busy = false
		e.mu.Unlock()
	}
}

// step executes one chunk from the front of work, which may take from several
// plans, and returns what is left.
func (e *Executor) step(work []plan) []plan {
	e.chunk = e.chunk[:0]
	plans := 0
	for _, p := range work {
		n := min(len(p.left), chunkSize-len(e.chunk))
		e.chunk = append(e.chunk, p.left[:n]...)
		plans++
		if len(e.chunk) == chunkSize {
			break
		}
	}
	start := time.Now()
	errs, found := e.execute(e.chunk)
	took := time.Since(start)

	done := 0
	for i := range work[:plans] {
		p := &work[i]
		n := min(len(p.left), chunkSize-done)
		c := Completion{ID: p.id, Changes: p.left[:n], Last: n == len(p.left), Took: took}
		if errs != nil {
			c.Errs = errs[done : done+n]
		}
		if found != nil {
			c.Found = found[done : done+n]
		}
		done += n
		p.left = p.left[n:]
		e.report(c)
		if !c.Last {
			return work[i:]
		}
	}
	return work[plans:]
}

// execute carries out the changes and returns an error for each, or nil if all
// succeeded, and what additions have found, or nil if nothing.
func (e *Executor) execute(changes []Change) (errs []error, found []Found) {
	if len(changes) == 0 {
		return nil, nil
	}
	names := map[int]string{} // of links in errors
	linkName := func(index int) string {
		if _, ok := names[index]; !ok {
			names[index] = e.conn.linkName(index)
		}
		return names[index]
	}
	refused := e.refused[:len(changes)]
	clear(refused)
	if err := e.conn.batch(changes, refused); err != nil {
		errs := make([]error, len(changes))
		for i, c := range changes {
			errs[i] = changeError(c, linkName(c.Addr.Link), err)
		}
		return errs, nil
	}

	var present map[Key]Addr // dumped at most once
	for i, c := range changes {
		if refused[i] == nil || c.Op == RemoveAddr && isGone(refused[i]) {
			continue
		}
		err := error(refused[i])
		if c.Op == AddAddr && errors.Is(err, unix.EEXIST) {
			if present == nil {
				present = e.present()
			}
			if a, ok := present[c.Addr.Key()]; ok {
				same, _ := compare(a, c.Addr)
				if same {
					if found == nil {
						found = make([]Found, len(changes))
					}
					if found[i] = FoundThere; a.Proto != AddrProto && MarksAddresses() {
						found[i] = FoundForeign
					}
					continue
				}
				err = fmt.Errorf("it is there with %s: %w", cmp.Or(attributes(a), "no attributes"), err)
			}
		}
		if errs == nil {
			errs = make([]error, len(changes))
		}
		errs[i] = changeError(c, linkName(c.Addr.Link), err)
	}
	return errs, found
}

// present returns the addresses the kernel holds, as far as it says: for the
// others the refusal at hand stands.
func (e *Executor) present() map[Key]Addr {
	addrs, _ := e.conn.Addrs()
	present := make(map[Key]Addr, len(addrs))
	for _, a := range addrs {
		present[a.Key()] = a
	}
	return present
}

// isGone reports whether the refusal of a removal says that there is nothing
// to remove: the address or its link is gone.
func isGone(err error) bool {
	return errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.ENODEV)
}

func changeError(c Change, dev string, err error) error {
	preposition := "to"
	switch c.Op {
	case RemoveAddr:
		preposition = "from"
	case ReplaceAddr:
		preposition = "on"
	}
	return fmt.Errorf("%v %s %s %s: %w", c.Op, addrText(c.Addr.wish()), preposition, dev, err)
}

package kernel

import (
	"cmp"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
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
	Found   []Found  // nil, or one per change: whether the object to be added was there
	Last    bool     // nothing of the plan is left
	Took    time.Duration
}

// Found is what an addition has found.
type Found uint8

const (
	NotFound     Found = iota // it was added
	FoundThere                // it was there just so
	FoundForeign              // likewise, and without our mark, which this kernel would have kept
)

// Executor carries out plans, one after the other in the order they were
// submitted, on its own goroutine or, where nothing else waits, on that of the caller:
// the kernel answers when it likes, and whoever else changes addresses or links makes
// it wait.
//
// A change succeeds when its goal is reached: removing what is gone and adding
// what is there just so are successes.
type Executor struct {
	conn   *Conn
	side   Side
	report func(Completion)

	mu     sync.Mutex
	queue  []plan
	closed bool

	wake   chan struct{} // holds one token when there may be work
	done   chan struct{}
	thread atomic.Int64

	carrying chan struct{} // has a token while plans are carried out, with what follows
	chunk    []Change
	refused  [chunkSize]*nl.Error
}

type plan struct {
	id   uint64
	left []Change
}

// NewExecutor starts an executor that owns c and side from now on; side may be nil if all
// objects are [Requested]. It calls report at least once per plan, from its goroutine or
// from that of [Executor.Carry].
func NewExecutor(c *Conn, side Side, report func(Completion)) *Executor {
	e := &Executor{conn: c, side: side, report: report, wake: make(chan struct{}, 1), done: make(chan struct{}), carrying: make(chan struct{}, 1)}
	go e.run()
	return e
}

// Submit queues a plan; it never blocks. The executor keeps changes until the
// last completion.
func (e *Executor) Submit(id uint64, changes []Change) {
	e.mu.Lock()
	e.queue = append(e.queue, plan{id, changes})
	e.mu.Unlock()
	e.wakeUp()
}

// Carry carries out a plan before it returns, unless others are before it: then it
// queues the plan. It blocks as long as the kernel does.
func (e *Executor) Carry(id uint64, changes []Change) {
	if !e.first() {
		e.Submit(id, changes)
		return
	}
	e.carryOut([]plan{{id, changes}})
	<-e.carrying
}

// first begins to carry out, unless there is something to carry out before.
func (e *Executor) first() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) > 0 {
		return false
	}
	select {
	case e.carrying <- struct{}{}:
		return true
	default:
		return false
	}
}

func (e *Executor) wakeUp() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Thread is the identity of the thread that carries plans out, for its scheduling; 0:
// it has not begun.
func (e *Executor) Thread() int { return int(e.thread.Load()) }

// Close finishes what was submitted, reports it and closes the connection. It
// must not be called from report.
func (e *Executor) Close() {
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.wakeUp()
	<-e.done
}

func (e *Executor) run() {
	// A thread of its own, which has its priority.
	runtime.LockOSThread()
	e.thread.Store(int64(unix.Gettid()))
	defer close(e.done)
	defer e.conn.Close()
	if e.side != nil {
		defer e.side.Close()
	}
	var work []plan
	for {
		e.carrying <- struct{}{} // before the queue is empty: nothing overtakes what it held
		e.mu.Lock()
		work, e.queue = e.queue, work[:0]
		closed := e.closed
		e.mu.Unlock()
		e.carryOut(work)
		<-e.carrying
		switch {
		case len(work) > 0:
			clear(work) // let go of the changes
		case closed:
			return
		default:
			<-e.wake
		}
	}
}

// carryOut carries out plans in their order.
func (e *Executor) carryOut(work []plan) {
	for len(work) > 0 {
		work = e.step(work)
		clear(e.chunk) // let go of the changes
	}
}

// step executes one chunk from the front of work, which may take from several
// plans, and returns what is left. All that a side has to do without a pause is one chunk.
func (e *Executor) step(work []plan) []plan {
	e.chunk = e.chunk[:0]
	plans := 0
	aside := len(work[0].left) > 0 && !isRequested(work[0].left[0])
	for _, p := range work {
		n, room := 0, chunkSize-len(e.chunk)
		for n < len(p.left) && isRequested(p.left[n]) != aside && (aside || n < room) {
			n++
		}
		if n == 0 && len(p.left) > 0 {
			break
		}
		e.chunk = append(e.chunk, p.left[:n]...)
		plans++
		if n < len(p.left) {
			break
		}
	}
	start := time.Now()
	var errs []error
	var found []Found
	if aside {
		errs, found = e.side.Carry(e.chunk)
	} else {
		errs, found = e.execute(e.chunk)
	}
	took := time.Since(start)

	done := 0
	for i := range work[:plans] {
		p := &work[i]
		n := min(len(p.left), len(e.chunk)-done)
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

func isRequested(c Change) bool { _, ok := c.Object.(Requested); return ok }

// execute carries out the changes and returns an error for each, or nil if all
// succeeded, and what additions have found, or nil if nothing.
func (e *Executor) execute(changes []Change) (errs []error, found []Found) {
	if len(changes) == 0 {
		return nil, nil
	}
	names := map[int]string{} // of links in errors
	failed := func(c Change, err error) error {
		index := c.Object.OnLink()
		if _, known := names[index]; !known && index != 0 {
			names[index] = e.conn.linkName(index)
		}
		return c.failed(names[index], err)
	}
	refused := e.refused[:len(changes)]
	clear(refused)
	object := func(i int) Requested { return changes[i].Object.(Requested) }
	encode := func(i int, b []byte) ([]byte, nl.Request) { return object(i).Encode(changes[i].Op, b) }
	if err := e.conn.Batch(len(changes), encode, refused); err != nil {
		errs := make([]error, len(changes))
		for i, c := range changes {
			errs[i] = failed(c, err)
		}
		return errs, nil
	}

	held := map[string]Finder{} // by kind, each read at most once
	for i, c := range changes {
		if refused[i] == nil || c.Op == Remove && object(i).Gone(refused[i]) {
			continue
		}
		err := error(refused[i])
		if c.Op == Add && errors.Is(err, unix.EEXIST) {
			find := held[c.Object.Kind()]
			if find == nil {
				find = object(i).Held(e.conn)
				held[c.Object.Kind()] = find
			}
			// What the kernel does not list keeps the refusal.
			switch have, same := find(c.Object); {
			case same:
				if found == nil {
					found = make([]Found, len(changes))
				}
				if found[i] = FoundThere; have.Foreign() {
					found[i] = FoundForeign
				}
				continue
			case have != nil:
				err = fmt.Errorf("it is there with %s: %w", cmp.Or(have.Attributes(), "no attributes"), err)
			}
		}
		if errs == nil {
			errs = make([]error, len(changes))
		}
		errs[i] = failed(c, err)
	}
	return errs, found
}

// Package loop is the one goroutine that owns the state of a process of ours: it
// waits for descriptors, timers and work that other goroutines post.
//
//	descriptors ──epoll──▶ ┌──────┐ ◀──Post── events, completions,
//	timers  ─────timerfd─▶ │ Loop │           messages of the parent
//	                       └──────┘
//
// A process turns its loop like this, with its own work between the two calls and
// after them:
//
//	for {
//		l.Wait()   // what has arrived is read, what was posted is run
//		l.Expire() // then timers expire
//	}
//
// Nothing that the loop calls may block: what can block runs beside it, and its
// outcome is posted; or it is called by [Loop.Aside].
//
// The loop blocks in epoll_wait itself rather than in the poller of the runtime: a
// wake-up takes no hand-over between threads, which is what delays timers on a
// busy machine. So its goroutine should be locked to its thread.
package loop

import (
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Never is the deadline of what is not due at all.
const Never = time.Duration(math.MaxInt64)

// Now returns the time since boot, time asleep included (CLOCK_BOOTTIME): the
// same clock for every process of the machine, and none sets it.
func Now() time.Duration {
	var t unix.Timespec
	// The clock exists since Linux 2.6.39 and the pointer is good.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return time.Duration(t.Nano())
}

// A Loop belongs to the goroutine that calls Wait and Expire. Post and Now may be
// called from any goroutine, the other methods from that one alone.
type Loop struct {
	// Slack is how much later than its deadline a timer may expire, so that one wake-up serves
	// several: for so long after timers have expired, the loop does not wake for the next ones.
	// 0: it wakes at each deadline.
	Slack time.Duration

	epoll    int
	handlers map[int32]func(events uint32) // by descriptor
	events   [64]unix.EpollEvent
	rest     rest

	heap   timers
	idle   bool          // the last wait brought nothing but timers
	pass   time.Duration // while timers expire: up to which deadline; else -1
	rested time.Duration // before this the loop does not wake for timers
	ahead  *Timer        // whose lead was used last
	until  time.Duration // and its deadline then

	meter meter

	mu     sync.Mutex
	posted []func()
	spare  []func() // the other buffer of posted
	closed bool
}

// A rest is how a loop sleeps, and the clock that it sleeps by.
type rest interface {
	now() time.Duration

	// sleep returns when a descriptor can be read, at the time until, or after
	// wake; with poll it stays awake, that is, it returns at once where time passes
	// all the same. It returns whether wake was called, and how many of events are
	// filled in.
	sleep(until time.Duration, poll bool, events []unix.EpollEvent) (woken bool, n int, err error)

	// wake ends a sleep, this one or the next. Any goroutine may call it.
	wake()

	close()
}

// New returns a loop on the clock of [Now].
func New() (*Loop, error) { return newLoop(newKernelRest) }

// NewVirtual returns a loop for a test in a bubble of testing/synctest. Its clock
// is that of package time, and its sleep one that the bubble knows: virtual time
// passes while the loop and everything beside it wait. Descriptors are looked at
// when a sleep begins and ends; who makes one readable meanwhile has to post
// something.
func NewVirtual() (*Loop, error) { return newLoop(newVirtualRest) }

func newLoop(newRest func(epoll int) (rest, error)) (*Loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	r, err := newRest(epoll)
	if err != nil {
		unix.Close(epoll)
		return nil, err
	}
	return &Loop{epoll: epoll, rest: r, handlers: map[int32]func(uint32){}, pass: -1, meter: meter{woke: r.now()}}, nil
}

// Close releases the descriptors of the loop. What is posted later is not run.
func (l *Loop) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.closed = true
		l.rest.close()
		unix.Close(l.epoll)
	}
}

// Now is the time by the clock of the loop. To read it is a system call.
func (l *Loop) Now() time.Duration { return l.rest.now() }

// Time is the time by the clock of the loop when its turn began, or, while timers expire, when
// it looked at them. It suits what happens thousands of times a second and need not be exact.
func (l *Loop) Time() time.Duration { return max(l.meter.woke, l.pass) }

// Watch has Wait call readable whenever fd can be read.
func (l *Loop) Watch(fd int, readable func()) error {
	return l.WatchFor(fd, unix.EPOLLIN, func(uint32) { readable() })
}

// WatchFor has Wait call ready for events of fd (unix.EPOLLIN and others, as
// epoll_ctl(2) has them), with those that there are.
func (l *Loop) WatchFor(fd int, events uint32, ready func(events uint32)) error {
	if err := addTo(l.epoll, fd, events); err != nil {
		return err
	}
	l.handlers[int32(fd)] = ready
	return nil
}

func addTo(epoll, fd int, events uint32) error {
	ev := unix.EpollEvent{Events: events, Fd: int32(fd)}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return nil
}

// Forget ends a watch. Call it before closing fd.
func (l *Loop) Forget(fd int) {
	delete(l.handlers, int32(fd))
	unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, nil)
}

// Post makes the loop call f soon. Any goroutine may post, the loop's own too: f
// then has its turn after what has arrived was read. The order of one goroutine's
// posts is kept.
func (l *Loop) Post(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.posted = append(l.posted, f); len(l.posted) == 1 {
		l.rest.wake()
	}
}

// runPosted calls what was posted so far.
func (l *Loop) runPosted() {
	l.mu.Lock()
	batch := l.posted
	l.posted = l.spare[:0]
	l.mu.Unlock()
	for i, f := range batch {
		f()
		batch[i] = nil
	}
	l.spare = batch
}

// Wait waits until a descriptor can be read, a timer is due or something was
// posted. It calls the handlers of the descriptors and what was posted, so that
// timers expire in the knowledge of all that has arrived.
func (l *Loop) Wait() error {
	at := l.rest.now()
	until, poll := Never, false
	if len(l.heap) > 0 {
		next := l.heap[0]
		until = max(next.deadline-next.Lead, l.rested)
		if poll = until <= at; poll && next.deadline > at {
			until = next.deadline
			l.useLead(next)
		}
	}
	l.meter.turned(at)
	woken, n, err := l.rest.sleep(until, poll, l.events[:])
	l.meter.woke, l.idle = l.rest.now(), n == 0 && !woken
	if err != nil {
		return fmt.Errorf("wait for events: %w", err)
	}
	for _, ev := range l.events[:n] {
		if ready := l.handlers[ev.Fd]; ready != nil {
			ready(ev.Events)
		}
	}
	if woken {
		l.runPosted()
	}
	return nil
}

// useLead has the owner of t use the time that is left, once.
func (l *Loop) useLead(t *Timer) {
	if l.ahead == t && l.until == t.deadline {
		return
	}
	if l.ahead, l.until = t, t.deadline; t.Ahead != nil {
		t.Ahead()
	}
}

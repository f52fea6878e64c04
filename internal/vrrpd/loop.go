package vrrpd

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
)

// A loop waits for sockets, for one timer and for work posted by other
// goroutines, and runs everything on the goroutine that called run:
//
//	sockets ──epoll──▶ ┌──────┐ ◀──post── kernel events, completions,
//	timer  ──timerfd─▶ │ loop │            messages of the parent
//	                   └──────┘
//
// It blocks in epoll_wait itself rather than in the runtime's poller: a wake-up
// then takes no hand-over between threads, which is what delays adverts on a
// busy machine.
type loop struct {
	epoll, timer, wake int

	handlers map[int32]func() // by descriptor: called when it is readable
	armed    time.Duration    // what the timer is set to; never: it is off

	mu     sync.Mutex
	posted []func()
	spare  []func() // the other buffer of posted
}

func newLoop() (*loop, error) {
	l := &loop{epoll: -1, timer: -1, wake: -1, handlers: map[int32]func(){}, armed: never}
	var err error
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	// CLOCK_BOOTTIME is the clock of kernel.Now: time spent suspended counts,
	// as it does for the peers.
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		l.close()
		return nil, fmt.Errorf("create timer: %w", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		l.close()
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	for _, fd := range []int{l.timer, l.wake} {
		if err := l.watch(fd, nil); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *loop) close() {
	for _, fd := range []int{l.epoll, l.timer, l.wake} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// watch calls readable from wait whenever fd can be read.
func (l *loop) watch(fd int, readable func()) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	if readable != nil {
		l.handlers[int32(fd)] = readable
	}
	return nil
}

// forget ends a watch; call it before closing fd.
func (l *loop) forget(fd int) {
	delete(l.handlers, int32(fd))
	unix.EpollCtl(l.epoll, unix.EPOLL_CTL_DEL, fd, nil)
}

// post makes the loop call f soon. Any goroutine may post; the order of one
// goroutine's posts is kept.
func (l *loop) post(f func()) {
	l.mu.Lock()
	first := len(l.posted) == 0
	l.posted = append(l.posted, f)
	l.mu.Unlock()
	if first {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		unix.Write(l.wake, one[:])
	}
}

// runPosted calls what was posted so far.
func (l *loop) runPosted() {
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

// never is the deadline of what is not due at all.
const never = time.Duration(math.MaxInt64)

// arm sets the time at which wait returns at the latest. The deadline is
// absolute, so a late wake-up does not shift the ones after it.
func (l *loop) arm(at time.Duration) {
	if at == l.armed {
		return
	}
	l.armed = at
	var spec unix.ItimerSpec // zero: off
	if at != never {
		spec.Value = unix.NsecToTimespec(int64(at))
	}
	unix.TimerfdSettime(l.timer, unix.TFD_TIMER_ABSTIME, &spec, nil)
}

// wait blocks until a socket is readable, the timer has expired or something
// was posted (with poll: does not block) and calls the handlers of the
// readable sockets. It returns whether something was posted.
func (l *loop) wait(poll bool) (posted bool, err error) {
	var events [64]unix.EpollEvent
	timeout := -1
	if poll {
		timeout = 0
	}
	n, err := unix.EpollWait(l.epoll, events[:], timeout)
	if err != nil {
		if err == unix.EINTR {
			return false, nil
		}
		return false, fmt.Errorf("wait for events: %w", err)
	}
	var buf [8]byte
	for _, ev := range events[:n] {
		switch fd := int(ev.Fd); fd {
		case l.timer:
			unix.Read(l.timer, buf[:])
			l.armed = never
		case l.wake:
			unix.Read(l.wake, buf[:])
			posted = true
		default:
			if readable := l.handlers[ev.Fd]; readable != nil {
				readable()
			}
		}
	}
	return posted, nil
}

// now is the clock of the engines.
func now() time.Duration { return kernel.Now() }

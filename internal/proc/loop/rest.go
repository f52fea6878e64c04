package loop

import (
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// kernelRest sleeps in epoll_wait.
type kernelRest struct {
	epoll, timer, woken int
	armed               time.Duration // what timer is set to; Never: it is off
}

var one = binary.NativeEndian.AppendUint64(nil, 1)

func newKernelRest(epoll int) (_ rest, err error) {
	r := &kernelRest{epoll: epoll, timer: -1, woken: -1, armed: Never}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	// CLOCK_BOOTTIME is the clock of Now: time spent suspended counts, as it does
	// for the peers.
	if r.timer, err = unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create timer: %w", err)
	}
	if r.woken, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	// To set the timer again takes back its event, so it need not be read.
	if err = addTo(epoll, r.timer, unix.EPOLLIN|unix.EPOLLET); err != nil {
		return nil, err
	}
	if err = addTo(epoll, r.woken, unix.EPOLLIN); err != nil {
		return nil, err
	}
	return r, nil
}

func (r *kernelRest) close() {
	for _, fd := range []int{r.timer, r.woken} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (r *kernelRest) now() time.Duration { return Now() }
func (r *kernelRest) wake()              { unix.Write(r.woken, one) }

// arm sets when the timer makes a sleep end. The time is absolute, so a late
// wake-up does not shift those after it.
func (r *kernelRest) arm(at time.Duration) {
	if at == r.armed {
		return
	}
	r.armed = at
	var spec unix.ItimerSpec // zero: off
	if at != Never {
		spec.Value = unix.NsecToTimespec(int64(at))
	}
	unix.TimerfdSettime(r.timer, unix.TFD_TIMER_ABSTIME, &spec, nil)
}

func (r *kernelRest) sleep(until time.Duration, poll bool, events []unix.EpollEvent) (woken bool, n int, err error) {
	timeout := 0
	if !poll {
		r.arm(until)
		timeout = -1
	}
	all, err := unix.EpollWait(r.epoll, events, timeout)
	if err == unix.EINTR {
		return false, 0, nil
	}
	if err != nil {
		return false, 0, err
	}
	var buf [8]byte
	for _, ev := range events[:all] {
		switch int(ev.Fd) {
		case r.timer:
			r.armed = Never
		case r.woken:
			unix.Read(r.woken, buf[:])
			woken = true
		default:
			events[n] = ev
			n++
		}
	}
	return woken, n, nil
}

// virtualRest sleeps in a select, which a bubble of testing/synctest understands.
type virtualRest struct {
	epoll int
	began time.Time
	woken chan struct{} // holds one token after wake
}

// virtualBoot is how long the machine of a virtual loop has been up: a time near
// zero is special to nothing.
const virtualBoot = time.Hour

func newVirtualRest(epoll int) (rest, error) {
	return &virtualRest{epoll, time.Now(), make(chan struct{}, 1)}, nil
}

func (r *virtualRest) close()             {}
func (r *virtualRest) now() time.Duration { return virtualBoot + time.Since(r.began) }

func (r *virtualRest) wake() {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

func (r *virtualRest) sleep(until time.Duration, _ bool, events []unix.EpollEvent) (woken bool, n int, err error) {
	look := func() { n, err = unix.EpollWait(r.epoll, events, 0) }
	if look(); n == 0 && err == nil && until > r.now() {
		var due <-chan time.Time
		if until != Never {
			due = time.After(until - r.now())
		}
		select {
		case <-r.woken:
			woken = true
		case <-due:
		}
		look()
	}
	select {
	case <-r.woken:
		woken = true
	default:
	}
	if err == unix.EINTR {
		err = nil
	}
	return woken, max(n, 0), err
}

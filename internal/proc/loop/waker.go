package loop

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A Waker wakes the one goroutine that waits by it: work that can block is done
// there. Wake ends a Wait, this one or the next; any goroutine may call it, also
// after Close, and it never blocks. The goroutine that waits closes the waker.
//
// Alert has a Wait that follows soon stay awake for d, 2 ms at most: a thread that
// rests takes some 50 µs to come back, and several times that where its processor
// rests too. With one processor it does nothing.
type Waker interface {
	Wake()
	Wait()
	Alert(d time.Duration)
	Close() error
}

// mostAlert bounds how long a processor is kept busy by one alert.
const mostAlert = 2 * time.Millisecond

// NewWaker returns a waker for a goroutine beside the loop. It waits in the kernel: if
// it is locked to its thread, that thread is woken at once, past the scheduler of the
// runtime, which takes less time than a channel does, above all on a busy machine.
func (l *Loop) NewWaker() (Waker, error) {
	if _, virtual := l.rest.(*virtualRest); virtual {
		return NewChannelWaker(), nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	return &threadWaker{file: os.NewFile(uintptr(fd), "eventfd"), began: time.Now()}, nil
}

// threadWaker is an eventfd that blocks. An os.File, since one that is closed fails
// rather than write into whatever has its descriptor now.
type threadWaker struct {
	file  *os.File
	began time.Time
	alert atomic.Int64  // until when, since began
	calls atomic.Uint64 // of Wake

	// Of the goroutine that waits.
	buf  [8]byte
	seen uint64 // calls that have ended a Wait
}

func (w *threadWaker) Wake() {
	w.calls.Add(1)
	w.file.Write(one)
}

func (w *threadWaker) Wait() {
	for {
		if n := w.calls.Load(); n != w.seen {
			w.seen = n
			return
		}
		if int64(time.Since(w.began)) < w.alert.Load() {
			continue
		}
		// What ends the read is a call, an alert, or a call that has ended a Wait
		// already: which of them, the next round shows.
		if _, err := w.file.Read(w.buf[:]); err != nil {
			return
		}
	}
}

func (w *threadWaker) Alert(d time.Duration) {
	if runtime.NumCPU() == 1 {
		return
	}
	w.alert.Store(int64(time.Since(w.began) + min(d, mostAlert)))
	w.file.Write(one)
}

func (w *threadWaker) Close() error { return w.file.Close() }

// NewChannelWaker returns a waker that is a channel: it needs no thread, and a
// bubble of testing/synctest understands it.
func NewChannelWaker() Waker { return make(channelWaker, 1) }

type channelWaker chan struct{}

func (w channelWaker) Wake() {
	select {
	case w <- struct{}{}:
	default:
	}
}

func (w channelWaker) Wait()               { <-w }
func (w channelWaker) Alert(time.Duration) {}
func (w channelWaker) Close() error        { return nil }

package loop

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// A Waker wakes the one goroutine that waits by it: work that can block is done
// there. Wake ends a Wait, this one or the next; any goroutine may call it, also
// after Close, and it never blocks. The goroutine that waits closes the waker.
type Waker interface {
	Wake()
	Wait()
	Close() error
}

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
	return &threadWaker{file: os.NewFile(uintptr(fd), "eventfd")}, nil
}

// threadWaker is an eventfd that blocks. An os.File, since one that is closed fails
// rather than write into whatever has its descriptor now.
type threadWaker struct {
	file *os.File
	buf  [8]byte // of the goroutine that waits
}

func (w *threadWaker) Wake()        { w.file.Write(one) }
func (w *threadWaker) Wait()        { w.file.Read(w.buf[:]) }
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

func (w channelWaker) Wait()        { <-w }
func (w channelWaker) Close() error { return nil }

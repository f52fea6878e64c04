package attempt

import (
	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
)

// TCP is TCP_CHECK: the server is good if it takes a connection.
type TCP struct {
	Names
	*Connection
}

func (k *TCP) begin(a *Attempt, _ int) {
	a.run = k
	k.connect(a, func(err error) string { return k.failed(why(err)) })
}

func (k *TCP) ready(a *Attempt, events uint32) {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		if err := sockErr(a.fd); err != nil {
			a.fail(k.failed(why(err)))
			return
		}
	}
	if events&evWrite != 0 {
		a.pass()
	}
}

func (k *TCP) expire(a *Attempt) { a.fail(k.failed(" (timeout)")) }

func (k *TCP) failed(why string) string { return k.portFailed("TCP", why) }

func (k *TCP) line(v *life.Verdict) string { return k.portLine("TCP", v) }

// Mail is in the words of the C daemon.
func (k *TCP) Mail(v *life.Verdict) string { return serviceMail("TCP CHECK", v) }

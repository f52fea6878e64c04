package attempt

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
)

// TCP is TCP_CHECK: the server is good if it takes a connection.
type TCP struct {
	Names
	Connection
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

func (k *TCP) failed(why string) string { return "TCP connection to " + k.Server + " failed." + why }

func (k *TCP) line(v *life.Verdict) string {
	if v.OK {
		return sentence(v, fmt.Sprintf("TCP connection to %s success.", k.Server))
	}
	return sentence(v, fmt.Sprintf("TCP_CHECK on service %s failed%s.", k.Server, after(v)))
}

// Longest is the timeout of the connection.
func (k *TCP) Longest() time.Duration { return k.Timeout }

// Mail is in the words of the C daemon.
func (k *TCP) Mail(up bool) string { return serviceMail("TCP CHECK", up) }

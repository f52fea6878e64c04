package vrrpd

import (
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"
)

// autoPriority is max_auto_priority: a loop that is scheduled too late makes its own
// thread, which adverts depend on, and the thread that sets addresses real-time ones.
// It raises their priority by one each time that it happens again.
type autoPriority struct {
	limit int           // highest priority; 0 and below: none
	delay time.Duration // lateness that counts
	now   int           // present priority; 0: not raised yet

	beside func() int // the thread that sets addresses
}

// late takes notice of how late a timer was served.
func (a *autoPriority) late(by time.Duration) {
	if a.now >= a.limit || by < a.delay {
		return
	}
	a.now++
	attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: uint32(a.now)}
	err := unix.SchedSetAttr(0, &attr, 0) // 0: the calling thread
	if thread := a.beside(); err == nil && thread != 0 {
		err = unix.SchedSetAttr(thread, &attr, 0)
	}
	if err != nil {
		slog.Warn(fmt.Sprintf("set real-time priority %d after a delay of %v: %v", a.now, by, err))
		a.limit = 0 // it will not be allowed later either
		return
	}
	slog.Info(fmt.Sprintf("Set realtime priority %d after a delay of %v", a.now, by.Round(time.Microsecond)))
}

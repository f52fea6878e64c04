package kernel

import (
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time since boot, time asleep included (CLOCK_BOOTTIME): the
// same clock for every process of the machine, and none sets it.
func Now() time.Duration {
	var t unix.Timespec
	// The clock exists since Linux 2.6.39 and the pointer is good.
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &t)
	return time.Duration(t.Nano())
}

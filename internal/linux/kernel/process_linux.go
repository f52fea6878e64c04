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

// MissingCapabilities returns the names of the capabilities (capabilities(7))
// that setting addresses and sending adverts needs and this thread lacks.
func MissingCapabilities() []string {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // 32 capabilities each
	if err := unix.Capget(&head, &data[0]); err != nil {
		data = [2]unix.CapUserData{}
	}
	var missing []string
	for _, c := range []struct {
		bit  uint
		name string
	}{{unix.CAP_NET_ADMIN, "CAP_NET_ADMIN"}, {unix.CAP_NET_RAW, "CAP_NET_RAW"}} {
		if data[c.bit/32].Effective&(1<<(c.bit%32)) == 0 {
			missing = append(missing, c.name)
		}
	}
	return missing
}

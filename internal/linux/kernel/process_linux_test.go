package kernel

import (
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestNow(t *testing.T) {
	uptime := func() time.Duration { // proc_uptime(5): seconds since boot, two digits
		b, err := os.ReadFile("/proc/uptime")
		if err != nil {
			t.Fatal(err)
		}
		s, err := strconv.ParseFloat(strings.Fields(string(b))[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(s * float64(time.Second))
	}
	before := uptime()
	now, later := Now(), Now()
	after := uptime() + 10*time.Millisecond
	if now < before || later < now || later > after {
		t.Errorf("%v, then %v; want between %v and %v", now, later, before, after)
	}
	if n := testing.AllocsPerRun(100, func() { Now() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRawSocketWithoutCapability(t *testing.T) {
	if os.Getuid() != 0 {
		missing(t, "root, to give capabilities up")
	}
	runtime.LockOSThread() // its capabilities end with it
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&head, &data[0]); err != nil {
		t.Fatal(err)
	}
	data[0].Effective &^= 1 << unix.CAP_NET_RAW
	if err := unix.Capset(&head, &data[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRaw(4, 112, 0, RawOptions{}); !errors.Is(err, unix.EPERM) {
		t.Errorf("a raw socket without CAP_NET_RAW: %v", err)
	}
}

package kernel

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
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

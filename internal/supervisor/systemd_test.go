package supervisor

import (
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSystemdMissesNothing checks that while systemd does not read, watchdog messages do
// not displace the states that it waits for.
func TestSystemdMissesNothing(t *testing.T) {
	path, c := listenNotify(t)
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "1000000")
	m := newServiceManager()
	defer m.end(0)
	pings := func() {
		for range 10_000 { // more than the kernel queues
			m.alive()
		}
	}
	pings()
	m.ready("1")
	pings()
	m.reloading()
	pings()
	m.status("half of it")
	m.ready("2")
	pings()
	m.status("3")
	m.stopping()
	pings()

	want := []string{"RELOADING=1\nMONOTONIC_USEC=", "READY=1\nSTATUS=2", "STOPPING=1\nSTATUS=Stopping"}
	b := make([]byte, 4096)
	c.SetReadDeadline(time.Now().Add(time.Minute))
	for len(want) > 0 {
		n, err := c.Read(b)
		if err != nil {
			t.Fatalf("not received: %q: %v", want, err)
		}
		if strings.HasPrefix(string(b[:n]), want[0]) {
			want = want[1:]
		}
	}
	m.alive()
	for {
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		if string(b[:n]) == "WATCHDOG=1" {
			return
		}
		if strings.HasPrefix(string(b[:n]), "STATUS=") {
			t.Errorf("after the end: %q", b[:n])
		}
	}
}

// TestSystemdGetsTheEnd checks that the end waits until systemd has got what was reported,
// but not for a systemd that does not read.
func TestSystemdGetsTheEnd(t *testing.T) {
	path, c := listenNotify(t)
	t.Setenv("NOTIFY_SOCKET", path)
	m := newServiceManager()
	m.stopping()
	m.end(time.Minute)
	b := make([]byte, 4096)
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	failed := raw.Read(func(fd uintptr) bool {
		n, err = unix.Read(int(fd), b) // without waiting: it is there
		return true
	})
	if failed != nil || err != nil || string(b[:max(n, 0)]) != "STOPPING=1\nSTATUS=Stopping" {
		t.Errorf("%q, %v, %v", b[:max(n, 0)], failed, err)
	}
	m = newServiceManager()
	for range 4096 { // more than the kernel queues
		m.status("x")
		runtime.Gosched()
	}
	m.stopping()
	m.end(time.Millisecond)
}

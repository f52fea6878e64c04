package supervisor

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSystemdMissesNothing checks that while systemd does not read, watchdog messages do
// not displace the states that it waits for.
func TestSystemdMissesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "1000000")
	m := newServiceManager()
	defer close(m.news)
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

package script

import (
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
)

func TestOpenFile(t *testing.T) {
	dir := ownDir(t)
	own := ownUser()
	must(t, os.WriteFile(dir+"/all", nil, 0o644))
	must(t, os.WriteFile(dir+"/own", nil, 0o600))
	must(t, unix.Mkfifo(dir+"/fifo", 0o644))
	r := newRunner(t)
	for _, tt := range []struct {
		file, user string
		ok         bool
	}{
		{"/all", own, true},
		{"/all", "nobody", true},
		{"/own", own, true},
		{"/own", "nobody", false},
		{"/none", own, false},
		{"", own, true}, // a directory
		{"/fifo", own, false},
		{"/$(touch " + dir + "/made)", own, false},
	} {
		if tt.user != own && !canBecome() {
			continue
		}
		p, err := Resolve(conf.Command{Args: []string{"<" + dir + tt.file}, User: tt.user}, conf.ScriptPolicy{Secure: true})
		must(t, err)
		if got := run(t, r, Request{Program: p, Timeout: 2 * time.Second}); got.OK() != tt.ok {
			t.Errorf("%s as %s: %v %s", tt.file, tt.user, &got, got.Output)
		} else if tt.file == "/fifo" && !got.TimedOut {
			t.Errorf("a FIFO without writer: %v", &got)
		}
	}
	if _, err := os.Stat(dir + "/made"); err == nil {
		t.Error("the name of a file was run")
	}
}

func TestConnect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r := newRunner(t)
	connect := func(host string) Result {
		p, err := Resolve(conf.Command{Args: []string{"</dev/tcp/" + host}, User: ownUser()}, conf.ScriptPolicy{Secure: true})
		must(t, err)
		return run(t, r, Request{Program: p, Timeout: 20 * time.Second})
	}
	for _, host := range []string{"127.0.0.1", "localhost"} {
		if got := connect(host + "/" + port); !got.OK() {
			t.Errorf("%s: %v %s", host, &got, got.Output)
		}
	}
	l.Close()
	if got := connect("127.0.0.1/" + port); got.OK() || got.Exit != 1 || !strings.Contains(got.Output, "refused") {
		t.Errorf("without a listener: %v %s", &got, got.Output)
	}
}

// TestConnectEnds checks that a run that connects to a listener whose queue is full, and
// which does not answer, ends by its timeout, by Terminate and by Close.
func TestConnectEnds(t *testing.T) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	must(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	must(t, unix.Listen(fd, 0))
	sa, err := unix.Getsockname(fd)
	must(t, err)
	addr := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}
	for { // until it is full
		c, err := net.DialTimeout("tcp", addr.String(), 200*time.Millisecond)
		if err != nil {
			break
		}
		defer c.Close()
	}
	r := newRunner(t)
	p := &Program{Connect: addr.String()}
	if got := run(t, r, Request{Program: p, Timeout: 50 * time.Millisecond}); !got.TimedOut || got.OK() {
		t.Errorf("timeout: %v", &got)
	}
	one, ended := start(r, Request{Program: p, Timeout: time.Minute})
	one.Terminate()
	if got := wait(t, ended); got.OK() || got.TimedOut {
		t.Errorf("terminated: %v", &got)
	}
	_, ended = start(r, Request{Program: p, Timeout: time.Minute})
	r.Close(0)
	if got := wait(t, ended); got.OK() {
		t.Errorf("closed: %v", &got)
	}
	_, ended = start(r, Request{Program: p})
	if got := wait(t, ended); got.Err == nil {
		t.Errorf("after Close: %v", &got)
	}
}

func TestTestsThatAreNone(t *testing.T) {
	for word, want := range map[string]string{
		"<":                     "absolute path",
		"<etc/passwd":           "absolute path",
		"</dev/tcp/":            "/dev/tcp/192.0.2.1/80",
		"</dev/tcp/host":        "/dev/tcp/192.0.2.1/80",
		"</dev/tcp/host/http":   "/dev/tcp/192.0.2.1/80",
		"</dev/tcp/host/0":      "/dev/tcp/192.0.2.1/80",
		"</dev/tcp/host/65536":  "/dev/tcp/192.0.2.1/80",
		"</dev/tcp/host/80/x":   "/dev/tcp/192.0.2.1/80",
		"</dev/udp/192.0.2.1/5": "queries the service",
	} {
		_, err := Resolve(conf.Command{Args: []string{word}}, conf.ScriptPolicy{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", word, err, want)
		}
	}
}

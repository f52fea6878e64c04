package kernel

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/required"
)

// newNetNS moves the thread of the test into a new network namespace, with lo up. Thread
// and namespace end with the test, however it ends. Sockets must be opened by the test's
// own goroutine.
func newNetNS(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		required.Missing(t, "root, for a network namespace")
	}
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		required.Missing(t, fmt.Sprintf("a network namespace: %v", err))
	}
	ip(t, "link set lo up")
}

// otherNetNS makes a second namespace, with lo up, and returns its path.
func otherNetNS(t testing.TB) string {
	t.Helper()
	path := make(chan string)
	stop := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			failed <- err
			return
		}
		path <- fmt.Sprintf("/proc/%d/task/%d/ns/net", os.Getpid(), unix.Gettid())
		<-stop
	}()
	t.Cleanup(func() { close(stop) })
	select {
	case p := <-path:
		inPath(t, p, func() { ip(t, "link set lo up") })
		return p
	case err := <-failed:
		t.Fatalf("second network namespace: %v", err)
		return ""
	}
}

// inPath runs f on the test's own thread, inside the namespace.
func inPath(t testing.TB, path string, f func()) {
	t.Helper()
	home, err := os.Open(fmt.Sprintf("/proc/self/task/%d/ns/net", unix.Gettid()))
	if err != nil {
		t.Fatal(err)
	}
	defer home.Close()
	there, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
	}()
	f()
}

// ip runs ip(8) in the namespace of the test's thread.
func ip(t testing.TB, args string) string {
	t.Helper()
	out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %s: %v\n%s", args, err, bytes.TrimSpace(out))
	}
	return string(out)
}

// link returns the index of the link.
func link(t testing.TB, name string) int {
	t.Helper()
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return ifi.Index
}

func dial(t testing.TB) *Conn {
	t.Helper()
	c, err := Dial(1<<20, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// addrsOf returns the addresses that the kernel has on the link with our mark.
func addrsOf(t testing.TB, c *Conn, link int) []Addr {
	t.Helper()
	all, err := c.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	var ours []Addr
	for _, a := range all {
		if a.Link == link && a.Proto == AddrProto {
			ours = append(ours, a)
		}
	}
	return ours
}

// execute carries out a plan through a new executor and returns the errors, nil if there
// are none.
func execute(t testing.TB, changes []Change) []error {
	t.Helper()
	c, err := Dial(0, false)
	if err != nil {
		t.Fatal(err)
	}
	var errs []error
	e := NewExecutor(c, nil, func(c Completion) {
		for _, err := range c.Errs {
			if err != nil {
				errs = append(errs, err)
			}
		}
	})
	e.Submit(1, changes)
	e.Close()
	return errs
}

package test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// TestFailuresLeakNothing checks that thousands of failing checks, as a large set of
// servers has in an hour, take no more descriptors, threads and memory than the first
// ones.
func TestFailuresLeakNothing(t *testing.T) {
	differs(t, "ends without a load balancer in the kernel")
	t.Parallel()
	s := newScene(t, "a")
	n := s.Node("a")
	var attempts atomic.Int64
	s.serve(n, 7, func(c net.Conn) {
		attempts.Add(1)
		c.Read(make([]byte, 4096))
		io.WriteString(c, "554 what is meant\r\n\r\n")
	})
	const page = "url {\npath /\nstatus_code 200\n}\n"
	checks := []struct {
		port int // port 8 is closed
		text string
	}{
		{8, "TCP_CHECK {\n}"}, {8, "UDP_CHECK {\n}"}, {8, "DNS_CHECK {\nname x\n}"}, {8, "HTTP_GET {\n" + page + "}"},
		{7, "HTTP_GET {\n" + page + "}"}, {7, "SSL_GET {\n" + page + "}"}, {7, "SMTP_CHECK {\n}"},
		{7, "TCP_CHECK {\nbind_if no-such-if\n}"},
	}
	var config strings.Builder
	for i, c := range checks {
		lines := []string{"protocol TCP", "lb_algo rr", "lb_kind NAT", "delay_loop 0.05", "delay_before_retry 0.05", "warmup 0"}
		for k := range 3 {
			lines = append(lines, server(fmt.Sprintf("127.0.%d.%d %d", i, k+1, c.port), c.text))
		}
		config.WriteString(virtual(fmt.Sprintf("10.0.200.%d 80", i), lines...))
	}
	config.WriteString(virtual("10.0.201.1 80", "protocol TCP", "lb_algo rr", "lb_kind NAT", "delay_loop 0.5", server("127.0.99.1 8", misc)))
	a := s.start("a", ours, config.String(), "-C")
	await := func(n int64) {
		t.Helper()
		if !s.Until(10*time.Minute, func() bool { return attempts.Load() >= n }) {
			t.Fatalf("%d of %d attempts", attempts.Load(), n)
		}
	}
	const warm = 500
	more := int64(1500)
	if nightly() {
		more = 36_000
	}
	await(warm)
	before := s.holds(checkersPid(a))
	await(warm + more)
	// Some attempts are always running, and a thread is added when all wait.
	var after holdings
	flat := s.Until(20*time.Second, func() bool {
		after = s.holds(checkersPid(a))
		return after.files <= before.files+3 && after.threads <= before.threads+4 && after.memory <= before.memory+8<<10
	})
	t.Logf("%d attempts at three of %d kinds: %+v, then %+v", attempts.Load(), len(checks)+1, before, after)
	if !flat {
		t.Errorf("the process holds %+v, %d attempts ago %+v", after, more, before)
	}
	s.must(a.Stop())
}

// checkersPid returns the process id of the health-check process from its pid file, or 0.
func checkersPid(d *lab.Daemon) (pid int) {
	fmt.Sscan(strings.Join(fileLines(filepath.Join(d.Dir, "checkers.pid")), ""), &pid)
	return pid
}

// holdings is the resources of a process; memory is in KiB.
type holdings struct{ files, threads, memory int }

// holds returns the minimum over several samples, because the process is working.
func (s *scene) holds(pid int) holdings {
	s.Helper()
	least := holdings{files: 1 << 30}
	for range 50 {
		files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		s.must(err)
		least.files = min(least.files, len(files))
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	s.must(err)
	for line := range bytes.Lines(status) {
		fmt.Sscanf(string(line), "VmRSS: %d kB", &least.memory)
		fmt.Sscanf(string(line), "Threads: %d", &least.threads)
	}
	return least
}

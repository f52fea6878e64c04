package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/required"
)

// processLimit is a control group that limits the number of its processes and threads.
type processLimit struct {
	t   *testing.T
	dir string
}

// limitProcesses moves a daemon into a new group, without a limit at first.
func limitProcesses(t *testing.T, d *lab.Daemon) *processLimit {
	t.Helper()
	const all = "/sys/fs/cgroup"
	parent := filepath.Join(all, "pids") // version 1
	if _, err := os.Stat(parent); err != nil {
		parent = all
		unified := filepath.Join(all, "cgroup.subtree_control")
		if err := os.WriteFile(unified, []byte("+pids"), 0); err != nil {
			required.Missing(t, "the pids controller of control groups: ", err)
		}
	}
	dir, err := os.MkdirTemp(parent, "keepalived-test-")
	if err != nil {
		required.Missing(t, "a control group: ", err)
	}
	l := &processLimit{t, dir}
	t.Cleanup(func() {
		for end := time.Now().Add(30 * time.Second); unix.Rmdir(dir) == unix.EBUSY && time.Now().Before(end); {
			time.Sleep(10 * time.Millisecond) // until its last process is reaped
		}
	})
	for _, pid := range d.Pids() {
		if err := os.WriteFile(l.file("cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil && !strings.Contains(err.Error(), unix.ESRCH.Error()) {
			t.Fatal(err)
		}
	}
	return l
}

func (l *processLimit) file(name string) string { return filepath.Join(l.dir, name) }

// set limits the group to n processes and threads. The group may already have more.
func (l *processLimit) set(n string) {
	l.t.Helper()
	if err := os.WriteFile(l.file("pids.max"), []byte(n), 0); err != nil {
		l.t.Fatal(err)
	}
}

// TestNoMoreProcesses checks that when a container may have no more processes and
// threads, neither process of the daemon needs one to serve, to notice the end of a
// script, to notice that no script can be started, to reload, to write dumps, and to
// stop.
func TestNoMoreProcesses(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	begun, end := s.path("a", "begun"), s.path("a", "end")
	long := s.script("a", "long", fmt.Sprintf("[ -e %s ] || { echo >%[1]s; until [ -e %s ]; do read -t 0.05 x <>/dev/null; done; }", begun, end))
	config := func(priority int, more string) string {
		return vrrpScript("chk", s.script("a", "chk", "exit 0"), "") +
			strings.Replace(vrrpScript("long", long, ""), "timeout 3", "timeout 60", 1) +
			configWith(more, instance{}.at(priority).tracks("script", "chk weight 10\nlong weight 5"))
	}
	a := s.start("a", ours, config(150, ""))
	s.awaitOwner(vip, 8*time.Second, "a")
	s.awaitLog(a, a.Started, "VRRP_Script(chk) succeeded", 8*time.Second)
	if !s.Until(8*time.Second, func() bool { return exists(begun) }) {
		t.Fatal("the long script does not run")
	}
	limit := limitProcesses(t, a)
	child := a.VRRPPid()

	from := time.Now()
	limit.set("1") // it has more already
	s.write("a", "end", "")
	s.awaitLog(a, from, "VRRP_Script(chk) failed (could not be started: ", 8*time.Second)
	s.awaitLog(a, from, "VRRP_Script(long) ", 8*time.Second) // the end of the script, or the failure to start it again
	for i := range 5 {
		s.must(a.Signal(unix.SIGUSR1))
		s.must(a.Signal(unix.SIGUSR2))
		from := time.Now()
		s.must(a.Reload(config(151+i, "vrrp_notify_fifo "+s.path("a", "fifo"))))
		s.awaitLog(a, from, "Reload complete", 8*time.Second)
	}
	s.stays(vip, "a", time.Second)

	from = time.Now()
	limit.set("max")
	s.awaitLog(a, from, "VRRP_Script(chk) succeeded", 8*time.Second)
	limit.set("1")
	s.awaitLog(a, from, "VRRP_Script(chk) failed (could not be started: ", 8*time.Second)
	if pid := a.VRRPPid(); pid != child {
		t.Errorf("the VRRP process was replaced: %d, then %d", child, pid)
	}
	s.must(a.Stop())
	s.awaitOwner(vip, 3*time.Second)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

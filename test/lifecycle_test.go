package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// TestSignalsToChild checks that a signal to the VRRP process itself, as by kill -USR1
// TestSignalsToChild(cat vrrp.pid), has the effect that it has through the parent, and
// that a signal without a meaning ends neither process.
func TestSignalsToChild(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	a := s.start("a", ours, config(instance{}.at(100)))
	s.awaitOwner(vip, 10*time.Second, "a")
	pid := a.VRRPPid()
	for _, dump := range []struct {
		signal     unix.Signal
		name, text string
	}{
		{unix.SIGUSR1, "keepalived.data", "\n Name = eth0\n"},
		{unix.SIGUSR2, "keepalived.stats", "Priority Zero:\n"},
		{63, "keepalived.stats", "Priority Zero:\n"},
		{36, "keepalived.json", "pri_zero_sent"},
	} {
		path := filepath.Join(a.Dir, dump.name)
		os.Remove(path)
		s.must(unix.Kill(pid, dump.signal))
		s.dumpFile(a, dump.name, dump.text)
		if _, err := os.Stat(filepath.Join(a.Dir, "keepalived_parent.data")); err == nil {
			t.Error("the parent has written a dump, too")
		}
	}
	if underC {
		return // uses the old configuration again at SIGHUP
	}
	from := time.Now()
	s.must(a.Configure(config(instance{}.at(70))))
	s.must(unix.Kill(pid, unix.SIGHUP))
	s.awaitPriority(from, "a", 70, 10*time.Second)
	for _, p := range []int{pid, a.Pid()} {
		for sig := unix.Signal(1); sig <= 64; sig++ {
			switch sig {
			case unix.SIGTERM, unix.SIGKILL, unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU,
				unix.SIGABRT, unix.SIGSEGV, unix.SIGBUS, unix.SIGFPE, unix.SIGILL, unix.SIGTRAP, // a crash is a crash
				32, 33: // of the C library
				continue
			case unix.SIGINT:
				if p == a.Pid() {
					continue
				}
			}
			s.must(unix.Kill(p, sig))
		}
	}
	from = time.Now()
	s.must(a.Reload(config(instance{}.at(60))))
	s.awaitPriority(from, "a", 60, 10*time.Second)
	if now := a.VRRPPid(); now != pid {
		t.Errorf("the VRRP process %d is now %d", pid, now)
	}
	s.must(a.Stop())
}

// TestScriptsHaveTimeAtStop checks that a process that gets SIGTERM, a reader of a FIFO
// or a running check, has child_wait_time to clean up, while the addresses are already
// removed.
func TestScriptsHaveTimeAtStop(t *testing.T) {
	t.Parallel()
	differs(t, "does not wait for them")
	s := newScene(t, "a")
	file, clean := s.path("a", "written"), s.path("a", "clean")
	// A shell handles a signal between two commands, and when it waits.
	until := "while :; do sleep 3600 & wait; done"
	script := func(name string) string {
		return s.script("a", name, "trap 'echo "+name+" TERM >>"+file+"; while ! test -e "+clean+"; do sleep 0.05; done; echo "+
			name+" clean >>"+file+"; wait; exit 0' TERM\necho "+name+" started >>"+file+"\n"+until)
	}
	in := instance{More: "notify_master " + script("notify")}.at(100)
	a := s.start("a", ours, "child_wait_time 60\n"+
		"vrrp_script check {\n    script "+script("check")+"\n    interval 1\n    timeout 1000\n    weight 1\n    init_fail\n}\n"+
		configWith("vrrp_notify_fifo "+s.path("a", "fifo")+"\nvrrp_notify_fifo_script "+script("reader"),
			in.tracks("script", "check")))
	s.awaitOwner(vip, 10*time.Second, "a")
	names := []string{"reader", "check", "notify"}
	for _, name := range names {
		s.awaitLine(file, name+" started", 10*time.Second)
	}
	s.must(a.Signal(unix.SIGTERM))
	s.awaitOwner(vip, 10*time.Second)
	for _, name := range names[1:] { // a reader may end when no process writes
		s.awaitLine(file, name+" TERM", 20*time.Second)
	}
	if !a.Running() {
		t.Error("the daemon has not waited")
	}
	s.must(os.WriteFile(clean, nil, 0o644))
	if code := a.ExitCode(30 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, name := range names {
		s.awaitLine(file, name+" TERM", time.Second)
		s.awaitLine(file, name+" clean", time.Second)
	}
	if a.Logged(a.Started, "has been killed") || a.Logged(a.Started, "does not stop") {
		t.Error("a process was killed")
	}
}

// TestScriptsThatDoNotEnd checks that scripts that ignore SIGTERM are killed after
// child_wait_time, and that the daemon ends.
func TestScriptsThatDoNotEnd(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	file := s.path("a", "written")
	stubborn := s.script("a", "stubborn", "trap '' TERM\necho started >>"+file+"\nwhile :; do sleep 3600; done")
	a := s.start("a", ours, "child_wait_time 1\n"+configWith("vrrp_notify_fifo "+s.path("a", "fifo")+
		"\nvrrp_notify_fifo_script "+stubborn, instance{}.at(100)))
	s.awaitOwner(vip, 10*time.Second, "a")
	s.awaitLine(file, "started", 10*time.Second)
	s.must(a.Signal(unix.SIGTERM))
	s.awaitOwner(vip, 10*time.Second)
	if code := a.ExitCode(30 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !underC && !a.Logged(a.Started, "script "+stubborn+" was still running and has been killed") {
		t.Errorf("the log does not name what was killed:\n%s", a.LogText())
	}
	s.noProcessLeft("a")
}

// TestReaderOfKilledParent checks that readers of a parent that has died do not delay its
// successor.
func TestReaderOfKilledParent(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	file := s.path("a", "written")
	stubborn := s.script("a", "stubborn", "trap '' TERM\necho started >>"+file+"\nwhile :; do sleep 3600; done")
	c := "child_wait_time 600\n" + configWith("vrrp_notify_fifo "+s.path("a", "fifo")+
		"\nvrrp_notify_fifo_script "+stubborn, instance{}.at(100))
	a := s.start("a", ours, c)
	s.awaitOwner(vip, 10*time.Second, "a")
	s.awaitLine(file, "started", 10*time.Second)
	child := a.VRRPPid()
	s.must(a.Signal(unix.SIGKILL))
	if !s.Until(30*time.Second, func() bool { return !lab.Alive(child) }) {
		t.Error("the VRRP process waits for its reader")
	}
	b, err := s.Node("a").StartIn(a.Dir, ours, c)
	s.must(err)
	s.daemons = append(s.daemons, b)
	s.awaitOwner(vip, 10*time.Second, "a")
}

// zombies lists the zombies among the processes below pid.
func zombies(pid int) (list []string) {
	children, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range children {
		b, _ := os.ReadFile(path)
		for _, child := range strings.Fields(string(b)) {
			stat, _ := os.ReadFile("/proc/" + child + "/stat")
			if strings.Contains(string(stat), ") Z ") {
				list = append(list, child)
			}
		}
	}
	return list
}

// TestProcessOne checks that as process 1 of a container the daemon reaps the orphans of
// its scripts, and still gets the right results of the scripts.
func TestProcessOne(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	n := s.Node("a")
	file := s.path("a", "runs")
	leaves := s.script("a", "leaves", "(sleep 0.2 &)\n(exit 3 &)\necho run >>"+file+"\nexit 0")
	conf := filepath.Join(n.Dir, "k.conf")
	s.must(os.WriteFile(conf, []byte("vrrp_script leaves {\n    script "+leaves+"\n    interval 1\n    timeout 60\n}\n"+
		config(instance{}.at(100).tracks("script", "leaves"))), 0o644))
	d, err := n.StartWith(lab.Program{Path: "/usr/bin/unshare"}, "--pid", "--fork", "--kill-child", "--mount-proc",
		ours.Path, "-n", "-l", "-D", "-G", "-f", conf, "-p", n.Dir+"/p", "-r", n.Dir+"/r", "-c", n.Dir+"/c", "-b", n.Dir+"/b")
	s.must(err)
	s.daemons = append(s.daemons, d)
	s.awaitOwner(vip, 15*time.Second, "a")
	if !s.Until(60*time.Second, func() bool { return len(fileLines(file)) >= 5 }) {
		t.Fatal("the script does not run")
	}
	pids := d.Pids() // unshare, the parent, the VRRP process
	if len(pids) < 3 {
		t.Fatalf("processes: %v", pids)
	}
	for _, pid := range pids[1:3] {
		if !s.Until(10*time.Second, func() bool { return len(zombies(pid)) == 0 }) {
			t.Errorf("process %d has the zombies %v", pid, zombies(pid))
		}
	}
	if d.Logged(d.Started, "now returning") || d.Logged(d.Started, "FAULT") {
		t.Error("a result of the script was lost")
	}
}

package supervisor

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/link"
)

// groups returns a configuration of n virtual routers, each in a sync group, for which
// the second role has work.
func groups(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "vrrp_sync_group G_%d {\n  group {\n    VI_%d\n  }\n}\n", i+1, i+1)
	}
	return b.String() + routers(n)
}

// superviseTwo starts a supervisor whose table has two roles, both wanted.
func superviseTwo(t *testing.T, config string, env ...string) *running {
	t.Helper()
	r := supervise(t, config, append(env, envArgs+"=two")...)
	r.expect("Starting VRRP child process, pid=", "Starting Second child process, pid=",
		"child: configured 2 routers", "second: configured 2 routers", "Startup complete")
	return r
}

// TestExcludedRole checks that a process that the command line excludes does not run, and
// that its part of the configuration is not counted as running.
func TestExcludedRole(t *testing.T) {
	t.Parallel()
	path, states := notifySocket(t)
	r := supervise(t, groups(2), envArgs+"=two without=second", "NOTIFY_SOCKET="+path)
	r.expect("The command line wants no Second process: 2 groups not run", "child: configured 2 routers", "Startup complete")
	expectState(t, states, "READY=1\nSTATUS=Running 2 virtual routers")
	r.signal(syscall.SIGTERM)
	r.exit(proc.ExitOK)
	if n := r.count("Starting Second child process"); n > 0 {
		t.Errorf("the second process was started %d times", n)
	}
}

// TestAttendingProcessBeginsLast checks that a process that only attends the others is started
// when they have begun, and also if one does not begin at all.
func TestAttendingProcessBeginsLast(t *testing.T) {
	t.Parallel()
	r := supervise(t, groups(1), envArgs+"=attends", envPart+"=slow-start")
	r.expect("child: configured 1 routers")
	if n := r.count("Starting Second child process"); n > 0 {
		t.Errorf("the second process was started %d times before the first had begun", n)
	}
	r.signal(syscall.SIGUSR2)
	r.expect("Starting Second child process", "second: configured 1 routers", "Startup complete")
	r.signal(syscall.SIGTERM)
	r.exit(proc.ExitOK)

	r = supervise(t, groups(1), envArgs+"=attends", envPart+"=slow-start")
	r.expect("child: configured 1 routers", "Starting Second child process", "second: configured 1 routers")
	if n := r.count("Startup complete"); n > 0 {
		t.Errorf("the start was complete %d times without the first process", n)
	}
	r.signal(syscall.SIGTERM)
	r.exit(proc.ExitOK)
}

func TestEachRoleHasAProcess(t *testing.T) {
	t.Parallel()
	path, states := notifySocket(t)
	r := superviseTwo(t, groups(2), "NOTIFY_SOCKET="+path)
	expectState(t, states, "READY=1\nSTATUS=Running 2 virtual routers, 2 groups")
	vrrp, second := r.pid("vrrp.pid"), r.pid("second.pid")
	if name := comm(t, second); name != "keepalived_2" {
		t.Errorf("the second process is called %q", name)
	}
	// A dump is requested from each process that has one, and the order of two signals is
	// kept.
	r.signal(syscall.SIGUSR2)
	r.expect("child: dump stats")
	r.signal(syscall.SIGUSR1)
	r.expect("child: dump data", "second: dump data")

	// The death of one process does not affect the other.
	if err := syscall.Kill(second, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.expect(fmt.Sprintf("Second child process(%d) died: Respawning", second), "second: configured 2 routers")
	r.killChild()
	r.expect(fmt.Sprintf("VRRP child process(%d) died: Respawning", vrrp), "child: configured 2 routers")
	if n := r.count("second: configured 2 routers"); n != 2 {
		t.Errorf("the second process was configured %d times, want 2", n)
	}
	r.signal(syscall.SIGTERM)
	r.exit(proc.ExitOK)
	if r.count("second: dump stats") > 0 {
		t.Error("a process was asked for a dump that it does not have")
	}
	for _, line := range []string{"child: stop", "second: stop"} {
		if r.count(line) != 1 {
			t.Errorf("%q is not there once; log:\n%s", line, strings.Join(r.seen, "\n"))
		}
	}
	for _, name := range []string{"vrrp.pid", "second.pid", "keepalived.pid"} {
		if _, err := os.Stat(r.path(name)); !os.IsNotExist(err) {
			t.Errorf("%s: %v, want it gone", name, err)
		}
	}
}

// TestAllProcessesAreWaitedFor checks that a reload is complete when each process has
// confirmed it, and a stop when each has ended.
func TestAllProcessesAreWaitedFor(t *testing.T) {
	t.Parallel()
	r := superviseTwo(t, "child_wait_time 1\n"+groups(2), envSecond+"=slow-reload,hangs")
	r.configure("child_wait_time 1\n" + groups(3))
	r.signal(syscall.SIGHUP)
	r.expect("child: configured 3 routers", "second: configured 3 routers")
	for range 3 { // the VRRP process has confirmed the reload before it does this
		r.signal(syscall.SIGUSR2)
		r.expect("child: dump stats")
	}
	if r.count("Reload complete") > 0 {
		t.Errorf("the reload was complete before the second process confirmed it; log:\n%s", strings.Join(r.seen, "\n"))
	}
	r.signal(syscall.SIGUSR1) // now the second process confirms it too
	r.expect("child: dump data", "second: dump data", "Reload complete")
	r.signal(syscall.SIGTERM)
	r.expect("child: stop", "second: stop", "Second process does not stop: killed")
	r.exit(proc.ExitOK)
}

// TestPermanentErrorOfOneEndsAll checks that a process that ends with a permanent error
// ends the others too, and that its exit code is that of the daemon.
func TestPermanentErrorOfOneEndsAll(t *testing.T) {
	t.Parallel()
	r := supervise(t, groups(1), envArgs+"=two", envSecond+"=cannot-start")
	r.expect("second: cannot start", "exited with permanent error missing permission. Terminating", "Stopped Keepalived")
	r.exit(proc.ExitPermission)
	if r.count("child: stop") != 1 {
		t.Errorf("the VRRP process was not stopped; log:\n%s", strings.Join(r.seen, "\n"))
	}
}

// TestRoleComesWithReload checks that a role without work has no process until a reload
// brings work.
func TestRoleComesWithReload(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1), envArgs+"=two")
	r.up(1)
	if _, err := os.Stat(r.path("second.pid")); !os.IsNotExist(err) {
		t.Errorf("pid file of a process that is not wanted: %v", err)
	}
	r.configure(groups(2))
	r.signal(syscall.SIGHUP)
	r.expect("Starting Second child process, pid=", "second: configured 2 routers", "child: configured 2 routers", "Reload complete")
	if pid := r.pid("second.pid"); pid == r.pid("vrrp.pid") {
		t.Errorf("both pid files hold %d", pid)
	}
}

func TestEarliest(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		times []time.Time
		want  time.Time
	}{
		{nil, time.Time{}},
		{[]time.Time{{}, {}}, time.Time{}},
		{[]time.Time{{}, now, {}}, now},
		{[]time.Time{now.Add(1), now, now.Add(2)}, now},
	} {
		if got := earliest(c.times...); got != c.want {
			t.Errorf("earliest of %v is %v", c.times, got)
		}
	}
}

// TestSilentProcessIsStartedAgain checks that a process whose loop does not turn is ended
// and started again, without systemd, with its stacks in the log, and that the other
// process is not touched.
func TestSilentProcessIsStartedAgain(t *testing.T) {
	t.Parallel()
	for _, part := range []string{"stopped", "stuck"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			r := supervise(t, groups(2), envArgs+"=two silence=2s", envPart+"="+part)
			r.expect("child: configured 2 routers", "second: configured 2 routers", "Startup complete")
			child, second, did := r.pid("vrrp.pid"), r.pid("second.pid"), "supervisor.stuck"
			if part == "stopped" {
				r.pause()
				did = "supervisor.playChild"
			} else {
				r.signal(link.SignalJSON)
			}
			r.expect("VRRP process has not responded for ", "VRRP process: SIGABRT: abort",
				"VRRP process: keepalived-go/internal/"+did, fmt.Sprintf("VRRP child process(%d) died: Respawning", child),
				"child: configured 2 routers")
			if now := r.pid("second.pid"); now != second {
				t.Errorf("the second process %d was replaced by %d; log:\n%s", second, now, strings.Join(r.seen, "\n"))
			}
			r.signal(syscall.SIGTERM)
			r.exit(proc.ExitOK)
		})
	}
}

// TestWatchdogIsFedForAllProcesses checks that systemd gets no watchdog message if one of
// the processes is silent.
func TestWatchdogIsFedForAllProcesses(t *testing.T) {
	t.Parallel()
	path, states := notifySocket(t)
	superviseTwo(t, groups(2), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=100000", envSecond+"=silent")
	expectState(t, states, "READY=1")
	for timeout := time.After(500 * time.Millisecond); ; {
		select {
		case s := <-states:
			if strings.HasPrefix(s, "WATCHDOG=1") {
				t.Fatal("the watchdog was fed although one process is silent")
			}
		case <-timeout:
			return
		}
	}
}

// TestSilence checks how long a process may be silent for each watchdog interval.
func TestSilence(t *testing.T) {
	for watchdog, want := range map[time.Duration]time.Duration{
		0: maxSilence, time.Second: leastSilence, 20 * time.Second: 10 * time.Second, time.Hour: maxSilence,
	} {
		s := &supervisor{systemd: &serviceManager{watchdog: watchdog}}
		if got := s.silence(); got != want {
			t.Errorf("with a watchdog of %v a process may be silent for %v, want %v", watchdog, got, want)
		}
	}
}

// TestEventsFromChildToChild checks that an event that one process reports reaches
// another, also its successor, and that the other process is informed when the reporter
// ends.
func TestEventsFromChildToChild(t *testing.T) {
	t.Parallel()
	r := supervise(t, groups(1), envArgs+"=two", envSecond+"=reports")
	r.expect("child: second reports one: up", "child: second reports two: up", "Startup complete")
	r.killChild()
	r.expect("child: second reports one: up", "child: second reports two: up")
	if err := syscall.Kill(r.pid("second.pid"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.expectLine("child: second reports one: ")
	r.expectLine("child: second reports two: up") // to its successor
	r.signal(syscall.SIGTERM)
	r.exit(proc.ExitOK)
}

// expectLine waits for a line that ends with a text.
func (r *running) expectLine(text string) {
	r.t.Helper()
	for !strings.HasSuffix(r.expect(text), text) {
	}
}

func TestEventsAreBounded(t *testing.T) {
	s := &supervisor{}
	sl := &slot{s: s, role: &proc.Role{Name: "second", Title: "Second"}}
	s.slots = []*slot{sl}
	for i := range link.MaxSubjects + 10 {
		sl.report(&link.Event{To: "vrrp", Subject: fmt.Sprint(i), Body: []byte("up")})
	}
	if len(sl.events) != link.MaxSubjects {
		t.Errorf("%d events are kept, want %d", len(sl.events), link.MaxSubjects)
	}
	sl.report(&link.Event{To: "vrrp", Subject: "0"})
	sl.report(&link.Event{To: "vrrp", Subject: "last", Body: []byte("up")})
	if sl.events[subject{"vrrp", "last"}] == nil || sl.events[subject{"vrrp", "0"}] != nil {
		t.Error("the place of a subject that is gone is not given to another")
	}
}

// TestOutboxKeepsTheLastEventOfEachSubject checks that of waiting events only the last
// one of each subject is kept.
func TestOutboxKeepsTheLastEventOfEachSubject(t *testing.T) {
	event := func(subject, body string) link.Message {
		return link.Message{Kind: link.Report, Event: &link.Event{From: "second", Subject: subject, Body: []byte(body)}}
	}
	o := newOutbox()
	for range 100 {
		o.put(event("one", "down"))
		o.put(event("two", "down"))
	}
	o.put(event("one", "up"))
	var got []string
	for m := o.take(); m != nil; m = o.take() {
		e := m.(link.Message).Event
		got = append(got, e.Subject+" "+string(e.Body))
	}
	if want := []string{"one up", "two down"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

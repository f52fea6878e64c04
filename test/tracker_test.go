package test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// vrrpScript returns a vrrp_script block; more holds additional lines.
func vrrpScript(name, command, more string) string {
	return fmt.Sprintf("vrrp_script %s {\n    script %q\n    interval 0.2\n    timeout 3\n    %s\n}\n",
		name, command, strings.ReplaceAll(more, "\n", "\n    "))
}

// tracks returns the instance with a tracking block.
func (in instance) tracks(kind, lines string) instance {
	in.More = strings.TrimPrefix(fmt.Sprintf("%s\ntrack_%s {\n    %s\n}", in.More, kind, strings.ReplaceAll(lines, "\n", "\n    ")), "\n")
	return in
}

// TestTrackedService checks that nginx dies on the master and returns.
func TestTrackedService(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.Peer, lab.Nginx)
	for _, c := range []struct {
		name             string
		priority, weight int
		up, down         int // effective priority; down 0: FAULT
		moves            bool
	}{
		{"negative weight", 150, -60, 150, 90, true},
		{"positive weight", 90, 60, 150, 90, true},
		{"weight 0", 150, 0, 150, 0, true},
		{"weight too small", 150, -20, 150, 130, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a", "b")
			web := s.nginx("a")
			a := s.start("a", ours, vrrpScript("nginx", web.check(), fmt.Sprintf("weight %d\nfall 2\nrise 2", c.weight))+
				config(instance{}.at(c.priority).tracks("script", "nginx")))
			s.awaitOwner(vip, 4*time.Second, "a")
			s.awaitPriority(a.Started, "a", c.up, 2*time.Second)
			s.start("b", lab.C(), config(instance{}.at(100)))
			s.stays(vip, "a", time.Second)

			from := time.Now()
			web.kill()
			s.awaitPriority(from, "a", c.down, 4*time.Second)
			if c.moves {
				s.awaitOwner(vip, 3*time.Second, "b")
				s.stays(vip, "b", 500*time.Millisecond)
			} else {
				s.stays(vip, "a", 1500*time.Millisecond)
			}
			if c.down == 0 {
				s.awaitLog(a, from, "Entering FAULT STATE", time.Second)
			} else {
				s.awaitLog(a, from, fmt.Sprintf("Changing effective priority from %d to %d", c.up, c.down), time.Second)
			}

			from = time.Now()
			web.start()
			s.awaitOwner(vip, 5*time.Second, "a")
			s.awaitPriority(from, "a", c.up, 2*time.Second)
			s.onlyPriorities(from.Add(-time.Millisecond), "a", c.up, c.down)
		})
	}
}

// TestScriptRestartsService checks that a script that starts the service again before it
// fails keeps the address where it is.
func TestScriptRestartsService(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.Nginx)
	s := newScene(t, "a", "b")
	web := s.nginx("a")
	mend := s.script("a", "mend", web.check()+" 2>&- && exit 0\n"+web.command()+"\n"+
		"for i in 1 2 3 4 5 6 7 8 9 10; do\n"+web.check()+" && exit 0\nsleep 0.1\ndone\nexit 1")
	s.start("a", ours, vrrpScript("nginx", mend, "fall 1")+config(instance{}.at(150).tracks("script", "nginx")))
	s.awaitOwner(vip, 4*time.Second, "a")
	s.start("b", ours, config(instance{}.at(100)))
	for range 2 {
		old := web.pid()
		from := time.Now()
		web.kill()
		if !s.Until(3*time.Second, func() bool { return web.pid() != old && web.answers(0) }) {
			t.Fatal("the script did not start nginx")
		}
		s.stays(vip, "a", 500*time.Millisecond)
		s.onlyPriorities(from, "a", 150)
	}
}

// TestScriptEndsDaemon checks published recipes that end keepalived when the service is
// gone: the address moves with priority 0. killall works in a PID namespace, so that it
// finds this daemon only.
func TestScriptEndsDaemon(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.Nginx)
	for name, end := range map[string]string{
		"killall":  "killall keepalived",
		"pid file": "kill $(cat PIDFILE)",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a", "b")
			web := s.nginx("a")
			s.start("b", ours, config(instance{}.at(100)))
			s.awaitOwner(vip, 3*time.Second, "b")
			n := s.Node("a")
			pidFile := s.path("a", "k.pid")
			check := s.script("a", "check", web.check()+" 2>&- || "+strings.ReplaceAll(end, "PIDFILE", pidFile))
			s.must(os.WriteFile(s.path("a", "k.conf"), []byte(vrrpScript("nginx", check, "user root")+
				config(instance{}.at(150).tracks("script", "nginx"))), 0o644))
			d, err := n.StartWith(lab.Program{Name: "in a PID namespace", Path: "/usr/bin/unshare"},
				"--pid", "--fork", "--kill-child", "--mount-proc",
				ours.Path, "-n", "-l", "-D", "-G", "-f", s.path("a", "k.conf"), "-p", pidFile, "-r", s.path("a", "v.pid"))
			s.must(err)
			s.daemons = append(s.daemons, d)
			s.awaitOwner(vip, 5*time.Second, "a")
			from := time.Now()
			web.kill()
			s.awaitPriority(from, "a", 0, 4*time.Second)
			s.awaitOwner(vip, 2*time.Second, "b")
			if code := d.ExitCode(4 * time.Second); code != 0 {
				t.Errorf("exit code %d, want 0", code)
			}
		})
	}
}

// TestNopreemptTrap checks that nopreempt takes precedence over a weight. A (80,
// nopreempt) loses the address to B (70) when its service dies; when B's service dies as
// well, A does not take over, although its priority 60 is higher than B's 50.
func TestNopreemptTrap(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	check := func(node string) string {
		s.write(node, "alive", "")
		return vrrpScript("service", s.script(node, "check", "test -e "+s.path(node, "alive")), "weight -20")
	}
	in := instance{More: "nopreempt"}
	s.start("a", ours, check("a")+config(in.at(80).tracks("script", "service")))
	s.awaitOwner(vip, 4*time.Second, "a")
	s.start("b", ours, check("b")+config(instance{}.at(70).tracks("script", "service")))
	s.stays(vip, "a", time.Second)

	from := time.Now()
	s.must(os.Remove(s.path("a", "alive")))
	s.awaitPriority(from, "a", 60, 2*time.Second)
	s.awaitOwner(vip, 3*time.Second, "b")
	from = time.Now()
	s.must(os.Remove(s.path("b", "alive")))
	s.awaitPriority(from, "b", 50, 2*time.Second)
	s.stays(vip, "b", 1500*time.Millisecond)
	// A is the backup nevertheless, and serves when the master stops.
	s.must(unix.Kill(s.daemons[1].Pid(), unix.SIGTERM))
	s.awaitOwner(vip, 3*time.Second, "a")
}

// TestScriptWithoutResult checks that an instance that tracks a script without weight
// does not serve before the first result.
func TestScriptWithoutResult(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	fifo := s.fifo("a", "fifo")
	slow := s.script("a", "slow", "until [ -e "+s.path("a", "go")+" ]; do sleep 0.05; done")
	a := s.start("a", ours, vrrpScript("slow", slow, "interval 20\ntimeout 20")+
		configWith("vrrp_notify_fifo "+fifo.path, instance{}.at(150).tracks("script", "slow")))
	s.stays(vip, "", 1500*time.Millisecond)
	if lines := fifo.all(); len(lines) > 0 {
		t.Errorf("reported before the first result of the script: %q", lines)
	}
	s.silent(a.Started, time.Now(), "a")
	s.write("a", "go", "")
	n := s.await(fifo, 0, `INSTANCE "VI_1" BACKUP 150`, 2*time.Second)
	s.await(fifo, n, `INSTANCE "VI_1" MASTER 150`, 2*time.Second)
	s.awaitOwner(vip, time.Second, "a")
	if !a.Logged(a.Started, "(VI_1) Entering BACKUP STATE") {
		t.Error("the log does not report it")
	}
}

// TestTrackedScriptMisbehaves checks that a script that hangs fails and leaves no process
// behind, and that one that writes a lot, or has children that keep its output open, has
// no effect on others.
func TestTrackedScriptMisbehaves(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	s.write("a", "mode", "good")
	moody := s.script("a", "moody", `case $(cat `+s.path("a", "mode")+`) in
good) exit 0;;
loud) head -c 1048576 /dev/zero | tr '\0' x; exit 0;;
heir) sleep 0.5 & exit 0;;
hang) trap '' TERM; sleep 3600;;
esac`)
	block := fmt.Sprintf("vrrp_script moody {\n    script %s\n    interval 0.2\n    timeout 4\n    weight -50\n}\n", moody)
	a := s.start("a", ours, block+config(instance{}.at(150).tracks("script", "moody")))
	s.awaitOwner(vip, 4*time.Second, "a")
	for _, mode := range []string{"loud", "heir"} {
		from := time.Now()
		s.write("a", "mode", mode)
		s.stays(vip, "a", time.Second)
		s.onlyPriorities(from, "a", 150)
	}
	from := time.Now()
	s.write("a", "mode", "hang")
	s.awaitPriority(from, "a", 100, 15*time.Second)
	s.write("a", "mode", "good")
	s.awaitPriority(time.Now(), "a", 150, 15*time.Second) // SIGKILL is sent 2 s after SIGTERM
	if !a.Logged(from, "timed") {
		t.Error("the log does not report the timeout")
	}
	s.must(a.Stop())
	s.noProcessLeft("a")
}

// trackFile returns a track_file block.
func trackFile(name, path, more string) string {
	return fmt.Sprintf("track_file %s {\n    file %s\n    %s\n}\n", name, path, strings.ReplaceAll(more, "\n", "\n    "))
}

// TestTrackedFile checks that the number in a file has its effect on the wire as soon as
// it is in the file, in whatever way it was written.
func TestTrackedFile(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	file := s.path("a", "load")
	s.write("a", "load", "0")
	s.start("a", ours, trackFile("load", file, "weight 2")+config(instance{}.at(150).tracks("file", "load")))
	s.awaitOwner(vip, 4*time.Second, "a")
	began := time.Now()
	seen := []int{150}
	for _, step := range []struct {
		name     string
		change   func() error
		priority int
	}{
		{"written", func() error { return os.WriteFile(file, []byte("-10\n"), 0o644) }, 130},
		{"replaced", func() error {
			if err := os.WriteFile(file+".new", []byte("-20"), 0o644); err != nil {
				return err
			}
			return os.Rename(file+".new", file)
		}, 110},
		{"removed", func() error { return os.Remove(file) }, 150},
		{"made", func() error { return os.WriteFile(file, []byte("30\n"), 0o644) }, 210},
		{"beyond the limit", func() error { return os.WriteFile(file, []byte("100\n"), 0o644) }, 254},
		{"moved away", func() error { return os.Rename(file, file+".old") }, 150},
		{"words", func() error { return os.WriteFile(file, []byte("down\n"), 0o644) }, 150},
		{"down to the least", func() error { return os.WriteFile(file, []byte("-126\n"), 0o644) }, 1},
	} {
		from := time.Now()
		s.must(step.change())
		s.awaitPriority(from, "a", step.priority, 2*time.Second)
		seen = append(seen, step.priority)
	}
	s.onlyPriorities(began, "a", seen...)
	from := time.Now()
	s.must(os.WriteFile(file, []byte("-127\n"), 0o644)) // −254: a fault
	s.awaitPriority(from, "a", 0, 2*time.Second)
	s.awaitOwner(vip, time.Second)
}

// TestTrackersTogether checks that changes of one instant are one change: one new
// priority, without intermediate values.
func TestTrackersTogether(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	file := s.path("a", "n")
	s.write("a", "n", "0")
	var blocks, list []string
	for i := range 5 {
		name := fmt.Sprintf("f%d", i)
		blocks = append(blocks, trackFile(name, file, ""))
		list = append(list, name)
	}
	s.write("a", "bad", "0")
	for i := range 3 {
		name := fmt.Sprintf("bad%d", i)
		blocks = append(blocks, trackFile(name, s.path("a", "bad"), "weight 0"))
		list = append(list, name)
	}
	fifo := s.fifo("a", "fifo")
	in := instance{Interval: time.Second}.at(150).tracks("file", strings.Join(list, "\n"))
	a := s.start("a", ours, strings.Join(blocks, "")+
		configWith("vrrp_notify_priority_changes\nvrrp_notify_fifo "+fifo.path, in))
	n := s.await(fifo, 0, `INSTANCE "VI_1" MASTER 150`, 6*time.Second)
	for _, step := range []struct{ number, priority int }{{-5, 125}, {4, 170}, {-10, 100}} {
		from := time.Now()
		s.write("a", "n", fmt.Sprint(step.number))
		line := fmt.Sprintf(`INSTANCE "VI_1" MASTER_PRIORITY %d`, step.priority)
		n = s.await(fifo, n, line, 2*time.Second)
		s.awaitPriority(from, "a", step.priority, 3*time.Second)
		if n := count(a, from, "Changing effective priority"); n != 1 && !underC {
			t.Errorf("%d changes of priority in the log, want one", n)
		}
	}
	s.onlyPriorities(a.Started, "a", 150, 125, 170, 100)
	s.write("a", "bad", "1")
	s.await(fifo, n, `INSTANCE "VI_1" FAULT 100`, 2*time.Second)
	s.awaitPriority(a.Started, "a", 0, time.Second)
	s.write("a", "bad", "0")
	s.await(fifo, n, `INSTANCE "VI_1" BACKUP 100`, 2*time.Second)
	zero := 0
	for _, e := range s.adverts(a.Started, time.Now(), "a") {
		zero += btoi(e.Priority == 0)
	}
	if zero != 1 && !underC {
		t.Errorf("%d adverts of priority 0, want one", zero)
	}
	want := []string{
		`INSTANCE "VI_1" BACKUP 150`, `INSTANCE "VI_1" MASTER 150`,
		`INSTANCE "VI_1" MASTER_PRIORITY 125`, `INSTANCE "VI_1" MASTER_PRIORITY 170`, `INSTANCE "VI_1" MASTER_PRIORITY 100`,
		`INSTANCE "VI_1" FAULT 100`, `INSTANCE "VI_1" BACKUP 100`,
	}
	if lines := fifo.all(); !underC && !slices.Equal(lines, want) { // the C daemon changes the priority in five steps
		t.Errorf("got %q, want %q", lines, want)
	}
}

// TestTrackedInterface checks that another interface counts by its weight, or as a fault.
func TestTrackedInterface(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.Peer)
	for name, c := range map[string]struct {
		line string
		down int
	}{"weight": {"eth1 weight -60", 90}, "fault": {"eth1", 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newWideScene(t, 2, "a", "b")
			s.start("a", ours, config(instance{}.at(150).tracks("interface", c.line)))
			s.awaitOwner(vip, 4*time.Second, "a")
			s.start("b", lab.C(), config(instance{}.at(100)))
			s.stays(vip, "a", 500*time.Millisecond)
			for range 2 {
				from := time.Now()
				s.must(s.Node("a").Unplug(1))
				s.awaitPriority(from, "a", c.down, 2*time.Second)
				s.awaitOwner(vip, 3*time.Second, "b")
				from = time.Now()
				s.must(s.Node("a").Plug(1))
				s.awaitOwner(vip, 3*time.Second, "a")
				s.awaitPriority(from, "a", 150, 2*time.Second)
			}
		})
	}
}

// TestInterfaceDelays checks that a change of an interface counts after the configured
// delay.
func TestInterfaceDelays(t *testing.T) {
	t.Parallel()
	s := newWideScene(t, 2, "a")
	s.start("a", ours, "interface_up_down_delays {\n    eth1 1 1\n}\n"+
		config(instance{}.at(150).tracks("interface", "eth1 weight -60")))
	s.awaitOwner(vip, 6*time.Second, "a")
	s.awaitPriority(time.Now(), "a", 150, 3*time.Second)

	from := time.Now()
	for range 5 {
		s.must(s.Node("a").Unplug(1))
		s.must(s.Node("a").Plug(1))
	}
	s.stays(vip, "a", 1500*time.Millisecond)
	s.onlyPriorities(from, "a", 150)

	const delay = time.Second - 5*time.Millisecond
	from = time.Now()
	s.must(s.Node("a").Unplug(1))
	if e := s.awaitPriority(from, "a", 90, 4*time.Second); e.Time.Sub(from) < delay {
		t.Errorf("the loss counted after %v, want 1 s", e.Time.Sub(from))
	}
	from = time.Now()
	s.must(s.Node("a").Plug(1))
	if e := s.awaitPriority(from, "a", 150, 4*time.Second); e.Time.Sub(from) < delay {
		t.Errorf("the return counted after %v, want 1 s", e.Time.Sub(from))
	}
}

// TestTrackedProcess checks a tracked process that is started and killed.
func TestTrackedProcess(t *testing.T) {
	t.Parallel()
	differs(t, "hears of processes in the first network namespace only")
	s := newScene(t, "a")
	name := fmt.Sprintf("svc%d", os.Getpid()) // the table of processes is shared by the whole machine
	program := s.path("a", name)
	_, err := s.Node("a").Run("cp", "/bin/sleep", program)
	s.must(err)
	s.start("a", ours, fmt.Sprintf("vrrp_track_process svc {\n    process %s\n    quorum 2\n    weight 50\n}\n", name)+
		config(instance{}.at(100).tracks("process", "svc")))
	s.awaitPriority(time.Now(), "a", 100, 4*time.Second)
	run := func() *lab.Daemon {
		d, err := s.Node("a").StartWith(lab.Program{Name: name, Path: program}, "3600")
		s.must(err)
		return d
	}
	from := time.Now()
	first := run()
	second := run()
	s.awaitPriority(from, "a", 150, 4*time.Second)
	from = time.Now()
	first.Kill()
	s.awaitPriority(from, "a", 100, 4*time.Second)
	from = time.Now()
	run()
	s.awaitPriority(from, "a", 150, 4*time.Second)
	second.Kill()
}

// TestReloadTrackers checks that trackers that a reload adds, removes or changes take
// effect from their known results: no state changes in between, and no priority is on the
// wire that belongs to neither configuration.
func TestReloadTrackers(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	fifo := s.fifo("a", "fifo")
	s.write("a", "n", "-7")
	runs := s.path("a", "runs")
	vital := vrrpScript("vital", s.script("a", "vital", "echo run >>"+runs), "interval 60")
	failing := func(weight int) string {
		return vrrpScript("failing", s.script("a", "failing", "exit 1"), fmt.Sprintf("interval 60\nweight %d", weight))
	}
	number := trackFile("number", s.path("a", "n"), "")
	global := "vrrp_notify_fifo " + fifo.path
	conf := func(blocks string, in instance) string { return blocks + configWith(global, in.at(200)) }
	in := instance{}
	a := s.start("a", ours, conf(vital+failing(-20), in.tracks("script", "vital\nfailing")))
	n := s.await(fifo, 0, `INSTANCE "VI_1" MASTER 180`, 4*time.Second)
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 10*time.Second, "a")
	s.stays(vip, "a", 500*time.Millisecond)

	before := 180
	for _, step := range []struct {
		name, config string
		priority     int
	}{
		{"a file added", conf(vital+failing(-20)+number, in.tracks("script", "vital\nfailing").tracks("file", "number")), 173},
		{"a weight changed", conf(vital+failing(-40)+number, in.tracks("script", "vital\nfailing").tracks("file", "number")), 153},
		{"the failing script removed", conf(vital+number, in.tracks("script", "vital").tracks("file", "number")), 193},
		{"the file removed", conf(vital, in.tracks("script", "vital")), 200},
	} {
		from := time.Now()
		s.must(a.Reload(step.config))
		s.awaitPriority(from, "a", step.priority, 3*time.Second)
		s.stays(vip, "a", 300*time.Millisecond)
		s.onlyPriorities(from, "a", before, step.priority)
		s.neverQuiet("a", from, time.Now(), masterDown(in.at(100)))
		before = step.priority
	}
	for _, line := range fifo.all()[n:] {
		t.Errorf("got %q", line)
	}
	if runs := len(fileLines(runs)); runs != 1 && !underC {
		t.Errorf("the script that stayed the same ran %d times, want once", runs)
	}
}

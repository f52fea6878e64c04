package track

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/required"
)

func TestMatcher(t *testing.T) {
	args := func(s ...string) string { return strings.Join(s, "\x00") + "\x00" }
	for _, c := range []struct {
		name    string
		conf    conf.TrackProcess
		comm    string // "": any
		cmdline string
		want    bool
	}{
		{"name alone", conf.TrackProcess{Process: "nginx", Match: conf.MatchNone}, "nginx", args("nginx", "-g", "x"), true},
		{"a path means its last part", conf.TrackProcess{Process: "/usr/sbin/nginx", Match: conf.MatchNone}, "nginx", "", true},
		{"a long name is cut as the kernel does", conf.TrackProcess{Process: "a-very-long-program-name", Match: conf.MatchNone}, "a-very-long-pro", "", true},
		{"all arguments", conf.TrackProcess{Process: "p", Params: []string{"-a", "b"}}, "p", args("/bin/p", "-a", "b"), true},
		{"one too many", conf.TrackProcess{Process: "p", Params: []string{"-a"}}, "p", args("/bin/p", "-a", "b"), false},
		{"one too few", conf.TrackProcess{Process: "p", Params: []string{"-a", "b"}}, "p", args("/bin/p", "-a"), false},
		{"partial: the first ones", conf.TrackProcess{Process: "p", Params: []string{"-a"}, Match: conf.MatchPartial}, "p", args("p", "-a", "b"), true},
		{"partial: each whole", conf.TrackProcess{Process: "p", Params: []string{"-a"}, Match: conf.MatchPartial}, "p", args("p", "-ab"), false},
		{"initial: the last may be longer", conf.TrackProcess{Process: "p", Params: []string{"-a", "--conf"}, Match: conf.MatchInitial}, "p", args("p", "-a", "--conf=x", "y"), true},
		{"initial: the others may not", conf.TrackProcess{Process: "p", Params: []string{"-a", "--conf"}, Match: conf.MatchInitial}, "p", args("p", "-ab", "--conf=x"), false},
		{"no arguments wanted, none there", conf.TrackProcess{Process: "p", Match: conf.MatchPartial}, "p", args("p"), true},
		{"no arguments wanted, one there", conf.TrackProcess{Process: "p", Match: conf.MatchInitial}, "p", args("p", "x"), false},
		{"full command by name", conf.TrackProcess{Process: "p", Match: conf.MatchNone, FullCommand: true}, "", args("/bin/p", "x"), true},
		{"full command by path", conf.TrackProcess{Process: "/bin/p", Match: conf.MatchNone, FullCommand: true}, "", args("/bin/p"), true},
		{"another path", conf.TrackProcess{Process: "/bin/p", Match: conf.MatchNone, FullCommand: true}, "", args("/usr/bin/p"), false},
		{"a title with zeros behind it", conf.TrackProcess{Process: "nginx: worker process", Match: conf.MatchExact, FullCommand: true}, "", "nginx: worker process\x00\x00\x00\x00", true},
		{"a thread of the kernel has no command line", conf.TrackProcess{Process: "p", Match: conf.MatchExact, FullCommand: true}, "", "", false},
	} {
		m := newMatcher(&c.conf)
		if m.comm != c.comm {
			t.Errorf("%s: looks for the name %q, want %q", c.name, m.comm, c.comm)
		}
		if got := m.matches([]byte(c.cmdline)); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

// program returns sleep(1) under a unique name. It is a link: a copy could not be run
// while a process that another test starts has it open for writing.
func program(t *testing.T) (path, name string) {
	t.Helper()
	name = fmt.Sprintf("zz%d.%d", os.Getpid()%100000, time.Now().UnixNano()%100000)
	path = filepath.Join(t.TempDir(), name)
	must(t, os.Symlink("/bin/sleep", path))
	return path, name
}

// start runs a program until stop is called or the test ends. Without wait the process
// remains a zombie after stop.
func start(t *testing.T, wait bool, path string, args ...string) (stop func()) {
	t.Helper()
	cmd := exec.Command(path, args...)
	must(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	return func() {
		must(t, cmd.Process.Kill())
		if wait {
			cmd.Wait()
		}
	}
}

// needProcEvents skips the test where the kernel reports no events of processes.
func needProcEvents(t *testing.T) *procConn {
	t.Helper()
	conn, err := openProcEvents(1<<20, true)
	if err != nil {
		required.Missing(t, "events of processes: ", err)
	}
	return conn
}

func TestProcesses(t *testing.T) {
	for _, c := range []struct {
		name   string
		events bool
	}{{"reported by the kernel", true}, {"counted", false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.events {
				needProcEvents(t).close()
			}
			updates := make(chan []Update, 1000)
			p := newProcesses(func(u []Update) { updates <- u }, 1<<20, true)
			p.opened = !c.events
			p.every = 20 * time.Millisecond
			done, stopped := make(chan struct{}), make(chan struct{})
			go func() { p.run(done); close(stopped) }()
			defer func() { close(done); <-stopped }()

			path, name := program(t)
			stopFirst := start(t, false, path, "1000")
			process := func(name string, quorum, most int, match conf.ParamMatch, params ...string) *conf.TrackProcess {
				return &conf.TrackProcess{Name: name, Process: filepath.Base(path), Params: params, Match: match, Quorum: quorum, QuorumMax: most}
			}
			answer := make(chan []Update, 1)
			p.mail <- request{&conf.Config{Processes: []*conf.TrackProcess{
				process("one", 1, -1, conf.MatchNone),
				process("two", 2, -1, conf.MatchNone),
				process("none", 0, 0, conf.MatchNone),
				process("params", 1, -1, conf.MatchExact, "2000"),
			}}, func(u []Update) { answer <- u }}
			w := &watched{t: t, updates: updates, status: make(map[string]policy.Status)}
			w.take(<-answer)
			expect := func(when string, want map[string]bool) {
				t.Helper()
				for name, up := range want {
					w.await(name, fmt.Sprintf("up=%v when %s", up, when), func(s policy.Status) bool { return s.Known && s.Up == up })
				}
			}
			expect("one runs", map[string]bool{"one": true, "two": false, "none": false, "params": false})
			if s := w.status["one"]; s.Number != 1 || s.Cause.Detail != "1 running, quorum 1" {
				t.Errorf("%+v", s)
			}
			stopSecond := start(t, true, path, "2000")
			expect("two run", map[string]bool{"two": true, "params": true})
			stopFirst() // and remains a zombie
			expect("one is left", map[string]bool{"two": false, "one": true, "params": true})
			stopSecond()
			expect("none is left", map[string]bool{"one": false, "none": true, "params": false})

			// A shell keeps the name until it reads a line.
			shell := exec.Command("/bin/sh", "-c", `printf %s "$0" > /proc/$$/comm; read x; printf other > /proc/$$/comm; read x`, name)
			in, err := shell.StdinPipe()
			must(t, err)
			must(t, shell.Start())
			defer func() { in.Close(); shell.Wait() }()
			expect("it took the name", map[string]bool{"one": true})
			fmt.Fprintln(in)
			expect("it took another", map[string]bool{"one": false})

			// A child that only forks counts as a process of that name.
			tree := exec.Command("/bin/sh", "-c", `printf %s "$0" > /proc/$$/comm; (read x <&3) & wait`, name)
			hold, err := tree.StdinPipe()
			must(t, err)
			r, wr, err := os.Pipe()
			must(t, err)
			defer r.Close()
			defer wr.Close()
			tree.ExtraFiles = []*os.File{r}
			must(t, tree.Start())
			expect("it has forked", map[string]bool{"two": true})
			wr.Close()
			hold.Close()
			must(t, tree.Wait())
			expect("both have ended", map[string]bool{"one": false, "two": false})
		})
	}
}

func TestProcessEventsFromAnotherNamespace(t *testing.T) {
	needProcEvents(t).close()
	lab.Need(t, lab.Root)
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	first, err := os.Open("/proc/thread-self/ns/net")
	must(t, err)
	defer first.Close()
	must(t, unix.Unshare(unix.CLONE_NEWNET))
	if _, err := dialProcEvents(nl.Options{}); !errors.Is(err, unix.ECONNREFUSED) {
		t.Fatalf("in a namespace of its own: %v", err)
	}
	conn, err := dialProcEventsIn(fmt.Sprintf("/proc/self/fd/%d", first.Fd()), nl.Options{})
	must(t, err)
	defer conn.close()
	must(t, exec.Command("/bin/true").Run())
	for started := false; !started; { // the first events answer the request to listen
		events, err := conn.read(nil)
		must(t, err)
		started = slices.ContainsFunc(events, func(e procEvent) bool { return e.what == procExec })
	}
}

func TestLostProcessEventsAreReported(t *testing.T) {
	needProcEvents(t).close()
	conn, err := openProcEvents(1, false) // as small as the kernel permits
	must(t, err)
	defer conn.close()
	must(t, exec.Command("/bin/sh", "-c", "i=0; while [ $i -lt 100 ]; do (:); i=$((i+1)); done").Run())
	for n := 0; ; n++ {
		if _, err := conn.read(nil); err == nl.ErrLost {
			break
		} else if err != nil || n > 1000 {
			t.Fatalf("read %d: %v", n, err)
		}
	}
}

func TestProcEventsEndWithClose(t *testing.T) {
	conn := needProcEvents(t)
	done := make(chan error)
	go func() {
		for {
			if _, err := conn.read(nil); err != nil {
				done <- err
				return
			}
		}
	}()
	conn.close()
	if err := <-done; !errors.Is(err, fs.ErrClosed) {
		t.Errorf("read ended with %v", err)
	}
}

func TestProcessesAtReload(t *testing.T) {
	path, name := program(t)
	start(t, true, path, "1000")
	process := &conf.TrackProcess{Name: "p", Process: name, Match: conf.MatchNone, Quorum: 1, QuorumMax: -1}
	c := &conf.Config{Processes: []*conf.TrackProcess{process}}
	w := watch(t, c)
	if s := w.status["p"]; !s.Up {
		t.Errorf("first %+v", s)
	}
	heavier := *process
	heavier.Weight = 10
	if u := w.configure(&conf.Config{Processes: []*conf.TrackProcess{&heavier}}); len(u) != 0 {
		t.Errorf("another weight gave %+v", u)
	}
	other := *process
	other.Quorum = 2
	if u := w.configure(&conf.Config{Processes: []*conf.TrackProcess{&other}}); len(u) != 1 || u[0].Status.Up {
		t.Errorf("another quorum gave %+v", u)
	}
	w.configure(new(conf.Config))
	if u := w.configure(c); len(u) != 1 || !u[0].Status.Up {
		t.Errorf("removed and there again gave %+v", u)
	}
}

func FuzzDecodeProcEvent(f *testing.F) {
	f.Add(append(listenRequest()[nl.HeaderLen:], make([]byte, 64)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, ok := decodeProcEvent(b); ok && len(b) < eventLength {
			t.Errorf("%+v from %d bytes", e, len(b))
		}
	})
}

// TestForeignForksDoNotAllocate checks that events of a process that does not count cause
// no allocation.
func TestForeignForksDoNotAllocate(t *testing.T) {
	p := newProcesses(nil, 0, false)
	p.all = []*counted{{}}
	p.pids = map[int32][]*counted{}
	fork, exit := procEvent{what: procFork, parent: 1, pid: 2}, procEvent{what: procExit, pid: 2}
	if n := testing.AllocsPerRun(100, func() { p.event(&fork); p.event(&exit) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

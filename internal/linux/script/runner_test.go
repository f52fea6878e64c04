package script

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
)

func TestResults(t *testing.T) {
	r := newRunner(t)
	for _, tt := range []struct {
		name, script, want, output string
	}{
		{"success", "exit 0", "exited with status 0", ""},
		{"failure", "exit 7", "exited with status 7", ""},
		{"signal", "kill -9 $$", "killed by signal 9 (killed)", ""},
		{"last line of output", "echo one; echo two; echo; echo ' '", "exited with status 0", "two"},
		{"standard error", "echo one; echo two >&2", "exited with status 0", "two"},
		{"without newline", "printf 'one\ntwo'", "exited with status 0", "two"},
		{"escapes", `printf '\033[31mred\a\n'`, "exited with status 0", "?[31mred?"},
		{"long line", "printf %0300d 0", "exited with status 0", strings.Repeat("0", 256)},
		{"a megabyte", "head -c 1048576 /dev/zero | tr '\\0' x; echo; echo last", "exited with status 0", "last"},
		{"a megabyte of lines", "yes | head -c 1048576; echo last", "exited with status 0", "last"},
		{"no input", "cat; echo end", "exited with status 0", "end"},
		{"arguments", `echo "$0 $*"`, "exited with status 0", "a b c d"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := run(t, r, Request{Program: sh(t, tt.script, "a", "b"), Extra: []string{"c", "d"}})
			if res.String() != tt.want || res.Output != tt.output {
				t.Errorf("got %s, %q\nwant %s, %q", &res, res.Output, tt.want, tt.output)
			}
			if res.OK() != (tt.want == "exited with status 0") {
				t.Errorf("OK is %v", res.OK())
			}
		})
	}
}

// TestNames checks that a program gets its name as configured, and a script the path that
// is executed.
func TestNames(t *testing.T) {
	dir := t.TempDir()
	r := newRunner(t)
	write(t, dir+"/script", "#!/bin/sh\necho $0 $* $(cat /proc/$$/comm)\n")
	write(t, dir+"/text", "echo $0 $* $(cat /proc/$$/comm)\n")
	must(t, os.Symlink("script", dir+"/link"))
	for _, tt := range []struct{ path, want string }{
		{dir + "/script", dir + "/script a script"},
		{dir + "/link", dir + "/script a script"},
		{dir + "/text", dir + "/text a sh"},
	} {
		res := run(t, r, Request{Program: resolve(t, tt.path, "a")})
		if res.Output != tt.want {
			t.Errorf("%s: got %q, %s, want %q", tt.path, res.Output, &res, tt.want)
		}
	}
}

func TestSurroundings(t *testing.T) {
	inherited, err := unix.Open("/dev/null", unix.O_RDONLY, 0)
	must(t, err)
	defer unix.Close(inherited)
	t.Setenv("IFS", "x")
	t.Setenv("LD_PRELOAD", "")
	t.Setenv("LD_LIBRARY_PATH", "/nowhere")
	t.Setenv("NOTIFY_SOCKET", "/nowhere")
	t.Setenv("WATCHDOG_USEC", "1")
	t.Setenv("KEEPALIVED_CHILD", "vrrp")
	t.Setenv("KEEPALIVED_PRIORITY", "100")
	r := newRunner(t)
	for _, tt := range []struct{ name, script, want string }{
		{"environment", `echo ${LD_PRELOAD-a}${LD_LIBRARY_PATH-b}${NOTIFY_SOCKET-c}${WATCHDOG_USEC-d}${KEEPALIVED_CHILD-e} $KEEPALIVED_PRIORITY $(tr '\0' '\n' < /proc/$$/environ | grep ^IFS=)`, "abcde 100"},
		{"process group", `[ $(cut -d' ' -f5 /proc/$$/stat) = $$ ]; echo $?`, "0"},
		{"descriptors", `i=0; while [ $i -lt 1000 ]; do [ -e /proc/$$/fd/$i ] && l="$l $i"; i=$((i+1)); done; echo $l`, "0 1 2"},
		{"standard input", "readlink /proc/$$/fd/0", "/dev/null"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if res := run(t, r, Request{Program: sh(t, tt.script)}); res.Output != tt.want {
				t.Errorf("got %q, %s, want %q", res.Output, &res, tt.want)
			}
		})
	}
}

func TestUsers(t *testing.T) {
	needRoot(t)
	r := newRunner(t)
	for _, tt := range []struct{ user, group, want string }{
		{"nobody", "", "65534 65534 65534 ok"},
		{"nobody", "daemon", "65534 1 1 ok"},
		{"root", "", "0 0 0 ok"},
		{"4000000000", "4000000001", "4000000000 4000000001 4000000001 ok"},
	} {
		// A user could not reopen its output if that were a pipe of root's.
		p, err := Resolve(conf.Command{User: tt.user, Group: tt.group,
			Args: []string{"/bin/sh", "-c", "echo $(id -u) $(id -g) $(id -G) ok > /dev/stderr"}}, conf.ScriptPolicy{})
		must(t, err)
		if res := run(t, r, Request{Program: p}); res.Output != tt.want {
			t.Errorf("%s:%s: got %q, %s, want %q", tt.user, tt.group, res.Output, &res, tt.want)
		}
	}
}

func TestTimeout(t *testing.T) {
	r := newRunner(t)
	if res := run(t, r, Request{Program: sh(t, "sleep 60"), Timeout: time.Millisecond}); !res.TimedOut || res.Signal != syscall.SIGTERM {
		t.Errorf("got %+v", res)
	}
	for _, tt := range []struct {
		name, script string
		signal       syscall.Signal
		exit         int
	}{
		{"cleans up", "trap 'exit 3' TERM; READY; sleep 60 & wait", 0, 3},
		{"pretends success", "trap 'exit 0' TERM; READY; sleep 60 & wait", 0, 0},
		{"ignores SIGTERM", "trap '' TERM; READY; while :; do sleep 60; done", syscall.SIGKILL, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path, line := fifo(t)
			script := strings.Replace(tt.script, "READY", "echo ready > "+path, 1)
			one, done := start(r, Request{Program: sh(t, script), Timeout: time.Hour})
			line()
			must(t, r.post(func() { r.schedule(one, time.Now()) }, maxQueue)) // an hour has passed
			res := wait(t, done)
			if !res.TimedOut || res.OK() || res.Signal != tt.signal || res.Exit != tt.exit || res.String() != "timed out" {
				t.Errorf("got %+v", res)
			}
		})
	}
}

// TestTimeoutKillsTheRestOfTheGroup checks that a child that outlives a script after
// SIGTERM is killed at the end of the timeout.
func TestTimeoutKillsTheRestOfTheGroup(t *testing.T) {
	r := newRunner(t)
	path, line := fifo(t)
	// The child has to ignore SIGTERM before it is sent.
	script := "(trap '' TERM; echo $(exec sh -c 'echo $PPID') > " + path + "; while :; do sleep 60; done) & wait"
	one, done := start(r, Request{Program: sh(t, script)})
	child, err := strconv.Atoi(line())
	must(t, err)
	one.Terminate()
	if res := wait(t, done); res.Signal != syscall.SIGTERM {
		t.Errorf("the script: %s", &res)
	}
	waitGone(t, child)
}

func TestTerminate(t *testing.T) {
	r := newRunner(t)
	one, done := start(r, Request{Program: sh(t, "sleep 60"), Timeout: time.Hour})
	one.Terminate()
	if res := wait(t, done); res.TimedOut || res.Signal != syscall.SIGTERM {
		t.Errorf("got %s", &res)
	}
	one.Terminate() // has no effect
	if res := run(t, r, Request{Program: sh(t, "exit 0")}); !res.OK() {
		t.Errorf("got %s", &res)
	}
}

// TestBackground checks that a background process of a script does not delay its end,
// stays alive, and may continue to write to the output of the script.
func TestBackground(t *testing.T) {
	r := newRunner(t)
	in, _ := fifo(t)
	out, line := fifo(t)
	script := fmt.Sprintf("(read go < %s; yes | head -c 1000000; echo alive > %s) & echo started", in, out)
	res := run(t, r, Request{Program: sh(t, script), Timeout: time.Hour})
	if !res.OK() || res.Output != "started" {
		t.Errorf("got %q, %s", res.Output, &res)
	}
	r.Close(0)
	must(t, os.WriteFile(in, []byte("go\n"), 0))
	if got := line(); got != "alive" {
		t.Errorf("got %q", got)
	}
}

func TestCannotStart(t *testing.T) {
	r := newRunner(t)
	dir := safeDir(t)
	x := write(t, dir+"/x", "#!/bin/sh\n")
	secure, err := Resolve(conf.Command{Args: []string{x}, User: "root"}, conf.ScriptPolicy{Secure: true})
	must(t, err)
	if res := run(t, r, Request{Program: secure}); !res.OK() {
		t.Errorf("while it is safe: %s", &res)
	}
	must(t, os.Chmod(dir, 0o777))
	wantProblem(t, run(t, r, Request{Program: secure}).Err, Insecure, dir, "chmod go-w "+dir)
	must(t, os.Chmod(dir, 0o755))
	must(t, os.Remove(x))
	wantProblem(t, run(t, r, Request{Program: secure}).Err, Missing, x, "ls -l "+dir)

	long := Request{Program: sh(t, "exit 0"), Extra: []string{strings.Repeat("x", 1<<20)}}
	if res := run(t, r, long); res.Err == nil || !strings.Contains(res.String(), "could not be started: start /") {
		t.Errorf("a megabyte of arguments: %s", &res)
	}
	r.Close(0)
	if res := run(t, r, Request{Program: sh(t, "exit 0")}); res.Err != errClosed {
		t.Errorf("after Close: %s", &res)
	}
}

func TestTooManyProcesses(t *testing.T) {
	needRoot(t)
	other := exec.Command("/bin/sleep", "60")
	other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	must(t, other.Start())
	defer func() { other.Process.Kill(); other.Wait() }()
	out, err := helper("limited", "nobody", "/bin/sh", "-c", "exit 0").CombinedOutput()
	must(t, err)
	const want = "could not be started: start /usr/bin/dash: user nobody has too many processes (ulimit -u, TasksMax of the service): resource temporarily unavailable"
	if got := strings.TrimSpace(string(out)); got != strings.Replace(want, "/usr/bin/dash", sh(t, "").Path, 1) {
		t.Errorf("got %s", got)
	}
}

// TestOldKernel checks that without pidfds, ends are found by polling.
func TestOldKernel(t *testing.T) {
	r := newRunner(t)
	path, line := fifo(t)
	one, done := start(r, Request{Program: sh(t, "echo ready > "+path+"; sleep 60")})
	line()
	must(t, r.post(func() {
		unix.EpollCtl(r.epoll, unix.EPOLL_CTL_DEL, one.pidfd, nil)
		delete(r.byFD, int32(one.pidfd))
		unix.Close(one.pidfd)
		one.pidfd = -1
		r.blind++
	}, maxQueue))
	one.Terminate()
	if res := wait(t, done); res.Signal != syscall.SIGTERM {
		t.Errorf("got %s", &res)
	}
	if res := run(t, r, Request{Program: sh(t, "exit 5")}); res.Exit != 5 {
		t.Errorf("got %s", &res)
	}
}

// TestBusy checks that the queue is bounded, and that requests that do not fit are
// refused.
func TestBusy(t *testing.T) {
	r := newRunner(t)
	release := make(chan struct{})
	held := make(chan struct{})
	r.Start(Request{Program: sh(t, "exit 0"), Done: func(Result) { close(held); <-release }})
	wait(t, held)
	results := make(chan Result, maxQueue+1)
	missing := &Program{Path: "/nowhere/x", Args: []string{"x"}}
	for range maxQueue + 1 {
		r.Start(Request{Program: missing, Done: func(res Result) { results <- res }})
	}
	if res := wait(t, results); res.Err != errBusy {
		t.Errorf("got %s", &res)
	}
	close(release)
	for range maxQueue {
		if res := wait(t, results); res.Err == nil || res.Err == errBusy {
			t.Fatalf("got %s", &res)
		}
	}
}

func TestManyLeaveNothingBehind(t *testing.T) {
	const n = 500
	fds, threads := countFDs(t), countThreads(t)
	r := newRunner(t)
	path, line := fifo(t)
	var all []chan Result
	p := sh(t, "echo ready > "+path+"; echo $0; exec sleep 60")
	for i := range n {
		_, done := start(r, Request{Program: p, Extra: []string{strconv.Itoa(i)}})
		all = append(all, done)
	}
	for range n {
		line()
	}
	if got := r.Running(); got != n {
		t.Errorf("%d are running, want %d", got, n)
	}
	if got := countThreads(t); got > threads+20 {
		t.Errorf("%d programs took %d threads", n, got-threads)
	}
	if killed := r.Close(patience); len(killed) > 0 {
		t.Errorf("had to be killed: %d", len(killed))
	}
	for i, done := range all {
		select {
		case res := <-done:
			if res.Signal != syscall.SIGTERM || res.Output != "" && res.Output != strconv.Itoa(i) {
				t.Errorf("run %d: %q, %s", i, res.Output, &res)
			}
		default:
			t.Fatalf("the end of run %d was lost", i)
		}
	}
	if r.Running() != 0 {
		t.Errorf("%d are running", r.Running())
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); err != unix.ECHILD {
		t.Errorf("processes are left: %v", err)
	}
	if got := countFDs(t) - 1; got != fds { // 1: the FIFO of this test
		t.Errorf("%d descriptors, before %d", got, fds)
	}
}

func countFDs(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	return len(list)
}

func countThreads(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/task")
	must(t, err)
	return len(list)
}

func TestClose(t *testing.T) {
	dir := t.TempDir()
	r := newRunner(t)
	path, line := fifo(t)
	hangs := write(t, dir+"/hangs", "#!/bin/sh\ntrap '' TERM\necho ready > "+path+"\nwhile :; do sleep 60; done\n")
	ends := write(t, dir+"/ends", "#!/bin/sh\ntrap 'echo bye; exit 4' TERM\necho ready > "+path+"\nsleep 60 &\nwait\n")
	_, hung := start(r, Request{Program: resolve(t, hangs)})
	_, ended := start(r, Request{Program: resolve(t, ends)})
	line()
	line()
	if killed := r.Close(200 * time.Millisecond); !slices.Equal(killed, []string{hangs}) {
		t.Errorf("killed %q", killed)
	}
	if res := <-hung; res.Signal != syscall.SIGKILL || res.TimedOut {
		t.Errorf("hung: %s", &res)
	}
	if res := <-ended; res.Exit != 4 || res.Output != "bye" {
		t.Errorf("ended: %q, %s", res.Output, &res)
	}
	r.Close(0) // a second time
}

// TestCloseAgain checks that Close extends the time after Terminate, that a second call
// shortens it, and that Close does not extend the time of a run that has used it up.
func TestCloseAgain(t *testing.T) {
	dir := t.TempDir()
	r := newRunner(t)
	path, line := fifo(t)
	text := "#!/bin/sh\ntrap 'echo term > " + path + "' TERM\necho ready > " + path + "\nwhile :; do sleep 60 & wait; done\n"
	late, terminated := write(t, dir+"/late", text), write(t, dir+"/terminated", text)
	_, timedOut := start(r, Request{Program: resolve(t, late), Timeout: time.Second})
	line() // ready
	terminatedRun, ended := start(r, Request{Program: resolve(t, terminated)})
	line() // ready, or the late one reports that its time is over
	line()
	terminatedRun.Terminate()
	line()
	closed := make(chan []string)
	go func() { closed <- r.Close(time.Hour) }()
	if res := wait(t, timedOut); !res.TimedOut || res.Signal != syscall.SIGKILL {
		t.Errorf("timed out: %s", &res)
	}
	select {
	case res := <-ended:
		t.Errorf("after Terminate: %s", &res)
	default:
	}
	r.Close(0)
	if res := wait(t, ended); res.Signal != syscall.SIGKILL {
		t.Errorf("after Terminate: %s", &res)
	}
	if killed := wait(t, closed); !slices.Contains(killed, terminated) {
		t.Errorf("killed %q", killed)
	}
}

// TestCloseWithManyWaiting checks that runs that have not started by then never start.
func TestCloseWithManyWaiting(t *testing.T) {
	r := newRunner(t)
	var started, refused atomic.Int32
	const all = 1000
	for range all {
		r.Start(Request{Program: sh(t, "exit 0"), Done: func(res Result) {
			if res.Err == errClosed {
				refused.Add(1)
			} else {
				started.Add(1)
			}
		}})
	}
	r.Close(patience)
	if refused.Load() == 0 || started.Load()+refused.Load() != all {
		t.Errorf("%d programs were started and %d refused", started.Load(), refused.Load())
	}
}

// TestCloseWaitsForGroups checks that Close gives the children of a script time to clean
// up too.
func TestCloseWaitsForGroups(t *testing.T) {
	r := newRunner(t)
	path, line := fifo(t)
	script := fmt.Sprintf("%s=cleanup /proc/%d/exe %s & wait", envHelper, os.Getpid(), path)
	_, done := start(r, Request{Program: sh(t, script)})
	line()
	r.Close(patience)
	if res := <-done; res.Signal != syscall.SIGTERM {
		t.Errorf("the script: %s", &res)
	}
	if got := line(); got != "clean" {
		t.Errorf("got %q", got)
	}
}

// TestPlainProcess checks that a program has the scheduling, signals, limits and timers of an
// ordinary process, whatever this process has.
func TestPlainProcess(t *testing.T) {
	needRoot(t)
	started := make(chan []byte)
	go func() {
		defer close(started)
		runtime.LockOSThread() // never unlocked: its settings end with the goroutine
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_RR, Priority: 1}
		if err := unix.SchedSetAttr(0, &attr, 0); err != nil {
			t.Error(err)
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, 0, -5); err != nil {
			t.Error(err)
		}
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(time.Millisecond), 0, 0, 0); err != nil {
			t.Error(err)
		}
		var mask unix.Sigset_t
		mask.Val[0] = 1<<(unix.SIGUSR1-1) | 1<<(unix.SIGTERM-1)
		if err := unix.PthreadSigmask(unix.SIG_SETMASK, &mask, nil); err != nil {
			t.Error(err)
		}
		// Signals 32 and 33 belong to the C library and cannot be changed.
		const show = `set -- $(sed -n "s/SigIgn://p" /proc/$$/status)
			echo $(grep SigBlk /proc/$$/status) SigIgn: $((0x$1 & ~0x180000000)) $(cut -d" " -f19,41 /proc/$$/stat) $(grep realtime.timeout /proc/$$/limits) slack $(cat /proc/$$/timerslack_ns)`
		self := helper("limited", "root", "/bin/sh", "-c", show)
		cmd := exec.Command("/bin/sh", append([]string{"-c", "trap '' HUP INT PIPE TSTP; exec /proc/$PPID/exe \"$@\"", "sh"}, self.Args[1:]...)...)
		cmd.Env = self.Env
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Error(err)
		}
		started <- out
	}()
	got := strings.TrimSpace(string(<-started))
	const want = "SigBlk: 0000000000000000 SigIgn: 0 0 0 Max realtime timeout unlimited unlimited us slack 50000 exited with status 0"
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestParentDeath checks that a program gets SIGTERM when this process dies, even as
// another user.
func TestParentDeath(t *testing.T) {
	path, line := fifo(t)
	user := ""
	if canBecome() {
		user = "nobody"
		for p := path; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
			must(t, os.Chmod(p, 0o777))
		}
	}
	cmd := helper("run", user, "/bin/sh", "-c", "trap 'echo terminated > "+path+"; exit' TERM; echo ready > "+path+"; while :; do sleep 0.05; done")
	must(t, cmd.Start())
	if got := line(); got != "ready" {
		t.Fatalf("got %q", got)
	}
	must(t, cmd.Process.Kill())
	cmd.Wait()
	if got := line(); got != "terminated" {
		t.Errorf("got %q", got)
	}
}

func FuzzTail(f *testing.F) {
	f.Add([]byte("one\r\ntwo\n\n"), 3)
	f.Add([]byte("\xff\x1b[0m\t€"), 1)
	f.Fuzz(func(t *testing.T, b []byte, chunk int) {
		chunk = min(max(chunk, 1), len(b)+1)
		var whole, pieces tail
		whole.write(b)
		for part := range slices.Chunk(b, chunk) {
			pieces.write(part)
		}
		got := whole.String()
		if again := pieces.String(); got != again {
			t.Errorf("at once %q, in pieces %q", got, again)
		}
		if len(got) > maxLine || !utf8.ValidString(got) || strings.ContainsFunc(got, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("got %q", got)
		}
	})
}

func BenchmarkStart(b *testing.B) {
	r := newRunner(b)
	p := resolve(b, "/bin/true")
	for b.Loop() {
		if res := run(b, r, Request{Program: p, Timeout: time.Minute}); !res.OK() {
			b.Fatal(res.String())
		}
	}
}

package supervisor

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/userns"
	"keepalived-go/internal/vrrpd"
)

// These tests run the supervisor as a separate process: this test binary, started again.
// Its child is the same binary, which plays a VRRP process and writes the messages that
// it gets to the common standard error.

const (
	envTest = "SUPERVISOR_TEST" // the run directory: this process is the supervisor
	envArgs = "SUPERVISOR_TEST_OPTIONS"
	envPart = "SUPERVISOR_TEST_CHILD" // how the child differs

	envSecond = "SUPERVISOR_TEST_SECOND" // how the process of the second role differs

	envLimit = "SUPERVISOR_TEST_LIMIT" // the limit of the number of processes
)

func TestMain(m *testing.M) {
	if code, ok := proc.RunChild(testRoles()); ok {
		os.Exit(code)
	}
	if limit := os.Getenv(envLimit); limit != "" {
		var pid int
		var n uint64
		if _, err := fmt.Sscan(limit, &pid, &n); err != nil {
			panic(err)
		}
		if err := unix.Prlimit(pid, unix.RLIMIT_NPROC, &unix.Rlimit{Cur: n, Max: limitMax}, nil); err != nil {
			panic(err)
		}
		os.Exit(0)
	}
	if dir := os.Getenv(envTest); dir != "" {
		o := Options{
			Roles:      testRoles()[:1],
			Version:    "vTEST (01/01,2026)",
			RunDir:     dir,
			Config:     filepath.Join(dir, "keepalived.conf"),
			Foreground: true,
			Umask:      -1,
			Log:        logging.Options{Console: os.Stderr},
		}
		for option := range strings.FieldsSeq(os.Getenv(envArgs)) {
			name, value, _ := strings.Cut(option, "=")
			switch name {
			case "two":
				o.Roles = testRoles()
			case "attends":
				o.Roles = testRoles()
				o.Roles[1].Attends = true
			case "without":
				o.Without = []string{value}
			case "silence":
				maxSilence, _ = time.ParseDuration(value)
			case "daemon":
				o.Foreground = false
			case "quiet":
				o.Log.Console = nil
			case "no-respawn":
				o.NoRespawn = true
			case "namespace":
				o.Namespace = value
			case "no-admin":
				drop(unix.CAP_SYS_ADMIN)
			case "no-proc":
				err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
				if err = errors.Join(err, unix.Mount("none", "/proc", "tmpfs", 0, "")); err != nil {
					panic(err)
				}
			case "no-nice":
				drop(unix.CAP_SYS_NICE)
				os.Setenv(envArgs, "")
				panic(unix.Exec("/proc/self/exe", os.Args, os.Environ())) // so that no thread has the capability
			}
		}
		os.Exit(Run(o))
	}
	flag.Parse()
	// These tests spend most of their time waiting.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		flag.Set("test.parallel", "6")
	}
	os.Exit(userns.Tests(m))
}

// drop removes a capability from the calling thread and from the programs that it starts.
func drop(capability uint) {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	err := unix.Capget(&hdr, &data[0])
	for _, set := range []*uint32{&data[0].Effective, &data[0].Permitted, &data[0].Inheritable} {
		*set &^= 1 << capability
	}
	if err = errors.Join(err, unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0), unix.Capset(&hdr, &data[0])); err != nil {
		panic(err)
	}
}

// testRoles is the table of roles of the tests: the VRRP role, with a process that plays
// it, and a role that leaves nothing in the kernel and has only one dump. The second role
// is for supervisors that are started with the option two.
func testRoles() []*proc.Role {
	vrrp := vrrpd.Role
	vrrp.Run = func(c *proc.Child) error { return playChild(c, "child", os.Getenv(envPart)) }
	second := proc.Role{Name: "second", Title: "Second", Suffix: "_second", Unit: "group", Dumps: []link.Kind{link.DumpData},
		Of: func(c *conf.Config) proc.Share {
			return proc.Share{Units: len(c.SyncGroups), Config: c}
		},
		Named: func(*conf.Global) string { return "keepalived_2" },
		Run:   func(c *proc.Child) error { return playChild(c, "second", os.Getenv(envSecond)) },
	}
	return []*proc.Role{&vrrp, &second}
}

// playChild plays the child. Each of its lines begins with its name.
func playChild(c *proc.Child, name, part string) error {
	conn := c.Link
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	go func() {
		<-terminated
		slog.Info(name + ": SIGTERM")
		if part == "slow-end" {
			time.Sleep(500 * time.Millisecond)
		}
		os.Exit(0)
	}()
	var quiet atomic.Bool
	if part != "silent" {
		go func() {
			for !quiet.Load() {
				conn.Send(link.Message{Kind: link.Alive})
				time.Sleep(20 * time.Millisecond)
			}
		}()
	}
	routers, configured := 0, 0
	for {
		m, err := conn.Receive()
		if err != nil {
			select {} // the parent has died: SIGTERM will follow
		}
		switch m.Kind {
		case link.Configure:
			configured++
			routers = len(m.Config.Instances)
			slog.Info(fmt.Sprintf(name+": configured %d routers", len(m.Config.Instances)))
			if configured == 1 {
				if part == "cannot-release" && routers == 0 {
					os.Exit(3)
				}
				if part == "cannot-start" {
					return fmt.Errorf("%s: cannot start: %w", name, unix.EPERM)
				}
				if part == "slow-start" {
					continue // until the statistics are dumped
				}
				conn.Send(link.Message{Kind: link.Started})
				if part == "reports" {
					for _, subject := range []string{"one", "two"} {
						conn.Send(link.Message{Kind: link.Report, Event: &link.Event{To: "vrrp", Subject: subject, Body: []byte("up")}})
					}
				}
				continue
			}
			if strings.Contains(part, "slow-reload") && configured == 2 {
				continue // the message is read at the next dump
			}
			conn.Send(link.Message{Kind: link.Reloaded})
		case link.Stop:
			slog.Info(name + ": stop")
			if part == "slow-release" {
				time.Sleep(time.Second)
			}
			if strings.Contains(part, "hangs") && routers > 0 {
				select {}
			}
			return nil
		case link.Report:
			slog.Info(fmt.Sprintf("%s: %s reports %s: %s", name, m.Event.From, m.Event.Subject, m.Event.Body))
		case link.DumpData:
			slog.Info(name + ": dump data")
			if name == "second" && strings.Contains(part, "slow-reload") && configured == 2 {
				conn.Send(link.Message{Kind: link.Reloaded})
			}
		case link.DumpStats:
			slog.Info(name + ": dump stats")
			switch part {
			case "slow-reload":
				conn.Send(link.Message{Kind: link.Reloaded})
			case "slow-start":
				conn.Send(link.Message{Kind: link.Started})
			}
		case link.ClearStats:
			slog.Info(name + ": clear stats")
		case link.DumpJSON:
			switch part {
			case "stuck":
				quiet.Store(true)
				stuck()
			case "panics":
				panic("child has a bug")
			case "fails":
				return fmt.Errorf("%s: cannot continue: %w", name, unix.EPERM)
			}
			slog.Info(name + ": dump JSON")
		}
	}
}

// stuck is a function in which a loop could hang.
//
//go:noinline
func stuck() {
	for n := 0; n >= 0; n ^= 1 {
	}
}

// running is a supervisor that a test has started.
type running struct {
	t     *testing.T
	dir   string
	cmd   *exec.Cmd
	attr  *syscall.SysProcAttr // of the supervisor; nil: the default
	lines chan string
	seen  []string
	wait  func() error
}

// device returns an interface of the machine other than lo. Where there is none, as in
// the user namespace of an ordinary user, it makes one.
var device = sync.OnceValue(func() string {
	found, _ := net.Interfaces()
	for _, i := range found {
		if i.Flags&net.FlagLoopback == 0 {
			return i.Name
		}
	}
	if !userns.Full() {
		exec.Command("ip", "link", "add", "eth0", "type", "veth").Run() // tests that need the interface report that it is missing
	}
	return "eth0"
})

func routers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "vrrp_instance VI_%d {\n  interface %s\n  virtual_router_id %d\n  virtual_ipaddress {\n    192.0.2.%d\n  }\n}\n", i+1, device(), i+1, i+1)
	}
	return b.String()
}

// supervise starts a supervisor with a configuration.
func supervise(t *testing.T, config string, env ...string) *running {
	t.Helper()
	r := prepare(t)
	r.configure(config)
	r.launch(env...)
	return r
}

// prepare makes a directory for a supervisor that will be launched.
func prepare(t *testing.T) *running {
	t.Helper()
	lab.Need(t, lab.Root)
	return &running{t: t, dir: t.TempDir()}
}

func (r *running) configure(config string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, "keepalived.conf"), []byte(config), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) launch(env ...string) {
	r.t.Helper()
	program, err := os.Executable()
	if err != nil {
		r.t.Fatal(err)
	}
	if r.attr != nil && r.attr.Cloneflags&unix.CLONE_NEWUSER != 0 {
		program = "/proc/self/exe" // its directory is accessible to root only
	}
	r.cmd = exec.Command(program)
	r.cmd.Env = append(os.Environ(), envTest+"="+r.dir, "TMPDIR="+r.dir, "GORACE=atexit_sleep_ms=0")
	r.cmd.Env = append(r.cmd.Env, env...)
	read, write, err := os.Pipe()
	if err != nil {
		r.t.Fatal(err)
	}
	r.cmd.Stderr = write
	r.cmd.SysProcAttr = r.attr
	if err := r.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	write.Close()
	lines := make(chan string, 1024)
	go func() {
		for s := bufio.NewScanner(read); s.Scan(); {
			lines <- s.Text()
		}
		close(lines)
	}()
	r.lines, r.wait = lines, sync.OnceValue(r.cmd.Wait)
	r.t.Cleanup(func() {
		// Killed only if it hangs: -cover does not measure a killed process.
		hangs := time.AfterFunc(3*time.Second, func() { r.cmd.Process.Kill() }) // the child follows
		defer hangs.Stop()
		r.cmd.Process.Signal(syscall.SIGTERM) // an error means that it has ended
		r.wait()
	})
}

// expect waits until each text has been in a new line, in any order, because the lines of
// two processes mix. It returns the last of these lines.
func (r *running) expect(texts ...string) string {
	r.t.Helper()
	patience := lab.NewPatience(20 * time.Second)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("ended without %q; log:\n%s", texts, strings.Join(r.seen, "\n"))
			}
			r.seen = append(r.seen, line)
			i := slices.IndexFunc(texts, func(text string) bool { return strings.Contains(line, text) })
			if i < 0 {
				continue
			}
			if texts = slices.Delete(texts, i, i+1); len(texts) == 0 {
				return line
			}
		case <-time.After(max(patience.Left(), time.Second/10)):
			if patience.Left() <= 0 {
				r.t.Fatalf("no line with %q in 20 s; log:\n%s", texts, strings.Join(r.seen, "\n"))
			}
		}
	}
}

// up waits until the child runs n virtual routers.
func (r *running) up(n int) {
	r.t.Helper()
	r.expect("Startup complete", fmt.Sprintf("child: configured %d routers", n))
}

// rest reads the log to its end.
func (r *running) rest() {
	for line := range r.lines {
		r.seen = append(r.seen, line)
	}
}

func (r *running) count(text string) int {
	n := 0
	for _, line := range r.seen {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (r *running) signal(s os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// exit waits for the end and checks the exit code.
func (r *running) exit(want int) {
	r.t.Helper()
	r.rest()
	r.wait()
	if got := r.cmd.ProcessState.ExitCode(); got != want {
		r.t.Errorf("exit code %d, want %d; log:\n%s", got, want, strings.Join(r.seen, "\n"))
	}
}

// pid reads a pid file.
func (r *running) pid(name string) int {
	r.t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, name))
	if err != nil {
		r.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		r.t.Fatalf("pid file %s: %v", name, err)
	}
	return pid
}

func (r *running) killChild() {
	r.t.Helper()
	if err := syscall.Kill(r.pid("vrrp.pid"), syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
}

func comm(t *testing.T, pid int) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(2))
	r.expect("Starting Keepalived vTEST (01/01,2026)")
	r.expect("Running on Linux")
	r.expect("Command line: '" + r.cmd.Path + "'")
	r.expect("Configuration file " + r.dir + "/keepalived.conf")
	// The lines of the child may come before the lines about it.
	r.expect("Starting VRRP child process, pid=", "Startup complete", "child: configured 2 routers")
	started := r.seen[slices.IndexFunc(r.seen, func(l string) bool { return strings.Contains(l, "Starting VRRP child process") })]

	parent, child := r.pid("keepalived.pid"), r.pid("vrrp.pid")
	if parent != r.cmd.Process.Pid {
		t.Errorf("pid file of the parent holds %d, not %d", parent, r.cmd.Process.Pid)
	}
	if !strings.HasSuffix(started, fmt.Sprintf("pid=%d", child)) {
		t.Errorf("pid file of the child holds %d, the log has %q", child, started)
	}
	for _, pid := range []int{parent, child} {
		if name := comm(t, pid); name != "keepalived" {
			t.Errorf("process %d is called %q", pid, name)
		}
	}
	if info, err := os.Stat(filepath.Join(r.dir, "keepalived.pid")); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode of the pid file: %v, %v; want 0644", info.Mode(), err)
	}

	r.signal(syscall.SIGTERM)
	r.expect("Stopping", "child: stop", "Stopped Keepalived vTEST")
	r.exit(proc.ExitOK)
	if r.count("does not stop: killed") > 0 {
		t.Error("the child was not given the time to stop")
	}
	left, _ := filepath.Glob(r.dir + "/*.pid")
	if len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSignalsAreForwarded(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1))
	r.up(1)
	for _, tt := range []struct {
		signal syscall.Signal
		line   string
	}{
		{syscall.SIGUSR1, "child: dump data"},
		{syscall.SIGUSR2, "child: dump stats"},
		{63, "child: clear stats"},
		{36, "child: dump JSON"},
		{syscall.SIGINT, "child: stop"},
	} {
		r.signal(tt.signal)
		r.expect(tt.line)
	}
	r.exit(proc.ExitOK)
}

func TestReload(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1))
	r.up(1)
	child := r.pid("vrrp.pid")
	r.configure(routers(3))
	r.signal(syscall.SIGHUP)
	r.expect("Reloading ...", "child: configured 3 routers", "Reload complete")
	if got := r.pid("vrrp.pid"); got != child {
		t.Errorf("the reload replaced the child %d by %d", child, got)
	}
}

func TestRefusedReloadChangesNothing(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(2))
	r.up(2)
	// Two virtual routers with one VRID on one interface.
	r.configure(strings.ReplaceAll(routers(2), "router_id 2", "router_id 1"))
	r.signal(syscall.SIGHUP)
	r.expect("Reload refused: the running configuration stays")

	// Not even the successor of the child gets the refused file.
	r.killChild()
	r.expect("VRRP child process(", "child: configured 2 routers")

	r.configure(routers(1))
	r.signal(syscall.SIGHUP)
	r.expect("child: configured 1 routers", "Reload complete")
}

func TestReloadsMeanwhileAreOne(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1), envPart+"=slow-reload")
	r.up(1)
	r.configure(routers(2))
	r.signal(syscall.SIGHUP)
	r.expect("child: configured 2 routers")
	r.configure(routers(3))
	for range 5 {
		r.signal(syscall.SIGHUP)
	}
	for range 2 { // when these signals have been handled, the earlier ones have too
		r.signal(syscall.SIGUSR1)
		r.expect("child: dump data")
	}
	r.signal(syscall.SIGUSR2) // the child writes Reloaded
	r.expect("child: configured 3 routers", "Reload complete")
	r.signal(syscall.SIGTERM)
	r.exit(proc.ExitOK)
	if n := r.count("Reloading ..."); n != 2 {
		t.Errorf("%d reloads for six signals, want 2", n)
	}
}

func TestFirstRouterComesWithReload(t *testing.T) {
	t.Parallel()
	r := supervise(t, "global_defs {\n}\n")
	r.expect("Warning - keepalived has no configuration to run", "Startup complete")
	r.configure(routers(1))
	r.signal(syscall.SIGHUP)
	r.expect("Starting VRRP child process, pid=", "child: configured 1 routers", "Reload complete")
}

func TestChildIsStartedAgain(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1))
	r.up(1)
	first := r.pid("vrrp.pid")
	r.killChild()
	r.expect(fmt.Sprintf("pid %d exited due to signal 9 (Killed)", first),
		fmt.Sprintf("VRRP child process(%d) died: Respawning", first),
		"child: configured 1 routers")
	for range atOnce - 1 {
		r.killChild()
		r.expect("child: configured 1 routers")
	}
	if r.count("delayed") > 0 {
		t.Error("one of the first successors had to wait")
	}
	r.killChild()
	r.expect("Restart of VRRP process delayed 1 seconds to limit respawn rate")
	r.expect("child: configured 1 routers")
}

const removing = "Peers may take over before the VRRP process runs again: removing the addresses that it left"

// killUntil kills the child until the next start is delayed by a number of seconds.
func (r *running) killUntil(seconds int) {
	r.t.Helper()
	deaths := atOnce
	for wait := 1; wait < seconds; wait *= 2 {
		deaths++
	}
	for range deaths {
		r.killChild()
		r.expect("child: configured 1 routers")
	}
	if r.count("removing the addresses") > 0 || r.count("configured 0 routers") > 0 {
		r.t.Errorf("addresses were removed before any peer could take over; log:\n%s", strings.Join(r.seen, "\n"))
	}
	r.killChild()
	r.expect(fmt.Sprintf("Restart of VRRP process delayed %d seconds to limit respawn rate", seconds))
}

// TestAddressesDoNotOutliveTheirProcess checks that addresses are removed if their
// process waits longer than the peers before it starts again, and that leftovers of
// another role stay.
func TestAddressesDoNotOutliveTheirProcess(t *testing.T) {
	t.Parallel()
	const second = "vrrp_sync_group G {\n  group {\n    VI_1\n  }\n}\n"
	r := supervise(t, second+routers(1), envArgs+"=two")
	r.up(1)
	r.killUntil(2)
	r.expect(removing, "child: configured 0 routers", "child: stop", "child: configured 1 routers")
	r.signal(syscall.SIGTERM)
	r.exit(proc.ExitOK)
	if n := r.count("second: configured"); n != 1 {
		t.Errorf("the second process was configured %d times, want 1", n)
	}
}

// TestAddressesThatCannotBeRemoved checks that if addresses cannot be removed, a process
// that serves is started soon.
func TestAddressesThatCannotBeRemoved(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1), envPart+"=cannot-release")
	r.up(1)
	r.killUntil(2)
	r.expect(removing, "remove the addresses: pid ", "Starting VRRP child process", "child: configured 1 routers")
	r.killChild()
	r.expect(removing)
	r.signal(syscall.SIGTERM)
	r.expect("The VRRP process has not given its addresses up: removing what it left", "Stopped Keepalived")
	r.exit(proc.ExitOK)
}

// TestReloadWhileAddressesAreRemoved checks that a reload and a stop are carried out
// while addresses are removed.
func TestReloadWhileAddressesAreRemoved(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1), envPart+"=slow-release")
	r.up(1)
	r.killUntil(2)
	r.expect(removing, "child: configured 0 routers")
	r.configure(routers(2))
	r.signal(syscall.SIGHUP)
	r.expect("child: configured 2 routers", "Reload complete")
	r.configure("global_defs {\n}\n")
	r.signal(syscall.SIGHUP)
	r.expect("child: configured 0 routers", "Reload complete")
	// The configuration needs no process. The leftovers of the killed one are removed.
	r.killChild()
	r.expect("died: Respawning", "child: configured 0 routers", "child: stop")
	r.signal(syscall.SIGTERM)
	r.exit(proc.ExitOK)
}

func TestChildIsNotStartedAgainWithR(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1), envArgs+"=no-respawn")
	r.up(1)
	r.killChild()
	r.expect("died: Exiting")
	r.exit(proc.ExitFatal)
}

// TestPanicIsNoPermanentError checks that a panic, which has the exit code of a bad
// configuration, is not a permanent error.
func TestPanicIsNoPermanentError(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1), envPart+"=panics")
	r.up(1)
	r.signal(link.SignalJSON)
	r.expect("VRRP process: panic: child has a bug", "VRRP process: keepalived-go/internal/supervisor.playChild",
		"exited with status 2", "died: Respawning", "child: configured 1 routers")
}

func TestPermanentErrorEndsAll(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1), envPart+"=cannot-start")
	r.expect("child: cannot start", "exited with permanent error missing permission. Terminating", "Stopped Keepalived")
	r.exit(proc.ExitPermission)
}

// TestEndOfServingChildIsNotPermanent checks that a child that has served and cannot
// continue is started again, whatever its exit code.
func TestEndOfServingChildIsNotPermanent(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1), envPart+"=fails")
	r.up(1)
	r.signal(link.SignalJSON)
	r.expect("child: cannot continue", "exited with status 4", "died: Respawning", "child: configured 1 routers")
}

func TestHungChildIsKilled(t *testing.T) {
	t.Parallel()
	r := supervise(t, "child_wait_time 1\n"+routers(1), envPart+"=hangs")
	r.up(1)
	r.signal(syscall.SIGTERM)
	r.expect("child: stop", "VRRP process does not stop: killed")
	r.exit(proc.ExitOK)
}

func TestChildOutlivesKilledParentBriefly(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1), envPart+"=slow-end")
	r.up(1)
	r.signal(syscall.SIGKILL)
	r.wait()
	r.expect("child: SIGTERM")
	// The child still owns the addresses: the next daemon waits for it.
	next := &running{t: t, dir: r.dir}
	next.launch()
	next.up(1)
	if _, err := tryLock(filepath.Join(r.dir, "vrrp.pid")); !errors.Is(err, errRunning) {
		t.Errorf("lock the pid file of a running child: %v", err)
	}
	r.rest() // ends only when the old child has ended, which holds the standard error
}

func TestSecondDaemonRefuses(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1))
	r.up(1)
	second := &running{t: t, dir: r.dir}
	second.launch()
	second.expect("daemon is already running")
	second.exit(proc.ExitFatal)
	if got := r.pid("keepalived.pid"); got != r.cmd.Process.Pid {
		t.Errorf("the second daemon left pid %d in the file of the first, %d", got, r.cmd.Process.Pid)
	}
}

func TestBackground(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1), envArgs+"=daemon")
	r.exit(proc.ExitOK) // the process that waited; the daemon has closed this standard error
	pid := r.pid("keepalived.pid")
	daemon, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { daemon.Kill() })
	if sid, err := unix.Getsid(pid); sid != pid || err != nil {
		t.Errorf("session %d of the daemon, %v; want its own, %d", sid, err, pid)
	}
	if err := daemon.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// The lock shows when the daemon has ended; the file is removed before.
	lock, err := lockPidFile(filepath.Join(r.dir, "keepalived.pid"), time.Now().Add(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	lock.remove()
}

func TestBackgroundReportsRefusal(t *testing.T) {
	t.Parallel()
	r := supervise(t, strings.ReplaceAll(routers(2), "router_id 2", "router_id 1"), envArgs+"=daemon")
	r.expect("Stopped Keepalived")
	r.exit(proc.ExitConfig)
}

// namespace makes a network namespace.
func namespace(t *testing.T) (name string) {
	t.Helper()
	lab.Need(t, lab.Root)
	name = fmt.Sprintf("daemon-%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("ip netns add: %v: %s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	return name
}

func TestNetworkNamespace(t *testing.T) {
	for _, from := range []string{"command line", "configuration"} {
		t.Run(from, func(t *testing.T) {
			name := namespace(t)
			config, env := routers(1), envArgs+"=namespace="+name
			if from == "configuration" {
				config, env = "net_namespace "+name+"\n"+config, envArgs+"="
			}
			r := supervise(t, config, env)
			r.up(1)
			var want, got unix.Stat_t
			if err := unix.Stat("/run/netns/"+name, &want); err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{"keepalived.pid", "vrrp.pid"} {
				pid := r.pid(filepath.Join("keepalived", name, file))
				if err := unix.Stat(fmt.Sprintf("/proc/%d/ns/net", pid), &got); err != nil || got.Ino != want.Ino {
					t.Errorf("process %d is in namespace %d, want %d (%v)", pid, got.Ino, want.Ino, err)
				}
			}
			r.signal(syscall.SIGTERM)
			r.exit(proc.ExitOK)
			if n := r.count("Starting Keepalived"); n != 1 {
				t.Errorf("the start is announced %d times", n)
			}
		})
	}
}

// TestNetworkNamespaceNotPermitted checks the exit code without the permission, as in the
// systemd unit: with it systemd does not start the daemon again.
func TestNetworkNamespaceNotPermitted(t *testing.T) {
	r := supervise(t, routers(1), envArgs+"=no-admin namespace="+namespace(t))
	r.expect("operation not permitted; run as root with CAP_SYS_ADMIN")
	r.exit(proc.ExitPermission)
}

// TestProcessSettings checks that every thread of the child has the settings, even the
// threads that the runtime started before any of our code ran.
func TestProcessSettings(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Users)
	r := supervise(t, `global_defs {
  vrrp_priority -7
  vrrp_rt_priority 12
  vrrp_rlimit_rttime 700000
  vrrp_cpu_affinity 0
  vrrp_no_swap
  process_names
}
instance blue
`+routers(1))
	r.up(1)
	child := r.pid("keepalived/vrrp_blue.pid")
	if got, want := comm(t, child), "keepalived_vrrp"; got != want {
		t.Errorf("the child is called %q, want %q", got, want)
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", child))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("threads of the child: %v, %v", tasks, err)
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		attr, err := unix.SchedGetAttr(tid, 0)
		if err != nil {
			t.Fatal(err)
		}
		if attr.Policy != unix.SCHED_RR || attr.Priority != 12 {
			t.Errorf("thread %d: policy %d priority %d, want SCHED_RR 12", tid, attr.Policy, attr.Priority)
		}
		if nice, err := unix.Getpriority(unix.PRIO_PROCESS, tid); nice != 20+7 || err != nil { // the system call returns 20-nice
			t.Errorf("thread %d: nice %d, %v; want -7", tid, 20-nice, err)
		}
		var cpus unix.CPUSet
		if err := unix.SchedGetaffinity(tid, &cpus); err != nil || cpus.Count() != 1 || !cpus.IsSet(0) {
			t.Errorf("thread %d may run on %d CPUs, %v; want on CPU 0", tid, cpus.Count(), err)
		}
	}
	var limit unix.Rlimit
	if err := unix.Prlimit(child, unix.RLIMIT_RTTIME, nil, &limit); err != nil || limit.Cur != 700000 {
		t.Errorf("limit of real-time run is %d, %v; want 700000", limit.Cur, err)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", child))
	if err != nil {
		t.Fatal(err)
	}
	locked := slices.ContainsFunc(strings.Split(string(status), "\n"), func(l string) bool {
		return strings.HasPrefix(l, "VmLck:") && !strings.HasSuffix(l, "\t       0 kB")
	})
	if !locked {
		t.Error("the memory of the child is not locked")
	}
	// The parent remains an ordinary process.
	if attr, err := unix.SchedGetAttr(r.cmd.Process.Pid, 0); err != nil || attr.Policy != unix.SCHED_NORMAL {
		t.Errorf("policy %d of the parent, %v", attr.Policy, err)
	}
}

// notifySocket plays systemd.
func notifySocket(t *testing.T) (path string, states <-chan string) {
	t.Helper()
	path, c := listenNotify(t)
	ch := make(chan string, 4096)
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			ch <- string(b[:n])
		}
	}()
	return path, ch
}

// listenNotify is the socket of a systemd.
func listenNotify(t *testing.T) (path string, c *net.UnixConn) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return path, c
}

func expectState(t *testing.T, states <-chan string, want string) string {
	t.Helper()
	for patience := lab.NewPatience(20 * time.Second); ; {
		select {
		case s := <-states:
			if strings.HasPrefix(s, want) {
				return s
			}
		case <-time.After(max(patience.Left(), time.Second/10)):
			if patience.Left() <= 0 {
				t.Fatalf("systemd did not get %s in 20 s", want)
			}
		}
	}
}

func TestStatesForSystemd(t *testing.T) {
	t.Parallel()
	path, states := notifySocket(t)
	r := supervise(t, routers(2), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=3600000000")
	if got, want := expectState(t, states, "READY=1"), "READY=1\nSTATUS=Running 2 virtual routers"; got != want {
		t.Errorf("systemd got %q, want %q", got, want)
	}
	expectState(t, states, "WATCHDOG=1")
	r.up(2)

	before := monotonic(t)
	r.configure(routers(1))
	r.signal(syscall.SIGHUP)
	var stamp int64
	if _, err := fmt.Sscanf(expectState(t, states, "RELOADING=1"), "RELOADING=1\nMONOTONIC_USEC=%d", &stamp); err != nil {
		t.Fatal(err)
	}
	if after := monotonic(t); stamp < before || stamp > after {
		t.Errorf("reload begins at %d, signalled at %d, seen at %d", stamp, before, after)
	}
	expectState(t, states, "READY=1\nSTATUS=Running 1 virtual router")

	r.configure("vrrp_instance X {\n interface eth0\n}\n")
	r.signal(syscall.SIGHUP)
	expectState(t, states, "RELOADING=1")
	expectState(t, states, "READY=1\nSTATUS=Running 1 virtual router; the last reload was refused")

	r.signal(syscall.SIGTERM)
	expectState(t, states, "STOPPING=1")
	r.exit(proc.ExitOK)
}

// TestStateForSystemdOfRestart checks that the status contains a delayed restart only until
// it is over.
func TestStateForSystemdOfRestart(t *testing.T) {
	t.Parallel()
	path, states := notifySocket(t)
	r := supervise(t, routers(1), "NOTIFY_SOCKET="+path)
	r.up(1)
	for range atOnce {
		r.killChild()
		r.expect("child: configured 1 routers")
	}
	r.killChild()
	expectState(t, states, "STATUS=VRRP process died")
	expectState(t, states, "STATUS=Running 1 virtual router")
}

// TestCrashIsNoRefusedConfiguration checks that no crash, not even SIGABRT by systemd's
// watchdog, has the exit code of a refused configuration, with which systemd does not
// start the daemon again.
func TestCrashIsNoRefusedConfiguration(t *testing.T) {
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{Max: core.Max}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_CORE, &core) })
	r := supervise(t, routers(1))
	r.up(1)
	r.signal(syscall.SIGABRT)
	r.rest()
	r.wait()
	if status := r.cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGABRT {
		t.Errorf("ended with %v, want signal SIGABRT", r.cmd.ProcessState)
	}
}

// TestStopOfBothProcesses checks a stop in which systemd signals all processes of the
// service at the same time.
func TestStopOfBothProcesses(t *testing.T) {
	t.Parallel()
	r := supervise(t, routers(1))
	r.up(1)
	child := r.pid("vrrp.pid")
	r.signal(syscall.SIGTERM)
	if err := syscall.Kill(child, syscall.SIGTERM); err != nil && err != syscall.ESRCH {
		t.Fatal(err)
	}
	r.exit(proc.ExitOK)
	if r.count("Respawning") > 0 {
		t.Errorf("started again while it stops; log:\n%s", strings.Join(r.seen, "\n"))
	}
}

func monotonic(t *testing.T) int64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return ts.Nano() / 1000
}

// TestWatchdogIsNotPingedForSilentChild checks that the watchdog is pinged only for a
// child that reports that it is alive.
func TestWatchdogIsNotPingedForSilentChild(t *testing.T) {
	t.Parallel()
	path, states := notifySocket(t)
	r := supervise(t, routers(1), "NOTIFY_SOCKET="+path, "WATCHDOG_USEC=100000", envPart+"=silent")
	r.up(1)
	expectState(t, states, "READY=1")
	for timeout := time.After(500 * time.Millisecond); ; {
		select {
		case s := <-states:
			if strings.HasPrefix(s, "WATCHDOG=1") {
				t.Fatal("the watchdog was pinged for a child that is silent")
			}
		case <-timeout:
			return
		}
	}
}

// limitMax is more processes than a test needs, and fewer than a machine grants to each
// user.
const limitMax = 500

// poor makes the supervisor that is launched next an ordinary user outside its user
// namespace, to whom the limit of processes applies. It returns a function that sets the
// limit of the running supervisor.
func (r *running) poor() (limit func(n uint64)) {
	const user = 64_873 // used by no other program
	for _, path := range []string{filepath.Dir(r.dir), r.dir} {
		if err := os.Chmod(path, 0o755); err != nil {
			r.t.Fatal(err)
		}
	}
	for _, path := range []string{r.dir, r.path("keepalived.conf")} {
		if err := os.Chown(path, user, user); err != nil {
			r.t.Fatal(err)
		}
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: user, Size: 1}}
	r.attr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER,
		UidMappings: ids, GidMappings: ids, GidMappingsEnableSetgroups: true,
		Credential: &syscall.Credential{},
	}
	return func(n uint64) {
		r.t.Helper()
		cmd := exec.Command("/proc/self/exe") // run as that user, who may set the limits of their own processes
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d", envLimit, r.cmd.Process.Pid, n))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
		if out, err := cmd.CombinedOutput(); err != nil {
			r.t.Fatalf("%v: %s", err, out)
		}
	}
}

// TestNoMoreProcesses checks that when no thread and no process can be created the parent
// continues, and starts the child as soon as possible.
func TestNoMoreProcesses(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Users)
	r := prepare(t)
	r.configure(routers(1))
	limit := r.poor()
	r.launch()
	r.up(1)
	limit(1) // it has more already
	r.killChild()
	r.expect("died: Respawning", "start VRRP process: too many processes (pids.max")
	for range 20 {
		r.signal(syscall.SIGUSR1)
		r.expect("Printing parent data")
		r.configure(routers(2))
		r.signal(syscall.SIGHUP)
		r.expect("Configuration file")
	}
	limit(limitMax)
	r.expect("Starting VRRP child process", "child: configured 2 routers")
	r.signal(syscall.SIGTERM)
	r.exit(proc.ExitOK)
}

// TestProcessOne checks that as process 1 of a container the parent reaps orphans, and
// still notices the end of its own child.
func TestProcessOne(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.configure(routers(1))
	r.attr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWPID}
	r.launch()
	r.up(1)
	// Other processes join the namespace, and leave orphans.
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/pid", r.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: its children are in the namespace
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWPID); err != nil {
			ended <- err
			return
		}
		for range 20 {
			if err := exec.Command("/bin/sh", "-c", "(exit 3)& (sleep 0.01)& exit 0").Run(); err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); len(r.children()) > 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("process 1 has the children %v, want its own alone", r.children())
		}
	}
	if err := syscall.Kill(r.children()[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.expect("exited due to signal 9 (Killed)", "Starting VRRP child process", "child: configured 1 routers")
	r.signal(syscall.SIGTERM)
	r.exit(proc.ExitOK)
}

// children lists the children of the parent, zombies included.
func (r *running) children() (pids []int) {
	threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", r.cmd.Process.Pid))
	for _, path := range threads {
		b, _ := os.ReadFile(path)
		for _, field := range strings.Fields(string(b)) {
			pid, _ := strconv.Atoi(field)
			pids = append(pids, pid)
		}
	}
	return pids
}

// TestWithoutNice checks that a missing capability is logged with its consequence and its
// remedy, and that the daemon runs.
func TestWithoutNice(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ config, want string }{
		{"", "run at nice value -20: permission denied: CAP_SYS_NICE is missing; grant it"},
		{"vrrp_priority -7\n", "set priority -7: permission denied: CAP_SYS_NICE is missing; grant it"},
		{"vrrp_rt_priority 12\n", "set real-time priority 12: operation not permitted: CAP_SYS_NICE is missing; grant it"},
	} {
		r := supervise(t, "global_defs {\n"+c.config+"}\n"+routers(1), envArgs+"=no-nice")
		r.expect(c.want, "Startup complete", "child: configured 1 routers")
		r.signal(syscall.SIGTERM)
		r.exit(proc.ExitOK)
	}
}

// TestWithoutProc checks that the daemon itself needs no /proc, not even to start a child
// again.
func TestWithoutProc(t *testing.T) {
	t.Parallel()
	r := prepare(t)
	r.configure(routers(1))
	r.attr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNS}
	r.launch(envArgs + "=no-proc")
	r.up(1)
	r.killChild()
	r.expect("exited due to signal 9 (Killed)", "child: configured 1 routers")
	if name := comm(t, r.pid("vrrp.pid")); name != "keepalived" {
		t.Errorf("the child is called %q", name)
	}
	r.signal(syscall.SIGTERM)
	r.exit(proc.ExitOK)
}

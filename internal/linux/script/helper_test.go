package script

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/tool/executable"
	"keepalived-go/internal/tool/required"
)

// Some tests need a separate process: the test binary, which runs the function that this
// variable names.
const envHelper = "SCRIPT_TEST_HELPER"

var helpers = map[string]func(args []string) error{
	"run":      helperRun,
	"limited":  helperLimited,
	"resolve":  helperResolve,
	"accounts": helperAccounts,
	"cleanup":  helperCleanup,
	"default":  helperDefault,
	"starved":  helperStarved,
}

func TestMain(m *testing.M) {
	help := helpers[os.Getenv(envHelper)]
	if help == nil {
		os.Exit(m.Run())
	}
	os.Unsetenv(envHelper)
	if err := help(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// helperLimited is helperRun under limits that the process has set for itself.
func helperLimited(args []string) error {
	for which, n := range map[int]uint64{unix.RLIMIT_RTTIME: 1_000_000, unix.RLIMIT_NPROC: 0} {
		var limit unix.Rlimit
		if err := unix.Getrlimit(which, &limit); err != nil {
			return err
		}
		limit.Cur = n
		if err := unix.Setrlimit(which, &limit); err != nil {
			return err
		}
	}
	return helperRun(args)
}

// helperRun runs the rest of args as the user args[0] and prints the result.
func helperRun(args []string) error {
	p, err := Resolve(conf.Command{User: args[0], Args: args[1:]}, conf.ScriptPolicy{})
	if err != nil {
		return err
	}
	return printRun(p)
}

func printRun(p *Program) error {
	r, err := NewRunner()
	if err != nil {
		return err
	}
	done := make(chan Result, 1)
	r.Start(Request{Program: p, Done: func(res Result) { done <- res }})
	res := <-done
	fmt.Println(res.Output, &res)
	return nil
}

// helperStarved resolves a command with 0, 1, 2 … more descriptors than are open, until
// that succeeds. It prints each verdict other than [Undecided], and finally the number of
// descriptors needed. The arguments before the command are user, group, whether it is
// secure and whether it has supplementary groups.
func helperStarved(args []string) error {
	opened, err := os.Open("/") // the runtime has the descriptors that it needs
	if err != nil {
		return err
	}
	free := int(opened.Fd())
	opened.Close()
	var full unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &full); err != nil {
		return err
	}
	for n := range 20 {
		if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(free + n), Max: full.Max}, nil); err != nil {
			return err
		}
		_, err := Resolve(conf.Command{User: args[0], Group: args[1], Args: args[4:]},
			conf.ScriptPolicy{Secure: args[2] != "", SupplementaryGroups: args[3] != ""})
		unix.Prlimit(0, unix.RLIMIT_NOFILE, &full, nil)
		if err == nil {
			fmt.Println("needs", n)
			return nil
		}
		if !Passes(err) {
			fmt.Println("with", n, "descriptors:", err)
		}
	}
	return nil
}

// helperResolve prints how its arguments, user and command, are resolved.
func helperResolve(args []string) error {
	p, err := Resolve(conf.Command{User: args[0], Args: args[1:]}, conf.ScriptPolicy{})
	if err != nil {
		return err
	}
	fmt.Println(p.UID, p.GID)
	return nil
}

// helperAccounts uses the accounts of the directory args[0] and prints the account for a
// command of the default user and for one of the user wheel.
func helperAccounts(args []string) error {
	if err := mountAccounts(args[0]); err != nil {
		return err
	}
	for _, u := range []string{"", "wheel"} {
		p, err := Resolve(conf.Command{User: u, Args: []string{"/bin/sh", "-c", "echo $(id -u) $(id -g) $(id -G)"}},
			conf.ScriptPolicy{SupplementaryGroups: u != ""})
		if err != nil {
			return err
		}
		if err := printRun(p); err != nil {
			return err
		}
	}
	return nil
}

// mountAccounts replaces the accounts of this process with those of a directory.
func mountAccounts(dir string) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, name := range []string{"passwd", "group"} {
		if err := unix.Mount(dir+"/"+name, "/etc/"+name, "", unix.MS_BIND, ""); err != nil {
			return err
		}
	}
	return nil
}

// helperDefault prints the accounts for commands, with the account files of a directory:
// for each line of args, "secure" or "open", the user and the group of script_user, and
// those of the command.
func helperDefault(args []string) error {
	if err := mountAccounts(args[0]); err != nil {
		return err
	}
	for _, line := range args[1:] {
		f := strings.Split(line, ",")
		uid, gid, err := Account(f[3], f[4], conf.ScriptPolicy{Secure: f[0] == "secure", User: f[1], Group: f[2]})
		if p, ok := err.(*Problem); ok {
			fmt.Println(p.Code)
		} else {
			fmt.Println(uid, gid)
		}
	}
	return nil
}

// helperCleanup writes to the FIFO args[0] that it is ready and, after SIGTERM, that it
// is clean.
func helperCleanup(args []string) error {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	if err := os.WriteFile(args[0], []byte("ready\n"), 0); err != nil {
		return err
	}
	<-terminated
	time.Sleep(100 * time.Millisecond) // longer than the script takes to end
	return os.WriteFile(args[0], []byte("clean\n"), 0)
}

// helper returns the command that runs this test binary as a helper.
func helper(what string, args ...string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), envHelper+"="+what)
	return cmd
}

// needRoot skips the test without root, or fails it where no test may be skipped.
func needRoot(t testing.TB) {
	t.Helper()
	if canBecome() && os.Geteuid() == 0 {
		return
	}
	required.Missing(t, "root")
}

// safeDir returns a directory that only root can change, all parents included.
func safeDir(t testing.TB) string {
	t.Helper()
	needRoot(t)
	dir, err := os.MkdirTemp("/var/lib", "keepalived-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	return dir
}

// ownDir returns a directory for the test: as root a safe one.
func ownDir(t testing.TB) string {
	t.Helper()
	if os.Geteuid() == 0 {
		return safeDir(t)
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	return dir
}

// ownUser returns the current user, in the syntax of the configuration.
func ownUser() string { return fmt.Sprint(os.Geteuid()) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write makes an executable file.
func write(t testing.TB, path, text string) string {
	t.Helper()
	must(t, os.MkdirAll(filepath.Dir(path), 0o755))
	must(t, executable.Write(path, text))
	return path
}

// resolve is Resolve as the current user.
func resolve(t testing.TB, args ...string) *Program {
	t.Helper()
	p, err := Resolve(conf.Command{Args: args, User: ownUser()}, conf.ScriptPolicy{})
	must(t, err)
	return p
}

func sh(t testing.TB, text string, args ...string) *Program {
	t.Helper()
	return resolve(t, append([]string{"/bin/sh", "-c", text}, args...)...)
}

func newRunner(t testing.TB) *Runner {
	t.Helper()
	r, err := NewRunner()
	must(t, err)
	t.Cleanup(func() { r.Close(0) })
	return r
}

// start starts req and returns the channel for its result.
func start(r *Runner, req Request) (*Run, chan Result) {
	done := make(chan Result, 1)
	req.Done = func(res Result) { done <- res }
	return r.Start(req), done
}

func run(t testing.TB, r *Runner, req Request) Result {
	t.Helper()
	_, done := start(r, req)
	return wait(t, done)
}

// patience is how long a test waits for a condition.
const patience = 30 * time.Second

func wait[T any](t testing.TB, c chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("nothing came")
		panic("unreachable")
	}
}

// fifo makes a FIFO and returns a reader of its lines.
func fifo(t testing.TB) (path string, line func() string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "fifo")
	must(t, unix.Mkfifo(path, 0o600))
	f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	in := bufio.NewReader(f)
	return path, func() string {
		t.Helper()
		must(t, f.SetReadDeadline(time.Now().Add(patience)))
		s, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		return strings.TrimSpace(s)
	}
}

// waitGone waits for the end of a process that is not a child of this one.
func waitGone(t testing.TB, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return
	}
	must(t, err)
	defer unix.Close(fd)
	end := time.Now().Add(patience)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(end).Milliseconds()))
		switch {
		case err == unix.EINTR:
		case err != nil:
			t.Fatal(err)
		case n == 0:
			t.Fatalf("process %d lives on", pid)
		default:
			return
		}
	}
}

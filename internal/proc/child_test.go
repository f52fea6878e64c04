package proc

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/proc/link"
)

// testRoles returns the roles in which the tests start this test binary as a child.
func testRoles() []*Role {
	role := func(name string, run func(*Child) error) *Role {
		return &Role{Name: name, Title: "Test", Run: run,
			Capabilities: []Capability{{Bit: unix.CAP_SYS_BOOT, Name: "CAP_SYS_BOOT", For: "to be missing"}}}
	}
	return []*Role{
		role("shows", shows),
		role("fails", func(*Child) error { return errors.New("it cannot continue") }),
		role("denied", func(*Child) error {
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			if err := unix.Capset(&head, &none[0]); err != nil {
				return err
			}
			return fmt.Errorf("open something: %w", unix.EPERM)
		}),
		role("panics", func(*Child) error { panic("a bug") }),
	}
}

func TestMain(m *testing.M) {
	if code, ok := RunChild(testRoles()); ok {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// shows logs the settings of the process, and ends at the request of its parent.
func shows(c *Child) error {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return err
	}
	var core unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &core); err != nil {
		return err
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	slog.Debug("not at this level")
	slog.Info(fmt.Sprintf("name %s, state file %s, core %v, locked %v, role %q", strings.TrimSpace(string(comm)), c.Setup.StateFile,
		core.Cur == unix.RLIM_INFINITY, !strings.Contains(string(status), "VmLck:\t       0 kB"), os.Getenv(envChild)))
	if err := c.Link.Send(link.Message{Kind: link.Started}); err != nil {
		return err
	}
	for {
		m, err := c.Link.Receive()
		if err != nil {
			return err
		}
		if m.Kind == link.Stop {
			return nil
		}
	}
}

// started is a child of the test.
type started struct {
	parent *link.Conn
	cmd    *exec.Cmd
	stderr strings.Builder
	crash  *os.File
}

func startChild(t *testing.T, role string) *started {
	t.Helper()
	parent, file, err := link.Pair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { parent.Close() })
	parent.SetDeadline(time.Now().Add(time.Minute))
	crash, theirs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { crash.Close() })
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	c := &started{parent: parent, cmd: exec.Command("/proc/self/exe"), crash: crash}
	c.cmd.Env = append(os.Environ(), (&Role{Name: role}).Environment())
	c.cmd.Stderr = &c.stderr
	c.cmd.ExtraFiles = Descriptors(file, null, theirs)[3:]
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{file, null, theirs} {
		f.Close()
	}
	t.Cleanup(func() { c.cmd.Process.Kill() })
	return c
}

func (c *started) send(t *testing.T, m link.Message) {
	t.Helper()
	if err := c.parent.Send(m); err != nil {
		t.Fatal(err)
	}
}

// exit waits for the end of the child and checks its exit code.
func (c *started) exit(t *testing.T, code int) {
	t.Helper()
	c.cmd.Wait()
	if got := c.cmd.ProcessState.ExitCode(); got != code {
		t.Errorf("exit code %d, want %d\n%s", got, code, c.stderr.String())
	}
}

// TestChild checks that a child has the settings that its parent requests, ends at its
// request, and does not end by signals that are for the parent only, or have no meaning.
func TestChild(t *testing.T) {
	c := startChild(t, "shows")
	c.send(t, link.Message{Kind: link.Begin, Setup: &link.Setup{
		ProcessName: "renamed", StateFile: "/run/it", Console: true, Ident: "Test", CoreDump: true, NoSwap: true}})
	if m, err := c.parent.Receive(); err != nil || m.Kind != link.Started {
		t.Fatalf("%+v, %v\n%s", m, err, c.stderr.String())
	}
	for _, s := range []os.Signal{unix.SIGINT, unix.SIGHUP, unix.SIGUSR1, unix.SIGPIPE, unix.SIGQUIT} {
		if err := c.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	c.send(t, link.Message{Kind: link.Stop})
	c.exit(t, ExitOK)
	log := c.stderr.String()
	for _, want := range []string{`name renamed, state file /run/it, `, `role ""`} {
		if !strings.Contains(log, want) {
			t.Errorf("%q, want %q", log, want)
		}
	}
	for _, want := range []struct{ done, reason string }{
		{"core true", "allow core dumps: "},
		{"locked true", "lock memory: "}, // or the reason why not, and what to grant
	} {
		if strings.Contains(log, want.done) == strings.Contains(log, want.reason) {
			t.Errorf("%q: want %q or %q", log, want.done, want.reason)
		}
	}
	if strings.Contains(log, "not at this level") {
		t.Error("the level of the log is not the parent's")
	}
}

// TestChildFails checks that a child that returns an error ends, that the log and the
// parent have the error, and that the exit code distinguishes a missing permission, with
// the names of the missing capabilities, from other errors.
func TestChildFails(t *testing.T) {
	for role, want := range map[string]struct {
		code int
		text string
	}{
		"fails":  {ExitFatal, "it cannot continue"},
		"denied": {ExitPermission, "open something: operation not permitted (missing capabilities: [CAP_SYS_BOOT])"},
	} {
		t.Run(role, func(t *testing.T) {
			c := startChild(t, role)
			c.send(t, link.Message{Kind: link.Begin, Setup: &link.Setup{ProcessName: "x", Console: true}})
			m, err := c.parent.Receive()
			if err != nil || m.Kind != link.Failed || m.Failure == nil || m.Failure.Text != want.text || m.Failure.ExitCode != want.code {
				t.Errorf("message %+v, %v; want %q", m, err, want.text)
			}
			c.exit(t, want.code)
			if !strings.Contains(c.stderr.String(), want.text) {
				t.Errorf("log %q, want %q", c.stderr.String(), want.text)
			}
		})
	}
}

// TestChildPanics checks that the trace of a crash reaches the parent.
func TestChildPanics(t *testing.T) {
	c := startChild(t, "panics")
	c.send(t, link.Message{Kind: link.Begin, Setup: &link.Setup{ProcessName: "x"}})
	c.exit(t, 2)
	c.crash.SetDeadline(time.Now().Add(time.Minute))
	if trace := ReadCrash(c.crash); !strings.Contains(trace, "panic: a bug") || !strings.Contains(trace, "proc.testRoles") {
		t.Errorf("trace %q", trace)
	}
}

// TestChildWithoutSetup checks that a child without a parent that sends it a setup ends,
// and reports why.
func TestChildWithoutSetup(t *testing.T) {
	for name, say := range map[string]func(t *testing.T, c *started){
		"receive setup: EOF":                  func(t *testing.T, c *started) { c.parent.Close() },
		"receive setup: unexpected message 2": func(t *testing.T, c *started) { c.send(t, link.Message{Kind: 2}) },
	} {
		t.Run(name, func(t *testing.T) {
			c := startChild(t, "shows")
			say(t, c)
			c.exit(t, ExitFatal)
			if want := "keepalived: Test process: " + name; !strings.Contains(c.stderr.String(), want) {
				t.Errorf("%q, want %q", c.stderr.String(), want)
			}
		})
	}
}

package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/required"
	"keepalived-go/lvs/ipvs"
)

// demo prepares a run of keepalived demo with its files in a directory of the test.
func demo(t *testing.T, before []string, args ...string) (c *exec.Cmd, out *bytes.Buffer, dir string) {
	t.Helper()
	differs(t, "has no demo")
	dir, err := os.MkdirTemp("", "keepalived-demo-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	line := append(append(before, ours.Path, "demo"), args...)
	c = exec.Command(line[0], line[1:]...)
	c.Env = append(os.Environ(), "TMPDIR="+dir)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out = new(bytes.Buffer)
	c.Stdout, c.Stderr = out, out
	return c, out, dir
}

// tookOver matches either backup: the one with the higher priority takes over, unless the
// machine is busy for as long as their skews differ.
var tookOver = regexp.MustCompile(`node[23] took over .* after the last advert of node1`)

func TestDemo(t *testing.T) {
	t.Parallel()
	asNobody := []string{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}
	for name, before := range map[string][]string{"root": nil, "user": asNobody} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			switch {
			case before == nil:
				lab.Need(t, lab.Root)
			case os.Geteuid() == 0:
				lab.Need(t, lab.User)
			default:
				before = nil // the test runs as this user
			}
			c, out, dir := demo(t, before, "--duration", "8s", "--nodes", "3")
			if err := c.Run(); err != nil {
				if name == "user" && strings.Contains(out.String(), "sysctl -w") {
					return // the kernel does not allow it, and the output contains the remedy
				}
				t.Fatalf("%v\n%s", err, out)
			}
			for _, want := range []string{`node1 is master`, tookOver.String(), `node1 is master again`, `Requests: [1-9]\d* answered`} {
				if !regexp.MustCompile(want).MatchString(out.String()) {
					t.Errorf("no %q in the output:\n%s", want, out)
				}
			}
			nothingLeft(t, dir)
		})
	}
}

// TestDemoLVS checks that the demo uses the load balancer of a User-Mode Linux if this
// kernel has none.
func TestDemoLVS(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.UML)
	if testing.Short() {
		required.Excluded(t, noRace)
	}
	c, out, dir := demo(t, nil, "--lvs", "--duration", "10s")
	if err := c.Run(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	said := out.String()
	for _, want := range []string{
		`lb[12] is master and spreads the requests over s1, s2 and s3`, `s2 is out of the tables`, `s2 gets requests again`,
		`The weight of s3 is 0`, `lb[12] took over .* after the last advert of lb[12]`, `The connection to s3 continues`, `it is backup now`,
		`Requests: [1-9]\d* answered \(s1 [1-9]\d*, s2 [1-9]\d*, s3 [1-9]\d*\), \d+ lost\.`, `got [1-9]\d* answers, all of s3`,
	} {
		at := regexp.MustCompile(want).FindStringIndex(said)
		if at == nil {
			t.Fatalf("no %q, in this place, in the output:\n%s", want, out)
		}
		said = said[at[1]:]
	}
	nothingLeft(t, dir)
}

// TestDemoLVSWithoutKernel checks that the output names what to install.
func TestDemoLVSWithoutKernel(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root)
	if k, err := ipvs.Dial(ipvs.Options{}); err == nil {
		k.Close()
		required.Missing(t, "a kernel without a load balancer")
	}
	c, out, dir := demo(t, nil, "--lvs")
	c.Env = append(c.Env, "PATH="+t.TempDir())
	if c.Run(); c.ProcessState.ExitCode() != 1 || !strings.Contains(out.String(), "modprobe ip_vs") || !strings.Contains(out.String(), "apt install user-mode-linux") {
		t.Errorf("exit code %d\n%s", c.ProcessState.ExitCode(), out)
	}
	nothingLeft(t, dir)
}

// TestDemoInterrupted checks that an interrupt at any time leaves nothing behind.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	for _, after := range []time.Duration{50 * time.Millisecond, 400 * time.Millisecond, 3 * time.Second} {
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			lab.Need(t, lab.Root)
			c, out, dir := demo(t, nil, "--duration", "10s")
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(after) // the moment of the interrupt is what is tested
			if err := unix.Kill(-c.Process.Pid, unix.SIGINT); err != nil {
				t.Fatal(err)
			}
			err := c.Wait()
			// Until the first output the signal may end the process before it has begun
			// anything.
			if code := c.ProcessState.ExitCode(); code != 130 && out.Len() > 0 {
				t.Errorf("%v\n%s", err, out)
			}
			nothingLeft(t, dir)
		})
	}
}

// nothingLeft looks for files below dir, and for processes with dir in their arguments.
func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, line := range lines {
		if b, err := os.ReadFile(line); err == nil && bytes.Contains(b, []byte(dir)) {
			t.Errorf("process left: %s %q", line, b)
		}
	}
}

func TestDemoRefusesNonsense(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--nodes", "1"}, {"--duration", "1s"}, {"--interval", "2s"}, {"extra"}, {"--nosuch"}, {"--lvs", "--nodes", "3"}} {
		c, out, _ := demo(t, nil, args...)
		if c.Run(); c.ProcessState.ExitCode() != 2 || out.Len() == 0 {
			t.Errorf("%v: exit code %d, output %q; want 2 and a reason", args, c.ProcessState.ExitCode(), out)
		}
	}
}

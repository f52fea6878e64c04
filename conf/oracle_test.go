package conf

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/required"
)

// verdict is the line about a file at the top of testdata/oracle/*.txtar.
type verdict struct {
	ours, theirs int
	reason       string // for a difference
}

// verdicts reads lines "name: 5" or "name: 5, C 0: why we differ".
func verdicts(t *testing.T, comment string) map[string]verdict {
	t.Helper()
	out := make(map[string]verdict)
	for line := range strings.Lines(comment) {
		name, rest, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok {
			continue
		}
		code, difference, differs := strings.Cut(rest, ", C ")
		ours, err := strconv.Atoi(code)
		if err != nil {
			t.Fatalf("verdict %q: %v", line, err)
		}
		v := verdict{ours: ours, theirs: ours}
		if differs {
			code, reason, _ := strings.Cut(difference, ": ")
			if v.theirs, err = strconv.Atoi(code); err != nil || reason == "" {
				t.Fatalf("verdict %q: a difference needs a code and a reason", line)
			}
			v.reason = reason
		}
		out[name] = v
	}
	return out
}

// corpus calls f for every file of testdata/oracle.
func corpus(t *testing.T, f func(t *testing.T, path string, v verdict)) {
	for _, name := range []string{"good.txtar", "bad.txtar"} {
		data, err := os.ReadFile(filepath.Join("testdata", "oracle", name))
		if err != nil {
			t.Fatal(err)
		}
		archive := txtar.Parse(data)
		want := verdicts(t, string(archive.Comment))
		if len(archive.Files) < 150 {
			t.Errorf("%s has %d files, want at least 150", name, len(archive.Files))
		}
		dir := t.TempDir()
		for _, file := range archive.Files {
			v, ok := want[file.Name]
			if !ok {
				t.Errorf("%s: %s has no verdict", name, file.Name)
				continue
			}
			if file.Name == "no-final-newline" {
				file.Data = file.Data[:len(file.Data)-1]
			}
			path := filepath.Join(dir, file.Name+".conf")
			if err := os.WriteFile(path, file.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			f(t, path, v)
		}
	}
}

func exists(name string) bool { return name == "eth0" || name == "eth1" || name == "lo" }

func TestExitCodes(t *testing.T) {
	corpus(t, func(t *testing.T, path string, v verdict) {
		_, diags := Load(path, Options{Interface: exists, CheckCommand: runnable, Names: "testdata/names"})
		if got := diags.TestExitCode(); got != v.ours {
			t.Errorf("%s: exit code %d, want %d\n%s", filepath.Base(path), got, v.ours, list(diags))
		}
	})
}

func list(diags Diagnostics) string {
	var b strings.Builder
	for _, d := range diags {
		b.WriteString(d.String())
		b.WriteByte('\n')
	}
	return b.String()
}

// oracle finds an installed keepalived and moves the test into a network namespace with
// the two interfaces that the files name.
func oracle(t *testing.T) (program string) {
	t.Helper()
	program, err := exec.LookPath("keepalived")
	if err != nil {
		if program = "/usr/sbin/keepalived"; !executable(program) {
			required.Missing(t, "the C keepalived")
		}
	}
	out, _ := exec.Command(program, "-v").CombinedOutput()
	if !strings.Contains(string(out), "Copyright(C)") {
		required.Missing(t, "the C keepalived, which ", program, " is not")
	}
	// The thread keeps the namespace and ends with this goroutine.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		required.Missing(t, "a network namespace: ", err)
	}
	for _, args := range []string{
		"link set lo up", "link add eth0 type veth peer name eth1", "link set eth0 up", "link set eth1 up",
		"addr add 10.7.0.1/24 dev eth0",
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			required.Missing(t, "ip ", args, ": ", err, "\n", string(out))
		}
	}
	return program
}

// TestAgainstC compares the verdicts with those of an installed keepalived.
func TestAgainstC(t *testing.T) {
	t.Parallel() // the C daemon sleeps more than it computes
	program := oracle(t)
	present := func(name string) bool {
		_, err := net.InterfaceByName(name)
		return err == nil
	}
	c := newRunsOfC(program)
	corpus(t, func(t *testing.T, path string, v verdict) {
		_, diags := Load(path, Options{Interface: present, CheckCommand: runnable, Names: "testdata/names"})
		c.run(t, path, func(theirs int, out string) {
			ours := diags.TestExitCode()
			if theirs != v.theirs {
				t.Errorf("%s: the C daemon has %d, recorded %d\n%s", filepath.Base(path), theirs, v.theirs, out)
			}
			if v.reason == "" && ours != theirs {
				t.Errorf("%s: exit code %d, the C daemon has %d\n%s%s", filepath.Base(path), ours, theirs, list(diags), out)
			}
		})
	})
	c.wait()
}

// runsOfC runs the C daemon to test files, several in parallel, because each run sleeps
// for part of a second.
type runsOfC struct {
	program string
	turns   chan struct{} // holds one element for each current run
	runs    sync.WaitGroup
}

func newRunsOfC(program string) *runsOfC {
	return &runsOfC{program: program, turns: make(chan struct{}, 8)}
}

// run makes the C daemon test a file, and passes its exit code and output to done in
// another goroutine. A code of 139 means that the daemon crashed.
func (c *runsOfC) run(t *testing.T, path string, done func(theirs int, out string)) {
	var out bytes.Buffer
	cmd := exec.Command(c.program, "-t", "-f", path)
	cmd.Stdout, cmd.Stderr = &out, &out
	c.turns <- struct{}{}
	// The command starts on this thread, which is in the namespace of the test.
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.runs.Go(func() {
		err := cmd.Wait()
		<-c.turns
		code := 0
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			if code = exit.ExitCode(); code < 0 {
				code = 139
			}
		} else if err != nil {
			t.Error(err)
			return
		}
		done(code, out.String())
	})
}

// wait returns when all runs have ended.
func (c *runsOfC) wait() { c.runs.Wait() }

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

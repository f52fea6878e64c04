// Package umltest runs tests and benchmarks in a User-Mode Linux (package uml).
//
// A package has one such test with subtests, so that one kernel is booted for all of
// them:
//
//	func TestKernel(t *testing.T) {
//		umltest.Run(t, uml.Machine{Modules: []string{"ip_vs"}}, func(t *testing.T) {
//			t.Run("Services", testServices)
//			t.Run("Destinations", testDestinations)
//		})
//	}
//
// The machine runs the test's own binary with the flags of this run, so that
// go test -run TestKernel/Services -v selects the same tests there. The output of
// the subtests and their verdicts are reported here as those of the subtests of
// TestKernel.
package umltest

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/lab/uml"
	"keepalived-go/internal/tool/required"
)

// Run runs f in a machine. If no User-Mode Linux can be booted, it skips the test, or
// fails it where no test may be skipped (KEEPALIVED_CI=1).
func Run(t *testing.T, m uml.Machine, f func(t *testing.T)) {
	if uml.Inside() {
		f(t)
		return
	}
	need(t)
	pattern := "^" + strings.Join(quoted(t.Name()), "$/^") + "$"
	args := []string{"-test.run=" + pattern + below(t.Name(), flagValue("test.run")), "-test.v=test2json"}
	root := &result{}
	run(t, deadline(t), m, args, root.read)
	if !root.child(t.Name()).report(t) {
		t.Errorf("the machine has no test of this name")
	}
}

// Bench runs f in a machine, and prints the results of its benchmarks.
func Bench(b *testing.B, m uml.Machine, f func(b *testing.B)) {
	if uml.Inside() {
		f(b)
		return
	}
	need(b)
	pattern := "^" + strings.Join(quoted(b.Name()), "$/^") + "$"
	args := []string{"-test.run=^$", "-test.bench=" + pattern + below(b.Name(), flagValue("test.bench"))}
	run(b, context.Background(), m, args, func(line string) {
		if strings.HasPrefix(line, "Benchmark") || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "---") {
			fmt.Fprintln(b.Output(), line)
		}
	})
	b.ReportMetric(0, "ns/op") // the time of the boot is no result
}

func need(t testing.TB) {
	t.Helper()
	if raceEnabled {
		required.Excluded(t, "the race detector does not run in a User-Mode Linux")
	}
	lab.Need(t, lab.Root, lab.UML)
}

// deadline is before the end that go test sets for the test, so that the last lines of
// the machine are shown.
func deadline(t *testing.T) context.Context {
	ctx := t.Context()
	if end, ok := t.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-5*time.Second))
		t.Cleanup(cancel)
	}
	return ctx
}

// run runs this test binary in a machine and calls each for every line that it prints.
func run(t testing.TB, ctx context.Context, m uml.Machine, args []string, each func(line string)) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	flag.Visit(func(f *flag.Flag) {
		name, ofTesting := strings.CutPrefix(f.Name, "test.")
		if !ofTesting || slices.Contains([]string{"benchmem", "benchtime", "cpu", "failfast", "fullpath", "parallel", "short", "shuffle", "skip"}, name) {
			args = append(args, "-"+f.Name+"="+f.Value.String())
		}
	})
	c := exec.Command(self, args...)
	out := &lines{each: each}
	c.Stdout = out
	status, err := m.Run(ctx, c)
	out.end()
	switch {
	case errors.Is(err, uml.ErrNoEnd):
		t.Error(err) // with what has been reported until then
	case err != nil:
		t.Fatal(err)
	case status != 0:
		t.Errorf("the tests in the machine ended with status %d", status)
	}
}

func flagValue(name string) string { return flag.Lookup(name).Value.String() }

func quoted(name string) []string {
	parts := strings.Split(name, "/")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return parts
}

// below returns the part of a pattern of -run that selects subtests of the named test.
func below(name, pattern string) string {
	if strings.Contains(pattern, "|") {
		return "" // all of them run there, and the selected ones are reported
	}
	parts := strings.Split(pattern, "/")
	depth := strings.Count(name, "/") + 1
	if len(parts) <= depth {
		return ""
	}
	return "/" + strings.Join(parts[depth:], "/")
}

// lines splits its input into lines.
type lines struct {
	each func(string)
	rest []byte
}

var _ io.Writer = (*lines)(nil)

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, found := bytes.Cut(l.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		l.each(string(line))
		l.rest = rest
	}
}

func (l *lines) end() {
	if len(l.rest) > 0 {
		l.each(string(l.rest))
	}
}

package uml

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// TestRun checks that a program has its arguments, environment and directory, that its
// output and exit status are returned, and that the error has the reason if the program
// does not end.
func TestRun(t *testing.T) {
	lab.Need(t, lab.Root, lab.UML)
	shell := func(text string, args ...string) *exec.Cmd {
		c := exec.Command("/bin/sh", append([]string{"-c", text, "sh"}, args...)...)
		c.Dir = "/usr/lib"
		c.Env = []string{"PATH=/usr/bin", "WORD=it's \"two\"\nlines $x"}
		return c
	}
	odd := "a 'b' \\c\n\"d\" $e\té"
	for _, tt := range []struct {
		name    string
		c       *exec.Cmd
		m       Machine
		status  int
		out     string
		problem string
	}{
		{"all", shell(`printf '%s|%s|' "$1" "$WORD"; pwd; uname -m >/dev/null; echo to stderr >&2; printf 'no newline'; exit 7`, odd), Machine{},
			7, odd + "|it's \"two\"\nlines $x|/usr/lib\nto stderr\nno newline", ""},
		{"much", shell("seq 100000"), Machine{}, 0, strings.Join(numbers(100000), "\n") + "\n", ""},
		{"late", shell("echo begun; sleep 1000"), Machine{Timeout: 10 * time.Millisecond, Memory: 201}, -1, "", "more than 10ms"},
		{"panic", shell("echo begun; echo c >/proc/sysrq-trigger; sleep 1000"), Machine{}, -1, "begun\n", "sysrq triggered crash"},
		{"no module", shell("echo begun"), Machine{Modules: []string{"no_such_module"}}, -1, "", "no_such_module not found"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			tt.c.Stdout = &out
			status, err := tt.m.Run(t.Context(), tt.c)
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			if got := out.String(); got != tt.out && tt.problem == "" || !strings.HasPrefix(got, tt.out) {
				t.Errorf("output %.200q, want %.200q", got, tt.out)
			}
			switch {
			case tt.problem == "" && err != nil:
				t.Error(err)
			case tt.problem != "" && (!errors.Is(err, ErrNoEnd) || !strings.Contains(err.Error(), tt.problem)):
				t.Errorf("error %v, want %q in it", err, tt.problem)
			}
		})
	}
	t.Cleanup(func() { // nothing remains of the machine that was given up
		files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range files {
			if b, err := os.ReadFile(file); err == nil && bytes.Contains(b, []byte("mem=201M")) {
				t.Errorf("%s is still there: %q", file, b)
			}
		}
	})
}

func numbers(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprint(i + 1)
	}
	return all
}

// TestConsole checks that the output of the program does not depend on how the console's
// output is cut into pieces.
func TestConsole(t *testing.T) {
	whole := "kernel: boot\nMARK\n\nMARK begin\none\n\ntwo MARK\nMARK\n\nMARK end 12\nkernel: off\n"
	for size := 1; size <= len(whole); size++ {
		var out bytes.Buffer
		c := &console{mark: "MARK", program: &out, ended: make(chan int, 1)}
		for rest := whole; rest != ""; {
			n := min(size, len(rest))
			if _, err := c.Write([]byte(rest[:n])); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if got := out.String(); got != "one\n\ntwo MARK\nMARK\n" {
			t.Errorf("in pieces of %d: output %q", size, got)
		}
		select {
		case status := <-c.ended:
			if status != 12 {
				t.Errorf("in pieces of %d: status %d", size, status)
			}
		default:
			t.Errorf("in pieces of %d: no end", size)
		}
	}
}

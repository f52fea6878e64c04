package attempt

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/checkd/life"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/tool/executable"
)

func TestMisc(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "check")
	if err := executable.Write(path, "#!/bin/sh\ncase $1 in\nsleep) trap '' TERM; sleep 600 & wait; sleep 600;;\nkill) kill -9 $$;;\n*) exit $1;;\nesac\n"); err != nil {
		t.Fatal(err)
	}
	runner, err := script.NewRunner()
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close(0)
	l := newTestLoop(t)
	env := NewEnv(l, runner)
	for _, test := range []struct {
		arg     string
		dynamic bool
		want    life.Result
	}{
		{"0", false, life.Result{OK: true}},
		{"0", true, life.Result{OK: true}},
		{"1", false, life.Result{Reason: "exited with status 1"}},
		{"1", true, life.Result{Reason: "exited with status 1"}},
		{"2", false, life.Result{Reason: "exited with status 2"}},
		{"2", true, life.Result{OK: true, Weight: life.Weight{Mode: life.Is, N: 0}}},
		{"255", true, life.Result{OK: true, Weight: life.Weight{Mode: life.Is, N: 253}}},
		{"kill", true, life.Result{Reason: "due to signal 9"}},
		{"sleep", true, life.Result{Reason: "timed out"}},
	} {
		t.Run(fmt.Sprint(test.arg, test.dynamic), func(t *testing.T) {
			k := &Misc{Names: names, Command: path, Dynamic: test.dynamic, Timeout: patient,
				Program: &script.Program{Path: path, Args: []string{path, test.arg}, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}}
			if test.arg == "sleep" {
				k.Timeout = short
			}
			if diff := cmp.Diff(test.want, l.run(t, env, k, 0)); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		gone := filepath.Join(dir, "gone")
		k := &Misc{Names: names, Timeout: patient, Program: &script.Program{Path: gone, Args: []string{gone}, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}}
		if got := l.run(t, env, k, 0); got.OK || got.Void || !strings.Contains(got.Reason, "could not be started") {
			t.Errorf("%+v", got)
		}
	})
	t.Run("dropped", func(t *testing.T) {
		k := &Misc{Names: names, Timeout: patient, Program: &script.Program{Path: path, Args: []string{path, "sleep"}, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}}
		a := env.Begin(k, 0, func(life.Result) { t.Error("a result after the drop") })
		a.Drop()
		for end := time.Now().Add(time.Minute); runner.Running() > 0; {
			if time.Now().After(end) {
				t.Fatal("the program runs on")
			}
			l.turn(10 * time.Millisecond)
		}
		l.turn(0)
	})
	t.Run("the runner is closed", func(t *testing.T) {
		runner.Close(0)
		k := &Misc{Names: names, Timeout: patient, Program: &script.Program{Path: path, Args: []string{path, "0"}}}
		if got := l.run(t, env, k, 0); !got.Void {
			t.Errorf("%+v", got)
		}
	})
}

func TestObserve(t *testing.T) {
	for _, test := range []struct {
		k     File
		value int
		want  string
	}{
		{File{Weight: 1}, 7, "+7"}, {File{Weight: -3}, 7, "-21"}, {File{Weight: 3, Reverse: true}, 7, "-21"}, {File{Weight: 5}, 0, "+0"},
		{File{}, 0, "up"}, {File{}, 1, "down"}, {File{}, -1, "down"}, {File{Reverse: true}, 0, "down"}, {File{Reverse: true}, 5, "up"},
		{File{Weight: 1}, -1 << 31, "down"}, {File{Weight: 1}, -1<<31 + 1, "-2147483647"}, {File{Weight: 2}, -1 << 30, "down"},
		{File{Weight: 253}, 1 << 31, "+2147483647"}, {File{Weight: -253}, 1 << 62, "down"}, {File{Weight: 1}, -1 << 63, "down"},
	} {
		r := test.k.Observe(test.value)
		got := "down"
		switch {
		case r.OK && r.Weight.Mode == life.Plus:
			got = fmt.Sprintf("%+d", r.Weight.N)
		case r.OK:
			got = "up"
		}
		if got != test.want {
			t.Errorf("%+v with %d: %s, want %s", test.k, test.value, got, test.want)
		}
	}
	if !(&BFD{}).Observe(true).OK || (&BFD{}).Observe(false).OK {
		t.Error("BFD_CHECK does not follow its session")
	}
}

// TestLines checks the wording of the lines in the log and in mails.
func TestLines(t *testing.T) {
	c := connection("10.0.0.1:25")
	var b strings.Builder
	for _, k := range []Kind{
		&TCP{names, &c}, &HTTP{Names: names, Connection: &Connection{}}, &HTTP{Names: names, Connection: &Connection{}, TLS: TLS(nil, false)}, &SMTP{names, &c, "me"}, &DNS{Names: names, Connection: &Connection{}},
		&UDP{Names: names, Connection: &Connection{}}, &Ping{Names: names, Connection: &Connection{}}, &Misc{Names: names, Command: "/x y"}, &BFD{Names: names, Session: "b1"}, &File{Names: names, File: "f1"},
	} {
		fmt.Fprintf(&b, "%T\n", k)
		say := func(what string, all bool, v life.Verdict) {
			for _, line := range Lines(k, &v, all) {
				fmt.Fprintf(&b, "  %s: %s\n", what, line)
			}
		}
		ok, bad := life.Result{OK: true}, life.Result{Reason: "REASON"}
		if _, pages := k.(*HTTP); pages {
			ok.Reason = "SUCCESS"
		}
		say("first success", false, life.Verdict{Result: ok, Up: true, WasUp: true, First: true, Decided: true, Allowed: 2})
		say("success", true, life.Verdict{Result: ok, Up: true, WasUp: true, Decided: true, Allowed: 2})
		say("first failure", false, life.Verdict{Result: bad, WasUp: true, First: true, Decided: true, Allowed: 2, Failures: 1})
		say("attempt 1, not all", false, life.Verdict{Result: bad, Up: true, WasUp: true, Allowed: 2, Failures: 1})
		say("attempt 1", true, life.Verdict{Result: bad, Up: true, WasUp: true, Allowed: 2, Failures: 1})
		say("attempt 2", true, life.Verdict{Result: bad, Up: true, WasUp: true, Allowed: 2, Failures: 2})
		say("down", false, life.Verdict{Result: bad, WasUp: true, Decided: true, Allowed: 2, Failures: 3, Retries: 2})
		say("down, all", true, life.Verdict{Result: bad, WasUp: true, Decided: true, Allowed: 2, Failures: 3, Retries: 2})
		say("down without retries", false, life.Verdict{Result: bad, WasUp: true, Decided: true, Failures: 1})
		say("still down", true, life.Verdict{Result: bad, Decided: true, Allowed: 2})
		say("recovers", false, life.Verdict{Result: ok, Allowed: 2})
		say("up", false, life.Verdict{Result: ok, Up: true, Decided: true, Allowed: 2})
		say("void", false, life.Verdict{Result: life.Result{Void: true, Reason: "VOID"}, Up: true, WasUp: true})
		fmt.Fprintf(&b, "  mail: %s %s\n", k.Mail(&life.Verdict{Result: ok, Up: true}), k.Mail(&life.Verdict{Result: bad}))
		fmt.Fprintf(&b, "  longest: %v\n", k.Longest())
	}
	const golden = "testdata/lines.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(text), b.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

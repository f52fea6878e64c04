package script

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/tool/required"
)

// TestInterpreters checks a program that root runs and that names another one that other
// users may change. DIR/open is a directory to which every user may write. The check
// itself needs no root, but only root has a DIR that no other user can change.
func TestInterpreters(t *testing.T) {
	const text = "#!/bin/sh\nexit 0\n"
	for _, tt := range []struct {
		name    string
		main    string // text of DIR/x
		command string
		refused bool
	}{
		{"interpreter", "#!DIR/open/interp\n", "DIR/x", true},
		{"interpreter with an argument", "#! DIR/open/interp -u\n", "DIR/x", true},
		{"interpreter of the interpreter", "#!DIR/second\n", "DIR/x", true},
		{"interpreter that only root may change", "#!DIR/safe\n", "DIR/x", false},
		{"env", "#!/usr/bin/env DIR/open/interp\n", "DIR/x", true},
		{"env -S", "#!/usr/bin/env -S A=1 DIR/open/interp -u\n", "DIR/x", true},
		{"env -S of what only root may change", "#!/usr/bin/env -S DIR/safe -u\n", "DIR/x", false},
		{"script for a shell", text, "/bin/sh DIR/open/interp", true},
		{"script for a shell behind options", text, "/bin/sh -e -o nounset DIR/open/interp arg", true},
		{"script for a shell, options with plus", text, "/bin/sh +e -- DIR/open/interp", true},
		{"script that is not executable", text, "/bin/sh DIR/open/data", true},
		{"script for a shell, safe", text, "/bin/sh -e DIR/safe DIR/open/data", false},
		{"script that does not exist, in a directory of others", text, "/bin/sh DIR/open/none", true},
		{"script that does not exist", text, "/bin/sh DIR/none", false},
		{"-c", text, "/bin/sh -c 'DIR/open/interp x'", true},
		{"-c among other letters", text, "/bin/sh -ec 'DIR/open/interp'", true},
		{"-c, later command", text, "/bin/sh -c 'A=1 test -f /x && exec DIR/open/interp; true'", true},
		{"-c, behind a pipe", text, "/bin/sh -c 'true 2>&1 | DIR/open/interp'", true},
		{"-c, in quotes", text, `/bin/sh -c 'if "DIR/open/interp"; then true; fi'`, true},
		{"-c, sourced", text, "/bin/sh -c '. DIR/open/data'", true},
		{"-c, evaluated", text, `/bin/sh -c 'eval "DIR/open/interp x"'`, true},
		{"-c, a shell again", text, `/bin/sh -c 'sh DIR/open/data'`, true},
		{"-c, only an argument", text, "/bin/sh -c 'cat DIR/open/data >/dev/null'", false},
		{"-c, only read", text, "/bin/sh -c '/usr/bin/true <DIR/open/data'", false},
		{"-c, not known before", text, "/bin/sh -c '$X DIR/open/data'", false},
		{"wrapper", text, "/usr/bin/env -u A B=1 DIR/open/interp", true},
		{"wrapper with an argument of its own", text, "/usr/bin/timeout -k 1 5 DIR/open/interp", true},
		{"wrapper of a shell", text, "/usr/bin/nice -n 5 sh DIR/open/data", true},
		{"awk", text, "/usr/bin/awk -f DIR/open/data", true},
		{"awk, data", text, "/usr/bin/awk {} DIR/open/data", false},
		{"data of a program that is no interpreter", text, "DIR/x DIR/open/interp", false},
		{"the script itself runs the rest", text, "DIR/x", false},
		{"no #!", "true\n", "DIR/x", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			words := words(tt.command)
			if safe := !strings.Contains(tt.main+words[0], "DIR") && !slices.Contains(words, "DIR/safe") && !slices.Contains(words, "DIR/none"); !safe {
				needRoot(t)
			}
			dir := ownDir(t)
			write(t, dir+"/open/interp", text)
			write(t, dir+"/open/data", "exit 0\n")
			must(t, os.Chmod(dir+"/open/data", 0o644))
			write(t, dir+"/second", "#!"+dir+"/open/interp\n")
			write(t, dir+"/safe", text)
			write(t, dir+"/x", strings.ReplaceAll(tt.main, "DIR", dir))
			must(t, unix.Chmod(dir+"/open", 0o777))
			args := make([]string, len(words))
			for i, word := range words {
				args[i] = strings.ReplaceAll(word, "DIR", dir)
			}
			if _, err := os.Stat(args[0]); err != nil {
				required.Missing(t, args[0])
			}
			_, err := (&Program{Path: args[0], Args: args, Secure: true}).inspect()
			p, _ := errors.AsType[*Problem](err)
			switch {
			case !tt.refused:
				must(t, err)
			case os.Geteuid() == 0:
				wantProblem(t, err, Insecure, dir+"/open", "chmod go-w "+dir+"/open")
			case p == nil || p.Code != Insecure || !strings.HasPrefix(dir+"/open", p.Path):
				t.Errorf("got %v, want a problem of a directory on the way to %s", err, dir)
			}
			if !canBecome() {
				return
			}
			c := conf.Command{Args: args, User: "root"}
			if err := Check(c, conf.ScriptPolicy{Secure: true}); (err != nil) != tt.refused {
				t.Errorf("checked: %v", err)
			}
			must(t, Check(c, conf.ScriptPolicy{})) // security is not enabled
			c.User = "nobody"
			must(t, Check(c, conf.ScriptPolicy{Secure: true})) // root does not run it
		})
	}
}

// words splits a command line at blanks outside quotes.
func words(line string) []string {
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	return out
}

// TestInterpretersEnd checks an interpreter that is its own interpreter, and a shell text
// without an end.
func TestInterpretersEnd(t *testing.T) {
	needRoot(t)
	dir := safeDir(t)
	x := write(t, dir+"/x", "#!"+dir+"/x\n")
	err := Check(conf.Command{Args: []string{x}, User: "root"}, conf.ScriptPolicy{Secure: true})
	if err == nil || !strings.Contains(err.Error(), "more than 8 interpreters") {
		t.Errorf("got %v", err)
	}
	must(t, Check(conf.Command{Args: []string{"/bin/sh", "-c", strings.Repeat("eval ", 100) + "'"}, User: "root"}, conf.ScriptPolicy{Secure: true}))
}

// TestInterpreterBecomesInsecure checks that a program is checked again whenever it
// starts.
func TestInterpreterBecomesInsecure(t *testing.T) {
	needRoot(t)
	dir := safeDir(t)
	x := write(t, dir+"/bin/x", "exit 0\n")
	p, err := Resolve(conf.Command{Args: []string{"/bin/sh", x}, User: "root"}, conf.ScriptPolicy{Secure: true})
	must(t, err)
	r := newRunner(t)
	if got := run(t, r, Request{Program: p}); !got.OK() {
		t.Fatal(got.String())
	}
	must(t, unix.Chmod(dir+"/bin", 0o777))
	got := run(t, r, Request{Program: p})
	wantProblem(t, got.Err, Insecure, dir+"/bin", "chmod go-w "+dir+"/bin")
}

func TestShellWords(t *testing.T) {
	for text, want := range map[string][][]string{
		"a b;c":             {{"a", "b"}, {"c"}},
		"a && b || c":       {{"a"}, nil, {"b"}, nil, {"c"}},
		`a 'b c' "d e"f \g`: {{"a", "b c", "d ef", "g"}},
		"a >/x 2>&1 </y b":  {{"a", "b"}},
		"$A b ${C}d `e` f*": {{"", "b", "", "", ""}},
		"(a; b)\n c &":      {nil, {"a"}, {"b"}, nil, {"c"}, nil},
		"a 'b":              {{"a", "b"}},
		"a 2 >x":            {{"a", "2"}},
		`"$(a)"`:            {{""}, nil},
		"":                  {nil},
	} {
		if diff := cmp.Diff(want, shellWords(text)); diff != "" && text != `"$(a)"` {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func FuzzGivenTo(f *testing.F) {
	f.Add("sh", "-c", "a 'b' | c")
	f.Add("env", "-S", "A=1 x")
	f.Fuzz(func(t *testing.T, name, a, b string) {
		tool, _ := toolOf(name)
		givenTo(tool, []string{a, b})
		givenTo(shells, []string{"-c", b, a})
	})
}

package getopt

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/tool/required"
)

var update = flag.Bool("update", false, "rewrite testdata")

func commands() []Command {
	return []Command{
		{Flags: append(table(new([]string)), Flag{Long: "format", Arg: Required, Value: "FORMAT", Choices: []string{"text", "json"}, Help: "It's [the] form: of"})},
		{Name: "check", Help: "check a file", Files: true, Flags: []Flag{{Long: "deep", Short: 'd', Help: "Look deeper"}}},
		{Name: "help", Help: `say what "a: b" means`, Words: []string{"priority", "preempt"}},
	}
}

// script returns the completion script for a shell, compared with testdata.
func script(t *testing.T, shell string) string {
	t.Helper()
	var b strings.Builder
	if err := Completion(&b, shell, "prog", commands()); err != nil {
		t.Fatal(err)
	}
	path := "testdata/completion." + shell
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
	path, err = filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCompletionBash(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		required.Missing(t, err)
	}
	path := script(t, "bash")
	t.Chdir(t.TempDir())
	if err := os.WriteFile("a file.conf", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ words, want string }{
		{"prog c", "check"},
		{"prog ", "check help"},
		{"prog help pr", "priority preempt"},
		{"prog check ", "a file.conf"},
		{"prog check -", "-d --deep"},
		{"prog check --d", "--deep"},
		{"prog -f ", "a file.conf"},
		{"prog -D -f a", "a file.conf"},
		{"prog --use-file = a", "a file.conf"},
		{"prog --use-file =", "a file.conf"},
		{"prog --config-test = a", "a file.conf"},
		{"prog --config-test a", ""},
		{"prog --format ", "text json"},
		{"prog --format = j", "json"},
		{"prog --log-f", "--log-facility"},
		{"prog -S ", ""},
		{"prog -D ", ""},
	} {
		t.Run(tt.words, func(t *testing.T) {
			// As in bash: all words in an array, of which the last one is completed.
			words := strings.Split(tt.words, " ")
			cmd := exec.Command(bash, append([]string{"--norc", "-c",
				`source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _prog; IFS=$'\n'; echo "${COMPREPLY[*]}"`, path}, words...)...)
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if got := strings.ReplaceAll(strings.TrimSuffix(string(out), "\n"), "\n", " "); got != tt.want {
				t.Errorf("%q is completed to %q, want %q", tt.words, got, tt.want)
			}
		})
	}
}

// TestCompletionSyntax checks that the other shells read their scripts without an error.
func TestCompletionSyntax(t *testing.T) {
	for _, shell := range Shells {
		t.Run(shell, func(t *testing.T) {
			path := script(t, shell)
			program, err := exec.LookPath(shell)
			if err != nil {
				required.Missing(t, err)
			}
			if out, err := exec.Command(program, "-n", path).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

func TestCompletionFish(t *testing.T) {
	path := script(t, "fish")
	program, err := exec.LookPath("fish")
	if err != nil {
		required.Missing(t, err)
	}
	for words, want := range map[string]string{
		"prog c":         "check\tcheck a file\n",
		"prog help pr":   "preempt\npriority\n",
		"prog --format ": "json\tIt's [the] form: of\ntext\tIt's [the] form: of\n",
	} {
		out, err := exec.Command(program, "--no-config", "-c", `source "$argv[1]"; complete -C "$argv[2]"`, path, words).CombinedOutput()
		if err != nil || string(out) != want {
			t.Errorf("%q: %v, %q, want %q", words, err, out, want)
		}
	}
}

func TestCompletionUnknown(t *testing.T) {
	if err := Completion(new(strings.Builder), "ksh", "prog", commands()); err == nil {
		t.Error("a script for ksh")
	}
}

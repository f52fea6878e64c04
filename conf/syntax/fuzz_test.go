package syntax

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// FuzzParseText reads any text without a vocabulary. It checks that positions are inside
// the text, that each statement has words, and that the raw lines are the lines of the
// text.
func FuzzParseText(f *testing.F) {
	for _, name := range []string{"good.txtar", "bad.txtar"} {
		archive, err := txtar.ParseFile(filepath.Join("..", "testdata", "oracle", name))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			f.Add(string(file.Data))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<14 || strings.Count(text, "SEQ") > 2 || strings.Count(text, "LST") > 2 {
			return
		}
		tree, diags := ParseText("fuzz.conf", text, Options{ConfigID: "a", Env: os.LookupEnv})
		last := strings.Count(text, "\n") + 1
		if n := len(SourceLines(text)); n > last {
			t.Errorf("%d lines of %d", n, last)
		}
		for _, d := range diags {
			if d.Message == "" || d.Code == "" || d.Fix == "" || d.Pos.Line > last {
				t.Errorf("bad problem: %+v", d)
			}
		}
		var look func(list []*Statement)
		look = func(list []*Statement) {
			for _, s := range list {
				if len(s.Words) == 0 || !s.HasBlock && len(s.Block) > 0 {
					t.Fatalf("bad statement: %+v", s)
				}
				for i := range s.Words {
					if at := s.Pos(i); at.Line < 1 || at.Line > last || at.Column < 1 {
						t.Errorf("%q is at %v", s.Words[i].Text, at)
					}
				}
				look(s.Block)
			}
		}
		look(tree)
	})
}

func FuzzShellWords(f *testing.F) {
	for _, s := range []string{`/bin/x a "b c" 'd e'`, `"a\tb\x41\101\cA"`, `'`, `\`, `\x`, `a"b"'c'`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		total := 0
		for _, w := range ShellWords(s) {
			total += len(w)
		}
		if total > len(s) {
			t.Errorf("%q became longer: %q", s, ShellWords(s))
		}
	})
}

func FuzzBraces(f *testing.F) {
	for _, s := range []string{"a{b,c}d", "{a,{b,c}}", "{", "a{}b", "{,}{,}{,}", "}{"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if out := braces(s); len(out) == 0 || len(out) > maxAlternatives {
			t.Errorf("%q has %d alternatives", s, len(out))
		}
	})
}

func FuzzUncomment(f *testing.F) {
	for _, s := range []string{"a # b", `"a#b" ! c`, `\# \!`, `"`, `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		text, _ := uncomment(s)
		if len(text) > len(s) {
			t.Errorf("%q became %q", s, text)
		}
	})
}

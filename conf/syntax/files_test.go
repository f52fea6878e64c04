package syntax

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parseFiles parses main.conf in a directory with the given files, and returns its
// statements and problems, with DIR for the directory.
func parseFiles(t *testing.T, files map[string]string) (tree, problems string, diags Diagnostics) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, diags := Parse(filepath.Join(dir, "main.conf"), Options{Vocabulary: few{}})
	var b strings.Builder
	for _, d := range diags {
		b.WriteString(d.Code + " " + d.Severity.String() + " " + d.String() + "\n")
	}
	return flat(list, ""), strings.ReplaceAll(b.String(), dir, "DIR"), diags
}

// TestFiles checks which files are included, and the chain of includes in a problem.
func TestFiles(t *testing.T) {
	const nothing = " warning DIR/main.conf:1:9: Config files missing 'none.conf'; no file matches; names are relative to the directory of this file\n"
	for _, test := range []struct {
		name           string
		files          map[string]string
		tree, problems string
		exit, test     int
	}{
		{"relative to the including file", map[string]string{
			"main.conf": "include sub/*.conf\nc\n", "sub/a.conf": "a\ninclude x\n", "sub/b.conf": "b\n", "sub/x": "x\n"},
			"a\nx\nb\nc\n", "", 0, 0},
		{"alternatives", map[string]string{"main.conf": "include {b,a,none}.conf\n", "a.conf": "a\n", "b.conf": "b\n"}, "b\na\n", "", 0, 0},
		{"nothing", map[string]string{"main.conf": "include none.conf\na\n"}, "a\n", "include-nothing" + nothing, 0, 0},
		{"demanded", map[string]string{"main.conf": "includem none.conf\na\n"}, "a\n",
			"include-missing fatal DIR/main.conf:1:10: Config files missing 'none.conf'; an include check requires that it exists and can be read\n", 6, 6},
		{"unknown kind", map[string]string{"main.conf": "includeq a.conf\n", "a.conf": "a\n"}, "a\n",
			"include-word warning DIR/main.conf:1:1: Unknown include type 'includeq'; includer is used\n", 0, 5},
		{"itself", map[string]string{"main.conf": "a\ninclude b.conf\n", "b.conf": "b\ninclude main.conf\n"}, "a\nb\n",
			"include-unreadable error DIR/b.conf:2:9: include DIR/main.conf: the file includes itself; remove this line, or the include line in a file between\n  included from DIR/main.conf:2\n", 0, 5},
		{"not a text", map[string]string{"main.conf": "include b.conf\n", "b.conf": strings.Repeat("\x00", 100)}, "",
			"include-unreadable error DIR/main.conf:1:9: include DIR/b.conf: the file is not a text file: it is full of NUL bytes; name a configuration file\n", 0, 5},
		{"a directory", map[string]string{"main.conf": "include sub\n", "sub/x": ""}, "",
			"include-skip warning DIR/main.conf:1:9: DIR/sub is not a regular non-executable file - skipping; name only regular files, and remove their execute permission: chmod a-x\n", 0, 0},
		{"main file of two bytes", map[string]string{"main.conf": "\xff\xfea\x00"}, "",
			"unusable-file fatal DIR/main.conf: the file is UTF-16; save it as UTF-8\n", 2, 5},
		{"mark", map[string]string{"main.conf": "\ufeffa\n"}, "a\n",
			"bom warning DIR/main.conf:1:1: the byte order mark at the beginning of the file is skipped; save it as UTF-8 without a byte order mark\n", 0, 5},
		{"the way to a problem", map[string]string{"main.conf": "$B=\\\n y \\\n }\ninclude a.conf\n", "a.conf": "\n$B\nz }\n"}, "y\nz\n",
			"extra-brace error DIR/main.conf:3:2: Extra '}' found; remove it, or look for a missing '{' above\n  expanded from DIR/a.conf:2:1\n  included from DIR/main.conf:4\n" +
				"extra-brace error DIR/a.conf:3:3: Extra '}' found; remove it, or look for a missing '{' above\n  included from DIR/main.conf:4\n", 0, 5},
		{"again and again", map[string]string{"main.conf": "$B=\\\n x \\\n }\n$B\n$B\n$B\n"}, "x\nx\nx\n",
			"extra-brace error DIR/main.conf:3:2: Extra '}' found; remove it, or look for a missing '{' above (and 2 times more)\n  expanded from DIR/main.conf:4:1\n", 0, 5},
		{"without a value", map[string]string{"main.conf": "a ${NONE} b ${NONE}\nc ${X:-1}\n"}, "a ${NONE} b ${NONE}\nc ${X:-1}\n",
			"undefined-parameter error DIR/main.conf:1:3: the parameter ${NONE} is not defined; define it on a line above with $NONE=VALUE, or write ${_ENV NONE} for the environment variable (and once more)\n" +
				"undefined-parameter error DIR/main.conf:2:3: the parameter ${X} is not defined; write $X=VALUE on a line above, and ${X} here: only a shell knows defaults in the braces\n", 0, 5},
		{"an endless definition", map[string]string{"main.conf": "$A=${A}x\na $A\nb\n"}, "",
			"endless-definition", 2, 5},
	} {
		t.Run(test.name, func(t *testing.T) {
			tree, problems, diags := parseFiles(t, test.files)
			if diff := cmp.Diff(test.tree, tree); diff != "" {
				t.Errorf("statements (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.problems, problems); diff != "" && !(test.problems == "endless-definition" && strings.HasPrefix(problems, test.problems)) {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
			if diags.Fatal() != test.exit || diags.TestExitCode() != test.test {
				t.Errorf("the daemon ends with %d, the test with %d; want %d, %d", diags.Fatal(), diags.TestExitCode(), test.exit, test.test)
			}
		})
	}
}

// TestDepth checks that files that include each other end, and that the chain in a
// message is bounded.
func TestDepth(t *testing.T) {
	files := map[string]string{"main.conf": "include 0.conf\n"}
	for i := range maxDepth + 2 {
		files[string(rune('0'+i%10))+strings.Repeat("x", i/10)+".conf"] = "include " + string(rune('0'+(i+1)%10)) + strings.Repeat("x", (i+1)/10) + ".conf\n"
	}
	_, problems, diags := parseFiles(t, files)
	if len(diags) != 1 || !strings.HasPrefix(problems, "include-depth ") {
		t.Errorf("problems:\n%s", problems)
	}
	if n := len(diags[0].Chain); n != maxChain+1 || diags[0].Chain[n-1].What != "and further up, to" {
		t.Errorf("a chain of %d: %v", n, diags[0].Chain)
	}
}

// TestExit checks that the worst of several problems determines the exit code, as in the
// C daemon.
func TestExit(t *testing.T) {
	for _, test := range []struct {
		classes []Class
		want    int
	}{
		{nil, 0}, {[]Class{ClassNone}, 0}, {[]Class{ClassCannotRun}, 4}, {[]Class{ClassOrdinary, ClassCannotRun}, 5}, {[]Class{ClassDeprecated}, 5},
		{[]Class{ClassSecurity, ClassOrdinary}, 6}, {[]Class{ClassMissingArgument, ClassSecurity}, 2}, {[]Class{ClassMissingArgument, ClassMissingFile}, 6},
	} {
		var ds Diagnostics
		for _, c := range test.classes {
			ds = append(ds, Diagnostic{Class: c})
		}
		if got := ds.TestExitCode(); got != test.want {
			t.Errorf("%v: %d, want %d", test.classes, got, test.want)
		}
	}
}

// TestCollector checks that the list of problems is bounded, while the verdict takes all
// problems into account.
func TestCollector(t *testing.T) {
	g := &Collector{Remedies: map[string]string{"x": "do this"}}
	at := func(line int) Pos { return Pos{File: "a", Line: line, Column: 1} }
	first := g.Add(Diagnostic{Pos: at(5), Code: "x", Message: "m", Severity: Warning, Class: ClassWarning})
	if d := g.At(first); d.Fix != "do this" || g.Last() != first || !g.Has(at(5), "x") || g.Has(at(5), "y") {
		t.Errorf("%+v", d)
	}
	if r := g.Add(Diagnostic{Pos: at(5), Code: "x", Message: "m", Exit: 2}); r != first || g.At(first).Repeated != 1 || g.At(first).Exit != 2 {
		t.Errorf("the same again: %v, %+v", r, g.At(first))
	}
	if d := g.At(g.Add(Diagnostic{Pos: at(6), Code: "x", Message: "wrong; expected a number", Severity: Error})); d.Fix != "" {
		t.Errorf("two remedies: %+v", d)
	}
	if !g.Below(at(6)) || g.Below(at(7)) || g.Below(Pos{File: "b", Line: 1}) {
		t.Error("errors below a place")
	}
	g.Follow(first, Diagnostic{Class: ClassSecurity})
	g.Again(first)
	g.Again(0) // a problem that did not fit into the list
	if d := g.At(first); d.Class != ClassSecurity || d.Repeated != 2 || d.Repeats() != " (and 2 times more)" {
		t.Errorf("%+v", d)
	}
	for i := range MaxDiagnostics + 10 {
		r := g.Add(Diagnostic{Pos: at(100 + i), Code: "x", Message: "m", Severity: Warning, Class: ClassMissingFile, Exit: 6})
		if full := i >= MaxDiagnostics-2; (r == 0) != full {
			t.Fatalf("problem %d: %v", i, r)
		}
	}
	if g.Add(Diagnostic{Pos: at(1), Code: "x", Message: "m", Severity: Fatal}) == 0 {
		t.Error("a fatal problem is not listed")
	}
	list := g.Sorted()
	last := list[len(list)-1]
	if list[0].Severity != Fatal || last.Message != "12 more problems are not listed" || list.TestExitCode() != 6 || list.Fatal() != 6 {
		t.Errorf("first %v, last %v, exit codes %d and %d", list[0], last, list.TestExitCode(), list.Fatal())
	}
	if g.Count(Fatal) != 1 || g.Count(Note) != len(list) {
		t.Errorf("%d fatal problems of %d", g.Count(Fatal), g.Count(Note))
	}
}

// TestSame checks that statements are the same in whatever way they are written.
func TestSame(t *testing.T) {
	one := func(text string) *Statement {
		tree, _ := ParseText("a", text, Options{})
		if len(tree) != 1 {
			t.Fatalf("%q: %d statements", text, len(tree))
		}
		return tree[0]
	}
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"a b { c\n }", "a\tb\n{\nc # x\n}", true}, {"a b", "a c", false}, {"a b", "a b {\n}", false}, {"a {\nb\n}", "a {\nb\nb\n}", false},
		{`a "b c"`, `a "b" c`, false}, {`s '/x  y'`, `s '/x y'`, false},
	} {
		if got := one(test.a).Same(one(test.b)); got != test.same {
			t.Errorf("%q and %q: %v", test.a, test.b, got)
		}
	}
	if got := one(`script "/x y" 'a  b'`).Rest(); got != ` "/x y" 'a  b'` {
		t.Errorf("the rest is %q", got)
	}
}

func TestComment(t *testing.T) {
	for line, want := range map[string]string{
		"a # b": "# b", `a "# b" ! c`: "! c", `a \# b # c`: "# c", "a": "", `"a # b`: "",
	} {
		if got := Comment(line); got != want {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

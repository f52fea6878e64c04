package lint_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"keepalived-go/conf"
	"keepalived-go/lint"
)

var update = flag.Bool("update", false, "rewrite the expected parts of testdata")

// loaded reads the configurations of an archive: keepalived.conf, or NODE.conf of each
// node.
func loaded(t *testing.T, files []txtar.File) (nodes []lint.Node) {
	t.Helper()
	t.Chdir(t.TempDir())
	for _, f := range files {
		if err := os.WriteFile(f.Name, f.Data, 0o644); err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutSuffix(f.Name, ".conf")
		if !ok {
			continue
		}
		c, ds := conf.Load(f.Name, conf.Options{
			ConfigID:     name,
			CheckCommand: func(conf.Command, conf.ScriptPolicy) error { return nil },
		})
		if c == nil || ds.Fatal() != 0 {
			t.Fatal(ds)
		}
		nodes = append(nodes, lint.Node{Name: name, Config: c})
	}
	return nodes
}

// golden compares the last part of an archive with the result, or replaces it.
func golden(t *testing.T, path string, archive *txtar.Archive, got string) {
	t.Helper()
	want := ""
	if n := len(archive.Files); archive.Files[n-1].Name == "want" {
		want = string(archive.Files[n-1].Data)
		archive.Files = archive.Files[:n-1]
	}
	if *update {
		archive.Files = append(archive.Files, txtar.File{Name: "want", Data: []byte(got)})
		if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func archives(t *testing.T, pattern string, run func(t *testing.T, path string, a *txtar.Archive)) {
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases %s: %v", pattern, err)
	}
	for _, path := range paths {
		path, err := filepath.Abs(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			a, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			run(t, path, a)
		})
	}
}

func write(w *bytes.Buffer, ds conf.Diagnostics) {
	for _, d := range ds {
		fmt.Fprintf(w, "%v: %v [%s]\n", d.Severity, d, d.Code)
	}
}

// writable is the problem of a file that users other than root can change.
type writable string

func (w writable) Error() string {
	return fmt.Sprintf("users other than root can change %s; try: chmod go-w %[1]s", string(w))
}
func (w writable) Insecure() bool { return true }

// hostOf returns the host that an archive describes: its networks, and the programs that
// users other than root can write to.
func hostOf(a *txtar.Archive) lint.Host {
	text := make(map[string]string)
	for _, f := range a.Files {
		text[f.Name] = string(f.Data)
	}
	return lint.Host{
		Networks: func(iface string) (list []netip.Prefix) {
			for line := range strings.Lines(text["networks"]) {
				if name, prefix, _ := strings.Cut(strings.TrimSpace(line), " "); name == iface {
					list = append(list, netip.MustParsePrefix(prefix))
				}
			}
			return list
		},
		Holder: func(a netip.Addr) string {
			for line := range strings.Lines(text["networks"]) {
				name, prefix, _ := strings.Cut(strings.TrimSpace(line), " ")
				if netip.MustParsePrefix(prefix).Addr() == a {
					return name
				}
			}
			return ""
		},
		Sysctl: func(name ...string) string {
			for line := range strings.Lines(text["sysctl"]) {
				if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); key == strings.Join(name, ".") {
					return value
				}
			}
			return ""
		},
		CheckCommand: func(c conf.Command, p conf.ScriptPolicy) error {
			switch {
			case p.Secure && p.User == "" && c.User == "":
				return errors.New("there is no user keepalived_script")
			case p.Secure && slices.Contains(strings.Fields(text["writable"]), c.Args[0]):
				return writable(c.Args[0])
			}
			return nil
		},
	}
}

// TestCodes compares the findings of testdata/codes/CODE.txtar. The findings must have
// CODE and, except for cluster-, no other code.
func TestCodes(t *testing.T) {
	archives(t, "testdata/codes/*.txtar", func(t *testing.T, path string, a *txtar.Archive) {
		code := strings.TrimSuffix(filepath.Base(path), ".txtar")
		nodes := loaded(t, a.Files)
		var found conf.Diagnostics
		if strings.HasPrefix(code, "cluster-") {
			found = lint.Cluster(nodes).Diagnostics
		} else {
			found = lint.Check(nodes[0].Config, hostOf(a))
		}
		var got bytes.Buffer
		write(&got, found)
		if !slices.ContainsFunc(found, func(d conf.Diagnostic) bool { return d.Code == code }) {
			t.Errorf("%s is not found:\n%s", code, &got)
		}
		for _, secret := range []string{"secret", "secre7", strings.Repeat("0", 16), strings.Repeat("1", 16)} {
			if strings.Contains(got.String(), secret) {
				t.Errorf("a secret is shown:\n%s", &got)
			}
		}
		golden(t, path, a, got.String())
	})
}

// TestCluster compares findings and tables of testdata/cluster.
func TestCluster(t *testing.T) {
	archives(t, "testdata/cluster/*.txtar", func(t *testing.T, path string, a *txtar.Archive) {
		var got bytes.Buffer
		r := lint.Cluster(loaded(t, a.Files))
		write(&got, r.Diagnostics)
		if len(r.Diagnostics) > 0 {
			got.WriteByte('\n')
		}
		if err := r.WriteText(&got); err != nil {
			t.Fatal(err)
		}
		golden(t, path, a, got.String())
	})
}

// TestEveryCode checks that each code in the source is declared and has a case, and that
// each declared code is used.
func TestEveryCode(t *testing.T) {
	used := codesInSource(t)
	declared := make(map[string]bool)
	for c := range lint.Codes() {
		if declared[c.Name] {
			t.Errorf("%s is declared twice", c.Name)
		}
		declared[c.Name] = true
		if c.Meaning == "" || c.Remedy == "" {
			t.Errorf("%s has no meaning or remedy", c.Name)
		}
		if !used[c.Name] {
			t.Errorf("%s is declared and never found", c.Name)
		}
		if _, err := os.Stat("testdata/codes/" + c.Name + ".txtar"); err != nil {
			t.Errorf("no case for %s: write testdata/codes/%s.txtar and run go test -update", c.Name, c.Name)
		}
	}
	for code := range used {
		if !declared[code] {
			t.Errorf("%s is not declared in code.go", code)
		}
	}
}

// codesInSource collects the values passed for a parameter named code and assigned to a
// field code.
func codesInSource(t *testing.T) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	add := func(e ast.Expr) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if code, err := strconv.Unquote(lit.Value); err == nil {
				used[code] = true
			}
		}
	}
	place := map[string]int{"found": 0, "differ": 0, "split": 1}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok {
					if i, ok := place[s.Sel.Name]; ok && i < len(n.Args) {
						add(n.Args[i])
					}
				}
			case *ast.AssignStmt:
				for i, left := range n.Lhs {
					if s, ok := left.(*ast.SelectorExpr); ok && s.Sel.Name == "code" && i < len(n.Rhs) {
						add(n.Rhs[i])
					}
				}
			}
			return true
		})
	}
	return used
}

// TestSilence checks that exactly the findings that comments name are left out.
func TestSilence(t *testing.T) {
	text := `# keepalived: ignore-file whole
word one # keepalived: ignore a, b
word "# keepalived: ignore a"
! keepalived: ignore a
# because
word two
word three \# keepalived: ignore a
#keepalived:ignore a error
word four
word five
`
	at := func(line int, code string, s conf.Severity) conf.Diagnostic {
		return conf.Diagnostic{Pos: conf.Pos{File: "f", Line: line}, Code: code, Severity: s}
	}
	kept := lint.Silence(conf.Diagnostics{
		at(2, "a", conf.Warning), at(2, "b", conf.Note), at(2, "c", conf.Note),
		at(3, "a", conf.Warning),
		at(4, "whole", conf.Warning),
		at(6, "a", conf.Warning), at(6, "b", conf.Warning),
		at(7, "a", conf.Warning),
		at(9, "a", conf.Warning), at(9, "error", conf.Error),
		at(10, "a", conf.Warning),
		{Code: "whole"},
		{Pos: conf.Pos{File: "f", Line: 10}, Code: "whole", Severity: conf.Fatal, Exit: 2},
	}, func(name string) (string, error) {
		if name != "f" {
			return "", os.ErrNotExist
		}
		return text, nil
	})
	var got []string
	for _, d := range kept {
		got = append(got, fmt.Sprintf("%d %s", d.Pos.Line, d.Code))
	}
	want := []string{"2 c", "3 a", "6 b", "7 a", "9 error", "10 a", "0 whole", "10 whole"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

// TestSamples checks that our examples have no findings, and that the configurations of
// the tests of other packages have only the expected ones.
func TestSamples(t *testing.T) {
	expected := map[string][]string{
		"ipv6.conf":    {"prefix-length"}, // an address without a length among others
		"master.conf":  {"prefix-length"},
		"process.conf": {"bfd-unused"},
	}
	for _, pattern := range []string{"../packaging/*.sample", "../conf/testdata/golden/*.conf"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("no files %s: %v", pattern, err)
		}
		for _, path := range paths {
			c, diags := conf.Load(path, conf.Options{ConfigID: "node1"})
			if c == nil {
				t.Fatalf("%s cannot be read: %v", path, diags)
			}
			var got []string
			for _, d := range lint.Check(c, lint.Host{}) {
				got = append(got, d.Code)
			}
			if diff := cmp.Diff(expected[filepath.Base(path)], got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", path, diff)
			}
		}
	}
}

package report

import (
	"errors"
	"flag"
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
)

var update = flag.Bool("update", false, "rewrite the golden parts of testdata")

// large replaces placeholders in the files of testdata/codes by text that no editor would
// show.
var large = strings.NewReplacer(
	"%BOM%", "\ufeff",
	"%NUL%", "\x00",
	"%WIDE%", "\xff\xfeg\x00l\x00o\x00b\x00",
	"%LONG%", strings.Repeat("x", 1100),
	"%SEQUENCES%", strings.Repeat("~SEQ(I,1,1) ", 70),
	"%REPEAT%", strings.Repeat("a {\n", 70),
	"%MANY%", strings.Repeat("foo\n", 1005),
)

// selfExplanatory lists the codes of problems without a remedy.
var selfExplanatory = map[string]string{
	"bad-method":        "the message lists the methods",
	"bad-scope":         "the message lists the scopes",
	"bad-status":        "the message says what is expected",
	"bad-umask":         "the message says what is expected",
	"deprecated":        "the message names the new word",
	"sync-id":           "the message says what to write",
	"bfd-key":           "the message gives the length",
	"http-token":        "the message gives the length",
	"hmac-key":          "the message gives the length",
	"rule-action":       "the message lists the actions",
	"route-encap":       "the message lists the types",
	"route-destination": "the message says what to write",
	"route-value":       "the message gives the range",
	"unknown-option":    "the message lists the options",
}

// TestCodes compares the report of one kind of problem with the last part of
// testdata/codes/CODE.txtar.
func TestCodes(t *testing.T) {
	paths, err := filepath.Glob("testdata/codes/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for i, path := range paths {
		paths[i], _ = filepath.Abs(path)
	}
	for _, path := range paths {
		code := strings.TrimSuffix(filepath.Base(path), ".txtar")
		t.Run(code, func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Chdir(t.TempDir())
			want := ""
			files := archive.Files
			if n := len(files); n > 0 && files[n-1].Name == "want" {
				want, files = string(files[n-1].Data), files[:n-1]
			}
			for _, f := range files {
				write(t, f.Name, large.Replace(string(f.Data)))
			}
			if code == "include-depth" {
				chain(t)
			}
			o := conf.Options{
				ConfigID:   "node1",
				Interface:  func(name string) bool { return name == "eth0" || name == "eth1" },
				HasAddress: func(a netip.Addr) bool { return a == netip.MustParseAddr("192.0.2.2") },
			}
			if code == "address-there" {
				o.Addresses = func(name string) []netip.Prefix {
					return []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24"), netip.MustParsePrefix("2001:db8::10/64")}
				}
			}
			if code == "script-disabled" || code == "script-user" {
				o.CheckCommand = func(conf.Command, conf.ScriptPolicy) error { return errors.New("the reason") }
			}
			_, ds := conf.Load("keepalived.conf", o)
			ds = slices.DeleteFunc(ds, func(d conf.Diagnostic) bool { return d.Code != code })
			if len(ds) == 0 {
				t.Fatal("the problem does not occur")
			}
			for _, d := range ds {
				if d.Fix == "" && d.Severity >= conf.Warning && selfExplanatory[code] == "" {
					t.Errorf("no remedy: %v", d)
				}
			}
			var got strings.Builder
			if err := Write(&got, ds, Options{}); err != nil {
				t.Fatal(err)
			}
			for _, secret := range []string{"secret", "correct-horse", "0123456789abcdef", "tooshort"} {
				if strings.Contains(got.String(), secret) {
					t.Errorf("the report shows the secret %q:\n%s", secret, &got)
				}
			}
			if *update {
				archive.Files = append(slices.Clip(files), txtar.File{Name: "want", Data: []byte(got.String())})
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(want, got.String()); diff != "" {
				t.Errorf("report (-want +got):\n%s", diff)
			}
		})
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	mode := os.FileMode(0o644)
	if filepath.Ext(name) == ".sh" {
		mode = 0o755
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// chain makes files that include each other deeper than is allowed.
func chain(t *testing.T) {
	for i := range 70 {
		write(t, "part"+strconv.Itoa(i)+".conf", "include part"+strconv.Itoa(i+1)+".conf\n")
	}
}

// TestEveryCode checks that each code that the source of conf can report has a case.
func TestEveryCode(t *testing.T) {
	codes := codesOf(t, "../../../conf")
	if len(codes) < 100 {
		t.Errorf("only %d codes were found", len(codes))
	}
	for _, code := range codes {
		if _, err := os.Stat("testdata/codes/" + code + ".txtar"); err != nil {
			t.Errorf("no case for %s: write testdata/codes/%s.txtar and run go test -update", code, code)
		}
	}
}

// codesOf collects codes: values assigned to a field Code, and passed for a parameter
// named code.
func codesOf(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(set, name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	position := func(f *ast.FuncType, name string) int {
		n := 0
		for _, field := range f.Params.List {
			for _, id := range field.Names {
				if id.Name == name {
					return n
				}
				n++
			}
		}
		return -1
	}
	takes := make(map[string]int)
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				if i := position(n.Type, "code"); i >= 0 {
					takes[n.Name.Name] = i
				}
			case *ast.AssignStmt:
				for i, right := range n.Rhs {
					if f, ok := right.(*ast.FuncLit); ok && position(f.Type, "code") >= 0 {
						takes[n.Lhs[i].(*ast.Ident).Name] = position(f.Type, "code")
					}
				}
			}
			return true
		})
	}
	var codes []string
	add := func(e ast.Expr, prefix string) {
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			s, _ := strconv.Unquote(lit.Value)
			if !slices.Contains(codes, prefix+s) {
				codes = append(codes, prefix+s)
			}
		}
	}
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.KeyValueExpr:
				if id, ok := n.Key.(*ast.Ident); ok && id.Name == "Code" {
					add(n.Value, "")
				}
			case *ast.CallExpr:
				name := ""
				switch f := n.Fun.(type) {
				case *ast.Ident:
					name = f.Name
				case *ast.SelectorExpr:
					name = f.Sel.Name
				}
				// report(s, word, Diagnostic) has no code, and needs makes one.
				if i, ok := takes[name]; ok && i < len(n.Args) {
					add(n.Args[i], "")
				}
				if name == "needs" {
					add(n.Args[0], "missing-")
				}
			}
			return true
		})
	}
	slices.Sort(codes)
	return codes
}

// Package keepalived has only tests of the repository itself: the direction of imports,
// the packages of the binary, and the documentation.
package keepalived

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the list of packages of the binary again")

const module = "keepalived-go"

// layers lists the layers of packages from the bottom up. A package imports only packages
// of layers below its own; "…/" is a package with all below it. docs/architecture.md
// describes the purpose of each layer.
var layers = [][]string{
	{"vrrp", "lvs", "bfd", "internal/readfile", "internal/packed", "internal/proc/wire", "internal/proc/reap", "internal/proc/loop", "internal/proc/act", "internal/linux/mmsg", "internal/linux/nft", "internal/tool/getopt", "internal/tool/required", "internal/tool/executable", "internal/tool/userns", "internal/tool/terminal", "internal/output/logging", "internal/output/logging/logtest", "internal/checkd/life"},
	{"internal/proc/statefile", "internal/linux/fwmark", "vrrp/vrrptest", "conf/syntax", "conf/pcre", "internal/linux/nl"},
	{"conf", "lvs/ipvs", "internal/linux/nl/nltest"},
	{"internal/output/status", "lvs/ipvs/ipvstest"},
	{"conf/format", "conf/view", "internal/named", "internal/policy", "internal/linux/kernel", "internal/linux/script", "internal/proc/link", "internal/checkd/table"},
	{"internal/linux/track", "internal/linux/firewall", "internal/output/notify", "internal/checkd/attempt", "internal/proc", "internal/proc/session", "internal/proc/link/linktest"},
	{"lint", "internal/output/…", "internal/linux/kernel/kerneltest"},
	{"internal/output/status/json", "internal/output/status/api/apitest", "internal/output/status/explain", "internal/output/status/history", "internal/output/status/metrics", "internal/tool/report", "internal/tool/reference", "internal/tool/lab"},
	{"internal/output/status/screen", "internal/output/status/snmp", "internal/output/dbus", "internal/tool/client", "internal/tool/lab/uml"},
	{"internal/tool/lab/uml/umltest", "internal/tool/lsp", "internal/tool/demo", "internal/vrrpd", "internal/checkd", "internal/bfdd", "internal/controld", "internal/supervisor"},
	{"cmd/keepalived", "bench", "test", ""},
}

// pure lists packages that others may build on, or that decide without any I/O: they
// import the standard library and the packages listed here.
var pure = map[string][]string{
	"vrrp":            nil,
	"vrrp/vrrptest":   {"vrrp"},
	"lvs":             nil,
	"bfd":             nil,
	"conf/syntax":     {"internal/readfile"},
	"conf/pcre":       nil,
	"conf":            {"conf/syntax", "conf/pcre", "internal/readfile"},
	"conf/format":     {"conf/syntax"},
	"conf/view":       {"conf", "conf/syntax"},
	"internal/policy": {"conf", "vrrp", "lvs", "bfd"},

	"internal/checkd/life": nil,
}

// noClock lists the packages that get the time as an argument.
var noClock = []string{"vrrp", "lvs", "bfd", "internal/policy", "internal/checkd/life"}

// goFiles lists the Go files of the module.
func goFiles(t *testing.T) (files []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS("."), ".", func(file string, e fs.DirEntry, err error) error {
		if err == nil && e.IsDir() && strings.HasPrefix(e.Name(), ".") && file != "." {
			return fs.SkipDir
		}
		if err == nil && strings.HasSuffix(file, ".go") && !strings.HasPrefix(file, "tools/") {
			files = append(files, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// packages lists the directories of the module that have Go files.
func packages(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for _, file := range goFiles(t) {
		dir := path.Dir(file)
		if dir != "." && !strings.Contains(dir, "testdata") && !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// source returns the parsed non-test files of a directory.
func source(t *testing.T, dir string) (fset *token.FileSet, files []*ast.File) {
	t.Helper()
	fset = token.NewFileSet()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			f, err := parser.ParseFile(fset, path.Join(dir, name), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, f)
		}
	}
	return fset, files
}

// imports returns the packages that the non-test files of a directory import.
func imports(t *testing.T, dir string) []string {
	_, files := source(t, dir)
	var all []string
	for _, f := range files {
		for _, i := range f.Imports {
			all = append(all, strings.Trim(i.Path.Value, `"`))
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// layer returns the index of a package in layers; -1: it has none.
func layer(pkg string) int {
	found := -1
	for i, list := range layers {
		for _, name := range list {
			prefix, all := strings.CutSuffix(name, "…")
			if name == pkg {
				return i
			}
			if all && strings.HasPrefix(pkg, prefix) {
				found = i
			}
		}
	}
	return found
}

func TestImportsPointDownward(t *testing.T) {
	for _, dir := range packages(t) {
		own := layer(dir)
		if own < 0 {
			t.Errorf("%s has no layer: give it one in layers", dir)
			continue
		}
		for _, i := range imports(t, dir) {
			pkg, ours := strings.CutPrefix(i, module+"/")
			if ours && layer(pkg) >= own && !(layer(pkg) == own && strings.HasPrefix(pkg, dir+"/")) {
				t.Errorf("%s imports %s, which is not below it", dir, pkg)
			}
		}
	}
}

func TestPurePackagesStayPure(t *testing.T) {
	for dir, allowed := range pure {
		for _, i := range imports(t, dir) {
			pkg, ours := strings.CutPrefix(i, module+"/")
			if foreign := strings.Contains(strings.Split(i, "/")[0], "."); foreign || ours && !slices.Contains(allowed, pkg) {
				t.Errorf("%s imports %s", dir, i)
			}
		}
	}
	for _, dir := range noClock {
		fset, files := source(t, dir)
		for _, f := range files {
			ast.Inspect(f, func(n ast.Node) bool {
				s, ok := n.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains([]string{"Now", "Since", "Until", "Sleep", "After", "NewTimer", "Tick"}, s.Sel.Name) {
					t.Errorf("%v reads the clock: time.%s", fset.Position(s.Pos()), s.Sel.Name)
				}
				return true
			})
		}
	}
}

// TestPackagesOfBinary compares the packages of the program with a checked-in list, so
// that a new dependency is visible in the change that adds it.
func TestPackagesOfBinary(t *testing.T) {
	const list = "cmd/keepalived/packages.txt"
	c := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./cmd/keepalived")
	c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	out, err := c.Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(out))
	slices.Sort(lines)
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(list, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("the binary is made of other packages (-recorded +now); if that is meant, go test . -update\n%s", diff)
	}
}

// skippers lists the files that may skip a test themselves: those that decide about it,
// and the one that passes on the result of a test in a User-Mode Linux.
var skippers = []string{"internal/tool/required/required.go", "internal/tool/lab/need.go", "internal/tool/lab/uml/umltest/result.go"}

// TestSkips checks that a test that does not run reports whether something is missing,
// which CI does not accept, or whether it was excluded (package required).
func TestSkips(t *testing.T) {
	for _, file := range goFiles(t) {
		if slices.Contains(skippers, file) {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if s, ok := call.Fun.(*ast.SelectorExpr); ok && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, s.Sel.Name) {
					t.Errorf("%v: %s: call required.Missing or required.Excluded", fset.Position(call.Pos()), s.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestEverythingPublicIsDocumented(t *testing.T) {
	for _, dir := range packages(t) {
		fset, files := source(t, dir)
		if len(files) == 0 {
			continue
		}
		if !slices.ContainsFunc(files, func(f *ast.File) bool { return f.Doc != nil }) {
			t.Errorf("package %s has no documentation", dir)
		}
		for _, f := range files {
			for _, d := range f.Decls {
				for _, name := range undocumented(d) {
					t.Errorf("%v: %s has no documentation", fset.Position(d.Pos()), name)
				}
			}
		}
	}
}

// undocumented returns the exported names of a declaration without their own comment or
// one of their group.
func undocumented(d ast.Decl) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		// A method that implements an interface of the standard library needs no comment.
		known := d.Recv != nil && slices.Contains([]string{"String", "GoString", "Error", "Unwrap", "MarshalText", "Len", "Less", "Swap", "Write", "Close"}, d.Name.Name)
		if d.Name.IsExported() && d.Doc == nil && !known && exportedReceiver(d) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil {
					names = append(names, s.Name.Name)
				}
			case *ast.ValueSpec:
				for _, n := range s.Names {
					if n.IsExported() && d.Doc == nil && s.Doc == nil && s.Comment == nil && !d.Lparen.IsValid() {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil {
		return true
	}
	x := d.Recv.List[0].Type
	if star, ok := x.(*ast.StarExpr); ok {
		x = star.X
	}
	if generic, ok := x.(*ast.IndexExpr); ok {
		x = generic.X
	}
	id, ok := x.(*ast.Ident)
	return ok && id.IsExported()
}

// TestNoTestReadsHostNames checks that the names of routing tables and protocols on the
// machine have no effect on a test. Only the daemon and its verbs read these names.
func TestNoTestReadsHostNames(t *testing.T) {
	readers := []string{"cmd/keepalived", "conf", "internal/supervisor"}
	for _, dir := range packages(t) {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			name := path.Join(dir, f.Name())
			if !strings.HasSuffix(name, ".go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), "HostNames") {
				continue
			}
			if strings.HasSuffix(name, "_test.go") || !slices.Contains(readers, dir) {
				t.Errorf("%s: reads the names of the machine (conf.HostNames)", name)
			}
		}
	}
}

package status_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestPlainData checks that a snapshot and its views import no engine, no socket, nothing
// of the kernel and no process. The measures of a loop and the acts of clients are plain
// data.
func TestPlainData(t *testing.T) {
	const module = "keepalived-go/"
	for dir, may := range map[string][]string{
		".":    {"conf", "vrrp", "internal/proc/act", "internal/proc/loop"},
		"text": {"conf", "vrrp", "internal/output/status", "internal/linux/script"},
		"json": {"conf", "vrrp", "internal/output/status", "internal/output/status/text"},
		"api":  {"conf", "vrrp", "internal/output/status", "internal/proc/act", "internal/proc/loop"},
	} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, i := range f.Imports {
				path, _ := strconv.Unquote(i.Path.Value)
				if own, ours := strings.CutPrefix(path, module); ours && !slices.Contains(may, own) {
					t.Errorf("%s imports %s", name, path)
				}
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if s, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := s.X.(*ast.Ident); ok && x.Name == "vrrp" && slices.Contains([]string{"Instance", "SyncGroup", "Hindrance", "Action"}, s.Sel.Name) {
						t.Errorf("%s uses vrrp.%s, which is or holds an engine", name, s.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

package conf

import (
	"keepalived-go/conf/syntax"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// cannotFail lists words that accept any argument.
var cannotFail = map[string]string{
	"persistence_engine": "the kernel knows the names",
	"virtualhost":        "any text", "path": "any text", "regex": "any text", "sni_name": "any text",
	"quorum_up": "a second one only", "quorum_down": "a second one only", "notify_up": "a second one only", "notify_down": "a second one only",
	"user":       "names are looked up when it is run",
	"bind_if":    "an interface may come later",
	"tunnel-id":  "see goto",
	"group":      "any names",
	"track_file": "reported where the check begins",
	"name":       "reported where the check begins",
	"bfd_peer":   "reported where the instance begins",
	"host":       "it is deprecated",
	"TYPE":       "an unknown one is an unknown word",

	"net_namespace_ipvs": "the name may be left out, and whether it exists is seen at the start",
	"smtp_helo_name":     "any text", "reload_check_config": "any path", "reload_file": "any path",
	"vrrp_iptables": "any names", "vrrp_ipsets": "any names",
}

// alwaysReported lists words that always cause a problem.
var alwaysReported = map[string]string{
	"vrrp_sync_group.global_tracking":                "it is deprecated",
	"vrrp_instance.virtual_routes.ROUTE.track_group": "it is for static ones",
	"vrrp_instance.virtual_rules.RULE.track_group":   "it is for static ones",
	"static_routes.ROUTE.on_external_delete":         "it is for those of instances",
	"static_rules.RULE.on_external_delete":           "it is for those of instances",
}

// deprecatedOption lists words in lines that are always reported.
var deprecatedOption = map[string]bool{"as": true, "gw": true, "or": true}

// TestEveryKeywordIsExamined looks for each keyword in the files of testdata.
func TestEveryKeywordIsExamined(t *testing.T) {
	good, bad := make(map[string]bool), make(map[string]bool)
	dir := t.TempDir()
	for _, name := range []string{"good.txtar", "bad.txtar"} {
		archive, err := txtar.ParseFile(filepath.Join("testdata/oracle", name))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			path := filepath.Join(dir, f.Name+".conf") // the files include each other by name
			if err := os.WriteFile(path, f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			examine(t, path, good, bad)
		}
	}
	for _, pattern := range []string{"testdata/dump/*.conf", "testdata/errors/*.conf", "testdata/golden/*.conf"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files: %v", pattern, err)
		}
		for _, path := range files {
			examine(t, path, good, bad)
		}
	}
	n := 0
	for k := range Schema() {
		n++
		if !good[k.Path()] && (k.Successor == "" || k.silent) && !deprecatedOption[k.Name] && alwaysReported[k.Path()] == "" {
			t.Errorf("%s stands in no file without a problem", k.Path())
		}
		free := k.args.kind == argNone || k.args.kind == argBlock || cannotFail[k.Name] != "" || k.option && k.Args == ""
		if !bad[k.Path()] && !free {
			t.Errorf("%s stands in no file with a problem on its line", k.Path())
		}
	}
	if n < 700 {
		t.Errorf("only %d keywords", n)
	}
}

// examine records which keywords a file has, on lines with a problem and without.
func examine(t *testing.T, path string, good, bad map[string]bool) {
	_, diags := Load(path, Options{Interface: exists, ConfigID: "node1", Names: "testdata/names"})
	wrong := make(map[int]bool)
	for _, d := range diags {
		if d.Pos.File == path {
			wrong[d.Pos.Line] = true
		}
	}
	tree, _ := Parse(path, Options{ConfigID: "node1"})
	var walk func(b *block, list []*Statement)
	walk = func(b *block, list []*Statement) {
		for _, s := range list {
			into := good
			if p := s.Pos(0); p.File == path && wrong[p.Line] {
				into = bad
			}
			k := b.words[s.Keyword()]
			if k == nil {
				for _, o := range b.order {
					if o.entry {
						into[o.Path()] = true
					}
					if o.option && (o.Name == "TYPE" && slices.Contains(routeTypes, s.Keyword()) || slices.ContainsFunc(s.Words, func(w Token) bool { return w.Text == o.Name })) {
						into[o.Path()] = true
					}
				}
				continue
			}
			into[k.Path()] = true
			if k.block != nil {
				walk(k.block, s.Block)
			}
		}
	}
	walk(root(), tree)

	// A line that includes a file has no statement.
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range syntax.SourceLines(string(text)) {
		if line.Kind == syntax.IncludeLine {
			if word := strings.Fields(line.Text)[0]; wrong[i+1] {
				bad[word] = true
			} else {
				good[word] = true
			}
		}
	}
}

package view

import (
	"encoding/json"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"keepalived-go/conf"
)

var update = flag.Bool("update", false, "rewrite the expected results in testdata")

func load(t *testing.T, path string, o conf.Options) (*conf.Config, []*conf.Statement) {
	t.Helper()
	var tree []*conf.Statement
	o.Statement = func(s *conf.Statement) { tree = append(tree, s) }
	if o.ConfigID == "" {
		o.ConfigID = "node1"
	}
	if o.Env == nil {
		o.Env = func(name string) (string, bool) { return "env-" + name, true }
	}
	cfg, diags := conf.Load(path, o)
	if cfg == nil {
		t.Fatal(diags)
	}
	return cfg, tree
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

// TestSite shows one configuration in every form.
func TestSite(t *testing.T) {
	cfg, tree := load(t, "testdata/site.conf", conf.Options{})
	sections := Effective(cfg, tree)
	golden(t, "site.effective", Text(configured(sections)))
	text, err := Expanded(tree)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "site.expanded", text)
}

// configured removes the defaults, so that a new word does not change the expected
// result.
func configured(sections []Section) []Section {
	out := slices.Clone(sections)
	for i := range out {
		out[i].Settings = slices.DeleteFunc(slices.Clone(out[i].Settings), func(s Setting) bool { return s.Origin == "default" })
	}
	return out
}

// TestDefaults checks values that the file does not set.
func TestDefaults(t *testing.T) {
	sections := Effective(load(t, "testdata/site.conf", conf.Options{}))
	for _, test := range []struct{ title, name, value string }{
		{"global_defs", "min_auto_priority_delay", "1000000"}, // 0 in the model
		{"global_defs", "random_seed", "the clock"},
		{"vrrp_instance VI_1", "preempt_delay", "0"},
		{"vrrp_instance VI_1", "timer_expired_backup", "off"},
		{"vrrp_instance VI_2", "state", "BACKUP"},
		{"vrrp_instance VI_2", "auth_hmac time_window", "three advert intervals, at least 5"},
		{"bfd_instance peer", "min_tx", "10"}, // milliseconds
	} {
		i := slices.IndexFunc(sections, func(s Section) bool { return s.Title == test.title })
		if i < 0 {
			t.Errorf("no section %s", test.title)
			continue
		}
		list := sections[i].Settings
		j := slices.IndexFunc(list, func(s Setting) bool { return s.Name == test.name })
		if j < 0 || list[j].Value != test.value || list[j].Origin != "default" {
			t.Errorf("%s: %s is not %s by default: %+v", test.title, test.name, test.value, list[max(j, 0)])
		}
	}
}

func TestDiff(t *testing.T) {
	from, tree := load(t, "testdata/site.conf", conf.Options{})
	to, otherTree := load(t, "testdata/other.conf", conf.Options{})
	site, other := Effective(from, tree), Effective(to, otherTree)
	golden(t, "site.diff", Diff(site, other))
	if d := Diff(site, site); d != "" {
		t.Errorf("a configuration differs from itself:\n%s", d)
	}
}

// TestSecrets looks for the passwords of the files of this test, all of which begin with
// "hunter", in everything that can be printed.
func TestSecrets(t *testing.T) {
	var all []Section
	for _, name := range []string{"testdata/site.conf", "testdata/other.conf"} {
		data, err := os.ReadFile(name)
		if err != nil || !strings.Contains(string(data), "hunter") {
			t.Fatalf("%s has no secret to find: %v", name, err)
		}
		cfg, tree := load(t, name, conf.Options{})
		text, err := Expanded(tree)
		if err != nil {
			t.Fatal(err)
		}
		sections := Effective(cfg, tree)
		for what, text := range map[string]string{"expanded": text, "effective": Text(sections), "diff": Diff(all, sections)} {
			if i := strings.Index(text, "hunter"); i >= 0 {
				t.Errorf("%s, %s: a secret is printed: %.200s", name, what, text[max(i-100, 0):])
			}
		}
		all = sections
	}
}

// TestExpandedLoadsTheSame expands all configurations and loads the results: they are the
// same except for positions, and for secrets if they are stars.
func TestExpandedLoadsTheSame(t *testing.T) {
	dir := t.TempDir()
	var paths []string
	for _, pattern := range []string{"../testdata/golden/*.conf", "../testdata/errors/*.conf", "testdata/*.conf"} {
		found, _ := filepath.Glob(pattern)
		paths = append(paths, found...)
	}
	for _, name := range []string{"good", "bad"} {
		archive, err := txtar.ParseFile("../testdata/oracle/" + name + ".txtar")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			path := filepath.Join(dir, f.Name+".conf")
			if err := os.WriteFile(path, f.Data, 0o600); err != nil {
				t.Fatal(err)
			}
			paths = append(paths, path)
		}
	}
	if len(paths) < 120 {
		t.Fatalf("only %d files", len(paths))
	}
	for _, path := range paths {
		was, tree := load(t, path, conf.Options{})
		whole, text, err := Texts(tree)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		again, its := load(t, path, conf.Options{Unsaved: func(string) (string, bool) { return whole, true }})
		if diff := Diff(Effective(was, tree), Effective(again, its)); diff != "" {
			t.Errorf("%s, with secrets:\n%s\n%s", path, diff, whole)
		}
		is, _ := load(t, path, conf.Options{Unsaved: func(string) (string, bool) { return text, true }})
		if diff := cmp.Diff(placeless(t, was), placeless(t, is)); diff != "" {
			t.Errorf("%s (-was +expanded):\n%s\n%s", path, diff, text)
		}
	}
}

// placeless returns a configuration as JSON, which has no secrets, without positions.
func placeless(t *testing.T, cfg *conf.Config) any {
	data, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	var strip func(v any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			delete(v, "Pos")
			for _, inner := range v {
				strip(inner)
			}
		case []any:
			for _, inner := range v {
				strip(inner)
			}
		}
	}
	strip(v)
	return v
}

// TestUnwritable expands values that cannot be written in a line.
func TestUnwritable(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.conf")
	for name, text := range map[string]string{
		"long":       "$A=" + strings.Repeat("x", 600) + "\nglobal_defs {\n router_id ${A}${A}\n}\n",
		"line break": "global_defs {\n router_id \"${_ENV BREAK}\"\n}\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, tree := load(t, path, conf.Options{Env: func(string) (string, bool) { return "a\nb", true }})
		if out, err := Expanded(tree); err == nil || !strings.Contains(err.Error(), "cannot be written") {
			t.Errorf("%s: error %v, text\n%s", name, err, out)
		}
	}
}

// TestEachFieldHasItsWord checks the whole model: a field that no row of the schema names
// would be shown without its word and its origin. A field that is not shown, or follows
// from others, has a tag.
func TestEachFieldHasItsWord(t *testing.T) {
	line := []reflect.Type{reflect.TypeFor[conf.Route](), reflect.TypeFor[conf.Rule](), reflect.TypeFor[conf.StaticAddress](), reflect.TypeFor[conf.TrackGroup]()}
	seen, fields := make(map[reflect.Type]bool), 0
	var thing func(typ reflect.Type)
	var walk func(typ reflect.Type, path string)
	walk = func(typ reflect.Type, path string) {
		for f := range typ.Fields() {
			inner := f.Type
			if inner.Kind() == reflect.Pointer {
				inner = inner.Elem()
			}
			list := inner.Kind() == reflect.Slice
			if list {
				if inner = inner.Elem(); inner.Kind() == reflect.Pointer {
					inner = inner.Elem()
				}
			}
			_, single := oneLine(reflect.Zero(inner))
			single = single || inner == reflect.TypeFor[netip.Prefix]()
			switch {
			case hidden(typ, f):
			case strings.HasPrefix(path, "SyncGroup.Notify") && strings.Contains(f.Name, "Deleted"): // only for instances
			case inner.Kind() == reflect.Struct && !single && !list:
				walk(inner, path+"."+f.Name)
			case inner.Kind() == reflect.Struct && !single && !slices.Contains(line, inner):
				thing(inner)
			default:
				fields++
				if setters()[path+"."+f.Name] == nil && f.Tag.Get("view") == "" {
					t.Errorf("no word sets %s.%s, and no tag has the reason", path, f.Name)
				}
			}
		}
	}
	thing = func(typ reflect.Type) {
		if !seen[typ] {
			seen[typ] = true
			walk(typ, typ.Name())
		}
	}
	for f := range reflect.TypeFor[conf.Config]().Fields() {
		typ := f.Type
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice {
			typ = typ.Elem()
		}
		if typ.Kind() == reflect.Struct && f.Tag.Get("view") != "-" && !slices.Contains(line, typ) {
			thing(typ)
		}
	}
	if fields < 250 || len(seen) < 14 {
		t.Errorf("only %d fields of %d structs", fields, len(seen))
	}
}

func TestSnake(t *testing.T) {
	for name, want := range map[string]string{
		"InitFail": "init_fail", "JSONVersion": "json_version", "UsePidDir": "use_pid_dir", "VRID": "vrid", "TLSCompliant": "tls_compliant",
	} {
		if got := snake(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

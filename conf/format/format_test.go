package format

import (
	"errors"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"

	"keepalived-go/conf"
)

var update = flag.Bool("update", false, "rewrite the expected results in testdata")

// TestFormat formats the first file of each archive in testdata. The second is the result
// or, if it is called "refused", the reason.
func TestFormat(t *testing.T) {
	names, _ := filepath.Glob("testdata/*.txtar")
	if len(names) == 0 {
		t.Fatal("no files in testdata")
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil || len(archive.Files) == 0 {
				t.Fatalf("%d files, %v", len(archive.Files), err)
			}
			result := txtar.File{Name: "formatted"}
			result.Data, err = Source("x.conf", archive.Files[0].Data, conf.Vocabulary())
			if err != nil {
				result = txtar.File{Name: "refused", Data: []byte(err.Error() + "\n")}
			}
			if *update {
				archive.Files = append(archive.Files[:1], result)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(archive.Files[1], result, cmp.Transformer("text", func(b []byte) string { return string(b) })); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestBytes formats text that an archive cannot hold.
func TestBytes(t *testing.T) {
	long := "# " + strings.Repeat("x", 1018)
	for _, test := range []struct{ name, text, want, refused string }{
		{name: "nothing"},
		{name: "only blanks", text: " \n\t\n\n"},
		{name: "no final newline", text: "a b", want: "a b\n"},
		{name: "carriage returns", text: "a {\r\n\r\n\r\nb\r\n}\r\n", want: "a {\n\n    b\n}\n"},
		{name: "byte order mark", text: "\ufeffa b\n", want: "a b\n"},
		{name: "Latin-1", text: "a  b # \xe9\n", want: "a b # \xe9\n"},
		{name: "a comment too long to be indented as usual", text: "a {\n" + long + "\n}\n", want: "a {\n  " + long + "\n}\n"},
		{name: "a long line", text: "a b\n#" + strings.Repeat("x", 1100) + "\n", refused: "x.conf:2:1: line too long"},
		{name: "a NUL byte", text: "a\x00b\n", refused: "x.conf:1:2: the line contains a NUL byte"},
		{name: "a brace too much", text: "a {\n}\n}\n", refused: "Extra '}'"},
		{name: "a definition that is itself", text: "$A=${A}\nb ${A}\n", refused: "contains itself"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Source("x.conf", []byte(test.text), conf.Vocabulary())
			if test.refused != "" {
				if _, ok := errors.AsType[*Error](err); !ok || !strings.Contains(err.Error(), test.refused) {
					t.Errorf("error %v, want %s", err, test.refused)
				}
				return
			}
			if diff := cmp.Diff(test.want, string(got)); err != nil || diff != "" {
				t.Errorf("error %v (-want +got)\n%s", err, diff)
			}
		})
	}
}

// corpus returns every configuration of the tests of package conf, by name.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	files := make(map[string][]byte)
	archives, _ := filepath.Glob("../testdata/oracle/*.txtar")
	for _, name := range archives {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			files[f.Name] = f.Data
		}
	}
	for _, pattern := range []string{"../testdata/golden/*.conf", "../testdata/errors/*.conf", "../../packaging/*.sample"} {
		names, _ := filepath.Glob(pattern)
		if len(names) == 0 {
			t.Fatalf("no files: %s", pattern)
		}
		for _, name := range names {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			files[filepath.Base(name)] = data
		}
	}
	return files
}

// TestCorpus formats every configuration: the formatted text loads with the same result
// and the same problems, and a text that is not formatted has a problem.
func TestCorpus(t *testing.T) {
	refused := 0
	files := corpus(t)
	dir := t.TempDir()
	for name, data := range files {
		got, err := Source(name, data, conf.Vocabulary())
		if e, ok := errors.AsType[*Error](err); ok && len(e.Problems) > 0 {
			refused++
			continue
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := Source(name, got, conf.Vocabulary())
		if diff := cmp.Diff(string(got), string(again)); err != nil || diff != "" {
			t.Errorf("%s: formatting twice: %v (-once +twice)\n%s", name, err, diff)
		}
		if strings.Contains(string(data), "_RANDOM") {
			continue // the same text only once
		}
		was, wasCodes := load(t, dir, data)
		is, isCodes := load(t, dir, got)
		if diff := cmp.Diff(was, is, cmpopts.IgnoreTypes(conf.Pos{}), cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			t.Errorf("%s: the configuration changed (-was +is):\n%s\n%s", name, diff, got)
		}
		if diff := cmp.Diff(wasCodes, isCodes); diff != "" {
			t.Errorf("%s: the problems changed (-was +is):\n%s\n%s", name, diff, got)
		}
	}
	if refused == 0 || refused > len(files)/4 {
		t.Errorf("%d of %d files are refused", refused, len(files))
	}
}

// load loads text as a file. The path, which messages contain, is always the same.
func load(t testing.TB, dir string, text []byte) (*conf.Config, []string) {
	t.Helper()
	path := filepath.Join(dir, "x.conf")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags := conf.Load(path, conf.Options{ConfigID: "main", Env: func(string) (string, bool) { return "", false }})
	return cfg, codes(diags)
}

// FuzzSource formats any text. Source itself compares the result with the original; this
// checks that formatting a second time changes nothing, and that no unambiguous text is
// refused.
func FuzzSource(f *testing.F) {
	for _, data := range corpus(f) {
		f.Add(data)
	}
	names, _ := filepath.Glob("testdata/*.txtar")
	for _, name := range names {
		archive, err := txtar.ParseFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<14 || strings.Count(string(data), "~") > 1 || strings.Count(string(data), "@") > 8 {
			return // many repetitions take long and find nothing
		}
		once, err := Source("x.conf", data, nil)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok {
				t.Errorf("a clear file is not formatted: %v", err)
			}
			return
		}
		twice, err := Source("x.conf", once, nil)
		if err != nil {
			t.Fatalf("the result is refused: %v\n%s", err, once)
		}
		if string(once) != string(twice) {
			t.Errorf("formatting twice (-once +twice):\n%s", cmp.Diff(string(once), string(twice)))
		}
	})
}

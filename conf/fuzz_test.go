package conf

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"keepalived-go/conf/syntax"
)

func addCorpus(f *testing.F) {
	for _, name := range []string{"good.txtar", "bad.txtar"} {
		archive, err := txtar.ParseFile(filepath.Join("testdata", "oracle", name))
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			f.Add(file.Data)
		}
	}
}

// longLoop matches a sequence with a number that may take seconds to expand.
var longLoop = regexp.MustCompile(`SEQ.*(\d{4}|0[xX])`)

// elsewhere matches an include that could leave the directory of the test: some files of
// a system take long to read, or have no end.
var elsewhere = regexp.MustCompile(`include.*(/|\.\.|~|\$)`)

// slow is far above the time for 64 KiB and their expansion. An input that takes longer
// is kept as a failure; if the fuzzer were stopped first, the input would be lost.
const slow = 15 * time.Second

// FuzzLoad checks for any text that there is a result, that every problem has a message,
// that positions are inside the file, and that time and the number of problems are
// bounded.
func FuzzLoad(f *testing.F) {
	addCorpus(f)
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<16 || strings.Count(string(data), "SEQ") > 2 || longLoop.Match(data) || elsewhere.Match(data) {
			return // TestHostile has long loops
		}
		path := filepath.Join(dir, "fuzz.conf")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		cfg, diags := Load(path, Options{Env: func(string) (string, bool) { return "", false }})
		if took := time.Since(start); took > slow {
			t.Errorf("took %v", took)
		}
		if len(diags) > 2*syntax.MaxDiagnostics+1 {
			t.Errorf("%d problems", len(diags))
		}
		if cfg == nil {
			if len(diags) != 1 || diags[0].Code != "unusable-file" {
				t.Fatalf("no configuration:\n%s", list(diags))
			}
			return
		}
		last := strings.Count(string(data), "\n") + 1
		for _, d := range diags {
			if d.Message == "" || d.Code == "" || d.Pos.File == path && d.Pos.Line > last {
				t.Errorf("bad problem: %+v", d)
			}
		}
		for _, s := range cfg.Scripts {
			if !s.Command.Given() || s.Interval <= 0 || s.Timeout <= 0 || s.Rise < 1 || s.Fall < 1 || s.Weight < -253 || s.Weight > 253 {
				t.Errorf("a script without effective values: %+v", s)
			}
		}
		for _, p := range cfg.Processes {
			if p.Process == "" || p.QuorumMax >= 0 && p.QuorumMax < p.Quorum {
				t.Errorf("a process without effective values: %+v", p)
			}
		}
		for _, in := range cfg.Instances {
			for _, k := range in.Track {
				if k.Weight < -254 || k.Weight > 254 || k.Name == in.Interface && k.Kind == TrackedInterface {
					t.Errorf("%s tracks %+v", in.Name, k)
				}
			}
			if in.VRID == 0 || in.Priority == 0 || in.AdvertInterval <= 0 || in.Version < 2 || in.Version > 3 {
				t.Errorf("an instance without effective values: %+v", in)
			}
		}
	})
}

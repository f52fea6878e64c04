package lint_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"keepalived-go/conf"
	"keepalived-go/lint"
)

// FuzzCluster checks two texts alone and as the nodes of a cluster: there is always a
// result, and silenced findings are removed.
func FuzzCluster(f *testing.F) {
	paths, err := filepath.Glob("testdata/c*/*.txtar")
	if err != nil || len(paths) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, path := range paths {
		a, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		second := string(a.Files[min(1, len(a.Files)-1)].Data)
		f.Add(string(a.Files[0].Data), second)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		// More virtual routers take longer and test nothing more; so do adverts of one
		// router while another one waits.
		const most, ratio = 30, 20
		shortest, longest := time.Duration(math.MaxInt64), time.Duration(0)
		var nodes []lint.Node
		for i, text := range []string{first, second} {
			name := string(rune('a' + i))
			c, _ := conf.Load(name, conf.Options{
				ConfigID:     name,
				CheckCommand: func(conf.Command, conf.ScriptPolicy) error { return nil },
				Unsaved: func(path string) (string, bool) {
					if filepath.Base(path) == name {
						return text, true
					}
					return "", false
				},
			})
			if c == nil || len(c.Instances) > most {
				return
			}
			for _, in := range c.Instances {
				shortest = min(shortest, in.AdvertInterval)
				longest = max(longest, in.AdvertInterval*time.Duration(in.DownTimerAdverts+1))
			}
			if longest/ratio > shortest {
				return
			}
			nodes = append(nodes, lint.Node{Name: name, Config: c})
			lint.Check(c, lint.Host{})
		}
		r := lint.Cluster(nodes)
		kept := lint.Silence(r.Diagnostics, func(string) (string, error) {
			comment := "# keepalived: ignore-file"
			for c := range lint.Codes() {
				comment += " " + c.Name
			}
			return comment, nil
		})
		if len(kept) > 0 {
			t.Errorf("not silenced: %v", kept)
		}
	})
}

// TestUnreadable keeps findings whose file cannot be read.
func TestUnreadable(t *testing.T) {
	ds := conf.Diagnostics{{Code: "script-slow", Pos: conf.Pos{File: "f", Line: 1}}}
	if kept := lint.Silence(ds, func(string) (string, error) { return "", os.ErrPermission }); len(kept) != 1 {
		t.Errorf("%v are left of %v", kept, ds)
	}
}

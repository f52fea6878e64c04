package conf

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files from what is read")

// TestGolden compares the effective values of the configurations in testdata/golden with
// the .json files next to them. Neither contains passwords.
func TestGolden(t *testing.T) {
	t.Chdir("testdata/golden")
	files, err := filepath.Glob("*.conf")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range files {
		cfg, diags := Load(path, Options{
			ConfigID: "node1",
			Env:      func(name string) (string, bool) { return "env-" + name, true },
		})
		if cfg == nil || len(diags) > 0 {
			t.Errorf("%s: unexpected problems:\n%s", path, list(diags))
			continue
		}
		var got bytes.Buffer
		enc := json.NewEncoder(&got)
		enc.SetIndent("", "\t")
		if err := enc.Encode(cfg); err != nil {
			t.Fatal(err)
		}
		golden := strings.TrimSuffix(path, ".conf") + ".json"
		if *update {
			if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

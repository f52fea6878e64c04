package conf

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRemedies checks that each problem with the files of testdata has a remedy.
func TestRemedies(t *testing.T) {
	silent := make(map[string]Diagnostic)
	n := 0
	look := func(path string) {
		_, diags := Load(path, Options{Interface: exists, CheckCommand: runnable, ConfigID: "node1"})
		for _, d := range diags {
			n++
			hasRemedy := d.Fix != "" || slices.ContainsFunc([]string{"expected", "lease use ", "Use track_interface", "; write ", "outside range", "is neither"}, func(s string) bool {
				return strings.Contains(d.Message, s)
			})
			if d.Severity >= Warning && !hasRemedy {
				silent[d.Code] = d
			}
		}
	}
	corpus(t, func(t *testing.T, path string, v verdict) { look(path) })
	for _, pattern := range []string{"testdata/errors/*.conf", "testdata/dump/*.conf"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no files: %v", pattern, err)
		}
		for _, path := range files {
			look(path)
		}
	}
	for _, code := range slices.Sorted(maps.Keys(silent)) {
		t.Errorf("%s without a remedy: %v", code, silent[code])
	}
	if n < 500 {
		t.Errorf("only %d problems", n)
	}
}

// TestRemediesAreOfCodes looks for each code in the source.
func TestRemediesAreOfCodes(t *testing.T) {
	var source strings.Builder
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || name == "remedy.go" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(text)
	}
	for code := range remedies {
		if word, ok := strings.CutPrefix(code, "missing-"); ok && strings.Contains(source.String(), `needs("`+word+`"`) {
			continue
		}
		if !strings.Contains(source.String(), `"`+code+`"`) {
			t.Errorf("nothing reports %s", code)
		}
	}
}

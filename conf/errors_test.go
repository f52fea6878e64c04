package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	wantError = regexp.MustCompile(`# ERROR (.*)$`)
	quoted    = regexp.MustCompile("`[^`]*`")
)

// TestErrorsInPlace compares diagnostics with the comments of the files in
// testdata/errors: a line with a problem ends with
//
//	# ERROR `rx` `rx` …
//
// where each expression matches "column: message; fix" of one problem.
func TestErrorsInPlace(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want := make(map[int][]string)
			n := 0
			for line := range strings.Lines(string(text)) {
				n++
				if m := wantError.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
					for _, q := range quoted.FindAllString(m[1], -1) {
						want[n] = append(want[n], q[1:len(q)-1])
					}
				}
			}
			_, diags := Load(path, Options{Interface: exists, ConfigID: "node1"})
			for _, d := range diags {
				got := fmt.Sprintf("%d: %s; %s", d.Pos.Column, d.Message, d.Fix)
				found := false
				for i, rx := range want[d.Pos.Line] {
					if regexp.MustCompile(rx).MatchString(got) {
						want[d.Pos.Line] = append(want[d.Pos.Line][:i:i], want[d.Pos.Line][i+1:]...)
						found = true
						break
					}
				}
				if !found {
					t.Errorf("unexpected: %v", d)
				}
			}
			for line, rest := range want {
				for _, rx := range rest {
					t.Errorf("%s:%d: nothing matches %q", path, line, rx)
				}
			}
		})
	}
}

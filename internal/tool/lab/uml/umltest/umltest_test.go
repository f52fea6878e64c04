package umltest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"keepalived-go/internal/tool/lab/uml"
)

func TestRun(t *testing.T) {
	Run(t, uml.Machine{Modules: []string{"dummy"}}, func(t *testing.T) {
		if !uml.Inside() {
			t.Error("not inside")
		}
		t.Run("Modules", func(t *testing.T) {
			if out, err := exec.Command("ip", "link", "add", "dummy7", "type", "dummy").CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
		t.Run("Files", func(t *testing.T) {
			if err := os.WriteFile("/etc/written-in-uml", nil, 0o644); err != nil {
				t.Error(err)
			}
			if _, err := os.Stat("umltest_test.go"); err != nil {
				t.Errorf("not in the directory of the package: %v", err)
			}
		})
		t.Run("Parallel", func(t *testing.T) {
			for i := range 3 {
				t.Run(fmt.Sprint(i), func(t *testing.T) { t.Parallel(); t.Log("number", i) })
			}
		})
	})
	if _, err := os.Stat("/etc/written-in-uml"); err == nil && !uml.Inside() {
		t.Error("a file of the machine is on its host")
	}
}

// TestResults checks that the output of a test binary becomes the results of the tests
// that have printed it.
func TestResults(t *testing.T) {
	root := &result{}
	for line := range strings.Lines(`before
^=== RUN   TestX
^=== RUN   TestX/a
    x_test.go:1: one
^=== PAUSE TestX/a
^=== RUN   TestX/b
two without an end^--- SKIP: TestX/b (0.00s)
^=== CONT  TestX/a
^=== NAME  TestX/a
    three
^--- FAIL: TestX/a (0.10s)
^=== RUN   TestX/c
^=== RUN   TestX/c/d
^--- PASS: TestX/c/d (0.10s)
^=== NAME  
panic: four
`) {
		root.read(strings.ReplaceAll(strings.TrimSuffix(line, "\n"), "^", mark))
	}
	var b strings.Builder
	var walk func(r *result, indent string)
	walk = func(r *result, indent string) {
		fmt.Fprintf(&b, "%s%s %v %s %q\n", indent, r.name, r.began, r.verdict, r.output.String())
		for _, c := range r.children {
			walk(c, indent+"  ")
		}
	}
	walk(root, "")
	want := ` false  "before\npanic: four\n"
  TestX true  ""
    a true FAIL "    x_test.go:1: one\n    three\n"
    b true SKIP "two without an end\n"
    c true  ""
      d true PASS ""
`
	if b.String() != want {
		t.Errorf("got\n%s\nwant\n%s", b.String(), want)
	}
}

func TestBelow(t *testing.T) {
	for _, tt := range [][3]string{
		{"TestX", "", ""}, {"TestX", "TestX", ""}, {"TestX", "TestX/a", "/a"}, {"TestX", "X/a/b", "/a/b"},
		{"TestX/a", "X/a/b", "/b"}, {"TestX", "X/a|Y", ""},
	} {
		if got := below(tt[0], tt[1]); got != tt[2] {
			t.Errorf("below(%q, %q) = %q, want %q", tt[0], tt[1], got, tt[2])
		}
	}
}

func BenchmarkRun(b *testing.B) {
	Bench(b, uml.Machine{}, func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(7, "wonders")
	})
}

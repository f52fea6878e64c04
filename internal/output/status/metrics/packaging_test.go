package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"keepalived-go/internal/tool/required"
)

const (
	rules     = "../../../../packaging/prometheus/keepalived.rules.yml"
	rulesTest = "../../../../packaging/prometheus/keepalived.rules.test.yml"
	dashboard = "../../../../packaging/grafana/keepalived.json"
)

// promtool runs promtool, and fails the test if it finds anything wrong.
func promtool(t *testing.T, stdin io.Reader, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		required.Missing(t, "promtool")
	}
	c := exec.Command(program, args...)
	c.Stdin = stdin
	if out, err := c.CombinedOutput(); err != nil || stdin != nil && len(out) > 0 { // for metrics it prints only problems
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// known reports names in a text that are no metrics.
func known(t *testing.T, what, text string) {
	t.Helper()
	names := regexp.MustCompile(`\bkeepalived_\w+`).FindAllString(text, -1)
	if len(names) < 10 {
		t.Errorf("%s has only %d metrics", what, len(names))
	}
	for _, name := range names {
		if !slices.ContainsFunc(Families(), func(f Family) bool { return f.Name == name }) {
			t.Errorf("%s: there is no metric %s", what, name)
		}
	}
}

// TestRules checks that the alerts use existing metrics, and fire when they should.
func TestRules(t *testing.T) {
	for _, name := range []string{rules, rulesTest} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		known(t, name, string(text))
	}
	promtool(t, nil, "check", "rules", rules)
	promtool(t, nil, "test", "rules", rulesTest)
}

// TestDashboard checks that the expressions of the dashboard use existing metrics, and
// that Prometheus can parse them.
func TestDashboard(t *testing.T) {
	text, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	known(t, dashboard, string(text))
	var d struct {
		Panels []struct {
			ID      int
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("groups:\n- name: dashboard\n  rules:\n")
	ids, places := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.Title == "" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q: its number is there twice, or it has no title or no expression", p.ID, p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := places[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q is on %q, or outside", p.Title, other)
				}
				places[[2]int{x, y}] = p.Title
			}
		}
		for i, target := range p.Targets {
			expr, err := json.Marshal(strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "  - {record: panel_%d_%d, expr: %s}\n", p.ID, i, expr)
		}
	}
	name := filepath.Join(t.TempDir(), "dashboard.rules.yml")
	if err := os.WriteFile(name, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, nil, "check", "rules", name)
}

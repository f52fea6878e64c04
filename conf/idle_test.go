package conf

import (
	"fmt"
	"strings"
	"testing"
)

// TestWithoutEffect: what a file asks for in vain is told once for each block,
// with the place of the first such word, and does not change the exit code.
func TestWithoutEffect(t *testing.T) {
	instance := func(n int, words string) string {
		return fmt.Sprintf("vrrp_instance V%d {\ninterface eth0\nvirtual_router_id %d\nvirtual_ipaddress {\n192.0.2.%d\n}\n%s\n}\n", n, n, n, words)
	}
	var many strings.Builder
	for i := 1; i <= 25; i++ {
		many.WriteString(instance(i, "use_vmac"))
	}
	for _, tt := range []struct {
		name, text string
		want       []string // LINE: message, of the first ones
		n          int      // 0: those of want
	}{
		{"nothing", instance(1, "nopreempt"), nil, 0},
		{"words of an instance", instance(1, "no_accept\nvirtual_routes {\ndefault via 192.0.2.1 dev eth0\n}\nuse_vmac\nno_accept"),
			[]string{"7: vrrp_instance V1: no_accept and use_vmac have no effect in this version"}, 0},
		{"a word outside of blocks", "namespace_with_ipsets\n", []string{"1: namespace_with_ipsets has no effect in this version"}, 0},
		{"the option of an address", "vrrp_instance V {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n192.0.2.1\n192.0.2.2 use_vmac\n}\n}\n",
			[]string{"6: vrrp_instance V: use_vmac has no effect in this version"}, 0},
		{"by a mode", instance(1, "strict_mode"), []string{"1: vrrp_instance V1: no_accept has no effect in this version"}, 0},
		{"two blocks", instance(1, "use_vmac") + instance(2, "use_vmac"),
			[]string{"7: vrrp_instance V1: use_vmac has no effect", "15: vrrp_instance V2: use_vmac has no effect"}, 0},
		{"many blocks", many.String(), []string{"7: vrrp_instance V1: use_vmac has no effect"}, idleAlone},
	} {
		path := write(t, tt.text)
		_, diags := Load(path, Options{})
		var got []string
		for _, d := range diags {
			if d.Code == NoEffect {
				got = append(got, fmt.Sprintf("%d: %s", d.Pos.Line, d.Message))
				if d.Fix == "" || d.Severity != Warning {
					t.Errorf("%s: %v %v", tt.name, d.Severity, d)
				}
			}
		}
		if tt.n == 0 {
			tt.n = len(tt.want)
		}
		if len(got) != tt.n {
			t.Fatalf("%s: got %d\n%s", tt.name, len(got), strings.Join(got, "\n"))
		}
		for i, want := range tt.want {
			if !strings.HasPrefix(got[i], want) {
				t.Errorf("%s: got %q, want %q", tt.name, got[i], want)
			}
		}
		if tt.n == idleAlone && !strings.Contains(got[idleAlone-1], "V10 and 15 more:") {
			t.Errorf("%s: the last is %q", tt.name, got[idleAlone-1])
		}
		if code := diags.TestExitCode(); code != 0 {
			t.Errorf("%s: exit code %d, want 0:\n%s", tt.name, code, list(diags))
		}
	}
}

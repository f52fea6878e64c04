package conf

import (
	"fmt"
	"strings"
	"testing"
)

// TestWithoutEffect: words without effect are reported once for each block,
// with the place of the first such word, and does not change the exit code.
func TestWithoutEffect(t *testing.T) {
	server := func(n int, words string) string {
		return fmt.Sprintf("virtual_server 192.0.2.%d 80 {\nprotocol TCP\nlb_algo rr\nlb_kind DR\n%s\nreal_server 192.0.2.99 80 {\n}\n}\n", n, words)
	}
	var many strings.Builder
	for i := 1; i <= 25; i++ {
		many.WriteString(server(i, "snmp_name x"))
	}
	for _, tt := range []struct {
		name, text string
		want       []string // LINE: message, of the first ones
		n          int      // 0: those of want
	}{
		{"nothing", server(1, "ha_suspend"), nil, 0},
		{"words of a block", "global_defs {\nenable_traps\nrouter_id x\nnftables\nenable_snmp_vrrp\nenable_traps\n}\n",
			[]string{"2: global_defs: enable_traps and enable_snmp_vrrp have no effect in this version"}, 0},
		{"two blocks", server(1, "snmp_name x") + server(2, "snmp_name x"),
			[]string{"5: virtual_server 192.0.2.1 80: snmp_name has no effect", "13: virtual_server 192.0.2.2 80: snmp_name has no effect"}, 0},
		{"many blocks", many.String(), []string{"5: virtual_server 192.0.2.1 80: snmp_name has no effect"}, idleAlone},
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
		if tt.n == idleAlone && !strings.Contains(got[idleAlone-1], "192.0.2.10 80 and 15 more:") {
			t.Errorf("%s: the last is %q", tt.name, got[idleAlone-1])
		}
		if code := diags.TestExitCode(); code != 0 {
			t.Errorf("%s: exit code %d, want 0:\n%s", tt.name, code, list(diags))
		}
	}
}

package conf

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf/syntax"
	"keepalived-go/internal/tool/required"
)

// TestHostile reads input that is meant to exhaust the reader: each causes one problem
// with a clear message.
func TestHostile(t *testing.T) {
	tests := []struct{ name, text, code string }{
		{"a definition that is itself", "$A=x ${A}\n$A\n", "endless-definition"},
		{"two definitions that are each other", "$A=${B}\n$B=${A}\nfoo ${A}\n", "endless-definition"},
		{"lines that contain themselves", "$A=\\\n global_defs { }\\\n $A\\\n global_defs { }\n$A\n", "endless-definition"},
		{"definitions that double", doubling(40), "endless-definition"},
		{"lines that double", doublingLines(28), "too-much"},
		{"a sequence of sequences", "~SEQ(A,1,100000) ~SEQ(B,1,100000) ~SEQ(C,1,100000) global_defs { }\n", "too-much"},
		{"ten thousand braces", strings.Repeat("a {\n", 10000), "too-deep"},
		{"ten thousand braces in a block", "vrrp_instance V {\n" + strings.Repeat("virtual_ipaddress {\n", 10000) + strings.Repeat("}\n", 10001), "too-deep"},
		{"ten thousand braces on a line", "a " + strings.Repeat("{", 10000) + "\n", "long-line"},
		{"ten thousand closing braces", strings.Repeat("}\n", 10000), "extra-brace"},
		{"a definition that is itself, in a block", "$A=x ${A}\nvrrp_instance V {\n interface $A\n", "endless-definition"},
		{"lines that are themselves, in a block", "$A=\\\n interface eth0 \\\n $A\nvrrp_sync_group G {\n group {\n V\n $A\n", "endless-definition"},
		{"a NUL byte", "global_defs {\n router_id a\x00b\n}\n", "nul"},
		{"NUL bytes", strings.Repeat("a\x00b\n", 5000), "unusable-file"},
		{"a NUL byte in some lines", strings.Repeat("# a comment\n#\x00\nglobal_defs {\n router_id a\n}\n", 10), "nul"},
		{"invalid UTF-8 in a value", "global_defs {\n router_id caf\xe9\n}\n", "encoding"},
		{"invalid UTF-8 for words", strings.Repeat("\xff\xfe\xfd x\n", 5000), "encoding"},
		{"UTF-16", "\xff\xfeg\x00l\x00o\x00b\x00\n\x00", "unusable-file"},
		{"long lines", strings.Repeat(strings.Repeat("x", 2000)+"\n", 5000), "long-line"},
		{"a long line", "# " + strings.Repeat("x", 1<<20) + "\n", "long-line"},
		{"a byte order mark", "\ufeffglobal_defs {\n router_id x\n}\n", "bom"},
		{"binary", "\x7fELF\x02\x01\x01\xff\xfe\n", "encoding"},
		{"conditions nested in a definition", "$A=@^x ${A}\n$A\n", "endless-definition"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			_, diags := load(t, test.text, Options{})
			if len(diags) != 1 || diags[0].Code != test.code || diags[0].Fix == "" {
				t.Errorf("want one problem %q with a remedy:\n%.2000s", test.code, list(diags))
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestWorkGrowsWithSize checks that blocks with four times as many lines cause about four
// times as many allocations.
func TestWorkGrowsWithSize(t *testing.T) {
	block := func(open, line string, n int) string {
		var b strings.Builder
		b.WriteString(open)
		for i := range n {
			fmt.Fprintf(&b, line, i>>8&255, i&255)
		}
		b.WriteString("}\n}\n")
		return b.String()
	}
	instance := "vrrp_instance V {\ninterface eth0\nvirtual_router_id 4\n"
	tests := []struct{ name, open, line string }{
		{"peers", instance + "unicast_peer {\n", "10.0.%d.%d\n"},
		{"addresses", instance + "virtual_ipaddress_excluded {\n", "10.0.%d.%d\n"},
		{"tracked interfaces", instance + "track_interface {\n", "e%d.%d weight 2\n"},
		{"scripts that do not exist", instance + "track_script {\n", "s%d.%d\n"},
		{"members", "vrrp_sync_group G {\ngroup {\n", "V%d.%d\n"},
		{"recipients", "global_defs {\nnotification_email {\n", "a%d@%d.example\n"},
		{"real servers", "virtual_server 10.0.0.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nvirtualhost x {\n}\n", "real_server 10.0.%d.%d 80 {\n}\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			allocated := func(n int) uint64 {
				text := block(test.open, test.line, n)
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				load(t, text, Options{})
				runtime.ReadMemStats(&after)
				return after.TotalAlloc - before.TotalAlloc
			}
			if small, large := allocated(2000), allocated(8000); large > 6*small {
				t.Errorf("%d bytes are allocated for 8000 lines, %d for 2000", large, small)
			}
		})
	}
}

func hasCode(diags Diagnostics, code string) bool {
	for _, d := range diags {
		if d.Code == code {
			return true
		}
	}
	return false
}

func doubling(n int) string {
	var b strings.Builder
	b.WriteString("$A00=xxxxxxxx\n")
	for i := 1; i < n; i++ {
		b.WriteString("$A" + itoa(i) + "=${A" + itoa(i-1) + "}${A" + itoa(i-1) + "}\n")
	}
	b.WriteString("foo ${A" + itoa(n-1) + "}\n")
	return b.String()
}

func doublingLines(n int) string {
	var b strings.Builder
	b.WriteString("$A00=\\\n global_defs { }\\\n global_defs { }\n")
	for i := 1; i < n; i++ {
		b.WriteString("$A" + itoa(i) + "=\\\n$A" + itoa(i-1) + "\\\n$A" + itoa(i-1) + "\n")
	}
	b.WriteString("$A" + itoa(n-1) + "\n")
	return b.String()
}

func itoa(n int) string { return string([]byte{byte('0' + n/10), byte('0' + n%10)}) }

func TestIncludesItself(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.conf")
	if err := os.WriteFile(path, []byte("include a.conf\nglobal_defs { router_id x }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, diags := Load(path, Options{})
	if !hasCode(diags, "include-unreadable") || len(diags) != 1 {
		t.Errorf("problems:\n%s", list(diags))
	}
	if cfg.Global.RouterID != "x" {
		t.Errorf("the rest of the file was not read")
	}
}

// TestManyNames checks that no more files are looked up than a configuration can have.
func TestManyNames(t *testing.T) {
	_, diags := load(t, strings.Repeat("include "+strings.Repeat("{a,b}", 12)+"\n", 1000), Options{})
	if !hasCode(diags, "too-much") || len(diags) > 20 {
		t.Errorf("problems:\n%.2000s", list(diags))
	}
}

func TestMissingFile(t *testing.T) {
	cfg, diags := Load(filepath.Join(t.TempDir(), "none.conf"), Options{})
	if cfg != nil || diags.TestExitCode() != 6 || diags.Fatal() != 6 {
		t.Errorf("config %v, exit codes %d and %d, want nil, 6 and 6", cfg, diags.TestExitCode(), diags.Fatal())
	}
}

// TestHugeFile reads 100 MB, and files of the maximum size, in bounded memory.
func TestHugeFile(t *testing.T) {
	if testing.Short() {
		required.Excluded(t, "reads 100 MB")
	}
	path := filepath.Join(t.TempDir(), "huge.conf")
	tests := []struct {
		name, line string
		size, want int
		code       string
	}{
		{"100 MB", "# nothing to see here\n", 100_000_000, 1, "unusable-file"},
		{"lines without end", "\n", MaxFile, 1, "too-much"},
		{"garbage", "what is this doing here\n", MaxFile, syntax.MaxDiagnostics + 1, "too-many"},
		{"one line", "x", MaxFile, 1, "long-line"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(strings.Repeat(test.line, test.size/len(test.line))), 0o600); err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, diags := Load(path, Options{})
			runtime.ReadMemStats(&after)
			if len(diags) != test.want || !hasCode(diags, test.code) {
				t.Errorf("%d problems, want %d with %q:\n%.2000s", len(diags), test.want, test.code, list(diags))
			}
			if grown := int64(after.Sys) - int64(before.Sys); grown > 256<<20 {
				t.Errorf("needed %d MiB more", grown>>20)
			}
		})
	}
}

// TestSequenceScale reads the largest example of the manual.
func TestSequenceScale(t *testing.T) {
	cfg, diags := load(t, sequenceText, Options{})
	if len(cfg.Instances) != 65024 || len(diags) != 0 {
		t.Errorf("%d instances, want 65024\n%.2000s", len(cfg.Instances), list(diags))
	}
	last := cfg.Instances[65023]
	if last.Name != "vrrp.7.31.254" || last.Addresses[0].Prefix.String() != "10.7.31.254/24" {
		t.Errorf("last instance: %s with %v", last.Name, last.Addresses)
	}
}

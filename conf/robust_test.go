package conf

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestHostile reads input that is meant to exhaust the reader: each is one
// problem that says what is wrong.
func TestHostile(t *testing.T) {
	tests := []struct{ name, text, code string }{
		{"a definition that is itself", "$A=x ${A}\n$A\n", "endless-definition"},
		{"two definitions that are each other", "$A=${B}\n$B=${A}\nfoo ${A}\n", "endless-definition"},
		{"lines that contain themselves", "$A=\\\n x\\\n $A\\\n y\n$A\n", "endless-definition"},
		{"definitions that double", doubling(40), "endless-definition"},
		{"lines that double", doublingLines(28), "too-much"},
		{"a sequence of sequences", "~SEQ(A,1,100000) ~SEQ(B,1,100000) ~SEQ(C,1,100000) global_defs { }\n", "too-much"},
		{"ten thousand braces", strings.Repeat("a {\n", 10000), "too-deep"},
		{"ten thousand closing braces", strings.Repeat("}\n", 10000), "extra-brace"},
		{"a NUL byte", "global_defs {\n router_id a\x00b\n}\n", "nul"},
		{"a long line", "# " + strings.Repeat("x", 1<<20) + "\n", "long-line"},
		{"a byte order mark", "\ufeffglobal_defs {\n router_id x\n}\n", "bom"},
		{"binary", "\x7fELF\x02\x01\x01\xff\xfe\n", "unknown-keyword"},
		{"conditions nested in a definition", "$A=@^x ${A}\n$A\n", "endless-definition"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			start := time.Now()
			_, diags := load(t, test.text, Options{})
			if !hasCode(diags, test.code) {
				t.Errorf("no problem %q in:\n%.2000s", test.code, list(diags))
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("took %v", took)
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

func TestMissingFile(t *testing.T) {
	cfg, diags := Load(filepath.Join(t.TempDir(), "none.conf"), Options{})
	if cfg != nil || diags.TestExitCode() != 6 || diags.Fatal() != 6 {
		t.Errorf("config %v, exit codes %d and %d, want nil, 6 and 6", cfg, diags.TestExitCode(), diags.Fatal())
	}
}

// TestHugeFile reads 100 MB of comments and of garbage in bounded memory.
func TestHugeFile(t *testing.T) {
	if testing.Short() {
		t.Skip("reads 100 MB")
	}
	path := filepath.Join(t.TempDir(), "huge.conf")
	line := "what is this doing here\n"
	if err := os.WriteFile(path, []byte(strings.Repeat(line, 100_000_000/len(line))), 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, diags := Load(path, Options{})
	runtime.ReadMemStats(&after)
	if len(diags) != maxDiagnostics+2 || diags.TestExitCode() != 5 || diags.Fatal() != 2 || !hasCode(diags, "too-much") {
		t.Errorf("%d problems, exit codes %d and %d; want %d, 5 and 2", len(diags), diags.TestExitCode(), diags.Fatal(), maxDiagnostics+2)
	}
	if grown := int64(after.Sys) - int64(before.Sys); grown > 512<<20 {
		t.Errorf("needed %d MiB more", grown>>20)
	}
}

// TestSequenceScale is the largest example of the manual.
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

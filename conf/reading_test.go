package conf

import (
	"os"
	"path/filepath"
	"testing"
)

func TestParseDecimal(t *testing.T) {
	tests := []struct {
		in    string
		v     int64
		exact bool
		ok    bool
	}{
		{"1", 1000000, true, true}, {"0.5", 500000, true, true}, {".25", 250000, true, true}, {"3.", 3000000, true, true},
		{"0.0000005", 1, false, true}, {"1.2345670", 1234567, true, true}, {"-1", -1000000, true, true},
		{"", 0, false, false}, {".", 0, false, false}, {"1x", 0, false, false}, {"1.2.3", 0, false, false}, {"1e3", 0, false, false},
		{"9999999999999", 0, false, false},
	}
	for _, test := range tests {
		v, exact, ok := parseDecimal(test.in, 6)
		if v != test.v || exact != test.exact || ok != test.ok {
			t.Errorf("parseDecimal(%q) = %d, %t, %t, want %d, %t, %t", test.in, v, exact, ok, test.v, test.exact, test.ok)
		}
	}
}

// TestIncludeChecks reads include lines with and without matching files, under each kind
// of check.
func TestIncludeChecks(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("a.inc", "router_id a\n", 0o600)
	write("x.inc", "nonsense\n", 0o700)
	tests := []struct {
		line string
		all  bool
		exit int
	}{
		{line: "include a.inc"}, {line: "include none.inc"}, {line: "include none*.inc"}, {line: "include {a,none}.inc"},
		{line: "include x.inc"}, {line: "include ${_PWD}/a.inc"}, {line: "include ."},
		{line: "includer none.inc"}, {line: "includer none*.inc"},
		{line: "includem none.inc", exit: 6}, {line: "includem none*.inc"},
		{line: "includew none*.inc", exit: 6}, {line: "includeb {a,none}.inc", exit: 6}, {line: "includea a.inc"},
		{line: "includea none.inc", exit: 6}, {line: "includez a.inc", exit: 5},
		{line: "include_check\ninclude none.inc", exit: 6}, {line: "include_check +match\ninclude none*.inc"},
		{line: "include_check read match\ninclude none.inc", exit: 6},
		{line: "include_check\ninclude_check -match -readable\ninclude none.inc"},
		{line: "include none.inc", all: true, exit: 6},
	}
	for _, test := range tests {
		write("main.conf", "global_defs {\n"+test.line+"\n}\n", 0o600)
		_, diags := Load(filepath.Join(dir, "main.conf"), Options{AllChecks: test.all})
		if got := diags.TestExitCode(); got != test.exit {
			t.Errorf("%q: exit code %d, want %d\n%s", test.line, got, test.exit, list(diags))
		}
	}
}

// TestChain follows a problem from its place back to the main file.
func TestChain(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{
		"main.conf": "$V=\\\nvrrp_instance V { \\\n  prioriti 1 \\\n}\n\ninclude sub/part.inc\n",
		"part.inc":  "# a comment\n  $V\n",
	} {
		if name == "part.inc" {
			if err := os.Mkdir("sub", 0o700); err != nil {
				t.Fatal(err)
			}
			name = "sub/part.inc"
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, diags := Load("main.conf", Options{})
	if len(diags) == 0 {
		t.Fatal("no problem")
	}
	want := "main.conf:3:3: Unknown keyword 'prioriti' in vrrp_instance V; did you mean \"priority\"?" +
		"\n  expanded from sub/part.inc:2:3" +
		"\n  included from main.conf:6"
	found := false
	for _, d := range diags {
		found = found || d.String() == want
	}
	if !found {
		t.Errorf("want\n%s\ngot\n%s", want, list(diags))
	}
}

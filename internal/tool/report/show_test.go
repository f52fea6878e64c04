package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/conf"
)

func TestShow(t *testing.T) {
	for _, tt := range []struct {
		name, line  string
		column      int
		shown, mark string
	}{
		{"first word", "prioriti 100", 1, "prioriti 100", "^~~~~~~~"},
		{"a later word", "priority abc", 10, "priority abc", "         ^~~"},
		{"tabs", "\tx\tpriority abc", 4, "        x       priority abc", "                ^~~~~~~~"},
		{"wide characters", `notify "日本" x`, 17, `notify "日本" x`, "              ^"},
		{"a wide word", "日本 x", 1, "日本 x", "^~~~"},
		{"a combining mark", "e\u0301 x", 5, "e\u0301 x", "  ^"},
		{"a quoted word", `script "/bin/x y"`, 8, `script "/bin/x y"`, "       ^~~~~~~~~~"},
		{"a brace", "vrrp_instance A {", 17, "vrrp_instance A {", "                ^"},
		{"behind the end", "abc", 9, "abc", "   ^"},
		{"no column", "abc", 0, "abc", ""},
		{"an empty line", "", 1, "", "^"},
		{"control characters", "a\x1b[31mb c", 1, "a\ufffd[31mb c", "^~~~~~~"},
		{"overriding directions", "a\u202eb", 1, "a\ufffdb", "^~~"},
		{"not UTF-8", "a\xff b", 4, "a\ufffd b", "   ^"},
		{"a secret", mask("  auth_pass hunter2 # here", [][2]int{{12, 19}}), 13, "  auth_pass ******** # here", "            ^~~~~~~~"},
		{"the end of a long line", strings.Repeat("x", 200) + " y", 202, "…" + strings.Repeat("x", 98) + " y", strings.Repeat(" ", 100) + "^"},
		{"the middle of a long line", strings.Repeat("a ", 100) + "b" + strings.Repeat(" c", 100), 201,
			"… " + strings.Repeat("a ", 16) + "b" + strings.Repeat(" c", 33) + "…", strings.Repeat(" ", 34) + "^"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			shown, mark := show(tt.line, tt.column)
			if diff := cmp.Diff([]string{tt.shown, tt.mark}, []string{shown, mark}); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestParameterWithSecret checks that a parameter that is a password is hidden wherever
// it is set.
func TestParameterWithSecret(t *testing.T) {
	const text = "$P=hunter2\nauth_pass ${P}\n"
	s := &sources{read: func(string) (string, error) { return text, nil }}
	line, ok := s.line(conf.Pos{File: "f", Line: 1})
	if !ok || strings.Contains(line, "hunter2") {
		t.Errorf("the line is shown as %q", line)
	}
}

// sample returns a list with all parts that a problem may have.
func sample() (conf.Diagnostics, Options) {
	ds := conf.Diagnostics{
		{Severity: conf.Error, Code: "too-many", Message: "5 more problems are not listed"},
		{Pos: conf.Pos{File: "/etc/keepalived/a b.conf", Line: 1, Column: 9}, Severity: conf.Fatal, Class: conf.ClassOrdinary, Exit: 2,
			Code: "no-vrid", Message: "(VI_1) <é> missing", Fix: "write it", Repeated: 2,
			Chain: []conf.Frame{{What: "expanded from", Pos: conf.Pos{File: "/etc/keepalived/a b.conf", Line: 2, Column: 1}}, {What: "included from", Pos: conf.Pos{File: "main.conf", Line: 7}}}},
		{Pos: conf.Pos{File: "main.conf", Line: 9}, Severity: conf.Warning, Class: conf.ClassWarning, Code: "deprecated", Message: "old"},
		{Pos: conf.Pos{File: "gone.conf", Line: 3, Column: 2}, Severity: conf.Note, Code: "deprecated", Message: "worth knowing"},
		{Pos: conf.Pos{File: "none.conf"}, Severity: conf.Fatal, Class: conf.ClassMissingFile, Exit: 6, Code: "no-file", Message: "no file"},
	}
	return ds, Options{Version: "1.2.3", Read: func(name string) (string, error) {
		switch name {
		case "main.conf":
			return "1\n2\n3\n4\n5\n6\n\tinclude x\n8\nline nine\n", nil
		case "/etc/keepalived/a b.conf":
			return "\u00e9\u00e9\u00e9 x y\n$A\n", nil
		}
		return "", errors.New("gone")
	}}
}

func render(t *testing.T, f Format) string {
	t.Helper()
	ds, o := sample()
	o.Format = f
	var b strings.Builder
	if err := Write(&b, ds, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestText(t *testing.T) {
	const want = `error: 5 more problems are not listed
/etc/keepalived/a b.conf:1:9: fatal: (VI_1) <é> missing; write it (and 2 times more)
    1 | ééé x y
      |      ^
  expanded from /etc/keepalived/a b.conf:2:1
  included from main.conf:7
main.conf:9: warning: old
    9 | line nine
gone.conf:3:2: note: worth knowing
none.conf: fatal: no file
`
	if diff := cmp.Diff(want, render(t, Text)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	ds, o := sample()
	o.Color = true
	var b strings.Builder
	if err := Write(&b, ds[1:2], o); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "\x1b[1;31mfatal:\x1b[0m (VI_1)") {
		t.Errorf("no colour: %q", b.String())
	}
}

func TestJSON(t *testing.T) {
	var got Document
	if err := json.Unmarshal([]byte(render(t, JSON)), &got); err != nil {
		t.Fatal(err)
	}
	if got.StartExitCode != 6 || got.TestExitCode != 6 || len(got.Diagnostics) != 5 {
		t.Errorf("exit codes and number: %+v", got)
	}
	want := Problem{
		Place: Place{"/etc/keepalived/a b.conf", 1, 9}, Severity: "fatal", Code: "no-vrid", Message: "(VI_1) <é> missing", Fix: "write it", Repeated: 2,
		Chain: []Step{{"expanded from", Place{"/etc/keepalived/a b.conf", 2, 1}}, {"included from", Place{"main.conf", 7, 0}}},
	}
	if diff := cmp.Diff(want, got.Diagnostics[1]); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var empty strings.Builder
	if err := Write(&empty, nil, Options{Format: JSON}); err != nil || !strings.Contains(empty.String(), `"diagnostics": []`) {
		t.Errorf("without problems: %v %s", err, &empty)
	}
}

// TestSARIF checks the requirements of the schema of SARIF 2.1.0 for the objects used.
func TestSARIF(t *testing.T) {
	var log any
	if err := json.Unmarshal([]byte(render(t, SARIF)), &log); err != nil {
		t.Fatal(err)
	}
	at := func(v any, path ...any) any {
		for _, step := range path {
			switch key := step.(type) {
			case string:
				m, _ := v.(map[string]any)
				v = m[key]
			case int:
				l, _ := v.([]any)
				if key >= len(l) {
					return nil
				}
				v = l[key]
			}
		}
		return v
	}
	for _, tt := range []struct {
		want any
		path []any
	}{
		{"2.1.0", []any{"version"}},
		{"keepalived", []any{"runs", 0, "tool", "driver", "name"}},
		{"1.2.3", []any{"runs", 0, "tool", "driver", "version"}},
		{"unicodeCodePoints", []any{"runs", 0, "columnKind"}},
		{"no-vrid", []any{"runs", 0, "tool", "driver", "rules", 1, "id"}},
		{nil, []any{"runs", 0, "results", 0, "locations"}},
		{"(VI_1) <é> missing; write it", []any{"runs", 0, "results", 1, "message", "text"}},
		{"error", []any{"runs", 0, "results", 1, "level"}},
		{"warning", []any{"runs", 0, "results", 2, "level"}},
		{"note", []any{"runs", 0, "results", 3, "level"}},
		{"file:///etc/keepalived/a%20b.conf", []any{"runs", 0, "results", 1, "locations", 0, "physicalLocation", "artifactLocation", "uri"}},
		{"main.conf", []any{"runs", 0, "results", 2, "locations", 0, "physicalLocation", "artifactLocation", "uri"}},
		{1.0, []any{"runs", 0, "results", 1, "locations", 0, "physicalLocation", "region", "startLine"}},
		{6.0, []any{"runs", 0, "results", 1, "locations", 0, "physicalLocation", "region", "startColumn"}},
		{nil, []any{"runs", 0, "results", 2, "locations", 0, "physicalLocation", "region", "startColumn"}},
		{nil, []any{"runs", 0, "results", 4, "locations", 0, "physicalLocation", "region"}},
		{"included from", []any{"runs", 0, "results", 1, "relatedLocations", 1, "message", "text"}},
	} {
		if diff := cmp.Diff(tt.want, at(log, tt.path...)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.path, diff)
		}
	}
	rules := at(log, "runs", 0, "tool", "driver", "rules").([]any)
	results := at(log, "runs", 0, "results").([]any)
	for i, r := range results {
		index := int(at(r, "ruleIndex").(float64))
		if index >= len(rules) || at(rules[index], "id") != at(r, "ruleId") {
			t.Errorf("result %d: rule %d is not %v", i, index, at(r, "ruleId"))
		}
	}
}

func TestParseFormat(t *testing.T) {
	for i, name := range Formats {
		if f, err := ParseFormat(name); err != nil || int(f) != i {
			t.Errorf("%s: %v, %v", name, f, err)
		}
	}
	if _, err := ParseFormat("xml"); err == nil || fmt.Sprint(err) != `"xml" is no format of a report; expected text, json, sarif` {
		t.Errorf("xml: %v", err)
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"keepalived-go/conf"
	"keepalived-go/internal/tool/getopt"
)

// documents returns the texts with examples that users copy.
func documents(t *testing.T) map[string]string {
	t.Helper()
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(names) < 5 {
		t.Fatalf("no documents: %v", err)
	}
	texts := make(map[string]string)
	for _, name := range append(names, "../../README.md", "../../CONTRIBUTING.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts
}

var fence = regexp.MustCompile("(?ms)^```[a-z]*\n(.*?)^```")

// TestDocumentedConfigurations reads each example of a configuration.
func TestDocumentedConfigurations(t *testing.T) {
	begins := regexp.MustCompile(`(?m)^(global_defs|vrrp_\w+|track_file|virtual_server|static_\w+|garp_group)\b.*\{`)
	n := 0
	for name, text := range documents(t) {
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			if !begins.MatchString(m[1]) {
				continue
			}
			n++
			// Names that the example does not define are defined in the surrounding text.
			path := filepath.Join(t.TempDir(), "keepalived.conf")
			if err := os.WriteFile(path, []byte(m[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			_, diags := conf.Load(path, conf.Options{})
			for _, d := range diags {
				if d.Severity >= conf.Warning && !elsewhere[d.Code] {
					t.Errorf("%s: %v in\n%s", name, d, m[1])
				}
			}
		}
	}
	if n < 3 {
		t.Errorf("%d examples, want more", n)
	}
}

// elsewhere lists problems that are normal in a part of a configuration.
var elsewhere = map[string]bool{"no-tracker": true, "no-member": true, "no-vrid": true, "unknown-interface": true, "no-address": true, "http-token": true}

var (
	inline   = regexp.MustCompile("`(keepalived [^`]+)`")
	operands = regexp.MustCompile(`^[A-Z][A-Z.|=]*$`)
)

// TestDocumentedCommands parses each command line of keepalived in the documents: its
// verb exists, and so do its flags.
func TestDocumentedCommands(t *testing.T) {
	n := 0
	for name, text := range documents(t) {
		var lines []string
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			for line := range strings.Lines(m[1]) {
				if strings.HasPrefix(line, "keepalived ") {
					line, _, _ = strings.Cut(strings.TrimSpace(line), "  ") // its description
					lines = append(lines, line)
				}
			}
		}
		for _, m := range inline.FindAllStringSubmatch(text, -1) {
			lines = append(lines, strings.Join(strings.Fields(m[1]), " "))
		}
		for _, line := range lines {
			n++
			if err := understand(strings.Fields(line)[1:]); err != nil {
				t.Errorf("%s: %q: %v", name, line, err)
			}
		}
	}
	if n < 20 {
		t.Errorf("%d commands, want more", n)
	}
}

// understand parses a command line without running it.
func understand(args []string) error {
	// [OPTION] may be left out, and … stands for more.
	args = slices.DeleteFunc(args, func(a string) bool { return a == "…" || a == "|" })
	for i := range args {
		args[i] = strings.Trim(args[i], "[]")
	}
	flags, found := newCommandLine().flags(), true
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") && !operands.MatchString(args[0]) {
		found = false
		for _, v := range verbs() {
			if v.name == args[0] {
				found = true
				if v.flags == nil {
					return nil
				}
				flags, args = v.flags(), args[1:]
				break
			}
		}
	}
	if !found {
		return fmt.Errorf("there is no verb %s", args[0])
	}
	for i := range flags { // accept any value: FILE is not a value
		if flags[i].Arg != getopt.None {
			flags[i].Set = func(string) error { return nil }
		}
	}
	_, err := getopt.Parse(flags, args)
	return err
}

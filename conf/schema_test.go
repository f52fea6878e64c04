package conf

import (
	"strings"
	"testing"
)

// sample returns a whole statement with a keyword: its example.
func sample(k *Keyword) string {
	line := k.Example() + "\n"
	if k.block != nil {
		line += "}\n"
	}
	return line
}

// each calls f for every keyword that begins a line, with the text before and after that
// line in a file.
func each(f func(k *Keyword, before, after string)) {
	var walk func(b *block, before, after string)
	walk = func(b *block, before, after string) {
		for _, k := range b.order {
			if k.option || strings.HasPrefix(k.Name, "include") && k.Name != "include_check" {
				continue
			}
			f(k, before, after)
			if k.block != nil {
				open, _, _ := strings.Cut(sample(k), "{")
				walk(k.block, before+open+"{\n", "}\n"+after)
			}
		}
	}
	walk(root(), "", "")
}

// TestSchemaAccepts reads every keyword in its block.
func TestSchemaAccepts(t *testing.T) {
	n := 0
	each(func(k *Keyword, before, after string) {
		n++
		text := before + sample(k) + after
		_, diags := load(t, text, Options{})
		line := strings.Count(before, "\n") + 1
		for _, d := range diags {
			switch d.Code {
			case "unknown-keyword", "entry-word", "bad-number", "out-of-range", "bad-choice", "bad-address", "bad-boolean", "missing-argument", "unexpected-block", "no-block":
				t.Errorf("%s: %v\n%s", k.Path(), d, text)
			case "deprecated":
				if d.Pos.Line == line && k.Successor == "" && k.Name != "global_tracking" {
					t.Errorf("%s is reported as deprecated", k.Path())
				}
			}
			if d.Pos.Line > line+strings.Count(sample(k), "\n")+strings.Count(after, "\n") {
				t.Errorf("%v is outside of the file", d)
			}
		}
	})
	if n < 480 {
		t.Errorf("only %d keywords", n)
	}
}

// TestSchemaComplete checks that each declaration has the texts that the manual needs.
func TestSchemaComplete(t *testing.T) {
	seen := make(map[string]bool)
	n := 0
	for k := range Schema() {
		n++
		id := k.Block + "." + k.Name
		if seen[id] {
			t.Errorf("%s is declared twice", id)
		}
		seen[id] = true
		if k.Doc == "" || strings.HasSuffix(k.Doc, ".") {
			t.Errorf("%s: the meaning %q is empty or ends with a full stop", id, k.Doc)
		}
		if k.args.kind == argNumber && k.Range == "" && k.args.max != 0 {
			t.Errorf("%s has no range", id)
		}
		if k.block != nil && !strings.Contains(k.Args, "{") {
			t.Errorf("%s holds a block, but its arguments are %q", id, k.Args)
		}
	}
	if n < 615 {
		t.Errorf("%d declarations, want at least 615", n)
	}
}

func TestNearest(t *testing.T) {
	instance := root().words["vrrp_instance"].block
	for word, want := range map[string]string{
		"prioriti": "priority", "virtual_ipadress": "virtual_ipaddress", "intreface": "interface",
		"advert_interval": "", "x": "", "nopreemt": "nopreempt", "xyzzyxyzzy": "",
	} {
		if got := nearest(word, instance); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

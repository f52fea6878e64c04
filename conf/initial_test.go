package conf

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestInitial checks the declarations in the schema about words that are not in a file:
// the words that determine the value exist, the text names no other words, and a value is
// valid for the word, or 0.
func TestInitial(t *testing.T) {
	all := Keywords()
	named := regexp.MustCompile(`[a-z]+_[a-z0-9_]+`)
	values, inherited := 0, 0
	for k := range Schema() {
		if k.Inherits() {
			inherited++
			if k.Value != nil || k.Depends || k.Described() {
				t.Errorf("%s takes the value of another word and has one: %+v", k.Path(), k.Initial)
			}
		}
		for _, path := range k.From {
			_, ok := all[path]
			if !ok || path == k.Path() {
				t.Errorf("%s takes the value of %s, which is no other word", k.Path(), path)
			}
		}
		for _, name := range named.FindAllString(k.Default, -1) {
			from := []string{"global_defs." + name, strings.TrimPrefix(k.Block+"."+name, ".")}
			if _, global := all[from[0]]; !global {
				from = from[1:]
			}
			if _, known := all[from[0]]; known && !k.Depends && !slices.ContainsFunc(from, func(p string) bool { return slices.Contains(k.From, p) }) {
				t.Errorf("%s: the default %q names %s, the row does not", k.Path(), k.Default, name)
			}
		}
		if strings.Contains(k.Default, ";") && !k.Depends && !k.Inherits() {
			t.Errorf("%s: the default %q depends on something that the row does not declare", k.Path(), k.Default)
		}
		if k.Value == nil {
			continue
		}
		values++
		var n int64
		switch v := k.Value.(type) {
		case int64:
			n = v
		case time.Duration:
			n = v.Microseconds()
		case string:
			if k.args.kind == argChoice && !slices.Contains(k.Choices(), v) {
				t.Errorf("%s: the default %q is no choice", k.Path(), v)
			}
		}
		switch k.args.kind {
		case argNumber, argSeconds, argMillis, argWeight:
			if n != 0 && (n < k.args.min || n > k.args.max) {
				t.Errorf("%s: the default %v is not in the range %s", k.Path(), k.Value, k.Range)
			}
		case argBool:
			if _, ok := k.Value.(bool); !ok {
				t.Errorf("%s: the default %v of a switch", k.Path(), k.Value)
			}
		}
	}
	if values < 100 || inherited < 100 {
		t.Errorf("%d values and %d words that inherit", values, inherited)
	}
}

package terminal

import (
	"slices"
	"testing"
)

// TestNext checks that the input of a terminal is split into keys.
func TestNext(t *testing.T) {
	for input, want := range map[string][]string{
		"ab":             {"a", "b"},
		"\x1b":           {"\x1b"},
		"\x1b[A\x1bOBx":  {"\x1b[A", "\x1bOB", "x"},
		"\x1b[5~\x1b[6~": {"\x1b[5~", "\x1b[6~"},
		"\x1b[1;5Ag":     {"\x1b[1;5A", "g"},
		"ü\xffz":         {"ü", "\xff", "z"},
		"\x1b[1":         {"\x1b[1"},
		"\x1b\x1b[A":     {"\x1b", "\x1b[A"},
	} {
		var got []string
		for left := input; left != ""; {
			var key string
			key, left = next(left)
			got = append(got, key)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", input, got, want)
		}
	}
}

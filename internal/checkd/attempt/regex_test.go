package attempt

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"keepalived-go/conf/pcre"
)

// find searches text in pieces of n bytes.
func find(r *Regex, text string, n int) bool { return search1(newSearch(r), text, n) }

// stream is find in a body that is too long to be kept.
func stream(r *Regex, text string, n int) bool {
	s := newSearch(r)
	s.stream()
	return search1(s, text, n)
}

func search1(s *search, text string, n int) bool {
	for len(text) > 0 {
		k := min(n, len(text))
		s.feed([]byte(text[:k]))
		text = text[k:]
	}
	return s.good()
}

// TestRegex checks patterns whose matches depend on the surrounding text, and so on the
// pieces in which a text arrives.
func TestRegex(t *testing.T) {
	for _, test := range []struct {
		pattern, options, text string
		want                   bool
	}{
		{"hello", "", "say hello!", true},
		{"hello", "", "say hell", false},
		{"^hello$", "", "hello", true},
		{"^hello$", "", "hello\n", true}, // $ also matches before the last newline
		{"^hello$", "dollar_endonly", "hello\n", false},
		{"^hello$", "", "hello\n\n", false},
		{"^b$", "multiline", "a\nb\nc", true},
		{"^b$", "", "a\nb\nc", false},
		{"(?m)^b$", "", "a\nb\nc", true},
		{"^$", "multiline", "a\n", false}, // no line begins after the last newline
		{"^$", "multiline alt_circumflex", "a\n", true},
		{"^$", "multiline", "a\n\nb", true},
		{"^$", "multiline", "", true},
		{"a.c", "", "a\nc", false},
		{"a.c", "dotall", "a\nc", true},
		{"(?s)a.c", "", "a\nc", true},
		{"(?s:a.)c.", "", "a\nc\n", false},
		{`\bend\Z`, "", "the end\n", true},
		{`\bend\z`, "", "the end\n", false},
		// Bytes from 0x80 are not letters.
		{"\xe9", "", "\xe9", true},
		{"\xe9", "caseless", "\xc9", false},
		{`^..$`, "", "é", true},
		{`^.$`, "utf", "é", true},
		{"É", "utf caseless", "é", true},
		{"b", "firstline", "a\nb", false},
		{"b", "firstline", "ab\n", true},
		{"", "", "", true},
		{"(a|b)*c", "no_auto_capture no_auto_possess no_start_optimize never_utf never_ucp auto_callout", "abc", true},
	} {
		p, err := pcre.Compile(test.pattern, strings.Fields(test.options))
		if err != nil {
			t.Errorf("%q %s: %v", test.pattern, test.options, err)
			continue
		}
		for _, n := range []int{1, 2, 3, 1 << 20} {
			if got := find(&Regex{Pattern: p, MaxOffset: -1}, test.text, n); got != test.want {
				t.Errorf("%q %s in %q, pieces of %d: %v", test.pattern, test.options, test.text, n, got)
			}
			if got := stream(&Regex{Pattern: p, MaxOffset: -1}, test.text, n); got != test.want {
				t.Errorf("%q %s in %q, not kept, pieces of %d: %v", test.pattern, test.options, test.text, n, got)
			}
			if got := find(&Regex{Pattern: p, MaxOffset: -1, NoMatch: true}, test.text, n); got == test.want {
				t.Errorf("%q %s in %q, pieces of %d: not inverted", test.pattern, test.options, test.text, n)
			}
		}
	}
}

func TestRegexOffsets(t *testing.T) {
	for _, test := range []struct {
		pattern  string
		min, max int
		want     bool
	}{ // in "abc abc\nabc", matches at 0, 4, 8
		{"abc", 0, -1, true}, {"abc", 0, 0, true}, {"abc", 1, 3, false}, {"abc", 1, 4, true}, {"abc", 4, 4, true}, {"abc", 5, 7, false},
		{"abc", 8, -1, true}, {"abc", 9, -1, false}, {"abc", 100, -1, false},
		{"^abc", 0, -1, true}, {"^abc", 1, -1, false}, {"(?m)^abc", 1, -1, true}, {"(?m)^abc", 8, 8, true},
		{`\babc`, 4, 4, true}, {`\bbc`, 1, 1, false}, {`\Bbc`, 1, 1, true}, {"bc$", 2, -1, true}, {"", 11, 11, true}, {"", 0, 0, true},
	} {
		r := &Regex{Pattern: must(test.pattern), MinOffset: test.min, MaxOffset: test.max}
		for _, n := range []int{1, 4, 100} {
			if got := find(r, "abc abc\nabc", n); got != test.want {
				t.Errorf("%q from %d to %d, pieces of %d: %v", test.pattern, test.min, test.max, n, got)
			}
			if got := stream(r, "abc abc\nabc", n); got != test.want {
				t.Errorf("%q from %d to %d, not kept, pieces of %d: %v", test.pattern, test.min, test.max, n, got)
			}
		}
	}
}

// TestSearchTakesLinearTime checks patterns for which backtracking takes exponential
// time.
func TestSearchTakesLinearTime(t *testing.T) {
	if find(&Regex{Pattern: must(`^(a+)+$`), MaxOffset: -1}, strings.Repeat("a", 2*keepMost)+"b", 4096) {
		t.Error("found")
	}
}

// FuzzRegexPieces compares the matches in a text that arrives at once with those in
// pieces.
func FuzzRegexPieces(f *testing.F) {
	f.Add(`a+b|^c$`, "xaab", 3, 1, -1, uint8(0))
	f.Add(`(?m)^\w+$`, "a\nb\n", 1, 0, 2, uint8(3))
	f.Add(`[\x80-é]`, "é", 1, 0, -1, uint8(1))
	options := []string{"utf", "multiline", "caseless", "extended", "dotall", "firstline", "ungreedy", "dollar_endonly"}
	f.Fuzz(func(t *testing.T, pattern, text string, n, from, to int, set uint8) {
		if len(pattern) > 200 || len(text) > 2000 {
			return
		}
		var on []string
		for i, o := range options {
			if set&(1<<i) != 0 {
				on = append(on, o)
			}
		}
		p, err := pcre.Compile(pattern, on)
		if err != nil {
			var re *pcre.Error
			if !errors.As(err, &re) || re.Column < 0 || re.Column > len(pattern)+1 {
				t.Fatalf("%q: %v", pattern, err)
			}
			return
		}
		r := &Regex{Pattern: p, MinOffset: max(0, from), MaxOffset: max(-1, to)}
		whole := find(r, text, len(text)+1)
		if pieces := stream(r, text, max(1, n)); pieces != whole {
			t.Fatalf("%q %v in %q, pieces of %d: %v, whole %v", pattern, on, text, n, pieces, whole)
		}
	})
}

func BenchmarkSearch(b *testing.B) {
	text := make([]byte, 16<<10)
	for i := range text {
		text[i] = byte(rand.IntN(90) + ' ')
	}
	r := &Regex{Pattern: must(`status:\s+(ok|good)\b`), MaxOffset: -1}
	b.SetBytes(int64(len(text)))
	b.Run("kept", func(b *testing.B) {
		for b.Loop() {
			s := newSearch(r)
			s.feed(text)
			s.good()
		}
	})
	b.Run("stream", func(b *testing.B) {
		s := newSearch(r)
		s.stream()
		defer s.close()
		for b.Loop() {
			s.feed(text)
		}
	})
}

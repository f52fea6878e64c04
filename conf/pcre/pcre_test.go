package pcre

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

func TestRefused(t *testing.T) {
	for _, test := range []struct {
		pattern, options string
		column           int
		construct        string
	}{
		{`a(?=b)`, "", 2, "(?="}, {`a(?!b)`, "", 2, "(?!"}, {`(?<=a)b`, "", 1, "(?<="}, {`x(?<!a)b`, "", 2, "(?<!"},
		{`(?>a)`, "", 1, "(?>"}, {`ab++`, "", 3, "++"}, {`ab*+`, "", 3, "*+"}, {`a?+`, "", 2, "?+"}, {`a{2}+`, "", 2, "{2}+"},
		{`(a)\1`, "", 4, `\1`}, {`(?<n>a)\k<n>`, "", 8, `\k`}, {`(a)\g1`, "", 4, `\g`}, {`(?P<n>a)(?P=n)`, "", 9, "(?P="},
		{`(?R)`, "", 1, "(?R"}, {`(a)(?1)`, "", 4, "(?1"}, {`(a)(?-1)`, "", 4, "(?-"}, {`(?&n)`, "", 1, "(?&"}, {`(?P>n)`, "", 1, "(?P>"},
		{`(?(1)a)`, "", 1, "(?("}, {`(?|a|b)`, "", 1, "(?|"}, {`(?C1)`, "", 1, "(?C"}, {`(*UTF8)a`, "", 1, "(*"},
		{`a\K`, "", 2, `\K`}, {`\R`, "", 1, `\R`}, {`\X`, "", 1, `\X`}, {`\C`, "", 1, `\C`}, {`\G`, "", 1, `\G`}, {`\pL`, "", 1, `\p`},
		{`\p{Nonsense}`, "utf", 1, `\p{Nonsense}`}, {`\y`, "", 1, `\y`}, {`\`, "", 1, `\`}, {`\x{100}`, "", 1, `\x{100}`}, {`\x{41`, "", 1, `\x{41`},
		{`(a`, "", 3, "the end"}, {`a)`, "", 2, ")"}, {`[a`, "", 1, "[a"}, {`[z-a]`, "", 2, "z-a"}, {`[a-\d]`, "", 3, `-\d`}, {`[[:nope:]]`, "", 2, "[:nope:]"},
		{`[[.a.]]`, "", 2, "[.a.]"}, {`a{1001}`, "", 2, "{1001}"}, {`a{3,2}`, "", 2, "{3,2}"}, {`(?<a>x)(?<a>y)`, "", 8, "(?<a>"}, {`(?xx)`, "", 1, "(?xx"}, {`(?^)A`, "", 1, "(?^"}, {`\81`, "", 1, `\81`},
		{`ab**`, "", 4, "**"}, {`*a`, "", 1, "*"}, {`a|*`, "", 3, "*"}, {`((x{1000}){1000})`, "", 4, "{1000}"},
		{`a`, "ucp", 0, "ucp"}, {`a`, "alt_bsux", 0, "alt_bsux"}, {`a`, "nonsense", 0, "nonsense"},
		{strings.Repeat("a", mostPattern+1), "", mostPattern + 1, "the rest"},
	} {
		name := test.pattern[:min(20, len(test.pattern))]
		p, err := Compile(test.pattern, strings.Fields(test.options))
		var re *Error
		if p != nil || !errors.As(err, &re) {
			t.Errorf("%q: accepted", name)
			continue
		}
		if re.Column != test.column && !(test.construct == "**" && re.Column == 3) || test.construct != "" && re.Construct != test.construct {
			t.Errorf("%q: column %d, %q, want %d, %q: %v", name, re.Column, re.Construct, test.column, test.construct, err)
		}
		if re.Message == "" {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// find returns the first match of a pattern in a text, in the characters of the pattern.
func find(p *Pattern, text string) (found string, ok bool) {
	if !p.UTF {
		var b strings.Builder
		for i := range len(text) {
			b.WriteRune(Byte(text[i]))
		}
		text = b.String()
	}
	at := p.Anywhere.FindStringIndex(text)
	if at == nil || p.FirstLine && strings.Contains(text[:at[0]], "\n") {
		return "", false
	}
	return text[at[0]:at[1]], true
}

// TestMeaning checks that the matches are those of PCRE2, character by character.
func TestMeaning(t *testing.T) {
	for _, test := range []struct {
		pattern, options, text string
		want                   bool
	}{
		{"^hello$", "", "hello\n", true}, // $ is also before the last newline
		{"^hello$", "dollar_endonly", "hello\n", false},
		{"^b$", "multiline", "a\nb\nc", true},
		{"(?m)^b$", "", "a\nb\nc", true},
		{"a.c", "dotall", "a\nc", true},
		{"(?s:a.)c.", "", "a\nc\n", false},
		{"b", "firstline", "a\nb", false},
		{`\bend\Z`, "", "the end\n", true},
		{`\Aend\B`, "", "ends", true},
		{"\xe9", "", "\xe9", true},
		{"HELLO", "caseless", "Hello", true},
		{"(?i)HE(?-i)LLO", "", "heLLO", true},
		{"(?i)HE(?-i)LLO", "", "hello", false},
		{"a b # c", "extended", "ab", true},
		{"a b # c", "", "a b # c", true},
		{"(?x) a \\  [ ] b # end\n c", "", "a  bc", true},
		{"a(?#comment)b", "", "ab", true},
		{`\Qa.b\E+`, "", "a.bbb", true},
		{`\Qa.b`, "", "axb", false},
		{`\d{3}`, "", "ab123", true},
		{`x{2,3}y`, "", "xxxy", true},
		{`x{,3}`, "", "x{,3}", true},
		{`{a}`, "", "{a}", true},
		{`x{`, "", "x{", true},
		{`a|b\|c`, "", "b|c", true},
		{`\x41\x{42}\103`, "", "ABC", true},
		{`\cA\e\a\0`, "", "\x01\x1b\x07\x00", true},
		{`[\b]`, "", "\b", true},
		{`[]a]+`, "", "]", true},
		{`[^]a]`, "", "]a", false},
		{`[a-c-]`, "", "-", true},
		{`[[:alpha:]][[:^digit:]]`, "", "ab", true},
		{`[\s]x[\S]`, "", "\vxa", true},
		{`[^\s]`, "", " \v\n", false},
		{`\s`, "", "\v", true},
		{`\h\H\v\V`, "", "\ta\nb", true},
		{`[\Qa-z\E]`, "", "b", false},
		{`[\Qa-z\E]`, "", "-", true},
		{`\N`, "", "\n", false},
		{`(?<year>\d+)-(?'m'\d+)-(?P<d>\d+)`, "", "2026-11-28", true},
		{`a*?b`, "", "aab", true},
		{`a*b`, "ungreedy", "aab", true},
		{`[\x80-\xff]`, "", "\xa5", true},
		{`[a-\xff]`, "", "\xa5", true},
		{`[^\x80-\xff]`, "", "\xa5", false},
		{`\W`, "", "\xe9", true},
		{`\x{e9}`, "utf", "é", true},
		{`\p{Lu}\PL`, "utf", "É1", true},
		{"[]", "allow_empty_class", "x", false},
		{"[^]", "allow_empty_class", "\n", true},
		{`[\H]`, "", " \t", false},
		{`[\V\d]`, "", "\n1", true},
		{`[^\v]`, "", "\r\n", false},
		{`\h`, "utf", "\u2003", true},
		{`\v`, "utf", "\u2028", true},
		{`[\h]`, "utf", "x\u3000", true},
		{`[\p{Greek}]`, "utf", "α", true},
		{`[^\P{L}]`, "utf", "1", false},
		{`[[:^space:]]`, "", "\v\n", false},
		{`[[:word:]]`, "", "_", true},
		{`[\x41-\x43]`, "", "B", true},
		{`[\101\cA\e]`, "", "\x1b", true},
		{`[\w.-]+@`, "", "a.b-c@", true},
		{`\o{101}`, "", "A", true},
		{`(?:a|b)+?c`, "", "abac", true},
		{`(?ims-x:A.)^b`, "", "a\nb", false},
		{`(?-i)A`, "caseless", "a", false},
		{`(?U)a+`, "", "aa", true},
		{`(?x)a b`, "", "ab", true},
		{`a\Eb`, "", "ab", true},
	} {
		p, err := Compile(test.pattern, strings.Fields(test.options))
		if err != nil {
			t.Errorf("%q %s: %v", test.pattern, test.options, err)
			continue
		}
		if got, ok := find(p, test.text); ok != test.want {
			t.Errorf("%q %s in %q: %v %q", test.pattern, test.options, test.text, ok, got)
		}
	}
}

func ExampleCompile() {
	_, err := Compile(`status: (?!down)`, nil)
	fmt.Println(err)
	// Output: column 9 of the regex, (?!: look-ahead is not supported
}

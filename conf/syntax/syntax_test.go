package syntax

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// flat returns statements one per line, with blocks indented.
func flat(list []*Statement, indent string) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(indent)
		for i, w := range s.Words {
			if i > 0 {
				b.WriteByte(' ')
			}
			if w.Quoted {
				b.WriteString(`"` + w.Text + `"`)
			} else {
				b.WriteString(w.Text)
			}
		}
		if s.HasBlock {
			b.WriteString(" {")
		}
		b.WriteByte('\n')
		b.WriteString(flat(s.Block, indent+"  "))
		if s.HasBlock {
			b.WriteString(indent + "}\n")
		}
	}
	return b.String()
}

func TestExpansion(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"comments and quotes", "a b#c\nd \"e # f\" ! g\nh i\\#j \\!\n", "a b\nd \"e # f\"\nh i#j !\n"},
		{"a quote is a word of its own", `a"b c"d` + "\n\"\" x\n", "a \"b c\" d\n\"\" x\n"},
		{"braces split lines", "a { b c\nd { e } f }\ng{h\n}\n", "a {\n  b c\n  d {\n    e\n  }\n  f\n}\ng {\n  h\n}\n"},
		{"a brace on the next line", "a b\n\n# c\n{\nd\n}\n", "a b {\n  d\n}\n"},
		{"braces in quotes", "a \"{ b }\"\n", "a \"{ b }\"\n"},
		{"a parameter", "$A=1\nx $A ${A}2 $A,$A)\n", "x 1 12 1,1)\n"},
		{"a bare parameter needs an end", "$A=1\nx 10.$A/24 $A.\n", "x 10.$A/24 $A.\n"},
		{"unknown parameters stay", "x $B \"${B}\"\n", "x $B \"${B}\"\n"},
		{"names that begin alike", "$i=1\n$id=2\nx ${i} ${id} $i $id\n", "x 1 2 1 2\n"},
		{"values are expanded when used", "$A=${B}\n$B=1\nx ${A}\n$B=2\nx ${A}\n", "x 1\nx 2\n"},
		{"no blank before the sign", "$A =1\nx $A\n", "$A =1\nx $A\n"},
		{"an empty value", "$A=\nx ${A}y\n$A\nz\n", "x y\nz\n"},
		{"several lines", "$A=\\\n  b \\\n\\\n  c ${N} \\\n  d\n$N=1\n$A\n$N=2\nx $A\n", "b\nc 1\nd\nx b\nc 2\nd\n"},
		{"lines within lines", "$I=\\\n  p ${N} \\\n  $N=9 \\\n  p ${N}\n$O=\\\n  o \\\n  $I \\\n  e\n$N=1\n$O\n", "o\np 1\np 9\ne\n"},
		{"predefined", "x ${_INSTANCE} ${_HASH} ${_BANG} ${_ENV HOME}\n", "x node1 # ! env-HOME\n"},
		{"predefined may be overridden", "$_INSTANCE=mine\nx ${_INSTANCE}\n", "x mine\n"},
		{"random with one number", "x ${_RANDOM 7 7}\n", "x 7\n"},
		{"conditions", "@node1 a\n@node2 b\n@^node1 c\n@^node2 d\n@node1 @^node2 e\n@\n@ f\n", "a\nd\ne\n"},
		{"conditions on definitions", "@node1 $A=1\n@node2 $A=2\n@node2 $B=\\\n x \\\n y\nz $A\n", "z 1\n"},
		{"a condition from a parameter", "$IF=@node2\n$IF a\n$NOT=@node1\n$NOT b\n", "b\n"},
		{"a condition on a brace", "a {\n@node2 b\n@node1 }\nc\n", "a {\n}\nc\n"},
		{"counting", "~SEQ(N, 3) a $N\n", "a 1\na 2\na 3\n"},
		{"counting down", "~SEQ(N, -2) a $N\n~SEQ(N,2,1) b $N\n", "a -1\na -2\nb 2\nb 1\n"},
		{"counting in steps", "~SEQ(N, 0, 5, 12) a $N\n~SEQ(N, 010, -4, 0) b $N\n", "a 0\na 5\na 10\nb 8\nb 4\nb 0\n"},
		{"counting in hexadecimal", "~SEQx(N, 0x9, 0xb) a ${N}\n", "a 9\na a\na b\n"},
		{"the rightmost varies fastest", "~SEQ(A,1,2) ~SEQ(B,1,2) x $A$B ${A}${B}\n", "x $A1 11\nx $A2 12\nx $A1 21\nx $A2 22\n"},
		{"arguments from parameters", "$E=2\n~SEQ(N,${E}) a $N\n", "a 1\na 2\n"},
		{"a list", "~LST(N, x, y) a ${N}\n", "a x\na y\n"},
		{"a list of tuples", "~LST({A, B}, {1, 2}, {3}) a ${A}-${B}\n", "a 1-2\na 3-\n"},
		{"list and sequence", "~LST({A,B},{10,1},{20,4}) ~SEQ(C,168,2,170) 192.${C}.${A}.${B}\n", "192.168.10.1\n192.170.10.1\n192.168.20.4\n192.170.20.4\n"},
		{"a sequence of lines", "$V=\\\n a ${N} { \\\n ~SEQ(M,1,2) m ${N}.${M} \\\n }\n~SEQ(N,1,2) $V\n", "a 1 {\n  m 1.1\n  m 1.2\n}\na 2 {\n  m 2.1\n  m 2.2\n}\n"},
		{"a definition of a sequence", "$L=~SEQ(N,1,2)\n$L a $N\n", "a 1\na 2\n"},
		{"line ends", "a b\r\n\tc\fd  \r\n e", "a b\nc d\ne\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "keepalived.conf")
			if err := os.WriteFile(path, []byte(test.in), 0o600); err != nil {
				t.Fatal(err)
			}
			tree, diags := Parse(path, Options{
				ConfigID: "node1",
				Env:      func(name string) (string, bool) { return "env-" + name, true },
			})
			if diags.Count(Warning) > 0 {
				t.Errorf("problems:\n%s", list(diags))
			}
			if diff := cmp.Diff(test.want, flat(tree, "")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestShellWords(t *testing.T) {
	tests := []struct {
		in   string
		want []string
	}{
		{`/bin/x a  b`, []string{"/bin/x", "a", "b"}},
		{`"/bin/x y" 'a "b"' c"d e"f`, []string{"/bin/x y", `a "b"`, "cd ef"}},
		{`"a\tb\n" \x41\101\q \cA`, []string{"a\tb\n", "AAq", "\x01"}},
		{`''`, []string{""}},
		{`  `, nil},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, ShellWords(test.in)); diff != "" {
			t.Errorf("ShellWords(%q) (-want +got):\n%s", test.in, diff)
		}
	}
}

func TestBraces(t *testing.T) {
	tests := []struct {
		in   string
		want []string
	}{
		{"a{b,c}d", []string{"abd", "acd"}},
		{"{a,{b,c}}", []string{"a", "b", "c"}},
		{"{a,b}{c,d}", []string{"ac", "ad", "bc", "bd"}},
		{"a{b", []string{"a{b"}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, braces(test.in)); diff != "" {
			t.Errorf("braces(%q) (-want +got):\n%s", test.in, diff)
		}
	}
}

// list returns problems one per line.
func list(diags Diagnostics) string {
	var b strings.Builder
	for _, d := range diags {
		b.WriteString(d.Code + " " + d.String() + "\n")
	}
	return b.String()
}

// few is a vocabulary: for each word, the words of its block.
type few map[string]few

func (f few) Knows(word string) bool { _, ok := f[word]; return ok }

func (f few) Block(word string) Vocabulary {
	if f[word] == nil {
		return nil
	}
	return f[word]
}

func (few) SetsChecks(word string) bool    { return word == "demand" }
func (few) SeedsRandom(word string) bool   { return word == "seed" }
func (few) LacksValue(words []string) bool { return words[len(words)-1] == "password" }

// TestRandomSeed checks that the numbers after a seed are the same each time, and others
// after another seed; a wrong seed changes nothing, nor does a word that the vocabulary
// does not have.
func TestRandomSeed(t *testing.T) {
	read := func(text string, words Vocabulary) string {
		path := filepath.Join(t.TempDir(), "a.conf")
		if err := os.WriteFile(path, []byte(text+"x ${_RANDOM} ${_RANDOM}\nx ${_RANDOM}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		tree, diags := Parse(path, Options{Vocabulary: words})
		if len(diags) > 0 {
			t.Fatal(diags)
		}
		return flat(tree[len(tree)-2:], "")
	}
	seven := read("seed 7\n", few{})
	for _, text := range []string{"seed 7\n", "seed 0x7\n", "$S=7\nseed $S\n", "seed 8\nx ${_RANDOM}\nseed 7\n", "block {\n seed 7\n}\n", "seed 7\nseed\nseed x\nseed -1\n"} {
		if got := read(text, few{"block": {}}); got != seven {
			t.Errorf("%q: %q, with the seed 7 %q", text, got, seven)
		}
	}
	for _, other := range []string{read("seed 8\n", few{}), read("seed 4294967296\n", few{}), read("", few{}), read("seed 7\n", nil)} {
		if other == seven {
			t.Error("the same numbers without the seed")
		}
	}
}

// TestVocabulary reads text whose syntax depends on the words, with a vocabulary and
// without.
func TestVocabulary(t *testing.T) {
	known := few{"outer": {"inner": {"leaf": nil}, "flat": nil}, "other": {}}
	tests := []struct{ name, text, with, without string }{
		{"one brace too many", "outer {\n}\nflat 1\n}\nother {\n}\n",
			"2 extra-brace: outer {\n  flat 1\n}\nother {\n}\n", "4 extra-brace: outer {\n}\nflat 1\nother {\n}\n"},
		{"a brace is missing", "outer {\ninner {\nleaf\nflat 1\n}\nother {\n}\n",
			"2 missing-brace: outer {\n  inner {\n    leaf\n  }\n  flat 1\n}\nother {\n}\n",
			"1 missing-brace: outer {\n  inner {\n    leaf\n    flat 1\n  }\n  other {\n  }\n}\n"},
		{"two are missing", "outer {\ninner {\nleaf\nother {\n}\n",
			"1 missing-brace: 2 missing-brace: outer {\n  inner {\n    leaf\n  }\n}\nother {\n}\n",
			"2 missing-brace: outer {\n  inner {\n    leaf\n    other {\n    }\n  }\n}\n"},
		{"checks of include lines", "demand\ninclude none.conf\n", "2 include-missing: demand\n", "2 include-nothing: demand\n"},
		{"a word that begins alike", "demanding\ninclude none.conf\n", "2 include-nothing: demanding\n", "2 include-nothing: demanding\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "a.conf")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				words Vocabulary
				want  string
			}{{known, test.with}, {nil, test.without}} {
				tree, diags := Parse(path, Options{Vocabulary: c.words})
				got := ""
				for _, d := range diags {
					got += fmt.Sprintf("%d %s: ", d.Pos.Line, d.Code)
				}
				if diff := cmp.Diff(c.want, got+flat(tree, "")); diff != "" {
					t.Errorf("vocabulary %v (-want +got):\n%s", c.words, diff)
				}
			}
		})
	}
}

// TestMayBeValue checks the mark on the statement after a definition that ends too early.
func TestMayBeValue(t *testing.T) {
	for text, want := range map[string]bool{
		"$A=\nsesame\n":  true,
		"$A=x\nsesame\n": false,
		"$A=\\\n user me \\\n password\nsesame\n": true,
		"$A=\\\n password \\\n user me\nsesame\n": false,
	} {
		tree, _ := ParseText("a.conf", text, Options{Vocabulary: few{}})
		if len(tree) != 1 || tree[0].MayBeValue() != want {
			t.Errorf("%q: %v, want one statement with %t", text, tree, want)
		}
	}
}

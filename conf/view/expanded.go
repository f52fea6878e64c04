package view

import (
	"fmt"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/conf/syntax"
)

// Expanded is the configuration that the statements make up, as one file that
// includes nothing and defines nothing: each line as the daemon reads it, with a
// comment where another file begins. Read again, it means the same, except that
// secrets are stars. The error names a statement that cannot be written so: one
// longer than a line may be, or with a line break inside quotes.
func Expanded(tree []*conf.Statement) (string, error) {
	_, shown, err := Texts(tree)
	return shown, err
}

// Texts returns also the same with the secrets: who reads it again gets the same
// configuration.
func Texts(tree []*conf.Statement) (whole, shown string, err error) {
	w := expander{plain: make(map[string]bool)}
	whole = w.text(tree)
	read, same := 0, 0
	o := syntax.Options{Unsaved: func(string) (string, bool) { return whole, true }, Vocabulary: conf.Vocabulary()}
	syntax.Read("", o, &syntax.Collector{}, func(s *conf.Statement) {
		if same == read && read < len(tree) && tree[read].Same(s) {
			same++
		}
		read++
	})
	if same < len(tree) {
		return "", "", fmt.Errorf("%v: a statement in the block that begins here cannot be written on its own line", tree[same].Pos(0))
	}
	w.secrets = conf.Secrets(tree)
	return whole, w.text(tree), nil
}

// expander writes statements.
type expander struct {
	strings.Builder
	file    string
	inside  string // keyword of the block
	secrets map[*conf.Statement]conf.Cut
	plain   map[string]bool // by keywords met: that begins a statement, and nothing else
}

func (w *expander) text(tree []*conf.Statement) string {
	w.Builder, w.file = strings.Builder{}, ""
	w.block(tree, 0)
	return w.String()
}

func (w *expander) block(list []*conf.Statement, depth int) {
	in := strings.Repeat("    ", depth)
	for _, s := range list {
		if file := s.Pos(0).File; file != w.file {
			w.file = file
			fmt.Fprintf(w, "%s# %s\n", in, printable(file))
		}
		w.WriteString(in)
		if cut, ok := w.secrets[s]; ok {
			w.WriteString(w.masked(s, cut, stars(w.inside)))
		} else if w.WriteString(w.keyword(s)); s.Rest() != "" {
			if rest := rest(s); rest != "" {
				w.WriteByte(' ')
				w.WriteString(rest)
			}
		}
		if s.HasBlock {
			w.WriteString(" {\n")
			outer := w.inside
			w.inside = s.Keyword()
			w.block(s.Block, depth+1)
			w.inside = outer
			w.WriteString(in + "}")
		}
		w.WriteString("\n")
	}
}

// keyword is the first word, in quotes where it would begin something else than
// a statement.
func (w *expander) keyword(s *conf.Statement) string {
	word := s.Keyword()
	plain, met := w.plain[word]
	if !met {
		lines := syntax.SourceLines(word + " x")
		plain = len(lines) == 1 && lines[0].Kind == syntax.StatementLine && lines[0].Lead == nil && lines[0].Comment == ""
		w.plain[word] = plain
	}
	if s.Words[0].Quoted || !plain {
		return `"` + word + `"`
	}
	return word
}

// rest is what follows the keyword. What would begin a comment gets its
// backslash back.
func rest(s *conf.Statement) string {
	var b strings.Builder
	quoted := false
	for _, c := range []byte(strings.Trim(s.Rest(), " \t\n\v\f\r")) {
		switch {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '#' || c == '!':
			b.WriteByte('\\')
		case c == '\n' || c == '\r':
			c = ' '
		}
		b.WriteByte(c)
	}
	return b.String()
}

// stars is a secret of a block as everyone may see it. It is as long as the shortest key
// of auth_hmac, or as a password of VRRP and a key of BFD may be, so that what is
// masked can still be read as a configuration.
func stars(block string) string {
	if block == "authentication" {
		return strings.Repeat("*", 8)
	}
	return strings.Repeat("*", 32)
}

// comments gives what would begin a comment its backslash back.
var comments = strings.NewReplacer("#", `\#`, "!", `\!`)

// masked are the words of a statement, and hidden from where a secret begins.
func (w *expander) masked(s *conf.Statement, cut conf.Cut, hidden string) string {
	var b strings.Builder
	for i, word := range s.Words[:cut.Word] {
		switch {
		case i == 0:
			b.WriteString(w.keyword(s))
		case word.Quoted:
			b.WriteString(`"` + word.Text + `"`)
		default:
			b.WriteString(comments.Replace(word.Text))
		}
		b.WriteByte(' ')
	}
	return b.String() + s.Words[cut.Word].Text[:cut.Byte] + hidden
}

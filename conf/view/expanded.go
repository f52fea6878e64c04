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
	if _, err := Whole(tree); err != nil {
		return "", err
	}
	w := expander{secrets: conf.Secrets(tree)}
	w.block(tree, 0)
	return w.String(), nil
}

// Whole is Expanded with the secrets: who reads it again gets the same configuration.
func Whole(tree []*conf.Statement) (string, error) {
	w := expander{}
	w.block(tree, 0)
	again, _ := conf.Parse("", conf.Options{Unsaved: func(string) (string, bool) { return w.String(), true }})
	for i, s := range tree {
		if i >= len(again) || !s.Same(again[i]) {
			return "", fmt.Errorf("%v: a statement in the block that begins here cannot be written on its own line", s.Pos(0))
		}
	}
	return w.String(), nil
}

// expander writes statements.
type expander struct {
	strings.Builder
	file    string
	inside  string // keyword of the block
	secrets map[*conf.Statement]conf.Cut
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
			w.WriteString(masked(s, cut, stars(w.inside)))
		} else if w.WriteString(keyword(s)); s.Rest() != "" {
			if rest := rest(s); rest != "" {
				w.WriteString(" " + rest)
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
func keyword(s *conf.Statement) string {
	word := s.Keyword()
	lines := syntax.SourceLines(word + " x")
	plain := len(lines) == 1 && lines[0].Kind == syntax.StatementLine && lines[0].Lead == nil && lines[0].Comment == ""
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
func masked(s *conf.Statement, cut conf.Cut, hidden string) string {
	var b strings.Builder
	for i, w := range s.Words[:cut.Word] {
		switch {
		case i == 0:
			b.WriteString(keyword(s))
		case w.Quoted:
			b.WriteString(`"` + w.Text + `"`)
		default:
			b.WriteString(comments.Replace(w.Text))
		}
		b.WriteByte(' ')
	}
	return b.String() + s.Words[cut.Word].Text[:cut.Byte] + hidden
}

package view

import (
	"fmt"
	"strings"

	"keepalived-go/conf"
)

// Expanded is the configuration that the statements make up, as one file that
// includes nothing and defines nothing: each line as the daemon reads it, with a
// comment where another file begins. Read again, it says the same, except that
// secrets are stars. The error names a statement that cannot be written so: one
// longer than a line may be, or with a line break inside quotes.
func Expanded(tree []*conf.Statement) (string, error) {
	w := expander{clear: true}
	w.block("", tree, 0)
	again, _ := conf.Parse("", conf.Options{Unsaved: func(string) (string, bool) { return w.String(), true }})
	for i, s := range tree {
		if i >= len(again) || !s.Same(again[i]) {
			return "", fmt.Errorf("%v: a statement in the block that begins here cannot be written on a line of its own", s.Pos(0))
		}
	}
	w = expander{}
	w.block("", tree, 0)
	return w.String(), nil
}

// expander writes statements.
type expander struct {
	strings.Builder
	file  string
	clear bool // secrets are written, for the comparison
}

func (w *expander) block(path string, list []*conf.Statement, depth int) {
	in := strings.Repeat("    ", depth)
	for _, s := range list {
		if file := s.Pos(0).File; file != w.file {
			w.file = file
			fmt.Fprintf(w, "%s# %s\n", in, printable(file))
		}
		w.WriteString(in + keyword(s))
		if rest := w.rest(path, s); rest != "" {
			w.WriteString(" " + rest)
		}
		if s.HasBlock {
			w.WriteString(" {\n")
			w.block(join(path, s.Keyword()), s.Block, depth+1)
			w.WriteString(in + "}")
		}
		w.WriteString("\n")
	}
}

// keyword is the first word, in quotes where it would begin something else than
// a statement.
func keyword(s *conf.Statement) string {
	word := s.Keyword()
	lines := conf.SourceLines(word + " x")
	plain := len(lines) == 1 && lines[0].Kind == conf.StatementLine && lines[0].Lead == nil && lines[0].Comment == ""
	if s.Words[0].Quoted || !plain {
		return `"` + word + `"`
	}
	return word
}

// rest is what follows the keyword. What would begin a comment gets its
// backslash back.
func (w *expander) rest(path string, s *conf.Statement) string {
	if !w.clear {
		if masked := mask(path, s); masked != "" {
			return masked
		}
	}
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

// stars is a secret as everyone may see it. It is as long as the shortest key of
// auth_hmac, so that what is masked can still be read as a configuration.
const stars = "********************************"

// mask is the arguments of a statement with stars for its secret; "" if it has
// none. Words that nobody knows are secrets in a block that holds some: they may
// be misspelt.
func mask(path string, s *conf.Statement) string {
	secrets := secretsOf(path)
	if len(secrets) == 0 || len(s.Words) < 2 {
		return ""
	}
	from := len(s.Words)
	switch _, known := keywords()[join(path, s.Keyword())]; {
	case !known:
		from = 1
	case secrets[s.Keyword()]:
		// The number of a key and the name of a user are none.
		from = min(2, len(s.Words)-1)
	}
	for i, word := range s.Words[1:from] {
		if secrets[word.Text] {
			from = i + 2 // a block on one line: all its words are arguments of the first
			break
		}
	}
	if from >= len(s.Words) {
		return ""
	}
	var words []string
	for _, w := range s.Words[1:from] {
		words = append(words, w.Text)
	}
	hidden := stars
	if s.Keyword() == "auth_pass" {
		hidden = stars[:8]
	}
	return strings.Join(append(words, hidden), " ")
}

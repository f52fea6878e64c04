package syntax

import "strings"

// LineKind is the kind of a line of a file.
type LineKind uint8

const (
	// BlankLine holds nothing, or a comment.
	BlankLine LineKind = iota
	// StatementLine holds words and braces.
	StatementLine
	// IncludeLine names files.
	IncludeLine
	// DefinitionLine begins with $NAME=.
	DefinitionLine
	// ContinuationLine belongs to the definition above it, even if it is empty.
	ContinuationLine
)

// SourceLine is a line of a file as written, before anything in it is replaced.
type SourceLine struct {
	Kind LineKind
	// Lead are the @conditions and ~sequences that the line begins with.
	Lead []string
	// Text is what follows them, without the comment and the outer blanks.
	Text    string
	Gap     string // the blanks before the comment
	Comment string // with its # or !; empty: none
}

// SourceLines takes the text of a file apart as the parser does, for programs
// that change how a file is written and not what it means.
func SourceLines(text string) []SourceLine {
	text = strings.TrimPrefix(text, "\ufeff")
	var lines []SourceLine
	continued := false
	for raw := range strings.Lines(text) {
		raw = strings.TrimRight(raw, "\r\n")
		at, _, _ := commentAt(raw)
		l := SourceLine{Comment: strings.TrimRight(raw[at:], Blanks)}
		l.Text = strings.TrimRight(raw[:at], Blanks)
		l.Gap = raw[len(l.Text):at]
		l.Text = strings.TrimLeft(l.Text, Blanks)
		if continued {
			l.Kind = ContinuationLine
		} else {
			l.classify()
		}
		continued = l.Kind >= DefinitionLine && strings.HasSuffix(l.Text, `\`)
		lines = append(lines, l)
	}
	return lines
}

// classify takes the lead off and finds the kind of what follows it.
func (l *SourceLine) classify() {
	for n := LeadLen(l.Text); n > 0; n = LeadLen(l.Text) {
		l.Lead = append(l.Lead, l.Text[:n])
		l.Text = strings.TrimLeft(l.Text[n:], Blanks)
	}
	if l.Text == "" {
		if l.Lead != nil {
			l.Kind = StatementLine
		}
		return
	}
	l.Kind = StatementLine
	if _, _, ok := Definition(l.Text); ok {
		l.Kind = DefinitionLine
	} else if word, _ := includeLine(l.Text); word != "" {
		l.Kind = IncludeLine
	}
}

// LeadLen is the length of the @condition or ~sequence at the beginning of s.
func LeadLen(s string) int {
	switch {
	case strings.HasPrefix(s, "@"):
		if end := strings.IndexAny(s, Blanks); end > 0 {
			return end
		}
		return len(s)
	case strings.HasPrefix(s, "~SEQ"), strings.HasPrefix(s, "~LST"):
		open, closing := strings.IndexByte(s, '('), strings.IndexByte(s, ')')
		if open > 0 && closing > open {
			return closing + 1
		}
		return len(s)
	}
	return 0
}

// Pieces is the Text cut before and after each brace that begins or ends a
// block. Those of quotes and of ${NAME} stay in their piece.
func (l *SourceLine) Pieces() []string {
	s := l.Text
	var out []string
	start, quoted := 0, false
	cut := func(to int) {
		if to > start {
			out = append(out, s[start:to])
		}
		start = to
	}
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			quoted = !quoted
		case '$':
			if _, _, n := Parameter(s[i:]); n > 0 {
				i += n - 1
			}
		case '{', '}':
			if !quoted {
				cut(i)
				cut(i + 1)
			}
		}
	}
	cut(len(s))
	return out
}

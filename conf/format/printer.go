package format

import (
	"slices"
	"strings"

	"keepalived-go/conf/syntax"
)

// printer collects the lines of the result.
type printer struct {
	lines []string
	depth int // blocks that are open
	body  int // blocks that are open in the definition being printed

	// last is the line with text before this one: how far it stood in, how it
	// changed the depth, and its condition.
	last struct {
		depth, change int
		condition     string
	}
}

func (p *printer) text() string {
	for len(p.lines) > 0 && p.lines[len(p.lines)-1] == "" {
		p.lines = p.lines[:len(p.lines)-1]
	}
	if len(p.lines) == 0 {
		return ""
	}
	return strings.Join(p.lines, "\n") + "\n"
}

func (p *printer) line(l *syntax.SourceLine) {
	if l.Kind > syntax.StatementLine {
		p.last.change = 0
	}
	switch l.Kind {
	case syntax.BlankLine:
		if l.Comment != "" {
			p.put(p.depth, "", l)
		} else if n := len(p.lines); n > 0 && p.lines[n-1] != "" {
			p.lines = append(p.lines, "")
		}
	case syntax.IncludeLine:
		p.put(p.depth, firstGap(l.Text), l)
	case syntax.DefinitionLine:
		p.body = 0
		p.definition(p.depth, l)
	case syntax.ContinuationLine:
		p.definition(p.depth+1, l)
	case syntax.StatementLine:
		p.statement(l)
	}
}

// firstGap makes one blank of those after the first word.
func firstGap(s string) string {
	if i := strings.IndexAny(s, " \t"); i >= 0 {
		return s[:i] + " " + strings.TrimLeft(s[i:], " \t")
	}
	return s
}

// definition prints a line of one. The blocks in it are indented too.
func (p *printer) definition(depth int, l *syntax.SourceLine) {
	before, change := braces(l.Pieces())
	p.put(max(depth+p.body-before, 0), l.Text, l)
	p.body = max(p.body+change, 0)
}

// braces is how many } a line begins with, and how many more { it has than }.
func braces(pieces []string) (before, change int) {
	begun := false
	for _, piece := range pieces {
		switch piece {
		case "{":
			change++
			begun = true
		case "}":
			change--
			if !begun {
				before++
			}
		default:
			begun = begun || strings.Trim(piece, " \t") != ""
		}
	}
	return before, change
}

func (p *printer) statement(l *syntax.SourceLine) {
	pieces := l.Pieces()
	segments := []string{join(pieces)}
	if l.Lead == nil && !slices.ContainsFunc(pieces, isOpen) {
		segments = p.split(pieces)
	}
	// What has a meaning only at the beginning of a line must not come there.
	if slices.ContainsFunc(segments, special) {
		if segments = []string{join(pieces)}; special(segments[0]) {
			segments[0] = l.Text
		}
	}
	condition := ""
	if len(l.Lead) > 0 && l.Lead[0][0] == '@' {
		condition = strings.Join(l.Lead, " ")
	}
	for i, s := range segments {
		comment := *l
		if i < len(segments)-1 {
			comment.Comment = ""
		}
		parts := (&syntax.SourceLine{Text: s}).Pieces()
		before, change := braces(parts)
		depth := max(p.depth-before, 0)
		if last := p.last; change != 0 && change == last.change && condition != "" && last.condition != "" && condition != last.condition {
			// The same brace for other hosts.
			depth, change = last.depth, 0
			p.last.condition = condition
		} else {
			p.last.depth, p.last.change, p.last.condition = depth, change, condition
		}
		p.depth = max(p.depth+change, 0)
		p.put(depth, s, &comment)
	}
}

func isOpen(piece string) bool {
	_, open := squeeze(piece)
	return open
}

// split makes lines of the pieces of one.
func (p *printer) split(pieces []string) []string {
	var out []string
	depth, head := p.depth, 0 // head is where the next line begins
	for i := 0; i < len(pieces); i++ {
		switch pieces[i] {
		case "{":
			if end := closing(pieces, i); end > 0 {
				if line := join(pieces[head : end+1]); len(indent)*depth+len(line) <= width {
					out = append(out, line)
					i, head = end, end+1
					continue
				}
			}
			out = append(out, join(pieces[head:i+1]))
			depth++
			head = i + 1
		case "}":
			if line := join(pieces[head:i]); line != "" {
				out = append(out, line)
			}
			out = append(out, "}")
			depth--
			head = i + 1
		}
	}
	if line := join(pieces[head:]); line != "" {
		out = append(out, line)
	}
	return out
}

// closing is the index of the } for the { at index open, 0 if there is none.
func closing(pieces []string, open int) int {
	depth := 0
	for i, piece := range pieces[open:] {
		switch piece {
		case "{":
			depth++
		case "}":
			if depth--; depth == 0 {
				return open + i
			}
		}
	}
	return 0
}

// join puts pieces on one line, with one blank around braces.
func join(pieces []string) string {
	var b strings.Builder
	glued := false
	for _, piece := range pieces {
		text, open := squeeze(piece)
		if text == "" {
			continue
		}
		if b.Len() > 0 && !glued {
			b.WriteByte(' ')
		}
		b.WriteString(text)
		glued = open
	}
	return b.String()
}

// squeeze makes one blank of several between words. Blanks that a quote or a
// backslash may protect stay, and so do the rarer ones: a parameter ends only
// before a blank or a tab. open means that a blank after the text would be part
// of its last word, or make a parameter of it.
func squeeze(s string) (text string, open bool) {
	s = strings.TrimLeft(s, " \t")
	var b strings.Builder
	double, shell := false, byte(0) // in quotes as words are split, and as commands are
	keyword := keywordLen(s)        // what follows may be a command
	b.WriteString(s[:keyword])
	for i := keyword; i < len(s); i++ {
		c := s[i]
		open = false
		switch {
		case c == '"' || c == '\'':
			if c == '"' {
				double = !double
			}
			switch shell {
			case 0:
				shell = c
			case c:
				shell = 0
			}
		case c == '\\' && i+1 < len(s):
			end := i + 1
			if s[end] == 'c' && end+1 < len(s) {
				end++ // \cX is a control character
			}
			b.WriteString(s[i:end])
			i = end
			if c = s[i]; c == '"' {
				double = !double
			}
			open = true
		case c == '\\':
			open = true
		case (c == ' ' || c == '\t') && !double && shell == 0:
			for i+1 < len(s) && (s[i+1] == ' ' || s[i+1] == '\t') {
				i++
			}
			if i+1 == len(s) {
				return b.String(), false
			}
			c = ' '
		}
		b.WriteByte(c)
	}
	text = b.String()
	return text, open || shell != 0 || strings.Contains(text, "$")
}

// keywordLen is the length of the word that s begins with.
func keywordLen(s string) int {
	if strings.HasPrefix(s, `"`) {
		if end := strings.IndexByte(s[1:], '"'); end >= 0 {
			return end + 2
		}
		return len(s)
	}
	if end := strings.IndexAny(s, " \t\v\f\r\n\""); end >= 0 {
		return end
	}
	return len(s)
}

// put adds a line: the lead of l, text, the comment of l.
func (p *printer) put(depth int, text string, l *syntax.SourceLine) {
	s := strings.Join(append(slices.Clone(l.Lead), text), " ")
	s = strings.TrimRight(s, " ")
	if l.Comment != "" {
		if s != "" {
			s += gap(l.Gap)
		}
		s += l.Comment
	}
	in := strings.Repeat(indent, depth)
	if s == "" {
		in = ""
	}
	if over := len(in) + len(s) - maxLine; over > 0 {
		in = in[:max(len(in)-over, 0)]
	}
	p.lines = append(p.lines, in+s)
}

func gap(blanks string) string {
	if blanks == "" {
		return " "
	}
	return blanks
}

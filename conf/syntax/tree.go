package syntax

import (
	"fmt"
	"slices"
	"strings"
)

// Statement is one line of a configuration after expansion, or the part of it
// between braces: a keyword, its arguments, and the block that follows.
type Statement struct {
	Words    []Token // the keyword first; never empty
	Block    []*Statement
	HasBlock bool
	hushed   bool  // see MayBeValue
	row      int32 // line of origin
	origin   *origin

	rest string // what follows the keyword, as written
}

// Keyword is the first word.
func (s *Statement) Keyword() string { return s.Words[0].Text }

// Rest is what follows the keyword, as written but expanded: the adjacent quotes
// and the escapes of commands are still in it.
func (s *Statement) Rest() string { return s.rest }

// MayBeValue reports whether a definition that lacks its value stands before the
// statement: it may be that value, on a line of its own.
func (s *Statement) MayBeValue() bool { return s.hushed }

// Same reports whether s and o mean the same, wherever and with whatever blanks
// they are written.
func (s *Statement) Same(o *Statement) bool {
	return s.HasBlock == o.HasBlock &&
		slices.EqualFunc(s.Words, o.Words, func(a, b Token) bool { return a.Text == b.Text }) &&
		(s.rest == o.rest || slices.Equal(ShellWords(s.rest), ShellWords(o.rest))) &&
		slices.EqualFunc(s.Block, o.Block, (*Statement).Same)
}

// Pos is the place of the word with the given index, or of the last word if
// there are fewer.
func (s *Statement) Pos(word int) Pos { return s.Place(word).Pos() }

// Chain is how the main file led to the word with the given index.
func (s *Statement) Chain(word int) []Frame { return s.Place(word).Chain() }

// Place is Pos and Chain, small enough to keep.
func (s *Statement) Place(word int) Place {
	w := &s.Words[min(word, len(s.Words)-1)]
	return Place{s.origin, s.row, w.col, w.def}
}

// MaxNesting bounds how deep blocks stand in each other. The language itself
// has four levels.
const MaxNesting = 64

// builder makes statements of lines and hands over each outermost one when it
// is complete.
type builder struct {
	known Vocabulary // of the outermost level
	diags *Collector
	emit  func(*Statement)
	hush  bool // the next statement is hushed

	open  []*Statement // blocks not closed yet
	last  *Statement   // the statement a { belongs to, if it comes next
	words []Token      // a slab that the Words of statements are cut from
	rooms []Statement  // likewise, of statements
	deep  int          // braces beyond MaxNesting
	stray int          // braces that belong to no statement
	extra Reason       // a brace without its other half, and nothing since
	lost  *Statement   // a block that was nested too deep

	// closed is the last outermost block and closedAt its brace. It is handed
	// over when something else begins: if that are words of the block, and
	// another brace follows, this one was too many.
	closed   *Statement
	closedAt Place
	behind   []*Statement
}

// add takes a line apart at unquoted braces.
func (b *builder) add(l *line) {
	s := l.text
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			quoted = !quoted
		case '$':
			if n := ParameterBraces(s[i:]); n > 0 && !quoted {
				b.unresolved(l, i, n)
				i += n - 1
			}
		case '{', '}':
			if quoted {
				continue
			}
			b.statement(l, start, i)
			if s[i] == '{' {
				b.begin(l, i)
			} else {
				b.end(l, i)
			}
			start = i + 1
		}
	}
	b.statement(l, start, len(s))
}

// unresolved reports a parameter in braces that has no value: ${NAME}, or what a
// shell would have there. Its braces are those of no block.
func (b *builder) unresolved(l *line, at, n int) {
	text := l.text[at : at+n]
	name := text[2 : 2+NameLen(text[2:])]
	if r := b.diags.unresolved["$"+name]; r != 0 {
		b.diags.Again(r)
		return
	}
	fix := fmt.Sprintf("define it on a line above with $%s=VALUE, or write ${_ENV %s} for the environment variable", name, name)
	if op := text[2+len(name)]; op != '}' && !Blank(op) {
		fix = fmt.Sprintf("write $%s=VALUE on a line above, and ${%s} here: only a shell knows defaults in the braces", name, name)
	}
	if b.diags.unresolved == nil {
		b.diags.unresolved = make(map[string]Reason)
	}
	b.diags.unresolved["$"+name] = b.report(l, at, "undefined-parameter", "the parameter ${"+name+"} is not defined", fix)
}

// ParameterBraces is the length of ${NAME…} that s begins with, 0 if it does not.
func ParameterBraces(s string) int {
	if len(s) < 4 || s[1] != '{' || NameLen(s[2:]) == 0 {
		return 0
	}
	return strings.IndexByte(s, '}') + 1
}

func (b *builder) statement(l *line, from, to int) {
	if cap(b.words)-len(b.words) < 16 {
		b.words = make([]Token, 0, 1024)
	}
	n := len(b.words)
	b.words = words(l, from, to, b.words)
	if len(b.words) == n {
		return
	}
	b.flush()
	b.extra = 0
	w := b.words[n:len(b.words):len(b.words)]
	if b.deep > 0 || b.stray > 0 {
		return
	}
	rest := l.text[from:to]
	for len(rest) > 0 && Blank(rest[0]) {
		rest = rest[1:]
	}
	k := len(w[0].Text)
	if w[0].Quoted {
		k = min(k+2, len(rest))
	}
	b.put(Statement{Words: w, origin: l.origin, row: l.line, rest: rest[k:], hushed: b.hush})
	b.hush = false
}

// line adds a whole line as one statement of two words: the first, of the given
// length, and what begins at byte at. Braces are text.
func (b *builder) line(l *line, length, at int) {
	b.flush()
	if b.deep > 0 || b.stray > 0 {
		return
	}
	var words []Token
	for _, part := range [][2]int{{0, length}, {at, len(l.text)}} {
		col, def := l.locate(part[0])
		words = append(words, Token{l.text[part[0]:part[1]], false, col, def})
	}
	b.put(Statement{Words: words, origin: l.origin, row: l.line, rest: l.text[length:]})
}

// put makes s the last statement, in the innermost open block if there is one.
func (b *builder) put(s Statement) {
	if len(b.rooms) == cap(b.rooms) {
		b.rooms = make([]Statement, 0, min(2*cap(b.rooms)+16, 512))
	}
	b.rooms = append(b.rooms, s)
	b.last = &b.rooms[len(b.rooms)-1]
	if len(b.open) > 0 {
		top := b.open[len(b.open)-1]
		top.Block = append(top.Block, b.last)
	}
}

// flush hands over a finished outermost statement.
func (b *builder) flush() {
	if b.last != nil && len(b.open) == 0 {
		b.deliver(b.last)
	}
	b.last = nil
}

// deliver hands an outermost statement over, or holds it back for a moment.
func (b *builder) deliver(s *Statement) {
	if s == b.lost {
		return
	}
	if b.closed != nil && !b.known.Knows(s.Keyword()) {
		if inner := b.known.Block(b.closed.Keyword()); inner != nil && inner.Knows(s.Keyword()) {
			b.behind = append(b.behind, s)
			return
		}
	}
	b.release()
	if s.HasBlock {
		b.closed = s
		return
	}
	b.emit(s)
}

// release hands over what was held back.
func (b *builder) release() {
	if b.closed != nil {
		b.emit(b.closed)
		b.closed = nil
	}
	for _, s := range b.behind {
		b.emit(s)
	}
	b.behind = b.behind[:0]
}

func (b *builder) begin(l *line, at int) {
	switch {
	case b.deep > 0:
		b.deep++
	case b.stray > 0:
		b.stray++
	case b.last == nil || b.last.HasBlock:
		b.stray = 1
		b.report(l, at, "unexpected-brace", "Unexpected '{'", "a block begins with a keyword; this one is skipped")
	case len(b.open) >= MaxNesting:
		b.deep, b.lost = 1, b.open[0]
		b.report(l, at, "too-deep", fmt.Sprintf("blocks are nested more than %d deep", MaxNesting), "the outermost one is skipped; look for braces that are not closed")
	default:
		b.last.HasBlock = true
		b.open = append(b.open, b.last)
		b.last = nil
	}
}

func (b *builder) end(l *line, at int) {
	switch {
	case b.deep > 0:
		b.deep--
	case b.stray > 0:
		b.stray--
	case len(b.open) == 0:
		b.flush()
		if len(b.behind) == 0 {
			if b.extra != 0 {
				b.diags.Again(b.extra)
				return
			}
			b.extra = b.report(l, at, "extra-brace", "Extra '}' found", "remove it, or look for a missing '{' above")
			return
		}
		b.reportAt(b.closedAt, "extra-brace", "Extra '}' found", fmt.Sprintf("remove it: keywords of the block of %q follow", b.closed.Keyword()))
		b.closed.Block = append(b.closed.Block, b.behind...)
		b.behind = b.behind[:0]
		b.closedAt = b.at(l, at)
	default:
		closed := b.open[len(b.open)-1]
		b.open = b.open[:len(b.open)-1]
		b.last = nil
		if len(b.open) == 0 {
			if b.deliver(closed); b.closed == closed {
				b.closedAt = b.at(l, at)
			}
		}
	}
}

// finish ends the text: what is open is closed, with a complaint.
func (b *builder) finish(at row) {
	missing := len(b.open) + b.deep + b.stray
	message := fmt.Sprintf("There are %d missing '}'s or extra '{'s", missing)
	b.flush()
	switch {
	case len(b.open) > 0 && b.open[0] == b.lost:
		// It is left out as a whole, as was reported.
	case len(b.open) > 0:
		innermost := b.open[len(b.open)-1]
		list := []*Statement{b.open[0]}
		b.open = nil
		list, unclosed := regroup(b.known, nil, list)
		if len(unclosed) == 0 {
			unclosed = append(unclosed, innermost)
		}
		// A block around an unclosed one gave its brace to that.
		for _, s := range unclosed[:min(missing, len(unclosed))] {
			b.reportAt(s.Place(0), CodeUnclosed, message, fmt.Sprintf("close the block of %q with '}'", s.Keyword()))
		}
		for _, s := range list {
			b.deliver(s)
		}
	case missing > 0:
		b.reportAt(Place{origin: at.origin, line: at.line}, CodeUnclosed, message, "look for a '{' without a keyword, or write the '}'")
	}
	b.release()
}

// regroup moves words after their block when they mean nothing in it, but
// something in a block around it: then the brace between them is missing. It
// returns the list of a block with the vocabulary v, and the blocks that lacked
// their brace. It is for texts whose braces do not match only.
func regroup(v Vocabulary, around []Vocabulary, list []*Statement) (grouped, unclosed []*Statement) {
	inside := append(around, v)
	for i := 0; i < len(list); i++ {
		s := list[i]
		grouped = append(grouped, s)
		if len(s.Block) == 0 {
			continue
		}
		known := v.Block(s.Keyword())
		if known == nil {
			continue
		}
		inner, lacking := regroup(known, inside, s.Block)
		unclosed = append(unclosed, lacking...)
		for j, word := range inner {
			if strayed(known, inside, word) {
				// The rest is looked at again as words of this block.
				list = append(inner[j:len(inner):len(inner)], list[i+1:]...)
				i, inner = -1, inner[:j]
				unclosed = append(unclosed, s)
				break
			}
		}
		s.Block = inner
	}
	return grouped, unclosed
}

// strayed reports whether a word is unknown in a block, but not in those around.
func strayed(v Vocabulary, around []Vocabulary, s *Statement) bool {
	if v.Knows(s.Keyword()) {
		return false
	}
	for _, b := range around {
		if b.Knows(s.Keyword()) {
			return true
		}
	}
	return false
}

func (b *builder) at(l *line, offset int) Place {
	col, _ := l.locate(offset)
	return Place{l.origin, l.line, col, nil}
}

func (b *builder) report(l *line, at int, code, message, fix string) Reason {
	return b.reportAt(b.at(l, at), code, message, fix)
}

func (b *builder) reportAt(where Place, code, message, fix string) Reason {
	return b.diags.Add(Diagnostic{
		Pos: where.Pos(), Chain: where.Chain(),
		Severity: Error, Class: ClassOrdinary, Code: code, Message: message, Fix: fix,
	})
}

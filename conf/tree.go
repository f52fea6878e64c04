package conf

import "fmt"

// Statement is one line of a configuration after expansion, or the part of it
// between braces: a keyword, its arguments, and the block that follows.
type Statement struct {
	Words    []Token // the keyword first; never empty
	Block    []*Statement
	HasBlock bool
	Origin   *Origin

	rest string // what follows the keyword, as written
}

// Keyword is the first word.
func (s *Statement) Keyword() string { return s.Words[0].Text }

// Pos is the place of the word with the given index, or of the last word if
// there are fewer.
func (s *Statement) Pos(word int) Pos { return s.place(word).pos() }

// Chain is how the main file led to the word with the given index.
func (s *Statement) Chain(word int) []Frame { return s.place(word).chain() }

func (s *Statement) place(word int) place {
	w := &s.Words[min(word, len(s.Words)-1)]
	return place{s.Origin, w.col, w.def}
}

// maxNesting bounds how deep blocks stand in each other. The language itself
// has four levels.
const maxNesting = 64

// builder makes statements of lines and hands over each outermost one when it
// is complete.
type builder struct {
	diags *diagnosing
	emit  func(*Statement)

	open  []*Statement // blocks not closed yet
	last  *Statement   // the statement a { belongs to, if it comes next
	words []Token      // a slab that the Words of statements are cut from
	deep  int          // braces beyond maxNesting
	stray int          // braces that belong to no statement

	// suspect is a block inside of which an outermost keyword with a block
	// was found: most likely where a } is missing.
	suspect *Statement
}

// add takes a line apart at unquoted braces.
func (b *builder) add(l *line) {
	s := l.text
	start, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			quoted = !quoted
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
	w := b.words[n:len(b.words):len(b.words)]
	if b.deep > 0 || b.stray > 0 {
		return
	}
	rest := l.text[from:to]
	for len(rest) > 0 && blank(rest[0]) {
		rest = rest[1:]
	}
	k := len(w[0].Text)
	if w[0].Quoted {
		k = min(k+2, len(rest))
	}
	b.last = &Statement{Words: w, Origin: l.origin, rest: rest[k:]}
	if len(b.open) > 0 {
		top := b.open[len(b.open)-1]
		top.Block = append(top.Block, b.last)
	}
}

// flush hands over a finished outermost statement.
func (b *builder) flush() {
	if b.last != nil && len(b.open) == 0 {
		b.emit(b.last)
	}
	b.last = nil
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
	case len(b.open) >= maxNesting:
		b.deep = 1
		b.report(l, at, "too-deep", fmt.Sprintf("blocks are nested more than %d deep", maxNesting), "what stands inside is skipped")
	default:
		if len(b.open) > 0 && b.suspect == nil && outermost(b.last.Keyword()) {
			b.suspect = b.open[len(b.open)-1]
		}
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
		b.report(l, at, "extra-brace", "Extra '}' found", "remove it, or look for a missing '{' above")
	default:
		closed := b.open[len(b.open)-1]
		b.open = b.open[:len(b.open)-1]
		b.last = nil
		if len(b.open) == 0 {
			b.emit(closed)
		}
	}
}

// finish ends the text: what is open is closed, with a complaint.
func (b *builder) finish(at *Origin) {
	missing := len(b.open) + b.deep + b.stray
	if missing > 0 {
		d := Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "missing-brace",
			Message: fmt.Sprintf("There are %d missing '}'s or extra '{'s", missing),
			Pos:     at.Pos(0),
		}
		block := b.suspect
		if block == nil && len(b.open) > 0 {
			block = b.open[len(b.open)-1]
		}
		if block != nil {
			d.Pos, d.Chain = block.Pos(0), block.Chain(0)
			d.Fix = fmt.Sprintf("close the block of %q with '}'", block.Keyword())
		}
		b.diags.add(d)
	}
	b.flush()
	if len(b.open) > 0 {
		first := b.open[0]
		b.open = nil
		b.emit(first)
	}
}

func (b *builder) report(l *line, at int, code, message, fix string) {
	col, _ := l.locate(at)
	where := place{l.origin, col, nil}
	b.diags.add(Diagnostic{
		Pos: where.pos(), Chain: where.chain(),
		Severity: Error, Class: ClassOrdinary, Code: code, Message: message, Fix: fix,
	})
}

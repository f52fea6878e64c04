package conf

// file is one opened configuration file.
type file struct {
	name string  // as messages show it
	dir  string  // what relative includes are relative to
	from *Origin // the include line; nil for the main file
}

// Origin is the line a statement's text stands on: a line of a file, or a line
// of a multi-line definition together with the place where that is used.
// Statements of one line share it, and all expansions of a definition from one
// place share theirs.
type Origin struct {
	file *file
	line int32
	use  *Origin // where the definition is used; nil for a line of a file
	col  int32   // the column of that use
}

// Pos is the place of a column of the line.
func (o *Origin) Pos(column int) Pos {
	if o == nil {
		return Pos{}
	}
	return Pos{File: o.file.name, Line: int(o.line), Column: column}
}

// place is where a word stands. It is small enough to keep.
type place struct {
	origin *Origin
	col    int32
	def    *definition // the definition the word is from, if any
}

func (p place) pos() Pos { return p.origin.Pos(int(p.col)) }

// maxChain bounds how many steps of the origin a message shows.
const maxChain = 8

// chain is how the main file led to the place: the definition of the word, then
// definitions used and files included, innermost first.
func (p place) chain() []Frame {
	var frames []Frame
	if p.def != nil && p.def.at != nil {
		frames = append(frames, Frame{"$" + p.def.name + " defined at", p.def.at.Pos(int(p.def.col))})
	}
	for o := p.origin; o != nil; {
		switch {
		case len(frames) >= maxChain:
			return append(frames, Frame{"and further up, to", o.Pos(0)})
		case o.use != nil:
			frames = append(frames, Frame{"expanded from", o.use.Pos(int(o.col))})
			o = o.use
		case o.file.from != nil:
			o = o.file.from
			frames = append(frames, Frame{"included from", o.Pos(0)})
		default:
			return frames
		}
	}
	return frames
}

// definition is a $NAME, or the variable of a ~SEQ or ~LST while it runs.
type definition struct {
	name  string
	at    *Origin
	col   int32
	value string
	// lines are the lines of a multi-line definition; value is unused then.
	lines []bodyLine
	multi bool
	// busy is the number of uses being expanded, to find one that uses itself.
	busy int
}

// bodyLine is a line of a multi-line definition. It remembers the Origin of its
// latest use: a definition used a thousand times on one line needs one.
type bodyLine struct {
	text  string
	start int32 // and spans: as in line
	spans []span
	file  *file
	line  int32
	use   *Origin
	col   int32
	memo  *Origin
}

func (b *bodyLine) origin(use *Origin, col int32) *Origin {
	if b.memo == nil || b.use != use || b.col != col {
		b.use, b.col = use, col
		b.memo = &Origin{file: b.file, line: b.line, use: use, col: col}
	}
	return b.memo
}

// span says where the bytes of an expanded line from offset out on come from:
// its own line from column col on, or, with def, from that definition used at
// column col.
type span struct {
	out int32
	col int32
	def *definition
}

// line is a line on its way through the pipeline.
type line struct {
	text   string
	origin *Origin
	start  int32 // without spans: text is the line as it stands from this byte on
	spans  []span
}

// locate is the column of a byte of the text, and the definition it is from.
func (l *line) locate(offset int) (int32, *definition) {
	if l.spans == nil {
		return l.start + int32(offset) + 1, nil
	}
	s := l.spans[0]
	for _, next := range l.spans[1:] {
		if int(next.out) > offset {
			break
		}
		s = next
	}
	if s.def != nil {
		return s.col, s.def
	}
	return s.col + int32(offset) - s.out, nil
}

// from is the line without its first n bytes.
func (l line) from(n int) line {
	if n == 0 {
		return l
	}
	if l.spans == nil {
		return line{text: l.text[n:], origin: l.origin, start: l.start + int32(n)}
	}
	col, def := l.locate(n)
	spans := []span{{0, col, def}}
	for _, s := range l.spans {
		if int(s.out) > n {
			spans = append(spans, span{s.out - int32(n), s.col, s.def})
		}
	}
	return line{text: l.text[n:], origin: l.origin, spans: spans}
}

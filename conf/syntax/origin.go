package syntax

import "fmt"

// Pos is a place in a configuration file.
type Pos struct {
	File   string
	Line   int // from 1; 0: no place known
	Column int // from 1, in bytes
}

// String is the position as file:line:column, as far as it is known.
func (p Pos) String() string {
	switch {
	case p.Line == 0:
		return p.File
	case p.Column == 0:
		return fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column)
}

// file is one opened configuration file.
type file struct {
	name string // as messages show it
	dir  string // what relative includes are relative to
	from row    // the include line; none for the main file
}

// origin is where lines come from: a file, or a multi-line definition in it
// together with the place where that is used. All lines of one share it.
type origin struct {
	file *file
	use  row   // where the definition is used; none for a file
	col  int32 // the column of that use
}

// row is a line of an origin.
type row struct {
	origin *origin
	line   int32
}

// pos is the place of a column of the line.
func (r row) pos(column int32) Pos {
	if r.origin == nil {
		return Pos{}
	}
	return Pos{File: r.origin.file.name, Line: int(r.line), Column: int(column)}
}

// Place is where a word stands, and how the main file led there. It is small
// enough to keep; the zero Place is nowhere.
type Place struct {
	origin    *origin
	line, col int32
	def       *definition // the definition the word is from, if any
}

func (p Place) row() row { return row{p.origin, p.line} }

// Known reports whether the place is one.
func (p Place) Known() bool { return p.origin != nil }

// Pos is the place in its file.
func (p Place) Pos() Pos { return p.row().pos(p.col) }

// maxChain bounds how many steps of the origin a message shows.
const maxChain = 8

// Chain is how the main file led to the place: the definition of the word, then
// definitions used and files included, innermost first.
func (p Place) Chain() []Frame {
	var frames []Frame
	if p.def != nil && p.def.at.origin != nil {
		frames = append(frames, Frame{"$" + p.def.name + " defined at", p.def.at.pos(p.def.col)})
	}
	for r := p.row(); r.origin != nil; {
		switch o := r.origin; {
		case len(frames) >= maxChain:
			return append(frames, Frame{"and further up, to", r.pos(0)})
		case o.use.origin != nil:
			frames = append(frames, Frame{"expanded from", o.use.pos(o.col)})
			r = o.use
		case o.file.from.origin != nil:
			r = o.file.from
			frames = append(frames, Frame{"included from", r.pos(0)})
		default:
			return frames
		}
	}
	return frames
}

// definition is a $NAME, or the variable of a ~SEQ or ~LST while it runs.
type definition struct {
	name  string
	at    row
	col   int32
	value string
	// lines are the lines of a multi-line definition; value is unused then.
	lines []bodyLine
	multi bool
	file  *file   // of lines
	memo  *origin // of the latest use: a definition used a thousand times on one line needs one
	// busy is the number of uses being expanded, to find one that uses itself.
	busy int
}

// bodyLine is a line of a multi-line definition.
type bodyLine struct {
	text  string
	start int32 // and spans: as in line
	line  int32
	spans []span
}

// usedAt is the origin of the lines of a definition that is used at a column of
// a line.
func (d *definition) usedAt(use row, col int32) *origin {
	if d.memo == nil || d.memo.use != use || d.memo.col != col {
		d.memo = &origin{file: d.file, use: use, col: col}
	}
	return d.memo
}

// span is where the bytes of an expanded line from offset out onwards come from:
// its own line from column col on, or, with def, from that definition used at
// column col.
type span struct {
	out int32
	col int32
	def *definition
}

// line is a line on its way through the pipeline.
type line struct {
	row
	start int32 // without spans: text is the line as it stands from this byte on
	text  string
	spans []span
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
		return line{text: l.text[n:], row: l.row, start: l.start + int32(n)}
	}
	col, def := l.locate(n)
	spans := []span{{0, col, def}}
	for _, s := range l.spans {
		if int(s.out) > n {
			spans = append(spans, span{s.out - int32(n), s.col, s.def})
		}
	}
	return line{text: l.text[n:], row: l.row, spans: spans}
}

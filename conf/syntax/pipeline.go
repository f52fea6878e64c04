package syntax

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits that no real configuration reaches. They turn a definition that
// contains itself twice, or a disk image given by mistake, into one error.
const (
	maxLine     = 1023      // bytes of a line without its end, as in the C daemon
	maxExpanded = 64 << 10  // bytes of a line after substitution
	maxWork     = 256 << 20 // bytes of all lines after substitution, and lineWork for each
	lineWork    = 128
	nameWork    = 4 << 10 // counted for each name that an include line looks for
	maxDepth    = 64      // definitions, sequences or files inside each other
)

// MaxFile is how many bytes a file may have.
const MaxFile = 32 << 20

// pipeline turns files into expanded lines. One line passes: comments, include,
// @conditions, $definitions, ~SEQ and ~LST, substitution.
type pipeline struct {
	Options
	diags *Collector
	out   *builder

	defs     map[string]*definition
	open     []*file
	ids      []fileID // the identity of each open file
	checks   includeCheck
	work     int // counted against maxWork
	reported map[fileProblem]Reason
	depth    int
	halted   bool // a limit was reached: nothing more is read
	alone    bool // one text is read as it stands: see ParseText
	random   *rand.Rand
	buffer   []byte // of expand
	last     row
}

func newPipeline(o Options, diags *Collector, emit func(*Statement)) *pipeline {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	if o.ConfigID == "" {
		o.ConfigID = HostName()
	}
	if o.Vocabulary == nil {
		o.Vocabulary = noWords{}
	}
	if diags.files == nil {
		diags.files = make(map[string]int)
	}
	p := &pipeline{Options: o, diags: diags, out: &builder{known: o.Vocabulary, diags: diags, emit: emit},
		defs: make(map[string]*definition), reported: make(map[fileProblem]Reason)}
	if o.AllChecks {
		p.checks = checkAll
	}
	return p
}

// HostName is the first label of the host name.
func HostName() string {
	name, _ := os.Hostname()
	label, _, _ := strings.Cut(name, ".")
	return label
}

// source yields raw lines: of a file, or of a multi-line definition.
type source interface {
	// next is the next line; ok is false at the end.
	next() (l line, ok bool)
}

type fileLines struct {
	origin *origin
	rest   pieces
	piece  string // the one being read
	line   int32
}

func (f *fileLines) next() (line, bool) {
	for f.piece == "" {
		if len(f.rest) == 0 {
			return line{}, false
		}
		f.piece, f.rest[0] = f.rest[0], ""
		f.rest = f.rest[1:]
	}
	var s string
	s, f.piece, _ = strings.Cut(f.piece, "\n")
	f.line++
	return line{text: s, row: row{f.origin, f.line}}, true
}

type bodyLines struct {
	lines  []bodyLine
	origin *origin
}

func (b *bodyLines) next() (line, bool) {
	if len(b.lines) == 0 {
		return line{}, false
	}
	first := &b.lines[0]
	b.lines = b.lines[1:]
	return line{row{b.origin, first.line}, first.start, first.text, first.spans}, true
}

// run passes every line of src on. Lines that continue a definition are
// consumed together with its first line.
func (p *pipeline) run(src source) {
	_, isFile := src.(*fileLines)
	for !p.halted {
		l, ok := src.next()
		if !ok {
			return
		}
		p.last = l.row
		if isFile {
			l.text, _ = p.clean(l.text, l.row)
		}
		if l = trim(l); l.text != "" {
			p.process(l, src)
		} else {
			p.count(l, lineWork)
		}
	}
}

// count counts n against maxWork; ok is false where that is reached.
func (p *pipeline) count(l line, n int) (ok bool) {
	if p.work += n; p.work <= maxWork {
		return true
	}
	p.halt(l, "too-much", "the configuration is too large: %d MiB after expansion, counting %d bytes for each line", maxWork>>20, lineWork)
	return false
}

// clean checks a line of a file and takes its comment away.
func (p *pipeline) clean(text string, at row) (string, bool) {
	text = strings.TrimRight(text, "\r")
	if len(text) > maxLine {
		p.everywhere(line{row: at}, 0, Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "long-line",
			Message: "line too long - ignoring",
			Fix:     fmt.Sprintf("a line holds at most %d bytes, this one has %d", maxLine, len(text)),
		})
		return "", false
	}
	if i := strings.IndexByte(text, 0); i >= 0 {
		p.everywhere(line{row: at}, i, Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "nul",
			Message: "the line contains a NUL byte - ignoring", Fix: "remove it",
		})
		return "", false
	}
	whole := text
	text, closed := uncomment(whole)
	if n := len(text); 0 < n && n < len(whole) && whole[:n] == text && !strings.ContainsRune(Blanks+`{}"`, rune(text[n-1])) {
		p.report(line{text: whole, row: at}, n, Diagnostic{
			Severity: Note, Class: ClassNone, Code: "glued-comment",
			Message: fmt.Sprintf("'%c' inside a word begins a comment", whole[n]),
			Fix:     `put a blank before it; where it belongs to the value, write it as \` + whole[n:n+1] + " or put the value in quotes",
		})
	}
	if !closed {
		p.report(line{text: text, row: at}, strings.LastIndexByte(text, '"'), Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "unterminated-quote",
			Message: "Unterminated quote", Fix: `close it with another " on the same line`,
		})
		text = closeQuote(text)
	}
	if !utf8.ValidString(text) {
		p.diags.encoding = p.everywhere(line{text: text, row: at}, strings.IndexRune(text, utf8.RuneError), Diagnostic{
			Severity: Warning, Class: ClassNone, Code: "encoding",
			Message: "the line is not UTF-8; its bytes are used unchanged", Fix: "save the file as UTF-8",
		})
	}
	return text, true
}

// everywhere reports a problem that a file tends to have in every line: the
// first one is listed, the others are counted.
func (p *pipeline) everywhere(l line, at int, d Diagnostic) Reason {
	key := fileProblem{l.origin.file, d.Code}
	r, ok := p.reported[key]
	if ok {
		p.diags.Again(r)
		return r
	}
	r = p.report(l, at, d)
	p.reported[key] = r
	return r
}

type fileProblem struct {
	file *file
	code string
}

// trim is the line without blanks at both ends.
func trim(l line) line {
	text := l.text
	for len(text) > 0 && Blank(text[len(text)-1]) {
		text = text[:len(text)-1]
	}
	l.text = text
	n := 0
	for n < len(text) && Blank(text[n]) {
		n++
	}
	return l.from(n)
}

// process takes a line without comment and outer blanks through the rest of the
// pipeline. src gives the lines that continue a definition.
func (p *pipeline) process(l line, src source) {
	if p.depth++; p.depth > maxDepth {
		p.depth--
		p.halt(l, "too-deep-expansion", "definitions or sequences are nested more than %d deep; one of them contains itself", maxDepth)
		return
	}
	defer func() { p.depth-- }()
	if !p.count(l, len(l.text)+lineWork) {
		return
	}

	met := true
	for l.text[0] == '@' {
		var ok bool
		if l, ok = p.condition(l); !ok {
			met = false
		}
		if l.text == "" {
			return
		}
	}
	if name, value, ok := Definition(l.text); ok {
		def := p.readDefinition(l, name, value, src)
		if met {
			p.defs[name] = def
		}
		p.out.hush = p.lacking(def)
		return
	}
	if !met {
		return
	}
	if f, ok := src.(*fileLines); ok {
		if word, pattern := includeLine(l.text); word != "" {
			at := len(l.text) - len(pattern)
			if p.alone {
				p.out.line(&l, len(word), at)
			} else {
				p.include(f.origin.file, l, word, at)
			}
			return
		}
	}
	if strings.HasPrefix(l.text, "~SEQ") || strings.HasPrefix(l.text, "~LST") {
		p.repeat(l, src)
		return
	}
	if strings.IndexByte(l.text, '$') < 0 {
		p.put(&l)
		return
	}
	out, tail, changed, err := p.expand(l)
	if err != nil {
		p.halt(l, "endless-definition", "%v", err)
		return
	}
	out = trim(out)
	if tail.def != nil {
		p.useLines(l, out, tail, src)
		return
	}
	if out.text == "" {
		return
	}
	if changed && (out.text[0] == '@' || out.text[0] == '~') {
		p.process(out, src)
		return
	}
	p.put(&out)
}

// useLines replaces the multi-line definition at the end of a line: its first
// line continues the text before it.
func (p *pipeline) useLines(l, before line, tail tailUse, src source) {
	def := tail.def
	if def.busy++; def.busy > maxDepth {
		def.busy--
		p.halt(l, "endless-definition", "$%s contains itself", def.name)
		return
	}
	defer func() { def.busy-- }()
	body := bodyLines{lines: def.lines, origin: def.usedAt(l.row, tail.col)}
	if before.text != "" && len(def.lines) > 0 {
		n := len(before.text)
		spans := before.spans
		if spans == nil {
			spans = []span{{0, before.start + 1, nil}}
		}
		joined := line{
			row:   l.row,
			text:  before.text + " " + def.lines[0].text,
			spans: append(spans, span{int32(n), tail.col, def}),
		}
		body.lines = body.lines[1:]
		p.process(joined, src)
	}
	if p.depth++; p.depth > maxDepth {
		p.depth--
		p.halt(l, "endless-definition", "$%s contains itself", def.name)
		return
	}
	p.run(&body)
	p.depth--
}

// put hands a finished line over. The checks of include lines, and the random numbers,
// change while the files are read.
func (p *pipeline) put(l *line) {
	p.out.add(l)
	switch word := firstWord(l.text); {
	case p.Vocabulary.SetsChecks(word):
		p.setChecks(l.text)
	case p.Vocabulary.SeedsRandom(word):
		p.seed(l.text)
	}
}

// firstWord is the word that a line begins with.
func firstWord(s string) string {
	for i := range len(s) {
		if c := s[i]; Blank(c) || c == '{' || c == '}' || c == '"' {
			return s[:i]
		}
	}
	return s
}

// lacking reports whether a definition ends where a value should come: the next
// statement may be that.
func (p *pipeline) lacking(def *definition) bool {
	if !def.multi {
		return def.value == ""
	}
	if len(def.lines) == 0 {
		return false
	}
	return p.Vocabulary.LacksValue(strings.Fields(def.lines[len(def.lines)-1].text))
}

// condition decides an @id or @^id at the start of a line; rest is what follows.
func (p *pipeline) condition(l line) (rest line, met bool) {
	end := strings.IndexAny(l.text, Blanks)
	if end < 0 {
		l.text = ""
		return l, false
	}
	id := l.text[1:end]
	unless := strings.HasPrefix(id, "^")
	if unless {
		id = id[1:]
	}
	met = id != "" && (id == p.ConfigID) != unless
	return trim(l.from(end)), met
}

// report adds a problem at a byte of a line.
func (p *pipeline) report(l line, at int, d Diagnostic) Reason {
	col, def := l.locate(max(at, 0))
	where := Place{l.origin, l.line, col, def}
	d.Pos, d.Chain = where.Pos(), where.Chain()
	return p.diags.Add(d)
}

// halt reports a limit and ends the reading.
func (p *pipeline) halt(l line, code, format string, args ...any) {
	if p.halted {
		return
	}
	p.halted = true
	p.diags.incomplete = p.report(l, 0, Diagnostic{
		Severity: Fatal, Class: ClassOrdinary, Exit: 2, Code: code,
		Message: fmt.Sprintf(format, args...), Fix: "nothing after it is read",
	})
}

// finish ends the reading. Where a limit has ended it, what is open has no end.
func (p *pipeline) finish() {
	if p.halted {
		p.out.release()
		return
	}
	p.out.finish(p.last)
}

// seed makes the numbers of ${_RANDOM} those that follow from the argument of a line. A
// wrong one changes nothing: whoever knows the word reports it.
func (p *pipeline) seed(line string) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return
	}
	if n, err := strconv.ParseUint(fields[1], 0, 32); err == nil {
		p.random = rand.New(rand.NewPCG(n, 0))
	}
}

// randomInt is for ${_RANDOM}.
func (p *pipeline) randomInt(low, high int64) string {
	if p.random == nil {
		p.random = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	return strconv.FormatInt(low+p.random.Int64N(high-low+1), 10)
}

// unusable is why the text of a file is not read.
type unusable struct{ what, remedy string }

func (u *unusable) Error() string { return u.what }

// problem is that of a main file.
func (u *unusable) problem(name string) Diagnostic {
	return Diagnostic{
		Pos: Pos{File: name}, Severity: Fatal, Class: ClassOrdinary, Exit: 2, Code: "unusable-file",
		Message: u.what, Fix: u.remedy,
	}
}

var (
	errTooLarge = &unusable{fmt.Sprintf("the file is larger than %d MiB", MaxFile>>20), "split it, and name the parts with include"}
	errWide     = &unusable{"the file is UTF-16", "save it as UTF-8"}
	errBinary   = &unusable{"the file is not a text file: it is full of NUL bytes", "name a configuration file"}
)

// pieces are the text of a file. Each is of whole lines, which share it; one that
// has been read is not kept.
type pieces []string

// pieceLen is about how long a piece is.
const pieceLen = 64 << 10

// begins reports whether the text has a prefix, of a few bytes.
func (t pieces) begins(prefix string) bool { return len(t) > 0 && strings.HasPrefix(t[0], prefix) }

// usable reports why a text cannot be one of a configuration.
func (t pieces) usable() *unusable {
	size, nul := 0, 0
	for _, piece := range t {
		size += len(piece)
		nul += strings.Count(piece, "\x00")
	}
	switch {
	case size > MaxFile:
		return errTooLarge
	case nul > 0 && (t.begins("\xff\xfe") || t.begins("\xfe\xff")):
		return errWide
	case nul > 16 && nul > size/64:
		return errBinary
	}
	return nil
}

// readText reads a whole file.
func readText(f *os.File) (pieces, error) {
	if info, err := f.Stat(); err == nil && info.Size() > MaxFile {
		return nil, errTooLarge
	}
	var t pieces
	r := io.LimitReader(f, MaxFile+1)
	buf := make([]byte, 0, pieceLen)
	for {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		end := bytes.LastIndexByte(buf, '\n') + 1
		if err != nil {
			end = len(buf)
		}
		if end > 0 {
			t = append(t, string(buf[:end]))
			buf = buf[:copy(buf, buf[end:])]
		}
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return t, nil
		case err != nil:
			return nil, err
		case len(buf) == cap(buf): // one line
			buf = slices.Grow(buf, len(buf))
		}
	}
}

package lsp

import (
	"iter"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// document is a text and what can be seen in it without expansion: an editor's
// text is often incomplete.
type document struct {
	text  string
	lines []string
	root  *statement
	// settings are the lines $NAME=VALUE, and includes the patterns of include
	// lines.
	settings []token
	includes []token
	size     int // how many lines and tokens there are
}

// token is a word of a line: bytes from to to.
type token struct {
	text     string
	line     int // from 0
	from, to int
}

// statement is a keyword with its arguments and its block.
type statement struct {
	words    []token
	parent   *statement
	block    []*statement
	hasBlock bool
	// The block reaches from { to }, or to the end of the text.
	open, close token
}

// path is the dotted path of the keyword, as in conf.Keyword.
func (s *statement) path() string {
	if s.parent == nil {
		return ""
	}
	if outer := s.parent.path(); outer != "" {
		return outer + "." + s.words[0].text
	}
	return s.words[0].text
}

// name is the first argument.
func (s *statement) name() string {
	if len(s.words) > 1 {
		return s.words[1].text
	}
	return ""
}

// maxWords bounds how many words of a statement are looked at: more are not written.
const maxWords = 10000

// maxNesting bounds how deep blocks are followed; the language has four levels.
const maxNesting = 64

// newDocument reads a text. Text after the maximum of lines and tokens is not read.
func newDocument(text string, most int) *document {
	d := &document{text: text, lines: strings.SplitN(text, "\n", max(most, 1)), root: &statement{hasBlock: true}}
	d.size = len(d.lines)
	here, depth := d.root, 0
	var last *statement
	for n, line := range d.lines {
		d.lines[n] = strings.TrimSuffix(line, "\r")
		var words []token
		flush := func() {
			if len(words) == 0 {
				return
			}
			last = &statement{words: words, parent: here}
			here.block = append(here.block, last)
			d.note(words)
			words = nil
		}
		for w := range scan(d.lines[n], n) {
			if d.size >= most {
				break
			}
			d.size++
			switch w.text {
			case "{":
				flush()
				if depth++; depth > maxNesting {
					continue
				}
				if last == nil || last.hasBlock {
					// A block of nothing.
					last = &statement{words: []token{w}, parent: here}
					here.block = append(here.block, last)
				}
				last.hasBlock, last.open = true, w
				here, last = last, nil
			case "}":
				flush()
				if depth = max(depth-1, 0); depth >= maxNesting {
					continue
				}
				if here != d.root {
					here.close = w
					here = here.parent
				}
				last = nil
			default:
				words = append(words, w)
			}
		}
		flush()
	}
	end := token{line: len(d.lines) - 1, from: len(d.lines[len(d.lines)-1])}
	for ; here != nil; here = here.parent {
		here.close = end
	}
	return d
}

// note keeps the lines that are no statements.
func (d *document) note(words []token) {
	for len(words) > 0 && strings.HasPrefix(words[0].text, "@") {
		words = words[1:]
	}
	switch {
	case len(words) == 0:
	case strings.HasPrefix(words[0].text, "$") && strings.Contains(words[0].text, "="):
		w := words[0]
		w.text, _, _ = strings.Cut(w.text[1:], "=")
		w.to = w.from + 1 + len(w.text)
		d.settings = append(d.settings, w)
	case strings.HasPrefix(words[0].text, "include") && len(words[0].text) <= len("includex") && len(words) > 1:
		w := words[1]
		w.text, w.to = "", words[len(words)-1].to
		for _, part := range words[1:] {
			w.text += part.text
		}
		d.includes = append(d.includes, w)
	}
}

// scan yields the words and braces of a line, up to its comment. Braces of
// ${NAME} belong to their word.
func scan(line string, n int) iter.Seq[token] {
	return func(yield func(token) bool) {
		for i := 0; i < len(line); {
			from := i
			switch c := line[i]; {
			case c == ' ' || '\t' <= c && c <= '\r':
				i++
				continue
			case c == '#' || c == '!':
				return
			case c == '{' || c == '}':
				i++
			case c == '"':
				end := strings.IndexByte(line[i+1:], '"')
				if end < 0 {
					end = len(line) - i - 1
				}
				i = min(i+end+2, len(line))
				if !yield(token{line[from+1 : from+1+end], n, from, i}) {
					return
				}
				continue
			default:
				i = wordEnd(line, i)
			}
			if !yield(token{line[from:i], n, from, i}) {
				return
			}
		}
	}
}

// wordEnd is where a word without quotation marks ends.
func wordEnd(line string, i int) int {
	for i < len(line) && strings.IndexByte(" \t\v\f\r\"#!{}", line[i]) < 0 {
		if strings.HasPrefix(line[i:], "${") {
			// A name is short: megabytes are not searched repeatedly.
			if end := strings.IndexByte(line[i:min(i+256, len(line))], '}'); end > 0 {
				i += end
			}
		}
		if strings.HasPrefix(line[i:], `\#`) || strings.HasPrefix(line[i:], `\!`) {
			i++
		}
		i++
	}
	return min(i, len(line))
}

// place is where a position of the editor is.
type place struct {
	line, at int        // at: byte of the line
	block    *statement // the innermost block around it
	before   []token    // words before it in its statement
	word     token      // the word it is in or follows; empty if none
}

func (d *document) place(p position) place {
	line, character := p.Line, p.Character
	if last := len(d.lines) - 1; line > last {
		line, character = last, len(d.lines[last])
	}
	at := fromUTF16(d.lines[line], character)
	out := place{line: line, at: at, block: d.root}
	for found := true; found; {
		found = false
		for _, s := range out.block.block {
			if s.hasBlock && s.open.beforeOrAt(line, at-1) && !s.close.beforeOrAt(line, at-1) {
				out.block, found = s, true
				break
			}
		}
	}
	for w := range scan(d.lines[line], line) {
		switch {
		case w.from > at, len(out.before) == maxWords:
			return out
		case w.text == "{" || w.text == "}":
			out.before, out.word = nil, token{}
		case w.to >= at:
			out.word = w
			return out
		default:
			out.before = append(out.before, w)
		}
	}
	return out
}

// beforeOrAt reports whether a token begins before or at a place.
func (t token) beforeOrAt(line, at int) bool {
	return t.line < line || t.line == line && t.from <= at
}

// lineRange is a range within a line, or an empty one where there is no line.
func (d *document) lineRange(line, from, to int) textRange {
	if line < 0 || line >= len(d.lines) {
		return textRange{position{max(line, 0), 0}, position{max(line, 0), 0}}
	}
	text := d.lines[line]
	return textRange{position{line, toUTF16(text, from)}, position{line, toUTF16(text, to)}}
}

func (d *document) tokenRange(t token) textRange { return d.lineRange(t.line, t.from, t.to) }

// maxLine is how long a line is whose characters are counted. In a longer one a
// byte is taken for a character: there may be thousands of places in it.
const maxLine = 4096

// toUTF16 turns a byte of a line into a character, fromUTF16 the reverse.
func toUTF16(line string, at int) int {
	if len(line) > maxLine {
		return at
	}
	n := 0
	for i, r := range line {
		if i >= at {
			break
		}
		n += width16(r)
	}
	return n
}

func fromUTF16(line string, character int) int {
	n := 0
	for i, r := range line {
		if n >= character {
			return i
		}
		n += width16(r)
	}
	return len(line)
}

func width16(r rune) int {
	if r == utf8.RuneError {
		return 1
	}
	return max(utf16.RuneLen(r), 1)
}

package report

import (
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"keepalived-go/conf"
	"keepalived-go/internal/readfile"
)

// sources are the files that problems are in, read once.
type sources struct {
	read  func(name string) (string, error)
	files map[string]*source
}

// source is a file and where in its lines secrets stand.
type source struct {
	lines   []string
	secrets [][][2]int
}

// maxShown bounds a line that is shown. No line of a configuration is as long.
const maxShown = 4 << 10

var errNotRegular = errors.New("not a regular file")

// ReadFile reads a regular file: what came through a pipe is gone.
func ReadFile(name string) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errNotRegular
	}
	f, err := readfile.Open(name, readfile.Patience)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var b strings.Builder
	_, err = io.Copy(&b, io.LimitReader(f, conf.MaxFile))
	return b.String(), err
}

// line is the line of a position as it may be shown: without secrets.
func (s *sources) line(at conf.Pos) (string, bool) {
	if at.Line == 0 || at.File == "" {
		return "", false
	}
	f := s.files[at.File]
	if f == nil {
		f = &source{}
		if text, err := s.read(at.File); err == nil {
			f.lines = strings.Split(text, "\n")
			f.secrets = conf.SecretSpans(f.lines)
		}
		if s.files == nil {
			s.files = make(map[string]*source)
		}
		s.files[at.File] = f
	}
	if at.Line > len(f.lines) || len(f.lines[at.Line-1]) > maxShown {
		return "", false
	}
	return mask(strings.TrimRight(f.lines[at.Line-1], "\r"), f.secrets[at.Line-1]), true
}

var wordRx = regexp.MustCompile(`"[^"]*"?|(?:\$\{[^}]*\}|[^\s{}"])+`)

// hidden stands for a byte of a secret. A run of them is shown as stars, always
// the same number.
const (
	hidden = '\x01'
	stars  = "********"
)

// mask replaces the secrets of a line, byte for byte, so that columns stay.
func mask(line string, secrets [][2]int) string {
	b := []byte(line)
	for _, at := range secrets {
		for i := at[0]; i < at[1]; i++ {
			b[i] = hidden
		}
	}
	return string(b)
}

const (
	tabWidth = 8
	maxWidth = 100 // columns of a line that are shown
)

// cell is a character of a shown line.
type cell struct {
	text  string
	width int
	at    int // its byte in the line
}

// show is a line as a terminal shows it, and the mark below the word at a
// column, which counts bytes from 1. A long line is cut around the column.
func show(line string, column int) (shown, mark string) {
	var cells []cell
	width := 0
	for i, r := range line {
		c := cell{string(r), runeWidth(r), i}
		switch {
		case r == hidden && i > 0 && line[i-1] == hidden:
			c.text, c.width = "", 0
		case r == hidden:
			c.text, c.width = stars, len(stars)
		case r == '\t':
			c.width = tabWidth - width%tabWidth
			c.text = strings.Repeat(" ", c.width)
		case r == utf8.RuneError || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			c.text, c.width = "\ufffd", 1
		}
		width += c.width
		cells = append(cells, c)
	}
	from, to := word(line, column)
	first := slices.IndexFunc(cells, func(c cell) bool { return c.at >= from })
	if column == 0 {
		first = 0
	} else if first < 0 {
		first = len(cells) // after the end
	}
	start, end := window(cells, first)
	var text, marks strings.Builder
	if start > 0 {
		text.WriteString("…")
		marks.WriteByte(' ')
	}
	for _, c := range cells[start:end] {
		text.WriteString(c.text)
		switch {
		case c.at == from:
			marks.WriteString("^" + strings.Repeat("~", max(c.width-1, 0)))
		case c.at > from && c.at < to:
			marks.WriteString(strings.Repeat("~", c.width))
		case c.at < from:
			marks.WriteString(strings.Repeat(" ", c.width))
		}
	}
	if end < len(cells) {
		text.WriteString("…")
	}
	if first == len(cells) && column != 0 {
		marks.WriteByte('^')
	}
	if column == 0 {
		return text.String(), ""
	}
	return strings.TrimRight(text.String(), " "), marks.String()
}

// word is the bytes of the word at a column.
func word(line string, column int) (from, to int) {
	if column == 0 {
		return len(line), len(line)
	}
	from = min(column-1, len(line))
	if at := wordRx.FindStringIndex(line[from:]); at != nil && at[0] == 0 {
		return from, from + at[1]
	}
	return from, from + 1
}

// window is the part of the cells to show, with the one in question inside.
func window(cells []cell, focus int) (start, end int) {
	total := 0
	for _, c := range cells {
		total += c.width
	}
	if total <= maxWidth {
		return 0, len(cells)
	}
	// A third of the room before the word, the rest from there on.
	width := 0
	for start = min(focus, len(cells)); start > 0 && width+cells[start-1].width <= maxWidth/3; start-- {
		width += cells[start-1].width
	}
	for end = min(focus, len(cells)); end < len(cells) && width+cells[end].width <= maxWidth; end++ {
		width += cells[end].width
	}
	for start > 0 && width+cells[start-1].width <= maxWidth {
		start--
		width += cells[start].width
	}
	return start, end
}

// wide are the ranges that terminals show over two columns (Unicode TR11).
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x1100, 0x115f, 1}, {0x2e80, 0x303e, 1}, {0x3041, 0xa4cf, 1}, {0xa960, 0xa97c, 1},
		{0xac00, 0xd7a3, 1}, {0xf900, 0xfaff, 1}, {0xfe30, 0xfe6f, 1}, {0xff00, 0xff60, 1}, {0xffe0, 0xffe6, 1},
	},
	R32: []unicode.Range32{{0x1f300, 0x1f64f, 1}, {0x1f680, 0x1f6ff, 1}, {0x1f900, 0x1faff, 1}, {0x20000, 0x3fffd, 1}},
}

func runeWidth(r rune) int {
	switch {
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

package screen

import (
	"fmt"
	"strings"
)

// Options determine the layout of a text. The zero value is plain text without wrapping.
type Options struct {
	Color bool // words that matter are coloured
	Width int  // sentences are wrapped to that many columns; 0: they are not
}

// colours of words that matter, as escape sequences (ECMA-48).
const (
	bold   = "\x1b[1m"
	red    = "\x1b[1;31m"
	yellow = "\x1b[33m"
	green  = "\x1b[32m"
	off    = "\x1b[0m"
)

// page is a text that is put together.
type page struct {
	strings.Builder
	Options
}

func (p *page) line(format string, args ...any) {
	p.WriteString(plain(fmt.Sprintf(format, args...)))
	p.WriteByte('\n')
}

// paint colours a text.
func (o Options) paint(color, text string) string {
	if !o.Color || color == "" || text == "" {
		return text
	}
	return color + text + off
}

// plain replaces what is no printable text: names and messages come from elsewhere, and
// the reader may be a terminal.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0:
			return '?'
		}
		return r
	}, s)
}

// sentence writes a text after a label, wrapped below itself.
func (p *page) sentence(color, label string, indent int, text string) {
	label = plain(label)
	p.WriteString(p.paint(color, label))
	p.WriteString(strings.Repeat(" ", max(0, indent-len(label))))
	column := max(indent, len(label))
	for i, word := range strings.Fields(plain(text)) {
		switch {
		case i == 0:
		case p.Width > 0 && column+1+len(word) > p.Width:
			p.WriteString("\n" + strings.Repeat(" ", indent))
			column = indent
		default:
			p.WriteByte(' ')
			column++
		}
		p.WriteString(word)
		column += len(word)
	}
	p.WriteByte('\n')
}

// table writes rows below a heading, in columns; paint gives the colour of a cell below
// the heading, and may be nil.
func (p *page) table(indent int, heading []string, rows [][]string, paint func(column int, cell string) string) {
	widths := make([]int, len(heading))
	all := append([][]string{heading}, rows...)
	for _, row := range all {
		for i := range row {
			if row[i] = plain(row[i]); row[i] == "" {
				row[i] = "-"
			}
			widths[i] = max(widths[i], len(row[i]))
		}
	}
	for n, row := range all {
		p.WriteString(strings.Repeat(" ", indent))
		for i, cell := range row {
			color := ""
			switch {
			case n == 0:
				color = bold
			case paint != nil:
				color = paint(i, cell)
			}
			p.WriteString(p.paint(color, cell))
			if i < len(row)-1 {
				p.WriteString(strings.Repeat(" ", widths[i]-len(cell)+2))
			}
		}
		p.WriteByte('\n')
	}
}

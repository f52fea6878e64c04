// Package format lays out a configuration file and leaves its meaning unchanged.
//
// A block is indented by four blanks, its { stands on the line of its keyword
// and its } on a line of its own, unless the whole block was written on one line
// and fits there. Words are separated by one blank. Of several empty lines one
// stays. Comments, include lines, parameters, definitions, sequences and
// conditions stay where they are, and are neither followed nor replaced; the
// text of a definition is only indented, because every blank of it may count
// where it is used.
package format

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"keepalived-go/conf/syntax"
)

const (
	indent  = "    "
	width   = 80        // columns that a block on one line may take, its comment not counted
	maxLine = 1022      // bytes of a line that every keepalived reads
	maxRead = 512 << 20 // bytes read for all configuration ids together
)

// Error is why a file is not formatted: problems that leave its meaning open.
type Error struct{ Problems syntax.Diagnostics }

func (e *Error) Error() string {
	var b strings.Builder
	for i, p := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// Source is the text of the file called name, formatted. It is an *Error if the
// text has a line too long, an open quote, a brace too much or too few, or
// anything else that is unclear before words get their meaning. The result is
// compared with src, for each configuration id, before it is returned. The known
// words, which may be nil, decide only at which brace a problem is reported.
func Source(name string, src []byte, known syntax.Vocabulary) ([]byte, error) {
	before := string(src)
	if n := len(configIDs(before)); n > 2 && n*len(before) > maxRead {
		return nil, fmt.Errorf("%s: not formatted: its %d bytes are read once for each of %d configuration ids, which is too much; split it, and name the parts with include", name, len(before), n)
	}
	if err := unclear(name, before, known); err != nil {
		return nil, err
	}
	// A brace that moves may let another one move.
	after := layout(before)
	for next := layout(after); next != after; next = layout(after) {
		after = next
	}
	if err := compare(name, before, after, known); err != nil {
		return nil, err
	}
	return []byte(after), nil
}

func layout(text string) string {
	var p printer
	for _, l := range joinBraces(syntax.SourceLines(text)) {
		p.line(&l)
	}
	return p.text()
}

// unclear is an *Error with the problems of the text under the configuration id
// with the fewest: a file may make sense for some hosts only.
func unclear(name, text string, known syntax.Vocabulary) error {
	var fewest syntax.Diagnostics
	for i, id := range configIDs(text) {
		_, diags := syntax.ParseText(name, text, syntax.Options{ConfigID: id, Vocabulary: known})
		diags = slices.DeleteFunc(diags, func(d syntax.Diagnostic) bool { return d.Severity < syntax.Error })
		if len(diags) == 0 {
			return nil
		}
		if i == 0 || len(diags) < len(fewest) {
			fewest = diags
		}
	}
	return &Error{fewest}
}

var conditions = regexp.MustCompile(`@\^?([^\s\\]+)`)

// configIDs are the identifiers that the text may compare with, and one that it does not:
// an id holds no blank.
func configIDs(text string) []string {
	ids := []string{" "}
	for _, m := range conditions.FindAllStringSubmatch(text, -1) {
		ids = append(ids, m[1])
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// compare makes sure that both texts mean the same.
func compare(name, before, after string, known syntax.Vocabulary) error {
	if was, is := comments(before), comments(after); !slices.Equal(was, is) {
		return fmt.Errorf("%s: not formatted: a comment would be lost", name)
	}
	for _, id := range configIDs(before) {
		o := syntax.Options{ConfigID: id, Vocabulary: known}
		was, trouble := syntax.ParseText(name, before, o)
		is, news := syntax.ParseText(name, after, o)
		for i, s := range was {
			if i >= len(is) || !s.Same(is[i]) {
				return fmt.Errorf("%v: not formatted: the meaning of the statement that begins here would change", s.Pos(0))
			}
		}
		if len(was) != len(is) || !slices.Equal(codes(trouble), codes(news)) {
			return fmt.Errorf("%s: not formatted: its meaning would change", name)
		}
	}
	return nil
}

func comments(text string) []string {
	var out []string
	for _, l := range syntax.SourceLines(text) {
		if l.Comment != "" {
			out = append(out, l.Comment)
		}
	}
	return out
}

// codes are the kinds of problems, without the kinds that formatting removes.
func codes(diags syntax.Diagnostics) []string {
	var out []string
	for _, d := range diags {
		if d.Code != "bom" && d.Code != "glued-comment" {
			out = append(out, d.Code)
		}
	}
	slices.Sort(out)
	return out
}

// joinBraces puts a { that begins a line to the statement before it.
func joinBraces(lines []syntax.SourceLine) []syntax.SourceLine {
	var out []syntax.SourceLine
	owner := -1 // the statement in out that a { may follow; only empty lines are between
	for _, l := range lines {
		if l.Kind == syntax.StatementLine && strings.HasPrefix(l.Text, "{") && l.Lead == nil && owner >= 0 {
			joined := out[owner]
			joined.Text += " " + l.Text
			if !special(joined.Text) && len(joined.Text)+len(l.Gap)+len(l.Comment) <= maxLine && (joined.Comment == "" || l.Comment == "") {
				if joined.Comment == "" {
					joined.Gap, joined.Comment = l.Gap, l.Comment
				}
				out = append(out[:owner], joined)
				owner = -1
				continue
			}
		}
		switch {
		case l.Kind == syntax.StatementLine && l.Lead == nil && !special(l.Text) && !slices.ContainsFunc(l.Pieces(), isOpen):
			owner = len(out)
		case l.Kind != syntax.BlankLine || l.Comment != "":
			owner = -1
		}
		out = append(out, l)
	}
	return out
}

// special reports whether text on a line of its own is anything but an ordinary
// statement.
func special(text string) bool {
	lines := syntax.SourceLines(text)
	return len(lines) != 1 || lines[0].Kind != syntax.StatementLine || lines[0].Lead != nil || lines[0].Text != text
}

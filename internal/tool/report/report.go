// Package report shows the problems of a configuration: as text with the line
// in question, as JSON, and as SARIF for the programs that annotate code.
package report

import (
	"fmt"
	"io"
	"os"
	"strings"

	"keepalived-go/conf"
)

// Format is how problems are written.
type Format uint8

const (
	// Text is for people.
	Text Format = iota
	// JSON is one object; its fields are those of [Document].
	JSON
	// SARIF is the Static Analysis Results Interchange Format, version 2.1.0.
	SARIF
)

// Formats are the names of the formats, in their order.
var Formats = []string{"text", "json", "sarif"}

// ParseFormat reads the name of a format.
func ParseFormat(name string) (Format, error) {
	for i, f := range Formats {
		if f == name {
			return Format(i), nil
		}
	}
	return 0, fmt.Errorf("%q is no format of a report; expected %s", name, strings.Join(Formats, ", "))
}

// Options determine how problems are written. The zero value is text without colour.
type Options struct {
	Format Format
	// Color makes text coloured; see [Terminal].
	Color bool
	// Codes makes text name the code of each problem.
	Codes bool
	// Version is that of the program, for SARIF.
	Version string
	// Read gives the text of a file, to show a line of it; the file itself if nil.
	Read func(name string) (string, error)
}

// Terminal reports whether f is a terminal whose user wants colours
// (https://no-color.org).
func Terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// Write writes all problems of a configuration.
func Write(w io.Writer, ds conf.Diagnostics, o Options) error {
	files := &sources{read: o.Read}
	if files.read == nil {
		files.read = ReadFile
	}
	switch o.Format {
	case JSON:
		return EncodeJSON(w, NewDocument(ds))
	case SARIF:
		return writeSARIF(w, ds, files, o.Version)
	}
	var b strings.Builder
	for _, d := range ds {
		text(&b, d, files, o)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// paint are the escape sequences of the parts of a text.
type paint struct{ severity, place, fix, caret, off string }

func palette(s conf.Severity, color bool) paint {
	if !color {
		return paint{}
	}
	severity := "\x1b[1;31m"
	switch s {
	case conf.Warning:
		severity = "\x1b[1;35m"
	case conf.Note:
		severity = "\x1b[1;36m"
	}
	return paint{severity: severity, place: "\x1b[1m", fix: "\x1b[36m", caret: "\x1b[1;32m", off: "\x1b[0m"}
}

// withoutSeverity is a message without the word that the C daemon begins it with:
// the severity stands before it.
func withoutSeverity(message string) string {
	owner, rest := "", message
	if i := strings.Index(message, ") "); strings.HasPrefix(message, "(") && i > 0 {
		owner, rest = message[:i+2], message[i+2:]
	}
	for _, word := range []string{"WARNING - ", "Warning - ", "warning - "} {
		if m, ok := strings.CutPrefix(rest, word); ok {
			return owner + m
		}
	}
	return message
}

// text writes one problem: the sentence, the line with a mark below the word,
// and how the main file led there.
func text(b *strings.Builder, d conf.Diagnostic, files *sources, o Options) {
	p := palette(d.Severity, o.Color)
	if at := d.Pos.String(); at != "" {
		fmt.Fprintf(b, "%s%s:%s ", p.place, at, p.off)
	}
	fmt.Fprintf(b, "%s%v:%s %s", p.severity, d.Severity, p.off, withoutSeverity(d.Message))
	if d.Fix != "" {
		fmt.Fprintf(b, "; %s%s%s", p.fix, d.Fix, p.off)
	}
	b.WriteString(d.Repeats())
	if o.Codes {
		fmt.Fprintf(b, " [%s]", d.Code)
	}
	b.WriteByte('\n')
	if line, ok := files.line(d.Pos); ok {
		shown, mark := show(line, d.Pos.Column)
		number := fmt.Sprintf("%5d", d.Pos.Line)
		fmt.Fprintf(b, "%s | %s\n", number, shown)
		if mark != "" {
			fmt.Fprintf(b, "%*s | %s%s%s\n", len(number), "", p.caret, mark, p.off)
		}
	}
	for _, f := range d.Chain {
		fmt.Fprintf(b, "  %s %v\n", f.What, f.Pos)
	}
}

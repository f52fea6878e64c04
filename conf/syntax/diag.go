package syntax

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Severity is how much a problem matters to the reader of the list.
type Severity uint8

const (
	// Note is worth knowing; the configuration is taken as written.
	Note Severity = iota
	// Warning is a configuration that is taken, perhaps with a corrected value.
	Warning
	// Error is a part of the configuration that is left out or replaced.
	Error
	// Fatal is a configuration that no daemon can run.
	Fatal
)

func (s Severity) String() string {
	return [...]string{"note", "warning", "error", "fatal"}[s]
}

// Class sorts problems as the exit code of a configuration test does.
type Class uint8

const (
	// ClassNone does not influence the exit code.
	ClassNone Class = iota
	// ClassCannotRun is a configuration that cannot work on this host, such
	// as an unknown interface.
	ClassCannotRun
	// ClassOrdinary is a mistake in the file: an unknown word, a number out of
	// range, a missing brace.
	ClassOrdinary
	// ClassWarning is a value that was corrected.
	ClassWarning
	// ClassDeprecated is a word that has a successor.
	ClassDeprecated
	// ClassSecurity is a script or key that others could alter.
	ClassSecurity
	// ClassMissingArgument is a word without the argument it cannot do
	// without. The C daemon stops reading there.
	ClassMissingArgument
	// ClassMissingFile is a configuration file that has to be read and cannot.
	ClassMissingFile
)

// CodeUnclosed is the [Diagnostic.Code] of a text that ends inside a block: a '}'
// is missing.
const CodeUnclosed = "missing-brace"

// Diagnostic is one problem, where it is and what to do about it.
type Diagnostic struct {
	Pos      Pos
	Severity Severity
	Class    Class
	// Code names the kind of problem; it does not change between releases.
	Code    string
	Message string
	Fix     string // what was expected or what to do; may be empty
	Edit    Edit   // what Fix describes, for programs; zero if it is no single word
	Chain   []Frame
	// Exit is the status with which a daemon refuses to start because of this
	// problem; 0 when it starts nevertheless.
	Exit int
	// Repeated is how often the same problem was found again in further
	// expansions of the same text.
	Repeated int
}

// Edit puts the word New in place of Old. Old stands at the place of the problem,
// unless it came there by a parameter, a sequence or quotation marks.
type Edit struct{ Old, New string }

// Frame is one step from a problem's place to the line in the main file that
// led there.
type Frame struct {
	What string // "included from", "expanded from" or "$NAME defined at"
	Pos  Pos
}

// String is the problem in one line, followed by an indented line for each
// step of its origin.
func (d Diagnostic) String() string {
	var b strings.Builder
	if at := d.Pos.String(); at != "" {
		b.WriteString(at)
		b.WriteString(": ")
	}
	b.WriteString(d.Message)
	if d.Fix != "" {
		b.WriteString("; ")
		b.WriteString(d.Fix)
	}
	b.WriteString(d.Repeats())
	for _, f := range d.Chain {
		fmt.Fprintf(&b, "\n  %s %v", f.What, f.Pos)
	}
	return b.String()
}

// Repeats returns in parentheses how often the problem occurs beyond its place;
// nothing if it does not.
func (d Diagnostic) Repeats() string {
	switch d.Repeated {
	case 0:
		return ""
	case 1:
		return " (and once more)"
	}
	return fmt.Sprintf(" (and %d times more)", d.Repeated)
}

// Diagnostics are all problems of one configuration, sorted by place.
type Diagnostics []Diagnostic

// TestExitCode is the exit status of a configuration test (-t):
//
//	0  nothing that the C daemon would report; there may be warnings of our own
//	2  a word lacks the argument it needs
//	4  the configuration cannot run on this host
//	5  it runs after corrections
//	6  script security, or a file is missing
//
// Like the C daemon, it takes the class with the highest number, so that 4
// appears only when nothing else was found.
func (ds Diagnostics) TestExitCode() int {
	highest := ClassNone
	for _, d := range ds {
		highest = max(highest, d.Class)
	}
	switch highest {
	case ClassNone:
		return 0
	case ClassCannotRun:
		return 4
	case ClassSecurity, ClassMissingFile:
		return 6
	case ClassMissingArgument:
		return 2
	}
	return 5
}

// Fatal is the exit status with which a daemon must refuse to run this
// configuration: 2 when it is contradictory (a missing argument or interface, a
// VRID that is missing or used twice), 6 when there is none; 0 when it may run.
func (ds Diagnostics) Fatal() int {
	code := 0
	for _, d := range ds {
		code = max(code, d.Exit)
	}
	return code
}

// Count is how many problems are at least as severe as s.
func (ds Diagnostics) Count(s Severity) int {
	n := 0
	for _, d := range ds {
		if d.Severity >= s {
			n++
		}
	}
	return n
}

// MaxDiagnostics bounds the list: a file of garbage needs no million messages.
// Fatal problems may take as much again.
const MaxDiagnostics = 1000

// Collector collects problems. The same problem at the same place, met again
// in another expansion of a definition, is only counted. The zero value will do.
type Collector struct {
	// Remedies are what to do about problems, by their code, where the code that reports
	// one knows nothing better.
	Remedies map[string]string

	list  Diagnostics
	files map[string]int // every file read, in order
	index map[diagKey]int
	lost  int
	// lostClass and lostExit keep the verdict of what did not fit the list.
	lostClass Class
	lostExit  int

	encoding   Reason
	unresolved map[string]Reason
	incomplete Reason
}

// Reason is a problem that others follow from; 0 is none.
type Reason int

type diagKey struct {
	pos  Pos
	code string
}

// Full reports whether further problems are only counted.
func (g *Collector) Full() bool { return len(g.list) >= MaxDiagnostics }

// Add adds a problem, or counts it if it is known at its place. The result is 0 if
// the list is full.
func (g *Collector) Add(d Diagnostic) Reason {
	if d.Fix == "" && !strings.Contains(d.Message, "; expected ") {
		d.Fix = g.Remedies[d.Code]
	}
	if d.Pos.Line != 0 {
		key := diagKey{d.Pos, d.Code}
		if i, ok := g.index[key]; ok {
			g.list[i].Repeated++
			g.Follow(Reason(i+1), d)
			return Reason(i + 1)
		}
		if g.index == nil {
			g.index = make(map[diagKey]int)
		}
		if !g.Full() {
			g.index[key] = len(g.list)
		}
	}
	if g.Full() && (d.Severity < Fatal || len(g.list) >= 2*MaxDiagnostics) {
		g.lost++
		g.lostClass = max(g.lostClass, d.Class)
		g.lostExit = max(g.lostExit, d.Exit)
		return 0
	}
	g.list = append(g.list, d)
	return Reason(len(g.list))
}

// At is the problem itself. It may be changed until the next one is added.
func (g *Collector) At(r Reason) *Diagnostic { return &g.list[r-1] }

// Last is the problem added last to the list.
func (g *Collector) Last() Reason { return Reason(len(g.list)) }

// Count is how many problems of the list are at least as severe as s.
func (g *Collector) Count(s Severity) int { return g.list.Count(s) }

// Encoding is the report of lines that are not UTF-8, if there is one: what is
// wrong with their words may follow from that.
func (g *Collector) Encoding() Reason { return g.encoding }

// Incomplete is the report of a file that could not be included, if there is one:
// what is missing later may stand there.
func (g *Collector) Incomplete() Reason { return g.incomplete }

// Unresolved is the report of a parameter in braces that is not defined, if there
// is one. The name begins with $.
func (g *Collector) Unresolved(name string) Reason { return g.unresolved[name] }

// Below reports whether an error is known at a place or further down in its file.
func (g *Collector) Below(at Pos) bool {
	return slices.ContainsFunc(g.list, func(d Diagnostic) bool {
		return d.Severity >= Error && d.Pos.File == at.File && d.Pos.Line >= at.Line
	})
}

// Follow notes a problem that is the consequence of another: it is not listed,
// but the verdict is as if it were.
func (g *Collector) Follow(r Reason, d Diagnostic) {
	first := &g.list[r-1]
	first.Class = max(first.Class, d.Class)
	first.Exit = max(first.Exit, d.Exit)
}

// Has reports whether a problem is listed already, so that it would only be
// counted.
func (g *Collector) Has(at Pos, code string) bool {
	_, ok := g.index[diagKey{at, code}]
	return ok
}

// Again counts a problem once more.
func (g *Collector) Again(r Reason) {
	if r != 0 {
		g.list[r-1].Repeated++
	}
}

// Sorted is the list in the order of the files, the main file first.
func (g *Collector) Sorted() Diagnostics {
	slices.SortStableFunc(g.list, func(a, b Diagnostic) int {
		return cmp.Or(
			cmp.Compare(g.files[a.Pos.File], g.files[b.Pos.File]),
			cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	if g.lost > 0 {
		g.list = append(g.list, Diagnostic{
			Severity: Error, Class: g.lostClass, Exit: g.lostExit, Code: "too-many",
			Message: fmt.Sprintf("%d more problems are not listed", g.lost), Fix: "correct the listed problems first",
		})
	}
	return g.list
}

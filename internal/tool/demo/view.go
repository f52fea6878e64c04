package demo

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// What a column of the drawing shows of a node.
const (
	holds = '█' // holds the address; a server: answers
	waits = '·' // runs without that
	off   = '×' // does not run
)

// columns of the whole demo; with the names they fit into 80.
const columns = 64

// view draws on a terminal, or prints lines where there is none.
type view struct {
	names    []string
	legend   string
	terminal bool
	cell     time.Duration
	began    time.Time // zero before the first act
	next     time.Time
	rows     [][]rune
	requests []rune
	total    tally
	drawn    int // lines of the drawing on the screen
	ended    bool
}

func newView(o options, names []string, legend string) *view {
	return &view{
		names: names, legend: legend, terminal: onTerminal() && !o.plain, cell: o.duration / columns,
		rows: make([][]rune, len(names)),
	}
}

// onTerminal reports whether the drawing is on a terminal.
func onTerminal() bool {
	_, err := unix.IoctlGetTermios(int(os.Stdout.Fd()), unix.TCGETS)
	return err == nil
}

// begin starts the drawing.
func (v *view) begin(at time.Time) {
	v.began = at
	v.next = at
	if v.terminal {
		fmt.Println()
	}
}

// end leaves the drawing on the screen; the next line is below it.
func (v *view) end() { v.drawn, v.ended = 0, true }

// printf prints a line above the drawing.
func (v *view) printf(format string, args ...any) {
	v.erase()
	stamp := "        "
	if !v.began.IsZero() {
		stamp = fmt.Sprintf("%6.2f s", time.Since(v.began).Seconds())
	}
	fmt.Printf("%s  %s\n", stamp, fmt.Sprintf(format, args...))
	v.paint()
}

// due reports whether it is time for the next column.
func (v *view) due() bool { return !v.began.IsZero() && !time.Now().Before(v.next) }

// column adds one column: a state for each node, and the requests since the
// last one.
func (v *view) column(states []rune, t tally) {
	v.next = v.next.Add(v.cell)
	for i, s := range states {
		v.rows[i] = append(v.rows[i], s)
	}
	v.total.answered += t.answered
	v.total.lost += t.lost
	switch {
	case t.lost > 0:
		v.requests = append(v.requests, '✗')
	case t.answered > 0:
		v.requests = append(v.requests, '✓')
	default:
		v.requests = append(v.requests, ' ')
	}
	if v.terminal {
		v.erase()
		v.paint()
	}
}

// erase moves to where the drawing began and clears what is below.
func (v *view) erase() {
	if v.terminal && v.drawn > 0 {
		fmt.Printf("\x1b[%dA\x1b[J", v.drawn)
		v.drawn = 0
	}
}

// paint draws all columns so far.
func (v *view) paint() {
	if v.ended || !v.terminal || v.began.IsZero() || len(v.requests) == 0 {
		return
	}
	var b strings.Builder
	visible := max(0, len(v.requests)-columns)
	for i, name := range v.names {
		fmt.Fprintf(&b, "%8s  %s\n", name, string(v.rows[i][visible:]))
	}
	fmt.Fprintf(&b, "%8s  %s\n", "client", string(v.requests[visible:]))
	fmt.Fprintf(&b, "%8s  %s   %d answered, %d lost\n", "", v.legend, v.total.answered, v.total.lost)
	fmt.Print(b.String())
	v.drawn = len(v.names) + 2
}

package lint

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteText writes the tables of failures for people.
func (r *Report) WriteText(w io.Writer) error {
	var b bytes.Buffer
	for i := range r.Outcomes {
		if i > 0 {
			b.WriteByte('\n')
		}
		r.Outcomes[i].text(&b)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// namesShown is how many virtual routers that fare alike are named.
const namesShown = 6

func (o *Outcome) text(b *bytes.Buffer) {
	for i, r := range o.Routers {
		if i == namesShown && len(o.Routers) > namesShown {
			fmt.Fprintf(b, "and %d more", len(o.Routers)-namesShown)
			break
		}
		fmt.Fprintf(b, "%s: virtual_router_id %d, IPv%d", r.Name, r.VRID, r.Family)
		if r.Interface != "" {
			fmt.Fprintf(b, ", %s", r.Interface)
		}
		if i < len(o.Routers)-1 {
			b.WriteByte('\n')
		}
	}
	b.WriteByte('\n')
	var table bytes.Buffer
	t := tabwriter.NewWriter(&table, 0, 8, 2, ' ', 0)
	fmt.Fprintf(t, "  FAILURE\tMASTER\tMEANWHILE\tREPAIRED\n")
	healthy := func(failure string, masters []string) {
		fmt.Fprintf(t, "  %s\t%s\t\t\n", failure, nodes(masters))
	}
	healthy("none", o.Masters)
	history := ""
	for _, r := range o.Rows {
		if r.History != history {
			history = r.History
			healthy("none, but "+history, r.Before)
		}
		after := nodes(r.After)
		if r.Stuck != "" {
			after += "  (moves nothing)"
		}
		fmt.Fprintf(t, "  %s: %s\t%s\t%s\t%s\n", r.Node, r.Failure, nodes(r.Before), nodes(r.During), after)
	}
	t.Flush() // into memory
	for line := range bytes.Lines(table.Bytes()) {
		b.Write(bytes.TrimRight(line, " \n"))
		b.WriteByte('\n')
	}
}

func nodes(names []string) string { return cmp.Or(strings.Join(names, "+"), "nobody") }

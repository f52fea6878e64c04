package syntax

import (
	"fmt"
	"strconv"
	"strings"
)

// repeat runs ~SEQ(…) text, ~SEQx(…) text or ~LST(…) text: the text is
// processed once for each value, with the variables set to it. Nested ones
// follow in the text, so the rightmost varies fastest.
func (p *pipeline) repeat(l line, src source) {
	open := strings.IndexByte(l.text, '(')
	closing := strings.IndexByte(l.text, ')')
	if open < 0 || closing < open {
		p.badSequence(l, 0, "a sequence needs its arguments in parentheses")
		return
	}
	// Arguments may contain definitions; parentheses may not.
	args, err := p.expandText(l, open+1, closing)
	if err != nil {
		p.halt(l, "endless-definition", "%v", err)
		return
	}
	rest := trim(l.from(closing + 1))
	if rest.text == "" {
		return
	}
	switch word := strings.TrimRight(l.text[:open], Blanks); word {
	case "~SEQ", "~SEQx":
		p.sequence(l, rest, args, word == "~SEQx", src)
	case "~LST":
		p.list(l, rest, args, src)
	default:
		p.badSequence(l, 0, fmt.Sprintf("unknown sequence %q; expected ~SEQ, ~SEQx or ~LST", word))
	}
}

func (p *pipeline) badSequence(l line, at int, message string) {
	p.report(l, at, Diagnostic{
		Severity: Error, Class: ClassOrdinary, Code: "sequence", Message: message, Fix: "the line is skipped",
	})
}

// expandText is bytes from to to of a line with their parameters replaced.
func (p *pipeline) expandText(l line, from, to int) (string, error) {
	part := l.from(from)
	part.text = part.text[:to-from]
	out, _, _, err := p.expand(part)
	return out.text, err
}

// sequence counts: ~SEQ(VAR[, START][, STEP], END).
func (p *pipeline) sequence(l, rest line, args string, hex bool, src source) {
	words := strings.Split(args, ",")
	name := strings.Trim(words[0], Blanks)
	if NameLen(name) != len(name) || name == "" || len(words) < 2 || len(words) > 4 {
		p.badSequence(l, 0, fmt.Sprintf("~SEQ(%s) does not have the form ~SEQ(VARIABLE, [START, [STEP,]] END)", args))
		return
	}
	var n [3]int64
	for i, w := range words[1:] {
		v, err := strconv.ParseInt(strings.Trim(w, Blanks), 0, 64)
		if err != nil || v > 1<<53 || v < -1<<53 {
			p.badSequence(l, 0, fmt.Sprintf("~SEQ: %q is not a number", strings.Trim(w, Blanks)))
			return
		}
		n[i] = v
	}
	var start, step, end int64
	switch len(words) {
	case 2:
		if end = n[0]; end < 0 {
			start = -1
		} else {
			start = 1
		}
		step = direction(start, end)
	case 3:
		start, end = n[0], n[1]
		step = direction(start, end)
	case 4:
		start, step, end = n[0], n[1], n[2]
	}
	switch {
	case step == 0 || step > 0 && end < start || step < 0 && end > start:
		p.badSequence(l, 0, fmt.Sprintf("~SEQ: steps of %d do not lead from %d to %d", step, start, end))
		return
	case hex && (start < 0 || end < 0):
		p.badSequence(l, 0, "~SEQx takes no negative number")
		return
	}
	base := 10
	if hex {
		base = 16
	}
	at, _ := l.locate(0)
	def := &definition{name: name, at: l.row, col: at}
	defer p.shadow(def)()
	if p.alone && (end-start)/step > aloneSteps {
		end = start + aloneSteps*step
	}
	for v := start; (step > 0 && v <= end || step < 0 && v >= end) && !p.halted; v += step {
		def.value = strconv.FormatInt(v, base)
		p.process(rest, src)
	}
}

// aloneSteps is how many steps of a sequence ParseText takes: all of one that is
// written by hand for its braces, and enough of any other.
const aloneSteps = 64

func direction(start, end int64) int64 {
	if end < start {
		return -1
	}
	return 1
}

// shadow sets a definition; the result restores what it hid. If that is nothing,
// the variable keeps its last value: a definition made inside of the sequence
// may refer to it, and is expanded only when it is used.
func (p *pipeline) shadow(def *definition) (restore func()) {
	old, had := p.defs[def.name]
	p.defs[def.name] = def
	return func() {
		if had {
			p.defs[def.name] = old
		}
	}
}

// list goes through values: ~LST(VAR, a, b) or ~LST({A, B}, {1, 2}, {3, 4}).
func (p *pipeline) list(l, rest line, args string, src source) {
	items := splitList(args)
	if len(items) < 2 {
		p.badSequence(l, 0, fmt.Sprintf("~LST(%s) does not have the form ~LST(VARIABLE, VALUE, …)", args))
		return
	}
	var vars []*definition
	at, _ := l.locate(0)
	for _, name := range tuple(items[0]) {
		if NameLen(name) != len(name) || name == "" {
			p.badSequence(l, 0, fmt.Sprintf("~LST: %q is not a variable name", name))
			return
		}
		vars = append(vars, &definition{name: name, at: l.row, col: at})
	}
	for _, v := range vars {
		defer p.shadow(v)()
	}
	for _, item := range items[1:] {
		values := []string{item}
		if len(vars) > 1 || strings.HasPrefix(item, "{") {
			values = tuple(item)
		}
		if len(values) > len(vars) {
			p.badSequence(l, 0, fmt.Sprintf("~LST: %s has %d values for %d variables", item, len(values), len(vars)))
			return
		}
		for i, v := range vars {
			v.value = ""
			if i < len(values) {
				v.value = values[i]
			}
		}
		p.process(rest, src)
		if p.halted {
			return
		}
	}
}

// splitList splits at commas outside of braces.
func splitList(s string) []string {
	var out []string
	depth, start := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			depth--
		case ',':
			if depth <= 0 {
				out = append(out, strings.Trim(s[start:i], Blanks))
				start = i + 1
			}
		}
	}
	return append(out, strings.Trim(s[start:], Blanks))
}

// tuple is the members of {a, b}; without braces, the text itself.
func tuple(s string) []string {
	if !strings.HasPrefix(s, "{") {
		return []string{s}
	}
	s = strings.TrimSuffix(s[1:], "}")
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.Trim(parts[i], Blanks)
	}
	return parts
}

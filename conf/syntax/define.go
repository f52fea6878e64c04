package syntax

import (
	"fmt"
	"strconv"
	"strings"
)

// NameStart reports whether the name of a definition may begin with c.
func NameStart(c byte) bool {
	return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// NameByte reports whether the name of a definition may have c in it.
func NameByte(c byte) bool { return NameStart(c) || '0' <= c && c <= '9' }

// NameLen is the length of the definition name s begins with.
func NameLen(s string) int {
	if s == "" || !NameStart(s[0]) {
		return 0
	}
	n := 1
	for n < len(s) && NameByte(s[n]) {
		n++
	}
	return n
}

// Definition recognises $NAME=value in the text of a line, which is not empty;
// value is the index where the value begins.
func Definition(s string) (name string, value int, ok bool) {
	if s[0] != '$' {
		return "", 0, false
	}
	n := 1 + NameLen(s[1:])
	if n == 1 || n >= len(s) || s[n] != '=' {
		return "", 0, false
	}
	value = n + 1
	for value < len(s) && Blank(s[value]) {
		value++
	}
	return s[1:n], value, true
}

// readDefinition takes a definition and the lines that continue it from src. A
// line that ends with a backslash continues; empty lines of it are dropped.
func (p *pipeline) readDefinition(l line, name string, value int, src source) *definition {
	at, _ := l.locate(0)
	def := &definition{name: name, at: l.row, col: at}
	if !strings.HasSuffix(l.text, `\`) {
		def.value = l.text[value:]
		return def
	}
	def.multi, def.file = true, l.origin.file
	keep := func(l line) {
		if text := strings.TrimRight(strings.TrimSuffix(l.text, `\`), Blanks); text != "" {
			def.lines = append(def.lines, bodyLine{text: text, start: l.start, line: l.line, spans: l.spans})
		}
	}
	keep(l.from(value))
	_, isFile := src.(*fileLines)
	for {
		next, ok := src.next()
		if !ok {
			return def
		}
		if isFile {
			if next.text, ok = p.clean(next.text, next.row); !ok {
				continue
			}
		}
		next.text = strings.TrimRight(next.text, Blanks)
		keep(next)
		if !strings.HasSuffix(next.text, `\`) {
			return def
		}
	}
}

// tailUse is a multi-line definition used at the end of a line.
type tailUse struct {
	def *definition
	col int32
}

// expand replaces the parameters of a line. Text that is no parameter, or an
// unknown one, stays as written.
func (p *pipeline) expand(l line) (out line, tail tailUse, changed bool, err error) {
	x := expansion{pipeline: p, line: &l, buf: p.buffer[:0], spans: make([]span, 0, 6)}
	err = x.expand(l.text, nil, 0)
	p.buffer = x.buf[:0]
	if err != nil || !x.changed {
		return l, x.tail, false, err
	}
	return line{text: string(x.buf), row: l.row, spans: x.spans}, x.tail, true, nil
}

type expansion struct {
	*pipeline
	line    *line
	buf     []byte
	spans   []span
	tail    tailUse
	changed bool
}

// expand appends the expansion of s, which is the line itself or, with def, the
// value of a definition used at column col of it.
func (x *expansion) expand(s string, def *definition, col int32) error {
	literal := 0
	flush := func(to int) {
		if to > literal {
			if def == nil {
				x.mark(literal)
			}
			x.buf = append(x.buf, s[literal:to]...)
		}
	}
	for i := 0; ; {
		n := strings.IndexByte(s[i:], '$')
		if n < 0 {
			break
		}
		i += n
		name, args, length := Parameter(s[i:])
		if length == 0 {
			i++
			continue
		}
		d, known := x.defs[name]
		text, predefined := "", false
		if !known {
			if text, predefined = x.predefined(name, args); !predefined {
				i += length
				continue
			}
		}
		if known && args != "" {
			i += length
			continue
		}
		flush(i)
		i += length
		literal = i
		x.changed = true
		at, outer := col, def
		if def == nil {
			at, _ = x.line.locate(i - length)
			outer = d
		}
		if predefined {
			x.spans = append(x.spans, span{int32(len(x.buf)), at, &anonymous})
			x.buf = append(x.buf, text...)
			continue
		}
		if d.multi {
			if strings.Trim(s[i:], Blanks) != "" {
				x.report(*x.line, 0, Diagnostic{
					Severity: Error, Class: ClassOrdinary, Code: "multiline-use",
					Message: fmt.Sprintf("the multi-line definition $%s must be the last thing on a line", name),
					Fix:     "what follows it is ignored",
				})
			}
			x.tail = tailUse{d, at}
			return nil
		}
		if d.busy > 0 || len(x.buf)+len(d.value) > maxExpanded {
			return fmt.Errorf("$%s contains itself or expands to more than %d KiB", name, maxExpanded>>10)
		}
		x.spans = append(x.spans, span{int32(len(x.buf)), at, outer})
		if strings.IndexByte(d.value, '$') < 0 {
			x.buf = append(x.buf, d.value...)
			continue
		}
		d.busy++
		err := x.expand(d.value, outer, at)
		d.busy--
		if err != nil || x.tail.def != nil {
			return err
		}
	}
	flush(len(s))
	if len(x.buf) > maxExpanded {
		return fmt.Errorf("the line expands to more than %d KiB", maxExpanded>>10)
	}
	return nil
}

// anonymous marks text that has no definition in a file.
var anonymous definition

// mark starts a literal piece of the line at its byte from.
func (x *expansion) mark(from int) {
	col, def := x.line.locate(from)
	x.spans = append(x.spans, span{int32(len(x.buf)), col, def})
}

// Parameter recognises $NAME and ${NAME args}; length is 0 if s begins with
// neither. A bare $NAME must be followed by a blank, a comma, a closing
// parenthesis or the end.
func Parameter(s string) (name, args string, length int) {
	if len(s) < 2 {
		return "", "", 0
	}
	if s[1] != '{' {
		n := 1 + NameLen(s[1:])
		if n == 1 || n < len(s) && s[n] != ' ' && s[n] != '\t' && s[n] != ',' && s[n] != ')' {
			return "", "", 0
		}
		return s[1:n], "", n
	}
	n := 2 + NameLen(s[2:])
	end := strings.IndexByte(s, '}')
	if n == 2 || end < n {
		return "", "", 0
	}
	if n < end && !Blank(s[n]) {
		return "", "", 0
	}
	return s[2:n], strings.Trim(s[n:end], Blanks), end + 1
}

// predefined is the value of a parameter that every file has.
func (p *pipeline) predefined(name, args string) (string, bool) {
	switch name {
	case "_PWD":
		if len(p.open) == 0 {
			return "", false
		}
		return p.open[len(p.open)-1].absolute(), true
	case "_INSTANCE":
		return p.ConfigID, true
	case "_HASH":
		return "#", true
	case "_BANG":
		return "!", true
	case "_ENV":
		if args == "" {
			return "", false
		}
		value, _ := p.Env(args)
		return value, true
	case "_RANDOM":
		low, high, ok := randomRange(args)
		if !ok {
			return "", false
		}
		if low > high {
			p.report(line{row: p.last}, 0, Diagnostic{
				Severity: Warning, Class: ClassOrdinary, Code: "random-range",
				Message: fmt.Sprintf("_RANDOM: minimum %d is above maximum %d", low, high),
				Fix:     "the minimum is used",
			})
			high = low
		}
		if p.alone {
			high = low
		}
		return p.randomInt(low, high), true
	}
	return "$" + name, p.alone
}

func randomRange(args string) (low, high int64, ok bool) {
	high = 32767
	for i, word := range strings.Fields(args) {
		v, err := strconv.ParseUint(word, 10, 32)
		switch {
		case err != nil || i > 1:
			return 0, 0, false
		case i == 0:
			low = int64(v)
		default:
			high = int64(v)
		}
	}
	return low, high, true
}

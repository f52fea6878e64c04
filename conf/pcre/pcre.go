// Package pcre translates patterns in the notation of PCRE2, which the regex of
// HTTP_GET and SSL_GET has, into those of package regexp.
//
// Matching takes time in proportion to the text, whatever the pattern. A pattern
// that needs more, or that regexp cannot express, is refused with the construct
// and its column.
package pcre

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"unicode/utf8"
)

// Pattern is a compiled pattern. What it is matched with depends on UTF.
type Pattern struct {
	// Anywhere finds a match from the first character on.
	Anywhere *regexp.Regexp
	// Later skips at least one character, which gives a context to the match; group
	// 1 is the match.
	Later *regexp.Regexp
	// UTF reports whether characters are those of UTF-8. Otherwise each byte is a
	// character, which Byte gives.
	UTF bool
	// FirstLine demands that the match begins before the first newline.
	FirstLine bool
	// Lines reports whether the pattern has a ^ of lines. It must not match after
	// the newline that ends the text.
	Lines bool
}

// Byte is the character that stands for a byte of a text without UTF. Those from
// 0x80 have no meaning in PCRE2, so they are characters for private use, for which
// no rule about letters holds.
func Byte(b byte) rune {
	if b >= 0x80 {
		return highByte + rune(b) - 0x80
	}
	return rune(b)
}

// Error is why a pattern cannot be used.
type Error struct {
	Column    int    // in bytes, from 1, of the pattern; 0: an option
	Construct string // what stands there
	Message   string
}

// Error is the whole sentence: where, what stands there, what is wrong.
func (e *Error) Error() string {
	if e.Column == 0 {
		return fmt.Sprintf("regex option %s: %s", e.Construct, e.Message)
	}
	return fmt.Sprintf("column %d of the regex, %s: %s", e.Column, e.Construct, e.Message)
}

// Options are the options of [Compile]: those of PCRE2, by the names of the manual.
// Some change nothing here: they are about how PCRE2 works, or forbid what is not
// there.
var Options = []string{
	"allow_empty_class", "alt_bsux", "auto_callout", "caseless", "dollar_endonly", "dotall", "dupnames", "extended", "firstline",
	"match_unset_backref", "multiline", "never_ucp", "never_utf", "no_auto_capture", "no_auto_possess", "no_dotstar_anchor",
	"no_start_optimize", "ucp", "ungreedy", "utf", "never_backslash_c", "alt_circumflex", "alt_verbnames", "use_offset_limit",
}

// Compile compiles a pattern with options of [Options]. What takes more than linear
// time (back-references, look-around, atomic groups) or cannot be expressed otherwise
// is refused. The error is an *[Error].
func Compile(pattern string, options []string) (*Pattern, error) {
	t := &translator{in: pattern}
	for _, o := range options {
		if !slices.Contains(Options, o) {
			return nil, &Error{Construct: o, Message: "unknown"}
		}
		t.option(o)
		if o == "ucp" || o == "alt_bsux" {
			return nil, &Error{Construct: o, Message: "not supported"}
		}
	}
	if len(pattern) > mostPattern {
		return nil, &Error{Column: mostPattern + 1, Construct: "the rest", Message: fmt.Sprintf("a pattern has at most %d bytes", mostPattern)}
	}
	if err := t.translate(); err != nil {
		return nil, err
	}
	body := t.out.String()
	re, err := regexp.Compile(t.prefix() + body)
	if err != nil {
		return nil, t.refused(err)
	}
	// The first character only gives a context to what stands at the offset.
	later, err := regexp.Compile(`\A(?s:.)(?s:.)*?(` + t.prefix() + body + `)`)
	if err != nil {
		return nil, t.refused(err)
	}
	return &Pattern{Anywhere: re, Later: later, UTF: t.utf, FirstLine: t.firstLine, Lines: t.lineAt && !t.altCircumflex}, nil
}

const mostPattern = 16 << 10

// highByte is Byte(0x80); those of the other bytes follow.
const highByte = 0xf080

// translator writes a pattern of PCRE2 in the notation of Go.
type translator struct {
	in  string
	pos int
	out strings.Builder
	at  []place // where what was written comes from

	flags, initial flags
	groups         []flags // of the groups around

	utf, firstLine, endOnly, emptyClass, altCircumflex bool

	names  []string
	lineAt bool
}

type place struct{ out, in int }

type flags struct{ extended, multiline, caseless, dotall, ungreedy bool }

func (t *translator) option(o string) {
	switch o {
	case "allow_empty_class":
		t.emptyClass = true
	case "alt_circumflex":
		t.altCircumflex = true
	case "caseless":
		t.flags.caseless = true
	case "dollar_endonly":
		t.endOnly = true
	case "dotall":
		t.flags.dotall = true
	case "extended":
		t.flags.extended = true
	case "firstline":
		t.firstLine = true
	case "multiline":
		t.flags.multiline = true
	case "ungreedy":
		t.flags.ungreedy = true
	case "utf":
		t.utf = true
	}
	t.initial = t.flags
}

// prefix sets the options.
func (t *translator) prefix() string { return "(?" + t.initial.text() + ")" }

func (t *translator) refuse(from int, message string) *Error {
	to := min(max(t.pos, from+1), len(t.in))
	what := "the end"
	if from < len(t.in) {
		what = printable([]byte(t.in[from:to]))
	}
	return &Error{Column: from + 1, Construct: what, Message: message}
}

// refused finds the place of an error of Go's own.
func (t *translator) refused(err error) *Error {
	var se *syntax.Error
	if !errors.As(err, &se) {
		return &Error{Column: 1, Construct: "the regex", Message: err.Error()}
	}
	column := 0
	if i := strings.Index(t.out.String(), se.Expr); i >= 0 {
		for _, p := range t.at {
			if p.out > i {
				break
			}
			column = p.in
		}
	}
	return &Error{Column: column + 1, Construct: printable([]byte(se.Expr)), Message: se.Code.String()}
}

func (t *translator) more() bool { return t.pos < len(t.in) }

func (t *translator) has(prefix string) bool {
	if strings.HasPrefix(t.in[t.pos:], prefix) {
		t.pos += len(prefix)
		return true
	}
	return false
}

// upTo takes what stands before end, and end.
func (t *translator) upTo(end string) (string, bool) {
	i := strings.Index(t.in[t.pos:], end)
	if i < 0 {
		return "", false
	}
	s := t.in[t.pos : t.pos+i]
	t.pos += i + len(end)
	return s, true
}

func (t *translator) translate() error {
	for t.more() {
		start := t.pos
		t.at = append(t.at, place{t.out.Len(), start})
		c := t.in[t.pos]
		t.pos++
		var err error
		switch c {
		case '\\':
			err = t.escape(start)
		case '[':
			err = t.class(start)
		case '(':
			err = t.group(start)
		case ')':
			if len(t.groups) == 0 {
				return t.refuse(start, "no ( belongs to it")
			}
			t.flags = t.groups[len(t.groups)-1]
			t.groups = t.groups[:len(t.groups)-1]
			t.out.WriteByte(')')
		case '*', '+', '?':
			t.out.WriteByte(c)
			err = t.lazy(start)
		case '{':
			err = t.repeat(start)
		case '$':
			t.dollar()
		case '^':
			t.lineAt = t.lineAt || t.flags.multiline
			t.out.WriteByte('^')
		case '.', '|':
			t.out.WriteByte(c)
		case ' ', '\t', '\n', '\v', '\f', '\r':
			if !t.flags.extended {
				t.literal(rune(c))
			}
		case '#':
			if !t.flags.extended {
				t.literal('#')
			} else if _, ok := t.upTo("\n"); !ok {
				t.pos = len(t.in)
			}
		default:
			t.pos--
			t.literal(t.char())
		}
		if err != nil {
			return err
		}
	}
	if len(t.groups) > 0 {
		return t.refuse(len(t.in), "a ) is missing")
	}
	return nil
}

// char takes a character that stands for itself: a byte, or one of UTF-8.
func (t *translator) char() rune {
	if t.utf {
		r, n := utf8.DecodeRuneInString(t.in[t.pos:])
		t.pos += n
		return r
	}
	t.pos++
	return rune(t.in[t.pos-1])
}

// mapped is the character that stands for r in what is matched.
func (t *translator) mapped(r rune) rune {
	if !t.utf && r >= 0x80 {
		return highByte + r - 0x80
	}
	return r
}

func (t *translator) literal(r rune) { fmt.Fprintf(&t.out, `\x{%x}`, t.mapped(r)) }

// lazy takes what may follow a quantifier.
func (t *translator) lazy(start int) error {
	switch {
	case t.has("+"):
		return t.refuse(start, "possessive quantifiers are not supported; the same without the last + may match more")
	case t.has("?"):
		t.out.WriteByte('?')
	}
	return nil
}

// repeat takes {n}, {n,} or {n,m}; else the brace stands for itself.
func (t *translator) repeat(start int) error {
	end := strings.IndexByte(t.in[t.pos:], '}')
	if end <= 0 {
		t.literal('{')
		return nil
	}
	low, high, pair := strings.Cut(t.in[t.pos:t.pos+end], ",")
	n, ok := decimal(low)
	m, ok2 := n, true
	if pair && high != "" {
		m, ok2 = decimal(high)
	}
	if !ok || !ok2 {
		t.literal('{')
		return nil
	}
	t.pos += end + 1
	switch {
	case n > mostRepeat || m > mostRepeat:
		return t.refuse(start, fmt.Sprintf("at most %d repetitions are supported", mostRepeat))
	case m < n:
		return t.refuse(start, "the numbers are out of order")
	}
	t.out.WriteString(t.in[start:t.pos])
	return t.lazy(start)
}

const mostRepeat = 1000

// decimal reads digits alone; a number over 9999 is that.
func decimal(s string) (n int, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = min(n*10+int(c-'0'), 9999)
	}
	return n, s != ""
}

// dollar: $ is the end, and without dollar_endonly before a newline there too.
func (t *translator) dollar() {
	switch {
	case t.flags.multiline:
		t.out.WriteByte('$')
	case t.endOnly:
		t.out.WriteString(`\z`)
	default:
		t.out.WriteString(atEnd)
	}
}

const atEnd = `(?:\n?\z)`

// Sets of characters that Go writes otherwise: inside brackets.
const (
	spaces     = `\t\n\x0b\f\r `
	horizontal = `\t `
	vertical   = `\n\x0b\f\r`
)

func (t *translator) set(c byte) (inside string, negated, ok bool) {
	switch c {
	case 's', 'S':
		inside = spaces
	case 'h', 'H':
		inside = horizontal + fmt.Sprintf(`\x{%x}`, t.mapped(0xa0))
		if t.utf {
			inside += `\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}`
		}
	case 'v', 'V':
		inside = vertical + fmt.Sprintf(`\x{%x}`, t.mapped(0x85))
		if t.utf {
			inside += `\x{2028}\x{2029}`
		}
	default:
		return "", false, false
	}
	return inside, c < 'a', true
}

// escape takes what follows a backslash outside of brackets.
func (t *translator) escape(start int) error {
	if !t.more() {
		return t.refuse(start, "nothing follows")
	}
	c := t.in[t.pos]
	if inside, negated, ok := t.set(c); ok {
		t.pos++
		if negated {
			inside = "^" + inside
		}
		t.out.WriteString("[" + inside + "]")
		return nil
	}
	switch c {
	case 'd', 'D', 'w', 'W', 'b', 'B', 'A', 'z':
		t.pos++
		t.out.WriteString(t.in[start:t.pos])
		return nil
	case 'Z':
		t.pos++
		t.out.WriteString(atEnd)
		return nil
	case 'N':
		t.pos++
		if t.has("{") {
			return t.refuse(start, "named characters are not supported; write \\x{…}")
		}
		t.out.WriteString(`[^\n]`)
		return nil
	case 'Q':
		t.pos++
		quoted, ok := t.upTo(`\E`)
		if !ok {
			quoted, t.pos = t.in[t.pos:], len(t.in)
		}
		end := t.pos
		for t.pos = start + 2; t.pos < start+2+len(quoted); {
			t.literal(t.char())
		}
		t.pos = end
		return nil
	case 'E':
		t.pos++
		return nil
	case 'R':
		t.pos++
		return t.refuse(start, `not supported; write (?:\r\n|\n|\r)`)
	case 'K', 'G', 'X', 'C':
		t.pos++
		return t.refuse(start, "not supported")
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		// More digits are a character in octal, unless there are that many groups.
		digits := len(t.in[t.pos:]) - len(strings.TrimLeft(t.in[t.pos:], "0123456789"))
		if n, _ := decimal(t.in[t.pos : t.pos+digits]); digits > 1 && c < '8' && n > strings.Count(t.in, "(") {
			break
		}
		t.pos += digits
		return t.refuse(start, "back-references are not supported")
	case 'k', 'g':
		t.pos++
		return t.refuse(start, "back-references are not supported")
	case 'p', 'P':
		return t.property(start)
	}
	r, err := t.number(start)
	if err != nil {
		return err
	}
	t.literal(r)
	return nil
}

// property takes \pL or \p{Name}.
func (t *translator) property(start int) error {
	t.pos++
	if !t.utf {
		return t.refuse(start, "properties of characters need the option utf")
	}
	if t.has("{") {
		if _, ok := t.upTo("}"); !ok {
			return t.refuse(start, "a } is missing")
		}
	} else if t.more() {
		t.pos++
	}
	if _, err := syntax.Parse(t.in[start:t.pos], syntax.Perl); err != nil {
		return t.refuse(start, "unknown property")
	}
	t.out.WriteString(t.in[start:t.pos])
	return nil
}

// number takes an escape that is one character.
func (t *translator) number(start int) (rune, error) {
	c := t.in[t.pos]
	t.pos++
	digits := func(base rune, most int) rune {
		n := rune(0)
		for i := 0; i < most && t.more(); i++ {
			d := digit(t.in[t.pos])
			if d >= base {
				break
			}
			n = n*base + d
			t.pos++
		}
		return n
	}
	var r rune
	switch c {
	case 'a':
		r = 7
	case 'e':
		r = 27
	case 'f':
		r = '\f'
	case 'n':
		r = '\n'
	case 'r':
		r = '\r'
	case 't':
		r = '\t'
	case '0', '1', '2', '3', '4', '5', '6', '7':
		t.pos--
		r = digits(8, 3)
	case 'x', 'o':
		base := map[byte]rune{'x': 16, 'o': 8}[c]
		if t.has("{") {
			r = digits(base, 8)
			if !t.has("}") {
				return 0, t.refuse(start, "a } is missing")
			}
		} else if c == 'x' {
			r = digits(16, 2)
		} else {
			return 0, t.refuse(start, "a { is missing")
		}
	case 'c':
		if !t.more() || t.in[t.pos] < ' ' || t.in[t.pos] > '~' {
			return 0, t.refuse(start, "a printable character must follow")
		}
		r = rune(strings.ToUpper(t.in[t.pos : t.pos+1])[0] ^ 0x40)
		t.pos++
	default:
		if c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z' {
			return 0, t.refuse(start, "unknown")
		}
		t.pos--
		return t.char(), nil
	}
	most := rune(0xff)
	if t.utf {
		most = utf8.MaxRune
	}
	if r < 0 || r > most {
		return 0, t.refuse(start, "the number is too large")
	}
	return r, nil
}

func digit(c byte) rune {
	switch {
	case c >= '0' && c <= '9':
		return rune(c - '0')
	case c|0x20 >= 'a' && c|0x20 <= 'f':
		return rune(c|0x20-'a') + 10
	}
	return 99
}

// class takes [ … ].
func (t *translator) class(start int) error {
	negated := t.has("^")
	first := t.pos
	var b strings.Builder
	closed := false
	for t.more() {
		at := t.pos
		if t.in[at] == ']' && (at > first || t.emptyClass) {
			t.pos++
			closed = true
			break
		}
		if end, ok := t.posix(); ok {
			if end < 0 {
				return t.refuse(at, "unknown class")
			}
			b.WriteString(t.in[at:t.pos])
			continue
		}
		set, r, err := t.member(at)
		switch {
		case err != nil:
			return err
		case set != "":
			b.WriteString(set)
			continue
		case r < 0: // \E, or an empty \Q
			continue
		}
		if t.pos+1 < len(t.in) && t.in[t.pos] == '-' && t.in[t.pos+1] != ']' {
			dash := t.pos
			t.pos++
			set, to, err := t.member(t.pos)
			switch {
			case err != nil:
				return err
			case set != "" || to < 0:
				return t.refuse(dash, "a - between a character and a class: write it as \\-")
			case to < r:
				return t.refuse(at, "the range is out of order")
			}
			t.span(&b, r, to)
			continue
		}
		t.span(&b, r, r)
	}
	switch {
	case !closed:
		return t.refuse(start, "a ] is missing")
	case b.Len() == 0 && negated:
		t.out.WriteString(`(?s:.)`)
	case b.Len() == 0:
		t.out.WriteString(`[^\x00-\x{10ffff}]`)
	case negated:
		t.out.WriteString("[^" + b.String() + "]")
	default:
		t.out.WriteString("[" + b.String() + "]")
	}
	return nil
}

// posix takes [:name:] if it stands there; end < 0: the name is unknown.
func (t *translator) posix() (end int, ok bool) {
	rest := t.in[t.pos:]
	if len(rest) < 4 || rest[0] != '[' || !strings.ContainsRune(":.=", rune(rest[1])) {
		return 0, false
	}
	i := strings.Index(rest[2:], rest[1:2]+"]")
	if i < 0 || strings.ContainsAny(rest[2:2+i], `]\[`) {
		return 0, false
	}
	t.pos += i + 4
	if _, err := syntax.Parse("["+rest[:i+4]+"]", syntax.Perl); rest[1] != ':' || err != nil {
		return -1, true
	}
	return t.pos, true
}

// member takes one member of a class: a set as Go writes it inside brackets, or
// a character; r < 0: nothing.
func (t *translator) member(at int) (set string, r rune, err error) {
	if t.in[at] != '\\' {
		return "", t.char(), nil
	}
	t.pos++
	if !t.more() {
		return "", 0, t.refuse(at, "nothing follows")
	}
	c := t.in[t.pos]
	if inside, negated, ok := t.set(c); ok {
		t.pos++
		if !negated {
			return inside, 0, nil
		}
		return t.complement(inside), 0, nil
	}
	switch c {
	case 'd', 'D', 'w', 'W':
		t.pos++
		return t.in[at:t.pos], 0, nil
	case 'b':
		t.pos++
		return "", 8, nil
	case 'E':
		t.pos++
		return "", -1, nil
	case 'Q':
		t.pos++
		quoted, ok := t.upTo(`\E`)
		if !ok {
			return "", 0, t.refuse(at, `a \E is missing`)
		}
		var b strings.Builder
		end := t.pos
		for t.pos = at + 2; t.pos < at+2+len(quoted); {
			r := t.char()
			t.span(&b, r, r)
		}
		t.pos = end
		if b.Len() == 0 {
			return "", -1, nil
		}
		return b.String(), 0, nil
	case 'p', 'P':
		own := &translator{in: t.in, pos: t.pos, utf: t.utf}
		if err := own.property(at); err != nil {
			return "", 0, err
		}
		t.pos = own.pos
		return t.in[at:t.pos], 0, nil
	case 'R', 'X', 'B', 'N', 'K', 'G', 'A', 'Z', 'z', 'C':
		t.pos++
		return "", 0, t.refuse(at, "not supported in a class")
	}
	r, err = t.number(at)
	return "", r, err
}

// complement is all characters but those of inside, as members of a class.
func (t *translator) complement(inside string) string {
	re, err := syntax.Parse("[^"+inside+"]", syntax.Perl)
	if err != nil || re.Op != syntax.OpCharClass {
		return ""
	}
	var b strings.Builder
	for i := 0; i+1 < len(re.Rune); i += 2 {
		fmt.Fprintf(&b, `\x{%x}-\x{%x}`, re.Rune[i], re.Rune[i+1])
	}
	return b.String()
}

// span writes a range, in two if some of its characters stand elsewhere.
func (t *translator) span(b *strings.Builder, from, to rune) {
	if !t.utf && from < 0x80 && to >= 0x80 {
		t.span(b, from, 0x7f)
		from = 0x80
	}
	fmt.Fprintf(b, `\x{%x}-\x{%x}`, t.mapped(from), t.mapped(to))
}

// group takes ( and what makes it special.
func (t *translator) group(start int) error {
	if t.has("*") {
		return t.refuse(start, "verbs are not supported")
	}
	if !t.has("?") {
		t.groups = append(t.groups, t.flags)
		t.out.WriteByte('(')
		return nil
	}
	for _, no := range []struct{ prefix, message string }{
		{"=", "look-ahead is not supported"}, {"!", "look-ahead is not supported"},
		{"<=", "look-behind is not supported"}, {"<!", "look-behind is not supported"},
		{">", "atomic groups are not supported; (?: may match more"},
		{"|", "groups that share numbers are not supported"},
		{"(", "conditions are not supported"},
		{"P=", "back-references are not supported"}, {"P>", "recursion is not supported"}, {"&", "recursion is not supported"},
		{"R", "recursion is not supported"}, {"+", "recursion is not supported"},
		{"C", "callouts are not supported"},
	} {
		if t.has(no.prefix) {
			return t.refuse(start, no.message)
		}
	}
	switch {
	case t.has("#"):
		if _, ok := t.upTo(")"); !ok {
			return t.refuse(start, "a ) is missing")
		}
		return nil
	case t.has(":"):
		t.groups = append(t.groups, t.flags)
		t.out.WriteString("(?:")
		return nil
	case t.has("P<"), t.has("<"):
		return t.named(start, ">")
	case t.has("'"):
		return t.named(start, "'")
	}
	return t.setFlags(start)
}

func (t *translator) named(start int, end string) error {
	name, ok := t.upTo(end)
	if !ok {
		return t.refuse(start, "a "+end+" is missing")
	}
	if slices.Contains(t.names, name) {
		return t.refuse(start, "two groups have this name")
	}
	t.names = append(t.names, name)
	t.groups = append(t.groups, t.flags)
	t.out.WriteString("(?P<" + name + ">")
	return nil
}

// setFlags takes (?flags) and (?flags:.
func (t *translator) setFlags(start int) error {
	around := t.flags
	on := true
	for t.more() {
		c := t.in[t.pos]
		t.pos++
		switch c {
		case '-':
			if t.more() && t.in[t.pos] >= '0' && t.in[t.pos] <= '9' {
				return t.refuse(start, "recursion is not supported")
			}
			on = false
		case 'i':
			t.flags.caseless = on
		case 'm':
			t.flags.multiline = on
		case 's':
			t.flags.dotall = on
		case 'U':
			t.flags.ungreedy = on
		case 'x':
			if t.has("x") {
				return t.refuse(start, "xx is not supported")
			}
			t.flags.extended = on
		case 'J', 'n': // names twice, groups without numbers: neither changes what matches
		case ')':
			t.out.WriteString("(?" + t.flags.text() + ")")
			return nil
		case ':':
			t.groups = append(t.groups, around)
			t.out.WriteString("(?" + t.flags.text() + ":")
			return nil
		default:
			if c >= '0' && c <= '9' {
				return t.refuse(start, "recursion is not supported")
			}
			return t.refuse(start, "unknown")
		}
	}
	return t.refuse(start, "a ) is missing")
}

// text is all flags in the notation of Go.
func (f flags) text() string {
	on, off := "", ""
	for _, flag := range []struct {
		set  bool
		name string
	}{{f.caseless, "i"}, {f.multiline, "m"}, {f.dotall, "s"}, {f.ungreedy, "U"}} {
		if flag.set {
			on += flag.name
		} else {
			off += flag.name
		}
	}
	if off == "" {
		return on
	}
	return on + "-" + off
}

// printable is b as it may be shown: at most 80 bytes, what is not printable as a
// dot.
func printable(b []byte) string {
	const most = 80
	cut := len(b) > most
	if cut {
		b = b[:most]
	}
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '.'
		}
		return r
	}, string(b))
	if cut {
		s += "…"
	}
	return s
}

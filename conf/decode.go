package conf

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"keepalived-go/conf/syntax"
)

// decoder fills a Config from statements by the schema.
type decoder struct {
	Options
	diags *syntax.Collector
	cfg   *Config

	global    globals
	instances []*instance
	groups    []*syncGroup
	garps     []*garpGroup
	announced shared[GARP]
	names     map[string]*instance
	groupAt   map[string]Pos  // of vrrp_sync_group blocks
	present   map[string]bool // interfaces, as far as they were asked for
	absent    []absentInterface
	scripts   scripts
	strings   map[string]string
	placed    map[string]place // the values of words that are placed, by the path of the word

	servers servers
	bfd     *bfdInstance
	routing routing

	// argument is what is being set. It is used again and again: a block has
	// been opened before what stands in it is looked at.
	argument argument
	// checking is the statement whose arguments are being checked.
	checking *argument

	// What is being filled, and the outermost statement it belongs to.
	outer   *Statement
	inst    *instance
	peers   map[netip.Addr]*instance // by address: the last instance that has it
	group   *syncGroup
	garp    *garpGroup
	tracked trackers

	interfaces     map[string]*InterfaceSettings
	interfaceOrder []*InterfaceSettings

	consequences
	pointed []pointed
	// reported is the last statement that something was wrong with.
	reported  *Statement
	blamed    blamed
	commented map[string]reason // the first comment of another language
	// values are the entries whose first word, a value, looks like a keyword with = or
	// : after it, as an IPv6 address does.
	values map[*Statement]bool
	// insideComment is the report of a /* without its */ so far.
	insideComment reason

	lost lostNames

	// here is the statement that is looked at, before the one above it in the
	// text, whatever block that is in, last the one looked at last.
	here, before, last visit
}

// visit is a statement and the vocabulary it is read with.
type visit struct {
	block     *block
	statement *Statement
}

// intern returns one copy of equal strings. It also frees a string from the
// text of the file it was cut from.
func (d *decoder) intern(s string) string {
	if v, ok := d.strings[s]; ok {
		return v
	}
	s = strings.Clone(s)
	d.strings[s] = s
	return s
}

// report adds a problem with a word of a statement.
func (d *decoder) report(s *Statement, word int, p Diagnostic) {
	if hint := lookalike(&s.Words[min(word, len(s.Words)-1)]); hint != "" {
		p.Fix, p.Edit = hint, Edit{}
	}
	if r := d.diags.Encoding(); r != 0 && !utf8.ValidString(s.Words[min(word, len(s.Words)-1)].Text) {
		d.diags.Follow(r, p)
		d.diags.At(r).Severity = max(d.diags.At(r).Severity, p.Severity)
		d.noteReason(p.Severity, r)
		return
	}
	if r := d.diags.Incomplete(); r != 0 && undefined(s, word) != "" {
		d.diags.Follow(r, p)
		d.noteReason(p.Severity, r)
		return
	}
	h, done := d.explain(s, word, &p)
	if done {
		return
	}
	if !d.diags.Full() || p.Severity >= Fatal {
		d.hush(s, word, &p)
	}
	p.Pos, p.Chain = s.Pos(word), s.Chain(word)
	r := d.diags.Add(p)
	d.noteReason(p.Severity, r)
	d.blame(s, h, r)
	d.reported = s
}

func (d *decoder) reportAt(at place, p Diagnostic) {
	p.Pos, p.Chain = at.Pos(), at.Chain()
	d.noteReason(p.Severity, d.diags.Add(p))
}

// wrong reports an ordinary mistake, the most frequent kind.
func (d *decoder) wrong(s *Statement, word int, code, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if a := d.checking; a != nil && a.k.otherwise != nil && a.given() {
		message += " - " + a.k.otherwise(d, a)
	}
	d.report(s, word, Diagnostic{
		Severity: Error, Class: ClassOrdinary, Code: code, Message: message, Fix: d.remedy(s, word),
	})
}

// remedy is what to do about a wrong word: write the statement like the example.
func (d *decoder) remedy(s *Statement, word int) string {
	if d.checking == nil {
		return ""
	}
	if k := d.checking.k; k.Default != "" && len(s.Words) > 1 && s.Words[1].Text == k.Default {
		return "remove it: without it, " + k.Name + " is " + k.Default
	}
	if line := d.checking.k.Example(); line != "" {
		return "for example: " + strings.TrimSuffix(line, " {")
	}
	return ""
}

// statements decodes what stands in a block.
func (d *decoder) statements(b *block, list []*Statement) {
	for _, s := range list {
		d.statement(b, s)
	}
}

func (d *decoder) statement(b *block, s *Statement) {
	here, before := d.here, d.before
	d.here, d.before = visit{b, s}, d.last
	d.last = d.here
	d.dispatch(b, s)
	d.here, d.before = here, before
}

func (d *decoder) dispatch(b *block, s *Statement) {
	k := b.words[s.Keyword()]
	d.typography(s, b, k)
	if d.insideComment != 0 && endsComment(s) {
		defer func() { d.insideComment = 0 }()
	}
	switch {
	case k != nil:
		d.keyword(k, s)
		if d.reported != s {
			d.silentHabit(s, k)
		}
	case b.entry != nil && !slices.Contains(secretWords().names, s.Keyword()):
		if assigned(s.Keyword()) {
			if d.values == nil {
				d.values = make(map[*Statement]bool)
			}
			d.values[s] = true
		}
		b.entry(d, s)
	default: // also a password that got into a list, as of mail addresses
		d.unknown(b, s)
	}
}

// unknown reports a word that is not declared. The text in its braces is skipped.
func (d *decoder) unknown(b *block, s *Statement) {
	word := s.Keyword()
	p := Diagnostic{
		Severity: Error, Class: ClassOrdinary, Code: "unknown-keyword",
		Message: fmt.Sprintf("Unknown keyword '%s'%s", printable(word), d.within(b)),
	}
	// A sequence may bring millions of words that no one will see.
	shown := !d.diags.Full() && !d.diags.Has(s.Pos(0), p.Code) && (d.diags.Encoding() == 0 || utf8.ValidString(word))
	near := ""
	if shown || b.path == "vrrp_instance" {
		near = nearest(word, b)
	}
	meant := cmp.Or(oldWord(word, b), spaced(s, b))
	switch {
	case !shown:
	case meant != "" && strings.Contains(meant, word+"_"):
		p.Fix = fmt.Sprintf("write %s, with underscores", meant)
	case meant != "":
		p.Fix, p.Edit = fmt.Sprintf("write %s instead", meant), Edit{Old: d.intern(word), New: meant}
	case near != "":
		p.Fix, p.Edit = fmt.Sprintf("did you mean %q?", near), Edit{Old: d.intern(word), New: near}
	case strings.HasPrefix(word, "$") && len(s.Words) > 1 && strings.HasPrefix(s.Words[1].Text, "="):
		p.Fix = "remove the blank before =, which no definition has"
	default:
		if owner := blockOf(word); owner != "" {
			p.Fix = "it belongs " + owner
		}
	}
	if b.path == "vrrp_instance" && near != "" {
		d.word = near
	}
	d.report(s, 0, p)
	d.mayDefine(s)
}

// within names a block in the words of the file.
func (d *decoder) within(b *block) string {
	if b.path == "" {
		return ""
	}
	outer := d.outer.Keyword()
	if len(d.outer.Words) > 1 {
		outer += " " + printable(d.outer.Words[1].Text)
	}
	if i := strings.LastIndexByte(b.path, '.'); i >= 0 {
		return " in " + b.path[i+1:] + " of " + outer
	}
	return " in " + outer
}

// keyword decodes a statement by the declaration of its first word.
func (d *decoder) keyword(k *Keyword, s *Statement) {
	if k.Successor != "" && !k.silent {
		d.report(s, 0, Diagnostic{
			Severity: Warning, Class: ClassDeprecated, Code: "deprecated",
			Message: fmt.Sprintf(`Keyword "%s" is deprecated - please use "%s"`, k.Name, k.Successor),
		})
	}
	if s.HasBlock && k.block == nil {
		d.wrong(s, 0, "unexpected-block", "Unexpected '{' after '%s', which takes no block", k.Name)
	}
	if k.Block == "vrrp_instance" {
		d.word = k.Name
	}
	if k.Secret {
		if d.lost == nil {
			d.lost = make(lostNames)
		}
		d.lost.note(s, 1)
	}
	a := &d.argument
	*a = argument{Statement: s, k: k}
	d.checking = a
	ok := d.arguments(a)
	d.checking = nil
	if !ok {
		return
	}
	if k.block == nil {
		if k.set != nil {
			k.set(d, a)
			if k.placed {
				d.placed[k.Path()] = a.Place(1)
			}
			if h := k.home; k.field != nil && h.given != nil {
				h.given(d).add(k)
			}
		}
		return
	}
	d.extraWords(k, s)
	if !s.HasBlock {
		d.report(s, 0, Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "no-block",
			Message: fmt.Sprintf("Missing '{' at beginning of configuration block after '%s'", k.Name),
			Fix:     k.Name + " is a block",
		})
	}
	if k.set != nil {
		k.set(d, a)
	}
	if k.block.open != nil {
		if !k.block.open(d, s) {
			return
		}
		k.block.begin(d)
	}
	d.statements(k.block, s.Block)
	if k.block.close != nil {
		k.block.close(d, s)
	}
}

// extraWords reports words between the name of a block that has none and its
// brace.
func (d *decoder) extraWords(k *Keyword, s *Statement) {
	if k.args.kind != argBlock || len(s.Words) < 2 {
		return
	}
	p := Diagnostic{
		Severity: Warning, Class: ClassNone, Code: "block-words", Fix: "remove it, or write it on its own line in the block",
		Message: fmt.Sprintf("Block %s has extra parameters %s ...", k.Name, printable(s.Words[1].Text)),
	}
	if k.block.entry != nil { // where it may have been meant as the first line
		p.Severity, p.Class = Error, ClassOrdinary
	}
	if s.HasBlock {
		d.report(s, 1, p)
	}
}

// arguments checks the arguments of a statement. What follows the declared
// ones is ignored.
func (d *decoder) arguments(a *argument) bool {
	k := a.k
	spec := &k.args
	if len(a.Words) < 2 {
		switch {
		case spec.kind == argBool:
			a.on = true
			return true
		case spec.optional || spec.kind == argNone || spec.kind == argBlock:
			return true
		case spec.missing != "":
			d.wrong(a.Statement, 0, "missing-argument", "%s", spec.missing)
		default:
			d.report(a.Statement, 0, Diagnostic{
				Severity: Fatal, Class: ClassMissingArgument, Exit: 2, Code: "missing-argument",
				Message: fmt.Sprintf("*** Configuration line starting `%s` is missing a parameter after keyword `%s` at word position 2", k.Name, k.Name),
				Fix:     fmt.Sprintf("write %s %s", k.Name, k.Args),
			})
		}
		return false
	}
	a.text = a.Words[1].Text
	switch spec.kind {
	case argBool:
		on, ok := parseBool(a.text)
		if !ok {
			d.wrong(a.Statement, 1, "bad-boolean", "Invalid value '%s' for %s specified; expected on, off, true, false, yes or no", printable(a.text), k.Name)
			return false
		}
		a.on = on
	case argNumber, argWeight:
		n, ok := d.number(a.Statement, 1, spec.min, spec.max)
		a.n = n
		return ok
	case argSeconds, argMillis:
		us, ok := d.decimal(a.Statement, 1, spec)
		a.d = time.Duration(us) * time.Microsecond
		return ok
	case argAddress:
		if spec.zoned {
			if addr, err := netip.ParseAddr(a.text); err == nil && addr.Zone() != "" && addr.IsLinkLocalUnicast() {
				a.addr = addr.WithZone(d.intern(addr.Zone()))
				return true
			}
		}
		addr, ok := d.single(a.Statement, 1, k.Name)
		if a.addr = addr; !ok {
			d.wrong(a.Statement, 1, "bad-address", "%s: '%s' is not a valid IP address", k.Name, printable(a.text))
			return false
		}
	case argChoice:
		for _, c := range spec.choices {
			if a.text == c {
				return true
			}
		}
		d.wrong(a.Statement, 1, "bad-choice", "%s: unknown value '%s'; expected %s", k.Name, printable(a.text), strings.Join(spec.choices, ", "))
		return false
	case argCommand:
		return d.commandLine(a)
	}
	return true
}

// commandLine reads CMD [USER [GROUP]] and the words of CMD.
func (d *decoder) commandLine(a *argument) bool {
	text := a.Rest()
	var open byte
	if a.cmd, open = syntax.SplitShell(text, true); open == 0 && len(a.cmd) > 0 && a.k.Name != "regex" {
		text = a.cmd[0]
		a.line, open = syntax.SplitShell(text, false)
	}
	if open != 0 {
		d.report(a.Statement, 1, Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "unterminated-quote",
			Message: fmt.Sprintf("String '%s': missing terminating %c", printable(strings.Trim(text, syntax.Blanks)), open),
			Fix:     fmt.Sprintf("close it with another %c", open),
		})
		return false
	}
	d.scripts.note(a)
	return true
}

func parseBool(s string) (on, ok bool) {
	switch s {
	case "on", "true", "yes":
		return true, true
	case "off", "false", "no":
		return false, true
	}
	return false, false
}

// number reads a decimal integer.
func (d *decoder) number(s *Statement, word int, min, max int64) (int64, bool) {
	text := s.Words[word].Text
	digits := strings.TrimPrefix(text, "+")
	if digits == "" || digits[0] == '+' || digits[0] == '-' && digits != text {
		digits = "?"
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		if strings.Trim(digits, "-0123456789") != "" {
			d.wrong(s, word, "bad-number", "invalid number '%s' for %s", printable(text), s.Keyword())
			return 0, false
		}
		n = max + 1 // more digits than fit
	}
	if n < min || n > max || err != nil {
		d.wrong(s, word, "out-of-range", "number '%s' outside range [%d, %d] for %s", printable(text), min, max, s.Keyword())
		return n, false
	}
	return n, true
}

// decimal reads a number with a fraction, in millionths for seconds and in
// thousandths for milliseconds: microseconds in both cases.
func (d *decoder) decimal(s *Statement, word int, spec *args) (int64, bool) {
	text := s.Words[word].Text
	places := 6
	if spec.kind == argMillis {
		places = 3
	}
	us, exact, ok := parseDecimal(text, places)
	if !ok {
		d.wrong(s, word, "bad-number", "invalid number '%s' for %s", printable(text), s.Keyword())
		return 0, false
	}
	if us < spec.min || us > spec.max {
		d.wrong(s, word, "out-of-range", "number '%s' outside range [%s] for %s", printable(text), strings.Replace(spec.bounds(), " to ", ", ", 1), s.Keyword())
		return us, false
	}
	if !exact {
		d.report(s, word, Diagnostic{
			Severity: Warning, Class: ClassOrdinary, Code: "too-precise",
			Message: fmt.Sprintf("number '%s' for %s has more than %d decimal places - rounding", printable(text), s.Keyword(), places),
		})
	}
	return us, true
}

// parseDecimal reads digits with an optional fraction, scaled by 10 to the power
// of places. exact is false if it had to be rounded.
func parseDecimal(s string, places int) (v int64, exact, ok bool) {
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(s, "+"), ".")
	negative := strings.HasPrefix(whole, "-")
	if negative {
		whole = whole[1:]
	}
	if whole == "" && fraction == "" || strings.Trim(whole+fraction, "0123456789") != "" || len(whole) > 12 {
		return 0, false, false
	}
	exact = true
	for i := range whole {
		v = v*10 + int64(whole[i]-'0')
	}
	for i := range places {
		v *= 10
		if i < len(fraction) {
			v += int64(fraction[i] - '0')
		}
	}
	if len(fraction) > places && strings.Trim(fraction[places:], "0") != "" {
		exact = false
		if fraction[places] >= '5' {
			v++
		}
	}
	if negative {
		v = -v
	}
	return v, exact, true
}

// printable is user text as messages quote it: short and without control bytes.
func printable(s string) string {
	if len(s) > 100 {
		s = s[:100] + "…"
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			q := strconv.Quote(s)
			return q[1 : len(q)-1]
		}
	}
	return strings.ToValidUTF8(s, "\ufffd")
}

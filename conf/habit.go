package conf

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"keepalived-go/conf/syntax"
)

// A habit is something of another language that someone wrote here: what it
// is answers a problem better than the text of the problem.
type habit struct {
	word   int // of the statement; problems with it and those after it follow from it
	remedy string
	edit   Edit
	// comment marks one that begins where the text is none of the language.
	comment bool
}

// blamed is the statement that a habit spoiled, and the problem that reports it.
type blamed struct {
	s *Statement
	r reason
}

// habitOf is the habit that explains a problem with a word of a statement.
func (d *decoder) habitOf(s *Statement, word int) (h habit, ok bool) {
	word = min(word, len(s.Words)-1)
	keyword := !d.values[s]
	for i := range s.Words[:word+1] {
		if h, ok = habitAt(s, i, keyword); ok {
			return h, true
		}
	}
	// The mistake may follow the word whose argument is missing or wrong.
	if word == 0 && len(s.Words) > 1 {
		if h, ok = habitAt(s, 1, keyword); ok && !h.comment {
			return h, true
		}
	}
	return habit{}, false
}

// habitAt is the habit of one word. The first one of a statement is a keyword, or the
// value of an entry.
func habitAt(s *Statement, i int, keyword bool) (h habit, ok bool) {
	w := s.Words[i]
	if w.Quoted || w.Text == "" {
		return h, false
	}
	text := w.Text
	if marker := commentMarker(text, i == 0); marker != "" {
		return habit{word: i, comment: true,
			remedy: fmt.Sprintf("begin the comment with # or !; it ends at the end of the line, and %s does not begin one", marker)}, true
	}
	switch {
	case i == 0 && (keyword && assigned(text) || text[0] != '$' && len(s.Words) > 1 && assignment(s.Words[1].Text) && !s.Words[1].Quoted),
		i == 1 && assignment(text) && !strings.HasPrefix(s.Words[0].Text, "$"):
		// The value may be a secret.
		return habit{word: i, remedy: "write a blank and the value after the keyword, without = or :"}, true
	case len(text) > 1 && strings.HasSuffix(text, ";"):
		return habit{word: i, remedy: "remove the ;, since a statement ends at the end of the line"}, true
	case text == "," || len(text) > 1 && strings.HasSuffix(text, ",") || manyAddresses(text):
		return habit{word: i, remedy: "write one per line, without commas"}, true
	case i == 0:
		return dottedMask(text, i)
	case i == 1 && isAddress(s.Words[0].Text) && isAddress(text):
		if _, mask := maskLength(text); !mask {
			return habit{word: i, remedy: "write one address per line"}, true
		}
	}
	before := s.Words[i-1].Text
	switch addr, length, slash := strings.Cut(text, "/"); {
	case slash && addr == "" && isAddress(before):
		if length == "" && i+1 < len(s.Words) {
			length = s.Words[i+1].Text
		}
		return habit{word: i, remedy: fmt.Sprintf("write %s/%s without a blank", before, printable(length))}, true
	case isAddress(before):
		at := i
		if (text == "netmask" || text == "mask") && i+1 < len(s.Words) {
			text = s.Words[i+1].Text
		}
		if n, ok := maskLength(text); ok {
			return habit{word: at, remedy: fmt.Sprintf("write %s/%d", before, n)}, true
		}
	}
	return dottedMask(text, i)
}

// dottedMask answers ADDR/MASK with the length of the prefix.
func dottedMask(text string, i int) (h habit, ok bool) {
	addr, mask, _ := strings.Cut(text, "/")
	n, ok := maskLength(mask)
	if !ok || !isAddress(addr) {
		return h, false
	}
	good := fmt.Sprintf("%s/%d", addr, n)
	return habit{word: i, remedy: "write " + good, edit: Edit{Old: text, New: good}}, true
}

// commentMarker is what another language begins a comment with.
func commentMarker(text string, first bool) string {
	for _, m := range []string{"//", "/*", "*/", ";"} {
		if strings.HasPrefix(text, m) {
			return m
		}
	}
	switch {
	case text == "--" || first && strings.HasPrefix(text, "--"):
		return "--"
	case text == "*" && first, first && strings.HasSuffix(text, "*/"):
		return "/*"
	}
	return ""
}

// assigned reports whether a keyword has = or : in it or after it.
func assigned(keyword string) bool {
	i := strings.IndexAny(keyword, "=:")
	return i > 0 && syntax.NameLen(keyword) == i
}

// assignment reports whether = or : begins a value.
func assignment(text string) bool {
	return strings.HasPrefix(text, "=") || text == ":"
}

func isAddress(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && a.Zone() == ""
}

// manyAddresses reports whether a word is a list of addresses.
func manyAddresses(text string) bool {
	list := strings.Split(text, ",")
	return len(list) > 1 && !slices.ContainsFunc(list, func(s string) bool {
		addr, _, _ := strings.Cut(s, "/")
		return !isAddress(addr)
	})
}

// maskLength is the prefix length of a mask such as 255.255.255.0.
func maskLength(text string) (n int, ok bool) {
	a, err := netip.ParseAddr(text)
	if err != nil || !a.Is4() {
		return 0, false
	}
	b := a.As4()
	m := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	n = bits.LeadingZeros32(^m)
	return n, n > 0 && m<<n == 0
}

// explain gives a problem the remedy of the habit it comes from. done is true if
// the problem follows from one that is listed.
func (d *decoder) explain(s *Statement, word int, p *Diagnostic) (h habit, done bool) {
	for _, r := range []reason{d.blamedFor(s), d.insideComment} {
		if r != 0 {
			d.followFrom(r, *p)
			return h, true
		}
	}
	if name := undefined(s, word); name != "" && !(word == 0 && len(s.Words) > 1 && assignment(s.Words[1].Text)) {
		if r := d.diags.Unresolved(name); r != 0 {
			d.followFrom(r, *p)
			return h, true
		}
		p.Fix, p.Edit = undefinedRemedy(name), Edit{}
		return h, false
	}
	h, ok := d.habitOf(s, word)
	switch {
	case !ok:
	case h.comment && d.commented[s.Pos(0).File] != 0:
		r := d.commented[s.Pos(0).File]
		d.diags.Again(r)
		d.followFrom(r, *p)
		d.blamed = blamed{s, r}
		d.beginsComment(s, r)
		return h, true
	default:
		p.Fix, p.Edit = h.remedy, h.edit
	}
	return h, false
}

// blame notes that the problem r came from a habit: what else is wrong with the
// statement follows from it.
func (d *decoder) blame(s *Statement, h habit, r reason) {
	if h.remedy == "" || r == 0 {
		return
	}
	d.blamed = blamed{s, r}
	if h.comment {
		if d.commented == nil {
			d.commented = make(map[string]reason)
		}
		d.commented[s.Pos(0).File] = r
		d.beginsComment(s, r)
	}
}

func (d *decoder) blamedFor(s *Statement) reason {
	if d.blamed.s != s {
		return 0
	}
	return d.blamed.r
}

// beginsComment notes that the statements up to the next */ are meant as a
// comment: what is wrong with them follows from that.
func (d *decoder) beginsComment(s *Statement, r reason) {
	if slices.ContainsFunc(s.Words, func(w Token) bool { return strings.HasPrefix(w.Text, "/*") }) && !endsComment(s) {
		d.insideComment = r
	}
}

func endsComment(s *Statement) bool {
	return slices.ContainsFunc(s.Words, func(w Token) bool { return strings.HasSuffix(w.Text, "*/") })
}

// followFrom is a problem that another one explains.
func (d *decoder) followFrom(r reason, p Diagnostic) {
	d.diags.Follow(r, p)
	first := d.diags.At(r)
	first.Severity = max(first.Severity, p.Severity)
	d.noteReason(p.Severity, r)
}

// undefinedRemedy is what to do about a parameter that is not defined.
func undefinedRemedy(name string) string {
	return "the parameter " + name + " is not defined"
}

// oldWords are words of other releases, and what stands for them now.
var oldWords = map[string]string{
	"lvs_id":       "router_id",
	"nb_get_retry": "retry",
}

// oldWord is the word of a block that is meant by one of other releases.
func oldWord(word string, b *block) string {
	if w := oldWords[word]; b.words[w] != nil {
		return w
	}
	return ""
}

// spaced is the word that someone wrote with blanks instead of underscores.
func spaced(s *Statement, b *block) string {
	name := s.Keyword()
	for _, w := range s.Words[1:min(len(s.Words), 6)] {
		if name += "_" + w.Text; b.words[name] != nil {
			return name
		}
	}
	return ""
}

// silentHabit warns of a value that is taken as it stands and hardly meant so.
func (d *decoder) silentHabit(s *Statement, k *Keyword) {
	if len(s.Words) < 2 || s.Words[1].Quoted {
		return
	}
	value := s.Words[1].Text
	warn := func(message, remedy string) {
		d.report(s, 1, Diagnostic{Severity: Warning, Class: ClassNone, Code: "habit", Message: message, Fix: remedy})
	}
	_, isBool := parseBool(value)
	switch {
	case k.args.kind != argBlock && k.args.kind != argCommand && assignment(value):
		warn(k.Name+" is set to "+printable(value[:1]), "")
	case isBool && k.args.kind == argNone:
		warn(fmt.Sprintf("%s takes no value and is on, although it is followed by %s", k.Name, value), "remove the line to switch it off, or the value to switch it on")
	case isBool && (k.Name == "use_vmac" || k.Name == "use_ipvlan"):
		warn(fmt.Sprintf("%s uses %s as the name of the interface that it creates", k.Name, value), "remove the line to have no such interface, or the value to have one with the usual name")
	}
}

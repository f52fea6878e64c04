package conf

import (
	"regexp"
	"slices"
	"strings"
	"sync"

	"keepalived-go/conf/syntax"
)

// What is a secret is decided here, for all that print text of a file: messages,
// the lines they show, the expanded file and its saved copies. It is decided by
// position and likeness: a word that was misspelt, split, or put on a line of
// its own must not make the password after it a plain value. What is hidden
// without need costs a look into the file; what is shown without need cannot be
// taken back.

// Cut is where in a statement a secret begins: at a byte of a word. It continues
// to the end of the statement.
type Cut struct{ Word, Byte int }

// Secrets are the statements of a tree, and those in their blocks, that hold a
// secret or may do so.
func Secrets(tree []*Statement) map[*Statement]Cut {
	found := make(map[*Statement]Cut)
	waits := false
	var look func(v *block, list []*Statement)
	look = func(v *block, list []*Statement) {
		for _, s := range list {
			cover := v.secret(texts(s), waits || s.MayBeValue())
			waits = cover.waits
			if cover.hidden {
				found[s] = cover.Cut
			}
			if s.HasBlock {
				look(v.inside(texts(s)), s.Block)
			}
		}
	}
	look(root(), tree)
	lost := make(lostNames)
	for s, cut := range found {
		lost.note(s, cut.Word)
	}
	if len(lost) > 0 {
		for _, s := range tree {
			if n := lost.glued(s.Keyword()); n > 0 {
				found[s] = Cut{0, n}
			}
		}
	}
	return found
}

// lostNames are parameters that stand for a secret and are not defined: the
// secret may be glued to the name, where the definition has lost its =.
type lostNames map[string]bool

// note notes the parameters of a statement from a word on.
func (l lostNames) note(s *Statement, from int) {
	for i := from; i < len(s.Words); i++ {
		if name := undefined(s, i); name != "" {
			l[name] = true
		}
	}
}

// glued is where in a word what is glued to a name begins, or 0.
func (l lostNames) glued(word string) int {
	n := 0
	for name := range l {
		if len(word) > len(name) && strings.HasPrefix(word, name) && syntax.NameByte(word[len(name)]) && (n == 0 || len(name) < n) {
			n = len(name)
		}
	}
	return n
}

// hush takes what is glued to the names out of the problems.
func (l lostNames) hush(ds Diagnostics) {
	for i := range ds {
		for name := range l {
			for _, text := range []*string{&ds[i].Message, &ds[i].Fix} {
				var b strings.Builder
				for rest := *text; ; {
					before, after, ok := strings.Cut(rest, name)
					b.WriteString(before)
					if !ok {
						break
					}
					b.WriteString(name)
					n := 0
					for n < len(after) && syntax.NameByte(after[n]) {
						n++
					}
					if n > 0 {
						b.WriteString(hushedText)
					}
					rest = after[n:]
				}
				*text = b.String()
			}
		}
	}
}

func texts(s *Statement) []string {
	out := make([]string, len(s.Words))
	for i := range s.Words {
		out[i] = s.Words[i].Text
	}
	return out
}

// cover is what there is to hide in a statement.
type cover struct {
	Cut
	hidden bool
	// waits means that a value is missing: what comes next may be it.
	waits bool
}

// vault is what the language has for secrets.
type vault struct {
	names  []string          // of words whose value is one, without key, which has other meanings too
	blocks map[string]*block // that exist for one: an unknown word in them is part of it
}

// schemaRoot is root, for what root itself refers to.
var schemaRoot func() *block

func init() { schemaRoot = root }

var secretWords = sync.OnceValue(func() (v vault) {
	v.blocks = make(map[string]*block)
	var search func(b *block)
	search = func(b *block) {
		for _, k := range b.order {
			if k.Secret && k.Name != "key" && !slices.Contains(v.names, k.Name) {
				v.names = append(v.names, k.Name)
			}
			if k.block == nil {
				continue
			}
			if k.block.private() {
				v.blocks[k.Name] = k.block
			}
			search(k.block)
		}
	}
	search(schemaRoot())
	return v
})

// private reports whether a block is there for a secret.
func (b *block) private() bool { return b.holds() && len(b.order) < 16 }

// holds reports whether a word of the block has a secret.
func (b *block) holds() bool {
	return b != nil && slices.ContainsFunc(b.order, func(k *Keyword) bool { return k.Secret })
}

// inside is the vocabulary of the block that follows words of this one. It is
// nil if it is unknown.
func (b *block) inside(words []string) *block {
	if b != nil {
		if k := b.words[words[0]]; k != nil && k.block != nil {
			return k.block
		}
	}
	for _, w := range words {
		for name, inner := range secretWords().blocks {
			if likeName(w, name) {
				return inner
			}
		}
	}
	if b != nil {
		if k := b.words[nearest(words[0], b)]; k != nil {
			return k.block
		}
	}
	return nil
}

// secret judges a statement of the block, which may be nil. After means that the
// statement before it lacks a value.
func (b *block) secret(words []string, after bool) cover {
	var k *Keyword
	entry := false
	if b != nil {
		k, entry = b.words[words[0]], b.entry != nil
	}
	if after && k == nil {
		return cover{hidden: true}
	}
	if v, ok := b.named(words, k); ok {
		return v
	}
	first := words[0]
	lead := 0
	for lead < len(first) && first[lead] < 0x80 && !syntax.NameByte(first[lead]) {
		lead++
	}
	equals := strings.IndexByte(first[lead:], '=')
	if equals >= 0 {
		equals += lead
	}
	lost := strings.Contains(first[:lead], "$") // a definition that is none
	switch {
	case entry && k == nil:
		return cover{}
	case b.private():
		if k == nil {
			k = b.words[nearest(first, b)]
		}
		if k == nil || k.Secret {
			return cover{hidden: true, waits: len(words) == 1}
		}
		for i, w := range words[1:] {
			if !b.harmless(w) {
				return cover{Cut: Cut{i + 1, 0}, hidden: true}
			}
		}
	case k != nil:
	case strings.Contains(first[:lead], "="):
		return cover{Cut: Cut{0, 0}, hidden: true}
	case lost && equals > 0:
		return cover{Cut: Cut{0, equals}, hidden: true}
	case equals > 0 && (b == nil || b.path == "" || nearest(first[lead:equals], b) == ""):
		return cover{Cut: Cut{0, equals}, hidden: true} // $NAME=VALUE without its $
	case lost && lead+syntax.NameLen(first[lead:]) < len(first):
		return cover{Cut: Cut{0, lead + syntax.NameLen(first[lead:])}, hidden: true}
	case lost, b.holds(): // or a misspelt word beside the secret
		return cover{Cut: Cut{1, 0}, hidden: len(words) > 1, waits: lost && len(words) == 1}
	}
	if k == nil {
		for i, w := range words {
			if likeKey(w) {
				return cover{Cut: Cut{i, 0}, hidden: true}
			}
		}
	}
	return cover{}
}

// likeKey reports whether a word after an unknown one is as long as a key
// of auth_hmac, and no path, host name or address.
func likeKey(w string) bool { return len(w) >= 32 && !strings.ContainsAny(w, "/.") }

// named looks for the word that a secret belongs to.
func (b *block) named(words []string, k *Keyword) (v cover, ok bool) {
	for i, w := range words {
		if strings.ContainsAny(strings.Trim(w, syntax.Blanks), syntax.Blanks) {
			if n := b.quoted(w); n > 0 {
				return cover{Cut: Cut{i, n}, hidden: true}, true
			}
		}
		name, n := "", 0
		switch lead := len(w) - len(strings.TrimLeft(w, `@^$~\!#="'`)); {
		case i == 0 && k != nil && !k.Secret:
			continue
		case i == 0 && k != nil:
			name, n = w, len(w)
		case isKey(words[i:], b, i):
			name, n = "key", lead+len("key")
		default:
			if name, n = secretName(w[lead:], i == 0); n > 0 {
				n += lead
			}
		}
		if n == 0 {
			continue
		}
		switch rest := words[i+1:]; {
		case n < len(w):
			v.Cut = Cut{i, n}
		case name == "key" && len(rest) > 0:
			digits := len(rest[0]) - len(strings.TrimLeft(rest[0], "0123456789"))
			switch {
			case digits == 0 && strings.HasPrefix(rest[0], "/"), len(rest) > 1 && strings.HasPrefix(rest[1], "file:"):
				return cover{}, true // the name of a file
			case digits == 0 || digits > 3:
				v.Cut = Cut{i + 1, 0}
			case digits < len(rest[0]):
				v.Cut = Cut{i + 1, digits}
			default:
				v.Cut = Cut{i + 2, 0}
			}
		case name == "smtp_auth" && len(rest) > 1:
			v.Cut = Cut{i + 2, 0}
		default:
			v.Cut = Cut{i + 1, 0}
		}
		if v.Word < len(words)-1 && v.Byte == 0 && (words[v.Word] == "=" || words[v.Word] == ":") {
			v.Word++
		}
		v.hidden = v.Word < len(words)
		v.waits = !v.hidden || name == "smtp_auth" && i+2 == len(words)
		return v, true
	}
	return cover{}, false
}

// quoted is where in a word of several, as quotes make it, a secret begins; 0 if
// there is none.
func (b *block) quoted(w string) int {
	words := strings.Fields(w)
	v, ok := b.named(words, nil)
	if !ok || !v.hidden {
		return 0
	}
	n := 0
	for i, word := range words {
		n += strings.Index(w[n:], word)
		if i == v.Word {
			return n + v.Byte
		}
		n += len(word)
	}
	return 0
}

// keys reports whether the block has key ID VALUE.
func (b *block) keys() bool { return b != nil && b.words["key"] != nil && b.words["key"].Secret }

// isKey reports whether words are key ID VALUE, or something like it: elsewhere key has
// a path after it, or means something else.
func isKey(words []string, b *block, i int) bool {
	w := strings.TrimLeft(words[0], `@^$~\!#="'`)
	if rest, ok := strings.CutPrefix(w, "key"); !ok || rest != "" && strings.IndexByte("=:0123456789", rest[0]) < 0 {
		return false
	}
	if b.keys() || len(w) > len("key") {
		return true
	}
	return len(words) > 2 && strings.TrimLeft(words[1], "0123456789") != words[1] ||
		len(words) == 2 && i == 0 && b.private() && !strings.HasPrefix(words[1], "/")
}

// secretive are names that show that they hold a secret.
var secretive = regexp.MustCompile(`(?i)pas+w?(or)?d?$|passw|secret|credential|token|psk|hmac_?key|_key$|^auth_pas`)

// secretName is the word with a secret that a word stands for, and how much of
// it: the rest is the value, without a blank. The first word of a statement may
// be misspelt or broken off.
func secretName(w string, first bool) (name string, n int) {
	head := w
	if i := strings.IndexAny(w, "=:"); i >= 0 {
		head = w[:i]
	}
	for _, name := range secretWords().names {
		switch {
		case head == name:
			return name, len(name)
		case !first:
			if len(head) > 3 && likeName(head, name) {
				return name, len(head)
			}
		case likeName(head, name), len(head) > 3 && (strings.HasPrefix(name, head) || strings.HasSuffix(name, head)):
			return name, len(head)
		default:
			// The value without a blank before it: at the best place for a cut.
			for _, n := range []int{len(name), len(name) - 1, len(name) + 1} {
				if n <= len(w) && editDistance(strings.ToLower(w[:n]), name, 2) < 2 {
					return name, n
				}
			}
		}
	}
	if first && head != "active_key" && secretive.MatchString(head) {
		return "", len(head)
	}
	return "", 0
}

// likeName reports whether a word is a name with a slip or two.
func likeName(w, name string) bool {
	if len(w) < 3 {
		return false
	}
	w, name = strings.ToLower(w), strings.ToLower(name)
	limit := max(1, len(name)/4) + 1
	return editDistance(w, name, limit) < limit
}

// harmless reports whether a word of a private block that belongs to no secret
// is what the block takes: a choice, a small number, a path, another word of it.
func (b *block) harmless(w string) bool {
	if strings.HasPrefix(w, "/") || strings.HasPrefix(w, "file:") || len(w) <= 5 && strings.Trim(w, "0123456789.-") == "" {
		return true
	}
	for _, k := range b.order {
		for _, choice := range append(strings.Split(k.Args, "|"), k.Name) {
			if strings.EqualFold(choice, w) || len(choice) > 3 && editDistance(w, choice, 2) < 2 {
				return true
			}
		}
	}
	return false
}

// hushedText stands for a secret in a message.
const hushedText = "********"

// hush takes the secrets of a statement out of a problem with it.
func (d *decoder) hush(s *Statement, word int, p *Diagnostic) {
	var v cover
	if here := d.here; s == here.statement {
		v = here.block.secret(texts(s), s.MayBeValue() || lacksSecret(d.before.block, d.before.statement))
	} else {
		v, _ = (*block)(nil).named(texts(s), nil)
	}
	if !v.hidden {
		return
	}
	for i := v.Word; i < len(s.Words); i++ {
		text := s.Words[i].Text
		if i == v.Word {
			text = text[min(v.Byte, len(text)):]
		}
		p.Message, p.Fix = hide(p.Message, text), hide(p.Fix, text)
	}
	if v.Word <= word {
		p.Edit = Edit{}
	}
}

// lacksSecret reports whether the last statement of s lacks the value of a secret.
func lacksSecret(b *block, s *Statement) bool {
	if s == nil {
		return false
	}
	for s.HasBlock && len(s.Block) > 0 {
		b = b.inside(texts(s))
		s = s.Block[len(s.Block)-1]
	}
	return b.secret(texts(s), false).waits
}

// hide takes a secret, and what is left of it between other characters, out of
// a text.
func hide(text, secret string) string {
	parts := append([]string{secret, printable(secret)}, strings.FieldsFunc(secret, func(r rune) bool { return r < 0x80 && !syntax.NameStart(byte(r)) && (r < '0' || r > '9') })...)
	for i, part := range parts {
		if part == "" || part == "=" || part == ":" || i > 1 && len(part) < 4 {
			continue
		}
		var b strings.Builder
		for {
			at := strings.Index(text, part)
			if at < 0 {
				break
			}
			end := at + len(part)
			// A short one is a word of its own, or a part of another.
			if len(part) < 4 && (at > 0 && syntax.NameByte(text[at-1]) && syntax.NameByte(part[0]) || end < len(text) && syntax.NameByte(text[end]) && syntax.NameByte(part[len(part)-1])) {
				b.WriteString(text[:end])
			} else {
				b.WriteString(text[:at] + hushedText)
			}
			text = text[end:]
		}
		text = b.String() + text
	}
	return text
}

// SecretSpans are the secrets of a file, as byte ranges of its lines. A
// parameter is one if it is used as one, if its name shows it, and if the file
// does not use it: its name may be misspelt.
func SecretSpans(lines []string) [][][2]int {
	spans := make([][][2]int, len(lines))
	defined, plain := make(map[string]bool), make(map[string]bool)
	for _, l := range lines {
		for i := range len(l) {
			if name := l[i:]; name[0] == '$' {
				if name, _, n := syntax.Parameter(name); n > 0 {
					plain[name] = true
				}
			}
		}
		if rest := afterLead(l); rest < len(l) && l[rest] == '$' {
			if name, _, ok := syntax.Definition(l[rest:]); ok {
				defined[name] = true
			}
		}
	}
	used := make(map[string]bool)
	for range maxInterplay {
		before := len(used)
		s := spanner{used: used, defined: defined, plain: plain}
		s.at = []*block{root()}
		for i, l := range lines {
			spans[i] = s.line(l)
		}
		if len(used) == before {
			break
		}
	}
	return spans
}

// maxInterplay bounds how often parameters are followed to others.
const maxInterplay = 8

// spanner goes through the lines of a file.
type spanner struct {
	used    map[string]bool // parameters that are secrets
	defined map[string]bool // parameters of this file
	plain   map[string]bool // parameters that the file uses; another may be misspelt
	at      []*block        // the blocks that are open
	waits   bool

	text  string
	spans [][2]int
}

// afterLead is where a line begins after blanks and its @conditions.
func afterLead(l string) int {
	i := 0
	for {
		for i < len(l) && syntax.Blank(l[i]) {
			i++
		}
		n := 0
		if i < len(l) && l[i] == '@' {
			n = syntax.LeadLen(l[i:])
		}
		if n == 0 || i+n >= len(l) {
			return i
		}
		if _, like := secretName(strings.TrimLeft(l[i:i+n], "@^"), true); like > 0 {
			return i
		}
		i += n
	}
}

func (s *spanner) line(l string) [][2]int {
	s.text, s.spans = strings.TrimRight(l, "\r"), nil
	i := afterLead(s.text)
	if i < len(s.text) && s.text[i] == '$' {
		if name, value, ok := syntax.Definition(s.text[i:]); ok {
			from := i + value
			if empty := strings.Trim(s.text[from:], syntax.Blanks) == ""; !empty && (s.used[name] || !s.plain[name] || secretive.MatchString(name)) {
				s.hide(from, len(s.text))
				s.waits = false
			} else {
				s.waits = strings.Trim(s.text[from:], syntax.Blanks) == ""
				s.words(from)
			}
			return s.spans
		}
	}
	s.words(i)
	return s.spans
}

// words judges the statements of the line from a byte on. A comment is judged
// as if it were none, and ends what it follows unless it stands in the middle
// of a word.
func (s *spanner) words(from int) {
	l := s.text
	var at [][2]int
	comment := false
	end := func() {
		if len(at) > 0 {
			s.statement(at, comment)
		}
		at = nil
	}
	for i := from; i < len(l); {
		c := l[i]
		switch {
		case syntax.Blank(c):
			i++
		case (c == '#' || c == '!') && (i == 0 || syntax.Blank(l[i-1]) || strings.IndexByte(`{}"`, l[i-1]) >= 0):
			end()
			comment = true
			i++
		case c == '{' || c == '}':
			words := at
			end()
			if !comment {
				s.brace(c, words)
			}
			i++
		case c == '"':
			n := strings.IndexByte(l[i+1:], '"')
			if n < 0 {
				n = len(l) - i - 1
			}
			at = append(at, [2]int{i + 1, i + 1 + n})
			i = min(i+n+2, len(l))
		default:
			start := i
			for i < len(l) && !syntax.Blank(l[i]) && strings.IndexByte(`{}"`, l[i]) < 0 && !(i > start && (l[i] == '#' || l[i] == '!') && l[i-1] != '\\') {
				if _, _, n := syntax.Parameter(l[i:]); l[i] == '$' && n > 0 {
					i += n
					continue
				}
				i++
			}
			at = append(at, [2]int{start, i})
			if i < len(l) && (l[i] == '#' || l[i] == '!') && i > start { // a comment in the middle of a word
				i++
			}
		}
	}
	end()
}

func (s *spanner) brace(c byte, words [][2]int) {
	top := s.at[len(s.at)-1]
	switch {
	case c == '}' && len(s.at) > 1:
		s.at = s.at[:len(s.at)-1]
	case c == '{' && len(s.at) < syntax.MaxNesting:
		if len(words) > 0 {
			top = top.inside(s.strings(words))
		}
		s.at = append(s.at, top)
	}
}

func (s *spanner) strings(at [][2]int) []string {
	out := make([]string, len(at))
	for i, w := range at {
		out[i] = s.text[w[0]:w[1]]
	}
	return out
}

func (s *spanner) statement(at [][2]int, comment bool) {
	if l := s.text[at[0][0]:]; strings.HasPrefix(l, "~SEQ") || strings.HasPrefix(l, "~LST") {
		end := at[0][0] + syntax.LeadLen(l)
		for len(at) > 1 && at[0][0] < end {
			at = at[1:]
		}
		if name, _, ok := syntax.Definition(s.text[at[0][0]:]); ok && !s.used[name] && !secretive.MatchString(name) {
			return
		}
	}
	words := s.strings(at)
	if words[0] == "" {
		if len(words) == 1 {
			return
		}
		at, words = at[1:], words[1:]
		if words[0] == "" {
			return
		}
	}
	// NAME=VALUE of a parameter that is a secret, whatever else it looks like.
	for i, w := range words {
		n := strings.IndexByte(w, '=')
		if n < 0 {
			continue
		}
		name := w[:n]
		for name != "" && !syntax.NameStart(name[0]) {
			name = name[1:]
		}
		if s.used[name] {
			s.hide(at[i][0]+n, at[len(at)-1][1])
			break
		}
	}
	if comment {
		v, _ := (*block)(nil).named(words, nil)
		if top := s.at[len(s.at)-1]; s.waits || top.private() {
			v = top.secret(words, s.waits)
		}
		if v.hidden {
			s.hide(at[v.Word][0]+v.Byte, len(s.text))
		}
		return
	}
	v := s.at[len(s.at)-1].secret(words, s.waits)
	s.waits = v.waits
	if words[0][0] == '$' {
		for name := range s.used {
			if n := 1 + len(name); len(words[0]) > n && strings.HasPrefix(words[0][1:], name) && (!v.hidden || v.Word > 0 || v.Byte > n) {
				v = cover{Cut: Cut{0, n}, hidden: true}
			}
		}
	}
	if !v.hidden {
		return
	}
	for i := v.Word; i < len(at); i++ {
		from := at[i][0]
		if i == v.Word {
			from += min(v.Byte, at[i][1]-from)
		} else if c := s.text[from-1]; c == '#' || c == '!' {
			from-- // in the middle of a word
		}
		s.hide(from, at[i][1])
	}
}

// hide hides bytes of the line, but not the name of a parameter alone.
func (s *spanner) hide(from, to int) {
	text := s.text[from:to]
	for i := 0; i < len(text); i++ {
		if text[i] != '$' {
			continue
		}
		n := syntax.NameLen(strings.TrimPrefix(text[i+1:], "{"))
		start := i + 1
		if strings.HasPrefix(text[start:], "{") {
			start++
		}
		if n > 0 {
			s.used[text[start:start+n]] = true
		}
		if n > 0 && s.defined[text[start:start+n]] && i == 0 && strings.TrimPrefix(text[start+n:], "}") == "" {
			return
		}
	}
	if to > from {
		s.spans = append(s.spans, [2]int{from, to})
	}
}

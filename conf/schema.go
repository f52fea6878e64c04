package conf

import (
	"iter"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Keyword is the declaration of one word of the language: what the parser
// accepts and its text in the manual.
type Keyword struct {
	Block string // dotted path of its block; "" is the outermost level
	Name  string // in capitals for lines that begin with no keyword: ADDRESS, ROUTE …
	Args  string // arguments, in the notation of the manual
	Range string // accepted values, if not all
	Initial
	Doc   string // one line
	Since string // which keepalived releases know it; "" is 2.2.7 and older ones too, "keepalived-go" none
	// Successor is the word to use instead of an old one. Whether the old one
	// is reported is up to what the C daemon does.
	Successor string
	// Secret is a keyword whose value is never shown.
	Secret bool
	// Fields are those of the model that the word gives values to, where Inverted
	// the opposite of its meaning.
	Fields   []Field
	Inverted bool

	field   *field     // of the first argument: stored, by default and inherited without further code
	names   []string   // of the values of the field, if they have names
	sources []*Keyword // whose fields have the value where the word is not written
	home    *block     // that it is a word of
	number  int        // among the words that fill a field

	args args
	set  func(d *decoder, a *argument)
	// otherwise is called instead of set when the argument is wrong. It returns
	// a sentence for the message.
	otherwise func(d *decoder, a *argument) string
	block     *block // what may stand in its braces
	silent    bool   // an old word that is not reported
	entry     bool   // a line that begins with no keyword
	option    bool   // a word within such a line
	checks    bool   // its arguments are the checks of the include lines after it
	seeds     bool   // its argument decides the random numbers after it
	placed    bool   // where its value stands is kept: it names something on the machine
}

// block is the vocabulary inside of one kind of braces.
type block struct {
	path  string
	words map[string]*Keyword
	order []*Keyword
	// entry takes a line that begins with no keyword; nil: there are none.
	entry func(d *decoder, s *Statement)
	// open and close surround the statements of a block. A block whose open
	// returns false is skipped.
	open  func(d *decoder, s *Statement) bool
	close func(d *decoder, s *Statement)
	// given are the words of the block that were written; nil: not needed.
	given    func(d *decoder) *written
	fields   int        // words that fill one
	defaults []*Keyword // that are not what a new struct has
	heirs    []*Keyword // that take the values of others where they are not written
}

// args is what a keyword takes.
type args struct {
	kind     argKind
	optional bool
	min, max int64 // numbers; microseconds for durations
	choices  []string
	text     string // replaces the derived notation
	zoned    bool   // addresses: %INTERFACE may follow one of IPv6
	// missing is the complaint about a missing argument where the C daemon
	// continues without the word. Where it is empty, it stops.
	missing string
}

type argKind uint8

const (
	argNone    argKind = iota
	argBool            // on, off, true, false, yes, no; nothing means on
	argNumber          // a decimal integer
	argSeconds         // seconds with a fraction, resolution 1 µs
	argMillis          // milliseconds with a fraction
	argWord            // one word
	argWords           // any number of words
	argChoice          // one of some words
	argAddress         // an IP address
	argWeight          // a number and perhaps "reverse"
	argCommand         // a shell-like command line, user and group
	argBlock           // only a block
	argNamed           // a name and a block
)

// Constructors of args, named for the declarations they make readable.

func bare() args                   { return args{kind: argNone} }
func onOff() args                  { return args{kind: argBool, optional: true} }
func number(min, max int64) args   { return args{kind: argNumber, min: min, max: max} }
func word(text string) args        { return args{kind: argWord, text: text} }
func several(text string) args     { return args{kind: argWords, text: text} }
func address() args                { return args{kind: argAddress} }
func weight(min, max int64) args   { return args{kind: argWeight, min: min, max: max} }
func cmd() args                    { return args{kind: argCommand} }
func oneOf(choices ...string) args { return args{kind: argChoice, choices: choices} }
func braced(text string) args      { return args{kind: argBlock, text: text} }
func named(text string) args       { return args{kind: argNamed, text: text} }

// seconds takes the bounds in seconds.
func seconds(min, max float64) args {
	return args{kind: argSeconds, min: int64(min * 1e6), max: int64(max * 1e6)}
}

func millis(min, max int64) args {
	return args{kind: argMillis, min: min * 1000, max: max * 1000}
}

// zone lets an interface follow a link-local address.
func (a args) zone() args { a.zoned = true; return a }

// opt makes the argument optional.
func (a args) opt() args { a.optional = true; return a }

// soft is the complaint with which the C daemon continues when the argument is
// missing.
func (a args) soft(missing string) args { a.missing = missing; return a }

// as replaces the notation.
func (a args) as(text string) args { a.text = text; return a }

// notation is how the manual writes the arguments.
func (a args) notation() string {
	s := a.text
	if s == "" {
		switch a.kind {
		case argBool:
			return "[BOOL]"
		case argNumber:
			s = "N"
		case argSeconds:
			s = "SECS"
		case argMillis:
			s = "MS"
		case argChoice:
			s = strings.Join(a.choices, "|")
		case argAddress:
			s = "ADDR"
		case argWeight:
			s = "N [reverse]"
		case argCommand:
			s = "CMD [USER [GROUP]]"
		case argBlock:
			s = "{}"
		}
	}
	if a.optional && s != "" && s[0] != '[' {
		return "[" + s + "]"
	}
	return s
}

// bounds is the range in words.
func (a args) bounds() string {
	if a.min == 0 && a.max == 0 {
		return ""
	}
	show := func(n int64) string { return strconv.FormatInt(n, 10) }
	switch a.kind {
	case argSeconds:
		show = func(n int64) string { return strconv.FormatFloat(float64(n)/1e6, 'f', -1, 64) }
	case argMillis:
		show = func(n int64) string { return strconv.FormatFloat(float64(n)/1e3, 'f', -1, 64) }
	}
	if a.max >= unbounded {
		return "at least " + show(a.min)
	}
	return show(a.min) + " to " + show(a.max)
}

// unbounded and above is no limit worth printing.
const unbounded = 1 << 31

// argument is a statement whose arguments fit their declaration.
type argument struct {
	*Statement
	k    *Keyword
	n    int64
	d    time.Duration
	on   bool
	addr netip.Addr
	text string   // the first argument
	cmd  []string // a command, its user and its group
	line []string // the words of the command
}

// given reports whether there is an argument at all.
func (a *argument) given() bool { return len(a.Words) > 1 }

// kw declares a keyword that has no effect until fills or sets is added.
func kw[D string | Initial](name string, a args, def D, doc string) *Keyword {
	initial, ok := any(def).(Initial)
	if !ok {
		initial = plain(any(def).(string))
	}
	return &Keyword{
		Name: name, Args: a.notation(), Range: a.bounds(), Initial: initial.typed(a), Doc: doc,
		args: a,
	}
}

func (k *Keyword) sets(f func(d *decoder, a *argument)) *Keyword {
	k.set = f
	return k
}

// fallback is what happens instead when the argument is wrong; it returns the
// text of the report.
func (k *Keyword) fallback(f func(d *decoder, a *argument) string) *Keyword {
	k.otherwise = f
	return k
}

// newer marks a keyword that keepalived 2.2.7 does not know.
func (k *Keyword) newer() *Keyword { k.Since = "after 2.2.7"; return k }

// own marks a keyword that the C daemon does not know.
func (k *Keyword) own() *Keyword { k.Since = "keepalived-go"; return k }

// gone marks a deprecated word.
func (k *Keyword) gone(successor string) *Keyword { k.Successor = successor; return k }

// secret marks a keyword whose value is a password or a key.
func (k *Keyword) secret() *Keyword { k.Secret = true; return k }

// inherits declares that the value is that of other words where this one is not written.
func (k *Keyword) inherits(from Initial) *Keyword { k.Initial = from; return k }

// setsChecks marks the keyword that declares what include lines must find.
func (k *Keyword) setsChecks() *Keyword { k.checks = true; return k }

// seedsRandom marks the keyword that decides the values of ${_RANDOM}.
func (k *Keyword) seedsRandom() *Keyword { k.seeds = true; return k }

// place keeps where the value of the keyword stands, for what is found when all is read.
func (k *Keyword) place() *Keyword { k.placed = true; return k }

// alias marks an old word that is as good as the new one.
func (k *Keyword) alias(successor string) *Keyword {
	k.Successor, k.silent = successor, true
	return k
}

// holds gives the keyword a block.
func (k *Keyword) holds(b *block) *Keyword { k.block = b; return k }

// vocabulary makes a block of its keywords.
func vocabulary(path string, words ...*Keyword) *block {
	b := &block{path: path}
	b.add(words...)
	return b
}

func (b *block) add(words ...*Keyword) {
	if b.words == nil {
		b.words = make(map[string]*Keyword, len(words))
	}
	for _, k := range words {
		k.Block, k.home = b.path, b
		if k.field != nil {
			k.check()
			k.number = b.fields
			b.fields++
		}
		for _, w := range k.beside {
			k.From = append(k.From, strings.TrimPrefix(b.path+"."+w, "."))
		}
		b.order = append(b.order, k)
		b.words[k.Name] = k
	}
}

// needs makes a word of the block obligatory; message reports that it is missing.
func (b *block) needs(word, message string) *block {
	inner := b.close
	b.close = func(d *decoder, s *Statement) {
		if !hasWord(s.Block, word) {
			name := ""
			if len(s.Words) > 1 {
				name = printable(s.Words[1].Text)
			}
			d.report(s, 0, Diagnostic{
				Severity: Error, Class: ClassOrdinary, Code: "missing-" + word,
				Message: strings.ReplaceAll(message, "%s", name), Fix: "write " + word,
			})
		}
		if inner != nil {
			inner(d, s)
		}
	}
	return b
}

// filled makes an empty block a problem; message reports it.
func (b *block) filled(message string) *block {
	b.close = func(d *decoder, s *Statement) {
		if len(s.Block) == 0 {
			d.report(s, 0, Diagnostic{Severity: Warning, Class: ClassOrdinary, Code: "empty-block", Message: message})
		}
	}
	return b
}

// lines gives the block lines that begin with no keyword, declared by their
// placeholder.
func (b *block) lines(entry func(d *decoder, s *Statement), k *Keyword) *block {
	k.Block, k.entry = b.path, true
	b.order = append(b.order, k)
	b.entry = entry
	if entry == nil {
		b.entry = func(*decoder, *Statement) {}
	}
	return b
}

// Schema yields every keyword of the language, blocks before what they hold.
func Schema() iter.Seq[Keyword] {
	return func(yield func(Keyword) bool) {
		walk(root(), yield)
	}
}

func walk(b *block, yield func(Keyword) bool) bool {
	for _, k := range b.order {
		if !yield(*k) {
			return false
		}
		if k.block != nil && !walk(k.block, yield) {
			return false
		}
	}
	return true
}

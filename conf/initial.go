package conf

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Initial is the value that holds where a word is not written.
type Initial struct {
	// Default is the wording of the manual.
	Default string
	// Value is the default itself if it is a switch, a number, a time, a choice, an
	// address or a literal: a bool, an int64, a float64, a time.Duration, a string
	// or a netip.Addr. It is nil otherwise.
	Value any
	// From are the paths of the words whose value is taken, the first that is
	// written.
	From []string
	// Outer means that the value of the same word in an enclosing block is taken first.
	Outer bool
	// Depends means that Default depends on other words.
	Depends bool

	beside []string // of From: words of the block of the word
}

// Inherits reports whether another word may give the value.
func (i Initial) Inherits() bool { return i.Outer || len(i.From) > 0 }

// Described reports whether Default only describes what a zero value in the Config
// stands for.
func (i Initial) Described() bool {
	return i.Default != "" && i.Value == nil && !i.Inherits() && !i.Depends
}

// plain is a value, or the description of one.
func plain(text string) Initial { return Initial{Default: text} }

// literal is text that is the value itself.
func literal(text string) Initial { return Initial{Default: text, Value: text} }

// depends is a default that depends on other words.
func depends(text string) Initial { return Initial{Default: text, Depends: true} }

// outer is the value of the same word in a block around.
func outer(text string) Initial { return Initial{Default: text, Outer: true} }

// global is the value of words of global_defs.
func global(words ...string) Initial {
	i := plain(strings.Join(words, " or "))
	for _, w := range words {
		i.From = append(i.From, "global_defs."+w)
	}
	return i
}

// sibling is the value of another word of the same block.
func sibling(word string) Initial { return Initial{Default: word, beside: []string{word}} }

// as says it in other words.
func (i Initial) as(text string) Initial { i.Default = text; return i }

// or adds what is taken next.
func (i Initial) or(next Initial) Initial {
	i.From, i.beside = append(i.From, next.From...), append(i.beside, next.beside...)
	return i
}

// typed is the default of a word with the arguments a, with its value.
func (i Initial) typed(a args) Initial {
	if i.Inherits() || i.beside != nil || i.Depends || i.Value != nil {
		return i
	}
	switch n, err := strconv.ParseFloat(i.Default, 64); {
	case i.Default == "on" || i.Default == "off":
		i.Value = i.Default == "on"
	case a.kind == argChoice && slices.Contains(a.choices, i.Default):
		i.Value = i.Default
	case a.kind == argAddress:
		if addr, err := netip.ParseAddr(i.Default); err == nil {
			i.Value = addr
		}
	case err != nil:
	case a.kind == argSeconds:
		i.Value = time.Duration(n * float64(time.Second))
	case a.kind == argMillis:
		i.Value = time.Duration(n * float64(time.Millisecond))
	case n == float64(int64(n)):
		i.Value = int64(n)
	default:
		i.Value = n
	}
	return i
}

// Package reference writes the contents of the schema of the configuration language:
// the answer of keepalived help, the pages of docs/reference and the manual
// page keepalived.conf(5).
package reference

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"keepalived-go/conf"
)

// field is one fact about a keyword, with the name the manual gives it.
type field struct{ name, text string }

// fields are the facts about a keyword besides its arguments and its meaning.
func fields(k conf.Keyword) []field {
	var list []field
	add := func(name, text string) {
		if text != "" {
			list = append(list, field{name, text})
		}
	}
	if c := k.Choices(); len(c) > 0 && !strings.Contains(k.Args, strings.Join(c, "|")) && k.Args != "[BOOL]" {
		add("values", strings.Join(c, ", "))
	}
	add("range", k.Range)
	add("unit", k.Unit())
	add("default", k.Default)
	add("instead", k.Successor)
	add("since", k.Since)
	return list
}

// usage is a keyword with its arguments.
func usage(k conf.Keyword) string {
	if k.Entry() {
		return k.Args
	}
	s := k.Name
	if k.Args != "" {
		s += " " + k.Args
	}
	if k.HasBlock() && !strings.Contains(k.Args, "{") {
		s += " {}"
	}
	return s
}

// within returns the block of a keyword.
func within(k conf.Keyword) string {
	if k.Block == "" {
		return "the outermost level"
	}
	return k.Block
}

// sentence is the meaning with a capital and a full stop.
func sentence(doc string) string {
	if doc == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(doc)
	// A word such as VRRP or mh: is a name and stays as it is.
	if word, _, _ := strings.Cut(doc, " "); !strings.ContainsAny(word, "_:") {
		doc = string(unicode.ToUpper(first)) + doc[size:]
	}
	return doc + "."
}

// blockOf is a block of the language with what may stand in it.
type blockOf struct {
	path  string
	head  conf.Keyword // the keyword that opens it; none for the outermost level
	words []conf.Keyword
}

// blocks are all blocks in the order of the schema, the outermost level first.
var blocks = sync.OnceValue(func() []*blockOf {
	list := []*blockOf{{}}
	index := map[string]*blockOf{"": list[0]}
	for k := range conf.Schema() {
		if k.HasBlock() {
			b := &blockOf{path: k.Path(), head: k}
			index[b.path] = b
			list = append(list, b)
		}
		b := index[k.Block]
		if b == nil {
			// Words within the lines of a block: routes and rules.
			b = &blockOf{path: k.Block, head: conf.Keywords()[k.Block]}
			index[k.Block] = b
			list = append(list, b)
		}
		b.words = append(b.words, k)
	}
	// The words of track_* blocks are names.
	return slices.DeleteFunc(list, func(b *blockOf) bool { return len(b.words) == 0 })
})

// same reports whether two declarations are the same.
func same(a, b conf.Keyword) bool {
	return a.Name == b.Name && a.Args == b.Args && a.Range == b.Range && a.Default == b.Default && a.Doc == b.Doc &&
		a.Since == b.Since && a.Successor == b.Successor && a.Example() == b.Example()
}

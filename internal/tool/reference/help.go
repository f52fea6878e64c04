package reference

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"keepalived-go/conf"
)

// Help writes what a keyword means, wherever it may stand. The word may be a
// keyword or, with as much of the path as it takes, a keyword of one block:
// vrrp_instance.priority. It reports whether there is such a word; if not, it
// writes the keywords that are like it.
func Help(w io.Writer, word string) bool {
	found := conf.Find(strings.Trim(word, "{} "))
	if len(found) == 0 {
		suggest(w, word)
		return false
	}
	for i := 0; len(found) > 0; i++ {
		k := found[0]
		var places []string
		found = slices.DeleteFunc(found, func(other conf.Keyword) bool {
			if same(k, other) {
				places = append(places, within(other))
				return true
			}
			return false
		})
		if i > 0 {
			fmt.Fprintln(w)
		}
		Entry(w, k, places...)
	}
	return true
}

// Entry writes one declaration that holds for some blocks.
func Entry(w io.Writer, k conf.Keyword, places ...string) {
	fmt.Fprintln(w, usage(k))
	fmt.Fprintf(w, "    %s\n\n", sentence(k.Doc))
	for _, f := range append([]field{{"in", strings.Join(places, ", ")}}, fields(k)...) {
		writeField(w, f)
	}
	if k.Since == "" {
		writeField(w, field{"since", "2.2.7 or before"})
	}
	if example := k.Example(); example != "" {
		if k.HasBlock() {
			example += " … }"
		}
		writeField(w, field{"example", example})
	}
	if words := inner(k); words != "" {
		writeField(w, field{"holds", words})
	}
}

func writeField(w io.Writer, f field) {
	const width = 66
	for i, line := range wrap(f.text, width) {
		name := f.name
		if i > 0 {
			name = ""
		}
		fmt.Fprintf(w, "    %-9s %s\n", name, line)
	}
}

// inner are the words that may stand in the block of a keyword.
func inner(k conf.Keyword) string {
	var words []string
	for other := range conf.Schema() {
		if other.Block == k.Path() && other.Successor == "" && !other.Entry() {
			words = append(words, other.Name)
		}
	}
	return strings.Join(words, ", ")
}

// wrap breaks a text at blanks into lines of at most width bytes, if it can.
func wrap(text string, width int) []string {
	var lines []string
	for len(text) > width {
		at := strings.LastIndexByte(text[:width+1], ' ')
		if at < 0 {
			if at = strings.IndexByte(text, ' '); at < 0 {
				break
			}
		}
		lines = append(lines, text[:at])
		text = text[at+1:]
	}
	return append(lines, text)
}

func suggest(w io.Writer, word string) {
	fmt.Fprintf(w, "There is no keyword %q.\n", word)
	last := word[strings.LastIndexByte(word, '.')+1:]
	if near := conf.Nearest(last, Words()); len(near) > 0 {
		fmt.Fprintf(w, "Similar keywords: %s\n", strings.Join(near, ", "))
	}
	fmt.Fprintln(w, "keepalived help lists the blocks.")
}

// Words are all keywords, each once, in the order of the schema.
func Words() []string {
	var words []string
	seen := make(map[string]bool)
	for k := range conf.Schema() {
		if !seen[k.Name] && !k.Entry() {
			seen[k.Name] = true
			words = append(words, k.Name)
		}
	}
	return words
}

// Topics writes a line for each word of the outermost level.
func Topics(w io.Writer) {
	for k := range conf.Schema() {
		if k.Block == "" && k.HasBlock() && k.Successor == "" {
			fmt.Fprintf(w, "  %-26s %s\n", k.Name, k.Doc)
		}
	}
}

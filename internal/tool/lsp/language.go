package lsp

import (
	"strings"

	"keepalived-go/conf"
	"keepalived-go/internal/tool/reference"
)

// named reports which blocks define the names that stand in a block or behind a
// keyword, by its path without what is around an instance or a group.
var named = map[string][]string{
	"track_script":          {"vrrp_script"},
	"track_file":            {"track_file", "vrrp_track_file"},
	"track_process":         {"vrrp_track_process"},
	"track_bfd":             {"bfd_instance"},
	"group":                 {"vrrp_instance"},
	"FILE_CHECK.track_file": {"track_file", "vrrp_track_file"},
	"BFD_CHECK.name":        {"bfd_instance"},
}

// definers are the blocks whose names a word at a path may be.
func definers(path string) []string {
	for path := path; strings.Contains(path, "."); {
		_, path, _ = strings.Cut(path, ".")
		if list := named[path]; list != nil {
			return list
		}
	}
	return nil
}

// wanted are the blocks that define the name which stands at a place.
func wanted(at place) []string {
	switch path := at.block.path(); {
	case len(at.before) == 0:
		return definers(path)
	case path == "" && at.before[0].text == "virtual_server" && len(at.before) == 2 && at.before[1].text == "group":
		return []string{"virtual_server_group"}
	case at.before[len(at.before)-1].text == "track_group":
		return []string{"track_group"}
	case len(at.before) == 1:
		return definers(path + "." + at.before[0].text)
	}
	return nil
}

// complete is what may stand at a place.
func (v *view) complete(name string, d *document, at place) []completionItem {
	items := []completionItem{}
	known := make(map[string]bool)
	put := func(i completionItem) {
		if !known[i.Label] {
			known[i.Label] = true
			items = append(items, i)
		}
	}
	add := func(kind int, label, detail, doc string) {
		put(completionItem{Label: label, Kind: kind, Detail: detail, Documentation: doc})
	}
	if strings.HasPrefix(at.word.text, "$") {
		for _, n := range v.reach(name) {
			if other := v.document(n); other != nil {
				for _, w := range other.settings {
					add(kindVariable, "$"+w.text, "", "")
				}
			}
		}
		return items
	}
	for _, block := range wanted(at) {
		v.definitions(name, block, func(_ string, _ *document, def *statement) {
			add(kindReference, def.name(), block, "")
		})
	}
	path := at.block.path()
	if len(at.before) == 0 {
		for k := range conf.Schema() {
			if k.Block != path || k.Entry() {
				continue
			}
			put(completionItem{
				Label: k.Name, Kind: kindKeyword, Deprecated: k.Successor != "",
				Detail: strings.TrimSpace(k.Name + " " + k.Args), Documentation: k.Doc,
			})
		}
		return items
	}
	k, ok := keywordOf(at.block, at.before[0].text)
	if ok && len(at.before) == 1 {
		for _, c := range k.Choices() {
			add(kindValue, c, k.Name, "")
		}
	}
	if !ok {
		// Options of an entry: those of routes and rules are declared one by one.
		for _, entry := range []string{"ROUTE", "RULE"} {
			for k := range conf.Schema() {
				if k.Block == path+"."+entry {
					add(kindKeyword, k.Name, strings.TrimSpace(k.Name+" "+k.Args), k.Doc)
				}
			}
		}
	}
	return items
}

// keywordOf is the declaration of a word in a block.
func keywordOf(block *statement, word string) (conf.Keyword, bool) {
	path := word
	if outer := block.path(); outer != "" {
		path = outer + "." + word
	}
	k, ok := conf.Keywords()[path]
	return k, ok
}

// explain is the help about the word at a place.
func explain(d *document, at place) any {
	word := at.word
	if word.text == "" {
		return nil
	}
	k, ok := keywordOf(at.block, word.text)
	if len(at.before) > 0 || !ok {
		// An argument: the keyword before it, or an option of routes and rules.
		k, ok = conf.Keyword{}, false
		for _, entry := range []string{"ROUTE", "RULE"} {
			if option, found := conf.Keywords()[at.block.path()+"."+entry+"."+word.text]; found {
				k, ok = option, true
			}
		}
		if !ok && len(at.before) > 0 {
			k, ok = keywordOf(at.block, at.before[0].text)
		}
	}
	if !ok {
		return nil
	}
	var b strings.Builder
	place := k.Block
	if place == "" {
		place = "the outermost level"
	}
	reference.Entry(&b, k, place)
	return hover{markup{"markdown", "```\n" + b.String() + "```\n"}, d.tokenRange(word)}
}

// define is where what stands at a place is defined.
func (v *view) define(name string, d *document, at place) []location {
	found := []location{}
	if at.word.text == "" {
		return found
	}
	for _, w := range d.includes {
		if w.line == at.line && w.from <= at.at && at.at <= w.to {
			whole := &document{lines: d.lines, includes: []token{w}}
			for _, file := range included(name, whole) {
				found = append(found, location{URI: v.uriOf(file)})
			}
			return found
		}
	}
	if parameter := parameterAt(at.word, at.at); parameter != "" {
		for _, n := range v.reach(name) {
			other := v.document(n)
			if other == nil {
				continue
			}
			for _, w := range other.settings {
				if w.text == parameter {
					found = append(found, location{v.uriOf(n), other.tokenRange(w)})
				}
			}
		}
		return found
	}
	for _, block := range wanted(at) {
		v.definitions(name, block, func(n string, other *document, def *statement) {
			if def.name() == at.word.text {
				found = append(found, location{v.uriOf(n), other.tokenRange(def.words[1])})
			}
		})
	}
	return found
}

// parameterAt is the name of the parameter that a byte of a word belongs to.
func parameterAt(w token, at int) string {
	offset := at - w.from
	for i := 0; i < len(w.text); i++ {
		if w.text[i] != '$' {
			continue
		}
		end := i + 1
		for end < len(w.text) && (w.text[end] == '_' || w.text[end] == '{' && end == i+1 ||
			'0' <= w.text[end] && w.text[end] <= '9' || 'a' <= w.text[end]|0x20 && w.text[end]|0x20 <= 'z') {
			end++
		}
		if i <= offset && offset <= end {
			return strings.TrimPrefix(w.text[i+1:end], "{")
		}
	}
	return ""
}

// definitions calls f for the outermost blocks with a keyword and a name that a
// document can see.
func (v *view) definitions(name, keyword string, f func(name string, d *document, def *statement)) {
	for _, n := range v.reach(name) {
		d := v.document(n)
		if d == nil {
			continue
		}
		for _, def := range d.root.block {
			if def.words[0].text == keyword && len(def.words) > 1 {
				f(n, d, def)
			}
		}
	}
}

// outline is the blocks of a document.
func outline(d *document, of *statement) []symbol {
	list := []symbol{}
	for _, s := range of.block {
		if !s.hasBlock {
			continue
		}
		first := s.words[0]
		title := first.text
		for _, w := range s.words[1:] {
			title += " " + w.text
		}
		start := d.tokenRange(first)
		end := d.lineRange(s.close.line, s.close.from, s.close.from+1)
		list = append(list, symbol{
			Name: title, Kind: symbolBlock,
			Range: textRange{start.Start, end.End}, Selection: start,
			Children: outline(d, s),
		})
	}
	return list
}

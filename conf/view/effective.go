package view

import (
	"cmp"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"keepalived-go/conf"
)

// Section holds the settings of one object of a configuration: a virtual router, a script,
// a real server.
type Section struct {
	// Title is how the block of the thing begins, after those it stands in:
	// "vrrp_instance VI_1".
	Title    string    `json:"title"`
	Pos      conf.Pos  `json:"-"` // of the block; zero: of none
	Settings []Setting `json:"settings"`
}

// Setting is one value that the daemon runs with.
type Setting struct {
	Name   string `json:"word"`  // that sets it
	Value  string `json:"value"` // as the word takes it, stars for a secret
	Origin string `json:"from"`  // "keepalived.conf:12", "default", …
	// Item means that there may be several of the same Name.
	Item bool `json:"-"`

	field  string // of the model, where the word may set several
	secret string // the value itself
}

// Effective is the values of a configuration in the order of the model. The
// statements are what cfg was made of; they show where a value is from.
func Effective(cfg *conf.Config, tree []*conf.Statement) []Section {
	v := viewer{at: make(map[named]*conf.Statement), titles: make(map[string]int)}
	v.index(tree)
	v.section("global_defs", nil, reflect.ValueOf(cfg.Global), frame{block: tree})
	config := reflect.ValueOf(*cfg)
	for i := range config.NumField() {
		f := config.Type().Field(i)
		if f.Name == "Global" || hidden(config.Type(), f) {
			continue
		}
		if list := config.Field(i); list.Kind() == reflect.Slice && list.Len() > 0 && v.isLine(list.Index(0)) && f.Tag.Get("view") == "" {
			name := snake(f.Name)
			v.sections = append(v.sections, Section{Title: name, Settings: v.items([]word{{derived: true, show: name}}, list, frame{})})
			continue
		}
		v.things("", f, config.Field(i), frame{block: tree})
	}
	return v.sections
}

// OnlySet is what the file gives: without defaults, and without what they make
// of other values.
func OnlySet(list []Section) []Section {
	kept := []Section{}
	for _, s := range list {
		s.Settings = slices.DeleteFunc(slices.Clone(s.Settings), func(set Setting) bool {
			return set.Origin == "default" || set.Origin == "derived"
		})
		if len(s.Settings) > 0 {
			kept = append(kept, s)
		}
	}
	return kept
}

// frame is the blocks that a value stands in, from the inside out.
type frame struct {
	path  string // of the block, in the schema
	block []*conf.Statement
	outer *frame
}

type viewer struct {
	sections []Section
	at       map[named]*conf.Statement
	global   []*conf.Statement // what stands in global_defs
	titles   map[string]int    // how often each was needed
}

// named is a statement by its place and an argument, all of them, or nothing: a
// line that is repeated makes several statements at one place.
type named struct {
	at   conf.Pos
	name string
}

func (v *viewer) index(list []*conf.Statement) {
	for _, s := range list {
		words := arguments(s)
		for _, name := range append(words, strings.Join(words, " "), "") {
			if key := (named{s.Pos(0), name}); v.at[key] == nil {
				v.at[key] = s
			}
		}
		if s.Keyword() == "global_defs" {
			v.global = append(v.global, s.Block...)
		}
		v.index(s.Block)
	}
}

// things makes a section of each element of a field of the Config, or of one
// that it points to.
func (v *viewer) things(title string, f reflect.StructField, value reflect.Value, in frame) {
	if value.Kind() != reflect.Slice {
		if value = reflect.Indirect(value); value.Kind() == reflect.Struct {
			v.thing(title, f, value, 0, in)
		}
		return
	}
	for i := range value.Len() {
		if e := reflect.Indirect(value.Index(i)); e.Kind() == reflect.Struct {
			v.thing(title, f, e, i, in)
		}
	}
}

// thing makes a section of a struct, the element of a field with the given index.
func (v *viewer) thing(title string, f reflect.StructField, value reflect.Value, index int, in frame) {
	name := ""
	if n := value.FieldByName("Name"); n.IsValid() && n.Kind() == reflect.String {
		name = n.String()
	}
	kind := strings.TrimSuffix(snake(f.Name), "s")
	if block := f.Tag.Get("view"); block != "" {
		kind = block
	}
	s := v.statement(value)
	if s == nil {
		s = nth(in.block, kind, index)
	}
	own := frame{outer: &in}
	if s != nil && s.HasBlock {
		kind, name = s.Keyword(), strings.Join(arguments(s), " ")
		own.path, own.block = join(in.path, kind), s.Block
	}
	name = strings.TrimSpace(kind + " " + printable(name))
	if title != "" {
		name = title + " / " + name
	}
	v.section(name, s, value, own)
}

// statement is what a value was made of.
func (v *viewer) statement(value reflect.Value) *conf.Statement {
	at, ok := position(value)
	if !ok {
		return nil
	}
	text := func(field string) string {
		f := value.FieldByName(field)
		if !f.IsValid() || f.IsZero() {
			return ""
		}
		s, _ := oneLine(f)
		return s
	}
	for _, name := range []string{text("Name"), text("Addr") + " " + text("Port"), text("Addr"), text("Group"), text("FWMark")} {
		if s := v.at[named{at, name}]; s != nil && name != "" {
			return s
		}
	}
	return v.at[named{at, ""}]
}

// nth is the block with the given index of those of a kind.
func nth(block []*conf.Statement, kind string, index int) *conf.Statement {
	for _, s := range block {
		if s.Keyword() == kind && s.HasBlock {
			if index == 0 {
				return s
			}
			index--
		}
	}
	return nil
}

func position(value reflect.Value) (conf.Pos, bool) {
	f := value.FieldByName("Pos")
	if !f.IsValid() {
		return conf.Pos{}, false
	}
	at, ok := f.Interface().(conf.Pos)
	return at, ok && at.Line > 0
}

func arguments(s *conf.Statement) []string {
	var out []string
	for _, w := range s.Words[1:] {
		out = append(out, w.Text)
	}
	return out
}

// section adds one for a struct, and one for each thing in it.
func (v *viewer) section(title string, s *conf.Statement, value reflect.Value, in frame) {
	if v.titles[title]++; v.titles[title] > 1 {
		title += fmt.Sprintf(" (%d)", v.titles[title])
	}
	section := Section{Title: title}
	if s != nil {
		section.Pos = s.Pos(0)
	}
	at := len(v.sections)
	v.sections = append(v.sections, section)
	var settings []Setting
	for _, set := range v.settings(title, value.Type().Name(), value, in) {
		// The limits of several processes share some words.
		if set.Item || !slices.Contains(settings, set) {
			settings = append(settings, set)
		}
	}
	v.sections[at].Settings = settings
}

// settings are the fields of the struct with the given path in the model.
func (v *viewer) settings(title, path string, value reflect.Value, in frame) []Setting {
	var out []Setting
	for i := range value.NumField() {
		f := value.Type().Field(i)
		if !f.IsExported() || hidden(value.Type(), f) {
			continue
		}
		words := wordsOf(path+"."+f.Name, f, in)
		field := value.Field(i)
		if field.Kind() == reflect.Pointer {
			if field.IsNil() {
				continue
			}
			field = field.Elem()
		}
		switch _, single := oneLine(field); {
		case value.Type() == reflect.TypeFor[conf.CheckDefaults]() && field.Int() < 0:
			// Nothing is said: each check has a default of its own.
		case single:
			if set, ok := v.setting(words, f, field, in); ok {
				out = append(out, set)
			}
		case field.Kind() == reflect.Struct:
			inner := path + "." + f.Name
			if block := blockOf(inner, in); block != "" && find(in.block, strings.Split(block, ".")) == nil {
				continue // it is not configured
			}
			out = append(out, v.settings(title, inner, field, in)...)
		case field.Kind() == reflect.Map:
			out = append(out, v.entries(words, field, in)...)
		case field.Kind() == reflect.Slice:
			if field.Len() == 0 {
				continue
			}
			if _, single := oneLine(field.Index(0)); single || v.isLine(field.Index(0)) {
				out = append(out, v.items(words, field, in)...)
			} else {
				v.things(title, f, field, in)
			}
		}
	}
	return out
}

// isLine reports whether a value was made of a line of a block rather than of a
// block of its own.
func (v *viewer) isLine(value reflect.Value) bool {
	value = reflect.Indirect(value)
	if value.Kind() != reflect.Struct {
		return false
	}
	s := v.statement(value)
	return s != nil && !s.HasBlock
}

func hidden(t reflect.Type, f reflect.StructField) bool {
	if _, block := t.FieldByName("Pos"); f.Name == "Pos" || f.Name == "Name" && block {
		return true // the title has it
	}
	return f.Tag.Get("view") == "-"
}

// word is one that sets a value: what to look for, from which block on, and how
// to read it.
type word struct {
	path     string // from the block of the frame, or of the outermost level
	argument int    // 0: the argument is in other words than the value
	inverted bool   // it turns off what the value turns on
	derived  bool   // there is no word
	show     string
}

// setters are the words that give values to the fields of the model, by the paths
// of these.
var setters = sync.OnceValue(func() map[string][]setter {
	all := make(map[string][]setter)
	for k := range conf.Schema() {
		for _, f := range k.Fields {
			all[f.Path] = append(all[f.Path], setter{k, f.Argument})
		}
	}
	return all
})

type setter struct {
	conf.Keyword
	argument int
}

// inside reports whether a path is in a block, and how it continues from there.
func inside(path, block string) (string, bool) {
	if block == "" {
		return path, true
	}
	return strings.CutPrefix(path, block+".")
}

// wordsOf are the words that set the field with the given path, in the blocks of
// the frame.
func wordsOf(path string, f reflect.StructField, in frame) []word {
	var out []word
	for _, s := range setters()[path] {
		name, ok := inside(s.Path(), in.path)
		if !ok {
			continue
		}
		w := word{path: name, argument: s.argument, inverted: s.Inverted}
		w.show = strings.ReplaceAll(strings.TrimPrefix(name, "global_defs."), ".", " ")
		if own := snake(f.Name); w.argument != 1 && !strings.Contains(w.show, own) {
			w.show += " " + strings.ReplaceAll(own, "_", " ")
		}
		out = append(out, w)
	}
	if len(out) == 0 {
		return []word{{derived: true, show: cmp.Or(f.Tag.Get("view"), snake(f.Name))}}
	}
	return out
}

// homes are the blocks whose words give values to a struct of the model, by its
// path.
var homes = sync.OnceValue(func() map[string]map[string]bool {
	all := make(map[string]map[string]bool)
	for field, list := range setters() {
		for {
			i := strings.LastIndexByte(field, '.')
			if i < 0 {
				break
			}
			if field = field[:i]; all[field] == nil {
				all[field] = make(map[string]bool)
			}
			for _, s := range list {
				all[field][s.Block] = true
			}
		}
	}
	return all
})

// blockOf is the block, within that of the frame, that has all words about the
// struct with the given path; empty: there is no such block.
func blockOf(path string, in frame) string {
	found := ""
	if in.path == "" {
		return found
	}
	for block := range homes()[path] {
		name, ok := inside(block, in.path)
		switch {
		case block == in.path, ok && found != "":
			return ""
		case ok:
			found = name
		}
	}
	return found
}

// schema is the path of the word in the schema.
func (w word) schema(in frame) string { return join(in.path, w.path) }

// find is the last statement of the frame that uses the word.
func (w word) find(in frame) *conf.Statement {
	if w.derived {
		return nil
	}
	return find(in.block, strings.Split(w.path, "."))
}

func find(block []*conf.Statement, path []string) (last *conf.Statement) {
	for _, s := range block {
		if s.Keyword() != path[0] {
			continue
		}
		if len(path) == 1 {
			last = s
		} else if inner := find(s.Block, path[1:]); inner != nil {
			last = inner
		}
	}
	return last
}

// setting shows one value, unless there is nothing to show.
func (v *viewer) setting(words []word, f reflect.StructField, value reflect.Value, in frame) (Setting, bool) {
	k, known := keywords()[words[0].schema(in)]
	text, _ := show(value, f, k)
	set := Setting{Name: words[0].show, Value: text, field: f.Name, secret: plain(value)}
	var written *conf.Statement
	var by word
	for _, w := range words {
		if s := w.find(in); s != nil && (written == nil || later(s, written)) {
			written, by = s, w
		}
	}
	if c, ok := value.Interface().(conf.Command); ok {
		if !c.Given() {
			return set, false
		}
		set.Origin = place(c.Pos)
		return set, true
	}
	switch {
	case words[0].derived || !known:
		set.Origin = "derived"
		return set, text != "" && !value.IsZero()
	case written != nil:
		set.Origin = origin(written, by.argument)
		if same, was := matchesWord(written, by, value, f, k); !same {
			set.Origin += ", adjusted"
			if _, secret := value.Interface().(conf.Secret); !secret && oneWord(was) {
				set.Origin += " from " + printable(was)
			}
		}
		return set, text != ""
	case text == "" || value.IsZero() && k.Default == "":
		return set, false
	}
	if s, inner := v.inherited(k, value, f, in, 3); s != nil {
		set.Origin = inner + origin(s, 1)
		return set, true
	}
	set.Origin = "default"
	if value.IsZero() && (in.path == "" || described(k, value)) {
		// The model leaves the defaults of the whole daemon to those who use them.
		set.Value = k.Default
		return set, true
	}
	if k.Value != nil && value.Kind() != reflect.Struct && !isDefault(value, k) {
		set.Origin = "derived"
	}
	return set, true
}

// oneWord reports whether what was written is a word and no secret: a quote that
// is not closed makes a value of the lines after it.
func oneWord(written string) bool {
	return written != "" && !strings.ContainsAny(written, " \t\n") && len(conf.SecretSpans([]string{written})[0]) == 0
}

// described reports whether 0 stands for what the text of the default describes.
func described(k conf.Keyword, value reflect.Value) bool {
	return k.Described() && value.Kind() != reflect.Bool && conf.Names(value.Type()) == nil
}

// later orders statements as the last one wins.
func later(a, b *conf.Statement) bool {
	p, q := a.Pos(0), b.Pos(0)
	return p.File != q.File || cmp.Or(cmp.Compare(p.Line, q.Line), cmp.Compare(p.Column, q.Column)) > 0
}

// inherited looks for a statement that the value came from because nothing set
// it here: one of a word that the schema names for that, or of the same word in a
// block around. It counts if it sets the same value.
func (v *viewer) inherited(k conf.Keyword, value reflect.Value, f reflect.StructField, in frame, depth int) (*conf.Statement, string) {
	if depth == 0 {
		return nil, ""
	}
	if k.Outer {
		for outer := in.outer; outer != nil && outer.path != ""; outer = outer.outer {
			for _, name := range alike(k, outer.path, f.Name) {
				s := find(outer.block, []string{name})
				if s == nil {
					continue
				}
				if same, _ := matchesWord(s, word{argument: 1}, value, f, k); same {
					return s, outer.path[strings.LastIndexByte(outer.path, '.')+1:] + ", "
				}
			}
		}
	}
	for _, path := range k.From {
		other := keywords()[path]
		block, from := in.block, other.Name+", "
		if other.Block == "global_defs" {
			block, from = v.global, "global_defs, "
		}
		if s := find(block, []string{other.Name}); s != nil {
			if same, _ := matchesWord(s, word{argument: 1}, value, f, other); same {
				return s, from
			}
		}
		if s, was := v.inherited(other, value, f, in, depth-1); s != nil {
			return s, was
		}
	}
	return nil, ""
}

// alike are the words of a block that set for it what k sets: k itself, and what
// sets the field of the same name.
func alike(k conf.Keyword, block, field string) []string {
	names := []string{k.Name}
	for _, other := range inBlock()[block] {
		for _, f := range other.Fields {
			if f.Path[strings.LastIndexByte(f.Path, '.')+1:] == field && other.Name != k.Name {
				names = append(names, other.Name)
			}
		}
	}
	return names
}

// inBlock are the words of each block.
var inBlock = sync.OnceValue(func() map[string][]conf.Keyword {
	all := make(map[string][]conf.Keyword)
	for k := range conf.Schema() {
		all[k.Block] = append(all[k.Block], k)
	}
	return all
})

// items are the elements of a list, one on a line where they have places.
func (v *viewer) items(words []word, list reflect.Value, in frame) []Setting {
	w := words[0]
	s := w.find(in)
	for _, other := range words[1:] {
		if s == nil {
			s = other.find(in)
		}
	}
	where := "derived"
	if s != nil {
		where = origin(s, 0)
	} else if keywords()[w.schema(in)].Default != "" {
		where = "default"
	}
	if reflect.Indirect(list.Index(0)).Kind() != reflect.Struct {
		var all []string
		for i := range list.Len() {
			text, _ := oneLine(list.Index(i))
			all = append(all, text)
		}
		return []Setting{{Name: w.show, Value: strings.Join(all, " "), Origin: where}}
	}
	var out []Setting
	for i := range list.Len() {
		e := reflect.Indirect(list.Index(i))
		text, single := oneLine(e)
		if !single {
			line := v.statement(e)
			text = printable(strings.Join(append([]string{line.Keyword()}, arguments(line)...), " "))
		}
		set := Setting{Name: w.show, Value: text, Origin: where, Item: true}
		if t, ok := e.Interface().(conf.Track); ok {
			set.Name = t.Kind.String()
		}
		if at, ok := position(e); ok {
			set.Origin = place(at)
		} else if s != nil {
			for _, line := range s.Block {
				if first, _, _ := strings.Cut(text, " "); line.Keyword() == first {
					set.Origin = origin(line, 0)
				}
			}
		}
		out = append(out, set)
	}
	return out
}

// entries are those of a map.
func (v *viewer) entries(words []word, m reflect.Value, in frame) []Setting {
	where := "derived"
	if s := words[0].find(in); s != nil {
		where = origin(s, 0)
	}
	var out []Setting
	for _, key := range m.MapKeys() {
		text, _ := oneLine(m.MapIndex(key))
		out = append(out, Setting{
			Name: words[0].show, Value: fmt.Sprint(key) + " " + text, Origin: where, Item: true, secret: plain(m.MapIndex(key)),
		})
	}
	slices.SortFunc(out, func(a, b Setting) int { return strings.Compare(a.Value, b.Value) })
	return out
}

// origin is the place of a statement, and of the definition that the argument
// with the given number is from.
func origin(s *conf.Statement, argument int) string {
	at := place(s.Pos(0))
	for _, f := range s.Chain(min(argument, len(s.Words)-1)) {
		if name, ok := strings.CutSuffix(f.What, " defined at"); ok {
			at += ", " + name + " of " + place(f.Pos)
		}
	}
	return at
}

func place(p conf.Pos) string {
	return fmt.Sprintf("%s:%d", printable(filepath.Clean(p.File)), p.Line)
}

// snake is the name of a field as a word: InitFail is init_fail.
func snake(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && (unicode.IsLower(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Text is the sections for people to read.
func Text(sections []Section) string {
	const widest = 56 // columns after which origins are not aligned any more
	var b strings.Builder
	for i, s := range sections {
		if i > 0 {
			b.WriteByte('\n')
		}
		lines := []string{s.Title}
		origins := []string{""}
		if s.Pos.Line > 0 {
			origins[0] = place(s.Pos)
		}
		for _, set := range s.Settings {
			lines = append(lines, "    "+strings.TrimSpace(set.Name+" "+set.Value))
			origins = append(origins, set.Origin)
		}
		width := 0
		for _, l := range lines {
			if n := utf8.RuneCountInString(l); n <= widest {
				width = max(width, n)
			}
		}
		for i, l := range lines {
			b.WriteString(l)
			if origins[i] != "" {
				b.WriteString(strings.Repeat(" ", max(width-utf8.RuneCountInString(l), 0)) + "  # " + origins[i])
			}
			b.WriteByte('\n')
		}
	}
	return b.String()
}

package screen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Wide shows each field of a model: single values as lines, lists as tables. The names are
// those of JSON, so a field that the model gets appears here too.
func Wide(v any, o Options) string {
	p := &page{Options: o}
	p.wide("", fieldsOf(reflect.ValueOf(v)))
	return p.String()
}

// fields are those of a structure, with those of the structures in it.
type fields struct {
	names  []string
	values map[string]string
	lists  []list
}

// list is a field that is a list of structures.
type list struct {
	name     string
	elements []fields
	titles   []string // of the elements
}

func fieldsOf(v reflect.Value) fields {
	f := fields{values: map[string]string{}}
	f.add("", v)
	return f
}

func (f *fields) add(prefix string, v reflect.Value) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous {
			f.add(prefix, value)
			continue
		}
		name = prefix + name
		typ := field.Type
		if typ.Kind() == reflect.Pointer {
			typ = typ.Elem()
		}
		switch {
		case typ.Kind() == reflect.Struct && !typ.Implements(reflect.TypeFor[fmt.Stringer]()): // those are one value each
			f.add(name+".", value)
		case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Struct:
			l := list{name: name}
			for k := range value.Len() {
				e := fieldsOf(value.Index(k))
				l.elements = append(l.elements, e)
				title := fmt.Sprint(k)
				if len(e.names) > 0 && e.values["name"] != "" {
					title = e.values["name"]
				}
				l.titles = append(l.titles, title)
			}
			f.lists = append(f.lists, l)
		default:
			f.names = append(f.names, name)
			f.values[name] = word(value)
		}
	}
}

// word is a single value; empty: there is none.
func word(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch x := v.Interface().(type) {
	case time.Time:
		if x.IsZero() {
			return ""
		}
		return x.UTC().Format(time.RFC3339Nano)
	case map[string]uint64:
		var all []string
		for _, name := range sortedKeys(x) {
			if x[name] != 0 {
				all = append(all, fmt.Sprintf("%s=%d", name, x[name]))
			}
		}
		return strings.Join(all, ",")
	case []string:
		return strings.Join(x, ",")
	default:
		return fmt.Sprint(x)
	}
}

func (p *page) wide(title string, f fields) {
	var single [][]string
	for _, name := range f.names {
		if f.values[name] != "" {
			single = append(single, []string{name, f.values[name]})
		}
	}
	if title == "" && len(single) > 0 {
		p.table(0, []string{"FIELD", "VALUE"}, single, nil)
	}
	for _, l := range f.lists {
		p.list(title+l.name, l)
	}
}

func (p *page) list(title string, l list) {
	if len(l.elements) == 0 {
		return
	}
	var heading []string
	for _, e := range l.elements {
		for _, name := range e.names {
			if e.values[name] != "" && !slices.Contains(heading, name) {
				heading = append(heading, name)
			}
		}
	}
	// Optional fields of later elements stand where the model has them.
	at := map[string]int{}
	for _, e := range l.elements {
		for i, name := range e.names {
			at[name] = max(at[name], i)
		}
	}
	slices.SortStableFunc(heading, func(a, b string) int { return at[a] - at[b] })
	var table [][]string
	for _, e := range l.elements {
		row := make([]string, len(heading))
		for i, name := range heading {
			row[i] = e.values[name]
		}
		table = append(table, row)
	}
	p.line("")
	p.line("%s", title)
	p.table(2, heading, table, nil)
	for i, e := range l.elements {
		p.wide(fmt.Sprintf("%s[%s].", title, l.titles[i]), e)
	}
}

// JSON is a value as indented JSON.
func JSON(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.String(), err
}

// YAML is a value as YAML 1.2, with the names and the order of its JSON.
func YAML(v any) (string, error) {
	text, err := JSON(v)
	if err != nil {
		return "", err
	}
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var b strings.Builder
	if err := yaml(&b, d, 0, "", false); err != nil {
		return "", err
	}
	return strings.TrimPrefix(b.String(), "\n"), nil
}

// plainKey is a name that YAML takes for a text without quotes.
var plainKey = regexp.MustCompile(`^[$A-Za-z_][-\w]*$`)

// yaml writes the next value of d. before is what stands between the value and what is
// before it on its line; inItem: that is the dash of an item.
func yaml(b *strings.Builder, d *json.Decoder, depth int, before string, inItem bool) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		scalar, err := JSON(token)
		if err != nil {
			return err
		}
		b.WriteString(before + scalar) // with the end of the line
		return nil
	}
	if !d.More() {
		b.WriteString(before + map[json.Delim]string{'{': "{}", '[': "[]"}[open] + "\n")
		_, err := d.Token()
		return err
	}
	if !inItem {
		b.WriteByte('\n')
	}
	pad := strings.Repeat("  ", depth)
	for first := true; d.More(); first = false {
		if !(first && inItem) {
			b.WriteString(pad)
		} else {
			b.WriteByte(' ')
		}
		if open == '[' {
			b.WriteByte('-')
			if err := yaml(b, d, depth+1, " ", true); err != nil {
				return err
			}
			continue
		}
		key, err := d.Token()
		if err != nil {
			return err
		}
		name := key.(string)
		if !plainKey.MatchString(name) {
			name = strconv.Quote(name) // of the printable characters that names consist of
		}
		b.WriteString(name + ":")
		if err := yaml(b, d, depth+1, " ", false); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

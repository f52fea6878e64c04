package supervisor

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"

	"keepalived-go/conf"
)

// dump yields the configuration as understood (-d), line by line: what is set,
// with defaults and inheritance applied. Secrets stay secret.
func dump(c *conf.Config, yield func(string)) {
	yield("------< Global definitions >------")
	dumpFields(" ", reflect.ValueOf(c.Global), yield)
	yield("------< VRRP Topology >------")
	for _, i := range c.Instances {
		yield(" VRRP Instance = " + i.Name)
		dumpFields("   ", reflect.ValueOf(*i), yield)
	}
	if len(c.SyncGroups) > 0 {
		yield("------< VRRP Sync groups >------")
	}
	for _, g := range c.SyncGroups {
		yield(" VRRP Sync Group = " + g.Name)
		dumpFields("   ", reflect.ValueOf(*g), yield)
	}
}

func dumpFields(indent string, v reflect.Value, yield func(string)) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Name != "Name" && f.Name != "Pos" {
			dumpValue(indent, label(f.Name), v.Field(i), yield)
		}
	}
}

func dumpValue(indent, name string, v reflect.Value, yield func(string)) {
	if v.IsZero() {
		return
	}
	switch x := v.Interface().(type) {
	case time.Duration, fmt.Stringer:
		yield(fmt.Sprintf("%s%s = %v", indent, name, x))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		yield(indent + name + ":")
		dumpFields(indent+"  ", v, yield)
	case reflect.Slice:
		if v.Type().Elem().Kind() != reflect.Struct {
			yield(fmt.Sprintf("%s%s = %v", indent, name, v))
			return
		}
		yield(fmt.Sprintf("%s%s (%d):", indent, name, v.Len()))
		for i := range v.Len() {
			yield(indent + "  " + oneLine(v.Index(i)))
		}
	default:
		yield(fmt.Sprintf("%s%s = %v", indent, name, v))
	}
}

// oneLine is a struct as "Field value, Field value".
func oneLine(v reflect.Value) string {
	var parts []string
	for i := range v.NumField() {
		if f := v.Field(i); !f.IsZero() && v.Type().Field(i).Name != "Pos" {
			parts = append(parts, fmt.Sprintf("%s %v", label(v.Type().Field(i).Name), f))
		}
	}
	return strings.Join(parts, ", ")
}

// label makes words of the name of a field: "Advert interval" of
// AdvertInterval, "VRID" of VRID.
func label(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if i > 0 && unicode.IsUpper(r) && unicode.IsLower(runes[i-1]) {
			b.WriteByte(' ')
			if i+1 < len(runes) && unicode.IsLower(runes[i+1]) {
				r = unicode.ToLower(r)
			}
		}
		b.WriteRune(r)
	}
	return b.String()
}

package statustest

import (
	"fmt"
	"reflect"
	"testing"

	"keepalived-go/conf"
)

// View is a dump of a configuration and the state that comes with it.
type View struct {
	Conf *conf.Config
	Dump func() []byte
}

// Words checks that views show each word of the language differently, where they show
// a value that has words at all, and that they show one of each of the kinds.
func Words(t *testing.T, views map[string]View, kinds ...reflect.Type) {
	t.Helper()
	shown := map[reflect.Type]bool{}
	for name, view := range views {
		eachWord(reflect.ValueOf(view.Conf).Elem(), name+": Config", map[reflect.Type]int{}, func(path string, v reflect.Value) {
			was := v.Uint()
			defer v.SetUint(was)
			words, dumps := conf.Names(v.Type()), map[string]string{}
			for i, word := range words {
				v.SetUint(uint64(i))
				dumps[string(view.Dump())] += " " + word
			}
			if len(dumps) == 1 {
				return // not shown here
			}
			shown[v.Type()] = true
			if len(dumps) != len(words) {
				for _, same := range dumps {
					t.Logf("the same dump for%s", same)
				}
				t.Errorf("%s has %d dumps for %q", path, len(dumps), words)
			}
		})
	}
	for _, kind := range kinds {
		if !shown[kind] {
			t.Errorf("no dump shows a %v", kind)
		}
	}
}

// eachWord calls f for the values below v that have words, for the first few of each
// type of structure.
func eachWord(v reflect.Value, path string, seen map[reflect.Type]int, f func(string, reflect.Value)) {
	if conf.Names(v.Type()) != nil && v.CanSet() {
		f(path, v)
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			eachWord(v.Elem(), path, seen, f)
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			eachWord(v.Index(i), fmt.Sprintf("%s[%d]", path, i), seen, f)
		}
	case reflect.Struct:
		if seen[v.Type()]++; seen[v.Type()] > 4 {
			return
		}
		for i := range v.NumField() {
			eachWord(v.Field(i), path+"."+v.Type().Field(i).Name, seen, f)
		}
	}
}

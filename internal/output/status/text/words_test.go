package text

import (
	"fmt"
	"reflect"
	"testing"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/statustest"
)

// TestEachWordIsShown: where a dump shows a value that has words in the language, it
// shows each of them differently.
func TestEachWordIsShown(t *testing.T) {
	vrrp := statustest.VRRP(t, statustest.Load(t))
	vrrp.Conf.Instances[0].Link = &conf.Link{AddressVMACs: true}
	servers := statustest.LVS(t, statustest.LoadLVS(t))
	shown := map[reflect.Type]bool{}
	for name, view := range map[string]struct {
		conf *conf.Config
		dump func() []byte
	}{
		"data":  {vrrp.Conf, func() []byte { return Data(vrrp) }},
		"check": {servers.Conf, func() []byte { return LVS(servers) }},
		"check before the start": {servers.Conf, func() []byte {
			return LVS(status.Configured(servers.Conf))
		}},
	} {
		eachWord(reflect.ValueOf(view.conf).Elem(), name+": Config", map[reflect.Type]int{}, func(path string, v reflect.Value) {
			was := v.Uint()
			defer v.SetUint(was)
			words, dumps := conf.Names(v.Type()), map[string]string{}
			for i, word := range words {
				v.SetUint(uint64(i))
				dumps[string(view.dump())] += " " + word
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
	for _, kind := range []reflect.Type{
		reflect.TypeFor[conf.AuthType](), reflect.TypeFor[conf.LinkKind](), reflect.TypeFor[conf.ParamMatch](),
		reflect.TypeFor[conf.RxBufPolicy](), reflect.TypeFor[conf.TrackKind](), reflect.TypeFor[conf.ForwardMethod](),
	} {
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

package policy

import (
	"fmt"
	"reflect"
	"testing"

	"keepalived-go/conf"
	"keepalived-go/lvs"
	"keepalived-go/vrrp"
)

// engineNumbers lists the words for which an engine has numbers.
var engineNumbers = map[reflect.Type]any{
	reflect.TypeFor[conf.AuthType]():       authTypes,
	reflect.TypeFor[conf.HMACMode]():       hmacModes,
	reflect.TypeFor[conf.OldChecksum]():    oldChecksums,
	reflect.TypeFor[conf.BFDAuthType]():    sessionAuth,
	reflect.TypeFor[conf.ForwardMethod]():  methods,
	reflect.TypeFor[conf.TunnelType]():     tunnels,
	reflect.TypeFor[conf.TunnelChecksum](): checksums,
}

// driverWords lists the words that no engine knows, with the package that acts on them
// and tests all of them.
var driverWords = map[reflect.Type]string{
	reflect.TypeFor[conf.RxBufPolicy]():  "internal/vrrpd",
	reflect.TypeFor[conf.Switch]():       "conf", // resolved there
	reflect.TypeFor[conf.OnDelete]():     "internal/vrrpd",
	reflect.TypeFor[conf.InitFile]():     "internal/linux/track",
	reflect.TypeFor[conf.ParamMatch]():   "internal/linux/track",
	reflect.TypeFor[conf.LinkBeat]():     "internal/linux/track",
	reflect.TypeFor[conf.TrackKind]():    "internal/output/status/text",
	reflect.TypeFor[conf.HTTPProtocol](): "internal/checkd",
	reflect.TypeFor[conf.CheckKind]():    "internal/checkd",
	reflect.TypeFor[conf.FlushOnStop]():  "internal/policy", // TestFlush
	// The interfaces that an instance makes are only described.
	reflect.TypeFor[conf.IPVLANMode](): "",
	reflect.TypeFor[conf.LinkKind]():   "internal/output/status/text",
}

// wordTypes returns the types of the model whose values have words.
func wordTypes() map[reflect.Type]bool {
	found, seen := map[reflect.Type]bool{}, map[reflect.Type]bool{}
	var walk func(reflect.Type)
	walk = func(t reflect.Type) {
		if seen[t] {
			return
		}
		seen[t] = true
		if conf.Names(t) != nil {
			found[t] = true
		}
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			walk(t.Elem())
		case reflect.Map:
			walk(t.Key())
			walk(t.Elem())
		case reflect.Struct:
			for i := range t.NumField() {
				walk(t.Field(i).Type)
			}
		}
	}
	walk(reflect.TypeFor[conf.Config]())
	return found
}

// TestWordsHaveNumbers checks that each word of the language has its own number in its
// engine. A new type of the model must be listed here.
func TestWordsHaveNumbers(t *testing.T) {
	for kind := range wordTypes() {
		table, converted := engineNumbers[kind]
		if _, known := driverWords[kind]; known == converted {
			t.Errorf("%v: who acts on its words, an engine or a driver?", kind)
		}
		if !converted {
			continue
		}
		numbers, names := reflect.ValueOf(table), conf.Names(kind)
		if numbers.Len() != len(names) {
			t.Errorf("%v: %d numbers for %q", kind, numbers.Len(), names)
			continue
		}
		seen := map[uint64]string{}
		for i, name := range names {
			n := numbers.Index(i).Uint()
			if other, taken := seen[n]; taken {
				t.Errorf("%v: %s and %s are both %d", kind, other, name, n)
			}
			seen[n] = name
			// If the engine has words too, they are the same.
			if named, ok := numbers.Index(i).Interface().(fmt.Stringer); ok && named.String() != name {
				t.Errorf("%v: %s is %v", kind, name, named)
			}
		}
	}
}

// TestSessionKeys checks that a key that the language accepts is not cut by the engine.
func TestSessionKeys(t *testing.T) {
	for i, kind := range sessionAuth {
		if word := conf.BFDAuthType(i); word.MaxKey() != kind.MaxKey() {
			t.Errorf("%v: keys of %d bytes, of the engine %d", word, word.MaxKey(), kind.MaxKey())
		}
	}
}

// TestFamiliesAndProtocols checks that numbers assigned by IANA are the same everywhere.
func TestFamiliesAndProtocols(t *testing.T) {
	for _, same := range [][3]int{
		{int(conf.IPv4), int(vrrp.IPv4), int(lvs.IPv4)}, {int(conf.IPv6), int(vrrp.IPv6), int(lvs.IPv6)},
		{int(conf.TCP), int(lvs.TCP), 6}, {int(conf.UDP), int(lvs.UDP), 17}, {int(conf.SCTP), int(lvs.SCTP), 132},
	} {
		if same[0] != same[1] || same[1] != same[2] {
			t.Errorf("%v", same)
		}
	}
}

func TestFlush(t *testing.T) {
	for i, name := range conf.Names(reflect.TypeFor[conf.FlushOnStop]()) {
		c := &conf.Config{}
		c.Global.LVS.FlushOnStop = conf.FlushOnStop(i)
		want, known := map[string]bool{"off": false, "VS": false, "on": true}[name]
		if got := ServiceConfig(c, nil).Config.FlushOnStop; got != want || !known {
			t.Errorf("%s: %t", name, got)
		}
	}
}

package wire

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"keepalived-go/conf"
)

var compare = cmp.Options{
	cmpopts.EquateEmpty(),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmpopts.EquateNaNs(),
}

// draw fills v with values of every kind that a configuration holds. New fields of the
// model need no change here.
func draw(t *rapid.T, v reflect.Value) {
	switch p := v.Addr().Interface().(type) {
	case *netip.Addr:
		if b := rapid.SampledFrom([]int{0, 4, 16}).Draw(t, "address bytes"); b > 0 {
			*p, _ = netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), b, b).Draw(t, "address"))
		}
		return
	case *netip.Prefix:
		if rapid.Bool().Draw(t, "has prefix") {
			b := rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "address")
			a, _ := netip.AddrFromSlice(b)
			*p = netip.PrefixFrom(a, rapid.IntRange(0, 32).Draw(t, "bits"))
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		bits := v.Type().Bits()
		v.SetInt(rapid.Int64().Draw(t, "int") << (64 - bits) >> (64 - bits))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64().Draw(t, "uint") >> (64 - v.Type().Bits()))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, "float"))
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "string"))
	case reflect.Slice:
		n := rapid.IntRange(0, 3).Draw(t, "length")
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			draw(t, v.Index(i))
		}
	case reflect.Array:
		for i := range v.Len() {
			draw(t, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for range rapid.IntRange(0, 3).Draw(t, "length") {
			key, val := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			draw(t, key)
			draw(t, val)
			v.SetMapIndex(key, val)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		draw(t, v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			draw(t, v.Field(i))
		}
	default:
		t.Fatalf("no way to draw a %s", v.Type())
	}
}

func TestEveryConfigurationComesThroughUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want, got *conf.Config
		draw(t, reflect.ValueOf(&want).Elem())
		if err := Decode(Append(nil, want), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, compare); diff != "" {
			t.Errorf("decoded configuration (-want +got):\n%s", diff)
		}
	})
}

func TestNilPointerComesThrough(t *testing.T) {
	got := &conf.Config{Path: "stays"}
	if err := Decode(Append(nil, (*conf.Config)(nil)), &got); err != nil {
		t.Fatal(err)
	}
	if got != nil {
		t.Errorf("decoded %+v, want nil", got)
	}
}

func TestDecodeRefuses(t *testing.T) {
	type pair struct {
		N int8
		S []string
	}
	good := Append(nil, pair{1, []string{"a", "b"}})
	for n := range good {
		var p pair
		if err := Decode(good[:n], &p); err == nil {
			t.Errorf("%d of %d bytes decode without an error", n, len(good))
		}
	}
	var p pair
	if err := Decode(append(good, 0), &p); err == nil {
		t.Error("a byte too many decodes without an error")
	}
	if err := Decode([]byte{0x80, 0x04, 0}, &p); err == nil {
		t.Error("an integer of two bytes decodes into an int8 without an error")
	}
	if err := Decode([]byte{2, 0xff, 0xff, 0xff, 0xff, 0x0f}, &p); err == nil {
		t.Error("a count beyond the message decodes without an error")
	}
	var list []*pair
	if err := Decode([]byte{1, 0}, &list); err != errNil {
		t.Errorf("a nil pointer in a slice: %v, want %v", err, errNil)
	}
	var table map[int8]*pair
	if err := Decode([]byte{1, 5, 0}, &table); err != errNil {
		t.Errorf("a nil pointer in a map: %v, want %v", err, errNil)
	}
	// As many structs as there are bytes: each takes more than one.
	var many []conf.Address
	if err := Decode(append([]byte{100}, make([]byte, 100)...), &many); err != errShort || many != nil {
		t.Errorf("100 addresses of a byte: %v, %d of them; want %v", err, len(many), errShort)
	}
}

// FuzzDecode looks for bytes that cause a panic or allocate out of proportion.
func FuzzDecode(f *testing.F) {
	f.Add(Append(nil, &conf.Config{Path: "k.conf", Instances: []*conf.VRRPInstance{{
		Name: "VI_1", AdvertInterval: time.Second, Group: netip.MustParseAddr("224.0.0.18"),
		Addresses: []conf.Address{{Prefix: netip.MustParsePrefix("10.0.0.1/24")}},
		HMAC:      conf.HMAC{Keys: map[uint8]conf.Secret{1: "k"}},
	}}}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again *conf.Config
		if Decode(b, &c) != nil {
			return
		}
		if err := Decode(Append(nil, c), &again); err != nil {
			t.Fatalf("decoded once, not twice: %v", err)
		}
		if c == nil || again == nil {
			return
		}
		// The comparison of reloads does not panic either, whatever was decoded.
		for i, v := range c.Instances {
			if other := again.Instances[len(again.Instances)-1-i]; v.Equal(other) != other.Equal(v) {
				t.Errorf("%+v and %+v are equal in one direction", v, other)
			}
		}
		if diff := cmp.Diff(c, again, compare); diff != "" {
			t.Errorf("decoded twice (-once +twice):\n%s", diff)
		}
	})
}

func BenchmarkConfiguration(b *testing.B) {
	c := &conf.Config{}
	for range 1000 {
		c.Instances = append(c.Instances, &conf.VRRPInstance{Name: "VI_1", Interface: "eth0",
			AdvertInterval: time.Second, Group: netip.MustParseAddr("224.0.0.18"),
			Addresses: []conf.Address{{Prefix: netip.MustParsePrefix("10.0.0.1/24"), Interface: "eth0"}}})
	}
	var frame []byte
	b.ReportAllocs()
	for b.Loop() {
		frame = Append(frame[:0], c)
		var got *conf.Config
		if err := Decode(frame, &got); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(len(frame)))
}

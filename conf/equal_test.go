package conf

import (
	"net/netip"
	"reflect"
	"testing"
)

// full returns an instance with an element in each list and a value for each pointer.
func full() *VRRPInstance {
	return &VRRPInstance{
		Peers:     []Peer{{Addr: netip.MustParseAddr("192.0.2.2")}},
		HMAC:      HMAC{Keys: map[uint8]Secret{1: "a"}},
		Addresses: []Address{{Prefix: netip.MustParsePrefix("192.0.2.10/24")}},
		Excluded:  []Address{{Prefix: netip.MustParsePrefix("192.0.2.11/24")}},
		Track:     []Track{{Name: "check"}},
		Routing: &Routing{
			Routes: []Route{{
				Hop: NextHop{Encap: &Encap{Labels: []uint32{3}}}, Hops: []NextHop{{Weight: 1}}, Metrics: []RouteMetric{{MetricMTU, 1400, false}},
				Protocol: new(uint8(5)), Preference: new(uint8), TTLPropagate: new(bool),
			}},
			Rules: []Rule{{UIDs: &Range{1, 2}, SPort: &Range{3, 4}, DPort: &Range{5, 6}, Protocol: new(uint8(5))}},
		},
		Link:   &Link{Name: "vrrp.1"},
		Notify: &Notify{Any: Command{Args: []string{"/bin/true"}}},
	}
}

// TestEqualSeesEveryField checks that a difference in any field, except the position,
// makes instances unequal.
func TestEqualSeesEveryField(t *testing.T) {
	if !full().Equal(full()) {
		t.Fatal("an instance is not equal to its like")
	}
	changed := 0
	var change func(path string, v reflect.Value, other *VRRPInstance)
	change = func(path string, v reflect.Value, other *VRRPInstance) {
		differs := func() {
			changed++
			if full().Equal(other) {
				t.Errorf("a change of %s is not seen", path)
			}
		}
		before := reflect.New(v.Type()).Elem()
		before.Set(v)
		defer v.Set(before)
		switch {
		case v.Type() == reflect.TypeFor[Pos]():
			v.Field(1).SetInt(99)
			if !full().Equal(other) {
				t.Errorf("a change of %s makes it another", path)
			}
		case v.Type() == reflect.TypeFor[netip.Addr]():
			v.Set(reflect.ValueOf(netip.MustParseAddr("203.0.113.9")))
			differs()
		case v.Type() == reflect.TypeFor[netip.Prefix]():
			v.Set(reflect.ValueOf(netip.MustParsePrefix("203.0.113.9/32")))
			differs()
		case v.Kind() == reflect.Struct:
			for i := range v.NumField() {
				change(path+"."+v.Type().Field(i).Name, v.Field(i), other)
			}
		case v.Kind() == reflect.Pointer && v.IsNil():
			v.Set(reflect.New(v.Type().Elem()))
			differs()
		case v.Kind() == reflect.Pointer:
			change(path, v.Elem(), other)
			v.SetZero()
			differs()
		case v.Kind() == reflect.Slice && v.Len() == 0:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			differs()
		case v.Kind() == reflect.Array:
			for i := range v.Len() {
				change(path+"[]", v.Index(i), other)
			}
		case v.Kind() == reflect.Slice:
			for i := range v.Len() {
				change(path+"[]", v.Index(i), other)
			}
			v.Set(v.Slice(0, 0))
			differs()
		case v.Kind() == reflect.Map:
			v.Set(reflect.ValueOf(map[uint8]Secret{1: "b"}))
			differs()
		case v.Kind() == reflect.String:
			v.SetString("other")
			differs()
		case v.Kind() == reflect.Bool:
			v.SetBool(!v.Bool())
			differs()
		case v.CanInt():
			v.SetInt(v.Int() + 1)
			differs()
		case v.CanUint():
			v.SetUint(v.Uint() + 1)
			differs()
		default:
			t.Errorf("%s: a %v, which this test cannot change", path, v.Type())
		}
	}
	other := full()
	change("VRRPInstance", reflect.ValueOf(other).Elem(), other)
	if changed < 160 {
		t.Errorf("only %d fields were changed", changed)
	}
}

func BenchmarkEqual(b *testing.B) {
	v, o := full(), full()
	b.ReportAllocs()
	for b.Loop() {
		if !v.Equal(o) {
			b.Fatal("not equal")
		}
	}
}

package conf

import (
	"net/netip"
	"reflect"
)

// Equal reports whether v and o ask for the same, wherever in the files they
// stand; nil asks for nothing.
func (v *VRRPInstance) Equal(o *VRRPInstance) bool { return equal(v, o) }

// Equal reports whether v and o ask for the same; nil asks for nothing.
func (v *VirtualServer) Equal(o *VirtualServer) bool { return equal(v, o) }

// Equal reports whether b and o ask for the same; nil asks for nothing.
func (b *BFDInstance) Equal(o *BFDInstance) bool { return equal(b, o) }

// Equal reports whether n and o have the same owner and settings; nil notifies no one.
func (n *Notify) Equal(o *Notify) bool { return equal(n, o) }

// Equal reports whether c and o run the same as the same user; nil runs nothing.
func (c *Command) Equal(o *Command) bool { return equal(c, o) }

// Equal reports whether l and o make the same.
func (l *Link) Equal(o *Link) bool { return equal(l, o) }

// Equal reports whether r and o ask for the same; nil asks for nothing.
func (r *Routing) Equal(o *Routing) bool { return equal(r, o) }

// equal compares structs of the model: every field counts but places. It takes some
// microseconds for an instance: processes with thousands of them compare them beside
// their loops.
func equal[T any](a, b *T) bool { return same(reflect.ValueOf(a), reflect.ValueOf(b)) }

// same compares values of one type. A list that is nil is an empty one.
func same(a, b reflect.Value) bool {
	switch t := a.Type(); t.Kind() {
	case reflect.Pointer:
		if a.IsNil() || b.IsNil() {
			return a.IsNil() == b.IsNil()
		}
		return a.Pointer() == b.Pointer() || same(a.Elem(), b.Elem())
	case reflect.Struct:
		switch t {
		case reflect.TypeFor[Pos]():
			return true
		case reflect.TypeFor[netip.Addr](), reflect.TypeFor[netip.Prefix]():
			return a.Equal(b)
		}
		for i := range t.NumField() {
			if !same(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Array:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !same(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if a.Len() != b.Len() {
			return false
		}
		for _, k := range a.MapKeys() {
			if v := b.MapIndex(k); !v.IsValid() || !same(a.MapIndex(k), v) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

package conf

import (
	"net/netip"
	"reflect"
	"sync"
	"unsafe"
)

// Equal reports whether v and o ask for the same, wherever in the files they
// stand; nil asks for nothing.
func (v *VRRPInstance) Equal(o *VRRPInstance) bool { return equal(v, o) }

// Equal reports whether n and o have the same owner and settings; nil notifies no one.
func (n *Notify) Equal(o *Notify) bool { return equal(n, o) }

// Equal reports whether c and o run the same as the same user; nil runs nothing.
func (c *Command) Equal(o *Command) bool { return equal(c, o) }

// Equal reports whether l and o make the same.
func (l *Link) Equal(o *Link) bool { return equal(l, o) }

// Equal reports whether r and o ask for the same; nil asks for nothing.
func (r *Routing) Equal(o *Routing) bool { return equal(r, o) }

// equal compares structs of the model: every field counts but places. How is
// worked out once for each type and then takes no reflection: the loop of a
// process compares thousands in a reload.
func equal[T any](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return comparisonOf(reflect.TypeFor[T]()).equal(unsafe.Pointer(a), unsafe.Pointer(b))
}

// comparison is how values of one type are compared.
type comparison struct {
	size  uintptr
	plain []extent // that are equal byte for byte
	other []part
}

type extent struct{ from, to uintptr }

// part is a value within that is not compared byte for byte.
type part struct {
	at    uintptr
	equal func(a, b unsafe.Pointer) bool
}

func (c *comparison) equal(a, b unsafe.Pointer) bool {
	for _, e := range c.plain {
		n := int(e.to - e.from)
		if unsafe.String((*byte)(unsafe.Add(a, e.from)), n) != unsafe.String((*byte)(unsafe.Add(b, e.from)), n) {
			return false
		}
	}
	for _, p := range c.other {
		if !p.equal(unsafe.Add(a, p.at), unsafe.Add(b, p.at)) {
			return false
		}
	}
	return true
}

var comparisons sync.Map // of *comparison, by reflect.Type

func comparisonOf(t reflect.Type) *comparison {
	if c, ok := comparisons.Load(t); ok {
		return c.(*comparison)
	}
	c := &comparison{size: t.Size()}
	c.add(0, t)
	comparisons.Store(t, c)
	return c
}

// add compares a value of type t at an offset too.
func (c *comparison) add(at uintptr, t reflect.Type) {
	compare := func(equal func(a, b unsafe.Pointer) bool) { c.other = append(c.other, part{at, equal}) }
	switch t.Kind() {
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		if last := len(c.plain) - 1; last >= 0 && c.plain[last].to == at {
			c.plain[last].to += t.Size()
		} else {
			c.plain = append(c.plain, extent{at, at + t.Size()})
		}
	case reflect.String:
		compare(func(a, b unsafe.Pointer) bool { return *(*string)(a) == *(*string)(b) })
	case reflect.Array:
		for i := range uintptr(t.Len()) {
			c.add(at+i*t.Elem().Size(), t.Elem())
		}
	case reflect.Struct:
		switch t {
		case reflect.TypeFor[Pos]():
		case reflect.TypeFor[netip.Addr]():
			compare(func(a, b unsafe.Pointer) bool { return *(*netip.Addr)(a) == *(*netip.Addr)(b) })
		case reflect.TypeFor[netip.Prefix]():
			compare(func(a, b unsafe.Pointer) bool { return *(*netip.Prefix)(a) == *(*netip.Prefix)(b) })
		default:
			for i := range t.NumField() {
				c.add(at+t.Field(i).Offset, t.Field(i).Type)
			}
		}
	case reflect.Pointer:
		inner := comparisonOf(t.Elem())
		compare(func(a, b unsafe.Pointer) bool {
			p, q := *(*unsafe.Pointer)(a), *(*unsafe.Pointer)(b)
			return p == q || p != nil && q != nil && inner.equal(p, q)
		})
	case reflect.Slice:
		inner := comparisonOf(t.Elem())
		compare(func(a, b unsafe.Pointer) bool {
			// The length is that of a slice of anything.
			n, p, q := len(*(*[]byte)(a)), *(*unsafe.Pointer)(a), *(*unsafe.Pointer)(b)
			if n != len(*(*[]byte)(b)) {
				return false
			}
			for i := range uintptr(n) {
				if !inner.equal(unsafe.Add(p, i*inner.size), unsafe.Add(q, i*inner.size)) {
					return false
				}
			}
			return true
		})
	case reflect.Map: // of secrets and the like: a few, in a few instances
		compare(func(a, b unsafe.Pointer) bool {
			x, y := reflect.NewAt(t, a).Elem(), reflect.NewAt(t, b).Elem()
			return x.Len() == 0 && y.Len() == 0 || reflect.DeepEqual(x.Interface(), y.Interface())
		})
	default:
		panic("conf: values of " + t.String() + " cannot be compared")
	}
}

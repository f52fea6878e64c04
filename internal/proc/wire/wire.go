// Package wire encodes values of Go: for messages between processes of ours and
// for files of state. Reader and writer are of one build, so that the bytes carry
// no types and no version.
package wire

import (
	"bytes"
	"encoding"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"sync"
)

// The encoding is the plainest that serves: fields in order, integers as
// varints, lengths before what they count, a byte before what a pointer points
// to. Types that marshal themselves (netip.Addr, netip.Prefix) are asked to.
// encoding/gob would send and compile a description of each type first, which
// costs more start-up time and memory than the configuration itself.

var (
	errShort    = errors.New("message ends early")
	errTrailing = errors.New("bytes after the message")
	errNil      = errors.New("nothing in a list")
)

// Append appends v to b. A type that cannot be encoded (channel, function,
// interface, struct with unexported fields that does not marshal itself) is a
// programming error and panics.
func Append(b []byte, v any) []byte { return appendValue(b, reflect.ValueOf(v), nil) }

// Decode fills *v, of the type that was given to [Append], from all of b.
// Slices and maps of length 0 become nil. What several pointers in a row point to is shared if
// it is the same, and so are many strings: nobody changes what was decoded. No bytes make it
// panic, or take more memory than some times their number; a nil pointer in a slice or map,
// which no configuration has, is an error.
func Decode(b []byte, v any) error {
	d := decoder{pointees: make(map[reflect.Type]pointee)}
	rest, err := d.value(b, reflect.ValueOf(v).Elem())
	if err == nil && len(rest) != 0 {
		err = errTrailing
	}
	return err
}

// decoder is what is known from values before.
type decoder struct {
	strings  [16]string               // the last of their lengths, modulo their number
	pointees map[reflect.Type]pointee // the last of their types
}

// pointee is what a pointer points to, and its bytes. No encoding of a value begins with that
// of another one of its type.
type pointee struct {
	encoded []byte
	value   reflect.Value // of the pointer
}

// string returns b as a string.
func (d *decoder) string(b []byte) string {
	known := &d.strings[len(b)%len(d.strings)]
	if *known != string(b) { // which takes no memory
		*known = string(b)
	}
	return *known
}

// pointer decodes what a pointer points to.
func (d *decoder) pointer(b []byte, v reflect.Value) ([]byte, error) {
	t := v.Type()
	if last, known := d.pointees[t]; known && bytes.HasPrefix(b, last.encoded) {
		v.Set(last.value)
		return b[len(last.encoded):], nil
	}
	p := reflect.New(t.Elem())
	v.Set(p)
	rest, err := d.value(b, p.Elem())
	if err == nil {
		d.pointees[t] = pointee{b[:len(b)-len(rest)], p}
	}
	return rest, err
}

// marshalsItself are the types whose fields are their own business. Asking
// reflect for their methods, value by value, takes most of the time.
func marshalsItself(t reflect.Type) bool { return t == addrType || t == prefixType }

var (
	addrType   = reflect.TypeFor[netip.Addr]()
	prefixType = reflect.TypeFor[netip.Prefix]()
)

// appendValue appends v to b. It writes b to out, if there is one, whenever it has become
// long, and continues with an empty one.
func appendValue(b []byte, v reflect.Value, out *sink) []byte {
	t := v.Type()
	if marshalsItself(t) {
		var self encoding.BinaryAppender
		if v.CanAddr() { // the pointer needs no room of its own
			self = v.Addr().Interface().(encoding.BinaryAppender)
		} else {
			self = v.Interface().(encoding.BinaryAppender)
		}
		start := len(b)
		b, err := self.AppendBinary(append(b, 0))
		if err != nil || len(b)-start > 0x80 {
			panic(fmt.Sprintf("wire: encode %s: %d bytes, %v", t, len(b)-start, err))
		}
		b[start] = byte(len(b) - start - 1) // a varint of one byte
		return b
	}
	switch t.Kind() {
	case reflect.Bool:
		if v.Bool() {
			return append(b, 1)
		}
		return append(b, 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return binary.AppendVarint(b, v.Int())
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return binary.AppendUvarint(b, v.Uint())
	case reflect.Float64:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v.Float()))
	case reflect.String:
		b = binary.AppendUvarint(b, uint64(v.Len()))
		return append(b, v.String()...)
	case reflect.Slice:
		b = binary.AppendUvarint(b, uint64(v.Len()))
		if t.Elem().Kind() == reflect.Uint8 {
			return append(b, v.Bytes()...)
		}
		for i := range v.Len() {
			b = out.spill(appendValue(b, v.Index(i), out))
		}
		return b
	case reflect.Array:
		for i := range v.Len() {
			b = appendValue(b, v.Index(i), out)
		}
		return b
	case reflect.Map:
		b = binary.AppendUvarint(b, uint64(v.Len()))
		for it := v.MapRange(); it.Next(); {
			b = appendValue(b, it.Key(), out)
			b = out.spill(appendValue(b, it.Value(), out))
		}
		return b
	case reflect.Pointer:
		if v.IsNil() {
			return append(b, 0)
		}
		return appendValue(append(b, 1), v.Elem(), out)
	case reflect.Struct:
		for i := range v.NumField() {
			b = appendValue(b, v.Field(i), out)
		}
		return b
	}
	panic("wire: cannot encode " + t.String())
}

// value decodes any value.
func (d *decoder) value(b []byte, v reflect.Value) ([]byte, error) {
	t := v.Type()
	if marshalsItself(t) {
		n, b, err := decodeLen(b)
		if err != nil {
			return nil, err
		}
		err = v.Addr().Interface().(encoding.BinaryUnmarshaler).UnmarshalBinary(b[:n])
		return b[n:], err
	}
	switch t.Kind() {
	case reflect.Bool:
		if len(b) == 0 {
			return nil, errShort
		}
		v.SetBool(b[0] != 0)
		return b[1:], nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		x, n := binary.Varint(b)
		if n <= 0 || v.OverflowInt(x) {
			return nil, errShort
		}
		v.SetInt(x)
		return b[n:], nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		x, n := binary.Uvarint(b)
		if n <= 0 || v.OverflowUint(x) {
			return nil, errShort
		}
		v.SetUint(x)
		return b[n:], nil
	case reflect.Float64:
		if len(b) < 8 {
			return nil, errShort
		}
		v.SetFloat(math.Float64frombits(binary.LittleEndian.Uint64(b)))
		return b[8:], nil
	case reflect.String:
		n, b, err := decodeLen(b)
		if err != nil {
			return nil, err
		}
		v.SetString(d.string(b[:n]))
		return b[n:], nil
	case reflect.Slice:
		return d.slice(b, v)
	case reflect.Array:
		var err error
		for i := range v.Len() {
			if b, err = d.value(b, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return b, nil
	case reflect.Map:
		return d.mapping(b, v)
	case reflect.Pointer:
		if len(b) == 0 {
			return nil, errShort
		}
		if b[0] == 0 {
			v.SetZero()
			return b[1:], nil
		}
		return d.pointer(b[1:], v)
	case reflect.Struct:
		var err error
		for i := range v.NumField() {
			if b, err = d.value(b, v.Field(i)); err != nil {
				return nil, fmt.Errorf("%s: %w", t.Field(i).Name, err)
			}
		}
		return b, nil
	}
	panic("wire: cannot decode " + t.String())
}

func (d *decoder) slice(b []byte, v reflect.Value) ([]byte, error) {
	n, b, err := decodeLen(b)
	if err == nil && n > len(b)/leastSize(v.Type().Elem()) {
		err = errShort
	}
	if err != nil || n == 0 {
		v.SetZero()
		return b, err
	}
	if v.Type().Elem().Kind() == reflect.Uint8 {
		v.SetBytes(slices.Clone(b[:n]))
		return b[n:], nil
	}
	v.Set(reflect.MakeSlice(v.Type(), n, n))
	for i := range n {
		if b, err = d.element(b, v.Index(i)); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// element decodes what is in a slice or map.
func (d *decoder) element(b []byte, v reflect.Value) ([]byte, error) {
	b, err := d.value(b, v)
	if err == nil && v.Kind() == reflect.Pointer && v.IsNil() {
		err = errNil
	}
	return b, err
}

// leastSize is how many bytes a value of the type takes at least, so that a
// count which the rest of a message cannot hold is refused before there is memory
// for it. It is 1 at least.
func leastSize(t reflect.Type) int {
	if size, known := leastSizes.Load(t); known {
		return size.(int)
	}
	size := 1
	switch {
	case marshalsItself(t):
	case t.Kind() == reflect.Float64:
		size = 8
	case t.Kind() == reflect.Array:
		size = max(1, t.Len()*leastSize(t.Elem()))
	case t.Kind() == reflect.Struct:
		size = 0
		for i := range t.NumField() {
			size += leastSize(t.Field(i).Type)
		}
		size = max(1, size)
	}
	leastSizes.Store(t, size)
	return size
}

var leastSizes sync.Map // by reflect.Type

func (d *decoder) mapping(b []byte, v reflect.Value) ([]byte, error) {
	t := v.Type()
	n, b, err := decodeLen(b)
	if err == nil && n > len(b)/(leastSize(t.Key())+leastSize(t.Elem())) {
		err = errShort
	}
	if err != nil || n == 0 {
		v.SetZero()
		return b, err
	}
	v.Set(reflect.MakeMapWithSize(t, n))
	for range n {
		key, val := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
		if b, err = d.value(b, key); err != nil {
			return nil, err
		}
		if b, err = d.element(b, val); err != nil {
			return nil, err
		}
		v.SetMapIndex(key, val)
	}
	return b, nil
}

// decodeLen reads a count of things and refuses one that b cannot hold, before
// anything is allocated for it: each takes a byte at least.
func decodeLen(b []byte) (int, []byte, error) {
	x, n := binary.Uvarint(b)
	if n <= 0 || x > uint64(len(b)-n) {
		return 0, nil, errShort
	}
	return int(x), b[n:], nil
}

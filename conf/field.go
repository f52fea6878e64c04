package conf

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"time"
)

// Field is a field of the model that a word gives its value.
type Field struct {
	// Path begins with the struct that a block makes: VRRPInstance.HMAC.Window.
	Path string
	// Argument is the number of the argument that is the value. It is 0 where the
	// word expresses it differently from the field.
	Argument int
}

// field is a Field together with the way to it while its block is read.
type field struct {
	Field
	typ reflect.Type
	of  func(*decoder) any // a pointer to it
}

// within is the field that at selects in the struct that now finds.
func within[S, V any](now func(*decoder) *S, at func(*S) *V) field {
	return field{shown(at), reflect.TypeFor[V](), func(d *decoder) any { return at(now(d)) }}
}

// shown is the field that at selects. Its word has a function that sets it.
func shown[S, V any](at func(*S) *V) Field { return Field{pathOf(at), 1} }

// argument is the field as the argument with the given number, or with 0 as
// something that the word expresses differently.
func (f Field) argument(n int) Field { f.Argument = n; return f }

// Selectors of fields in the struct that is being read, for the rows of its block.

func inGlobal[V any](at func(*Global) *V) field {
	return within(func(d *decoder) *Global { return &d.cfg.Global }, at)
}

func inInstance[V any](at func(*VRRPInstance) *V) field {
	return within(func(d *decoder) *VRRPInstance { return d.inst.VRRPInstance }, at)
}

func inGroup[V any](at func(*SyncGroup) *V) field {
	return within(func(d *decoder) *SyncGroup { return d.group.SyncGroup }, at)
}

func inScript[V any](at func(*Script) *V) field {
	return within(func(d *decoder) *Script { return d.tracked.script }, at)
}

func inFile[V any](at func(*TrackFile) *V) field {
	return within(func(d *decoder) *TrackFile { return d.tracked.file }, at)
}

func inProcess[V any](at func(*TrackProcess) *V) field {
	return within(func(d *decoder) *TrackProcess { return d.tracked.process }, at)
}

func inBFD[V any](at func(*BFDInstance) *V) field {
	return within(func(d *decoder) *BFDInstance { return d.bfd.BFDInstance }, at)
}

func inService[V any](at func(*VirtualServer) *V) field {
	return within(func(d *decoder) *VirtualServer { return d.servers.vs.VirtualServer }, at)
}

func inServer[V any](at func(*RealServer) *V) field {
	return within(func(d *decoder) *RealServer { return &d.servers.rs.RealServer }, at)
}

func inCheck[V any](at func(*Check) *V) field {
	return within(func(d *decoder) *Check { return &d.servers.check.Check }, at)
}

func inURL[V any](at func(*URL) *V) field {
	return within(func(d *decoder) *URL { return &d.servers.url.URL }, at)
}

func inTLS[V any](at func(*TLSClient) *V) field {
	return within(func(d *decoder) *TLSClient { return d.cfg.TLSClient }, at)
}

// fills names the field of which the word's first argument is the value. The
// rest follows: what is written is stored, unless sets declares how; the default is
// what the field begins with; what the word inherits from gives the value where
// no one writes it; and the effective view shows it.
func (k *Keyword) fills(f field) *Keyword {
	k.field = &f
	return k.shows(f.Field)
}

// shows names fields whose values the word decides by the function of sets.
func (k *Keyword) shows(list ...Field) *Keyword {
	k.Fields = append(k.Fields, list...)
	return k
}

// inverted is a word that turns off what its field says.
func (k *Keyword) inverted() *Keyword { k.Inverted = true; return k }

// store puts what is written into the field of the word.
func (k *Keyword) store(d *decoder, a *argument) {
	switch p := k.field.of(d).(type) {
	case *bool:
		*p = (a.on || k.args.kind == argNone) != k.Inverted
	case *string:
		*p = d.intern(a.text)
	case *Secret:
		*p = Secret(strings.Clone(a.text))
	case *netip.Addr:
		*p = a.addr
	case *time.Duration:
		*p = a.d + time.Duration(a.n)*k.unit()
	default:
		v := reflect.ValueOf(p).Elem()
		switch {
		case k.args.kind == argChoice && v.CanUint():
			v.SetUint(uint64(k.choice(a.text)))
		case v.CanInt():
			v.SetInt(a.n)
		default:
			v.SetUint(uint64(a.n))
		}
	}
}

// begin gives the field of the word its default.
func (k *Keyword) begin(d *decoder) {
	switch p := k.field.of(d).(type) {
	case *bool:
		*p = k.Value.(bool) != k.Inverted
	case *string:
		*p = k.Value.(string)
	case *netip.Addr:
		*p = k.Value.(netip.Addr)
	case *time.Duration:
		if n, whole := k.Value.(int64); whole {
			*p = time.Duration(n) * k.unit()
		} else {
			*p = k.Value.(time.Duration)
		}
	default:
		v := reflect.ValueOf(p).Elem()
		switch def := k.Value.(type) {
		case string:
			v.SetUint(uint64(k.choice(def)))
		case int64:
			if v.CanInt() {
				v.SetInt(def)
			} else {
				v.SetUint(uint64(def))
			}
		}
	}
}

// take gives the field of the word the value of the first word written of those
// it inherits from, or the default of the last.
func (k *Keyword) take(d *decoder) {
	from := k.sources[len(k.sources)-1]
	for _, s := range k.sources {
		if s.home.given(d).has(s) {
			from = s
			break
		}
	}
	switch to, v := k.field.of(d), from.field.of(d); to := to.(type) {
	case *bool:
		*to = *v.(*bool)
	case *int:
		*to = *v.(*int)
	case *string:
		*to = *v.(*string)
	default:
		reflect.ValueOf(to).Elem().Set(reflect.ValueOf(v).Elem())
	}
}

// unit is what one of the word's number is in time.
func (k *Keyword) unit() time.Duration {
	if strings.Trim(k.Args, "[]") == "USECS" {
		return time.Microsecond
	}
	return time.Second
}

// choice is the value that has the name of a choice.
func (k *Keyword) choice(name string) uint8 {
	for n := range k.names {
		if k.names[n] == name {
			return uint8(n)
		}
	}
	panic("conf: " + k.Path() + " has no value " + name)
}

// check panics, when the schema is built, about a row that cannot do what it declares.
func (k *Keyword) check() {
	refuse := func(what string) { panic(fmt.Sprintf("conf: %s %s %s", k.Path(), what, k.field.typ)) }
	kinds := map[argKind]bool{}
	of := func(list ...argKind) {
		for _, kind := range list {
			kinds[kind] = true
		}
	}
	switch t := k.field.typ; {
	case t == reflect.TypeFor[time.Duration]():
		of(argNumber, argSeconds, argMillis)
	case t == reflect.TypeFor[netip.Addr]():
		of(argAddress)
	case t.Kind() == reflect.Bool:
		of(argNone, argBool)
	case t.Kind() == reflect.String:
		of(argWord, argChoice)
	case t.Kind() == reflect.Uint8 && t.PkgPath() != "" && k.args.kind == argChoice:
		names, ok := enumerations[t]
		if !ok {
			refuse("names the values of")
		}
		k.names = names
		of(argChoice)
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		if v := reflect.Zero(t); v.CanInt() && (v.OverflowInt(k.args.min) || v.OverflowInt(k.args.max)) ||
			v.CanUint() && (k.args.min < 0 || v.OverflowUint(uint64(k.args.max))) {
			refuse("takes numbers that are no")
		}
		of(argNumber, argWeight)
	}
	if k.set == nil {
		if !kinds[k.args.kind] {
			refuse("has arguments that are no")
		}
		k.set = k.store
	}
}

// written are the words of a block that were given and fill a field, by
// their numbers.
type written [2]uint64

func (w *written) add(k *Keyword) { w[k.number/64] |= 1 << (k.number % 64) }

func (w *written) has(k *Keyword) bool { return w != nil && w[k.number/64]&(1<<(k.number%64)) != 0 }

// any reports whether one of some words of a block was given.
func (w *written) any(b *block, words ...string) bool {
	return slices.ContainsFunc(words, func(word string) bool { return w.has(b.words[word]) })
}

// begin gives what a block fills the defaults of its words.
func (b *block) begin(d *decoder) {
	for _, k := range b.defaults {
		k.begin(d)
	}
}

// inherit gives the words of a block that were not written their values.
func (b *block) inherit(d *decoder) {
	for _, k := range b.heirs {
		if !b.given(d).has(k) {
			k.take(d)
		}
	}
}

// startsAtZero reports whether the field of the word needs no default.
func (k *Keyword) startsAtZero() bool {
	switch v := k.Value.(type) {
	case nil:
		return true
	case bool:
		return v == k.Inverted || k.field.typ.Kind() != reflect.Bool
	case string:
		return v == "" || k.names != nil && k.choice(v) == 0
	}
	return reflect.ValueOf(k.Value).IsZero()
}

func (b *block) index(all map[string]*Keyword) {
	for _, k := range b.order {
		all[k.Path()] = k
		if k.block != nil {
			k.block.index(all)
		}
	}
}

// link finds, when the whole language is there, what words inherit from.
func (b *block) link(outer *block, all map[string]*Keyword) {
	if b.given != nil && b.fields > 64*len(written{}) {
		panic("conf: too many words in " + b.path)
	}
	for _, k := range b.order {
		if k.block != nil {
			k.block.link(b, all)
		}
		if k.field == nil {
			continue
		}
		if !k.Inherits() {
			if !k.startsAtZero() {
				b.defaults = append(b.defaults, k)
			}
			continue
		}
		if k.Outer {
			k.sources = append(k.sources, outer.words[k.Name])
		}
		for _, path := range k.From {
			k.sources = append(k.sources, all[path])
		}
		for _, s := range k.sources {
			if s == nil || s.field == nil || s.field.typ != k.field.typ || s.home.given == nil || b.given == nil {
				panic("conf: " + k.Path() + " cannot inherit")
			}
		}
		b.heirs = append(b.heirs, k)
	}
}

// probe is a struct with a value for each pointer. The address and the type
// of a field show which one it is.
type probe struct {
	value reflect.Value // a pointer to it
	paths map[spot]string
}

type spot struct {
	address uintptr
	typ     reflect.Type
}

var probes = make(map[reflect.Type]*probe)

// pathOf is the path of the field that at selects.
func pathOf[S, V any](at func(*S) *V) string {
	t := reflect.TypeFor[S]()
	p := probes[t]
	if p == nil {
		p = &probe{reflect.New(t), make(map[spot]string)}
		p.note(p.value.Elem(), t.Name())
		probes[t] = p
	}
	v := at(p.value.Interface().(*S))
	path := p.paths[spot{reflect.ValueOf(v).Pointer(), reflect.TypeFor[V]()}]
	if path == "" {
		panic(fmt.Sprintf("conf: a row selects no field of %v: a %T", t, v))
	}
	return path
}

func (p *probe) note(v reflect.Value, path string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if !f.IsExported() {
			continue
		}
		inner, name := v.Field(i), path+"."+f.Name
		p.paths[spot{inner.Addr().Pointer(), f.Type}] = name
		if f.Type.Kind() == reflect.Pointer && f.Type.Elem().Kind() == reflect.Struct {
			inner.Set(reflect.New(f.Type.Elem()))
			inner = inner.Elem()
			p.paths[spot{inner.Addr().Pointer(), inner.Type()}] = name
		}
		if inner.Kind() == reflect.Struct {
			p.note(inner, name)
		}
	}
}

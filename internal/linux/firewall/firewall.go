// Package firewall drops packets to and from addresses, and those that macvlans must
// not send: by nftables or, where the kernel has none or the configuration asks for it,
// by iptables(8) and ipset(8).
//
// A [Table] for each family, and each [Entry] in it, are objects of the desired state
// of package kernel; a [Firewall] is the [kernel.Side] that carries out their changes.
// All that one plan changes in a family is one transaction. A table that is not known
// to be as it was made is replaced as a whole, likewise in one transaction, so packets
// that shall be dropped are dropped at any time.
package firewall

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"keepalived-go/internal/linux/kernel"
)

// Firewall carries out changes of tables and their entries.
type Firewall struct {
	backends [2]backend // nftables, iptables
	families [2]family  // IPv4, IPv6
	instead  bool       // it is logged that the back end wanted is not to be had
}

// New returns a firewall in the network namespace of the threads that use it. It does
// nothing before the first change.
func New() *Firewall { return &Firewall{backends: [2]backend{&tables{}, &programs{}}} }

var _ kernel.Side = (*Firewall)(nil)

// family is what is known of the kernel's rules of a family.
type family struct {
	want    *Table // nil: none shall be there
	entries map[Entry]Entry

	built *Table  // as it was made; nil: none was, or it is not known how it is
	by    backend // that has made it

	// left has to go with the next change: a predecessor's, or what became uncertain.
	left   *Table
	leftBy backend

	restored bool // others had changed it; not reported yet
}

// work is the change of a family's rules.
type work struct {
	ipv6 bool

	// Either left goes, and table is made with all entries; nil: there is none ...
	left, table *Table

	// ... or, with there, entries of a table that is there are added and removed.
	there       *Table
	add, remove []Entry

	all map[Entry]Entry // after that
}

// subject is the table that w is about.
func (w *work) subject() *Table { return cmp.Or(w.there, w.table, w.left) }

// backend is a way to drop packets.
type backend interface {
	// commit carries out w, all of it or nothing.
	commit(w *work) error

	// intact reports whether the table is as it was made, with these entries.
	intact(t *Table, entries map[Entry]Entry) (bool, error)

	// absent reports whether an error means that the back end is not to be had here.
	absent(error) bool

	name() string
	close()
}

// errNoFirewall names what can be done where there is no back end.
var errNoFirewall = errors.New("neither nftables (kernel option CONFIG_NF_TABLES, since Linux 3.13) nor the programs iptables and ip6tables can be used:" +
	" packets are not dropped that should be; load the module nf_tables, or install iptables")

// Inherit notes a table that a predecessor has left. It is replaced, or removed, with
// the first change of its family.
func (f *Firewall) Inherit(t Table) {
	m := &f.families[index(t.IPv6)]
	m.left, m.leftBy = &t, f.preferred(&t)[0]
}

// preferred are the back ends, the one that a table asks for first.
func (f *Firewall) preferred(t *Table) []backend {
	if t.In != "" {
		return []backend{f.backends[1], f.backends[0]}
	}
	return f.backends[:]
}

func index(ipv6 bool) int {
	if ipv6 {
		return 1
	}
	return 0
}

// Carry implements [kernel.Side]. Adding a table that is there verifies it: it is
// [kernel.FoundThere] if no one else has changed it.
func (f *Firewall) Carry(changes []kernel.Change) (errs []error, found []kernel.Found) {
	refused := [2]error{}
	for i := range f.families {
		refused[i] = f.families[i].carry(f, i == 1, changes)
	}
	for i, c := range changes {
		n, fam := familyOf(c.Object), (*family)(nil)
		if fam = &f.families[n]; refused[n] != nil {
			if errs == nil {
				errs = make([]error, len(changes))
			}
			errs[i] = refused[n]
			continue
		}
		if _, ok := c.Object.(*Table); ok && c.Op == kernel.Add && !fam.restored {
			if found == nil {
				found = make([]kernel.Found, len(changes))
			}
			found[i] = kernel.FoundThere
		}
	}
	for i := range f.families {
		if refused[i] == nil {
			f.families[i].restored = false
		}
	}
	return errs, found
}

func familyOf(o kernel.Object) int {
	switch o := o.(type) {
	case *Table:
		return index(o.IPv6)
	case *Entry:
		return index(o.IPv6)
	}
	panic("firewall: not an object of the firewall")
}

// carry carries out the changes of the family.
func (m *family) carry(f *Firewall, ipv6 bool, changes []kernel.Change) error {
	want, verify, concerned := m.want, false, false
	w := &work{ipv6: ipv6}
	for _, c := range changes {
		if familyOf(c.Object) != index(ipv6) {
			continue
		}
		concerned = true
		switch o := c.Object.(type) {
		case *Table:
			copied := *o
			if want, verify = &copied, c.Op == kernel.Add; c.Op == kernel.Remove {
				want = nil
			}
		case *Entry:
			have, there := m.entries[o.Key()]
			if there && (c.Op == kernel.Remove || have != *o) {
				w.remove = append(w.remove, have)
			}
			if c.Op != kernel.Remove && (!there || have != *o) {
				w.add = append(w.add, *o)
			}
		}
	}
	if !concerned {
		return nil
	}
	sound := m.built != nil && want != nil && *m.built == *want
	if sound && verify {
		intact, err := m.by.intact(m.built, m.entries)
		if err != nil {
			return err
		}
		if !intact {
			m.restored, sound = true, false
		}
	}
	m.replace(w.remove, w.add)
	w.all = m.entries
	err := m.reach(f, w, want, sound)
	if err != nil {
		m.replace(w.add, w.remove)
		return err
	}
	m.want = want
	return nil
}

// replace replaces entries by others.
func (m *family) replace(old, by []Entry) {
	for _, e := range old {
		delete(m.entries, e.Key())
	}
	if m.entries == nil {
		m.entries = map[Entry]Entry{}
	}
	for _, e := range by {
		m.entries[e.Key()] = e
	}
}

// reach makes the kernel have the table want with all entries: by a change of those, if
// the table is sound, or else by another table in its place.
func (m *family) reach(f *Firewall, w *work, want *Table, sound bool) error {
	if sound {
		if len(w.add)+len(w.remove) == 0 {
			return nil
		}
		w.there = m.built
		if m.by.commit(w) == nil {
			return nil
		}
		m.restored = true // others must have changed what is there
	}
	if m.built != nil {
		m.left, m.leftBy, m.built = m.built, m.by, nil
	}
	if want == nil && m.left == nil {
		return nil
	}
	return m.build(f, &work{ipv6: w.ipv6, table: want, all: w.all})
}

// build makes the table of w, by the back end that it asks for or, if that is not to be
// had, by the other one. What is left goes.
func (m *family) build(f *Firewall, w *work) error {
	order := []backend{m.leftBy}
	if w.table != nil {
		order = f.preferred(w.table)
	} else if m.leftBy == f.preferred(m.left)[0] {
		order = f.preferred(m.left)
	}
	var reasons []error
	for _, b := range order {
		if w.left = nil; w.table == nil || b == m.leftBy {
			w.left = m.left
		}
		err := b.commit(w)
		switch {
		case err != nil && !b.absent(err):
			return err
		case err != nil:
			reasons = append(reasons, err)
			continue
		case w.table != nil && m.left != nil && b != m.leftBy:
			if err := m.leftBy.commit(&work{ipv6: w.ipv6, left: m.left}); err != nil && !m.leftBy.absent(err) {
				return err
			}
		}
		if len(reasons) > 0 && w.table != nil && !f.instead {
			f.instead = true
			slog.Warn(fmt.Sprintf("firewall: using %s instead of %s: %v", b.name(), order[0].name(), reasons[0]))
		}
		m.built, m.by, m.left = w.table, b, nil
		return nil
	}
	if w.table == nil { // where there is no back end, nothing is left
		m.left = nil
		return nil
	}
	return errors.Join(append([]error{errNoFirewall}, reasons...)...)
}

// sorted are entries in a fixed order.
func sorted(entries map[Entry]Entry) []Entry {
	return slices.SortedFunc(maps.Values(entries), func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Role, b.Role), a.Addr.Compare(b.Addr), cmp.Compare(a.Link, b.Link))
	})
}

// Close implements [kernel.Side]. The rules stay.
func (f *Firewall) Close() error {
	for _, b := range f.backends {
		b.close()
	}
	return nil
}

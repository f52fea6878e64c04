// Package snmp is the view of the state of a daemon for SNMP: the objects of KEEPALIVED-MIB,
// VRRP-MIB (RFC 2787) and VRRPV3-MIB (RFC 6527), and their notifications. What is configured
// comes from the configuration, what happens from the model of package api.
//
// Each object is a row of a table below: its name, its number and what gives its value.
package snmp

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sort"
	"time"

	"keepalived-go/internal/output/status/snmp/agentx"
)

// column is an object of each row of a table, or a scalar.
type column[R any] struct {
	name   string
	number uint32
	// value returns its value of a row. The zero value: the row has none.
	value func(R) agentx.Value
}

// row is a row of a table; that of a group of scalars has the index 0.
type row[R any] struct {
	index agentx.OID
	of    R
}

// object is a column without the type of its rows.
type object struct {
	name string
	oid  agentx.OID
}

// table is the objects below an identifier.
type table[R any] struct {
	oid     agentx.OID
	columns []column[R] // by number
	rows    []row[R]    // by index
}

// node is a table without the type of its rows.
type node interface {
	root() agentx.OID
	get(agentx.OID) agentx.Value
	next(agentx.Range) (agentx.Varbind, bool)
	objects() []object
}

func (t *table[R]) root() agentx.OID { return t.oid }

func (t *table[R]) objects() (all []object) {
	for _, c := range t.columns {
		all = append(all, object{c.name, t.oid.Append(c.number)})
	}
	return all
}

// column finds the first column with a number or a higher one.
func (t *table[R]) column(number uint32) int {
	return sort.Search(len(t.columns), func(i int) bool { return t.columns[i].number >= number })
}

func (t *table[R]) get(o agentx.OID) agentx.Value {
	rest := o[len(t.oid):]
	if len(rest) == 0 {
		return agentx.Value{Type: agentx.NoSuchObject}
	}
	c := t.column(rest[0])
	if c == len(t.columns) || t.columns[c].number != rest[0] {
		return agentx.Value{Type: agentx.NoSuchObject}
	}
	i, found := slices.BinarySearchFunc(t.rows, rest[1:], func(r row[R], o agentx.OID) int { return r.index.Compare(o) })
	if found {
		if v := t.columns[c].value(t.rows[i].of); v.Type != 0 {
			return v
		}
	}
	return agentx.Value{Type: agentx.NoSuchInstance}
}

func (t *table[R]) next(r agentx.Range) (agentx.Varbind, bool) {
	c, i := 0, 0
	switch {
	case r.From.Under(t.oid):
		rest := r.From[len(t.oid):]
		if len(rest) == 0 {
			break
		}
		if c = t.column(rest[0]); c == len(t.columns) || t.columns[c].number != rest[0] {
			break
		}
		i = sort.Search(len(t.rows), func(i int) bool {
			order := t.rows[i].index.Compare(rest[1:])
			return order > 0 || order == 0 && r.Include
		})
	case r.From.Compare(t.oid) > 0:
		return agentx.Varbind{}, false
	}
	for ; c < len(t.columns); c, i = c+1, 0 {
		for ; i < len(t.rows); i++ {
			if v := t.columns[c].value(t.rows[i].of); v.Type != 0 {
				return agentx.Varbind{Name: t.oid.Append(t.columns[c].number).Append(t.rows[i].index...), Value: v}, true
			}
		}
	}
	return agentx.Varbind{}, false
}

// Tree has the objects of a moment. Its methods are those of [agentx.Handler] that read.
type Tree struct {
	nodes   []node            // by their roots
	rows    []*instanceRow    // of vrrpInstanceTable
	servers []row[*serverRow] // of realServerTable
}

// Get returns the value of an object.
func (t *Tree) Get(name agentx.OID) agentx.Value {
	value := agentx.Value{Type: agentx.NoSuchObject}
	for _, n := range t.nodes {
		if name.Under(n.root()) {
			if v := n.get(name); v.Type != agentx.NoSuchObject {
				value = v
			}
		}
	}
	return value
}

// Next returns the first object of a range.
func (t *Tree) Next(r agentx.Range) agentx.Varbind {
	first := agentx.Varbind{Name: r.From, Value: agentx.Value{Type: agentx.EndOfMIBView}}
	found := false
	for _, n := range t.nodes {
		if found && n.root().Compare(first.Name) > 0 {
			break // the following objects are after the range
		}
		if v, ok := n.next(r); ok && (!found || v.Name.Compare(first.Name) < 0) {
			first, found = v, true
		}
	}
	if found && len(r.To) > 0 && first.Name.Compare(r.To) >= 0 {
		return agentx.Varbind{Name: r.From, Value: agentx.Value{Type: agentx.EndOfMIBView}}
	}
	return first
}

// none is the value of what a row does not have.
var none agentx.Value

func text(s string) agentx.Value { return agentx.Text(s) }

// given is a text, or nothing.
func given(s string) agentx.Value {
	if s == "" {
		return none
	}
	return agentx.Text(s)
}

func integer[N ~int | ~uint8](n N) agentx.Value { return agentx.Int(int64(n)) }

func unsigned[N ~int | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64](n N) agentx.Value {
	return agentx.Unsigned(n)
}

// nonzero is a number, or nothing.
func nonzero[N ~int | ~int64 | ~uint8 | ~uint16 | ~uint32 | ~uint64](n N) agentx.Value {
	if n == 0 {
		return none
	}
	return agentx.Unsigned(n)
}

// which is 1 or 2: TruthValue, enabled or disabled, and the like.
func which(first bool) agentx.Value {
	if first {
		return agentx.Int(1)
	}
	return agentx.Int(2)
}

// when is v, if it applies.
func when(applies bool, v agentx.Value) agentx.Value {
	if !applies {
		return none
	}
	return v
}

// addressType is an InetAddressType.
func addressType(a netip.Addr) agentx.Value {
	switch {
	case !a.IsValid():
		return none
	case a.Is4():
		return agentx.Int(inetIPv4)
	}
	return agentx.Int(inetIPv6)
}

const inetIPv4, inetIPv6 = 1, 2

// address is an InetAddress.
func address(a netip.Addr) agentx.Value {
	if !a.IsValid() {
		return none
	}
	return agentx.Octets(a.AsSlice())
}

// prefixLength is an InetAddressPrefixLength.
func prefixLength(p netip.Prefix) agentx.Value {
	if !p.IsValid() {
		return none
	}
	return agentx.Unsigned(p.Bits())
}

func wholeSeconds(d time.Duration) agentx.Value { return agentx.Unsigned(int64(d / time.Second)) }

func microseconds(d time.Duration) agentx.Value { return agentx.Unsigned(d.Microseconds()) }

// ticks are hundredths of a second.
func ticks(d time.Duration) agentx.Value {
	return agentx.Value{Type: agentx.TimeTicks, Number: uint64(uint32(max(d, 0) / (10 * time.Millisecond)))}
}

// numbered are the rows of a list that is counted from 1, below an index.
func numbered[T, R any](list []T, below agentx.OID, of func(*T) R) []row[R] {
	rows := make([]row[R], len(list))
	for i := range list {
		rows[i] = row[R]{below.Append(uint32(i + 1)), of(&list[i])}
	}
	return rows
}

// sorted sorts rows by index. Of two with the same the first counts.
func sorted[R any](rows []row[R]) []row[R] {
	slices.SortStableFunc(rows, func(a, b row[R]) int { return a.index.Compare(b.index) })
	return slices.CompactFunc(rows, func(a, b row[R]) bool { return slices.Equal(a.index, b.index) })
}

// byNumber sorts columns.
func byNumber[R any](columns []column[R]) []column[R] {
	slices.SortFunc(columns, func(a, b column[R]) int { return cmp.Compare(a.number, b.number) })
	return columns
}

// merge puts maps together.
func merge(all ...map[string]uint32) map[string]uint32 {
	out := map[string]uint32{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

// parseAddr is the address that s is; invalid: it is none.
func parseAddr(s string) netip.Addr {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a
}

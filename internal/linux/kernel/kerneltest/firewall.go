package kerneltest

import (
	"maps"
	"slices"
	"sync"

	"keepalived-go/internal/linux/firewall"
	"keepalived-go/internal/linux/kernel"
)

// Firewall is a firewall in memory. All methods may be called from any goroutine.
type Firewall struct {
	mu        sync.Mutex
	tables    map[bool]firewall.Table // by family: of IPv6
	entries   map[firewall.Entry]firewall.Entry
	inherited []firewall.Table
	refuse    error
	watch     func(kernel.Change)
}

// Inherit notes a table that a predecessor has left.
func (f *Firewall) Inherit(t firewall.Table) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inherited = append(f.inherited, t)
	if f.tables == nil {
		f.tables = map[bool]firewall.Table{}
	}
	f.tables[t.IPv6] = t
}

// Carry carries out changes, all of them or none.
func (f *Firewall) Carry(changes []kernel.Change) (errs []error, found []kernel.Found) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != nil {
		return slices.Repeat([]error{f.refuse}, len(changes)), nil
	}
	if f.tables == nil {
		f.tables = map[bool]firewall.Table{}
	}
	if f.entries == nil {
		f.entries = map[firewall.Entry]firewall.Entry{}
	}
	found = make([]kernel.Found, len(changes))
	for i, c := range changes {
		if o, ok := c.Object.(*firewall.Table); ok && c.Op == kernel.Add && f.tables[o.IPv6] == *o {
			found[i] = kernel.FoundThere
			continue // an audit
		}
		if f.watch != nil {
			f.watch(c)
		}
		switch o := c.Object.(type) {
		case *firewall.Table:
			if f.tables[o.IPv6] = *o; c.Op == kernel.Remove {
				delete(f.tables, o.IPv6)
			}
		case *firewall.Entry:
			if f.entries[o.Key()] = *o; c.Op == kernel.Remove {
				delete(f.entries, o.Key())
			}
		}
	}
	return nil, found
}

// Close does nothing.
func (*Firewall) Close() error { return nil }

// Refuse has it refuse all changes with err; nil: none.
func (f *Firewall) Refuse(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = err
}

// Lose removes its tables, as another program does.
func (f *Firewall) Lose() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.tables)
}

// Tables returns its tables, that of IPv4 first.
func (f *Firewall) Tables() (all []firewall.Table) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ipv6 := range []bool{false, true} {
		if t, ok := f.tables[ipv6]; ok {
			all = append(all, t)
		}
	}
	return all
}

// Entries returns what its tables act on, sorted by their texts.
func (f *Firewall) Entries() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for e := range maps.Keys(f.entries) {
		all = append(all, e.Text())
	}
	slices.Sort(all)
	return all
}

// Watch has f called for each change before it is carried out; audits are none.
func (f *Firewall) Watch(watch func(kernel.Change)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watch = watch
}

// Restart forgets what another process has entered: a successor makes its own tables.
func (f *Firewall) Restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.entries)
	f.inherited = nil
}

// Inherited returns the tables that were noted as left by a predecessor.
func (f *Firewall) Inherited() []firewall.Table {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.inherited)
}

package table

import (
	"cmp"
	"slices"
	"time"

	"keepalived-go/internal/output/status"
	"keepalived-go/lvs/ipvs"
)

// maxRefused is how many refused changes Status names.
const maxRefused = 100

// Status returns how the kernel's table is. It does not wait for the kernel.
func (t *Table) Status() status.Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.seen
	s.Refusing = len(t.refused)
	for _, r := range t.refused {
		s.Refused = append(s.Refused, r.Refusal)
	}
	slices.SortFunc(s.Refused, func(a, b status.Refusal) int { return cmp.Compare(a.Change, b.Change) })
	s.Refused = slices.Clip(s.Refused[:min(len(s.Refused), maxRefused)])
	return s
}

// note changes what Status reports.
func (t *Table) note(change func(*status.Table)) {
	t.mu.Lock()
	change(&t.seen)
	t.mu.Unlock()
}

// settingsStatus is what Status reports of settings.
func settingsStatus(s Settings) (timeouts status.Timeouts, daemons []status.SyncRole) {
	seconds := func(n uint32) time.Duration { return time.Duration(n) * time.Second }
	for _, d := range s.Daemons {
		role := "master"
		if d.Role == ipvs.Backup {
			role = "backup"
		}
		daemons = append(daemons, status.SyncRole{Role: role, Interface: d.Interface, ID: d.ID, Group: d.Group})
	}
	return status.Timeouts{TCP: seconds(s.Timeouts.TCP), TCPFin: seconds(s.Timeouts.TCPFin), UDP: seconds(s.Timeouts.UDP)}, daemons
}

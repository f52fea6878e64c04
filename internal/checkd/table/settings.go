package table

import (
	"fmt"
	"log/slog"
	"slices"

	"keepalived-go/lvs/ipvs"
)

// tune carries out the settings. What fails is tried again.
func (t *Table) tune() {
	if t.now.Timeouts == (ipvs.Timeouts{}) && !t.now.Synchronise && t.before == nil {
		t.tuned = true // nothing is asked for
		return
	}
	if !t.connect() {
		return
	}
	t.tuned = t.setTimeouts() && (!t.now.Synchronise || t.synchronise())
}

func (t *Table) setTimeouts() bool {
	want := t.now.Timeouts
	if want == (ipvs.Timeouts{}) && t.before == nil {
		return true
	}
	if t.before == nil {
		before, err := t.conn.Timeouts()
		if err != nil {
			slog.Error(fmt.Sprintf("IPVS: %v", err))
			return false
		}
		t.before = &before
	}
	// One that is not asked for any more gets back what it had.
	for _, v := range []struct {
		want   *uint32
		before uint32
	}{{&want.TCP, t.before.TCP}, {&want.TCPFin, t.before.TCPFin}, {&want.UDP, t.before.UDP}} {
		if *v.want == 0 {
			*v.want = v.before
		}
	}
	if err := t.conn.SetTimeouts(want); err != nil {
		slog.Error(fmt.Sprintf("IPVS cmd IP_VS_SO_SET_TIMEOUT(1162) error: %v", err))
		return false
	}
	return true
}

// synchronise has the daemons run that are wanted, and no others.
func (t *Table) synchronise() bool {
	running, err := t.conn.Daemons()
	if err != nil {
		slog.Error(fmt.Sprintf("IPVS: %v", err))
		return false
	}
	ok := true
	for _, r := range running {
		i := slices.IndexFunc(t.now.Daemons, func(w ipvs.Daemon) bool { return w.Role == r.Role })
		if i >= 0 && alike(t.now.Daemons[i], r) {
			continue
		}
		if err := t.conn.StopDaemon(r); err != nil {
			slog.Error(fmt.Sprintf("IPVS cmd IP_VS_SO_SET_STOPDAEMON(1164) error: %v", err))
			ok = false
		}
	}
	for _, w := range t.now.Daemons {
		if slices.ContainsFunc(running, func(r ipvs.Daemon) bool { return r.Role == w.Role && alike(w, r) }) {
			continue
		}
		if err := t.conn.StartDaemon(w); err != nil {
			slog.Error(fmt.Sprintf("IPVS cmd IP_VS_SO_SET_STARTDAEMON(1163) error: %v", err))
			ok = false
		}
	}
	return ok
}

// alike reports whether a daemon that runs is the one wanted: what is not asked for
// is the kernel's default.
func alike(want, have ipvs.Daemon) bool {
	return want.Interface == have.Interface && want.ID == have.ID &&
		(want.MaxLen == 0 || want.MaxLen == have.MaxLen) &&
		(!want.Group.IsValid() || want.Group == have.Group) &&
		(want.Port == 0 || want.Port == have.Port) &&
		(want.TTL == 0 || want.TTL == have.TTL)
}

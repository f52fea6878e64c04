package checkd

import (
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/checkd/attempt"
	"keepalived-go/internal/checkd/table"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/wire"
	"keepalived-go/lvs/ipvs"
)

// hear takes up what other processes report: the states of virtual routers, which
// the synchronisation of connections follows, and those of BFD sessions.
func (d *daemon) hear(e *link.Event) {
	kind, name := policy.SubjectOf(e.Subject)
	switch kind {
	case policy.InstanceState:
		master := false
		if len(e.Body) == 0 || wire.Decode(e.Body, &master) != nil {
			return // the VRRP process has died: its successor will report
		}
		was := d.masters[name]
		d.masters[name] = master
		if s := d.conf.Global.LVS.Sync; s != nil && s.Instance == name && was != master {
			d.configureTable()
		}
	case policy.SessionState:
		d.sessionChanged(name, e.Body)
	}
}

// sessionChanged gives the checks of a BFD session its state. A session of which
// nothing is known any more stays as it was.
func (d *daemon) sessionChanged(name string, body []byte) {
	var s policy.Session
	if len(body) == 0 || wire.Decode(body, &s) != nil {
		return
	}
	d.sessions[name] = s.Up
	for _, c := range d.checks {
		if k, ok := c.kind.(*attempt.BFD); ok && k.Session == name {
			d.observe(c, k.Observe(s.Up))
		}
	}
}

// configureTable sets what the kernel's load balancer shall have besides services.
func (d *daemon) configureTable() {
	l := &d.conf.Global.LVS
	seconds := func(t time.Duration) uint32 { return uint32(t / time.Second) }
	s := table.Settings{
		Timeouts:    ipvs.Timeouts{TCP: seconds(l.TCPTimeout), TCPFin: seconds(l.TCPFinTimeout), UDP: seconds(l.UDPTimeout)},
		Synchronise: l.Sync != nil || d.synchronised,
	}
	if l.Sync != nil {
		d.synchronised = true
		for _, role := range d.syncRoles(l.Sync) {
			s.Daemons = append(s.Daemons, syncDaemon(l.Sync, role))
		}
	}
	d.table.Configure(s)
}

// syncRoles are the roles that this node has: both without an instance, else that
// of the instance.
func (d *daemon) syncRoles(s *conf.SyncDaemon) []ipvs.Role {
	switch {
	case s.Instance == "":
		return []ipvs.Role{ipvs.Master, ipvs.Backup}
	case d.masters[s.Instance]:
		return []ipvs.Role{ipvs.Master}
	}
	return []ipvs.Role{ipvs.Backup}
}

func syncDaemon(s *conf.SyncDaemon, role ipvs.Role) ipvs.Daemon {
	return ipvs.Daemon{
		Role: role, Interface: s.Interface, ID: uint8(max(s.ID, 0)), MaxLen: s.MaxLen,
		Group: s.Group, Port: s.Port, TTL: s.TTL,
	}
}

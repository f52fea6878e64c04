package vrrpd

import (
	"cmp"
	"log/slog"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/firewall"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/policy"
)

// firewallOf is the firewall of a host: a [firewall.Firewall], or one in memory.
type firewallOf interface {
	kernel.Side
	Inherit(firewall.Table)
}

// dropOf is what drops packets to an address of a virtual router.
func dropOf(a *conf.Address, link *netLink) firewall.Entry {
	ip := a.Prefix.Addr()
	e := firewall.Entry{IPv6: ip.Is6(), Addr: ip}
	if policy.DropsOnLink(ip) {
		e.Link, e.Name = link.Index, link.Name
	}
	return e
}

// firewallSettings are how a configuration has packets dropped.
func firewallSettings(f *conf.Firewall) firewall.Settings {
	s := firewall.Settings{Name: cmp.Or(f.NFTables, "keepalived"), Priority: f.Priority, Counters: f.Counters}
	if t := f.IPTables; t != nil && f.NFTables == "" {
		s.In, s.Out = t.In, t.Out
		if len(t.Sets) == 6 {
			s.Sets4, s.Sets6, s.SetsOnLink6 = t.Sets[0], t.Sets[1], t.Sets[2]
			s.SetIGMP, s.SetMLD, s.SetND = t.Sets[3], t.Sets[4], t.Sets[5]
		}
	}
	return s
}

// logDefaultFirewall logs that the configuration needs tables and does not choose how.
func (d *daemon) logDefaultFirewall(tables []firewall.Table) {
	if f := &d.conf.Global.Firewall; f.NFTables == "" && f.IPTables == nil && len(tables) > 0 {
		slog.Info("use_vmac or no_accept/strict specified, but no firewall configured - using nftables")
	}
}

// firewallTables are the tables that the configuration needs. They are there before the
// first address is dropped: to make them takes longer than to add an address.
func (d *daemon) firewallTables() (tables []firewall.Table) {
	for i, f := range policy.Filters(d.conf, d.madeLinks) {
		if f.Drops || f.VMACs {
			t := firewall.Table{IPv6: i == 1, Settings: firewallSettings(&d.conf.Global.Firewall)}
			t.VMACs = f.VMACs
			tables = append(tables, t)
		}
	}
	return tables
}

// keep makes the objects wanted, whatever routers hold, and no others of those that are
// kept; what is kept is nothing that a router holds.
func (t *table[O, K, P]) keep(all []O, kept func(K) bool) {
	wanted := make(map[K]bool, len(all))
	for i := range all {
		k := P(&all[i]).Key()
		wanted[k] = true
		if v, _ := t.get(k); v.refs == 0 {
			t.acquire(claim(v, nil, conf.OnDeleteYield), all[i], nil)
		} else {
			t.touch(v).want = all[i]
		}
	}
	for k, v := range t.items {
		if v.refs > 0 && kept(k) && !wanted[k] {
			v.refs--
			t.release(v)
		}
	}
}

// setTables makes tables wanted, and no others.
func (d *daemon) setTables(tables []firewall.Table) {
	d.addrs.tables.keep(tables, func(firewall.Table) bool { return true })
	if len(tables) > 0 && !d.auditing.Running() {
		d.audit(d.loop.Now())
	}
}

// setReports has the reports of multicast groups that macvlans send leave by the links
// below them, from before they are up.
func (d *daemon) setReports() {
	if !d.settings.dirty || d.stopping && d.DontRelease {
		return // the links are as they were
	}
	var all []firewall.Entry
	for _, r := range d.routers {
		for i := range r.made {
			m := &r.made[i]
			if m.item == nil || m.spec.Kind != conf.LinkVMAC {
				continue
			}
			if l, base := d.net.made(m.item.key), d.net.byName[m.spec.Base]; l != nil && base != nil {
				all = append(all, firewall.Entry{Role: firewall.VMAC, IPv6: m.spec.IPv6, Link: l.Index, Name: l.Name, Parent: base.Index})
			}
		}
	}
	d.addrs.entries.keep(all, func(e firewall.Entry) bool { return e.Role == firewall.VMAC })
}

// auditPause is the time between two looks at whether other programs have changed the
// tables.
const auditPause = time.Second

// audit has the tables asked for again, which shows whether they are as they were made.
func (d *daemon) audit(time.Duration) {
	t := &d.addrs.tables
	for _, v := range t.items {
		if v.refs > 0 && v.present {
			v.doubt = true
			t.touch(v)
		}
	}
	if len(t.items) > 0 {
		d.loop.Set(&d.auditing, d.loop.Now()+auditPause)
	}
}

// inheritTables takes over the tables that a predecessor has left: they drop packets
// until others take their place, in one step, or until what was inherited is given up.
func (d *daemon) inheritTables(left []firewall.Table) {
	t := &d.addrs.tables
	for _, table := range left {
		d.firewall.Inherit(table)
		v, _ := t.get(table.Key())
		if !v.requested { // a hostile state file may have two of them
			t.hold(v, table)
			v.requested, v.doubt, v.sent = true, true, table
		}
	}
}

// inheritDrops keeps packets to inherited addresses dropped that are dropped by this
// configuration.
func (d *daemon) inheritDrops(inherited map[kernel.Key]bool) {
	for _, r := range d.routers {
		for i, v := range r.vips {
			if v != nil && inherited[v.key] && r.drops[i] != nil {
				d.addrs.entries.hold(r.drops[i], r.drops[i].sent)
			}
		}
	}
}

// firewallRefused logs why packets cannot be dropped: once for all items and for as long
// as the reason is the same.
func (d *daemon) firewallRefused(_ *router, _ kernel.Change, err error) {
	if text := err.Error(); text != d.firewallFault {
		d.firewallFault = text
		slog.Error("firewall: " + text)
	}
}

// firewallAnswered takes up that a table is there, and whether it was lost before.
func (d *daemon) firewallAnswered(c *kernel.Completion, lost []*heldTable) {
	for i := range c.Changes {
		if _, ok := c.Changes[i].Object.(*firewall.Table); ok && d.firewallFault != "" && (c.Errs == nil || c.Errs[i] == nil) {
			d.firewallFault = ""
			slog.Info("firewall: packets are dropped as configured")
		}
	}
	for _, v := range lost {
		if missed, ok := d.restored.Take(d.loop.Now()); ok {
			slog.Warn("firewall: " + v.sent.Text() + " was changed by another program, and is restored" + missedText(missed))
		}
	}
}

// claimDrop has r among the routers that want e.
func (d *daemon) claimDrop(r *router, e firewall.Entry) *heldEntry {
	v, fresh := d.addrs.entries.get(e.Key())
	if fresh {
		v.sent = e
	}
	return claim(v, r, conf.OnDeleteUnset)
}

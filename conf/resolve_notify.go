package conf

import (
	"fmt"
	"net/netip"
)

// notifications settles how instances and sync groups report their states.
func (d *decoder) notifications() {
	groupOf := make(map[string]*syncGroup)
	for _, g := range d.groups {
		for _, name := range g.Members {
			groupOf[name] = g
		}
		g.notify.SMTPAlert = d.alert(g.smtpAlert, g.at, g.Name)
		g.SyncGroup.Notify = g.notify.orNil()
	}
	for _, in := range d.instances {
		changes := opt[bool]{v: d.cfg.Global.Defaults.PriorityChanges}
		if g := groupOf[in.Name]; g != nil {
			changes.v = g.priorityChanges.or(changes.v)
		}
		notify, mail := in.priorityChanges.or(changes.v), d.alert(in.smtpAlert, in.at, in.Name)
		if in.Notify == nil && !notify && !mail {
			continue
		}
		n := in.notifications()
		n.PriorityChanges, n.SMTPAlert = notify, mail
		in.Notify = n.orNil()
	}
}

// alert is whether mail is sent: as asked for, and to whom.
func (d *decoder) alert(own opt[bool], at place, name string) bool {
	m := &d.cfg.Global.Mail
	if !own.or(d.global.alertVRRP.or(d.global.alert.or(false))) {
		return false
	}
	missing := ""
	switch {
	case len(m.To) == 0:
		missing = "notification_email"
	case m.Server == "":
		missing = "smtp_server"
	default:
		return true
	}
	if own.set {
		d.reportAt(at, Diagnostic{
			Severity: Warning, Class: ClassNone, Code: "no-recipient",
			Message: "(" + name + ") smtp_alert sends no mail: there is no " + missing,
			Fix:     "write " + missing + " in global_defs",
		})
	}
	return false
}

// orNil is nil where no one is notified of anything.
func (n *Notify) orNil() *Notify {
	if n.Equal(&Notify{}) {
		return nil
	}
	return n
}

// sharedAddresses finds addresses that two instances would both set.
func (d *decoder) sharedAddresses() {
	type key struct {
		addr netip.Addr
		dev  string
	}
	owner := make(map[key]*VRRPInstance, len(d.cfg.Instances))
	for _, in := range d.cfg.Instances {
		for _, list := range [][]Address{in.Addresses, in.Excluded} {
			for _, a := range list {
				k := key{a.Prefix.Addr(), a.Interface}
				if first := owner[k]; first == nil {
					owner[k] = in
				} else if first != in {
					d.diags.Add(Diagnostic{
						Pos: a.Pos, Severity: Warning, Class: ClassNone, Code: "address-shared",
						Message: fmt.Sprintf("(%s) address %s on %s also belongs to %s", in.Name, k.addr, k.dev, first.Name),
						Fix:     "keep it in one of the two, since each removes it from the other",
					})
				}
			}
		}
	}
}

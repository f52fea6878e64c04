package conf

import (
	"fmt"
	"time"
)

// syncGroup is a SyncGroup whose members are not checked yet.
type syncGroup struct {
	*SyncGroup
	at place

	notify          Notify
	priorityChanges opt[bool]
	smtpAlert       opt[bool]
}

func syncGroupBlock() *block {
	b := vocabulary("vrrp_sync_group",
		kw("group", braced("{ INSTANCE... }"), "", "the members; required").
			holds((&block{path: "vrrp_sync_group.group"}).lines(syncMember, &Keyword{Name: "INSTANCE", Args: "INSTANCE", Doc: "name of a vrrp_instance"})).
			shows(shown(func(v *SyncGroup) *[]string { return &v.Members })),
		kw("sync_group_tracking_weight", bare(), "off", "let weights of trackers change the priority of members").
			fills(inGroup(func(v *SyncGroup) *bool { return &v.TrackingWeight })),
		kw("global_tracking", bare(), "off", "apply the trackers of each member to all members").sets(func(d *decoder, a *argument) {
			d.report(a.Statement, 0, Diagnostic{
				Severity: Warning, Class: ClassDeprecated, Code: "deprecated",
				Message: fmt.Sprintf("(%s) global_tracking is deprecated. Use track_interface/script/file on the sync group", d.group.Name),
			})
		}),
	)
	b.add(notifyWords("called with type, name and state")...)
	b.add(trackWords("every member")...)
	b.open = func(d *decoder, s *Statement) bool {
		if len(s.Words) != 2 {
			d.wrong(s, 2, "group-name", "vrrp_sync_group must have a name - skipping")
			return false
		}
		name := s.Words[1].Text
		if first, ok := d.groupAt[name]; ok {
			d.wrong(s, 1, "group-twice", "vrrp sync group %s already defined; the first is at %v - skipping", printable(name), first)
			return false
		}
		name = d.intern(name)
		d.groupAt[name] = s.Pos(0)
		d.group = &syncGroup{SyncGroup: &SyncGroup{Name: name, Pos: s.Pos(0)}, at: s.Place(0)}
		return true
	}
	b.close = func(d *decoder, s *Statement) {
		d.groups = append(d.groups, d.group)
		d.group = nil
	}
	return b
}

func syncMember(d *decoder, s *Statement) {
	for _, w := range s.Words {
		d.group.Members = append(d.group.Members, d.intern(w.Text))
	}
}

// garpGroup is a garp_group block.
type garpGroup struct {
	at                       place
	garpInterval, naInterval time.Duration
	set                      bool // one of them is given
	interfaces               []string
}

func garpGroupBlock() *block {
	add := func(d *decoder, s *Statement, i int) {
		d.needInterface(s, i, "WARNING - interface %s for garp_group doesn't exist")
		d.garp.interfaces = append(d.garp.interfaces, d.intern(s.Words[i].Text))
	}
	b := vocabulary("garp_group",
		kw("garp_interval", seconds(0, 4294), "0", "time between two gratuitous ARPs").
			sets(func(d *decoder, a *argument) { d.garp.garpInterval, d.garp.set = a.d, true }),
		kw("gna_interval", seconds(0, 4294), "0", "time between two neighbour advertisements").
			sets(func(d *decoder, a *argument) { d.garp.naInterval, d.garp.set = a.d, true }),
		kw("interface", word("IFNAME"), "", "the only interface of the group").
			sets(func(d *decoder, a *argument) { add(d, a.Statement, 1) }),
		kw("interfaces", braced("{ IFNAME... }"), "", "the interfaces of the group").
			holds((&block{path: "garp_group.interfaces"}).lines(func(d *decoder, s *Statement) {
				for i := range s.Words {
					add(d, s, i)
				}
			}, &Keyword{Name: "IFNAME", Args: "IFNAME...", Doc: "an interface"})),
	)
	b.open = func(d *decoder, s *Statement) bool {
		d.garp = &garpGroup{at: s.Place(0)}
		return true
	}
	b.close = func(d *decoder, s *Statement) {
		g := d.garp
		d.garp = nil
		if !g.set {
			d.wrong(s, 0, "garp-group", "garp group %d does not have any delay set - removing", len(d.garps))
			return
		}
		d.garps = append(d.garps, g)
	}
	return b
}

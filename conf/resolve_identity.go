package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// uniqueVRIDs finds instances that could not be distinguished: the same VRID and
// family on one interface with one multicast group, or with a common peer.
func (d *decoder) uniqueVRIDs() {
	type key struct {
		dev    string
		group  netip.Addr // of multicast, or the peer
		family Family
		vrid   uint8
	}
	seen := make(map[key]*instance, len(d.instances))
	clash := func(k key, in *instance) bool {
		first := seen[k]
		if first == nil {
			seen[k] = in
			return false
		}
		if first == in {
			return false
		}
		in.bad = true
		message := fmt.Sprintf("%s and %s both use VRID %d with IPv%d on interface %s", first.Name, in.Name, in.VRID, in.Family, in.Interface)
		if in.Unicast {
			message = fmt.Sprintf("(%s) duplicate VRID conflict with %s VRID %d: both have the peer %s", first.Name, in.Name, in.VRID, k.group)
		}
		d.about(in, Diagnostic{
			Severity: Fatal, Class: ClassOrdinary, Exit: 2, Code: "vrid-twice",
			Message: message,
			Fix:     fmt.Sprintf("give one another virtual_router_id; %s is at %v", first.Name, first.Pos),
		})
		return true
	}
	for _, in := range d.instances {
		if in.bad {
			continue
		}
		k := key{in.Interface, in.Group, in.Family, in.VRID}
		if !in.Unicast {
			clash(k, in)
			continue
		}
		for _, p := range in.Peers {
			k.group = p.Addr
			if clash(k, in) {
				break
			}
		}
	}
}

// syncGroups keeps the members that exist and are in no earlier group.
func (d *decoder) syncGroups() {
	if len(d.groups) == 0 {
		return
	}
	alive := make(map[string]*VRRPInstance, len(d.cfg.Instances))
	for _, in := range d.cfg.Instances {
		alive[in.Name] = in
	}
	group := make(map[string]string)
	for _, g := range d.groups {
		at := func(code, format string, args ...any) {
			d.atPlace(g.at, code, format, args...)
		}
		if len(g.Members) == 0 {
			at("empty-group", "Sync group %s has no virtual router(s). removing", g.Name)
			continue
		}
		var unknown []string
		owners, explained := 0, false
		g.Members = slices.DeleteFunc(g.Members, func(name string) bool {
			switch in := alive[name]; {
			case in == nil:
				unknown = append(unknown, name)
				return true
			case group[name] != "":
				at("two-groups", "instance %s is already in sync group %s - ignoring", name, group[name])
				return true
			case in.Priority == 255:
				owners++
			}
			group[name] = g.Name
			return false
		})
		unknown = slices.DeleteFunc(unknown, func(name string) bool {
			r := d.whyMissing(name)
			if r != 0 {
				d.diags.Follow(r, Diagnostic{Class: ClassOrdinary})
				explained = true
			}
			return r != 0
		})
		if len(unknown) > 0 {
			p := Diagnostic{
				Severity: Warning, Class: ClassOrdinary, Code: "no-member",
				Message: fmt.Sprintf("Virtual router %s specified in sync group %s doesn't exist - ignoring", printable(strings.Join(unknown, ", ")), g.Name),
			}
			for _, name := range unknown {
				if alive[strings.Trim(name, ",")] != nil || strings.Contains(name, ",") {
					p.Fix = "separate the names by blanks, without commas"
				}
			}
			d.reportAt(g.at, p)
			explained = true
		}
		switch {
		case len(g.Members) == 0 && explained:
			continue
		case len(g.Members) == 1 && explained:
		case len(g.Members) == 0:
			at("empty-group", "Sync group %s has no virtual router(s). removing", g.Name)
			continue
		case len(g.Members) == 1:
			at("small-group", "Sync group %s has only 1 virtual router(s) - this probably isn't what you want", g.Name)
		case owners != 0 && owners != len(g.Members):
			at("group-owners", "Sync group %s mixes address owners and others. This won't work", g.Name)
		}
		tracked := make(map[trackerKey]bool, len(g.Track))
		for i := range g.Track {
			tracked[g.Track[i].key()] = true
		}
		for _, name := range g.Members {
			d.trackedByGroup(alive[name], g, tracked)
			if !g.TrackingWeight {
				d.weightlessInGroup(alive[name])
			}
		}
		d.cfg.SyncGroups = append(d.cfg.SyncGroups, g.SyncGroup)
	}
}

// trackedByGroup drops the trackers of a member that its group tracks.
func (d *decoder) trackedByGroup(in *VRRPInstance, g *syncGroup, tracked map[trackerKey]bool) {
	in.Track = slices.DeleteFunc(in.Track, func(t Track) bool {
		if !tracked[t.key()] {
			return false
		}
		d.diags.Add(Diagnostic{
			Pos: t.Pos, Severity: Warning, Class: ClassNone, Code: "tracked-by-group",
			Message: fmt.Sprintf("(%s) %s %s is configured on VRRP instance and sync group. Remove vrrp instance config", in.Name, t.Kind, printable(t.Name)),
			Fix:     "that of sync group " + g.Name + " is used",
		})
		return true
	})
}

// weightlessOwner reports weights in an instance whose priority nothing changes.
func (d *decoder) weightlessOwner(in *instance) {
	if in.Priority != 255 {
		return
	}
	for _, t := range in.Track {
		if t.Weight == 0 {
			continue
		}
		p := Diagnostic{
			Pos: t.Pos, Severity: Warning, Class: ClassOrdinary, Code: "owner-weight",
			Message: fmt.Sprintf("(%s) ignoring tracked %v %s with weight %d due to address_owner", in.Name, t.Kind, printable(t.Name), t.Weight),
		}
		switch t.Kind {
		case TrackedInterface:
			p.Message = fmt.Sprintf("(%s) ignoring %s tracked interface due to address owner", in.Name, printable(t.Name))
		case TrackedScript:
			p.Message = fmt.Sprintf("(%s) ignoring tracked script %s with weights due to address_owner", in.Name, printable(t.Name))
		case TrackedProcess:
			p.Class = ClassNone
		}
		d.diags.Add(p)
	}
}

// weightlessInGroup takes the weights from the trackers of a member: members of
// a sync group that went their own ways would tear it apart. Like the C daemon
// it leaves files as faults and drops the others.
func (d *decoder) weightlessInGroup(in *VRRPInstance) {
	ignore := func(t *Track, class Class, format string, args ...any) {
		d.diags.Add(Diagnostic{
			Pos: t.Pos, Severity: Warning, Class: class, Code: "weight-in-group",
			Message: "(" + in.Name + ") " + fmt.Sprintf(format, args...),
			Fix:     "track it in the sync group, or write sync_group_tracking_weight there",
		})
	}
	kept := in.Track[:0]
	for _, t := range in.Track {
		name := printable(t.Name)
		switch {
		case t.Weight == 0:
		case t.Kind == TrackedFile:
			ignore(&t, ClassOrdinary, "ignoring weight from tracked file %s due to SYNC group. specify weight 0", name)
			t.Weight = 0
		case t.Kind == TrackedInterface:
			ignore(&t, ClassOrdinary, "ignoring %s tracked interface weight due to SYNC group", name)
			continue
		case t.Kind == TrackedScript:
			ignore(&t, ClassOrdinary, "ignoring tracked script %s with weights due to SYNC group", name)
			continue
		default:
			ignore(&t, ClassNone, "ignoring %v %s with weights due to SYNC group", t.Kind, name)
			continue
		}
		kept = append(kept, t)
	}
	in.Track = kept
}

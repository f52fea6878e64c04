package conf

import (
	"net/netip"
	"time"
)

// opt is a value that may be left to a default.
type opt[T any] struct {
	v   T
	set bool
}

func (o *opt[T]) put(v T) { o.v, o.set = v, true }

// or is the value, or a default.
func (o opt[T]) or(def T) T {
	if o.set {
		return o.v
	}
	return def
}

// garpSettings are the words about announcements, of global_defs or of an
// instance.
type garpSettings struct {
	delay, refresh, lowerDelay         opt[time.Duration]
	repeat, refreshRepeat, lowerRepeat opt[int]
}

// instance is a VRRPInstance while its defaults are not known yet.
type instance struct {
	*VRRPInstance
	at *Statement // its first line

	state        opt[bool] // MASTER
	version      int
	priority     int
	sources      opt[netip.Addr]
	strict       opt[bool]
	accept       opt[bool]
	checksumAsV2 opt[bool]
	skipCheck    opt[bool]

	lowerNoAdvert, higherSend, ownerIgnore opt[bool]

	garp    garpSettings
	noVIP   bool
	unicast *Statement // the first word that asks for unicast
	bad     bool       // it cannot run
}

func openInstance(d *decoder, s *Statement) bool {
	if len(s.Words) != 2 {
		d.report(s, 2, Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "instance-name",
			Message: "vrrp_instance must have a name", Fix: "one word; the block is skipped",
		})
		return false
	}
	name := d.intern(s.Words[1].Text)
	if first, ok := d.names[name]; ok {
		d.report(s, 1, Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "instance-twice",
			Message: "vrrp_instance " + name + " already defined", Fix: "the first is at " + first.String() + "; this block is skipped",
		})
		return false
	}
	d.names[name] = s.Pos(0)
	d.inst = &instance{
		VRRPInstance: &VRRPInstance{Name: name, Pos: s.Pos(0), TTL: 255},
		at:           s,
	}
	return true
}

func closeInstance(d *decoder, s *Statement) {
	d.instances = append(d.instances, d.inst)
	d.inst = nil
	d.tracked.resolve(d)
}

func setInterface(d *decoder, a *argument) {
	d.inst.Interface = d.intern(a.text)
	if d.missingInterface(a.text) {
		d.report(a.Statement, 1, Diagnostic{
			Severity: Fatal, Class: ClassWarning, Code: "no-interface", Exit: 2,
			Message: "WARNING - interface " + printable(a.text) + " for vrrp_instance " + d.inst.Name + " doesn't exist",
			Fix:     "create it first, or allow it to come later with dynamic_interfaces in global_defs",
		})
	}
}

// missingInterface reports whether an interface is known not to exist.
func (d *decoder) missingInterface(name string) bool {
	return d.Interface != nil && !d.Interface(name)
}

func setVersion(d *decoder, a *argument) { d.inst.version = int(a.n) }

func setVRID(d *decoder, a *argument) { d.inst.VRID = uint8(a.n) }

func setState(d *decoder, a *argument) {
	switch a.text {
	case "MASTER":
		d.inst.state.put(true)
	case "BACKUP":
		d.inst.state.put(false)
	default:
		d.inst.state.put(false)
		d.wrong(a.Statement, 1, "bad-state", "(%s) unknown state '%s', defaulting to BACKUP; expected MASTER or BACKUP", d.inst.Name, printable(a.text))
	}
}

func setPriority(d *decoder, a *argument) { d.inst.priority = int(a.n) }

func setAdvertInt(d *decoder, a *argument) { d.inst.AdvertInterval = a.d }

func setNativeIPv6(d *decoder, a *argument) {
	d.report(a.Statement, 0, Diagnostic{
		Severity: Warning, Class: ClassDeprecated, Code: "deprecated",
		Message: "(" + d.inst.Name + ") native_ipv6 is deprecated - the family is detected", Fix: "remove it",
	})
}

func setSource(d *decoder, a *argument) {
	addr, err := netip.ParseAddr(a.text)
	if err != nil {
		return
	}
	d.inst.SourceIP = addr
	if a.k.Name == "unicast_src_ip" {
		d.unicastWord(a)
	}
}

// unicastWord notes that an instance speaks of unicast.
func (d *decoder) unicastWord(a *argument) {
	if d.inst.unicast == nil {
		d.inst.unicast = a.Statement
	}
}

func setGroup(d *decoder, a *argument) {
	addr, err := netip.ParseAddr(a.text)
	if err != nil || !addr.IsMulticast() {
		d.wrong(a.Statement, 1, "bad-address", "(%s) mcast_dst_ip '%s' is not a multicast address", d.inst.Name, printable(a.text))
		return
	}
	d.inst.Group = addr
}

func setTTL(d *decoder, a *argument) {
	d.inst.TTL = uint8(a.n)
	d.unicastWord(a)
}

func setOldChecksum(d *decoder, a *argument) {
	d.inst.OldUnicastChecksum = OldChecksumAlways
	if a.given() {
		d.inst.OldUnicastChecksum = OldChecksumNever
	}
	d.unicastWord(a)
}

func setPreemptDelay(d *decoder, a *argument) { d.inst.PreemptDelay = a.d }

func setNoAccept(d *decoder, a *argument) {
	d.inst.accept.put(false)
	d.wait(a.k, a.Statement)
}

package conf

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
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

// inherit takes the value of outer if there is none.
func (o *opt[T]) inherit(outer opt[T]) {
	if !o.set {
		*o = outer
	}
}

// garpSettings are the words about announcements, of global_defs or of an
// instance.
type garpSettings struct {
	delay, refresh, lowerDelay         opt[time.Duration]
	repeat, refreshRepeat, lowerRepeat opt[int]
	extra                              opt[ExtraGARP]
}

// instance is a VRRPInstance while its defaults are not known yet.
type instance struct {
	*VRRPInstance
	at place // its first line

	state    opt[bool] // MASTER
	version  int
	priority int
	accept   opt[bool]
	given    written // words of the block

	priorityChanges opt[bool]
	smtpAlert       opt[bool]

	garp  *garpSettings // nil: it has no settings of announcements
	poll  bool          // linkbeat_use_polling
	noVIP bool

	vrf       place
	linkGroup *linkGroup        // group of use_vmac or use_ipvlan
	macByVRID bool              // the last byte of Link.MAC is the VRID
	unicast   place             // the first word that asks for unicast
	meant     bool              // peers were to be named, and a mistake lost them
	bad       bool              // it cannot run
	mistakes  map[string]reason // by word: mistakes that others follow from
}

// wrote reports whether the instance has a word of its own.
func (in *instance) wrote(word string) bool {
	return in.given.any(root().words["vrrp_instance"].block, word)
}

// notifications is how the instance reports its state, made when a word asks for it:
// most have none.
func (in *instance) notifications() *Notify {
	return made(&in.Notify)
}

// announces are the settings of announcements of the instance.
func (in *instance) announces() *garpSettings {
	return made(&in.garp)
}

func openInstance(d *decoder, s *Statement) bool {
	if len(s.Words) != 2 {
		d.report(s, 2, Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "instance-name",
			Message: "vrrp_instance must have a name", Fix: "write one word as name; the block is skipped",
		})
		return false
	}
	name := strings.Clone(s.Words[1].Text) // unlike others it comes once
	if first := d.names[name]; first != nil {
		d.report(s, 1, Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "instance-twice",
			Message: "vrrp_instance " + name + " already defined", Fix: "the first is at " + first.Pos.String() + "; this block is skipped",
		})
		return false
	}
	d.inst = &instance{
		VRRPInstance: &VRRPInstance{Name: name, Pos: s.Pos(0)},
		at:           s.Place(0),
	}
	d.names[name] = d.inst
	return true
}

func closeInstance(d *decoder, s *Statement) {
	d.instances = append(d.instances, d.inst)
	d.inst = nil
}

func setInterface(d *decoder, a *argument) {
	if a.text == "lo" {
		d.wrong(a.Statement, 1, "loopback", "(%s) cannot use a loopback interface (lo) for vrrp - ignoring", d.inst.Name)
		return
	}
	d.inst.Interface = d.intern(a.text)
	d.needInterface(a.Statement, 1, "WARNING - interface %s for vrrp_instance "+d.inst.Name+" doesn't exist")
}

// weightAlone is what to do about a weight on a line of its own.
const weightAlone = "write the weight on the line of the name, as in NAME weight 20"

// absentInterface is a use of an interface that does not exist.
type absentInterface struct {
	name    string
	at      place
	message string
	habit   habit
	after   reason // what it follows from
}

// needInterface checks that an interface exists. It is no problem with
// dynamic_interfaces, which may stand further down.
func (d *decoder) needInterface(s *Statement, word int, message string) {
	name := s.Words[word].Text
	if d.hasInterface(name) {
		return
	}
	a := absentInterface{name: d.intern(name), at: s.Place(word), message: strings.Replace(message, "%s", printable(name), 1)}
	var p Diagnostic
	h, done := d.explain(s, word, &p)
	if a.habit = h; done {
		a.after = d.blamed.r
		if name := undefined(s, word); name != "" {
			a.after = d.diags.Unresolved(name)
		}
		d.noteReason(Error, a.after)
	}
	d.absent = append(d.absent, a)
}

// hasInterface reports whether there may be an interface. A label of an address,
// such as eth0:1, is none and will never be.
func (d *decoder) hasInterface(name string) bool {
	if strings.Contains(name, ":") {
		return false
	}
	if d.Interface == nil {
		return true
	}
	present, known := d.present[name]
	if !known {
		present = d.Interface(name)
		d.present[d.intern(name)] = present
	}
	return present
}

func (d *decoder) absentInterfaces() {
	first := make(map[string]reason) // each is reported once
	for _, a := range d.absent {
		p := Diagnostic{
			Severity: Fatal, Class: ClassWarning, Exit: 2, Code: "no-interface", Message: a.message,
			Fix: "create it first, or write dynamic_interfaces in global_defs if it is created later",
		}
		base, _, label := strings.Cut(a.name, ":")
		if label {
			p.Code, p.Fix = "interface-label", a.name+" can only be the label of an address; write "+base
		}
		if d.cfg.Global.DynamicInterfaces {
			switch {
			case a.name == "weight":
				p.Code, p.Fix = "habit", weightAlone
			case !label:
				continue
			}
			p.Severity, p.Class, p.Exit = Warning, ClassNone, 0
			d.reportAt(a.at, p)
			continue
		}
		if r := cmp.Or(a.after, first[a.name]); r != 0 {
			if a.after == 0 {
				d.diags.Again(r)
			}
			d.followFrom(r, p)
			continue
		}
		if a.name == "weight" {
			p.Fix = weightAlone
		} else if d.Interfaces != nil && !label {
			if near := Nearest(a.name, d.Interfaces()); len(near) > 0 {
				p.Fix, p.Edit = fmt.Sprintf("did you mean %q?", printable(near[0])), Edit{Old: a.name, New: near[0]}
			}
		}
		if a.habit.remedy != "" {
			p.Fix = a.habit.remedy
		}
		p.Pos, p.Chain = a.at.Pos(), a.at.Chain()
		first[a.name] = d.diags.Add(p)
	}
}

func setVersion(d *decoder, a *argument) { d.inst.version = int(a.n) }

func setState(d *decoder, a *argument) {
	switch a.text {
	case "MASTER":
		d.inst.state.put(true)
	case "BACKUP":
		d.inst.state.put(false)
	default:
		d.inst.state.put(false)
		p := Diagnostic{
			Severity: Error, Class: ClassOrdinary, Code: "bad-state", Fix: "expected MASTER or BACKUP",
			Message: "(" + d.inst.Name + ") unknown state '" + printable(a.text) + "', defaulting to BACKUP",
		}
		if near := Nearest(strings.ToUpper(a.text), []string{"MASTER", "BACKUP"}); len(near) > 0 {
			p.Fix, p.Edit = fmt.Sprintf("did you mean %q?", near[0]), Edit{Old: d.intern(a.text), New: near[0]}
		}
		d.report(a.Statement, 1, p)
	}
}

func setTimerExpiredBackup(d *decoder, a *argument) { d.inst.TimerExpiredBackup = max(1, int(a.n)) }

func setPriority(d *decoder, a *argument) { d.inst.priority = int(a.n) }

// defaultPriority is what a wrong priority means, whatever the state.
func defaultPriority(d *decoder, a *argument) string {
	d.inst.priority = 100
	return "(" + d.inst.Name + ") Priority not valid! must be between 1 & 255. Using default 100"
}

func badVRID(d *decoder, a *argument) string {
	return "(" + d.inst.Name + "): VRID '" + printable(a.text) + "' not valid - must be between 1 & 255"
}

func badAdvertInt(d *decoder, a *argument) string {
	return "(" + d.inst.Name + ") Advert interval (" + printable(a.text) + ") not valid! Must be > 0 - ignoring"
}

// setNativeIPv6 decides the family before the first address does.
func setNativeIPv6(d *decoder, a *argument) {
	if d.inst.Family == IPv4 {
		d.wrong(a.Statement, 0, "address-family", "(%s) Cannot specify native_ipv6 with IPv4 addresses", d.inst.Name)
		return
	}
	d.inst.Family = IPv6
}

func setSource(d *decoder, a *argument) {
	if !d.sameFamily(a.addr) {
		d.wrong(a.Statement, 1, "source-family", "(%s) address family of %s %s does not match the instance - ignoring", d.inst.Name, a.k.Name, a.addr)
		return
	}
	d.inst.SourceIP = a.addr
	if a.k.Name == "unicast_src_ip" {
		d.unicastWord(a)
	}
}

// sameFamily reports whether an address fits the instance. The first address
// that is met decides its family.
func (d *decoder) sameFamily(a netip.Addr) bool {
	if d.inst.Family == 0 {
		d.inst.Family = familyOf(a)
	}
	return d.inst.Family == familyOf(a)
}

// unicastWord notes that an instance speaks of unicast.
func (d *decoder) unicastWord(a *argument) {
	if !d.inst.unicast.Known() {
		d.inst.unicast = a.Place(0)
	}
}

func setGroup(d *decoder, a *argument) {
	if !a.addr.IsMulticast() {
		d.wrong(a.Statement, 1, "bad-address", "(%s) mcast_dst_ip '%s' is not a multicast address", d.inst.Name, printable(a.text))
		return
	}
	d.inst.Group = a.addr
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

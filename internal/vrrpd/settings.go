package vrrpd

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/proc/loop"
)

// settings are the sysctls that must have another value than they had, as long as
// virtual routers need them. What they were before is in the state file before they
// are set, and they are set back when no one needs them any more.
//
//	dirty ──▶ worker: read what they were ──▶ state file ──▶ worker: set, verify ──▶ links up
type settings struct {
	held    map[string]*heldSetting // by name
	order   []string                // of held: as they were set first
	dirty   bool                    // what is wanted may have changed: looked at when the turn ends
	running bool                    // the worker is at it
	verify  bool                    // settings that have been set are checked, too
	timer   loop.Timer              // until then

	hindered map[string]string // by name of a hindrance: its value, as logged
}

// heldSetting is a sysctl that we have set.
type heldSetting struct {
	was, set string
	refusal  string // why it does not have that value, as logged last
	resets   int    // how often another program has set it to something else
}

// A wanted setting has a value, and another one that it is not to be below: that of
// the name atLeast before we have set it.
type wantedSetting struct {
	name, value, atLeast string
}

const (
	allRPFilter = "net/ipv4/conf/all/rp_filter"

	// settingsPause is how long after settings were set they are verified.
	settingsPause = 10 * time.Second
)

// wantedSettings are the settings that the present virtual routers need, in the order
// in which they are to be set: there is never a moment without a check of the source
// (rp_filter) where there was one.
//
// A macvlan answers for its own addresses (arp_ignore), and the interface below only for
// its own (arp_ignore, arp_filter), or each would answer for the other. When the interface
// below asks for a neighbour, it names no virtual address as its own (arp_announce). Packets to the
// macvlan come from addresses that are reached by the interface below, which rp_filter
// would drop; that of "all" applies to all interfaces, so it becomes that of each other
// one. Those to an ipvlan come from such addresses, too.
func (d *daemon) wantedSettings() (all []wantedSetting) {
	seen := map[string]bool{}
	want := func(name, value, atLeast string) {
		if !seen[name] {
			seen[name] = true
			all = append(all, wantedSetting{name, value, atLeast})
		}
	}
	if d.conf.Global.DisableLocalIGMP {
		want("net/ipv4/igmp_link_local_mcast_reports", "0", "")
	}
	type family struct{ ipv4, ipv6, macvlan bool }
	links, bases := map[string]family{}, map[string]bool{} // made ones, those below
	for _, r := range d.routers {
		if r.conf.PromoteSecondaries && r.link != nil && r.madeAbove(r.conf.Interface) == nil {
			want("net/ipv4/conf/"+r.link.Name+"/promote_secondaries", "1", "")
		}
		for i := range r.made {
			m := &r.made[i]
			if m.item == nil {
				continue
			}
			if l := d.net.made(m.item.key); l != nil {
				f := links[l.Name]
				f.ipv4, f.ipv6, f.macvlan = f.ipv4 || !m.spec.IPv6, f.ipv6 || m.spec.IPv6, m.spec.Kind == conf.LinkVMAC
				links[l.Name] = f
				bases[m.spec.Base] = bases[m.spec.Base] || f.ipv4 && f.macvlan
			}
		}
	}
	filtered := slices.ContainsFunc(slices.Collect(maps.Values(links)), func(f family) bool { return f.ipv4 })
	if filtered { // first: it becomes that of each interface that has never been given one
		want("net/ipv4/conf/default/rp_filter", "", allRPFilter)
	}
	for _, name := range slices.Sorted(maps.Keys(links)) {
		f, ipv4, ipv6 := links[name], "net/ipv4/conf/"+name+"/", "net/ipv6/conf/"+name+"/"
		if f.macvlan {
			want(ipv6+"addr_gen_mode", "1", "") // none: only ours
			want(ipv4+"arp_ignore", "1", "")    // with IPv6 alone, too: it answers for no one else
		}
		if !f.ipv6 {
			want(ipv6+"disable_ipv6", "1", "")
		} else {
			want(ipv6+"disable_ipv6", "0", "")
			want(ipv6+"accept_ra", "0", "") // no address of its own, and no question for routers
		}
		if f.ipv4 {
			want(ipv4+"rp_filter", "0", "")
		}
		if f.ipv4 && f.macvlan {
			want(ipv4+"accept_local", "1", "")
			want(ipv4+"promote_secondaries", "1", "")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(bases)) {
		if bases[name] {
			want("net/ipv4/conf/"+name+"/arp_ignore", "1", "")
			want("net/ipv4/conf/"+name+"/arp_filter", "1", "")
			want("net/ipv4/conf/"+name+"/arp_announce", "2", "")
		}
	}
	if filtered {
		for _, name := range slices.Sorted(maps.Keys(d.net.byName)) {
			want("net/ipv4/conf/"+name+"/rp_filter", "", allRPFilter)
		}
		want(allRPFilter, "0", "")
	}
	return all
}

// A hindrance is a setting of all links that keeps a macvlan from its work if it is
// above a value: the setting of the macvlan itself cannot make it less (ip-sysctl of the
// kernel's documentation). Other programs have set it for a reason, so it is reported.
type hindrance struct {
	name   string
	most   int
	effect string
}

var hindrances = []hindrance{
	{"net/ipv4/conf/all/arp_filter", 0, "virtual addresses are not answered for: the way to those who ask is by the interface below"},
	{"net/ipv4/conf/all/arp_ignore", 1, "virtual addresses may not be answered for"},
}

// reportHindrances reports those hindrances that are there now, and have not been reported
// with that value.
func (d *daemon) reportHindrances(values []string) {
	s := &d.settings
	for i, h := range hindrances {
		n, _ := strconv.Atoi(values[i]) // in doubt none
		switch {
		case n <= h.most:
			delete(s.hindered, h.name)
		case s.hindered[h.name] != values[i]:
			if s.hindered == nil {
				s.hindered = map[string]string{}
			}
			s.hindered[h.name] = values[i]
			slog.Warn(fmt.Sprintf("sysctl %s is %d: %s; set it to %d", dotted(h.name), n, h.effect, h.most), "sysctl", h.name)
		}
	}
}

// value is what a wanted setting is to be set to.
func (s *settings) value(w wantedSetting) string {
	if w.atLeast == "" {
		return w.value
	}
	number := func(name string) int {
		n := 0
		if h := s.held[name]; h != nil {
			n, _ = strconv.Atoi(h.was) // in doubt none
		}
		return n
	}
	return strconv.Itoa(max(number(w.name), number(w.atLeast)))
}

// tune begins to set what has to be set, unless that is under way.
func (d *daemon) tune() {
	s := &d.settings
	if !s.dirty || s.running {
		return
	}
	s.dirty = false
	if d.stopping && d.DontRelease {
		return
	}
	var wants []wantedSetting
	if !d.stopping {
		wants = d.wantedSettings()
	}
	if len(wants)+len(s.held) == 0 {
		return
	}
	s.running = true
	var unknown []string
	for _, w := range wants {
		if s.held[w.name] == nil {
			unknown = append(unknown, w.name)
		}
	}
	was := make([]string, len(unknown))
	errs := make([]error, len(unknown))
	var found []string // of hindrances; nil: there is no macvlan of IPv4
	if slices.ContainsFunc(wants, func(w wantedSetting) bool { return w.name == allRPFilter }) {
		found = make([]string, len(hindrances))
	}
	d.worker.Do(func() {
		for i := range found {
			found[i], _ = d.Host.ReadSysctl(strings.Split(hindrances[i].name, "/")...) // in doubt none
		}
		for i, name := range unknown {
			was[i], errs[i] = d.Host.ReadSysctl(strings.Split(name, "/")...)
		}
	}, func() {
		if found != nil {
			d.reportHindrances(found)
		}
		d.setSettings(wants, unknown, was, errs)
	})
}

// setSettings has the settings set that are wanted, now that it is known what they were,
// and sets those back that are not wanted any more.
func (d *daemon) setSettings(wants []wantedSetting, unknown, was []string, errs []error) {
	s := &d.settings
	for i, name := range unknown {
		switch {
		case errs[i] == nil:
			if s.held == nil {
				s.held = map[string]*heldSetting{}
			}
			s.held[name] = &heldSetting{was: was[i]}
			s.order = append(s.order, name)
		case !errors.Is(errs[i], fs.ErrNotExist): // without the family, or gone with its link
			slog.Warn(errs[i].Error())
		}
	}
	type job struct {
		name, set, was string
		restore        bool
		changed        bool
		err            error
	}
	var jobs []job
	wanted := make(map[string]bool, len(wants))
	ready := map[string]bool{} // links that have all they need when the jobs are done
	for _, w := range wants {
		if link, ok := linkOfSetting(w.name); ok {
			ready[link] = true // settings that it does not have may be those of a family that this kernel lacks
		}
		h := s.held[w.name]
		if h == nil {
			continue
		}
		wanted[w.name] = true
		if set := s.value(w); s.verify || h.set != set {
			jobs = append(jobs, job{name: w.name, set: set, was: h.set})
			h.set = set
		}
	}
	s.verify = false
	for _, name := range slices.Backward(s.order) {
		h := s.held[name]
		if link, ok := linkOfSetting(name); h == nil || wanted[name] {
			continue
		} else if l := d.net.byName[link]; ok && l != nil && l.Alias == kernel.LinkAlias {
			delete(s.held, name) // it ends with its link
		} else {
			jobs = append(jobs, job{name: name, set: h.was, was: h.set, restore: true})
		}
	}
	if len(unknown) > 0 {
		d.writeJournal()
	}
	d.worker.Do(func() {
		for i := range jobs {
			j := &jobs[i]
			name := strings.Split(j.name, "/")
			if j.restore {
				setBack(d.Host, j.name, j.was, j.set)
				continue
			}
			if j.changed, j.err = d.Host.SetSysctl(j.set, name...); j.err == nil && j.changed {
				if now, err := d.Host.ReadSysctl(name...); err == nil && now != j.set {
					j.err = fmt.Errorf("sysctl %s is %s after it was set to %s", j.name, now, j.set)
				}
			}
		}
	}, func() {
		restored := false
		for i := range jobs {
			j := &jobs[i]
			if h := s.held[j.name]; j.restore {
				delete(s.held, j.name)
				restored = true
			} else if h != nil {
				d.settingDone(j.name, h, j.changed && j.was == j.set, j.err)
			}
		}
		s.order = slices.DeleteFunc(s.order, func(name string) bool { return s.held[name] == nil })
		s.running = false
		if restored && !d.stopping {
			d.writeJournal()
		}
		if len(s.held) > 0 {
			d.loop.Set(&s.timer, d.loop.Now()+settingsPause)
		}
		d.raiseLinks(ready)
	})
}

// settingDone takes up the outcome for one setting; reset: it had the value, and another
// program has changed it.
func (d *daemon) settingDone(name string, h *heldSetting, reset bool, err error) {
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		if h.refusal != err.Error() {
			h.refusal = err.Error()
			slog.Warn(fmt.Sprintf("sysctl %s must be %s for virtual MAC addresses: %v", dotted(name), h.set, err), "sysctl", name)
		}
	case h.refusal != "":
		h.refusal = ""
		slog.Info(fmt.Sprintf("sysctl %s is %s now", dotted(name), h.set), "sysctl", name)
	case reset:
		// Another program may do so again and again: the 1st, 2nd, 4th, 8th time.
		if h.resets++; h.resets&(h.resets-1) == 0 {
			slog.Warn(fmt.Sprintf("sysctl %s was changed by another program (%d times so far); it is %s again, as virtual MAC addresses need it",
				dotted(name), h.resets, h.set), "sysctl", name)
		}
	}
}

// dotted is the name of a setting as sysctl(8) takes it: with slashes, if an element has
// a dot.
func dotted(name string) string {
	if strings.Contains(name, ".") {
		return name
	}
	return strings.ReplaceAll(name, "/", ".")
}

// verifySettings looks whether other programs have changed settings.
func (d *daemon) verifySettings(time.Duration) {
	d.settings.dirty, d.settings.verify = true, true
	d.follow(func(made, base *netLink) bool { return true })
	d.tune()
}

// forget drops the settings of a link that is gone.
func (s *settings) forget(link string) {
	maps.DeleteFunc(s.held, func(name string, _ *heldSetting) bool { return settingOf(name, link) })
}

// renamed notes that a link has another name, and its settings with it.
func (s *settings) renamed(from, to string) {
	for i, name := range s.order {
		if h := s.held[name]; h != nil && settingOf(name, from) {
			parts := strings.Split(name, "/")
			parts[3] = to
			delete(s.held, name)
			s.order[i] = strings.Join(parts, "/")
			s.held[s.order[i]] = h
		}
	}
}

// linkOfSetting is the link of a setting, if it is one of a link, "all" or "default".
func linkOfSetting(name string) (link string, ok bool) {
	parts := strings.Split(name, "/") // net/ipv4/conf/LINK/rp_filter
	if len(parts) != 5 {
		return "", false
	}
	return parts[3], true
}

// settingOf reports whether a setting is one of a link.
func settingOf(name, link string) bool {
	of, ok := linkOfSetting(name)
	return ok && of == link
}

// restore sets everything back at once.
func (s *settings) restore(h kernel.Host) {
	for _, name := range slices.Backward(s.order) {
		if v := s.held[name]; v != nil {
			setBack(h, name, v.set, v.was)
		}
	}
}

// setBack sets a setting back to what it was, unless another program has changed it since
// it was set. What cannot be set cannot be helped.
func setBack(h kernel.Host, name, set, was string) {
	path := strings.Split(name, "/")
	if now, err := h.ReadSysctl(path...); err == nil && now == set {
		h.SetSysctl(was, path...)
	}
}

// idle reports whether nothing is under way.
func (s *settings) idle() bool { return !s.running && !s.dirty }

// entries are the settings as the state file has them.
func (s *settings) entries() []journalSetting {
	all := make([]journalSetting, 0, len(s.order))
	for _, name := range s.order {
		if h := s.held[name]; h != nil {
			all = append(all, journalSetting{name, h.was, h.set})
		}
	}
	return all
}

// inheritSettings takes over what a predecessor has set.
func (d *daemon) inheritSettings(before []journalSetting) {
	s := &d.settings
	for _, b := range before {
		if s.held == nil {
			s.held = map[string]*heldSetting{}
		}
		if s.held[b.name] == nil {
			s.held[b.name] = &heldSetting{was: b.was, set: b.set}
			s.order = append(s.order, b.name)
		}
	}
}

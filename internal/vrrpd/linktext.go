package vrrpd

import (
	"cmp"
	"maps"
	"math"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
)

// links writes all interfaces and who depends on them.
func (t *report) links() {
	t.Section("Interfaces")
	users := t.linkUsers()
	for _, index := range slices.Sorted(maps.Keys(t.net.links)) {
		l := t.net.links[index]
		t.Line(" Name = %s", l.Name)
		t.Line("   index = %d", l.Index)
		t.linkAddresses("IPv4", l, func(k kernel.Key) bool { return k.Prefix.Addr().Is4() })
		t.linkAddresses("IPv6", l, func(k kernel.Key) bool { return k.Prefix.Addr().IsLinkLocalUnicast() && k.Prefix.Addr().Is6() })
		if l.HardwareAddr != [6]byte{} {
			t.Line("   MAC = %v", net.HardwareAddr(l.HardwareAddr[:]))
		}
		t.Line("   State = %s", linkFlags(&l.Link))
		t.linkSettings(l)
		t.Line("   MTU = %d", l.MTU)
		kind := "ETHERNET"
		switch {
		case l.Loopback():
			kind = "LOOPBACK"
		case l.HardwareAddr == [6]byte{}:
			kind = "UNKNOWN"
		}
		t.Line("   HW Type = %s", kind)
		t.linkBeats(l)
		if g := users[l.Name].garp; g != nil {
			t.Line("   Gratuitous ARP interval %dms", g.Interval.Milliseconds())
			t.Line("   Gratuitous NA interval %dms", g.NAInterval.Milliseconds())
		}
		t.List("   Tracking VRRP instances :", users[l.Name].lines)
	}
}

// linkAddresses writes the addresses of one family, the one that the kernel
// would send from first. Virtual addresses are with their instances.
func (t *report) linkAddresses(family string, l *netLink, of func(kernel.Key) bool) {
	type seen struct {
		order int32
		text  string
	}
	var all []seen
	for k, a := range l.addrs {
		if of(k) && !t.addrs.isVirtual(k) {
			order := a.order
			if a.second {
				order += math.MaxInt32 / 2
			}
			all = append(all, seen{order, k.Prefix.Addr().String()})
		}
	}
	if len(all) == 0 {
		t.Line("   %s address = (none)", family)
		return
	}
	slices.SortFunc(all, func(a, b seen) int { return cmp.Compare(a.order, b.order) })
	t.Line("   %s address = %s", family, all[0].text)
	var more []string
	for _, a := range all[1:] {
		more = append(more, a.text)
	}
	t.List("   Additional "+family+" addresses :", more)
}

// linkFlags are the flags of an interface that matter.
func linkFlags(l *kernel.Link) string {
	var words []string
	for _, f := range []struct {
		flag       uint32
		set, unset string
	}{
		{unix.IFF_UP, "UP", "DOWN"},
		{unix.IFF_RUNNING, "RUNNING", ""},
		{unix.IFF_BROADCAST, "", "no broadcast"},
		{unix.IFF_LOOPBACK, "loopback", ""},
		{unix.IFF_POINTOPOINT, "point to point", ""},
		{unix.IFF_NOARP, "no arp", ""},
		{unix.IFF_MULTICAST, "", "no multicast"},
	} {
		word := f.unset
		if l.Flags&f.flag != 0 {
			word = f.set
		}
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

// linkSettings writes interface_up_down_delays of an interface.
func (t *report) linkSettings(l *netLink) {
	var settings conf.InterfaceSettings
	delayed := false
	if w := t.linkStates[l.Name]; w != nil {
		settings = w.settings
		_, delayed = w.damper.Deadline()
	}
	us := func(d time.Duration) int64 { return d.Microseconds() }
	t.Line("   Delayed state change running = %t", delayed)
	t.Line("   Up debounce timer = %dus", us(settings.UpDelay))
	t.Line("   Down debounce timer = %dus", us(settings.DownDelay))
	if t.conf.Global.AllowIfChanges {
		t.Line("   Interface type/base can be changed")
	}
}

// linkBeats writes how the carrier of an interface is watched.
func (t *report) linkBeats(l *netLink) {
	how := conf.LinkBeatNone
	if w := t.linkStates[l.Name]; w != nil {
		how = w.settings.LinkBeat
	}
	t.Line("   NIC %s", [...]string{
		conf.LinkBeatNone:    "netlink status update",
		conf.LinkBeatAuto:    "polling, first of MII, ETHTOOL and IOCTL that it answers",
		conf.LinkBeatMII:     "support MII interface",
		conf.LinkBeatEthtool: "support ETHTOOL GLINK interface",
		conf.LinkBeatIoctl:   "support IOCTL interface",
	}[how])
}

// linkUse is who depends on an interface.
type linkUse struct {
	lines []string
	last  *router    // whose line is the last
	garp  *conf.GARP // of an instance on it, if that paces its announcements
}

func (t *report) linkUsers() map[string]linkUse {
	all := map[string]linkUse{}
	add := func(name string, r *router, w int, reverse bool) {
		u := all[name]
		if u.last != r {
			u.last = r
			u.lines = append(u.lines, r.conf.Name+", "+weight(w, reverse))
		}
		if g := r.conf.GARP; name == r.conf.Interface && (g.Interval != 0 || g.NAInterval != 0) {
			u.garp = g
		}
		all[name] = u
	}
	for _, r := range t.routers {
		if r.conf.Interface != "" && !r.conf.DontTrackPrimary {
			add(r.conf.Interface, r, 0, false)
		}
		if r.spread {
			for i := range r.vips {
				if a := r.address(i); !a.NoTrack {
					add(linkOf(r.conf, a), r, 0, false)
				}
			}
		}
		if r.tracked == nil {
			continue
		}
		for i := range r.tracked.terms {
			if c := &r.tracked.terms[i]; c.Kind == conf.TrackedInterface {
				add(c.Name, r, c.Weight, c.Reverse)
			}
		}
	}
	return all
}

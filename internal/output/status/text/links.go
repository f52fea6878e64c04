package text

import (
	"net"
	"net/netip"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
)

// links writes all interfaces and which instances depend on them.
func (t *data) links() {
	t.Section("Interfaces")
	for i := range t.Links {
		l := &t.Links[i]
		t.Line(" Name = %s", l.Name)
		t.Line("   index = %d", l.Index)
		t.linkAddresses("IPv4", l.IPv4)
		t.linkAddresses("IPv6", l.IPv6)
		none := l.MAC == [6]byte{}
		if !none {
			t.Line("   MAC = %v", net.HardwareAddr(l.MAC[:]))
		}
		t.Line("   State = %s", linkFlags(&l.Flags))
		t.Line("   Delayed state change running = %t", l.Delayed)
		t.Line("   Up debounce timer = %dus", l.Settings.UpDelay.Microseconds())
		t.Line("   Down debounce timer = %dus", l.Settings.DownDelay.Microseconds())
		if l.Below != "" {
			t.Line("   VMAC type private, underlying interface = %s, state = %s", l.Below, linkFlags(&l.BelowFlags))
			if l.Made {
				t.Line("   I/f created by keepalived")
			}
		}
		if t.Conf.Global.AllowIfChanges {
			t.Line("   Interface type/base can be changed")
		}
		t.Line("   MTU = %d", l.MTU)
		kind := "ETHERNET"
		switch {
		case l.Flags.Loopback:
			kind = "LOOPBACK"
		case none:
			kind = "UNKNOWN"
		}
		t.Line("   HW Type = %s", kind)
		t.Line("   NIC %s", [...]string{
			conf.LinkBeatNone:    "netlink status update",
			conf.LinkBeatAuto:    "polling, first of MII, ETHTOOL and IOCTL that it answers",
			conf.LinkBeatMII:     "support MII interface",
			conf.LinkBeatEthtool: "support ETHTOOL GLINK interface",
			conf.LinkBeatIoctl:   "support IOCTL interface",
		}[l.Settings.LinkBeat])
		if l.GARP != nil {
			t.Line("   Gratuitous ARP interval %dms", l.GARP.Interval.Milliseconds())
			t.Line("   Gratuitous NA interval %dms", l.GARP.NAInterval.Milliseconds())
		}
		t.users("   Tracking VRRP instances :", l.Users)
	}
}

// linkAddresses writes the addresses of one family.
func (t *data) linkAddresses(family string, all []netip.Addr) {
	if len(all) == 0 {
		t.Line("   %s address = (none)", family)
		return
	}
	t.Line("   %s address = %v", family, all[0])
	var more []string
	for _, a := range all[1:] {
		more = append(more, a.String())
	}
	t.List("   Additional "+family+" addresses :", more)
}

// linkFlags are the flags of an interface that matter.
func linkFlags(f *status.LinkFlags) string {
	var words []string
	for _, w := range []struct {
		is         bool
		set, unset string
	}{
		{f.Up, "UP", "DOWN"},
		{f.Running, "RUNNING", ""},
		{f.Broadcast, "", "no broadcast"},
		{f.Loopback, "loopback", ""},
		{f.PointToPoint, "point to point", ""},
		{f.NoARP, "no arp", ""},
		{f.Multicast, "", "no multicast"},
	} {
		word := w.unset
		if w.is {
			word = w.set
		}
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

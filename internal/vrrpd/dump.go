package vrrpd

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/vrrp"
)

// dump writes text to a file of the dump directory without holding up the
// loop. The file is new, private, and put in place by renaming, so that no link
// is followed and no reader sees half of it.
func (d *daemon) dump(configured, name string, text []byte) {
	path := configured
	if path == "" {
		if g := &d.conf.Global; g.DataUseInst {
			ext := filepath.Ext(name)
			for _, part := range []string{d.NetNamespace, d.InstanceName} {
				if part != "" {
					name = strings.TrimSuffix(name, ext) + "_" + part + ext
				}
			}
		}
		path = filepath.Join(d.DumpDir, name)
	}
	go func() {
		if err := replaceFile(path, text); err != nil {
			slog.Error(err.Error())
		}
	}()
}

func replaceFile(path string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600, exclusive
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// statsText is the statistics dump (SIGUSR2).
func (d *daemon) statsText() []byte {
	var b bytes.Buffer
	for _, r := range d.routers {
		s := r.engine.Stats()
		fmt.Fprintf(&b, "VRRP Instance: %s\n", r.conf.Name)
		for _, section := range []struct {
			title string
			rows  []statRow
		}{
			{"Advertisements", []statRow{{"Received", s.AdvertsReceived}, {"Sent", s.AdvertsSent}}},
			{"Packet Errors", []statRow{
				{"Length", s.PacketLengthErrors()}, {"TTL", s.TTLErrors()},
				{"Invalid Type", s.Rejected[vrrp.RejectType]},
				{"Advertisement Interval", s.Rejected[vrrp.RejectInterval]},
				{"Address List", s.AddressErrors()},
				{"Checksum", s.Rejected[vrrp.RejectChecksum]},
				{"Version", s.Rejected[vrrp.RejectVersion]}}},
			{"Authentication Errors", []statRow{
				{"Invalid Type", s.Rejected[vrrp.RejectAuthType]},
				{"Type Mismatch", s.Rejected[vrrp.RejectAuthMismatch]},
				{"Failure", s.AuthFailures()}}},
			{"Authentication Extension Errors", []statRow{
				{"Missing", s.Rejected[vrrp.RejectHMACMissing]},
				{"Malformed", s.Rejected[vrrp.RejectHMACMalformed]},
				{"Unknown Key", s.Rejected[vrrp.RejectHMACUnknownKey]},
				{"Invalid HMAC", s.Rejected[vrrp.RejectHMACInvalid]},
				{"Stale", s.Rejected[vrrp.RejectHMACStale]},
				{"Replay", s.Rejected[vrrp.RejectHMACReplayed]}}},
			{"Priority Zero", []statRow{{"Received", s.PriorityZeroReceived}, {"Sent", s.PriorityZeroSent}}},
		} {
			fmt.Fprintf(&b, "  %s:\n", section.title)
			for _, row := range section.rows {
				fmt.Fprintf(&b, "    %s: %d\n", row.name, row.value)
			}
			if section.title == "Advertisements" {
				fmt.Fprintf(&b, "  Became master: %d\n  Released master: %d\n", s.BecomeMaster, s.ReleaseMaster)
			}
		}
	}
	return b.Bytes()
}

type statRow struct {
	name  string
	value uint64
}

// dataText is the state dump (SIGUSR1).
func (d *daemon) dataText() []byte {
	var b bytes.Buffer
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	g := &d.conf.Global
	line("------< Global definitions >------")
	line(" Network namespace = %s", orDefault(d.NetNamespace))
	line(" Router ID = %s", g.RouterID)
	line(" Dynamic interfaces = %t", g.DynamicInterfaces)
	line(" VRRP IPv4 mcast group = %v", g.McastGroup4)
	line(" VRRP IPv6 mcast group = %v", g.McastGroup6)
	line("------< VRRP Topology >------")
	for _, r := range d.routers {
		d.routerText(line, r)
	}
	if len(d.conf.SyncGroups) > 0 {
		line("------< VRRP Sync groups >------")
		for _, c := range d.conf.SyncGroups {
			if g := d.groups[c.Name]; g != nil {
				line(" VRRP Sync Group = %s, %s", c.Name, stateName(g.State()))
				line("   Members = %s", strings.Join(c.Members, " "))
			}
		}
	}
	line("------< Packets that reached no instance >------")
	for reason, n := range d.foreign {
		if n > 0 {
			line(" %v = %d", vrrp.Reject(reason), n)
		}
	}
	line("------< Interfaces >------")
	for _, l := range d.net.links {
		line(" Name = %s", l.Name)
		line("   index = %d", l.Index)
		line("   MTU = %d", l.MTU)
		line("   state = %s", map[bool]string{true: "up", false: "down"}[l.Up()])
	}
	return b.Bytes()
}

func orDefault(s string) string {
	if s == "" {
		return "(default)"
	}
	return s
}

func (d *daemon) routerText(line func(string, ...any), r *router) {
	c, e := r.conf, r.engine
	ability := map[bool]string{true: "enabled", false: "disabled"}
	seconds := func(t time.Duration) string { return fmt.Sprintf("%g", t.Seconds()) }
	interval := func(t time.Duration) string {
		if t%time.Second == 0 {
			return fmt.Sprintf("%d sec", t/time.Second)
		}
		return fmt.Sprintf("%d milli-sec", t/time.Millisecond)
	}
	line(" VRRP Instance = %s", c.Name)
	line("   VRRP Version = %d", c.Version)
	if c.Family == conf.IPv6 {
		line("   Using Native IPv6")
	}
	line("   State = %s", stateName(e.State()))
	wanted := "BACKUP"
	if c.Master {
		wanted = "MASTER"
	}
	line("   Wantstate = %s", wanted)
	line("   Faults = %v", r.faults)
	line("   Master down timer = %d usecs", e.MasterDownInterval().Microseconds())
	if c.Interface != "" {
		line("   Interface = %s", c.Interface)
	}
	line("   Using src_ip = %v", r.source)
	if c.Unicast {
		line("   Unicast Peer :")
		for _, p := range c.Peers {
			line("     %v", p.Addr)
		}
	} else {
		line("   Multicast address %v", c.Group)
	}
	line("   Gratuitous ARP delay = %s", seconds(c.GARP.Delay))
	line("   Gratuitous ARP repeat = %d", c.GARP.Repeat)
	line("   Gratuitous ARP refresh = %s", seconds(c.GARP.Refresh))
	line("   Gratuitous ARP refresh repeat = %d", c.GARP.RefreshRepeat)
	line("   Gratuitous ARP lower priority delay = %s", seconds(c.GARP.LowerDelay))
	line("   Gratuitous ARP lower priority repeat = %d", c.GARP.LowerRepeat)
	line("   Down timer adverts = %d", c.DownTimerAdverts)
	line("   Send advert after receive lower priority advert = %t", !c.LowerPriorityNoAdvert)
	line("   Send advert after receive higher priority advert = %t", c.HigherPrioritySendAdvert)
	line("   Virtual Router ID = %d", c.VRID)
	line("   Priority = %d", c.Priority)
	line("   Effective priority = %d", e.Priority())
	line("   Advert interval = %s", interval(c.AdvertInterval))
	line("   Accept = %s", ability[c.Accept])
	line("   Preempt = %s", ability[!c.NoPreempt])
	if c.PreemptDelay > 0 {
		line("   Preempt delay = %s secs", seconds(c.PreemptDelay))
	}
	line("   Promote_secondaries = %s", ability[c.PromoteSecondaries])
	if c.Version == 2 {
		line("   Authentication type = %s", [...]string{"none", "SIMPLE_PASSWORD", "IPSEC_AH"}[c.Auth.Type])
	}
	for _, list := range []struct {
		title string
		addrs []conf.Address
	}{{"Virtual IP", c.Addresses}, {"Virtual IP Excluded", c.Excluded}} {
		if len(list.addrs) == 0 {
			continue
		}
		line("   %s (%d):", list.title, len(list.addrs))
		for i := range list.addrs {
			line("     %s", d.addressText(r, &list.addrs[i]))
		}
	}
}

// addressText prints a virtual address and whether the kernel has it.
func (d *daemon) addressText(r *router, a *conf.Address) string {
	text := a.Prefix.String()
	if a.Prefix.IsSingleIP() {
		text = a.Prefix.Addr().String()
	}
	text += " dev " + linkOf(r.conf, a)
	switch a.Scope {
	case unix.RT_SCOPE_UNIVERSE:
		text += " scope global"
	case unix.RT_SCOPE_LINK:
		text += " scope link"
	case unix.RT_SCOPE_HOST:
		text += " scope host"
	case unix.RT_SCOPE_SITE:
		text += " scope site"
	}
	if a.Label != "" {
		text += " label " + a.Label
	}
	if l := d.net.byName[linkOf(r.conf, a)]; l != nil {
		ka := kernelAddr(a, l)
		if v := d.addrs.vips[ka.Key()]; v != nil && v.present {
			text += " set"
		}
	}
	return text
}

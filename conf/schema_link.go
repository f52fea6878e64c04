package conf

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
)

// linkWords are the words about what is made on top of an interface.
func linkWords() []*Keyword {
	return append([]*Keyword{
		kw("use_vmac", several("[NAME] [MAC] [netlink_notify_msg] [group N]").opt(), depends("off; PREFIX.VRID and the virtual MAC address"), "put the addresses on a macvlan with the virtual MAC address").sets(setVMAC).
			shows(linkFields(
				shown(func(v *VRRPInstance) *[6]byte { return &v.Link.MAC }).argument(0),
			)...),
		kw("use_vmac_addr", bare(), "off", "also use macvlans for addresses on other interfaces").
			sets(func(d *decoder, a *argument) { d.inst.link().AddressVMACs = true }).shows(shown(func(v *VRRPInstance) *bool { return &v.Link.AddressVMACs })),
		kw("vmac_xmit_base", bare(), "off", "send adverts from the interface itself rather than from the macvlan").
			sets(func(d *decoder, a *argument) { d.inst.link().TransmitBase = true }).shows(shown(func(v *VRRPInstance) *bool { return &v.Link.TransmitBase })),
		kw("use_ipvlan", several("[NAME] [ADDR[/LEN]] [bridge|private|vepa] [netlink_notify_msg] [group N]").opt(), "off", "put the addresses on an ipvlan").sets(setIPVLAN).
			shows(linkFields(
				shown(func(v *VRRPInstance) *netip.Prefix { return &v.Link.Address }).argument(0),
				shown(func(v *VRRPInstance) *IPVLANMode { return &v.Link.Mode }).argument(0),
			)...),
		kw("vrf", word("NAME"), "none", "VRF of an instance without an interface").sets(setVRF).
			shows(shown(func(v *VRRPInstance) *string { return &v.Link.VRF })),
	}, kw("kernel_rx_buf_size", number(0, 1<<32-1).as("BYTES").soft("invalid kernel_rx_buf_size specified"), global("vrrp_rx_bufs_policy"), "its part of the receive buffer of the socket that all virtual routers of a family on an interface share").
		sets(func(d *decoder, a *argument) {
			if d.nothingBehind(a, 2, "("+d.inst.Name+") invalid kernel_rx_buf_size specified") {
				d.inst.RxBuf = int(a.n)
			}
		}).shows(shown(func(v *VRRPInstance) *int { return &v.RxBuf })))
}

// linkFields are the fields that use_vmac and use_ipvlan have in common, and others.
func linkFields(more ...Field) []Field {
	return append([]Field{
		shown(func(v *VRRPInstance) *LinkKind { return &v.Link.Kind }).argument(0),
		shown(func(v *VRRPInstance) *string { return &v.Link.Name }).argument(0),
		shown(func(v *VRRPInstance) *bool { return &v.Link.NotifyMsg }).argument(0),
		shown(func(v *VRRPInstance) *uint32 { return &v.Link.Group }).argument(0),
	}, more...)
}

// link is what the instance makes on its interface.
func (in *instance) link() *Link {
	if in.Link == nil {
		in.Link = &Link{}
	}
	return in.Link
}

// linkName takes the name of an interface that is to be made.
func (d *decoder) linkName(a *argument, i int, what string) {
	l, name := d.inst.link(), a.Words[i].Text
	switch {
	case len(name) > 15 || strings.ContainsAny(name, "/:"):
		d.wrong(a.Statement, i, "link-name", "%s interface name '%s' too long or invalid characters - ignoring; at most 15 bytes without / and :", what, printable(name))
	case l.Name != "":
		d.wrong(a.Statement, i, "link-name", "%s interface name already specified - ignoring '%s'", what, printable(name))
	default:
		l.Name = d.intern(name)
	}
}

// linkGroup is the group of links that a line names: its number is looked up when
// it is known where the names are.
type linkGroup struct {
	at   place
	text string
}

// linkOption takes the options that macvlans and ipvlans have in common; next is
// the last word it took, and ok is false if there is none of them.
func (d *decoder) linkOption(a *argument, i int) (next int, ok bool) {
	switch a.Words[i].Text {
	case "netlink_notify_msg":
		d.inst.link().NotifyMsg = true
	case "group":
		if i++; i == len(a.Words) {
			d.wrong(a.Statement, i-1, "missing-argument", "(%s) %s group has no value - ignoring", d.inst.Name, a.k.Name)
			break
		}
		d.inst.linkGroup = &linkGroup{a.Place(i), a.Words[i].Text}
	default:
		return i, false
	}
	return i, true
}

// linkOfKind is the link of an instance, which becomes one of a kind. Of two kinds the last
// one counts.
func (d *decoder) linkOfKind(a *argument, kind LinkKind) *Link {
	l := d.inst.link()
	if l.Kind != kind && l.Kind != LinkPlain {
		d.report(a.Statement, 0, Diagnostic{Severity: Warning, Class: ClassNone, Code: "link-kind",
			Message: fmt.Sprintf("(%s) %v comes after %v: an instance has one of them, and the last one counts", d.inst.Name, kind, l.Kind), Fix: "remove one of them"})
	}
	l.Kind = kind
	return l
}

// setVMAC reads [NAME] [MAC] and options. Of five bytes of a MAC address the sixth is the
// VRID.
func setVMAC(d *decoder, a *argument) {
	l := d.linkOfKind(a, LinkVMAC)
	for i := 1; i < len(a.Words); i++ {
		text := a.Words[i].Text
		if next, ok := d.linkOption(a, i); ok {
			i = next
			continue
		}
		if !strings.Contains(text, ":") {
			d.linkName(a, i, "VMAC")
			continue
		}
		short := strings.Count(text, ":") == 4
		if short {
			text += ":00"
		}
		mac, err := net.ParseMAC(text)
		switch {
		case err != nil || len(mac) != 6:
			d.wrong(a.Statement, i, "bad-mac", "VMAC invalid MAC address %s - ignored; expected five or six bytes", printable(a.Words[i].Text))
		case mac[0]&1 != 0:
			d.wrong(a.Statement, i, "bad-mac", "VMAC MAC address is multicast %s - ignoring", printable(a.Words[i].Text))
		default:
			l.MAC, l.MACSet = [6]byte(mac), true
			d.inst.macByVRID = short
		}
	}
}

// setIPVLAN reads [NAME] [ADDR[/LEN]] [MODE] and options.
func setIPVLAN(d *decoder, a *argument) {
	l := d.linkOfKind(a, LinkIPVLAN)
	for i := 1; i < len(a.Words); i++ {
		text := a.Words[i].Text
		if next, ok := d.linkOption(a, i); ok {
			i = next
			continue
		}
		if mode := slices.Index([]string{"bridge", "private", "vepa"}, text); mode >= 0 {
			l.Mode = IPVLANMode(mode)
			continue
		}
		if !startsAddress(text) {
			d.linkName(a, i, "IPVLAN")
			continue
		}
		addr, prefix, ok := d.prefix(a.Statement, i)
		switch {
		case !ok:
			d.wrong(a.Statement, i, "bad-address", "(%s) IPVLAN address %s is not valid - ignoring", d.inst.Name, printable(text))
		case !d.sameFamily(addr):
			d.wrong(a.Statement, i, "source-family", "(%s) address family of IPVLAN address %s does not match the instance - ignoring", d.inst.Name, addr)
		default:
			l.Address = prefix
		}
	}
}

// setVRF takes the VRF that unicast adverts leave by.
func setVRF(d *decoder, a *argument) {
	l := d.inst.link()
	if l.VRF != "" {
		d.wrong(a.Statement, 1, "word-twice", "(%s) VRF interface already specified as '%s' - ignoring", d.inst.Name, printable(l.VRF))
		return
	}
	l.VRF, d.inst.vrf = d.intern(a.text), a.Place(1)
	d.needInterface(a.Statement, 1, "("+d.inst.Name+") WARNING - VRF interface %s doesn't exist")
}

// linkOf settles what an instance makes on its interface.
func (d *decoder) linkOf(in *instance) {
	l := in.Link
	if l == nil {
		return
	}
	if g := in.linkGroup; g != nil {
		var ok bool
		if l.Group, ok = d.routing.names.number("group", g.text, 32); !ok {
			d.atPlace(g.at, "link-group", "(%s) there is no group of links '%s' - ignoring", in.Name, printable(g.text))
		}
	}
	if in.macByVRID {
		l.MAC[5] = in.VRID
	}
	if l.VRF != "" && in.Interface != "" {
		d.atPlace(in.vrf, "vrf", "(%s) Cannot specify VRF interface and interface - ignoring", in.Name)
		l.VRF = ""
	}
	if l.TransmitBase && l.Kind != LinkVMAC {
		d.problem(in, "transmit-base", "vmac_xmit_base is only valid with a vmac")
		l.TransmitBase = false
	}
	if l.Kind == LinkVMAC && in.Unicast && !l.TransmitBase {
		d.problem(in, "transmit-base", "unicast with use_vmac requires vmac_xmit_base - setting")
		l.TransmitBase = true
	}
	if l.Kind == LinkIPVLAN {
		if l.Address.IsValid() && !in.SourceIP.IsValid() {
			in.SourceIP = l.Address.Addr()
		}
		if in.Family == IPv4 && !l.Address.IsValid() {
			d.problem(in, "ipvlan-address", "IPv4 ipvlan requires a source ip address to be configured. setting instance to fault state")
		}
	}
	if *l == (Link{}) {
		in.Link = nil
	}
}

// setLegacySync takes lvs_sync_daemon_interface, which stands in an instance.
func setLegacySync(d *decoder, a *argument) {
	if l := &d.cfg.Global.LVS; l.Sync == nil {
		l.Sync = &SyncDaemon{Interface: d.intern(a.text), Instance: d.inst.Name, ID: -1}
		d.global.syncAt = a.Place(0)
	}
}

package kernel

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// Kinds of links: that are made above other ones, and that others are in.
const (
	KindMACVLAN = "macvlan"
	KindIPVLAN  = "ipvlan"
	KindVRF     = "vrf"
)

// LinkAlias marks the links that we have made (IFLA_IFALIAS).
const LinkAlias = "keepalived"

// MACVLANPrivate is the mode of a macvlan that does not talk to others above the same
// link (MACVLAN_MODE_PRIVATE).
const MACVLANPrivate = 1

// MadeLink is a link above another one, as wished: a macvlan or an ipvlan. It is a
// comparable value. The kernel makes it down; with an Index it is set up as Up says.
type MadeLink struct {
	Index        int    // 0: it is not known yet
	Name         string // at most 15 bytes
	Base         int    // index of the link below
	Type         string // KindMACVLAN, which is private, or KindIPVLAN, of layer 2
	HardwareAddr [6]byte
	Flags        uint16 // of an ipvlan: IPVLAN_F_*, for all above the same link
	Group        uint32
	MTU          int // a new link has that of the link below
	Master       int // index of its VRF; 0: none
	Up           bool

	// Removal is the group by which the link is removed, together with others: see
	// [LinkGroup]. It is no part of the wish.
	Removal uint32
}

// LinkKey identifies a made link. All ipvlans have the hardware address of the link
// below, so their names distinguish them.
type LinkKey struct {
	Base         int
	HardwareAddr [6]byte // zero: an ipvlan
	Name         string  // empty: a macvlan
}

// Key returns the link's identity.
func (l MadeLink) Key() LinkKey {
	if l.Type == KindIPVLAN {
		return LinkKey{Base: l.Base, Name: l.Name}
	}
	return LinkKey{Base: l.Base, HardwareAddr: l.HardwareAddr}
}

// MadeKey is the identity of a link that could be one of ours: a private macvlan, or an
// ipvlan of layer 2.
func (l *Link) MadeKey() (k LinkKey, ok bool) {
	switch {
	case l.Base == 0:
		return k, false
	case l.Kind == KindMACVLAN && l.Mode == MACVLANPrivate:
		return LinkKey{Base: l.Base, HardwareAddr: l.HardwareAddr}, true
	case l.Kind == KindIPVLAN && l.Mode == ipvlanL2:
		return LinkKey{Base: l.Base, Name: l.Name}, true
	}
	return k, false
}

// Made is a link that the kernel has, as a made one.
func (l *Link) Made() MadeLink {
	m := MadeLink{Index: l.Index, Name: l.Name, Base: l.Base, Type: l.Kind, Flags: l.IPVLANFlags, Group: l.Group,
		MTU: l.MTU, Master: l.Master, Up: l.Flags&unix.IFF_UP != 0}
	if l.Kind == KindMACVLAN {
		m.HardwareAddr = l.HardwareAddr
	}
	return m
}

// wish is the link without what is not asked for.
func (l MadeLink) wish() MadeLink {
	l.Removal = 0
	return l
}

// Equal reports whether both links are the same.
func (l *MadeLink) Equal(other *MadeLink) bool { return l.wish() == other.wish() }

// Compare reports whether l is what want asks for and, if not, whether the kernel can turn
// the one into the other in place. Its name cannot change while it is up.
func (l *MadeLink) Compare(want *MadeLink) (same, inPlace bool) {
	return l.Equal(want), l.Name == want.Name
}

// On reports whether the link ends with another one, that below it.
func (l *MadeLink) On(link int) bool { return l.Base == link }

// Kind is what kind of [Object] it is.
func (*MadeLink) Kind() string { return "link" }

const (
	ipvlanL2 = 0 // IPVLAN_MODE_L2

	linkModeAttr  = 1 // IFLA_MACVLAN_MODE, IFLA_IPVLAN_MODE
	linkFlagsAttr = 2 // IFLA_IPVLAN_FLAGS
)

// Encode appends the body of a request. A removal puts the link into its group of
// removal.
func (l *MadeLink) Encode(op Op, b []byte) ([]byte, nl.Request) {
	r := nl.Request{Type: unix.RTM_NEWLINK}
	var up uint32
	if op == Replace && l.Up {
		up = unix.IFF_UP
	}
	// struct ifinfomsg: family, type, index, flags, change
	b = append(b, unix.AF_UNSPEC, 0, 0, 0)
	b = native.AppendUint32(b, uint32(l.Index))
	b = native.AppendUint32(b, up)
	b = native.AppendUint32(b, up)
	if l.Index == 0 || op == Add {
		b = nl.AppendString(b, unix.IFLA_IFNAME, l.Name)
	}
	switch op {
	case Remove:
		return nl.AppendUint32(b, unix.IFLA_GROUP, l.Removal), r
	case Replace:
		b = nl.AppendString(b, unix.IFLA_IFALIAS, LinkAlias)
		b = nl.AppendUint32(b, unix.IFLA_GROUP, l.Group)
		b = nl.AppendUint32(b, unix.IFLA_MTU, uint32(l.MTU))
		b = nl.AppendUint32(b, unix.IFLA_MASTER, uint32(l.Master))
		if l.Type == KindIPVLAN {
			b = l.appendInfo(b)
		}
		return b, r
	}
	r.Flags = unix.NLM_F_CREATE | unix.NLM_F_EXCL
	return l.appendMaking(b), r
}

// appendMaking appends what only a new link is given.
func (l *MadeLink) appendMaking(b []byte) []byte {
	b = nl.AppendUint32(b, unix.IFLA_LINK, uint32(l.Base))
	b = nl.AppendUint32(b, unix.IFLA_GROUP, l.Group)
	if l.Master != 0 {
		b = nl.AppendUint32(b, unix.IFLA_MASTER, uint32(l.Master))
	}
	if l.Type == KindMACVLAN {
		b = nl.AppendAttr(b, unix.IFLA_ADDRESS, l.HardwareAddr[:])
	}
	return l.appendInfo(b)
}

// appendInfo appends what only links of the type have.
func (l *MadeLink) appendInfo(b []byte) []byte {
	var data []byte
	if l.Type == KindMACVLAN {
		data = nl.AppendUint32(data, linkModeAttr, MACVLANPrivate)
	} else {
		data = nl.AppendAttr(data, linkModeAttr, native.AppendUint16(nil, ipvlanL2))
		data = nl.AppendAttr(data, linkFlagsAttr, native.AppendUint16(nil, l.Flags))
	}
	info := nl.AppendString(nil, unix.IFLA_INFO_KIND, l.Type)
	return nl.AppendAttr(b, unix.IFLA_LINKINFO, nl.AppendAttr(info, unix.IFLA_INFO_DATA, data))
}

// Held reads the links of these kinds that the kernel holds, as far as it lists them.
func (*MadeLink) Held(c *Conn) Finder {
	links, _ := c.Links()
	var made []MadeLink
	for i := range links {
		if _, ok := links[i].MadeKey(); ok {
			made = append(made, links[i].Made())
		}
	}
	return NewFinder[MadeLink, LinkKey](made)
}

// Foreign reports whether the link was certainly not made by us. That is decided
// elsewhere: the alias is set later.
func (*MadeLink) Foreign() bool { return false }

// Gone reports whether the refusal of a removal means that the link is gone.
func (*MadeLink) Gone(refusal error) bool { return errors.Is(refusal, unix.ENODEV) }

// Remedy is what to do about a refusal to make the link, after a semicolon; empty: that is
// not known.
func (l *MadeLink) Remedy(refusal error) string {
	switch {
	case errors.Is(refusal, unix.EOPNOTSUPP):
		return "; this kernel lacks it: use one with CONFIG_" + strings.ToUpper(l.Type)
	case errors.Is(refusal, unix.EBUSY):
		return "; a link has either macvlans or ipvlans above it, and none as part of a bridge or bond"
	}
	return ""
}

// OnLink is the index of the link below.
func (l *MadeLink) OnLink() int { return l.Base }

// Head is that of [Keyed]: the kernel removes no link of these kinds with another one.
func (*MadeLink) Head() (k LinkKey, ok bool) { return }

// Follows is like [MadeLink.Head].
func (*MadeLink) Follows() (k LinkKey, ok bool) { return }

// Text prints "macvlan vrrp.51".
func (l *MadeLink) Text() string { return l.Type + " " + l.Name }

// Attributes prints what is asked for beyond the name, in the words of ip(8).
func (l *MadeLink) Attributes() string {
	var words []string
	if l.Type == KindMACVLAN {
		words = append(words, fmt.Sprintf("address %02x:%02x:%02x:%02x:%02x:%02x", l.HardwareAddr[0], l.HardwareAddr[1],
			l.HardwareAddr[2], l.HardwareAddr[3], l.HardwareAddr[4], l.HardwareAddr[5]), "mode private")
	} else {
		words = append(words, "mode l2", []string{"bridge", "private", "vepa"}[min(l.Flags, 2)])
	}
	if l.Master != 0 {
		words = append(words, "master", strconv.Itoa(l.Master))
	}
	if l.Group != 0 {
		words = append(words, "group", strconv.FormatUint(uint64(l.Group), 10))
	}
	if l.Up {
		words = append(words, "up")
	}
	return strings.Join(words, " ")
}

// LinkGroup is a group of links, an [Object] that can only be removed: with all its
// links. For a hundred the kernel needs hardly longer than for one.
type LinkGroup uint32

// Kind is what kind of [Object] it is.
func (LinkGroup) Kind() string { return "group of links" }

// Encode appends the body of the request to remove all links of the group.
func (g LinkGroup) Encode(_ Op, b []byte) ([]byte, nl.Request) {
	return nl.AppendUint32(appendLinkHeader(b, 0), unix.IFLA_GROUP, uint32(g)), nl.Request{Type: unix.RTM_DELLINK}
}

// Held is nothing: groups are not listed.
func (LinkGroup) Held(*Conn) Finder { return func(Object) (Requested, bool) { return nil, false } }

// Foreign is that of [Requested].
func (LinkGroup) Foreign() bool { return false }

// Gone reports whether the refusal of a removal means that no link is in the group.
func (LinkGroup) Gone(refusal error) bool { return errors.Is(refusal, unix.ENODEV) }

// OnLink is that of [Object]: the group is not on a link.
func (LinkGroup) OnLink() int { return 0 }

// Text prints "group of links 7".
func (g LinkGroup) Text() string { return fmt.Sprintf("%s %d", g.Kind(), uint32(g)) }

// Attributes is that of [Object].
func (LinkGroup) Attributes() string { return "" }

// LinkReport is an [Object] that can only be added: a link, in the group in which it is
// already. It has the kernel report the link once more, as it is.
type LinkReport struct {
	Index int
	Group uint32
}

// Kind is what kind of [Object] it is.
func (LinkReport) Kind() string { return "report" }

// Encode appends the body of the request to put the link into its group.
func (r LinkReport) Encode(_ Op, b []byte) ([]byte, nl.Request) {
	return nl.AppendUint32(appendLinkHeader(b, r.Index), unix.IFLA_GROUP, r.Group), nl.Request{Type: unix.RTM_SETLINK}
}

// Held is nothing: reports are not listed.
func (LinkReport) Held(*Conn) Finder { return func(Object) (Requested, bool) { return nil, false } }

// Foreign is that of [Requested].
func (LinkReport) Foreign() bool { return false }

// Gone is that of [Requested]: reports are not removed.
func (LinkReport) Gone(error) bool { return true }

// OnLink is the index of the link.
func (r LinkReport) OnLink() int { return r.Index }

// Text prints "report".
func (r LinkReport) Text() string { return r.Kind() }

// Attributes is that of [Object].
func (LinkReport) Attributes() string { return "" }

// DecodeMadeLink decodes the body of a request to add a link: see [MadeLink.Encode].
func DecodeMadeLink(body []byte, names nl.Names) (MadeLink, bool) {
	l, ok := decodeAnyLink(body, names)
	_, made := l.MadeKey()
	return l.Made(), ok && made
}

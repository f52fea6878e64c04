package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// AddrProto marks the addresses we set (IFA_PROTO, kernel 5.18 and later;
// older ones ignore it and report 0). It is the number that rtnetlink reserves
// for keepalived's routes.
const AddrProto = unix.RTPROT_KEEPALIVED

// Forever is a lifetime without end.
const Forever = ^uint32(0)

const ifaProto = 11 // IFA_PROTO, not yet in x/sys

// Addr is an address of a link, as held by the kernel or as wished. It is a
// comparable value.
type Addr struct {
	Link   int          // index
	Prefix netip.Prefix // the local address and its prefix length

	// Peer is the other end of a point-to-point address; its prefix length is
	// then that of the address, whatever Prefix contains.
	Peer      netip.Prefix
	Broadcast netip.Addr // IPv4 only; zero: none
	Label     string     // IPv4 only, at most 15 bytes; empty: the kernel takes the link's name
	Scope     uint8      // RT_SCOPE_*; IPv4 only, with IPv6 it follows from the address
	Proto     uint8      // who set it; AddrProto is us
	Flags     uint32     // IFA_F_*: what was asked for and, in reports, the state

	// Lifetimes in seconds, Forever or the rest that is left. ValidLft 0 says
	// that none was asked for: both are Forever. A PreferredLft of 0 with a
	// ValidLft makes an address that is not chosen as source.
	ValidLft, PreferredLft uint32
}

// Key identifies an address.
type Key struct {
	Link   int
	Prefix netip.Prefix
}

// Key returns the address's identity.
func (a Addr) Key() Key { return Key{a.Link, a.prefix()} }

// prefix is Prefix with the prefix length that counts.
func (a *Addr) prefix() netip.Prefix {
	if a.Peer.IsValid() {
		return netip.PrefixFrom(a.Prefix.Addr(), a.Peer.Bits())
	}
	return a.Prefix
}

// What can be asked for per family. The other flags are the kernel's account
// of the address's state.
const (
	askable4 = unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_MCAUTOJOIN
	askable6 = unix.IFA_F_NODAD | unix.IFA_F_HOMEADDRESS | unix.IFA_F_MANAGETEMPADDR |
		unix.IFA_F_NOPREFIXROUTE | unix.IFA_F_MCAUTOJOIN
)

// Tentative reports whether duplicate address detection has not finished.
func (a Addr) Tentative() bool {
	return a.Flags&unix.IFA_F_TENTATIVE != 0 && a.Flags&unix.IFA_F_OPTIMISTIC == 0
}

// DADFailed reports whether another node was found to hold the address.
func (a Addr) DADFailed() bool { return a.Flags&unix.IFA_F_DADFAILED != 0 }

// wish returns the address reduced to what the kernel lets one ask for, in one
// form.
func (a Addr) wish() Addr {
	a.Prefix = a.prefix()
	if a.Peer.Addr() == a.Prefix.Addr() {
		a.Peer = netip.Prefix{}
	}
	if a.ValidLft == 0 {
		a.ValidLft, a.PreferredLft = Forever, Forever
	}
	if a.Prefix.Addr().Is6() {
		a.Flags &= askable6
		a.Broadcast, a.Label, a.Scope = netip.Addr{}, "", 0
		return a
	}
	a.Flags &= askable4
	if a.ValidLft == Forever && a.PreferredLft != 0 {
		a.PreferredLft = Forever // it would never run out, nor be reported
	}
	return a
}

// Compare reports whether a is what want asks for and, if not, whether the kernel
// can turn the one into the other in place. Both must have the same Key. Who set
// the address does not count: kernels before 5.18 cannot report it.
func (a *Addr) Compare(want *Addr) (same, inPlace bool) {
	h, w := a.wish(), want.wish()
	if h.Label != w.Label && (w.Label != "" || strings.Contains(h.Label, ":")) {
		// A label the kernel chose is the name of a link, and that has no colon.
		return false, false
	}
	if h.Peer != w.Peer || h.Broadcast != w.Broadcast || h.Scope != w.Scope {
		return false, false
	}
	if h.Flags != w.Flags {
		// IPv4 keeps the flags of the beginning; IPv6 does not join or leave
		// groups later.
		inPlace = w.Prefix.Addr().Is6() && (h.Flags^w.Flags)&unix.IFA_F_MCAUTOJOIN == 0
		return false, inPlace
	}
	same = sameLifetime(h.ValidLft, w.ValidLft) && sameLifetime(h.PreferredLft, w.PreferredLft)
	return same, true
}

// sameLifetime compares a lifetime that runs with a wanted one. The rest of a
// lifetime is equal to the whole, so that a reload does not start it again.
func sameLifetime(have, want uint32) bool {
	limited := func(t uint32) bool { return t != 0 && t != Forever }
	return have == want || limited(have) && limited(want) && have <= want
}

// DecodeAddr decodes the body of RTM_NEWADDR or RTM_DELADDR; it is false for
// what is no IPv4 or IPv6 address.
func DecodeAddr(body []byte, names nl.Names) (Addr, bool) {
	if len(body) < unix.SizeofIfAddrmsg {
		return Addr{}, false
	}
	family, bits := body[0], int(body[1])
	a := Addr{
		Link:  int(native.Uint32(body[4:])),
		Flags: uint32(body[2]),
		Scope: body[3],
		// What the kernel does not mention does not end.
		ValidLft: Forever, PreferredLft: Forever,
	}
	var local, address netip.Addr
	attrs := body[unix.SizeofIfAddrmsg:]
	for {
		typ, v, rest, ok := nl.NextAttr(attrs)
		if !ok {
			break
		}
		attrs = rest
		switch typ {
		case unix.IFA_LOCAL:
			local = nl.IP(family, v)
		case unix.IFA_ADDRESS:
			address = nl.IP(family, v)
		case unix.IFA_BROADCAST:
			a.Broadcast = nl.IP(family, v)
		case unix.IFA_LABEL:
			a.Label = names.Of(v)
		case unix.IFA_FLAGS:
			a.Flags = nl.Uint32(v)
		case ifaProto:
			if len(v) > 0 {
				a.Proto = v[0]
			}
		case unix.IFA_CACHEINFO: // struct ifa_cacheinfo: preferred, valid, created, updated
			if len(v) >= 8 {
				a.PreferredLft, a.ValidLft = native.Uint32(v), native.Uint32(v[4:])
			}
		}
	}
	if !local.IsValid() { // IPv6 without a peer has only IFA_ADDRESS
		local = address
	}
	a.Prefix = netip.PrefixFrom(local, bits)
	if address.IsValid() && address != local {
		a.Peer = netip.PrefixFrom(address, bits)
	}
	if family == unix.AF_INET && a.Flags&unix.IFA_F_DEPRECATED != 0 {
		a.PreferredLft = 0 // reported as endless if the address is
	}
	return a, a.Prefix.IsValid() && a.Link > 0
}

// appendAddr appends the body of RTM_NEWADDR; with only its identity, that of
// RTM_DELADDR.
func appendAddr(b []byte, addr *Addr, identityOnly bool) []byte {
	a := addr.wish()
	ip := a.Prefix.Addr()
	family := byte(unix.AF_INET6)
	if ip.Is4() {
		family = unix.AF_INET
	}
	// struct ifaddrmsg: family, prefix length, flags, scope, link
	b = append(b, family, byte(a.Prefix.Bits()), byte(a.Flags), a.Scope)
	b = native.AppendUint32(b, uint32(a.Link))
	b = nl.AppendIP(b, unix.IFA_LOCAL, ip)
	if a.Peer.IsValid() {
		b = nl.AppendIP(b, unix.IFA_ADDRESS, a.Peer.Addr())
	} else {
		b = nl.AppendIP(b, unix.IFA_ADDRESS, ip)
	}
	if identityOnly {
		return b
	}
	if a.Broadcast.IsValid() {
		b = nl.AppendIP(b, unix.IFA_BROADCAST, a.Broadcast)
	}
	if a.Label != "" {
		b = nl.AppendString(b, unix.IFA_LABEL, a.Label)
	}
	if a.Flags != 0 {
		b = nl.AppendUint32(b, unix.IFA_FLAGS, a.Flags)
	}
	if a.Proto != 0 {
		b = nl.AppendAttr(b, ifaProto, []byte{a.Proto})
	}
	// Always sent: a replacement without it would not make a lifetime endless.
	b = native.AppendUint16(b, unix.SizeofRtAttr+16)
	b = native.AppendUint16(b, unix.IFA_CACHEINFO)
	b = native.AppendUint32(b, a.PreferredLft)
	b = native.AppendUint32(b, a.ValidLft)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
}

// Kind is what kind of [Object] an address is.
func (*Addr) Kind() string { return "address" }

// OnLink is the index of the address's link.
func (a *Addr) OnLink() int { return a.Link }

// Foreign reports whether the address does not have our mark, which this kernel
// would have kept.
func (a *Addr) Foreign() bool { return a.Proto != AddrProto && MarksAddresses() }

// Encode appends the body of a request.
func (a *Addr) Encode(op Op, b []byte) ([]byte, nl.Request) {
	r := nl.Request{Type: unix.RTM_NEWADDR}
	switch op {
	case Add:
		// By the mark [Watch] knows the events that additions cause.
		r.Flags, r.Quiet = unix.NLM_F_CREATE|unix.NLM_F_EXCL, true
	case Replace:
		r.Flags = unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	case Remove:
		r.Type = unix.RTM_DELADDR
	}
	return appendAddr(b, a, op == Remove), r
}

// Held reads the addresses that the kernel holds, as far as it lists them.
func (*Addr) Held(c *Conn) Finder {
	addrs, _ := c.Addrs()
	return NewFinder[Addr, Key](addrs)
}

// Gone reports whether the refusal of a removal means that the address or its
// link is gone.
func (*Addr) Gone(refusal error) bool {
	return errors.Is(refusal, unix.EADDRNOTAVAIL) || errors.Is(refusal, unix.ENODEV)
}

// DiffAddrs is [Diff] of addresses.
func DiffAddrs(have, want []Addr) []Change { return Diff[Addr, Key](have, want) }

// Head is the subnet that a primary address of IPv4 takes along, if the link does
// not have promote_secondaries.
func (a *Addr) Head() (Key, bool) {
	return a.subnet(), a.Prefix.Addr().Is4() && a.Flags&unix.IFA_F_SECONDARY == 0
}

// Follows is the subnet of a secondary address of IPv4.
func (a *Addr) Follows() (Key, bool) {
	return a.subnet(), a.Prefix.Addr().Is4() && a.Flags&unix.IFA_F_SECONDARY != 0
}

// subnet is what primary and secondary addresses have in common.
func (a *Addr) subnet() Key {
	network := a.Prefix
	if a.Peer.IsValid() {
		network = a.Peer
	}
	return Key{a.Link, netip.PrefixFrom(network.Addr(), network.Bits()).Masked()}
}

// Text prints "192.0.2.10/24" or "192.0.2.1 peer 192.0.2.2/24".
func (a *Addr) Text() string {
	w := a.wish()
	if w.Peer.IsValid() {
		return fmt.Sprintf("%v peer %v", w.Prefix.Addr(), w.Peer)
	}
	return w.Prefix.String()
}

// Equal reports whether both addresses are the same.
func (a *Addr) Equal(other *Addr) bool { return *a == *other }

// On reports whether the address is one of a link.
func (a *Addr) On(link int) bool { return a.Link == link }

// Attributes prints what is asked for beyond the address, in the words of ip(8);
// nothing if there is nothing.
func (a *Addr) Attributes() string {
	w := a.wish()
	var words []string
	if w.Broadcast.IsValid() {
		words = append(words, "brd", w.Broadcast.String())
	}
	if w.Label != "" {
		words = append(words, "label", w.Label)
	}
	switch w.Scope {
	case unix.RT_SCOPE_UNIVERSE:
	case unix.RT_SCOPE_SITE:
		words = append(words, "scope", "site")
	case unix.RT_SCOPE_LINK:
		words = append(words, "scope", "link")
	case unix.RT_SCOPE_HOST:
		words = append(words, "scope", "host")
	default:
		words = append(words, "scope", strconv.Itoa(int(w.Scope)))
	}
	for _, f := range []struct {
		flag uint32
		word string
	}{
		{unix.IFA_F_NODAD, "nodad"},
		{unix.IFA_F_HOMEADDRESS, "home"},
		{unix.IFA_F_MANAGETEMPADDR, "mngtmpaddr"},
		{unix.IFA_F_NOPREFIXROUTE, "noprefixroute"},
		{unix.IFA_F_MCAUTOJOIN, "autojoin"},
	} {
		if w.Flags&f.flag != 0 {
			words = append(words, f.word)
		}
	}
	for _, l := range []struct {
		word string
		time uint32
	}{{"valid_lft", w.ValidLft}, {"preferred_lft", w.PreferredLft}} {
		if l.time != Forever {
			words = append(words, l.word, strconv.FormatUint(uint64(l.time), 10))
		}
	}
	return strings.Join(words, " ")
}

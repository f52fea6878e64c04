package kernel

import (
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
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
	// then that of the address, whatever Prefix says.
	Peer      netip.Prefix
	Broadcast netip.Addr // IPv4 only; zero: none
	Label     string     // IPv4 only, at most 15 bytes; empty: the kernel takes the link's name
	Scope     uint8      // RT_SCOPE_*; IPv4 only, with IPv6 it follows from the address
	Flags     uint32     // IFA_F_*: what was asked for and, in reports, the state
	Proto     uint8      // who set it; AddrProto is us

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

// compare says whether have is what want asks for and, if not, whether the
// kernel can turn the one into the other in place. Both must have the same Key.
// Who set the address does not count: kernels before 5.18 cannot say.
func compare(have, want Addr) (same, inPlace bool) {
	h, w := have.wish(), want.wish()
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

// sameLifetime compares a lifetime that runs with one that is asked for: a
// rest is as good as the whole, so that a reload does not start it anew.
func sameLifetime(have, want uint32) bool {
	limited := func(t uint32) bool { return t != 0 && t != Forever }
	return have == want || limited(have) && limited(want) && have <= want
}

// decodeAddr decodes the body of RTM_NEWADDR or RTM_DELADDR; it is false for
// what is no IPv4 or IPv6 address.
func decodeAddr(body []byte, names names) (Addr, bool) {
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
		typ, v, rest, ok := nextAttr(attrs)
		if !ok {
			break
		}
		attrs = rest
		switch typ {
		case unix.IFA_LOCAL:
			local = attrIP(family, v)
		case unix.IFA_ADDRESS:
			address = attrIP(family, v)
		case unix.IFA_BROADCAST:
			a.Broadcast = attrIP(family, v)
		case unix.IFA_LABEL:
			a.Label = names.of(v)
		case unix.IFA_FLAGS:
			a.Flags = attrUint32(v)
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
func appendAddr(b []byte, addr Addr, identityOnly bool) []byte {
	a := addr.wish()
	ip := a.Prefix.Addr()
	family := byte(unix.AF_INET6)
	if ip.Is4() {
		family = unix.AF_INET
	}
	// struct ifaddrmsg: family, prefix length, flags, scope, link
	b = append(b, family, byte(a.Prefix.Bits()), byte(a.Flags), a.Scope)
	b = native.AppendUint32(b, uint32(a.Link))
	b = appendAttrIP(b, unix.IFA_LOCAL, ip)
	if a.Peer.IsValid() {
		b = appendAttrIP(b, unix.IFA_ADDRESS, a.Peer.Addr())
	} else {
		b = appendAttrIP(b, unix.IFA_ADDRESS, ip)
	}
	if identityOnly {
		return b
	}
	if a.Broadcast.IsValid() {
		b = appendAttrIP(b, unix.IFA_BROADCAST, a.Broadcast)
	}
	if a.Label != "" {
		b = appendAttrString(b, unix.IFA_LABEL, a.Label)
	}
	if a.Flags != 0 {
		b = appendAttrUint32(b, unix.IFA_FLAGS, a.Flags)
	}
	if a.Proto != 0 {
		b = appendAttr(b, ifaProto, []byte{a.Proto})
	}
	// Always sent: a replacement without it would not make a lifetime endless.
	b = native.AppendUint16(b, unix.SizeofRtAttr+16)
	b = native.AppendUint16(b, unix.IFA_CACHEINFO)
	b = native.AppendUint32(b, a.PreferredLft)
	b = native.AppendUint32(b, a.ValidLft)
	return append(b, 0, 0, 0, 0, 0, 0, 0, 0)
}

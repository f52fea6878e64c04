package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// forever is a lifetime without end.
const forever = ^uint32(0)

const addressArgs = "ADDR[/LEN] [dev IFNAME] [brd ADDR|+|-] [label NAME] [scope SCOPE] [peer ADDR] [home] [-nodad] " +
	"[mngtmpaddr] [noprefixroute] [autojoin] [no_track] [on_external_delete yield|restore|fault] [preferred_lft SECS|forever] [use_vmac]"

// addressBlock is a block with one address per line.
func addressBlock(path string, excluded bool) *block {
	b := &block{path: path}
	b.lines(func(d *decoder, s *Statement) { instanceAddress(d, s, excluded) },
		&Keyword{Name: "ADDRESS", Args: addressArgs, Initial: plain("/32 or /128 on the interface of the instance"), Doc: "an address and its options, one per line"})
	if excluded {
		return b // the same options
	}
	for _, o := range addressOptions {
		k := o
		k.Block, k.option = path+".ADDRESS", true
		if slices.Contains(ownOptions, k.Name) {
			k.own()
		}
		b.order = append(b.order, &k)
	}
	return b
}

// addressOptions are the options that may follow an address, for the manual.
var addressOptions = []Keyword{
	{Name: "dev", Args: "IFNAME", Initial: plain("that of the instance"), Doc: "interface to which the address is added"},
	{Name: "brd", Args: "ADDR|+|-", Initial: plain("none"), Doc: "IPv4 broadcast address; + is the last address of the network, - the first"},
	{Name: "broadcast", Args: "ADDR|+|-", Initial: plain("none"), Doc: "the same as brd"},
	{Name: "label", Args: "NAME", Initial: plain("none"), Doc: "label of an IPv4 address, such as eth0:web, at most 15 bytes"},
	{Name: "scope", Args: "SCOPE", Initial: plain("global"), Doc: "scope of an IPv4 address: global, site, link, host, nowhere or a number up to 255"},
	{Name: "peer", Args: "ADDR", Initial: plain("none"), Doc: "address at the other end of a point-to-point link"},
	{Name: "preferred_lft", Args: "SECS|forever", Initial: depends("forever; 0 with IPv6 and /128"), Doc: "how long an IPv6 address is a preferred source address; 0: the address is deprecated"},
	{Name: "home", Doc: "home address of a mobile IPv6 node"},
	{Name: "-nodad", Doc: "no duplicate address detection; virtual IPv6 addresses have none anyway"},
	{Name: "mngtmpaddr", Doc: "let the kernel create temporary addresses from the prefix (IPv6)"},
	{Name: "noprefixroute", Doc: "add no route to the network of the address"},
	{Name: "autojoin", Doc: "join the multicast group with this address"},
	{Name: "no_track", Doc: "its removal by another program does not cause FAULT"},
	{Name: "on_external_delete", Args: "yield|restore|fault", Initial: depends("that of the instance, or nothing"), Doc: onDeleteDoc},
	{Name: "use_vmac", Doc: "add it to a macvlan with the virtual MAC address"},
}

// ownOptions are the options of addresses, routes and rules that the C daemon lacks.
var ownOptions = []string{"on_external_delete"}

const (
	onDeleteDoc   = "when another program removes it: become backup, set it again and stay master, or stay in FAULT until a reload"
	onDeleteWords = "yield, restore or fault"
)

// onDelete is the value of a word of on_external_delete.
func onDelete(word string) (OnDelete, bool) {
	i := slices.Index(onDeletes[OnDeleteYield:], word)
	return OnDelete(i + 1), i >= 0
}

// instanceAddress takes a line of virtual_ipaddress or of
// virtual_ipaddress_excluded. The first decides the family of the instance.
func instanceAddress(d *decoder, s *Statement, excluded bool) {
	a, ok := d.address(s)
	if !ok {
		return
	}
	if !excluded {
		if !d.sameFamily(a.Prefix.Addr()) {
			d.wrong(s, 0, "address-family", "(%s): address family must match VRRP instance [%s] - ignoring", d.inst.Name, a.Prefix.Addr())
			return
		}
		d.inst.Addresses = append(d.inst.Addresses, a)
		return
	}
	d.inst.Excluded = append(d.inst.Excluded, a)
}

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return IPv4
	}
	return IPv6
}

// address reads ADDR[/LEN] and its options.
func (d *decoder) address(s *Statement) (Address, bool) {
	a := Address{Pos: s.Pos(0)}
	a.Pos.File = d.intern(a.Pos.File)
	addr, prefix, ok := d.prefix(s, 0)
	if !ok {
		d.wrong(s, 0, "bad-address", "VRRP parsed invalid IP %s. skipping IP...", printable(s.Words[0].Text))
		return a, false
	}
	a.Prefix = prefix
	var lifetime opt[uint32]
	brd, host := 0, "" // the word of the broadcast address, and how to compute it
	for i := 1; i < len(s.Words); i++ {
		option := s.Words[i].Text
		switch option {
		case "home":
			a.Home = true
			continue
		case "-nodad":
			a.NoDAD = true
			continue
		case "mngtmpaddr":
			a.MngTmpAddr = true
			continue
		case "noprefixroute":
			a.NoPrefixRoute = true
			continue
		case "autojoin":
			a.AutoJoin = true
			continue
		case "no_track":
			a.NoTrack = true
			continue
		case "use_vmac":
			a.UseVMAC = true
			continue
		case "dev", "brd", "broadcast", "label", "scope", "peer", "preferred_lft":
		case "on_external_delete":
			if d.inst == nil {
				d.wrong(s, i, "entry-word", "on_external_delete is only for addresses of an instance; static ones are always set again")
			}
		case "track_group":
			if d.inst != nil { // it tracks its own addresses
				d.addressOption(s, i)
				continue
			}
		default:
			d.addressOption(s, i)
			continue
		}
		i++
		if i == len(s.Words) {
			d.wrong(s, i-1, "missing-argument", "No %s parameter specified for %s - ignoring the address", option, printable(s.Words[0].Text))
			return a, false
		}
		value := s.Words[i].Text
		switch option {
		case "dev":
			if a.Interface != "" {
				d.wrong(s, i-1, "word-twice", "Cannot specify ipaddress device more than once for %s - ignoring the address", addr)
				return a, false
			}
			d.needInterface(s, i, "WARNING - interface %s for ip address "+addr.String()+" doesn't exist")
			a.Interface = d.intern(value)
		case "brd", "broadcast":
			switch {
			case addr.Is6():
				d.wrong(s, i, "broadcast", "broadcast address is not valid for IPv6 address %s - ignoring", addr)
			case value == "+", value == "-":
				brd, host = i, value
			default:
				b, err := netip.ParseAddr(value)
				if err != nil || !b.Is4() {
					d.wrong(s, i, "bad-address", "VRRP is trying to assign invalid broadcast %s. skipping VIP...", printable(value))
					return a, false
				}
				a.Broadcast, brd, host = b, i, ""
			}
		case "label":
			if addr.Is6() {
				d.reportAt(s.Place(i-1), Diagnostic{
					Severity: Error, Class: ClassOrdinary, Code: "label-ipv6",
					Message: fmt.Sprintf("Cannot specify label for IPv6 addresses (%s) - ignoring label", addr),
				})
				continue
			}
			if len(value) > 15 {
				d.wrong(s, i, "label", "label '%s' of ip address %s is longer than 15 characters - ignoring", printable(value), addr)
				continue
			}
			a.Label = d.intern(value)
		case "scope":
			scope, ok := parseScope(value)
			if !ok {
				d.wrong(s, i, "bad-scope", "Invalid scope '%s' specified for %s - ignoring; expected global, site, link, host, nowhere or a number up to 255", printable(value), addr)
				continue
			}
			if addr.Is4() { // the kernel itself decides how far an IPv6 address reaches
				a.Scope = scope
			}
		case "peer":
			peer, err := netip.ParseAddr(value)
			switch {
			case err != nil || peer.Zone() != "":
				d.wrong(s, i, "bad-address", "Invalid peer address %s - ignoring", printable(value))
			case peer.Is4() != addr.Is4():
				d.wrong(s, i, "entry-family", "Peer address %s does not match address family - ignoring", peer)
			case a.Peer.IsValid():
				d.wrong(s, i, "word-twice", "Peer %s - another peer has already been specified - ignoring", peer)
			default:
				a.Peer = netip.PrefixFrom(peer, peer.BitLen())
			}
		case "on_external_delete":
			if o, ok := onDelete(value); ok {
				a.OnDelete = o
			} else {
				d.wrong(s, i, "bad-choice", "on_external_delete %s of ip address %s - ignoring; expected %s", printable(value), addr, onDeleteWords)
			}
		case "preferred_lft":
			if value == "forever" {
				lifetime.put(forever)
				continue
			}
			n, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				d.wrong(s, i, "bad-number", "invalid number '%s' for preferred_lft", printable(value))
				continue
			}
			lifetime.put(uint32(n))
		}
	}
	if host != "" {
		a.Broadcast = netip.Addr{}
	}
	switch {
	case a.Peer.IsValid():
		// A point-to-point address: it has no network, and so no broadcast.
		if prefix.Bits() < addr.BitLen() {
			d.wrong(s, 0, "peer-prefix", "Cannot specify address prefix when specifying peer address - ignoring")
			a.Prefix = netip.PrefixFrom(addr, addr.BitLen())
		}
		if brd != 0 {
			d.wrong(s, brd, "peer-broadcast", "Cannot specify broadcast and peer addresses - ignoring broadcast address")
			a.Broadcast = netip.Addr{}
		}
	case host != "" && prefix.Bits() >= 31:
		d.wrong(s, brd, "broadcast-length", "Address prefix length %d too long for broadcast - ignoring", prefix.Bits())
	case host == "+":
		a.Broadcast = broadcast(prefix)
	case host == "-":
		a.Broadcast = prefix.Masked().Addr()
	}
	// Only IPv6 addresses have a lifetime.
	if a.PreferredLft = lifetime.v; addr.Is4() || !lifetime.set && a.Prefix.Bits() < 128 {
		a.PreferredLft = forever
	}
	return a, true
}

// addressOption reports a word that is no option of an address.
func (d *decoder) addressOption(s *Statement, word int) {
	option := s.Words[word].Text
	p := Diagnostic{
		Severity: Error, Class: ClassOrdinary, Code: "address-option",
		Message: fmt.Sprintf("Unknown configuration entry '%s' for ip address - ignoring", printable(option)),
		Fix:     "options are those of " + addressArgs[len("ADDR[/LEN] "):],
	}
	if _, err := netip.ParseAddr(strings.SplitN(option, "/", 2)[0]); err == nil {
		p.Fix = "write one address per line"
	}
	d.report(s, word, p)
}

// single reads a word that is one address, for what. What would make a network or
// a range of it is left out, as by the C daemon: an address that was refused for
// it would be a peer or a source that is missing.
func (d *decoder) single(s *Statement, word int, what string) (netip.Addr, bool) {
	text := s.Words[word].Text
	end := strings.IndexByte(text, '-')
	if end < 0 {
		end = strings.IndexByte(text, '/')
	}
	if end < 0 {
		addr, err := plainAddr(text)
		return addr, err == nil
	}
	addr, err := plainAddr(text[:end])
	if err != nil {
		return addr, false
	}
	d.report(s, word, Diagnostic{
		Severity: Warning, Class: ClassNone, Code: "address-suffix",
		Message: fmt.Sprintf("%s takes one address: '%s' after %s is ignored", what, printable(text[end:]), addr),
		Fix:     "write " + addr.String(), Edit: Edit{Old: d.intern(text), New: addr.String()},
	})
	return addr, true
}

// prefix reads ADDR[/LEN]. A bad length is reported and taken as that of a host.
func (d *decoder) prefix(s *Statement, word int) (netip.Addr, netip.Prefix, bool) {
	text, length, found := strings.Cut(s.Words[word].Text, "/")
	addr, err := netip.ParseAddr(text)
	if err != nil || addr.Zone() != "" || addr.Is4In6() {
		return addr, netip.Prefix{}, false
	}
	bits := addr.BitLen()
	if found {
		if n, err := strconv.ParseUint(length, 10, 31); err == nil && int(n) <= bits {
			bits = int(n)
		} else {
			d.wrong(s, word, "bad-prefix-use", "Invalid address prefix len %s for address %s - using %d", printable(length), printable(s.Words[word].Text), bits)
		}
	}
	return addr, netip.PrefixFrom(addr, bits), true
}

// broadcast is the last address of an IPv4 network.
func broadcast(p netip.Prefix) netip.Addr {
	b := p.Addr().As4()
	for i := range b {
		if n := p.Bits() - 8*i; n <= 0 {
			b[i] = 255
		} else if n < 8 {
			b[i] |= 255 >> n
		}
	}
	return netip.AddrFrom4(b)
}

// parseScope reads an rtnetlink scope by name or number.
func parseScope(s string) (uint8, bool) {
	switch s {
	case "global":
		return 0, true
	case "site":
		return 200, true
	case "link":
		return 253, true
	case "host":
		return 254, true
	case "nowhere":
		return 255, true
	}
	n, err := strconv.ParseUint(s, 0, 8)
	return uint8(n), err == nil
}

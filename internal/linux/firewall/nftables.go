package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nft"
)

// tables is the back end nftables. Its tables are those of the C daemon:
//
//	table ip NAME {
//		map vmac_map { type iface_index : iface_index; elements = { "vrrp.1" : "eth0" } }
//		set vips { type ipv4_addr; elements = { 10.0.0.100 } }
//		chain out {
//			type filter hook output priority filter - 1; policy accept;
//			ip protocol igmp meta oifkind "macvlan" dup to ip daddr device oif map @vmac_map drop
//			ip saddr @vips drop
//		}
//		chain in { type filter hook input priority filter - 1; policy accept; ip daddr @vips drop }
//	}
//
// In table ip6, neighbour discovery is accepted, and addresses of one link are dropped
// on that link only.
type tables struct {
	conn  *nft.Conn
	check *checker
	print [2]print // of the tables as they were made

	withoutDup bool // the kernel cannot duplicate packets; logged
}

func (*tables) name() string { return "nftables" }

func (*tables) absent(err error) bool { return nft.Unsupported(err) }

func (b *tables) close() {
	if b.conn != nil {
		b.conn.Close()
		b.conn = nil
	}
	b.check.close()
	b.check = nil
}

// commit implements [backend].
func (b *tables) commit(w *work) error {
	err := b.try(w)
	if err != nil && b.absent(err) && !b.withoutDup && w.table != nil && w.table.VMACs {
		b.withoutDup = true
		if err = b.try(w); err == nil {
			slog.Warn(fmt.Sprintf("firewall: reports of multicast groups leave by no link instead of the parents of macvlans: the kernel lacks nft_dup_%s (CONFIG_NFT_DUP_%s, since Linux 4.3)",
				protocolName(w.ipv6), protocolName(w.ipv6)))
		} else {
			b.withoutDup = false
		}
	}
	if err != nil {
		b.close() // it may be the connection
	}
	return err
}

func protocolName(ipv6 bool) string {
	if ipv6 {
		return "ipv6"
	}
	return "ipv4"
}

func (b *tables) try(w *work) error {
	if b.conn == nil {
		conn, err := nft.Dial(0)
		if err != nil {
			return err
		}
		b.conn = conn
	}
	var err error
	switch {
	case w.there != nil:
		for _, s := range b.sets(w.there) {
			err = errors.Join(err, b.conn.RemoveElements(s.set, s.elements(w.remove)), b.conn.AddElements(s.set, s.elements(w.add)))
		}
	default:
		f := familyNumber(w.ipv6)
		if w.left != nil {
			b.conn.RemoveTable(w.left.Name, f)
		}
		if w.table != nil {
			if w.left == nil || w.left.Name != w.table.Name {
				b.conn.RemoveTable(w.table.Name, f)
			}
			err = b.make(w.table, sorted(w.all))
		}
	}
	if err == nil {
		err = b.conn.Commit()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", w.subject().Text(), err)
	}
	if w.there == nil {
		b.print[index(w.ipv6)] = print{}
		if w.table != nil {
			b.print[index(w.ipv6)], err = b.readPrint(w.table)
		}
	}
	return err
}

func familyNumber(ipv6 bool) nftables.TableFamily {
	if ipv6 {
		return nftables.TableFamilyIPv6
	}
	return nftables.TableFamilyIPv4
}

// namedSet is a set or map of a table, and how entries are its elements.
type namedSet struct {
	set     *nftables.Set
	element func(Entry) (key, value []byte, ok bool)
}

func (s *namedSet) elements(entries []Entry) []nftables.SetElement {
	var all []nftables.SetElement
	for _, e := range entries {
		if key, value, ok := s.element(e); ok {
			all = append(all, nftables.SetElement{Key: key, Val: value})
		}
	}
	return all
}

const (
	setVIPs     = "vips"
	setOnLink   = "vips_link_local"
	setVMACs    = "vmac_map"
	setVMACOnly = "vmac_set"
	setND       = "neighbor-discovery"
	setMLD      = "mld-report"
)

// sets are the sets of a table whose elements change.
func (b *tables) sets(t *Table) []namedSet {
	table := &nftables.Table{Name: t.Name, Family: familyNumber(t.IPv6)}
	address := nftables.TypeIPAddr
	if t.IPv6 {
		address = nftables.TypeIP6Addr
	}
	set := func(name string, key nftables.SetDatatype) *nftables.Set {
		s := &nftables.Set{Table: table, Name: name, KeyType: key}
		if key == nftables.TypeIFIndex {
			s.KeyByteOrder = binaryutil.NativeEndian
		}
		return s
	}
	var all []namedSet
	if t.VMACs {
		s := set(setVMACs, nftables.TypeIFIndex)
		s.IsMap, s.DataType = true, nftables.TypeIFIndex
		all = append(all, namedSet{s, func(e Entry) ([]byte, []byte, bool) {
			return linkKey(e.Link), linkKey(e.Parent), e.Role == VMAC
		}})
		if t.IPv6 {
			all = append(all, namedSet{set(setVMACOnly, nftables.TypeIFIndex), func(e Entry) ([]byte, []byte, bool) {
				return linkKey(e.Link), nil, e.Role == VMAC
			}})
		}
	}
	all = append(all, namedSet{set(setVIPs, address), func(e Entry) ([]byte, []byte, bool) {
		return e.Addr.AsSlice(), nil, e.Role == Drop && e.Link == 0
	}})
	if !t.IPv6 {
		return all
	}
	s := set(setOnLink, nftables.MustConcatSetType(nftables.TypeIP6Addr, nftables.TypeIFIndex))
	s.Concatenation = true
	return append(all, namedSet{s, func(e Entry) ([]byte, []byte, bool) {
		return append(e.Addr.AsSlice(), linkKey(e.Link)...), nil, e.Role == Drop && e.Link != 0
	}})
}

func linkKey(link int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(link)) }

// nameKey is the name of a link as rules compare it.
func nameKey(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

// make adds the table, with its entries.
func (b *tables) make(t *Table, entries []Entry) error {
	c := b.conn
	table := c.AddTable(&nftables.Table{Name: t.Name, Family: familyNumber(t.IPv6)})
	var err error
	constant := func(name string, types ...byte) {
		s := &nftables.Set{Table: table, Name: name, KeyType: nftables.TypeICMP6Type, Constant: true}
		var all []nftables.SetElement
		for _, t := range types {
			all = append(all, nftables.SetElement{Key: []byte{t}})
		}
		err = errors.Join(err, c.AddSet(s, all))
	}
	for _, s := range b.sets(t) {
		err = errors.Join(err, c.AddSet(s.set, nil), c.AddElements(s.set, s.elements(entries)))
	}
	if t.IPv6 {
		constant(setND, icmpNS, icmpNA)
		if t.VMACs {
			constant(setMLD, icmpMLDReport, icmpMLDDone, icmpMLD2Report)
		}
	}
	base := func(name string, hook *nftables.ChainHook) *nftables.Chain {
		return c.AddChain(&nftables.Chain{Name: name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: hook,
			Priority: nftables.ChainPriorityRef(nftables.ChainPriority(t.Priority))})
	}
	out, in := base("out", nftables.ChainHookOutput), base("in", nftables.ChainHookInput)
	r := rules{t.IPv6, t.Counters}
	add := func(chain *nftables.Chain, exprs []expr.Any) {
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
	}
	if t.VMACs {
		add(out, r.reports(b.withoutDup))
	}
	if !t.IPv6 {
		add(out, r.verdict(expr.VerdictDrop, "", r.address(source), lookup(setVIPs)))
		add(in, r.verdict(expr.VerdictDrop, "", r.address(destination), lookup(setVIPs)))
		return err
	}
	inLocal, outLocal := c.AddChain(&nftables.Chain{Name: "in_link_local", Table: table}), c.AddChain(&nftables.Chain{Name: "out_link_local", Table: table})
	if t.VMACs {
		add(out, r.verdict(expr.VerdictDrop, "", r.icmp(icmpRS), r.macvlan(), meta(expr.MetaKeyOIF, first), lookup(setVMACOnly)))
	}
	for _, d := range []struct {
		chain, local *nftables.Chain
		direction
		link expr.MetaKey
	}{{out, outLocal, source, expr.MetaKeyOIF}, {in, inLocal, destination, expr.MetaKeyIIF}} {
		add(d.chain, r.verdict(expr.VerdictAccept, "", r.icmpAmong(setND)))
		add(d.chain, r.verdict(expr.VerdictGoto, d.local.Name, r.address(d.direction), linkLocal()))
		add(d.chain, r.verdict(expr.VerdictDrop, "", r.address(d.direction), lookup(setVIPs)))
		add(d.local, r.verdict(expr.VerdictDrop, "", r.address(d.direction), meta(d.link, afterAddress), lookup(setOnLink)))
	}
	return err
}

// Types of ICMPv6.
const (
	icmpMLDReport  = 131
	icmpMLDDone    = 132
	icmpRS         = 133
	icmpNS         = 135
	icmpNA         = 136
	icmpMLD2Report = 143
)

// Registers of an address, of what follows an address of IPv6 in a key, and of another
// value.
const (
	first        = unix.NFT_REG_1
	afterAddress = unix.NFT_REG32_04
	second       = unix.NFT_REG_2
)

const metaOIFKind expr.MetaKey = 27 // NFT_META_OIFKIND, not in x/sys

type direction bool

const (
	source      direction = false
	destination direction = true
)

// rules makes the rules of a family.
type rules struct{ ipv6, counters bool }

// verdict is a rule: conditions, a counter if those are wanted, and what is done.
func (r rules) verdict(kind expr.VerdictKind, chain string, conditions ...[]expr.Any) []expr.Any {
	all := slices.Concat(conditions...)
	if r.counters {
		all = append(all, &expr.Counter{})
	}
	return append(all, &expr.Verdict{Kind: kind, Chain: chain})
}

func (r rules) address(d direction) []expr.Any {
	p := &expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}
	if r.ipv6 {
		p.Offset, p.Len = 8, 16
	}
	if d == destination {
		p.Offset += p.Len
	}
	return []expr.Any{p}
}

func lookup(set string) []expr.Any {
	return []expr.Any{&expr.Lookup{SourceRegister: first, SetName: set}}
}

func meta(key expr.MetaKey, register uint32) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: register}}
}

func equal(data ...byte) expr.Any {
	return &expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: data}
}

// macvlan is meta oifkind "macvlan".
func (r rules) macvlan() []expr.Any {
	return append(meta(metaOIFKind, first), equal(nameKey("macvlan")...))
}

// linkLocal is fe80::/10 of the address.
func linkLocal() []expr.Any {
	mask, prefix := make([]byte, 16), make([]byte, 16)
	mask[0], mask[1], prefix[0], prefix[1] = 0xff, 0xc0, 0xfe, 0x80
	return []expr.Any{
		&expr.Bitwise{SourceRegister: first, DestRegister: first, Len: 16, Mask: mask, Xor: make([]byte, 16)},
		equal(prefix...),
	}
}

// icmpType loads the type of an ICMPv6 message.
func icmpType() []expr.Any {
	return append(meta(expr.MetaKeyL4PROTO, first), equal(unix.IPPROTO_ICMPV6),
		&expr.Payload{DestRegister: first, Base: expr.PayloadBaseTransportHeader, Len: 1})
}

func (r rules) icmp(typ byte) []expr.Any { return append(icmpType(), equal(typ)) }

func (r rules) icmpAmong(set string) []expr.Any { return append(icmpType(), lookup(set)...) }

// reports is the rule for reports of multicast groups: they leave by the parents.
func (r rules) reports(withoutDup bool) []expr.Any {
	var which []expr.Any
	if r.ipv6 {
		which = r.icmpAmong(setMLD)
	} else {
		which = []expr.Any{&expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: 9, Len: 1}, equal(unix.IPPROTO_IGMP)}
	}
	parent := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyOIF, Register: second},
		&expr.Lookup{SourceRegister: second, DestRegister: second, IsDestRegSet: true, SetName: setVMACs},
		&expr.Dup{RegAddr: first, RegDev: second, IsRegDevSet: true},
	}
	if withoutDup {
		parent = parent[:2]
	}
	return r.verdict(expr.VerdictDrop, "", which, r.macvlan(), r.address(destination), parent)
}

// Package fwmark keeps a table of nftables that gives packets to addresses of this
// machine a firewall mark, by which the kernel's load balancer knows its services:
//
//	table ip NAME {
//		map tcp_map { type ipv4_addr . inet_service : mark; flags interval; elements = { 10.0.0.1 . 80 : 1000 } }
//		chain in {
//			type filter hook input priority -1;
//			meta mark set ip daddr . tcp dport map @tcp_map return
//		}
//	}
//
// and the same in table ip6 NAME. Each change is one transaction of the kernel:
// packets see all of the old marks or all of the new ones. Other tables are not
// touched.
package fwmark

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nft"
)

// Table is what a table shall be.
type Table struct {
	Name     string
	Priority int32 // of its chain, among those of the input hook; 0 is that of filter
	Counters bool  // count the packets of each rule and range, until the next Replace
	Ranges   []Range
}

// Range is addresses whose packets get a mark. No two of one protocol and port may
// overlap.
type Range struct {
	Protocol    uint8      // unix.IPPROTO_TCP, _UDP or _SCTP
	First, Last netip.Addr // of one family, without zone
	Port        uint16     // 0: every port that has no Range of its own
	Mark        uint32
}

// maps are the maps of a table in the order of their rules: those of every port last.
var maps = []struct {
	name     string
	protocol uint8
	every    bool
}{
	{"tcp_map", unix.IPPROTO_TCP, false}, {"udp_map", unix.IPPROTO_UDP, false}, {"sctp_map", unix.IPPROTO_SCTP, false},
	{"tcp_every_map", unix.IPPROTO_TCP, true}, {"udp_every_map", unix.IPPROTO_UDP, true}, {"sctp_every_map", unix.IPPROTO_SCTP, true},
}

// Conn is a connection to the nftables of a network namespace.
type Conn struct{ conn *nft.Conn }

// Dial opens a connection, in the network namespace with a descriptor; 0: this one.
func Dial(netns int) (*Conn, error) {
	c, err := nft.Dial(netns)
	if err != nil {
		return nil, err
	}
	return &Conn{c}, nil
}

// Close closes the connection. The tables stay.
func (c *Conn) Close() error { return c.conn.Close() }

// Replace makes t the table of its name, and removes the one named old, unless that is
// empty, in one transaction. Without ranges of a family there is no table of it.
func (c *Conn) Replace(t *Table, old string) error {
	for _, f := range []nftables.TableFamily{nftables.TableFamilyIPv4, nftables.TableFamilyIPv6} {
		if old != "" {
			c.conn.RemoveTable(old, f)
		}
		four := f == nftables.TableFamilyIPv4
		var ranges []Range
		for _, r := range t.Ranges {
			if r.First.Is4() == four {
				ranges = append(ranges, r)
			}
		}
		if len(ranges) == 0 {
			continue
		}
		if t.Name != old {
			c.conn.RemoveTable(t.Name, f)
		}
		if err := c.add(t, f, ranges); err != nil {
			return err
		}
	}
	if err := c.conn.Commit(); err != nil {
		return fmt.Errorf("table %s: %w", t.Name, err)
	}
	return nil
}

// Remove removes the table of a name, if there is one.
func (c *Conn) Remove(name string) error { return c.Replace(&Table{Name: name}, name) }

func (c *Conn) add(t *Table, f nftables.TableFamily, ranges []Range) error {
	table := c.conn.AddTable(&nftables.Table{Name: t.Name, Family: f})
	chain := c.conn.AddChain(&nftables.Chain{
		Name: "in", Table: table, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityRef(nftables.ChainPriority(t.Priority)),
	})
	address := nftables.TypeIPAddr
	if f == nftables.TableFamilyIPv6 {
		address = nftables.TypeIP6Addr
	}
	for _, m := range maps {
		var elements []nftables.SetElement
		for _, r := range ranges {
			if r.Protocol == m.protocol && (r.Port == 0) == m.every {
				elements = append(elements, element(&r, t.Counters))
			}
		}
		if len(elements) == 0 {
			continue
		}
		set := &nftables.Set{
			Table: table, Name: m.name, IsMap: true, Interval: true, Concatenation: true, Counter: t.Counters,
			KeyType: nftables.MustConcatSetType(address, nftables.TypeInetService), DataType: nftables.TypeMark,
		}
		if err := c.conn.AddSet(set, nil); err != nil {
			return fmt.Errorf("nftables: map %s: %w", m.name, err)
		}
		if err := c.conn.AddElements(set, elements); err != nil {
			return err
		}
		c.conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: rule(f, m.protocol, set, t.Counters)})
	}
	return nil
}

// element is a range in a map.
func element(r *Range, counter bool) nftables.SetElement {
	first, last := r.Port, r.Port
	if r.Port == 0 {
		last = 0xffff
	}
	e := nftables.SetElement{Key: key(r.First, first), KeyEnd: key(r.Last, last), Val: binary.BigEndian.AppendUint32(nil, r.Mark)}
	if counter {
		e.Counter = &expr.Counter{}
	}
	return e
}

// key is an address and a port, each of which takes whole registers of four bytes.
func key(a netip.Addr, port uint16) []byte {
	return append(binary.BigEndian.AppendUint16(a.AsSlice(), port), 0, 0)
}

// rule is meta mark set ip daddr . tcp dport map @set return, with a counter.
func rule(f nftables.TableFamily, protocol uint8, set *nftables.Set, counter bool) []expr.Any {
	const (
		first      = unix.NFT_REG_1
		afterFour  = unix.NFT_REG32_01
		afterSix   = unix.NFT_REG32_04
		portOffset = 2
	)
	address := &expr.Payload{DestRegister: first, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}
	port := &expr.Payload{DestRegister: afterFour, Base: expr.PayloadBaseTransportHeader, Offset: portOffset, Len: 2}
	if f == nftables.TableFamilyIPv6 {
		address.Offset, address.Len, port.DestRegister = 24, 16, afterSix
	}
	all := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: first},
		&expr.Cmp{Op: expr.CmpOpEq, Register: first, Data: []byte{protocol}},
		address, port,
		&expr.Lookup{SourceRegister: first, DestRegister: first, IsDestRegSet: true, SetName: set.Name, SetID: set.ID},
		// nft(8) lists values in network order; the library cannot ask for another one.
		&expr.Byteorder{SourceRegister: first, DestRegister: first, Op: expr.ByteorderNtoh, Len: 4, Size: 4},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: first},
	}
	if counter {
		all = append(all, &expr.Counter{})
	}
	return append(all, &expr.Verdict{Kind: expr.VerdictReturn})
}

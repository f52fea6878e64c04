package firewall

import (
	"fmt"
	"net/netip"
)

// Table is the rules of a family, as a part of the desired state: what they drop are
// [Entry] objects. There is one of each family.
type Table struct {
	IPv6 bool
	Settings
}

// Settings are how packets are dropped. The zero value is none.
type Settings struct {
	Name     string // of the table of nftables
	Priority int32  // of its chains, among those of their hooks; 0 is that of filter
	Counters bool   // count the packets of each rule
	VMACs    bool   // have rules for macvlans
	IPTables        // if wanted rather than nftables
}

// IPTables are chains of iptables(8), and names of the sets of ipset(8) that their rules use.
type IPTables struct {
	In, Out string // In empty: nftables is wanted; Out empty: packets that leave are not dropped

	// Sets4, Sets6 and SetsOnLink6 name the sets of addresses, those of IPv4, of IPv6 and
	// of IPv6 with their links; SetIGMP, SetMLD and SetND those of macvlans that send no
	// reports of IGMP, none of MLD, and no router solicitations. Empty: a rule for each
	// address and macvlan.
	Sets4, Sets6, SetsOnLink6 string
	SetIGMP, SetMLD, SetND    string
}

// Role is what an [Entry] is for.
type Role uint8

const (
	// Drop: packets to and from an address are dropped, but for neighbour discovery. With
	// a link, only packets that arrive or leave by it.
	Drop Role = iota

	// VMAC: reports of multicast groups, and router solicitations, that would leave by a
	// macvlan would teach switches and routers the virtual MAC. Reports leave by the parent.
	VMAC
)

// Entry is what a [Table] acts on.
type Entry struct {
	Role
	IPv6   bool
	Addr   netip.Addr // of Drop
	Link   int        // of VMAC: the macvlan; of Drop: 0 if it is dropped on all links
	Name   string     // of the link; empty without one
	Parent int        // of VMAC
}

// Kind is what kind of object of a plan a table is.
func (*Table) Kind() string { return "firewall" }

// Key returns the table's identity: its family.
func (t *Table) Key() Table { return Table{IPv6: t.IPv6} }

// Compare reports whether two tables are the same; the one becomes the other in place.
func (t *Table) Compare(want *Table) (same, inPlace bool) { return *t == *want, true }

// Equal reports whether two tables are the same.
func (t *Table) Equal(other *Table) bool { return *t == *other }

// On is false: a table is on no link.
func (*Table) On(int) bool { return false }

// OnLink is 0.
func (*Table) OnLink() int { return 0 }

// Head is false: no table goes with another one.
func (*Table) Head() (k Table, ok bool) { return k, false }

// Follows is false.
func (*Table) Follows() (k Table, ok bool) { return k, false }

// Text names the table.
func (t *Table) Text() string { return "table " + familyName(t.IPv6) + " " + t.Name }

// Attributes is empty.
func (*Table) Attributes() string { return "" }

func familyName(ipv6 bool) string {
	if ipv6 {
		return "ip6"
	}
	return "ip"
}

// Kind is what kind of object of a plan an entry is.
func (*Entry) Kind() string { return "firewall entry" }

// Key returns the entry's identity: all of it but the parent.
func (e *Entry) Key() Entry {
	k := *e
	k.Parent = 0
	return k
}

// Compare reports whether two entries are the same; the one becomes the other in place.
func (e *Entry) Compare(want *Entry) (same, inPlace bool) { return *e == *want, true }

// Equal reports whether two entries are the same.
func (e *Entry) Equal(other *Entry) bool { return *e == *other }

// On is false: an entry does not end with its link.
func (*Entry) On(int) bool { return false }

// OnLink is the index of the link, 0 if it has none.
func (e *Entry) OnLink() int { return e.Link }

// Head is false: no entry goes with another one.
func (*Entry) Head() (k Entry, ok bool) { return k, false }

// Follows is false.
func (*Entry) Follows() (k Entry, ok bool) { return k, false }

// Text describes the purpose of the entry.
func (e *Entry) Text() string {
	if e.Role == VMAC {
		return fmt.Sprintf("%s reports of %s", familyName(e.IPv6), e.Name)
	}
	return fmt.Sprintf("drop of %v", e.Addr)
}

// Attributes is empty.
func (*Entry) Attributes() string { return "" }

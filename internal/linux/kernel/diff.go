package kernel

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Op is what a change does.
type Op uint8

const (
	AddAddr     Op = iota // add an address that is not there
	RemoveAddr            // remove it
	ReplaceAddr           // change flags or lifetimes of one that is there
)

func (o Op) String() string {
	switch o {
	case AddAddr:
		return "add"
	case RemoveAddr:
		return "remove"
	case ReplaceAddr:
		return "replace"
	}
	return fmt.Sprintf("op(%d)", uint8(o))
}

// Change is one step of a plan.
type Change struct {
	Op   Op
	Addr Addr
}

// String prints the change in the manner of ip(8), the link by its index.
func (c Change) String() string { return c.Text(fmt.Sprintf("#%d", c.Addr.Link)) }

// Text prints the change with the link's name.
func (c Change) Text(dev string) string {
	text := fmt.Sprintf("%v %s dev %s", c.Op, addrText(c.Addr.wish()), dev)
	if attrs := attributes(c.Addr); c.Op != RemoveAddr && attrs != "" {
		text += " " + attrs
	}
	return text
}

// attributes prints what is asked for beyond the address, in the words of
// ip(8); nothing if there is nothing.
func attributes(a Addr) string {
	a = a.wish()
	var words []string
	if a.Broadcast.IsValid() {
		words = append(words, "brd", a.Broadcast.String())
	}
	if a.Label != "" {
		words = append(words, "label", a.Label)
	}
	switch a.Scope {
	case unix.RT_SCOPE_UNIVERSE:
	case unix.RT_SCOPE_SITE:
		words = append(words, "scope", "site")
	case unix.RT_SCOPE_LINK:
		words = append(words, "scope", "link")
	case unix.RT_SCOPE_HOST:
		words = append(words, "scope", "host")
	default:
		words = append(words, "scope", strconv.Itoa(int(a.Scope)))
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
		if a.Flags&f.flag != 0 {
			words = append(words, f.word)
		}
	}
	for _, l := range []struct {
		word string
		time uint32
	}{{"valid_lft", a.ValidLft}, {"preferred_lft", a.PreferredLft}} {
		if l.time != Forever {
			words = append(words, l.word, strconv.FormatUint(uint64(l.time), 10))
		}
	}
	return strings.Join(words, " ")
}

// addrText prints "192.0.2.10/24" or "192.0.2.1 peer 192.0.2.2/24".
func addrText(a Addr) string {
	if a.Peer.IsValid() {
		return fmt.Sprintf("%v peer %v", a.Prefix.Addr(), a.Peer)
	}
	return a.Prefix.String()
}

// Diff returns the plan that turns what the kernel holds into what it shall
// hold: removals in the reverse order of have, then additions and replacements
// in the order of want. An address with other attributes is replaced in place
// where the kernel can do that, else removed and added. An address wanted twice
// counts once, as it stands first.
//
// have must hold only addresses that are ours: what is not in want is removed.
// Diff compares the Key and everything that can be asked for; not who set the
// address, and not state such as "tentative".
func Diff(have, want []Addr) []Change {
	type todo uint8
	const (
		add todo = iota
		skip
		replace
	)
	plan := make([]Change, 0, len(have)+len(want))
	todos := make([]todo, len(want))
	index := make(map[Key]int, len(want))
	for i, w := range want {
		if _, twice := index[w.Key()]; twice {
			todos[i] = skip
		} else {
			index[w.Key()] = i
		}
	}
	// Subnets of IPv4 that lose their primary address and, unless the link has
	// promote_secondaries, all the others with it.
	var beheaded map[Key]bool
	for _, h := range slices.Backward(have) {
		i, wanted := index[h.Key()]
		if wanted && todos[i] == add {
			switch same, inPlace := compare(h, want[i]); {
			case same:
				todos[i] = skip
				continue
			case inPlace:
				todos[i] = replace
				continue
			}
		}
		plan = append(plan, Change{RemoveAddr, h})
		if h.Prefix.Addr().Is4() && h.Flags&unix.IFA_F_SECONDARY == 0 {
			if beheaded == nil {
				beheaded = make(map[Key]bool)
			}
			beheaded[subnet(h)] = true
		}
	}
	if beheaded != nil {
		for _, h := range have {
			if h.Flags&unix.IFA_F_SECONDARY != 0 && h.Prefix.Addr().Is4() && beheaded[subnet(h)] {
				if i, wanted := index[h.Key()]; wanted && todos[i] == skip {
					todos[i] = add // no harm if it was promoted: it is there already
				}
			}
		}
	}
	for i, w := range want {
		switch todos[i] {
		case add:
			plan = append(plan, Change{AddAddr, w})
		case replace:
			plan = append(plan, Change{ReplaceAddr, w})
		}
	}
	return plan
}

// subnet is what primary and secondary addresses have in common.
func subnet(a Addr) Key {
	network := a.Prefix
	if a.Peer.IsValid() {
		network = a.Peer
	}
	return Key{a.Link, netip.PrefixFrom(network.Addr(), network.Bits()).Masked()}
}

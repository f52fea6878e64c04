package firewall

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"strings"
	"time"
)

// programs is the back end of iptables(8), ip6tables(8) and ipset(8). The rules are in
// chains of their own, to which the chains of the configuration lead: so one transaction
// replaces them, whatever else is in the chains.
//
//	-A INPUT -j keepalived_in
//	-A keepalived_in -p icmpv6 --icmpv6-type 135 -j RETURN
//	-A keepalived_in -m set --match-set keepalived6 dst -j DROP
type programs struct {
	withoutSets bool // ipset cannot be used; logged
	lookedAt    [2]time.Time
	print       [2]string // of the rules as they were made
}

const (
	chainIn  = "keepalived_in"
	chainOut = "keepalived_out"

	// Names of sets that are filled before they take the place of another one.
	freshSuffix = "keepalived_new"

	// verifyPause is how often programs run to see whether the rules are as they were made.
	verifyPause = 10 * time.Second
)

func (*programs) name() string { return "iptables" }
func (*programs) close()       {}

func (*programs) absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || failed(err, "can't initialize", "Table does not exist", "Could not fetch rule set generation", "Protocol not supported")
}

// command is the name of a program of the family.
func command(ipv6 bool, suffix string) string {
	if ipv6 {
		return "ip6tables" + suffix
	}
	return "iptables" + suffix
}

// setsOf are the sets of a table, with the entries that they have.
func (b *programs) setsOf(t *Table) []programSet {
	if b.withoutSets || t.Sets4 == "" && t.In != "" {
		return nil
	}
	names := t.IPTables
	if t.In == "" { // nftables was wanted
		names.Sets4, names.Sets6, names.SetsOnLink6 = "keepalived", "keepalived6", "keepalived_if6"
		names.SetIGMP, names.SetMLD, names.SetND = "keepalived_igmp", "keepalived_mld", "keepalived_nd"
	}
	const onLink4, onLink6 = "hash:net,iface family inet", "hash:net,iface family inet6"
	var sets []programSet
	if !t.IPv6 {
		if t.VMACs {
			sets = append(sets, programSet{name: names.SetIGMP, fresh: freshSuffix + "_igmp", kind: onLink4, network: "224.0.0.0/4", match: []string{"igmp"}})
		}
		return append(sets, programSet{name: names.Sets4, fresh: freshSuffix, kind: "hash:ip family inet"})
	}
	if t.VMACs {
		types := func(all ...int) (match []string) {
			for _, typ := range all {
				match = append(match, fmt.Sprintf("icmpv6 --icmpv6-type %d", typ))
			}
			return match
		}
		sets = append(sets,
			programSet{name: names.SetMLD, fresh: freshSuffix + "_mld", kind: onLink6, network: "ff00::/8", match: types(icmpMLDReport, icmpMLDDone, icmpMLD2Report)},
			programSet{name: names.SetND, fresh: freshSuffix + "_nd", kind: onLink6, network: "ff00::/8", match: types(icmpRS)})
	}
	return append(sets,
		programSet{name: names.Sets6, fresh: freshSuffix + "6", kind: "hash:ip family inet6"},
		programSet{name: names.SetsOnLink6, fresh: freshSuffix + "_if6", kind: onLink6, onLink: true})
}

// programSet is a set of ipset(8).
type programSet struct {
	name, fresh, kind string
	onLink            bool     // of addresses with their links
	network           string   // of macvlans: where they send nothing; empty: the set has addresses
	match             []string // of macvlans: protocols that they do not send, as iptables has them after -p
}

// element is an entry as an element of the set; false: it is none.
func (s *programSet) element(e Entry) (string, bool) {
	switch {
	case (e.Role == VMAC) != (s.network != "") || e.Role == Drop && (e.Link != 0) != s.onLink:
		return "", false
	case e.Role == VMAC:
		return s.network + "," + e.Name, true
	case s.onLink:
		return e.Addr.String() + "," + e.Name, true
	}
	return e.Addr.String(), true
}

// chains are the chains of a table that lead to ours, and the option that names a link.
func chains(t *Table) []chain {
	in, out := t.In, t.Out
	if in == "" {
		in, out = "INPUT", "OUTPUT"
	}
	all := []chain{{in, chainIn, "-d", "-i", "dst"}}
	if out != "" {
		all = append(all, chain{out, chainOut, "-s", "-o", "src"})
	}
	return all
}

type chain struct{ from, name, address, link, side string }

// commit implements [backend].
func (b *programs) commit(w *work) error {
	if w.there == nil {
		return b.make(w)
	}
	sets := b.setsOf(w.there)
	var lines strings.Builder
	for _, changes := range []struct {
		word    string
		entries []Entry
	}{{"del", w.remove}, {"add", w.add}} {
		for _, e := range changes.entries {
			for _, s := range sets {
				if element, ok := s.element(e); ok {
					fmt.Fprintf(&lines, "%s %s %s\n", changes.word, s.name, element)
				}
			}
		}
	}
	if lines.Len() > 0 {
		if _, err := run(lines.String(), "ipset", "restore", "-exist"); err != nil {
			return err
		}
	}
	if sets == nil { // entries are rules
		return b.restore(w.there, nil, w.all, nil)
	}
	return nil
}

// make makes or removes a table.
func (b *programs) make(w *work) error {
	if _, err := find(command(w.ipv6, "-restore")); err != nil {
		return err
	}
	var sets []programSet
	if w.table != nil {
		sets = b.setsOf(w.table)
	}
	if sets != nil {
		if err := b.fill(sets, w.all); err != nil {
			if !b.absent(err) && !failed(err, "ernel", "Unknown set type") {
				return err
			}
			b.withoutSets, sets = true, nil
			slog.Warn("firewall: a rule for each address, as ipset(8) cannot be used: " + err.Error())
		}
	}
	if err := b.restore(w.table, sets, w.all, w.left); err != nil {
		return err
	}
	b.lookedAt[index(w.ipv6)] = time.Time{}
	if w.left == nil {
		return nil
	}
	return b.destroy(b.setsOf(w.left), sets)
}

// fill makes sets with all entries, each in one step.
func (b *programs) fill(sets []programSet, all map[Entry]Entry) error {
	var lines strings.Builder
	entries := sorted(all)
	for _, s := range sets {
		fmt.Fprintf(&lines, "create %s %s\nflush %s\n", s.fresh, s.kind, s.fresh)
		for _, e := range entries {
			if element, ok := s.element(e); ok {
				fmt.Fprintf(&lines, "add %s %s\n", s.fresh, element)
			}
		}
		fmt.Fprintf(&lines, "create %s %s\nswap %s %s\ndestroy %s\n", s.name, s.kind, s.fresh, s.name, s.fresh)
	}
	_, err := run(lines.String(), "ipset", "restore", "-exist")
	return err
}

// destroy removes the sets that are not kept.
func (b *programs) destroy(sets, kept []programSet) error {
	var lines strings.Builder
	for _, s := range sets {
		keep := false
		for _, k := range kept {
			keep = keep || k.name == s.name
		}
		if !keep {
			fmt.Fprintf(&lines, "create %s %s\ndestroy %s\n", s.name, s.kind, s.name) // it is there for sure once it has been created
		}
	}
	if lines.Len() == 0 {
		return nil
	}
	_, err := run(lines.String(), "ipset", "restore", "-exist")
	return err
}

// restore makes the rules of the table, in one transaction, and removes those of left; nil:
// there is none.
func (b *programs) restore(t *Table, sets []programSet, all map[Entry]Entry, left *Table) error {
	ipv6, kept := false, map[string]bool{}
	var lines strings.Builder
	lines.WriteString("*filter\n")
	if t != nil {
		ipv6 = t.IPv6
		for _, c := range chains(t) {
			kept[c.name], kept[c.from+" "+c.name] = true, true
			fmt.Fprintf(&lines, ":%s - [0:0]\n", c.name) // empties it, too
			b.appendRules(&lines, t, sets, c, sorted(all))
			if there, err := b.leads(ipv6, c); err != nil {
				return err
			} else if !there {
				fmt.Fprintf(&lines, "-I %s -j %s\n", c.from, c.name)
			}
		}
	}
	if left != nil {
		ipv6 = left.IPv6
		for _, c := range chains(left) {
			if kept[c.from+" "+c.name] {
				continue
			}
			if !kept[c.name] {
				fmt.Fprintf(&lines, ":%s - [0:0]\n", c.name)
			}
			if there, err := b.leads(ipv6, c); err != nil {
				return err
			} else if there {
				fmt.Fprintf(&lines, "-D %s -j %s\n", c.from, c.name)
			}
			if !kept[c.name] {
				fmt.Fprintf(&lines, "-X %s\n", c.name)
			}
		}
	}
	lines.WriteString("COMMIT\n")
	_, err := run(lines.String(), command(ipv6, "-restore"), "--noflush", "-w", "5")
	if err == nil {
		b.print[index(ipv6)] = ""
	}
	return err
}

// leads reports whether the chain of the configuration leads to ours.
func (b *programs) leads(ipv6 bool, c chain) (bool, error) {
	_, err := run("", command(ipv6, ""), "-w", "5", "-C", c.from, "-j", c.name)
	var p *programError
	if errors.As(err, &p) && p.status == 1 || failed(err, "oes not exist", "Couldn't load target") {
		return false, nil
	}
	return err == nil, err
}

// appendRules appends the rules of a chain.
func (b *programs) appendRules(lines *strings.Builder, t *Table, sets []programSet, c chain, entries []Entry) {
	rule := func(format string, args ...any) {
		fmt.Fprintf(lines, "-A %s %s\n", c.name, fmt.Sprintf(format, args...))
	}
	for _, s := range sets {
		if s.network == "" || c.name != chainOut {
			continue
		}
		for _, protocol := range s.match {
			rule("-p %s -m set --match-set %s dst,dst -j DROP", protocol, s.name)
		}
	}
	for _, e := range entries {
		switch {
		case sets != nil || c.name != chainOut:
		case e.Role == VMAC && !t.IPv6:
			rule("-o %s -p igmp -j DROP", e.Name)
		case e.Role == VMAC:
			for _, typ := range []int{icmpMLDReport, icmpMLDDone, icmpMLD2Report, icmpRS} {
				rule("-o %s -p icmpv6 --icmpv6-type %d -j DROP", e.Name, typ)
			}
		}
	}
	if t.IPv6 {
		for _, typ := range []int{icmpNS, icmpNA} {
			rule("-p icmpv6 --icmpv6-type %d -j RETURN", typ)
		}
	}
	for _, s := range sets {
		if s.network != "" {
			continue
		}
		side := c.side
		if s.onLink { // the link of a packet that comes in is its source, as ipset has it
			side += map[string]string{"dst": ",src", "src": ",dst"}[c.side]
		}
		rule("-m set --match-set %s %s -j DROP", s.name, side)
	}
	for _, e := range entries {
		switch {
		case sets != nil || e.Role != Drop:
		case e.Link != 0:
			rule("%s %v %s %s -j DROP", c.address, e.Addr, c.link, e.Name)
		default:
			rule("%s %v -j DROP", c.address, e.Addr)
		}
	}
}

// intact implements [backend]. It looks only every verifyPause.
func (b *programs) intact(t *Table, entries map[Entry]Entry) (bool, error) {
	n := index(t.IPv6)
	if time.Since(b.lookedAt[n]) < verifyPause {
		return true, nil
	}
	b.lookedAt[n] = time.Now()
	rules := ""
	for _, c := range chains(t) {
		if there, err := b.leads(t.IPv6, c); err != nil || !there {
			return false, err
		}
		text, err := run("", command(t.IPv6, ""), "-w", "5", "-S", c.name)
		if failed(err, "No chain", "does not exist") {
			return false, nil
		} else if err != nil {
			return false, err
		}
		rules += text
	}
	switch b.print[n] {
	case rules:
	case "": // the first look since they were made
		b.print[n] = rules
	default:
		return false, nil
	}
	for _, s := range b.setsOf(t) {
		text, err := run("", "ipset", "save", s.name)
		if failed(err, "does not exist") {
			return false, nil
		} else if err != nil {
			return false, err
		}
		want := map[string]bool{}
		for _, e := range entries {
			if element, ok := s.element(e); ok {
				want[element] = true
			}
		}
		found, foreign := 0, false
		parseSet(text, func(element string) {
			found++
			foreign = foreign || !want[element]
		})
		if foreign || found != len(want) {
			return false, nil
		}
	}
	return true, nil
}

// parseSet hands the elements that ipset save has printed to f, addresses and networks in
// the form of package netip.
func parseSet(text string, f func(element string)) {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "add" {
			continue
		}
		addr, link, onLink := strings.Cut(words[2], ",")
		if p, err := netip.ParsePrefix(addr); err == nil {
			if addr = p.String(); p.IsSingleIP() {
				addr = p.Addr().String()
			}
		} else if ip, err := netip.ParseAddr(addr); err == nil {
			addr = ip.String()
		}
		if onLink {
			addr += "," + link
		}
		f(addr)
	}
}

package conf

import (
	"net/netip"
	"slices"
	"strings"
)

// entryWord is an option in a line of routes or rules.
type entryWord struct{ name, args, doc string }

// ruleWords and routeWords are what iproute2 knows by the same names.
var routeWords = []entryWord{
	{"TYPE", "unicast|local|broadcast|multicast|throw|unreachable|prohibit|blackhole|nat", "type of the route"},
	{"inet", "", "the route is an IPv4 route"},
	{"inet6", "", "the route is an IPv6 route"},
	{"to", "PREFIX|default", "destination"},
	{"src", "ADDR", "preferred source address"},
	{"from", "PREFIX", "source prefix, IPv6 only"},
	{"as", "[to] ADDR", "destination in another family"},
	{"via", "[inet|inet6] ADDR", "next router"},
	{"gw", "ADDR", "old name of via"},
	{"tos", "TOS", "type of service"},
	{"dsfield", "TOS", "type of service"},
	{"table", "ID|NAME", "routing table"},
	{"protocol", "ID|NAME", "who made the route; keepalived unless given"},
	{"scope", "ID|NAME", "scope of the destination"},
	{"metric", "N", "preference among routes, lowest first"},
	{"priority", "N", "the same as metric"},
	{"preference", "N", "the same as metric"},
	{"dev", "IFNAME", "interface"},
	{"oif", "IFNAME", "the same as dev"},
	{"onlink", "", "take the next router as directly reachable"},
	{"encap", "TYPE OPTION...", "light-weight tunnel: mpls, ip, ip6 or ila"},
	{"expires", "SECS", "lifetime, IPv6 only"},
	{"mtu", "[lock] N", "largest packet"},
	{"hoplimit", "[lock] N", "hop limit of sent packets"},
	{"advmss", "[lock] N", "segment size offered to TCP peers"},
	{"rtt", "[lock] TIME", "first estimate of the round trip"},
	{"rttvar", "[lock] TIME", "first estimate of its variance"},
	{"reordering", "[lock] N", "expected reordering"},
	{"window", "[lock] N", "largest window offered"},
	{"cwnd", "[lock] N", "bound of the congestion window"},
	{"ssthresh", "[lock] N", "first slow start threshold"},
	{"realms", "R[/R]", "classes for accounting"},
	{"rto_min", "[lock] TIME", "shortest retransmission timeout"},
	{"initcwnd", "[lock] N", "first congestion window"},
	{"initrwnd", "[lock] N", "first receive window"},
	{"features", "ecn", "TCP features"},
	{"quickack", "[lock] 0|1", "acknowledge at once"},
	{"congctl", "[lock] NAME", "congestion control"},
	{"pref", "low|medium|high", "router preference, IPv6 only"},
	{"ttl-propagate", "enabled|disabled", "carry the TTL into MPLS"},
	{"fastopen_no_cookie", "0|1", "TCP fast open without a cookie"},
	{"nexthop", "OPTION...", "one of several next routers, with via, dev, weight, onlink"},
	{"or", "ADDR", "second router, old notation"},
	{"add", "", "fail if the route exists"},
	{"prepend", "", "put it before equal routes"},
	{"append", "", "put it behind equal routes"},
	{"vrf", "NAME", "routing domain"},
	{"no_track", "", "its loss is no fault"},
	{"track_group", "NAME", "instances that its loss concerns"},
}

var ruleWords = []entryWord{
	{"inet", "", "an IPv4 rule"},
	{"inet6", "", "an IPv6 rule"},
	{"not", "", "match the opposite"},
	{"from", "PREFIX", "source"},
	{"to", "PREFIX", "destination"},
	{"table", "ID|NAME", "routing table to look in"},
	{"lookup", "ID|NAME", "the same as table"},
	{"preference", "N", "order among rules, lowest first"},
	{"order", "N", "the same as preference"},
	{"priority", "N", "the same as preference"},
	{"tos", "TOS", "type of service"},
	{"dsfield", "TOS", "type of service"},
	{"fwmark", "N[/MASK]", "firewall mark"},
	{"realms", "R[/R]", "classes for accounting"},
	{"suppress_prefixlength", "N", "ignore routes with at most this prefix length"},
	{"sup_pl", "N", "the same as suppress_prefixlength"},
	{"suppress_ifgroup", "GROUP", "ignore routes over interfaces of this group"},
	{"sup_group", "GROUP", "the same as suppress_ifgroup"},
	{"dev", "IFNAME", "interface a packet came from"},
	{"iif", "IFNAME", "the same as dev"},
	{"oif", "IFNAME", "interface a socket is bound to"},
	{"tunnel-id", "N", "tunnel a packet came from"},
	{"uidrange", "N-N", "users of the sending process"},
	{"l3mdev", "", "look in the table of the routing domain"},
	{"protocol", "ID|NAME", "who made the rule"},
	{"ipproto", "ID|NAME", "protocol of the packet"},
	{"sport", "N[-N]", "source port"},
	{"dport", "N[-N]", "destination port"},
	{"type", "blackhole|unreachable|prohibit|nat", "what happens to the packet instead of a look-up"},
	{"goto", "N", "go on with the rule of this preference"},
	{"nop", "", "no effect"},
	{"no_track", "", "its loss is no fault"},
	{"track_group", "NAME", "instances that its loss concerns"},
}

func routeBlock(path string) *block { return entryBlock(path, "ROUTE", routeWords) }
func ruleBlock(path string) *block  { return entryBlock(path, "RULE", ruleWords) }

// entryBlock declares the words of one kind of entry.
func entryBlock(path, placeholder string, words []entryWord) *block {
	b := &block{path: path}
	known := make(map[string]entryWord, len(words))
	for _, w := range words {
		known[w.name] = w
	}
	b.lines(func(d *decoder, s *Statement) { checkEntry(d, s, placeholder, known) }, &Keyword{Name: placeholder, Args: strings.ToLower(placeholder) + " words", Doc: "a " + strings.ToLower(placeholder) + " as iproute2 writes it, one per line", Effect: PendingEffect})
	for _, w := range words {
		b.order = append(b.order, &Keyword{Block: path + "." + placeholder, Name: w.name, Args: w.args, Doc: w.doc, Effect: PendingEffect, option: true})
	}
	return b
}

// checkEntry checks that a line of routes or rules is made of known words and,
// for a route, a destination. Values are checked where they are used.
func checkEntry(d *decoder, s *Statement, placeholder string, known map[string]entryWord) {
	preference, device := false, false
	for i := 0; i < len(s.Words); i++ {
		text := s.Words[i].Text
		w, ok := known[text]
		switch {
		case !ok && placeholder == "ROUTE" && routeType(text):
			continue
		case !ok && placeholder == "ROUTE" && destination(text):
			continue
		case !ok:
			d.wrong(s, i, "entry-word", "unknown %s keyword %s", strings.ToLower(placeholder), printable(text))
			return
		case text == "nexthop" || text == "encap":
			return // their own words follow
		case text == "dev" || text == "oif" || text == "no_track":
			device = true
		case text == "preference" || text == "order" || text == "priority":
			preference = true
		}
		if w.args == "" {
			continue
		}
		if i++; i < len(s.Words) && w.args[0] == '[' {
			switch s.Words[i].Text {
			case "lock", "to", "inet", "inet6":
				i++
			}
		}
		if i >= len(s.Words) {
			d.wrong(s, i, "missing-argument", "%s in a %s has no value; expected %s", text, strings.ToLower(placeholder), w.args)
			return
		}
	}
	if placeholder == "ROUTE" && !device && d.inst != nil {
		d.report(s, 0, Diagnostic{
			Severity: Warning, Class: ClassOrdinary, Code: "route-device",
			Message: "Warning - cannot track route with no interface specified, not tracking",
			Fix:     "write dev and an interface, or no_track",
		})
	}
	if placeholder == "RULE" && !preference {
		d.report(s, 0, Diagnostic{
			Severity: Warning, Class: ClassOrdinary, Code: "rule-preference",
			Message: "Rule has no preference specified - setting to 16384. This is probably not what you want.",
			Fix:     "write priority and a number",
		})
	}
}

func routeType(s string) bool {
	return s != "" && slices.Contains(strings.Split(routeWords[0].args, "|"), s)
}

func destination(s string) bool {
	host, _, _ := strings.Cut(s, "/")
	_, err := netip.ParseAddr(host)
	return err == nil || s == "default" || s == "any" || s == "all"
}

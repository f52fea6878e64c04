package conf

import (
	"fmt"
	"net/netip"
	"strings"
)

func virtualServerGroupBlock() *block {
	b := vocabulary("virtual_server_group",
		kw("fwmark", several("N [inet|inet6]"), "inet", "packets with this firewall mark"),
	).filled("virtual server group has no entries - removing")
	return b.lines(func(d *decoder, s *Statement) {
		first, rest, _ := strings.Cut(s.Words[0].Text, "-")
		addr, _, _ := strings.Cut(first, "/")
		_, err := netip.ParseAddr(addr)
		if err != nil {
			d.wrong(s, 0, "bad-address", "Invalid virtual server group IP address %s %s - skipping", printable(s.Words[0].Text), printable(rest))
			return
		}
		d.port(s, 1)
	}, &Keyword{
		Name: "ADDRESS", Args: "ADDR[-LAST|-ADDR|/LEN] [PORT]", Range: "port 1 to 65535",
		Doc: "an address or a range of addresses, one per line", Effect: PendingEffect,
	})
}

// port checks an optional port.
func (d *decoder) port(s *Statement, word int) bool {
	if len(s.Words) <= word {
		return true
	}
	_, ok := d.number(s, word, 1, 65535)
	return ok
}

// endpoint checks IP [PORT].
func (d *decoder) endpoint(s *Statement, what string) bool {
	if _, err := netip.ParseAddr(s.Words[1].Text); err != nil {
		d.wrong(s, 1, "bad-address", "Invalid %s ip address %s - skipping", what, printable(s.Words[1].Text))
		return false
	}
	return d.port(s, 2)
}

const forwarding = "NAT|DR|TUN [type ipip|gue port N|gre] [nocsum|csum|remcsum]"

// scheduler takes the name of an IPVS scheduler, method a way to forward.
func scheduler() args {
	return oneOf("rr", "wrr", "lc", "wlc", "lblc", "lblcr", "sh", "mh", "dh", "fo", "ovf", "sed", "nq", "twos")
}

func method() args { return oneOf("NAT", "DR", "TUN").as(forwarding) }

// timerWords may be given for a service, a real server or a check; fewest is the
// smallest number of retries.
func timerWords(def string, fewest int64) []*Keyword {
	inherit := func(s string) string {
		if def != "" {
			return def
		}
		return s
	}
	return []*Keyword{
		kw("retry", number(fewest, 1<<32-1), inherit("1"), "failures in a row that take a real server out, less one"),
		kw("delay_before_retry", seconds(0, 4294), inherit("of the check"), "time between two attempts while failing"),
		kw("warmup", seconds(0, 4294), inherit("delay_loop"), "longest random delay before the first check"),
		kw("delay_loop", seconds(0, 4294), inherit("60"), "time between two checks"),
	}
}

func virtualServerBlock() *block {
	b := vocabulary("virtual_server",
		kw("ip_family", oneOf("inet", "inet6"), "inet", "address family of a firewall mark"),
		kw("connect_timeout", seconds(0.000001, 4294), "5", "how long a connection may take"),
		kw("inhibit_on_failure", bare(), "off", "set the weight of failed real servers to 0 instead of removing them"),
		kw("lb_algo", scheduler(), "wlc", "how connections are spread"),
		kw("lvs_sched", scheduler(), "wlc", "the same as lb_algo"),
		kw("hashed", bare(), "off", "scheduler flag"),
		kw("ops", bare(), "off", "schedule each UDP packet by itself"),
		kw("flag-1", bare(), "off", "first flag of the scheduler"),
		kw("flag-2", bare(), "off", "second flag of the scheduler"),
		kw("flag-3", bare(), "off", "third flag of the scheduler"),
		kw("sh-port", bare(), "off", "sh: hash the port too"),
		kw("sh-fallback", bare(), "off", "sh: use another server if the chosen one is unavailable"),
		kw("mh-port", bare(), "off", "mh: hash the port too"),
		kw("mh-fallback", bare(), "off", "mh: use another server if the chosen one is unavailable"),
		kw("lb_kind", method(), "NAT", "how packets reach real servers"),
		kw("lvs_method", method(), "NAT", "the same as lb_kind"),
		kw("persistence_engine", word("NAME"), "none", "what tells clients apart, such as sip"),
		kw("persistence_timeout", number(1, 2678400).as("SECS").opt(), "off; 360 without a number", "how long a client stays with its real server"),
		kw("persistence_granularity", word("MASK|LEN"), "one address", "clients of one network count as one"),
		kw("protocol", oneOf("TCP", "UDP", "SCTP"), "UDP, with a complaint", "protocol of the service"),
		kw("ha_suspend", bare(), "off", "no checks while the address is not on this node"),
		kw("smtp_alert", onOff(), "smtp_alert_checker", "mail on changes"),
		kw("virtualhost", word("NAME").soft("virtual server virtualhost missing"), "", "host name of HTTP checks"),
		kw("snmp_name", word("NAME").soft("virtual server snmp_name missing or extra parameters"), "", "name in SNMP tables"),
		kw("alpha", bare(), "off", "real servers are down until a check succeeds"),
		kw("omega", bare(), "off", "notify the end of all real servers at shutdown"),
		kw("quorum_up", cmd(), "", "command when enough real servers are up"),
		kw("quorum_down", cmd(), "", "command when too few are up"),
		kw("quorum", number(1, 1<<32-1), "1", "weight of real servers that makes the service available"),
		kw("hysteresis", number(0, 1<<32-1), "0", "how far the weight must pass the quorum"),
		kw("weight", number(0, 65535), "1", "weight of real servers that have none"),
		kw("sorry_server", several("IP [PORT]"), "", "server that answers while there are too few real servers"),
		kw("sorry_server_inhibit", bare(), "off", "inhibit_on_failure for the sorry server"),
		kw("sorry_server_lvs_method", method().soft("sorry_server forwarding used without sorry_server"), "lb_kind", "how packets reach the sorry server"),
		kw("real_server", several("IP [PORT] {}"), "", "a server of the service").holds(realServerBlock()),
	)
	b.add(timerWords("", 1)...)
	b.open = openVirtualServer
	return b
}

func openVirtualServer(d *decoder, s *Statement) bool {
	d.cfg.HasVirtualServers = true
	byAddress := false
	name := printable(strings.Trim(s.rest, blanks))
	switch s.Words[1].Text {
	case "fwmark":
		if len(s.Words) < 3 {
			d.wrong(s, 1, "missing-argument", "virtual_server fwmark has no number - skipping")
			return false
		}
		if _, ok := d.number(s, 2, 1, 1<<32-1); !ok {
			return false
		}
	case "group":
		if len(s.Words) < 3 {
			d.wrong(s, 1, "missing-argument", "virtual_server group has no name - skipping")
			return false
		}
	default:
		byAddress = true
		if !d.endpoint(s, "virtual server") {
			return false
		}
	}
	has := func(words ...string) bool {
		for _, c := range s.Block {
			for _, w := range words {
				if c.Keyword() == w {
					return true
				}
			}
		}
		return false
	}
	lacks := func(code, message, fix string) {
		d.report(s, 0, Diagnostic{Severity: Warning, Class: ClassOrdinary, Code: code, Message: "Virtual server " + name + ": " + message, Fix: fix})
	}
	if byAddress && !has("protocol") {
		lacks("no-protocol", "no protocol set - defaulting to UDP", "write protocol TCP, UDP or SCTP")
	}
	if !has("lb_algo", "lvs_sched") {
		lacks("no-scheduler", "no scheduler set, setting default 'wlc'", "write lb_algo")
	}
	if !has("real_server") {
		lacks("no-real-server", "has no real servers - ignoring", "write real_server")
	}
	method := has("lb_kind", "lvs_method")
	for _, c := range s.Block {
		if c.Keyword() != "real_server" {
			continue
		}
		if !method && !hasWord(c.Block, "lvs_method") {
			lacks("no-method", "no forwarding method set, setting default NAT", "write lb_kind")
			method = true
		}
		if s.Words[1].Text == "fwmark" && len(c.Words) > 2 {
			d.report(c, 2, Diagnostic{
				Severity: Warning, Class: ClassOrdinary, Code: "fwmark-port",
				Message: fmt.Sprintf("WARNING - fwmark virtual server %s, real server %s has port specified - clearing", name, printable(c.Words[1].Text)),
			})
		}
	}
	return true
}

func hasWord(list []*Statement, word string) bool {
	for _, s := range list {
		if s.Keyword() == word {
			return true
		}
	}
	return false
}

func realServerBlock() *block {
	const path = "virtual_server.real_server"
	b := vocabulary(path,
		kw("weight", number(0, 1<<31-1), "of the service", "share of the connections; 0: no new ones"),
		kw("lvs_method", method(), "of the service", "how packets reach it"),
		kw("uthreshold", number(0, 1<<32-1), "0", "connections above which it gets no new ones; 0: any number"),
		kw("lthreshold", number(0, 1<<32-1), "0", "connections below which it gets new ones again"),
		kw("inhibit_on_failure", onOff(), "of the service", "set the weight to 0 on failure instead of removing it"),
		kw("notify_up", cmd(), "", "command when it comes up"),
		kw("notify_down", cmd(), "", "command when it goes down"),
		kw("alpha", onOff(), "of the service", "down until a check succeeds"),
		kw("connect_timeout", seconds(0.000001, 4294), "of the service", "how long a connection may take"),
		kw("smtp_alert", onOff(), "of the service", "mail on changes"),
		kw("virtualhost", word("NAME").soft("real server virtualhost missing"), "of the service", "host name of HTTP checks"),
		kw("snmp_name", word("NAME").soft("real server snmp_name missing or extra parameters"), "", "name in SNMP tables"),
	)
	b.add(timerWords("of the service", 1)...)
	b.add(checkWords(path)...)
	b.open = func(d *decoder, s *Statement) bool { return d.endpoint(s, "real server") }
	return b
}

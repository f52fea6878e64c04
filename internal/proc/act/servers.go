package act

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Servers are real servers, as the name of an act denotes them:
//
//	10.0.0.2                                 all with this address
//	10.0.0.2:80, [10.0.0.2]:tcp:80           all with this port, and this protocol
//	[10.0.0.1]:tcp:80 [10.0.0.2]:tcp:80      that of a virtual server, as log lines have it
//	[web]:0 10.0.0.2                         likewise, of a virtual_server_group
//	FWM 9 10.0.0.2                           likewise, of a firewall mark
//
// What is left out does not matter.
type Servers struct {
	service string // name of the virtual server; empty: all
	of      place  // the same, if it is an address
	at      place
}

// place is an address, a port and a protocol.
type place struct {
	addr     netip.Addr
	port     string // empty: all
	protocol string // empty: all
}

// ParseServers is what a name denotes. The error is a [Refusal].
func ParseServers(name string) (Servers, error) {
	var s Servers
	server := name
	if i := strings.LastIndexByte(name, ' '); i >= 0 {
		s.service, server = strings.TrimSpace(name[:i]), name[i+1:]
		s.of, _ = parsePlace(s.service)
	}
	var ok bool
	if s.at, ok = parsePlace(server); !ok {
		return Servers{}, Refuse(Invalid, "%q is no real server; expected its address, with its port if need be, such as 10.0.0.2:80, or its name as keepalived servers shows it, behind that of its virtual server if it is about that alone", name)
	}
	return s, nil
}

// parsePlace reads ADDR, ADDR:PORT or [ADDR]:PROTOCOL:PORT.
func parsePlace(s string) (p place, ok bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return place{addr: a}, true
	}
	if a, err := netip.ParseAddrPort(s); err == nil {
		return place{addr: a.Addr(), port: strconv.Itoa(int(a.Port()))}, true
	}
	inside, rest, _ := strings.Cut(strings.TrimPrefix(s, "["), "]:")
	protocol, port, _ := strings.Cut(rest, ":")
	a, err := netip.ParseAddr(inside)
	n, failed := strconv.ParseUint(port, 10, 16)
	if err != nil || failed != nil || protocol == "" {
		return place{}, false
	}
	return place{a, strconv.FormatUint(n, 10), strings.ToLower(protocol)}, true
}

// has reports whether all that is at o is at p.
func (p place) has(o place) bool {
	return p.addr == o.addr && (p.port == "" || p.port == o.port) && (p.protocol == "" || p.protocol == o.protocol)
}

// Addr is their address.
func (s Servers) Addr() netip.Addr { return s.at.addr }

// Have reports whether o are among them.
func (s Servers) Have(o Servers) bool {
	switch {
	case !s.at.has(o.at):
		return false
	case s.of.addr.IsValid():
		return s.of.has(o.of)
	}
	return s.service == "" || s.service == o.service
}

// IsService reports whether name denotes the virtual server whose own name is id: by that
// name or, of one that is an address, by the address, with its port or without.
func IsService(name, id string) bool {
	p, ok := parsePlace(name)
	o, also := parsePlace(id)
	return name == id || ok && also && p.has(o)
}

// IsServer reports whether name has the form of that of a virtual or a real server.
func IsServer(name string) bool {
	_, err := ParseServers(name)
	return err == nil || strings.HasPrefix(name, "FWM ") || strings.HasPrefix(name, "[")
}

// Undoes reports whether an act ends an intent: one of its name, or about real servers among
// those that it denotes.
func (a *Act) Undoes(i *Intent) bool {
	switch row := RowOf(i.Kind); {
	case !slices.Contains(RowOf(a.Kind).Undoes, i.Kind):
		return false
	case a.Name == i.Name || !row.Servers:
		return a.Name == i.Name
	}
	s, err := ParseServers(a.Name)
	o, failed := ParseServers(i.Name)
	return err == nil && failed == nil && s.Have(o)
}

package kernel

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// Conn makes requests about links and addresses. It is for one goroutine at a
// time.
type Conn struct {
	*nl.Conn
	names nl.Names
}

// Dial opens a connection for requests. rcvbuf is the size of its receive
// buffer in bytes, 0 for the system's default; force exceeds the limit
// net.core.rmem_max where CAP_NET_ADMIN permits it.
func Dial(rcvbuf int, force bool) (*Conn, error) { return DialOn(Machine, rcvbuf, force) }

// DialOn is [Dial] on a host.
func DialOn(h Host, rcvbuf int, force bool) (*Conn, error) {
	s, err := h.Netlink(unix.NETLINK_ROUTE, nl.Options{ReceiveBuffer: rcvbuf, Force: force})
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return &Conn{Conn: nl.NewConn(s), names: make(nl.Names)}, nil
}

// ErrInterrupted comes with a list during whose reading others changed what it
// lists, again and again: see [nl.List].
var ErrInterrupted = nl.ErrInterrupted

const skipStats = 1 << 3 // RTEXT_FILTER_SKIP_STATS

// Links returns all links of the namespace. With [ErrInterrupted] the list is
// right as far as it goes, and may name a link several times.
func (c *Conn) Links() ([]Link, error) {
	links, err := nl.List(c.Conn, unix.RTM_GETLINK, func(b []byte) []byte {
		return nl.AppendUint32(appendLinkHeader(b, 0), unix.IFLA_EXT_MASK, skipStats)
	}, func(m nl.Message) (Link, bool) {
		l, ok := decodeLink(m.Body, c.names)
		return l, ok && m.Type == unix.RTM_NEWLINK
	})
	if err != nil {
		return links, fmt.Errorf("list links: %w", err)
	}
	return links, nil
}

// Addrs returns all addresses of the namespace, the primary ones of a subnet
// before its secondary ones. With [ErrInterrupted] the list is right as far as it
// goes, and may name an address several times.
func (c *Conn) Addrs() ([]Addr, error) {
	addrs, err := nl.List(c.Conn, unix.RTM_GETADDR, func(b []byte) []byte {
		return append(b, make([]byte, unix.SizeofIfAddrmsg)...) // of all families and links
	}, func(m nl.Message) (Addr, bool) {
		a, ok := DecodeAddr(m.Body, c.names)
		return a, ok && m.Type == unix.RTM_NEWADDR
	})
	if err != nil {
		return addrs, fmt.Errorf("list addresses: %w", err)
	}
	return addrs, nil
}

// Routes returns the routes that have the protocol, of all tables, families and links.
// With [ErrInterrupted] the list is right as far as it goes, and may name a route
// several times.
func (c *Conn) Routes(protocol uint8) ([]Route, error) {
	var all []Route
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		routes, err := nl.List(c.Conn, unix.RTM_GETROUTE, func(b []byte) []byte {
			return append(b, family, 0, 0, 0, 0, protocol, 0, 0, 0, 0, 0, 0) // struct rtmsg
		}, func(m nl.Message) (Route, bool) {
			r, ok := DecodeRoute(m.Body, c.names)
			return r, ok && m.Type == unix.RTM_NEWROUTE && r.Protocol == protocol
		})
		all = append(all, routes...)
		if err != nil && !withoutFamily(err) {
			return all, fmt.Errorf("list routes: %w", err)
		}
	}
	return all, nil
}

// Rules returns all rules of the namespace. With [ErrInterrupted] the list is right
// as far as it goes, and may name a rule several times.
func (c *Conn) Rules() ([]Rule, error) {
	var all []Rule
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		rules, err := nl.List(c.Conn, unix.RTM_GETRULE, func(b []byte) []byte {
			return append(b, family, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0) // struct fib_rule_hdr
		}, func(m nl.Message) (Rule, bool) {
			r, ok := DecodeRule(m.Body, c.names)
			return r, ok && m.Type == unix.RTM_NEWRULE
		})
		all = append(all, rules...)
		if err != nil && !withoutFamily(err) {
			return all, fmt.Errorf("list rules: %w", err)
		}
	}
	return all, nil
}

// withoutFamily reports whether a refusal means that the kernel does not have a
// family, or no rules of it.
func withoutFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}

// ForeignAddrs are the addresses of each link, by its name, that do not have our
// mark, in the namespace of the caller; nil if the kernel does not report marks.
func ForeignAddrs() map[string][]netip.Prefix {
	conn, err := Dial(0, false)
	if err != nil {
		return nil
	}
	defer conn.Close()
	links, err := conn.Links()
	if err != nil && !errors.Is(err, ErrInterrupted) {
		return nil
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Index] = l.Name
	}
	addrs, err := conn.Addrs()
	if err != nil && !errors.Is(err, ErrInterrupted) {
		return nil
	}
	all := make(map[string][]netip.Prefix)
	for _, a := range addrs {
		if a.Proto != AddrProto {
			all[names[a.Link]] = append(all[names[a.Link]], a.Prefix)
		}
	}
	return all
}

// linkName returns the name of a link for an error's text, "#7" if it is gone.
func (c *Conn) linkName(index int) string {
	name := fmt.Sprintf("#%d", index)
	// An error leaves the number.
	_ = c.Do(unix.RTM_GETLINK, 0, func(b []byte) []byte { return appendLinkHeader(b, index) }, func(m nl.Message) {
		if l, ok := decodeLink(m.Body, c.names); ok && m.Type == unix.RTM_NEWLINK {
			name = l.Name
		}
	})
	return name
}

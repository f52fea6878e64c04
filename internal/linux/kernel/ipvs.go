package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
	"keepalived-go/lvs/ipvs"
)

// IPVS is an entry of the kernel's table of virtual services: a service, or a
// destination of one. In a list a service stands before its destinations.
type IPVS struct {
	Service     ipvs.Service     // of a destination its identity counts
	Destination ipvs.Destination // the zero value: the entry is the service
}

// IPVSKey identifies an entry.
type IPVSKey struct {
	Service     ipvs.ServiceID
	Destination netip.AddrPort // the zero value: the entry is the service
}

// Key returns the entry's identity.
func (e *IPVS) Key() IPVSKey { return IPVSKey{e.Service.ServiceID, e.Destination.Addr} }

func (e *IPVS) isService() bool { return !e.Destination.Addr.IsValid() }

// Compare says whether e is what want asks for. All of an entry can be changed in
// place, and connections stay.
func (e *IPVS) Compare(want *IPVS) (same, inPlace bool) {
	if e.isService() {
		return e.Service.Normal() == want.Service.Normal(), true
	}
	return e.Destination.Normal() == want.Destination.Normal(), true
}

// DiffIPVS is [Diff] of the table of services. Destinations whose service is removed
// have no change of their own: they go with it.
func DiffIPVS(have, want []IPVS) []Change {
	all := Diff[IPVS, IPVSKey](have, want)
	gone := map[ipvs.ServiceID]bool{}
	for _, c := range all {
		if e := c.Object.(*IPVS); c.Op == Remove && e.isService() {
			gone[e.Service.ServiceID] = true
		}
	}
	plan := all[:0]
	for _, c := range all {
		e := c.Object.(*IPVS)
		if c.Op != Remove || e.isService() || !gone[e.Service.ServiceID] {
			plan = append(plan, c)
		}
	}
	return plan
}

// Kind is what kind of [Object] an entry is.
func (*IPVS) Kind() string { return "virtual service" }

// OnLink is 0: entries are on no link.
func (*IPVS) OnLink() int { return 0 }

// Foreign is false: the kernel does not know who has set an entry.
func (*IPVS) Foreign() bool { return false }

// Gone reports whether the refusal of a removal means that the entry or its service
// is gone.
func (*IPVS) Gone(refusal error) bool {
	return errors.Is(refusal, unix.ESRCH) || errors.Is(refusal, unix.ENOENT)
}

// Head and Follows are false: [DiffIPVS] knows what goes with a service.
func (*IPVS) Head() (k IPVSKey, ok bool) { return k, false }

// Follows is like Head.
func (*IPVS) Follows() (k IPVSKey, ok bool) { return k, false }

// Encode appends the body of a request. Its type is that of the connection's
// family.
func (e *IPVS) Encode(op Op, b []byte) ([]byte, nl.Request) {
	c := ipvs.Change{Service: e.Service}
	switch op {
	case Replace:
		c.Op = ipvs.Set
	case Remove:
		c.Op = ipvs.Remove
	}
	if !e.isService() {
		c.Destination = &e.Destination
	}
	m := c.Message()
	return m.Append(b), nl.Request{Type: ofGeneric}
}

// Held reads the table, as far as the kernel lists it.
func (*IPVS) Held(c *Conn) Finder {
	all, _ := c.IPVS(nil)
	return NewFinder[IPVS, IPVSKey](all)
}

// Text prints "service tcp 192.0.2.1:80" or "server 198.51.100.1:80 of tcp
// 192.0.2.1:80".
func (e *IPVS) Text() string {
	if e.isService() {
		return fmt.Sprintf("service %v", e.Service.ServiceID)
	}
	return fmt.Sprintf("server %v of %v", e.Destination.Addr, e.Service.ServiceID)
}

// Attributes prints what is asked for beyond the identity.
func (e *IPVS) Attributes() string {
	var words []string
	add := func(format string, args ...any) { words = append(words, fmt.Sprintf(format, args...)) }
	if e.isService() {
		s := e.Service.Normal()
		add("scheduler %s", s.Scheduler)
		for i, name := range []string{"ops", "flag-1", "flag-2", "flag-3"} {
			if s.Flags&(ipvs.OnePacket<<i) != 0 {
				add("%s", name)
			}
		}
		if s.Timeout != 0 {
			add("persistent %d", s.Timeout)
		}
		switch {
		case s.Mask == ipvs.Service{ServiceID: s.ServiceID}.Normal().Mask:
		case s.AddressFamily() == ipvs.IPv6:
			add("mask %d", s.Mask)
		default:
			add("mask %d.%d.%d.%d", s.Mask>>24, s.Mask>>16&0xff, s.Mask>>8&0xff, s.Mask&0xff)
		}
		if s.Engine != "" {
			add("engine %s", s.Engine)
		}
		return strings.Join(words, " ")
	}
	d := e.Destination.Normal()
	add("%v weight %d", d.Forward, d.Weight)
	if d.Forward == ipvs.Tunnel {
		add("%v", d.Tunnel.Type)
		if d.Tunnel.Port != 0 {
			add("port %d", d.Tunnel.Port)
		}
		switch d.Tunnel.Checksum {
		case ipvs.FullChecksum:
			add("csum")
		case ipvs.RemoteChecksum:
			add("remcsum")
		}
	}
	if d.Upper != 0 {
		add("connections at most %d", d.Upper)
	}
	if d.Lower != 0 {
		add("again below %d", d.Lower)
	}
	return strings.Join(words, " ")
}

package lvs

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Names in logs, recordings and scenario files. Every enumeration prints as its
// name.

func name[T ~uint8](names []string, v T) string {
	if int(v) < len(names) && names[v] != "" {
		return names[v]
	}
	return fmt.Sprintf("%d", uint8(v))
}

func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	case 0:
		return "none"
	}
	return fmt.Sprintf("%d", uint8(p))
}

func (f Family) String() string {
	switch f {
	case IPv4:
		return "IPv4"
	case IPv6:
		return "IPv6"
	}
	return fmt.Sprintf("%d", uint8(f))
}

// String is the endpoint in keepalived's notation: [10.0.0.1]:tcp:80, FWM 9.
func (e Endpoint) String() string {
	if !e.Addr.Addr().IsValid() {
		return fmt.Sprintf("FWM %d", e.FWMark)
	}
	return at(e.Addr, e.Protocol)
}

// String is the service in keepalived's notation: that of its endpoint, or
// [group]:0.
func (s ServiceID) String() string {
	if s.Group != "" {
		return "[" + s.Group + "]:0"
	}
	return s.Endpoint.String()
}

// ServerName is a server of the service in keepalived's notation:
// [10.0.0.2]:tcp:80, with none for the protocol of a firewall mark.
func (s ServiceID) ServerName(a netip.AddrPort) string { return at(a, s.Protocol) }

func at(a netip.AddrPort, p Protocol) string {
	b := append(make([]byte, 0, 64), '[')
	b = append(append(a.Addr().AppendTo(b), "]:"...), p.String()...)
	return string(strconv.AppendUint(append(b, ':'), uint64(a.Port()), 10))
}

var eventNames = [...]string{
	Configure:      "configure",
	CheckResult:    "check-result",
	AddressChanged: "address-changed",
	Suspend:        "suspend",
	Unsuspend:      "unsuspend",
	Shutdown:       "shutdown",
}

func (k EventKind) String() string { return name(eventNames[:], k) }

var actionNames = [...]string{
	FlushTable:       "flush-table",
	CheckActivated:   "check-activated",
	CheckDeactivated: "check-deactivated",
	CheckChanged:     "check-changed",
	WeightChanged:    "weight-changed",
	ServerUp:         "server-up",
	ServerDown:       "server-down",
	ServerGone:       "server-gone",
	ServiceGone:      "service-gone",
	EndpointGone:     "endpoint-gone",
	QuorumGained:     "quorum-gained",
	QuorumLost:       "quorum-lost",
	SorryAdded:       "sorry-added",
	SorryRemoved:     "sorry-removed",
	PoolRemoved:      "pool-removed",
	PoolAdded:        "pool-added",
}

func (k ActionKind) String() string { return name(actionNames[:], k) }

var reasonNames = [...]string{
	ReasonNone:     "none",
	ReasonCheck:    "check",
	ReasonStart:    "start",
	ReasonReload:   "reload",
	ReasonRemoved:  "removed",
	ReasonShutdown: "shutdown",
}

func (r Reason) String() string { return name(reasonNames[:], r) }

var changeNames = [...]string{
	PoolUnchanged: "unchanged",
	PoolEntry:     "entry",
	PoolWeight:    "weight",
}

func (c PoolChange) String() string { return name(changeNames[:], c) }

var stateNames = [...]string{
	CheckPending: "pending",
	CheckDown:    "down",
	CheckUp:      "up",
}

func (s CheckState) String() string { return name(stateNames[:], s) }

// String is the action as a line: service, kind, server, fields.
func (a Action) String() string {
	var b strings.Builder
	if a.Service != nil {
		fmt.Fprintf(&b, "%v ", a.Service.ID)
	}
	b.WriteString(a.Kind.String())
	if a.Server != nil {
		fmt.Fprintf(&b, " %v", a.Server.Addr)
	}
	switch a.Kind {
	case CheckActivated, CheckDeactivated:
		fmt.Fprintf(&b, " check=%d", a.Check)
	case CheckChanged:
		fmt.Fprintf(&b, " check=%d up=%t server-changed=%t", a.Check, a.Up, a.ServerChanged)
	case WeightChanged:
		fmt.Fprintf(&b, " from=%d to=%d up=%t", a.From, a.To, a.Up)
	case ServerUp, ServerDown, SorryAdded, SorryRemoved:
		fmt.Fprintf(&b, " change=%v", a.Change)
	case EndpointGone:
		fmt.Fprintf(&b, " %v", a.Entry)
	case QuorumGained, QuorumLost:
		fmt.Fprintf(&b, " sum=%d quorum=%d hysteresis=%d", a.Sum, a.Quorum, a.Hysteresis)
	}
	if a.Reason != ReasonNone {
		fmt.Fprintf(&b, " reason=%v", a.Reason)
	}
	return b.String()
}

// String is the destination as a line: address, method, weight.
func (d Destination) String() string {
	return fmt.Sprintf("%v %v %d", d.Addr, d.Method, d.Weight)
}

func (m Method) String() string {
	switch m {
	case Masquerade:
		return "NAT"
	case Tunnel:
		return "TUN"
	case Direct:
		return "DR"
	}
	return fmt.Sprintf("%d", uint8(m))
}

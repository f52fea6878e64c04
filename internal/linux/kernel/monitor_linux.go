package kernel

import (
	"errors"
	"fmt"
	"math"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// EventKind is what an event is about.
type EventKind uint8

const (
	LinkNew    EventKind = iota // a link appeared or changed
	LinkGone                    // a link was deleted or left the namespace
	AddrNew                     // an address appeared or changed
	AddrGone                    // an address was removed
	Forwarding                  // a link forwards IPv6 packets now, or does not any more
	RouteGone                   // a route with our mark was removed, or one was replaced
	RuleGone                    // a rule was removed
	Overrun                     // events were lost: dump again
	Reminder                    // the time that [Monitor.Remind] was given has passed
)

// Event is a change in the kernel, by any program.
type Event struct {
	Kind EventKind
	Link Link // LinkNew, LinkGone; of Forwarding only Index and Forwards6
	Addr Addr // AddrNew, AddrGone

	// Route is the one that was removed, or that has replaced another one of its slot;
	// Rule is the one that was removed.
	Route *Route
	Rule  *Rule

	// PortID and Seq are those of the request that caused it, also when it is
	// a consequence, as the end of a secondary address with its primary; 0 if
	// there was none.
	PortID, Seq uint32
}

// Monitor delivers the events of the links, addresses, routes and rules of a namespace.
type Monitor struct {
	events *nl.Events
	done   chan struct{}
}

// What is read at once. A message about a link is 1 to 2 KiB; one that does
// not fit counts as lost.
const (
	monitorBatch   = 32
	monitorMessage = 8 << 10
	maxQueued      = 1 << 16 // events that are delivered at once after a loss
)

// Watch subscribes to events, and then returns: a dump made afterwards misses
// nothing. deliver is called from the monitor's goroutine with at least one
// event; the slice is valid during the call. rcvbuf and force are as in [Dial];
// 1 MiB holds 2,500 addresses set while deliver is busy.
//
// The IPv4 addresses that own adds cause no event, unless own is nil: it is
// reported by the completion, and waking up for each of thousands would take as
// long as adding them. Of routes there are only the events that concern ours, as others
// may change thousands in a second, and none that own causes.
func Watch(rcvbuf int, force bool, own *Conn, deliver func([]Event)) (*Monitor, error) {
	return WatchOn(Machine, rcvbuf, force, own, deliver)
}

// WatchOn is [Watch] on a host.
func WatchOn(h Host, rcvbuf int, force bool, own *Conn, deliver func([]Event)) (*Monitor, error) {
	o := nl.Options{
		ReceiveBuffer: rcvbuf, Force: force,
		Groups: []uint32{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_NETCONF,
			unix.RTNLGRP_IPV4_ROUTE, unix.RTNLGRP_IPV6_ROUTE, unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV6_RULE},
	}
	if own != nil {
		// An address that is promoted because of a removal is delivered.
		o.Filter = append(onlyLosses(own.PortID()), nl.IgnoreQuiet(own.PortID(), unix.RTM_NEWADDR)...)
	} else {
		const noPort = 1<<32 - 1
		o.Filter = append(onlyLosses(noPort), bpf.RetConstant{Val: math.MaxUint32})
	}
	s, err := h.Netlink(unix.NETLINK_ROUTE, o)
	if err != nil {
		return nil, fmt.Errorf("watch links and addresses: %w", err)
	}
	m := &Monitor{events: nl.NewEvents(s, monitorBatch, monitorMessage), done: make(chan struct{})}
	go m.run(deliver)
	return m, nil
}

// onlyLosses is the first part of a filter. Of the events of routes it leaves in the
// removal of one with our mark, and that one replaces another, unless the port has
// caused it; of those of rules it leaves out additions. All else is up to what follows.
func onlyLosses(port uint32) []bpf.Instruction {
	const atType, atFlags, atPort, atProtocol = 4, 6, 12, unix.NLMSG_HDRLEN + 5 // of struct nlmsghdr, rtmsg
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: atType, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nl.Filter16(unix.RTM_NEWROUTE), SkipTrue: 3},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nl.Filter16(unix.RTM_DELROUTE), SkipTrue: 5},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nl.Filter16(unix.RTM_NEWRULE), SkipTrue: 9},
		bpf.Jump{Skip: 9},
		bpf.LoadAbsolute{Off: atFlags, Size: 2}, // of RTM_NEWROUTE
		bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: nl.Filter16(unix.NLM_F_REPLACE), SkipTrue: 6},
		bpf.Jump{Skip: 2},
		bpf.LoadAbsolute{Off: atProtocol, Size: 1}, // of RTM_DELROUTE
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: RouteProto, SkipTrue: 3},
		bpf.LoadAbsolute{Off: atPort, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: nl.Filter32(port), SkipTrue: 1},
		bpf.RetConstant{Val: math.MaxUint32},
		bpf.RetConstant{Val: 0},
	}
}

// Remind has a [Reminder] delivered after d, in the order of the events. The
// last call counts.
func (m *Monitor) Remind(d time.Duration) { m.events.Remind(d) }

// Close ends the monitor; deliver is not called any more when it returns. It
// must not be called from deliver.
func (m *Monitor) Close() error {
	err := m.events.Close()
	<-m.done
	return err
}

func (m *Monitor) run(deliver func([]Event)) {
	defer close(m.done)
	var events []Event
	names := make(nl.Names)
	take := func(msg nl.Message) { events = appendEvent(events, msg, names) }
	for {
		events = events[:0]
		switch err := m.events.Read(take); {
		case errors.Is(err, nl.ErrReminder):
			events = append(events, Event{Kind: Reminder})
		case errors.Is(err, nl.ErrLost):
			// The kernel reports a loss before the events that it still has, which are
			// older than what a dump shows.
			for n, err := 1, error(nil); n > 0 && len(events) < maxQueued && (err == nil || errors.Is(err, nl.ErrLost)); {
				n, err = m.events.ReadNow(take)
			}
			events = append(events, Event{Kind: Overrun})
		case err != nil:
			return // closed
		}
		if len(events) > 0 {
			deliver(events)
		}
	}
}

// appendEvent decodes a message.
func appendEvent(events []Event, m nl.Message, names nl.Names) []Event {
	e := Event{PortID: m.Port, Seq: m.Seq}
	ok := false
	switch m.Type {
	case unix.RTM_NEWLINK, unix.RTM_DELLINK:
		if m.Type == unix.RTM_DELLINK {
			e.Kind = LinkGone
		}
		e.Link, ok = decodeLink(m.Body, names)
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		e.Kind = AddrNew
		if m.Type == unix.RTM_DELADDR {
			e.Kind = AddrGone
		}
		e.Addr, ok = DecodeAddr(m.Body, names)
	case unix.RTM_NEWNETCONF:
		e.Kind = Forwarding
		e.Link, ok = decodeForwarding(m.Body)
	case unix.RTM_NEWROUTE, unix.RTM_DELROUTE:
		var r Route
		r, ok = DecodeRoute(m.Body, names)
		e.Kind, e.Route = RouteGone, &r
	case unix.RTM_DELRULE:
		var r Rule
		r, ok = DecodeRule(m.Body, names)
		e.Kind, e.Rule = RuleGone, &r
	}
	if ok {
		events = append(events, e)
	}
	return events
}

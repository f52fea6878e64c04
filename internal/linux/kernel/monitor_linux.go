package kernel

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// EventKind tells the events apart.
type EventKind uint8

const (
	LinkNew    EventKind = iota // a link appeared or changed
	LinkGone                    // a link was deleted or left the namespace
	AddrNew                     // an address appeared or changed
	AddrGone                    // an address was removed
	Forwarding                  // a link forwards IPv6 packets now, or does not any more
	Overrun                     // events were lost: dump again
	Reminder                    // the time that [Monitor.Remind] was given has passed
)

// Event is a change in the kernel, whoever made it.
type Event struct {
	Kind EventKind
	Link Link // LinkNew, LinkGone; of Forwarding only Index and Forwards6
	Addr Addr // AddrNew, AddrGone

	// PortID and Seq are those of the request that caused it, also when it is
	// a consequence, as the end of a secondary address with its primary; 0 if
	// there was none.
	PortID, Seq uint32
}

// Monitor delivers the events of the links and addresses of a namespace.
type Monitor struct {
	events *nl.Events
	done   chan struct{}
}

// What is read at once. A message about a link is 1 to 2 KiB; one that does
// not fit counts as lost.
const (
	monitorBatch   = 32
	monitorMessage = 8 << 10
)

// Watch subscribes to events, and then returns: a dump made afterwards misses
// nothing. deliver is called from the monitor's goroutine with at least one
// event; the slice is valid during the call. rcvbuf and force are as in [Dial];
// 1 MiB holds 2,500 addresses set while deliver is busy.
//
// The IPv4 addresses that own adds cause no event, unless own is nil: it is
// told by the completion, and waking up for each of thousands would take as
// long as adding them.
func Watch(rcvbuf int, force bool, own *Conn, deliver func([]Event)) (*Monitor, error) {
	return WatchOn(Machine, rcvbuf, force, own, deliver)
}

// WatchOn is [Watch] on a host.
func WatchOn(h Host, rcvbuf int, force bool, own *Conn, deliver func([]Event)) (*Monitor, error) {
	o := nl.Options{
		ReceiveBuffer: rcvbuf, Force: force,
		Groups: []uint32{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR, unix.RTNLGRP_IPV6_NETCONF},
	}
	if own != nil {
		// An address that is promoted because of a removal is delivered.
		o.Filter = nl.IgnoreQuiet(own.PortID(), unix.RTM_NEWADDR)
	}
	s, err := h.Netlink(unix.NETLINK_ROUTE, o)
	if err != nil {
		return nil, fmt.Errorf("watch links and addresses: %w", err)
	}
	m := &Monitor{events: nl.NewEvents(s, monitorBatch, monitorMessage), done: make(chan struct{})}
	go m.run(deliver)
	return m, nil
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
	}
	if ok {
		events = append(events, e)
	}
	return events
}

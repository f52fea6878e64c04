package kernel

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// patience is how long a test waits for an event.
const patience = 10 * time.Second

// await returns the first event for which f is true.
func await(t *testing.T, events <-chan Event, f func(Event) bool) Event {
	t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case e := <-events:
			if f(e) {
				return e
			}
		case <-deadline:
			t.Fatal("no such event")
		}
	}
}

func watch(t *testing.T, rcvbuf int) (*Monitor, <-chan Event) {
	t.Helper()
	events := make(chan Event, 10000)
	m, err := Watch(rcvbuf, true, nil, func(batch []Event) {
		for _, e := range batch {
			events <- e
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, events
}

func TestMonitor(t *testing.T) {
	newNetNS(t)
	_, events := watch(t, 1<<20)

	ip(t, "link add test0 type veth peer name peer0")
	test0 := link(t, "test0")
	got := await(t, events, func(e Event) bool { return e.Kind == LinkNew && e.Link.Name == "test0" })
	if got.Link.Index != test0 || got.Link.Kind != "veth" || got.Link.Up() {
		t.Errorf("new link: %+v", got.Link)
	}
	ip(t, "link set test0 up")
	ip(t, "link set peer0 up")
	await(t, events, func(e Event) bool { return e.Kind == LinkNew && e.Link.Index == test0 && e.Link.Up() })
	ip(t, "link set peer0 down")
	await(t, events, func(e Event) bool { return e.Kind == LinkNew && e.Link.Index == test0 && !e.Link.Up() })
	ip(t, "link set test0 down")
	ip(t, "link set test0 name renamed0")
	await(t, events, func(e Event) bool { return e.Kind == LinkNew && e.Link.Index == test0 && e.Link.Name == "renamed0" })

	// Our own changes are distinguished from others' by the port.
	c := dial(t)
	vip := Addr{Link: test0, Prefix: prefix("192.0.2.1/32"), Label: "renamed0:1", Proto: AddrProto}
	carryOut(t, c, Change{Add, &vip})
	got = await(t, events, func(e Event) bool { return e.Kind == AddrNew && e.Addr.Prefix == vip.Prefix })
	if got.PortID != c.PortID() || got.Addr.Proto != AddrProto || got.Addr.Label != vip.Label || got.Addr.Link != test0 {
		t.Errorf("new address: %+v", got)
	}
	ip(t, "addr del 192.0.2.1/32 dev renamed0")
	got = await(t, events, func(e Event) bool { return e.Kind == AddrGone && e.Addr.Prefix == vip.Prefix })
	if got.PortID == c.PortID() {
		t.Errorf("another program's removal carries our port %d", got.PortID)
	}

	// So are their consequences: the secondary address is removed, too.
	ip(t, "addr add 198.51.100.1/24 dev renamed0")
	ip(t, "addr add 198.51.100.2/24 dev renamed0")
	primary := Addr{Link: test0, Prefix: prefix("198.51.100.1/24")}
	carryOut(t, c, Change{Remove, &primary})
	got = await(t, events, func(e Event) bool { return e.Kind == AddrGone && e.Addr.Prefix == prefix("198.51.100.2/24") })
	if got.PortID != c.PortID() {
		t.Errorf("the secondary address's end: %+v", got)
	}

	// A link that leaves a bridge is not removed.
	ip(t, "link add br0 type bridge")
	ip(t, "link set renamed0 master br0")
	await(t, events, func(e Event) bool { return e.Kind == LinkNew && e.Link.Index == test0 && e.Link.Master != 0 })
	ip(t, "link set renamed0 nomaster")
	ip(t, "link set renamed0 mtu 1300")
	await(t, events, func(e Event) bool {
		if e.Kind == LinkGone && e.Link.Index == test0 {
			t.Errorf("leaving a bridge is reported as the link's end")
		}
		return e.Kind == LinkNew && e.Link.Index == test0 && e.Link.MTU == 1300
	})
	ip(t, "link del renamed0")
	await(t, events, func(e Event) bool { return e.Kind == LinkGone && e.Link.Index == test0 })
}

// TestForwarding checks that the state of IPv6 forwarding of a link is in listings and
// events, and that a change of the setting is a separate event.
func TestForwarding(t *testing.T) {
	newNetNS(t)
	ip(t, "link add test0 type veth peer name peer0")
	test0 := link(t, "test0")
	_, events := watch(t, 0)
	c := dial(t)
	for _, on := range []bool{true, false} {
		value := "0"
		if on {
			value = "1"
		}
		if _, err := SetSysctl(value, "net", "ipv6", "conf", "all", "forwarding"); err != nil {
			t.Fatal(err)
		}
		await(t, events, func(e Event) bool { return e.Kind == Forwarding && e.Link.Index == test0 && e.Link.Forwards6 == on })
		links, err := c.Links()
		if i := slices.IndexFunc(links, func(l Link) bool { return l.Index == test0 }); err != nil || i < 0 || links[i].Forwards6 != on {
			t.Errorf("%+v, error %v; forwarding is %t", links, err, on)
		}
		ip(t, "link set test0 mtu 130"+value)
		await(t, events, func(e Event) bool { return e.Kind == LinkNew && e.Link.Index == test0 && e.Link.Forwards6 == on })
	}
}

// TestMonitorOverrun checks that a monitor that loses events reports the loss and
// continues.
func TestMonitorOverrun(t *testing.T) {
	newNetNS(t)
	ip(t, "link add test0 type veth peer name peer0")
	test0 := link(t, "test0")
	hold, overrun, later := make(chan struct{}), make(chan struct{}), make(chan struct{})
	sentinel := prefix("192.0.2.1/32")
	held, overran := false, false
	m, err := Watch(1, true, nil, func(batch []Event) { // 1: the smallest possible buffer
		if !held {
			held = true
			<-hold
		}
		for _, e := range batch {
			if e.Kind == Overrun && !overran {
				overran = true
				close(overrun)
			}
			if e.Kind == AddrNew && e.Addr.Prefix == sentinel {
				close(later)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var many []Addr
	for i := range 500 {
		many = append(many, Addr{Link: test0, Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)})
	}
	if errs := execute(t, DiffAddrs(nil, many)); errs != nil {
		t.Fatal(errs)
	}
	close(hold)
	wait := func(c chan struct{}, what string) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(patience):
			t.Fatalf("%s was not delivered", what)
		}
	}
	wait(overrun, "the overrun")
	if errs := execute(t, DiffAddrs(nil, []Addr{{Link: test0, Prefix: sentinel}})); errs != nil {
		t.Fatal(errs)
	}
	wait(later, "an event after the overrun")
}

func TestMonitorCloseEndsItsGoroutine(t *testing.T) {
	newNetNS(t)
	m, err := Watch(0, false, nil, func([]Event) {})
	if err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	go func() { closed <- m.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("Close hangs")
	}
}

// appendRequest appends the request for a change.
func appendRequest(b []byte, c Change) []byte {
	start := len(b)
	b, _ = nl.Begin(b, 0, 0, 1)
	b, r := c.Object.(Requested).Encode(c.Op, b)
	native.PutUint16(b[start+4:], r.Type)
	return nl.End(b, start)
}

// appendEvents decodes the messages of a datagram.
func appendEvents(events []Event, b []byte, names nl.Names) []Event {
	for {
		m, rest, ok := nl.Next(b)
		if !ok {
			return events
		}
		events = appendEvent(events, m, names)
		b = rest
	}
}

// carryOut makes the kernel carry out the changes, and fails if one is refused.
func carryOut(t *testing.T, c *Conn, changes ...Change) {
	t.Helper()
	refused := make([]*nl.Error, len(changes))
	err := c.Batch(len(changes), func(i int, b []byte) ([]byte, nl.Request) {
		return changes[i].Object.(Requested).Encode(changes[i].Op, b)
	}, refused)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range refused {
		if e != nil {
			t.Fatalf("%v: %v", changes[i], e)
		}
	}
}

func TestMessagesAllocateNothing(t *testing.T) {
	a := Addr{Link: 3, Prefix: prefix("192.0.2.1/32"), Label: "eth0", Proto: AddrProto}
	add := Change{Add, &a}
	b := appendRequest(nil, add)
	b = appendRequest(b, Change{Remove, &Addr{Link: 3, Prefix: prefix("2001:db8::1/64")}})
	names := make(nl.Names)
	events := appendEvents(nil, b, names)
	if len(events) != 2 || events[0].Kind != AddrNew || events[1].Kind != AddrGone || events[0].Addr.Label != "eth0" {
		t.Fatalf("events %+v", events)
	}
	if n := testing.AllocsPerRun(100, func() { events = appendEvents(events[:0], b, names) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if n := testing.AllocsPerRun(100, func() { b = appendRequest(b[:0], add) }); n != 0 {
		t.Errorf("%v allocations per change encoded", n)
	}
}

// TestMonitorOfOwner checks that a monitor with an owner leaves out the additions of that
// connection, and nothing else: it reports additions of others, and all consequences of a
// removal.
func TestMonitorOfOwner(t *testing.T) {
	newNetNS(t)
	ip(t, "link add test0 type veth peer name peer0")
	test0 := link(t, "test0")
	if _, err := SetSysctl("1", "net", "ipv4", "conf", "test0", "promote_secondaries"); err != nil {
		t.Fatal(err)
	}
	c := dial(t)
	events := make(chan Event, 1000)
	m, err := Watch(0, false, c, func(batch []Event) {
		for _, e := range batch {
			events <- e
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })

	first := Addr{Link: test0, Prefix: prefix("192.0.2.1/24"), Proto: AddrProto}
	second := Addr{Link: test0, Prefix: prefix("192.0.2.2/24"), Proto: AddrProto}
	carryOut(t, c, Change{Add, &first}, Change{Add, &second})
	ip(t, "addr add 192.0.2.3/32 dev test0")
	got := await(t, events, func(e Event) bool { return e.Kind == AddrNew })
	if got.Addr.Prefix != prefix("192.0.2.3/32") {
		t.Errorf("an addition of our own was delivered: %+v", got)
	}
	carryOut(t, c, Change{Remove, &first})
	await(t, events, func(e Event) bool { return e.Kind == AddrGone && e.Addr.Prefix == first.Prefix })
	promoted := await(t, events, func(e Event) bool { return e.Kind == AddrNew })
	if promoted.Addr.Prefix != second.Prefix || promoted.Addr.Flags&unix.IFA_F_SECONDARY != 0 {
		t.Errorf("promotion: %+v", promoted)
	}
}

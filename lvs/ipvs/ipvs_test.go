package ipvs_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"keepalived-go/lvs/ipvs"
	"keepalived-go/lvs/ipvs/ipvstest"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// services lists the services of the tests, each different from the others in some field.
var services = []ipvs.Service{
	{ServiceID: ipvs.AddrService(ipvs.TCP, addrPort("192.0.2.1:80")), Scheduler: "wlc"},
	{ServiceID: ipvs.AddrService(ipvs.UDP, addrPort("192.0.2.1:80")), Scheduler: "rr", Flags: ipvs.OnePacket},
	{ServiceID: ipvs.AddrService(ipvs.SCTP, addrPort("192.0.2.1:80")), Scheduler: "lc", Timeout: 360},
	{ServiceID: ipvs.AddrService(ipvs.TCP, addrPort("192.0.2.2:0")), Scheduler: "sh", Flags: ipvs.Sched1 | ipvs.Sched2, Timeout: 50, Mask: 0xffffff00},
	{ServiceID: ipvs.AddrService(ipvs.UDP, addrPort("192.0.2.3:5060")), Scheduler: "mh", Flags: ipvs.Sched2, Timeout: 60, Engine: "sip"},
	{ServiceID: ipvs.AddrService(ipvs.TCP, addrPort("[2001:db8::1]:443")), Scheduler: "wrr", Timeout: 10, Mask: 64, Flags: ipvs.Sched3},
	{ServiceID: ipvs.MarkService(7, ipvs.IPv4), Scheduler: "nq"},
	{ServiceID: ipvs.MarkService(7, ipvs.IPv6), Scheduler: "fo"},
	{ServiceID: ipvs.MarkService(math.MaxUint32, ipvs.IPv4), Scheduler: "ovf"},
}

// destinations lists the destinations of the first service and, last, of the IPv6
// services.
var destinations = []ipvs.Destination{
	{Addr: addrPort("198.51.100.1:8080"), Weight: 1},
	{Addr: addrPort("198.51.100.2:80"), Weight: 0, Forward: ipvs.DirectRoute},
	{Addr: addrPort("198.51.100.3:80"), Weight: math.MaxInt32, Forward: ipvs.Tunnel},
	{Addr: addrPort("198.51.100.4:80"), Weight: 10, Forward: ipvs.Tunnel, Tunnel: ipvs.TunnelOptions{Type: ipvs.GUE, Port: 6080, Checksum: ipvs.RemoteChecksum}},
	{Addr: addrPort("198.51.100.5:80"), Weight: 10, Forward: ipvs.Tunnel, Tunnel: ipvs.TunnelOptions{Type: ipvs.GRE, Checksum: ipvs.FullChecksum}},
	{Addr: addrPort("198.51.100.6:0"), Weight: 5, Upper: 100, Lower: 50},
	{Addr: addrPort("[2001:db8::9]:80"), Weight: 5, Forward: ipvs.Tunnel},
}

func add(s ipvs.Service, d ...ipvs.Destination) []ipvs.Change {
	if len(d) == 0 {
		return []ipvs.Change{{Service: s}}
	}
	var all []ipvs.Change
	for i := range d {
		all = append(all, ipvs.Change{Service: s, Destination: &d[i]})
	}
	return all
}

// table is the contents of a kernel, in order, without statistics.
type table map[string][]ipvs.Destination

func read(t testing.TB, c *ipvs.Conn) table {
	t.Helper()
	all, err := c.Services()
	if err != nil {
		t.Fatal(err)
	}
	got := table{}
	for _, s := range all {
		state, err := c.Service(s.ServiceID)
		if err != nil || state.Service != s.Service {
			t.Errorf("service %v alone is %+v, %v", s.ServiceID, state, err)
		}
		list, err := c.Destinations(s.ServiceID)
		if err != nil {
			t.Fatal(err)
		}
		got[fmt.Sprintf("%+v", s.Service)] = sorted(list)
	}
	return got
}

func sorted(list []ipvs.DestinationState) []ipvs.Destination {
	all := []ipvs.Destination{}
	for _, d := range list {
		all = append(all, d.Destination)
	}
	slices.SortFunc(all, func(a, b ipvs.Destination) int { return a.Addr.Compare(b.Addr) })
	return all
}

func check(t *testing.T, what string, errs []error, want ...error) {
	t.Helper()
	for i, want := range want {
		var got error
		if errs != nil {
			got = errs[i]
		}
		if want == nil && got != nil || want != nil && !errors.Is(got, want) {
			t.Errorf("%s, %d: %v, want %v", what, i, got, want)
		}
	}
}

// conformance checks the properties of a kernel, in memory or real.
func conformance(t *testing.T, c *ipvs.Conn) {
	web := services[0]
	if err := c.Flush(); err != nil {
		t.Fatal(err)
	}
	t.Run("all that can be asked for is held", func(t *testing.T) {
		want := table{}
		var changes []ipvs.Change
		for _, s := range services {
			changes = append(changes, add(s)...)
			want[fmt.Sprintf("%+v", s.Normal())] = []ipvs.Destination{}
		}
		changes = append(changes, add(web, destinations...)...)
		changes = append(changes, add(services[5], destinations[6])...)
		changes = append(changes, add(services[7], destinations[6])...)
		want[fmt.Sprintf("%+v", web.Normal())] = destinations
		want[fmt.Sprintf("%+v", services[5].Normal())] = destinations[6:]
		want[fmt.Sprintf("%+v", services[7].Normal())] = destinations[6:]
		if errs := c.Batch(changes); errs != nil {
			t.Fatal(errors.Join(errs...))
		}
		if diff := cmp.Diff(want, read(t, c), cmp.Comparer(func(a, b ipvs.Destination) bool { return a == b })); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		check(t, "again", c.Batch(changes), slices.Repeat([]error{ipvs.ErrExists}, len(changes))...)
	})
	t.Run("one destination", func(t *testing.T) {
		d, err := c.Destination(web.ServiceID, destinations[3].Addr)
		if err != nil || d.Destination != destinations[3] {
			t.Errorf("got %+v, %v", d, err)
		}
		if _, err = c.Destination(web.ServiceID, addrPort("192.0.2.99:1")); !errors.Is(err, ipvs.ErrNoDestination) {
			t.Errorf("one that is not there: %v", err)
		}
	})
	t.Run("each can be changed into each other", func(t *testing.T) {
		for _, from := range destinations[:6] {
			for _, to := range destinations[:6] {
				to.Addr = from.Addr
				check(t, "change", []error{c.Apply(ipvs.Change{Op: ipvs.Set, Service: web, Destination: &to})}, nil)
				if d, err := c.Destination(web.ServiceID, from.Addr); err != nil || d.Destination != to {
					t.Errorf("asked for %+v, got %+v, %v", to, d.Destination, err)
				}
			}
		}
		for _, to := range services[:6] {
			if to.AddressFamily() != ipvs.IPv4 {
				continue
			}
			to.ServiceID = web.ServiceID
			check(t, "change", []error{c.Apply(ipvs.Change{Op: ipvs.Set, Service: to})}, nil)
			if s, err := c.Service(web.ServiceID); err != nil || s.Service != to.Normal() {
				t.Errorf("asked for %+v, got %+v, %v", to, s.Service, err)
			}
		}
	})
	t.Run("refusals", func(t *testing.T) {
		nobody := ipvs.Service{ServiceID: ipvs.AddrService(ipvs.TCP, addrPort("192.0.2.99:80")), Scheduler: "rr"}
		unknown := nobody
		unknown.Scheduler = "no_such"
		engine := nobody
		engine.Engine = "no_such"
		stranger := ipvs.Destination{Addr: addrPort("198.51.100.99:80"), Weight: 1}
		limits, heavy, six, port := stranger, stranger, stranger, stranger
		limits.Lower = 7
		heavy.Weight = math.MaxInt32 + 1
		six.Addr = addrPort("[2001:db8::1]:80")
		port.Forward, port.Tunnel.Type = ipvs.Tunnel, ipvs.GUE
		long := nobody
		long.Scheduler = "a_name_that_is_too_long"
		changes := []ipvs.Change{
			{Op: ipvs.Set, Service: nobody}, {Op: ipvs.Remove, Service: nobody},
			{Op: ipvs.Add, Service: nobody, Destination: &stranger}, {Op: ipvs.Set, Service: nobody, Destination: &stranger}, {Op: ipvs.Remove, Service: nobody, Destination: &stranger},
			{Op: ipvs.Set, Service: web, Destination: &stranger}, {Op: ipvs.Remove, Service: web, Destination: &stranger},
			{Service: unknown}, {Service: engine},
			{Service: web, Destination: &limits}, {Service: web, Destination: &heavy}, {Service: web, Destination: &six}, {Service: web, Destination: &port},
			{Service: nobody}, {Service: nobody}, {Op: ipvs.Remove, Service: nobody}, // these must not keep the others from being carried out
			{Service: long},
		}
		check(t, "refusal", c.Batch(changes),
			ipvs.ErrNoService, ipvs.ErrNoService,
			ipvs.ErrNoService, ipvs.ErrNoService, ipvs.ErrNoService,
			ipvs.ErrNoDestination, ipvs.ErrNoDestination,
			ipvs.ErrNoScheduler, ipvs.ErrNoScheduler,
			unix.ERANGE, unix.ERANGE, unix.EINVAL, unix.EINVAL,
			nil, ipvs.ErrExists, nil,
			unix.EINVAL)
		_, err := c.Service(nobody.ServiceID)
		check(t, "get", []error{err, c.Zero(nobody.ServiceID)}, ipvs.ErrNoService, ipvs.ErrNoService)
		if list, err := c.Destinations(nobody.ServiceID); err != nil || len(list) > 0 {
			t.Errorf("destinations of a missing service: %v, %v", list, err)
		}
		if want := "read service tcp 192.0.2.99:80: no such service (no such process)"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
	})
	t.Run("a batch larger than a datagram", func(t *testing.T) {
		var changes []ipvs.Change
		for i := range 1000 {
			d := ipvs.Destination{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 80), Weight: 1}
			changes = append(changes, ipvs.Change{Service: services[1], Destination: &d})
		}
		if errs := c.Batch(changes); errs != nil {
			t.Fatal(errors.Join(errs...))
		}
		check(t, "all refused", c.Batch(changes), slices.Repeat([]error{ipvs.ErrExists}, len(changes))...)
		if list, err := c.Destinations(services[1].ServiceID); len(list) != 1000 || err != nil {
			t.Errorf("%d destinations, %v", len(list), err)
		}
	})
	t.Run("timeouts", func(t *testing.T) {
		before, err := c.Timeouts()
		if err != nil || before.TCP == 0 || before.TCPFin == 0 || before.UDP == 0 {
			t.Fatalf("%+v, %v", before, err)
		}
		want := before
		want.TCPFin = 33
		check(t, "set", []error{c.SetTimeouts(ipvs.Timeouts{TCPFin: 33}), c.SetTimeouts(ipvs.Timeouts{UDP: math.MaxUint32})}, nil, unix.EINVAL)
		if got, err := c.Timeouts(); got != want || err != nil {
			t.Errorf("%+v, %v, want %+v", got, err, want)
		}
		check(t, "set back", []error{c.SetTimeouts(before)}, nil)
	})
	t.Run("daemons", func(t *testing.T) {
		master := ipvs.Daemon{Role: ipvs.Master, Interface: "eth0", ID: 7, MaxLen: 1000, Group: netip.MustParseAddr("224.0.0.99"), Port: 9999, TTL: 3}
		backup := ipvs.Daemon{Role: ipvs.Backup, Interface: "eth0", ID: 255}
		six := ipvs.Daemon{Role: ipvs.Backup, Interface: "eth0", ID: 1, MaxLen: 500, Group: netip.MustParseAddr("ff02::99"), Port: 1, TTL: 255}
		nowhere := ipvs.Daemon{Role: ipvs.Backup, Interface: "no_such", ID: 1}
		across := ipvs.Change{Service: web, Destination: &destinations[6]}
		check(t, "with a destination of another family", []error{c.StartDaemon(master), c.Apply(ipvs.Change{Op: ipvs.Remove, Service: services[7]}),
			c.Apply(ipvs.Change{Op: ipvs.Remove, Service: web, Destination: across.Destination})}, unix.EINVAL, nil, nil)
		check(t, "start", []error{
			c.StopDaemon(master), c.StartDaemon(nowhere), c.StartDaemon(master), c.StartDaemon(master), c.StartDaemon(backup),
			c.Apply(across),
		}, ipvs.ErrNoDaemon, unix.ENODEV, nil, ipvs.ErrExists, nil, unix.EINVAL)
		got, err := c.Daemons()
		if err != nil || len(got) != 2 || got[0] != master {
			t.Errorf("%+v, %v", got, err)
		}
		backup.MaxLen, backup.Group, backup.Port, backup.TTL = 1472, netip.MustParseAddr("224.0.0.81"), 8848, 1
		if len(got) == 2 && got[1] != backup {
			t.Errorf("with defaults: %+v, want %+v", got[1], backup)
		}
		check(t, "stop", []error{c.StopDaemon(backup), c.StopDaemon(master), c.StartDaemon(six)}, nil, nil, nil)
		six.MaxLen = 1024
		if got, err := c.Daemons(); err != nil || len(got) != 1 || got[0] != six {
			t.Errorf("%+v, %v", got, err)
		}
		check(t, "stop", []error{c.StopDaemon(six)}, nil)
	})
	t.Run("info, counters, flush", func(t *testing.T) {
		if i, err := c.Info(); err != nil || i.Version.String() != "1.2.1" || i.TableSize == 0 {
			t.Errorf("%+v, %v", i, err)
		}
		check(t, "zero", []error{c.Zero(web.ServiceID), c.ZeroAll(), c.Flush()}, nil, nil, nil)
		if got := read(t, c); len(got) > 0 {
			t.Errorf("after the flush there is %v", got)
		}
	})
}

func TestInMemory(t *testing.T) {
	k := ipvstest.New()
	c, err := k.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	conformance(t, c)
}

// TestTrouble makes the kernel in memory do what a real kernel does rarely.
func TestTrouble(t *testing.T) {
	k := ipvstest.New()
	c, err := k.Dial()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	check(t, "add", c.Batch(append(add(services[0]), add(services[1])...)), nil, nil)

	k.Refuse(func(r ipvs.Message) error {
		if r.Command == ipvs.NewDest {
			return unix.EPERM
		}
		return nil
	})
	check(t, "refused", c.Batch(add(services[0], destinations[0])), fs.ErrPermission)
	k.Refuse(nil)

	id, addr := services[0].ServiceID, destinations[0].Addr
	check(t, "of others", []error{k.Change(add(services[0], destinations[0])[0]), k.Change(ipvs.Change{Op: ipvs.Remove, Service: services[4]})}, nil, unix.ESRCH)
	stats := ipvs.Stats{Connections: 1 << 40, InPackets: 2, OutPackets: 3, InBytes: 4, OutBytes: 5, ConnectionRate: 6, InPacketRate: 7, OutPacketRate: 8, InByteRate: 9, OutByteRate: 1 << 50}
	conns := ipvs.Connections{Active: 1, Inactive: 2, Persistent: 3}
	k.SetStats(id, addr, conns, stats)
	k.SetStats(id, netip.AddrPort{}, ipvs.Connections{}, stats)
	if d, err := c.Destination(id, addr); err != nil || d.Stats != stats || d.Connections != conns {
		t.Errorf("%+v, %v", d, err)
	}
	if s, err := c.Service(id); err != nil || s.Stats != stats {
		t.Errorf("%+v, %v", s, err)
	}

	k.Interrupt(1)
	if all, err := c.Services(); err != nil || len(all) != 2 {
		t.Errorf("%d services, %v", len(all), err)
	}
	k.Interrupt(100)
	if all, err := c.Services(); !errors.Is(err, unix.EINTR) || len(all) == 0 {
		t.Errorf("%d services, %v", len(all), err)
	}
	k.Interrupt(0)

	release := k.Hang()
	done := make(chan error)
	go func() { done <- c.Flush() }()
	for k.Waiting() == 0 {
		select {
		case err := <-done:
			t.Fatalf("did not wait: %v", err)
		default:
		}
	}
	release()
	if err := <-done; err != nil {
		t.Error(err)
	}

	k.SetLoaded(false)
	if _, err := k.Dial(); !errors.Is(err, ipvs.ErrNoModule) || !strings.Contains(err.Error(), "ip_vs") {
		t.Errorf("without the module: %v", err)
	}
}

func Example() {
	c, err := ipvstest.New().Dial() // on a machine: ipvs.Dial(ipvs.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	web := ipvs.Service{
		ServiceID: ipvs.AddrService(ipvs.TCP, netip.MustParseAddrPort("192.0.2.1:80")),
		Scheduler: "wlc",
	}
	server := ipvs.Destination{Addr: netip.MustParseAddrPort("198.51.100.1:80"), Weight: 1}
	changes := []ipvs.Change{
		{Op: ipvs.Add, Service: web},
		{Op: ipvs.Add, Service: web, Destination: &server},
		{Op: ipvs.Add, Service: web, Destination: &server},
	}
	for i, err := range c.Batch(changes) {
		switch {
		case errors.Is(err, ipvs.ErrExists):
			fmt.Println("there already:", changes[i].Destination.Addr)
		case err != nil:
			fmt.Println(err)
		}
	}
	list, err := c.Destinations(web.ServiceID)
	if err != nil || len(list) == 0 {
		fmt.Println(len(list), err)
		return
	}
	fmt.Println(len(list), list[0].Addr, list[0].Forward)
	// Output:
	// there already: 198.51.100.1:80
	// 1 198.51.100.1:80 masquerade
}

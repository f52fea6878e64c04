package vrrp

import (
	"net/netip"
	"strings"
	"testing"
	"time"
	"unsafe"

	"keepalived-go/internal/tool/required"
)

// steady lists the configurations whose steady state must not allocate.
var steady = []struct {
	name   string
	config Config
}{
	{"v2", Config{Version: 2, Group: group4}},
	{"v2 PASS", Config{Version: 2, Group: group4, Auth: AuthPass, Key: key("secret12")}},
	{"v2 AH", Config{Version: 2, Group: group4, Auth: AuthAH, Key: key("secret12")}},
	{"v3", Config{Version: 3, Group: group4}},
	{"v3 HMAC", Config{Version: 3, Group: group4, HMAC: HMAC{Mode: HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: vectorKey()}}}},
	{"v3 unicast", Config{Version: 3, Unicast: true, Peers: []Peer{{Addr: addr(lowAddr), MaxTTL: 255}}}},
	{"v3 IPv6", Config{Version: 3, Family: IPv6, Group: group6}},
	{"v3 IPv6 HMAC", Config{Version: 3, Family: IPv6, Group: group6, HMAC: HMAC{Mode: HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: vectorKey()}}}},
}

// cycle is one round of the steady state, as a driver runs it.
type cycle struct {
	config    Config
	sender    *Instance
	from, dst netip.Addr
	peer      *Instance
	packet    Packet
	now       time.Duration
	out       []Action
	slot      int
}

func newCycle(tb testing.TB, c Config) *cycle {
	c.Name, c.VRID = "x", 51
	from, to, address := addr(lowAddr), addr(ownAddr), addr("10.0.0.100")
	if c.Family == IPv6 {
		from, to, address = addr("fe80::1"), addr("fe80::2"), addr("fe80::100")
	}
	c.Addresses = []netip.Addr{address}
	y := &cycle{config: c, from: from, dst: c.Group, slot: -1, out: make([]Action, 0, 16)}
	master := c
	master.Priority = 200
	if c.Unicast {
		master.Peers = []Peer{{Addr: to, MaxTTL: 255}}
		y.dst, y.slot = to, 0
	}
	y.sender, y.peer = New(master), New(c)
	for i, source := range map[*Instance]netip.Addr{y.sender: from, y.peer: to} {
		i.Step(0, Event{Kind: SourceChanged, Source: source}, nil)
		i.Step(0, Event{Kind: Start}, nil)
	}
	y.now, _ = y.sender.Deadline()
	y.send()
	if y.sender.State() != Master {
		tb.Fatal("not master")
	}
	y.receive(tb)
	return y
}

// send handles the expiry of a master's timer and returns its packet.
func (y *cycle) send() []byte {
	y.out = y.sender.Step(y.now, Event{Kind: Expiry}, y.out[:0])
	return y.sender.Advert(y.slot, y.sender.Priority(), y.wall())
}

func (y *cycle) wall() time.Time { return time.Unix(1e9, 0).Add(y.now) }

// receive parses the packet and steps the backup.
func (y *cycle) receive(tb testing.TB) {
	b := y.sender.wire
	var r Reject
	if y.config.Family == IPv6 {
		r = ParseIPv6(y.from, y.dst, 255, b, &y.packet)
	} else {
		r = ParseIPv4(b, &y.packet)
	}
	if r != RejectNone {
		tb.Fatal(r)
	}
	y.out = y.peer.Step(y.now, Event{Kind: Received, Packet: &y.packet, Wall: y.wall()}, y.out[:0])
}

func TestNoAllocations(t *testing.T) {
	for _, c := range steady {
		t.Run(c.name, func(t *testing.T) {
			y := newCycle(t, c.config)
			const runs = 100
			n := testing.AllocsPerRun(runs, func() {
				y.now += time.Second
				y.send()
				y.receive(t)
				y.peer.Deadline()
			})
			if n != 0 {
				t.Errorf("%v allocations per advert sent and received", n)
			}
			if got := y.peer.Stats().AdvertsReceived; got < runs {
				t.Errorf("%d adverts accepted: %+v", got, y.peer.Stats())
			}
			// A dropped packet, once reported, does not allocate either.
			y.packet.message()[1]++
			if n := testing.AllocsPerRun(runs, func() {
				y.out = y.peer.Step(y.now, Event{Kind: Received, Packet: &y.packet}, y.out[:0])
			}); n != 0 {
				t.Errorf("%v allocations per packet dropped", n)
			}
			// Nor does the expiry of a backup's timer.
			late := y.now + y.peer.MasterDownInterval()
			if n := testing.AllocsPerRun(1, func() {
				y.out = y.peer.Step(late, Event{Kind: Expiry}, y.out[:0])
			}); n != 0 {
				t.Errorf("%v allocations to become master", n)
			}
			if y.peer.State() != Master {
				t.Errorf("in %v", y.peer.State())
			}
		})
	}
}

// TestSize checks a bound for the memory of a virtual router with one address: there may
// be thousands. Go adds 8 bytes to the instance, and allocates 896 for more than 768.
func TestSize(t *testing.T) {
	const most, mostAlone = 888, 760
	i := newCycle(t, Config{Version: 3, Group: group4}).sender
	size := int(unsafe.Sizeof(*i)) + cap(i.wire) + cap(i.addrs) + 24*cap(i.cfg.Addresses)
	t.Logf("%d bytes, of which statistics %d, configuration %d", size, unsafe.Sizeof(i.counts), unsafe.Sizeof(i.cfg))
	if alone := unsafe.Sizeof(*i); alone > mostAlone {
		t.Errorf("the instance takes %d bytes, want at most %d", alone, mostAlone)
	}
	if size > most {
		t.Errorf("%d bytes, want at most %d", size, most)
	}
}

func BenchmarkParse(b *testing.B) {
	y := newCycle(b, Config{Version: 3, Group: group4})
	b.ReportAllocs()
	for b.Loop() {
		ParseIPv4(y.sender.wire, &y.packet)
	}
}

// BenchmarkReceive measures a backup that parses and steps one advert.
func BenchmarkReceive(b *testing.B) {
	for _, c := range steady {
		b.Run(strings.ReplaceAll(c.name, " ", "-"), func(b *testing.B) {
			y := newCycle(b, c.config)
			if c.config.Auth == AuthAH || c.config.HMAC.Mode != HMACOff {
				required.Excluded(b, "a packet is accepted once; see BenchmarkCycle")
			}
			b.ReportAllocs()
			for b.Loop() {
				y.now += time.Second
				y.receive(b)
			}
		})
	}
}

// BenchmarkSend measures one expiry of a master and its packet.
func BenchmarkSend(b *testing.B) {
	for _, c := range steady {
		b.Run(strings.ReplaceAll(c.name, " ", "-"), func(b *testing.B) {
			y := newCycle(b, c.config)
			b.ReportAllocs()
			for b.Loop() {
				y.now += time.Second
				y.send()
			}
		})
	}
}

// BenchmarkCycle measures one advert on both sides.
func BenchmarkCycle(b *testing.B) {
	for _, c := range steady {
		b.Run(strings.ReplaceAll(c.name, " ", "-"), func(b *testing.B) {
			y := newCycle(b, c.config)
			b.ReportAllocs()
			for b.Loop() {
				y.now += time.Second
				y.send()
				y.receive(b)
			}
		})
	}
}

// BenchmarkManyAddresses measures the receipt of 255 addresses in another order.
func BenchmarkManyAddresses(b *testing.B) {
	c := Config{VRID: 51, Version: 3, Group: group4}
	for n := range 255 {
		c.Addresses = append(c.Addresses, netip.AddrFrom4([4]byte{10, 1, 0, byte(n)}))
	}
	i := New(c)
	i.Step(0, Event{Kind: SourceChanged, Source: addr(ownAddr)}, nil)
	i.Step(0, Event{Kind: Start}, nil)
	other := c
	other.Addresses = nil
	for n := range 255 {
		other.Addresses = append(other.Addresses, c.Addresses[254-n])
	}
	p := packet(b, other, lowAddr, 200)
	out := make([]Action, 0, 8)
	b.ReportAllocs()
	for b.Loop() {
		out = i.Step(0, Event{Kind: Received, Packet: p}, out[:0])
	}
}

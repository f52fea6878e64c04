package vrrp

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// key returns a password in its padded form.
func key(s string) (k [8]byte) { copy(k[:], s); return k }

// vectorKey is the HMAC key of the recorded trailer.
func vectorKey() []byte {
	b := make([]byte, 32)
	for n := range b {
		b[n] = byte(n)
	}
	return b
}

var (
	group4 = addr("224.0.0.18")
	group6 = addr("ff02::12")
)

// vectors lists packets recorded between nodes that run keepalived. All come from
// 10.9.0.1 unless source has another address.
var vectors = []struct {
	name   string
	config Config
	source string
	prio   uint8
	wall   time.Time
	ip     string // IPv4 header, if it was recorded
	rest   string
}{
	{
		name:   "v2 with password",
		config: Config{VRID: 11, Version: 2, Addresses: []netip.Addr{addr("10.9.0.101"), addr("10.9.0.102")}, Group: group4, Auth: AuthPass, Key: key("secret12")},
		prio:   100,
		ip:     "45c0002c00010000ff70d0840a090001e0000012",
		rest:   "210b6402 0101f795 0a090065 0a090066 7365637265743132",
	},
	{
		name:   "v2 without authentication",
		config: Config{VRID: 12, Version: 2, Addresses: []netip.Addr{addr("10.9.0.103")}, Group: group4},
		prio:   100,
		rest:   "210c6401 00017081 0a090067 0000000000000000",
	},
	{
		name:   "v2 unicast with TTL 33",
		config: Config{VRID: 17, Version: 2, Addresses: []netip.Addr{addr("10.9.0.107")}, Unicast: true, TTL: 33, Peers: []Peer{{Addr: addr("10.9.0.2"), MaxTTL: 255}}},
		prio:   100,
		rest:   "21116401 00017078 0a09006b 0000000000000000",
	},
	{
		name:   "v3 owner at half a second",
		config: Config{VRID: 14, Version: 3, Priority: 255, AdvertInterval: 500 * time.Millisecond, Addresses: []netip.Addr{addr("10.9.0.105")}, Group: group4},
		prio:   255,
		rest:   "310eff01 0032dab2 0a090069",
	},
	{
		name:   "v3 unicast",
		config: Config{VRID: 16, Version: 3, Addresses: []netip.Addr{addr("10.9.0.106")}, Unicast: true, Peers: []Peer{{Addr: addr("10.9.0.2"), MaxTTL: 255}}},
		prio:   100,
		rest:   "31106401 00644b86 0a09006a",
	},
	{
		name:   "v3 over IPv6",
		config: Config{VRID: 15, Version: 3, Family: IPv6, Priority: 160, AdvertInterval: 250 * time.Millisecond, Addresses: []netip.Addr{addr("fe80::1:15"), addr("2001:db8:9::15")}, Group: group6},
		source: "fe80::865:9bff:fe16:cbe6",
		prio:   160,
		rest:   "310fa002 001995d6 fe800000000000000000000000010015 20010db8000900000000000000000015",
	},
	{
		name:   "v2 with authentication header",
		config: Config{VRID: 13, Version: 2, Addresses: []netip.Addr{addr("10.9.0.104")}, Group: group4, Auth: AuthAH, Key: key("secret12")},
		prio:   100,
		ip:     "45c0004000010000ff33d0ad0a090001e0000012",
		rest:   "700400000a09000100000001742e7ff91ac37b9762715cb1 210d640102016e7f 0a090068 0000000000000000",
	},
	{
		name:   "v2 unicast with authentication header",
		config: Config{VRID: 21, Version: 2, Priority: 255, Addresses: []netip.Addr{addr("10.9.0.111")}, Unicast: true, Peers: []Peer{{Addr: addr("10.9.0.2"), MaxTTL: 255}}, Auth: AuthAH, Key: key("secret12")},
		prio:   255,
		ip:     "45c0004000010000ff33a6b50a0900010a090002",
		rest:   "700400000a0900010000000161a9c9167b5389a372555b92 2115ff010201d36f 0a09006f 0000000000000000",
	},
	{
		name:   "v2 over IPv6",
		config: Config{VRID: 22, Version: 2, Family: IPv6, Priority: 255, Addresses: []netip.Addr{addr("2001:db8:9::22")}, Group: group6},
		source: "fe80::80f5:caff:fec6:4dd0",
		prio:   255,
		rest:   "2116ff0100011b58 20010db8000900000000000000000022",
	},
	{
		name:   "v3 unicast over IPv6",
		config: Config{VRID: 23, Version: 3, Family: IPv6, Priority: 255, AdvertInterval: 500 * time.Millisecond, Addresses: []netip.Addr{addr("2001:db8:9::23")}, Unicast: true, Peers: []Peer{{Addr: addr("fd00:9::2"), MaxTTL: 255}}},
		source: "fd00:9::1",
		prio:   255,
		rest:   "3117ff010032a730 20010db8000900000000000000000023",
	},
	{
		name: "v2 with HMAC trailer",
		config: Config{VRID: 31, Version: 2, Priority: 255, Addresses: []netip.Addr{addr("10.9.0.131")}, Group: group4,
			HMAC: HMAC{Mode: HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: vectorKey()}}},
		prio: 255,
		wall: time.Unix(0x6b031daf, (0x939c*1e9>>16)+1),
		rest: "211fff010001d551 0a090083 0000000000000000 01010000 6b031daf 939c 0000 8f8783a0e478aa2137b9864e04c8e487",
	},
}

// TestVectors encodes the recorded packets and receives them.
func TestVectors(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.name, func(t *testing.T) {
			source := addr("10.9.0.1")
			if v.source != "" {
				source = addr(v.source)
			}
			i := New(v.config)
			i.Step(0, Event{Kind: SourceChanged, Source: source}, nil)
			peer, dst := -1, v.config.Group
			if v.config.Unicast {
				peer, dst = 0, v.config.Peers[0].Addr
			}
			got := i.Advert(peer, v.prio, v.wall)
			want := unhex(t, v.rest)
			if i.cfg.Family == IPv4 {
				if v.ip != "" {
					want = append(unhex(t, v.ip), want...)
				} else {
					got = got[lenIPv4:]
				}
			}
			if diff := cmp.Diff(hex.EncodeToString(want), hex.EncodeToString(got)); diff != "" {
				t.Fatalf("packet (-want +got):\n%s", diff)
			}

			// The receiver is a router of lower priority with the sender as its peer.
			c := v.config
			c.Priority = 1
			if c.Unicast {
				c.Peers = []Peer{{Addr: source, MaxTTL: 255}}
			}
			r := New(c)
			r.Step(0, Event{Kind: SourceChanged, Source: addr("10.9.0.2")}, nil)
			r.Step(0, Event{Kind: Start}, nil)
			var p Packet
			full := i.wire
			if i.cfg.Family == IPv6 {
				if reject := ParseIPv6(source, dst, 255, full, &p); reject != RejectNone {
					t.Fatal(reject)
				}
			} else if reject := ParseIPv4(full, &p); reject != RejectNone {
				t.Fatal(reject)
			}
			if p.VRID() != c.VRID || p.Priority() != v.prio || p.Version() != v.config.Version {
				t.Errorf("VRID %d, priority %d, version %d", p.VRID(), p.Priority(), p.Version())
			}
			r.Step(time.Second, Event{Kind: Received, Packet: &p, Wall: v.wall}, nil)
			if r.Stats().AdvertsReceived != 1 || r.Master() != source {
				t.Errorf("not accepted: %+v", r.Stats())
			}

			// Each changed byte of the payload is detected, except the reserved bits of
			// version 3.
			for n := range p.Payload {
				if v.config.Version == 3 && n == 4 {
					continue
				}
				p.Payload[n] ^= 0x40
				r.Step(2*time.Second, Event{Kind: Received, Packet: &p, Wall: v.wall}, nil)
				p.Payload[n] ^= 0x40
			}
			if r.Stats().AdvertsReceived != 1 {
				t.Errorf("accepted a corrupted packet")
			}
		})
	}
}

// TestIdentification checks that the identification counts from 1 and skips 0.
func TestIdentification(t *testing.T) {
	i := New(Config{VRID: 1, Group: group4})
	i.Step(0, Event{Kind: SourceChanged, Source: addr("10.9.0.1")}, nil)
	i.ipid = 65534
	var got []int
	for range 3 {
		b := i.Advert(-1, 100, time.Time{})
		got = append(got, int(b[4])<<8|int(b[5]))
		if fold(sum(0, b[:lenIPv4])) != 0 {
			t.Errorf("wrong header checksum in % x", b[:lenIPv4])
		}
	}
	if diff := cmp.Diff([]int{65535, 1, 2}, got); diff != "" {
		t.Error(diff)
	}
}

// TestAdvertUnicastOrder checks that the copies of one advert have one sequence number,
// and the next advert the next one.
func TestAdvertUnicastOrder(t *testing.T) {
	i := New(Config{VRID: 1, Unicast: true, Auth: AuthAH, Peers: []Peer{{Addr: addr("10.9.0.2")}, {Addr: addr("10.9.0.3")}}})
	i.Step(0, Event{Kind: SourceChanged, Source: addr("10.9.0.1")}, nil)
	var got []byte
	for _, peer := range []int{0, 1, 0, 1} {
		got = append(got, i.Advert(peer, 100, time.Time{})[lenIPv4+11])
	}
	if diff := cmp.Diff([]byte{1, 1, 2, 2}, got); diff != "" {
		t.Error(diff)
	}
	if i.Advert(2, 100, time.Time{}) != nil || i.Advert(-1, 100, time.Time{}) != nil {
		t.Error("an advert without a receiver")
	}
}

// TestSum compares with the sum as RFC 1071 defines it, for each length.
func TestSum(t *testing.T) {
	b := make([]byte, 41)
	for n := range b {
		b[n] = byte(n*89 + 200)
	}
	for n := range len(b) + 1 {
		var plain uint64
		for k, c := range b[:n] {
			plain += uint64(c) << (8 * (1 - k%2))
		}
		if got, want := fold(sum(0, b[:n])), fold(plain); got != want {
			t.Errorf("%d bytes: %04x, want %04x", n, got, want)
		}
	}
}

func TestChecksumForms(t *testing.T) {
	config := Config{VRID: 16, Version: 3, Addresses: []netip.Addr{addr("10.9.0.106")}}
	multicast, unicast := config, config
	multicast.Group = group4
	unicast.Unicast, unicast.Peers = true, []Peer{{Addr: addr("10.9.0.2"), MaxTTL: 255}}
	back := unicast
	back.Peers = []Peer{{Addr: addr("10.9.0.1"), MaxTTL: 255}}
	never := back
	never.OldUnicastChecksum = OldChecksumNever
	asV2, old := multicast, unicast
	asV2.ChecksumAsV2 = true
	old.OldUnicastChecksum = OldChecksumAlways

	for _, c := range []struct {
		name     string
		from, to Config
		want     Reject
		note     Note
	}{
		{"the form of RFC 9568 is accepted", asV2, multicast, RejectNone, NoteMasterChanged},
		{"and the usual one by its user", multicast, asV2, RejectNone, NoteMasterChanged},
		{"old unicast form is detected", old, back, RejectNone, NoteOldChecksumDetected},
		{"old unicast form is refused", old, never, RejectChecksum, NoteRejected},
	} {
		t.Run(c.name, func(t *testing.T) {
			from := New(c.from)
			from.Step(0, Event{Kind: SourceChanged, Source: addr("10.9.0.1")}, nil)
			peer := -1
			if c.from.Unicast {
				peer = 0
			}
			var p Packet
			if r := ParseIPv4(from.Advert(peer, 150, time.Time{}), &p); r != RejectNone {
				t.Fatal(r)
			}
			to := New(c.to)
			to.Step(0, Event{Kind: SourceChanged, Source: addr("10.9.0.2")}, nil)
			to.Step(0, Event{Kind: Start}, nil)
			out := to.Step(time.Second, Event{Kind: Received, Packet: &p}, nil)
			if len(out) == 0 || out[0].Note != c.note || out[0].Reject != c.want {
				t.Errorf("got %v", out)
			}
			if c.note != NoteOldChecksumDetected {
				return
			}
			// The reply has the same form, until the peer is upgraded.
			reply := string(to.Advert(0, 150, time.Time{})[lenIPv4:])
			answer := back
			answer.OldUnicastChecksum = OldChecksumAlways
			want := New(answer)
			want.Step(0, Event{Kind: SourceChanged, Source: addr("10.9.0.2")}, nil)
			if string(want.Advert(0, 150, time.Time{})[lenIPv4:]) != reply {
				t.Errorf("not answered in kind: % x", reply)
			}
			upgraded := New(unicast)
			upgraded.Step(0, Event{Kind: SourceChanged, Source: addr("10.9.0.1")}, nil)
			ParseIPv4(upgraded.Advert(0, 150, time.Time{}), &p)
			to.Step(2*time.Second, Event{Kind: Received, Packet: &p}, nil)
			if string(to.Advert(0, 150, time.Time{})[lenIPv4:]) == reply {
				t.Error("the upgraded peer is still answered in the old form")
			}
		})
	}
}

func TestParseIPv4(t *testing.T) {
	good := "45c0002800010000ff70d0840a090001e0000012 210c6401 00017081 0a090067 0000000000000000"
	edit := func(at int, b ...byte) string {
		p := unhex(t, good)
		copy(p[at:], b)
		return hex.EncodeToString(p)
	}
	for _, c := range []struct {
		name, packet string
		want         Reject
		payload      int
	}{
		{"whole", good, RejectNone, 20},
		{"Ethernet padding is cut off", good + "00000000 0000", RejectNone, 20},
		{"empty", "", RejectIPHeader, 0},
		{"19 bytes", good[:38], RejectIPHeader, 0},
		{"truncated", good[:len(good)-4], RejectIPHeader, 0},
		{"version 6", edit(0, 0x65), RejectIPHeader, 0},
		{"header of 16 bytes", edit(0, 0x44), RejectIPHeader, 0},
		{"header of 60 bytes", edit(0, 0x4f), RejectIPHeader, 0},
		{"header of 24 bytes", edit(0, 0x46), RejectNone, 16},
		{"total length below header", edit(2, 0, 19), RejectIPHeader, 0},
		{"nothing inside", edit(2, 0, 20), RejectShort, 0},
		{"7 bytes inside", edit(2, 0, 27), RejectShort, 0},
		{"more fragments", edit(6, 0x20), RejectFragment, 0},
		{"fragment offset", edit(7, 1), RejectFragment, 0},
		{"do not fragment", edit(6, 0x40), RejectNone, 20},
		{"UDP", edit(9, 17), RejectProtocol, 0},
		{"authentication header too short", edit(9, 51), RejectShort, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Packet
			got := ParseIPv4(unhex(t, c.packet), &p)
			if got != c.want {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			if got == RejectNone && len(p.Payload) != c.payload {
				t.Errorf("%d bytes of payload, want %d", len(p.Payload), c.payload)
			}
		})
	}
}

func TestParseIPv6(t *testing.T) {
	payload := unhex(t, "310fa002001995d6")
	for _, c := range []struct {
		name     string
		src, dst netip.Addr
		payload  []byte
		want     Reject
	}{
		{"whole, zones dropped", addr("fe80::1%eth0"), addr("ff02::12%eth0"), payload, RejectNone},
		{"short", addr("fe80::1"), group6, payload[:7], RejectShort},
		{"no source", netip.Addr{}, group6, payload, RejectFamily},
		{"IPv4", addr("10.0.0.1"), group4, payload, RejectFamily},
		{"mapped", addr("::ffff:10.0.0.1"), group6, payload, RejectFamily},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Packet
			got := ParseIPv6(c.src, c.dst, 255, c.payload, &p)
			if got != c.want {
				t.Fatalf("got %v, want %v", got, c.want)
			}
			if got == RejectNone && (p.Src.Zone() != "" || !p.Multicast || p.VRID() != 15) {
				t.Errorf("got %+v", p)
			}
		})
	}
}

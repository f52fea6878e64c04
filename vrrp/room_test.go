package vrrp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// many returns n addresses of the family.
func many(f Family, n int) (out []netip.Addr) {
	a := netip.MustParseAddr("10.78.7.1")
	if f == IPv6 {
		a = netip.MustParseAddr("fe80::77:1")
	}
	for range n {
		out = append(out, a)
		a = a.Next()
	}
	return out
}

// TestRoom checks the number of addresses in an advert. The counts without a trailer are
// those that keepalived was seen to send. For any configuration an advert fits the MTU,
// and with an Ethernet header one more address would not fit.
func TestRoom(t *testing.T) {
	key := map[uint8][]byte{1: make([]byte, 32)}
	for _, c := range []struct {
		name string
		cfg  Config
		mtu  int
		want int
	}{
		{"version 2", Config{Version: 2}, 400, 87},
		{"version 2, password", Config{Version: 2, Auth: AuthPass}, 400, 87},
		{"version 2, AH", Config{Version: 2, Auth: AuthAH}, 400, 81},
		{"version 3", Config{Version: 3}, 400, 89},
		{"version 3, signed", Config{Version: 3, HMAC: HMAC{Mode: HMACEnforce, SendKey: 1, Keys: key}}, 400, 82},
		{"version 3, verified only", Config{Version: 3, HMAC: HMAC{Mode: HMACReceiveOnly, Keys: key}}, 400, 82},
		{"IPv6", Config{Version: 3, Family: IPv6}, 1500, 89},
		{"IPv6, small", Config{Version: 3, Family: IPv6}, 1300, 77},
		{"IPv6, signed", Config{Version: 3, Family: IPv6, HMAC: HMAC{Mode: HMACEnforce, SendKey: 1, Keys: key}}, 1500, 88},
		{"IPv6, jumbo frames", Config{Version: 3, Family: IPv6}, 9000, 255},
		{"the count is one byte", Config{Version: 2}, 9000, 255},
		{"not known", Config{Version: 2}, 0, 255},
		{"no room at all", Config{Version: 2}, 40, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := c.cfg
			cfg.VRID, cfg.MTU = 51, c.mtu
			source := netip.MustParseAddr("10.77.0.1")
			cfg.Group = netip.MustParseAddr("224.0.0.18")
			headers := 0
			if cfg.Family == IPv6 {
				source, cfg.Group, headers = netip.MustParseAddr("fe80::1"), netip.MustParseAddr("ff02::12"), 40
			}
			cfg.Addresses = many(cfg.Family, 300)
			i := New(cfg)
			if n := len(i.Config().Advertised()); n != c.want || i.Config().Room() != c.want {
				t.Fatalf("%d addresses, room for %d, want %d", n, i.Config().Room(), c.want)
			}
			i.Step(0, Event{Kind: SourceChanged, Source: source}, nil)
			length := headers + len(i.Advert(-1, 100, time.Unix(1700000000, 0)))
			if c.mtu > 60 && length > c.mtu {
				t.Errorf("an advert of %d bytes, MTU %d", length, c.mtu)
			}
			if size := cfg.Family.size(); c.want < 255 && c.want > 0 && cfg.HMAC.Mode != HMACReceiveOnly && length+14+size <= c.mtu {
				t.Errorf("an advert of %d bytes leaves room for one more address, MTU %d", length, c.mtu)
			}
		})
	}
}

// TestMTUChanges checks that a change of the MTU changes the list in the adverts and
// nothing else, in any state, and that a reload that changes the addresses is announced
// as usual.
func TestMTUChanges(t *testing.T) {
	cfg := Config{VRID: 51, Version: 2, Priority: 255, Group: netip.MustParseAddr("224.0.0.18"), Addresses: many(IPv4, 120),
		Announce: Announcements{Repeat: 1}}
	i := New(cfg)
	i.Step(0, Event{Kind: SourceChanged, Source: netip.MustParseAddr("10.77.0.1")}, nil)
	i.Step(0, Event{Kind: Start}, nil)
	i.Step(0, Event{Kind: Expiry}, nil) // the owner starts at once
	if i.State() != Master {
		t.Fatal(i.State())
	}
	steps := []struct{ mtu, want int }{{1500, 120}, {400, 87}, {500, 112}, {1500, 120}, {0, 120}, {100, 12}}
	for _, s := range steps {
		cfg.MTU = s.mtu
		if out := i.Step(time.Millisecond, Event{Kind: Reconfigure, Config: &cfg}, nil); len(out) != 0 {
			t.Errorf("MTU %d: %v", s.mtu, fmt.Sprint(out))
		}
		if got := int(i.Advert(-1, 255, time.Time{})[20+3]); got != s.want {
			t.Errorf("MTU %d: an advert of %d addresses, want %d", s.mtu, got, s.want)
		}
	}
	cfg.MTU = 1500
	i.Step(time.Millisecond, Event{Kind: Reconfigure, Config: &cfg}, nil)
	cfg.Addresses = many(IPv4, 121)
	if out := i.Step(time.Millisecond, Event{Kind: Reconfigure, Config: &cfg}, nil); len(out) != 2 {
		t.Errorf("one address more: %v, want it set and announced", fmt.Sprint(out))
	}
}

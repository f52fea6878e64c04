package vrrp

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// TestClaim checks that a claim has the contents of an advert, without its
// authentication.
func TestClaim(t *testing.T) {
	v4, v6 := []netip.Addr{addr("10.0.0.100"), addr("10.0.0.101")}, []netip.Addr{addr("fe80::100"), addr("2001:db8::1")}
	for _, tt := range []struct {
		name string
		c    Config
		want string
	}{
		{"version 2", Config{Version: 2, VRID: 51, Group: group4, Addresses: v4, AdvertInterval: 3 * time.Second}, "{2 51 77 3s [10.0.0.100 10.0.0.101]}"},
		{"version 2 with a password", Config{Version: 2, VRID: 51, Group: group4, Addresses: v4, AdvertInterval: time.Second, Auth: AuthPass, Key: key("secret12")}, "{2 51 77 1s [10.0.0.100 10.0.0.101]}"},
		{"version 2 with AH", Config{Version: 2, VRID: 51, Group: group4, Addresses: v4, AdvertInterval: time.Second, Auth: AuthAH, Key: key("secret12")}, "{2 51 77 1s [10.0.0.100 10.0.0.101]}"},
		{"version 3", Config{Version: 3, VRID: 255, Group: group4, AdvertInterval: 250 * time.Millisecond}, "{3 255 77 250ms []}"},
		{"IPv6", Config{Version: 3, VRID: 1, Family: IPv6, Group: group6, Addresses: v6, AdvertInterval: 40950 * time.Millisecond}, "{3 1 77 40.95s [fe80::100 2001:db8::1]}"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			i := New(tt.c)
			source := addr("10.0.0.2")
			if tt.c.Family == IPv6 {
				source = addr("fe80::2")
			}
			i.Step(0, Event{Kind: SourceChanged, Source: source}, nil)
			b := bytes.Clone(i.Advert(-1, 77, time.Unix(1, 0)))
			var p Packet
			reject := RejectNone
			if tt.c.Family == IPv6 {
				reject = ParseIPv6(source, tt.c.Group, 255, b, &p)
			} else {
				copy(b[12:], source.AsSlice())
				reject = ParseIPv4(b, &p)
			}
			if reject != RejectNone {
				t.Fatal(reject)
			}
			claim := p.Claim()
			if got := fmt.Sprint(ParseClaim(claim, tt.c.Family == IPv6)); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
			if bytes.Contains(claim, []byte("secret12")) {
				t.Error("the password is in it")
			}
			p.message()[3] = 255 // more addresses than the packet has
			if p.Claim() != nil {
				t.Error("a claim reaches beyond its packet")
			}
		})
	}
}

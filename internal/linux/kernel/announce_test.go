package kernel

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// TestAdvertFrames checks the destination hardware address of adverts: that of the group,
// of an IPv6 peer's solicited-node group, or of all nodes for an IPv4 peer; and a whole
// IPv6 header.
func TestAdvertFrames(t *testing.T) {
	hw := [6]byte{0x02, 0x00, 0x5e, 0x10, 0x20, 0x30}
	packet, _ := hex.DecodeString("45c0001c00010000ff70d0840a090001e1808012" + "210b000001010000")
	const want4 = "01005e008012" + "02005e102030" + "0800" + "45c0001c00010000ff70d0840a090001e1808012" + "210b000001010000"
	if got := hex.EncodeToString(AppendIPv4(nil, hw, packet)); got != want4 {
		t.Errorf("IPv4:\n got %s\nwant %s", got, want4)
	}
	const toNode = "45c0001c00010000ff70d0840a0900010a090002" + "210b000001010000"
	peer, _ := hex.DecodeString(toNode)
	if got := hex.EncodeToString(AppendIPv4(nil, hw, peer)); got != "ffffffffffff"+"02005e102030"+"0800"+toNode {
		t.Errorf("IPv4 to a node: got %s", got)
	}
	for _, c := range []struct{ to, hardware, ip string }{
		{"ff02::bbcc:12", "3333bbcc0012", "ff0200000000000000000000bbcc0012"},
		{"fd00::aabb:ccdd", "3333ffbbccdd", "fd0000000000000000000000aabbccdd"},
		{"fe80::2", "3333ff000002", "fe800000000000000000000000000002"},
	} {
		want := c.hardware + "02005e102030" + "86dd" + "6c000000000870fe" + "fe800000000000000000000000000001" + c.ip + "210b000001010000"
		got := hex.EncodeToString(AppendIPv6(nil, hw, netip.MustParseAddr("fe80::1"), netip.MustParseAddr(c.to), 254, packet[20:]))
		if got != want {
			t.Errorf("IPv6 to %s:\n got %s\nwant %s", c.to, got, want)
		}
	}
}

func TestAnnouncements(t *testing.T) {
	hw := [6]byte{0x02, 0x00, 0x5e, 0x10, 0x20, 0x30}
	vip4, vip6 := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")
	tests := []struct {
		name  string
		frame []byte
		len   int
		want  string
	}{
		{"gratuitous ARP", AppendGratuitousARP(nil, hw, vip4), GratuitousARPLen, `
			ffffffffffff 02005e102030 0806
			0001 0800 06 04 0001
			02005e102030 c000020a
			ffffffffffff c000020a`},
		{"unsolicited NA", AppendUnsolicitedNA(nil, hw, vip6, false), UnsolicitedNALen, `
			333300000001 02005e102030 86dd
			60000000 0020 3a ff
			20010db8000000000000000000000010
			ff020000000000000000000000000001
			88 00 7acd 20000000
			20010db8000000000000000000000010
			02 01 02005e102030`},
		{"unsolicited NA of a router", AppendUnsolicitedNA(nil, hw, vip6, true), UnsolicitedNALen, `
			333300000001 02005e102030 86dd
			60000000 0020 3a ff
			20010db8000000000000000000000010
			ff020000000000000000000000000001
			88 00 facc a0000000
			20010db8000000000000000000000010
			02 01 02005e102030`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			want, err := hex.DecodeString(strings.Join(strings.Fields(tt.want), ""))
			if err != nil {
				t.Fatal(err)
			}
			if string(tt.frame) != string(want) {
				t.Errorf("got  %x\nwant %x", tt.frame, want)
			}
			if len(tt.frame) != tt.len {
				t.Errorf("%d bytes, want %d", len(tt.frame), tt.len)
			}
		})
	}
	b := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() {
		b = AppendGratuitousARP(b[:0], hw, vip4)
		b = AppendUnsolicitedNA(b, hw, vip6, true)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

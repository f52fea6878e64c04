package kernel

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

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

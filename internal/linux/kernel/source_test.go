package kernel

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestPrimaryAddr(t *testing.T) {
	a := func(link int, s string, scope uint8, flags uint32) Addr {
		return Addr{Link: link, Prefix: netip.MustParsePrefix(s), Scope: scope, Flags: flags}
	}
	ours := a(1, "192.0.2.10/24", 0, 0)
	ours.Proto = AddrProto
	skip := func(a Addr) bool { return a.Proto == AddrProto }
	tests := []struct {
		name   string
		addrs  []Addr
		family int
		skip   func(Addr) bool
		want   string // empty: none
	}{
		{"the first of the link", []Addr{a(2, "192.0.2.1/24", 0, 0), a(1, "192.0.2.2/24", 0, 0), a(1, "198.51.100.1/24", 0, 0)}, 4, skip, "192.0.2.2"},
		{"not a virtual one", []Addr{ours, a(1, "192.0.2.2/24", 0, 0)}, 4, skip, "192.0.2.2"},
		{"a virtual one if nobody minds", []Addr{ours}, 4, nil, "192.0.2.10"},
		{"not a secondary one", []Addr{a(1, "192.0.2.1/24", 0, unix.IFA_F_SECONDARY), a(1, "192.0.2.2/24", 0, 0)}, 4, skip, "192.0.2.2"},
		{"of link scope, too", []Addr{a(1, "169.254.1.1/16", unix.RT_SCOPE_LINK, 0)}, 4, skip, "169.254.1.1"},
		{"not of host scope", []Addr{a(1, "127.0.0.1/8", unix.RT_SCOPE_HOST, 0)}, 4, skip, ""},
		{"IPv6 is not IPv4", []Addr{a(1, "fe80::1/64", unix.RT_SCOPE_LINK, 0)}, 4, skip, ""},
		{"link-local for IPv6", []Addr{a(1, "192.0.2.1/24", 0, 0), a(1, "2001:db8::1/64", 0, 0), a(1, "fe80::1/64", unix.RT_SCOPE_LINK, 0)}, 6, skip, "fe80::1"},
		{"not while it is tentative", []Addr{a(1, "fe80::1/64", unix.RT_SCOPE_LINK, unix.IFA_F_TENTATIVE), a(1, "fe80::2/64", unix.RT_SCOPE_LINK, 0)}, 6, skip, "fe80::2"},
		{"but if it is optimistic", []Addr{a(1, "fe80::1/64", unix.RT_SCOPE_LINK, unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC)}, 6, skip, "fe80::1"},
		{"not a duplicate", []Addr{a(1, "fe80::1/64", unix.RT_SCOPE_LINK, unix.IFA_F_DADFAILED)}, 6, skip, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := PrimaryAddr(tt.addrs, 1, tt.family, tt.skip)
			if want, _ := netip.ParseAddr(tt.want); got != want {
				t.Errorf("got %v, want %q", got, tt.want)
			}
		})
	}
}

package policy_test

import (
	"net/netip"
	"testing"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
)

// TestFilters checks that the needs of a configuration follow from what its virtual
// routers accept, and from their macvlans.
func TestFilters(t *testing.T) {
	address := func(a string) conf.Address { return conf.Address{Prefix: netip.MustParsePrefix(a)} }
	four, six := address("192.0.2.1/24"), address("2001:db8::1/64")
	vmac := &conf.Link{Kind: conf.LinkVMAC}
	drops, vmacs := policy.Filter{Drops: true}, policy.Filter{VMACs: true}
	for _, tt := range []struct {
		name string
		in   conf.VRRPInstance
		want [2]policy.Filter
	}{
		{"accepts", conf.VRRPInstance{Accept: true, Addresses: []conf.Address{four, six}}, [2]policy.Filter{}},
		{"IPv4", conf.VRRPInstance{Addresses: []conf.Address{four}}, [2]policy.Filter{drops, {}}},
		{"excluded addresses of IPv6", conf.VRRPInstance{Addresses: []conf.Address{four}, Excluded: []conf.Address{six}}, [2]policy.Filter{drops, drops}},
		{"a macvlan", conf.VRRPInstance{Accept: true, Family: conf.IPv4, Addresses: []conf.Address{four}, Link: vmac}, [2]policy.Filter{vmacs, {}}},
		{"a macvlan of IPv6", conf.VRRPInstance{Family: conf.IPv6, Addresses: []conf.Address{six}, Link: vmac}, [2]policy.Filter{{}, {Drops: true, VMACs: true}}},
		{"an ipvlan", conf.VRRPInstance{Accept: true, Family: conf.IPv4, Addresses: []conf.Address{four}, Link: &conf.Link{Kind: conf.LinkIPVLAN}}, [2]policy.Filter{}},
	} {
		in := tt.in
		in.Name, in.Interface, in.VRID = "VI_1", "eth0", 1
		c := &conf.Config{Instances: []*conf.VRRPInstance{&in}}
		if got := policy.Filters(c, policy.MadeLinks(c)); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	both := &conf.Config{Global: conf.Global{DisableLocalIGMP: true}, Instances: []*conf.VRRPInstance{
		{Name: "VI_1", Interface: "eth0", VRID: 1, Family: conf.IPv4, Accept: true, Addresses: []conf.Address{four}, Link: vmac},
		{Name: "VI_2", Interface: "eth0", VRID: 1, Family: conf.IPv6, Accept: true, Addresses: []conf.Address{six}, Link: vmac},
	}}
	if got, want := policy.Filters(both, policy.MadeLinks(both)), ([2]policy.Filter{{}, vmacs}); got != want {
		t.Errorf("disable_local_igmp: %+v, want %+v", got, want)
	}
	for a, want := range map[string]bool{"fe80::1": true, "2001:db8::1": false, "169.254.0.1": false} {
		if got := policy.DropsOnLink(netip.MustParseAddr(a)); got != want {
			t.Errorf("%s: on its link only: %v", a, got)
		}
	}
}

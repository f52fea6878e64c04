package policy_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
)

// TestIPVLANs checks that each virtual router has its own ipvlan, and that all ipvlans
// above an interface have the mode of the first.
func TestIPVLANs(t *testing.T) {
	own := netip.MustParsePrefix("192.0.2.7/24")
	in := func(name, link string, vrid uint8, mode conf.IPVLANMode) *conf.VRRPInstance {
		return &conf.VRRPInstance{Name: name, Interface: "eth0", Family: conf.IPv4, VRID: vrid,
			Link: &conf.Link{Kind: conf.LinkIPVLAN, Name: link, Mode: mode, Address: own}}
	}
	c := &conf.Config{Instances: []*conf.VRRPInstance{in("A", "ipv", 1, conf.IPVLANVEPA), in("B", "", 2, conf.IPVLANBridge), in("C", "ipv", 3, conf.IPVLANPrivate)}}
	c.Global.VMACPrefix = "vrrp"
	var got []string
	for _, in := range c.Instances {
		for _, l := range policy.MadeLinks(c)[in.Name] {
			got = append(got, fmt.Sprint(l.Name, " ", l.Base, " ", l.Mode, " ", l.Address, " ", l.MAC == [6]byte{}))
		}
	}
	want := []string{"ipv eth0 vepa 192.0.2.7/24 true", "vrrp.2 eth0 vepa 192.0.2.7/24 true", "vrrp.3 eth0 vepa 192.0.2.7/24 true"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

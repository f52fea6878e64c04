package policy_test

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
)

// machine has interfaces, each up or not, and addresses of each family.
type machine struct {
	links map[string]bool
	holds []netip.Addr

	renamed map[string]string

	made     string // the made link that cannot be used
	madeDown bool   // the made link exists

	removed vrrp.Cause
}

func (m machine) Removed(*conf.VRRPInstance) vrrp.Cause { return m.removed }

func (m machine) Link(name string) (exists, up bool) {
	up, exists = m.links[name]
	return exists, up
}

func (m machine) Renamed(name string) string { return m.renamed[name] }

// Made implements Machine.
func (m machine) Made(*conf.VRRPInstance) (name string, exists bool) { return m.made, m.madeDown }

func (m machine) Holds(ip netip.Addr) bool {
	for _, a := range m.holds {
		if a == ip {
			return true
		}
	}
	return false
}

func (m machine) Source(c *conf.VRRPInstance) (netip.Addr, string) {
	for _, a := range m.holds {
		if a.Is6() == (c.Family == conf.IPv6) {
			return a, c.Interface
		}
	}
	return netip.Addr{}, c.Interface
}

func (m machine) VRF(name string) (exists, up bool) { return m.Link(name) }

func TestFindFaults(t *testing.T) {
	own, foreign := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.99")
	well := machine{links: map[string]bool{"eth0": true, "eth1": true}, holds: []netip.Addr{own}}
	down := machine{links: map[string]bool{"eth0": false, "eth1": false}, holds: []netip.Addr{own}}
	base := conf.VRRPInstance{Interface: "eth0", Family: conf.IPv4}
	with := func(f func(c *conf.VRRPInstance)) conf.VRRPInstance {
		c := base
		f(&c)
		return c
	}
	on := func(dev string, noTrack bool) []conf.Address {
		return []conf.Address{{Interface: dev, NoTrack: noTrack}}
	}
	for _, row := range []struct {
		name    string
		c       conf.VRRPInstance
		static  []string
		m       machine
		refusal error
		outcome *policy.Outcome
		want    vrrp.Faults
		cause   string
		source  netip.Addr
	}{
		{name: "all is well", c: base, m: well, source: own},
		{name: "the interface is down", c: base, m: down, want: vrrp.FaultLinkDown, cause: "interface eth0 is down", source: own},
		{name: "it is down but not tracked", c: with(func(c *conf.VRRPInstance) { c.DontTrackPrimary = true }), m: down, source: own},
		{name: "it is missing, tracked or not", c: with(func(c *conf.VRRPInstance) { c.DontTrackPrimary = true; c.Interface = "eth9" }), m: well,
			want: vrrp.FaultLinkMissing, cause: "interface eth9 does not exist"},
		{name: "it has another name now", c: base, m: machine{renamed: map[string]string{"eth0": "lan0"}},
			want: vrrp.FaultLinkMissing, cause: "interface eth0 does not exist: it is called lan0 now"},
		{name: "another one has taken its name", c: base, m: machine{links: well.links, holds: well.holds, renamed: map[string]string{"eth0": "lan0"}}, source: own},
		{name: "the interface of an address is down", c: with(func(c *conf.VRRPInstance) { c.Addresses = on("eth1", false); c.DontTrackPrimary = true }), m: down,
			want: vrrp.FaultLinkDown, cause: "interface eth1 is down", source: own},
		{name: "that of an excluded address is missing", c: with(func(c *conf.VRRPInstance) { c.Excluded = on("eth9", false) }), m: well,
			want: vrrp.FaultLinkMissing, cause: "interface eth9 does not exist", source: own},
		{name: "that of an untracked address is missing", c: with(func(c *conf.VRRPInstance) { c.Addresses = on("eth9", true) }), m: well, source: own},
		{name: "that of a route is down", c: with(func(c *conf.VRRPInstance) {
			c.DontTrackPrimary = true
			c.Routing = &conf.Routing{Routes: []conf.Route{{Hop: conf.NextHop{Interface: "eth0"}}, {Hop: conf.NextHop{Interface: "eth1"}}}}
		}), m: down, want: vrrp.FaultLinkDown, cause: "interface eth1 is down", source: own},
		{name: "that of an untracked route is missing", c: with(func(c *conf.VRRPInstance) {
			c.Routing = &conf.Routing{Routes: []conf.Route{{Hop: conf.NextHop{Interface: "eth9"}, NoTrack: true}}}
		}), m: well, source: own},
		{name: "that of a static entry is missing", c: base, static: []string{"eth9"}, m: well,
			want: vrrp.FaultLinkMissing, cause: "interface eth9 does not exist", source: own},
		{name: "there is no address of the family", c: with(func(c *conf.VRRPInstance) { c.Family = conf.IPv6 }), m: well,
			want: vrrp.FaultNoSource, cause: "no IPv6 address for interface eth0"},
		{name: "the VRF is there", c: conf.VRRPInstance{SourceIP: own, Link: &conf.Link{VRF: "eth0"}}, m: well, source: own},
		{name: "the VRF is down", c: conf.VRRPInstance{SourceIP: own, Link: &conf.Link{VRF: "eth0"}}, m: down, want: vrrp.FaultLinkDown, cause: "VRF eth0 is down", source: own},
		{name: "the VRF is missing", c: conf.VRRPInstance{SourceIP: own, Link: &conf.Link{VRF: "blue"}}, m: well, want: vrrp.FaultLinkMissing, cause: "VRF blue does not exist", source: own},
		{name: "an ipvlan of IPv4 needs an address of its own", c: with(func(c *conf.VRRPInstance) { c.SourceIP, c.Link = own, &conf.Link{Kind: conf.LinkIPVLAN} }), m: well,
			want: vrrp.FaultNoSource, cause: "use_ipvlan has no IPv4 address", source: own},
		{name: "an ipvlan has one", c: with(func(c *conf.VRRPInstance) {
			c.SourceIP, c.Link = own, &conf.Link{Kind: conf.LinkIPVLAN, Address: netip.PrefixFrom(own, 24)}
		}), m: well, source: own},
		{name: "a foreign multicast source is used", c: with(func(c *conf.VRRPInstance) { c.SourceIP = foreign }), m: well, source: foreign},
		{name: "it is tracked", c: with(func(c *conf.VRRPInstance) { c.SourceIP, c.TrackSourceIP = foreign, true }), m: well,
			want: vrrp.FaultSourceMissing, cause: "source address 192.0.2.99 is not on this machine", source: foreign},
		{name: "of unicast it is tracked always", c: with(func(c *conf.VRRPInstance) {
			c.SourceIP, c.Unicast, c.Peers = foreign, true, make([]conf.Peer, 1)
		}), m: well, want: vrrp.FaultSourceMissing, cause: "source address 192.0.2.99 is not on this machine", source: foreign},
		{name: "no peer is configured", c: with(func(c *conf.VRRPInstance) { c.Unicast, c.FaultNoPeer = true, true }), m: well,
			want: vrrp.FaultNoPeers, cause: "no unicast peer is configured", source: own},
		{name: "every peer was lost", c: with(func(c *conf.VRRPInstance) { c.Unicast = true }), m: well,
			want: vrrp.FaultNoPeers, cause: "every unicast peer was lost to a mistake in the configuration", source: own},
		{name: "the socket is refused", c: base, m: well, refusal: errors.New("no buffer"), want: vrrp.FaultSocket, cause: "no buffer", source: own},
		{name: "without an interface there is no socket to miss", c: with(func(c *conf.VRRPInstance) { c.Interface = "eth9" }), m: well, refusal: errors.New("no buffer"),
			want: vrrp.FaultLinkMissing, cause: "interface eth9 does not exist"},
		{name: "a tracker is a fault; the first cause counts", c: base, m: down, outcome: &policy.Outcome{Fault: true, Cause: vrrp.Cause{Detail: "failed"}},
			want: vrrp.FaultLinkDown | vrrp.FaultTracker, cause: "interface eth0 is down", source: own},
		{name: "an address was removed", c: base, m: machine{links: well.links, holds: well.holds, removed: vrrp.Cause{Code: "x", Detail: "10.0.0.1 was removed"}}, want: vrrp.FaultRemoved,
			cause: "10.0.0.1 was removed; a reload ends this fault", source: own},
	} {
		got := policy.FindFaults(&row.c, row.static, row.m, row.refusal, row.outcome)
		if got.Set != row.want || got.Cause.Detail != row.cause {
			t.Errorf("%s: %v (%q), want %v (%q)", row.name, got.Set, got.Cause.Detail, row.want, row.cause)
		}
		if diff := cmp.Diff(row.source, got.Source, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
			t.Errorf("%s: source (-want +got):\n%s", row.name, diff)
		}
	}
}

// TestOnDelete checks that the reaction to a removal is that of the entry, or else of the
// instance, except with no_track.
func TestOnDelete(t *testing.T) {
	for _, row := range []struct {
		instance, own conf.OnDelete
		noTrack       bool
		want          conf.OnDelete
	}{
		{want: conf.OnDeleteYield},
		{noTrack: true, want: conf.OnDeleteUnset},
		{instance: conf.OnDeleteRestore, want: conf.OnDeleteRestore},
		{instance: conf.OnDeleteRestore, noTrack: true, want: conf.OnDeleteUnset},
		{instance: conf.OnDeleteRestore, own: conf.OnDeleteFault, want: conf.OnDeleteFault},
		{own: conf.OnDeleteRestore, noTrack: true, want: conf.OnDeleteRestore},
	} {
		if got := policy.OnDelete(&conf.VRRPInstance{OnDelete: row.instance}, row.own, row.noTrack); got != row.want {
			t.Errorf("%+v: %v", row, got)
		}
	}
}

// TestStaticLinks checks that a static entry belongs to the virtual routers of its
// track_group.
func TestStaticLinks(t *testing.T) {
	c := &conf.Config{
		TrackGroups:     []conf.TrackGroup{{Name: "G", Instances: []string{"A", "B"}}, {Name: "H", Instances: []string{"B"}}},
		StaticAddresses: []conf.StaticAddress{{Address: conf.Address{Interface: "eth1"}, TrackGroup: "G"}, {Address: conf.Address{Interface: "eth2"}}},
		StaticRoutes:    []conf.Route{{Hops: []conf.NextHop{{Interface: "eth1"}, {Interface: "eth3"}}, TrackGroup: "H"}},
		StaticRules:     []conf.Rule{{Iif: "eth4", TrackGroup: "G"}},
	}
	want := map[string][]string{"A": {"eth1", "eth4"}, "B": {"eth1", "eth3", "eth4"}}
	if diff := cmp.Diff(want, policy.StaticLinks(c)); diff != "" {
		t.Error(diff)
	}
}

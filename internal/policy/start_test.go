package policy_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/policy"
)

func TestStartDelay(t *testing.T) {
	const s = time.Second
	for _, row := range []struct {
		startup, afterBoot, begun, now, want time.Duration
	}{
		{0, 0, 100 * s, 100 * s, 0},
		{5 * s, 0, 100 * s, 100 * s, 5 * s},
		{5 * s, 0, 100 * s, 103 * s, 2 * s}, // a virtual router that a reload adds
		{5 * s, 0, 100 * s, 106 * s, 0},
		{0, 30 * s, 10 * s, 10 * s, 20 * s},
		{0, 30 * s, 31 * s, 31 * s, 0},
		{5 * s, 12 * s, 10 * s, 10 * s, 5 * s}, // the longer one
		{1 * s, 12 * s, 10 * s, 10 * s, 2 * s},
	} {
		g := &conf.Global{StartupDelay: row.startup, DelayAfterBoot: row.afterBoot}
		if got := policy.StartDelay(g, row.begun, row.now); got != row.want {
			t.Errorf("%+v: %v", row, got)
		}
	}
}

func TestMayStart(t *testing.T) {
	known, waiting, partial := &policy.Outcome{}, &policy.Outcome{Waiting: true, Partial: true}, &policy.Outcome{Partial: true}
	for _, row := range []struct {
		resumes bool
		group   []*policy.Outcome
		want    bool
	}{
		{false, nil, true},
		{false, []*policy.Outcome{nil}, true},
		{false, []*policy.Outcome{known, partial}, true},
		{false, []*policy.Outcome{waiting}, false},
		{false, []*policy.Outcome{known, nil, waiting}, false},
		{true, []*policy.Outcome{waiting}, true},
	} {
		if got := policy.MayStart(row.resumes, row.group...); got != row.want {
			t.Errorf("%+v: %t", row, got)
		}
	}
	for _, row := range []struct {
		resumes bool
		own     *policy.Outcome
		want    bool
	}{{true, partial, true}, {true, waiting, true}, {true, known, false}, {true, nil, false}, {false, partial, false}} {
		if got := policy.KeepsPriority(row.resumes, row.own); got != row.want {
			t.Errorf("the predecessor's priority, %+v: %t", row, got)
		}
	}
}

// TestLeftovers checks that objects that a predecessor has set, and that are of use or
// were in its list, are taken over, and that those of other programs are not.
func TestLeftovers(t *testing.T) {
	for _, row := range []struct {
		l               policy.Leftover
		ours, inherited bool
	}{
		{policy.Leftover{}, false, false},
		{policy.Leftover{Configured: true}, false, false},
		{policy.Leftover{Marked: true, Marks: true}, true, false}, // of another daemon of ours
		{policy.Leftover{Marked: true, Marks: true, Configured: true}, true, true},
		{policy.Leftover{Marked: true, Marks: true, Listed: true}, true, true},
		{policy.Leftover{Marks: true, Listed: true, Configured: true}, false, false}, // set by another program since
		{policy.Leftover{Listed: true}, true, true},                                  // a kernel without marks
	} {
		if row.l.Ours() != row.ours || row.l.Inherited() != row.inherited {
			t.Errorf("%+v: ours %t, inherited %t", row.l, row.l.Ours(), row.l.Inherited())
		}
	}
}

// TestContinue checks that a virtual router continues by its interface, family, VRID and
// kind of peers, and that of several the one with the same name does. A start is a reload
// from nothing.
func TestContinue(t *testing.T) {
	router := func(name, link string, vrid uint8, change ...func(*conf.VRRPInstance)) *conf.VRRPInstance {
		c := &conf.VRRPInstance{Name: name, Interface: link, VRID: vrid, Family: conf.IPv4, Priority: 100}
		for _, f := range change {
			f(c)
		}
		return c
	}
	ipv6 := func(c *conf.VRRPInstance) { c.Family = conf.IPv6 }
	unicast := func(c *conf.VRRPInstance) { c.Unicast = true }
	priority := func(c *conf.VRRPInstance) { c.Priority = 90 }
	address := func(c *conf.VRRPInstance) {
		c.Addresses = []conf.Address{{Prefix: netip.MustParsePrefix("192.0.2.1/32")}}
	}
	group := func(members ...string) []*conf.SyncGroup { return []*conf.SyncGroup{{Name: "G", Members: members}} }
	before := &conf.Config{
		Instances:  []*conf.VRRPInstance{router("A", "eth0", 1), router("B", "eth0", 2), router("C", "eth1", 1, unicast), router("D", "eth1", 1, unicast)},
		SyncGroups: group("A", "B"),
	}
	for _, row := range []struct {
		name   string
		before *conf.Config
		after  []*conf.VRRPInstance
		groups []*conf.SyncGroup
		want   string
	}{
		{"nothing before", &conf.Config{}, before.Instances, group("A", "B"), "[-1 -1 -1 -1] [false false false false] false"},
		{"the same", before, before.Instances, group("A", "B"), "[0 1 2 3] [true true true true] true"},
		{"other members", before, before.Instances, group("A"), "[0 1 2 3] [true true true true] false"},
		{"another order, changes", before, []*conf.VRRPInstance{router("B", "eth0", 2, priority), router("A", "eth0", 1, address)}, group("A", "B"), "[1 0] [false false] false"},
		{"another name", before, []*conf.VRRPInstance{router("X", "eth0", 1)}, nil, "[0] [false] false"},
		{"names decide between several", before, []*conf.VRRPInstance{router("D", "eth1", 1, unicast), router("C", "eth1", 1, unicast)}, nil, "[3 2] [true true] false"},
		{"one each", before, []*conf.VRRPInstance{router("A", "eth0", 1), router("A2", "eth0", 1)}, nil, "[0 -1] [true false] false"},
		{"others", before, []*conf.VRRPInstance{router("A", "eth0", 1, ipv6), router("B", "eth0", 3), router("C", "eth1", 1)}, nil, "[-1 -1 -1] [false false false] false"},
		{"none left", before, nil, nil, "[] [] false"},
	} {
		k := policy.Continue(row.before, &conf.Config{Instances: row.after, SyncGroups: row.groups})
		if got := fmt.Sprint(k.From, k.Same, k.Groups); got != row.want {
			t.Errorf("%s: %s, want %s", row.name, got, row.want)
		}
	}
}

func TestMayStay(t *testing.T) {
	// Three intervals without an advert; the last advert may be one interval old.
	if got := policy.MayStay(&conf.VRRPInstance{AdvertInterval: time.Second, DownTimerAdverts: 3}); got != 2*time.Second {
		t.Errorf("%v", got)
	}
	if got := policy.MayStay(&conf.VRRPInstance{AdvertInterval: time.Second, DownTimerAdverts: 1}); got <= 0 {
		t.Errorf("%v", got)
	}
}

// TestIdentity checks that each part of the identity of a virtual router matters to a
// successor.
func TestIdentity(t *testing.T) {
	seen := map[uint64]conf.VRRPInstance{}
	for _, c := range []conf.VRRPInstance{
		{Name: "A", Interface: "eth0", Family: conf.IPv4, VRID: 1}, {Name: "B", Interface: "eth0", Family: conf.IPv4, VRID: 1},
		{Name: "A", Interface: "eth1", Family: conf.IPv4, VRID: 1}, {Name: "A", Interface: "eth0", Family: conf.IPv6, VRID: 1},
		{Name: "A", Interface: "eth0", Family: conf.IPv4, VRID: 2}, {Name: "Aeth0", Family: conf.IPv4, VRID: 1},
	} {
		id := policy.Identity(&c)
		if other, taken := seen[id]; taken {
			t.Errorf("%+v and %+v have one identity", other, c)
		}
		seen[id] = c
		c.Priority++
		if policy.Identity(&c) != id {
			t.Error("the priority is part of it")
		}
	}
}

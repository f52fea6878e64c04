// Package statustest has snapshots for the tests of views. That of VRRP has two
// masters, a backup and a virtual router in FAULT, with everything that a snapshot can
// hold.
package statustest

import (
	_ "embed"
	"net/netip"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/vrrp"
)

//go:embed vrrp.conf
var source string

// At is when the snapshot was taken; times are shown in UTC.
var At = time.Date(2026, 11, 22, 21, 54, 56, 799171000, time.UTC)

// Load returns the configuration of the snapshot.
func Load(t testing.TB) *conf.Config { return load(t, "vrrp.conf", source) }

func load(t testing.TB, name, source string) *conf.Config {
	t.Helper()
	c, found := conf.Load(name, conf.Options{
		Unsaved:      func(string) (string, bool) { return source, true },
		Interface:    func(string) bool { return true },
		CheckCommand: func(conf.Command, conf.ScriptPolicy) error { return nil },
	})
	if found.Fatal() != 0 {
		t.Fatal(found)
	}
	return c
}

// inUTC makes UTC the local zone until the test ends.
func inUTC(t testing.TB) {
	zone := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = zone })
}

// Many is the snapshot of 4,000 virtual routers, most of which are alike.
func Many(t testing.TB) *status.VRRP {
	s := VRRP(t, Load(t))
	for len(s.Instances) < 4000 {
		s.Instances = append(s.Instances, s.Instances[1])
	}
	return s
}

// VRRP returns a snapshot of c. Until the test ends, the local zone is UTC.
func VRRP(t testing.TB, c *conf.Config) *status.VRRP {
	t.Helper()
	inUTC(t)
	addr := netip.MustParseAddr
	ago := func(d time.Duration) time.Time { return At.Add(-d) }
	s := &status.VRRP{
		At: At, Conf: c, MarkerPath: "/run/reloading", Running: true,
		Groups: []status.Group{{Conf: c.SyncGroups[0], State: vrrp.Fault, Faulty: 1, Waiting: 0}},
		Sockets: []status.Socket{
			{FD: 11, Interface: "eth0", Multicast: true, Source: addr("192.0.2.1"), ReceiveBuffer: 4096,
				Users: []status.SocketUser{{Instance: "A", VRID: 1}}},
			{FD: 12, Interface: "eth0", Source: addr("192.0.2.1"), Users: []status.SocketUser{{Instance: "C", VRID: 3}}},
			{FD: 13, Interface: "eth0", IPv6: true, Multicast: true, Source: addr("fe80::1"), Users: []status.SocketUser{{Instance: "D", VRID: 4}}},
		},
		Links: []status.Link{
			{Name: "lo", Index: 1, MTU: 65536, Flags: status.LinkFlags{Up: true, Running: true, Loopback: true}, IPv4: []netip.Addr{addr("127.0.0.1")}},
			{Name: "eth0", Index: 2, MTU: 1500, MAC: [6]byte{2, 0, 0, 0, 0, 1},
				Flags: status.LinkFlags{Up: true, Running: true, Broadcast: true, Multicast: true},
				IPv4:  []netip.Addr{addr("192.0.2.1"), addr("192.0.2.2")}, IPv6: []netip.Addr{addr("fe80::1")},
				GARP:  c.Instances[0].GARP,
				Users: []status.User{{Instance: "A"}, {Instance: "C"}, {Instance: "D"}}},
			{Name: "eth1", Index: 3, MTU: 1500, MAC: [6]byte{2, 0, 0, 0, 0, 2}, Settings: c.Interfaces[0], Delayed: true,
				Flags: status.LinkFlags{Broadcast: true, Multicast: true, NoARP: true},
				Users: []status.User{{Instance: "A", Weight: 3}, {Instance: "B"}}},
			{Name: "ppp0", Index: 4, MTU: 1400, Flags: status.LinkFlags{Up: true, PointToPoint: true, NoARP: true}},
		},
		Notifications: &status.Notifications{
			Owners: []status.Owner{
				{Kind: status.KindGroup, Name: "G", Keyword: "notify", Command: "/none/true all", Since: ago(time.Second), Waiting: 1, Overtaken: 2},
				{Kind: status.KindInstance, Name: "A", Last: status.Run{Keyword: "notify_master", Command: "/none/true", Result: "exited with status 0", OK: true, Ended: ago(time.Minute)},
					Disabled: []status.DisabledScript{{Keyword: "notify_fault", Command: "/not/there/either", Reason: "/not does not exist"}}},
			},
			FIFOs: []status.FIFO{
				{Keyword: "notify_fifo", Path: "/run/other", Disabled: "open /run/other: no such file"},
				{Keyword: "vrrp_notify_fifo", Path: "/run/fifo", Written: 7, Dropped: 1, Full: true, Script: "/none/cat -u", Running: true, Result: "exited with status 1"},
			},
			Mail: status.Mail{Server: "192.0.2.25", Waiting: 1, Sent: 2, Lost: 3, LastError: "connection refused"},
		},
		Unclaimed: []status.Unclaimed{{Reason: vrrp.RejectVersion, Count: 4}},
		Loop:      status.Loop{Turns: 1234, Longest: 71 * time.Millisecond, Stalls: 1, Late: 1500 * time.Microsecond, Lateness: loop.Lateness{1200, 30, 4}},
	}
	instances := map[string]status.Instance{
		"A": {Group: "G", State: vrrp.Fault, Wanted: vrrp.Fault, Since: ago(time.Hour), Socket: 11, Link: 2, Source: addr("192.0.2.1"),
			Faults: vrrp.FaultLinkDown | vrrp.FaultTracker, Found: vrrp.FaultLinkDown | vrrp.FaultTracker, FaultCause: "interface eth1 is down",
			Priority: 103, Total: 103, Tracks: true, Arithmetic: "100 + 5 (track_script ok: exited with status 0) = 103",
			Trackers: []status.Tracking{
				{Track: conf.Track{Kind: conf.TrackedScript, Name: "ok", Weight: 5}, Known: true, Up: true, Detail: "exited with status 0", At: ago(time.Second)},
				{Track: conf.Track{Kind: conf.TrackedScript, Name: "gone"}, Disabled: true, Detail: "disabled: /not does not exist"},
				{Track: conf.Track{Kind: conf.TrackedScript, Name: "slow", Weight: -9, Reverse: true}, Known: true, Detail: "timed out", At: ago(time.Minute)},
				{Track: conf.Track{Kind: conf.TrackedProcess, Name: "P"}},
				{Track: conf.Track{Kind: conf.TrackedProcess, Name: "Q"}, Known: true, Fault: true, Detail: "0 processes run", At: ago(time.Hour)},
			},
			History: []status.Change{
				{At: ago(2 * time.Hour), From: vrrp.Init, To: vrrp.Backup, Reason: vrrp.ReasonStart},
				{At: ago(time.Hour), From: vrrp.Backup, To: vrrp.Fault, Reason: vrrp.ReasonFault, Why: "interface eth1 is down"},
			}},
		"B": {Group: "G", State: vrrp.Init, Wanted: vrrp.Backup, Socket: -1, Priority: 90, Total: 90, WaitsFor: "track_process P"},
		"C": {State: vrrp.Backup, Wanted: vrrp.Backup, Since: ago(time.Hour), Socket: 12, Link: 2, Source: addr("192.0.2.1"), Priority: 50, Total: 50,
			Master: addr("192.0.2.7"), MasterPriority: 40, MasterInterval: 250 * time.Millisecond, MasterDown: 953125 * time.Microsecond,
			Timeout: At.Add(953125 * time.Microsecond), Obstacle: vrrp.ObstacleNoPreempt, Hindrance: "nopreempt: 192.0.2.7 is master with priority 40",
			History: []status.Change{{At: ago(time.Hour), From: vrrp.Init, To: vrrp.Backup, Reason: vrrp.ReasonStart}}},
		"D": {State: vrrp.Master, Wanted: vrrp.Master, Since: ago(time.Minute), Socket: 13, Link: 2, Source: addr("fe80::1"), Held: true, Priority: 50, Total: 50,
			MasterInterval: time.Second, MasterDown: 3804687 * time.Microsecond, Timeout: At.Add(time.Second),
			Stats: vrrp.Stats{Counts: vrrp.Counts{AdvertsSent: 60, BecomeMaster: 1, AddressListErrors: 2}}},
	}
	for _, ic := range c.Instances {
		i := instances[ic.Name]
		i.Conf = ic
		listed := func(list []conf.Address) (all []status.Address) {
			for k := range list {
				a := status.Address{Conf: &list[k], Link: list[k].Interface, Set: i.Held}
				if a.Link == "" {
					a.Link = ic.Interface
				}
				all = append(all, a)
			}
			return all
		}
		i.Listed, i.Excluded = listed(ic.Addresses), listed(ic.Excluded)
		s.Instances = append(s.Instances, i)
	}
	user := []status.User{{Instance: "A", Weight: 5}}
	for _, sc := range c.Scripts {
		s.Scripts = append(s.Scripts, status.Script{Conf: sc, Known: true, Up: true, Count: 2, Users: user})
	}
	s.Scripts[0].Past = []status.Reported{{At: At.Add(-2 * time.Hour)}, {At: At.Add(-time.Hour), Up: true}}
	s.Scripts[1].Disabled, s.Scripts[1].Detail = true, "disabled: /not does not exist"
	s.Scripts[2].Known, s.Scripts[2].Up, s.Scripts[2].Running = false, false, true
	for _, f := range c.Files {
		s.Files = append(s.Files, status.File{Conf: f, Number: 3, Users: user, Past: []status.Reported{{At: At.Add(-time.Minute), Up: true, Number: 3}}})
	}
	s.Neighbours = []status.Neighbour{
		{Interface: "eth0", Address: addr("192.0.2.9"), Claim: []byte{0x31, 200, 100, 1, 0, 100, 0, 0, 192, 0, 2, 99}, First: ago(time.Hour), Last: ago(time.Second), Adverts: 3599},
		{Interface: "eth0", Address: addr("192.0.2.7"), Instance: "C", Claim: []byte{0x31, 52, 40, 1, 0, 25, 0, 0, 192, 0, 2, 11}, First: ago(2 * time.Hour), Last: ago(0), Adverts: 28800},
	}
	for k, p := range c.Processes {
		s.Processes = append(s.Processes, status.Process{Conf: p, Count: k, Quorum: k > 0, ForkDelay: k == 0, Users: user})
	}
	for _, b := range c.BFDs {
		s.BFDs = append(s.BFDs, status.BFD{Conf: b, Up: true, Users: user})
	}
	return s
}

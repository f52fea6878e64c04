package vrrp_test

import (
	"fmt"
	"net/netip"
	"time"

	"keepalived-go/vrrp"
)

// A driver gives events to an instance and carries out its actions: here, for a node that
// receives no advert.
func Example() {
	i := vrrp.New(vrrp.Config{
		Name:      "VI_1",
		VRID:      51,
		Priority:  150,
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.10")},
		Group:     netip.MustParseAddr("224.0.0.18"),
		Announce:  vrrp.Announcements{Repeat: 5},
	})
	var now time.Duration
	var actions []vrrp.Action
	step := func(ev vrrp.Event) {
		actions = i.Step(now, ev, actions[:0])
		for _, a := range actions {
			fmt.Println(now, a)
		}
	}
	step(vrrp.Event{Kind: vrrp.SourceChanged, Source: netip.MustParseAddr("192.0.2.1")})
	step(vrrp.Event{Kind: vrrp.Start})
	for now < 4*time.Second {
		now, _ = i.Deadline() // sleep until then, or until a packet arrives
		step(vrrp.Event{Kind: vrrp.Expiry})
	}
	step(vrrp.Event{Kind: vrrp.Shutdown})
	// Output:
	// 0s VI_1 transition INIT->BACKUP reason=start
	// 3.4140625s VI_1 notify master-down-expired
	// 3.4140625s VI_1 send-advert prio=150
	// 3.4140625s VI_1 set-addresses
	// 3.4140625s VI_1 announce count=5
	// 3.4140625s VI_1 transition BACKUP->MASTER reason=no-master time=3.4140625s
	// 4.4140625s VI_1 send-advert prio=150
	// 4.4140625s VI_1 send-advert prio=0
	// 4.4140625s VI_1 notify priority-zero-sent
	// 4.4140625s VI_1 clear-addresses
	// 4.4140625s VI_1 transition MASTER->STOP reason=shutdown
}

// Packets are parsed without copying, and every refusal has a name.
func ExampleParseIPv4() {
	raw := []byte{
		0x45, 0xc0, 0x00, 0x20, 0x00, 0x01, 0x00, 0x00, 0xff, 0x70, 0, 0,
		192, 0, 2, 1, 224, 0, 0, 18,
		0x31, 51, 150, 1, 0, 100, 0, 0, 192, 0, 2, 10,
	}
	var p vrrp.Packet
	fmt.Println(vrrp.ParseIPv4(raw, &p), p.VRID(), p.Priority(), p.Src)
	fmt.Println(vrrp.ParseIPv4(raw[:24], &p))
	// Output:
	// none 51 150 192.0.2.1
	// ip_header
}

// Members of a group change state together.
func ExampleSyncGroup() {
	member := func(name string) *vrrp.Instance {
		return vrrp.New(vrrp.Config{Name: name, VRID: 51, Group: netip.MustParseAddr("224.0.0.18")})
	}
	inside, outside := member("inside"), member("outside")
	vrrp.NewSyncGroup("firewall", false, inside, outside)
	var out []vrrp.Action
	out = inside.Step(0, vrrp.Event{Kind: vrrp.Start}, out)
	out = outside.Step(0, vrrp.Event{Kind: vrrp.Start}, out)
	out = inside.Step(time.Second, vrrp.Event{Kind: vrrp.FaultsChanged, Faults: vrrp.FaultLinkDown}, out)
	for _, a := range out {
		fmt.Println(a)
	}
	// Output:
	// group-transition firewall INIT->BACKUP
	// inside transition INIT->BACKUP reason=start
	// outside transition INIT->BACKUP reason=start
	// inside transition BACKUP->FAULT reason=fault
	// outside transition BACKUP->FAULT reason=group
	// group-transition firewall BACKUP->FAULT
}

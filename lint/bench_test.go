package lint_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/lint"
)

// many returns a node with n virtual routers on different interfaces, which all track one
// script.
func many(n int, priority uint8, unicast bool) *conf.Config {
	c := &conf.Config{}
	for i := range n {
		in := &conf.VRRPInstance{
			Name: fmt.Sprintf("VI_%d", i), Pos: conf.Pos{File: "many.conf", Line: i + 1},
			Interface: fmt.Sprintf("eth0.%d", i/200), VRID: uint8(i%200 + 1), Version: 2, Family: conf.IPv4,
			Priority: priority, AdvertInterval: time.Second, DownTimerAdverts: 3,
			Group:     netip.MustParseAddr("224.0.0.18"),
			Addresses: []conf.Address{{Prefix: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), 24)}},
			GARP:      &conf.GARP{Repeat: 5, Delay: 5 * time.Second, RefreshRepeat: 1},
			Track:     []conf.Track{{Kind: conf.TrackedScript, Name: "chk", Weight: -20}},
		}
		if unicast {
			// Every virtual router is a separate simulation.
			in.Unicast, in.Group = true, netip.Addr{}
			in.SourceIP = netip.AddrFrom4([4]byte{172, byte(i >> 8), byte(i), priority})
			in.Peers = []conf.Peer{{Addr: netip.AddrFrom4([4]byte{172, byte(i >> 8), byte(i), 250 - priority})}}
		}
		in.Addresses[0].Interface = in.Interface
		c.Instances = append(c.Instances, in)
	}
	return c
}

func BenchmarkCluster(b *testing.B) {
	for _, unicast := range []bool{false, true} {
		b.Run(fmt.Sprintf("4000/unicast=%v", unicast), func(b *testing.B) {
			nodes := []lint.Node{{Name: "a", Config: many(4000, 130, unicast)}, {Name: "b", Config: many(4000, 120, unicast)}}
			for b.Loop() {
				if r := lint.Cluster(nodes); len(r.Outcomes) != 1 || len(r.Diagnostics) != 0 {
					b.Fatalf("%d tables, %v; want one and no findings", len(r.Outcomes), r.Diagnostics)
				}
			}
		})
	}
}

package lint_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keepalived-go/conf"
	"keepalived-go/lint"
)

// TestTables draws clusters at random. There is always a result. If all nodes preempt,
// priorities differ and no sync group interferes, it is the one that the protocol
// defines: the healthy node with the highest priority.
func TestTables(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"a", "b", "c"}[:rapid.IntRange(2, 3).Draw(t, "nodes")]
		routers := rapid.IntRange(1, 3).Draw(t, "routers")
		grouped := rapid.Bool().Draw(t, "groups")
		free := rapid.Bool().Draw(t, "nopreempt")
		weight := rapid.IntRange(-60, 0).Draw(t, "weight")
		priorities := rapid.Permutation([]int{50, 80, 100, 120, 255}).Draw(t, "priorities")
		var nodes []lint.Node
		for n, name := range names {
			c := &conf.Config{}
			for i := range routers {
				in := &conf.VRRPInstance{
					GARP: &conf.GARP{},
					Name: fmt.Sprintf("VI_%d", i), Interface: fmt.Sprintf("eth%d", i%2),
					VRID: uint8(i + 1), Version: 3, Family: conf.IPv4, Priority: uint8(priorities[(n+i)%5]),
					AdvertInterval: time.Second, DownTimerAdverts: 3, Group: netip.MustParseAddr("224.0.0.18"),
					Addresses: []conf.Address{{Prefix: netip.MustParsePrefix("192.0.2.10/24")}},
					NoPreempt: free && rapid.Bool().Draw(t, "nopreempt"),
					Track:     []conf.Track{{Kind: conf.TrackedScript, Name: "chk", Weight: weight}},
				}
				in.Addresses[0].Interface = in.Interface
				c.Instances = append(c.Instances, in)
			}
			if grouped && rapid.Bool().Draw(t, "group") {
				from := rapid.IntRange(0, routers-1).Draw(t, "from")
				g := &conf.SyncGroup{Name: "G"}
				for _, in := range c.Instances[from:] {
					g.Members = append(g.Members, in.Name)
				}
				c.SyncGroups = append(c.SyncGroups, g)
			}
			nodes = append(nodes, lint.Node{Name: name, Config: c})
		}
		r := lint.Cluster(nodes)
		if grouped || free {
			return
		}
		for _, o := range r.Outcomes {
			for _, v := range o.Routers {
				best := func(failed, failure string) []string {
					top, who := -1, ""
					for n, node := range nodes {
						p := priorities[(n+int(v.VRID)-1)%5]
						if node.Name == failed && failure == "track_script chk fails" && p < 255 {
							p = max(p+weight, 1)
						}
						if node.Name == failed && (failure == "dead" || failure == "interface down" || weight == 0) {
							continue
						}
						// A node with the same priority as the master does not preempt.
						if p > top || p == top && node.Name == o.Masters[0] {
							top, who = p, node.Name
						}
					}
					return []string{who}
				}
				if want := best("", ""); !slices.Equal(o.Masters, want) {
					t.Errorf("%s: master is %v, want %v", v.Name, o.Masters, want)
				}
				for _, row := range o.Rows {
					want := best(row.Node, row.Failure)
					if !slices.Equal(row.During, want) || !slices.Equal(row.After, o.Masters) {
						t.Errorf("%s, %s %s: master is %v, then %v; want %v, then %v", v.Name, row.Node, row.Failure, row.During, row.After, want, o.Masters)
					}
				}
			}
		}
	})
}

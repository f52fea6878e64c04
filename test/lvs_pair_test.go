package test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// testPair checks that established connections survive the loss of power of a director,
// and that of its successor, with either daemon on them.
func testPair(t *testing.T) {
	for _, pair := range [][2]lab.Program{{ours, ours}, {ours, lab.C()}} {
		t.Run(pair[0].Name+" and "+pair[1].Name, func(t *testing.T) { testPairOf(t, pair) })
	}
}

const (
	linesPort = 7 // of serveLines

	// sentAgain is the number of packets after which the kernel synchronizes a connection
	// again.
	sentAgain = 50
)

var (
	byDR  = netip.AddrPortFrom(addr("10.0.1.1"), linesPort)
	byNAT = netip.AddrPortFrom(addr("10.0.1.2"), linesPort)
	// pairGateway moves with the virtual addresses.
	pairGateway = gateway{lab.SegmentAddr(1, 100), lab.SegmentAddr6(1, 100)}
)

// pairConfig returns the configuration of a director in a pair. None takes the addresses
// back.
func pairConfig(f *farm, priority int) string {
	in := instance{
		Priority: priority, Interval: 500 * time.Millisecond, More: "nopreempt",
		VIPs: []string{fmt.Sprintf("%v/16", byDR.Addr()), fmt.Sprintf("%v/16", byNAT.Addr()), fmt.Sprintf("%v/16 dev eth1", pairGateway.v4)},
	}
	config := configWith("lvs_sync_daemon eth1 VI_1 id 7", in)
	for to, kind := range map[netip.AddrPort]string{byDR: "DR", byNAT: "NAT"} {
		lines := []string{"protocol TCP", "lb_algo rr", "lb_kind " + kind, "delay_loop 1"}
		for _, n := range f.servers {
			lines = append(lines, server(fmt.Sprint(n.Addr(1), " ", linesPort), "TCP_CHECK {\nconnect_timeout 5\n}"))
		}
		config += virtual(fmt.Sprint(to.Addr(), " ", to.Port()), lines...)
	}
	return config
}

func testPairOf(t *testing.T, pair [2]lab.Program) {
	f := newFarm(t, pairGateway, 2, 2, byDR.Addr())
	for _, n := range f.servers {
		f.serveLines(n, linesPort)
	}
	var daemons [2]*lab.Daemon
	powerOn := func(i int) {
		n := f.directors[i]
		for k := range 2 {
			f.must(n.Plug(k))
		}
		daemons[i] = f.start(n.Name, pair[i], pairConfig(f, 200-100*i))
	}
	// The kernel of a machine without power has neither addresses nor a table.
	powerOff := func(i int) {
		n := f.directors[i]
		daemons[i].Kill()
		for k := range 2 {
			f.must(n.Unplug(k))
		}
		f.must(n.IPBatch(fmt.Sprintf("addr flush dev eth0 to %v/24\naddr del %v/16 dev eth1\n", byDR.Addr(), pairGateway.v4)))
		f.output(n, "ipvsadm", "-C")
		f.output(n, "ipvsadm", "--stop-daemon", "master")
	}
	role := func(i int, want string) {
		t.Helper()
		if !f.Until(20*time.Second, func() bool {
			return strings.Contains(f.output(f.directors[i], "ipvsadm", "-L", "--daemon"), want+" sync daemon")
		}) {
			t.Fatalf("%s has no %s daemon", f.directors[i].Name, want)
		}
	}

	powerOn(0)
	f.awaitOwner(byDR.Addr(), 20*time.Second, "lb1", "s1", "s2")
	powerOn(1)
	role(0, "master")
	role(1, "backup")
	sessions := map[netip.AddrPort]*session{byDR: f.open(f.client, byDR), byNAT: f.open(f.client, byNAT)}
	for i, other := range []int{1, 0} {
		if !f.Until(30*time.Second, func() bool {
			known := true
			for to, e := range sessions {
				for range sentAgain {
					f.must(e.echo())
				}
				known = known && f.connections(f.directors[other], to) > 0
			}
			return known
		}) {
			t.Fatalf("%s does not know the connections:\n%s", f.directors[other].Name, f.output(f.directors[other], "ipvsadm", "-Lnc"))
		}
		powerOff(i)
		f.awaitOwner(byDR.Addr(), 20*time.Second, f.directors[other].Name, "s1", "s2")
		role(other, "master")
		for to, e := range sessions {
			if err := e.echo(); err != nil {
				t.Fatalf("the connection to %v, after the end of %s: %v", to, f.directors[i].Name, err)
			}
			f.open(f.client, to)
		}
		if i == 0 {
			powerOn(0)
			role(0, "backup")
		}
	}
}

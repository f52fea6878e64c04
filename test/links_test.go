package test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// detailed returns the links of a node that are made above other ones, with all details,
// and their addresses except those that the kernel has made, without the properties of a
// single node and without our mark.
func (s *scene) detailed(node string) string {
	s.Helper()
	list := func(args ...string) (all []map[string]any) {
		// A listing that changes interrupt has a warning, and is not JSON.
		if json.Unmarshal([]byte(s.output(s.Node(node), "ip", append([]string{"-d", "-j"}, args...)...)), &all) != nil {
			return nil
		}
		return all
	}
	var text strings.Builder
	for _, l := range list("link") {
		info, _ := l["linkinfo"].(map[string]any)
		kind := info["info_kind"]
		if kind != "macvlan" && kind != "ipvlan" {
			continue
		}
		for _, own := range []string{"ifindex", "ifalias"} {
			delete(l, own)
		}
		if kind == "ipvlan" { // the address of the interface below
			delete(l, "address")
		}
		b, err := json.MarshalIndent(l, "", " ") // in the order of the names
		s.must(err)
		fmt.Fprintf(&text, "%s\n", b)
	}
	for _, l := range list("addr") {
		info, _ := l["linkinfo"].(map[string]any)
		addrs, _ := l["addr_info"].([]any)
		for _, a := range addrs {
			if a := a.(map[string]any); info["info_kind"] == "ipvlan" && a["family"] == "inet" {
				fmt.Fprintf(&text, "%v/%v on %v\n", a["local"], a["prefixlen"], l["ifname"])
			}
		}
	}
	return text.String()
}

// linksAgree waits until two nodes have the same links above others: n of them.
func (s *scene) linksAgree(n int, what string) {
	s.Helper()
	var a, b string
	if !s.Until(20*time.Second, func() bool {
		a, b = s.detailed("a"), s.detailed("b")
		return a == b && strings.Count(a, `"ifname"`) == n
	}) {
		s.Errorf("%s: ours has\n%s\nthe C daemon has\n%s", what, a, b)
	}
}

// TestLinksAreThoseOfC checks that the macvlans of each form of use_vmac are those of the
// C daemon, as ip -d link shows them.
func TestLinksAreThoseOfC(t *testing.T) {
	differs(t, "is what this one is compared with")
	t.Parallel()
	lab.Need(t, lab.Root, lab.Peer)
	s := newWideScene(t, 2, "a", "b")
	conf := configWith("vmac_prefix va\nvmac_addr_prefix vb\ndynamic_interfaces",
		instance{Name: "V4", Priority: 100, VRID: 51, VIPs: []string{"10.77.3.1/16", "10.78.3.1/16 dev eth1"}, More: "use_vmac\nuse_vmac_addr", Interval: time.Second},
		instance{Name: "V6", Priority: 100, VRID: 51, VIPs: []string{"fe80::51", "fd77::3:1/64"}, More: "use_vmac", Interval: time.Second},
		instance{Name: "OTHER", Priority: 100, VRID: 51, Iface: "eth1", VIPs: []string{"fe80::52"}, More: "use_vmac", Interval: time.Second},
		instance{Name: "NAMED", Priority: 100, VRID: 52, VIPs: []string{"10.77.3.2/16"}, More: "use_vmac named 02:00:5e:01:02:03\nvmac_xmit_base", Interval: time.Second},
		instance{Name: "SINGLE", Priority: 100, VRID: 53, VIPs: []string{"10.77.3.3/16 use_vmac", "10.78.3.3/16 dev eth1 use_vmac"}, Interval: time.Second})
	for _, n := range []string{"a", "b"} {
		s.must(s.Node(n).IP("link set eth0 mtu 1400"))
	}
	s.start("a", ours, conf)
	s.start("b", lab.C(), conf)
	s.linksAgree(7, "macvlans")
}

// testMadeLinks runs the tests that need a kernel with ipvlan and VRFs.
func testMadeLinks(t *testing.T) {
	t.Run("AsC", testLinksAsC)
	if nightly() {
		t.Run("Pair", testLinksPair)
	}
}

// intoVRF puts the second interface of a node into a VRF.
func (s *scene) intoVRF(node string) {
	s.Helper()
	s.must(s.Node(node).IPBatch("link add blue type vrf table 9\nlink set blue up\nlink set eth1 master blue\n"))
}

// testLinksAsC checks that ipvlans, and a macvlan above an interface in a VRF, are those
// that the C daemon makes, and that the macvlan follows its interface out of the VRF and
// back.
func testLinksAsC(t *testing.T) {
	t.Parallel()
	s := newWideScene(t, 2, "a", "b")
	for _, n := range []string{"a", "b"} {
		s.intoVRF(n)
	}
	conf := configWith("dynamic_interfaces",
		instance{Name: "NAMED", Priority: 100, VRID: 51, VIPs: []string{"10.77.3.1/16"}, More: "use_ipvlan ipv51 10.77.4.1/16", Interval: time.Second},
		instance{Name: "BRIDGE", Priority: 100, VRID: 52, VIPs: []string{"10.77.3.2/16"}, More: "use_ipvlan 10.77.4.2", Interval: time.Second},
		instance{Name: "V6", Priority: 100, VRID: 53, VIPs: []string{"fe80::53"}, More: "use_ipvlan", Interval: time.Second},
		instance{Name: "MAC", Priority: 100, VRID: 54, Iface: "eth1", VIPs: []string{"10.78.3.4/16"}, More: "use_vmac", Interval: time.Second})
	s.start("a", ours, conf)
	s.start("b", lab.C(), conf)
	s.linksAgree(4, "ipvlans and a macvlan in a VRF")
	for _, move := range []string{"link set eth1 nomaster", "link set eth1 master blue"} {
		for _, n := range []string{"a", "b"} {
			s.must(s.Node(n).IP(move))
		}
		s.linksAgree(4, move)
	}
	// The links of the C daemon keep the former MTU of the interface.
	s.must(s.Node("a").IPBatch("link set eth0 mtu 1600\nlink set eth1 mtu 1700\n"))
	if !s.Until(10*time.Second, func() bool {
		made := s.madeLinks("a")
		return made["ipv51"].MTU == 1600 && made["vrrp.54"].MTU == 1700
	}) {
		t.Errorf("MTUs do not follow: %+v", s.madeLinks("a"))
	}
}

// testLinksPair checks that two nodes receive each other's adverts by ipvlans, with
// strict reverse-path filtering, and by unicast within a VRF, and that an ipvlan survives
// a crash and is removed at the end.
func testLinksPair(t *testing.T) {
	t.Parallel()
	s := newWideScene(t, 2, "a", "b")
	conf := func(n string, priority int) string {
		peer := map[string]string{"a": "b", "b": "a"}[n]
		return config(instance{Name: "IPV", VRID: 51, VIPs: []string{vip.String() + "/16"}, Priority: priority, Interval: time.Second,
			More: fmt.Sprintf("use_ipvlan ipv 10.77.4.%d/16 private", priority)}) + fmt.Sprintf(`
vrrp_instance VRF {
    vrf blue
    virtual_router_id 55
    priority %d
    unicast_src_ip %v
    unicast_peer {
        %v
    }
    virtual_ipaddress {
        10.78.3.5/16 dev eth1
    }
}
`, priority, s.Node(n).Addr(1), s.Node(peer).Addr(1))
	}
	vrf := addr("10.78.3.5")
	for _, n := range []string{"a", "b"} {
		s.intoVRF(n)
		s.output(s.Node(n), "sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1")
	}
	a := s.start("a", ours, conf("a", 150))
	s.awaitOwner(vip, 20*time.Second, "a")
	s.awaitOwner(vrf, 20*time.Second, "a")
	b := s.start("b", ours, conf("b", 100))
	s.awaitLog(b, b.Started, "(VRF) Entering BACKUP STATE", 20*time.Second)
	s.stays(vip, "a", 4500*time.Millisecond)
	s.awaitOwner(vrf, time.Second, "a")
	first := s.madeLinks("a")["ipv"]
	if first.Info.Kind != "ipvlan" || first.Below != "eth0" {
		t.Errorf("%+v", first)
	}

	for _, pid := range []int{a.VRRPPid(), a.Pid()} {
		s.must(unix.Kill(pid, unix.SIGKILL))
	}
	a.Kill()
	a, err := s.Node("a").StartIn(a.Dir, ours, conf("a", 150))
	s.must(err)
	s.daemons = append(s.daemons, a)
	s.awaitLog(a, a.Started, "(IPV) Entering MASTER STATE", 20*time.Second)
	if again := s.madeLinks("a")["ipv"]; again.Index != first.Index {
		t.Errorf("after a crash %+v, had %+v", again, first)
	}
	s.awaitOwner(vip, 20*time.Second, "a")
	s.must(s.Node("a").IP("link del ipv"))
	if !s.Until(20*time.Second, func() bool { return strings.Contains(s.detailed("a"), "10.77.4.150/16 on ipv") }) {
		t.Errorf("deleted, and not made again: %s", s.detailed("a"))
	}
	s.must(a.Stop())
	s.noneMade("a")
	s.awaitOwner(vip, 20*time.Second, "b")
	s.awaitOwner(vrf, 20*time.Second, "b")
}

package test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// TestInterop runs a pair in which one node is the C daemon, in both roles, over
// everything that differs on the wire: the node of lower priority must accept the master,
// take over after its death and its stop, and yield again.
func TestInterop(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.Peer, lab.Tshark)
	peer := func(other netip.Addr) string {
		return fmt.Sprintf("unicast_peer {\n    %v\n}", other)
	}
	const auth = "authentication {\n    auth_type %s\n    auth_pass secret12\n}"
	six := []string{"fe80::1:15/64", vip6.String() + "/64"}
	modes := []struct {
		name string
		in   instance
		more func(self, other *lab.Node) string
		addr netip.Addr
	}{
		{name: "v2", in: instance{Version: 2}},
		{name: "v2 PASS", in: instance{Version: 2, More: fmt.Sprintf(auth, "PASS")}},
		{name: "v2 AH", in: instance{Version: 2, More: fmt.Sprintf(auth, "AH")}},
		{name: "v3 IPv4"},
		{name: "v3 IPv6", in: instance{VIPs: six}, addr: vip6},
		{name: "v2 unicast", in: instance{Version: 2}, more: func(self, other *lab.Node) string { return peer(other.Addr(0)) }},
		{name: "v2 PASS unicast", in: instance{Version: 2}, more: func(self, other *lab.Node) string {
			return fmt.Sprintf(auth, "PASS") + "\n" + peer(other.Addr(0))
		}},
		{name: "v3 unicast IPv4", more: func(self, other *lab.Node) string { return peer(other.Addr(0)) }},
		{name: "v3 unicast IPv6", in: instance{VIPs: six}, addr: vip6, more: func(self, other *lab.Node) string {
			return fmt.Sprintf("unicast_src_ip %v\n", self.Addr6(0)) + peer(other.Addr6(0))
		}},
	}
	for _, mode := range modes {
		for _, role := range []string{"master", "backup"} {
			t.Run(mode.name+" as "+role, func(t *testing.T) {
				t.Parallel()
				a, b := ours, lab.C()
				if role == "backup" {
					a, b = b, a
				}
				s := newScene(t, "a", "b")
				high, low := mode.in.at(150), mode.in.at(100)
				if mode.more != nil {
					high.More = mode.more(s.Node("a"), s.Node("b"))
					low.More = mode.more(s.Node("b"), s.Node("a"))
				}
				address := vip
				if mode.addr.IsValid() {
					address = mode.addr
				}
				s.pair(address, a, high, b, low)
				s.noneMalformed()
			})
		}
	}
}

// pair runs two nodes through a failover, a fail-back, a stop and another fail-back.
func (s *scene) pair(address netip.Addr, a lab.Program, high instance, b lab.Program, low instance) {
	s.Helper()
	da := s.start("a", a, config(high))
	start := 2*time.Second + masterDown(high)
	s.awaitOwner(address, start, "a")
	s.start("b", b, config(low))
	s.stays(address, "a", masterDown(low)+slack)

	killed := da.Kill()
	s.Node("a").IP(fmt.Sprintf("addr flush dev eth0 to %v", netip.PrefixFrom(address, address.BitLen())))
	first := s.awaitAdvert(killed, masterDown(low)+time.Second, "b")
	last := s.lastAdvert("a", first.Time)
	s.within("takeover after a kill", first.Time.Sub(last.Time), masterDown(low)-5*time.Millisecond, masterDown(low)+slack)
	s.awaitOwner(address, time.Second, "b")

	da = s.start("a", a, config(high))
	s.awaitOwner(address, start, "a")
	s.stays(address, "a", masterDown(low)+slack)

	stopped := time.Now()
	s.must(da.Stop())
	zero, ok := s.Wait(stopped, time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Node.Name == "a" && e.Priority == 0 })
	if !ok {
		s.Fatal("the stopping master sent no priority 0")
	}
	first = s.awaitAdvert(stopped, skew(low)+time.Second, "b")
	s.within("takeover after a stop", first.Time.Sub(zero.Time), skew(low)-5*time.Millisecond, skew(low)+slack)
	s.awaitOwner(address, time.Second, "b")

	s.start("a", a, config(high))
	s.awaitOwner(address, start, "a")
}

// TestInteropFRR checks the same with FRR as the other node: it yields to ours and takes
// over when ours stops, and ours stays backup below its priority until it is dead.
func TestInteropFRR(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.FRR)
	s := newScene(t, "a", "b")
	in := instance{Version: 3, VRID: 51}
	// FRR needs an interface with the virtual MAC address, which it sets up and down.
	s.must(s.Node("b").IPBatch("link add link eth0 name vmac address 00:00:5e:00:01:33 type macvlan mode bridge\naddr add " + vip.String() + "/16 dev vmac\nlink set vmac up\n"))
	from := time.Now()
	other := s.frr("b", "vrrpd", "interface eth0\n vrrp 51 version 3\n vrrp 51 priority 100\n vrrp 51 advertisement-interval 100\n vrrp 51 ip "+vip.String()+"\nexit\n")
	s.awaitPriority(from, "b", 100, 20*time.Second)

	from = time.Now()
	a := s.start("a", ours, config(in.at(150)))
	first := s.awaitPriority(from, "a", 150, 10*time.Second)
	from = first.Time.Add(300 * time.Millisecond)
	last := s.awaitPriority(from.Add(time.Second), "a", 150, 10*time.Second)
	s.silent(from, last.Time, "b")
	from = time.Now()
	s.must(a.Stop())
	s.awaitPriority(from, "b", 100, 10*time.Second)

	a = s.start("a", ours, config(in.at(50)))
	s.prints(a, 0, "explain VI_1", "VI_1 is BACKUP", " because "+s.Node("b").Addr(0).String()+", with the higher priority 100, is master.")
	from = time.Now()
	other.Kill()
	s.awaitPriority(from, "a", 50, 10*time.Second)
	s.awaitLog(a, from, "(VI_1) Entering MASTER STATE (no advert from "+s.Node("b").Addr(0).String(), 10*time.Second)
}

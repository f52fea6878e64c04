package test

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// rules returns the tables, chains, rules, sets and elements of a node, in a form that
// does not depend on handles, counters and order.
func (s *scene) rules(node string) []string {
	s.Helper()
	text, err := s.Node(node).Run("nft", "-j", "list", "ruleset")
	s.must(err)
	var list struct{ Nftables []map[string]any }
	s.must(json.Unmarshal([]byte(text), &list))
	var clean func(v any) any
	clean = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range []string{"handle", "packets", "bytes"} {
				delete(v, k)
			}
			for k := range v {
				v[k] = clean(v[k])
			}
			if elem, ok := v["elem"].([]any); ok {
				slices.SortFunc(elem, func(a, b any) int { return strings.Compare(asJSON(a), asJSON(b)) })
			}
		case []any:
			for i := range v {
				v[i] = clean(v[i])
			}
		}
		return v
	}
	var all []string
	for _, object := range list.Nftables {
		if object["metainfo"] == nil {
			all = append(all, asJSON(clean(object)))
		}
	}
	slices.Sort(all)
	return all
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// reach reports whether a TCP connection from a node to an address is answered, possibly
// by a refusal.
func (s *scene) reach(node string, to string) bool {
	s.Helper()
	var err error
	s.must(s.Node(node).Do(func() error {
		var c net.Conn
		d := net.Dialer{Timeout: 700 * time.Millisecond}
		if c, err = d.Dial("tcp", net.JoinHostPort(to, "4711")); err == nil {
			c.Close()
		}
		return nil
	}))
	return err == nil || errors.Is(err, unix.ECONNREFUSED)
}

// accepting waits until a connection from node c to the address is answered.
func (s *scene) accepting(to string) {
	s.Helper()
	if !s.Until(20*time.Second, func() bool { return s.reach("c", to) }) {
		s.Fatalf("%s does not answer", to)
	}
}

// refusing checks that connections and pings from node c to addresses of the master are
// dropped, that packets to its own addresses are not, and that its neighbours can resolve
// the addresses.
func (s *scene) refusing(master string) {
	s.Helper()
	n := s.Node(master)
	s.accepting(n.Addr(0).String())
	s.accepting(n.Addr6(0).String())
	for _, to := range []string{vip.String(), "fd00::99", "fe80::77%eth0"} {
		if s.reach("c", to) {
			s.Errorf("%s answers connections to %s", master, to)
		}
	}
	if out, err := s.Node("c").Run("ping", "-c", "1", "-W", "1", vip.String()); err == nil {
		s.Errorf("%s answers a ping: %s", master, out)
	}
	for _, to := range []string{"fd00::99", "fe80::77"} {
		if out, _ := s.Node("c").Run("ip", "neigh", "show", to, "dev", "eth0"); !strings.Contains(out, "lladdr") {
			s.Errorf("%s does not answer neighbour solicitations for %s: %q", master, to, out)
		}
	}
}

// TestNotAccepted checks that a master that accepts no packets to its addresses drops
// them after each failover, after a reload, after its tables were removed and after it
// was killed, that nothing else is dropped, and that nothing is left at the end.
func TestNotAccepted(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.Nft)
	differs(t, "leaves elements behind, and does not restore tables")
	s := newScene(t, "a", "b", "c")
	in := instance{Excluded: []string{"fd00::99/64", "fe80::77/64"}, More: "no_accept"}
	a := s.start("a", ours, config(in.at(150)))
	b := s.start("b", ours, config(in.at(100)))
	s.awaitOwner(addr("fe80::77"), 10*time.Second, "a")
	s.refusing("a")

	s.must(s.Node("a").Unplug(0))
	s.awaitOwner(addr("fe80::77"), 10*time.Second, "b")
	s.refusing("b")
	s.must(s.Node("a").Plug(0))
	s.awaitOwner(addr("fe80::77"), 10*time.Second, "a")
	s.refusing("a")

	began := time.Now()
	_, err := s.Node("a").Run("nft", "delete table ip keepalived; delete table ip6 keepalived")
	s.must(err)
	if !s.Until(10*time.Second, func() bool {
		return a.Logged(began, "table ip keepalived was changed by another program") && a.Logged(began, "table ip6 keepalived was changed by another program")
	}) {
		t.Fatal("no line about the tables")
	}
	s.refusing("a")

	a.Kill()
	s.awaitOwner(addr("fe80::77"), 10*time.Second, "b", "a")
	if len(s.rules("a")) == 0 {
		t.Error("a process that was killed has left no tables")
	}
	a = s.start("a", ours, config(in.at(50))) // stays backup, and removes the leftovers
	s.awaitOwner(addr("fe80::77"), 10*time.Second, "b")
	if left := s.rules("a"); slices.ContainsFunc(left, func(r string) bool { return strings.Contains(r, vip.String()) }) {
		t.Errorf("a backup drops packets:\n%s", strings.Join(left, "\n"))
	}
	in.More = "accept"
	s.must(b.Reload(config(in.at(100))))
	for _, to := range []string{vip.String(), "fd00::99", "fe80::77%eth0"} {
		s.accepting(to)
	}
	if left := s.rules("b"); len(left) != 0 {
		t.Errorf("a master that accepts all has\n%s", strings.Join(left, "\n"))
	}
	s.must(b.Stop())
	s.awaitOwner(addr("fe80::77"), 10*time.Second, "a")
	s.refusing("a")
	s.must(a.Stop())
	if left := s.rules("a"); len(left) != 0 {
		t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
	}
}

// TestNoPacketPassesDuringACrash checks that no packet is accepted while packets to an
// address that is not accepted arrive all the time and the VRRP process is killed
// repeatedly.
func TestNoPacketPassesDuringACrash(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.Nft)
	differs(t, "is not that quick")
	s := newScene(t, "a", "b")
	a := s.start("a", ours, config(instance{More: "no_accept"}.at(150)))
	s.awaitOwner(vip, 10*time.Second, "a")
	var received [2]atomic.Int64 // at the address, and at a's own address
	own := s.Node("a").Addr(0)
	var stop atomic.Bool
	ended := make(chan struct{}, 3)
	for i, at := range []netip.Addr{vip, own} {
		var c net.PacketConn
		s.must(s.Node("a").Do(func() (err error) {
			c, err = net.ListenPacket("udp4", net.JoinHostPort(at.String(), "4711"))
			return err
		}))
		go func() {
			defer func() { c.Close(); ended <- struct{}{} }()
			for b := make([]byte, 10); !stop.Load(); {
				c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				if _, _, err := c.ReadFrom(b); err == nil {
					received[i].Add(1)
				} else if !errors.Is(err, os.ErrDeadlineExceeded) {
					return
				}
			}
		}()
	}
	var to [2]net.Conn
	s.must(s.Node("b").Do(func() (err error) {
		for i, at := range []netip.Addr{vip, own} {
			if to[i], err = net.Dial("udp4", net.JoinHostPort(at.String(), "4711")); err != nil {
				return err
			}
		}
		return nil
	}))
	go func() {
		defer func() { ended <- struct{}{} }()
		for !stop.Load() {
			for _, c := range to {
				c.Write([]byte("x"))
			}
			time.Sleep(time.Millisecond)
		}
	}()
	for range 3 {
		before, at := a.VRRPPid(), time.Now()
		s.must(syscall.Kill(before, syscall.SIGKILL))
		if !s.Until(20*time.Second, func() bool { return a.VRRPPid() != before && a.VRRPPid() > 0 && a.Logged(at, "Entering MASTER STATE") }) {
			t.Fatal("no master after the end of the VRRP process")
		}
		n := received[1].Load()
		if !s.Until(10*time.Second, func() bool { return received[1].Load() > n+10 }) {
			t.Fatal("packets do not arrive at all")
		}
	}
	stop.Store(true)
	for range 3 {
		<-ended
	}
	for _, c := range to {
		c.Close()
	}
	if n := received[0].Load(); n != 0 {
		t.Errorf("%d packets passed", n)
	}
}

// TestReportsOfVMACs checks that no membership report and no router solicitation is sent
// from a virtual MAC address, of a backup or a master, from its start to its end, and
// that reports are sent from the MAC address of the interface below.
func TestReportsOfVMACs(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.Root, lab.Nft)
	differs(t, "adopts macvlans without rules for them")
	s := newScene(t, "a", "b", "c")
	_, err := s.Node("c").Run("nft", `table inet seen {
	set macs {
		type ether_addr . inet_proto
		flags dynamic
	}
	chain in {
		type filter hook prerouting priority -300
		ip protocol igmp add @macs { ether saddr . meta l4proto }
		icmpv6 type { mld-listener-report, mld2-listener-report, nd-router-solicit } add @macs { ether saddr . meta l4proto }
	}
}`)
	s.must(err)
	_, err = s.Node("c").Run("ip", "link", "set", "eth0", "allmulticast", "on")
	s.must(err)
	seen := func() string {
		out, err := s.Node("c").Run("nft", "list", "set", "inet", "seen", "macs")
		s.must(err)
		return out
	}
	four := instance{More: "use_vmac"}
	six := instance{Name: "VI_6", VRID: 6, VIPs: []string{"fe80::77/64", vip6.String() + "/64"}, More: "use_vmac"}
	a := s.start("a", ours, config(four.at(150), six.at(150)))
	b := s.start("b", ours, config(four.at(100), six.at(100)))
	s.awaitOwner(vip, 20*time.Second, "a")
	s.awaitOwner(vip6, 20*time.Second, "a")
	rules := strings.Join(s.rules("a"), "\n")
	if strings.Count(rules, "vmac_map") < 2 || strings.Contains(rules, `"drop"`) && strings.Contains(rules, vip.String()) {
		t.Errorf("rules of a master that accepts packets:\n%s", rules)
	}
	for _, n := range []string{"a", "b"} {
		out, err := s.Node(n).Run("ip", "-o", "link", "show", "dev", "eth0")
		s.must(err)
		_, mac, _ := strings.Cut(out, "link/ether ")
		mac, _, _ = strings.Cut(mac, " ")
		if !s.Until(20*time.Second, func() bool { return strings.Contains(seen(), mac+" . igmp") }) {
			t.Errorf("no reports of %s: %s", n, seen())
		}
	}
	s.must(a.Stop())
	s.awaitOwner(vip, 20*time.Second, "b")
	s.awaitOwner(vip6, 20*time.Second, "b")
	s.must(b.Stop())
	if got := seen(); strings.Contains(got, "00:00:5e:00:") {
		t.Errorf("packets with a virtual MAC address: %s", got)
	}
	for _, n := range []string{"a", "b"} {
		if left := s.rules(n); len(left) != 0 {
			t.Errorf("left at %s:\n%s", n, strings.Join(left, "\n"))
		}
	}
}

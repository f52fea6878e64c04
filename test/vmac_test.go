package test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// The hardware addresses of VRID 51.
const (
	vmac4 = "00:00:5e:00:01:33"
	vmac6 = "00:00:5e:00:02:33"
)

// shownLink is a link as ip(8) prints it.
type shownLink struct {
	Name      string   `json:"ifname"`
	Below     string   `json:"link"`
	Flags     []string `json:"flags"`
	MTU       int      `json:"mtu"`
	Group     string   `json:"group"`
	Address   string   `json:"address"`
	AddrGen   string   `json:"inet6_addr_gen_mode"`
	Index     int      `json:"ifindex"`
	Operstate string   `json:"operstate"`
	Info      struct {
		Kind string `json:"info_kind"`
		Data struct {
			Mode string `json:"mode"`
		} `json:"info_data"`
	} `json:"linkinfo"`
}

// madeLinks returns the links of a node that are above other ones, by name.
func (s *scene) madeLinks(node string) map[string]shownLink {
	s.Helper()
	out, err := s.Node(node).Run("ip", "-d", "-j", "link")
	s.must(err)
	var all []shownLink
	s.must(json.Unmarshal([]byte(out), &all))
	made := map[string]shownLink{}
	for _, l := range all {
		if l.Info.Kind == "macvlan" || l.Info.Kind == "ipvlan" {
			made[l.Name] = l
		}
	}
	return made
}

// noneMade fails unless a node has no made link.
func (s *scene) noneMade(node string) {
	s.Helper()
	if left := s.madeLinks(node); len(left) > 0 {
		s.Errorf("%s still has %v", node, left)
	}
}

// sysctls returns the settings of a node below net that virtual MAC addresses may need.
func (s *scene) sysctls(node string) map[string]string {
	s.Helper()
	all := map[string]string{}
	s.must(s.Node(node).Do(func() error {
		for _, pattern := range []string{"rp_filter", "arp_ignore", "arp_filter", "arp_announce", "accept_local", "promote_secondaries"} {
			files, err := filepath.Glob("/proc/thread-self/root/proc/sys/net/ipv4/conf/*/" + pattern)
			if err != nil {
				return err
			}
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					return err
				}
				all[strings.TrimPrefix(f, "/proc/thread-self/root/proc/sys/net/ipv4/conf/")] = strings.TrimSpace(string(b))
			}
		}
		return nil
	}))
	return all
}

// sourceMAC returns the source hardware address of a frame.
func sourceMAC(e *lab.Event) string { return net.HardwareAddr(e.Frame[6:12]).String() }

// sentWith fails unless all adverts and announcements that the node has sent have the
// hardware address of their family, and there is one of each kind and family.
func (s *scene) sentWith(from time.Time, node, mac4, mac6 string, announces bool) {
	s.Helper()
	seen := map[string]int{}
	for _, e := range s.Events(from, time.Now(), func(e *lab.Event) bool {
		return e.Node.Name == node && (e.Kind == lab.Advert || e.Kind == lab.Announce && announces)
	}) {
		want := mac4
		if e.Addr.Is6() {
			want = mac6
		}
		if got := sourceMAC(&e); got != want {
			s.Errorf("%v comes from %s, want %s", e, got, want)
			return
		}
		seen[fmt.Sprint(e.Kind, e.Addr.Is6())]++
	}
	if want := 2 + 2*btoi(announces); len(seen) != want {
		s.Errorf("%s has sent %v", node, seen)
	}
}

// neighbour returns the hardware address that a node resolves for an address of another
// node.
func (s *scene) neighbour(node string, a netip.Addr) string {
	s.Helper()
	n := s.Node(node)
	mac := ""
	n.Run("ip", "neigh", "flush", "to", a.String())
	ok := s.Until(10*time.Second, func() bool {
		s.must(n.Do(func() error {
			to := net.JoinHostPort(a.String(), "9")
			if a.Is6() && a.IsLinkLocalUnicast() {
				to = net.JoinHostPort(a.String()+"%eth0", "9")
			}
			c, err := net.Dial("udp", to)
			if err != nil {
				return err
			}
			defer c.Close()
			c.Write([]byte{0}) // refused by the other side, if it has the address
			return nil
		}))
		out, err := n.Run("ip", "neigh", "show", "to", a.String())
		s.must(err)
		words := strings.Fields(out)
		if i := slices.Index(words, "lladdr"); i >= 0 {
			mac = words[i+1]
		}
		return mac != ""
	})
	if !ok {
		s.Errorf("%s does not learn where %v is", node, a)
	}
	return mac
}

// hardware returns the hardware address of a link.
func (s *scene) hardware(node, link string) string {
	s.Helper()
	out, err := s.Node(node).Run("ip", "-o", "link", "show", "dev", link)
	s.must(err)
	words := strings.Fields(out)
	return words[slices.Index(words, "link/ether")+1]
}

// bothFamilies returns an IPv4 instance and an IPv6 instance with VRID 51 and the lines
// of more.
func bothFamilies(priority int, more string) []instance {
	return []instance{
		{Name: "V4", Priority: priority, Interval: time.Second, VIPs: []string{vip.String() + "/16"}, More: more},
		{Name: "V6", Priority: priority, Interval: time.Second, VIPs: []string{"fe80::51", vip6.String() + "/64"}, More: more},
	}
}

// TestVMAC checks that a master with use_vmac advertises, announces and answers with the
// virtual MAC address, and its interface with its own; that it works with the C daemon in
// both roles; and that nothing is left at the end.
func TestVMAC(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		ours, peers string
	}{
		{"both", "use_vmac", "use_vmac"},
		{"named", "use_vmac v", "use_vmac w"},
		{"only ours", "use_vmac", ""},
		{"only theirs", "", "use_vmac"},
		{"from the base", "use_vmac\nvmac_xmit_base", "use_vmac\nvmac_xmit_base"},
	} {
		t.Run(strings.ReplaceAll(tt.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			lab.Need(t, lab.Root, lab.Peer)
			s := newScene(t, "a", "b", "h")
			words := func(more string) (lines [2]string) {
				for i := range lines {
					lines[i] = more
					if f := strings.Fields(more); len(f) == 2 && f[0] == "use_vmac" && f[1] != "vmac_xmit_base" {
						lines[i] += fmt.Sprint(4 + 2*i) // a different name for each
					}
				}
				return lines
			}
			conf := func(priority int, more string) string {
				list := bothFamilies(priority, "")
				for i, w := range words(more) {
					list[i].More = w
				}
				return config(list...)
			}
			s.must(s.Node("a").IP("link set lo up"))
			_, err := s.Node("a").Run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=2", "net.ipv4.conf.default.rp_filter=1", "net.ipv4.conf.eth0.rp_filter=0")
			s.must(err)
			before := s.sysctls("a")
			own := s.hardware("a", "eth0")
			mac4, mac6 := vmac4, vmac6
			if tt.ours == "" {
				mac4, mac6 = own, own
			}
			sent4, sent6 := mac4, mac6
			if strings.Contains(tt.ours, "vmac_xmit_base") {
				sent4, sent6 = own, own
			}
			// Ours is master, the C daemon backup.
			from := time.Now()
			a := s.start("a", ours, conf(150, tt.ours))
			s.awaitOwner(vip, 10*time.Second, "a")
			s.awaitOwner(vip6, 10*time.Second, "a")
			b := s.start("b", lab.C(), conf(100, tt.peers))
			s.stays(vip, "a", 4500*time.Millisecond)
			s.awaitOwner(vip6, time.Second, "a")
			s.sentWith(from, "a", sent4, sent6, sent4 == mac4)
			for _, x := range []struct {
				addr netip.Addr
				want string
			}{{vip, mac4}, {vip6, mac6}, {addr("fe80::51"), mac6}, {s.Node("a").Addr(0), own}, {s.Node("a").Addr6(0), own}, {s.linkLocal("a"), own}} {
				if got := s.neighbour("h", x.addr); got != x.want {
					t.Errorf("%v is at %s, want %s", x.addr, got, x.want)
				}
			}

			// The C daemon is master, ours backup.
			s.must(a.Stop())
			s.noneMade("a")
			if after := s.sysctls("a"); fmt.Sprint(after) != fmt.Sprint(before) {
				t.Errorf("settings afterwards %v\nbefore %v", after, before)
			}
			s.awaitOwner(vip, 10*time.Second, "b")
			s.awaitOwner(vip6, 10*time.Second, "b")
			from = time.Now()
			a = s.start("a", ours, conf(50, tt.ours))
			s.stays(vip, "b", 4500*time.Millisecond)
			s.awaitOwner(vip6, time.Second, "b")
			s.must(b.Stop())
			s.awaitOwner(vip, 10*time.Second, "a")
			s.awaitOwner(vip6, 10*time.Second, "a")
			s.sentWith(from, "a", sent4, sent6, sent4 == mac4)
			s.must(a.Stop())
			s.noneMade("a")
			s.noneMalformed()
		})
	}
}

// TestVMACSurvives checks that a VMAC survives the death of the daemon and of the VRRP
// process with its index, and so do the original settings; and that nothing is left after
// a stop.
func TestVMACSurvives(t *testing.T) {
	t.Parallel()
	differs(t, "takes changed settings for the original ones")
	s := newScene(t, "a")
	_, err := s.Node("a").Run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=1")
	s.must(err)
	before := s.sysctls("a")
	conf := func(more string) string { return config(bothFamilies(100, more)...) }
	a := s.start("a", ours, conf("use_vmac"))
	s.awaitOwner(vip, 10*time.Second, "a")
	s.awaitOwner(vip6, 10*time.Second, "a")
	first := s.madeLinks("a")
	same := func(what string) {
		t.Helper()
		now := s.madeLinks("a")
		for name, l := range first {
			if now[name].Index != l.Index || len(now) != len(first) {
				t.Errorf("%s: %v, had %v", what, now, first)
			}
		}
	}

	s.must(unix.Kill(a.VRRPPid(), unix.SIGKILL))
	if !s.Until(20*time.Second, func() bool { return strings.Count(a.LogText(), "(V6) Entering MASTER STATE") == 2 }) {
		t.Fatal("no successor")
	}
	same("after the death of the VRRP process")
	again := func(more string) *lab.Daemon {
		t.Helper()
		a.Kill()
		d, err := s.Node("a").StartIn(a.Dir, ours, conf(more))
		s.must(err)
		s.daemons = append(s.daemons, d)
		return d
	}
	a = again("use_vmac")
	s.awaitLog(a, a.Started, "(V6) Entering MASTER STATE", 20*time.Second)
	same("after the death of all processes")

	a = again("") // the successor does not need the leftovers
	s.awaitLog(a, a.Started, "(V6) Entering MASTER STATE", 20*time.Second)
	if !s.Until(10*time.Second, func() bool { return len(s.madeLinks("a")) == 0 && fmt.Sprint(s.sysctls("a")) == fmt.Sprint(before) }) {
		t.Errorf("left: %v, settings %v, want %v", s.madeLinks("a"), s.sysctls("a"), before)
	}
	s.must(a.Stop())
}

// TestVMACBase checks that after any change of the interface below, the address is on
// exactly one node, at the virtual MAC address.
func TestVMACBase(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b", "h")
	conf := func(priority int) string {
		return configWith("dynamic_interfaces", bothFamilies(priority, "use_vmac")...)
	}
	s.start("a", ours, conf(150))
	s.start("b", ours, conf(100))
	n := s.Node("a")
	at := func(what, node string) {
		t.Helper()
		s.awaitOwner(vip, 20*time.Second, node)
		s.awaitOwner(vip6, 20*time.Second, node)
		if l := s.madeLinks(node)["vrrp.51"]; l.Address != vmac4 {
			t.Errorf("%s: %+v", what, l)
		}
		if got := s.neighbour("h", vip); got != vmac4 {
			t.Errorf("%s: the address is at %s", what, got)
		}
	}
	at("start", "a")
	s.must(n.IP("link set eth0 down"))
	at("base down", "b")
	s.must(n.IP("link set eth0 up"))
	at("base up", "a")
	s.must(n.IP("link set eth0 address 02:12:34:56:78:9a"))
	at("base with another address", "a")
	s.must(n.IP("link del vrrp.51"))
	at("VMAC deleted", "a")
	s.must(n.IP("link del eth0"))
	at("base deleted", "b")
	s.noneMade("a")
	s.must(n.Replug(0))
	at("base made again", "a")
	s.must(n.IPBatch("link set eth0 down\nlink set eth0 name eth9\n"))
	at("base renamed", "b")
	s.must(n.IPBatch(fmt.Sprintf("link set eth9 name eth0\nlink set eth0 up\naddr replace %v/16 dev eth0\n", n.Addr(0))))
	at("base with its name", "a")
}

// TestNetlinkNotifyMsg checks that netlink_notify_msg has the kernel report the interface
// below, once its macvlan is up.
func TestNetlinkNotifyMsg(t *testing.T) {
	t.Parallel()
	differs(t, "2.2.7 does not know the word")
	for _, word := range []string{"", "netlink_notify_msg"} {
		s := newScene(t, "a")
		reports := s.path("a", "reports")
		// What the kernel reports of eth0, and of the macvlan, in their order.
		s.must(s.Node("a").Go(func() {
			c := exec.Command("ip", "-o", "monitor", "link")
			out, err := os.Create(reports)
			s.must(err)
			defer out.Close()
			c.Stdout = out
			c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			s.must(c.Start())
			s.Cleanup(func() { c.Process.Kill() })
			c.Wait()
		}))
		read := func() string {
			b, _ := os.ReadFile(reports)
			return string(b)
		}
		if !s.Until(20*time.Second, func() bool { // it listens when it reports this
			s.must(s.Node("a").IP("link add spare type bridge"))
			s.must(s.Node("a").IP("link del spare"))
			return strings.Contains(read(), "spare")
		}) {
			t.Fatal("ip monitor reports nothing")
		}
		s.start("a", ours, config(instance{Name: "web", More: "use_vmac front " + word}.at(150)))
		s.awaitOwner(vip, 12*time.Second, "a")
		below := regexp.MustCompile(`(?s)front@eth0: <[^>]*\bUP\b.*\d+: eth0(@|:)`)
		seen := func() bool { return below.MatchString(read()) }
		if word == "" {
			if seen() {
				t.Errorf("without %s eth0 is reported:\n%s", "netlink_notify_msg", read())
			}
		} else if !s.Until(20*time.Second, seen) {
			t.Errorf("eth0 is not reported:\n%s", read())
		}
	}
}

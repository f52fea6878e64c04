package test

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// shown returns what ip(8) prints about one address.
func (s *scene) shown(node string, a netip.Addr) string {
	s.Helper()
	out, err := s.Node(node).Run("ip", "-o", "addr", "show")
	s.must(err)
	for line := range strings.Lines(out) {
		if strings.Contains(line, " "+a.String()+"/") || strings.Contains(line, " "+a.String()+" ") {
			return line
		}
	}
	return ""
}

// TestAddressOptions checks that each option of virtual_ipaddress has the same effect in
// the kernel as with ip(8).
func TestAddressOptions(t *testing.T) {
	t.Parallel()
	s := newWideScene(t, 2, "a")
	must := s.must
	vips := []struct{ text, want, not string }{
		{"10.0.9.1", `inet 10\.0\.9\.1/32 scope global eth0`, ""},
		{"10.0.9.2/24 label eth0:0", `inet 10\.0\.9\.2/24 scope global eth0:0`, ""},
		{"10.0.9.3/24 brd 10.0.9.255", `inet 10\.0\.9\.3/24 brd 10\.0\.9\.255 scope global`, ""},
		{"10.0.9.4/24 dev eth1", `eth1\s+inet 10\.0\.9\.4/24 scope global eth1`, ""},
		{"10.98.0.5/24 dev eth1 scope link", `eth1\s+inet 10\.98\.0\.5/24 scope link eth1`, ""},
		{"10.0.9.6 peer 10.0.9.7", `inet 10\.0\.9\.6 peer 10\.0\.9\.7/32`, ""},
		{"10.0.9.9/24 brd -", `inet 10\.0\.9\.9/24 brd 10\.0\.9\.0 scope global`, ""},
		{"10.0.9.10/24 peer 10.0.9.11 brd +", `inet 10\.0\.9\.10 peer 10\.0\.9\.11/32 scope global`, ""},
		{"10.0.9.8/24 dev eth1 noprefixroute", `inet 10\.0\.9\.8/24 .*noprefixroute`, ""},
	}
	var lines []string
	for _, v := range vips {
		lines = append(lines, v.text)
	}
	in := instance{VIPs: lines, Excluded: []string{
		"10.0.9.20/16",
		"fd00::920/64",
		"fd00::921/64 preferred_lft 0",
		"fd00::922/128",
		"fd00::923/64 home",
	}}.at(100)
	d := s.start("a", ours, config(in))
	s.awaitOwner(addr("10.0.9.1"), 3*time.Second, "a")
	s.awaitOwner(addr("fd00::923"), time.Second, "a")
	vips = append(vips, []struct{ text, want, not string }{
		{"10.0.9.20/16", `inet 10\.0\.9\.20/16 `, ""},
		{"fd00::920/64", `inet6 fd00::920/64 scope global`, "tentative|deprecated"},
		{"fd00::921/64", `inet6 fd00::921/64 scope global .*deprecated .*preferred_lft 0sec`, "tentative"},
		{"fd00::922/128", `inet6 fd00::922/128 scope global .*deprecated`, "tentative"},
		{"fd00::923/64", `inet6 fd00::923/64 scope global .*home`, "tentative"},
	}...)
	for _, v := range vips {
		text, _, _ := strings.Cut(strings.Fields(v.text)[0], "/")
		var got string
		// A listing that changes interrupt may be incomplete.
		if want := regexp.MustCompile(v.want); !s.Until(3*time.Second, func() bool { got = s.shown("a", addr(text)); return want.MatchString(got) }) {
			t.Errorf("%q: the kernel shows %q, want %s", v.text, got, v.want)
		}
		if v.not != "" && regexp.MustCompile(v.not).MatchString(got) {
			t.Errorf("%q: the kernel shows %q, want no %s", v.text, got, v.not)
		}
	}
	if n := s.awaitAdvert(time.Time{}, 3*time.Second, "a").Count; n != len(lines) {
		t.Errorf("the advert carries %d addresses, want %d: without the excluded ones", n, len(lines))
	}
	// Excluded addresses are announced like the others.
	for _, a := range []string{"10.0.9.2", "10.0.9.20", "fd00::920"} {
		if _, ok := s.Wait(d.Started, 2*time.Second, func(e *lab.Event) bool { return e.Kind == lab.Announce && e.Addr == addr(a) }); !ok {
			t.Errorf("%s was not announced", a)
		}
	}
	must(d.Stop())
	if underC {
		return // the C daemon leaves addresses with a peer behind
	}
	out, err := s.Node("a").Run("ip", "-o", "addr", "show")
	must(err)
	if strings.Contains(out, "10.0.9.") || strings.Contains(out, "fd00::92") {
		t.Errorf("left behind: %s", out)
	}
}

// TestAddressDeletedByAnother checks that a master whose address is removed by another
// program sends priority 0, is backup for less than a second, and serves again with all
// addresses.
func TestAddressDeletedByAnother(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	in := instance{VIPs: []string{vip.String() + "/16", vip2.String() + "/16", "10.0.9.1/16 no_track"}}.at(100)
	s.start("a", ours, config(in))
	s.awaitOwner(vip2, 3*time.Second, "a")
	s.awaitAdvert(time.Now(), time.Second, "a")

	// The removal of an address that is not tracked has no effect.
	s.must(s.Node("a").IP("addr del 10.0.9.1/16 dev eth0"))
	from := time.Now()
	for _, e := range s.adverts(from, from.Add(time.Second), "a") {
		if e.Priority == 0 {
			t.Error("priority 0 after the loss of a no_track address")
		}
	}
	s.awaitAdvert(from.Add(500*time.Millisecond), time.Second, "a")

	from = time.Now()
	s.must(s.Node("a").IP("addr del " + vip2.String() + "/16 dev eth0"))
	if _, ok := s.Wait(from, time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Priority == 0 }); !ok {
		t.Error("no priority 0")
	}
	if _, ok := s.Wait(from, time.Second, func(e *lab.Event) bool { return e.Kind == lab.AddrRemoved && e.Addr == vip }); !ok {
		t.Error("the other address was kept")
	}
	s.awaitOwner(vip, 2*time.Second, "a")
	s.awaitOwner(vip2, time.Second, "a")
}

// TestLinkFlaps checks that after any number of losses of carrier there is one master,
// the node with the higher priority.
func TestLinkFlaps(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{}
	s.start("a", ours, config(in.at(150)))
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.must(s.Node("a").Unplug(0))
	s.awaitOwner(vip, 3*time.Second, "b")
	s.must(s.Node("a").Plug(0))
	s.awaitOwner(vip, 3*time.Second, "a")
	for range 20 {
		s.must(s.Node("a").Unplug(0))
		s.must(s.Node("a").Plug(0))
	}
	s.awaitOwner(vip, 3*time.Second, "a")
	s.stays(vip, "a", time.Second)
	s.must(s.Node("a").IP("link set eth0 down"))
	s.awaitOwner(vip, 3*time.Second, "b")
	s.must(s.Node("a").IP("link set eth0 up"))
	s.awaitOwner(vip, 3*time.Second, "a")
}

// TestInterfaceRecreated checks that an interface that is deleted and made again, with
// another index, is used again.
func TestInterfaceRecreated(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{}
	global := "dynamic_interfaces allow_if_changes"
	s.start("a", ours, configWith(global, in.at(150)))
	s.start("b", ours, configWith(global, in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.must(s.Node("a").IP("link del eth0"))
	s.awaitOwner(vip, 3*time.Second, "b")
	s.must(s.Node("a").Replug(0))
	s.awaitOwner(vip, 4*time.Second, "a")
	s.stays(vip, "a", time.Second)
}

// TestInterfaceComesLater checks that the daemon waits for an interface that is absent at
// the start, and names it in the log. (The C daemon ends with exit code 2 unless
// dynamic_interfaces is configured.)
func TestInterfaceComesLater(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	s.must(s.Node("a").IP("link del eth0"))
	global := ""
	if underC {
		global = "dynamic_interfaces"
	}
	from := time.Now()
	d := s.start("a", ours, configWith(global, instance{}.at(150)))
	if !s.Until(3*time.Second, func() bool { return d.Logged(from, "eth0") }) {
		t.Errorf("the log does not name the missing interface:\n%s", d.LogText())
	}
	s.must(s.Node("a").Replug(0))
	s.awaitOwner(vip, 4*time.Second, "a")
	s.awaitAdvert(from, time.Second, "a")
}

// TestSourceAddressLost checks that a node without a source address does not serve, and
// serves again when the address is restored.
func TestSourceAddressLost(t *testing.T) {
	t.Parallel()
	differs(t, "of version 2.2.7 goes on without it")
	s := newScene(t, "a", "b")
	// The address must not be in the subnet of the node's address: it would become the
	// source.
	in := instance{VIPs: []string{"10.99.0.1/24"}}
	address := addr("10.99.0.1")
	self := s.Node("a").Addr(0).String() + "/16"
	more := in.at(150)
	more.More = "track_src_ip\nmcast_src_ip " + s.Node("a").Addr(0).String()
	s.start("a", ours, config(more))
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(address, 3*time.Second, "a")
	s.must(s.Node("a").IP("addr del " + self + " dev eth0"))
	s.awaitOwner(address, 3*time.Second, "b")
	s.must(s.Node("a").IP("addr add " + self + " dev eth0"))
	s.awaitOwner(address, 3*time.Second, "a")
}

// TestUnicastSourceMissing checks that a unicast instance whose own address is missing,
// and which can receive nothing, waits for the address instead of becoming a second
// master.
func TestUnicastSourceMissing(t *testing.T) {
	t.Parallel()
	differs(t, "of version 2.2.7 ends or becomes a second master")
	s := newScene(t, "a", "b")
	in := instance{}
	own := addr("10.0.7.7")
	low := in.at(100)
	low.More = fmt.Sprintf("unicast_peer {\n    %v\n}", own)
	s.start("b", ours, config(low))
	s.awaitOwner(vip, 3*time.Second, "b")
	high := in.at(150)
	high.More = fmt.Sprintf("unicast_src_ip %v\nunicast_peer {\n    %v\n}", own, s.Node("b").Addr(0))
	s.start("a", ours, config(high))
	s.stays(vip, "b", 2*time.Second)
	back := time.Now()
	s.must(s.Node("a").IP("addr add 10.0.7.7/16 dev eth0"))
	s.awaitOwner(vip, 3*time.Second, "a")
	// The first advert may have to wait for the peer's hardware address.
	if e := s.awaitAdvert(back, 3*time.Second, "a"); e.Addr != own {
		t.Errorf("the adverts come from %v, want %v", e.Addr, own)
	}
}

package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// TestReloadUnchanged checks that a reload without a change has no effect: no extra
// advert, no announcement, and no change of an address.
func TestReloadUnchanged(t *testing.T) {
	t.Parallel()
	differs(t, "sends an extra advert at each reload")
	s := newScene(t, "a", "b")
	in := instance{VIPs: []string{vip.String() + "/16"}, Excluded: []string{vip6.String() + "/64"}}
	global := "vrrp_garp_master_repeat 1\nvrrp_garp_master_delay 0"
	a := s.start("a", ours, configWith(global, in.at(150)))
	s.start("b", ours, configWith(global, in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.stays(vip, "a", 500*time.Millisecond)

	from := time.Now()
	for range 5 {
		s.must(a.Reload(configWith(global, in.at(150))))
		s.stays(vip, "a", 300*time.Millisecond)
	}
	for _, e := range s.Events(from, time.Now(), func(e *lab.Event) bool { return e.Kind != lab.Advert && e.Node.Name == "a" }) {
		t.Errorf("the reload was not without effect: %v", e)
	}
	// An extra advert at each reload would make five; a late one may make two more.
	all := s.adverts(from, time.Now(), "a")
	if span := all[len(all)-1].Time.Sub(all[0].Time); len(all)-1 > int(span/in.interval())+3 {
		t.Errorf("%d adverts in %v", len(all), span)
	}
	s.neverQuiet("a", from, time.Now(), in.interval()*5/2)
}

// TestReloadRefusesBadFile checks that the running configuration continues whatever is
// wrong with the new file.
func TestReloadRefusesBadFile(t *testing.T) {
	t.Parallel()
	differs(t, "takes a bad file and ends or drops the instance")
	s := newScene(t, "a")
	in := instance{}.at(150)
	a := s.start("a", ours, config(in))
	s.awaitOwner(vip, 3*time.Second, "a")
	for name, bad := range map[string]string{
		"missing brace":  "vrrp_instance VI_1 {\n    interface eth0\n",
		"no VRID":        "vrrp_instance VI_1 {\n    interface eth0\n    priority 100\n    virtual_ipaddress {\n        10.0.9.1\n    }\n}\n",
		"duplicate VRID": config(in, instance{Name: "VI_2", VIPs: []string{"10.0.9.1"}}.at(100)),
		"duplicate name": config(in, instance{VRID: 52, VIPs: []string{"10.0.9.1"}}.at(100)),
	} {
		from := time.Now()
		s.must(a.Reload(bad))
		s.stays(vip, "a", 5*in.interval())
		s.neverQuiet("a", from, time.Now(), in.interval()*5/2)
		if len(a.Log()) == 0 || !a.Log()[len(a.Log())-1].Time.After(from) {
			t.Errorf("%s: nothing in the log", name)
		}
	}
	for name, half := range map[string]string{
		"empty":    "",
		"comments": "# to be written\n",
		"cut":      config(in)[:len(config(in))-20],
	} {
		from := time.Now()
		s.must(a.Reload(half))
		if !s.Until(5*time.Second, func() bool { return a.Logged(from, "Reload refused") }) {
			t.Errorf("%s: not refused", name)
		}
	}
	s.stays(vip, "a", 500*time.Millisecond)
	// It still accepts a good file, and one for which a start would only log a warning.
	s.must(a.Reload(config(in.at(140))))
	if _, ok := s.Wait(time.Now(), 2*time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Priority == 140 }); !ok {
		t.Error("a good file is not taken any more")
	}
	s.must(a.Reload(configWith("vrrp_garp_interval 0\nno_such_word", in.at(130)) + "vrrp_script gone {\n script /not/there\n}\n"))
	if _, ok := s.Wait(time.Now(), 2*time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Priority == 130 }); !ok {
		t.Error("a file that a start complains about is not taken")
	}
	s.stays(vip, "a", 300*time.Millisecond)
}

// TestReloadInPlace checks that priority, interval and addresses change while the router
// stays master, and that the addresses of the kernel follow.
func TestReloadInPlace(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	in := instance{Interval: 300 * time.Millisecond} // a pause of a busy machine is shorter than peers wait
	a := s.start("a", ours, config(in.at(150)))
	s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 6*time.Second, "a")

	from := time.Now()
	s.must(a.Reload(config(in.at(140))))
	if _, ok := s.Wait(from, 2*time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Priority == 140 }); !ok {
		t.Error("the new priority is not on the wire")
	}
	s.stays(vip, "a", 900*time.Millisecond)
	s.neverQuiet("a", from, time.Now(), 750*time.Millisecond)

	more := in.at(140)
	began := from
	more.VIPs = []string{vip.String() + "/16", vip2.String() + "/16"}
	from = time.Now()
	s.must(a.Reload(config(more)))
	s.awaitOwner(vip2, 2*time.Second, "a")
	if _, ok := s.Wait(from, time.Second, func(e *lab.Event) bool { return e.Kind == lab.Announce && e.Addr == vip2 }); !ok {
		t.Error("the new address was not announced")
	}
	s.must(a.Reload(config(in.at(140))))
	s.awaitOwner(vip2, 2*time.Second)
	s.awaitOwner(vip, time.Second, "a")
	for _, e := range s.Events(from, time.Now(), func(e *lab.Event) bool { return e.Kind == lab.AddrRemoved && e.Addr == vip }) {
		t.Errorf("the address that both configurations have was removed: %v", e)
	}
	s.neverQuiet("a", began, time.Now(), 750*time.Millisecond)
}

// TestReloadMovesAddress checks that an address that moves from one instance to another
// is present all the time.
func TestReloadMovesAddress(t *testing.T) {
	t.Parallel()
	differs(t, "removes the address after adding it")
	s := newScene(t, "a")
	third := lab.SegmentAddr(0, 1002).String() + "/16"
	moved := vip2.String() + "/16"
	one := instance{Name: "VI_1", VRID: 51}
	two := instance{Name: "VI_2", VRID: 52}
	conf := func(first, second []string) string {
		one.VIPs, two.VIPs = first, second
		return config(one.at(100), two.at(100))
	}
	a := s.start("a", ours, conf([]string{vip.String() + "/16", moved}, []string{third}))
	s.awaitOwner(vip2, 3*time.Second, "a")
	s.awaitOwner(lab.SegmentAddr(0, 1002), time.Second, "a")
	from := time.Now()
	s.must(a.Reload(conf([]string{vip.String() + "/16"}, []string{third, moved})))
	if _, ok := s.Wait(from, 3*time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.VRID == 52 && e.Count == 2 }); !ok {
		t.Fatal("the second instance does not advertise the address")
	}
	s.awaitAdvert(time.Now().Add(200*time.Millisecond), 2*time.Second, "a")
	for _, e := range s.Events(from, time.Now(), func(e *lab.Event) bool { return e.Kind == lab.AddrRemoved }) {
		t.Errorf("removed on the way: %v", e)
	}
	s.awaitOwner(vip2, time.Second, "a")
}

// TestReloadAddsAndDeletesInstances checks that a deleted instance sends priority 0.
func TestReloadAddsAndDeletesInstances(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	one := instance{Name: "VI_1", VRID: 51}.at(100)
	two := instance{Name: "VI_2", VRID: 52, VIPs: []string{vip2.String() + "/16"}}.at(100)
	a := s.start("a", ours, config(one))
	s.awaitOwner(vip, 3*time.Second, "a")
	s.must(a.Reload(config(one, two)))
	s.awaitOwner(vip2, 3*time.Second, "a")
	from := time.Now()
	s.must(a.Reload(config(one)))
	s.awaitOwner(vip2, 2*time.Second)
	if _, ok := s.Wait(from, time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.VRID == 52 && e.Priority == 0 }); !ok {
		t.Error("the deleted instance sent no priority 0")
	}
	s.awaitOwner(vip, time.Second, "a")
}

// TestThousandReloads checks that each reload is visible on the wire, and that memory and
// descriptors do not grow.
func TestThousandReloads(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	in := instance{Interval: 20 * time.Millisecond}
	a := s.start("a", ours, config(in.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	total := 1000
	if testing.Short() {
		total = 100
	}
	pids := fmt.Sprint(a.Pids())
	var early lab.Usage
	for i := range total {
		want := uint8(101 + i%2)
		from := time.Now()
		s.must(a.Reload(config(in.at(int(want)))))
		e, ok := s.Wait(from, 5*time.Second, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Priority == want })
		if !ok {
			t.Fatalf("reload %d is not on the wire; last: %v", i, e)
		}
		if i == total/5 {
			early = a.Usage()
		}
		if i%100 == 99 {
			s.Forget()
		}
	}
	late := a.Usage()
	s.Until(5*time.Second, func() bool { // the last reload may still have its file open
		late = a.Usage()
		return late.Files <= early.Files
	})
	t.Logf("after %d reloads: %d files, RSS %d KiB; after %d: %d files, RSS %d KiB", total/5, early.Files, early.RSS>>10, total, late.Files, late.RSS>>10)
	if late.Files > early.Files {
		t.Errorf("descriptors grew from %d to %d", early.Files, late.Files)
	}
	// The measured heap may have just been collected or be due for a collection: each
	// process has up to 4 MiB, below which the collector does not run.
	const uncollected = 2 * 4 << 20
	// The race detector adds memory of its own.
	if late.RSS > early.RSS+uncollected && !testing.Short() {
		t.Errorf("memory grew from %d to %d KiB", early.RSS>>10, late.RSS>>10)
	}
	if now := fmt.Sprint(a.Pids()); now != pids {
		t.Errorf("processes %s became %s", pids, now)
	}
	s.awaitOwner(vip, time.Second, "a")
}

// TestReloadChangesAddressOptions checks that a change of the mask, label or scope of an
// address is carried out in the kernel.
func TestReloadChangesAddressOptions(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	in := instance{}.at(100)
	a := s.start("a", ours, config(in))
	s.awaitOwner(vip, 3*time.Second, "a")
	for _, step := range []struct{ text, want string }{
		{"/24", "inet " + vip.String() + "/24 "},
		{"/24 label eth0:7", "global eth0:7"},
		{"/24 scope link", "scope link eth0"},
		{"/16", "inet " + vip.String() + "/16 "},
	} {
		in.VIPs = []string{vip.String() + step.text}
		s.must(a.Reload(config(in)))
		if !s.Until(2*time.Second, func() bool { return strings.Contains(s.shown("a", vip), step.want) }) {
			t.Errorf("after the reload to %q the kernel shows %q", step.text, s.shown("a", vip))
		}
	}
	out, err := s.Node("a").Run("ip", "-o", "addr", "show", "to", vip.String())
	s.must(err)
	if n := strings.Count(out, "\n"); n != 1 {
		t.Errorf("%d addresses, want one:\n%s", n, out)
	}
}

// TestReloadRemovesFirstOfSubnet checks that when the kernel removes the other addresses
// of a subnet with its first one, those of virtual routers that do not change are
// restored at once, without an effect on peers.
func TestReloadRemovesFirstOfSubnet(t *testing.T) {
	t.Parallel()
	differs(t, "leaves the backup without its address")
	s := newScene(t, "a", "b")
	s.must(s.Node("a").IP("link set eth0 up"))
	_, err := s.Node("a").Run("sysctl", "-qw", "net.ipv4.conf.eth0.promote_secondaries=0", "net.ipv4.conf.all.promote_secondaries=0")
	s.must(err)
	first := instance{Name: "VI_1", VRID: 51, VIPs: []string{"172.30.1.1/24"}}
	second := instance{Name: "VI_2", VRID: 52, VIPs: []string{"172.30.1.2/24", "172.30.1.3/24"}}
	// The skew of the second is longer: its addresses come after the first.
	a := s.start("a", ours, config(first.at(250)))
	s.awaitOwner(addr("172.30.1.1"), 5*time.Second, "a")
	s.must(a.Reload(config(first.at(250), second.at(150))))
	s.awaitOwner(addr("172.30.1.3"), 5*time.Second, "a")
	s.start("b", ours, config(second.at(100)))
	s.stays(addr("172.30.1.2"), "a", 500*time.Millisecond)
	if text := s.shown("a", addr("172.30.1.2")); !strings.Contains(text, "secondary") {
		t.Fatalf("the kernel shows %q; want a secondary address", text)
	}

	from := time.Now()
	s.must(a.Reload(config(second.at(150))))
	s.awaitOwner(addr("172.30.1.1"), 5*time.Second)
	if !s.Until(5*time.Second, func() bool {
		return strings.Contains(s.shown("a", addr("172.30.1.2")), "172.30.1.2/24") && strings.Contains(s.shown("a", addr("172.30.1.3")), "172.30.1.3/24")
	}) {
		t.Error("the other addresses of the subnet are gone with the first")
	}
	// The effects of the first reload have been processed when the next one is complete.
	s.must(a.Reload(config(second.at(150))))
	s.awaitAdvert(time.Now(), 5*time.Second, "a")
	for _, e := range s.Events(from, time.Now(), func(e *lab.Event) bool { return e.Kind == lab.Advert && e.VRID == 52 }) {
		if e.Priority == 0 || e.Node.Name != "a" {
			t.Errorf("an unchanged virtual router was disturbed: %v", e)
		}
	}
	if a.Logged(from, "Netlink reflector reports IP 172.30.1.") {
		t.Error("its own removal was taken for that of another program")
	}
}

package test

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestCausesAreTold: for each cause of a change of state, the log has its sentence, the
// history its code, and explain the sentence again as long as it is the last one.
func TestCausesAreTold(t *testing.T) {
	t.Parallel()
	differs(t, "does not name them")
	s := newWideScene(t, 2, "a", "x")
	file := func(name string) string { return s.path("a", name) }
	script := s.script("a", "check", "case $(cat "+file("check.does")+") in\nfail) exit 3;;\nkill) kill -9 $$;;\nhang) exec sleep 10;;\nesac")
	s.write("a", "check.does", "pass")
	s.write("a", "number", "0")
	s.write("a", "member", "0")
	other := "10.0.7.7"
	s.must(s.Node("a").IP("addr add " + other + "/32 dev eth0"))

	addr := func(n int) string { return fmt.Sprintf("10.0.9.%d", n) }
	at := func(n int, name string, in instance) instance {
		in.Name, in.VRID, in.VIPs = name, n, []string{addr(n)}
		if in.Priority == 0 {
			in.Priority = 150
		}
		return in
	}
	heard := at(1, "heard", instance{Interval: 500 * time.Millisecond})
	all := []instance{
		heard,
		at(2, "owner", instance{Priority: 255}),
		at(3, "scripted", instance{}).tracks("script", "check"),
		at(4, "filed", instance{}).tracks("file", "number"),
		at(5, "linked", instance{Iface: "eth1"}),
		at(6, "robbed", instance{}),
		at(7, "sourced", instance{More: "mcast_src_ip " + other + "\ntrack_src_ip"}),
		at(8, "one", instance{}),
		at(9, "two", instance{}).tracks("file", "member"),
		at(10, "held", instance{}),
	}
	text := "vrrp_script check {\n    script " + script + "\n    interval 1\n    timeout 1\n    rise 1\n    fall 1\n}\n" +
		trackFile("number", file("number"), "weight 0") + trackFile("member", file("member"), "weight 0") +
		configWith("script_user root", all...) + "vrrp_sync_group G {\n    group {\n        one\n        two\n    }\n}\n"
	a := s.start("a", ours, text)

	seen := time.Now()
	// told checks the last change of an instance.
	told := func(name, to, code, sentence string) {
		t.Helper()
		s.awaitLog(a, seen, "("+name+") Entering "+to+" STATE ("+sentence, 20*time.Second)
		s.says(a, 0, "history "+name, to, code, sentence)
		s.says(a, 0, "explain "+name, name+" is "+to, sentence)
		seen = time.Now()
	}
	seen = a.Started
	for _, in := range all {
		if in.Name == "owner" {
			s.says(a, 0, "history owner", "MASTER", "owner", "the owner of the address becomes master at once")
			continue
		}
		s.awaitLog(a, a.Started, "("+in.Name+") Entering MASTER STATE (", 20*time.Second)
	}
	s.says(a, 0, "history heard", "MASTER", "no-master", "no master has been heard for ")
	seen = time.Now()

	// What is heard.
	p := s.speaker("x")
	from := s.Node("x").Addr(0)
	voice := p.voice(heard, from, nil)
	// serves has x be master with a priority as long as check runs.
	serves := func(priority uint8, check func()) {
		end, ended := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(ended)
			tick := time.NewTicker(200 * time.Millisecond)
			defer tick.Stop()
			for {
				p.send(voice.advert(priority))
				select {
				case <-end:
					return
				case <-tick.C:
				}
			}
		}()
		defer func() { close(end); <-ended }()
		check()
	}
	serves(200, func() {
		told("heard", "BACKUP", "higher-priority", from.String()+" has the higher priority 200")
	})
	p.send(voice.advert(0))
	told("heard", "MASTER", "priority-zero", "the master "+from.String()+" has stopped")
	serves(150, func() {
		told("heard", "BACKUP", "higher-address", from.String()+" has")
	})
	told("heard", "MASTER", "master-down", "no advert from "+from.String()+", with priority 150, for ")

	// What is tracked.
	for _, c := range []struct{ does, sentence string }{
		{"fail", "track_script check: exited with status 3"},
		{"kill", "track_script check: killed by signal 9"},
		{"hang", "track_script check: timed out"},
	} {
		s.write("a", "check.does", c.does)
		told("scripted", "FAULT", "fault", c.sentence)
		s.write("a", "check.does", "pass")
		s.awaitLog(a, seen, "(scripted) Entering MASTER STATE (", 20*time.Second)
		seen = time.Now()
	}
	s.write("a", "number", "7")
	told("filed", "FAULT", "fault", "track_file number: ")
	s.write("a", "member", "1")
	told("two", "FAULT", "fault", "track_file member: ")
	s.says(a, 0, "history one", "FAULT", "track_file member: ") // its group has

	// What becomes of the network.
	s.must(s.Node("a").IP("link set eth1 down"))
	told("linked", "FAULT", "fault", "interface eth1 is down")
	s.must(s.Node("a").IP("addr del " + other + "/32 dev eth0"))
	told("sourced", "FAULT", "fault", "source address "+other+" is not on this machine")
	s.must(s.Node("a").IP("addr del " + netip.MustParseAddr(addr(6)).String() + "/32 dev eth0"))
	s.says(a, 0, "history robbed", "BACKUP", "address-lost", "address "+addr(6)+" was removed by another program") // it takes over again

	// What operators and processes do.
	s.says(a, 0, "hold held", "held stays BACKUP until it is released; it has made way, as it was MASTER.")
	told("held", "BACKUP", "held", "an operator holds this node in BACKUP")
	s.must(syscall.Kill(a.VRRPPid(), syscall.SIGKILL))
	s.says(a, 0, "history vrrp", "started", "its predecessor had ended")
	s.says(a, 0, "history heard", "resumed")
	s.must(a.Reload(strings.Replace(text, "priority 150", "priority 151", 1)))
	s.says(a, 0, "history", "configuration", "read")
	s.says(a, 0, "explain heard", "heard is MASTER", "Its priority is 151")
}

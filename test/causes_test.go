package test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/vrrp"
)

// TestCausesAreReported checks for each cause of a change of state that the log has its
// sentence and the history its code, and that explain prints the sentence as long as it
// is the last one.
func TestCausesAreReported(t *testing.T) {
	t.Parallel()
	differs(t, "does not name them")
	lab.Need(t, lab.Root)
	s := newWideScene(t, 4, "a", "x")
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
		at(2, "owner", instance{Priority: 255, Interval: 10 * time.Second}), // the long interval makes other nodes wait
		at(3, "scripted", instance{}).tracks("script", "check"),
		at(4, "filed", instance{}).tracks("file", "number"),
		at(5, "linked", instance{Iface: "eth1"}),
		at(6, "robbed", instance{}),
		at(7, "sourced", instance{More: "mcast_src_ip " + other + "\ntrack_src_ip"}),
		at(8, "one", instance{}),
		at(9, "two", instance{}).tracks("file", "member"),
		at(10, "held", instance{}),
		at(11, "processed", instance{}).tracks("process", "helper"),
		at(12, "watched", instance{}).tracks("bfd", "peer"),
		at(13, "renamed", instance{Iface: "eth2"}),
		at(14, "gone", instance{Iface: "eth3"}),
	}
	name := fmt.Sprintf("help%d", os.Getpid()) // the table of processes is shared by the whole machine
	_, err := s.Node("a").Run("cp", "/bin/sleep", file(name))
	s.must(err)
	helper, err := s.Node("a").StartWith(lab.Program{Name: name, Path: file(name)}, "3600")
	s.must(err)
	session := bfdSession{name: "peer", own: s.Node("a").Addr(0).String(), other: s.Node("x").Addr(0).String()}
	neighbour := s.start("x", ours, bfdConfig([]bfdSession{session.reversed()}, 100))
	text := "vrrp_script check {\n    script " + script + "\n    interval 1\n    timeout 1\n    rise 1\n    fall 1\n}\n" +
		trackFile("number", file("number"), "weight 0") + trackFile("member", file("member"), "weight 0") +
		"vrrp_track_process helper {\n    process " + name + "\n}\n" + bfdConfig([]bfdSession{session}, 100) +
		configWith("script_user root", all...) + "vrrp_sync_group G {\n    group {\n        one\n        two\n    }\n}\n"
	a := s.start("a", ours, text)

	seen := time.Now()
	// changed checks the last change of an instance.
	changed := func(name, to, code, sentence string) {
		t.Helper()
		s.awaitLog(a, seen, "("+name+") Entering "+to+" STATE ("+sentence, 20*time.Second)
		s.prints(a, 0, "history "+name, to, code, sentence)
		s.prints(a, 0, "explain "+name, name+" is "+to, sentence)
		seen = time.Now()
	}
	seen = a.Started
	for _, in := range all {
		if in.Name == "owner" {
			s.prints(a, 0, "history owner", "MASTER", "owner", "the owner of the address becomes master at once")
			continue
		}
		s.awaitLog(a, a.Started, "("+in.Name+") Entering MASTER STATE (", 20*time.Second)
	}
	s.prints(a, 0, "history heard", "MASTER", "no-master", "no master has been heard for ")
	seen = time.Now()

	// Causes in packets.
	p := s.speaker("x")
	from := s.Node("x").Addr(0)
	advertiser := p.advertiser(heard, from, nil)
	advertiser.every(200*time.Millisecond, 200, func() {
		changed("heard", "BACKUP", "higher-priority", from.String()+" has the higher priority 200")
	})
	p.send(advertiser.advert(0))
	changed("heard", "MASTER", "priority-zero", "the master "+from.String()+" has stopped")
	advertiser.every(200*time.Millisecond, 150, func() {
		changed("heard", "BACKUP", "higher-address", from.String()+" has")
	})
	changed("heard", "MASTER", "master-down", "no advert from "+from.String()+", with priority 150, for ")

	// Causes in trackers.
	for _, c := range []struct{ does, sentence string }{
		{"fail", "track_script check: exited with status 3"},
		{"kill", "track_script check: killed by signal 9"},
		{"hang", "track_script check: timed out"},
	} {
		s.write("a", "check.does", c.does)
		changed("scripted", "FAULT", "track_script", c.sentence)
		s.write("a", "check.does", "pass")
		s.awaitLog(a, seen, "(scripted) Entering MASTER STATE (", 20*time.Second)
		seen = time.Now()
	}
	s.write("a", "number", "7")
	changed("filed", "FAULT", "track_file", "track_file number: ")
	s.write("a", "member", "1")
	changed("two", "FAULT", "track_file", "track_file member: ")
	s.prints(a, 0, "history one", "FAULT", "track_file member: ") // its group changes

	helper.Kill()
	changed("processed", "FAULT", "track_process", "track_process helper: ")
	neighbour.Kill()
	changed("watched", "FAULT", "track_bfd", "track_bfd peer: ")

	// Causes in the network.
	s.must(s.Node("a").IP("link set eth2 down"))
	changed("renamed", "FAULT", "link-down", "interface eth2 is down")
	s.must(s.Node("a").IP("link set eth2 name lan2"))
	s.must(s.Node("a").IP("link set lan2 up"))
	s.prints(a, 0, "history renamed", "link-renamed", "stays in FAULT STATE: interface eth2 does not exist: it is called lan2 now")
	s.prints(a, 0, "explain renamed", "renamed is FAULT", "interface eth2 does not exist: it is called lan2 now")
	s.must(s.Node("a").IP("link del eth3"))
	// The kernel sets a link down before it removes the link: the daemon may see only the
	// removal, or both.
	s.prints(a, 0, "history gone", "FAULT", "link-missing", "interface eth3 does not exist")
	s.prints(a, 0, "explain gone", "gone is FAULT", "interface eth3 does not exist")
	s.must(s.Node("a").IP("link set eth1 down"))
	changed("linked", "FAULT", "link-down", "interface eth1 is down")
	s.must(s.Node("a").IP("addr del " + other + "/32 dev eth0"))
	changed("sourced", "FAULT", "source-missing", "source address "+other+" is not on this machine")
	s.must(s.Node("a").IP("addr del " + netip.MustParseAddr(addr(6)).String() + "/32 dev eth0"))
	s.prints(a, 0, "history robbed", "BACKUP", "address-lost", "address "+addr(6)+" was removed by another program") // it takes over again

	// Causes by operators and processes.
	s.prints(a, 0, "hold held", "held stays BACKUP until it is released; it has made way, as it was MASTER.")
	changed("held", "BACKUP", "held", "an operator holds this node in BACKUP")
	s.must(syscall.Kill(a.VRRPPid(), syscall.SIGKILL))
	s.prints(a, 0, "history vrrp", "started", "its predecessor had ended")
	s.prints(a, 0, "history owner", "resumed")
	s.must(a.Reload(strings.Replace(text, "priority 150", "priority 151", 1)))
	s.prints(a, 0, "history", "configuration", "read")
	s.prints(a, 0, "explain heard", "heard is MASTER", "Its priority is 151")
	seen = time.Now()
	s.must(syscall.Kill(a.VRRPPid(), syscall.SIGSTOP))
	s.stays(vip, "", 3*time.Second)                      // longer than six advertisement intervals of heard
	advertiser.every(200*time.Millisecond, 200, func() { // keeps it in BACKUP
		s.must(syscall.Kill(a.VRRPPid(), syscall.SIGCONT))
		changed("heard", "BACKUP", "stall", "this process was late by ")
	})
	s.prints(a, 0, "history heard", "notice", "stall: process was stopped or starved for ")
}

// TestNoticesAreReported checks that a condition that keeps a router from being master,
// points to a mistake of another node, or ends the daemon is in the log, the history and
// the explanation.
func TestNoticesAreReported(t *testing.T) {
	t.Parallel()
	differs(t, "does not name them")
	s := newScene(t, "a", "x")
	at := func(n int, name string, in instance) instance {
		in.Name, in.VRID, in.VIPs = name, n, []string{fmt.Sprintf("10.0.9.%d", n)}
		return in.at(150)
	}
	patient := at(1, "patient", instance{Interval: 500 * time.Millisecond, More: "preempt_delay 2"})
	copied := at(2, "copied", instance{Interval: time.Second})
	secret := at(3, "secret", instance{Version: 2, More: "authentication {\n    auth_type PASS\n    auth_pass one\n}"})
	// Linux drops packets from its own addresses unless this is set.
	_, err := s.Node("a").Run("sysctl", "-w", "net.ipv4.conf.eth0.accept_local=1")
	s.must(err)
	text := func(global string) string { return configWith(global, patient, copied, secret) }
	a := s.start("a", ours, text(""))
	for _, in := range []instance{patient, copied, secret} {
		s.awaitLog(a, a.Started, "("+in.Name+") Entering MASTER STATE (", 20*time.Second)
	}
	seen := time.Now()
	// noticed checks what an instance has reported without a change of state.
	noticed := func(name, code, sentence string) {
		t.Helper()
		s.awaitLog(a, seen, "("+name+") "+sentence, 20*time.Second)
		s.prints(a, 0, "history "+name, "notice", code+": "+sentence)
		seen = time.Now()
	}
	p := s.speaker("x")
	from, own := s.Node("x").Addr(0), s.Node("a").Addr(0)

	other := p.advertiser(secret, from, func(c *vrrp.Config) { c.Addresses = []netip.Addr{netip.MustParseAddr("10.0.9.3")} })
	p.send(other.advert(100))
	noticed("secret", "authtype_mismatch", "received a 0 auth from "+from.String()+", expecting 1!")
	s.prints(a, 0, "explain secret", "secret is MASTER", "It has dropped 1 packet: another type of authentication.")

	twin := p.advertiser(copied, own, nil)
	p.send(twin.advert(150))
	const warning = "WARNING - equal priority advert received from remote host with our IP address "
	noticed("copied", "own-address-received", warning+own.String())
	s.prints(a, 0, "explain copied", "copied is MASTER", "ago: "+warning+own.String()+".")

	worse := p.advertiser(patient, from, nil)
	p.send(worse.advert(200))
	s.awaitLog(a, seen, "(patient) Entering BACKUP STATE (", 20*time.Second)
	worse.every(200*time.Millisecond, 50, func() {
		noticed("patient", "preempt-delay-started", "start preempt delay (2.000000)")
		s.prints(a, 0, "explain patient", "patient is BACKUP", "preempt_delay, ")
		s.prints(a, 0, "history patient", "MASTER", "preempt: the master "+from.String()+" has the lower priority 50")
	})

	// again starts the daemon again.
	again := func(global string) {
		t.Helper()
		next, err := s.Node("a").StartIn(a.Dir, ours, text(global))
		s.must(err)
		a, seen = next, next.Started
		s.daemons = append(s.daemons, a)
	}
	s.must(a.Stop())
	again("vrrp_startup_delay 600")
	s.prints(a, 0, "history keepalived", "stopping", "it was told to stop")
	s.prints(a, 0, "explain copied", "copied is BACKUP", "the start-up delay, ")
	s.must(a.Stop())
	again("vrrp_startup_delay 1")
	noticed("copied", "hold-ended", "start-up delay is over")
	a.Kill()
	again("")
	s.prints(a, 0, "history keepalived", "its predecessor did not stop: it was killed, or the machine went down")
}

package test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testBFDCheck checks that a server is in the kernel's table while the session with it is
// up, and not when its neighbour is silent or stops. The death of the BFD process changes
// nothing, and another server of the service stays.
func testBFDCheck(t *testing.T) {
	s := newScene(t, "director", "server")
	director, peer := s.Node("director"), s.Node("server")
	session := bfdSession{name: "web", own: director.Addr(0).String(), other: peer.Addr(0).String()}
	checked := fmt.Sprintf("-a -t 10.8.0.1:80 -r %v:80 -m -w 3", peer.Addr(0))
	const other = "-a -t 10.8.0.1:80 -r 10.0.9.9:80 -m -w 1"
	d := s.start("director", ours, session.config(100)+virtual("10.8.0.1 80", "protocol TCP", "lb_algo wrr", "lb_kind NAT",
		server(peer.Addr(0).String()+" 80", "weight 3", check("BFD_CHECK", "name web")), server("10.0.9.9 80")), "-C", "-D")
	is := func(from time.Time, want, line string) {
		t.Helper()
		var table string
		if !s.Until(20*time.Second, func() bool {
			table = s.output(director, "ipvsadm", "-Sn")
			return strings.Contains(table, other) && strings.Contains(table, checked) == (want == "in the table") && d.Logged(from, line)
		}) {
			t.Fatalf("the server is to be %s, and %q logged; there is\n%s", want, line, table)
		}
	}
	const up, down = "is UP", "is DOWN"
	is(d.Started, "out", down)
	started := time.Now()
	reversed := session.reversed()
	neighbour := s.start("server", ours, reversed.config(100))
	is(started, "in the table", up)

	from := time.Now()
	s.must(peer.Cut(0))
	is(from, "out", down)
	from = time.Now()
	s.must(peer.Heal(0))
	is(from, "in the table", up)

	died := time.Now()
	s.must(unix.Kill(d.BFDPid(), unix.SIGKILL))
	if !s.Until(20*time.Second, func() bool { return d.Logged(died, "(web) Starting poll sequence") }) {
		t.Fatal("no BFD process continues the session")
	}

	from = time.Now()
	s.must(neighbour.Stop())
	is(from, "out", down)
	if n := len(d.LinesWith(died, down)); n != 1 {
		t.Errorf("%d times %q since the BFD process has died: that is not the death of the server", n, down)
	}
	if !d.Logged(from, "Remote diagnostic - Administratively Down") {
		t.Error("the stop was taken for a failure")
	}
	from = time.Now()
	s.start("server", ours, reversed.config(100))
	is(from, "in the table", up)
	s.must(d.Stop())
	if left := s.output(director, "ipvsadm", "-Sn"); left != "" {
		t.Errorf("left behind: %s", left)
	}
}

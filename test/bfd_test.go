package test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// bfdSession is a bfd_instance and its remote end.
type bfdSession struct {
	name, own, other string
	multihop         bool
	passive          bool // our end is passive
	auth, key        string
}

func (b *bfdSession) config(minRx int) string {
	more := ""
	if b.multihop {
		more += "    multihop\n    max_hops 255\n"
	}
	if b.passive {
		more += "    passive\n"
	}
	if b.auth != "" {
		more += fmt.Sprintf("    authentication {\n        type %s\n        key 7 %s\n    }\n", b.auth, b.key)
	}
	return fmt.Sprintf("bfd_instance %s {\n    neighbor_ip %s\n    source_ip %s\n    min_tx 100\n    min_rx %d\n    multiplier 10\n    hoplimit 255\n%s}\n",
		b.name, b.other, b.own, minRx, more)
}

// reversed returns the session as configured at the remote end. At most one end is
// passive.
func (b bfdSession) reversed() bfdSession {
	b.own, b.other, b.passive = b.other, b.own, false
	return b
}

func bfdConfig(all []bfdSession, minRx int) string {
	var b strings.Builder
	for i := range all {
		b.WriteString(all[i].config(minRx))
	}
	return b.String()
}

// neighbours are the implementations of BFD at the remote ends. start starts these on
// node b, with packets every 100 ms and a multiplier of 10. adminDowns, if not nil,
// counts the sessions that went down because of AdminDown since a time.
var neighbours = []struct {
	name     string
	needs    []lab.Requirement
	multihop bool
	start    func(s *scene, all []bfdSession) (adminDowns func(from time.Time) int)
}{
	{"ours", nil, true, func(s *scene, all []bfdSession) func(time.Time) int { return startKeepalived(s, ours, all) }},
	{"C", []lab.Requirement{lab.Peer}, false, func(s *scene, all []bfdSession) func(time.Time) int { return startKeepalived(s, lab.C(), all) }},
	{"FRR", []lab.Requirement{lab.FRR}, true, startFRR},
	{"BIRD", []lab.Requirement{lab.Bird}, true, startBird},
}

// TestBFD runs sessions with each other implementation. They come up in the active and in
// the passive role, over IPv4 and IPv6, single-hop and multihop; timers change while the
// sessions are up; loss of the packets in either direction takes them down with the right
// reason, and afterwards they come up again.
func TestBFD(t *testing.T) {
	t.Parallel()
	differs(t, "is one of the neighbours here")
	for _, n := range neighbours {
		t.Run(n.name, func(t *testing.T) {
			t.Parallel()
			lab.Need(t, append(n.needs, lab.Nft)...)
			s := newWideScene(t, 2, "a", "b")
			a, b := s.Node("a"), s.Node("b")
			all := []bfdSession{
				{name: "V4", own: a.Addr(0).String(), other: b.Addr(0).String()},
				{name: "V6", own: a.Addr6(0).String(), other: b.Addr6(0).String(), passive: true},
			}
			if n.name == "ours" {
				all = append(all, bfdSession{name: "LL", own: linkLocal(s, a, "eth1"), other: linkLocal(s, b, "eth1")})
			}
			if n.multihop {
				all = append(all, bfdSession{name: "MH", own: a.Addr(1).String(), other: b.Addr(1).String(), multihop: true})
			}
			other := make([]bfdSession, len(all))
			for i, x := range all {
				other[i] = x.reversed()
			}
			adminDowns := n.start(s, other)
			d := s.start("a", ours, bfdConfig(all, 200), "-D")

			await := func(from time.Time, what string) {
				t.Helper()
				for _, x := range all {
					line := "(" + x.name + ") " + what
					if !s.Until(30*time.Second, func() bool { return d.Logged(from, line) }) {
						t.Fatalf("no %q", line)
					}
				}
			}
			await(time.Time{}, "Entering Up state")
			// Packets are requested every 200 ms, with a multiplier of 10.
			timers := func(from time.Time, us int) {
				t.Helper()
				line := fmt.Sprintf("Detection time is %d us", us)
				if !s.Until(20*time.Second, func() bool { return len(d.LinesWith(from, line)) >= len(all) }) {
					t.Fatalf("%q logged %d times", line, len(d.LinesWith(from, line)))
				}
			}
			timers(time.Time{}, 2000000)
			from := time.Now()
			s.must(d.Reload(bfdConfig(all, 100)))
			timers(from, 1000000) // in force when the neighbour has answered the poll
			if d.Logged(time.Time{}, "Entering Down state") {
				t.Log("a session was down before anything was cut; the machine is busy")
			}

			for _, cut := range []struct {
				node *lab.Node
				line string
			}{
				{a, "Entering Down state (Local diagnostic - Control Detection Time Expired, Remote diagnostic - No Diagnostic)"},
				{b, "Entering Down state (Local diagnostic - Neighbor Signaled Session Down, Remote diagnostic - Control Detection Time Expired)"},
			} {
				from := time.Now()
				s.run(cut.node, "nft", "add table inet lossy; add chain inet lossy in { type filter hook input priority 0; }; add rule inet lossy in udp dport { 3784, 4784 } drop")
				await(from, cut.line)
				from = time.Now()
				s.run(cut.node, "nft", "delete table inet lossy")
				await(from, "Entering Up state")
			}
			// AdminDown is repeated: the neighbour loses the first packet of each session.
			s.run(b, "nft", fmt.Sprintf("add table inet lossy; add chain inet lossy in { type filter hook input priority 0; }; "+
				"add rule inet lossy in udp dport { 3784, 4784 } @th,72,2 0 limit rate 1/hour burst %d packets counter drop", len(all)))
			from = time.Now()
			s.must(d.Signal(unix.SIGTERM))
			s.must(d.Wait(20 * time.Second))
			if want := fmt.Sprintf("counter packets %d ", len(all)); !strings.Contains(s.run(b, "nft", "list table inet lossy"), want) {
				t.Error("not each session has lost a packet")
			}
			if adminDowns != nil && !s.Until(10*time.Second, func() bool { return adminDowns(from) == len(all) }) {
				t.Errorf("the neighbour knows of the stop in %d sessions of %d", adminDowns(from), len(all))
			}
		})
	}
}

// TestBFDAuthentication checks that BIRD accepts our packets and we accept the packets of
// BIRD, with each type of authentication, and that neither accepts packets with another
// key.
func TestBFDAuthentication(t *testing.T) {
	t.Parallel()
	differs(t, "has no authentication")
	for _, kind := range []string{"simple", "md5", "meticulous_md5", "sha1", "meticulous_sha1"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			lab.Need(t, lab.Bird)
			s := newScene(t, "a", "b")
			a, b := s.Node("a"), s.Node("b")
			session := bfdSession{name: "V4", own: a.Addr(0).String(), other: b.Addr(0).String(), auth: kind, key: "of-both"}
			startBird(s, []bfdSession{session.reversed()})
			d := s.start("a", ours, session.config(100), "-D")
			from := time.Time{}
			await := func(line string) {
				t.Helper()
				if !s.Until(30*time.Second, func() bool { return d.Logged(from, line) }) {
					t.Fatalf("no %q", line)
				}
			}
			await("(V4) Entering Up state")
			wrong := session
			wrong.key = "of-one-only"
			from = time.Now()
			s.must(d.Reload(wrong.config(100)))
			await("(V4) packet from " + b.Addr(0).String() + " dropped: wrong key")
			await("(V4) Entering Down state")
			from = time.Now()
			s.must(d.Reload(session.config(100)))
			await("(V4) Entering Up state")
		})
	}
}

func (s *scene) run(n *lab.Node, name string, args ...string) string {
	s.Helper()
	out, err := n.Run(name, args...)
	if err != nil {
		s.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// linkLocal returns the link-local address of an interface, with the name of the
// interface.
func linkLocal(s *scene, n *lab.Node, link string) string {
	s.Helper()
	fields := strings.Fields(s.run(n, "ip", "-6", "-o", "addr", "show", "dev", link, "scope", "link"))
	for i, f := range fields {
		if f == "inet6" && i+1 < len(fields) {
			addr, _, _ := strings.Cut(fields[i+1], "/")
			return addr + "%" + link
		}
	}
	s.Fatalf("%s has no link-local address on %s: %v", n.Name, link, fields)
	return ""
}

func startKeepalived(s *scene, p lab.Program, all []bfdSession) func(time.Time) int {
	d := s.start("b", p, bfdConfig(all, 100))
	return func(from time.Time) int {
		return len(d.LinesWith(from, "Entering Down state (Local diagnostic - Neighbor Signaled Session Down, Remote diagnostic - Administratively Down)"))
	}
}

// startFRR starts bfdd and zebra, from which bfdd gets its interfaces.
func startFRR(s *scene, all []bfdSession) func(time.Time) int {
	s.Helper()
	var b strings.Builder
	b.WriteString("bfd\n")
	for _, x := range all {
		multihop := ""
		if x.multihop {
			multihop = " multihop"
		}
		fmt.Fprintf(&b, " peer %s%s local-address %s\n  receive-interval 100\n  transmit-interval 100\n  detect-multiplier 10\n exit\n", x.other, multihop, x.own)
	}
	b.WriteString("exit\n")
	frr := s.frr("b", "bfdd", b.String(), "--bfdctl", "bfdd.sock")
	return func(time.Time) int {
		var peers []struct {
			Status, Diagnostic string
			Remote             string `json:"remote-diagnostic"`
		}
		out, err := frr.Show("bfd peers json")
		s.must(err)
		if err := json.Unmarshal([]byte(out), &peers); err != nil {
			s.Fatalf("%v in %s", err, out)
		}
		n := 0
		for _, p := range peers {
			if p.Status == "down" && p.Diagnostic == "neighbor signaled session down" && p.Remote == "administratively down" {
				n++
			}
		}
		return n
	}
}

// frr starts a daemon of FRR with a configuration (lab.Node.StartFRR).
func (s *scene) frr(node, daemon, config string, more ...string) *lab.FRRouting {
	s.Helper()
	f, err := s.Node(node).StartFRR(daemon, config, more...)
	s.must(err)
	s.Cleanup(f.Stop)
	s.daemons = append(s.daemons, f.Zebra, f.Daemon)
	return f
}

func startBird(s *scene, all []bfdSession) func(time.Time) int {
	s.Helper()
	n := s.Node("b")
	timers := "{ min rx interval 100 ms; min tx interval 100 ms; idle tx interval 1 s; multiplier 10; " + birdAuth(&all[0]) + "}"
	var b strings.Builder
	fmt.Fprintf(&b, "log stderr all;\nrouter id 192.0.2.2;\nprotocol device { scan time 1; }\nprotocol bfd {\n interface \"*\" %s;\n multihop %s;\n", timers, timers)
	for _, x := range all {
		way := "dev \"eth0\" local " + x.own
		if x.multihop {
			way = "local " + x.own + " multihop on"
		}
		fmt.Fprintf(&b, " neighbor %s %s;\n", x.other, way)
	}
	b.WriteString("}\n")
	path := filepath.Join(n.Dir, "bird.conf")
	s.must(os.WriteFile(path, []byte(b.String()), 0o644))
	s.program("b", "bird", "-f", "-c", path, "-s", filepath.Join(n.Dir, "bird.ctl"), "-P", filepath.Join(n.Dir, "bird.pid"))
	return nil
}

// birdAuth returns the authentication of a session in the syntax of BIRD.
func birdAuth(b *bfdSession) string {
	if b.auth == "" {
		return ""
	}
	words := strings.NewReplacer("_", " ", "md5", "keyed md5", "sha1", "keyed sha1").Replace(b.auth)
	return fmt.Sprintf("authentication %s; password %q { id 7; }; ", words, b.key)
}

// program runs a program other than keepalived in the node until the end of the test.
func (s *scene) program(node, path string, args ...string) *lab.Daemon {
	s.Helper()
	d, err := s.Node(node).StartWith(lab.Program{Name: filepath.Base(path), Path: path}, args...)
	s.must(err)
	s.daemons = append(s.daemons, d)
	return d
}

// TestBFDTracking checks that a session changes the priority by its weight and is a fault
// with weight 0, for an instance and for a sync group, and that the death of the BFD
// process changes nothing, here or at the neighbour.
func TestBFDTracking(t *testing.T) {
	t.Parallel()
	differs(t, "takes the death of its BFD process for that of the neighbours")
	s := newScene(t, "a", "b")
	a, b := s.Node("a"), s.Node("b")
	session := func(own, other *lab.Node) string {
		return fmt.Sprintf("bfd_instance B {\n neighbor_ip %v\n source_ip %v\n min_tx 300\n min_rx 300\n multiplier 20\n weight -20\n}\n", other.Addr(0), own.Addr(0))
	}
	vrrp := func(name string, id int, more string) string {
		return fmt.Sprintf("vrrp_instance %s {\n interface eth0\n virtual_router_id %d\n priority 100\n virtual_ipaddress {\n 10.77.9.%d/32\n }\n %s\n}\n", name, id, id, more)
	}
	config := session(a, b) + vrrp("W", 1, "track_bfd {\n B\n }") + vrrp("F", 2, "track_bfd {\n B weight 0\n }") +
		vrrp("G1", 3, "") + "vrrp_sync_group G {\n group {\n G1\n }\n track_bfd {\n B weight 0\n }\n}\n"
	d := s.start("a", ours, config)
	await := func(from time.Time, lines ...string) {
		t.Helper()
		for _, line := range lines {
			if !s.Until(30*time.Second, func() bool { return d.Logged(from, line) }) {
				t.Fatalf("no %q", line)
			}
		}
	}
	await(time.Time{}, "(W) Changing effective priority from 100 to 80", "(W) Entering MASTER STATE")
	for _, name := range []string{"F", "G1"} {
		if d.Logged(time.Time{}, "("+name+") Entering MASTER STATE") {
			t.Errorf("%s serves although the session that it tracks is down", name)
		}
	}
	peer := s.start("b", ours, session(b, a))
	await(time.Time{}, "(B) Entering Up state", "VRRP_Instance(W) Tracked BFD instance B is UP", "VRRP_Group(G) Tracked BFD instance B is UP",
		"(W) Changing effective priority from 80 to 100", "(F) Entering MASTER STATE", "(G1) Entering MASTER STATE")

	// The successor has the same discriminator, and continues.
	from := time.Now()
	pid := d.BFDPid()
	s.must(unix.Kill(pid, unix.SIGKILL))
	await(from, "Starting BFD child process")
	if !s.Until(20*time.Second, func() bool { return d.Logged(from, "Received BFD event: instance B is in state Up") }) {
		t.Error("the successor has not reported the session")
	}
	for _, x := range []*lab.Daemon{d, peer} {
		if x.Logged(from, "(B) Entering Down") || x.Logged(from, "Tracked BFD instance B is DOWN") {
			t.Errorf("the death of a BFD process was taken for that of a neighbour, in %s", x.Node.Name)
		}
	}

	// A successor that starts too late does not report a failure either: it knows nothing
	// about the session.
	from = time.Now()
	s.must(peer.Signal(unix.SIGTERM))
	await(from, "(B) Entering Down state (Local diagnostic - Neighbor Signaled Session Down, Remote diagnostic - Administratively Down)",
		"VRRP_Instance(W) Tracked BFD instance B is DOWN", "(W) Changing effective priority from 100 to 80", "(F) Entering FAULT STATE", "(G1) Entering FAULT STATE")
}

// TestBFDPeer checks that a backup whose session with the master goes down does not wait
// for adverts, which are sent every five seconds here: their absence alone would take 15
// seconds.
func TestBFDPeer(t *testing.T) {
	t.Parallel()
	differs(t, "has no bfd_peer")
	s := newScene(t, "a", "b")
	a, b := s.Node("a"), s.Node("b")
	config := func(own, other *lab.Node, prio int) string {
		return fmt.Sprintf("bfd_instance B {\n neighbor_ip %v\n source_ip %v\n min_tx 100\n min_rx 100\n multiplier 5\n}\n", other.Addr(0), own.Addr(0)) +
			fmt.Sprintf("vrrp_instance V {\n interface eth0\n virtual_router_id 1\n priority %d\n advert_int 5\n version 3\n bfd_peer B\n virtual_ipaddress {\n %v/24\n }\n}\n", prio, vip)
	}
	s.start("a", ours, config(a, b, 200))
	s.awaitOwner(vip, 30*time.Second, "a")
	d := s.start("b", ours, config(b, a, 100))
	if !s.Until(20*time.Second, func() bool { return d.Logged(time.Time{}, "(B) Entering Up state") }) {
		t.Fatal("no session")
	}
	s.awaitAdvert(time.Now(), 10*time.Second, "a") // b has received an advert of its master
	from := time.Now()
	s.must(a.Cut(0))
	if !s.Until(8*time.Second, func() bool { return b.Has(vip) }) {
		t.Fatal("b waited for adverts")
	}
	if want := fmt.Sprintf("(V) Entering MASTER STATE (the session with %v has heard nothing for 500ms)", a.Addr(0)); !s.Until(5*time.Second, func() bool { return d.Logged(from, want) }) {
		t.Errorf("the log does not give the reason %q", want)
	}
}

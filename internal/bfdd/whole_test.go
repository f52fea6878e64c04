package bfdd

import (
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/bfd"
	"keepalived-go/conf"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/link/linktest"
	"keepalived-go/internal/proc/wire"
	"keepalived-go/internal/tool/lab"
)

// process is a BFD process in a node of a lab, with the test as its parent.
type process struct {
	t      *testing.T
	node   *lab.Node
	parent *link.Conn
	setup  *link.Setup
	ended  chan error
	up     map[string]string // its reports of sessions, by role and name
}

// start starts the process with the sessions and returns when it runs.
func start(t *testing.T, node *lab.Node, sessions ...*conf.BFDInstance) *process {
	t.Helper()
	parent, child := linktest.Pair(t)
	dir := t.TempDir()
	p := &process{t, node, parent, &link.Setup{DumpDir: dir, StateFile: filepath.Join(dir, "state")}, make(chan error, 1), map[string]string{}}
	if err := node.Go(func() { p.ended <- Role.Run(&proc.Child{Link: child, Setup: p.setup}) }); err != nil {
		t.Fatal(err)
	}
	p.configure(sessions...)
	p.until(link.Started, nil)
	return p
}

func (p *process) configure(sessions ...*conf.BFDInstance) {
	p.t.Helper()
	share := Role.Share(&conf.Config{BFDInstances: sessions, HasBFD: true})
	p.send(link.Message{Kind: link.Configure, Config: share.Config})
}

func (p *process) send(m link.Message) {
	p.t.Helper()
	if err := p.parent.Send(m); err != nil {
		p.t.Fatal(err)
	}
}

// noKind is a kind that no message of a process has.
const noKind = link.Begin

// until reads the messages of the process until there is one of a kind, or until it has
// reported the wanted states of sessions.
func (p *process) until(kind link.Kind, wanted map[string]string) {
	p.t.Helper()
	late := time.AfterFunc(2*time.Minute, func() { p.parent.Close() })
	defer late.Stop()
	for {
		if wanted != nil && fmt.Sprint(p.up) == fmt.Sprint(wanted) {
			return
		}
		m, err := p.parent.Receive()
		if err != nil {
			p.t.Fatalf("node %s: %v; it has reported %v, wanted %v", p.node.Name, err, p.up, wanted)
		}
		if m.Kind == link.Report {
			p.note(m.Event)
		}
		if m.Kind == kind {
			return
		}
	}
}

func (p *process) note(e *link.Event) {
	var s policy.Session
	_, name := policy.SubjectOf(e.Subject)
	key := e.To + " " + name
	switch {
	case e.Body == nil:
		delete(p.up, key)
	case wire.Decode(e.Body, &s) != nil:
		p.t.Errorf("report %+v", e)
	case s.Up:
		p.up[key] = "up"
	default:
		p.up[key] = "down"
	}
}

// sees waits until the process has reported these sessions, each NAME up or NAME down, to
// the roles that use them, and no others.
func (p *process) sees(sessions ...string) {
	p.t.Helper()
	wanted := map[string]string{}
	for _, s := range sessions {
		name, state, _ := strings.Cut(s, " ")
		wanted["vrrp "+name] = state
		if name != "plain" {
			wanted["checkers "+name] = state
		}
	}
	p.until(noKind, wanted)
}

func (p *process) stop() {
	p.t.Helper()
	p.send(link.Message{Kind: link.Stop})
	p.until(link.Ending, nil)
	p.parent.Close()
	if err := <-p.ended; err != nil {
		p.t.Error(err)
	}
	if _, err := os.Stat(p.setup.StateFile); err == nil {
		p.t.Error("a process that has ended its sessions leaves its state")
	}
}

// data requests the data dump.
func (p *process) data() string {
	p.t.Helper()
	p.send(link.Message{Kind: link.DumpData})
	path := filepath.Join(p.setup.DumpDir, "keepalived_bfd.data")
	var text []byte
	waitFor(p.t, "the data dump", func() bool {
		text, _ = os.ReadFile(path) // not written yet
		return strings.Contains(string(text), "Event loop")
	})
	return string(text)
}

func waitFor(t *testing.T, what string, is func() bool) {
	t.Helper()
	for patience := lab.NewPatience(30 * time.Second); !is(); time.Sleep(5 * time.Millisecond) {
		if patience.Left() <= 0 {
			t.Fatal("not in time: ", what)
		}
	}
}

// network returns two nodes with known link-local addresses.
func network(t *testing.T) (a, b *lab.Node) {
	t.Helper()
	lab.Need(t, lab.Root)
	l, err := lab.New(1, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, n := range l.Nodes {
		if err := n.IP(fmt.Sprintf("addr add fe80::%d/64 dev eth0 nodad", n.Index)); err != nil {
			t.Fatal(err)
		}
	}
	return l.Nodes[0], l.Nodes[1]
}

// capture collects the whole log, debug level included.
func capture(t *testing.T) *logtest.Log {
	log := &logtest.Log{}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Cleanup(func() { slog.SetDefault(before) })
	return log
}

// between returns a session of n with other, with the addresses that f returns.
func between(name string, n, other *lab.Node, f func(*lab.Node) netip.Addr) *conf.BFDInstance {
	b := instance(name, f(other).String())
	b.Source = f(n)
	b.Checker = name != "plain"
	return b
}

func sessions(n, other *lab.Node) (all []*conf.BFDInstance) {
	plain := between("plain", n, other, func(n *lab.Node) netip.Addr { return n.Addr(0) })
	far := between("far", n, other, func(n *lab.Node) netip.Addr { return n.Addr6(0) })
	far.MultiHop, far.TTL, far.MaxHops = true, 64, 8
	local := between("local", n, other, func(n *lab.Node) netip.Addr {
		return netip.MustParseAddr(fmt.Sprintf("fe80::%d%%eth0", n.Index))
	})
	return []*conf.BFDInstance{plain, far, local}
}

// TestProcess checks that sessions over IPv4, over multihop IPv6 and with a link-local
// neighbour come up between two processes, are reported to the roles that use them, are
// dumped, survive a reload that keeps them, and end for both when one process stops.
func TestProcess(t *testing.T) {
	a, b := network(t)
	log := capture(t)
	pa := start(t, a, sessions(a, b)...)
	pb := start(t, b, sessions(b, a)...)
	pa.sees("plain up", "far up", "local up")
	pb.sees("plain up", "far up", "local up")
	dump := pa.data()
	for _, want := range []string{"BFD Instance = plain", "BFD Instance = far", "BFD Instance = local"} {
		if !strings.Contains(dump, want) {
			t.Errorf("no %q in the dump:\n%s", want, dump)
		}
	}
	for _, want := range []string{"(plain) Starting poll sequence", "---------------< Session parameters >--------------"} {
		if log.Count(want) == 0 {
			t.Errorf("no %q in the log", want)
		}
	}

	kept := sessions(a, b)[:2]
	kept[1].TTL = 32 // the TTL of the open socket
	pa.configure(kept...)
	pa.until(link.Reloaded, nil)
	pa.sees("plain up", "far up")
	pb.sees("plain up", "far up", "local down")

	pa.stop()
	pb.sees("plain down", "far down", "local down")
	pb.stop()
	if n := log.Count("Entering Down state (Local diagnostic - Neighbor Signaled Session Down"); n < 3 {
		t.Errorf("%d sessions of b learned from their neighbour that they end", n)
	}
}

// TestLateNetwork checks that what a session needs may appear after it: its source
// address, the port of BFD while another daemon has it, the interface of its neighbour.
func TestLateNetwork(t *testing.T) {
	a, b := network(t)
	log := capture(t)
	late := netip.MustParseAddr("10.0.7.7")
	var other int
	if err := a.Do(func() (err error) {
		if other, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
			return err
		}
		return unix.Bind(other, &unix.SockaddrInet4{Port: bfd.PortControl})
	}); err != nil {
		t.Fatal(err)
	}
	sa := between("plain", a, b, func(*lab.Node) netip.Addr { return late })
	sa.Neighbor = b.Addr(0)
	away := between("away", a, b, func(n *lab.Node) netip.Addr { return netip.MustParseAddr("fe80::9%eth9") })
	pa := start(t, a, sa, away)
	sb := between("plain", b, a, func(n *lab.Node) netip.Addr { return n.Addr(0) })
	sb.Neighbor = late
	pb := start(t, b, sb)
	for _, want := range []string{
		"listen for BFD packets on port 3784: another BFD daemon has the port",
		"(plain) no socket: bind to 10.0.7.7: cannot assign requested address; tried again every 1s",
		"(away) no socket: interface eth9: no such device",
	} {
		waitFor(t, want, func() bool { return log.Count(want) > 0 })
	}
	pa.sees("plain down", "away down")
	if err := a.IP("addr add 10.0.7.7/16 dev eth0"); err != nil {
		t.Fatal(err)
	}
	unix.Close(other)
	pa.sees("plain up", "away down")
	pb.sees("plain up")
	if n := log.Count("(plain) socket opened"); n != 1 {
		t.Errorf("%d times: (plain) socket opened", n)
	}
	if n := log.Count("(plain) no socket"); n != 1 {
		t.Errorf("%d times: (plain) no socket", n)
	}
	pa.stop()
	pb.stop()
}

// TestRunWithoutParent checks that a process whose parent ends before there is a
// configuration ends with an error.
func TestRunWithoutParent(t *testing.T) {
	parent, child := linktest.Pair(t)
	parent.Close()
	if err := Run(Options{Link: child}); err == nil {
		t.Error("it ends as if it had been asked to")
	}
}

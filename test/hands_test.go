package test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// largeBuffer sets the receive buffer of a socket large enough for packets that this process
// reads some seconds late.
func largeBuffer(raw syscall.RawConn) (err error) {
	failed := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 32<<20) })
	return errors.Join(err, failed)
}

// pingClient is a client that sends a numbered ICMP echo request every millisecond. Kernels
// answer these at once, whereas an answering program might get no processor until the
// node has removed the address.
type pingClient struct {
	conn     net.PacketConn
	sent     atomic.Uint32
	answered [1 << 20]atomic.Bool
	stopped  chan struct{}
	ended    chan struct{}
}

func (s *scene) pingClient(node string, to netip.Addr) *pingClient {
	s.Helper()
	c := &pingClient{stopped: make(chan struct{}), ended: make(chan struct{})}
	listen := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error { return largeBuffer(raw) }}
	s.must(s.Node(node).Do(func() (err error) {
		c.conn, err = listen.ListenPacket(context.Background(), "ip4:icmp", "0.0.0.0")
		return err
	}))
	s.Cleanup(func() { c.conn.Close() })
	go func() {
		defer close(c.ended)
		begun := time.Now()
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-c.stopped:
				return
			case <-tick.C:
			}
			for want := uint32(time.Since(begun) / time.Millisecond); c.sent.Load() < want && want < uint32(len(c.answered)); {
				number := binary.BigEndian.AppendUint32(nil, c.sent.Load())
				request, err := (&icmp.Message{Type: ipv4.ICMPTypeEcho, Body: &icmp.Echo{ID: 7, Data: number}}).Marshal(nil)
				if err == nil {
					_, _ = c.conn.WriteTo(request, &net.IPAddr{IP: to.AsSlice()}) // a request that is not sent is lost, and counted
				}
				c.sent.Add(1)
			}
		}
	}()
	go func() {
		b := make([]byte, 64)
		for {
			n, _, err := c.conn.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			reply, err := icmp.ParseMessage(1, b[:n]) // of IPv4
			if err != nil {
				continue
			}
			if echo, ok := reply.Body.(*icmp.Echo); ok && reply.Type == ipv4.ICMPTypeEchoReply && len(echo.Data) == 4 {
				c.answered[binary.BigEndian.Uint32(echo.Data)].Store(true)
			}
		}
	}()
	return c
}

// missing returns the requests without an answer so far.
func (c *pingClient) missing() (list []uint32) {
	for n := range c.sent.Load() {
		if !c.answered[n].Load() {
			list = append(list, n)
		}
	}
	return list
}

// stop ends the requests.
func (c *pingClient) stop() {
	close(c.stopped)
	<-c.ended
}

// servedPair is a master, a, with a backup, b, and a client that sends requests to their
// address.
type servedPair struct {
	*scene
	a, b   *lab.Daemon
	text   string // the configuration of a
	client *pingClient
}

// newServedPair starts a pair. b runs the program other; words are added to global_defs
// of a.
func newServedPair(t *testing.T, other lab.Program, words string) *servedPair {
	t.Helper()
	lab.Need(t, lab.Root, lab.Peer)
	s := newScene(t, "a", "b", "client")
	in := instance{Name: "web", Interval: 500 * time.Millisecond}
	p := &servedPair{scene: s, text: configWith(words, in.at(150))}
	p.a = s.start("a", ours, p.text)
	s.awaitOwner(vip, 12*time.Second, "a")
	p.b = s.start("b", other, config(in.at(100)))
	s.stays(vip, "a", 1500*time.Millisecond)
	p.client = s.pingClient("client", vip)
	p.awaitRequests(1000)
	return p
}

// awaitRequests waits until the client has sent n more requests.
func (p *servedPair) awaitRequests(n uint32) {
	p.Helper()
	sent := p.client.sent.Load()
	if !p.Until(20*time.Second, func() bool { return p.client.sent.Load() > sent+n }) {
		p.Fatal("the client does not send")
	}
}

// loseNothing ends the requests some time after b has begun to serve, and checks that
// each has an answer.
func (p *servedPair) loseNothing() {
	p.Helper()
	p.awaitRequests(1000)
	p.client.stop()
	p.Until(5*time.Second, func() bool { return len(p.client.missing()) == 0 })
	if lost := p.client.missing(); len(lost) > 0 {
		p.Errorf("%d of %d requests are lost: %v", len(lost), p.client.sent.Load(), lost[:min(len(lost), 20)])
	}
	p.awaitOwner(vip, 3*time.Second, "b")
}

// TestSwitchover checks that a client with 1,000 requests a second loses none in a
// planned switchover, to our daemon and to the C daemon, and that the node does not take
// over again, even when it is restarted, until it is released.
func TestSwitchover(t *testing.T) {
	differs(t, "knows no switchover")
	t.Parallel()
	for name, other := range map[string]lab.Program{"ours": ours, "C": lab.C()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newServedPair(t, other, "")
			s, a, b, text := p.scene, p.a, p.b, p.text
			s.prints(a, 0, "switchover --reason maintenance web", " has taken over web, with priority 100; this node leaves it alone until it is released.")
			p.loseNothing()

			s.prints(a, 0, "history web", "handed-over: switchover: ", "done: asked for by uid 0", ": maintenance")
			s.prints(a, 0, "explain web", "After a switchover of web this node leaves the other master alone, as asked for ", ": maintenance; keepalived release web ends that.", "a switchover: ")
			s.prints(a, 1, "status --check", "WARNING")
			s.must(syscall.Kill(a.VRRPPid(), syscall.SIGKILL))
			s.must(a.Reload(text))
			s.stays(vip, "b", 2500*time.Millisecond)
			s.prints(a, 1, "switchover web", "is BACKUP; only a master can hand over")
			s.prints(a, 0, "release web", "switchover of web is released.")
			s.awaitOwner(vip, 12*time.Second, "a")
			s.prints(a, 1, "release web", "nothing is held or changed")
			s.prints(a, 0, "hold --for 1h web", "web stays BACKUP for 1h0m0s; it has made way, as it was MASTER.")
			s.awaitOwner(vip, 6*time.Second, "b")
			s.must(b.Stop())
			s.must(a.Stop())
			a, err := s.Node("a").StartIn(a.Dir, ours, text)
			s.must(err)
			s.daemons = append(s.daemons, a)
			s.prints(a, 0, "explain web", "An operator holds web in BACKUP, as asked for ")
			s.prints(a, 0, "priority web +7", "the priority of web is 157: 150 + 7 (operator) = 157 until it is released.")
			s.prints(a, 0, "status", "An operator has changed the priority of web by +7")
			s.prints(a, 0, "release web", "hold and priority of web is released.")
			s.awaitOwner(vip, 12*time.Second, "a")
			s.prints(a, 1, "switchover web", "no other node has taken over web within ")
		})
	}
}

// TestStopHandsOver checks that with stop_handover a client with 1,000 requests a second
// loses none when the master is stopped, with a C daemon as backup.
func TestStopHandsOver(t *testing.T) {
	differs(t, "sends priority 0")
	t.Parallel()
	p := newServedPair(t, lab.C(), "stop_handover 10")
	s, a := p.scene, p.a
	s.must(a.Signal(syscall.SIGTERM))
	s.must(a.Wait(20 * time.Second))
	p.loseNothing()
	if !a.Logged(a.Started, "(web) Entering BACKUP STATE (switchover: "+s.Node("b").Addr(0).String()+" has taken over with priority 100)") {
		t.Error("the log does not name who has taken over")
	}
}

// TestDryRun checks that reload --dry-run shows what a reload would change, and changes
// nothing.
func TestDryRun(t *testing.T) {
	differs(t, "cannot say what a reload would change")
	t.Parallel()
	s := newScene(t, "a")
	in := instance{Name: "web", Interval: 100 * time.Millisecond}
	d := s.start("a", ours, config(in.at(150)))
	s.awaitOwner(vip, 12*time.Second, "a")
	s.prints(d, 0, "reload --dry-run", "would change nothing.")
	s.must(d.Configure(config(in.at(120)) + virtual("10.0.0.9 80", "protocol TCP", "lb_algo rr", server("10.1.0.1 80"))))
	s.prints(d, 0, "reload --dry-run", "vrrp_instance web\n", "priority 150 → 120\n", "web ", " changes, and keeps its state\n", "checkers ", " is started\n")
	s.prints(d, 0, "reload --dry-run -o json", `"effect": "changes, and keeps its state"`)
	s.must(d.Configure("vrrp_instance web {"))
	s.prints(d, 1, "reload --dry-run", "would be refused: the file ends inside a block", "keepalived reload: the reload would be refused")
	s.prints(d, 0, "history", "plan", "done: asked for by uid 0")
	s.prints(d, 0, "status -o json", `"reloads": 0`)
	if d.Logged(d.Started, "Reloading") {
		t.Error("it has reloaded")
	}
}

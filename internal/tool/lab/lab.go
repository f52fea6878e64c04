// Package lab builds small networks out of namespaces, runs real daemons in
// them, and keeps a timeline of what happened on the wire and in the kernels.
// The tests, the benchmark and the demo use it.
//
//	  node a           node b        each a thread in its own network and
//	eth0   eth1      eth0   eth1     mount namespace, with a private /run
//	 |       \        /       |
//	 |        \      /        |
//	a.0       a.1  b.1       b.0     ports
//	 |          \  /          |
//	 +---- br0 --\/-----------+      the switch: one namespace,
//	             br1                 a bridge for each segment
//
// Node number i (from 1) has 10.k.0.i/16 and fd00:k::i/64 on its interface
// ethk. Frames are recorded where they enter the switch, once each, with the
// kernel's receive time. Address changes are recorded from each node's own
// netlink events.
//
// Namespaces have no names: they end with their threads, and programs started in them end
// with the thread that started them. So even a killed test leaves no namespace, link or
// process behind.
package lab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Lab is one network.
type Lab struct {
	Dir   string // temporary directory, removed by Close
	Nodes []*Node

	sw       *thread
	segments int
	capture  *capture

	mu      sync.Mutex
	events  []Event
	frames  []frame
	changed chan struct{} // closed on the next event or log line; nil: nothing waits
	failure error         // a recorder lost an event

	drops map[string][2]bool // ports that drop incoming and outgoing frames

	closed   sync.Once
	closeErr error
}

// New builds a network of the named nodes, joined by a number of segments.
func New(segments int, names ...string) (*Lab, error) {
	// Children of killed daemons must not depend on init to be reaped.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("become the reaper of orphans: %w", err)
	}
	watchPressure()
	dir, err := os.MkdirTemp("", "keepalived-lab-")
	if err != nil {
		return nil, err
	}
	l := &Lab{Dir: dir, segments: segments, drops: map[string][2]bool{}}
	if err := l.build(names); err != nil {
		l.Close()
		return nil, fmt.Errorf("build lab: %w", err)
	}
	return l, nil
}

func (l *Lab) build(names []string) error {
	var err error
	if l.sw, err = newThread(unix.CLONE_NEWNET, prepareNetwork); err != nil {
		return err
	}
	for i, name := range names {
		n, err := newNode(l, name, i+1)
		if err != nil {
			return err
		}
		l.Nodes = append(l.Nodes, n)
	}

	// Bridges first: the capture distinguishes them from ports by their lower indexes.
	var plan strings.Builder
	for k := range l.segments {
		fmt.Fprintf(&plan, "link add br%d type bridge mcast_snooping 0 forward_delay 0\nlink set br%d up\n", k, k)
	}
	if err := l.sw.ipBatch(plan.String()); err != nil {
		return err
	}
	for _, n := range l.Nodes {
		plan.Reset()
		for k := range l.segments {
			fmt.Fprintf(&plan, "link add %s type veth peer name eth%d netns /proc/%d/fd/%d\n", n.port(k), k, os.Getpid(), n.thread.netns.Fd())
			fmt.Fprintf(&plan, "link set %s master br%d up\n", n.port(k), k)
		}
		if err := l.sw.ipBatch(plan.String()); err != nil {
			return err
		}
		if err := n.configure(l.segments); err != nil {
			return err
		}
	}
	if l.capture, err = openCapture(l); err != nil {
		return err
	}
	for _, n := range l.Nodes {
		if n.watch, err = openWatch(l, n); err != nil {
			return err
		}
	}
	for _, n := range l.Nodes {
		if err := n.settle(l.segments); err != nil {
			return err
		}
	}
	return nil
}

// Close kills every process in the namespaces and releases all resources. It may be
// called repeatedly, and by several goroutines.
func (l *Lab) Close() error {
	l.closed.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Lab) close() error {
	for _, n := range l.Nodes {
		n.killAll()
		n.watch.close()
	}
	l.capture.close()
	for _, n := range l.Nodes {
		n.thread.close()
	}
	l.sw.close()
	return os.RemoveAll(l.Dir)
}

// Node returns the node with a name.
func (l *Lab) Node(name string) *Node {
	for _, n := range l.Nodes {
		if n.Name == name {
			return n
		}
	}
	panic("lab: no node " + name)
}

// IP runs one ip(8) command in the switch.
func (l *Lab) IP(args string) error { return l.sw.ipBatch(args + "\n") }

// setDrops sets whether a port of the switch drops incoming and outgoing frames.
func (l *Lab) setDrops(port string, in, out bool) error {
	l.drops[port] = [2]bool{in, out}
	rules := "add table bridge lab\nadd chain bridge lab forward { type filter hook forward priority 0; }\nflush chain bridge lab forward\n"
	for port, drop := range l.drops {
		for i, key := range []string{"iifname", "oifname"} {
			if drop[i] {
				rules += fmt.Sprintf("add rule bridge lab forward %s %q drop\n", key, port)
			}
		}
	}
	c := exec.Command("nft", "-f", "-")
	c.Stdin = strings.NewReader(rules)
	_, err := l.sw.runCommand(c)
	return err
}

// Err returns an error if a recorder lost an event. If it returns nil, the timeline is
// complete.
func (l *Lab) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.failure
}

// SegmentAddr returns the IPv4 address of host number host (0 to 65535) in segment k.
func SegmentAddr(k, host int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, byte(k), byte(host >> 8), byte(host)})
}

// SegmentAddr6 returns the IPv6 address of host number host (0 to 65535) in segment k.
func SegmentAddr6(k, host int) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfd, 3: byte(k), 14: byte(host >> 8), 15: byte(host)})
}

// prepareNetwork configures a new network namespace, on its own thread.
func prepareNetwork() error {
	for _, conf := range []string{"all", "default"} {
		// A link-local address can be used at once, not after a second of duplicate
		// address detection.
		path := "/proc/sys/net/ipv6/conf/" + conf + "/accept_dad"
		if err := os.WriteFile(path, []byte("0"), 0); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Elapsed formats a duration for reports: microseconds below 10 ms.
func Elapsed(d time.Duration) string {
	if d.Abs() < 10*time.Millisecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}

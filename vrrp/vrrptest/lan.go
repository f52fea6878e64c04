// Package vrrptest simulates VRRP nodes, in virtual time, in networks with loss, delay
// and cuts. Nothing is mocked: the nodes run the engine of package vrrp and exchange the
// bytes that it encodes. A run depends on the seed alone.
//
// Besides the Go interface there is a small language for scenarios; see [Play].
package vrrptest

import (
	"cmp"
	"container/heap"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"keepalived-go/vrrp"
)

// LAN is a set of nodes, the segments that join them, and the time.
type LAN struct {
	Now   time.Duration
	Nodes []*Node

	// Loss is the probability, from 0 to 1, that a packet to one receiver is lost.
	Loss float64
	// MinDelay and MaxDelay bound the time that a packet takes. Packets from one router
	// to another keep their order.
	MinDelay, MaxDelay time.Duration

	// Observe, if not nil, is called after each step with the actions of the step.
	Observe func(n *Node, ev vrrp.Event, actions []vrrp.Action)

	rand    *rand.Rand
	cuts    map[path]bool
	flights flights
	serial  int
	tape    map[*Router][][]byte // the packets recorded of each router
}

// path is a way from one router to another; empty names mean any.
type path struct{ from, to string }

// New returns a network without nodes.
func New(seed uint64) *LAN {
	return &LAN{
		MinDelay: 100 * time.Microsecond,
		MaxDelay: 300 * time.Microsecond,
		rand:     rand.New(rand.NewPCG(seed, 0)),
		cuts:     map[path]bool{},
	}
}

// Add adds a node that is not started. Its routers are named NODE/INSTANCE, or like the
// node if there is only one.
func (l *LAN) Add(name string, routers ...Router) *Node {
	n := &Node{Name: name, lan: l}
	for _, r := range routers {
		if len(routers) == 1 {
			r.Name = name
		} else {
			r.Name = name + "/" + r.Config.Name
		}
		r.Config.Name = r.Name
		r.node = n
		n.Routers = append(n.Routers, &r)
	}
	l.Nodes = append(l.Nodes, n)
	return n
}

// Node returns the node with that name, or nil.
func (l *LAN) Node(name string) *Node {
	k := slices.IndexFunc(l.Nodes, func(n *Node) bool { return n.Name == name })
	if k < 0 {
		return nil
	}
	return l.Nodes[k]
}

// Router returns the router with that name, or nil.
func (l *LAN) Router(name string) *Router {
	for _, n := range l.Nodes {
		for _, r := range n.Routers {
			if r.Name == name {
				return r
			}
		}
	}
	return nil
}

// Cut cuts the way between two nodes or routers in both directions; an empty
// name means all others.
func (l *LAN) Cut(a, b string) {
	l.cuts[path{a, b}] = true
	l.cuts[path{b, a}] = true
}

// CutOneWay cuts the way from one node or router to another.
func (l *LAN) CutOneWay(from, to string) { l.cuts[path{from, to}] = true }

// Heal ends all cuts.
func (l *LAN) Heal() { clear(l.cuts) }

// Hears reports whether packets of from can reach to: both are on one segment, and no cut
// is between them.
func (l *LAN) Hears(to, from *Router) bool {
	for _, f := range [...]string{"", from.Name, from.node.Name} {
		for _, t := range [...]string{"", to.Name, to.node.Name} {
			if l.cuts[path{f, t}] {
				return false
			}
		}
	}
	return from.Segment == to.Segment
}

// Run advances the time by d.
func (l *LAN) Run(d time.Duration) { l.RunUntil(d, func() bool { return false }) }

// RunUntil advances the time until done returns true, by at most d. It returns the time
// that passed and the last result of done, which is called after each event.
func (l *LAN) RunUntil(d time.Duration, done func() bool) (time.Duration, bool) {
	start := l.Now
	end := start + d
	for {
		if done() {
			return l.Now - start, true
		}
		if !l.next(end) {
			l.Now = end
			return d, false
		}
	}
}

// next processes the next event, unless it is later than end.
func (l *LAN) next(end time.Duration) bool {
	var due *Router
	at := end + 1
	for _, n := range l.Nodes {
		for _, r := range n.Routers {
			if d, ok := r.deadline(); ok && d < at {
				at, due = d, r
			}
		}
	}
	if len(l.flights) > 0 && l.flights[0].at <= at {
		f := heap.Pop(&l.flights).(flight)
		if f.at > end {
			heap.Push(&l.flights, f)
			return false
		}
		l.Now = max(l.Now, f.at)
		f.to.arrive(f)
		return true
	}
	if due == nil {
		return false
	}
	l.Now = max(l.Now, at)
	due.step(vrrp.Event{Kind: vrrp.Expiry})
	return true
}

// send sends one packet to every receiver on the segment.
func (l *LAN) send(from *Router, dst netip.Addr, b []byte) {
	b = slices.Clone(b)
	if tape, on := l.tape[from]; on {
		l.tape[from] = append(tape, b)
	}
	for _, n := range l.Nodes {
		for _, to := range n.Routers {
			if to == from || n == from.node || to.Segment != from.Segment ||
				to.Config.VRID != from.Config.VRID ||
				!dst.IsMulticast() && dst != to.Source {
				continue
			}
			delay := l.MinDelay
			if l.MaxDelay > l.MinDelay {
				delay += time.Duration(l.rand.Int64N(int64(l.MaxDelay - l.MinDelay)))
			}
			if !l.Hears(to, from) {
				continue
			}
			if l.Loss > 0 && l.rand.Float64() < l.Loss {
				to.Lost = l.Now
				continue
			}
			at := max(l.Now+delay, to.latest[from])
			if to.latest == nil {
				to.latest = map[*Router]time.Duration{}
			}
			to.latest[from] = at
			l.serial++
			heap.Push(&l.flights, flight{at, l.serial, to, from.Source, dst, from.Instance.Config().TTL, b})
		}
	}
}

// Record starts recording the packets that r sends, for Replay.
func (l *LAN) Record(r *Router) {
	if l.tape == nil {
		l.tape = map[*Router][][]byte{}
	}
	l.tape[r] = [][]byte{}
}

// Replay repeats the recorded packets of r from a foreign node on the segment, one after
// the other, starting now, at intervals of every. They reach all routers, r itself
// included.
func (l *LAN) Replay(r *Router, every time.Duration) {
	at := l.Now
	for _, b := range l.tape[r] {
		l.inject(r, at, b)
		at += every
	}
}

// inject delivers at a given time, to all routers on the segment of r, a packet that
// claims to come from r.
func (l *LAN) inject(r *Router, at time.Duration, b []byte) {
	for _, n := range l.Nodes {
		for _, to := range n.Routers {
			if to.Segment == r.Segment && to.Config.VRID == r.Config.VRID {
				l.serial++
				heap.Push(&l.flights, flight{at, l.serial, to, r.Source, r.Config.Group, 255, b})
			}
		}
	}
}

// Masters returns the routers on a segment that are MASTER on running nodes.
func (l *LAN) Masters(segment string) (masters []*Router) {
	for _, n := range l.Nodes {
		for _, r := range n.Routers {
			if r.Segment == segment && n.Running() && r.Instance.State() == vrrp.Master {
				masters = append(masters, r)
			}
		}
	}
	return masters
}

// flight is a packet in transit.
type flight struct {
	at       time.Duration
	serial   int
	to       *Router
	src, dst netip.Addr
	ttl      uint8
	bytes    []byte
}

type flights []flight

func (f flights) Len() int { return len(f) }
func (f flights) Less(a, b int) bool {
	return cmp.Or(cmp.Compare(f[a].at, f[b].at), cmp.Compare(f[a].serial, f[b].serial)) < 0
}
func (f flights) Swap(a, b int) { f[a], f[b] = f[b], f[a] }
func (f *flights) Push(x any)   { *f = append(*f, x.(flight)) }
func (f *flights) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// epoch is the wall clock at time zero.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func (l *LAN) String() string {
	s := fmt.Sprintf("at %v:", l.Now)
	for _, n := range l.Nodes {
		for _, r := range n.Routers {
			s += fmt.Sprintf(" %s=%v", r.Name, r.State())
		}
	}
	return s
}

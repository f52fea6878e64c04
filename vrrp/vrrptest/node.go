package vrrptest

import (
	"fmt"
	"net/netip"
	"time"

	"keepalived-go/vrrp"
)

// Node is a machine with a daemon that can be started, stopped, killed and suspended.
type Node struct {
	Name    string
	Routers []*Router
	Sync    bool          // its routers form a sync group
	Skew    time.Duration // of its wall clock

	lan     *LAN
	running bool
	paused  bool
}

// Router is one virtual router on a node.
type Router struct {
	Name    string
	Segment string
	Source  netip.Addr
	Config  vrrp.Config
	Faults  vrrp.Faults // as the driver of the node sees them

	Instance *vrrp.Instance // nil before the first start
	Holds    bool           // the node holds the virtual addresses
	Lost     time.Duration  // when a packet to this router was last lost
	Since    time.Duration  // when its state last changed

	node     *Node
	initial  vrrp.Config // of the last start
	snapshot vrrp.Snapshot
	pending  []vrrp.Event // events while the node was suspended
	backlog  []flight     // packets that arrived meanwhile
	latest   map[*Router]time.Duration
	out      []vrrp.Action
	steps    []recorded
}

// recorded is one step, for Replay.
type recorded struct {
	now     time.Duration
	event   vrrp.Event
	actions []string
}

// backlogLimit is the number of packets that the socket of a suspended node holds.
const backlogLimit = 32

// Running reports whether the daemon runs and is not suspended.
func (n *Node) Running() bool { return n.running && !n.paused }

// State returns the state, or Init if the daemon does not run.
func (r *Router) State() vrrp.State {
	if !r.node.running {
		return vrrp.Init
	}
	return r.Instance.State()
}

// Node returns the node of the router.
func (r *Router) Node() *Node { return r.node }

// members returns the routers that share the state of r.
func (n *Node) members(r *Router) []*Router {
	if n.Sync {
		return n.Routers
	}
	return []*Router{r}
}

// Start starts the daemon. With resume it finds the state that Kill left.
func (n *Node) Start(hold time.Duration, resume bool) {
	if n.running {
		return
	}
	n.running, n.paused = true, false
	var members []*vrrp.Instance
	for _, r := range n.Routers {
		r.Instance = vrrp.New(r.Config)
		r.pending, r.backlog, r.steps, r.initial = nil, nil, nil, r.Config
		r.Holds = r.Holds && resume
		members = append(members, r.Instance)
	}
	if n.Sync {
		vrrp.NewSyncGroup(n.Name, false, members...)
	}
	for _, r := range n.Routers {
		r.step(vrrp.Event{Kind: vrrp.SourceChanged, Source: r.Source})
		r.step(vrrp.Event{Kind: vrrp.FaultsChanged, Faults: r.Faults})
	}
	for _, r := range n.Routers {
		ev := vrrp.Event{Kind: vrrp.Start, Hold: hold}
		if resume {
			s := r.snapshot
			ev.Resume = &s
		}
		r.step(ev)
	}
}

// Stop stops the daemon properly.
func (n *Node) Stop() {
	if !n.running {
		return
	}
	n.Continue()
	for _, r := range n.Routers {
		r.step(vrrp.Event{Kind: vrrp.Shutdown})
	}
	n.running = false
}

// Kill ends the daemon at once. The addresses stay.
func (n *Node) Kill() {
	if !n.running {
		return
	}
	for _, r := range n.Routers {
		r.snapshot = r.Instance.Snapshot()
	}
	n.running, n.paused = false, false
}

// Pause suspends the daemon.
func (n *Node) Pause() { n.paused = n.running }

// Continue ends Pause. The seed decides whether a router processes its packets or its
// timer first, as the kernel would.
func (n *Node) Continue() {
	if !n.paused {
		return
	}
	n.paused = false
	for _, r := range n.Routers {
		if d, ok := r.Instance.Deadline(); ok && d <= n.lan.Now && n.lan.rand.IntN(2) == 0 {
			r.step(vrrp.Event{Kind: vrrp.Expiry})
		}
		pending, backlog := r.pending, r.backlog
		r.pending, r.backlog = nil, nil
		for _, ev := range pending {
			r.step(ev)
		}
		for _, f := range backlog {
			r.arrive(f)
		}
	}
}

// Reload gives the router another configuration.
func (r *Router) Reload(c vrrp.Config) {
	c.Name = r.Name
	r.Config = c
	r.Step(vrrp.Event{Kind: vrrp.Reconfigure, Config: &c})
}

// SetFaults sets the faults of a router.
func (r *Router) SetFaults(f vrrp.Faults) {
	r.Faults = f
	r.Step(vrrp.Event{Kind: vrrp.FaultsChanged, Faults: f})
}

// Step gives an event to the router if its daemon runs. A suspended daemon gets the event
// when it continues.
func (r *Router) Step(ev vrrp.Event) {
	switch {
	case r.node.paused:
		r.pending = append(r.pending, ev)
	case r.node.running:
		r.step(ev)
	}
}

func (r *Router) deadline() (time.Duration, bool) {
	if !r.node.Running() {
		return 0, false
	}
	return r.Instance.Deadline()
}

// arrive takes a packet from the segment.
func (r *Router) arrive(f flight) {
	switch {
	case !r.node.running:
		return
	case r.node.paused:
		if len(r.backlog) < backlogLimit {
			r.backlog = append(r.backlog, f)
		}
		return
	}
	var p vrrp.Packet
	var reject vrrp.Reject
	if r.Config.Family == vrrp.IPv6 {
		reject = vrrp.ParseIPv6(f.src, f.dst, f.ttl, f.bytes, &p)
	} else {
		reject = vrrp.ParseIPv4(f.bytes, &p)
	}
	if reject == vrrp.RejectNone {
		r.step(vrrp.Event{Kind: vrrp.Received, Packet: &p})
	}
}

// step is the driver: it steps the engine and carries out its actions.
func (r *Router) step(ev vrrp.Event) {
	l := r.node.lan
	ev.Wall = epoch.Add(l.Now + r.node.Skew)
	r.out = r.Instance.Step(l.Now, ev, r.out[:0])
	rec := recorded{now: l.Now, event: ev}
	if ev.Packet != nil {
		p := *ev.Packet // its bytes are shared with the flight
		rec.event.Packet = &p
	}
	for _, a := range r.out {
		rec.actions = append(rec.actions, a.String())
		r.node.act(a)
	}
	r.steps = append(r.steps, rec)
	if l.Observe != nil {
		l.Observe(r.node, ev, r.out)
	}
	for _, m := range r.node.Routers {
		if s := m.Instance.State(); m.Holds != (s == vrrp.Master || m.Instance.Lingers()) && s != vrrp.Init {
			panic(fmt.Sprintf("%v: %s is %v and holds its addresses: %v", l.Now, m.Name, s, m.Holds))
		}
	}
}

// act carries out one action.
func (n *Node) act(a vrrp.Action) {
	if a.Instance == nil {
		return
	}
	var r *Router
	for _, r = range n.Routers {
		if r.Instance == a.Instance {
			break
		}
	}
	switch a.Kind {
	case vrrp.SendAdvert:
		wall := epoch.Add(n.lan.Now + n.Skew)
		if !r.Config.Unicast {
			n.lan.send(r, r.Config.Group, a.Instance.Advert(-1, a.Priority, wall))
		}
		for k, p := range r.Config.Peers {
			n.lan.send(r, p.Addr, a.Instance.Advert(k, a.Priority, wall))
		}
	case vrrp.SetAddresses:
		r.Holds = true
	case vrrp.ClearAddresses:
		r.Holds = false
	case vrrp.Transition:
		r.Since = n.lan.Now
	}
}

// Replay replays to new instances all events that the node has had since its last start,
// and returns the first difference between their actions and the recorded ones, or nil.
// It leaves out members of a sync group, which act on one another's events.
func (n *Node) Replay() error {
	if n.Sync {
		return nil
	}
	for _, r := range n.Routers {
		i := vrrp.New(r.initial)
		for k, s := range r.steps {
			var got []string
			for _, a := range i.Step(s.now, s.event, nil) {
				got = append(got, a.String())
				if a.Kind == vrrp.SendAdvert { // this counts the packets
					for peer := range max(1, len(i.Config().Peers)) {
						if !i.Config().Unicast {
							peer = -1
						}
						i.Advert(peer, a.Priority, s.event.Wall)
					}
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(s.actions) {
				return fmt.Errorf("step %d of %s, %v at %v: got %v, had %v", k, r.Name, s.event, s.now, got, s.actions)
			}
		}
	}
	return nil
}

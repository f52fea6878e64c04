package bfdd

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"keepalived-go/bfd"
	"keepalived-go/conf"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/proc/session"
	"keepalived-go/internal/proc/statefile"
)

// daemon is the state of the process. All of it belongs to the loop.
type daemon struct {
	Options

	loop    *loop.Loop
	session *session.Session
	emit    func(link.Message) bool // reports to the parent, unless it does not read
	conf    *conf.Config            // in force

	peers     []*peer // in the order of the configuration
	leaving   []*peer // not configured any more; their neighbours are being informed
	byDiscr   map[uint32]*peer
	bySource  map[source]*peer // of peers
	listeners map[listenerKey]*listener
	in        *inBuffers
	actions   []bfd.Action // room for those of a step

	news    []*peer    // sessions whose change has not been reported
	resend  loop.Timer // for news that the parent did not take
	retry   loop.Timer // for listeners that could not be opened
	saver   statefile.Saver
	reloads int // so far

	stopping bool
	err      error // that ends the process
}

// identity is what a session is known by in any configuration.
type identity struct {
	Neighbor, Source netip.Addr
	MultiHop         bool
}

func identityOf(b *conf.BFDInstance) identity {
	return identity{b.Neighbor, b.Source, b.MultiHop}
}

// source is what a packet is known by that does not name our discriminator (RFC 5881,
// 3; RFC 5883, 4).
type source struct {
	addr     netip.Addr // without a zone
	link     uint32     // index of the interface of a link-local address; else 0
	multihop bool
}

// peer is a session with its neighbour.
type peer struct {
	conf   *conf.BFDInstance
	engine *bfd.Session
	timer  loop.Timer
	out    outSocket

	reported     bool          // whether it is up, as reported last
	everReported bool          // its state has been reported at least once
	pending      bool          // it is among news
	left         bool          // it is among leaving, and no process here uses its state
	since        time.Duration // when it was
	silent       time.Duration // how long, when the detection time was over last
	// unknown means that a predecessor had it, and since then it has not been up: it
	// may have been, after the predecessor had written that it was not. It is reported
	// again when that is decided, which patience limits.
	unknown  bool
	patience loop.Timer

	refused uint64 // reasons for which a packet was dropped and reported, since the last transition
}

func newDaemon(o Options) *daemon {
	d := &daemon{
		Options: o, conf: &conf.Config{},
		byDiscr: map[uint32]*peer{}, bySource: map[source]*peer{}, listeners: map[listenerKey]*listener{},
		in: newInBuffers(), actions: make([]bfd.Action, 0, 16),
	}
	d.resend.Expire = func(time.Duration) {} // the end of the turn does it
	d.retry.Expire = func(time.Duration) { d.listen() }
	d.saver = statefile.Saver{Path: o.StateFile, Delay: saveDelay, Collect: d.state, Lost: "after a crash all sessions begin again"}
	return d
}

// turn is one turn of the loop. Packets come before timers: a process that did not
// run for a while takes no session down whose packets have arrived.
func (d *daemon) turn() {
	if err := d.loop.Wait(); err != nil {
		d.err = err
		return
	}
	d.loop.Expire()
	d.spread()
}

// step gives the engine of p an event and does, in order, what it asks for.
func (d *daemon) step(p *peer, now time.Duration, ev bfd.Event) {
	d.actions = p.engine.Step(now, ev, d.actions[:0])
	for i := range d.actions {
		d.carryOut(p, &d.actions[i])
	}
	if at, runs := p.engine.Deadline(); runs {
		d.loop.Set(&p.timer, at)
	} else {
		d.loop.Stop(&p.timer)
	}
}

func (d *daemon) carryOut(p *peer, a *bfd.Action) {
	switch a.Kind {
	case bfd.SendControl:
		d.send(p, a)
	case bfd.Transition:
		p.refused = 0
		p.logTransition(a)
		d.changed(p)
		d.stateChanged()
	case bfd.Expired:
		p.silent = a.Time
		p.logExpired(a)
	case bfd.PollBegun:
		p.logPoll()
	case bfd.TimersChanged:
		p.logParameters(a)
		d.stateChanged()
	case bfd.IntervalSet, bfd.PollEnded, bfd.NeighborKnown:
		d.stateChanged()
	case bfd.Stopped:
		d.drop(p)
	}
}

// reload makes c the configuration in force. Sessions that are in both continue.
func (d *daemon) reload(c *conf.Config, before left) {
	running := make(map[identity]*peer, len(d.peers))
	for _, p := range d.peers {
		running[identityOf(p.conf)] = p
	}
	first := len(d.conf.BFDInstances) == 0 && d.peers == nil
	d.conf = c
	d.peers = make([]*peer, 0, len(c.BFDInstances))
	now := d.loop.Now()
	wanted := make(map[identity]bool, len(c.BFDInstances))
	for _, b := range c.BFDInstances {
		wanted[identityOf(b)] = true
	}
	for id, p := range running {
		if !wanted[id] {
			d.leave(p, now, maxGoodbye)
		}
	}
	for _, b := range c.BFDInstances {
		id := identityOf(b)
		p := running[id]
		if p == nil {
			d.makeRoom(id)
			p = d.newPeer(b)
			d.peers = append(d.peers, p)
			d.start(p, now, before[id])
			continue
		}
		delete(running, id)
		d.peers = append(d.peers, p)
		d.reconfigure(p, now, b)
	}
	d.index()
	d.listen()
	if !first || before != nil {
		d.stateChanged()
	}
}

// newPeer returns a session that has not begun.
func (d *daemon) newPeer(b *conf.BFDInstance) *peer {
	p := &peer{conf: b}
	p.out.fd = -1
	p.timer.Expire = func(at time.Duration) { d.step(p, at, bfd.Event{Kind: bfd.Expiry}) }
	p.out.retry.Expire = func(time.Duration) { d.open(p) }
	p.patience.Expire = func(time.Duration) { d.decided(p) }
	return p
}

// start begins a session, as its predecessor left it if there was one.
func (d *daemon) start(p *peer, now time.Duration, left *sessionState) {
	c := policy.SessionConfig(p.conf)
	var before *bfd.Snapshot
	if left != nil && d.byDiscr[left.Snapshot.Discriminator] == nil && left.Snapshot.Discriminator != 0 {
		before = &left.Snapshot
		p.out.port = left.Port
		p.unknown = true
	}
	c.Seed = random()
	for c.Discriminator == 0 || d.byDiscr[c.Discriminator] != nil {
		c.Discriminator = uint32(random())
	}
	p.engine = bfd.New(c)
	d.open(p)
	d.step(p, now, bfd.Event{Kind: bfd.Start, Resume: before})
	d.byDiscr[p.engine.Config().Discriminator] = p
	if p.unknown {
		d.loop.Set(&p.patience, now+time.Duration(p.conf.Multiplier)*p.conf.IdleTx)
		return
	}
	d.changed(p)
}

// random is a number of a cryptographic source.
func random() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return binary.NativeEndian.Uint64(b[:])
}

func (d *daemon) reconfigure(p *peer, now time.Duration, b *conf.BFDInstance) {
	was := p.conf
	p.conf = b
	if was.Name != b.Name || was.VRRP != b.VRRP || was.Checker != b.Checker {
		d.withdraw(was)
		p.everReported = false
		d.changed(p)
	}
	if was.TTL != b.TTL {
		p.out.setTTL(b)
	}
	c := policy.SessionConfig(b)
	d.step(p, now, bfd.Event{Kind: bfd.Reconfigure, Config: &c})
}

const (
	// maxGoodbye is how long the neighbour of a session that a reload has removed is
	// informed of it at most, if it waits for so long itself.
	maxGoodbye = time.Minute
	// maxStop is the same at a stop, for which an operator waits.
	maxStop = time.Second
)

// leave ends a session: its neighbour is informed before it is dropped.
func (d *daemon) leave(p *peer, now, within time.Duration) {
	d.withdraw(p.conf)
	d.loop.Stop(&p.patience)
	p.left = true
	d.leaving = append(d.leaving, p)
	d.step(p, now, bfd.Event{Kind: bfd.Shutdown, Within: within})
}

// makeRoom drops what leaves where a session begins: its neighbour would take the one
// down because of the packets of the other.
func (d *daemon) makeRoom(id identity) {
	for _, p := range slices.Clone(d.leaving) {
		old := identityOf(p.conf)
		apart := old.Source != id.Source && old.Source.IsValid() && id.Source.IsValid()
		if old.Neighbor == id.Neighbor && old.MultiHop == id.MultiHop && !apart {
			d.loop.Stop(&p.timer)
			d.drop(p)
		}
	}
}

// drop forgets a session that has ended.
func (d *daemon) drop(p *peer) {
	p.out.close()
	d.loop.Stop(&p.out.retry)
	delete(d.byDiscr, p.engine.Config().Discriminator)
	d.leaving = slices.DeleteFunc(d.leaving, func(q *peer) bool { return q == p })
}

// index finds the sessions by their neighbours.
func (d *daemon) index() {
	clear(d.bySource)
	for _, p := range d.peers {
		d.bySource[p.source()] = p
	}
}

func (p *peer) source() source {
	return source{p.conf.Neighbor.WithZone(""), p.out.link, p.conf.MultiHop}
}

// stop ends all sessions in order.
func (d *daemon) stop() {
	if d.stopping {
		return
	}
	d.stopping = true
	now := d.loop.Now()
	for _, p := range slices.Clone(d.leaving) {
		d.step(p, now, bfd.Event{Kind: bfd.Shutdown, Within: maxStop})
	}
	for _, p := range d.peers {
		d.leave(p, now, maxStop)
	}
	d.peers = nil
	clear(d.bySource)
}

// released reports whether all neighbours have been informed of a stop.
func (d *daemon) released() bool { return d.stopping && len(d.leaving) == 0 }

// close releases what the process has open.
func (d *daemon) close() {
	for _, p := range append(d.peers, d.leaving...) {
		p.out.close()
	}
	for _, l := range d.listeners {
		l.close(d.loop)
	}
	d.loop.Close()
}

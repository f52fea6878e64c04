package vrrpd

import (
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/notify"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/proc/session"
	"keepalived-go/vrrp"
)

// A daemon is the state of the VRRP process. Only the goroutine of its loop
// touches it; other goroutines post.
//
//	monitor ──────┐ links, addresses      ┌──▶ executor ──▶ kernel
//	executor ─────┤ completions           │    (plans of addresses)
//	parent ───────┤ configuration, stop   │
//	              ▼                       │
//	sockets ──▶ loop ── Step ──▶ engines ─┴──▶ adverts, announcements
//	              ▲
//	timers ───────┘
type daemon struct {
	Options
	conf *conf.Config
	loop *loop.Loop
	mon  *kernel.Monitor
	exec *kernel.Executor

	firewall      firewallOf // of exec
	firewallFault string     // why it cannot drop packets, as logged; empty: it can
	restored      vrrp.Limit // of the lines about tables that other programs have changed

	worker *loop.Worker // opens sockets, joins groups, changes settings of the kernel

	routers     []*router // in the order of the configuration
	byEngine    map[*vrrp.Instance]*router
	groups      map[string]*vrrp.SyncGroup
	net         *network
	port        uint32 // of what the executor asks the kernel for, in events
	addrs       addressTable
	static      *router                      // holds the static entries
	staticLinks map[string][]string          // interfaces that concern virtual routers by static entries
	madeLinks   map[string][]policy.MadeLink // that are made for virtual routers, by their names
	ourLinks    map[string]bool              // names of links that a predecessor has made
	linksUp     map[kernel.LinkKey]bool      // made links that have been up since they were made
	settings    settings
	inbox       inbox  // from the monitor
	lost        uint64 // overruns not logged yet
	lostLogged  time.Duration
	journal     *journal
	left        predecessor // what the state file has of it, until all that it has left is taken over or removed
	hurry       autoPriority
	haste       loop.Timer // runs while a take-over may be going on
	burst       bool       // more routers were due than one turn serves
	reporting   loop.Timer // runs while more is to be reported than one turn does
	auditing    loop.Timer // runs while there are tables of the firewall
	leaving     loop.Timer // runs while masters hand over before a stop
	setting     loop.Timer // runs while engines wait for the static entries

	sockets   map[socketKey]*socket
	unsized   bool      // their receive buffers may have to change
	sending   []*socket // with adverts of this turn
	announcer *announcer

	// Scratch space of a turn: a steady state allocates nothing.
	buffers   *kernel.Buffers
	datagrams []kernel.Datagram
	packet    vrrp.Packet
	actions   []vrrp.Action

	unreported []vrrp.Action // actions that are still to be reported
	reported   int           // how many of them have been

	// withdrawn are the addresses that the events being taken up have removed: they
	// showed who is on the link.
	withdrawn []kernel.Key

	tracking   tracking
	sessions   map[string]policy.Session // of BFD, by name, as reported last
	linkStates map[string]*linkState     // by name: of links with settings
	runner     *script.Runner            // nil: no program was to be run so far
	notifier   *notify.Notifier          // nil: no one is to be notified

	foreign   [256]uint64 // packets that reached no engine, by reason
	heard     neighbourhood
	readErr   vrrp.Limit // of the lines about sockets that cannot be read
	takenAway vrrp.Limit // of the lines about what other programs have removed, and is set again

	started  time.Duration    // when the engines began
	session  *session.Session // with the parent; nil: a test has none
	reloads  int              // whose data was kept for config_save_dir
	stopping bool
	closing  atomic.Bool // the loop has ended: nothing takes up events
	err      error       // the loop cannot continue

	rebinding loop.Timer // while sockets could not be opened: until the next attempt
	retrying  loop.Timer // while the kernel has refused addresses: likewise
}

// turn is one round of the loop. Its order matters:
//
//  1. What has arrived is read before timers are looked at: after a late
//     wake-up a backup must know the adverts that waited for it.
//  2. Adverts leave before addresses are set, and with priority 0 before they
//     are removed; those of all routers, if more are due than one turn serves.
//  3. Announcements leave in slices, one in a turn, as a timer expires.
//  4. The log and others get their reports last, in slices: a sentence costs more than an
//     advert.
func (d *daemon) turn() {
	if !d.hasty() {
		d.reportSome()
	}
	if d.unsized {
		d.sizeBuffers()
	}
	if err := d.loop.Wait(); err != nil {
		d.err = err
		return
	}
	d.retrack()
	d.hurry.late(d.loop.Expire())
	d.retrack()
	d.sendAdverts()
	if !d.behind() {
		d.flush() // other turns may come before it returns
	}
	d.journal.kick()
}

// flush asks the kernel for what is wanted. What a predecessor has left is given up when
// no engine that may continue with it waits any more.
func (d *daemon) flush() {
	if d.addrs.inherits() && !d.setting.Running() && !slices.ContainsFunc(d.routers, d.opening) {
		d.addrs.settle()
	}
	d.setReports()
	d.addrs.flush()
	d.tune()
}

// step applies an event to the engine of r and does what it answers.
func (d *daemon) step(r *router, at time.Duration, ev vrrp.Event) {
	actions := r.engine.Step(at, ev, d.actions[:0])
	d.rearm(r)
	if g := r.engine.Group(); g != nil && len(actions) > 0 {
		for _, m := range g.Members() {
			d.rearm(d.router(m))
		}
	}
	for i := range actions {
		d.do(&actions[i], at)
	}
	clear(actions)
	d.actions = actions[:0]
}

func (d *daemon) rearm(r *router) {
	deadline, running := r.engine.Deadline()
	if !running {
		d.loop.Stop(&r.timer)
		return
	}
	r.timer.Lead = r.lead()
	d.loop.Set(&r.timer, deadline)
}

// do carries out one action.
func (d *daemon) do(a *vrrp.Action, at time.Duration) {
	if a.Kind == vrrp.GroupTransition {
		d.unreported = append(d.unreported, *a)
		return
	}
	r := d.router(a.Instance)
	switch a.Kind {
	case vrrp.SendAdvert:
		d.queueAdvert(r, a.Priority)
		r.note()
		return
	case vrrp.SetAddresses:
		d.hold(r, true)
	case vrrp.ClearAddresses:
		if !r.held {
			return
		}
		d.hold(r, false)
		d.cancelAnnouncements(r)
	case vrrp.Announce:
		d.announceAddresses(r, a.Count, a.Quiet)
	case vrrp.Transition:
		r.stamp()
		r.note()
		if a.From == vrrp.Fault && r.conf.Unicast && r.link != nil {
			// Peers may have forgotten where the adverts come from.
			d.appendFrame(r.link.Index, r.source, false)
			d.announcer.flush(at)
		}
	}
	d.handOverSeen(r, a)
	switch a.Kind {
	case vrrp.SetAddresses, vrrp.ClearAddresses, vrrp.Announce:
		if !detailed() {
			return // no one else has it reported
		}
	}
	d.unreported = append(d.unreported, *a)
}

// router finds the router of an engine.
func (d *daemon) router(i *vrrp.Instance) *router { return d.byEngine[i] }

// handleEvents takes up what the kernel's monitor reported.
func (d *daemon) handleEvents(events []kernel.Event) { d.takeUp(events, math.MaxUint64) }

// takeUp takes up events, or what a reading of the kernel's state amounts to.
// Such a reading shows what the jobs up to jobsDone have done, and cannot show that
// an address of a later one was lost.
func (d *daemon) takeUp(events []kernel.Event, jobsDone uint64) {
	changed := map[int]bool{} // links whose routers must be looked at again
	routed := shaken{}
	var gone []kernel.Key // addresses
	var lost []*vip       // what others took away
	defer func() { d.withdrawn = nil }()
	for i := range events {
		switch e := &events[i]; e.Kind {
		case kernel.LinkNew:
			l, before, known := d.net.setLink(e.Link)
			if !known || (before.Flags^l.Flags)&unix.IFF_UP != 0 || before.Master != l.Master {
				routed[l.Index] = true
			}
			if known && before.Name != l.Name {
				d.settings.renamed(before.Name, l.Name)
				d.settings.dirty = true
			}
			d.linkMade(l, known, e.PortID)
			if !known || before.Name != e.Link.Name || (before.Flags^l.Flags)&unix.IFF_UP != 0 && l.Base != 0 {
				changed[l.Index] = true
				d.relink()
			}
			if known && (before.MTU != l.MTU || before.Master != l.Master || before.IPv4 != l.IPv4 || before.IPv6 != l.IPv6) {
				d.unsized = true
				changed[l.Index] = true
			}
			renamed, turned := known && before.Name != l.Name, known && before.Up() != l.Up()
			switch {
			case !known:
				slog.Info("Interface "+l.Name+" added", "interface", l.Name)
			case renamed:
				slog.Info("Interface name has changed from "+before.Name+" to "+l.Name, "interface", l.Name)
				d.linkChanged(before.Name)
			}
			if (!known || renamed || turned) && d.linkChanged(l.Name) {
				changed[l.Index] = true
				if turned {
					d.logLink(l)
				}
			}
			if known && before.HardwareAddr != e.Link.HardwareAddr {
				d.reannounce(l.Index)
			}
		case kernel.LinkGone:
			if l := d.net.removeLink(e.Link.Index); l != nil {
				slog.Info("Interface "+l.Name+" deleted", "interface", l.Name)
				changed[e.Link.Index] = true
				d.linkChanged(l.Name)
				d.addrs.linkGone(e.Link.Index)
				d.addrs.links.linkGone(e.Link.Index)
				d.unlinked(e.Link.Index)
				d.linkUnmade(l)
				d.relink()
			}
		case kernel.Forwarding:
			if l := d.net.links[e.Link.Index]; l != nil {
				l.Forwards6 = e.Link.Forwards6
			}
		case kernel.AddrNew:
			d.net.setAddr(e.Addr)
			routed[e.Addr.Link] = true
			d.logAddress(e.Addr, true)
			if v := d.addrs.items[e.Addr.Key()]; v != nil && e.PortID != d.port && e.Addr.Proto != kernel.AddrProto {
				if d.addrs.foreign(v, e.Addr) {
					d.logForeign(v, d.ownerOf(v))
				}
			}
			if !d.addrs.isVirtual(e.Addr.Key()) {
				changed[e.Addr.Link] = true
			}
		case kernel.AddrGone:
			virtual := d.addrs.isVirtual(e.Addr.Key())
			d.net.removeAddr(e.Addr)
			routed[e.Addr.Link], gone = true, append(gone, e.Addr.Key())
			d.logAddress(e.Addr, false)
			if v := d.addrs.items[e.Addr.Key()]; v != nil {
				// What goes because of us – a secondary address with its primary, or one
				// that is being set again – is no one else's doing.
				// Events of IPv6 do not name the program: setting the address again shows it.
				if d.addrs.removed(v) && e.PortID != d.port && v.job <= jobsDone && e.Addr.Prefix.Addr().Is4() {
					lost = append(lost, v)
				}
				d.addrs.reap(v)
			}
			if !virtual {
				changed[e.Addr.Link] = true
				d.withdrawn = append(d.withdrawn, e.Addr.Key())
			}
		case kernel.RouteGone:
			d.routeGone(e)
		case kernel.RuleGone:
			d.ruleGone(e)
		}
	}
	d.reroute(routed, gone)
	if len(changed) > 0 {
		d.follow(func(made, base *netLink) bool {
			return changed[made.Index] || changed[base.Index] || changed[base.Master]
		})
		d.spreadLinks()
		d.checkFaults(func(r *router) bool {
			return d.manyLinks(r) || r.conf.Unicast || r.on(changed)
		})
	}
	// After the links: one that goes down takes its IPv6 addresses along, and
	// their holder is in FAULT by now.
	for _, v := range lost {
		if v.users > 0 {
			d.addressLost(v)
		}
	}
}

// addressLost informs the engine that anyone else removed an address it holds.
func (d *daemon) addressLost(v *vip) {
	slog.Info(fmt.Sprintf("Netlink reflector reports IP %v removed from %s", v.key.Prefix.Addr(), d.linkName(v.key.Link)))
	d.lose(d.ownerOf(v), v.onDelete, vrrp.Cause{
		Code: "address-removed", Object: v.key.Prefix.Addr().String(), Detail: fmt.Sprintf("address %v was removed by another program", v.key.Prefix.Addr())})
}

// relink brings those routers onto their links of which a link has come, gone or
// become another one. No other router notices.
func (d *daemon) relink() {
	var all []*router
	if d.moved(d.static) {
		d.rebind(d.static)
	}
	for _, r := range d.routers {
		if d.moved(r) {
			d.rebind(r)
			all = append(all, r)
		}
	}
	if len(all) > 0 {
		d.settings.dirty = true
		if len(d.addrs.routes.items)+len(d.addrs.links.items) > 0 {
			d.writeJournal() // routes are in it by their links
		}
	}
	d.check(all)
	d.startReady(all)
}

// checkFaults compares the chosen routers with what holds now.
func (d *daemon) checkFaults(choose func(*router) bool) {
	var all []*router
	for _, r := range d.routers {
		if choose(r) {
			all = append(all, r)
		}
	}
	d.check(all)
}

// check computes, from what holds now, the faults, the socket, the source and
// the room in the adverts of the routers, requests each socket that a fresh
// start would make otherwise, and gives the engines what has changed.
func (d *daemon) check(routers []*router) {
	// A router that may not serve any longer reports it by the socket and from the address
	// that it had so far.
	type fallen struct {
		*router
		faults vrrp.Faults
		cause  vrrp.Cause
	}
	var fall []fallen
	for _, r := range routers {
		found := d.findFaults(r)
		faults, cause := found.Set, found.Cause
		r.sourceGone = faults&(vrrp.FaultNoSource|vrrp.FaultSourceMissing) != 0
		if faults != 0 && faults != r.faults {
			fall = append(fall, fallen{r, faults, cause})
		}
	}
	for _, f := range fall {
		d.setFaults(f.router, f.faults, f.cause)
	}
	if d.net.lost {
		d.rejoin()
	}
	for _, r := range routers {
		d.bind(r)
		d.inform(r)
	}
}

// inform gives the engine of r what has changed in its faults, its source and the room
// in its adverts.
func (d *daemon) inform(r *router) {
	found := d.findFaults(r)
	if found.Source != r.source {
		r.source = found.Source
		d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.SourceChanged, Source: r.source})
	}
	d.fit(r)
	d.lookForMaster(r)
	d.setFaults(r, found.Set, found.Cause)
}

// rebindDelay is how long a socket that could not be opened is left alone if
// nothing happens that could help.
const rebindDelay = 5 * time.Second

// tryAgain tries to open the sockets that could not be opened.
func (d *daemon) tryAgain(time.Duration) {
	d.checkFaults(func(r *router) bool { return r.socket == nil })
}

func (d *daemon) setFaults(r *router, faults vrrp.Faults, cause vrrp.Cause) {
	before, faulty := r.whyFault(), r.faults != 0 && faults != 0 && r.engine.State() == vrrp.Fault
	changed := faults != r.faults
	r.faults, r.cause = faults, nil
	if kept := cause; kept != (vrrp.Cause{}) {
		r.cause = &kept
	}
	if changed {
		d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.FaultsChanged, Faults: faults, Cause: cause})
	}
	if faulty && (cause.Code != before.Code || cause.Object != before.Object) {
		d.reportCause(r)
	}
}

// fit has the adverts of r list as many addresses as the MTU has room for.
func (d *daemon) fit(r *router) {
	c := *r.engine.Config()
	before := len(c.Advertised())
	c.MTU = d.mtu(r)
	n, all := len(c.Advertised()), len(r.conf.Addresses)
	if n == before {
		return
	}
	ec := d.engineConfig(r, r.conf)
	d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.Reconfigure, Config: &ec, Wall: time.Now()})
	if n < all {
		slog.Warn(fmt.Sprintf("(%s) Number of VIPs (%d) exceeds maximum/space available in packet (max %d addresses) - excess moved to eVIPs",
			r.conf.Name, all, n), "instance", r.conf.Name, "mtu", c.MTU)
	} else {
		slog.Info(fmt.Sprintf("(%s) all %d VIPs fit into a packet again", r.conf.Name, all), "instance", r.conf.Name, "mtu", c.MTU)
	}
}

// lookForMaster warns when the interface of r is, or becomes, a part of another
// one that takes all that it receives: others' adverts then reach no socket of
// the part, be it opened before or after.
func (d *daemon) lookForMaster(r *router) {
	var master int
	if r.link != nil {
		master = r.link.Master
	}
	if master == r.master {
		return
	}
	r.master = master
	if m := d.net.links[master]; m != nil {
		switch m.Kind {
		case "bridge", "bond", "team", "openvswitch":
			slog.Warn(fmt.Sprintf("(%s) interface %s is part of %s %s, which receives its packets: this node does not hear adverts on it, use %s",
				r.conf.Name, r.link.Name, m.Kind, m.Name, m.Name), "instance", r.conf.Name, "interface", r.link.Name)
		}
	}
}

// mtu is that of the link by which the adverts of r leave; 0: not known.
func (d *daemon) mtu(r *router) int {
	if l := r.port(); l != nil {
		return l.MTU
	}
	if r.conf.Interface == "" {
		for _, l := range d.net.links {
			if d.net.holds(l, r.conf.SourceIP) {
				return l.MTU
			}
		}
	}
	return 0
}

// engineConfig is the configuration of the engine of r by c.
func (d *daemon) engineConfig(r *router, c *conf.VRRPInstance) vrrp.Config {
	ec := policy.EngineConfig(c)
	ec.MTU = d.mtu(r)
	return ec
}

// reannounce repeats the announcements of all masters on a link whose
// hardware address has changed, as that of a bond may.
func (d *daemon) reannounce(link int) {
	for _, r := range d.routers {
		if r.held && r.link != nil && r.link.Index == link {
			d.announceAddresses(r, max(1, r.conf.GARP.Repeat), false)
		}
	}
}

func (d *daemon) linkName(index int) string {
	if l := d.net.links[index]; l != nil {
		return l.Name
	}
	return fmt.Sprintf("interface %d", index)
}

package vrrpd

import (
	"cmp"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/track"
	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
)

// start runs the first configuration: it takes over or clears away what a
// predecessor left among the addresses found, and starts the engines.
func (d *daemon) start(c *conf.Config, found []kernel.Addr) {
	d.conf = c
	d.started = d.loop.Now()
	d.setAutoPriority()
	if delay := d.startDelay(); delay > 0 {
		slog.Info(fmt.Sprintf("Delaying startup for %g seconds", delay.Round(time.Millisecond).Seconds()))
	}
	snapshots, left, err := readJournalWithin(journalWait, d.StateFile)
	if err != nil {
		slog.Warn(err.Error())
	}
	for i, ic := range c.Instances {
		d.add(ic, i)
	}
	listed := d.markLeftovers(left)
	for _, r := range d.routers {
		d.resolve(r)
	}
	d.adoptLeftovers(found, listed)
	d.link(c)
	if set := d.trackers(c); set != nil {
		// The state of files and processes right now is known before an engine
		// starts: it never has a priority that it would lose at once.
		set.Configure(c, func(first []track.Update) { d.tracking.learn(c, first) })
	}
	d.watchLinks()
	d.bindTrackers()
	d.setNotifier()

	d.promoteSecondaries(d.routers)
	// The state file lists the addresses before the first of them is set.
	for _, r := range d.routers {
		r.evaluate()
	}
	d.check(d.routers)
	d.writeJournal()
	if d.LogData {
		d.logData(d.snapshotNow())
	}
	for _, r := range d.routers {
		r.predecessor = snapshots[identity(r.conf)]
		d.startRouter(r)
	}
}

func (d *daemon) setAutoPriority() {
	l := &d.conf.Global.VRRP
	d.hurry.limit, d.hurry.delay = 0, cmp.Or(l.MinAutoPriorityDelay, time.Second)
	if l.RTPriority == 0 {
		d.hurry.limit = l.MaxAutoPriority
	}
}

// promoteSecondaries makes the kernel keep the secondary addresses of the interfaces of
// routers when the primary one, which may be a virtual address, is removed.
func (d *daemon) promoteSecondaries(routers []*router) {
	done := map[string]bool{}
	for _, r := range routers {
		name := r.conf.Interface
		if !r.conf.PromoteSecondaries || r.link == nil || done[name] {
			continue
		}
		done[name] = true
		var err error
		d.worker.Do(func() {
			_, err = d.Host.SetSysctl("1", "net", "ipv4", "conf", name, "promote_secondaries")
		}, func() {
			if err != nil && d.net.byName[name] != nil {
				slog.Warn(fmt.Sprintf("(%s) %v", r.conf.Name, err), "instance", r.conf.Name)
			}
		})
	}
}

// startDelay is what is left of vrrp_startup_delay and vrrp_delay_after_boot.
func (d *daemon) startDelay() time.Duration {
	at := d.loop.Now() // counted from boot
	g := &d.conf.Global
	return max(0, g.StartupDelay-(at-d.started), g.DelayAfterBoot-at)
}

// markLeftovers returns which addresses the predecessor's state file names.
// Where the kernel does not keep our mark, they are ours unless the predecessor
// had found them there itself.
func (d *daemon) markLeftovers(left []journalAddr) map[kernel.Key]bool {
	listed := make(map[kernel.Key]bool, len(left))
	for _, a := range left {
		l := d.net.byName[a.link]
		if l == nil || a.theirs {
			continue
		}
		k := kernel.Key{Link: l.Index, Prefix: a.prefix}
		listed[k] = true
		if there, ok := l.addrs[k]; ok && !kernel.MarksAddresses() {
			there.ours = true
			l.addrs[k] = there
		}
	}
	return listed
}

// adoptLeftovers takes over every address found that a predecessor has set and
// that this configuration or the state file names. What no engine asks for by
// the end of the turn is removed. Addresses that others have set stay theirs.
func (d *daemon) adoptLeftovers(found []kernel.Addr, listed map[kernel.Key]bool) {
	for _, a := range found {
		k := a.Key()
		if l := d.net.links[a.Link]; l != nil && l.addrs[k].ours && (d.addrs.isVirtual(k) || listed[k]) {
			d.addrs.adopt(a)
		}
	}
}

// add makes a router that is not started yet.
func (d *daemon) add(c *conf.VRRPInstance, order int) *router {
	r := &router{engine: vrrp.New(policy.EngineConfig(c)), conf: c, waiting: true}
	r.timer.Order = order
	r.timer.Ahead = func() { d.rehearse(r) }
	r.timer.Expire = func(at time.Duration) {
		d.step(r, at, vrrp.Event{Kind: vrrp.Expiry, Wall: time.Now()})
	}
	d.routers = append(d.routers, r)
	d.byEngine[r.engine] = r
	return r
}

// link joins the engines in the sync groups of c.
func (d *daemon) link(c *conf.Config) {
	byName := make(map[string]*router, len(d.routers))
	for _, r := range d.routers {
		byName[r.conf.Name] = r
	}
	d.groups = make(map[string]*vrrp.SyncGroup, len(c.SyncGroups))
	for _, g := range c.SyncGroups {
		var members []*vrrp.Instance
		for _, name := range g.Members {
			if r := byName[name]; r != nil {
				members = append(members, r.engine)
			}
		}
		if len(members) > 0 {
			d.groups[g.Name] = vrrp.NewSyncGroup(g.Name, g.TrackingWeight, members...)
		}
	}
	// Members that disagree settle it in their next step, which is due now.
	for _, r := range d.routers {
		d.rearm(r)
	}
}

// routerKey is what a virtual router is recognised by at reload.
type routerKey struct {
	link    string
	family  conf.Family
	vrid    uint8
	unicast bool
}

func keyOf(c *conf.VRRPInstance) routerKey {
	return routerKey{c.Interface, c.Family, c.VRID, c.Unicast}
}

// prepareReload has the trackers look at what c names, which takes time, beside
// the loop, and then makes c the configuration. Until then trackers speak of the
// one in force.
func (d *daemon) prepareReload(c *conf.Config, reloaded func()) {
	reload := func(first []track.Update) {
		if !d.stopping {
			d.reload(c, first)
			reloaded()
		}
	}
	if d.stopping {
		return
	}
	set := d.trackers(c)
	if set == nil {
		reload(nil)
		return
	}
	go set.Configure(c, func(first []track.Update) { d.loop.Post(func() { reload(first) }) })
}

// reload makes c the configuration. Virtual routers that are the same in both
// are not touched: no packet is sent, no address moved, no timer shifted.
func (d *daemon) reload(c *conf.Config, first []track.Update) {
	old := d.conf
	d.conf = c
	d.setAutoPriority()
	d.unsized = true
	byKey := make(map[routerKey][]*router, len(d.routers))
	for _, r := range d.routers {
		byKey[keyOf(r.conf)] = append(byKey[keyOf(r.conf)], r)
	}
	// take finds the running router for c, if possible the one of its name.
	take := func(c *conf.VRRPInstance) *router {
		list := byKey[keyOf(c)]
		if len(list) == 0 {
			return nil
		}
		i := max(0, slices.IndexFunc(list, func(r *router) bool { return r.conf.Name == c.Name }))
		r := list[i]
		byKey[keyOf(c)] = slices.Delete(list, i, i+1)
		return r
	}
	kept := make([]*router, len(c.Instances))
	for i, ic := range c.Instances {
		kept[i] = take(ic)
	}

	groups := d.groups
	d.ungroup(old, c)
	for _, r := range d.routers { // in the order of the old configuration, as they are reported
		if slices.Contains(byKey[keyOf(r.conf)], r) {
			d.drop(r)
		}
	}
	d.routers = d.routers[:0]
	var fresh []*router
	for i, ic := range c.Instances {
		if r := kept[i]; r != nil {
			d.change(r, ic, i)
			d.routers = append(d.routers, r)
		} else {
			fresh = append(fresh, d.add(ic, i))
		}
	}
	for _, r := range fresh {
		d.resolve(r)
	}
	if d.groups == nil {
		d.link(c)
		d.introduce(groups)
	}
	d.promoteSecondaries(d.routers)
	d.tracking.learn(c, first)
	d.watchLinks()
	d.bindTrackers()
	d.setNotifier()
	for _, r := range d.routers {
		r.evaluate()
	}
	d.check(d.routers)
	d.writeJournal()
	for _, r := range d.routers {
		if r.waiting {
			d.startRouter(r)
		}
	}
	d.retrack()
	d.repeatStates()
	d.reportInstances()
}

// introduce reports the states of the groups that a reload has made, as far as
// they have not been reported before: that of a group among those before, by name, is known.
func (d *daemon) introduce(before map[string]*vrrp.SyncGroup) {
	for _, c := range d.conf.SyncGroups {
		g, known := d.groups[c.Name], vrrp.Init
		if g == nil {
			continue
		}
		if b := before[c.Name]; b != nil {
			known = b.State()
		}
		if to := g.State(); to != vrrp.Init && to != known {
			d.unreported = append(d.unreported, vrrp.Action{Kind: vrrp.GroupTransition, Group: g, From: known, To: to})
		}
	}
}

// drop ends a router that the new configuration does not have.
func (d *daemon) drop(r *router) {
	d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.Shutdown, Wall: time.Now()})
	d.sendAdverts() // while it still has a socket
	d.unbind(r)
	d.loop.Stop(&r.timer)
	d.hold(r, false)
	d.reportTurn() // while it is known
	gone := r.vips
	r.vips = nil
	d.disown(r, gone)
	delete(d.byEngine, r.engine)
	slog.Info(fmt.Sprintf("(%s) removed by reload", r.conf.Name), "instance", r.conf.Name)
}

// change gives a running router its new configuration, in place.
func (d *daemon) change(r *router, c *conf.VRRPInstance, order int) {
	before := r.conf
	if r.timer.Order != order {
		d.loop.Stop(&r.timer)
		r.timer.Order = order
		d.rearm(r)
	}
	if before.Equal(c) {
		r.conf = c
		return
	}
	ec := d.engineConfig(r, c)
	r.conf = c
	d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.Reconfigure, Config: &ec, Wall: time.Now(), Cause: reloaded})
	held := slices.Clone(r.vips)
	d.rebind(r)
	if r.held && !slices.Equal(held, r.vips) {
		d.announceAddresses(r, c.GARP.Repeat, false)
	}
}

// ungroup dissolves the sync groups when they differ; link makes the new ones.
func (d *daemon) ungroup(old, c *conf.Config) {
	same := slices.EqualFunc(old.SyncGroups, c.SyncGroups, func(a, b *conf.SyncGroup) bool {
		return a.Name == b.Name && a.TrackingWeight == b.TrackingWeight && slices.Equal(a.Members, b.Members)
	})
	if same && slices.EqualFunc(old.Instances, c.Instances, func(a, b *conf.VRRPInstance) bool {
		return a.Name == b.Name && keyOf(a) == keyOf(b)
	}) {
		return
	}
	for _, g := range d.groups {
		g.Dissolve()
	}
	d.groups = nil
}

// writeJournal starts the state file again for the present routers. A
// start waits for it, a reload has masters that must not be silent.
func (d *daemon) writeJournal() {
	if d.StateFile == "" {
		return
	}
	if d.journal == nil {
		d.journal = newJournal(d.StateFile)
		d.journal.replace(d.routers)
		d.journal.await()
		return
	}
	d.journal.replace(d.routers)
}

// stop ends every engine: masters send priority 0 and their addresses are
// removed. The loop continues until the kernel has done so. With -V it ends like
// a crash instead: not a word to the peers, everything stays, and a successor
// that is quick enough continues as master.
func (d *daemon) stop() {
	if d.stopping {
		return
	}
	d.stopping = true
	if d.DontRelease {
		return
	}
	for _, r := range d.routers {
		d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.Shutdown, Wall: time.Now()})
	}
}

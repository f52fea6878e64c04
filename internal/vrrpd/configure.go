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

// An inheritance is what a process finds of its predecessor; the zero value: nothing.
type inheritance struct {
	predecessor
	found *reading // what the kernel has; nil: nothing
}

// prepared is a configuration with all that takes time to find out about it.
type prepared struct {
	conf      *conf.Config
	continues *policy.Continuation
	first     []track.Update // of the trackers
	inheritance
}

// prepare finds out what c changes in the configuration before, and has the trackers look
// at what it names: no virtual router starts with a priority that it would lose at once.
// It takes time. The trackers report to the loop after ready is called, which must be
// brief.
func prepare(before, c *conf.Config, trackers *track.Set, ready func(*prepared)) {
	p := &prepared{conf: c, continues: policy.Continue(before, c)}
	if trackers == nil {
		ready(p)
		return
	}
	trackers.Configure(c, func(first []track.Update) {
		p.first = first
		ready(p)
	})
}

// start is a reload from nothing. It takes over or clears away what a predecessor left
// among the addresses found.
func (d *daemon) start(c *conf.Config, found *reading) {
	d.conf = &conf.Config{}
	d.started = d.loop.Now()
	if delay := policy.StartDelay(&c.Global, d.started, d.started); delay > 0 {
		slog.Info(fmt.Sprintf("Delaying startup for %g seconds", delay.Round(time.Millisecond).Seconds()))
	}
	before, err := readJournalWithin(journalWait, d.StateFile)
	if err != nil {
		slog.Warn(err.Error())
	}
	var first *prepared
	prepare(d.conf, c, d.trackers(c), func(p *prepared) { first = p })
	first.inheritance = inheritance{before, found}
	d.reload(first)
	if d.LogData {
		d.logData(d.snapshotNow())
	}
}

func (d *daemon) setAutoPriority() {
	l := &d.conf.Global.VRRP
	d.hurry.limit, d.hurry.delay = 0, cmp.Or(l.MinAutoPriorityDelay, time.Second)
	if l.RTPriority == 0 {
		d.hurry.limit = l.MaxAutoPriority
	}
}

// leftover is an address found in the kernel.
type leftover struct {
	kernel.Addr
	policy.Leftover
}

// leftovers notes, and returns, which of the addresses found a predecessor has set: it
// comes before routers look up their addresses.
func (d *daemon) leftovers(left inheritance) []leftover {
	if left.found == nil {
		return nil
	}
	listed := make(map[kernel.Key]bool, len(left.addrs))
	for _, a := range left.addrs {
		if l := d.net.byName[a.link]; l != nil && !a.theirs {
			listed[kernel.Key{Link: l.Index, Prefix: a.prefix}] = true
		}
	}
	var ours []leftover
	for _, a := range left.found.addrs {
		k := a.Key()
		l := d.net.links[a.Link]
		if l == nil {
			continue
		}
		there, known := l.addrs[k]
		o := policy.Leftover{Marked: there.ours, Marks: kernel.MarksAddresses(), Listed: listed[k]}
		if known && o.Ours() {
			there.ours = true
			l.addrs[k] = there
			ours = append(ours, leftover{a, o})
		}
	}
	return ours
}

// inherit takes over what a predecessor has set and this process is to have, or to
// remove.
func (d *daemon) inherit(ours []leftover) {
	inherited := map[kernel.Key]bool{}
	for _, l := range ours {
		if l.Configured = d.addrs.isVirtual(l.Key()); l.Inherited() {
			d.addrs.inherit(l.Addr)
			inherited[l.Key()] = true
		}
	}
	d.inheritDrops(inherited)
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

// joinGroups joins the engines in the sync groups of c.
func (d *daemon) joinGroups(c *conf.Config) {
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

// prepareReload prepares c beside the loop, and then makes it the configuration.
// Until then trackers report for the one in force.
func (d *daemon) prepareReload(c *conf.Config, reloaded func()) {
	if d.stopping {
		return
	}
	before, trackers := d.conf, d.trackers(c)
	go prepare(before, c, trackers, func(p *prepared) {
		d.loop.Post(func() {
			if !d.stopping {
				d.reload(p)
				reloaded()
			}
		})
	})
}

// reload makes p the configuration. Virtual routers that are the same in both
// are not touched: no packet is sent, no address moved, no timer shifted.
func (d *daemon) reload(p *prepared) {
	d.reportAll() // by the names that it has had
	c, k, before, groups := p.conf, p.continues, d.routers, d.groups
	d.conf = c
	links := d.madeLinks
	d.static.conf, d.staticLinks, d.madeLinks = staticConf(c), policy.StaticLinks(c), policy.MadeLinks(c)
	d.settings.dirty = true
	d.setAutoPriority()
	d.unsized = true
	if !k.Groups {
		d.ungroup()
	}
	stays := make([]bool, len(before))
	for _, from := range k.From {
		if from >= 0 {
			stays[from] = true
		}
	}
	for i, r := range before { // in the order of the old configuration, as they are reported
		if !stays[i] {
			d.drop(r)
		}
	}
	d.routers = make([]*router, 0, len(c.Instances))
	var fresh []*router
	for i, ic := range c.Instances {
		if from := k.From[i]; from >= 0 {
			r := before[from]
			r.removed = nil
			d.change(r, ic, i, k.Same[i] && slices.Equal(links[r.conf.Name], d.madeLinks[ic.Name]))
			d.routers = append(d.routers, r)
		} else {
			fresh = append(fresh, d.add(ic, i))
		}
	}
	if p.found != nil {
		d.left = p.predecessor
	}
	left := d.leftovers(p.inheritance)
	d.inheritSettings(p.settings)
	d.listLinks(p.links)
	d.rebind(d.static)
	for _, r := range fresh {
		d.resolve(r)
		r.predecessor = p.engines[policy.Identity(r.conf)]
	}
	d.inherit(left)
	d.inheritTables(p.tables)
	tables := d.firewallTables()
	d.logDefaultFirewall(tables)
	d.setTables(tables)
	if p.found != nil {
		d.inheritRouting(p.found, p.routes, p.rules)
	}
	d.inheritLinks()
	d.startStatic()
	if d.groups == nil {
		d.joinGroups(c)
		d.introduce(groups)
	}
	d.tracking.learn(c, p.first)
	d.watchLinks()
	d.bindTrackers()
	d.setNotifier()
	for _, r := range d.routers {
		r.evaluate()
	}
	d.check(d.routers)
	d.writeJournal() // it lists the addresses before the first of them is set
	for _, r := range d.routers {
		if r.waiting {
			d.startRouter(r)
		}
	}
	d.retrack()
	for _, r := range d.routers {
		d.restrain(r)
	}
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
	d.reportAll() // while it is known
	gone, had := r.vips, r.routing
	r.vips, r.routing = nil, routing{}
	d.disown(r, gone, had)
	d.resolveMade(r, nil)
	delete(d.byEngine, r.engine)
	slog.Info(fmt.Sprintf("(%s) removed by reload", r.conf.Name), "instance", r.conf.Name)
}

// change gives a running router its new configuration, in place; same: nothing in it
// has changed.
func (d *daemon) change(r *router, c *conf.VRRPInstance, order int, same bool) {
	if r.timer.Order != order {
		d.loop.Stop(&r.timer)
		r.timer.Order = order
		d.rearm(r)
	}
	if r.conf = c; same {
		return
	}
	r.changing = r.socket != nil
	ec := d.engineConfig(r, c)
	d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.Reconfigure, Config: &ec, Wall: time.Now(), Cause: reloaded})
	held := slices.Clone(r.vips)
	d.rebind(r)
	d.repeatElsewhere(r)
	if r.held && !slices.Equal(held, r.vips) {
		d.announceAddresses(r, c.GARP.Repeat, false)
	}
}

// ungroup dissolves the sync groups; joinGroups makes the new ones.
func (d *daemon) ungroup() {
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
		d.journal.replace(d.holders(), d.settings.entries(), d.firewallTables(), &d.left)
		d.journal.await()
		return
	}
	d.journal.replace(d.holders(), d.settings.entries(), d.firewallTables(), &d.left)
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
	d.loop.Stop(&d.leaving)
	if d.DontRelease {
		return
	}
	for _, r := range d.routers {
		d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.Shutdown, Wall: time.Now()})
	}
	d.hold(d.static, false)
	for _, r := range d.routers {
		d.resolveMade(r, nil)
	}
	d.settings.dirty = true
	d.setTables(nil)
	d.addrs.settle()
}

// holders are the routers, and what holds the static entries.
func (d *daemon) holders() []*router { return append(slices.Clone(d.routers), d.static) }

// staticWait is how long a start waits for the kernel to set the static entries, by
// which engines may find their source addresses.
const staticWait = time.Second

// startStatic has the static entries set, when a process starts: afterwards they are
// part of each plan. Engines wait for them.
func (d *daemon) startStatic() {
	if d.static.held {
		return
	}
	d.hold(d.static, true)
	if len(d.static.vips)+len(d.static.routes)+len(d.static.rules) > 0 {
		d.loop.Set(&d.setting, d.loop.Now()+staticWait)
	}
}

// staticSet starts the engines that have waited for the static entries.
func (d *daemon) staticSet(time.Duration) {
	d.loop.Stop(&d.setting)
	d.startReady(d.routers)
}

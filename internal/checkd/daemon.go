package checkd

import (
	"net/netip"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/checkd/attempt"
	"keepalived-go/internal/checkd/life"
	"keepalived-go/internal/checkd/table"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/linux/track"
	"keepalived-go/internal/output/notify"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/proc/session"
	"keepalived-go/internal/proc/statefile"
	"keepalived-go/lvs"
)

// daemon is the state of the process. All of it belongs to the loop.
type daemon struct {
	Options

	loop       *loop.Loop
	session    *session.Session
	engine     *lvs.Engine
	conf       *conf.Config // in force; nil: none yet
	services   *lvs.Config  // of it, without the orders of operators
	orders     orders       // in force
	checks     []*check     // that with lvs.CheckID n is at n-1
	unreported []report     // of this turn
	changed    bool         // in this turn: services, servers
	actions    []lvs.Action // room for those of a step
	verdict    life.Verdict // that is taken up, or was before

	table        *table.Table
	counters     *table.Counters // of the kernel
	marks        *marks
	groups       map[policy.Mark]uint32 // marks that stand for groups
	markTable    string                 // for their packets, of nftables; empty: there is none
	endpoints    []lvs.Endpoint         // in it, as configured
	synchronised bool                   // we have had synchronisation daemons
	masters      map[string]bool        // virtual routers, as the VRRP process reports
	addresses    *addresses             // nil: no service depends on those of this machine

	env      *attempt.Env
	gates    [2]*gate // that attempts pass: the first one only those of SSL_GET
	runner   *script.Runner
	notifier *notify.Notifier
	files    *track.Set      // of FILE_CHECK; nil: none
	taking   bool            // files is taking up a configuration
	then     *conf.Config    // the next one for it; nil: there is none
	numbers  map[string]int  // the numbers in the files
	sessions map[string]bool // BFD sessions that are up, as far as reported

	// What a predecessor has left, until it is taken up.
	restored  map[identity][]life.State
	inherited []lvs.Endpoint

	look     loop.Timer // for checks that have gone silent
	patience loop.Timer // with the kernel, at the start
	saver    statefile.Saver
	reloads  int // so far
	stopping bool
	released bool  // the kernel's table is as it shall be left
	err      error // that ends the process
}

// identity is what a check is known by in any configuration, as the engine has it;
// of several with one identity the first is the first.
type identity struct {
	Service lvs.ServiceID
	Server  netip.AddrPort
	Key     string
}

func identityOf(k *planned) identity {
	return identity{policy.ServiceIDOf(k.Service), netip.AddrPortFrom(k.Server.Addr, k.Server.Port), k.Key}
}

// step gives the engine an event and does, in order, what it asks for. Nothing that
// an action brings about is a step within this one: it comes through the loop.
func (d *daemon) step(ev lvs.Event) { d.stepAfter(d.loop.Now(), func() {}, ev) }

// stepAfter is step for the result of a check, which report reports: before what the check
// does to its server, and after what the new weight does, as the C daemon.
func (d *daemon) stepAfter(at time.Duration, report func(), ev lvs.Event) {
	d.actions = d.engine.Step(at, ev, d.actions[:0])
	reported := false
	for i := range d.actions {
		switch d.actions[i].Kind {
		case lvs.CheckChanged, lvs.ServerUp, lvs.ServerDown:
			if !reported {
				report()
			}
			reported = true
		}
		d.carryOut(&d.actions[i])
	}
	if !reported {
		report()
	}
	if len(d.actions) > 0 {
		d.stateChanged()
	}
	clear(d.actions)
	if cap(d.actions) > mostActions {
		d.actions = nil
	}
}

// mostActions is for how many actions of a step there is room afterwards. A start has as many
// as there are checks, a result a few.
const mostActions = 256

func (d *daemon) carryOut(a *lvs.Action) {
	switch a.Kind {
	case lvs.CheckActivated:
		d.logActivity(a)
		d.activate(d.checks[a.Check-1])
	case lvs.CheckDeactivated:
		d.logActivity(a)
		d.deactivate(d.checks[a.Check-1])
	case lvs.FlushTable:
		d.table.Flush()
	default:
		d.reportAction(a)
	}
}

// addressChanged informs the engine that an address has come to this machine or left
// it.
func (d *daemon) addressChanged(a netip.Addr, present bool) {
	d.step(lvs.Event{Kind: lvs.AddressChanged, Addr: a, Present: present})
}

// reload makes p the configuration in force; the first one too, for which a
// predecessor may have left its state. Checks that are the same in both continue with
// what they know.
func (d *daemon) reload(p *plan, left *lvs.Snapshot) {
	d.reportTurn()
	defer d.reportTurn() // before it is reported that all is done
	before := make(map[identity][]*check, len(d.checks))
	for _, c := range d.checks {
		id := identityOf(c.planned)
		before[id] = append(before[id], c)
	}
	d.conf, d.groups, d.services = p.conf, p.marks, p.services
	gone := d.checks
	d.checks = make([]*check, len(p.checks))
	for i := range p.checks {
		k := &p.checks[i]
		id := identityOf(k)
		if old := before[id]; len(old) > 0 {
			before[id] = old[1:]
			d.checks[i] = d.reconfigure(old[0], lvs.CheckID(i+1), k)
			continue
		}
		c := d.newCheck(lvs.CheckID(i+1), k)
		if r := d.restored[id]; len(r) > 0 {
			d.restored[id] = r[1:]
			c.life.Restore(r[0])
		}
		d.checks[i] = c
	}
	d.restored = nil
	for _, c := range gone {
		if int(c.id) > len(d.checks) || d.checks[c.id-1] != c {
			d.retire(c)
		}
	}
	d.setNotifier(p.services)
	d.takeAddresses(p.addresses)
	d.configureTable()
	d.setMarks(p.marked)
	d.configureEngine(left)
	d.endpoints = d.endpoints[:0:0] // which a state that is being written has
	for e := range d.engine.All() {
		d.endpoints = append(d.endpoints, e.Endpoint)
	}
	d.watchFiles()
	d.stateChanged()
}

// turn is one turn of the loop.
func (d *daemon) turn() {
	if err := d.loop.Wait(); err != nil {
		d.err = err
		return
	}
	d.loop.Expire()
	d.flushNow() // other turns may come before it returns
	d.reportTurn()
}

// running reports whether the loop is to turn again.
func (d *daemon) running() bool { return d.err == nil && !d.released }

// stop ends everything in order: services leave the table unless they are to stay.
func (d *daemon) stop() {
	if d.stopping {
		return
	}
	d.stopping = true
	for _, c := range d.checks {
		d.retire(c)
	}
	if !d.Keep {
		d.logEnd()
	}
	if !d.Keep {
		d.setMarks(nil)
	}
	d.step(lvs.Event{Kind: lvs.Shutdown, Keep: d.Keep})
	d.flush()
	d.table.Idle(func() { d.loop.Post(func() { d.released = true }) })
}

// stopWait is how long scripts that are notified of the end may take, from the last that
// has ended.
const stopWait = time.Second

// Package vrrpd is the VRRP process: one loop that owns every virtual router,
// with its sockets, addresses and announcements.
package vrrpd

import (
	"log/slog"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/firewall"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/proc/session"
	"keepalived-go/vrrp"
)

// Options is what the parent process gives its VRRP child.
type Options struct {
	Link         *link.Conn   // to the parent
	StateFile    string       // what must outlive this process, see journal.go; empty: nothing does
	DumpDir      string       // where the dumps of SIGUSR1 and SIGUSR2 go
	InstanceName string       // instance keyword: part of dump file names with data_use_instance
	NetNamespace string       // likewise
	DontRelease  bool         // -V: keep addresses at stop
	LogAddresses bool         // -a: log every change of an address
	LogData      bool         // -d: log the data at start and after a reload
	MarkerPath   string       // of reload_file without a path
	Intents      []act.Intent // of operators, in force

	Host     kernel.Host // the Linux that is asked; nil: this machine
	Firewall firewallOf  // of Host; that of this machine is known
	Loop     *loop.Loop  // nil: one is made

	Logs *logging.Logs // of this process; needed for LogData only
}

// Run runs the VRRP process until it is asked to stop.
func Run(o Options) error {
	first, err := session.First(o.Link)
	if err != nil {
		return err
	}
	d, found, err := newDaemon(o, first)
	if err != nil {
		return err
	}
	defer d.close()
	d.session = session.Begin(o.Link, d.loop, session.Orders{
		Reload: d.reloadTo, Stop: d.handOverAndStop, Dump: d.dump, Event: d.hear, Ask: d.answer, Act: d.act, Intend: d.intend,
	})
	d.start(first, found)
	first, found = nil, nil // free to go
	d.sendAdverts()
	kernel.TakenUp()
	d.session.Started()
	d.flush()

	for d.err == nil && !(d.stopping && d.addrs.idle() && d.settings.idle()) {
		d.turn()
	}
	if d.err != nil {
		d.giveUp()
	}
	d.reportAll() // of the last turn
	if !d.DontRelease {
		d.journal.remove()
	}
	if d.err == nil {
		d.session.Signal(link.Ending)
	}
	closed := d.closeScripts(d.session.Alone())
	for d.err == nil && len(closed) == 0 {
		d.turn() // with -V a master continues as such
	}
	<-closed
	slog.Info("Stopped")
	return d.err
}

// giveUp ends a loop that cannot continue as one that is asked to stop does, but
// for waiting: the masters send it and their addresses are removed.
func (d *daemon) giveUp() {
	d.DontRelease = false // no one asked for a silent end
	d.stop()
	d.sendAdverts()
	d.addrs.flush() // close waits until it is carried out
	d.worker.Do(func() { d.settings.restore(d.Host) }, nil)
}

// newDaemon opens what the process needs before it can start an engine, and
// returns what it has found in the kernel.
func newDaemon(o Options, c *conf.Config) (_ *daemon, found *reading, err error) {
	if o.Host == nil {
		o.Host, o.Firewall = kernel.Machine, firewall.New()
	}
	d := &daemon{
		Options:   o,
		firewall:  o.Firewall,
		byEngine:  map[*vrrp.Instance]*router{},
		sockets:   map[socketKey]*socket{},
		buffers:   kernel.NewBuffers(),
		datagrams: make([]kernel.Datagram, kernel.MaxBatch),
		static:    newStatic(c),
		linksUp:   map[kernel.LinkKey]bool{},
	}
	d.inbox.room = make(chan struct{}, 1)
	if d.loop = o.Loop; d.loop == nil {
		if d.loop, err = loop.New(); err != nil {
			return nil, nil, err
		}
	}
	d.haste.Expire = func(time.Duration) {}
	d.reporting.Expire = func(time.Duration) {}
	d.setting.Expire = d.staticSet
	d.leaving.Expire = func(time.Duration) { d.stop() }
	d.rebinding.Expire = d.tryAgain
	d.auditing.Expire = d.audit
	d.retrying.Expire = func(time.Duration) { d.addrs.retryFailed() }
	d.addrs.init(atOnce{d}, func() {
		if !d.retrying.Running() {
			d.loop.Set(&d.retrying, d.loop.Now()+retryAddresses)
		}
	}, logRefusal, d.firewallRefused)
	d.addrs.removal = d.unusedGroup
	d.settings.timer.Expire = d.verifySettings
	if d.announcer, err = newAnnouncer(d.Host); err != nil {
		return nil, nil, err
	}
	d.announcer.timer.Expire = d.sendAnnouncements
	g := &c.Global
	conn, err := kernel.DialOn(d.Host, g.NetlinkCmdRcvBuf, g.NetlinkCmdRcvBufForce)
	if err != nil {
		return nil, nil, err
	}
	// Watch first, dump then: no change falls between the two.
	own := conn
	if o.LogAddresses {
		own = nil
	}
	d.mon, err = kernel.WatchOn(d.Host, g.NetlinkMonitorRcvBuf, g.NetlinkMonitorRcvBufForce, own, d.deliverEvents)
	if err != nil {
		return nil, nil, err
	}
	first, err := readKernel(conn)
	for tries := 1; err != nil && tries < firstReadings; tries++ {
		time.Sleep(rereadPause)
		first, err = readKernel(conn)
	}
	if err != nil {
		return nil, nil, err
	}
	if !first.complete() {
		d.mon.Remind(rereadAfter)
	}
	d.net = newNetwork(first.links, first.addrs)
	d.port = conn.PortID()
	d.exec = kernel.NewExecutor(conn, d.firewall, func(c kernel.Completion) {
		d.loop.Post(func() { d.carriedOut(c) })
	})
	d.hurry.beside = d.exec.Thread
	d.worker = d.loop.NewWorker()
	return d, first, nil
}

func (d *daemon) close() {
	d.exec.Close()
	d.worker.Close()
	d.closing.Store(true)
	d.inbox.signal()
	d.mon.Close()
	d.journal.close()
	d.loop.Close()
}

// carriedOut takes up a part of a plan that the executor has finished.
func (d *daemon) carriedOut(c kernel.Completion) {
	lost := d.addrs.completed(c)
	d.linksRefused(&c)
	d.firewallAnswered(&c, lost.tables)
	var sources map[int]bool // links with static addresses, which routers may send from
	for i := range c.Changes {
		ch := &c.Changes[i]
		a, ok := ch.Object.(*kernel.Addr)
		if !ok {
			continue
		}
		v := d.addrs.items[a.Key()]
		if v != nil {
			if r := d.ownerOf(v); r != nil {
				d.queueAnnouncement(r)
			}
		}
		// There is no event of the address. If it is in doubt, an event of its removal may
		// have come before this answer, and it is requested again.
		if ch.Op == kernel.Add && (c.Errs == nil || c.Errs[i] == nil) && (v == nil || !v.doubt) {
			d.net.setAddr(*a)
			if v != nil && v.owner.static() {
				if sources == nil {
					sources = map[int]bool{}
				}
				sources[a.Link] = true
			}
		}
	}
	if len(sources) > 0 {
		d.checkFaults(func(r *router) bool { return r.link != nil && sources[r.link.Index] })
	}
	if d.setting.Running() && d.addrs.idle() {
		d.staticSet(d.loop.Now())
	}
	if len(d.left.addrs)+len(d.left.entries) > 0 && !d.addrs.inherits() && d.addrs.idle() {
		d.left = predecessor{}
		d.writeJournal()
	}
	for _, v := range lost.addrs {
		if v.users > 0 {
			d.addressLost(v)
		}
	}
	for _, v := range lost.routes {
		if v.users > 0 {
			d.routeLost(v)
		}
	}
	for _, v := range lost.rules {
		if v.users > 0 {
			d.ruleLost(v)
		}
	}
}

// dump writes a dump that the parent, or a signal, asks for.
func (d *daemon) dump(kind link.Kind) {
	switch kind {
	case link.DumpData:
		d.dumpData()
	case link.DumpStats:
		d.dumpStats(false)
	case link.ClearStats:
		d.dumpStats(true)
	case link.DumpJSON:
		d.dumpJSON()
	}
}

// reloadTo takes up another configuration, with what config_save_dir and -d ask for
// around it.
func (d *daemon) reloadTo(c *conf.Config, confirm func()) {
	d.keepingData(func(done func()) {
		d.prepareReload(c, func() {
			kernel.TakenUp()
			confirm()
			if d.LogData {
				d.snapshot(nil, d.logData)
			}
			done()
		})
	})
}

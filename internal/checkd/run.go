// Package checkd is the process of the health checks: one loop that owns every
// check and the engine of virtual servers, and the kernel's table (IPVS) that
// follows from both.
//
//	checks ─ life, attempt ──verdicts──▶ lvs.Engine ──▶ log, scripts, FIFO, mail
//	                                        │
//	                            Changes, once a turn
//	                                        ▼
//	                          table ──one batch──▶ kernel
package checkd

import (
	"log/slog"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/checkd/attempt"
	"keepalived-go/internal/checkd/table"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/proc/session"
	"keepalived-go/internal/proc/statefile"
	"keepalived-go/lvs"
)

// Options is what the parent process gives this one.
type Options struct {
	Link         *link.Conn
	StateFile    string       // what must outlive this process; empty: nothing does
	DumpDir      string       // where the dumps of SIGUSR1 and SIGUSR2 go
	InstanceName string       // part of dump file names with data_use_instance
	NetNamespace string       // likewise
	Keep         bool         // -I: keep the kernel's table at stop
	LogData      bool         // -d
	Intents      []act.Intent // of operators, in force

	Host kernel.Host                // the Linux that is asked; nil: this machine
	Dial func() (table.Conn, error) // opens its load balancer; nil: that of this machine
	// DialMarks opens what gives packets marks; with Dial, else it is not looked at.
	DialMarks func() (marksConn, error)
	Logs      *logging.Logs // of this process; needed for LogData only
}

// slack is how much later than planned an attempt may begin or be given up: of hundreds of
// attempts a second several begin in one turn then, which costs a third less.
const slack = 5 * time.Millisecond

// Run runs the process until it is asked to stop.
func Run(o Options) error {
	first, err := session.First(o.Link)
	if err != nil {
		return err
	}
	d, err := newDaemon(o, first)
	if err != nil {
		return err
	}
	d.session = session.Begin(o.Link, d.loop, session.Orders{
		Reload: d.reloadTo,
		Stop:   d.stop,
		Dump:   d.dump,
		Event:  d.hear,
		Ask:    d.answer,
		Act:    d.obey,
		Intend: d.intend,
	})
	d.begin(first)
	first = nil // free to go
	kernel.TakenUp()
	d.awaitTable()
	for d.running() {
		d.turn()
	}
	d.stop() // also when the loop cannot continue
	if d.err == nil {
		d.session.Signal(link.Ending)
	}
	d.finish()
	slog.Info("Stopped")
	return d.err
}

// tableLatest is how long the start waits for the kernel's table.
const tableLatest = 2 * time.Second

// awaitTable has the start reported when the kernel has had all of the first table, or does
// not answer: then services that systemd starts after this one find the virtual servers, and
// the process that only attends this one does not take its processor.
func (d *daemon) awaitTable() {
	d.patience.Expire = func(time.Duration) { d.session.Started() }
	d.loop.Set(&d.patience, d.loop.Now()+tableLatest)
	d.table.Idle(func() {
		d.loop.Post(func() {
			if d.patience.Running() {
				d.loop.Stop(&d.patience)
				d.session.Started()
			}
		})
	})
}

// begin takes up the first configuration, and what a predecessor has left.
func (d *daemon) begin(c *conf.Config) {
	left, err := statefile.Load[state](d.StateFile, maxState, header())
	if err != nil {
		slog.Warn(err.Error())
	}
	var services *lvs.Snapshot
	if left != nil {
		d.resume(left)
		services = left.Services
	}
	d.marks = openMarks(d.DialMarks, d.markTable)
	if d.LogData {
		d.logData(d.configured(c))
	}
	p := newPlan(c, d.groups)
	d.watchAddresses(p, false)
	d.reload(p, services)
	d.flush()
	d.release()
	d.loop.Set(&d.look, d.loop.Now()+lookEvery)
}

// finish ends what was started beside the loop, and the loop.
func (d *daemon) finish() {
	d.reportTurn()
	d.closeScripts()
	d.marks.close()
	d.table.Close()
	d.counters.Close()
	if d.addresses != nil {
		d.addresses.close()
	}
	if d.err == nil && !d.Keep {
		d.saver.Remove()
	}
	d.loop.Close()
}

func newDaemon(o Options, c *conf.Config) (*daemon, error) {
	if o.Host == nil {
		o.Host = kernel.Machine
	}
	d := &daemon{
		Options: o, engine: lvs.New(), orders: ordersOf(o.Intents),
		masters: make(map[string]bool), sessions: make(map[string]bool), numbers: make(map[string]int),
	}
	d.look.Expire = d.lookForSilent
	d.saver = statefile.Saver{Path: o.StateFile, Delay: saveDelay, Collect: d.state, Lost: "after a crash all checks begin again"}
	var err error
	if d.loop, err = loop.New(); err != nil {
		return nil, err
	}
	d.loop.Slack = slack
	d.saver.Begin(d.loop)
	d.env = attempt.NewEnv(attemptLoop{d.loop}, d.scriptRunner())
	d.gates = [2]*gate{{limit: mostSessions}, {limit: mostAttempts(descriptors())}}
	if o.Dial == nil {
		namespace, err := openNamespace(c.Global.NetNamespaceIPVS, c.Global.NetNamespace)
		if err != nil {
			return nil, err
		}
		o.Dial, d.DialMarks = dialer(namespace), marksDialer(namespace)
	}
	d.table, d.counters = table.Open(table.Options{Dial: o.Dial, Keep: o.Keep}), table.NewCounters(o.Dial)
	return d, nil
}

// prepareReload makes the plan of c beside the loop, and then that of the process.
func (d *daemon) prepareReload(c *conf.Config, done func()) {
	if c.Global.NetNamespaceIPVS != d.conf.Global.NetNamespaceIPVS {
		slog.Warn("Cannot change net_namespace_ipvs at a reload: ignored until restart")
	}
	watched, groups := d.addresses != nil, d.groups
	go func() {
		p := newPlan(c, groups)
		d.watchAddresses(p, watched)
		d.loop.Post(func() {
			if !d.stopping {
				d.reload(p, nil)
			}
			done()
		})
	}()
}

// scriptRunner returns what runs programs.
func (d *daemon) scriptRunner() *script.Runner {
	if d.runner == nil {
		d.runner = script.StartRunner()
	}
	return d.runner
}

// closeScripts ends what was started beside the loop: scripts are sent SIGTERM,
// and SIGKILL after child_wait_time.
func (d *daemon) closeScripts() {
	if d.files != nil {
		d.files.Close()
	}
	left := d.conf.Global.ChildTime()
	if d.notifier != nil {
		left -= d.notifier.Close(stopWait, left)
	}
	for _, name := range d.runner.Close(max(0, left)) {
		slog.Warn("script " + name + " was still running and has been killed")
	}
}

// attemptLoop is the loop as attempts see it: one look at the clock is enough for all that a
// turn begins.
type attemptLoop struct{ *loop.Loop }

func (l attemptLoop) Now() time.Duration { return l.Time() }

func (l attemptLoop) Watch(fd int, events uint32, ready func(events uint32)) error {
	return l.WatchFor(fd, events, ready)
}

// Package bfdd is the process of BFD: one loop that owns every session, and reports
// to the other processes which of them are up.
//
//	listeners ──batches──▶ sessions (engines of package bfd) ──▶ log, state file
//	 (4 at most)              │             │
//	        sockets, one each ◀─ packets    └─ events, once a turn ──▶ parent ──▶ vrrp, checkers
package bfdd

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/output/dump"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/text"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/proc/session"
	"keepalived-go/internal/proc/statefile"
)

// Options is what the parent process gives this one.
type Options struct {
	Link         *link.Conn
	StateFile    string // what must outlive this process; empty: nothing does
	DumpDir      string // where the dump of SIGUSR1 goes
	InstanceName string // part of dump file names with data_use_instance
	NetNamespace string // likewise
	LogData      bool   // -d

	Logs *logging.Logs // of this process; needed for LogData only
}

// Run runs the process until it is asked to stop.
func Run(o Options) error {
	first, err := session.First(o.Link)
	if err != nil {
		return err
	}
	d := newDaemon(o)
	if d.loop, err = loop.New(); err != nil {
		return err
	}
	d.saver.Begin(d.loop)
	d.session = session.Begin(o.Link, d.loop, session.Orders{Reload: d.reloadTo, Stop: d.stop, Dump: d.dump, Ask: d.answer})
	d.emit = d.session.Send
	d.begin(first)
	first = nil // free to go
	kernel.TakenUp()
	d.session.Started()
	for d.err == nil && !d.released() {
		d.turn()
	}
	if d.err == nil {
		d.session.Signal(link.Ending)
		d.saver.Remove() // the neighbours know that the sessions have ended
	}
	d.close()
	slog.Info("Stopped")
	return d.err
}

// begin takes up the first configuration, and what a predecessor has left.
func (d *daemon) begin(c *conf.Config) {
	left, err := statefile.Load[state](d.StateFile, maxState, header())
	if err != nil {
		slog.Warn(err.Error())
	}
	if d.LogData {
		d.logData(c)
	}
	d.reload(c, left.byIdentity())
}

// reloadTo takes up another configuration, with what config_save_dir and -d ask for
// around it.
func (d *daemon) reloadTo(c *conf.Config, confirm func()) {
	d.reloads++
	files, n := d.dumpFiles(), d.reloads
	if pre := files.Reload(&d.conf.Global, n, "pre"); pre != "" {
		d.save(pre)
	}
	post := files.Reload(&d.conf.Global, n, "post")
	if !d.stopping {
		d.reload(c, nil)
	}
	kernel.TakenUp()
	confirm()
	if d.LogData {
		d.logData(c)
	}
	if post != "" {
		d.save(post)
	}
}

func (d *daemon) dumpFiles() *dump.Files {
	return &dump.Files{Process: "_bfd", Dir: d.DumpDir, Namespace: d.NetNamespace, Instance: d.InstanceName}
}

// dump writes the data (SIGUSR1). There are no statistics and no JSON dump of BFD, as
// in the C daemon.
func (d *daemon) dump(kind link.Kind) {
	if kind == link.DumpData {
		slog.Info(fmt.Sprintf("Printing BFD data for process(%d) on signal", os.Getpid()))
		d.save(d.dumpFiles().Data(&d.conf.Global))
	}
}

// answer sends the parent a snapshot.
func (d *daemon) answer(q link.Question) {
	s := d.status()
	d.session.AnswerJSON(q.ID, func() any { return api.OfBFD(s) })
}

// save writes the present data to path, beside the loop.
func (d *daemon) save(path string) {
	s := d.status()
	dump.Save(path, dump.Text(func() []byte { return text.Sessions(s) }))
}

// logData logs the configuration (-d), between other lines.
func (d *daemon) logData(c *conf.Config) {
	s := &status.Sessions{NetNamespace: d.NetNamespace, At: time.Now(), Conf: c}
	dump.Log(d.Logs, func() []byte { return text.Sessions(s) })
}

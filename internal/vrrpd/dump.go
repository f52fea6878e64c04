package vrrpd

import (
	"fmt"
	"log/slog"
	"os"

	"keepalived-go/internal/output/dump"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/json"
	"keepalived-go/internal/output/status/text"
)

// files are where the dumps go.
func (d *daemon) files() *dump.Files {
	return &dump.Files{Dir: d.DumpDir, Namespace: d.NetNamespace, Instance: d.InstanceName}
}

// save returns what writes a view of a snapshot to path, beside the loop.
func save(path string, view func(*status.VRRP) []byte) func(*status.VRRP) {
	return func(s *status.VRRP) { dump.Save(path, dump.Text(func() []byte { return view(s) })) }
}

// saveData writes the state of everything to path.
func (d *daemon) saveData(path string) {
	d.askBeside(func(b beside) {
		f := d.newFilling(true, b)
		dump.Save(path, f.stream(f.rest()).data)
	})
}

func logDump(what string) {
	slog.Info(fmt.Sprintf("Printing VRRP %s for process(%d) on signal", what, os.Getpid()))
}

// dumpData writes the state of everything (SIGUSR1).
func (d *daemon) dumpData() {
	logDump("data")
	d.saveData(d.files().Data(&d.conf.Global))
}

// dumpStats writes the statistics (SIGUSR2) and, if asked to, clears them.
func (d *daemon) dumpStats(clear bool) {
	logDump("stats")
	var visit func(*router)
	if clear {
		visit = func(r *router) { r.engine.ClearStats() }
	}
	d.snapshot(visit, save(d.files().Stats(&d.conf.Global), text.Stats))
}

// dumpJSON writes the JSON dump (SIGRTMIN+2).
func (d *daemon) dumpJSON() {
	logDump("as json")
	d.snapshot(nil, save(d.files().JSON(&d.conf.Global), json.VRRP))
}

// logData logs the data (-d), between other lines.
func (d *daemon) logData(s *status.VRRP) {
	dump.Log(d.Logs, func() []byte { return text.Data(s) })
}

// keepingData calls reload, which reports when it is done, and keeps the data before
// and after it in the directory of config_save_dir.
func (d *daemon) keepingData(reload func(done func())) {
	pre := d.files().Reload(&d.conf.Global, d.reloads+1, "pre")
	if pre == "" {
		reload(func() {})
		return
	}
	d.reloads++
	post := d.files().Reload(&d.conf.Global, d.reloads, "post")
	d.snapshot(nil, func(s *status.VRRP) {
		save(pre, text.Data)(s)
		reload(func() { d.saveData(post) })
	})
}

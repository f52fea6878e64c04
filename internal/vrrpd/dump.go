package vrrpd

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"keepalived-go/internal/output/dump"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/json"
	"keepalived-go/internal/output/status/text"
	"keepalived-go/vrrp"
)

// dumpPath is where a dump goes: where the configuration says, else name in the
// directory of dumps.
func (d *daemon) dumpPath(configured, name string) string {
	if configured != "" {
		return configured
	}
	return filepath.Join(d.DumpDir, name)
}

// save returns what writes a view of a snapshot to path, beside the loop.
func save(path string, view func(*status.VRRP) []byte) func(*status.VRRP) {
	return func(s *status.VRRP) {
		go func() {
			if err := dump.Replace(path, view(s)); err != nil {
				slog.Error(err.Error())
			}
		}()
	}
}

func logDump(what string) {
	slog.Info(fmt.Sprintf("Printing VRRP %s for process(%d) on signal", what, os.Getpid()))
}

// dumpData writes the state of everything (SIGUSR1).
func (d *daemon) dumpData() {
	logDump("data")
	g := &d.conf.Global
	name := "keepalived.data"
	if g.DataUseInst {
		name = dump.Name(name, d.NetNamespace, d.InstanceName)
	}
	d.snapshot(nil, save(d.dumpPath(g.StateDumpFile, name), text.Data))
}

// dumpStats writes the statistics (SIGUSR2) and, if asked to, clears them.
func (d *daemon) dumpStats(clear bool) {
	logDump("stats")
	var visit func(*router)
	if clear {
		visit = func(r *router) { *r.engine.Stats() = vrrp.Stats{} }
	}
	d.snapshot(visit, save(d.dumpPath(d.conf.Global.StatsDumpFile, "keepalived.stats"), text.Stats))
}

// dumpJSON writes the JSON dump (SIGRTMIN+2).
func (d *daemon) dumpJSON() {
	logDump("as json")
	d.snapshot(nil, save(d.dumpPath(d.conf.Global.JSONDumpFile, "keepalived.json"), json.VRRP))
}

// logData logs the data (-d), between other lines.
func (d *daemon) logData(s *status.VRRP) { go func() { d.Logs.InfoLines(string(text.Data(s))) }() }

// keepingData calls reload, which says when it is done, and keeps the data before
// and after it in the directory of config_save_dir.
func (d *daemon) keepingData(reload func(done func())) {
	dir := d.conf.Global.ConfigSaveDir
	if dir == "" {
		reload(func() {})
		return
	}
	d.reloads++
	path := fmt.Sprintf("%s/keepalived_vrrp.%d.%d.", dir, os.Getpid(), d.reloads)
	d.snapshot(nil, func(s *status.VRRP) {
		save(path+"pre", text.Data)(s)
		reload(func() { d.snapshot(nil, save(path+"post", text.Data)) })
	})
}

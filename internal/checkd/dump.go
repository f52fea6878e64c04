package checkd

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/output/dump"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/json"
	"keepalived-go/internal/output/status/text"
	"keepalived-go/internal/proc/link"
)

// dumpFiles are where the dumps go.
func (d *daemon) dumpFiles() *dump.Files {
	return &dump.Files{Process: "_check", Dir: d.DumpDir, Namespace: d.NetNamespace, Instance: d.InstanceName}
}

// save returns what writes a view of a snapshot to path, beside the loop.
func save(path string, view func(*status.LVS) []byte) func(*status.LVS) {
	return func(s *status.LVS) { dump.Save(path, dump.Text(func() []byte { return view(s) })) }
}

// dump writes the data (SIGUSR1) or the JSON dump (SIGRTMIN+2). There are no
// statistics of health checks, as in the C daemon.
func (d *daemon) dump(kind link.Kind) {
	g := &d.conf.Global
	switch kind {
	case link.DumpData:
		slog.Info(fmt.Sprintf("Printing checker data for process(%d) on signal", os.Getpid()))
		d.snapshot(save(d.dumpFiles().Data(g), text.LVS))
	case link.DumpJSON:
		slog.Info(fmt.Sprintf("Printing checker as json for process(%d) on signal", os.Getpid()))
		d.snapshot(save(d.dumpFiles().JSON(g), json.LVS))
	}
}

// logData logs the data (-d), between other lines.
func (d *daemon) logData(s *status.LVS) {
	dump.Log(d.Logs, func() []byte { return text.LVS(s) })
}

// reloadTo takes up another configuration, with what config_save_dir and -d ask for
// around it.
func (d *daemon) reloadTo(c *conf.Config, confirm func()) {
	d.reloads++
	files, n := d.dumpFiles(), d.reloads
	pre, post := files.Reload(&d.conf.Global, n, "pre"), files.Reload(&d.conf.Global, n, "post")
	reload := func() {
		d.prepareReload(c, func() {
			kernel.TakenUp()
			confirm()
			if d.LogData {
				d.snapshot(d.logData)
			}
			if post != "" {
				d.snapshot(save(post, text.LVS))
			}
		})
	}
	if pre == "" {
		reload()
		return
	}
	d.snapshot(func(s *status.LVS) {
		save(pre, text.LVS)(s)
		reload()
	})
}

// answer sends the parent a snapshot with what the kernel counts, or the services of one
// that have changed, with the checks of the servers that have.
func (d *daemon) answer(q link.Question) {
	d.fill(q.Since == 0, func(f *filling) {
		d.session.Answer(q.ID, func(w *bufio.Writer) error {
			if q.Since != 0 {
				f.out.Keep(time.Unix(0, q.Since))
			}
			f.count()
			return api.WriteLVS(w, f.out)
		})
	})
}

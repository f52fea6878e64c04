package vrrpd

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/track"
	"keepalived-go/internal/output/dump"
	"keepalived-go/internal/output/notify"
	"keepalived-go/vrrp"
)

// dumpSlice is how many virtual routers are written between two looks at the
// timers: well below a millisecond's work.
const dumpSlice = 16

// forEachRouter calls f for every virtual router and then done, in slices: the
// loop turns between them, for there may be thousands.
func (d *daemon) forEachRouter(f func(*router), done func()) {
	rest := slices.Clone(d.routers)
	var next func()
	next = func() {
		n := min(len(rest), dumpSlice)
		for _, r := range rest[:n] {
			f(r)
		}
		if rest = rest[n:]; len(rest) == 0 {
			done()
			return
		}
		d.loop.post(next)
	}
	next()
}

// beside is what other goroutines know or look up before a dump begins.
type beside struct {
	accounts  *dump.Accounts
	scripts   map[string]track.ScriptRun
	processes map[string]track.ProcessCount
	notices   notify.Status
}

// askBeside asks, and calls f on the loop.
func (d *daemon) askBeside(f func(beside)) {
	set, notifier, c := d.tracking.set, d.notifier, d.conf
	go func() {
		b := beside{accounts: d.lookUp(c)}
		if set != nil {
			b.scripts, b.processes = set.Scripts(), set.Processes()
		}
		if notifier != nil {
			b.notices = notifier.Status()
		}
		d.loop.post(func() { f(b) })
	}()
}

// lookUp finds the programs of all commands and as whom they run, so that the
// loop does not wait for a file system.
func (d *daemon) lookUp(c *conf.Config) *dump.Accounts {
	a := &dump.Accounts{Policy: c.Global.Scripts}
	dump.Global(new(dump.Text), &c.Global, d.dumpProcess(), a)
	for _, s := range c.Scripts {
		a.Command(&s.Command)
	}
	notified := func(n *conf.Notify) {
		for _, s := range notifyCommands(notifyOf(n)) {
			a.Command(s.command)
		}
	}
	for _, i := range c.Instances {
		notified(i.Notify)
	}
	for _, g := range c.SyncGroups {
		notified(g.Notify)
	}
	return a
}

func (d *daemon) dumpProcess() dump.Process {
	return dump.Process{NetNamespace: d.NetNamespace, MarkerPath: d.MarkerPath}
}

// dumpPath is where a dump goes: where the configuration says, else name in the
// directory of dumps.
func (d *daemon) dumpPath(configured, name string) string {
	if configured != "" {
		return configured
	}
	return filepath.Join(d.DumpDir, name)
}

// save writes a dump without holding up the loop.
func save(path string, text []byte) {
	go func() {
		if err := dump.Replace(path, text); err != nil {
			slog.Error(err.Error())
		}
	}()
}

func tellDump(what string) {
	slog.Info(fmt.Sprintf("Printing VRRP %s for process(%d) on signal", what, os.Getpid()))
}

// dumpData writes the state of everything (SIGUSR1).
func (d *daemon) dumpData() {
	tellDump("data")
	g := &d.conf.Global
	name := "keepalived.data"
	if g.DataUseInst {
		name = dump.Name(name, d.NetNamespace, d.InstanceName)
	}
	path := d.dumpPath(g.StateDumpFile, name)
	d.composeData(func(text []byte) { save(path, text) })
}

// dumpStats writes the statistics (SIGUSR2) and, if asked to, clears them.
func (d *daemon) dumpStats(clear bool) {
	tellDump("stats")
	path := d.dumpPath(d.conf.Global.StatsDumpFile, "keepalived.stats")
	t := new(dump.Text)
	d.forEachRouter(func(r *router) {
		statsText(t, r)
		if clear {
			*r.engine.Stats() = vrrp.Stats{}
		}
	}, func() { save(path, t.Bytes()) })
}

// dumpJSON writes the JSON dump (SIGRTMIN+2).
func (d *daemon) dumpJSON() {
	tellDump("as json")
	path := d.dumpPath(d.conf.Global.JSONDumpFile, "keepalived.json")
	d.composeJSON(func(text []byte) { save(path, text) })
}

// logData logs the data (-d), between other lines.
func (d *daemon) logData(text []byte) { go d.Logs.InfoLines(string(text)) }

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
	d.composeData(func(text []byte) {
		save(path+"pre", text)
		reload(func() {
			d.composeData(func(text []byte) { save(path+"post", text) })
		})
	})
}

type statRow struct {
	name  string
	value uint64
}

func statsText(t *dump.Text, r *router) {
	s := r.engine.Stats()
	t.Line("VRRP Instance: %s", r.conf.Name)
	for _, section := range []struct {
		title string
		rows  []statRow
	}{
		{"Advertisements", []statRow{{"Received", s.AdvertsReceived}, {"Sent", s.AdvertsSent}}},
		{"", []statRow{{"Became master", s.BecomeMaster}, {"Released master", s.ReleaseMaster}}},
		{"Packet Errors", []statRow{
			{"Length", s.PacketLengthErrors()}, {"TTL", s.TTLErrors()},
			{"Invalid Type", s.Rejected[vrrp.RejectType]},
			{"Advertisement Interval", s.Rejected[vrrp.RejectInterval]},
			{"Address List", s.AddressErrors()},
			{"Checksum", s.Rejected[vrrp.RejectChecksum]},
			{"Version", s.Rejected[vrrp.RejectVersion]}}},
		{"Authentication Errors", []statRow{
			{"Invalid Type", s.Rejected[vrrp.RejectAuthType]},
			{"Type Mismatch", s.Rejected[vrrp.RejectAuthMismatch]},
			{"Failure", s.AuthFailures()}}},
		{"Authentication Extension Errors", []statRow{
			{"Missing", s.Rejected[vrrp.RejectHMACMissing]},
			{"Malformed", s.Rejected[vrrp.RejectHMACMalformed]},
			{"Unknown Key", s.Rejected[vrrp.RejectHMACUnknownKey]},
			{"Invalid HMAC", s.Rejected[vrrp.RejectHMACInvalid]},
			{"Stale", s.Rejected[vrrp.RejectHMACStale]},
			{"Replay", s.Rejected[vrrp.RejectHMACReplayed]}}},
		{"Priority Zero", []statRow{{"Received", s.PriorityZeroReceived}, {"Sent", s.PriorityZeroSent}}},
	} {
		indent := "  "
		if section.title != "" {
			t.Line("  %s:", section.title)
			indent = "    "
		}
		for _, row := range section.rows {
			t.Line("%s%s: %d", indent, row.name, row.value)
		}
	}
}

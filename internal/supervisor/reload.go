package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/link"
	"keepalived-go/internal/logging"
	"keepalived-go/internal/script"
)

// loaded is a configuration as read.
type loaded struct {
	config      *conf.Config
	settings    settings
	diagnostics conf.Diagnostics
	frame       *link.Frame // encoded for the child; nil if refused
	err         error       // other than in the text
	failed      bool        // the test of reload_check_config
}

// reading is how a configuration is read.
type reading struct {
	number int         // how many this process has read before
	reload conf.Reload // of the configuration in force; zero at start
}

// ConfOptions returns how the configuration is read.
func (o Options) ConfOptions() conf.Options {
	return conf.Options{ConfigID: o.ConfigID, AllChecks: o.AllConfig, Interface: interfaces(), CheckCommand: script.Check}
}

// load reads the configuration. It may run beside the loop.
func (o Options) load(how reading) loaded {
	debug.SetGCPercent(400) // until [supervisor.forget]: a usual file is read without a collection
	complain := func(err error) {
		if err != nil {
			slog.Error(err.Error())
		}
	}
	if how.reload.Marker {
		if err := beginReading(how.reload.MarkerPath); err != nil {
			complain(err)
		} else {
			defer func() { complain(endReading(how.reload.MarkerPath)) }()
		}
	}
	opt := o.ConfOptions()
	if how.reload.Check {
		slog.Log(context.Background(), logging.LevelDetail, "validate conf before Reload")
	} else {
		// An interface may come later and may go again. The virtual router that
		// needs it is in FAULT meanwhile, and says why.
		opt.Interface = nil
		// Likewise a script: who runs it says so, and looks again at each start.
		opt.CheckCommand = nil
	}
	var r loaded
	r.config, r.diagnostics = conf.Load(o.Config, opt)
	if how.reload.Check {
		r.failed = r.diagnostics.TestExitCode() != ExitOK
		complain(writeCheckLog(how.reload.CheckLog, o.Version, r.diagnostics))
	}
	if r.config != nil && r.config.Global.ConfigSaveDir != "" {
		complain(saveConfiguration(r.config.Global.ConfigSaveDir, how.number, o.Config, opt))
	}
	if r.failed || r.refusal() != ExitOK {
		return r
	}
	r.settings = settingsOf(r.config)
	message := link.Message{Kind: link.Configure, Config: r.config}
	dir := r.config.Global.TmpConfigDir
	if r.frame, r.err = link.NewFrame(message, dir); r.err != nil && dir != "" {
		slog.Error("tmp_config_directory: " + r.err.Error() + "; it is kept in memory")
		r.frame, r.err = link.NewFrame(message, "")
	}
	return r
}

// refusal returns the exit code of a daemon that is to start with r, ExitOK if
// it can.
func (r loaded) refusal() int {
	if r.err != nil {
		return ExitFatal
	}
	return r.diagnostics.Fatal()
}

// log tells what is wrong with r, read from path.
func (r loaded) log(path string) {
	slog.Info("Configuration file " + path)
	for _, d := range r.diagnostics {
		level := slog.LevelInfo
		switch d.Severity {
		case conf.Warning:
			level = slog.LevelWarn
		case conf.Error, conf.Fatal:
			level = slog.LevelError
		}
		for line := range strings.SplitSeq(d.String(), "\n") {
			slog.Log(context.Background(), level, line)
		}
	}
	if r.err != nil {
		slog.Error(r.err.Error())
	}
}

// interfaces returns a function that reports whether an interface has a name,
// in the network namespace of the process. It asks once for each.
func interfaces() func(name string) bool {
	known := make(map[string]bool)
	return func(name string) bool {
		exists, ok := known[name]
		if !ok {
			exists = interfaceExists(name)
			known[name] = exists
		}
		return exists
	}
}

func interfaceExists(name string) bool {
	req, err := unix.NewIfreq(name)
	if err != nil {
		return false // too long for a name
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	return unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, req) == nil
}

// reload begins to read the configuration anext. Requests that come meanwhile
// are answered by one more reload.
func (s *supervisor) reload() {
	if s.stopping {
		return
	}
	if s.reloading {
		s.again = true
		return
	}
	s.reloading = true
	slog.Info("Reloading ...")
	s.systemd.reloading()
	how := reading{s.loads, s.global.Reload}
	if how.reload.MarkerPath == "" {
		how.reload.MarkerPath = s.files.reloadMarker
	}
	s.loads++
	go func() { s.loaded <- s.o.load(how) }()
}

// reloaded takes up what reload has read, all of it or nothing.
func (s *supervisor) reloaded(r loaded) {
	if s.stopping {
		return
	}
	r.log(s.o.Config)
	// A start makes the best of a file with errors, as upstream does. A reload
	// has something better: what runs.
	if r.failed {
		slog.Error("New config failed validation, see " + s.global.Reload.CheckLog + " for details")
	}
	if errs := r.diagnostics.Count(conf.Error); errs > 0 || r.failed || r.refusal() != ExitOK {
		slog.Error(fmt.Sprintf("Reload refused: the running configuration stays (%d errors)", max(1, errs)))
		s.reloadEnded(s.settings.running() + "; the last reload was refused")
		s.forget()
		return
	}
	s.keepFixed(r.settings)
	s.accept(&r)
	if s.vrrp != nil {
		s.vrrp.post(s.frame)
		return // it answers with Reloaded
	}
	s.respawn.Stop() // what made the process die may be gone
	s.startIfNeeded()
	if s.vrrp == nil {
		s.reloadComplete()
		s.forget()
	}
}

// keepFixed says what of next cannot change while the daemon runs.
func (s *supervisor) keepFixed(next settings) {
	namespace := s.settings.namespace
	if s.o.Namespace != "" {
		namespace = next.namespace // -s decides
	}
	for _, c := range []struct {
		what    string
		changed bool
	}{
		{"net_namespace", next.namespace != namespace},
		{"instance", next.instance != s.settings.instance},
		{"use_pid_dir", next.usePidDir != s.settings.usePidDir},
	} {
		if c.changed {
			slog.Warn("Cannot change " + c.what + " at a reload: ignored until restart")
		}
	}
}

func (s *supervisor) reloadComplete() {
	slog.Info("Reload complete")
	s.reloadEnded(s.settings.running())
}

func (s *supervisor) reloadEnded(status string) {
	s.reloading = false
	s.systemd.ready(status)
	if s.again {
		s.again = false
		s.reload()
	}
}

package supervisor

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/named"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
)

// loaded is a configuration as read.
type loaded struct {
	number      int       // as in reading
	read        time.Time // when that was begun
	config      *conf.Config
	settings    settings
	diagnostics conf.Diagnostics
	blocks      int    // outermost ones
	parts       []part // of the roles, in their order; nil if refused
	err         error  // other than in the text
	failed      bool   // the test of reload_check_config
	tree        []*conf.Statement
}

// part is what one role gets of a configuration.
type part struct {
	share proc.Share  // without the configuration itself
	frame *link.Frame // that, encoded for a child
}

// reading is how a configuration is read.
type reading struct {
	number int         // how many configurations this process has read before
	reload conf.Reload // of the configuration in force; zero at start
}

// ConfOptions returns how the configuration is read.
func (o Options) ConfOptions() conf.Options {
	known := sync.OnceValue(func() map[string][]netip.Prefix {
		if !kernel.MarksAddresses() {
			return nil // it is unknown which are ours
		}
		return kernel.ForeignAddrs()
	})
	return conf.Options{ConfigID: o.ConfigID, AllChecks: o.AllConfig, Interface: interfaces(), Interfaces: interfaceNames, CheckCommand: script.Check,
		HasAddress: addresses(), CPUs: cpus(), Names: conf.HostNames, Named: named.Checks(),
		Addresses: func(iface string) []netip.Prefix { return known()[iface] }}
}

// load reads the configuration. It may run beside the loop.
func (o Options) load(how reading) loaded {
	kernel.TakingUp() // until [supervisor.forget]
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
	if how.reload.Check {
		slog.Log(context.Background(), logging.LevelDetail, "validate conf before Reload")
	}
	r := o.read(how.reload.Check, nil)
	r.number = how.number
	if how.reload.Check {
		complain(writeCheckLog(how.reload.CheckLog, o.Version, r.diagnostics))
	}
	if r.config != nil && r.config.Global.ConfigSaveDir != "" {
		complain(saveConfiguration(r.config.Global.ConfigSaveDir, how.number, r.tree))
	}
	if r.failed || r.refusal() != proc.ExitOK {
		return r
	}
	r.settings = settingsOf(r.config)
	dir := r.config.Global.TmpConfigDir
	for _, role := range o.Roles {
		share := role.Share(r.config)
		message := link.Message{Kind: link.Configure, Config: share.Config}
		share.Config = nil // the frame is all that is kept of it
		frame, err := link.NewFrame(message, dir)
		if err != nil && dir != "" {
			slog.Error("tmp_config_directory: " + err.Error() + "; it is kept in memory")
			dir = ""
			frame, err = link.NewFrame(message, dir)
		}
		if err != nil {
			r.err = err
			r.drop()
			return r
		}
		r.parts = append(r.parts, part{share, frame})
	}
	return r
}

// read reads the configuration, or a text instead if there is one, and changes nothing. A
// test of it is as strict as reload_check_config wants it.
func (o Options) read(test bool, text *string) loaded {
	opt := o.ConfOptions()
	if text != nil {
		opt.Unsaved = func(string) (string, bool) { return *text, true }
	}
	if !test {
		// An interface may come later and may go again. The virtual router that
		// needs it is in FAULT meanwhile, and logs why.
		opt.Interface = nil
		// The process that finds an address already there logs that, too.
		opt.Addresses, opt.HasAddress = nil, nil
		// Likewise a script: the process that runs it logs that, and looks again at each start.
		opt.CheckCommand = nil
		// And a certificate, a group or a directory: what needs it logs that it lacks it.
		opt.Named = conf.Named{}
	}
	r := loaded{read: time.Now()}
	opt.Statement = func(st *conf.Statement) {
		if st.HasBlock {
			r.blocks++
		}
		r.tree = append(r.tree, st)
	}
	r.config, r.diagnostics = conf.Load(o.Config, opt)
	if r.config != nil {
		o.SNMP.apply(&r.config.Global.SNMP)
	}
	r.failed = test && r.diagnostics.TestExitCode() != proc.ExitOK
	return r
}

// drop forgets the parts: no process gets them.
func (r *loaded) drop() {
	for _, p := range r.parts {
		p.frame.Close()
	}
	r.parts = nil
}

// refusal returns the exit code of a daemon that is to start with r, proc.ExitOK if
// it can.
func (r loaded) refusal() int {
	if r.err != nil {
		return proc.ExitFatal
	}
	return r.diagnostics.Fatal()
}

// reloadRefusal returns why r does not take the place of a running
// configuration; empty: it does. A daemon can continue with what it can start
// with. But a file that is just being written does not take addresses away.
func (r loaded) reloadRefusal() string {
	if r.failed {
		return "reload_check_config requires a file without errors"
	}
	for i := range r.diagnostics {
		if d := &r.diagnostics[i]; d.Code == conf.CodeUnclosed {
			return fmt.Sprintf("the file ends inside a block (%v), and may still be being written", d.Pos)
		}
	}
	if r.refusal() != proc.ExitOK {
		return "no daemon could start with this file"
	}
	if r.blocks == 0 {
		return "the file has no block, and may still be being written"
	}
	return ""
}

// reasons returns why a daemon cannot start with r.
func (r loaded) reasons() []string {
	var list []string
	for _, d := range r.diagnostics {
		if d.Exit != proc.ExitOK {
			list = append(list, d.String())
		}
	}
	if r.err != nil {
		list = append(list, r.err.Error())
	}
	return list
}

// errors returns the problems that the author should correct.
func (r loaded) errors() (list []string) {
	for i := range r.diagnostics {
		if d := &r.diagnostics[i]; d.Severity >= conf.Error {
			list = append(list, d.String())
		}
	}
	if r.err != nil {
		list = append(list, r.err.Error())
	}
	return list
}

// log logs what is wrong with r, read from path.
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
	if errs := r.diagnostics.Count(conf.Error); errs > 0 && r.refusal() == proc.ExitOK {
		slog.Error(fmt.Sprintf("Errors in the configuration: %d; the faulty parts are left out or replaced, the rest runs", errs))
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

// interfaceNames are those in the network namespace of the process, without the
// loopback one.
func interfaceNames() []string {
	links, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var names []string
	for _, l := range links {
		if l.Flags&net.FlagLoopback == 0 {
			names = append(names, l.Name)
		}
	}
	return names
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

const (
	// reloadPatience is how long a reload is waited for before that is reported
	// and the next one may begin.
	reloadPatience = 10 * time.Second
	// maxReaders bounds the readings of a configuration that do not come to an
	// end, as those of a file on a file system that does not answer.
	maxReaders = 4
)

// reload begins to read the configuration again. Requests that come meanwhile
// are answered by one more reload.
func (s *supervisor) reload() {
	if s.stopping {
		return
	}
	if s.reloading {
		s.again = true
		return
	}
	slog.Info("Reloading ...")
	if s.readers == maxReaders {
		why := fmt.Sprintf("%d earlier reloads still wait for a file", maxReaders)
		slog.Error("Reload refused: the running configuration stays; " + why)
		s.refuseReload(why)
		s.reloadDone(nil)
		return
	}
	s.reloading = true
	s.slow.Reset(reloadPatience)
	s.systemd.reloading()
	how := reading{s.loads, s.global.Reload}
	if how.reload.MarkerPath == "" {
		how.reload.MarkerPath = s.files.reloadMarker
	}
	s.waited = s.loads
	s.loads++
	s.readers++
	go func() { s.loaded <- s.o.load(how) }()
}

// reloadIsSlow reports a reload that takes too long. What it does late is still
// taken over, unless a later one is quicker.
func (s *supervisor) reloadIsSlow() {
	what := "the configuration is still being read"
	if s.taken == s.waited {
		var silent []string
		for _, sl := range s.slots {
			if sl.awaited {
				silent = append(silent, "the "+sl.role.Title+" process has not confirmed the configuration")
			}
		}
		what = strings.Join(silent, ", ")
	}
	slog.Error(fmt.Sprintf("Reload not complete after %g seconds: %s; another reload does not wait for it", reloadPatience.Seconds(), what))
	s.reloadEnded(s.status()+"; the last reload is not complete", act.Refuse(act.Unavailable, "the reload is not complete after %v: %s", reloadPatience, what))
}

// reloaded takes up what reload has read, all of it or nothing.
func (s *supervisor) reloaded(r loaded) {
	if s.stopping || r.number < s.taken {
		r.drop()
		s.readers--
		return
	}
	r.log(s.o.Config)
	if why := r.reloadRefusal(); why != "" {
		s.refuseReload(append([]string{why}, r.errors()...)...)
		if r.failed {
			slog.Error("New config failed validation, see " + s.global.Reload.CheckLog + " for details")
		}
		slog.Error("Reload refused: the running configuration stays; " + why)
		s.readers--
		if s.reloading && r.number == s.waited {
			s.reloadEnded(s.status()+"; the last reload was refused", nil)
		}
		s.forget()
		return
	}
	go func() {
		s.takeFIFOs(r.number, r.config.Global)
		s.ready <- r
	}()
}

// takeFIFOs opens the FIFOs that a configuration names.
func (s *supervisor) takeFIFOs(number int, g conf.Global) {
	within(fifoPatience, "opening FIFOs", func() { s.fifos.take(number, &g) })
}

// takeOver makes r, whose FIFOs are open, the running configuration.
func (s *supervisor) takeOver(r loaded) {
	s.readers--
	if s.stopping || r.number < s.taken {
		r.drop()
		return
	}
	s.keepFixed(r.settings)
	s.accept(&r)
	s.reloads++
	s.applying = true
	for i, sl := range s.slots {
		sl.take(r.parts[i])
		sl.apply()
	}
	s.settled()
}

// settled is called when a process may have been the last one to confirm the
// configuration.
func (s *supervisor) settled() {
	if s.stopping || s.begins() {
		return
	}
	for _, sl := range s.slots {
		if sl.putOff {
			sl.respawn = time.Time{}
			sl.startIfNeeded()
		}
	}
	taken := s.taken
	go s.fifos.retire(taken)
	s.sayStarted()
	if s.applying {
		s.reloadComplete()
	}
	s.forget()
}

// begins reports whether a process has not confirmed the configuration that it was given.
func (s *supervisor) begins() bool {
	return slices.ContainsFunc(s.slots, func(sl *slot) bool { return sl.awaited })
}

// keepFixed reports what of next cannot change while the daemon runs.
func (s *supervisor) keepFixed(next settings) {
	for _, what := range s.fixed(next) {
		slog.Warn("Cannot change " + what + " at a reload: ignored until restart")
	}
}

// fixed are the words of next that differ, and cannot change while the daemon runs.
func (s *supervisor) fixed(next settings) (words []string) {
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
			words = append(words, c.what)
		}
	}
	return words
}

func (s *supervisor) reloadComplete() {
	slog.Info("Reload complete")
	s.applying = false
	if s.reloading && s.taken == s.waited {
		s.reloadEnded(s.status(), nil)
	}
}

// reloadEnded ends the wait for a reload; err is why it has no result.
func (s *supervisor) reloadEnded(status string, err error) {
	s.reloading = false
	s.slow.Stop()
	s.systemd.ready(status)
	s.reloadDone(err)
	if s.again {
		s.again = false
		s.reload()
	}
}

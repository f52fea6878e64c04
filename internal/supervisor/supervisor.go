// Package supervisor is the parent process. It reads the configuration, starts a
// process of each role that has something to do and starts it again when it dies,
// passes signals on to them, keeps the pid files, and talks to systemd.
//
//	signals ────────────┐                      ┌─ spawner, one thread ─ children
//	reader of a link ───┤                      ├─ sender of a link ─ child
//	waiter for an end ──┼─ loop (owns slots) ──┼─ loader of a configuration
//	loader ─────────────┤                      └─ systemd notifier
//	timer ──────────────┘
//
// Nothing the loop calls waits for a child: a child that hangs cannot hang the
// supervisor, which ends it at last.
package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/reap"
)

// Options are the command line, understood.
type Options struct {
	Roles   []*proc.Role // of the processes, in the order of their start
	Without []string     // names of roles that are not wanted (-C)

	Version string // as "v2.4.3 (06/22,2026)"

	Config    string // file name as given
	ConfigID  string // empty: the name of the host
	AllConfig bool   // -e: an include that matches nothing is an error

	Foreground   bool // -n
	All          bool // --all: each process, even one that has nothing to do
	NoRespawn    bool // -R
	IgnoreSIGINT bool
	Umask        int // -1: the configuration's, or 0177
	CoreDump     bool
	CorePattern  string // empty: left as it is
	Namespace    string // -s; empty: the configuration's
	// Keep names the roles that leave at the end what they have in the kernel: -V
	// keeps that of vrrp, -I that of checkers.
	Keep         map[string]bool
	LogAddresses bool // -a
	DumpConfig   bool // -d: log the configuration as understood

	ParentPid string            // pid file; empty: default
	PidFiles  map[string]string // of the other processes, by the names of their roles, as far as given
	RunDir    string            // empty: /run

	// Log is where log lines go; Ident and File are for the parent and get a
	// suffix in the children.
	Log logging.Options

	SNMP SNMP // -x, -A
}

// SNMP is what the command line asks for besides the configuration.
type SNMP struct {
	All    bool   // all MIBs
	Socket string // of the master agent; empty: the configuration's
}

func (o *SNMP) apply(c *conf.SNMP) {
	if o.All {
		c.VRRP, c.Checker, c.RFCv2, c.RFCv3 = true, true, true, true
	}
	if o.Socket != "" {
		c.Socket = o.Socket
	}
}

// settings are what the supervisor keeps of the running configuration.
type settings struct {
	namespace, instance string
	usePidDir           bool
	childWait           time.Duration
	handover            time.Duration // what a stop may take before that
	processName         string
	shutdown            onceScript
	umask               int // -1: not set
}

const (
	// startWait is how long the end of a predecessor's process is waited for: it
	// removes what it has in the kernel when its parent has ended.
	startWait = 3 * time.Second
	// startRetry is how long after it could not be started a child is tried again,
	// and retriesReported how many of these times one is reported.
	startRetry      = time.Second
	retriesReported = 60
	// attendLatest is how long a process that only attends the others is put off until they
	// have begun.
	attendLatest = 2 * time.Second
	// endingSlack is what a process may take beyond the time that it gives to
	// scripts: before them, for reports of the end; after them, for a process that
	// not even SIGKILL ends.
	endingSlack = 5 * time.Second
	// signalWait is how long a signal may take from the kernel to the loop.
	signalWait = 100 * time.Millisecond
	// releaseWait is how long the removal of what a process has left behind may
	// take, and how long the end of one that was killed.
	releaseWait = 5 * time.Second
	// idleGC is the GC percentage of a parent that has nothing to do but wait.
	idleGC = 25
)

func settingsOf(c *conf.Config) settings {
	g := &c.Global
	s := settings{
		namespace:   g.NetNamespace,
		instance:    g.InstanceName,
		usePidDir:   g.UsePidDir,
		childWait:   g.ChildTime(),
		handover:    g.StopHandover,
		processName: proc.Name,
		shutdown:    onceScript{"Shutdown", g.Shutdown, g.ShutdownTimeout, g.Scripts, g.ChildTime()},
		umask:       -1,
	}
	if g.ProcessName != "" {
		s.processName = g.ProcessName
	}
	if g.UmaskSet {
		s.umask = int(g.Umask)
	}
	return s
}

// suffix is what instance and namespace add to the name in the log.
func (s settings) suffix() string {
	var b strings.Builder
	for _, name := range []string{s.namespace, s.instance} {
		if name != "" {
			b.WriteString("_" + name)
		}
	}
	return b.String()
}

type supervisor struct {
	o         Options
	logs      *logging.Logs
	systemd   *serviceManager
	settings  settings
	files     runFiles
	readiness *readiness
	spawner   *spawner

	slots []*slot

	parentPid *pidFile

	fifos fifos

	global   conf.Global // of the running configuration
	schedule *schedule   // of reloads
	loads    int         // configurations read so far

	messages chan childMessage
	ended    chan childEnd
	loaded   chan loaded
	plans    chan planned
	ready    chan loaded // accepted, its FIFOs opened

	restoreCore func() // nil: nothing to restore

	started   bool        // Startup complete was said
	reloading bool        // a reload is waited for
	again     bool        // another one was asked for meanwhile
	waited    int         // number of its configuration
	slow      *time.Timer // runs while a reload is waited for
	readers   int         // of configurations, some perhaps given up
	taken     int         // number of the configuration taken over last
	applying  bool        // it came by a reload, and not every process has confirmed it
	problems  int         // errors of the running configuration
	source    *source     // of the running configuration

	begun     time.Time    // when this process was
	read      time.Time    // when the running configuration was
	reloads   int          // configurations that have taken the place of another one
	refused   *api.Refusal // the last reload; nil: it was not
	questions uint32       // passed on to children so far
	intents   intents
	orders    uint32        // acts passed on to children so far
	acts      []api.PastAct // that have ended last
	waiting   []openAct     // for the reload that is on its way
	later     []openAct     // for the one after it

	reasons  []string // why a start fails, for who started us
	stopping bool
	done     bool
	code     int
}

// Run is the daemon: it returns its exit code when it has stopped, or in the
// process that sent it to the background.
func Run(o Options) int {
	if o.RunDir == "" {
		o.RunDir = proc.RunDir
	}
	startedBy() // while we are where we were started
	s := &supervisor{
		o:         o,
		readiness: inheritedReadiness(),
		messages:  make(chan childMessage, 64),
		ended:     make(chan childEnd),
		loaded:    make(chan loaded, 1),
		ready:     make(chan loaded, 1),
		plans:     make(chan planned, 1),
		schedule:  newSchedule(),
		intents:   intents{saved: make(chan savedIntents)},
		loads:     1,
		begun:     time.Now(),
		slow:      stoppedTimer(),
	}
	for _, role := range o.Roles {
		s.slots = append(s.slots, &slot{s: s, role: role})
	}
	if !o.Foreground && s.readiness == nil {
		code, err := daemonize()
		if err != nil {
			fmt.Fprintf(os.Stderr, "keepalived: %v\n", err)
		} else if code != proc.ExitOK && o.Log.Console == nil {
			fmt.Fprintf(os.Stderr, "keepalived: not started (exit code %d), see the log\n", code)
		}
		return code
	}
	return s.run()
}

func (s *supervisor) run() int {
	inside := os.Getenv(envNamespace) // we have been here, before exec
	os.Unsetenv(envNamespace)
	os.Unsetenv(envReady)
	s.readiness.keepOverExec(false)
	proc.SetName(proc.Name)
	reap.IgnoreStray()
	reap.Others()
	proc.ReserveThreads()
	s.spawner = newSpawner()

	// A crash ends with SIGABRT: 2, with which the runtime would exit, means a
	// refused configuration, after which systemd does not start us again.
	debug.SetTraceback("crash")
	unix.Umask(0o177)
	if s.o.Umask >= 0 {
		unix.Umask(s.o.Umask)
	}
	s.o.Log.Ident = "Keepalived"
	logs, err := logging.Setup(s.o.Log)
	s.logs = logs
	if err != nil {
		slog.Error(err.Error())
	}
	defer func() { logs.Flush(time.Now().Add(proc.FlushWait)) }()
	orders := takeOrders(s.o.IgnoreSIGINT)
	s.systemd = newServiceManager()

	if s.o.Namespace != "" && inside == "" {
		return s.refuse(s.enter(s.o.Namespace))
	}
	if inside == "" || s.o.Namespace != "" {
		s.sayHello()
	}
	r, ok := unlessStopped(orders, func() loaded { return s.o.load(reading{}) })
	if !ok {
		return s.refuse(proc.ExitOK)
	}
	if code := r.refusal(); code != proc.ExitOK {
		r.log(s.o.Config)
		s.reasons = append(s.reasons, r.reasons()...)
		return s.refuse(code)
	}
	if r.settings.namespace != "" && inside == "" {
		return s.refuse(s.enter(r.settings.namespace)) // and start over there
	}
	r.log(s.o.Config)
	if code, ok := s.begin(r, orders); !ok {
		return s.refuse(code)
	}
	code := s.loop(orders)
	s.end(orders)
	s.systemd.end(proc.FlushWait)
	return code
}

func stoppedTimer() *time.Timer {
	t := time.NewTimer(time.Hour)
	t.Stop()
	return t
}

// enter moves the program into a namespace; it returns only if it cannot, with
// the exit code.
func (s *supervisor) enter(name string) int {
	s.logs.Flush(time.Now().Add(proc.FlushWait))
	s.readiness.keepOverExec(true)
	if s.readiness != nil {
		os.Setenv(envReady, fmt.Sprint(s.readiness.pipe.Fd()))
	}
	err := enterNamespace(name)
	s.fail(err.Error())
	if errors.Is(err, unix.EPERM) {
		return proc.ExitPermission
	}
	return proc.ExitFatal
}

func (s *supervisor) sayHello() {
	slog.Info("Starting Keepalived " + s.o.Version)
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		slog.Info(fmt.Sprintf("Running on %s %s %s", unix.ByteSliceToString(u.Sysname[:]),
			unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Version[:])))
	}
	slog.Info("Command line: '" + strings.Join(os.Args, "' '") + "'")
}

// fail notes why the start fails.
func (s *supervisor) fail(why string) {
	slog.Error(why)
	s.reasons = append(s.reasons, why)
}

// refuse ends a start that failed, or was to stop.
func (s *supervisor) refuse(code int) int {
	s.removePidFiles()
	slog.Info("Stopped Keepalived " + s.o.Version)
	s.logs.Flush(time.Now().Add(proc.FlushWait))
	if s.readiness != nil && s.o.Log.Console == nil {
		// Who started us looks at a terminal, not at the log.
		for _, reason := range s.reasons {
			fmt.Fprintf(os.Stderr, "keepalived: %s\n", reason)
		}
	}
	s.readiness.report(code)
	return code
}

// begin takes up what must be there before the loop runs. If it is not ok, the
// daemon ends with the code.
func (s *supervisor) begin(r loaded, orders *orders) (code int, ok bool) {
	s.settings = r.settings
	if s.o.Namespace != "" {
		s.settings.namespace = s.o.Namespace
	}
	if s.o.Umask < 0 && s.settings.umask >= 0 {
		unix.Umask(s.settings.umask)
	}
	s.logs.SetIdent("Keepalived" + s.settings.suffix())
	proc.SetName(s.settings.processName)
	s.files = filesFor(s.o.RunDir, s.settings, s.o.ParentPid)
	for i, sl := range s.slots {
		sl.pidPath, sl.statePath = s.files.of(sl.role, s.o.PidFiles[sl.role.Name])
		sl.take(r.parts[i])
	}

	missing, err := missingCapabilities(s.o.Roles)
	if err != nil {
		slog.Error(err.Error())
	}
	if missing != "" {
		s.fail("Missing capability: " + missing + "; run as root or grant it")
		return proc.ExitPermission, false
	}
	if s.parentPid, err = lockPidFile(s.files.parentPid, time.Now()); err == nil {
		err = s.parentPid.write(os.Getpid())
	}
	if err == nil {
		err, ok = unlessStopped(orders, s.lockPidFiles)
		if !ok {
			return proc.ExitOK, false
		}
	}
	if err != nil {
		s.fail(err.Error())
		return proc.ExitFatal, false
	}
	s.intents.read(s.files.intents)
	if s.o.CoreDump {
		proc.AllowCoreDumps()
	}
	if s.o.CorePattern != "" {
		s.restoreCore = setCorePattern(s.o.CorePattern)
	}
	g := &r.config.Global
	startup := onceScript{"Startup", g.Startup, g.StartupTimeout, g.Scripts, g.ChildTime()}
	s.accept(&r)
	if s.readiness != nil {
		if err := s.logs.SilenceConsole(time.Now().Add(proc.FlushWait)); err != nil {
			slog.Error("leave the console: " + err.Error())
		}
		if filepath.IsAbs(s.o.Config) {
			os.Chdir("/") // pin no file system
		}
		s.readiness.report(proc.ExitOK)
	}
	if !startup.run(orders) {
		s.done = true // asked to stop before anything has started
		return proc.ExitOK, true
	}
	if !slices.ContainsFunc(s.slots, (*slot).works) {
		slog.Warn("Warning - keepalived has no configuration to run")
	}
	s.takeFIFOs(s.taken, s.global)
	for _, sl := range s.slots {
		sl.apply()
	}
	s.settled()
	return proc.ExitOK, true
}

// lockPidFiles locks the pid files of the processes that are wanted. It waits for
// the processes of a predecessor.
func (s *supervisor) lockPidFiles() error {
	deadline := time.Now().Add(startWait)
	for _, sl := range s.slots {
		if sl.works() {
			if err := sl.lockPid(deadline); err != nil {
				return err
			}
		}
	}
	return nil
}

// accept makes r the running configuration; the slots take their parts themselves.
func (s *supervisor) accept(r *loaded) {
	s.settings.childWait, s.settings.handover = r.settings.childWait, r.settings.handover
	s.settings.shutdown = r.settings.shutdown
	s.taken = r.number
	s.problems = r.diagnostics.Count(conf.Error)
	s.read, s.refused = r.read, nil
	s.source = &source{tree: r.tree}
	s.global = r.config.Global
	if s.o.DumpConfig {
		s.logConfiguration(r.config)
	}
	r.config, r.tree = nil, nil // the frames are all that is kept of the rest
	s.schedule.configure(s.global.Reload.TimeFile, s.global.Reload.Repeat)
}

// forget gives back the memory that reading a configuration took, unless it is soon read again.
func (s *supervisor) forget() {
	kernel.TakenUp(s.source.pack)
	debug.SetGCPercent(idleGC)
}

func (s *supervisor) removePidFiles() {
	for _, sl := range s.slots {
		sl.removePid()
	}
	s.parentPid.remove()
	s.parentPid = nil
}

func (s *supervisor) end(orders *orders) {
	s.schedule.close()
	wait := s.settings.childWait
	within(drainWait+wait+fifoPatience, "the end of the readers of FIFOs", func() { s.fifos.close(wait) })
	s.settings.shutdown.run(orders)
	if s.restoreCore != nil {
		s.restoreCore()
	}
	s.removePidFiles()
	slog.Info("Stopped Keepalived " + s.o.Version)
}

// sayStarted is called when all runs that should, also again.
func (s *supervisor) sayStarted() {
	if s.started {
		s.systemd.status(s.status())
		return
	}
	s.started = true
	slog.Info("Startup complete")
	s.systemd.ready(s.status())
}

// status describes in one line our state.
func (s *supervisor) status() string {
	if s.problems == 0 {
		return s.running()
	}
	return fmt.Sprintf("%s; errors in the configuration: %d, see the log", s.running(), s.problems)
}

// running describes in one line what runs.
func (s *supervisor) running() string {
	var served []string
	for _, sl := range s.slots {
		if sl.share.Units > 0 && sl.wanted() {
			served = append(served, sl.units())
		}
	}
	if served == nil {
		served = append(served, "0 "+s.slots[0].role.Unit+"s")
	}
	return "Running " + strings.Join(served, ", ")
}

func (s *supervisor) loop(orders *orders) int {
	var idle <-chan time.Time // pings for a child that need not run
	if s.systemd.watchdog > 0 {
		t := time.NewTicker(s.systemd.watchdog / 2)
		defer t.Stop()
		idle = t.C
	}
	due := stoppedTimer()
	for !s.done {
		if at := s.next(); at.IsZero() {
			due.Stop()
		} else {
			due.Reset(time.Until(at))
		}
		select {
		case <-orders.stop:
			s.stop(proc.ExitOK)
		case <-orders.reload:
			s.reload()
		case sig := <-orders.dumps:
			s.dump(link.DumpSignals[sig])
		case m := <-s.messages:
			m.deliver()
		case e := <-s.ended:
			if e.askedToStop() && !s.stopping {
				// By whom? If by systemd, which stops all processes of a
				// service at once, our signal is on its way.
				select {
				case <-orders.stop:
					s.stop(proc.ExitOK)
				case <-time.After(signalWait):
				}
			}
			for len(s.messages) > 0 { // its last words
				(<-s.messages).deliver()
			}
			e.child.slot.ended(e)
		case r := <-s.loaded:
			s.reloaded(r)
		case p := <-s.plans:
			s.planEnd(p)
		case r := <-s.ready:
			s.takeOver(r)
		case <-s.schedule.wake:
			if s.schedule.woken(time.Now()) {
				s.reload()
			}
		case <-s.slow.C:
			s.reloadIsSlow()
		case <-due.C:
			now := time.Now()
			for _, sl := range s.slots {
				sl.due(now)
			}
			s.expire(now)
		case w := <-s.intents.saved:
			w.then(w.err)
		case <-idle:
			if !slices.ContainsFunc(s.slots, (*slot).runs) {
				s.systemd.alive()
			}
		}
		s.done = s.done || s.stopping && !slices.ContainsFunc(s.slots, func(sl *slot) bool { return !sl.stopped })
	}
	return s.code
}

// next returns when a slot has something to do; zero: when something happens.
func (s *supervisor) next() (first time.Time) {
	for _, sl := range s.slots {
		first = earliest(first, sl.next())
	}
	if s.stopping {
		return first
	}
	return earliest(first, s.intents.next())
}

// stop begins the end of the daemon.
func (s *supervisor) stop(code int) {
	if s.stopping {
		return
	}
	slog.Info("Stopping")
	s.stopping, s.code = true, code
	s.systemd.stopping()
	s.slow.Stop()
	for _, sl := range s.slots {
		sl.stop()
	}
}

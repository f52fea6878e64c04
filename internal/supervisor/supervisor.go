// Package supervisor is the parent process. It reads the configuration, starts
// the VRRP process and starts it again when it dies, passes signals on to it,
// keeps the pid files, and talks to systemd.
//
//	signals ────────────┐                      ┌─ spawner, one thread ─ child
//	reader of the link ─┤                      ├─ sender of the link ─ child
//	waiter for the end ─┼─ loop (owns it all) ─┼─ loader of a configuration
//	loader ─────────────┤                      └─ systemd notifier
//	timers ─────────────┘
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
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/reap"
)

// Exit codes of the daemon and of its children.
const (
	ExitOK         = 0
	ExitFatal      = 1
	ExitConfig     = 2
	ExitPermission = 4
	ExitNoConfig   = 6
)

// Options are the command line, understood.
type Options struct {
	Version string // as "v2.4.3 (06/22,2026)"

	Config    string // file name as given
	ConfigID  string // empty: the name of the host
	AllConfig bool   // -e: an include that matches nothing is an error

	Foreground   bool // -n
	NoVRRP       bool // -C: no VRRP process
	All          bool // --all: VRRP process even without a virtual router
	NoRespawn    bool // -R
	IgnoreSIGINT bool
	Umask        int // -1: the configuration's, or 0177
	CoreDump     bool
	CorePattern  string // empty: left as it is
	Namespace    string // -s; empty: the configuration's
	DontRelease  bool   // -V
	LogAddresses bool   // -a
	DumpConfig   bool   // -d: log the configuration as understood

	ParentPid, VRRPPid string // pid files; empty: default
	RunDir             string // empty: /run

	// Log says where log lines go; Ident and File are for the parent and get a
	// suffix in the children.
	Log logging.Options

	// NoEffect are the options given that do nothing in this version.
	NoEffect []string
}

// settings are what the supervisor keeps of the running configuration.
type settings struct {
	namespace, instance string
	usePidDir           bool
	childWait           time.Duration
	limits              conf.ProcessLimits
	processName         string
	vrrpName            string
	routers             int
	shutdown            onceScript
	umask               int // -1: not set
}

const (
	processName = "keepalived"
	// startWait is how long the end of a predecessor's VRRP process is waited
	// for: it removes its addresses when its parent has died.
	startWait = 3 * time.Second
	// startRetry is how long after it could not be started a child is tried again,
	// and retriesTold how many of these times one is told of.
	startRetry  = time.Second
	retriesTold = 60
	flushWait   = 200 * time.Millisecond
	// endingSlack is what a VRRP process may take beyond the time that it gives to
	// scripts: before it, those who are told of the end; after it, who does not
	// even die of SIGKILL.
	endingSlack = 5 * time.Second
	// signalWait is how long a signal may take from the kernel to the loop.
	signalWait = 100 * time.Millisecond
	// releaseWait is how long the removal of addresses that a VRRP process has
	// left behind may take, and how long the end of one that was killed.
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
		limits:      g.VRRP,
		processName: processName,
		vrrpName:    processName,
		routers:     len(c.Instances),
		shutdown:    onceScript{"Shutdown", g.Shutdown, g.ShutdownTimeout, g.Scripts, g.ChildTime()},
		umask:       -1,
	}
	if g.ProcessNames {
		s.vrrpName = processName + "_vrrp"
	}
	if g.ProcessName != "" {
		s.processName = g.ProcessName
	}
	if g.VRRPProcessName != "" {
		s.vrrpName = g.VRRPProcessName
	}
	if g.UmaskSet {
		s.umask = int(g.Umask)
	}
	return s
}

// running says in one line what runs.
func (s settings) running() string {
	if s.routers == 1 {
		return "Running 1 virtual router"
	}
	return fmt.Sprintf("Running %d virtual routers", s.routers)
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
	o        Options
	logs     *logging.Logs
	systemd  *serviceManager
	settings settings
	files    runFiles
	front    *starter
	spawner  *spawner

	parentPid, vrrpPid *pidFile

	frame    *link.Frame // of the running configuration
	global   conf.Global // likewise
	schedule *schedule   // of reloads
	loads    int         // configurations read so far
	vrrp     *child      // nil: does not run
	backoff  backoff
	respawn  *time.Timer // runs while a dead child waits for its successor
	deadline *time.Timer // runs while a child is given time to stop
	killed   bool        // the child has been; its end is waited for
	// unreleased says that there may be addresses which no VRRP process has
	// given up: one runs, or has ended otherwise than when told to.
	unreleased   bool
	giveUp       time.Time // when that is not tried any more; zero: not tried yet
	failedStarts int       // of children, in a row

	messages chan childMessage
	ended    chan childEnd
	loaded   chan loaded

	restoreCore func() // nil: nothing to restore

	started   bool        // Startup complete was said
	reloading bool        // a reload is waited for
	again     bool        // another one was asked for meanwhile
	waited    int         // number of its configuration
	slow      *time.Timer // runs while a reload is waited for
	readers   int         // of configurations, some perhaps given up
	taken     int         // number of the configuration taken over last
	applying  bool        // it came by a reload, and the child has not confirmed it
	problems  int         // errors of the running configuration

	reasons  []string // why a start fails, for who started us
	stopping bool
	done     bool
	code     int
}

// Run is the daemon: it returns its exit code when it has stopped, or in the
// process that sent it to the background.
func Run(o Options) int {
	if o.RunDir == "" {
		o.RunDir = "/run"
	}
	startedBy() // while we are where we were started
	s := &supervisor{
		o:        o,
		front:    inheritedStarter(),
		messages: make(chan childMessage, 64),
		ended:    make(chan childEnd),
		loaded:   make(chan loaded, 1),
		schedule: newSchedule(),
		loads:    1,
		respawn:  stoppedTimer(),
		deadline: stoppedTimer(),
		slow:     stoppedTimer(),
	}
	if !o.Foreground && s.front == nil {
		code, err := daemonize()
		if err != nil {
			fmt.Fprintf(os.Stderr, "keepalived: %v\n", err)
		} else if code != ExitOK && o.Log.Console == nil {
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
	s.front.keepOverExec(false)
	setProcessName(processName)
	reap.IgnoreStray()
	reap.Others()
	reserveThreads(spareThreads)
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
	defer func() { logs.Flush(time.Now().Add(flushWait)) }()
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
		return s.refuse(ExitOK)
	}
	if code := r.refusal(); code != ExitOK {
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
	s.logs.Flush(time.Now().Add(flushWait))
	s.front.keepOverExec(true)
	if s.front != nil {
		os.Setenv(envReady, fmt.Sprint(s.front.pipe.Fd()))
	}
	err := enterNamespace(name)
	s.fail(err)
	if errors.Is(err, unix.EPERM) {
		return ExitPermission
	}
	return ExitFatal
}

func (s *supervisor) sayHello() {
	slog.Info("Starting Keepalived " + s.o.Version)
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		slog.Info(fmt.Sprintf("Running on %s %s %s", unix.ByteSliceToString(u.Sysname[:]),
			unix.ByteSliceToString(u.Release[:]), unix.ByteSliceToString(u.Version[:])))
	}
	slog.Info("Command line: '" + strings.Join(os.Args, "' '") + "'")
	if len(s.o.NoEffect) > 0 {
		slog.Warn("Without effect in this version: " + strings.Join(s.o.NoEffect, ", "))
	}
}

// fail notes why the start fails.
func (s *supervisor) fail(err error) {
	slog.Error(err.Error())
	s.reasons = append(s.reasons, err.Error())
}

// refuse ends a start that failed, or was told to stop.
func (s *supervisor) refuse(code int) int {
	s.removePidFiles()
	slog.Info("Stopped Keepalived " + s.o.Version)
	s.logs.Flush(time.Now().Add(flushWait))
	if s.front != nil && s.o.Log.Console == nil {
		// Who started us looks at a terminal, not at the log.
		for _, reason := range s.reasons {
			fmt.Fprintf(os.Stderr, "keepalived: %s\n", reason)
		}
	}
	s.front.tell(code)
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
	setProcessName(s.settings.processName)
	s.files = filesFor(s.o.RunDir, s.settings, s.o.ParentPid, s.o.VRRPPid)

	missing, err := missingCapabilities()
	if err != nil {
		slog.Error(err.Error())
	}
	if missing != "" {
		s.fail(fmt.Errorf("Missing capability: %s; run as root or grant it", missing))
		return ExitPermission, false
	}
	if s.parentPid, err = lockPidFile(s.files.parentPid, time.Now()); err == nil {
		err = s.parentPid.write(os.Getpid())
	}
	if err == nil && s.needed() {
		type result struct {
			file *pidFile
			err  error
		}
		r, ok := unlessStopped(orders, func() (r result) {
			r.file, r.err = lockPidFile(s.files.vrrpPid, time.Now().Add(startWait))
			return r
		})
		if !ok {
			return ExitOK, false
		}
		s.vrrpPid, err = r.file, r.err
	}
	if err != nil {
		s.fail(err)
		return ExitFatal, false
	}
	if s.o.CoreDump {
		AllowCoreDumps()
	}
	if s.o.CorePattern != "" {
		s.restoreCore = setCorePattern(s.o.CorePattern)
	}
	g := &r.config.Global
	startup := onceScript{"Startup", g.Startup, g.StartupTimeout, g.Scripts, g.ChildTime()}
	s.accept(&r)
	if s.front != nil {
		if err := s.logs.SilenceConsole(time.Now().Add(flushWait)); err != nil {
			slog.Error("leave the console: " + err.Error())
		}
		if filepath.IsAbs(s.o.Config) {
			os.Chdir("/") // pin no file system
		}
		s.front.tell(ExitOK)
	}
	if !startup.run(orders) {
		s.done = true // told to stop before anything has started
		return ExitOK, true
	}
	if !s.needed() {
		slog.Warn("Warning - keepalived has no configuration to run")
	}
	s.startIfNeeded()
	if s.vrrp == nil {
		s.sayStarted()
		s.forget()
	}
	return ExitOK, true
}

// accept makes r the running configuration.
func (s *supervisor) accept(r *loaded) {
	s.frame = r.frame
	s.settings.childWait = r.settings.childWait
	s.settings.limits = r.settings.limits
	s.settings.routers = r.settings.routers
	s.settings.shutdown = r.settings.shutdown
	s.taken = r.number
	s.problems = r.diagnostics.Count(conf.Error)
	s.global = r.config.Global
	if s.o.DumpConfig {
		s.logConfiguration(r.config)
	}
	r.config = nil // the frame is all that is kept of the rest
	s.schedule.configure(s.global.Reload.TimeFile, s.global.Reload.Repeat)
}

// forget gives back the memory that reading a configuration took.
func (s *supervisor) forget() {
	debug.SetGCPercent(idleGC)
	kernel.GiveBackMemory()
}

func (s *supervisor) removePidFiles() {
	s.vrrpPid.remove()
	s.parentPid.remove()
	s.vrrpPid, s.parentPid = nil, nil
}

func (s *supervisor) end(orders *orders) {
	s.schedule.close()
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

// status says in one line how we are.
func (s *supervisor) status() string {
	if s.problems == 0 {
		return s.settings.running()
	}
	return fmt.Sprintf("%s; errors in the configuration: %d, see the log", s.settings.running(), s.problems)
}

func (s *supervisor) loop(orders *orders) int {
	var idle <-chan time.Time // pings for a child that need not run
	if s.systemd.watchdog > 0 {
		t := time.NewTicker(s.systemd.watchdog / 2)
		defer t.Stop()
		idle = t.C
	}
	for !s.done {
		select {
		case <-orders.stop:
			s.stop(ExitOK)
		case <-orders.reload:
			s.reload()
		case sig := <-orders.dumps:
			s.dump(sig)
		case m := <-s.messages:
			if m.from == s.vrrp {
				s.message(m.Message)
			}
		case e := <-s.ended:
			if e.toldToStop() && !s.stopping {
				// By whom? If by systemd, which stops all processes of a
				// service at once, our signal is on its way.
				select {
				case <-orders.stop:
					s.stop(ExitOK)
				case <-time.After(signalWait):
				}
			}
			s.childEnded(e)
		case r := <-s.loaded:
			s.reloaded(r)
		case <-s.schedule.wake:
			if s.schedule.woken(time.Now()) {
				s.reload()
			}
		case <-s.respawn.C:
			if s.stopping {
				s.release()
			} else {
				s.startIfNeeded()
			}
		case <-s.slow.C:
			s.reloadIsSlow()
		case <-s.deadline.C:
			s.stopIsSlow()
		case <-idle:
			if s.vrrp == nil {
				s.systemd.alive()
			}
		}
	}
	return s.code
}

// message handles what the running child says.
func (s *supervisor) message(m link.Message) {
	switch m.Kind {
	case link.Alive:
		s.systemd.alive()
	case link.Started, link.Reloaded:
		s.vrrp.ran = true
		s.configured()
	case link.Reload:
		s.reload()
	case link.Ending:
		s.unreleased = false
		if s.stopping && !s.killed {
			s.deadline.Reset(s.settings.childWait + endingSlack)
		}
	case link.Failed:
		s.vrrp.failure = &m // it has logged the reason itself
	}
}

// stop begins the end of the daemon.
func (s *supervisor) stop(code int) {
	if s.stopping {
		return
	}
	slog.Info("Stopping")
	s.stopping, s.code = true, code
	s.systemd.stopping()
	s.respawn.Stop()
	s.slow.Stop()
	if s.vrrp == nil {
		s.release()
		return
	}
	s.vrrp.post(link.Message{Kind: link.Stop})
	s.deadline.Reset(s.settings.childWait)
}

// stopIsSlow goes further with a child that should have ended by now.
func (s *supervisor) stopIsSlow() {
	if !s.killed {
		slog.Warn("VRRP process does not stop: killed", "pid", s.vrrp.pid)
		s.killed = true
		s.vrrp.kill()
		s.deadline.Reset(releaseWait)
		return
	}
	// The kernel does not let go of it.
	slog.Error("VRRP process does not even end when killed: left alone", "pid", s.vrrp.pid)
	s.vrrp = nil
	s.release()
}

// release is the last step of a stop, when no VRRP process runs: it removes what
// one may have left behind, and ends the daemon. A successor that has nothing to
// run does so: whatever its predecessor has noted is not wanted any more.
func (s *supervisor) release() {
	s.deadline.Stop()
	if !s.unreleased || s.o.DontRelease {
		s.done = true
		return
	}
	if s.giveUp.IsZero() {
		s.giveUp = time.Now().Add(releaseWait)
		slog.Warn("The VRRP process has not given its addresses up: removing what it left")
	}
	frame, err := link.NewFrame(link.Message{Kind: link.Configure, Config: &conf.Config{}}, "")
	if err == nil {
		s.vrrp, err = s.start()
	}
	if err != nil {
		slog.Error("remove the addresses: " + err.Error())
		s.vrrp = nil
		if s.done = time.Now().After(s.giveUp); !s.done {
			s.respawn.Reset(startRetry)
		}
		return
	}
	s.unreleased, s.killed = false, false // it does so or not
	s.vrrp.releases = true
	s.vrrp.post(link.Message{Kind: link.Begin, Setup: s.setup()})
	s.vrrp.post(frame)
	s.vrrp.post(link.Message{Kind: link.Stop})
	s.deadline.Reset(releaseWait)
}

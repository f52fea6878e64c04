package supervisor

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/reap"
)

// slot is the place of one role: at most one process at a time, started again
// when it ends, until the slot is to stop. The loop of the supervisor owns
// it.
type slot struct {
	s     *supervisor
	role  *proc.Role
	share proc.Share  // of the running configuration
	frame *link.Frame // likewise, for a process and its successors; nil: none is wanted
	taken bool        // there is a running configuration

	pidPath, statePath string
	pid                *pidFile // nil: not locked

	child        *child // nil: none runs
	backoff      backoff
	failedStarts int       // in a row
	putOff       bool      // until the others have begun, or respawn
	respawn      time.Time // when the next start is; zero: none is planned
	awaited      bool      // it was given a configuration and has not confirmed the last one

	deadline time.Time // when a child that stops is given up; zero: none does
	killed   bool      // the child has been; its end is waited for
	// unreleased means that there may be something in the kernel that no process of
	// the role has given up: one runs, or has ended without being asked to.
	unreleased bool
	left       time.Time // when it was left there: the end of the last process that served; zero: none has ended
	giveUp     time.Time // when a stop does not try to remove it any more; zero: not tried yet
	stopped    bool      // nothing is left to do

	life   life
	deaths int                     // ends of processes that were not asked to end
	events map[subject]*link.Event // what the child has reported for others
}

// child is a running child process.
type child struct {
	slot    *slot
	pid     int
	started time.Time
	outbox  *outbox
	// unanswered counts the configurations it was sent and has not confirmed.
	unanswered int
	releases   bool // it only removes what its predecessor left
	stalled    bool // it was said that it takes nothing

	question question           // that it has been asked
	acts     map[uint32]openAct // that it has been asked for

	ran     bool          // it got as far as to serve
	failure *link.Failure // why it gives up
}

type childMessage struct {
	from *child
	link.Message
}

// deliver hands the message to the slot, unless its child is another by now.
func (m childMessage) deliver() {
	if m.from.slot.child == m.from {
		m.from.slot.message(m.Message)
	}
}

// childEnd is the end of a child: all it said is in the channel of messages.
type childEnd struct {
	child  *child
	status *unix.WaitStatus // nil: unknown
	crash  string           // the trace of a panic
}

// askedToStop reports whether the child ended with success, which it does only
// when asked to.
func (e childEnd) askedToStop() bool { return e.exitCode() == proc.ExitOK }

// exitCode is -1 if the child has not exited by itself.
func (e childEnd) exitCode() int {
	if e.status == nil {
		return -1
	}
	return e.status.ExitStatus()
}

// post hands m, a link.Message or *link.Frame, to the sender. It does not
// wait.
func (c *child) post(m any) {
	more := c.outbox.put(m)
	if _, ok := m.(*link.Frame); ok && more {
		c.unanswered++
	}
	if !more && !c.stalled {
		slog.Warn(c.slot.process()+" does not accept messages: it will get each pending request once", "pid", c.pid)
	}
	c.stalled = !more
}

func (c *child) kill() { reap.Kill(c.pid, unix.SIGKILL) }

// process names the process in log lines.
func (sl *slot) process() string { return sl.role.Title + " process" }

// wanted reports whether there is something for a process of the role to do.
func (sl *slot) wanted() bool { return sl.wants(&sl.share) }

// wants reports the same of a part of a configuration.
func (sl *slot) wants(p *proc.Share) bool {
	return !slices.Contains(sl.s.o.Without, sl.role.Name) && (p.Units > 0 || p.Keeps || sl.s.o.All && !sl.role.Attends)
}

// units is what there is for a process of the role to do, in words.
func (sl *slot) units() string {
	if sl.share.Units == 1 {
		return "1 " + sl.role.Unit
	}
	return fmt.Sprintf("%d %ss", sl.share.Units, sl.role.Unit)
}

// works reports whether there is a part of the configuration for a process of the role.
func (sl *slot) works() bool { return sl.wanted() && !sl.role.Attends }

// runs reports whether a process of the role runs that others depend on.
func (sl *slot) runs() bool { return sl.child != nil && !sl.role.Attends }

// take makes p its part of the running configuration. The name of the process
// stays.
func (sl *slot) take(p part) {
	if sl.taken {
		p.share.ProcessName = sl.share.ProcessName
	}
	if sl.frame != nil {
		sl.frame.Close()
	}
	sl.share, sl.frame, sl.taken = p.share, p.frame, true
	if sl.child == nil && !sl.wanted() {
		sl.frame.Close() // it will not be read, and takes a descriptor
		sl.frame = nil
	}
	if sl.share.Units > 0 && !sl.wanted() {
		slog.Info(fmt.Sprintf("The command line wants no %s: %s not run", sl.process(), sl.units()))
	}
}

// apply has a process run the configuration that was taken.
func (sl *slot) apply() {
	if sl.serves() {
		sl.child.post(sl.frame)
	} else {
		sl.respawn = time.Time{} // what made the process die may be gone
		sl.startIfNeeded()
	}
	sl.awaited = !sl.role.Attends && (sl.serves() || sl.child != nil && sl.wanted())
}

// lacks reports whether a process that others depend on could not be started yet.
func (sl *slot) lacks() bool { return sl.works() && sl.child == nil && sl.failedStarts > 0 }

// serves reports whether a process of the role runs that has a configuration to run.
func (sl *slot) serves() bool { return sl.child != nil && !sl.child.releases }

// lockPid locks the pid file. It waits until deadline for its holder to end.
func (sl *slot) lockPid(deadline time.Time) (err error) {
	sl.pid, err = lockPidFile(sl.pidPath, deadline)
	return err
}

func (sl *slot) removePid() {
	sl.pid.remove()
	sl.pid = nil
}

// startIfNeeded starts the process unless it runs or need not.
func (sl *slot) startIfNeeded() {
	if sl.child != nil {
		return // one that removes what was left is followed by another
	}
	if !sl.wanted() {
		if sl.unreleased {
			sl.clear()
		}
		return
	}
	if sl.role.Attends && slices.ContainsFunc(sl.s.slots, (*slot).lacks) {
		sl.respawn = time.Now().Add(startRetry) // what it would take may be what they lack
		return
	}
	if sl.role.Attends && !sl.putOff && sl.s.begins() {
		sl.putOff = true // they have the processors first
		sl.respawn = time.Now().Add(attendLatest)
		return
	}
	if sl.pid == nil { // the first thing to serve came with a reload
		if err := sl.lockPid(time.Now()); err != nil {
			slog.Error("start " + sl.process() + ": " + err.Error())
			sl.respawn = time.Now().Add(startWait)
			return
		}
	}
	c, err := sl.start()
	if err != nil {
		// Not a death: nothing speaks against trying again soon.
		if sl.failedStarts%retriesReported == 0 {
			slog.Error(fmt.Sprintf("start %s: %v; tried again every %v", sl.process(), err, startRetry))
			sl.s.systemd.status(sl.process() + " cannot be started: " + err.Error())
		}
		sl.failedStarts++
		sl.respawn = time.Now().Add(startRetry)
		return
	}
	sl.failedStarts, sl.putOff = 0, false
	slog.Info(fmt.Sprintf("Starting %s child process, pid=%d", sl.role.Title, c.pid), "pid", c.pid)
	if err := sl.pid.write(c.pid); err != nil {
		slog.Error(err.Error())
	}
	if err := limitRTTime(c.pid, sl.share.Limits); err != nil {
		slog.Error(err.Error())
	}
	sl.child = c
	sl.life = life{heard: c.started, by: c.started.Add(startPatience)}
	c.post(link.Message{Kind: link.Begin, Setup: sl.setup()})
	c.post(sl.frame)
	sl.catchUp()
}

// setup is what the process must know first.
func (sl *slot) setup() *link.Setup {
	s := sl.s
	log := s.o.Log
	setup := &link.Setup{
		ProcessName:  sl.share.ProcessName,
		StateFile:    sl.statePath,
		DumpDir:      os.TempDir(),
		InstanceName: s.settings.instance,
		NetNamespace: s.settings.namespace,
		Ident:        "Keepalived" + sl.role.Suffix + s.settings.suffix(),
		Syslog:       log.Syslog,
		Facility:     int(log.Facility),
		Console:      log.Console != nil && s.readiness == nil,
		FlushFile:    log.FlushFile,
		Level:        int(log.Level),
		NoSwap:       sl.share.Limits.NoSwap,
		CoreDump:     s.o.CoreDump,
		Keep:         s.o.Keep[sl.role.Name],
		LogAddresses: s.o.LogAddresses,
		LogData:      s.o.DumpConfig,
		ReloadMarker: s.files.reloadMarker,
		Intents:      s.intents.of(sl.role.Name),
	}
	if sl.role.Attends {
		setup.Socket, setup.History = s.files.control+proc.SocketSuffix, s.files.history
	}
	if log.File != "" {
		setup.File = logging.FileFor(log.File, sl.role.Suffix)
	}
	return setup
}

// start starts a process.
func (sl *slot) start() (*child, error) {
	conn, theirs, err := link.Pair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	crash, crashEnd, err := os.Pipe()
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("create pipe: %w", err)
	}
	defer crashEnd.Close()

	c := &child{slot: sl, started: time.Now(), outbox: newOutbox()}
	files := proc.Descriptors(theirs, sl.pid.file, crashEnd)
	var unset error
	c.pid, err, unset = sl.s.spawner.start(files, append(childEnviron(), sl.role.Environment()), sl.role, sl.share.Limits)
	if unset != nil {
		slog.Error(sl.process() + ": " + unset.Error())
	}
	if err != nil {
		conn.Close()
		crash.Close()
		return nil, err
	}
	go sl.s.attend(c, conn, crash)
	return c, nil
}

// attend carries the messages of a child to and fro and waits for its end. None
// of its goroutines keeps a thread.
func (s *supervisor) attend(c *child, conn *link.Conn, crash *os.File) {
	received, trace, ended := make(chan struct{}), make(chan string, 1), make(chan struct{})
	go func() {
		defer close(received)
		for {
			m, err := conn.Receive()
			if err != nil {
				if err != io.EOF {
					slog.Error(c.slot.process() + ": " + err.Error())
				}
				return
			}
			s.messages <- childMessage{c, m}
		}
	}()
	go func() {
		defer c.outbox.end()
		for {
			select {
			case <-c.outbox.ready:
				for m := c.outbox.take(); m != nil; m = c.outbox.take() {
					err := sendTo(conn, m)
					discard(m)
					if err != nil {
						return // it has ended, which the waiter reports
					}
				}
			case <-ended:
				return
			}
		}
	}()
	go func() { trace <- proc.ReadCrash(crash) }()
	end := childEnd{child: c}
	if status, err := reap.Wait(c.pid); err != nil {
		slog.Error("wait for " + c.slot.process() + ": " + err.Error())
	} else {
		end.status = &status
	}
	close(ended)
	// A grandchild may hold the descriptors: what is still on its way is not
	// waited for longer than this.
	conn.SetDeadline(time.Now().Add(time.Second))
	crash.SetReadDeadline(time.Now().Add(time.Second))
	<-received
	conn.Close()
	end.crash = <-trace
	crash.Close()
	s.ended <- end
}

func sendTo(conn *link.Conn, m any) error {
	switch m := m.(type) {
	case link.Message:
		return conn.Send(m)
	case *link.Frame:
		return conn.SendFrame(m)
	}
	panic(fmt.Sprintf("supervisor: posted a %T", m))
}

// childEnviron is the environment without what is between systemd and us.
func childEnviron() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return name == "NOTIFY_SOCKET" || name == "WATCHDOG_USEC" || name == "WATCHDOG_PID"
	})
}

// ended decides what the end of a child means, after its last words.
func (sl *slot) ended(e childEnd) {
	if e.child != sl.child {
		return
	}
	s := sl.s
	sl.child, sl.life, sl.deadline = nil, life{}, time.Time{}
	e.child.refuse("the " + sl.process() + " has ended")
	e.child.refuseActs("the " + sl.process() + " has ended")
	defer s.changed()
	sl.withdraw()
	switch {
	case e.askedToStop():
		sl.unreleased = false
	case !e.child.ran && !e.child.releases && e.child.failure == nil && sl.role.Leaves != "":
		sl.unreleased = true // perhaps of the predecessor of this daemon
	}
	if sl.left.IsZero() || e.child.ran && !e.child.releases {
		sl.left = time.Now()
	}
	if !sl.unreleased {
		sl.left = time.Time{}
	}
	if s.stopping {
		if e.child.releases && sl.unreleased {
			sl.tryAgain()
		} else {
			sl.release()
		}
		return
	}
	for line := range strings.Lines(e.crash) {
		slog.Error(sl.process()+": "+strings.TrimRight(line, "\n"), "pid", e.child.pid)
	}
	if e.child.releases {
		sl.cleared(e)
		return
	}
	if sl.role.Attends && e.askedToStop() { // by itself: it has other settings now
		sl.startIfNeeded()
		return
	}
	sl.deaths++
	// The Go runtime exits with 2 on a panic, which is CONFIG among the exit
	// codes: only a child that has announced its failure means its exit code. And
	// what did not keep it from serving need not keep its successor from it.
	if f := e.child.failure; f != nil && !sl.role.Attends && (!e.child.ran || s.o.NoRespawn) && permanent(e.exitCode()) != "" {
		slog.Error(fmt.Sprintf("pid %d exited with permanent error %s. Terminating",
			e.child.pid, permanent(e.exitCode())), "pid", e.child.pid)
		s.stop(e.exitCode())
		return
	}
	slog.Error(fmt.Sprintf("pid %d %s", e.child.pid, describe(e.status)), "pid", e.child.pid)
	if s.o.NoRespawn && !sl.role.Attends {
		slog.Error(fmt.Sprintf("%s child process(%d) died: Exiting", sl.role.Title, e.child.pid))
		s.stop(proc.ExitFatal)
		return
	}
	slog.Error(fmt.Sprintf("%s child process(%d) died: Respawning", sl.role.Title, e.child.pid))
	sl.scheduleRespawn(time.Since(e.child.started))
}

func (sl *slot) scheduleRespawn(ran time.Duration) {
	wait := sl.backoff.after(ran)
	if wait == 0 {
		sl.startIfNeeded()
		return
	}
	slog.Warn(fmt.Sprintf("Restart of %s delayed %d seconds to limit respawn rate", sl.process(), int(wait.Seconds())))
	sl.s.systemd.status(sl.process() + " died, waiting to start it again")
	sl.respawn = time.Now().Add(wait)
	if stay := sl.share.MayStay; sl.unreleased && stay > 0 && sl.respawn.Sub(sl.left) >= stay {
		slog.Warn("Peers may take over before the " + sl.process() + " runs again: removing the " + sl.role.Leaves + " that it left")
		sl.clear()
	}
}

// message handles a message of the running child.
func (sl *slot) message(m link.Message) {
	c, s := sl.child, sl.s
	switch m.Kind {
	case link.Alive:
		sl.lives()
	case link.Started, link.Reloaded:
		if c.releases {
			return
		}
		c.ran = true
		s.changed()
		sl.life.by = time.Now().Add(s.silence()) // it serves: signs of life follow
		sl.unreleased = sl.role.Leaves != ""
		if c.unanswered--; c.unanswered <= 0 { // else a later one is on its way
			sl.awaited = false
			s.settled()
		}
	case link.Reload:
		s.reload()
	case link.Ending:
		sl.unreleased = false
		if s.stopping && !sl.killed {
			sl.deadline = time.Now().Add(s.settings.childWait + endingSlack)
		}
	case link.Report:
		sl.report(m.Event)
	case link.Changed:
		s.changed()
	case link.Ask:
		s.ask(c, m.Question)
	case link.Answer:
		c.answer(&m)
	case link.Act:
		s.act(c, m.Order)
	case link.Done:
		c.done(m.Outcome)
	case link.Failed:
		c.failure = m.Failure // it has logged the reason itself
	}
}

// stop begins the end of the slot.
func (sl *slot) stop() {
	sl.respawn, sl.life.by = time.Time{}, time.Time{} // from here on the deadline counts
	if sl.child == nil {
		sl.release()
		return
	}
	if sl.serves() { // another one ends without a message
		sl.child.post(link.Message{Kind: link.Stop})
	}
	sl.deadline = time.Now().Add(sl.s.settings.handover + sl.s.settings.childWait)
}

// stopIsSlow goes further with a child that should have ended by now.
func (sl *slot) stopIsSlow() {
	if !sl.killed {
		slog.Warn(sl.process()+" does not stop: killed", "pid", sl.child.pid)
		sl.killed = true
		sl.child.kill()
		sl.deadline = time.Now().Add(releaseWait)
		return
	}
	// The kernel does not let go of it.
	slog.Error(sl.process()+" does not even end when killed: left alone", "pid", sl.child.pid)
	sl.child = nil
	if sl.s.stopping {
		sl.release()
	} else {
		sl.tryAgain()
	}
}

// release is the last step of a stop, when no process of the role runs: it
// removes what one may have left behind.
func (sl *slot) release() {
	if !sl.unreleased || sl.s.o.Keep[sl.role.Name] || passed(&sl.giveUp, time.Now()) {
		sl.stopped = true
		return
	}
	if sl.giveUp.IsZero() {
		sl.giveUp = time.Now().Add(releaseWait)
		slog.Warn("The " + sl.process() + " has not given its " + sl.role.Leaves + " up: removing what it left")
	}
	sl.clear()
}

// clear starts a process that removes what its predecessors may have left behind.
// It has nothing to run: so whatever they have noted is not wanted any more. The
// next step follows its end.
func (sl *slot) clear() {
	frame, err := link.NewFrame(link.Message{Kind: link.Configure, Config: &conf.Config{}}, "")
	var c *child
	if err == nil {
		if c, err = sl.start(); err != nil {
			frame.Close()
		}
	}
	if err != nil {
		slog.Error("remove the " + sl.role.Leaves + ": " + err.Error())
		sl.tryAgain()
		return
	}
	sl.child, sl.killed = c, false
	c.releases = true
	setup := sl.setup()
	setup.Keep = false
	c.post(link.Message{Kind: link.Begin, Setup: setup})
	c.post(frame)
	frame.Close() // the outbox has it
	c.post(link.Message{Kind: link.Stop})
	sl.deadline = time.Now().Add(releaseWait)
}

// cleared takes up the end of a process that [slot.clear] has started while the
// daemon runs on.
func (sl *slot) cleared(e childEnd) {
	if sl.unreleased {
		slog.Error(fmt.Sprintf("remove the %s: pid %d %s", sl.role.Leaves, e.child.pid, describe(e.status)), "pid", e.child.pid)
		sl.tryAgain()
	} else if sl.respawn.IsZero() { // it came meanwhile
		sl.startIfNeeded()
	}
}

// tryAgain has the next process start soon: while the daemon runs on one that
// serves, if it is wanted, for it settles what was left behind, too.
func (sl *slot) tryAgain() { sl.respawn = earliest(sl.respawn, time.Now().Add(startRetry)) }

// due does what is due by now.
func (sl *slot) due(now time.Time) {
	if passed(&sl.respawn, now) {
		if sl.s.stopping {
			sl.release()
		} else {
			sl.startIfNeeded()
		}
	}
	if passed(&sl.deadline, now) {
		sl.stopIsSlow()
	}
	if passed(&sl.life.by, now) {
		sl.silent(now)
	}
}

// passed reports whether a time has come, and clears it then.
func passed(t *time.Time, now time.Time) bool {
	if t.IsZero() || t.After(now) {
		return false
	}
	*t = time.Time{}
	return true
}

// next returns when the slot has something to do; zero: when something happens.
func (sl *slot) next() time.Time { return earliest(sl.respawn, sl.deadline, sl.life.by) }

// earliest returns the first of these times that is not zero.
func earliest(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if first.IsZero() || !t.IsZero() && t.Before(first) {
			first = t
		}
	}
	return first
}

// permanent names the exit codes after which a child is not started again.
func permanent(code int) string {
	switch code {
	case proc.ExitFatal:
		return "FATAL"
	case proc.ExitConfig:
		return "CONFIG"
	case proc.ExitPermission:
		return "missing permission"
	}
	return ""
}

func describe(status *unix.WaitStatus) string {
	if status == nil {
		return "is gone"
	}
	if status.Signaled() {
		name := status.Signal().String()
		return fmt.Sprintf("exited due to signal %d (%s)", status.Signal(), strings.ToUpper(name[:1])+name[1:])
	}
	return fmt.Sprintf("exited with status %d", status.ExitStatus())
}

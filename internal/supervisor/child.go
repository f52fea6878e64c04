package supervisor

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/reap"
)

// Descriptors of a child.
const (
	fdLink  = 3
	fdPid   = 4 // keeps the lock of its pid file when the parent dies
	fdCrash = 5 // where the runtime writes the trace of a panic
)

// envChild tells a process that it is a child, and which one.
const envChild = "KEEPALIVED_CHILD"

// child is a running child process.
type child struct {
	pid     int
	started time.Time
	outbox  *outbox
	// unanswered counts the configurations it was sent and has not confirmed.
	unanswered int
	releases   bool // it only removes what its predecessor left
	stalled    bool // it was said that it takes nothing

	ran     bool          // it got as far as to serve
	failure *link.Message // why it gives up
}

type childMessage struct {
	from *child
	link.Message
}

// childEnd is the end of a child: all it said is in the channel of messages.
type childEnd struct {
	child  *child
	status *unix.WaitStatus // nil: nobody knows
	crash  string           // the trace of a panic
}

// toldToStop reports whether the child ended in good order, which it does only
// when told to.
func (e childEnd) toldToStop() bool { return e.exitCode() == ExitOK }

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
		slog.Warn("VRRP process takes no messages: what is asked of it meanwhile it gets once", "pid", c.pid)
	}
	c.stalled = !more
}

func (c *child) kill() { reap.Kill(c.pid, unix.SIGKILL) }

// needed reports whether there is something for a VRRP process to do.
func (s *supervisor) needed() bool {
	return !s.o.NoVRRP && (s.settings.routers > 0 || s.o.All)
}

// startIfNeeded starts the VRRP process unless it runs or need not.
func (s *supervisor) startIfNeeded() {
	if s.vrrp != nil || !s.needed() {
		return
	}
	if s.vrrpPid == nil { // the first virtual router came with a reload
		var err error
		if s.vrrpPid, err = lockPidFile(s.files.vrrpPid, time.Now()); err != nil {
			slog.Error("start VRRP process: " + err.Error())
			s.respawn.Reset(startWait)
			return
		}
	}
	c, err := s.start()
	if err != nil {
		// Not a death: nothing speaks against trying again soon.
		if s.failedStarts%retriesTold == 0 {
			slog.Error(fmt.Sprintf("start VRRP process: %v; tried again every %v", err, startRetry))
			s.systemd.status("VRRP process cannot be started: " + err.Error())
		}
		s.failedStarts++
		s.respawn.Reset(startRetry)
		return
	}
	s.failedStarts = 0
	slog.Info(fmt.Sprintf("Starting VRRP child process, pid=%d", c.pid), "pid", c.pid)
	if err := s.vrrpPid.write(c.pid); err != nil {
		slog.Error(err.Error())
	}
	if err := limitRTTime(c.pid, s.settings.limits); err != nil {
		slog.Error(err.Error())
	}
	s.vrrp = c
	c.post(link.Message{Kind: link.Begin, Setup: s.setup()})
	c.post(s.frame)
}

// setup is what the VRRP process must know first.
func (s *supervisor) setup() *link.Setup {
	const suffix = "_vrrp"
	log := s.o.Log
	setup := &link.Setup{
		ProcessName:  s.settings.vrrpName,
		StateFile:    s.files.vrrpState,
		DumpDir:      os.TempDir(),
		InstanceName: s.settings.instance,
		NetNamespace: s.settings.namespace,
		Ident:        "Keepalived" + suffix + s.settings.suffix(),
		Syslog:       log.Syslog,
		Facility:     int(log.Facility),
		Console:      log.Console != nil && s.front == nil,
		FlushFile:    log.FlushFile,
		Level:        int(log.Level),
		NoSwap:       s.settings.limits.NoSwap,
		CoreDump:     s.o.CoreDump,
		DontRelease:  s.o.DontRelease,
		LogAddresses: s.o.LogAddresses,
		LogData:      s.o.DumpConfig,
		ReloadMarker: s.files.reloadMarker,
	}
	if log.File != "" {
		setup.File = logging.FileFor(log.File, suffix)
	}
	return setup
}

// start starts the VRRP process.
func (s *supervisor) start() (*child, error) {
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

	c := &child{started: time.Now(), outbox: newOutbox()}
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr, theirs, s.vrrpPid.file, crashEnd}
	var unset error
	c.pid, err, unset = s.spawner.start(files, append(childEnviron(), envChild+"=vrrp"), s.settings.limits)
	if unset != nil {
		slog.Error("VRRP process: " + unset.Error())
	}
	if err != nil {
		conn.Close()
		crash.Close()
		return nil, err
	}
	go s.attend(c, conn, crash)
	return c, nil
}

// The main goroutine keeps the main thread, so that the spawner never gets it:
// the scheduling settings of a thread that starts a child must not become those
// of the parent.
func init() { runtime.LockOSThread() }

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
					slog.Error("VRRP process: " + err.Error())
				}
				return
			}
			s.messages <- childMessage{c, m}
		}
	}()
	go func() {
		for {
			select {
			case <-c.outbox.ready:
				for m := c.outbox.take(); m != nil; m = c.outbox.take() {
					if err := sendTo(conn, m); err != nil {
						return // it has ended, which the waiter reports
					}
				}
			case <-ended:
				return
			}
		}
	}()
	go func() {
		const enough = 16 << 10
		b, _ := io.ReadAll(io.LimitReader(crash, enough))
		io.Copy(io.Discard, crash)
		trace <- string(b)
	}()
	end := childEnd{child: c}
	if status, err := reap.Wait(c.pid); err != nil {
		slog.Error("wait for VRRP process: " + err.Error())
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

// childEnded decides what the end of a child means.
func (s *supervisor) childEnded(e childEnd) {
	if e.child != s.vrrp {
		return
	}
	for len(s.messages) > 0 { // its last words
		if m := <-s.messages; m.from == s.vrrp {
			s.message(m.Message)
		}
	}
	s.vrrp = nil
	if e.toldToStop() {
		s.unreleased = false
	}
	if s.stopping {
		s.release()
		return
	}
	for line := range strings.Lines(e.crash) {
		slog.Error("VRRP process: "+strings.TrimRight(line, "\n"), "pid", e.child.pid)
	}
	// The Go runtime exits with 2 on a panic, which is CONFIG among the exit
	// codes: only a child that has announced its failure means its exit code. And
	// what did not keep it from serving need not keep its successor from it.
	if f := e.child.failure; f != nil && (!e.child.ran || s.o.NoRespawn) && permanent(e.exitCode()) != "" {
		slog.Error(fmt.Sprintf("pid %d exited with permanent error %s. Terminating",
			e.child.pid, permanent(e.exitCode())), "pid", e.child.pid)
		s.stop(e.exitCode())
		return
	}
	slog.Error(fmt.Sprintf("pid %d %s", e.child.pid, describe(e.status)), "pid", e.child.pid)
	if s.o.NoRespawn {
		slog.Error(fmt.Sprintf("VRRP child process(%d) died: Exiting", e.child.pid))
		s.stop(ExitFatal)
		return
	}
	slog.Error(fmt.Sprintf("VRRP child process(%d) died: Respawning", e.child.pid))
	s.scheduleRespawn(time.Since(e.child.started))
}

func (s *supervisor) scheduleRespawn(ran time.Duration) {
	wait := s.backoff.after(ran)
	if wait == 0 {
		s.startIfNeeded()
		return
	}
	slog.Warn(fmt.Sprintf("Restart of VRRP process delayed %d seconds to limit respawn rate", int(wait.Seconds())))
	s.systemd.status("VRRP process died, waiting to start it again")
	s.respawn.Reset(wait)
}

// permanent names the exit codes after which a child is not started again.
func permanent(code int) string {
	switch code {
	case ExitFatal:
		return "FATAL"
	case ExitConfig:
		return "CONFIG"
	case ExitPermission:
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

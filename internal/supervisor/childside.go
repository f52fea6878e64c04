package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/reap"
)

// IsChild reports whether this process was started by [Run] as its VRRP
// process.
func IsChild() bool { return os.Getenv(envChild) != "" }

// RunChild sets the process up as its parent says and calls run for the rest,
// which returns the exit code.
func RunChild(run func(*link.Conn, *link.Setup, *logging.Logs) int) int {
	os.Unsetenv(envChild)
	setProcessName(processName) // until the parent says another: exec has left "exe"
	// A Ctrl-C reaches the whole process group; it is the parent that stops us.
	// Caught and forgotten rather than ignored: scripts would inherit that. The
	// others have no meaning before there is a configuration; who runs it asks
	// for them too.
	forgotten := append([]os.Signal{syscall.SIGINT, syscall.SIGHUP}, strayed...)
	for sig := range link.DumpSignals {
		forgotten = append(forgotten, sig)
	}
	signal.Notify(make(chan os.Signal, 1), forgotten...)
	reap.IgnoreStray()
	for _, fd := range []int{fdLink, fdPid, fdCrash} {
		unix.CloseOnExec(fd)
	}
	if reap.Inherits() {
		reap.Others()
	}
	reserveThreads(spareThreads)
	conn, setup, err := receiveSetup()
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived: VRRP process: %v\n", err)
		return ExitFatal
	}
	setProcessName(setup.ProcessName)
	logs, err := logging.Setup(loggingOptions(setup))
	if err != nil {
		slog.Error(err.Error())
	}
	defer func() { logs.Flush(time.Now().Add(flushWait)) }()

	crash := os.NewFile(fdCrash, "crash")
	if err := debug.SetCrashOutput(crash, debug.CrashOptions{}); err != nil {
		slog.Warn("set crash output: " + err.Error())
	}
	crash.Close() // the runtime has its own
	if setup.CoreDump {
		AllowCoreDumps()
	}
	if setup.NoSwap {
		// On fault: Go reserves far more address space than it uses.
		if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
			remedy := ""
			if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOMEM) {
				remedy = "; grant CAP_IPC_LOCK, or raise the limit of locked memory (ulimit -l, LimitMEMLOCK)"
			}
			slog.Error("lock memory: " + err.Error() + remedy)
		}
	}
	return run(conn, setup, logs)
}

func receiveSetup() (*link.Conn, *link.Setup, error) {
	conn, err := link.New(os.NewFile(fdLink, "link"))
	if err != nil {
		return nil, nil, err
	}
	m, err := conn.Receive()
	if err != nil {
		return nil, nil, fmt.Errorf("receive setup: %w", err)
	}
	if m.Kind != link.Begin || m.Setup == nil {
		return nil, nil, fmt.Errorf("receive setup: unexpected message %d", m.Kind)
	}
	return conn, m.Setup, nil
}

func loggingOptions(s *link.Setup) logging.Options {
	o := logging.Options{
		Ident:     s.Ident,
		Level:     slog.Level(s.Level),
		Syslog:    s.Syslog,
		Facility:  logging.Facility(s.Facility),
		File:      s.File,
		FlushFile: s.FlushFile,
	}
	if s.Console {
		o.Console = os.Stderr
	}
	return o
}

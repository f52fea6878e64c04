package proc

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
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

// Descriptors are the open files that a child is started with.
func Descriptors(link, pidFile, crash *os.File) []*os.File {
	return []*os.File{os.Stdin, os.Stdout, os.Stderr, link, pidFile, crash}
}

// envChild names the variable by which a process knows that it is a child, and which one.
const envChild = "KEEPALIVED_CHILD"

// Environment is what the environment of a child of this role has beside that
// of its parent.
func (r *Role) Environment() string { return envChild + "=" + r.Name }

// FlushWait is how long the end of a process waits for its log lines.
const FlushWait = 200 * time.Millisecond

// spareProcs is how many more threads may run Go code than there are processors. Where each
// of those is taken by a goroutine that makes a dump or by the collector, a loop that wakes in
// its system call waits for up to 10 ms until the runtime takes one back; with a thread to
// spare it is the kernel that decides, and a thread that has slept is the first. With one
// thread, which a machine with one processor has by default, the same happens to whatever the
// loop wakes before it waits.
const spareProcs = 1

// maxTrace is how much of the trace of a crash is kept, in bytes.
const maxTrace = 64 << 10

// ReadCrash reads from the parent's end of a child's crash pipe, until the child
// and its descendants have closed it or the deadline of the file is over.
func ReadCrash(f *os.File) string {
	b, _ := io.ReadAll(io.LimitReader(f, maxTrace))
	io.Copy(io.Discard, f)
	return string(b)
}

// RunChild runs this process if its parent has started it in one of the roles,
// and returns its exit code; ok is false if it has not.
func RunChild(roles []*Role) (code int, ok bool) {
	name, ok := os.LookupEnv(envChild)
	if !ok {
		return 0, false
	}
	os.Unsetenv(envChild)
	i := slices.IndexFunc(roles, func(r *Role) bool { return r.Name == name })
	if i < 0 {
		fmt.Fprintf(os.Stderr, "keepalived: no role of a process is called %q: %s is for the daemon alone\n", name, envChild)
		return ExitFatal, true
	}
	return roles[i].begin(), true
}

// begin sets the process up as its parent orders, and runs it.
func (r *Role) begin() int {
	SetName(Name) // until the parent sends another: exec has left "exe"
	// A Ctrl-C reaches the whole process group; it is the parent that stops us.
	// Caught and forgotten rather than ignored: scripts would inherit that. The
	// others have no meaning before there is a configuration; who runs it asks
	// for them too.
	forgotten := append([]os.Signal{syscall.SIGINT, syscall.SIGHUP}, Meaningless...)
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
	ReserveThreads()
	conn, setup, err := receiveSetup()
	if err != nil {
		fmt.Fprintf(os.Stderr, "keepalived: %s process: %v\n", r.Title, err)
		return ExitFatal
	}
	SetName(setup.ProcessName)
	logs, err := logging.Setup(loggingOptions(setup))
	if err != nil {
		slog.Error(err.Error())
	}
	defer func() { logs.Flush(time.Now().Add(FlushWait)) }()

	crash := os.NewFile(fdCrash, "crash")
	if err := debug.SetCrashOutput(crash, debug.CrashOptions{}); err != nil {
		slog.Warn("set crash output: " + err.Error())
	}
	crash.Close() // the runtime has its own
	if setup.CoreDump {
		AllowCoreDumps()
	}
	if setup.NoSwap {
		lockMemory()
	}
	kernel.TakingUp() // until the role has the first configuration
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + spareProcs)
	if err := r.Run(&Child{conn, setup, logs}); err != nil {
		return r.fail(conn, err)
	}
	return ExitOK
}

// fail logs the error that ends the process, reports it to the parent and returns the
// exit code.
func (r *Role) fail(parent *link.Conn, err error) int {
	code := ExitFatal
	if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
		code = ExitPermission
		if missing, _ := Missing(r.Capabilities); len(missing) > 0 {
			err = fmt.Errorf("%w (missing capabilities: [%s])", err, Names(missing))
		}
	}
	slog.Error(err.Error())
	parent.Send(link.Message{Kind: link.Failed, Failure: &link.Failure{Text: err.Error(), ExitCode: code}}) // the exit code shows it too
	return code
}

func lockMemory() {
	// On fault: Go reserves far more address space than it uses.
	if err := unix.Mlockall(unix.MCL_CURRENT | unix.MCL_FUTURE | unix.MCL_ONFAULT); err != nil {
		remedy := ""
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOMEM) {
			remedy = "; grant CAP_IPC_LOCK, or raise the limit of locked memory (ulimit -l, LimitMEMLOCK)"
		}
		slog.Error("lock memory: " + err.Error() + remedy)
	}
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

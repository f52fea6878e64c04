package proc

import (
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The main goroutine keeps the main thread: its name is that of the process, the
// loop of a child is there, and the scheduling settings of the thread on which a
// parent starts children never become those of the parent.
func init() { runtime.LockOSThread() }

// SetName sets the name that ps(1) and killall(1) know the process by. That is
// the name of its first thread.
func SetName(name string) {
	b := append([]byte(name), 0)
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0); err != nil {
		slog.Warn("set process name: " + err.Error())
	}
}

// spareThreads is how many threads a process has in store, so that it needs no
// new one when there is none to get: the runtime would end it. More never wait
// in system calls at the same time.
const spareThreads = 8

// ReserveThreads has the runtime make threads, which it then keeps.
func ReserveThreads() {
	arrived, leave := make(chan struct{}), make(chan struct{})
	for range spareThreads {
		go func() {
			runtime.LockOSThread() // so that each has one of its own
			arrived <- struct{}{}
			<-leave
			runtime.UnlockOSThread()
		}()
	}
	for range spareThreads {
		<-arrived
	}
	close(leave)
}

// AllowCoreDumps makes this process and its children dump core on a crash.
func AllowCoreDumps() {
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unlimited); err != nil {
		slog.Warn("allow core dumps: " + err.Error())
	}
	debug.SetTraceback("crash") // a panic ends in SIGABRT
}

// Missing returns the capabilities of a list that this thread does not have.
func Missing(needed []Capability) ([]Capability, error) {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData // 32 capabilities each
	if err := unix.Capget(&head, &data[0]); err != nil {
		return nil, fmt.Errorf("read capabilities: %w", err)
	}
	var missing []Capability
	for _, c := range needed {
		if data[c.Bit/32].Effective&(1<<(c.Bit%32)) == 0 {
			missing = append(missing, c)
		}
	}
	return missing, nil
}

// Meaningless are signals that mean nothing to a process of ours and would end
// it: SIGPIPE of a console that has gone away, SIGQUIT, for which the runtime has
// a trace of all goroutines and an abort.
var Meaningless = []os.Signal{syscall.SIGPIPE, syscall.SIGQUIT}

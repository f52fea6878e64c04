// Package reap takes the ends of child processes.
//
// A process has two kinds of children. It has started some itself, and its code waits
// for their exit statuses. Others were reparented to it: orphans, if it is process 1 of
// a container or a subreaper, and processes that a shell had started before it executed
// this program. No code waits for the second kind, which would remain zombies for ever.
//
//	Fork ──▶ own ──▶ Collect, Wait       their statuses go to who started them
//	kernel ──▶ others ──▶ Others         reaped and forgotten
//
// wait4(-1) would take the statuses of both. So every child is started by [Fork],
// which knows it before its end can be seen.
package reap

import (
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

var (
	mu    sync.Mutex
	own   = map[int]struct{}{}
	ended = sync.NewCond(&mu)          // a child may have ended
	look  = make(chan os.Signal, 1)    // for the goroutine of Others
	once  = sync.OnceFunc(reapForEver) // starts it
)

// uncatchable are the signals that end a process unless they are caught or
// ignored, and that the runtime does not let it catch: SIGSTKFLT, SIGSYS and
// SIGRTMIN. Of 32 and 33 the C library makes its own use.
var uncatchable = []unix.Signal{16, 31, 34}

const (
	sigDfl uintptr = 0 // SIG_DFL
	sigIgn uintptr = 1 // SIG_IGN
)

var ignoring bool

// IgnoreStray makes this process ignore the signals that are not sent on purpose
// and that it could not catch. Its children, if [Fork] starts them, do not.
func IgnoreStray() {
	mu.Lock()
	defer mu.Unlock()
	ignoring = true
	dispose(sigIgn)
}

// dispose sets what is done with the signals that cannot be caught.
func dispose(handler uintptr) {
	if strings.HasPrefix(runtime.GOARCH, "mips") {
		return // its struct sigaction does not begin with the handler
	}
	for _, sig := range uncatchable {
		var action [8]uintptr // struct sigaction of the kernel: no flags, no mask
		action[0] = handler
		const maskSize = 8
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&action)), 0, maskSize, 0, 0)
	}
}

// Fork calls start, which starts a child and returns its number. Its end is for
// [Collect] or [Wait], one of which must be called until it reports it.
func Fork(start func() (pid int, err error)) (int, error) {
	mu.Lock()
	defer mu.Unlock()
	if ignoring { // which a program would inherit
		dispose(sigDfl)
		defer dispose(sigIgn)
	}
	pid, err := start()
	if err == nil {
		own[pid] = struct{}{}
	}
	return pid, err
}

// Collect looks whether the child has ended; it does not wait. With an error it
// has, but the status is lost.
func Collect(pid int) (status unix.WaitStatus, over bool, err error) {
	mu.Lock()
	defer mu.Unlock()
	return collect(pid)
}

func collect(pid int) (status unix.WaitStatus, over bool, err error) {
	n, err := unix.Wait4(pid, &status, unix.WNOHANG, nil)
	if err == unix.EINTR || err == nil && n == 0 {
		return 0, false, nil
	}
	delete(own, pid)
	again() // its zombie may have stood before others
	return status, true, err
}

// Wait waits for the end of the child. It needs [Others]; no thread of the
// process is kept meanwhile, so that it needs none when there are none to get.
func Wait(pid int) (unix.WaitStatus, error) {
	mu.Lock()
	defer mu.Unlock()
	for {
		if status, over, err := collect(pid); over {
			return status, err
		}
		ended.Wait()
	}
}

// Kill sends a signal to a child unless its end was reported already: then its
// number may be that of another process.
func Kill(pid int, signal unix.Signal) {
	mu.Lock()
	defer mu.Unlock()
	if _, is := own[pid]; is {
		unix.Kill(pid, signal) // what it cannot reach, Wait reports
	}
}

// Abort ends a child, if its end was not reported already, with SIGABRT: one that
// is a program of Go leaves the stacks of its goroutines, that of its first
// thread before all others. A stopped child is continued for it.
func Abort(pid int) {
	mu.Lock()
	defer mu.Unlock()
	if _, is := own[pid]; is {
		unix.Tgkill(pid, pid, unix.SIGABRT)
		unix.Kill(pid, unix.SIGCONT)
	}
}

// Others reaps from now on every child that [Fork] has not started. The process
// must start none in another way.
func Others() { once() }

// Inherits reports whether orphans come to this process.
func Inherits() bool {
	var subreaper int32
	err := unix.Prctl(unix.PR_GET_CHILD_SUBREAPER, uintptr(unsafe.Pointer(&subreaper)), 0, 0, 0)
	return os.Getpid() == 1 || err == nil && subreaper != 0
}

func reapForEver() {
	signal.Notify(look, unix.SIGCHLD)
	again() // for those that have ended already
	go func() {
		for range look {
			mu.Lock()
			ended.Broadcast()
			for reapOther() {
			}
			mu.Unlock()
		}
	}()
}

// again has the goroutine of Others look once more.
func again() {
	select {
	case look <- unix.SIGCHLD:
	default: // it is about to
	}
}

// reapOther reaps one child that is nobody's; false: there is none that it
// could see. The kernel shows one zombie, and the same until it is reaped.
func reapOther() bool {
	var info unix.Siginfo
	err := unix.Waitid(unix.P_ALL, 0, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
	if err == unix.EINTR {
		return true
	}
	pid := pidOf(&info)
	if _, is := own[pid]; err != nil || pid == 0 || is {
		return false
	}
	_, err = unix.Wait4(pid, nil, unix.WNOHANG, nil)
	return err == nil || err == unix.EINTR
}

// pidOf is si_pid, which follows three numbers, as far away from them as the
// alignment of a pointer asks for.
func pidOf(info *unix.Siginfo) int {
	const align = unsafe.Sizeof(uintptr(0))
	const offset = (3*4 + align - 1) / align * align
	return int(*(*int32)(unsafe.Add(unsafe.Pointer(info), offset)))
}

package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/reap"
)

// spawner starts children, on one thread. It is always the same: the
// kernel sends the parent death signal when the thread that started the process
// ends; a process has the scheduling settings of the thread that started it;
// and a new thread is not always to be had, as at a limit of the number of
// processes.
type spawner struct {
	requests chan func()

	// What the thread began with, and whether it has been changed since.
	scheduling *unix.SchedAttr
	cpus       unix.CPUSet
	changed    bool
}

// monitorSlack is the timer slack of the threads of a child. The monitor thread of the Go
// runtime sleeps for 20 µs, over and over, after each turn of a loop: up to fifteen times. With
// this slack it sleeps as long as that, which saves a process with thousands of virtual routers
// half of its context switches and a tenth of its processor time. A loop does not depend on it:
// a timerfd has no slack.
const monitorSlack = time.Millisecond

func newSpawner() *spawner {
	s := &spawner{requests: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(monitorSlack), 0, 0, 0); err != nil {
			slog.Warn("set timer slack: " + err.Error())
		}
		for f := range s.requests {
			f()
		}
	}()
	return s
}

// start starts this program again as a child with these descriptors. The second
// error names the requested settings that it does not have.
func (s *spawner) start(files []*os.File, env []string, role *proc.Role, limits conf.ProcessLimits) (pid int, err, unset error) {
	program, err := ownProgram()
	if err != nil {
		return 0, err, nil
	}
	fds := make([]uintptr, len(files))
	for i, f := range files {
		fds[i] = f.Fd()
	}
	done := make(chan struct{})
	s.requests <- func() {
		defer close(done)
		s.reset()
		s.changed = true
		unset = inheritLimits(role, limits)
		pid, err = reap.Fork(func() (int, error) {
			return syscall.ForkExec(program, os.Args, &syscall.ProcAttr{
				Files: fds,
				Env:   env,
				Sys:   &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM},
			})
		})
	}
	<-done
	runtime.KeepAlive(files)
	switch {
	case errors.Is(err, unix.EAGAIN):
		err = fmt.Errorf("too many processes (pids.max of the container, TasksMax of the service, ulimit -u): %w", err)
	case err != nil:
		err = fmt.Errorf("execute %s: %w", program, err)
	}
	return pid, err, unset
}

// reset gives the thread back what it had before the first start: a reload may
// have taken settings out of the configuration.
func (s *spawner) reset() {
	if !s.changed {
		s.scheduling, _ = unix.SchedGetAttr(0, 0)
		_ = unix.SchedGetaffinity(0, &s.cpus)
		return
	}
	if s.scheduling != nil {
		_ = unix.SchedSetAttr(0, s.scheduling, 0)
	}
	var now unix.CPUSet
	if unix.SchedGetaffinity(0, &now) == nil && now != s.cpus {
		_ = unix.SchedSetaffinity(0, &s.cpus)
	}
}

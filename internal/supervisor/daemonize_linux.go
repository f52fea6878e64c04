package supervisor

import (
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/proc"
)

// envReady holds the number of the descriptor on which the daemon reports
// the outcome of its start to the process that started it.
const envReady = "KEEPALIVED_READY"

// daemonize starts this program again in a session of its own, waits until it
// has read its configuration and locked its pid files, and returns the exit
// code of the process that waited. The standard error stays open until then, so that
// a refused configuration is seen where it was started.
func daemonize() (int, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return proc.ExitFatal, fmt.Errorf("create pipe: %w", err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return proc.ExitFatal, err
	}
	program, err := ownProgram()
	if err != nil {
		return proc.ExitFatal, err
	}
	p, err := os.StartProcess(program, os.Args, &os.ProcAttr{
		Files: []*os.File{null, null, os.Stderr, w},
		Env:   append(os.Environ(), envReady+"=3"),
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return proc.ExitFatal, fmt.Errorf("start in the background: %w", err)
	}
	w.Close()
	var code [1]byte
	if n, _ := r.Read(code[:]); n == 1 {
		return int(code[0]), nil
	}
	// The pipe broke: the daemon has ended without a word.
	state, err := p.Wait()
	if err != nil {
		return proc.ExitFatal, err
	}
	return proc.ExitFatal, fmt.Errorf("the daemon ended while starting: %s", state)
}

// readiness is the way back to the process that waits in [daemonize]; nil in the
// foreground.
type readiness struct{ pipe *os.File }

// inheritedReadiness returns the readiness of this process, if it was started by
// daemonize.
func inheritedReadiness() *readiness {
	fd, err := strconv.Atoi(os.Getenv(envReady))
	if err != nil {
		return nil
	}
	return &readiness{os.NewFile(uintptr(fd), "ready")}
}

// keepOverExec makes the descriptor survive [enterNamespace], or not.
func (r *readiness) keepOverExec(keep bool) {
	if r == nil {
		return
	}
	flags := unix.FD_CLOEXEC
	if keep {
		flags = 0
	}
	unix.FcntlInt(r.pipe.Fd(), unix.F_SETFD, flags)
}

// report ends the waiting process with code.
func (r *readiness) report(code int) {
	if r == nil || r.pipe == nil {
		return
	}
	r.pipe.Write([]byte{byte(code)})
	r.pipe.Close()
	r.pipe = nil
}

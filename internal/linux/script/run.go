package script

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/proc/reap"
)

// Run is a program that was asked to run. All its fields but the first three
// belong to the thread of the runner.
type Run struct {
	runner *Runner
	req    Request
	cancel context.CancelFunc // of a connection; nil: a process

	phase    phase
	pid      int // and process group
	pidfd    int // -1: the kernel has none
	out      int // where its output is read
	theirs   int // what it has as its standard output
	started  time.Time
	timedOut bool
	tail     tail

	at    time.Time // of the next thing to do
	index int       // in the heap; -1: nothing to do
}

type phase uint8

const (
	running    phase = iota // at: the timeout
	terminated              // SIGTERM was sent; at: SIGKILL
	killed
	orphaned // it has ended, but others of its group have not; at: SIGKILL
)

// Terminate sends SIGTERM to the process group, and SIGKILL two seconds later.
// Done still reports the end. To a run that has ended it does nothing.
func (run *Run) Terminate() {
	if run.cancel != nil {
		run.cancel()
		return
	}
	r := run.runner
	_ = r.post(func() { // refused only by a runner that ends everything anyway
		if _, ok := r.runs[run]; ok {
			r.terminate(run, time.Now().Add(killAfter))
		}
	}, math.MaxInt)
}

// start starts the process of run.
func (r *Runner) start(run *Run) {
	err := errClosed
	if !r.isClosed() {
		err = r.fork(run)
	}
	if err != nil {
		r.release(run)
		r.finish(run, Result{Err: err})
		return
	}
	r.runs[run] = struct{}{}
	if run.pidfd >= 0 {
		if r.watch(run.pidfd) == nil {
			r.byFD[int32(run.pidfd)] = run
		} else {
			unix.Close(run.pidfd)
			run.pidfd = -1
		}
	}
	if run.pidfd < 0 {
		r.blind++
	}
	if run.req.Timeout > 0 {
		r.schedule(run, run.started.Add(run.req.Timeout))
	}
}

// fork makes the process of run and the pipe of its output.
func (r *Runner) fork(run *Run) error {
	p := run.req.Program
	// The path is judged again, and executed by its name: only root can
	// have changed anything on a path that was found safe. To execute the
	// descriptor that was judged would close no gap, but would show scripts
	// /proc/self/fd/N as $0 and N as the name of their process.
	file, err := p.inspect()
	if err != nil {
		return err
	}
	path, args := p.Path, slices.Concat(p.Args, run.req.Extra)
	if file.shell {
		path, args = shell, slices.Concat([]string{shell, path}, args[1:])
	}
	if err := r.pipe(run); err != nil {
		return err
	}
	sys := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM, PidFD: &run.pidfd, Credential: p.credential()}
	run.started = time.Now()
	run.pid, err = reap.Fork(func() (int, error) {
		return syscall.ForkExec(path, args, &syscall.ProcAttr{
			Env:   append(slices.Clip(r.env), run.req.Env...),
			Files: []uintptr{uintptr(r.null), uintptr(run.theirs), uintptr(run.theirs)},
			Sys:   sys,
		})
	})
	switch {
	case err == syscall.EAGAIN:
		return fmt.Errorf("start %s: user %s has too many processes (ulimit -u, TasksMax of the service): %w", path, userName(p.UID), err)
	case err != nil:
		return fmt.Errorf("start %s: %w", path, err)
	}
	// The limit guards a real-time VRRP process against itself; a script that
	// makes itself real-time is not what it is for.
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_RTTIME, &limit) == nil && limit.Cur != unix.RLIM_INFINITY {
		for _, n := range []uint64{unix.RLIM_INFINITY, limit.Max} { // the first needs CAP_SYS_RESOURCE
			if unix.Prlimit(run.pid, unix.RLIMIT_RTTIME, &unix.Rlimit{Cur: n, Max: n}, nil) == nil {
				break
			}
		}
	}
	return nil
}

const shell = "/bin/sh"

// credential is whom the process has to become. Without privileges it is nil:
// Resolve has refused anybody but ourselves, and the kernel would refuse even
// that.
func (p *Program) credential() *syscall.Credential {
	if !canBecome() {
		return nil
	}
	groups := p.Groups
	if groups == nil {
		groups = []uint32{p.GID}
	}
	return &syscall.Credential{Uid: p.UID, Gid: p.GID, Groups: groups}
}

// pipe makes the pipe that run writes to. Its end is opened for reading too, so
// that a process which the program leaves behind is not killed by SIGPIPE when
// no one reads its output any more; upstream it writes to /dev/null.
func (r *Runner) pipe(run *Run) error {
	var ends [2]int
	if err := unix.Pipe2(ends[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return fmt.Errorf("create pipe: %w", err)
	}
	run.out = ends[0]
	var err error
	run.theirs, err = unix.Open(procFD(ends[1]), unix.O_RDWR|unix.O_CLOEXEC, 0)
	switch err {
	case nil:
		unix.Close(ends[1])
	case unix.ENOENT: // no /proc: who writes after its run is over gets SIGPIPE
		run.theirs = ends[1]
		if err := unix.SetNonblock(run.theirs, false); err != nil {
			return fmt.Errorf("open pipe: %w", err)
		}
	default:
		unix.Close(ends[1])
		return fmt.Errorf("open pipe: %w", err)
	}
	if p := run.req.Program; canBecome() {
		// So that it may open /dev/stdout and /dev/stderr.
		_ = unix.Fchown(run.out, int(p.UID), int(p.GID))
	}
	if err := r.watch(run.out); err != nil {
		return err
	}
	r.byFD[int32(run.out)] = run
	return nil
}

// reap looks whether run has ended, and reports it.
func (r *Runner) reap(run *Run) {
	status, over, err := reap.Collect(run.pid)
	if !over {
		return
	}
	res := Result{TimedOut: run.timedOut, Took: time.Since(run.started)}
	switch {
	case err != nil:
		res.Err = fmt.Errorf("wait for process %d of %s: %w", run.pid, run.req.Program.Path, err)
	case status.Signaled():
		res.Signal = status.Signal()
	default:
		res.Exit = status.ExitStatus()
	}
	// What is left in the pipe is at most its size, unless someone whom it left
	// behind continues to write.
	for range 16 {
		if !run.read(r.buf) {
			break
		}
	}
	res.Output = run.tail.String()
	r.release(run)
	if run.phase == terminated && unix.Kill(-run.pid, 0) != unix.ESRCH {
		// Others of the group have the rest of their time. As long as there is
		// one, the kernel gives the number to no other process.
		run.phase = orphaned
	} else {
		r.unschedule(run)
	}
	r.finish(run, res)
}

// release closes the descriptors of run.
func (r *Runner) release(run *Run) {
	if run.theirs >= 0 {
		// A process that still has it gets EAGAIN when the pipe is full, rather than
		// wait for ever.
		_ = unix.SetNonblock(run.theirs, true)
	}
	if _, ok := r.runs[run]; ok && run.pidfd < 0 {
		r.blind--
	}
	delete(r.runs, run)
	for _, fd := range []int{run.pidfd, run.out, run.theirs} {
		if fd < 0 {
			continue
		}
		if r.byFD[int32(fd)] == run {
			delete(r.byFD, int32(fd))
			// Closing does not end the watch while a process between fork and
			// exec has a copy.
			_ = unix.EpollCtl(r.epoll, unix.EPOLL_CTL_DEL, fd, nil)
		}
		unix.Close(fd)
	}
	run.pidfd, run.out, run.theirs = -1, -1, -1
}

// read takes what the pipe has; false: nothing.
func (run *Run) read(buf []byte) bool {
	n, err := unix.Read(run.out, buf)
	if err == unix.EINTR {
		return true
	}
	if n <= 0 {
		return false
	}
	run.tail.write(buf[:n])
	return true
}

// deadlines is a heap of runs by at.
type deadlines []*Run

func (d deadlines) Len() int           { return len(d) }
func (d deadlines) Less(i, j int) bool { return d[i].at.Before(d[j].at) }
func (d deadlines) Swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].index, d[j].index = i, j
}

func (d *deadlines) Push(x any) {
	run := x.(*Run)
	run.index = len(*d)
	*d = append(*d, run)
}

func (d *deadlines) Pop() any {
	last := len(*d) - 1
	run := (*d)[last]
	(*d)[last] = nil
	*d = (*d)[:last]
	run.index = -1
	return run
}

// maxLine is how much of a line is kept, in bytes.
const maxLine = 256

// tail keeps the last line that is not blank.
type tail struct {
	last []byte
	line []byte // the present one
}

func (t *tail) write(b []byte) {
	for len(b) > 0 {
		i := bytes.IndexAny(b, "\r\n")
		part := b
		if i >= 0 {
			part = b[:i]
		}
		t.line = append(t.line, part[:min(len(part), maxLine-len(t.line))]...)
		if i < 0 {
			return
		}
		t.endLine()
		b = b[i+1:]
	}
}

func (t *tail) endLine() {
	if len(bytes.TrimSpace(t.line)) > 0 {
		t.last, t.line = t.line, t.last
	}
	t.line = t.line[:0]
}

// String is the line without what would disturb a log or a terminal.
func (t *tail) String() string {
	t.endLine()
	valid := strings.ToValidUTF8(string(t.last), "?")
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		switch {
		case c == '\t':
			return ' '
		case !unicode.IsPrint(c):
			return '?'
		}
		return c
	}, valid))
}

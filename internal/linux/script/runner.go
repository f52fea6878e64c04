package script

import (
	"container/heap"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// killAfter is how long a process group has to end after SIGTERM.
	killAfter = 2 * time.Second
	// maxQueue bounds the requests that wait to be started. No script and no
	// owner of notifications has two, so that it takes more of these than a
	// machine has virtual routers.
	maxQueue = 1 << 15
	// reapEvery is how often ends are looked for that the kernel does not report:
	// those of processes without a pidfd (before Linux 5.3) and of groups.
	reapEvery = 20 * time.Millisecond
)

var (
	errClosed = errors.New("no more programs are started: keepalived is stopping")
	errBusy   = fmt.Errorf("%d programs wait to be started: the machine is too slow for them", maxQueue)
)

// A Runner runs programs. One thread starts them, waits for their ends and
// their output and enforces their timeouts, however many there are:
//
//	Start, Terminate, Close ──eventfd──▶ ┌────────┐ ──fork──▶ process groups
//	                                     │ thread │ ◀─pidfd── their ends
//	                   Done(Result) ◀─── └────────┘ ◀─pipe─── their last line
//
// It must be the same thread throughout: the kernel sends the parent death
// signal when the thread that has started a process ends.
type Runner struct {
	epoll, wake, null int
	env               []string

	// Connections that are tested, each by a goroutine.
	calls   context.Context
	hangUp  context.CancelFunc
	dialing sync.WaitGroup

	live atomic.Int32
	gone chan struct{} // closed by the thread when it ends

	mu     sync.Mutex
	queue  []func() // for the thread, in order
	closed bool
	over   bool // the thread takes nothing more from the queue

	refusal error // why there is no thread

	// The rest belongs to the thread.
	runs    map[*Run]struct{}
	blind   int            // how many of them have no pidfd
	byFD    map[int32]*Run // pidfd or pipe
	due     deadlines
	buf     []byte
	closing bool
	giveUp  time.Time // when closing waits no longer for the killed
	killed  []string  // what did not end by itself when closing
}

// NewRunner starts the thread of a runner. It changes two things of the process
// that it would else pass on to its programs: a signal that it was started to
// ignore is received and dropped from now on, which is the same to the process;
// and descriptors that it was started with are closed when it executes
// something.
func NewRunner() (*Runner, error) {
	r := &Runner{
		epoll: -1, wake: -1, null: -1,
		env:  environ(),
		gone: make(chan struct{}),
		runs: map[*Run]struct{}{},
		byFD: map[int32]*Run{},
		buf:  make([]byte, 64<<10),
	}
	r.calls, r.hangUp = context.WithCancel(context.Background())
	var err error
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, fmt.Errorf("create epoll: %w", err)
	}
	if r.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		r.closeFDs()
		return nil, fmt.Errorf("create eventfd: %w", err)
	}
	if r.null, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		r.closeFDs()
		return nil, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	if err := r.watch(r.wake); err != nil {
		r.closeFDs()
		return nil, err
	}
	catchIgnored()
	keepDescriptors()
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := plainThread()
		ready <- err
		if err == nil {
			r.loop()
		}
		r.closeFDs()
		close(r.gone)
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	return r, nil
}

// StartRunner is NewRunner for a process that continues without one: the log has the
// error, and each run ends at once with it.
func StartRunner() *Runner {
	r, err := NewRunner()
	if err != nil {
		err = fmt.Errorf("run scripts: %w", err)
		slog.Error(err.Error())
		return refusing(err)
	}
	return r
}

// refusing returns a runner whose runs end at once, for the reason why.
func refusing(why error) *Runner {
	r := &Runner{epoll: -1, wake: -1, null: -1, gone: make(chan struct{}), closed: true, over: true, refusal: why}
	r.calls, r.hangUp = context.WithCancel(context.Background())
	close(r.gone)
	return r
}

func (r *Runner) closeFDs() {
	for _, fd := range []int{r.epoll, r.wake, r.null} {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// environ is the environment of programs: ours without what could make a shell
// or the dynamic linker do something else, and without what is between systemd
// and us.
func environ() []string {
	return slices.DeleteFunc(os.Environ(), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		switch name {
		case "IFS", "LD_PRELOAD", "LD_LIBRARY_PATH",
			"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES",
			"KEEPALIVED_CHILD", "KEEPALIVED_READY", "KEEPALIVED_NETNS":
			return true
		}
		return false
	})
}

// catchIgnored makes ignored signals handled ones: only those return to their
// default when a program is executed.
func catchIgnored() {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return // nothing is known to be ignored
	}
	_, rest, _ := strings.Cut(string(status), "SigIgn:\t")
	line, _, _ := strings.Cut(rest, "\n")
	mask, _ := strconv.ParseUint(line, 16, 64)
	dropped := make(chan os.Signal, 1)
	for sig := syscall.Signal(1); sig < 32; sig++ {
		if mask&(1<<(sig-1)) != 0 {
			signal.Notify(dropped, sig)
		}
	}
}

// keepDescriptors keeps from programs what this process has inherited; what Go
// opens they do not get anyway. It needs neither /proc nor a descriptor.
func keepDescriptors() {
	const first = 3
	if unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil { // Linux 5.11
		return
	}
	limit := unix.Rlimit{Cur: mostDescriptors}
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	for fd := first; fd < int(min(limit.Cur, mostDescriptors)); fd++ {
		unix.CloseOnExec(fd)
	}
}

// mostDescriptors bounds the search for inherited descriptors, which have low
// numbers.
const mostDescriptors = 1 << 16

// plainThread gives the calling thread the scheduling, signal mask and timer slack of an
// ordinary process: children have those of the thread that starts them. A nice
// value above 0 stays.
func plainThread() error {
	attr, err := unix.SchedGetAttr(0, 0)
	if err != nil {
		return fmt.Errorf("read scheduling: %w", err)
	}
	if attr.Policy != unix.SCHED_NORMAL || attr.Nice < 0 {
		attr = &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_NORMAL}
		if err := unix.SchedSetAttr(0, attr, 0); err != nil {
			return fmt.Errorf("reset scheduling: %w", err)
		}
	}
	var none unix.Sigset_t
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil); err != nil {
		return fmt.Errorf("unblock signals: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(defaultSlack), 0, 0, 0); err != nil {
		slog.Warn("reset timer slack of scripts: " + err.Error()) // their timers are less exact
	}
	return nil
}

// defaultSlack is the timer slack that the kernel gives to processes.
const defaultSlack = 50 * time.Microsecond

// Start has req run. It does not block; programs are started in the order of
// the calls.
func (r *Runner) Start(req Request) *Run {
	run := &Run{runner: r, req: req, pidfd: -1, out: -1, theirs: -1, index: -1}
	r.live.Add(1)
	if req.Program != nil && req.Program.Connect != "" {
		r.dial(run)
		return run
	}
	if err := r.post(func() { r.start(run) }, maxQueue); err != nil {
		go r.finish(run, Result{Err: err})
	}
	return run
}

// Running is the number of runs whose Done has not returned.
func (r *Runner) Running() int { return int(r.live.Load()) }

// Close ends everything: what waits for its start is refused; SIGTERM to all
// process groups, SIGKILL to those that are left after wait, those that were
// told to end shortly before too; who was ended for its timeout has no more
// than the rest of its two seconds. Called again meanwhile, with less to wait, it
// makes that shorter. It returns the
// paths of what had to be killed. When it returns, every Done has been called;
// it must not be called from one.
func (r *Runner) Close(wait time.Duration) (killed []string) {
	r.mu.Lock()
	r.closed = true
	if !r.over {
		r.enqueue(func() { r.close(wait) })
	}
	r.mu.Unlock()
	r.hangUp()
	r.dialing.Wait()
	<-r.gone
	return r.killed
}

// post has the thread call f, after all that was posted before, unless that is
// limit or more.
func (r *Runner) post(f func(), limit int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.refusal != nil:
		return r.refusal
	case r.closed:
		return errClosed
	case len(r.queue) >= limit:
		return errBusy
	}
	r.enqueue(f)
	return nil
}

// isClosed reports whether Close was called: what still waits for its start
// then does so in vain.
func (r *Runner) isClosed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.closed
}

// enqueue needs mu. The thread closes the eventfd only after over is set.
func (r *Runner) enqueue(f func()) {
	r.queue = append(r.queue, f)
	if len(r.queue) == 1 {
		var one [8]byte
		binary.NativeEndian.PutUint64(one[:], 1)
		unix.Write(r.wake, one[:])
	}
}

// next takes the first of the queue.
func (r *Runner) next() (f func(), more bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.queue) == 0 {
		return nil, false
	}
	f = r.queue[0]
	r.queue[0] = nil
	r.queue = r.queue[1:]
	return f, len(r.queue) > 0
}

// rest reports that the queue is empty, and that nothing will be put into it.
func (r *Runner) rest() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = len(r.queue) == 0
	return r.over
}

func (r *Runner) watch(fd int) error {
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		return fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	return nil
}

// loop is the thread. It takes one request a turn, so that a burst of them
// delays neither ends nor timeouts.
func (r *Runner) loop() {
	var events [64]unix.EpollEvent
	for {
		f, more := r.next()
		if f != nil {
			f()
		}
		if r.closing && !more && r.ended() && r.rest() {
			return
		}
		n, err := unix.EpollWait(r.epoll, events[:], r.timeout(more))
		if err != nil && err != unix.EINTR {
			panic(fmt.Sprintf("script: wait for events: %v", err)) // a descriptor of ours was closed
		}
		for _, ev := range events[:max(n, 0)] {
			if ev.Fd == int32(r.wake) {
				var count [8]byte
				unix.Read(r.wake, count[:])
				continue
			}
			switch run := r.byFD[ev.Fd]; {
			case run == nil: // ended in this turn
			case ev.Fd == int32(run.pidfd):
				r.reap(run)
			default:
				run.read(r.buf)
			}
		}
		r.expire(time.Now())
	}
}

// timeout is how many milliseconds to wait, -1 without end.
func (r *Runner) timeout(more bool) int {
	if more {
		return 0
	}
	wait := time.Duration(-1)
	sooner := func(d time.Duration) {
		if d = max(d, 0); wait < 0 || d < wait {
			wait = d
		}
	}
	if len(r.due) > 0 {
		sooner(time.Until(r.due[0].at))
	}
	if r.closing {
		sooner(time.Until(r.giveUp))
	}
	if r.blind > 0 || r.closing && len(r.due) > 0 {
		sooner(reapEvery)
	}
	if wait < 0 {
		return -1
	}
	return int((wait + time.Millisecond - 1) / time.Millisecond)
}

// expire does what is due.
func (r *Runner) expire(now time.Time) {
	for len(r.due) > 0 && !r.due[0].at.After(now) {
		run := r.due[0]
		heap.Pop(&r.due)
		switch run.phase {
		case running:
			run.timedOut = true
			r.terminate(run, now.Add(killAfter))
		case terminated:
			unix.Kill(-run.pid, unix.SIGKILL)
			run.phase = killed
			if r.closing {
				r.killed = append(r.killed, run.req.Program.Path)
			}
		case orphaned:
			unix.Kill(-run.pid, unix.SIGKILL)
		}
	}
	if r.blind > 0 {
		for run := range r.runs {
			if run.pidfd < 0 {
				r.reap(run)
			}
		}
	}
}

// terminate sends SIGTERM to the group of run, and SIGKILL at kill.
func (r *Runner) terminate(run *Run, kill time.Time) {
	if run.phase != running {
		return
	}
	unix.Kill(-run.pid, unix.SIGTERM)
	run.phase = terminated
	r.schedule(run, kill)
}

func (r *Runner) schedule(run *Run, at time.Time) {
	run.at = at
	if run.index >= 0 {
		heap.Fix(&r.due, run.index)
	} else {
		heap.Push(&r.due, run)
	}
}

func (r *Runner) unschedule(run *Run) {
	if run.index >= 0 {
		heap.Remove(&r.due, run.index)
	}
}

// close begins the end of everything, or brings it nearer.
func (r *Runner) close(wait time.Duration) {
	now := time.Now()
	kill := now.Add(wait)
	again := r.closing
	if !again || kill.Add(killAfter).Before(r.giveUp) {
		r.giveUp = kill.Add(killAfter)
	}
	r.closing = true
	for run := range r.runs {
		r.terminate(run, kill)
	}
	for _, run := range slices.Clone(r.due) { // and runs terminated before
		if run.at.After(kill) || !again && !run.timedOut {
			r.schedule(run, kill)
		}
	}
}

// ended reports whether all have ended, or those that are left do not even die
// of SIGKILL: a process that waits in the kernel, for a dead file server.
func (r *Runner) ended() bool {
	for _, run := range slices.Clone(r.due) {
		if run.phase == orphaned && unix.Kill(-run.pid, 0) == unix.ESRCH {
			r.unschedule(run)
		}
	}
	if len(r.runs)+len(r.due) > 0 && time.Now().Before(r.giveUp) {
		return false
	}
	for run := range r.runs {
		res := Result{Signal: unix.SIGKILL, TimedOut: run.timedOut, Took: time.Since(run.started), Output: run.tail.String()}
		r.release(run)
		r.finish(run, res)
	}
	return true
}

// finish reports the end of run.
func (r *Runner) finish(run *Run, res Result) {
	if run.req.Done != nil {
		run.req.Done(res)
	}
	r.live.Add(-1)
}

// Package attempt makes the attempts of health checks: one connection, one
// question, one answer, one life.Result. When they are made, and what follows
// from a result, is decided by package life.
//
// A kind of check is one file. Its exported type is its configuration and
// implements Kind; begin starts an attempt, which is a state machine on a
// descriptor without blocking, driven by the loop of its process:
//
//	Begin ──▶ Kind.begin ──▶ open, Watch ──▶ machine.ready … ──▶ finish ──▶ done
//	                                    └──▶ machine.expire (Deadline) ──┘
//
// A check between two attempts holds nothing but its configuration: no
// descriptor, goroutine, timer or buffer. The TLS of SSL_GET runs in goroutines,
// one for each session, programs in the script.Runner. The caller bounds how many
// attempts are on their way at a time.
//
// Everything that a server sends is read with a bound in size and time.
package attempt

import (
	"crypto/rand"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
	"keepalived-go/internal/linux/script"
)

// Loop is what attempts need of the loop of their process. All functions that
// it calls run on its goroutine.
type Loop interface {
	// Watch calls ready with the events (unix.EPOLLIN …) of fd.
	Watch(fd int, events uint32, ready func(events uint32)) error
	// Forget ends a watch; it is called before fd is closed.
	Forget(fd int)
	// Post has f called soon. Any goroutine may post.
	Post(f func())
	// Now is the time of the deadlines.
	Now() time.Duration
}

// Env is what all attempts of a process share. Its methods and those of its
// attempts belong to the goroutine of the loop.
type Env struct {
	loop    Loop
	runner  *script.Runner
	buf     []byte // what is read goes here first
	random  []byte
	entropy [128]byte
}

// NewEnv returns an environment for attempts that run on loop. Programs of
// MISC_CHECK run in runner, which may be nil if there are none.
func NewEnv(loop Loop, runner *script.Runner) *Env {
	return &Env{loop: loop, runner: runner, buf: make([]byte, 64<<10)}
}

// number is 16 random bits.
func (e *Env) number() uint16 {
	if len(e.random) < 2 {
		rand.Read(e.entropy[:])
		e.random = e.entropy[:]
	}
	n := uint16(e.random[0])<<8 | uint16(e.random[1])
	e.random = e.random[2:]
	return n
}

// Kind makes the attempts of one check. Its values are read only: attempts of
// many checks may share one.
type Kind interface {
	// begin starts an attempt at a page. It sets a.run and a.deadline and watches
	// a descriptor, or finishes at once.
	begin(a *Attempt, page int)

	// line is the sentence about a failure, or about a change, in the words of the C
	// daemon; empty: none. See Lines.
	line(v *life.Verdict) string

	// Longest is the longest that an attempt takes.
	Longest() time.Duration

	// Mail is the body of a mail about a change.
	Mail(v *life.Verdict) string
}

// Lines are what the log gets of a verdict, in the words of the C daemon: changes, and
// what passes while a check is down. all is log_all_failures: the reason of each failure
// too, until the check is down.
func Lines(k Kind, v *life.Verdict, all bool) (lines []string) {
	add := func(line string) {
		if line != "" {
			lines = append(lines, line)
		}
	}
	if v.Void || v.OK && !v.WasUp {
		add(v.Reason)
	}
	all = all && !v.OK && !v.Void && (v.WasUp || v.First)
	if !v.Changed() && !all {
		return lines
	}
	line := k.line(v)
	if all && v.Changed() && !strings.Contains(line, v.Reason) {
		add(v.Reason)
	}
	add(line)
	return lines
}

// machine is one attempt of a kind on its way.
type machine interface {
	// ready takes up events of the descriptor.
	ready(a *Attempt, events uint32)
	// expire is called at the deadline: it finishes the attempt or moves the
	// deadline.
	expire(a *Attempt)
}

// dropper is a machine that holds more than a descriptor.
type dropper interface{ drop(a *Attempt) }

// Attempt is one attempt on its way.
type Attempt struct {
	env      *Env
	run      machine
	fd       int
	watched  bool
	reset    bool // to close the descriptor sends RST
	began    bool // begin has returned
	ended    bool
	deadline time.Duration
	start    time.Duration
	done     func(life.Result)
	result   life.Result
	short    bool
}

// Begin starts an attempt at a page (0 for kinds without pages). done is called
// once, from the loop, never before Begin has returned; not after Drop.
func (e *Env) Begin(k Kind, page int, done func(life.Result)) *Attempt {
	a := &Attempt{env: e, fd: -1, done: done, start: e.loop.Now()}
	k.begin(a, page)
	a.began = true
	return a
}

// Began is when the attempt began.
func (a *Attempt) Began() time.Duration { return a.start }

// Deadline is when Expire must be called, if the attempt has not ended before.
// It may have moved to a later time when it is reached, never to an earlier one.
func (a *Attempt) Deadline() time.Duration { return a.deadline }

// Short reports whether the attempt is void because this machine lacks what all
// attempts need: descriptors, processes or memory. It is worth another try when one
// that is on its way has ended.
func (a *Attempt) Short() bool { return a.short }

// Expire gives the attempt the present time. It may end it.
func (a *Attempt) Expire(now time.Duration) {
	switch {
	case now < a.deadline || a.done == nil:
	case a.ended:
		a.report()
	default:
		a.run.expire(a)
	}
}

// Drop ends the attempt without a result.
func (a *Attempt) Drop() {
	a.done = nil
	if !a.ended {
		a.release()
	}
}

// finish ends the attempt.
func (a *Attempt) finish(r life.Result) {
	if a.ended {
		return
	}
	a.release()
	a.result = r
	if a.began {
		a.report()
		return
	}
	a.deadline = a.start // Expire follows at once and reports
}

func (a *Attempt) report() {
	if done := a.done; done != nil {
		a.done = nil
		done(a.result)
	}
}

// release gives back what the attempt holds.
func (a *Attempt) release() {
	a.ended = true
	if d, ok := a.run.(dropper); ok {
		d.drop(a)
	}
	if a.fd >= 0 {
		fd := a.yield()
		if a.reset {
			unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &abort)
		}
		unix.Close(fd)
	}
}

// yield takes the descriptor out of the loop and of the attempt.
func (a *Attempt) yield() int {
	fd := a.fd
	if a.watched {
		a.env.loop.Forget(fd)
	}
	a.fd, a.watched = -1, false
	return fd
}

// watch has the machine called for events of the descriptor. With EPOLLET it is
// called once for each news, so that waiting for something else costs nothing.
func (a *Attempt) watch(events uint32) bool {
	if err := a.env.loop.Watch(a.fd, events, a.ready); err != nil {
		a.void("watch", err)
		return false
	}
	a.watched = true
	return true
}

// again has the machine called although it has not taken up everything.
func (a *Attempt) again(events uint32) {
	a.env.loop.Forget(a.fd)
	a.watched = false
	a.watch(events)
}

func (a *Attempt) ready(events uint32) {
	if !a.ended {
		a.run.ready(a, events)
	}
}

// wait moves the deadline.
func (a *Attempt) wait(d time.Duration) { a.deadline = a.env.loop.Now() + d }

// fail, pass and void finish with a result.
func (a *Attempt) fail(reason string) { a.finish(life.Result{Reason: reason}) }

func (a *Attempt) pass() { a.finish(life.Result{OK: true}) }

func (a *Attempt) void(what string, err error) {
	a.short = exhausted(err)
	a.finish(life.Result{Void: true, Reason: what + ": " + err.Error()})
}

// events that a socket is watched for.
const (
	evRead  = unix.EPOLLIN | unix.EPOLLRDHUP
	evWrite = unix.EPOLLOUT
	evNews  = evRead | evWrite | unix.EPOLLET
)

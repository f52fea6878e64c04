package attempt

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
	"keepalived-go/internal/linux/script"
)

// Misc is MISC_CHECK: the exit status of a program decides.
type Misc struct {
	Names
	Command string          // the program as configured, without arguments, for the log
	Program *script.Program // misc_path, user
	Timeout time.Duration   // misc_timeout; over 0, default delay_loop
	Dynamic bool            // misc_dynamic: exit status 2 to 255 sets the weight to itself less 2
}

// miscRun is one attempt.
type miscRun struct {
	*Misc
	run *script.Run
}

// miscGrace is how long a program may take to end after its timeout, until the
// attempt is given up: the runner has killed it long before.
const miscGrace = 15 * time.Second

func (k *Misc) begin(a *Attempt, _ int) {
	run := &miscRun{Misc: k}
	a.run = run
	a.deadline = a.start + k.Longest()
	loop := a.env.loop
	run.run = a.env.runner.Start(script.Request{Program: k.Program, Timeout: k.Timeout, Done: func(r script.Result) {
		loop.Post(func() {
			run.run = nil
			a.short = exhausted(r.Err) || errors.Is(r.Err, unix.EAGAIN)
			a.finish(k.judge(&r))
		})
	}})
}

func (r *miscRun) ready(*Attempt, uint32) {}

func (r *miscRun) expire(a *Attempt) { a.fail(timedOut) }

// drop ends the program too.
func (r *miscRun) drop(*Attempt) {
	if r.run != nil {
		r.run.Terminate()
	}
}

// judge makes a result of how a program ended. Exit status 1 is always a
// failure.
func (k *Misc) judge(r *script.Result) life.Result {
	var problem *script.Problem
	switch {
	case errors.As(r.Err, &problem), errors.Is(r.Err, fs.ErrNotExist), errors.Is(r.Err, fs.ErrPermission), errors.Is(r.Err, unix.ENOEXEC):
		return life.Result{Reason: r.String()}
	case r.Err != nil: // our own host cannot start programs
		return life.Result{Void: true, Reason: "Misc check " + k.what() + ": " + r.String()}
	case r.TimedOut:
		return life.Result{Reason: timedOut}
	case r.Signal != 0:
		return life.Result{Reason: fmt.Sprintf("due to signal %d", int(r.Signal))}
	case r.Exit == 0:
		return life.Result{OK: true}
	case k.Dynamic && r.Exit >= 2:
		return life.Result{OK: true, Weight: life.Weight{Mode: life.Is, N: r.Exit - 2}}
	}
	return life.Result{Reason: fmt.Sprintf("exited with status %d", r.Exit)}
}

const timedOut = "timed out"

func (k *Misc) what() string {
	return fmt.Sprintf("for [%s VS %s] by [%s]", k.Server, k.Service, k.Command)
}

func (k *Misc) line(v *life.Verdict) string {
	if v.OK {
		return "Misc check " + k.what() + " succeeded."
	}
	ended, how := "failed", " ("+v.Reason+")"
	if v.Reason == timedOut {
		ended, how = timedOut, ""
	}
	retries := fmt.Sprintf("%d retries", v.Allowed)
	if v.Allowed == 1 {
		retries = "1 retry"
	}
	var tries string
	switch {
	case v.Allowed == 0:
		tries = " with retry disabled"
	case v.Decided: // at the first attempt ever, too, which has no retries
		tries = " after " + retries
	case v.Failures == 1:
		tries = ", will do " + retries
	default:
		tries = fmt.Sprintf(" on retry %d/%d", v.Failures-1, v.Allowed)
	}
	return "Misc check " + k.what() + " " + ended + tries + how + "."
}

// Longest is the timeout, and the time that a program has to end after it.
func (k *Misc) Longest() time.Duration { return k.Timeout + miscGrace }

// Mail is in the words of the C daemon.
func (k *Misc) Mail(v *life.Verdict) string {
	if v.Up {
		return "=> MISC CHECK succeeded on service <="
	}
	if v.Reason == timedOut {
		return "=> MISC CHECK timed out on service <="
	}
	return "=> MISC CHECK failed on service <="
}

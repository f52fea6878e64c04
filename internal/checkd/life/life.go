// Package life is the life of a health check, the same for all kinds: when it
// runs for the first time and again, what a failure costs, when it goes up and
// down. It is pure: Check.Step takes the time and an event and returns what is
// to be done. It has no clock, socket, goroutine or log, and does not allocate.
//
//	Start ──warm-up──▶ waiting ──Due──▶ running ──Done──▶ waiting …
//	                      │ Suspend        │ Suspend (the attempt is dropped)
//	                      ▼                ▼
//	                  suspended: the timer runs, nothing is attempted
//
// A kind without attempts of its own (BFD_CHECK, FILE_CHECK) sends Observed.
package life

import (
	"math"
	"time"
)

// Never is the time of a check that waits for nothing.
const Never = time.Duration(math.MaxInt64)

// startDelay is what every first attempt waits, before the warm-up.
const startDelay = time.Second

// Config is how a check is repeated. The zero value of what is not listed as
// required is the upstream default for most kinds.
type Config struct {
	// DelayLoop is the time from the end of an attempt to the next one; over 0
	// (delay_loop; default 60 s).
	DelayLoop time.Duration

	// Retry is how many failures in a row are forgiven while the check is up; 0
	// or more (retry; default 1, DNS_CHECK 3, MISC_CHECK 0).
	Retry int

	// DelayBeforeRetry is the time between the attempts while failures are
	// forgiven; 0 or more (delay_before_retry; default 1 s, HTTP_GET and SSL_GET
	// 3 s, DNS_CHECK DelayLoop).
	DelayBeforeRetry time.Duration

	// Warmup is the longest time by which the first attempt is put off, beyond a
	// second; 0 or more (warmup; default DelayLoop).
	Warmup time.Duration

	// Alpha starts the check down (alpha; default off).
	Alpha bool

	// Events means that the kind has no attempts and gets changes (Observed).
	Events bool

	// FromStart counts delays from the start of an attempt, not from its end
	// (MISC_CHECK). An attempt that takes longer is followed at once.
	FromStart bool

	// PatientStart forgives Retry failures at the first attempt too, which
	// otherwise is down at once (SMTP_CHECK).
	PatientStart bool

	// Pages is the number of things that are tried one after the other, one each
	// attempt (urls of HTTP_GET and SSL_GET). 0 and 1 are the same but for
	// Remember.
	Pages int

	// Remember means that a page that took the check down is tried alone until it
	// passes, and then all from the first one again (HTTP_GET, SSL_GET).
	Remember bool

	// FastRecovery leaves out the pause between pages while the check has not
	// been up yet, and while it is down without a page that fails (fast_recovery).
	FastRecovery bool

	// Longest is the longest an attempt may take; 0: it takes no time. It only
	// matters to Overdue.
	Longest time.Duration
}

// pages is the number of pages, at least 1.
func (c *Config) pages() int { return max(1, c.Pages) }

// Weight is what a check does to the weight of its real server.
type Weight struct {
	Mode WeightMode
	N    int
}

// WeightMode is the meaning of Weight.N.
type WeightMode uint8

const (
	Unchanged WeightMode = iota // the weight stays the configured one
	Is                          // instead of the configured weight it is N
	Plus                        // N is added to the configured weight
)

// Adjustment is what w adds to a real server's configured weight. Adjustments
// of several checks add up; the sum has a floor of 0.
func (w Weight) Adjustment(configured int) int {
	switch w.Mode {
	case Is:
		return w.N - configured
	case Plus:
		return w.N
	}
	return 0
}

// Result is how one attempt ended, or what a kind without attempts has observed.
type Result struct {
	OK     bool
	Reason string // of a failure, or what a success is worth a word; for the log
	Weight Weight // only of a success

	// Void means that our own host kept the attempt from being made: no descriptor
	// or port was left. It proves nothing about the server: nothing changes, and
	// Overdue continues to count.
	Void bool
}

// EventKind is what has happened.
type EventKind uint8

const (
	Start       EventKind = iota // the life begins; Spread is its place in the warm-up
	Due                          // the time of Actions.Next has come
	Done                         // attempt Number has ended with Result
	Observed                     // a kind without attempts has Result
	Suspend                      // ha_suspend: the address of the service is not here
	Resume                       // it is again
	Reconfigure                  // Config has replaced that of the check; its state stays
)

// Event is something that has happened to a check.
type Event struct {
	Kind   EventKind
	Spread float64 // Start: 0 to 1, a random number
	Number uint64  // Done: of Actions
	Result Result  // Done, Observed
	Config *Config // Reconfigure; as for New
}

// Actions is what a step asks for.
type Actions struct {
	// Next is when Due is to follow: the one timer of the check. Never: not at all.
	Next time.Duration

	// Attempt asks for an attempt at Page (from 0), whose Done has Number.
	Attempt bool
	Page    int
	Number  uint64

	// Drop means that the attempt that runs is to be ended without a result.
	Drop bool

	// Judged means that a result has been taken up; Verdict is what it did.
	Judged  bool
	Verdict Verdict

	// Reweighted means that Weight has changed.
	Reweighted bool
	Weight     Weight
}

// Verdict is what the result of an attempt did to the check.
type Verdict struct {
	Result

	// Up is what the check is now, WasUp what it was before.
	Up, WasUp bool

	// First means that this is the first time that the check knows its state: no
	// attempt has decided it before. It is then reported even if nothing changes.
	First bool

	// Decided means that the result decided the state: a failure that is
	// forgiven does not, nor does one page of several.
	Decided bool

	// Page is the one that was tried.
	Page int

	// Failures is the number of failures in a row with this one, while they are
	// counted: 1 … Retry+1. It is 0 with a success, and while the check is down.
	Failures int

	// Allowed is Config.Retry.
	Allowed int

	// Retries is how many retries have been spent in vain when the check goes
	// down, 0 at the first attempt ever.
	Retries int
}

// Changed reports whether the verdict is worth an announcement: up or down, or
// the first word about either.
func (v *Verdict) Changed() bool { return v.Decided && (v.First || v.Up != v.WasUp) }

// Check is the life of one check. Its zero value is of no use; see New.
type Check struct {
	cfg *Config

	s State

	suspended bool
	running   bool
	noted     bool // Overdue has reported the silence already

	begun time.Duration // start of the latest attempt
	seen  time.Duration // since when it has not reported
	next  time.Duration // when Due is expected
}

// State is what a check has learnt: what a successor continues from.
type State struct {
	Up    bool // the check speaks for its real server
	Known bool // an attempt has decided that
	Tried bool // an attempt has ended

	Page     int // that is tried next
	Failing  int // page that took the check down and is tried alone; -1: none
	Failures int // in a row, that have been forgiven
	Weight   Weight
	Number   uint64 // of attempts so far
}

// New returns a check before its start. It is up unless cfg.Alpha. Checks may share a
// configuration, which nobody changes.
func New(cfg *Config) *Check {
	c := new(Check)
	c.Init(cfg)
	return c
}

// Init makes c a check before its start, for those who keep it in a larger
// value.
func (c *Check) Init(cfg *Config) {
	*c = Check{cfg: cfg, s: State{Up: !cfg.Alpha, Failing: -1}, next: Never}
}

// Restore makes a check that has not begun continue where a predecessor stood.
// What does not fit the configuration is dropped.
func (c *Check) Restore(s State) {
	c.s = s
	c.fit()
}

// State is what the check has learnt so far.
func (c *Check) State() State { return c.s }

// Up reports whether the check speaks for its real server.
func (c *Check) Up() bool { return c.s.Up }

// Running reports whether an attempt is on its way.
func (c *Check) Running() bool { return c.running }

// Suspended reports whether the check is suspended.
func (c *Check) Suspended() bool { return c.suspended }

// Observes reports whether the check has no attempts and gets changes.
func (c *Check) Observes() bool { return c.cfg.Events }

// Next is when Due is expected; Never: it is not.
func (c *Check) Next() time.Duration { return c.next }

// Silent is for how long a check has been silent that should have run three times
// meanwhile: it has been lost, or its attempt never ends. It is 0 otherwise, and for
// a suspended check and one without attempts.
func (c *Check) Silent(now time.Duration) time.Duration {
	if silent, overdue := c.silence(now); overdue {
		return silent
	}
	return 0
}

func (c *Check) silence(now time.Duration) (silent time.Duration, overdue bool) {
	if c.cfg.Events || c.suspended || c.next == Never && !c.running {
		return 0, false
	}
	silent = now - c.seen
	return silent, silent > 3*max(c.cfg.DelayLoop, c.cfg.DelayBeforeRetry)+c.cfg.Longest
}

// Overdue is Silent for those who report it: fresh is true the first time for each
// silence.
func (c *Check) Overdue(now time.Duration) (silent time.Duration, fresh, overdue bool) {
	silent, overdue = c.silence(now)
	if overdue {
		fresh = !c.noted
		c.noted = true
	}
	return silent, fresh, overdue
}

// Step takes up an event at the time now and returns what is to be done.
// What does not fit the state – the result of an attempt that was dropped, a
// timer that comes early or twice – is ignored.
func (c *Check) Step(now time.Duration, ev Event) Actions {
	var out Actions
	switch ev.Kind {
	case Start:
		if c.cfg.Events {
			break
		}
		c.next = now + startDelay + time.Duration(ev.Spread*float64(c.cfg.Warmup))
		c.heard(c.next)
	case Due:
		c.due(now, &out)
	case Done:
		if c.running && ev.Number == c.s.Number {
			c.running = false
			if ev.Result.Void {
				out.Judged, out.Verdict = true, Verdict{Result: ev.Result, Page: c.s.Page, Up: c.s.Up, WasUp: c.s.Up}
				c.next = max(now, c.from(now)+c.cfg.DelayLoop)
				break
			}
			c.heard(now)
			c.judge(ev.Result, &out)
			c.next = max(now, c.from(now)+c.pause(&out.Verdict))
		}
	case Observed:
		if !c.suspended && !ev.Result.Void {
			c.judge(ev.Result, &out)
		}
	case Suspend:
		c.suspended = true
		if c.running {
			c.running, out.Drop = false, true
			c.next = max(now, c.from(now)+c.cfg.DelayLoop)
		}
	case Resume:
		if c.suspended {
			c.suspended = false
			c.heard(max(now, c.next))
		}
	case Reconfigure:
		c.reconfigure(now, ev.Config, &out)
	}
	out.Next = c.next
	return out
}

// heard notes that the check is alive at t.
func (c *Check) heard(t time.Duration) { c.seen, c.noted = t, false }

func (c *Check) due(now time.Duration, out *Actions) {
	switch {
	case c.running || now < c.next:
	case c.suspended:
		c.next = now + c.cfg.DelayLoop
	default:
		c.s.Number++
		c.running, c.begun, c.next = true, now, Never
		out.Attempt, out.Page, out.Number = true, c.s.Page, c.s.Number
	}
}

// judge takes up a result.
func (c *Check) judge(r Result, out *Actions) {
	v := Verdict{Result: r, Page: c.s.Page, WasUp: c.s.Up, First: !c.s.Known, Allowed: c.cfg.Retry}
	if r.OK {
		c.succeed(&v)
	} else {
		c.fail(&v)
	}
	c.s.Tried, v.Up = true, c.s.Up
	out.Judged, out.Verdict = true, v
	if r.OK && r.Weight != c.s.Weight {
		c.s.Weight = r.Weight
		out.Reweighted, out.Weight = true, r.Weight
	}
}

func (c *Check) succeed(v *Verdict) {
	c.s.Failures = 0
	switch {
	case c.s.Failing >= 0:
		// The page that took the check down passes again. That is not enough: all
		// of them are tried from the first one.
		c.s.Failing, c.s.Page = -1, 0
		return
	case c.s.Page+1 < c.cfg.pages():
		c.s.Page++
		return
	}
	c.s.Page = 0
	c.s.Up, c.s.Known, v.Decided = true, true, true
}

func (c *Check) fail(v *Verdict) {
	decided := func() {
		c.s.Failures = 0
		c.s.Up, c.s.Known, v.Decided = false, true, true
		if c.cfg.Remember {
			c.s.Failing = c.s.Page
		}
	}
	switch {
	case c.s.Known && !c.s.Up:
		decided() // no retries for what is down
	case !c.s.Tried && !c.cfg.PatientStart, c.cfg.Events:
		v.Failures = 1
		decided() // the first attempt ever is not forgiven
	case c.s.Failures < c.cfg.Retry:
		c.s.Failures++
		v.Failures = c.s.Failures
	default:
		v.Failures, v.Retries = c.s.Failures+1, c.s.Failures
		decided()
	}
}

// from is what the pause after an attempt counts from.
func (c *Check) from(now time.Duration) time.Duration {
	if c.cfg.FromStart {
		return c.begun
	}
	return now
}

// pause is the time until the next attempt after v.
func (c *Check) pause(v *Verdict) time.Duration {
	switch {
	case !v.OK && !v.Decided:
		return c.cfg.DelayBeforeRetry
	case c.s.Failing >= 0:
		return max(c.cfg.DelayBeforeRetry, c.cfg.DelayLoop)
	case v.OK && !v.Decided && c.cfg.FastRecovery && (!c.s.Known || !c.s.Up):
		return 0
	}
	return c.cfg.DelayLoop
}

// reconfigure takes up another configuration. What the check knows stays; what
// it waits for comes no later than the new times have it.
func (c *Check) reconfigure(now time.Duration, cfg *Config, out *Actions) {
	otherPages := cfg.pages() != c.cfg.pages()
	c.cfg = cfg
	c.fit()
	switch {
	case c.running && otherPages:
		c.running, out.Drop = false, true
		c.next = now
	case c.next != Never:
		c.next = min(c.next, now+max(cfg.DelayLoop, startDelay))
	default:
		return
	}
	c.heard(max(now, c.next))
}

// fit drops what of the state the configuration has no place for.
func (c *Check) fit() {
	if c.s.Page >= c.cfg.pages() || c.s.Failing >= c.cfg.pages() || !c.cfg.Remember {
		c.s.Page, c.s.Failing = min(c.s.Page, c.cfg.pages()-1), -1
	}
	if !c.s.Known {
		c.s.Up = !c.cfg.Alpha
	}
}

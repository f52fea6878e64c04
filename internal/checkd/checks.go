package checkd

import (
	"container/list"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/checkd/attempt"
	"keepalived-go/internal/checkd/life"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/lvs"
)

// A check is one that the engine has activated, or may again: its life, and the
// attempt on its way. Between two attempts its timer is that of the next one,
// during an attempt that of the attempt. It has none while it waits at a gate.
type check struct {
	*planned
	id      lvs.CheckID
	life    life.Check
	timer   loop.Timer
	attempt *attempt.Attempt  // nil: none is on its way
	done    func(life.Result) // takes the result of that attempt
	number  uint64            // of that attempt
	page    int32             // likewise
	passed  uint8             // gates that it has passed
	active  bool              // the engine wants it to run
	begun   bool              // it has been active before
	place   *list.Element     // among the checks that wait at the next gate; nil: it does not wait
	last    last
}

// last is what is known of the last result of a check.
type last struct {
	at     time.Duration // when it came; 0: none has come yet
	took   time.Duration // by the last attempt that was made; 0: there was none
	reason string        // as in life.Result
	page   int32
	ok     bool
}

func (d *daemon) newCheck(id lvs.CheckID, p *planned) *check {
	c := &check{planned: p, id: id}
	c.life.Init(p.life)
	c.timer.Expire = func(at time.Duration) { d.expire(c, at) }
	c.done = func(r life.Result) { d.done(c, r) } // once, not for each attempt
	return c
}

// activate has a check run, from its start or from where it was suspended.
func (d *daemon) activate(c *check) {
	if c.active || c.kind == nil {
		return
	}
	c.active = true
	if !c.begun {
		c.begun = true
		d.act(c, c.life.Step(d.loop.Now(), life.Event{Kind: life.Start, Spread: rand.Float64()}))
		d.recall(c)
		return
	}
	d.act(c, c.life.Step(d.loop.Now(), life.Event{Kind: life.Resume}))
	d.recall(c)
}

// deactivate suspends a check.
func (d *daemon) deactivate(c *check) {
	if !c.active {
		return
	}
	c.active = false
	d.act(c, c.life.Step(d.loop.Now(), life.Event{Kind: life.Suspend}))
}

// reconfigure gives a check its place in another configuration. What it knows
// stays. One that cannot be done any more, or could not be done before, begins
// again.
func (d *daemon) reconfigure(c *check, id lvs.CheckID, p *planned) *check {
	if c.kind == nil || p.kind == nil {
		again := d.newCheck(id, p)
		if c.active {
			d.activate(again)
		}
		d.retire(c)
		return again
	}
	c.id, c.planned = id, p
	d.act(c, c.life.Step(d.loop.Now(), life.Event{Kind: life.Reconfigure, Config: p.life}))
	return c
}

// retire ends a check.
func (d *daemon) retire(c *check) {
	d.loop.Stop(&c.timer)
	d.abandon(c)
}

// expire is what the timer of a check is for.
func (d *daemon) expire(c *check, at time.Duration) {
	if a := c.attempt; a != nil {
		a.Expire(at)
		if c.attempt == a { // it has moved its deadline
			d.loop.Set(&c.timer, a.Deadline())
		}
		return
	}
	d.act(c, c.life.Step(at, life.Event{Kind: life.Due}))
}

// observe gives a check of a kind without attempts its result.
func (d *daemon) observe(c *check, r life.Result) {
	if c.begun {
		d.act(c, c.life.Step(d.loop.Time(), life.Event{Kind: life.Observed, Result: r}))
	}
}

// act does what the life of a check asks for.
func (d *daemon) act(c *check, a life.Actions) {
	if a.Drop {
		d.abandon(c)
	}
	switch {
	case a.Attempt:
		c.number, c.page = a.Number, int32(a.Page)
		d.admit(c)
	case c.attempt != nil: // its deadline stays
	case a.Next == life.Never:
		d.loop.Stop(&c.timer)
	default:
		d.loop.Set(&c.timer, a.Next)
	}
	if a.Judged {
		d.judge(c, &a)
	}
}

// gatesOf are what an attempt of c has to pass, in this order.
func (d *daemon) gatesOf(c *check) []*gate {
	if c.Check.Kind == conf.CheckSSL {
		return d.gates[:]
	}
	return d.gates[1:]
}

// admit begins the attempt of a check when it has passed all gates.
func (d *daemon) admit(c *check) {
	gates := d.gatesOf(c)
	for ; int(c.passed) < len(gates); c.passed++ {
		if !gates[c.passed].enter(c) {
			return
		}
	}
	d.attempt(c)
}

func (d *daemon) attempt(c *check) {
	c.attempt = d.env.Begin(c.kind, int(c.page), c.done)
	d.loop.Set(&c.timer, c.attempt.Deadline())
}

// leave gives back what an attempt, or the wait for one, has of the gates.
func (d *daemon) leave(c *check) {
	gates := d.gatesOf(c)
	if c.place != nil {
		gates[c.passed].withdraw(c)
	}
	for c.passed > 0 {
		c.passed--
		gates[c.passed].leave(func(next *check) {
			next.passed++
			if !d.stopping {
				d.admit(next)
			}
		})
	}
}

// abandon ends the attempt of a check, or its wait for one, without a result.
func (d *daemon) abandon(c *check) {
	if c.attempt != nil {
		c.attempt.Drop()
		c.attempt = nil
	}
	d.leave(c)
}

// done takes up the result of an attempt. One for which this machine lacked something
// waits until another one has ended.
func (d *daemon) done(c *check, r life.Result) {
	at, begun := d.loop.Time(), c.attempt.Began()
	short := r.Void && c.attempt.Short()
	c.attempt = nil
	if before := c.passed - 1; short && d.gatesOf(c)[before].retreat(c) {
		c.passed = before
		d.loop.Stop(&c.timer)
		return
	}
	d.leave(c)
	if !r.Void {
		c.last.took = at - begun
	}
	d.act(c, c.life.Step(at, life.Event{Kind: life.Done, Number: c.number, Result: r}))
}

// judge logs a verdict and passes it on to the engine.
func (d *daemon) judge(c *check, a *life.Actions) {
	d.verdict = a.Verdict
	v, at := &d.verdict, d.loop.Time()
	c.last.at, c.last.ok, c.last.reason, c.last.page = at, v.OK, v.Reason, int32(v.Page)
	report := func() {
		for _, line := range attempt.Lines(c.kind, v, c.Check.LogAllFailures || d.conf.Global.LVS.LogAllFailures) {
			d.log(line, "service", c.Service.String(), "server", c.Name(), "check", c.Check.Kind.String())
		}
	}
	if v.Changed() {
		d.stateChanged() // also where the server stays what it was taken for
	}
	if !v.Decided && !a.Reweighted {
		report()
		return
	}
	d.stepAfter(at, report, lvs.Event{Kind: lvs.CheckResult, Check: c.id, Up: v.Up, Weight: weightOf(a)})
}

// weightOf translates what a check reports of the weight of its server.
func weightOf(a *life.Actions) lvs.Weight {
	if !a.Reweighted {
		return lvs.Weight{}
	}
	w := lvs.Weight{Kind: lvs.WeightAdd, Value: int32(a.Weight.N)}
	switch a.Weight.Mode {
	case life.Is:
		w.Kind = lvs.WeightSet
	case life.Unchanged:
		w.Value = 0
	}
	return w
}

// lookEvery is how often checks that have not run for long are looked for.
const lookEvery = 10 * time.Second

// lookForSilent names the checks that have not run for three intervals: none may
// be lost without a word.
func (d *daemon) lookForSilent(at time.Duration) {
	for _, c := range d.checks {
		if silent, fresh, _ := c.life.Overdue(at); fresh {
			why := ""
			if c.place != nil {
				why = fmt.Sprintf(": it waits until one of %d attempts has ended", d.gatesOf(c)[c.passed].inside)
			}
			slog.Error(fmt.Sprintf("%s on service %s of %s has not run for %v%s", c.Check.Kind, c.Name(), c.Service, silent.Round(time.Second), why),
				"service", c.Service.String(), "server", c.Name())
		}
	}
	d.loop.Set(&d.look, at+lookEvery)
}

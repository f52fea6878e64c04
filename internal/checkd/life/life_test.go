package life

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

const sec = time.Second

// web returns the configuration of an HTTP_GET with n urls.
func web(n int) Config {
	return Config{DelayLoop: 10 * sec, Retry: 2, DelayBeforeRetry: 3 * sec, Pages: n, Remember: true}
}

// run drives a check through a script: one word each event.
//
//	ok bad      the attempt that is due ends after 100 ms, well or not
//	void        it could not be made
//	ok=N        with weight N
//	+D -D       observed (kinds without attempts)
//	suspend resume drop: the events of these names
//
// It returns a line for each word: when the attempt began, its page, what came
// of it, and when the next one is.
func run(cfg Config, script string) string {
	var b strings.Builder
	c := begin(cfg)
	now := time.Duration(0)
	next := c.Step(now, Event{Kind: Start, Spread: 0.5}).Next
	for _, word := range strings.Fields(script) {
		fmt.Fprintf(&b, "%-8s", word)
		var out Actions
		name, weight, _ := strings.Cut(word, "=")
		r := Result{OK: name == "ok" || name == "up"}
		if weight != "" {
			r.Weight.Mode = Is
			fmt.Sscan(weight, &r.Weight.N)
		}
		switch name {
		case "ok", "bad", "void":
			r.Void = name == "void"
			now = next
			begin := c.Step(now, Event{Kind: Due})
			if !begin.Attempt {
				fmt.Fprintf(&b, " %v nothing, next %v\n", now, begin.Next)
				next = begin.Next
				continue
			}
			fmt.Fprintf(&b, " %v #%d page %d:", now, begin.Number, begin.Page)
			now += sec / 10
			out = c.Step(now, Event{Kind: Done, Number: begin.Number, Result: r})
		case "up", "down":
			now += sec
			fmt.Fprintf(&b, " %v:", now)
			out = c.Step(now, Event{Kind: Observed, Result: r})
		case "suspend":
			out = c.Step(now, Event{Kind: Suspend})
		case "resume":
			out = c.Step(now, Event{Kind: Resume})
		case "hang": // an attempt begins and does not end
			now = next
			out = c.Step(now, Event{Kind: Due})
		}
		v := &out.Verdict
		if out.Judged {
			state := map[bool]string{true: "up", false: "down"}
			switch {
			case v.Changed():
				fmt.Fprintf(&b, " %s->%s", state[v.WasUp], state[v.Up])
			case v.Decided:
				fmt.Fprintf(&b, " stays %s", state[v.Up])
			default:
				fmt.Fprint(&b, " undecided")
			}
			if v.First && v.Decided {
				fmt.Fprint(&b, " first")
			}
			if v.Failures > 0 {
				fmt.Fprintf(&b, " failure %d", v.Failures)
			}
			if v.Retries > 0 {
				fmt.Fprintf(&b, " after %d retries", v.Retries)
			}
		}
		if out.Reweighted {
			fmt.Fprintf(&b, " weight %d/%d", out.Weight.Mode, out.Weight.N)
		}
		if out.Drop {
			fmt.Fprint(&b, " drop")
		}
		if next = out.Next; next == Never {
			fmt.Fprint(&b, ", no next\n")
		} else {
			fmt.Fprintf(&b, ", next %v\n", next)
		}
	}
	return b.String()
}

func TestLife(t *testing.T) {
	tcp := Config{DelayLoop: 10 * sec, Retry: 2, DelayBeforeRetry: sec, Warmup: 4 * sec}
	alpha := tcp
	alpha.Alpha = true
	misc := tcp
	misc.FromStart, misc.Retry = true, 0
	smtp := tcp
	smtp.PatientStart = true
	fast := web(2)
	fast.FastRecovery, fast.Alpha = true, true
	for _, test := range []struct {
		name   string
		cfg    Config
		script string
		want   string
	}{
		{"warm-up, success, loop", tcp, "ok ok", `
ok       3s #1 page 0: up->up first, next 13.1s
ok       13.1s #2 page 0: stays up, next 23.2s
`},
		{"the first failure ever is not forgiven", tcp, "bad bad ok ok", `
bad      3s #1 page 0: up->down first failure 1, next 13.1s
bad      13.1s #2 page 0: stays down, next 23.2s
ok       23.2s #3 page 0: down->up, next 33.3s
ok       33.3s #4 page 0: stays up, next 43.4s
`},
		{"retries, then down, then no retries", tcp, "ok bad bad bad bad ok bad ok", `
ok       3s #1 page 0: up->up first, next 13.1s
bad      13.1s #2 page 0: undecided failure 1, next 14.2s
bad      14.2s #3 page 0: undecided failure 2, next 15.3s
bad      15.3s #4 page 0: up->down failure 3 after 2 retries, next 25.4s
bad      25.4s #5 page 0: stays down, next 35.5s
ok       35.5s #6 page 0: down->up, next 45.6s
bad      45.6s #7 page 0: undecided failure 1, next 46.7s
ok       46.7s #8 page 0: stays up, next 56.8s
`},
		{"alpha: a first failure is reported, a first success too", alpha, "bad ok", `
bad      3s #1 page 0: down->down first failure 1, next 13.1s
ok       13.1s #2 page 0: down->up, next 23.2s
`},
		{"alpha: up at the first success", alpha, "ok", `
ok       3s #1 page 0: down->up first, next 13.1s
`},
		{"MISC counts from the start of the attempt", misc, "ok=7 ok=7 ok bad", `
ok=7     3s #1 page 0: up->up first weight 1/7, next 13s
ok=7     13s #2 page 0: stays up, next 23s
ok       23s #3 page 0: stays up weight 0/0, next 33s
bad      33s #4 page 0: up->down failure 1, next 43s
`},
		{"a failure keeps the weight", misc, "ok=7 bad ok=7", `
ok=7     3s #1 page 0: up->up first weight 1/7, next 13s
bad      13s #2 page 0: up->down failure 1, next 23s
ok=7     23s #3 page 0: down->up, next 33s
`},
		{"SMTP forgives at the first attempt too", smtp, "bad bad bad", `
bad      3s #1 page 0: undecided failure 1, next 4.1s
bad      4.1s #2 page 0: undecided failure 2, next 5.2s
bad      5.2s #3 page 0: up->down first failure 3 after 2 retries, next 15.3s
`},
		{"one url that failed needs two good answers", web(1), "ok bad bad bad bad ok ok ok", `
ok       1s #1 page 0: up->up first, next 11.1s
bad      11.1s #2 page 0: undecided failure 1, next 14.2s
bad      14.2s #3 page 0: undecided failure 2, next 17.3s
bad      17.3s #4 page 0: up->down failure 3 after 2 retries, next 27.4s
bad      27.4s #5 page 0: stays down, next 37.5s
ok       37.5s #6 page 0: undecided, next 47.6s
ok       47.6s #7 page 0: down->up, next 57.7s
ok       57.7s #8 page 0: stays up, next 1m7.8s
`},
		{"urls in turn; the one that failed alone, then all", web(3), "ok ok ok ok bad bad bad bad ok ok ok ok", `
ok       1s #1 page 0: undecided, next 11.1s
ok       11.1s #2 page 1: undecided, next 21.2s
ok       21.2s #3 page 2: up->up first, next 31.3s
ok       31.3s #4 page 0: undecided, next 41.4s
bad      41.4s #5 page 1: undecided failure 1, next 44.5s
bad      44.5s #6 page 1: undecided failure 2, next 47.6s
bad      47.6s #7 page 1: up->down failure 3 after 2 retries, next 57.7s
bad      57.7s #8 page 1: stays down, next 1m7.8s
ok       1m7.8s #9 page 1: undecided, next 1m17.9s
ok       1m17.9s #10 page 0: undecided, next 1m28s
ok       1m28s #11 page 1: undecided, next 1m38.1s
ok       1m38.1s #12 page 2: down->up, next 1m48.2s
`},
		{"another url fails while recovering: it is the remembered one then", web(2), "bad ok ok bad ok ok ok", `
bad      1s #1 page 0: up->down first failure 1, next 11.1s
ok       11.1s #2 page 0: undecided, next 21.2s
ok       21.2s #3 page 0: undecided, next 31.3s
bad      31.3s #4 page 1: stays down, next 41.4s
ok       41.4s #5 page 1: undecided, next 51.5s
ok       51.5s #6 page 0: undecided, next 1m1.6s
ok       1m1.6s #7 page 1: down->up, next 1m11.7s
`},
		{"fast recovery: no pause while not yet up", fast, "ok ok ok ok bad bad bad ok ok ok", `
ok       1s #1 page 0: undecided, next 1.1s
ok       1.1s #2 page 1: down->up first, next 11.2s
ok       11.2s #3 page 0: undecided, next 21.3s
ok       21.3s #4 page 1: stays up, next 31.4s
bad      31.4s #5 page 0: undecided failure 1, next 34.5s
bad      34.5s #6 page 0: undecided failure 2, next 37.6s
bad      37.6s #7 page 0: up->down failure 3 after 2 retries, next 47.7s
ok       47.7s #8 page 0: undecided, next 47.8s
ok       47.8s #9 page 0: undecided, next 47.9s
ok       47.9s #10 page 1: down->up, next 58s
`},
		{"suspended: the timer goes on, nothing is tried or changed", tcp, "ok suspend ok bad resume bad", `
ok       3s #1 page 0: up->up first, next 13.1s
suspend , next 13.1s
ok       13.1s nothing, next 23.1s
bad      23.1s nothing, next 33.1s
resume  , next 33.1s
bad      33.1s #2 page 0: undecided failure 1, next 34.2s
`},
		{"a suspension drops the attempt that runs; the first is still the first", tcp, "hang suspend resume bad", `
hang    , no next
suspend  drop, next 13s
resume  , next 13s
bad      13s #2 page 0: up->down first failure 1, next 23.1s
`},
		{"what could not be tried changes nothing, and is no first attempt", tcp, "void bad void ok bad void bad", `
void     3s #1 page 0: undecided, next 13.1s
bad      13.1s #2 page 0: up->down first failure 1, next 23.2s
void     23.2s #3 page 0: undecided, next 33.3s
ok       33.3s #4 page 0: down->up, next 43.4s
bad      43.4s #5 page 0: undecided failure 1, next 44.5s
void     44.5s #6 page 0: undecided, next 54.6s
bad      54.6s #7 page 0: undecided failure 2, next 55.7s
`},
		{"observed changes", Config{Events: true, DelayLoop: sec}, "down up=3 up=3 up=4 down", `
down     1s: up->down first failure 1, no next
up=3     2s: down->up weight 1/3, no next
up=3     3s: stays up, no next
up=4     4s: stays up weight 1/4, no next
down     5s: up->down failure 1, no next
`},
		{"first observed up", Config{Events: true, Alpha: true}, "up", `
up       1s: down->up first, no next
`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(strings.TrimSpace(test.want), strings.TrimSpace(run(test.cfg, test.script))); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWeightAdjustment(t *testing.T) {
	for _, test := range []struct {
		w    Weight
		want int
	}{
		{Weight{}, 0},
		{Weight{Is, 30}, 20},
		{Weight{Is, 0}, -10},
		{Weight{Plus, -4}, -4},
	} {
		if got := test.w.Adjustment(10); got != test.want {
			t.Errorf("%v adds %d to 10, want %d", test.w, got, test.want)
		}
	}
}

// begin is New with a configuration of its own.
func begin(cfg Config) *Check { return New(&cfg) }

// TestIgnored checks events at the wrong time.
func TestIgnored(t *testing.T) {
	c := begin(Config{DelayLoop: 10 * sec, Retry: 1})
	c.Step(0, Event{Kind: Start})
	before := *c
	for _, ev := range []Event{{Kind: Due}, {Kind: Done, Number: 1, Result: Result{OK: true}}, {Kind: Resume}} {
		if out := c.Step(sec/2, ev); out.Attempt || out.Judged || *c != before {
			t.Errorf("%+v before its time did %+v", ev, out)
		}
	}
	first := c.Step(sec, Event{Kind: Due})
	if out := c.Step(sec, Event{Kind: Due}); out.Attempt {
		t.Error("a second attempt began beside the first")
	}
	c.Step(2*sec, Event{Kind: Suspend})
	if out := c.Step(3*sec, Event{Kind: Done, Number: first.Number}); out.Judged {
		t.Error("the result of a dropped attempt counted")
	}
}

func TestReconfigureKeepsTheState(t *testing.T) {
	cfg := Config{DelayLoop: 60 * sec, Retry: 3, DelayBeforeRetry: sec}
	c := begin(cfg)
	c.Step(0, Event{Kind: Start})
	now := sec
	for _, ok := range []bool{true, false} {
		c.Step(now, Event{Kind: Due})
		now = c.Step(now, Event{Kind: Done, Number: c.State().Number, Result: Result{OK: ok}}).Next
	}
	old := c.State()
	other := cfg
	other.DelayLoop, other.Alpha = 2*sec, true
	c.Step(now, Event{Kind: Reconfigure, Config: &other})
	if c.State() != old || old.Failures != 1 {
		t.Errorf("a reload made %+v of %+v", c.State(), old)
	}
	// A wait of a minute is shortened when the loop gets shorter.
	c.Step(now, Event{Kind: Due})
	c.Step(now, Event{Kind: Done, Number: c.State().Number, Result: Result{OK: true}})
	c.Step(now, Event{Kind: Reconfigure, Config: &cfg})
	if c.Next() != now+2*sec {
		t.Errorf("the next attempt moved to %v", c.Next()-now)
	}
	long, short := cfg, cfg
	short.DelayLoop = sec
	d := begin(long)
	d.Restore(c.State())
	d.Step(now, Event{Kind: Start, Spread: 1})
	d.Step(d.Next(), Event{Kind: Due})
	at := d.Next()
	if at != Never || !d.Running() {
		t.Fatal("no attempt")
	}
	end := d.Step(now+sec, Event{Kind: Done, Number: d.State().Number, Result: Result{OK: true}})
	if out := d.Step(now+2*sec, Event{Kind: Reconfigure, Config: &short}); out.Next >= end.Next || out.Next != now+3*sec {
		t.Errorf("the next attempt is at %v", out.Next-now)
	}
	// An alpha check that is already up does not start down.
	if !d.Up() {
		t.Error("restored down")
	}
	// Fewer urls: the running attempt is about a removed one.
	w := begin(web(3))
	w.Step(0, Event{Kind: Start})
	w.Step(sec, Event{Kind: Due})
	w.Step(sec, Event{Kind: Done, Number: 1, Result: Result{OK: true}})
	w.Step(w.Next(), Event{Kind: Due})
	less := web(1)
	if out := w.Step(20*sec, Event{Kind: Reconfigure, Config: &less}); !out.Drop || out.Next != 20*sec || w.State().Page != 0 {
		t.Errorf("%+v, %+v", out, w.State())
	}
}

func TestOverdue(t *testing.T) {
	cfg := Config{DelayLoop: 10 * sec, DelayBeforeRetry: sec, Warmup: 4 * sec, Longest: 5 * sec}
	c := begin(cfg)
	if _, _, late := c.Overdue(1000 * sec); late {
		t.Error("overdue before its start")
	}
	c.Step(0, Event{Kind: Start, Spread: 1}) // due at 5 s
	for _, test := range []struct {
		at                  time.Duration
		wantFresh, wantLate bool
	}{{5 * sec, false, false}, {40 * sec, false, false}, {41 * sec, true, true}, {50 * sec, false, true}} {
		shown := c.Silent(test.at) // reading the value does not count as a report
		if late := shown > 0; late != test.wantLate || late && shown != test.at-5*sec {
			t.Errorf("at %v: shown as silent for %v", test.at, shown)
		}
		silent, fresh, late := c.Overdue(test.at)
		if fresh != test.wantFresh || late != test.wantLate || late && silent != test.at-5*sec {
			t.Errorf("at %v: %v %v %v", test.at, silent, fresh, late)
		}
	}
	// An attempt that never ends is the same fault, and the end of an attempt clears it.
	c.Step(50*sec, Event{Kind: Due})
	if _, fresh, late := c.Overdue(51 * sec); fresh || !late {
		t.Error("the beginning of an attempt counts as its end")
	}
	c.Step(52*sec, Event{Kind: Done, Number: 1})
	if _, _, late := c.Overdue(52 * sec); late {
		t.Error("still overdue")
	}
	if _, fresh, _ := c.Overdue(100 * sec); !fresh {
		t.Error("the second silence is not fresh")
	}
	c.Step(100*sec, Event{Kind: Due})
	c.Step(100*sec, Event{Kind: Done, Number: 2, Result: Result{Void: true}})
	if _, _, late := c.Overdue(100 * sec); !late {
		t.Error("an attempt that could not be made counts")
	}
	c.Step(100*sec, Event{Kind: Suspend})
	if _, _, late := c.Overdue(1000 * sec); late {
		t.Error("a suspended check is overdue")
	}
	c.Step(1000*sec, Event{Kind: Resume})
	if _, _, late := c.Overdue(1001 * sec); late {
		t.Error("overdue as soon as resumed")
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	c := begin(web(2))
	now := c.Step(0, Event{Kind: Start}).Next
	ok := false
	if n := testing.AllocsPerRun(1000, func() {
		out := c.Step(now, Event{Kind: Due})
		now = c.Step(now, Event{Kind: Done, Number: out.Number, Result: Result{OK: ok, Reason: "x"}}).Next
		ok = !ok
	}); n != 0 {
		t.Errorf("%v allocations an attempt", n)
	}
}

// TestLifeProperties drives checks through random events, and checks: there is one
// attempt at a time; a timer is set exactly when no attempt is running; no state changes
// without a result; a check goes down after at most Retry+1 successive failures of one
// page, or at its first, and goes up only by a success; no check is lost.
func TestLifeProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := func(name string, least int) time.Duration {
			return time.Duration(rapid.IntRange(least, 20).Draw(t, name)) * sec
		}
		cfg := Config{
			DelayLoop: seconds("loop", 1), Retry: rapid.IntRange(0, 3).Draw(t, "retry"), DelayBeforeRetry: seconds("before", 0),
			Warmup: seconds("warmup", 0), Alpha: rapid.Bool().Draw(t, "alpha"), FromStart: rapid.Bool().Draw(t, "from start"),
			PatientStart: rapid.Bool().Draw(t, "patient"), Pages: rapid.IntRange(0, 3).Draw(t, "pages"),
			Remember: rapid.Bool().Draw(t, "remember"), FastRecovery: rapid.Bool().Draw(t, "fast"), Longest: 5 * sec,
		}
		c := begin(cfg)
		now := time.Duration(0)
		c.Step(now, Event{Kind: Start, Spread: rapid.Float64Range(0, 1).Draw(t, "spread")})
		if c.Next() < sec || c.Next() > sec+cfg.Warmup {
			t.Fatalf("first attempt at %v", c.Next())
		}
		running, row := uint64(0), 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			up := c.Up()
			var out Actions
			ev := Event{Kind: rapid.SampledFrom([]EventKind{Due, Due, Due, Done, Done, Done, Suspend, Resume, Reconfigure}).Draw(t, "event")}
			switch ev.Kind {
			case Due:
				if c.Next() != Never {
					now = max(now, c.Next())
				}
			case Done:
				now += time.Duration(rapid.IntRange(0, 5000).Draw(t, "ms")) * time.Millisecond
				ev.Number = running
				ev.Result.OK = rapid.Bool().Draw(t, "ok")
				ev.Result.Void = rapid.IntRange(0, 9).Draw(t, "void") == 0
			case Reconfigure:
				cfg.DelayLoop, cfg.Retry = seconds("loop", 1), rapid.IntRange(0, 3).Draw(t, "retry")
				other := cfg
				ev.Config = &other
			}
			was := c.Running()
			out = c.Step(now, ev)
			if out.Next != c.Next() {
				t.Fatal("Next differs")
			}
			if out.Attempt {
				if was || c.Suspended() {
					t.Fatal("an attempt beside another, or while suspended")
				}
				running = out.Number
			}
			if out.Drop || out.Judged {
				if !was {
					t.Fatal("an end without an attempt")
				}
			}
			if c.Running() != (c.Next() == Never) {
				t.Fatalf("running %v, next %v", c.Running(), c.Next())
			}
			if c.Next() != Never && c.Next() > now+sec+cfg.Warmup+20*sec {
				t.Fatalf("lost until %v", c.Next()-now)
			}
			if !out.Judged || out.Verdict.Void {
				if c.Up() != up {
					t.Fatal("changed without a result")
				}
				continue
			}
			if out.Verdict.OK {
				row = 0
			} else {
				row++
			}
			switch {
			case c.Up() && !up && !out.Verdict.OK, !c.Up() && up && out.Verdict.OK:
				t.Fatal("the result did the contrary")
			case c.Up() && row > 3:
				t.Fatalf("up after %d failures in a row", row)
			case c.Up() != up && !out.Verdict.Changed():
				t.Fatal("a change that is none")
			}
			if silent, _, late := c.Overdue(c.Next()); late {
				t.Fatalf("overdue after %v, before its time", silent)
			}
		}
	})
}

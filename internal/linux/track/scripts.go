package track

import (
	"container/heap"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/policy"
)

// scripts runs scripts when they are due. One goroutine owns all of it but
// ended, where the runner's thread puts its results.
type scripts struct {
	mail
	launch func(script.Request) (terminate func())
	report func([]Update)

	ask chan func()

	policy conf.ScriptPolicy
	all    map[string]*check
	due    checkHeap // the ones that are not disabled

	mu    sync.Mutex
	ended []ended
	wake  chan struct{} // something is in ended
}

// check is one vrrp_script.
type check struct {
	conf    *conf.Script
	program *script.Program // nil: disabled, or not looked up yet
	state   ScriptState
	status  policy.Status
	exit    int // last exit status; before the first, that of a success

	run    *run      // nil: idle
	ended  time.Time // when the last run ended; zero: none has
	next   time.Time
	spread time.Duration // from the first start to the second; 0: the first has been
	order  int           // in the configuration
}

// run is one run of a script.
type run struct {
	check     *check // nil: the result is not wanted
	due       time.Time
	terminate func()
	reported  bool // it has been reported that it is still running
}

type ended struct {
	run    *run
	result script.Result
}

func newScripts(launch func(script.Request) (terminate func()), report func([]Update)) *scripts {
	return &scripts{
		mail:   make(mail, 1),
		launch: launch,
		report: report,
		all:    make(map[string]*check),
		ask:    make(chan func()),
		wake:   make(chan struct{}, 1),
	}
}

func (s *scripts) run(stop <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			for _, k := range s.all {
				k.abandon()
			}
			return
		case r := <-s.mail:
			r.answer(s.configure(r.conf))
		case f := <-s.ask:
			f()
		case <-s.wake:
			s.take()
		case <-timer.C:
		}
		s.start()
		if len(s.due) > 0 {
			timer.Reset(time.Until(s.due[0].next))
		}
	}
}

// configure makes the scripts those of c. One whose command is the same keeps
// its result, its place in time and its run. One whose command is another keeps
// the status until its first result, which then decides alone: a reload is no
// reason to leave off serving. It returns the status of the new ones.
func (s *scripts) configure(c *conf.Config) []Update {
	kept := s.policy == c.Global.Scripts
	s.policy = c.Global.Scripts
	old := s.all
	s.all = make(map[string]*check, len(c.Scripts))
	s.due = s.due[:0]
	var (
		now     = time.Now()
		fresh   []*check
		updates []Update
	)
	for i, sc := range c.Scripts {
		k := old[sc.Name]
		if kept && k != nil && !k.status.Disabled && k.conf.Command.Equal(&sc.Command) {
			delete(old, sc.Name)
			k.next = k.next.Add(sc.Interval - k.conf.Interval)
			k.state.Tune(sc.Rise, sc.Fall)
			k.conf = sc
		} else {
			was := k
			k = newCheck(sc, s.policy)
			k.next = now
			if was != nil && !k.status.Disabled && was.status.Known {
				k.inherit(was)
			}
			updates = append(updates, Update{conf.TrackedScript, sc.Name, k.status})
			if !k.status.Disabled {
				fresh = append(fresh, k)
			}
		}
		k.order = i
		s.all[sc.Name] = k
		if !k.status.Disabled {
			s.due = append(s.due, k)
		}
	}
	for _, k := range old {
		k.abandon()
	}
	// All begin at once, as instances wait for the results. From then on they
	// shall not start together, though their intervals are the same: each is
	// put off by another part of its interval.
	for i, k := range fresh {
		k.spread = k.conf.Interval * time.Duration(i+1) / time.Duration(len(fresh))
	}
	heap.Init(&s.due)
	return updates
}

// newCheck finds the program of a script. Where there is none that can be run,
// the script is disabled. A look-up that failed is repeated when the script is due.
func newCheck(sc *conf.Script, allowed conf.ScriptPolicy) *check {
	k := &check{conf: sc, state: NewScriptState(sc.Rise, sc.Fall, sc.InitFail)}
	k.status = policy.Status{
		Known: k.state.Known(),
		Cause: cause(conf.TrackedScript, sc.Name, "no result yet"),
	}
	k.resolve(allowed)
	return k
}

// resolve finds the program of k, or disables k where there is none that can be
// run. The error is that of a look-up that decided neither.
func (k *check) resolve(allowed conf.ScriptPolicy) error {
	name := k.conf.Name
	program, err := script.Resolve(k.conf.Command, allowed)
	if script.Passes(err) {
		return err
	}
	if err != nil {
		why := "since not found/accessible"
		if p, ok := errors.AsType[*script.Problem](err); ok && p.Code == script.Insecure {
			why = "due to insecure"
		}
		slog.Warn(fmt.Sprintf("Disabling track script %s %s: %v", name, why, err), "script", name)
		k.status = policy.Status{Disabled: true, Cause: cause(conf.TrackedScript, name, "disabled: "+err.Error())}
		return nil
	}
	k.program = program
	for _, note := range program.Notes {
		slog.Warn(note, "script", name)
	}
	return nil
}

// inherit takes the status of what was the script of this name before.
func (k *check) inherit(was *check) {
	k.status.Known, k.status.Up = true, was.status.Up
	k.status.Cause.Detail = "no result yet of the new command"
}

// abandon ends the run of a script whose result is not wanted any more.
func (k *check) abandon() {
	if k.run != nil {
		k.run.check = nil
		k.run.terminate()
		k.run = nil
	}
}

// start starts all scripts that are due.
func (s *scripts) start() {
	var updates []Update
	for now := time.Now(); len(s.due) > 0 && !s.due[0].next.After(now); {
		k := s.due[0]
		due := k.next
		if k.spread != 0 {
			k.next, k.spread = k.next.Add(k.spread), 0
		} else {
			k.next = k.next.Add(k.conf.Interval)
		}
		if late := now.Sub(k.next); late >= 0 { // the process was stopped for a while
			k.next = k.next.Add(k.conf.Interval * (1 + late/k.conf.Interval))
		}
		heap.Fix(&s.due, 0)
		if k.run != nil {
			k.warnRunning(due)
			continue
		}
		if k.program == nil {
			was := k.status
			if err := k.resolve(s.policy); err != nil {
				k.result(&script.Result{Err: err}) // it counts as a failure
			}
			if k.status != was {
				updates = append(updates, Update{conf.TrackedScript, k.conf.Name, k.status})
			}
			if k.status.Disabled {
				s.due = slices.DeleteFunc(s.due, func(d *check) bool { return d == k })
				heap.Init(&s.due)
			}
			if k.program == nil {
				continue
			}
		}
		s.launchNow(k, due)
	}
	if len(updates) > 0 {
		s.report(updates)
	}
}

// launchNow hands a script to the runner.
func (s *scripts) launchNow(k *check, due time.Time) {
	r := &run{check: k, due: due}
	k.run = r
	r.terminate = s.launch(script.Request{
		Program: k.program,
		Timeout: k.conf.Timeout,
		Done: func(result script.Result) {
			s.mu.Lock()
			s.ended = append(s.ended, ended{r, result})
			s.mu.Unlock()
			select {
			case s.wake <- struct{}{}:
			default:
			}
		},
	})
}

// warnRunning logs, once in a run, that a start is left out. The second start
// of a script may come before its interval is over: that is no reason.
func (k *check) warnRunning(due time.Time) {
	if k.run.reported || due.Sub(k.run.due) < k.conf.Interval {
		return
	}
	k.run.reported = true
	doing := "already running"
	if k.conf.Timeout < k.conf.Interval {
		doing = "being timed out"
	}
	slog.Info(fmt.Sprintf("Track script %s is %s, expect idle - skipping run", k.conf.Name, doing), "script", k.conf.Name)
}

// take takes the results of runs that have ended.
func (s *scripts) take() {
	s.mu.Lock()
	all := s.ended
	s.ended = nil
	s.mu.Unlock()
	var updates []Update
	for i := range all {
		k := all[i].run.check
		if k == nil {
			continue
		}
		k.run, k.ended = nil, time.Now()
		if k.result(&all[i].result) {
			updates = append(updates, Update{conf.TrackedScript, k.conf.Name, k.status})
		}
	}
	if len(updates) > 0 {
		s.report(updates)
	}
}

// result takes the result of a run and reports whether the status is another.
func (k *check) result(r *script.Result) bool {
	name := k.conf.Name
	if r.Err == nil && r.Signal == 0 && !r.TimedOut && r.Exit != k.exit {
		k.exit = r.Exit
		slog.Info(fmt.Sprintf("Script `%s` now returning %d", name, r.Exit), "script", name, "status", r.Exit)
	}
	if k.state.Step(r.OK()) {
		slog.Info("VRRP_Script("+name+") "+verdict(r), "script", name, "up", k.state.Up(), "output", r.Output)
	}
	detail := r.String()
	if !r.OK() && r.Output != "" {
		detail += ": " + r.Output
	}
	was := k.status
	k.status = policy.Status{Known: true, Up: k.state.Up(), Cause: cause(conf.TrackedScript, name, detail)}
	return k.status != was
}

// verdict is the result in the words of the log.
func verdict(r *script.Result) string {
	switch {
	case r.OK():
		return "succeeded"
	case r.TimedOut:
		return "timed_out"
	case r.Err == nil && r.Signal != 0:
		return fmt.Sprintf("failed (due to signal %d)", int(r.Signal))
	}
	return "failed (" + r.String() + ")"
}

// checkHeap is a heap of scripts by their next start; at the same time they
// start in the order of the configuration.
type checkHeap []*check

func (h checkHeap) Len() int { return len(h) }
func (h checkHeap) Less(i, j int) bool {
	if c := h[i].next.Compare(h[j].next); c != 0 {
		return c < 0
	}
	return h[i].order < h[j].order
}
func (h checkHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *checkHeap) Push(x any)   { *h = append(*h, x.(*check)) }
func (h *checkHeap) Pop() any     { panic("checkHeap only shrinks with a new configuration") }

package track

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/tool/lab"
)

// fakeLauncher is a launcher that runs no programs: the test decides how each run ends.
type fakeLauncher struct {
	start time.Time
	took  time.Duration // duration of a run; 0: it does not end by itself

	mu     sync.Mutex
	lines  []string      // "1.5s NAME" for each start, "1.5s end NAME" for a termination
	result script.Result // of the runs that end now
	live   map[string]int
	most   int // the maximum of concurrent runs of one script
}

func (d *fakeLauncher) launch(r script.Request) func() {
	name := r.Program.Args[1]
	d.note(name)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.live[name]++
	d.most = max(d.most, d.live[name])
	if d.took > 0 {
		time.AfterFunc(d.took, func() {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.live[name]--
			r.Done(d.result)
		})
	}
	return func() {
		d.note("end " + name)
		if d.took == 0 {
			r.Done(script.Result{Signal: syscall.SIGTERM})
		}
	}
}

func (d *fakeLauncher) note(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf("%v %s", time.Since(d.start), what))
}

// events returns the lines since the last call.
func (d *fakeLauncher) events() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.lines
	d.lines = nil
	return lines
}

// schedulerTest is a scheduler with such a launcher.
type schedulerTest struct {
	*fakeLauncher
	scripts *scripts
	updates []Update // guarded by mu
	stop    chan struct{}
}

// reported returns the updates since the last call.
func (b *schedulerTest) reported() []Update {
	b.mu.Lock()
	defer b.mu.Unlock()
	updates := b.updates
	b.updates = nil
	return updates
}

func newSchedulerTest() *schedulerTest {
	b := &schedulerTest{fakeLauncher: &fakeLauncher{start: time.Now(), live: make(map[string]int), took: time.Millisecond}, stop: make(chan struct{})}
	b.scripts = newScripts(b.launch, func(u []Update) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.updates = append(b.updates, u...)
	})
	go b.scripts.run(b.stop)
	return b
}

func (b *schedulerTest) configure(scripts ...*conf.Script) []Update {
	answers := make(chan []Update, 1)
	b.scripts.mail <- request{&conf.Config{Scripts: scripts}, func(u []Update) { answers <- u }}
	synctest.Wait()
	return <-answers
}

func (b *schedulerTest) close() {
	close(b.stop)
	synctest.Wait()
}

// every returns a script that is run at an interval.
func every(interval time.Duration, name string) *conf.Script {
	return &conf.Script{Name: name, Command: conf.Command{Args: []string{"/bin/sh", name}},
		Interval: interval, Timeout: interval, Rise: 1, Fall: 1}
}

func equalLines(t *testing.T, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestScriptsAreSpread(t *testing.T) {
	logtest.Capture(t)
	synctest.Test(t, func(t *testing.T) {
		b := newSchedulerTest()
		defer b.close()
		b.configure(every(4*time.Second, "a"), every(4*time.Second, "b"), every(2*time.Second, "c"), every(4*time.Second, "d"))
		time.Sleep(8500 * time.Millisecond)
		synctest.Wait()
		equalLines(t, b.events(), []string{
			"0s a", "0s b", "0s c", "0s d",
			"1s a", "1.5s c", "2s b", "3.5s c", "4s d",
			"5s a", "5.5s c", "6s b", "7.5s c", "8s d",
		})
	})
}

func TestOneScriptKeepsItsInterval(t *testing.T) {
	logtest.Capture(t)
	synctest.Test(t, func(t *testing.T) {
		b := newSchedulerTest()
		defer b.close()
		b.took = 300 * time.Millisecond
		b.configure(every(time.Second, "a"))
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		equalLines(t, b.events(), []string{"0s a", "1s a", "2s a"})
	})
}

func TestHundredsOfScriptsNeverStartTogether(t *testing.T) {
	logtest.Capture(t)
	synctest.Test(t, func(t *testing.T) {
		b := newSchedulerTest()
		defer b.close()
		var all []*conf.Script
		for i := range 500 {
			all = append(all, every(time.Second, fmt.Sprintf("s%d", i)))
		}
		b.configure(all...)
		if l := b.events(); len(l) != 500 || l[0] != "0s s0" || l[499] != "0s s499" {
			t.Fatalf("%d scripts began at once: %q", len(l), l)
		}
		time.Sleep(3 * time.Second)
		synctest.Wait()
		at := map[string]int{}
		lines := b.events()
		for _, l := range lines {
			when, _, _ := strings.Cut(l, " ")
			if at[when]++; at[when] > 1 {
				t.Fatalf("two scripts start at %s", when)
			}
		}
		if len(lines) != 1500 {
			t.Errorf("%d runs in 3 s", len(lines))
		}
	})
}

func TestNeverTwoCopies(t *testing.T) {
	log := logtest.Capture(t)
	synctest.Test(t, func(t *testing.T) {
		b := newSchedulerTest()
		defer b.close()
		b.took = 4200 * time.Millisecond
		slow, stubborn := every(time.Second, "slow"), every(3*time.Second, "stubborn")
		slow.Timeout, stubborn.Timeout = 10*time.Second, time.Second
		b.configure(slow, stubborn)
		time.Sleep(6 * time.Second)
		synctest.Wait()
		if b.most != 1 {
			t.Errorf("%d copies of a script at once", b.most)
		}
		equalLines(t, b.events(), []string{"0s slow", "0s stubborn", "4.5s slow", "6s stubborn"})
		equalLines(t, slices.Sorted(slices.Values(log.Take())), []string{
			"Track script slow is already running, expect idle - skipping run", // in the first run, once
			"Track script slow is already running, expect idle - skipping run", // in the second
			"Track script stubborn is being timed out, expect idle - skipping run",
			"VRRP_Script(slow) succeeded",
			"VRRP_Script(stubborn) succeeded",
		})
	})
}

func TestLogOfResults(t *testing.T) {
	log := logtest.Capture(t)
	synctest.Test(t, func(t *testing.T) {
		b := newSchedulerTest()
		defer b.close()
		k := every(time.Second, "x")
		k.Fall, k.Rise = 2, 2
		first := b.configure(k)
		if len(first) != 1 || first[0].Status.Known || first[0].Status.Cause.Detail != "no result yet" {
			t.Errorf("before the first result: %+v", first)
		}
		var got Update
		for _, c := range []struct {
			result script.Result
			detail string
			up     bool
			lines  []string
		}{
			{script.Result{}, "exited with status 0", true, []string{"VRRP_Script(x) succeeded"}},
			{script.Result{Exit: 1, Output: "refused"}, "exited with status 1: refused", true, []string{"Script `x` now returning 1"}},
			{script.Result{Exit: 2}, "exited with status 2", false, []string{"Script `x` now returning 2", "VRRP_Script(x) failed (exited with status 2)"}},
			{script.Result{Signal: syscall.SIGKILL}, "killed by signal 9 (killed)", false, nil},
			{script.Result{}, "exited with status 0", false, []string{"Script `x` now returning 0"}},
			{script.Result{}, "exited with status 0", true, []string{"VRRP_Script(x) succeeded"}},
			{script.Result{TimedOut: true}, "timed out", true, nil},
			{script.Result{TimedOut: true}, "timed out", false, []string{"VRRP_Script(x) timed_out"}},
			{script.Result{}, "exited with status 0", false, nil},
			{script.Result{}, "exited with status 0", true, []string{"VRRP_Script(x) succeeded"}},
			{script.Result{Signal: syscall.SIGHUP}, "killed by signal 1 (hangup)", true, nil},
			{script.Result{Signal: syscall.SIGHUP}, "killed by signal 1 (hangup)", false, []string{"VRRP_Script(x) failed (due to signal 1)"}},
			{script.Result{}, "exited with status 0", false, nil},
			{script.Result{}, "exited with status 0", true, []string{"VRRP_Script(x) succeeded"}},
			{script.Result{Err: os.ErrPermission}, "could not be started: permission denied", true, nil},
			{script.Result{Err: os.ErrPermission}, "could not be started: permission denied", false, []string{"VRRP_Script(x) failed (could not be started: permission denied)"}},
		} {
			b.mu.Lock()
			b.result = c.result
			b.mu.Unlock()
			// The first run has begun already; its result is the first of the table.
			time.Sleep(time.Second)
			synctest.Wait()
			updates := b.reported()
			if len(updates) > 0 {
				got = updates[len(updates)-1]
			}
			if got.Name != "x" || got.Kind != conf.TrackedScript {
				t.Errorf("reported %+v", got)
			}
			if got := got.Status; got.Cause.Detail != c.detail || got.Up != c.up || !got.Known {
				t.Errorf("after %+v: %+v, want up %v, %s", c.result, got, c.up, c.detail)
			}
			equalLines(t, log.Take(), c.lines)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if again := b.reported(); len(again) > 0 {
			t.Errorf("the same result was reported again: %+v", again)
		}
	})
}

func TestConfigureKeepsWhatIsTheSame(t *testing.T) {
	logtest.Capture(t)
	synctest.Test(t, func(t *testing.T) {
		b := newSchedulerTest()
		b.configure(every(3*time.Second, "a"))
		time.Sleep(500 * time.Millisecond)
		// The weight differs; b is new.
		a := every(3*time.Second, "a")
		a.Weight = 10
		if u := b.configure(a, every(time.Second, "b")); len(u) != 1 || u[0].Name != "b" {
			t.Errorf("reported %+v, want b alone", u)
		}
		// A shorter interval counts from the last start.
		time.Sleep(900 * time.Millisecond)
		b.configure(every(2*time.Second, "a"))
		time.Sleep(2700 * time.Millisecond)
		synctest.Wait()
		equalLines(t, b.events(), []string{"0s a", "500ms b", "2s a", "4s a"})

		// Another command keeps the status until its first result, which decides even if
		// one failure were not enough to take the script down.
		changed := every(2*time.Second, "a")
		changed.Command.Args = []string{"/bin/sh", "third"}
		changed.Fall = 3
		b.reported()
		if u := b.configure(changed); len(u) != 1 || !u[0].Status.Known || !u[0].Status.Up ||
			u[0].Status.Cause.Detail != "no result yet of the new command" {
			t.Errorf("reported %+v, want that a is as it was", u)
		}
		b.mu.Lock()
		b.result = script.Result{Exit: 1}
		b.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		synctest.Wait()
		if u := b.reported(); len(u) != 1 || u[0].Status.Up {
			t.Errorf("reported %+v, want that a failed", u)
		}
		equalLines(t, b.events(), []string{"4.1s third"})
		b.took = 0
		other := every(2*time.Second, "a")
		other.Command.Args = []string{"/bin/sh", "other"}
		b.configure(other)
		// Removed while it runs.
		b.reported()
		b.configure()
		time.Sleep(time.Minute)
		synctest.Wait()
		equalLines(t, b.events(), []string{"4.11s other", "4.11s end other"})
		if u := b.reported(); len(u) != 0 {
			t.Errorf("a script that is gone was reported: %+v", u)
		}

		// Closing ends the running scripts.
		b.configure(every(time.Second, "z"))
		b.close()
		equalLines(t, b.events(), []string{"1m4.11s z", "1m4.11s end z"})
	})
}

func TestDisabledScripts(t *testing.T) {
	lab.Need(t, lab.Root) // scripts of other users cannot be insecure
	log := logtest.Capture(t)
	dir := t.TempDir()
	insecure := filepath.Join(dir, "insecure")
	if err := os.WriteFile(insecure, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(insecure, 0o777); err != nil {
		t.Fatal(err)
	}
	s := newScripts(nil, nil)
	command := func(path, user string) *conf.Script {
		return &conf.Script{Name: filepath.Base(path), Command: conf.Command{Args: []string{path}, User: user}, Interval: time.Second, Rise: 1, Fall: 1, InitFail: true}
	}
	c := &conf.Config{Scripts: []*conf.Script{command("/nonexistent/missing", ""), command(insecure, "root")}}
	c.Global.Scripts.Secure = true
	updates := s.configure(c)
	if len(updates) != 2 || len(s.due) != 0 {
		t.Fatalf("%d updates, %d scripts to run", len(updates), len(s.due))
	}
	for _, u := range updates {
		if !u.Status.Disabled || u.Status.Known || !strings.HasPrefix(u.Status.Cause.Detail, "disabled: ") {
			t.Errorf("%+v", u)
		}
	}
	lines := log.Take()
	for i, prefix := range []string{
		"Disabling track script missing since not found/accessible: ",
		"Disabling track script insecure due to insecure: ",
	} {
		if i >= len(lines) || !strings.HasPrefix(lines[i], prefix) {
			t.Errorf("logged %q, want line %d to begin with %q", lines, i+1, prefix)
		}
	}
	// Corrected, it is found by the next configuration.
	c.Global.Scripts.Secure = false
	if s.configure(c); len(s.due) != 1 {
		t.Errorf("%d scripts to run after one was corrected", len(s.due))
	}
}

func TestRealScript(t *testing.T) {
	logtest.Capture(t)
	runner, err := script.NewRunner()
	if err != nil {
		t.Fatal(err)
	}
	defer runner.Close(time.Second)
	updates := make(chan []Update, 100)
	set := Start(Options{Runner: runner, Report: func(u []Update) { updates <- u }})
	set.wait = time.Minute // the machine may be busy
	flag := filepath.Join(t.TempDir(), "flag")
	sc := &conf.Script{Name: "chk", Interval: 20 * time.Millisecond, Timeout: 10 * time.Second, Rise: 1, Fall: 1,
		Command: conf.Command{Args: []string{"/bin/sh", "-c", `test -e "$0" || { echo no flag; exit 3; }`, flag}}}
	var first []Update
	set.Configure(&conf.Config{Scripts: []*conf.Script{sc}}, func(u []Update) { first = u })
	if len(first) != 1 || first[0].Status.Known {
		t.Errorf("first %+v", first)
	}
	await := func(want policy.Status) {
		t.Helper()
		for {
			select {
			case list := <-updates:
				for _, u := range list {
					if u.Status == want {
						return
					}
				}
			case <-time.After(time.Minute):
				t.Fatalf("no update %+v", want)
			}
		}
	}
	began := time.Now()
	await(policy.Status{Known: true, Cause: cause(conf.TrackedScript, "chk", "exited with status 3: no flag")})
	// Further runs with the same result are no updates, but their time is recorded.
	ended := set.Scripts()["chk"].Ended
	for end := began.Add(time.Minute); !set.Scripts()["chk"].Ended.After(ended); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no further run has ended")
		}
	}
	if err := os.WriteFile(flag, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	await(policy.Status{Known: true, Up: true, Cause: cause(conf.TrackedScript, "chk", "exited with status 0")})
	set.Close()
}

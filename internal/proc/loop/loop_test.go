package loop

import (
	"cmp"
	"encoding/binary"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// kinds runs a test with both kinds of loops.
func kinds(t *testing.T, test func(t *testing.T, l *Loop)) {
	t.Run("kernel", func(t *testing.T) { with(t, New, test) })
	t.Run("virtual", func(t *testing.T) { virtual(t, test) })
}

// virtual runs a test with a loop in virtual time.
func virtual(t *testing.T, test func(t *testing.T, l *Loop)) {
	synctest.Test(t, func(t *testing.T) { with(t, NewVirtual, test) })
}

func with(t *testing.T, create func() (*Loop, error), test func(t *testing.T, l *Loop)) {
	l, err := create()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	test(t, l)
}

// TestNow checks that the clock is that of proc_uptime(5).
func TestNow(t *testing.T) {
	uptime := func() time.Duration { // proc_uptime(5): seconds since boot, two digits
		b, err := os.ReadFile("/proc/uptime")
		if err != nil {
			t.Fatal(err)
		}
		s, err := strconv.ParseFloat(strings.Fields(string(b))[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		return time.Duration(s * float64(time.Second))
	}
	before := uptime()
	now, later := Now(), Now()
	after := uptime() + 10*time.Millisecond
	if now < before || later < now || later > after {
		t.Errorf("%v, then %v; want between %v and %v", now, later, before, after)
	}
	if n := testing.AllocsPerRun(100, func() { Now() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func turn(t testing.TB, l *Loop) {
	t.Helper()
	if err := l.Wait(); err != nil {
		t.Fatal(err)
	}
	l.Expire()
}

// TestTimersExpireInOrder checks, for any sequence of setting, moving and stopping, that
// running timers expire by deadline, and timers with one deadline in their order.
func TestTimersExpireInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, err := New()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var got, want []int
		timers := make([]*Timer, 20)
		for i := range timers {
			timers[i] = &Timer{Order: i, Expire: func(time.Duration) { got = append(got, i) }}
		}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			x := rapid.SampledFrom(timers).Draw(t, "timer")
			deadline := time.Duration(rapid.IntRange(1, 6).Draw(t, "deadline"))
			if rapid.Bool().Draw(t, "running") {
				l.Set(x, deadline)
				if !x.Running() || x.Deadline() != deadline {
					t.Fatalf("running %t until %v, want %v", x.Running(), x.Deadline(), deadline)
				}
			} else {
				l.Stop(x)
				if x.Running() || x.Deadline() != Never {
					t.Fatalf("running %t until %v after Stop", x.Running(), x.Deadline())
				}
			}
		}
		sorted := slices.Clone(timers)
		slices.SortStableFunc(sorted, func(a, b *Timer) int { return cmp.Compare(a.Deadline(), b.Deadline()) })
		for _, x := range sorted {
			if x.Running() {
				want = append(want, x.Order)
			}
		}
		l.Expire()
		if !slices.Equal(got, want) {
			t.Errorf("timers expire as %v, want %v", got, want)
		}
		if l.Next() != Never {
			t.Errorf("a timer runs until %v", l.Next())
		}
	})
}

// TestOrderOfATurn checks that a turn reads what has arrived, then runs what was posted,
// then lets timers expire.
func TestOrderOfATurn(t *testing.T) {
	kinds(t, func(t *testing.T, l *Loop) {
		fd, err := unix.Eventfd(1, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		var got []string
		if err := l.Watch(fd, func() {
			unix.Read(fd, make([]byte, 8))
			got = append(got, "descriptor")
		}); err != nil {
			t.Fatal(err)
		}
		timer := Timer{Expire: func(time.Duration) { got = append(got, "timer") }}
		l.Set(&timer, l.Now())
		l.Post(func() { got = append(got, "posted") })
		turn(t, l)
		if want := []string{"descriptor", "posted", "timer"}; !slices.Equal(got, want) {
			t.Errorf("%v, want %v", got, want)
		}

		// A descriptor that is forgotten has no callback.
		l.Forget(fd)
		unix.Write(fd, binary.NativeEndian.AppendUint64(nil, 1))
		l.Post(func() {})
		turn(t, l)
		if len(got) != 3 {
			t.Errorf("%v after Forget", got)
		}
	})
}

// TestPasses checks that a timer that is set to the past while timers expire does not
// delay the others, and that timers expire in batches, between which the loop reads.
func TestPasses(t *testing.T) {
	kinds(t, func(t *testing.T, l *Loop) {
		const n = 2*Batch + 1
		past := l.Now() - time.Second
		expired, read := 0, 0
		greedy := Timer{Order: -1}
		greedy.Expire = func(time.Duration) {
			if expired < n {
				l.Set(&greedy, past)
			}
		}
		l.Set(&greedy, past)
		others := make([]Timer, n)
		for i := range others {
			others[i].Expire = func(time.Duration) { expired++ }
			l.Set(&others[i], past)
		}
		for turns := 1; expired < n; turns++ {
			before := expired
			l.Post(func() { read++ })
			turn(t, l)
			if got := expired - before; got > Batch {
				t.Errorf("%d timers in one turn", got)
			}
			if turns > 10 || read != turns {
				t.Fatalf("%d of %d timers and %d posts in %d turns", expired, n, read, turns)
			}
		}
	})
}

// TestPost checks that posts of one goroutine keep their order, and that a post made by a
// post runs later.
func TestPost(t *testing.T) {
	kinds(t, func(t *testing.T, l *Loop) {
		const n = 1000
		var from [3][]int
		var all sync.WaitGroup
		for g := range from {
			all.Go(func() {
				for i := range n {
					l.Post(func() { from[g] = append(from[g], i) })
				}
			})
		}
		for len(from[0])+len(from[1])+len(from[2]) < len(from)*n {
			turn(t, l)
		}
		all.Wait()
		for g := range from {
			if !slices.IsSorted(from[g]) {
				t.Errorf("goroutine %d: out of order", g)
			}
		}
		again := false
		l.Post(func() { l.Post(func() { again = true }) })
		turn(t, l)
		if again {
			t.Error("a post of a post ran in the same turn")
		}
		turn(t, l)
		if !again {
			t.Error("a post of a post did not run")
		}
	})
}

// TestLead checks that a timer with a lead calls its owner before its deadline, once for
// each deadline, and does not expire before the deadline.
func TestLead(t *testing.T) {
	kinds(t, func(t *testing.T, l *Loop) {
		prepared, expired := 0, false
		var due time.Duration
		set := func(timer *Timer, at time.Duration) {
			due = at
			l.Set(timer, at)
		}
		timer := Timer{Lead: time.Hour, Ahead: func() { prepared++ }}
		timer.Expire = func(at time.Duration) {
			expired = true
			if at < due {
				t.Errorf("expired at %v, before %v", at, due)
			}
		}
		set(&timer, l.Now()+time.Minute)
		awake := func() {
			if _, virtual := l.rest.(*virtualRest); virtual {
				l.Post(func() {}) // virtual time advances only in a sleep
			}
			turn(t, l)
		}
		for range 3 {
			awake() // does not wait: the lead has begun
		}
		set(&timer, l.Now()+2*time.Minute)
		awake()
		if prepared != 2 || expired {
			t.Errorf("prepared %d times for two deadlines, expired %t", prepared, expired)
		}
		set(&timer, l.Now())
		turn(t, l)
		if prepared != 2 || !expired {
			t.Errorf("prepared %d times, expired %t, when it is due", prepared, expired)
		}
	})
}

// TestVirtualTime checks that timers that are set from their own deadlines do not drift,
// whatever happens between them.
func TestVirtualTime(t *testing.T) {
	virtual(t, func(t *testing.T, l *Loop) {
		start := l.Now()
		var at []time.Duration
		timer := Timer{}
		timer.Expire = func(now time.Duration) {
			at = append(at, now-start)
			l.Set(&timer, now+time.Second)
		}
		l.Set(&timer, start+time.Second)
		go func() {
			time.Sleep(2500 * time.Millisecond)
			l.Post(func() { at = append(at, l.Now()-start) })
		}()
		for len(at) < 4 {
			turn(t, l)
		}
		if want := []time.Duration{1e9, 2e9, 2.5e9, 3e9}; !slices.Equal(at, want) {
			t.Errorf("%v, want %v", at, want)
		}
		if m := l.Measure(); m != (Measures{Turns: 4, Lateness: Lateness{3}}) {
			t.Errorf("%+v of a loop in virtual time", m)
		}
	})
}

// TestSlack checks that a loop with slack wakes for a timer at its deadline if none has expired
// shortly before, that it then serves all that have become due during its rest, and that of more
// timers than one turn serves none waits.
func TestSlack(t *testing.T) {
	virtual(t, func(t *testing.T, l *Loop) {
		l.Slack = 5 * time.Millisecond
		start, left := l.Now(), 0
		expired := map[time.Duration]int{}
		set := func(ms ...time.Duration) {
			for _, d := range ms {
				left++
				l.Set(&Timer{Expire: func(now time.Duration) {
					expired[(now-start)/time.Millisecond]++
					left--
				}}, start+d*time.Millisecond)
			}
		}
		set(10, 11, 12, 14, 15, 16, 18, 30, 31, 32, 40)
		for range 2*Batch + 1 {
			set(60)
		}
		set(61)
		time.AfterFunc(32*time.Millisecond, func() { l.Post(func() {}) })
		for left > 0 {
			turn(t, l)
		}
		want := map[time.Duration]int{
			10: 1, 15: 4, // 11 to 15
			20: 2, 30: 1,
			32: 2, // the loop was awake
			40: 1, 60: 2*Batch + 1, 65: 1,
		}
		if !maps.Equal(expired, want) {
			t.Errorf("expired at %v, want %v", expired, want)
		}
		if m := l.Measure(); m.Late != 0 {
			t.Errorf("the slack counts as lateness: %+v", m)
		}
	})
}

// TestMeasures checks that the time that the loop spends in callbacks is measured, and
// the time of a start is not.
func TestMeasures(t *testing.T) {
	virtual(t, func(t *testing.T, l *Loop) {
		early, timer := Timer{Expire: func(time.Duration) {}}, Timer{Expire: func(time.Duration) {}}
		l.Set(&early, l.Now())
		time.Sleep(time.Minute) // a start
		l.Set(&timer, l.Now()+time.Second)
		if err := l.Wait(); err != nil {
			t.Fatal(err)
		}
		if late := l.Expire(); late != time.Minute {
			t.Errorf("late by %v, want 1m", late)
		}
		if m := l.Measure(); m != (Measures{Turns: 1, Lateness: Lateness{1}}) {
			t.Errorf("%+v after a start", m)
		}
		l.Post(func() { time.Sleep(3 * time.Second) }) // as a callback that blocks
		if err := l.Wait(); err != nil {
			t.Fatal(err)
		}
		if late := l.Expire(); late != 2*time.Second {
			t.Errorf("late by %v, want 2s", late)
		}
		l.Post(func() {})
		turn(t, l)
		want := Measures{Turns: 3, Longest: 3 * time.Second, Stalls: 1, Late: 2 * time.Second, Lateness: Lateness{0: 1, len(LateBounds): 1}}
		if m := l.Measure(); m != want {
			t.Errorf("%+v, want %+v", m, want)
		}
	})
}

// TestPostAfterClose checks that a post to a loop that has ended does no harm.
func TestPostAfterClose(t *testing.T) {
	kinds(t, func(t *testing.T, l *Loop) {
		l.Close()
		l.Post(func() { t.Error("it was run") })
		if l.Now() == 0 {
			t.Error("no clock")
		}
	})
}

// TestTurnsAllocateNothing checks that a turn allocates nothing, with ten thousand timers
// as with one.
func TestTurnsAllocateNothing(t *testing.T) {
	l, err := New()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	checks := newChecks(l, 10_000)
	post := func() {}
	if n := testing.AllocsPerRun(1000, func() {
		l.Post(post)
		turn(t, l)
	}); n != 0 && !raceDetector {
		t.Errorf("%v allocations in a turn", n)
	}
	if checks.expired == 0 {
		t.Error("no timer expired")
	}
}

// checks is timers at one-second intervals, spread over the second, as of health checks.
type checks struct {
	timers  []Timer
	expired int
}

func newChecks(l *Loop, n int) *checks {
	c := &checks{timers: make([]Timer, n)}
	start := l.Now()
	for i := range c.timers {
		t := &c.timers[i]
		deadline := start + time.Duration(i)*time.Second/time.Duration(n)
		t.Expire = func(time.Duration) {
			c.expired++
			deadline += time.Second
			l.Set(t, deadline)
		}
		l.Set(t, deadline)
	}
	return c
}

// BenchmarkTimers measures setting the next of ten thousand timers again.
func BenchmarkTimers(b *testing.B) {
	l, err := New()
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	timers := make([]Timer, 10_000)
	for i := range timers {
		l.Set(&timers[i], time.Duration(i))
	}
	at := time.Duration(len(timers))
	b.ReportAllocs()
	for b.Loop() {
		l.Set(&timers[int(at)%len(timers)], at)
		at++
	}
}

// TestSlices checks that between two steps of long work the loop turns, and that a timer
// expires when it is due.
func TestSlices(t *testing.T) {
	kinds(t, func(t *testing.T, l *Loop) {
		var order []string
		timer := Timer{Expire: func(time.Duration) { order = append(order, "timer") }}
		step := func(name string) func() { return func() { order = append(order, name) } }
		l.Slices([]func(){step("1"), func() { l.Set(&timer, l.Now()) }, step("2"), step("3")}, step("done"))
		for len(order) < 5 {
			turn(t, l)
		}
		if got := strings.Join(order, " "); got != "1 timer 2 3 done" {
			t.Errorf("order %s", got)
		}
		l.Slices(nil, step("nothing"))
		if order[5] != "nothing" {
			t.Errorf("order %v", order)
		}
	})
}

// TestAside checks that a function called by Aside returns before the loop continues,
// whether it blocks or not, and that the loop turns while it blocks.
func TestAside(t *testing.T) {
	kinds(t, func(t *testing.T, l *Loop) {
		var order []string
		turns := func() bool { turn(t, l); return true }
		l.Aside(func() { order = append(order, "short") }, func() bool { return false })

		timer := Timer{}
		expired := make(chan struct{})
		timer.Expire = func(at time.Duration) {
			if order = append(order, "timer"); len(order) == 4 {
				close(expired)
				return
			}
			l.Set(&timer, at+time.Millisecond)
		}
		l.Set(&timer, l.Now())
		l.Aside(func() { <-expired }, turns) // three timers expire meanwhile
		l.Post(func() { order = append(order, "post") })
		turn(t, l)
		if got := strings.Join(order, " "); got != "short timer timer timer post" {
			t.Errorf("order %s", got)
		}

		// A loop at its end does not turn any more.
		ends, release := 0, make(chan struct{})
		l.Aside(func() { <-release }, func() bool { ends++; close(release); return false })
		if ends != 1 {
			t.Errorf("%d turns at the end", ends)
		}
	})
}

// BenchmarkAside measures a call of Aside that returns at once, and the cost of a
// goroutine instead.
func BenchmarkAside(b *testing.B) {
	l, err := New()
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	b.Run("aside", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			l.Aside(func() {}, func() bool { return false })
		}
	})
	b.Run("goroutine", func(b *testing.B) {
		for b.Loop() {
			done := false
			go l.Post(func() { done = true })
			for !done {
				turn(b, l)
			}
		}
	})
}

// TestTime checks that the time of a turn is that of its beginning and, while timers expire,
// that of the look at them, however long what was read before has taken.
func TestTime(t *testing.T) {
	virtual(t, func(t *testing.T, l *Loop) {
		begun := l.Now()
		if l.Time() != begun {
			t.Errorf("before the first turn: %v at %v", l.Time(), begun)
		}
		var at, turn time.Duration
		timer := Timer{Expire: func(now time.Duration) { at, turn = now, l.Time() }}
		l.Set(&timer, begun+time.Second)
		l.Post(func() {
			time.Sleep(2 * time.Second)
			if l.Time() != begun {
				t.Errorf("after 2 s in the turn: %v, want %v", l.Time(), begun)
			}
		})
		for range 2 { // a turn with work and a timer; one with a timer alone
			if err := l.Wait(); err != nil {
				t.Fatal(err)
			}
			woke := l.Time()
			l.Expire()
			if now := l.Now(); at != now || turn != now || l.Time() != woke {
				t.Errorf("the timer expired at %v in a turn of %v, afterwards of %v, at %v", at, turn, l.Time(), now)
			}
			l.Set(&timer, l.Now()+time.Second)
		}
	})
}

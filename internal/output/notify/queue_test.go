package notify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"keepalived-go/conf"
)

func command(words ...string) conf.Command { return conf.Command{Args: words} }

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// numbered returns a change whose scripts have its number as first argument: two scripts,
// or one for noState.
func numbered(word string, number int) stateChange {
	s := Step{Command: &conf.Command{}, Extra: []string{fmt.Sprint(number)}}
	if word == noState {
		return stateChange{word, false, epoch, []Step{s}}
	}
	return stateChange{word, true, epoch, []Step{s, s}}
}

// noState is a change that is not a change of state.
const noState = "ADVERT"

// drain ends the running script, runs all that wait, and returns the numbers of the
// changes whose scripts were begun.
func drain(q *queue) (begun []string) {
	if q.running != nil {
		q.done()
	}
	for s := q.next(epoch); s != nil; s = q.next(epoch) {
		if len(begun) == 0 || begun[len(begun)-1] != s.Extra[0] {
			begun = append(begun, s.Extra[0])
		}
		q.done()
	}
	return begun
}

func TestOvertaking(t *testing.T) {
	const m, x = master, noState
	repeat := func(n int, k ...string) []string { return slices.Repeat(k, n) }
	for _, c := range []struct {
		name      string
		words     []string // pushed while the script for number 0 runs, numbered from 1
		begun     string   // afterwards
		overtaken int
	}{
		{"none that fit", repeat(16, m), "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", 0},
		{"a state overtakes all", repeat(17, m), "17", 16},
		{"and leaves room again", repeat(20, m), "17 18 19 20", 16},
		{"a state overtakes what is no state", append(repeat(16, x), m), "17", 16},
		{"no state overtakes its own kind only", append(append(repeat(8, m), repeat(8, x)...), x), "1 2 3 4 5 6 7 8 17", 8},
		{"no state waits beyond the last state", append(repeat(16, m), x, x), "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 18", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			var q queue
			q.push(numbered(m, 0))
			q.next(epoch)
			for i, k := range c.words {
				q.push(numbered(k, i+1))
				if n := q.caughtUp(); n != 0 {
					t.Fatalf("%d overtaken were reported while changes wait", n)
				}
			}
			begun := drain(&q)
			if begun[0] == "0" { // its second script
				begun = begun[1:]
			}
			if got := strings.Join(begun, " "); got != c.begun {
				t.Errorf("begun %s, want %s", got, c.begun)
			}
			if got := q.caughtUp(); got != c.overtaken {
				t.Errorf("%d overtaken, want %d", got, c.overtaken)
			}
			if got := q.caughtUp(); got != 0 || !q.idle() {
				t.Errorf("%d overtaken reported again, idle %v", got, q.idle())
			}
		})
	}
}

// TestQueueProperty checks for any order of changes and script ends: scripts begin in the
// order of the changes, both scripts of a change run, never two at once; the number of
// waiting changes is bounded; and the last state whose scripts begin is the last one
// pushed.
func TestQueueProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var begun []int
		running, pushed, lastState, waitingMax := false, 0, -1, 0
		take := func() {
			s := q.next(epoch)
			if s == nil {
				return
			}
			if running {
				t.Fatal("a second script at once")
			}
			running = true
			var n int
			fmt.Sscan(s.Extra[0], &n)
			begun = append(begun, n)
		}
		states := map[int]bool{}
		for _, op := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 300).Draw(t, "ops") {
			switch {
			case op < 7:
				k := []string{master, backup, stop, noState}[op%4]
				if k != noState {
					lastState, states[pushed] = pushed, true
				}
				q.push(numbered(k, pushed))
				pushed++
				waitingMax = max(waitingMax, len(q.waiting))
			case running:
				q.done()
				running = false
			}
			take()
		}
		if rapid.Bool().Draw(t, "hurry") {
			q.hurry()
		}
		for running {
			q.done()
			running = false
			take()
		}
		if !slices.IsSorted(begun) {
			t.Fatalf("out of order: %v", begun)
		}
		count := map[int]int{}
		last := -1
		for _, n := range begun {
			count[n]++
			if states[n] {
				last = n
			}
		}
		for n, c := range count {
			if want := map[bool]int{true: 2, false: 1}[states[n]]; c != want {
				t.Fatalf("change %d: %d scripts were begun, want %d", n, c, want)
			}
		}
		if last != lastState {
			t.Fatalf("the last state begun is of change %d, want %d", last, lastState)
		}
		if waitingMax > maxWaiting+1 {
			t.Fatalf("%d changes waited", waitingMax)
		}
		if !q.idle() {
			t.Fatal("not idle at the end")
		}
	})
}

func TestSlowAndHung(t *testing.T) {
	at := func(seconds int) time.Time { return epoch.Add(time.Duration(seconds) * time.Second) }
	var q queue
	happened := func(seconds int) { c := numbered(master, 0); c.at = at(seconds); q.push(c) }
	expect := func(seconds int, slow, hung bool) {
		t.Helper()
		if got := q.isSlow(at(seconds)); got != slow {
			t.Errorf("after %d s slow is %v", seconds, got)
		}
		if got := q.isHung(at(seconds)); got != hung {
			t.Errorf("after %d s hung is %v", seconds, got)
		}
	}
	happened(0)
	q.next(at(0))
	expect(9, false, false)
	expect(10, true, false)
	expect(11, false, false)   // reported once
	expect(1000, false, false) // no newer change waits, so the script may run
	happened(1000)
	expect(1059, false, false)
	expect(1060, false, true)
	expect(1061, false, false) // reported once
	q.done()
	q.next(at(1070)) // the second script of the first change; the newer change has waited since 1000
	expect(1071, false, false)
	expect(1080, true, false)
	expect(1130, false, true) // the second script had a minute of its own
}

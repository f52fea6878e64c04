package notify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"keepalived-go/conf"
)

func command(words ...string) conf.Command { return conf.Command{Args: words} }

// everyScript is a Notify with a script of its own for each keyword.
func everyScript() *conf.Notify {
	return &conf.Notify{
		Any: command("any", "1"), Master: command("master"), Backup: command("backup"), Fault: command("fault"),
		Stop: command("stop"), Deleted: command("deleted"), MasterRxLowerPri: command("rx_lower"),
		SignalDeleted: true,
	}
}

func TestWhichScriptsAndLines(t *testing.T) {
	with := func(change func(*conf.Notify)) *conf.Notify {
		to := everyScript()
		change(to)
		return to
	}
	all := everyScript()
	instance := func(k Kind, to *conf.Notify) Event { return Event{Name: "VI_1", Kind: k, Priority: 105, To: to} }
	for _, c := range []struct {
		name  string
		event Event
		steps []string
		line  string
	}{
		{"master", instance(Master, all), []string{"master", "any 1 INSTANCE VI_1 MASTER 105"}, `INSTANCE "VI_1" MASTER 105`},
		{"backup", instance(Backup, all), []string{"backup", "any 1 INSTANCE VI_1 BACKUP 105"}, `INSTANCE "VI_1" BACKUP 105`},
		{"fault", instance(Fault, all), []string{"fault", "any 1 INSTANCE VI_1 FAULT 105"}, `INSTANCE "VI_1" FAULT 105`},
		{"stop", instance(Stop, all), []string{"stop", "any 1 INSTANCE VI_1 STOP 105"}, `INSTANCE "VI_1" STOP 105`},
		{"deleted", instance(Deleted, all), []string{"deleted", "any 1 INSTANCE VI_1 DELETED 105"}, `INSTANCE "VI_1" DELETED 105`},
		{"deleted with notify_deleted that names no script",
			instance(Deleted, with(func(n *conf.Notify) { n.Deleted = conf.Command{} })),
			[]string{"any 1 INSTANCE VI_1 DELETED 105"}, `INSTANCE "VI_1" DELETED 105`},
		{"deleted without notify_deleted is a fault to all but notify_fault",
			instance(Deleted, with(func(n *conf.Notify) { n.Deleted, n.SignalDeleted = conf.Command{}, false })),
			[]string{"any 1 INSTANCE VI_1 FAULT 105"}, `INSTANCE "VI_1" FAULT 105`},
		{"lower priority received: not by notify", instance(MasterRxLowerPri, all), []string{"rx_lower"}, `INSTANCE "VI_1" MASTER_RX_LOWER_PRI 105`},
		{"priority of a master", instance(MasterPriority, with(func(n *conf.Notify) { n.PriorityChanges = true })),
			nil, `INSTANCE "VI_1" MASTER_PRIORITY 105`},
		{"priority of a backup", instance(BackupPriority, with(func(n *conf.Notify) { n.PriorityChanges = true })),
			nil, `INSTANCE "VI_1" BACKUP_PRIORITY 105`},
		{"priority without notify_priority_changes", instance(MasterPriority, all), nil, ""},
		{"nobody to tell but FIFOs", instance(Deleted, &conf.Notify{}), nil, `INSTANCE "VI_1" FAULT 105`},
		{"group", Event{Group: true, Name: "G 1", Kind: Backup, To: all},
			[]string{"backup", "any 1 GROUP G 1 BACKUP 0"}, `GROUP "G 1" BACKUP 0`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var steps []string
			for _, s := range c.event.steps() {
				steps = append(steps, strings.Join(append(slices.Clone(s.command.Args), s.extra...), " "))
			}
			if diff := cmp.Diff(c.steps, steps); diff != "" {
				t.Errorf("scripts (-want +got):\n%s", diff)
			}
			want := c.line
			if want != "" {
				want += "\n"
			}
			if got := string(c.event.line(nil)); got != want {
				t.Errorf("FIFO line %q, want %q", got, want)
			}
		})
	}
	e := instance(Master, nil)
	if got := string(e.line(nil)); got != "INSTANCE \"VI_1\" MASTER 105\n" {
		t.Errorf("FIFO line of an instance that tells nobody: %q", got)
	}
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// numbered is a change with two scripts whose first argument is its number.
func numbered(k Kind, number int) change {
	s := step{command: &conf.Command{}, extra: []string{fmt.Sprint(number)}}
	if k == MasterRxLowerPri {
		return change{k, epoch, []step{s}}
	}
	return change{k, epoch, []step{s, s}}
}

// drain ends what runs and then runs all that waits, and returns the numbers of
// the changes that were begun.
func drain(q *queue) (begun []string) {
	if q.running != nil {
		q.done()
	}
	for s := q.next(epoch); s != nil; s = q.next(epoch) {
		if len(begun) == 0 || begun[len(begun)-1] != s.extra[0] {
			begun = append(begun, s.extra[0])
		}
		q.done()
	}
	return begun
}

func TestOvertaking(t *testing.T) {
	const m, x = Master, MasterRxLowerPri
	repeat := func(n int, k ...Kind) []Kind { return slices.Repeat(k, n) }
	for _, c := range []struct {
		name      string
		kinds     []Kind // told while the script for number 0 runs, numbered from 1
		begun     string // after it
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
			for i, k := range c.kinds {
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

// Whatever the order of changes and of the ends of scripts: scripts are begun in
// the order of telling, both of one change together, never two at once; what
// waits is bounded; and the last one begun is of the last state told.
func TestQueueProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var q queue
		var begun []int
		running, told, lastState, waitingMax := false, 0, -1, 0
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
			fmt.Sscan(s.extra[0], &n)
			begun = append(begun, n)
		}
		states := map[int]bool{}
		for _, op := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 300).Draw(t, "ops") {
			switch {
			case op < 7:
				k := []Kind{Master, Backup, Fault, MasterRxLowerPri}[op%4]
				if k.isState() {
					lastState, states[told] = told, true
				}
				q.push(numbered(k, told))
				told++
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
			t.Fatalf("the last state begun is of change %d, told was %d", last, lastState)
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
	told := func(seconds int) { c := numbered(Master, 0); c.told = at(seconds); q.push(c) }
	expect := func(seconds int, slow, hung bool) {
		t.Helper()
		if got := q.isSlow(at(seconds)); got != slow {
			t.Errorf("after %d s slow is %v", seconds, got)
		}
		if got := q.isHung(at(seconds)); got != hung {
			t.Errorf("after %d s hung is %v", seconds, got)
		}
	}
	told(0)
	q.next(at(0))
	expect(9, false, false)
	expect(10, true, false)
	expect(11, false, false)   // once
	expect(1000, false, false) // nothing newer waits, so it may run
	told(1000)
	expect(1059, false, false)
	expect(1060, false, true)
	expect(1061, false, false) // once
	q.done()
	q.next(at(1070)) // the second script of the first change; the newer one waits since 1000
	expect(1071, false, false)
	expect(1080, true, false)
	expect(1130, false, true) // it had a minute of its own
}

package session

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/link/linktest"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/internal/proc/wire"
)

// begin begins a session whose loop runs until the end of the test, beside it.
func begin(t *testing.T, child *link.Conn, orders Orders) *Session {
	t.Helper()
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	s := Begin(child, l, orders)
	ended, done := false, make(chan struct{})
	go func() {
		defer close(done)
		for !ended {
			if err := l.Wait(); err != nil {
				t.Error(err)
				return
			}
			l.Expire()
		}
	}()
	t.Cleanup(func() {
		l.Post(func() { ended = true })
		<-done
		l.Close()
	})
	return s
}

// outcome receives the result of an act.
func outcome(t *testing.T, parent *link.Conn) string {
	t.Helper()
	parent.SetDeadline(time.Now().Add(20 * time.Second))
	m, err := parent.Receive()
	if err != nil || m.Kind != link.Done || m.Outcome == nil {
		t.Fatalf("%+v, %v", m, err)
	}
	return fmt.Sprint(m.Outcome.ID, " ", string(m.Outcome.Result.Body), m.Outcome.Result.Code, m.Outcome.Result.Why)
}

// TestActs checks that acts, intents and outcomes reach the process whole, and that the
// result of an act goes back under its number, at once or later.
func TestActs(t *testing.T) {
	parent, child := linktest.Pair(t)
	var later act.Reply
	others := make(chan any, 2)
	begin(t, child, Orders{
		Stop: func() {},
		Act: func(a *act.Act, reply act.Reply) {
			switch a.Name {
			case "later":
				later = reply
			case "no":
				reply(nil, act.Refuse(act.Unknown, "there is no %s", a.Name))
			case "fails":
				reply(nil, errors.New("it has failed"))
			default:
				reply(fmt.Sprint(a, ", ", a.By, ", ", a.Value), nil)
				if later != nil {
					later("late", nil)
				}
			}
		},
		Intend: func(all []act.Intent) { others <- all },
		Done:   func(o *link.Outcome) { others <- *o },
	})
	send := func(id uint32, name string) {
		a := act.Act{Kind: act.Priority, Name: name, Value: 7, By: act.By{UID: 9, Over: "a test"}}
		parent.Send(link.Message{Kind: link.Act, Order: &link.Order{ID: id, Act: a}})
	}
	for id, name := range []string{"no", "fails", "yes"} {
		send(uint32(id), name)
		want := []string{
			fmt.Sprint("0 ", act.Unknown, "there is no no"),
			fmt.Sprint("1 ", act.Impossible, "it has failed"),
			`2 "priority yes, uid 9, over a test, 7"0`,
		}[id]
		if got := outcome(t, parent); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	send(11, "later")
	send(12, "yes")
	got := []string{outcome(t, parent), outcome(t, parent)}
	slices.Sort(got)
	if want := []string{`11 "late"0`, `12 "priority yes, uid 9, over a test, 7"0`}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}

	intents := []act.Intent{{Kind: act.Hold, Name: "VI_1", Since: 5}, {Kind: act.Drain, Name: "192.0.2.1"}}
	parent.Send(link.Message{Kind: link.Intend, Intents: &link.Intents{List: intents}})
	if diff := cmp.Diff(any(intents), <-others); diff != "" {
		t.Errorf("intents: -want +got\n%s", diff)
	}
	done := link.Outcome{ID: 3, Result: act.Result{Code: act.Unavailable, Why: "it is busy"}}
	parent.Send(link.Message{Kind: link.Done, Outcome: &done})
	if diff := cmp.Diff(any(done), <-others); diff != "" {
		t.Errorf("outcome: -want +got\n%s", diff)
	}
}

// TestWithoutOrders checks that a process that has no use for a message passes it over and
// goes on, that nothing is called for a message without contents, and that acts are
// refused.
func TestWithoutOrders(t *testing.T) {
	parent, child := linktest.Pair(t)
	begin(t, child, Orders{Stop: func() {}})
	for _, m := range []link.Message{
		{Kind: link.Ask, Question: &link.Question{ID: 5}},
		{Kind: link.Changed},
		link.Refusal(6, "no"),
		{Kind: link.Intend, Intents: &link.Intents{}},
		{Kind: link.Done, Outcome: &link.Outcome{ID: 1}},
		{Kind: link.Report, Event: &link.Event{Subject: "x"}},
		{Kind: link.Act, Order: &link.Order{ID: 8, Act: act.Act{Kind: act.Hold, Name: "VI_1"}}},
	} {
		parent.Send(m)
	}
	if got, want := outcome(t, parent), fmt.Sprint("8 ", act.Invalid, "this process has no acts"); got != want {
		t.Errorf("%s, want %s", got, want)
	}

	called := func(what string) { t.Errorf("%s is called without contents", what) }
	all := Session{orders: Orders{
		Ask:    func(link.Question) { called("Ask") },
		Answer: func(*link.Message) { called("Answer") },
		Act:    func(*act.Act, act.Reply) { called("Act") },
		Intend: func([]act.Intent) { called("Intend") },
		Done:   func(*link.Outcome) { called("Done") },
		Event:  func(*link.Event) { called("Event") },
	}}
	for _, kind := range []link.Kind{link.Ask, link.Answer, link.Act, link.Intend, link.Done, link.Report} {
		all.take(link.Message{Kind: kind})
	}
}

// TestAlive checks that a loop that runs is reported each second after the first
// configuration, and not before.
func TestAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := loop.NewVirtual()
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		s := &Session{loop: l, out: make(chan link.Message, 64)}
		begun := time.Now()
		s.Started()
		for len(s.out) < 4 {
			if err := l.Wait(); err != nil {
				t.Fatal(err)
			}
			l.Expire()
		}
		if took := time.Since(begun); took != 3*aliveInterval {
			t.Errorf("three signs of life after %v", took)
		}
		for _, want := range []link.Kind{link.Started, link.Alive, link.Alive, link.Alive} {
			if m := <-s.out; m.Kind != want {
				t.Errorf("message %d, want %d", m.Kind, want)
			}
		}
	})
}

// TestUnread checks that a parent that does not read holds up nothing, and that what is
// repeated leaves room for what is not.
func TestUnread(t *testing.T) {
	s := &Session{out: make(chan link.Message, 64)}
	for _, kind := range []link.Kind{link.Alive, link.Reload, link.Changed} {
		for range 100 {
			s.Signal(kind)
		}
	}
	if n := len(s.out); n != 32 {
		t.Fatalf("%d messages that are repeated", n)
	}
	for i := range 32 {
		if !s.Send(link.Message{Kind: link.Report, Event: &link.Event{}}) {
			t.Fatalf("report %d finds no room", i)
		}
	}
	if s.Send(link.Message{Kind: link.Ending}) {
		t.Error("a message was sent that nobody takes")
	}
	s.Signal(link.Reloaded) // returns
}

// TestDumpSignals checks that a process that is sent a signal for a dump itself writes it.
func TestDumpSignals(t *testing.T) {
	_, child := linktest.Pair(t)
	dumps := make(chan link.Kind, 4)
	begin(t, child, Orders{Stop: func() {}, Dump: func(kind link.Kind) { dumps <- kind }})
	for sig, want := range link.DumpSignals {
		unix.Kill(unix.Getpid(), sig.(unix.Signal))
		select {
		case got := <-dumps:
			if got != want {
				t.Errorf("%v: dump %d, want %d", sig, got, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("no dump after %v", sig)
		}
	}
}

// TestNonsense checks that a message that cannot be read ends the conversation, and the
// process with it: the log says why.
func TestNonsense(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	parent := os.NewFile(uintptr(fds[0]), "parent")
	defer parent.Close()
	child, err := link.New(os.NewFile(uintptr(fds[1]), "child"))
	if err != nil {
		t.Fatal(err)
	}
	log := logtest.Capture(t)
	stopped := make(chan bool, 1)
	s := begin(t, child, Orders{Stop: func() { stopped <- true }})
	if _, err := parent.Write(wire.AppendFrame(nil, uint8(link.Stop), &link.Event{Subject: "x"})); err != nil {
		t.Fatal(err)
	}
	patience := time.AfterFunc(20*time.Second, func() { panic("the conversation has not ended within 20 s") })
	<-s.Alone()
	<-stopped
	patience.Stop()
	if !strings.Contains(log.String(), "parent process: ") || !strings.Contains(log.String(), "unexpected body") {
		t.Errorf("logged: %s", log.String())
	}
}

package session

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/link/linktest"
	"keepalived-go/internal/proc/loop"
)

func TestFirst(t *testing.T) {
	parent, child := linktest.Pair(t)
	parent.Send(link.Message{Kind: link.Configure, Config: &conf.Config{Path: "first"}})
	if c, err := First(child); err != nil || c.Path != "first" {
		t.Errorf("%+v, %v", c, err)
	}
	parent.Send(link.Message{Kind: link.Stop})
	if _, err := First(child); err == nil {
		t.Error("an order was taken for a configuration")
	}
	parent.Close()
	if _, err := First(child); err == nil {
		t.Error("a parent that has ended gave a configuration")
	}
}

// TestOrders checks that orders reach the loop in order, that the second of two
// configurations waits until the first is in force, that each is confirmed, and that the
// end of the parent is an order to stop.
func TestOrders(t *testing.T) {
	parent, child := linktest.Pair(t)
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var got []string
	note := func(format string, v ...any) { got = append(got, fmt.Sprintf(format, v...)) }
	var confirm func()
	s := Begin(child, l, Orders{
		Reload: func(c *conf.Config, done func()) { note("reload %s", c.Path); confirm = done },
		Stop:   func() { note("stop") },
		Dump:   func(kind link.Kind) { note("dump %d", kind) },
		Event:  func(e *link.Event) { note("event %s", e.Subject) },
		Ask:    func(q link.Question) { note("ask %d", q.ID) },
		Answer: func(m *link.Message) { note("answer %d", m.Reply.ID) }, Changed: func() { note("changed") },
	})
	await := func(n int) {
		t.Helper()
		defer time.AfterFunc(30*time.Second, func() { panic("no order within 30 s") }).Stop()
		for len(got) < n {
			if err := l.Wait(); err != nil {
				t.Fatal(err)
			}
			l.Expire()
		}
	}
	answer := func(want link.Kind) {
		t.Helper()
		if m, err := parent.Receive(); err != nil || m.Kind != want {
			t.Fatalf("message %d, %v; want %d", m.Kind, err, want)
		}
	}
	s.Started()
	answer(link.Started)
	for _, m := range []link.Message{
		{Kind: link.Configure, Config: &conf.Config{Path: "a"}},
		{Kind: link.Configure, Config: &conf.Config{Path: "b"}},
		{Kind: link.DumpJSON},
		{Kind: link.Report, Event: &link.Event{Subject: "x"}},
		{Kind: link.Ask, Question: &link.Question{ID: 5}},
		link.Refusal(6, "no"),
		{Kind: link.Changed},
		{Kind: link.Stop},
	} {
		parent.Send(m)
	}
	want := []string{"reload a", fmt.Sprintf("dump %d", link.DumpJSON), "event x", "ask 5", "answer 6", "changed", "stop"}
	await(len(want))
	if !slices.Equal(got, want) {
		t.Fatalf("%q, want %q", got, want)
	}
	confirm()
	answer(link.Reloaded)
	if last := got[len(got)-1]; last != "reload b" {
		t.Errorf("%q after the confirmation", last)
	}
	confirm()
	answer(link.Reloaded)
	unix.Kill(unix.Getpid(), unix.SIGTERM) // to the process itself
	await(9)
	unix.Kill(unix.Getpid(), unix.SIGHUP)
	for {
		m, err := parent.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind == link.Reload {
			break
		}
	}
	parent.Close()
	<-s.Alone()
	await(10)
	if !slices.Equal(got[8:10], []string{"stop", "stop"}) {
		t.Errorf("%q after a signal and the end of the parent", got[8:])
	}
}

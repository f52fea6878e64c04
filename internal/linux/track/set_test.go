package track

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keepalived-go/conf"
)

// slow answers late, as a driver does whose files are on a network.
type slow struct {
	mail
	after  time.Duration
	report func([]Update)
}

func (s *slow) run(stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case r := <-s.mail:
			time.Sleep(s.after)
			r.answer([]Update{{Name: s.after.String()}})
		}
	}
}

// newSlowSet returns a set of drivers that answer after these times.
func newSlowSet(report func([]Update), after ...time.Duration) *Set {
	s := &Set{report: report, stop: make(chan struct{}), wait: patience}
	for _, after := range after {
		s.add(func(report func([]Update)) driver { return &slow{make(mail, 1), after, report} })
	}
	return s
}

func TestConfigureDoesNotWaitForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reported := make(chan []Update, 10)
		s := newSlowSet(func(u []Update) { reported <- u }, 0, 50*time.Millisecond, time.Second)
		begin := time.Now()
		var got []Update
		s.Configure(new(conf.Config), func(first []Update) { got = first })
		if took := time.Since(begin); took != patience || len(got) != 2 || got[0].Name != "0s" || got[1].Name != "50ms" {
			t.Errorf("after %v: %+v", took, got)
		}
		// A busy driver takes only the latest configuration.
		s.Configure(new(conf.Config), func([]Update) {})
		s.Configure(new(conf.Config), func([]Update) {})
		time.Sleep(10 * time.Second)
		if n := len(reported); n != 2 {
			t.Errorf("%d late answers, want 2", n)
		}
		s.Close()
	})
}

// TestReportsAroundConfigure checks that reports of the old trackers come before the
// first status of the new ones, and reports of the new ones after it.
func TestReportsAroundConfigure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			mu   sync.Mutex
			said []string
		)
		say := func(words ...string) {
			mu.Lock()
			defer mu.Unlock()
			said = append(said, words...)
		}
		note := func(list []Update) {
			for _, u := range list {
				say(u.Name)
			}
		}
		s := newSlowSet(note, 20*time.Millisecond, 50*time.Millisecond)
		for name, at := range map[string]time.Duration{"before": 10, "during": 30, "after": 60} {
			time.AfterFunc(at*time.Millisecond, func() { s.drivers[0].(*slow).report([]Update{{Name: name}}) })
		}
		s.Configure(new(conf.Config), func(first []Update) {
			say("(")
			note(first)
			say(")")
		})
		time.Sleep(time.Second)
		s.Close()
		mu.Lock()
		defer mu.Unlock()
		if got, want := strings.Join(said, " "), "before ( 20ms during 50ms ) after"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	})
}

package track

import (
	"testing"
	"testing/synctest"
	"time"

	"keepalived-go/conf"
)

// slow answers late, as a driver does whose files are behind a network.
type slow struct {
	mail
	after time.Duration
}

func (s slow) run(stop <-chan struct{}) {
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

func TestConfigureDoesNotWaitForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reported := make(chan []Update, 10)
		s := &Set{report: func(u []Update) { reported <- u }, stop: make(chan struct{})}
		for _, after := range []time.Duration{0, 50 * time.Millisecond, time.Second} {
			d := slow{make(mail, 1), after}
			s.drivers = append(s.drivers, d)
			s.running.Go(func() { d.run(s.stop) })
		}
		begin := time.Now()
		got := s.Configure(new(conf.Config))
		if took := time.Since(begin); took != patience || len(got) != 2 || got[0].Name != "0s" || got[1].Name != "50ms" {
			t.Errorf("after %v: %+v", took, got)
		}
		// One that is busy takes the latest configuration, and no other.
		s.Configure(new(conf.Config))
		s.Configure(new(conf.Config))
		time.Sleep(10 * time.Second)
		if n := len(reported); n != 2 {
			t.Errorf("%d late answers, want 2", n)
		}
		s.Close()
	})
}

package test

import (
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
)

// TestReplayedAH checks that recorded packets of a master that stopped, repeated by
// another node in any number, do not keep its backup from taking over.
func TestReplayedAH(t *testing.T) {
	t.Parallel()
	differs(t, "forgets its own timer over an advert that it refuses")
	s := newScene(t, "a", "b", "x")
	in := instance{Version: 2, More: "authentication {\n    auth_type AH\n    auth_pass secret12\n}"}
	stranger := s.speaker("x")
	a := s.start("a", ours, config(in.at(150)))
	b := s.start("b", ours, config(in.at(100)))
	s.awaitOwner(vip, 12*time.Second, "a")
	from := time.Now()
	const recordings = 6
	if !s.Until(20*time.Second, func() bool { return len(s.adverts(from, time.Now(), "a")) >= recordings }) {
		t.Fatal("a does not send")
	}
	tape := s.adverts(from, time.Now(), "a")
	s.must(a.Stop())
	taken := false
	for _, e := range tape {
		stranger.send(e.Frame[14:])
		if taken = s.Until(500*time.Millisecond, func() bool { return s.Node("b").Has(vip) }); taken {
			break
		}
	}
	if !taken {
		t.Fatalf("%d recordings held b off", len(tape))
	}
	s.awaitLog(b, b.Started, "already processed", 5*time.Second)
	// As master it does not yield to them either.
	since := time.Now()
	for _, e := range tape {
		stranger.send(e.Frame[14:])
	}
	s.awaitAdvert(since, 5*time.Second, "b")
	if !s.Node("b").Has(vip) {
		t.Error("b yielded to a recording")
	}
	// And a becomes master again: b receives numbers that are greater than its own.
	s.start("a", ours, config(in.at(150)))
	s.awaitOwner(vip, 12*time.Second, "a")
	if _, ok := s.Last(func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Node.Name == "a" }); !ok {
		t.Error("a is silent")
	}
}

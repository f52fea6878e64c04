// Package test runs the built daemon, as real processes in namespaces, through the events
// in the life of a cluster. See internal/tool/lab for the network.
//
// KEEPALIVED_BIN names the program under test; without it, the program is built first.
// The tests pass with the C daemon too, except for tests of differences:
// KEEPALIVED_BIN=/usr/sbin/keepalived shows these.
package test

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/required"
)

// var is the program under test. underC reports whether it is the C daemon.
var (
	ours   lab.Program
	underC bool
)

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests spend far more time waiting for timers than computing.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		flag.Set("test.parallel", "20")
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "keepalived-test-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = os.Chmod(dir, 0o755) // some tests run as another user
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	path := filepath.Join(dir, "keepalived")
	c := exec.Command("go", "build", "-o", path, "../cmd/keepalived")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if given := os.Getenv("KEEPALIVED_BIN"); given != "" {
		c = exec.Command("cp", given, path)
	}
	if out, err := c.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "get the daemon: %v\n%s", err, out)
		return 1
	}
	os.Setenv("KEEPALIVED_BIN", path) // a User-Mode Linux that runs these tests need not build it again
	ours = lab.Program{Name: "ours", Path: path}
	underC = ours.IsC()
	return m.Run()
}

// differs skips a test of something that the C daemon does differently.
func differs(t *testing.T, how string) {
	t.Helper()
	if underC {
		required.Excluded(t, "the C daemon ", how)
	}
}

// scene is a lab with the checks that most tests need.
type scene struct {
	*testing.T
	*lab.Lab
	daemons []*lab.Daemon
}

// newScene builds a network of one segment.
func newScene(t *testing.T, names ...string) *scene { return newWideScene(t, 1, names...) }

func newWideScene(t *testing.T, segments int, names ...string) *scene {
	t.Helper()
	lab.Need(t, lab.Root)
	l, err := lab.New(segments, names...)
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{T: t, Lab: l}
	t.Cleanup(func() {
		if err := l.Err(); err != nil {
			t.Errorf("the timeline is not complete: %v", err)
		}
		if t.Failed() {
			s.explain()
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// explain prints all logs and the end of the timeline.
func (s *scene) explain() {
	for _, d := range s.daemons {
		text := d.LogText()
		if len(text) > 8000 {
			text = "…" + text[len(text)-8000:]
		}
		s.Logf("log of %s in %s (configuration and log below)\n%s", d.Program.Path, d.Node.Name, text)
	}
	events := s.Events(time.Time{}, time.Now(), func(*lab.Event) bool { return true })
	var b strings.Builder
	for _, e := range events[max(0, len(events)-60):] {
		fmt.Fprintln(&b, e)
	}
	s.Logf("timeline\n%s", b.String())
}

func (s *scene) start(node string, p lab.Program, config string, args ...string) *lab.Daemon {
	s.Helper()
	d, err := s.Node(node).Start(p, config, args...)
	if err != nil {
		s.Fatal(err)
	}
	s.daemons = append(s.daemons, d)
	return d
}

func (s *scene) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// noProcessLeft waits until no process is left in the node: a killed process, or the child
// of one that has ended, takes a moment to end and to be reaped.
func (s *scene) noProcessLeft(node string) {
	s.Helper()
	var left []int
	if !s.Until(10*time.Second, func() bool {
		left = s.Node(node).Pids()
		return len(left) == 0
	}) {
		s.Errorf("processes left behind: %v", left)
	}
}

// awaitOwner waits until the named nodes, and no others, hold the address.
func (s *scene) awaitOwner(addr netip.Addr, timeout time.Duration, owners ...string) {
	s.Helper()
	holds := func() bool {
		for _, n := range s.Nodes {
			want := false
			for _, o := range owners {
				want = want || n.Name == o
			}
			if n.Has(addr) != want {
				return false
			}
		}
		return true
	}
	if !s.Until(timeout, holds) {
		var have []string
		for _, n := range s.Nodes {
			if n.Has(addr) {
				have = append(have, n.Name)
			}
		}
		s.Fatalf("after %v %v is held by %v, want %v", timeout, addr, have, owners)
	}
}

// stays fails if within d the address moves, or a node other than owner sends an advert.
// If the machine had no processor for the owner's adverts, it repeats the check, at most
// twice.
func (s *scene) stays(addr netip.Addr, owner string, d time.Duration) {
	s.Helper()
	for again := 2; ; again-- {
		from := time.Now()
		e, moved := s.Watch(from, d, func(e *lab.Event) bool {
			switch e.Kind {
			case lab.AddrAdded, lab.AddrRemoved:
				return e.Addr == addr
			case lab.Advert:
				return e.Node.Name != owner
			}
			return false
		})
		if !moved {
			break
		}
		starved := lab.Starved(e.Time.Add(-time.Second), e.Time)
		if again == 0 || starved < slack {
			s.Fatalf("%s should have stayed the only master; %v", owner, e)
		}
		s.Logf("%v; programs had waited %v for a processor: once more", e, lab.Elapsed(starved))
		var owners []string
		if owner != "" {
			owners = []string{owner}
		}
		s.awaitOwner(addr, 10*time.Second, owners...)
	}
	if owner != "" && !s.Node(owner).Has(addr) {
		s.Fatalf("%s does not hold %v", owner, addr)
	}
}

// awaitAdvert waits for an advert that the node sends after from.
func (s *scene) awaitAdvert(from time.Time, timeout time.Duration, node string) lab.Event {
	s.Helper()
	e, ok := s.Wait(from, timeout, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Node.Name == node })
	if !ok {
		s.Fatalf("no advert from %s within %v", node, timeout)
	}
	return e
}

// lastAdvert returns the node's last advert before a time.
func (s *scene) lastAdvert(node string, before time.Time) lab.Event {
	s.Helper()
	e, ok := s.Last(func(e *lab.Event) bool {
		return e.Kind == lab.Advert && e.Node.Name == node && e.Time.Before(before)
	})
	if !ok {
		s.Fatalf("%s never sent an advert", node)
	}
	return e
}

// adverts returns the adverts of the node between two times.
func (s *scene) adverts(from, to time.Time, node string) []lab.Event {
	return s.Events(from, to, func(e *lab.Event) bool { return e.Kind == lab.Advert && e.Node.Name == node })
}

// silent fails if the node sent an advert between two times, unless the machine had no
// processor for the adverts of the master.
func (s *scene) silent(from, to time.Time, node string) {
	s.Helper()
	all := s.adverts(from, to, node)
	if len(all) == 0 {
		return
	}
	text := fmt.Sprintf("%s sent %d adverts where it should have been silent; the first: %v", node, len(all), all[0])
	if starved := lab.Starved(all[0].Time.Add(-time.Second), all[0].Time); starved >= slack {
		s.Logf("%s; programs had waited %v for a processor", text, lab.Elapsed(starved))
		return
	}
	s.Error(text)
}

// within fails unless d, measured just now, is in [low, high]. It allows for the time in
// which the machine was busy.
func (s *scene) within(what string, d, low, high time.Duration) {
	s.Helper()
	now := time.Now()
	high += lab.Starved(now.Add(-d-time.Second), now)
	if d < low || d > high {
		s.Errorf("%s: %v, want between %v and %v", what, lab.Elapsed(d), low, high)
	}
}

// noneMalformed checks all recorded frames with tshark.
func (s *scene) noneMalformed() {
	s.Helper()
	complaints, frames, err := s.Malformed()
	if err != nil {
		s.Fatal(err)
	}
	if frames == 0 {
		s.Error("nothing was recorded")
	}
	if len(complaints) > 0 {
		s.Errorf("tshark complains about %d of %d frames: %s", len(complaints), frames, complaints[0])
	}
}

// noRace is the reason to skip a test for a daemon that is built with the race detector
// (-short).
const noRace = "a daemon with the race detector does not run in a User-Mode Linux"

// nightly reports whether tests that take minutes are to run (make nightly).
func nightly() bool { return os.Getenv("KEEPALIVED_NIGHTLY") == "1" }

// slack is the time that a loaded machine may add to a time of the protocol.
const slack = 250 * time.Millisecond

// masterDown returns the Master_Down_Interval of the instance (RFC 9568, 6.1; version 2:
// RFC 3768, 6.1).
func masterDown(in instance) time.Duration {
	return 3*in.interval() + skew(in)
}

func skew(in instance) time.Duration {
	if in.Version == 2 {
		return time.Duration(256-in.Priority) * time.Second / 256
	}
	return time.Duration(256-in.Priority) * in.interval() / 256
}

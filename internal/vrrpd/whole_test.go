package vrrpd

import (
	"encoding/json"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/kernel/kerneltest"
	"keepalived-go/internal/linux/track"
	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/link/linktest"
	"keepalived-go/internal/proc/loop"
)

// process is the whole VRRP process on a kernel in memory, with the test as its parent.
type process struct {
	testing.TB
	parent *link.Conn
	kernel *kerneltest.Kernel
	ended  chan error
}

// startProcess starts a process with c and returns when it reports that c is in force.
func startProcess(t testing.TB, c *conf.Config) *process {
	t.Helper()
	parent, child := linktest.Pair(t)
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t, parent, memoryKernel(), make(chan error, 1)}
	o := Options{Link: child, Host: p.kernel, Loop: l, StateFile: filepath.Join(t.TempDir(), "state")}
	go func() { p.ended <- Run(o) }()
	p.send(link.Message{Kind: link.Configure, Config: c})
	p.await(link.Started)
	return p
}

func (p *process) send(m link.Message) {
	p.Helper()
	if err := p.parent.Send(m); err != nil {
		p.Fatal(err)
	}
}

// await returns the next message of a kind.
func (p *process) await(kind link.Kind) link.Message {
	p.Helper()
	for {
		m, err := p.parent.Receive()
		if err != nil {
			p.Fatalf("no message of kind %d: %v", kind, err)
		}
		if m.Kind == kind {
			return m
		}
	}
}

// snapshot requests a snapshot of the state.
func (p *process) snapshot(id uint32) []byte {
	p.Helper()
	return p.ask(link.Question{ID: id})
}

func (p *process) ask(q link.Question) []byte {
	p.Helper()
	p.send(link.Message{Kind: link.Ask, Question: &q})
	answer := p.await(link.Answer)
	body, err := answer.Snapshot()
	if err != nil || answer.Reply.ID != q.ID {
		p.Fatalf("answer to %d instead of %d, %v", answer.Reply.ID, q.ID, err)
	}
	return body
}

// stop stops the process and waits until it has ended.
func (p *process) stop() {
	p.Helper()
	p.send(link.Message{Kind: link.Stop})
	p.await(link.Ending)
	p.parent.Close()
	if err := <-p.ended; err != nil && !errors.Is(err, io.EOF) {
		p.Error(err)
	}
}

// TestProcess checks that the process carries out the requests of its parent, answers
// with its state before and after a reload, and leaves no address behind.
func TestProcess(t *testing.T) {
	quiet(t)
	p := startProcess(t, patient(owners(2)))
	names := func(id uint32) (all []string) {
		t.Helper()
		var s api.VRRP
		if body := p.snapshot(id); json.Unmarshal(body, &s) != nil {
			t.Fatalf("%s", body)
		}
		for _, i := range s.Instances {
			all = append(all, i.Name)
		}
		return all
	}
	if got := names(7); !slices.Equal(got, []string{"VI_0", "VI_1"}) {
		t.Errorf("at first: %q", got)
	}
	p.send(link.Message{Kind: link.Configure, Config: patient(owners(3))})
	p.await(link.Reloaded)
	if got := names(8); !slices.Equal(got, []string{"VI_0", "VI_1", "VI_2"}) {
		t.Errorf("after the reload: %q", got)
	}
	p.stop()
	if left := p.kernel.Addrs(); len(left) != 1 {
		t.Errorf("left behind: %+v", left)
	}
}

// TestTrackerAges checks that a snapshot has the time of the last change that each
// tracker reported, and that neither a repeated report nor a reload changes it.
func TestTrackerAges(t *testing.T) {
	quiet(t)
	c := patient(owners(1))
	c.Instances[0].Track = []conf.Track{
		{Kind: conf.TrackedInterface, Name: "eth0", Weight: 5},
		{Kind: conf.TrackedFile, Name: "F", Weight: 5},
		{Kind: conf.TrackedProcess, Name: "silent", Weight: 5},
	}
	d, k := newMemoryDaemon(t, c)
	report := func(number int) {
		d.trackersReport([]track.Update{{Kind: conf.TrackedFile, Name: "F", Status: policy.Status{Known: true, Number: number}}})
	}
	d.tracking.learn(d.conf, nil)
	trackers := func() []status.Tracking { return d.snapshotNow().Instances[0].Trackers }
	first := trackers()
	if first[0].At.IsZero() || !first[1].At.IsZero() || !first[2].At.IsZero() {
		t.Errorf("at the start: %+v", first)
	}
	report(1)
	second := trackers()
	if second[0].At != first[0].At || second[1].At.Before(first[0].At) || !second[2].At.IsZero() {
		t.Errorf("after a report: %+v", second)
	}
	report(1)
	d.linkSettled("eth0")
	d.bindTrackers()
	if again := trackers(); again[0].At != first[0].At || again[1].At != second[1].At {
		t.Errorf("after the same reports: %+v, before: %+v", again, second)
	}
	report(2)
	down := kerneltest.Ethernet(memoryLink, "eth0")
	down.Flags = 0
	k.SetLink(down)
	turnUntil(t, d, "the link is down", func() bool { return !trackers()[0].Up })
	if last := trackers(); !last[0].At.After(first[0].At) || !last[1].At.After(second[1].At) {
		t.Errorf("after other reports: %+v, before: %+v", last, second)
	}
}

// TestScriptAge checks that a script that repeats its result has the time of its last
// run.
func TestScriptAge(t *testing.T) {
	quiet(t)
	c := patient(owners(1))
	c.Instances[0].Track = []conf.Track{{Kind: conf.TrackedScript, Name: "S", Weight: 5}}
	d, _ := newMemoryDaemon(t, c)
	k := trackerKey{conf.TrackedScript, "S"}
	f := d.newFilling(true, beside{})
	if at := f.reportedAt(k); !at.IsZero() {
		t.Errorf("before its first result: %v", at)
	}
	d.tracking.hear(k, policy.Status{Known: true, Up: true})
	heard := f.reportedAt(k)
	f.scripts = map[string]track.ScriptRun{"S": {Ended: heard.Add(1)}}
	if at := f.reportedAt(k); heard.IsZero() || at != heard.Add(1) {
		t.Errorf("%v, first reported at %v", at, heard)
	}
}

// TestChanges checks that the answer to a question for changes contains the routers that
// have changed their state since a given time.
func TestChanges(t *testing.T) {
	quiet(t)
	p := startProcess(t, patient(owners(2)))
	ask := func(id uint32, since int64) (n int) {
		t.Helper()
		var s api.VRRP
		if err := json.Unmarshal(p.ask(link.Question{ID: id, Since: since}), &s); err != nil {
			t.Fatal(err)
		}
		return len(s.Instances)
	}
	p.await(link.Changed)
	if n := ask(1, 1); n != 2 {
		t.Errorf("%d routers have ever changed", n)
	}
	if n := ask(2, time.Now().Add(time.Hour).UnixNano()); n != 0 {
		t.Errorf("%d routers have changed in the future", n)
	}
	p.stop()
}

// TestReported checks that a tracker keeps its last reports that differ, and that a
// snapshot has its own copy.
func TestReported(t *testing.T) {
	var d daemon
	k := trackerKey{conf.TrackedFile, "F"}
	for n := range 2 * maxReported {
		for range 2 { // a repetition adds no report
			d.tracking.hear(k, policy.Status{Known: true, Up: true, Number: n})
		}
	}
	past := (&filling{daemon: &d}).reported(k)
	d.tracking.hear(k, policy.Status{Known: true, Number: 99})
	if len(past) != maxReported || past[0].Number != maxReported || past[maxReported-1].Number != 2*maxReported-1 {
		t.Errorf("%d reports: %+v", len(past), past)
	}
	if past = (&filling{daemon: &d}).reported(k); len(past) != maxReported || past[maxReported-1].Number != 99 {
		t.Errorf("after another one: %+v", past)
	}
	if past = (&filling{daemon: &d}).reported(trackerKey{conf.TrackedFile, "G"}); len(past) != 0 {
		t.Errorf("of an unknown one: %+v", past)
	}
}

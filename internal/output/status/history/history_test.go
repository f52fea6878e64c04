package history_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
)

var begin = time.Date(2026, 11, 22, 12, 0, 0, 123456789, time.UTC)

func at(second int) time.Time { return begin.Add(time.Duration(second) * time.Second) }

func when(second int) *time.Time { t := at(second); return &t }

func lines(events []history.Event) (all []string) {
	for _, e := range events {
		all = append(all, fmt.Sprintf("%d %v %s %s: %s -> %s (%s) %s", e.ID, e.At.Sub(begin), e.Kind, e.Name, e.From, e.To, e.Cause, e.Why))
	}
	return all
}

// daemon returns the state of a daemon with one object of each kind.
func daemon() *api.Status {
	return &api.Status{
		At:            at(10),
		Node:          api.Node{Started: at(-1)},
		Configuration: api.Configuration{File: "k.conf", Read: at(0)},
		Processes:     []api.Process{{Name: "vrrp", Wanted: true, Started: when(1)}, {Name: "bfd"}},
		VRRP: &api.VRRP{Instances: []api.Instance{{Name: "V", History: []api.Change{
			{At: at(1), From: "INIT", To: "BACKUP", Cause: "start"},
			{At: at(5), From: "BACKUP", To: "MASTER", Cause: "no-master", Why: "no master has been heard for 3.6s"},
		}}}},
		LVS: &api.LVS{Snapshot: api.Snapshot{At: at(9)}, Running: true, Services: []api.VirtualServer{{
			Name: "S", Up: true, Alive: 1, Servers: []api.RealServer{{Name: "R", Up: true, Checks: []api.Check{{Kind: "TCP_CHECK", State: "up"}}}},
		}}},
		BFD: &api.BFD{Snapshot: api.Snapshot{At: at(9)}, Sessions: []api.Session{{Name: "B", State: "Up"}}},
	}
}

func TestRecorder(t *testing.T) {
	var r history.Recorder
	var all []history.Event
	step := func(s *api.Status, want ...string) {
		t.Helper()
		got := r.Step(s)
		all = append(all, got...)
		if diff := cmp.Diff(want, lines(got)); diff != "" {
			t.Errorf("-want +got\n%s", diff)
		}
	}
	s := daemon()
	step(s,
		"1 -1s process keepalived:  -> started () ",
		"2 0s configuration k.conf:  -> read () ",
		"3 1s process vrrp:  -> started () ",
		"4 1s router V: INIT -> BACKUP (start) ",
		"5 5s router V: BACKUP -> MASTER (no-master) no master has been heard for 3.6s")
	step(s)

	s.VRRP.Instances[0].History = append(s.VRRP.Instances[0].History, // in one step
		api.Change{At: at(6), From: "MASTER", To: "FAULT", Cause: "interface-down"},
		api.Change{At: at(6), From: "FAULT", To: "BACKUP", Cause: "fault-cleared"})
	step(s,
		"6 6s router V: MASTER -> FAULT (interface-down) ",
		"7 6s router V: FAULT -> BACKUP (fault-cleared) ")
	s.VRRP.Instances[0].History = append(s.VRRP.Instances[0].History, // the clock was set back
		api.Change{At: at(3), From: "BACKUP", To: "MASTER", Cause: "no-master"})
	step(s, "8 3s router V: BACKUP -> MASTER (no-master) ")
	step(s)

	s.At = at(20)
	s.Configuration.Refused = &api.Refusal{At: at(11), Reasons: []string{"half a file", "k.conf:3"}}
	s.Processes[0] = api.Process{Name: "vrrp", Wanted: true}
	s.VRRP.Stale = "the VRRP process does not run"
	s.VRRP.Instances[0].History = nil
	v := &s.LVS.Services[0]
	v.Up, v.Alive, v.Since = false, 0, when(12)
	v.Servers[0] = api.RealServer{Name: "R", Since: when(12), Checks: []api.Check{{Kind: "TCP_CHECK", State: "down", Reason: "connection refused"}}}
	s.BFD.Sessions[0] = api.Session{Name: "B", State: "Down", Diagnostic: "Control Detection Time Expired"}
	step(s,
		"9 9s session B: Up -> Down () Control Detection Time Expired",
		"10 11s configuration k.conf: read -> refused () half a file; k.conf:3",
		"11 12s server S R: up -> down () TCP_CHECK: connection refused",
		"12 12s service S: up -> down () 0 of 1 servers are up",
		"13 20s process vrrp: started -> ended () unexpectedly; it is started again")
	step(s)

	// A successor continues where the log ends.
	r = history.Recorder{}
	r.Resume(all)
	step(s)
	s.VRRP.Stale = ""
	s.Processes[0].Started = when(21)
	s.VRRP.Instances[0].History = []api.Change{{At: at(22), From: "INIT", To: "MASTER", Cause: "resumed"}}
	s.Configuration.Read, s.Configuration.Refused = at(23), nil
	step(s,
		"14 21s process vrrp: ended -> started () ",
		"15 22s router V: INIT -> MASTER (resumed) ",
		"16 23s configuration k.conf: refused -> read () ")
	s.Processes[0].Started = when(30)
	step(s, "17 30s process vrrp: started -> started () its predecessor had ended")

	// Acts of clients are in the list of the last acts repeatedly.
	s.Acts = []api.PastAct{{At: at(31), Kind: "announce", Name: "V", By: "uid 0", Reason: "moved"}}
	step(s, "18 31s act V:  -> announce (done) asked for by uid 0: moved")
	s.Acts = append(s.Acts, api.PastAct{At: at(32), Kind: "announce", Name: "W", By: "uid 0", Refused: "no master"}, api.PastAct{At: at(33), Kind: "reload", By: "uid 7"})
	step(s,
		"19 32s act W:  -> announce (refused) no master; asked for by uid 0",
		"20 33s act :  -> reload (done) asked for by uid 7")
	step(s)
	r = history.Recorder{}
	r.Resume(all)
	step(s)

	// A notice of a router is not a change.
	s.VRRP.Instances[0].Notices = []api.Change{{At: at(34), From: "MASTER", To: "MASTER", Cause: "stall", Why: "late"}}
	step(s, "21 34s notice V:  -> MASTER (stall) late")
	step(s)
	r = history.Recorder{}
	r.Resume(all)
	step(s)

	// A stop of a daemon that was requested is recorded as such.
	stop := r.Stop(at(40))
	all = append(all, stop...)
	if diff := cmp.Diff([]string{"22 40s process keepalived: started -> stopping () it was told to stop, or cannot go on"}, lines(stop)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	s.At = at(41)
	step(s) // an older answer
	s.Node.Stopping = true
	s.Processes[0].Started = nil
	step(s, "23 41s process vrrp: started -> ended () ")
	for _, want := range []string{
		"24 50s process keepalived: stopping -> started () ",
		"25 1m0s process keepalived: started -> started () its predecessor did not stop: it was killed, or the machine went down",
	} {
		r = history.Recorder{}
		r.Resume(all)
		s.Node = api.Node{Started: s.Node.Started.Add(10 * time.Second)}
		if len(all) == 23 {
			s.Node.Started = at(50)
		}
		step(s, want)
	}
}

// TestForget checks that objects of any kind that a reload has removed are forgotten, and
// that existing ones are not recorded again.
func TestForget(t *testing.T) {
	var r history.Recorder
	s := daemon()
	s.VRRP.Instances[0].Notices = []api.Change{{At: at(6), From: "MASTER", To: "MASTER", Cause: "stall"}}
	r.Step(s)
	lasting := r.Size()
	for n := range 100 {
		s := daemon()
		name := fmt.Sprint("passing ", n)
		for i := range s.VRRP.Instances {
			s.VRRP.Instances[i].Name = name
			s.VRRP.Instances[i].Notices = []api.Change{{At: at(6), From: "MASTER", To: "MASTER", Cause: "stall"}}
		}
		s.LVS.Services[0].Name, s.BFD.Sessions[0].Name = name, name
		r.Step(s)
	}
	if got := r.Size(); got != lasting+500 {
		t.Fatalf("%d are known, want %d", got, lasting+500)
	}
	r.Forget(s)
	if got := r.Size(); got != lasting {
		t.Errorf("%d are known, want %d", got, lasting)
	}
	if again := r.Step(s); len(again) != 0 {
		t.Errorf("%q", lines(again))
	}
}

// TestLog checks that the written events are read again, from at most two halves,
// whatever is at the end of the file.
func TestLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	open := func() (*history.Log, []history.Event) {
		t.Helper()
		l, past, err := history.Open(path, 2000)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l, past
	}
	l, past := open()
	if len(past) != 0 {
		t.Fatalf("%v", past)
	}
	var want []history.Event
	add := func(l *history.Log, n int) {
		t.Helper()
		var some []history.Event
		for range n {
			some = append(some, history.Event{ID: uint64(len(want) + 1), At: at(len(want)), Kind: history.Router, Name: "V", To: "MASTER", Why: "a \"cause\"\n"})
			want = append(want, some[len(some)-1])
		}
		if err := l.Append(some); err != nil {
			t.Fatal(err)
		}
	}
	add(l, 3)
	if _, past = open(); !cmp.Equal(want, past) {
		t.Errorf("%s", cmp.Diff(want, past))
	}
	// A power failure leaves half a line, and another program a long one.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "%s\n{\"id\":9,\"at", strings.Repeat("x", 100000))
	f.Close()
	l, _ = open()
	add(l, 1)
	if _, past = open(); len(past) == 0 || past[len(past)-1].ID != 4 {
		t.Errorf("%v", past)
	}
	for range 50 {
		add(l, 2)
	}
	_, past = open()
	if n := len(past); n < 10 || n > 45 || !cmp.Equal(want[len(want)-n:], past) {
		t.Errorf("%d events: %s", n, cmp.Diff(want[max(0, len(want)-n):], past))
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 2000 || info.Mode() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, err := history.Open(path, 2000); err == nil {
		t.Error("a directory is taken for a file")
	}
}

func FuzzLog(f *testing.F) {
	f.Add([]byte(`{"id":1,"at":"2026-11-22T12:00:00Z","kind":"router","name":"V","to":"MASTER"}` + "\n{\"id\":2"))
	f.Add([]byte("\n\n{}\n[]\nnull\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "history")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		l, past, err := history.Open(path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var r history.Recorder
		r.Resume(past)
		if err := l.Append([]history.Event{{ID: 7, Name: "new"}}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		var e history.Event
		last := b[bytes.LastIndexByte(b[:len(b)-1], '\n')+1:]
		if err != nil || json.Unmarshal(last, &e) != nil || e.Name != "new" {
			t.Errorf("the last line is %q", last)
		}
	})
}

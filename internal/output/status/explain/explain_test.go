package explain

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/statustest"
	"keepalived-go/vrrp"
)

var update = flag.Bool("update", false, "record the sentences")

var now = statustest.At

func before(d time.Duration) *time.Time {
	t := now.Add(-d)
	return &t
}

// daemon returns the state of a daemon with these virtual routers, all of which run.
func daemon(instances ...api.Instance) *api.Status {
	return &api.Status{
		Version: api.Version, At: now, Node: api.Node{Host: "node-1"},
		Processes: []api.Process{{Name: "vrrp", Wanted: true, PID: 8, Serves: true}},
		VRRP:      &api.VRRP{Snapshot: api.Snapshot{At: now}, Running: true, Instances: instances},
	}
}

// router returns a backup with priority 100 whose master is 192.0.2.1 with 150, changed
// by f.
func router(f func(i *api.Instance)) api.Instance {
	i := api.Instance{
		Name: "web", VRID: 51, State: "BACKUP", Wanted: "BACKUP", Since: before(3 * time.Hour), Cause: "start", Source: "192.0.2.2",
		Priority: api.Priority{Base: 100, Effective: 100, Total: 100}, AdvertInterval: 1, MasterDown: 3.609375,
		Master:    &api.Master{Address: "192.0.2.1", Priority: 150, Interval: 1},
		Addresses: []api.Address{{Address: "192.0.2.10/24", Interface: "eth0"}},
	}
	if f != nil {
		f(&i)
	}
	return i
}

// situations returns states of a daemon, in each of which the router "web" is explained.
func situations() (all []struct {
	name   string
	status *api.Status
}) {
	add := func(name string, s *api.Status, change ...func(*api.Status)) {
		for _, f := range change {
			f(s)
		}
		all = append(all, struct {
			name   string
			status *api.Status
		}{name, s})
	}
	one := func(name string, f func(i *api.Instance), change ...func(*api.Status)) {
		add(name, daemon(router(f)), change...)
	}

	one("backup of a higher priority", nil)
	one("notices, of which one is older than the state and one is told as an obstacle", func(i *api.Instance) {
		i.Notices = []api.Change{
			{At: *before(4 * time.Hour), From: "MASTER", To: "MASTER", Cause: "owner-conflict", Why: "CONFIGURATION ERROR"},
			{At: *before(2 * time.Hour), From: "BACKUP", To: "BACKUP", Cause: "own-address-received", Why: "the first"},
			{At: *before(time.Hour), From: "BACKUP", To: "BACKUP", Cause: "no-preempt", Why: "stays BACKUP"},
			{At: *before(time.Minute), From: "BACKUP", To: "BACKUP", Cause: "own-address-received", Why: "WARNING - equal priority advert received from remote host with our IP address 192.0.2.2"},
		}
	})
	one("backup of the same priority", func(i *api.Instance) { i.Master.Priority = 100 })
	one("backup of an owner", func(i *api.Instance) { i.Master.Priority = 255 })
	one("backup of the highest priority", func(i *api.Instance) { i.Master.Priority = 254 })
	one("backup with nopreempt of a higher priority", func(i *api.Instance) { i.NoPreempt = true })
	one("backup without a master", func(i *api.Instance) {
		i.Master, i.Since = nil, before(time.Second)
		timer := now.Add(2609 * time.Millisecond)
		i.Timer = &timer
	})
	one("backup without a master, with nopreempt", func(i *api.Instance) { i.Master, i.NoPreempt = nil, true })
	one("backup of a lower priority for a moment", func(i *api.Instance) { i.Master.Priority = 50 })
	for _, o := range []struct{ code, text string }{
		{"start-delay", "start-up delay, 3s left"},
		{"nopreempt", "nopreempt: 192.0.2.1 is master with priority 50"},
		{"preempt-delay", "preempt_delay, 3s left: 192.0.2.1 is master with priority 50"},
		{"group", "its sync group: db is in FAULT"},
	} {
		one("obstacle "+o.code, func(i *api.Instance) {
			i.Obstacle, i.Hindrance, i.Master.Priority, i.Group = o.code, o.text, 50, "G"
		}, func(s *api.Status) {
			s.VRRP.Instances = append(s.VRRP.Instances, api.Instance{Name: "db", Group: "G", State: "FAULT", Faults: []string{"link-down"}, Fault: "interface eth1 is down"})
		})
	}
	for r := vrrp.Reason(0); r.String() != fmt.Sprint(uint8(r)); r++ {
		one("master by "+r.String(), func(i *api.Instance) {
			i.State, i.Master, i.Cause, i.Held = "MASTER", nil, r.String(), true
			i.Addresses[0].Set = true
		})
	}
	one("master by a cause with words", func(i *api.Instance) {
		i.State, i.Master, i.Cause, i.Why = "MASTER", nil, "master-down", "no advert from 192.0.2.1, with priority 150, for 3.61s"
	})
	one("master that owns the addresses", func(i *api.Instance) {
		i.State, i.Master, i.Cause, i.Priority = "MASTER", nil, "owner", api.Priority{Base: 255, Effective: 255, Total: 255, Owner: true}
	})
	one("master without an address in the kernel", func(i *api.Instance) { i.State, i.Master, i.Cause, i.Held = "MASTER", nil, "no-master", true })
	for _, code := range vrrp.Faults(1<<10 - 1).Names() {
		one("fault "+code, func(i *api.Instance) { i.State, i.Master, i.Cause, i.Faults = "FAULT", nil, "fault", []string{code} })
	}
	one("faults of trackers and more", func(i *api.Instance) {
		i.State, i.Master, i.Cause, i.Why, i.Group = "FAULT", nil, "fault", "interface eth1 is down", "G"
		i.Faults, i.Fault = []string{"link-down", "tracker", "group"}, "interface eth1 is down"
		i.Trackers = []api.Tracking{
			{Kind: "track_script", Name: "nginx", State: "down", Fault: true, Detail: "exited with status 1"},
			{Kind: "track_process", Name: "haproxy", State: "up", Fault: true, Reverse: true},
			{Kind: "track_bfd", Name: "peer", State: "up"},
		}
	}, func(s *api.Status) {
		s.VRRP.Instances = append(s.VRRP.Instances,
			api.Instance{Name: "db", Group: "G", State: "FAULT", Faults: []string{"tracker", "group"}, Fault: "track_script db: timed out"},
			api.Instance{Name: "cache", Group: "G", State: "INIT", WaitsFor: "track_script cache"},
			api.Instance{Name: "only because of the group", Group: "G", State: "FAULT", Faults: []string{"group"}},
			api.Instance{Name: "of another group", State: "FAULT", Faults: []string{"link-down"}})
	})
	one("faults of many trackers", func(i *api.Instance) {
		i.State, i.Master, i.Cause, i.Faults, i.Fault = "FAULT", nil, "fault", []string{"tracker"}, "track_script s0: timed out"
		for n := range most + 2 {
			i.Trackers = append(i.Trackers, api.Tracking{Kind: "track_script", Name: fmt.Sprint("s", n), State: "down", Fault: true, Detail: "timed out"})
		}
	})
	one("fault of a member of the group alone", func(i *api.Instance) {
		i.State, i.Master, i.Cause, i.Why, i.Group, i.Faults = "FAULT", nil, "group", "its sync group", "G", nil
	}, func(s *api.Status) {
		s.VRRP.Instances = append(s.VRRP.Instances, api.Instance{Name: "db", Group: "G", State: "FAULT", Faults: []string{"link-down"}, Fault: "interface eth1 is down"})
	})
	one("not started, waits for a tracker", func(i *api.Instance) {
		*i = api.Instance{Name: "web", State: "INIT", Wanted: "BACKUP", WaitsFor: "track_script nginx", Priority: i.Priority}
	})
	one("before the routers begin", func(i *api.Instance) { *i = api.Instance{Name: "web", State: "INIT", Priority: i.Priority} },
		func(s *api.Status) { s.VRRP.Running = false })
	one("stopped", func(i *api.Instance) { i.State, i.Master, i.Cause = "STOP", nil, "shutdown" }, func(s *api.Status) { s.Node.Stopping = true })
	one("the process died", nil, func(s *api.Status) {
		next := now.Add(1500 * time.Millisecond)
		s.Processes[0] = api.Process{Name: "vrrp", Wanted: true, Deaths: 2, Next: &next}
		s.VRRP.Stale, s.VRRP.At = "it does not run", now.Add(-12*time.Second)
	})
	one("the process hangs, and was master", func(i *api.Instance) { i.State, i.Master, i.Cause = "MASTER", nil, "no-master" }, func(s *api.Status) {
		s.VRRP.Stale, s.VRRP.At = "no answer for 5s", now.Add(-5*time.Minute)
	})
	one("the process died before the router started", func(i *api.Instance) {
		*i = api.Instance{Name: "web", State: "INIT", Priority: i.Priority}
	}, func(s *api.Status) { s.VRRP.Stale = "it does not run" })
	one("priority lowered by trackers", func(i *api.Instance) {
		i.Priority = api.Priority{Base: 100, Effective: 1, Total: -20, Arithmetic: "100 - 60 (track_script a: timed out) - 60 (track_process b) = -20"}
		i.Trackers = []api.Tracking{
			{Kind: "track_script", Name: "a", Weight: -60, State: "down"},
			{Kind: "track_process", Name: "b", Weight: 60, Reverse: true, State: "up"},
			{Kind: "track_script", Name: "good", Weight: 10, State: "up"},
			{Kind: "track_script", Name: "gone", Weight: 10, State: "disabled"},
			{Kind: "track_file", Name: "f", Weight: 10, State: "up"},
		}
	})
	one("packets dropped", func(i *api.Instance) { // of every kind
		i.Rejected = map[string]uint64{}
		for r := vrrp.Reject(0); r.String() != fmt.Sprint(uint8(r)); r++ {
			i.Rejected[r.String()] = uint64(r) + 1
		}
	})
	return all
}

// TestSentences checks the sentences for each state, cause, fault, obstacle and reject.
func TestSentences(t *testing.T) {
	var got strings.Builder
	for _, c := range situations() {
		e := Instance(c.status, "web")
		if e == nil {
			t.Fatalf("%s: nothing is explained", c.name)
		}
		fmt.Fprintf(&got, "# %s\n", c.name)
		parts := []Part{Verdict, Stale, Cause, Blocker, Priority, Change, Rejected, Noticed}
		last := 0
		for _, s := range e.Sentences {
			fmt.Fprintf(&got, "%-8s %-20s %s\n", s.Part, s.Code, s.Text)
			at := slices.Index(parts, s.Part)
			if at < last {
				t.Errorf("%s: %s comes after %s", c.name, s.Part, parts[last])
			}
			last = at
			if s.Code == "" || !strings.HasSuffix(s.Text, ".") || strings.Contains(s.Text, "%!") || strings.Contains(s.Text, "..") {
				t.Errorf("%s: %+v is no sentence with a code", c.name, s)
			}
		}
		got.WriteString("\n")
	}
	statustest.Golden(t, *update, "testdata/sentences.txt", got.String())
}

// TestEachCodeHasItsSentence checks that each reason, fault and obstacle of the engine
// has a sentence here, and that no sentence is for one that does not exist.
func TestEachCodeHasItsSentence(t *testing.T) {
	var names []string
	for r := vrrp.Reason(0); r.String() != fmt.Sprint(uint8(r)); r++ {
		names = append(names, r.String())
	}
	same(t, "clauses", clauses, names)
	var faults []string
	for _, name := range vrrp.Faults(^vrrp.Faults(0)).Names() {
		if !strings.HasPrefix(name, "0x") { // bits without a name
			faults = append(faults, name)
		}
	}
	same(t, "remedies", remedies, faults)
	names = nil
	for o := vrrp.ObstacleNone + 1; o.String() != fmt.Sprint(uint8(o)); o++ {
		names = append(names, o.String())
	}
	same(t, "obstacles", obstacles, names)
}

func same[V any](t *testing.T, what string, table map[string]V, names []string) {
	t.Helper()
	if len(names) < 3 {
		t.Errorf("%s: the engine has only the codes %q", what, names)
	}
	for _, name := range names {
		if _, ok := table[name]; !ok {
			t.Errorf("%s: %s has no sentence", what, name)
		}
	}
	for name := range table {
		if !slices.Contains(names, name) {
			t.Errorf("%s: the engine does not know %s", what, name)
		}
	}
}

func TestUnknownInstance(t *testing.T) {
	if e := Instance(daemon(router(nil)), "other"); e != nil {
		t.Errorf("a router that does not exist: %+v", e)
	}
	if e := Instance(&api.Status{}, "web"); e != nil {
		t.Errorf("without a VRRP process: %+v", e)
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 0: "0 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 min", 119 * time.Minute: "119 min",
		2 * time.Hour: "2 h", 47 * time.Hour: "47 h", 48 * time.Hour: "2 d",
	} {
		if got := Age(d); got != want {
			t.Errorf("Age(%v) = %s, want %s", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0 s", time.Second: "1 s", 3609375 * time.Microsecond: "3.61 s", 10 * time.Second: "10 s", 250 * time.Millisecond: "0.25 s"} {
		if got := Span(d); got != want {
			t.Errorf("Span(%v) = %s, want %s", d, got, want)
		}
	}
}

package main

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/explain"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/metrics"
	"keepalived-go/internal/output/status/screen"
)

// example is the daemon of the documentation: a backup of one virtual router, with a
// fault in another one.
func example() *api.Status {
	now := time.Date(2026, 11, 28, 14, 30, 0, 0, time.UTC)
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	snapshot := api.Snapshot{At: now}
	script := api.Tracking{Kind: "track_script", Name: "nginx", State: "down", Fault: true, Detail: "exited with status 1", Reported: ago(time.Second)}
	cost := script
	cost.Weight, cost.Fault = -60, false
	server := func(name string, up bool, reason string) api.RealServer {
		r := api.RealServer{Name: name, Up: up, InPool: up, Since: ago(3 * time.Hour), Weight: 1, Configured: 1}
		state := "down"
		if up {
			state = "up"
		}
		r.Checks = []api.Check{{Kind: "HTTP_GET", State: state, Last: ago(2 * time.Second), OK: up, Reason: reason}}
		return r
	}
	return &api.Status{
		Version: api.Version, At: now, Node: api.Node{Host: "node-b", Release: "2.4.3-go", PID: 711, Started: *ago(72 * time.Hour)},
		Processes: []api.Process{
			{Name: "vrrp", Wanted: true, PID: 712, Started: ago(72 * time.Hour), Serves: true},
			{Name: "checkers", Wanted: true, PID: 713, Started: ago(72 * time.Hour), Serves: true},
			{Name: "control", Wanted: true, PID: 714, Started: ago(72 * time.Hour), Serves: true},
		},
		Configuration: api.Configuration{File: "/etc/keepalived/keepalived.conf", Read: *ago(5 * time.Hour), Reloads: 1},
		VRRP: &api.VRRP{
			Snapshot: snapshot, Running: true,
			Trackers: []api.Tracker{{Kind: "track_script", Name: "nginx", State: "down", Detail: "exited with status 1"}},
			Instances: []api.Instance{
				{
					Name: "web", VRID: 51, State: "BACKUP", Wanted: "BACKUP", Since: ago(3 * time.Hour), Cause: "higher-priority", Why: "192.0.2.1 has the higher priority 150",
					Priority: api.Priority{Base: 120, Effective: 60, Total: 60, Arithmetic: "120 - 60 (track_script nginx: exited with status 1) = 60"},
					Master:   &api.Master{Address: "192.0.2.1", Priority: 150, Interval: 1}, MasterDown: 3.765625, Source: "192.0.2.2",
					Addresses: []api.Address{{Address: "192.0.2.10/24"}, {Address: "192.0.2.11/24"}}, Trackers: []api.Tracking{cost},
					History: []api.Change{
						{At: *ago(72 * time.Hour), From: "INIT", To: "BACKUP", Cause: "start"},
						{At: *ago(4 * time.Hour), From: "BACKUP", To: "MASTER", Cause: "master-down", Why: "no advert from 192.0.2.1, with priority 150, for 3.531s"},
						{At: *ago(3 * time.Hour), From: "MASTER", To: "BACKUP", Cause: "higher-priority", Why: "192.0.2.1 has the higher priority 150"},
					},
					Rejected: map[string]uint64{"advert_interval_err": 12},
				},
				{
					Name: "inside", VRID: 52, State: "FAULT", Wanted: "FAULT", Since: ago(10 * time.Minute), Cause: "track_script", Why: "track_script nginx: exited with status 1",
					Faults: []string{"tracker"}, Fault: "track_script nginx: exited with status 1", Priority: api.Priority{Base: 100, Effective: 100, Total: 100},
					Addresses: []api.Address{{Address: "198.51.100.10/24"}}, Trackers: []api.Tracking{script}, Peers: []string{"198.51.100.2"},
					History: []api.Change{
						{At: *ago(10 * time.Minute), From: "BACKUP", To: "FAULT", Cause: "track_script", Why: "track_script nginx: exited with status 1"},
					},
				},
			},
		},
		LVS: &api.LVS{
			Snapshot: snapshot, Running: true,
			Services: []api.VirtualServer{{
				Name: "[192.0.2.10]:tcp:80", Scheduler: "wlc", Up: true, Since: ago(72 * time.Hour), Quorum: 1, Weight: 1, Alive: 1,
				Servers: []api.RealServer{server("[10.0.0.1]:tcp:80", true, ""), server("[10.0.0.2]:tcp:80", false, "connection refused")},
			}},
		},
	}
}

var generated = regexp.MustCompile(`(?s)(<!-- generated: (\w+) -->\n).*?(<!-- end -->)`)

// TestStatusPage checks that the views, the metrics and the fields in docs/status.md are
// those of the program; -update writes them.
func TestStatusPage(t *testing.T) {
	zone := time.Local
	time.Local = time.UTC
	t.Cleanup(func() { time.Local = zone })
	s := example()
	o := screen.Options{Width: 80}
	shown := func(command, text string) string { return "```\n$ " + command + "\n" + text + "```\n" }
	line, _ := screen.Check(s)
	parts := map[string]string{
		"status":  shown("keepalived status", screen.Status(s, o)),
		"check":   shown("keepalived status --check", line+"\n"),
		"explain": shown("keepalived explain", screen.Explanations([]*explain.Explanation{explain.Instance(s, "web"), explain.Instance(s, "inside")}, o)),
		"servers": shown("keepalived servers", screen.Servers(s.LVS, o)),
		"peers":   shown("keepalived peers", screen.Peers(screen.NeighboursOf(s.VRRP), o)),
		"history": shown("keepalived history", screen.Events(new(history.Recorder).Step(s), o)),
		"top":     shown("keepalived top", topScreen(s)),
		"metrics": metricsTable(),
		"fields":  fieldTables(reflect.TypeFor[api.Status](), reflect.TypeFor[explain.Explanation](), reflect.TypeFor[screen.Neighbours](), reflect.TypeFor[history.Event]()),
	}
	const name = "../../docs/status.md"
	page, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	want := generated.ReplaceAllStringFunc(string(page), func(old string) string {
		m := generated.FindStringSubmatch(old)
		n++
		if parts[m[2]] == "" {
			t.Errorf("%s: nothing is generated for %s", name, m[2])
		}
		return m[1] + parts[m[2]] + m[3]
	})
	if n != len(parts) {
		t.Errorf("%s has %d of %d generated parts", name, n, len(parts))
	}
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(strings.Split(string(page), "\n"), strings.Split(want, "\n")); diff != "" {
		t.Errorf("%s (-page +program); go test ./cmd/keepalived -run TestStatusPage -update\n%s", name, diff)
	}
}

// topScreen returns a live view of 80 columns and 24 lines.
func topScreen(s *api.Status) string {
	m := screen.Top{Options: screen.Options{Width: 80}, Height: 24}
	m.State(s, nil)
	for _, e := range new(history.Recorder).Step(s) {
		m.Event(&e)
	}
	return strings.Join(m.Lines(s.At), "\n") + "\n"
}

func metricsTable() string {
	var b strings.Builder
	b.WriteString("| metric | type | labels | meaning |\n|---|---|---|---|\n")
	for _, f := range metrics.Families() {
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.Name, f.Type, strings.Join(f.Labels, ", "), f.Help)
	}
	return b.String()
}

// fieldTables returns tables of the fields of types, and of the types in them.
func fieldTables(types ...reflect.Type) string {
	var b strings.Builder
	for i := 0; i < len(types); i++ { // the loop appends to types
		typ := types[i]
		fmt.Fprintf(&b, "### %s\n\n| field | type | meaning |\n|---|---|---|\n", typ.Name())
		var rows func(reflect.Type)
		rows = func(typ reflect.Type) {
			for k := range typ.NumField() {
				f := typ.Field(k)
				if f.Anonymous {
					rows(f.Type)
					continue
				}
				name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
				fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, typeName(f.Type, &types), f.Tag.Get("doc"))
			}
		}
		rows(typ)
		b.WriteString("\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// typeName returns the name of a type in JSON. It appends a structure to types.
func typeName(t reflect.Type, types *[]reflect.Type) string {
	switch {
	case t.Kind() == reflect.Pointer:
		return typeName(t.Elem(), types)
	case t == reflect.TypeFor[time.Time]():
		return "time"
	case t == reflect.TypeFor[api.Seconds]():
		return "seconds"
	case t.Kind() == reflect.Slice:
		return "list of " + typeName(t.Elem(), types)
	case t.Kind() == reflect.Map:
		return "numbers by name"
	case t.Kind() == reflect.Struct:
		for _, known := range *types {
			if known == t {
				return fmt.Sprintf("[%s](#%s)", t.Name(), strings.ToLower(t.Name()))
			}
		}
		*types = append(*types, t)
		return typeName(t, types)
	case t.Kind() == reflect.String:
		return "text"
	case t.Kind() == reflect.Bool:
		return "true or false"
	}
	return "number"
}

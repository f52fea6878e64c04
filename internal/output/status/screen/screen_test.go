package screen

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/api/apitest"
	"keepalived-go/internal/output/status/explain"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/statustest"
)

var update = flag.Bool("update", false, "record the texts")

// healthy returns the state of a daemon without a problem.
func healthy() *api.Status {
	at := statustest.At
	hour := at.Add(-time.Hour)
	return &api.Status{
		Version: api.Version, At: at, Node: api.Node{Host: "node-1", Release: "2.4.3-go", PID: 7, Started: hour},
		Processes:     []api.Process{{Name: "vrrp", Wanted: true, PID: 8, Started: &hour, Serves: true}, {Name: "bfd"}},
		Configuration: api.Configuration{File: "/etc/keepalived/keepalived.conf", Read: hour, Reloads: 1, Reloading: true},
		VRRP: &api.VRRP{Snapshot: api.Snapshot{At: at}, Running: true, Instances: []api.Instance{{
			Name: "web", State: "MASTER", Since: &hour, Held: true, Priority: api.Priority{Effective: 100},
			Addresses: []api.Address{{Address: "192.0.2.10/24", Set: true}},
		}}},
	}
}

// large returns the state of a daemon with many virtual routers, some of which are in
// FAULT.
func large() *api.Status {
	s := healthy()
	s.VRRP.Instances = nil
	for i := range 200 {
		in := api.Instance{Name: fmt.Sprintf("VI_%d", i), State: "MASTER", Priority: api.Priority{Effective: 100}}
		switch {
		case i%7 == 6:
			in.State, in.Fault = "FAULT", "interface eth1 is down"
		case i%2 == 1:
			in.State = "BACKUP"
		}
		s.VRRP.Instances = append(s.VRRP.Instances, in)
	}
	return s
}

// stale returns the state of a daemon whose processes do not answer any more.
func stale(t *testing.T) *api.Status {
	s := apitest.Daemon(t)
	s.VRRP.Stale, s.LVS.Stale, s.BFD.Stale = "no answer for 5s", "it does not run", "it does not run"
	return s
}

// TestViews checks each view as text, which -update records.
func TestViews(t *testing.T) {
	whole := apitest.Daemon(t)
	explanations := func(s *api.Status) (all []*explain.Explanation) {
		for i := range s.VRRP.Instances {
			all = append(all, explain.Instance(s, s.VRRP.Instances[i].Name))
		}
		return all
	}
	yaml, err := YAML(whole)
	if err != nil {
		t.Fatal(err)
	}
	events := new(history.Recorder).Step(whole)
	check := func(s *api.Status) string { line, _ := Check(s); return line + "\n" }
	for name, got := range map[string]string{
		"status":         Status(whole, Options{}),
		"status-80":      Status(whole, Options{Width: 80}),
		"status-color":   Status(whole, Options{Width: 60, Color: true}),
		"status-healthy": Status(healthy(), Options{Width: 80}),
		"status-large":   Status(large(), Options{Width: 80}),
		"status-stale":   Status(stale(t), Options{Width: 80}),
		"status-empty":   Status(&api.Status{}, Options{}),
		"check":          check(whole) + check(healthy()) + check(large()),
		"explain":        Explanations(explanations(whole), Options{Width: 80}),
		"explain-stale":  Explanations(explanations(stale(t)), Options{Width: 80}),
		"servers":        Servers(whole.LVS, Options{Width: 80}) + "---\n" + Servers(nil, Options{}),
		"servers-stale":  Servers(stale(t).LVS, Options{Width: 80, Color: true}),
		"peers":          Peers(NeighboursOf(whole.VRRP), Options{}) + "---\n" + Peers(NeighboursOf(nil), Options{}),
		"history":        Events(events, Options{}) + "---\n" + Event(&events[len(events)-1], Options{}) + "---\n" + Events(nil, Options{}),
		"wide":           Wide(whole, Options{}),
		"yaml":           yaml,
	} {
		statustest.Golden(t, *update, "testdata/"+name+".txt", got)
		for n, line := range strings.Split(got, "\n") {
			if strings.TrimRight(line, " ") != line {
				t.Errorf("%s:%d: blanks at the end", name, n+1)
			}
			if strings.ContainsFunc(line, func(r rune) bool {
				return r > '~' || r < ' ' && (r != '\x1b' || !strings.Contains(name, "color") && name != "servers-stale")
			}) {
				t.Errorf("%s:%d: not plain: %q", name, n+1, line)
			}
		}
		if !strings.HasSuffix(got, "\n") || strings.HasSuffix(got, "\n\n") {
			t.Errorf("%s: its end is not that of a line", name)
		}
	}
}

// TestColours checks that a text with colours is the same text without them.
// TestBrief checks that a brief state has what one screen, a monitoring plugin and the list of
// problems show, and is shorter.
func TestBrief(t *testing.T) {
	s := statustest.VRRP(t, statustest.Load(t))
	read := func(brief bool) (out *api.Status, length int) {
		var text bytes.Buffer
		w := bufio.NewWriter(&text)
		out = apitest.Daemon(t)
		out.VRRP = &api.VRRP{}
		if err := errors.Join(api.WriteVRRP(w, slices.Values([][]status.Instance{s.Instances}), s, brief), w.Flush(), json.Unmarshal(text.Bytes(), out.VRRP)); err != nil {
			t.Fatal(err)
		}
		return out, text.Len()
	}
	whole, long := read(false)
	brief, short := read(true)
	if reflect.DeepEqual(whole, brief) || short >= long {
		t.Errorf("the brief state has %d bytes, the whole one %d", short, long)
	}
	line := func(s *api.Status) string { text, _ := Check(s); return text }
	for name, view := range map[string]func(*api.Status) string{
		"status":   func(s *api.Status) string { return Status(s, Options{}) },
		"check":    line,
		"problems": func(s *api.Status) string { return fmt.Sprint(explain.Problems(s)) },
	} {
		if got, want := view(brief), view(whole); got != want {
			t.Errorf("%s of the brief state is\n%s, want\n%s", name, got, want)
		}
	}
}

func TestColours(t *testing.T) {
	s := apitest.Daemon(t)
	plain, coloured := Status(s, Options{Width: 80}), Status(s, Options{Width: 80, Color: true})
	for _, sequence := range []string{bold, red, yellow, green, off} {
		if !strings.Contains(coloured, sequence) {
			t.Errorf("no %q", sequence)
		}
		coloured = strings.ReplaceAll(coloured, sequence, "")
	}
	if diff := cmp.Diff(plain, coloured); diff != "" {
		t.Errorf("-plain +coloured\n%s", diff)
	}
}

// TestWidth checks that no sentence is wider than the screen.
func TestWidth(t *testing.T) {
	for _, width := range []int{40, 60, 80} {
		text, _, _ := strings.Cut(Status(apitest.Daemon(t), Options{Width: width}), "VIRTUAL ROUTER")
		for _, line := range strings.Split(text, "\n")[2:] {
			if len(line) > width && strings.Contains(strings.TrimSpace(line), " ") {
				t.Errorf("%d columns: %q", width, line)
			}
		}
	}
}

// TestForeignText checks that texts of other programs reach the terminal only as plain
// text.
func TestForeignText(t *testing.T) {
	s := healthy()
	evil := "a\x1b[2Jb\x07\nc\u0085"
	s.Node.Host, s.Configuration.File = evil, evil
	in := &s.VRRP.Instances[0]
	in.Name, in.State, in.Fault, in.Addresses[0].Address = evil, "FAULT", evil, evil
	in.Rejected = map[string]uint64{evil: 1}
	s.LVS = &api.LVS{Services: []api.VirtualServer{{Name: evil, Servers: []api.RealServer{{Name: evil, Checks: []api.Check{{Kind: evil, Reason: evil}}}}}}}
	line, _ := Check(s)
	for _, text := range []string{
		Status(s, Options{}), line, Servers(s.LVS, Options{}), Peers(NeighboursOf(s.VRRP), Options{}), Events([]history.Event{{Name: evil, From: evil, To: evil, Why: evil}}, Options{}), Event(&history.Event{Name: evil, From: evil, To: evil, Why: evil}, Options{}), Wide(s, Options{}),
		Explanations([]*explain.Explanation{explain.Instance(s, evil)}, Options{}),
	} {
		if strings.ContainsAny(text, "\x1b\x07\u0085") {
			t.Errorf("control characters: %q", text)
		}
	}
	if strings.Contains(line, "\n") {
		t.Errorf("more than a line: %q", line)
	}
}

// TestWideShowsEachField checks that each value in JSON is in the wide view.
func TestWideShowsEachField(t *testing.T) {
	s := apitest.Daemon(t)
	text := Wide(s, Options{})
	raw, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	n := 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, value := range v {
				walk(path+"."+name, value)
			}
		case []any:
			for _, value := range v {
				walk(path, value)
			}
		case string:
			n++
			if !strings.Contains(text, plain(v)) {
				t.Errorf("without %s = %q", path, v)
			}
		}
	}
	walk("", tree)
	if n < 100 {
		t.Errorf("only %d values were looked for", n)
	}
}

// TestTested checks the results of the reports of a test.
func TestTested(t *testing.T) {
	tested := api.Tested{Name: "web", State: "FAULT", Present: "MASTER", Reports: []api.Delivery{
		{Keyword: "notify_fault", To: "/etc/a \x1b[2J", Result: "exited with status 3", Took: 0.00312},
		{Keyword: "notify_fifo", To: "/run/fifo", Result: "read", OK: true},
	}}
	want := "FAULT was reported of web.\n\nBY            TO           TOOK   RESULT\nnotify_fault  /etc/a ?[2J  3.1ms  exited with status 3\nnotify_fifo   /run/fifo    -      read\n\nIt is MASTER, which was reported afterwards.\n"
	if got := Tested(&tested, Options{}); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}

// TestPlanned checks what a reload would change, or why it would be refused.
func TestPlanned(t *testing.T) {
	for _, test := range []struct {
		plan api.Plan
		want string
	}{
		{api.Plan{File: "k.conf", Routers: api.Effects{Same: 3}}, "A reload of k.conf would change nothing.\n"},
		{api.Plan{File: "k.conf", Refused: "no daemon could start with this file", Errors: []string{"k.conf:1:1: \x1bno"}},
			"A reload of k.conf would be refused: no daemon could start with this file.\nThe file has errors:\n  k.conf:1:1: ?no\n"},
		{api.Plan{
			File: "k.conf", Changes: "vrrp_instance A\n    priority 100 → 150\n", Fixed: []string{"instance", "net_namespace"},
			Routers:   api.Effects{Same: 1, List: []api.Outcome{{Name: "A", Effect: "changes, and keeps its state"}}},
			Services:  api.Effects{Same: 1, List: []api.Outcome{{Name: "[10.0.0.1]:tcp:80", Effect: "is added"}}, More: 7},
			Processes: []api.Outcome{{Name: "checkers", Effect: "is started"}},
		}, `A reload of k.conf would change:

vrrp_instance A
    priority 100 → 150

WHAT            NAME               EFFECT
vrrp_instance   A                  changes, and keeps its state
virtual_server  [10.0.0.1]:tcp:80  is added
virtual_server  -                  and 7 more
process         checkers           is started

Nothing happens to the 2 others.

Only a restart changes instance, net_namespace.
`},
		{api.Plan{File: "k.conf", Fixed: []string{"instance"}}, "A reload of k.conf would change:\n\nOnly a restart changes instance.\n"},
	} {
		if got := Planned(&test.plan, Options{}); got != test.want {
			t.Errorf("%s\nwant\n%s", got, test.want)
		}
	}
}

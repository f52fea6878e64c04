package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/api/apitest"
	"keepalived-go/internal/output/status/explain"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/metrics"
	"keepalived-go/internal/output/status/screen"
	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/act"
)

// serveStatus serves the state of a daemon on a control socket until the test ends.
func serveStatus(t *testing.T, s *api.Status) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) { json.NewEncoder(w).Encode(s) })
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) { metrics.Write(w, s) })
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) { json.NewEncoder(w).Encode(s.Configuration) })
	mux.HandleFunc("POST /v1/announce", func(w http.ResponseWriter, r *http.Request) {
		var a act.Act
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil || a.Name != "web" || a.Reason != "moved" {
			t.Errorf("%+v %v", a, err)
		}
		json.NewEncoder(w).Encode(api.Done{Result: "web announces its addresses (2) again"})
	})
	events := new(history.Recorder).Step(s)
	mux.HandleFunc("GET /v1/history", func(w http.ResponseWriter, r *http.Request) {
		name := r.URL.Query().Get("name")
		json.NewEncoder(w).Encode(slices.DeleteFunc(slices.Clone(events), func(e history.Event) bool { return name != "" && e.Name != name }))
	})
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) {
		for _, e := range events {
			b, _ := json.Marshal(e)
			fmt.Fprintf(w, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, b)
		}
	})
	server := &http.Server{Handler: mux}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return socket
}

// asked returns the output of a verb, and its exit status.
func runVerb(t *testing.T, verb string, args ...string) (string, int) {
	t.Helper()
	for _, q := range questions() {
		if q.name == verb {
			var out bytes.Buffer
			code := (&asker{question: q}).main(args, &out)
			return out.String(), code
		}
	}
	t.Fatalf("no verb %s", verb)
	return "", 0
}

// TestQuestions checks that each verb, in each of its formats, is a view of the daemon's
// answer.
func TestQuestions(t *testing.T) {
	s := apitest.Daemon(t)
	socket := "--socket=" + serveStatus(t, s)
	var text bytes.Buffer
	if err := metrics.Write(&text, s); err != nil {
		t.Fatal(err)
	}
	var all []*explain.Explanation
	for _, name := range []string{"A", "B", "C", "D"} {
		all = append(all, explain.Instance(s, name))
	}
	plain := screen.Options{}
	events := new(history.Recorder).Step(s)
	for verb, want := range map[string]string{
		"status": screen.Status(s, plain), "explain": screen.Explanations(all, plain), "servers": screen.Servers(s.LVS, plain), "metrics": text.String(),
		"peers": screen.Peers(screen.NeighboursOf(s.VRRP), plain), "history": screen.Events(events, plain),
		"status -o wide": screen.Wide(s, plain), "explain C": screen.Explanations(all[2:3], plain), "history C": screen.Events(slices.DeleteFunc(slices.Clone(events), func(e history.Event) bool { return e.Name != "C" }), plain),
	} {
		words := strings.Fields(verb)
		got, code := runVerb(t, words[0], append(words[1:], socket)...)
		if got != want || code != proc.ExitOK {
			t.Errorf("%s: exit status %d\n%s\nwant\n%s", verb, code, got, want)
		}
	}
	for _, q := range questions() {
		if q.act != nil || q.request != nil {
			continue
		}
		for _, format := range q.outputs {
			got, code := runVerb(t, q.name, socket, "-o", format)
			if code != proc.ExitOK || len(got) < 100 {
				t.Errorf("%s -o %s: exit status %d, %q", q.name, format, code, got)
			}
			if format != "json" {
				continue
			}
			if !json.Valid([]byte(got)) {
				t.Errorf("%s -o json is none: %s", q.name, got)
			}
			if short, _ := runVerb(t, q.name, socket, "--json"); short != got {
				t.Errorf("%s --json is not -o json", q.name)
			}
		}
	}
}

// TestCheck checks that the exit status of --check is that of monitoring plugins, and
// that it prints one line.
func TestCheck(t *testing.T) {
	fine := &api.Status{Version: api.Version}
	warned := &api.Status{Version: api.Version, Configuration: api.Configuration{Errors: 1}}
	other := &api.Status{Version: api.Version + 1}
	for _, c := range []struct {
		socket string
		code   int
		want   string
	}{
		{serveStatus(t, fine), 0, "KEEPALIVED OK - nothing is wrong | "},
		{serveStatus(t, warned), 1, "KEEPALIVED WARNING - The configuration has 1 error; "},
		{serveStatus(t, apitest.Daemon(t)), 2, "KEEPALIVED CRITICAL - The BFD process does not run; "},
		{filepath.Join(t.TempDir(), "control.sock"), 2, "KEEPALIVED CRITICAL - no daemon answers at "},
		{serveStatus(t, other), 3, "KEEPALIVED UNKNOWN - "},
	} {
		got, code := runVerb(t, "status", "--check", "--socket", c.socket)
		if code != c.code || !strings.HasPrefix(got, c.want) || strings.Count(got, "\n") != 1 {
			t.Errorf("exit status %d, want %d; %q, want %q", code, c.code, got, c.want)
		}
	}
}

// TestFollowEvents checks that each event is a line, as text and as JSON.
func TestFollowEvents(t *testing.T) {
	s := apitest.Daemon(t)
	socket := serveStatus(t, s)
	events := new(history.Recorder).Step(s)
	for _, format := range []string{"text", "json"} {
		var f frames
		for _, q := range questions() {
			if q.name == "events" {
				if code := (&asker{question: q}).main([]string{"--socket", socket, "-o", format}, &f); code != proc.ExitFatal {
					t.Errorf("exit status %d", code)
				}
			}
		}
		if len(f.texts) != 3 {
			t.Fatalf("%q", f.texts)
		}
		var e history.Event
		switch text := f.texts[2]; {
		case format == "text" && text != screen.Event(&events[2], screen.Options{}):
			t.Errorf("%q", text)
		case format == "json" && (json.Unmarshal([]byte(text), &e) != nil || !cmp.Equal(e, events[2])):
			t.Errorf("%s: %s", text, cmp.Diff(events[2], e))
		}
	}
	if _, code := runVerb(t, "events", "--socket", filepath.Join(t.TempDir(), "none")); code != proc.ExitFatal {
		t.Errorf("without a daemon: exit status %d", code)
	}
	if _, code := runVerb(t, "history", "--since", "yesterday"); code != proc.ExitFatal {
		t.Errorf("since yesterday: exit status %d", code)
	}
	if _, code := runVerb(t, "history", "--since", "24h", "--socket", socket); code != proc.ExitOK {
		t.Errorf("since 24 h: exit status %d", code)
	}
}

// TestReload checks that the result of a reload is shown, and that a refused one is a
// failure.
func TestReload(t *testing.T) {
	s := apitest.Daemon(t)
	socket := serveStatus(t, s)
	got, code := runVerb(t, "reload", "--socket", socket)
	if want := "Reload refused: the running configuration stays.\n  keepalived.conf:3:5: unknown keyword prioriti\n"; code != proc.ExitFatal || !strings.HasPrefix(got, want) {
		t.Errorf("exit status %d\n%s", code, got)
	}
	s.Configuration.Refused = nil
	got, code = runVerb(t, "reload", "--socket", socket)
	if want := "Reloaded /etc/keepalived/keepalived.conf; it has 1 error, which the log names.\n"; code != proc.ExitOK || got != want {
		t.Errorf("exit status %d\n%s", code, got)
	}
	if got, code = runVerb(t, "reload", "--json", "--socket", socket); code != proc.ExitOK || !json.Valid([]byte(got)) {
		t.Errorf("exit status %d\n%s", code, got)
	}
	if _, code = runVerb(t, "reload", "--socket", filepath.Join(t.TempDir(), "none")); code != proc.ExitFatal {
		t.Errorf("without a daemon: exit status %d", code)
	}
}

// TestAnnounce checks that an act shows its result, and that an act that no daemon
// accepts is not sent.
func TestAnnounce(t *testing.T) {
	socket := serveStatus(t, apitest.Daemon(t))
	got, code := runVerb(t, "announce", "--reason", "moved", "--socket", socket, "web")
	if want := "web announces its addresses (2) again.\n"; code != proc.ExitOK || got != want {
		t.Errorf("exit status %d\n%s", code, got)
	}
	if got, code = runVerb(t, "announce", "--json", "--reason", "moved", "--socket", socket, "web"); code != proc.ExitOK || !strings.Contains(got, `"result": "web`) {
		t.Errorf("exit status %d\n%s", code, got)
	}
	for _, args := range [][]string{{"web", "too"}, {}, {"--reason", "a\nb", "web"}, {""}} {
		if got, code := runVerb(t, "announce", append(args, "--socket", socket)...); code != proc.ExitFatal || got != "" {
			t.Errorf("%q: exit status %d\n%s", args, code, got)
		}
	}
}

// frames is a writer that accepts n texts.
type frames struct{ texts []string }

func (f *frames) Write(p []byte) (int, error) {
	if len(f.texts) == 3 {
		return 0, errors.New("enough")
	}
	f.texts = append(f.texts, string(p))
	return len(p), nil
}

// TestWatch checks that the view continues when the daemon has ended and returns.
func TestWatch(t *testing.T) {
	s := apitest.Daemon(t)
	socket := serveStatus(t, s)
	var f frames
	for _, q := range questions() {
		if q.name == "status" {
			if code := (&asker{question: q}).main([]string{"--watch=0.01", "--socket", socket}, &f); code != proc.ExitFatal {
				t.Errorf("exit status %d", code)
			}
			if err := os.Remove(socket); err != nil {
				t.Fatal(err)
			}
			last := f.texts[2]
			f.texts = f.texts[:0]
			(&asker{question: q}).main([]string{"--watch=0.01", "--socket", socket}, &f)
			if want := "\n" + screen.Status(s, screen.Options{}); last != want {
				t.Errorf("got\n%s\nwant\n%s", last, want)
			}
			if want := "\nkeepalived status: no daemon answers at " + socket; len(f.texts) != 3 || !strings.HasPrefix(f.texts[2], want) {
				t.Errorf("got %q, want %q", f.texts, want)
			}
		}
	}
}

// TestRoutersOfADaemon checks the error for a name that no virtual router has.
func TestRoutersOfADaemon(t *testing.T) {
	s := &api.Status{VRRP: &api.VRRP{Instances: []api.Instance{{Name: "VI_web"}, {Name: "VI_db"}}}}
	for name, want := range map[string]string{
		"VI_wbe": `there is no virtual router VI_wbe; did you mean "VI_web"?`,
		"x":      "there is no virtual router x; there are VI_web or VI_db",
	} {
		if _, err := routers(s, name); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := routers(&api.Status{}, ""); err == nil {
		t.Error("a daemon without virtual routers: no error")
	}
}

// TestWriteError checks that a view that cannot be written is an error.
func TestWriteError(t *testing.T) {
	socket := serveStatus(t, apitest.Daemon(t))
	r, w := io.Pipe()
	r.Close()
	for _, q := range questions() {
		if code := (&asker{question: q}).main([]string{"--socket", socket}, w); code != proc.ExitFatal {
			t.Errorf("%s: exit status %d", q.name, code)
		}
	}
}

// TestActVerbs checks the requests of the verbs that change something, and the arguments
// that they refuse.
func TestActVerbs(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got = r.Method + " " + r.URL.Path + " " + string(b)
		json.NewEncoder(w).Encode(api.Done{Result: "done"})
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	for _, test := range []struct{ args, want string }{
		{"hold --for 15m web", `POST /v1/hold {"name":"web","for":900}`},
		{"priority web -20", `POST /v1/priority {"name":"web","value":-20}`},
		{"priority --for 1h +7 web", `POST /v1/priority {"name":"web","value":7,"for":3600}`},
		{"priority web 0", `POST /v1/priority {"name":"web"}`},
		{"release web", `POST /v1/release {"name":"web"}`},
		{"switchover --force --reason x web", `POST /v1/switchover {"name":"web","force":true,"reason":"x"}`},
		{"disable --force 10.0.0.2", `POST /v1/disable {"name":"10.0.0.2","force":true}`},
		{"enable 10.0.0.1:80 10.0.0.2:80", `POST /v1/enable {"name":"10.0.0.1:80 10.0.0.2:80"}`},
		{"weight --for 1m FWM 9 10.0.0.2 5", `POST /v1/weight {"name":"FWM 9 10.0.0.2","value":5,"for":60}`},
		{"release [w]:0 [10.0.0.2]:tcp:80", `POST /v1/release {"name":"[w]:0 [10.0.0.2]:tcp:80"}`},
		{"weight 10.0.0.2", ""},
		{"weight 10.0.0.2 0", ""},
		{"weight 10.0.0.2 -1", ""},
		{"weight web 5", ""},
		{"drain web", ""},
		{"drain --wait=0 10.0.0.2", ""},
		{"disable --wait 10.0.0.2", ""},
		{"disable a b c 10.0.0.2", ""},
		{"hold --for 0s web", ""},
		{"hold --for 1500ms web", ""},
		{"hold --for 9000h web", ""},
		{"hold --force web", ""},
		{"hold", ""},
		{"priority web", ""},
		{"priority web much", ""},
		{"priority web +300", ""},
		{"release --for 1h web", ""},
	} {
		words := strings.Fields(test.args)
		got = ""
		text, code := runVerb(t, words[0], append(words[1:], "--socket", socket)...)
		if want := test.want != ""; got != test.want || (code == proc.ExitOK) != want || (text == "done.\n") != want {
			t.Errorf("%s: %q, exit status %d, %q; want %q", test.args, got, code, text, test.want)
		}
	}
}

// TestDrainVerb checks that the remaining connections are shown and, with --wait, waited
// for.
func TestDrainVerb(t *testing.T) {
	s := apitest.Daemon(t)
	s.LVS.Table.Unreachable = ""
	server := &s.LVS.Services[1].Servers[0]
	const name = "[192.0.2.110]:udp:53 198.51.100.3" // the server that drains
	socket := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var left []uint64 // at each request
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/drain", func(w http.ResponseWriter, _ *http.Request) { json.NewEncoder(w).Encode(api.Done{Result: "done"}) })
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		server.Traffic = &api.Traffic{Active: left[0]}
		left = left[1:]
		json.NewEncoder(w).Encode(s)
	})
	h := &http.Server{Handler: mux}
	go h.Serve(l)
	t.Cleanup(func() { h.Close() })
	run := func(looks []uint64, code int, want string, args ...string) {
		t.Helper()
		left = looks
		got, status := runVerb(t, "drain", append(args, "--socket", socket)...)
		if got != want || status != code || len(left) > 0 {
			t.Errorf("%q: exit status %d, %q; %d looks were not taken", args, status, got, len(left))
		}
	}
	run([]uint64{2}, proc.ExitOK, "done.\n2 connections are left.\n", name)
	run([]uint64{1, 0}, proc.ExitOK, "done.\n1 connection is left.\n0 connections are left.\n", "--wait", name)
	run([]uint64{1, 1}, proc.ExitFatal, "done.\n1 connection is left.\n", "--wait=1s", name)
	run([]uint64{1}, proc.ExitFatal, "done.\n", "--wait", "198.51.100.3:53") // another act is about this server
	run(nil, proc.ExitOK, "{\n  \"result\": \"done\"\n}\n", "-o", "json", name)
	s.LVS.Table.Unreachable = "no module"
	run([]uint64{0}, proc.ExitOK, "done.\n", name)
	run([]uint64{0}, proc.ExitFatal, "done.\n", "--wait", name)
}

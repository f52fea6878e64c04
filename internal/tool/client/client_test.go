package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/api/apitest"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/screen"
	"keepalived-go/internal/proc/act"
)

// serve serves a control socket until the test ends, and returns its path. Each handler has to
// end when its connection does; at the end of the test they have ended.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	s := &http.Server{Handler: h, ConnState: func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			running.Add(1)
		case http.StateClosed, http.StateHijacked:
			running.Done()
		}
	}}
	served := make(chan struct{})
	go func() {
		defer close(served)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-served
		running.Wait()
	})
	return path
}

func TestStatus(t *testing.T) {
	want := apitest.Daemon(t)
	text, err := screen.JSON(want)
	if err != nil {
		t.Fatal(err)
	}
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/status" {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		io.WriteString(w, text)
	})
	got, err := (&Client{Socket: path}).Status()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b time.Time) bool { return a.Equal(b) })); diff != "" {
		// Empty lists and missing ones are equal.
		again, err := screen.JSON(got)
		if err != nil || again != text {
			t.Errorf("-want +got\n%s", diff)
		}
	}
}

func TestMetrics(t *testing.T) {
	path := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })
	got, err := (&Client{Socket: path}).Metrics()
	if err != nil || string(got) != "/metrics" {
		t.Errorf("Metrics: %q, %v", got, err)
	}
}

// TestErrors checks the sentence for each failure, and whether it means that no daemon
// answers.
func TestErrors(t *testing.T) {
	answer := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, text)
		}
	}
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  string
		down  bool
	}{
		{"no JSON", answer(200, "hello"), "the answer is not the state of a daemon: jsontext: invalid character", false},
		{"no version", answer(200, `{"at":"2026-11-22T21:54:56Z"}`), "the answer is not the state of a daemon; is it the control socket of keepalived?", false},
		{"another version", answer(200, `{"version":2,"node":[]}`), "version 2 of its state, and this program knows version 1; use the program that the daemon was started from", false},
		{"another type", answer(200, fmt.Sprintf(`{"version":%d,"node":[]}`, api.Version)), "the answer is not the state of a daemon: json: ", false},
		{"half of it", answer(200, `{"version":1,`), "the answer is not the state of a daemon", false},
		{"refusal with an object", answer(403, `{"error":"ask\u001b root"}`+"\n"), "the daemon answers 403 Forbidden: ask root", false},
		{"refusal with text", answer(503, "busy\nvery"), "the daemon answers 503 Service Unavailable: busy", false},
		{"a redirection is not followed", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.org/", http.StatusFound)
		}, "the daemon answers 302 Found", false},
		{"refusal that is long", answer(500, strings.Repeat("ü", 4096)), "the daemon answers 500 Internal Server Error: " + strings.Repeat("ü", 100), false},
		{"refusal cut within a letter", answer(500, "x"+strings.Repeat("ü", 4096)), "the daemon answers 500 Internal Server Error: x" + strings.Repeat("ü", 99) + "END", false},
		{"refusal with control characters", answer(500, "\u009b2Jclear\u202e"), "the daemon answers 500 Internal Server Error: 2JclearEND", false},
		{"slow", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "no daemon answers at PATH within 200ms; --timeout gives it longer", true},
		{"slow after the header", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "no daemon answers at PATH within 200ms", true},
		{"a long header", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 2*headerLimit))
		}, "no answer of a daemon", false},
		{"not HTTP", func(w http.ResponseWriter, r *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			io.WriteString(c, "220 smtp.example.org\r\n")
			c.Close()
		}, "no answer of a daemon", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			timeout := time.Minute
			if c.down {
				timeout = 200 * time.Millisecond
			}
			path := serve(t, c.serve)
			_, err := (&Client{Socket: path, Timeout: timeout}).Status()
			check(t, err, strings.ReplaceAll(c.want, "PATH", path), c.down)
		})
	}
}

// check checks an error by its text, or by its last words if those of want are before END.
func check(t *testing.T, err error, want string, down bool) {
	t.Helper()
	if last, is := strings.CutSuffix(want, "END"); is {
		want = last
		if err != nil && !strings.HasSuffix(err.Error(), last) {
			t.Errorf("got %q, want %q at its end", err, last)
		}
	}
	if err == nil || !strings.Contains(err.Error(), want) || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("got %q, want %q", err, want)
	}
	if errors.Is(err, ErrDown) != down {
		t.Errorf("no daemon answers: %t, want %t", !down, down)
	}
}

// TestEndless checks that an answer without an end is cut off.
func TestEndless(t *testing.T) {
	piece := bytes.Repeat([]byte("x"), 1<<20)
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	})
	_, err := (&Client{Socket: path, Timeout: 2 * time.Minute}).Status()
	check(t, err, "the answer is longer than 64 MiB", false)
}

// TestNoSocket checks the error when no process serves the socket.
func TestNoSocket(t *testing.T) {
	dir := t.TempDir()
	absent := filepath.Join(dir, "dmz", "control.sock")
	_, err := (&Client{Socket: absent}).Status()
	check(t, err, "no daemon answers at "+absent+": it does not run, or has another network namespace (-s), instance name (--instance) or pid file (-p)", true)
	if strings.Contains(err.Error(), "there are") {
		t.Errorf("sockets where there are none: %v", err)
	}

	if err := os.MkdirAll(filepath.Join(dir, "dmz"), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "dmz", "control_blue.sock")})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	_, err = (&Client{Socket: absent}).Status()
	check(t, err, "; there are "+filepath.Join(dir, "dmz", "control_blue.sock"), true)
	_, err = (&Client{Socket: filepath.Join(dir, "control.sock")}).Status()
	check(t, err, "; there are "+filepath.Join(dir, "dmz", "control_blue.sock"), true)

	left := filepath.Join(dir, "dmz", "control_blue.sock")
	_, err = (&Client{Socket: left}).Status()
	check(t, err, "no daemon answers at "+left+": it has ended without removing its socket", true)
}

// TestSocketsBeside checks that not all of many other sockets are named.
func TestSocketsBeside(t *testing.T) {
	dir := t.TempDir()
	var names []string
	for i := range 7 {
		name := filepath.Join(dir, fmt.Sprintf("control_%d.sock", i))
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	_, err := (&Client{Socket: filepath.Join(dir, "control.sock")}).Status()
	check(t, err, "; there are "+strings.Join(names[:5], ", ")+", 2 moreEND", true)
}

// TestFull checks the error when a daemon that hangs has as many connections that it has not
// accepted as it may have.
func TestFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := unix.Bind(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 10 { // one is let wait
		c, err := net.Dial("unix", path)
		if err != nil {
			break
		}
		defer c.Close()
	}
	_, err = (&Client{Socket: path, Timeout: time.Minute}).Status()
	check(t, err, "no daemon answers at "+path+": it hangs, and the queue of its socket is full", true)
	_, err = collect(&Client{Socket: path, Timeout: time.Minute}, 0)
	check(t, err, "no daemon answers at "+path+": it hangs, and the queue of its socket is full", true)
}

// TestDo checks what is asked for an act, and what has come of it.
func TestDo(t *testing.T) {
	for _, c := range []struct {
		act           act.Act
		path, request string
	}{
		{act.Act{Kind: act.Reload}, "/v1/reload", "{}"},
		{act.Act{Kind: act.TestNotify, Name: "web", State: "FAULT"}, "/v1/test-notify", `{"name":"web","state":"FAULT"}`},
		{act.Act{Kind: act.Priority, Name: "web", Value: -20, For: 60, Reason: "tests"}, "/v1/priority", `{"name":"web","value":-20,"for":60,"reason":"tests"}`},
		{act.Act{Kind: act.Switchover, Name: "web", Force: true, By: act.By{UID: 7}}, "/v1/switchover", `{"name":"web","force":true}`},
	} {
		path := serve(t, func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if r.Method != http.MethodPost || r.URL.String() != c.path || string(body) != c.request || err != nil {
				t.Errorf("asked for %s %s %s, %v, want %s %s", r.Method, r.URL, body, err, c.path, c.request)
			}
			io.WriteString(w, `{"result":"it is done"}`)
		})
		var done api.Done
		if err := (&Client{Socket: path}).Do(&c.act, &done); err != nil || done.Result != "it is done" {
			t.Errorf("%s: %+v, %v", c.act.Kind, done, err)
		}
	}
}

// TestActErrors checks the sentence for each failure of an act, as TestErrors, and that
// nothing has come of it.
func TestActErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		serve   http.HandlerFunc
		timeout time.Duration
		want    string
		down    bool
	}{
		{"refusal", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, `{"error":"web is no master"}`)
		}, time.Minute, "PATH: the daemon answers 409 Conflict: web is no masterEND", false},
		{"no result", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "done") }, time.Minute, "PATH: the answer is no result of announce: invalid character", false},
		{"the timeout of the client counts", func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body) // without that the end of the connection is not seen
			<-r.Context().Done()
		}, 100 * time.Millisecond, "no daemon answers at PATH within 100ms; --timeout gives it longerEND", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := serve(t, c.serve)
			var done api.Done
			err := (&Client{Socket: path, Timeout: c.timeout}).Do(&act.Act{Kind: act.Announce, Name: "web"}, &done)
			check(t, err, strings.ReplaceAll(c.want, "PATH", path), c.down)
			if done != (api.Done{}) {
				t.Errorf("it is done: %+v", done)
			}
		})
	}
}

// TestHistory checks what is asked for: the time is that of the second, in UTC.
func TestHistory(t *testing.T) {
	since := time.Date(2026, 11, 22, 23, 54, 56, 999, time.FixedZone("", 2*3600))
	for _, c := range []struct {
		name  string
		since time.Time
		want  url.Values
	}{
		{"", time.Time{}, url.Values{}},
		{"a web&b=c", time.Time{}, url.Values{"name": {"a web&b=c"}}},
		{"", since, url.Values{"since": {"2026-11-22T21:54:56Z"}}},
		{"web", since, url.Values{"name": {"web"}, "since": {"2026-11-22T21:54:56Z"}}},
	} {
		want := []history.Event{event(3), event(4)}
		path := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/v1/history" {
				t.Errorf("asked for %s %s", r.Method, r.URL)
			}
			if diff := cmp.Diff(c.want, r.URL.Query()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if err := json.NewEncoder(w).Encode(want); err != nil {
				t.Error(err)
			}
		})
		got, err := (&Client{Socket: path}).History(c.name, c.since)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v, -want +got\n%s", err, diff)
		}
	}

	path := serve(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, `{"events":[]}`) })
	_, err := (&Client{Socket: path}).History("", time.Time{})
	check(t, err, path+": the answer is no history: json: cannot unmarshal", false)
	_, err = (&Client{Socket: filepath.Join(t.TempDir(), "control.sock")}).History("", time.Time{})
	check(t, err, "no daemon answers", true)
}

// TestBroken checks the error when the daemon ends while it answers.
func TestBroken(t *testing.T) {
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, `{"version":1`)
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	_, err := (&Client{Socket: path, Timeout: time.Minute}).Metrics()
	check(t, err, path+": no answer of a daemon: unexpected EOFEND", false)
}

func TestPermission(t *testing.T) {
	c := &Client{Socket: "/run/keepalived/control.sock"}
	check(t, c.explain(&net.OpError{Op: "dial", Err: os.ErrPermission}, 0), "/run/keepalived/control.sock: permission denied; ask as root, or as a member of the group keepalived", false)
}

func TestPath(t *testing.T) {
	if got, want := (&Client{}).path(), "/run/keepalived/control.sock"; got != want {
		t.Errorf("the path without a name is %s, want %s", got, want)
	}
	for _, c := range [][4]string{
		{"", "", "", "/run/keepalived/control.sock"}, {"dmz", "", "", "/run/keepalived/dmz/control.sock"},
		{"", "blue", "", "/run/keepalived/control_blue.sock"}, {"dmz", "blue", "", "/run/keepalived/dmz/control_blue.sock"},
		{"dmz", "", "/run/x.pid", "/run/x.control.sock"},
	} {
		if got := Path(c[0], c[1], c[2]); got != c[3] {
			t.Errorf("Path(%q) = %s, want %s", c[:3], got, c[3])
		}
	}
}

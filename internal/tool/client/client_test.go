package client

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/api/apitest"
	"keepalived-go/internal/output/status/screen"
)

// serve serves a control socket until the test ends, and returns its path.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
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
	closing := make(chan struct{})
	t.Cleanup(func() { close(closing) })
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  string
		down  bool
	}{
		{"no JSON", answer(200, "hello"), "the answer is not the state of a daemon: invalid character", false},
		{"no version", answer(200, `{"at":"2026-11-22T21:54:56Z"}`), "the answer is not the state of a daemon; is it the control socket of keepalived?", false},
		{"another version", answer(200, `{"version":2,"node":[]}`), "version 2 of its state, and this program knows version 1; use the program that the daemon was started from", false},
		{"another type", answer(200, fmt.Sprintf(`{"version":%d,"node":[]}`, api.Version)), "the answer is not the state of a daemon: json: cannot unmarshal", false},
		{"half of it", answer(200, `{"version":1,`), "the answer is not the state of a daemon", false},
		{"refusal with an object", answer(403, `{"error":"ask\u001b root"}`+"\n"), "the daemon answers 403 Forbidden: ask root", false},
		{"refusal with text", answer(503, "busy\nvery"), "the daemon answers 503 Service Unavailable: busy", false},
		{"a redirection is not followed", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://example.org/", http.StatusFound)
		}, "the daemon answers 302 Found", false},
		{"slow", func(w http.ResponseWriter, r *http.Request) { <-closing }, "no daemon answers at PATH within 200ms; --timeout gives it longer", true},
		{"slow after the header", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-closing
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

func check(t *testing.T, err error, want string, down bool) {
	t.Helper()
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

func TestPermission(t *testing.T) {
	c := &Client{Socket: "/run/keepalived/control.sock"}
	check(t, c.explain(&net.OpError{Op: "dial", Err: os.ErrPermission}, 0), "/run/keepalived/control.sock: permission denied; ask as root, or as a member of the group keepalived", false)
}

func TestPath(t *testing.T) {
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

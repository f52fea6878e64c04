package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/output/status/history"
)

// line is an event as a daemon sends it.
func line(t *testing.T, e history.Event) string {
	t.Helper()
	b, err := json.Marshal(&e)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, b)
}

func event(id uint64) history.Event {
	return history.Event{ID: id, At: time.Unix(1_790_000_000, 0).UTC(), Kind: history.Router, Name: "web", From: "BACKUP", To: "MASTER"}
}

// collect collects events until they end.
func collect(c *Client, after uint64) (got []history.Event, err error) {
	err = c.Events(after, func(e *history.Event) error {
		got = append(got, *e)
		return nil
	})
	return got, err
}

// TestEvents checks that events are received in turn between lines that are none, and from
// which event on they are asked for: so the next connection goes on where one was cut off.
func TestEvents(t *testing.T) {
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.String() != "/v1/events" {
			t.Errorf("asked for %s %s", r.Method, r.URL)
		}
		switch last := r.Header.Values("Last-Event-ID"); {
		case last == nil:
			io.WriteString(w, ":\n\n"+line(t, event(7))+":\n\n"+line(t, event(8)))
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			panic(http.ErrAbortHandler) // as if the daemon were killed
		case cmp.Equal(last, []string{"8"}):
			io.WriteString(w, ":\n\n"+line(t, event(9)))
		default:
			t.Errorf("Last-Event-ID: %q", last)
		}
	})
	c := &Client{Socket: path, Timeout: time.Minute}
	got, err := collect(c, 0)
	check(t, err, path+": no answer of a daemon: unexpected EOF", false)
	if diff := cmp.Diff([]history.Event{event(7), event(8)}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	got, err = collect(c, 8)
	check(t, err, "no daemon answers any more at "+path, true)
	if diff := cmp.Diff([]history.Event{event(9)}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// TestEventsUntil checks that the error of the one who is called ends the events, and the
// connection.
func TestEventsUntil(t *testing.T) {
	closed := make(chan struct{})
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {
		defer close(closed)
		io.WriteString(w, line(t, event(1))+line(t, event(2)))
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})
	enough := errors.New("enough")
	calls := 0
	err := (&Client{Socket: path, Timeout: time.Minute}).Events(0, func(*history.Event) error {
		calls++
		return enough
	})
	if err != enough || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
	select {
	case <-closed:
	case <-time.After(20 * time.Second):
		t.Error("the connection is open")
	}
}

// TestEventErrors checks the sentence for each failure, as TestErrors.
func TestEventErrors(t *testing.T) {
	answer := func(status int, text string, hang bool) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, text)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			if hang {
				<-r.Context().Done()
			}
		}
	}
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		hangs bool // so that the client has to be short of patience
		want  string
		down  bool
	}{
		{"no event", answer(200, "data: hello\n\n", true), false, "PATH: the answer is no event: invalid character", false},
		{"an event of another type", answer(200, "data: []\n\n", true), false, "PATH: the answer is no event: json: cannot unmarshal", false},
		{"a long line", answer(200, "data: \""+strings.Repeat("x", lineLimit)+"\n", true), false, "PATH: no answer of a daemon: bufio.Scanner: token too long", false},
		{"an end at once", answer(200, "", false), false, "no daemon answers any more at PATH", true},
		{"half an event", answer(200, `data: {"id":`, false), false, "PATH: the answer is no event: unexpected end of JSON input", false},
		{"refusal", answer(400, `{"error":"Last-Event-ID: \"x\" is not the number of an event"}`, false), false, `PATH: the daemon answers 400 Bad Request: Last-Event-ID: "x" is not the number of an event`, false},
		{"refusal without an end", answer(403, "ask root\n"+strings.Repeat("x", lineLimit), true), false, "PATH: the daemon answers 403 Forbidden: ask root", false},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, true, "no daemon answers at PATH within 200ms; --timeout gives it longer", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			path := serve(t, c.serve)
			client := &Client{Socket: path, Timeout: time.Minute, silence: time.Minute}
			if c.hangs {
				client.Timeout = 200 * time.Millisecond
			}
			got, err := collect(client, 0)
			check(t, err, strings.ReplaceAll(c.want, "PATH", path), c.down)
			if got != nil {
				t.Errorf("events: %v", got)
			}
		})
	}
}

// TestEventsSilence checks that a daemon that hangs after its first line is given up: after
// its silence, or the timeout of a client that has a longer one.
func TestEventsSilence(t *testing.T) {
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, ":\n\n")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		<-r.Context().Done()
	})
	for _, c := range []struct {
		timeout, silence time.Duration
		want             string
	}{
		{200 * time.Millisecond, 300 * time.Millisecond, " within "}, // 200 ms if the first line comes too late
		{200 * time.Millisecond, time.Millisecond, " within 200ms; --timeout gives it longer"},
	} {
		_, err := collect(&Client{Socket: path, Timeout: c.timeout, silence: c.silence}, 0)
		check(t, err, "no daemon answers at "+path+c.want, true)
	}
}

// TestEventsDown checks the events of a daemon that does not run.
func TestEventsDown(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	got, err := collect(&Client{Socket: path}, 0)
	check(t, err, "no daemon answers at "+path+": it does not run", true)
	if got != nil {
		t.Errorf("events: %v", got)
	}
}

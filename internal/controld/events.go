package controld

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"keepalived-go/internal/output/status/history"
)

// heartbeat is how often a client of events that gets none learns that it is connected.
const heartbeat = 15 * time.Second

// serveHistory answers with the events that the query asks for: of a kind, of a name, since
// a time (RFC 3339).
func (r *recorder) serveHistory(w http.ResponseWriter, q *http.Request) {
	query := q.URL.Query()
	var since time.Time
	if v := query.Get("since"); v != "" {
		var err error
		if since, err = time.Parse(time.RFC3339, v); err != nil {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("since=%q is no time; write it as 2026-11-22T12:00:00Z", v))
			return
		}
	}
	kind, name := history.Kind(query.Get("kind")), query.Get("name")
	all, _ := r.after(0)
	list := []history.Event{}
	for _, e := range all {
		if !e.At.Before(since) && (kind == "" || e.Kind == kind) && (name == "" || e.Name == name) {
			list = append(list, e)
		}
	}
	reply(w, list)
}

// serveEvents sends events as they happen (server-sent events, HTML Living Standard §9.2):
// the events after Last-Event-ID first, or the next ones.
func (r *recorder) serveEvents(w http.ResponseWriter, q *http.Request) {
	var last uint64
	if v := q.Header.Get("Last-Event-ID"); v != "" {
		var err error
		if last, err = strconv.ParseUint(v, 10, 64); err != nil {
			refuse(w, http.StatusBadRequest, fmt.Sprintf("Last-Event-ID: %q is not the number of an event", v))
			return
		}
	} else if all, _ := r.after(0); len(all) > 0 {
		last = all[len(all)-1].ID
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	client := http.NewResponseController(w)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	text := []byte(":\n\n") // at once: the client is connected
	for {
		// A client that does not read is given up.
		err := client.SetWriteDeadline(time.Now().Add(writeWait))
		if err == nil {
			_, err = w.Write(text)
		}
		if err == nil {
			err = client.Flush()
		}
		if err != nil {
			return
		}
		for text = text[:0]; len(text) == 0; {
			events, more := r.after(last)
			for i := range events {
				text = appendEvent(text, &events[i])
				last = events[i].ID
			}
			if len(events) > 0 {
				break
			}
			select {
			case <-q.Context().Done():
				return
			case <-more:
			case <-beat.C:
				text = append(text, ":\n\n"...)
			}
		}
	}
}

func appendEvent(b []byte, e *history.Event) []byte {
	body, err := json.Marshal(e)
	if err != nil { // an event is text and numbers
		body = []byte("{}")
	}
	return fmt.Appendf(b, "id: %d\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, body)
}

package controld

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/api/apitest"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/proc/link"
)

// TestHistoryWithoutFile checks that the events are kept in memory if there can be no file.
func TestHistoryWithoutFile(t *testing.T) {
	log, file := logtest.Capture(t), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := newRecorder(answering(t, nil), filepath.Join(file, "history"))
	if log.Count("it is kept in memory alone") != 1 {
		t.Error("that is not logged")
	}
	r.look(t.Context())
	if all, _ := r.after(0); len(all) == 0 {
		t.Error("no events")
	}
}

// TestHistoryCannotBeWritten checks that a file that cannot be written is complained about
// once, until it can be written again, and that clients get the events all the same.
func TestHistoryCannotBeWritten(t *testing.T) {
	log, path := logtest.Capture(t), filepath.Join(t.TempDir(), "history")
	// A full file, which turns over for each event, and nothing that has its other name.
	full := func() {
		t.Helper()
		if err := os.WriteFile(path, []byte(strings.Repeat("\n", halfHistory)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	full()
	r := newRecorder(answering(t, nil), path)
	older := filepath.Join(path+".1", "inside")
	if err := os.MkdirAll(older, 0o700); err != nil { // no file can replace it
		t.Fatal(err)
	}
	fails := func(events, complaints int) {
		t.Helper()
		r.stop()
		if all, _ := r.after(0); len(all) != events || log.Count("what happens now is in memory alone") != complaints {
			t.Errorf("%d events, want %d; %d complaints, want %d", len(all), events, log.Count("what happens now is in memory alone"), complaints)
		}
	}
	fails(1, 1)
	fails(2, 1)
	if err := os.RemoveAll(path + ".1"); err != nil {
		t.Fatal(err)
	}
	fails(3, 1)
	if b, err := os.ReadFile(path); err != nil || strings.Count(string(b), `"kind":"process"`) != 1 {
		t.Errorf("%.200s, %v", b, err)
	}
}

// TestHistoryIsBounded checks that the earliest events are given up first, and that the
// others keep their numbers.
func TestHistoryIsBounded(t *testing.T) {
	r := newRecorder(answering(t, nil), filepath.Join(t.TempDir(), "history"))
	r.log = nil // which would be slow
	for range maxEvents + 3 {
		r.stop()
	}
	if all, _ := r.after(0); len(all) != maxEvents || all[0].ID != 4 || all[maxEvents-1].ID != maxEvents+3 {
		t.Errorf("%d events from %d on", len(all), all[0].ID)
	}
}

// TestLookFails checks that a process that does not answer is asked again for the same time,
// and that what cannot be read is no history.
func TestLookFails(t *testing.T) {
	log, refused := logtest.Capture(t), map[string]string{"": "gone"}
	from := answering(t, refused)
	r := newRecorder(from, filepath.Join(t.TempDir(), "history"))
	since := r.looked
	want := func(kinds string) {
		t.Helper()
		r.look(t.Context())
		all, _ := r.after(0)
		seen := map[history.Kind]bool{}
		for i := range all {
			seen[all[i].Kind] = true
		}
		got := fmt.Sprint(seen[history.Router], seen[history.Service])
		if got != kinds {
			t.Errorf("routers, services: %s, want %s", got, kinds)
		}
	}
	want("false false")
	delete(refused, "")
	refused["vrrp"] = "starting"
	want("false true")
	if !r.looked.Equal(since) {
		t.Error("what the VRRP process has not told is not asked for again")
	}
	delete(refused, "vrrp")
	vrrp := from[1].send
	from[1].send = func(q link.Question) bool {
		go func() {
			m := link.Snapshot(q.ID, link.Text([]byte(`{"instances":7}`)))
			from.take(&m)
		}()
		return true
	}
	want("false true")
	if log.Count("unmarshal JSON number") != 1 || !r.looked.Equal(since) {
		t.Error("an answer that cannot be read is taken")
	}
	h := handler(from, r, nil)
	for _, path := range []string{"/v1/problems", "/metrics"} {
		if w := get(h, path); w.Code != 502 || !strings.Contains(w.Body.String(), "unmarshal JSON number") {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	from[1].send = vrrp
	want("true true")
	if !r.looked.After(since) {
		t.Error("what is known is asked for again")
	}
}

// TestForget checks that the history forgets what a reload has removed when there is much of
// it, and not what a process does not tell.
func TestForget(t *testing.T) {
	now := apitest.Daemon(t)
	from := of(func() *api.Status { return now })
	r := newRecorder(from, filepath.Join(t.TempDir(), "history"))
	r.look(t.Context())
	size := r.history.Size()
	reloaded := *now
	reloaded.VRRP = &api.VRRP{}
	now = &reloaded

	r.room = 1
	bfd := from[3].send
	from[3].send = func(link.Question) bool { return false }
	r.look(t.Context())
	if got := r.history.Size(); got != size || r.room != 1 {
		t.Errorf("forgets %d of %d without knowing", size-got, size)
	}
	from[3].send = bfd
	r.look(t.Context())
	if got := r.history.Size(); got >= size || r.room != leastRoom {
		t.Errorf("knows %d of %d, with room for %d", got, size, r.room)
	}
}

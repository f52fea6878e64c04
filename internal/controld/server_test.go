package controld

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/statustest"
	"keepalived-go/internal/proc/link"
)

// answers are those of a daemon, by the role of the process.
var answers map[string][]byte

// answering returns sources whose questions have the answers of a daemon; refused are the
// processes that do not answer.
func answering(t *testing.T, refused map[string]string) sources {
	// Once, and in a test of its own, since the time zone is changed until that ends.
	if answers == nil && !t.Run("answers", func(t *testing.T) {
		answers = map[string][]byte{}
		for of, v := range map[string]any{
			"": api.Status{
				Version:   api.Version,
				Node:      api.Node{Host: "node-1", PID: 7},
				Processes: []api.Process{{Name: "vrrp", Wanted: true}, {Name: "checkers", Wanted: true}, {Name: "bfd"}},
			},
			"vrrp":     api.OfVRRP(statustest.VRRP(t, statustest.Load(t))),
			"checkers": api.OfLVS(statustest.LVS(t, statustest.LoadLVS(t))),
			"bfd":      api.BFD{},
		} {
			var err error
			if answers[of], err = json.Marshal(v); err != nil {
				t.Fatal(err)
			}
		}
	}) {
		t.FailNow()
	}
	var s sources
	s = newSources(func(q link.Question) bool {
		go func() {
			if why := refused[q.Of]; why != "" {
				s.take(link.Refusal(q.ID, why).Part)
				return
			}
			for m := range link.Answers(q.ID, answers[q.Of]) {
				s.take(m.Part)
			}
		}()
		return true
	})
	return s
}

// served is the handler of such sources.
func served(t *testing.T, from sources) http.Handler {
	return handler(from, newRecorder(from, filepath.Join(t.TempDir(), "history")), nil)
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

func TestAnswers(t *testing.T) {
	refused := map[string]string{}
	h := served(t, answering(t, refused))
	w := get(h, "/v1/status")
	var s api.Status
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil || w.Code != 200 {
		t.Fatalf("%d %v", w.Code, err)
	}
	if s.Version != api.Version || s.Node.Host != "node-1" || len(s.VRRP.Instances) == 0 || len(s.LVS.Services) == 0 || s.BFD != nil || s.VRRP.Stale != "" {
		t.Errorf("%+v", s)
	}
	for _, test := range []struct {
		path string
		code int
		want string
	}{
		{"/v1/instances/A", 200, `"name":"A"`},
		{"/v1/instances/AA", 404, `no vrrp_instance is called \"AA\"`},
		{"/v1/instances/A/explain", 200, `"sentences":[{"part":"verdict"`},
		{"/v1/instances/%00/explain", 404, "no vrrp_instance"},
		{"/v1/servers", 200, `"virtual_servers":[{`},
		{"/metrics", 200, "keepalived_vrrp_state{"},
		{"/v2/status", 404, "there is no GET /v2/status"},
	} {
		w := get(h, test.path)
		if w.Code != test.code || !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%s: %d %.200s, want %d with %s", test.path, w.Code, w.Body, test.code, test.want)
		}
	}

	// What a dead process knew is shown as old.
	refused["vrrp"] = "the VRRP process does not run"
	if err := json.Unmarshal(get(h, "/v1/status").Body.Bytes(), &s); err != nil || s.VRRP.Stale != refused["vrrp"] || s.VRRP.Instances[0].Name != "A" {
		t.Errorf("%v, stale: %q", err, s.VRRP.Stale)
	}
	refused[""] = "gone"
	if w := get(h, "/v1/status"); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "gone") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestNeverAnswered: a process that has never answered is left out.
func TestNeverAnswered(t *testing.T) {
	h := served(t, answering(t, map[string]string{"vrrp": "starting", "checkers": "starting"}))
	var s api.Status
	if err := json.Unmarshal(get(h, "/v1/status").Body.Bytes(), &s); err != nil || s.VRRP != nil || s.LVS != nil {
		t.Errorf("%v %+v", err, s)
	}
	if w := get(h, "/v1/servers"); w.Code != http.StatusNotFound {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// socket serves a control socket until the test ends.
func socket(t *testing.T, group string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "control.sock")
	if err := os.WriteFile(path, nil, 0o644); err != nil { // what a dead process has left
		t.Fatal(err)
	}
	from := answering(t, nil)
	s, err := listen(path, &conf.Control{Group: group})
	if err != nil {
		t.Fatal(err)
	}
	s.serve(served(t, from))
	t.Cleanup(s.close)
	return path
}

// TestSocket: it is for its user alone without the group, and works.
func TestSocket(t *testing.T) {
	path := socket(t, "no-such-group")
	info, err := os.Stat(path)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Fatalf("%v, %v", info.Mode(), err)
	}
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET /v1/instances/A HTTP/1.0\r\n\r\n")
	if b, err := io.ReadAll(c); err != nil || !strings.HasPrefix(string(b), "HTTP/1.0 200 OK") {
		t.Errorf("%.100s %v", b, err)
	}
	if _, err := listen("/tmp/"+strings.Repeat("x", maxPath), &conf.Control{}); err == nil {
		t.Error("a name that no socket can have is taken")
	}
}

// TestPeer: who asks is known over the socket.
func TestPeer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	s, err := listen(path, &conf.Control{Group: "no-such-group"})
	if err != nil {
		t.Fatal(err)
	}
	s.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cred, ok := r.Context().Value(peerKey{}).(*unix.Ucred)
		reply(w, ok && int(cred.Pid) == os.Getpid() && int(cred.Uid) == os.Getuid())
	}))
	t.Cleanup(s.close)
	for range 2 * maxClients { // each makes room for the next
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "POST / HTTP/1.0\r\n\r\n")
		b, err := io.ReadAll(c)
		c.Close()
		if err != nil || !strings.HasSuffix(string(b), "true\n") {
			t.Fatalf("%q %v", b, err)
		}
	}
}

// TestHostileClients: what they do does not keep others from their answers.
func TestHostileClients(t *testing.T) {
	path := socket(t, "no-such-group")
	dial := func() net.Conn {
		t.Helper()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetDeadline(time.Now().Add(time.Minute))
		return c
	}
	for range maxClients - 1 {
		dial() // and silent
	}
	for _, bad := range []string{
		"\x16\x03\x01", "GET\r\n\r\n", "GET / HTTP/1.1\r\nHost: \r\nHost: \r\n\r\n", "POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"GET /" + strings.Repeat("x", 2*maxHeader) + " HTTP/1.1\r\n\r\n", "GET /v1/status HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		c := dial()
		go io.WriteString(c, bad+"\r\n\r\n")
		b, err := io.ReadAll(c)
		if err != nil && len(b) == 0 {
			continue // closed while it was still writing
		}
		if !strings.HasPrefix(string(b), "HTTP/1.1 4") && !strings.HasPrefix(string(b), "HTTP/1.1 5") {
			t.Errorf("%.20q: %.100q", bad, b)
		}
		c.Close()
	}
	c := dial()
	io.WriteString(c, "GET /v1/instances/A HTTP/1.0\r\n\r\n")
	if b, err := io.ReadAll(c); err != nil || !strings.Contains(string(b), `"name":"A"`) {
		t.Errorf("%.100s %v", b, err)
	}
}

// TestEvents: what happens is recorded, in the file too, and clients that wait get it.
func TestEvents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "of", "keepalived", "history")
	defer unix.Umask(unix.Umask(0o177)) // as the parent's is
	from := answering(t, nil)
	r := newRecorder(from, path)
	h := handler(from, r, nil)
	events := func(of *recorder, query string) (list []history.Event) {
		t.Helper()
		w := get(handler(from, of, nil), "/v1/history"+query)
		if err := json.Unmarshal(w.Body.Bytes(), &list); err != nil || w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		return list
	}
	if got := events(r, ""); len(got) != 0 {
		t.Errorf("at first: %v", got)
	}

	// A client follows from before the first event on, until it has an event of A.
	follow := httptest.NewServer(h)
	defer follow.Close()
	q, _ := http.NewRequest("GET", follow.URL+"/v1/events", nil)
	q.Header.Set("Last-Event-ID", "0")
	answer, err := http.DefaultClient.Do(q)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	ctx, end := context.WithCancel(context.Background())
	defer end()
	go r.run(ctx)
	r.poke()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() && !strings.Contains(lines.Text(), `"kind":"router","name":"A","from":"BACKUP","to":"FAULT"`) {
	}
	if lines.Err() != nil || lines.Text() == "" {
		t.Fatalf("no event of A: %v", lines.Err())
	}

	all := events(r, "")
	if got := events(r, "?kind=router&name=A"); len(got) != 2 || got[1].To != "FAULT" || got[1].Why == "" || len(all) <= 2 {
		t.Errorf("of A: %v; %d in all", got, len(all))
	}
	if got := events(r, "?since=2100-01-01T00:00:00Z"); len(got) != 0 {
		t.Errorf("of the future: %v", got)
	}
	if w := get(h, "/v1/history?since=yesterday"); w.Code != http.StatusBadRequest {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	q = httptest.NewRequest("GET", "/v1/events", nil)
	q.Header.Set("Last-Event-ID", "x")
	w := httptest.NewRecorder()
	if h.ServeHTTP(w, q); w.Code != http.StatusBadRequest {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// A successor has them, and records nothing twice.
	again := newRecorder(from, path)
	again.look(ctx)
	if got := events(again, ""); !cmp.Equal(all, got) {
		t.Errorf("%s", cmp.Diff(all, got))
	}
}

// TestReload: it is answered when it is done or refused, to root alone.
func TestReload(t *testing.T) {
	before := api.Configuration{Reloads: 1, Refused: &api.Refusal{Reasons: []string{"older"}}}
	for _, test := range []struct {
		name  string
		after api.Configuration
		deaf  bool
		code  int
		want  string
	}{
		{"done", api.Configuration{Reloads: 2, Errors: 3}, false, 200, `"reloads":2,"errors":3`},
		{"refused", api.Configuration{Reloads: 1, Refused: &api.Refusal{At: time.Unix(9, 0), Reasons: []string{"half a file"}}}, false, 200, `"half a file"`},
		{"not complete", before, false, http.StatusGatewayTimeout, "not complete"},
		{"without end", api.Configuration{Reloads: 1, Reloading: true}, false, http.StatusGatewayTimeout, "no result"},
		{"not heard", before, true, http.StatusBadGateway, "takes no questions"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Bool
				questions := 0 // since it was asked for
				var from sources
				from = newSources(func(q link.Question) bool {
					c := before
					if asked.Load() {
						if questions++; questions < 3 {
							c.Reloading = true
						} else {
							c = test.after
						}
					}
					b, err := json.Marshal(&api.Status{Configuration: c})
					if err != nil {
						t.Error(err)
					}
					go func() {
						for m := range link.Answers(q.ID, b) {
							from.take(m.Part)
						}
					}()
					return true
				})
				post := func(uid uint32) *httptest.ResponseRecorder {
					h := act("Reload", 0, reload(from[0], func() bool { asked.Store(true); return !test.deaf }))
					q := httptest.NewRequest("POST", "/v1/reload", nil)
					if uid != noCredentials {
						q = q.WithContext(context.WithValue(q.Context(), peerKey{}, &unix.Ucred{Uid: uid}))
					}
					w := httptest.NewRecorder()
					h(w, q)
					return w
				}
				for _, uid := range []uint32{1000, noCredentials} {
					if w := post(uid); w.Code != http.StatusForbidden || asked.Load() {
						t.Errorf("uid %d: %d %s", uid, w.Code, w.Body)
					}
				}
				if w := post(0); w.Code != test.code || !strings.Contains(w.Body.String(), test.want) {
					t.Errorf("%d %s, want %d with %s", w.Code, w.Body, test.code, test.want)
				}
			})
		})
	}
}

const noCredentials = 1<<32 - 1

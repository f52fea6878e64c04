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
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/output/status/statustest"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/link"
)

// answers holds the answers of a daemon, by the role of the process.
var answers map[string][]byte

// answering returns sources whose questions have the answers of a daemon. The processes
// in refused do not answer.
func answering(t *testing.T, refused map[string]string) sources {
	// Only once, and in a subtest, because the time zone is changed until that ends.
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
				m := link.Refusal(q.ID, why)
				s.take(&m)
				return
			}
			m := link.Snapshot(q.ID, link.Text(answers[q.Of]))
			s.take(&m)
		}()
		return true
	})
	return s
}

// served returns the handler of these sources.
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

	// The last state of a dead process is marked as outdated.
	refused["vrrp"] = "the VRRP process does not run"
	if err := json.Unmarshal(get(h, "/v1/status").Body.Bytes(), &s); err != nil || s.VRRP.Stale != refused["vrrp"] || s.VRRP.Instances[0].Name != "A" {
		t.Errorf("%v, stale: %q", err, s.VRRP.Stale)
	}
	refused[""] = "gone"
	if w := get(h, "/v1/status"); w.Code != http.StatusBadGateway || !strings.Contains(w.Body.String(), "gone") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestNeverAnswered checks that a process that has never answered is left out.
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
	if err := os.WriteFile(path, nil, 0o644); err != nil { // left by a dead process
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

// TestSocket checks that the socket works, and that without the group only its user may
// use it.
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

// TestPeer checks that the user of a client is known over the socket.
func TestPeer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	s, err := listen(path, &conf.Control{Group: "no-such-group"})
	if err != nil {
		t.Fatal(err)
	}
	s.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p := peerOf(r.Context())
		reply(w, p != nil && int(p.cred.Pid) == os.Getpid() && int(p.cred.Uid) == os.Getuid() && p.right == mayAct)
	}))
	t.Cleanup(s.close)
	for range 2 * maxClients { // each replaces an older one
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

// TestHostileClients checks that hostile clients do not keep others from getting answers.
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
		dial() // and sends nothing
	}
	for _, bad := range []string{
		"\x16\x03\x01", "GET\r\n\r\n", "GET / HTTP/1.1\r\nHost: \r\nHost: \r\n\r\n", "POST /v1/status HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"GET /" + strings.Repeat("x", 2*maxHeader) + " HTTP/1.1\r\n\r\n", "GET /v1/status HTTP/9.9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		c := dial()
		go io.WriteString(c, bad+"\r\n\r\n")
		b, err := io.ReadAll(c)
		if err != nil && len(b) == 0 {
			continue // closed while this client was still writing
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

// TestEvents checks that events are recorded, also in the file, and that waiting clients
// get them.
func TestEvents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "of", "keepalived", "history")
	defer unix.Umask(unix.Umask(0o177)) // as in the parent
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

	// A client follows from before the first event on, until it gets an event of A.
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
	// A successor has the events, and records none of them twice.
	again := newRecorder(from, path)
	again.look(ctx)
	if got := events(again, ""); !cmp.Equal(all, got) {
		t.Errorf("%s", cmp.Diff(all, got))
	}
}

// TestActs checks that each kind has its endpoint, that the user is passed on, and that a
// client without the right is refused, and so is a malformed request.
func TestActs(t *testing.T) {
	var got act.Act
	var result act.Result
	var asker *act.Asker
	asker = act.NewAsker(func(id uint32, a *act.Act) bool {
		got = *a
		go asker.Take(id, result)
		return true
	})
	from := answering(t, nil)
	h := handler(from, newRecorder(from, filepath.Join(t.TempDir(), "history")), asker)
	post := func(who *peer, path, body string) *httptest.ResponseRecorder {
		q := httptest.NewRequest("POST", path, strings.NewReader(body))
		if who != nil {
			q = q.WithContext(context.WithValue(q.Context(), peerKey{}, who))
		}
		w := httptest.NewRecorder()
		got = act.Act{}
		h.ServeHTTP(w, q)
		return w
	}
	admin := &peer{cred: &unix.Ucred{Uid: 7, Pid: 12}, right: mayAct}
	const name = `{"name":"A"}`
	for _, test := range []struct {
		who        *peer
		path, body string
		result     act.Result
		code       int
		want       string
	}{
		{admin, "announce", `{"name":"A","reason":"moved"}`, act.Answer(api.Done{Result: "done it"}, nil), 200, `"result":"done it"`},
		{admin, "reload", "", act.Answer(api.Configuration{Reloads: 3}, nil), 200, `"reloads":3`},
		{admin, "reload", " ", act.Answer(nil, act.Refuse(act.Unavailable, "not complete")), 503, "not complete"},
		{admin, "announce", name, act.Answer(nil, act.Refuse(act.Unknown, "no such")), 404, "no such"},
		{admin, "announce", name, act.Answer(nil, act.Refuse(act.Impossible, "no master")), 409, "no master"},
		{nil, "announce", name, act.Result{}, 403, "only root"},
		{&peer{cred: &unix.Ucred{Uid: 8}, right: mayRead}, "announce", name, act.Result{}, 403, "only root"},
		{admin, "announce", "", act.Result{}, 400, "announce needs name"},
		{admin, "announce", `{"name":"A\n"}`, act.Result{}, 400, "cannot be printed"},
		{admin, "announce", `{"name":7}`, act.Result{}, 400, "cannot unmarshal number"},
		{admin, "announce", `{"nam":"A"}`, act.Result{}, 400, "unknown field"},
		{admin, "announce", `{"kind":"reload","name":"A"}`, act.Result{}, 400, "unknown field"},
		{admin, "announce", `{"name":"A"} {}`, act.Result{}, 400, "more behind it"},
		{admin, "announce", `[]`, act.Result{}, 400, "no JSON object"},
		{admin, "announce", `{"name":"` + strings.Repeat("x", maxRequest), act.Result{}, 400, "too large"},
		{admin, "reboot", "", act.Result{}, 404, "there is no POST /v1/reboot"},
	} {
		result = test.result
		w := post(test.who, "/v1/"+test.path, test.body)
		if w.Code != test.code || !strings.Contains(w.Body.String(), test.want) {
			t.Errorf("%s %.30s: %d %.200s, want %d with %s", test.path, test.body, w.Code, w.Body, test.code, test.want)
		}
		if asked := test.result.Body != nil || test.result.Code != 0; asked != (got.Kind != "") {
			t.Errorf("%s %.30s: passed on %+v", test.path, test.body, got)
		}
	}
	result = act.Answer(0, nil)
	post(admin, "/v1/announce", `{"name":"A","reason":"moved"}`)
	if want := (act.Act{Kind: act.Announce, Name: "A", Reason: "moved", By: act.By{UID: 7, PID: 12, Over: overSocket}}); got != want {
		t.Errorf("passed on: %+v", got)
	}
}

// TestRights checks the rights of users and groups.
func TestRights(t *testing.T) {
	r := rights{self: 100, readers: 7, acts: 8}
	for _, test := range []struct {
		uid    uint32
		groups []uint32
		want   right
	}{
		{0, nil, mayAct}, {100, nil, mayAct}, {1, nil, nothing}, {1, []uint32{0, 6}, nothing},
		{1, []uint32{6, 7}, mayRead}, {1, []uint32{8}, mayAct}, {1, []uint32{7, 8}, mayAct},
	} {
		p := &peer{cred: &unix.Ucred{Uid: test.uid}, groups: test.groups}
		if got := r.of(p); got != test.want {
			t.Errorf("uid %d, groups %v: %d, want %d", test.uid, test.groups, got, test.want)
		}
	}
	r = rights{readers: noGroup, acts: noGroup}
	if got := r.of(&peer{cred: &unix.Ucred{Uid: 1}, groups: []uint32{1<<32 - 1}}); got != nothing {
		t.Errorf("no group has members: %d", got)
	}
	path := filepath.Join(t.TempDir(), "socket")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	self := os.Getgid()
	for _, test := range []struct {
		r    rights
		mode os.FileMode
	}{
		{rights{readers: noGroup, acts: noGroup}, 0o600}, {rights{readers: self, acts: noGroup}, 0o660},
		{rights{readers: noGroup, acts: self}, 0o660}, {rights{readers: self, acts: self}, 0o660}, {rights{readers: self, acts: self + 1}, 0o666},
	} {
		err := test.r.apply(path)
		info, err2 := os.Stat(path)
		if err != nil || err2 != nil || info.Mode().Perm() != test.mode {
			t.Errorf("%+v: %v %v %v", test.r, info.Mode(), err, err2)
		}
	}
}

// TestOthersMayNotAsk checks that a user who is neither root nor a member of a group gets
// no answer, even if all may open the socket. A supplementary group counts.
func TestOthersMayNotAsk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	s, err := listen(path, &conf.Control{Group: "no-such-group", Admin: "no-such-group"})
	if err != nil {
		t.Fatal(err)
	}
	s.rights = rights{self: -2, readers: noGroup, acts: noGroup}
	var groups []uint32
	s.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reply(w, peerOf(r.Context()).groups) }))
	t.Cleanup(s.close)
	ask := func() string {
		t.Helper()
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		b, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	all, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 {
		if got := ask(); !strings.Contains(got, "403 Forbidden") || !strings.Contains(got, "may ask") {
			t.Errorf("%s", got)
		}
		s.rights.self = os.Getuid()
	}
	got := ask()
	if err := json.Unmarshal([]byte(got[strings.LastIndex(got, "\r\n")+2:]), &groups); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	for _, g := range append(all, os.Getgid()) {
		if !slices.Contains(groups, uint32(g)) {
			t.Errorf("groups %v of the client, not %d", groups, g)
		}
	}
	w := httptest.NewRecorder()
	readable(http.NotFoundHandler()).ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	if w.Code != http.StatusForbidden {
		t.Errorf("unknown: %d", w.Code)
	}
}

package controld

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/tool/lab"
)

// hostile is a name that would run a program if it were treated as markup.
const hostile = `<img src=x onerror="document.title='taken'"><script>alert(1)</script>`

// shown is the daemon on the page.
type shown struct {
	mu     sync.Mutex
	status api.Status
}

func (s *shown) now() *api.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.status.At = time.Now().UTC()
	s.status.VRRP.At = s.status.At
	out := s.status
	vrrp := *out.VRRP
	vrrp.Instances = slices.Clone(vrrp.Instances)
	out.VRRP = &vrrp
	return &out
}

// change changes a router, and adds the change to its history.
func (s *shown) change(i int, to, cause, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &s.status.VRRP.Instances[i]
	at := time.Now().UTC()
	r.History = append(slices.Clone(r.History), api.Change{At: at, From: r.State, To: to, Cause: cause, Why: why})
	r.State, r.Wanted, r.Since, r.Cause, r.Why = to, to, &at, cause, why
	r.Master, r.Held = nil, to == "MASTER"
	for k := range r.Addresses {
		r.Addresses[k].Set = r.Held
	}
}

// farm returns a daemon with objects of all kinds, and its last day.
func farm() (*shown, []history.Event) {
	now := time.Now().UTC()
	ago := func(d time.Duration) *time.Time { at := now.Add(-d); return &at }
	router := func(name, state string, vrid, priority uint8, since time.Duration, addresses ...string) api.Instance {
		i := api.Instance{
			Name: name, VRID: vrid, Family: "inet", Version: 3, Interface: "eth0", State: state, Wanted: state, Since: ago(since), Cause: "start",
			Priority: api.Priority{Base: priority, Effective: priority, Total: int(priority)}, AdvertInterval: 1, MasterDown: 3.6, Held: state == "MASTER",
			History: []api.Change{{At: *ago(since), From: "INIT", To: state, Cause: "start"}},
		}
		for _, a := range addresses {
			i.Addresses = append(i.Addresses, api.Address{Address: a, Interface: "eth0", Set: i.Held})
		}
		return i
	}
	web := router("web", "BACKUP", 51, 100, 30*time.Hour, "192.0.2.10/24", "192.0.2.11/24")
	web.Master = &api.Master{Address: "192.0.2.1", Priority: 150, Interval: 1}
	mail := router("mail", "MASTER", 52, 150, 3*time.Hour, "192.0.2.25/24")
	mail.Cause, mail.Why = "master-down", "no advert from 192.0.2.1, with priority 150, for 3.6s"
	mail.Priority.Effective, mail.Priority.Total, mail.Priority.Arithmetic = 140, 140, "150 - 10 (track_script queue: exited with status 1) = 140"
	mail.Trackers = []api.Tracking{{Kind: "track_script", Name: "queue", Weight: -10, State: "down", Detail: "exited with status 1", Reported: ago(4 * time.Second)}}
	inside := router("inside", "FAULT", 53, 100, 10*time.Minute, "198.51.100.10/24")
	inside.Faults, inside.Fault, inside.Cause, inside.Why = []string{"link-down"}, "interface eth1 is down", "link-down", "interface eth1 is down"
	number := func(n int) *int { return &n }
	server := func(name string, up bool, reason string) api.RealServer {
		state := map[bool]string{true: "up", false: "down"}[up]
		return api.RealServer{Name: name, Forward: "NAT", Up: up, InPool: up, Since: ago(72 * time.Hour), Weight: 1, Configured: 1, Checks: []api.Check{{Kind: "HTTP_GET", State: state, Attempts: 9, Last: ago(2 * time.Second), OK: up, Took: 0.00234, Reason: reason}}}
	}
	s := &shown{status: api.Status{
		Version: api.Version, At: now, Node: api.Node{Host: "node-b", Release: "2.4.3-go", PID: 711, Started: *ago(72 * time.Hour)},
		Processes: []api.Process{
			{Name: "vrrp", Wanted: true, PID: 712, Started: ago(72 * time.Hour), Serves: true},
			{Name: "checkers", Wanted: true, PID: 713, Started: ago(72 * time.Hour), Serves: true},
			{Name: "bfd", Wanted: true, PID: 715, Started: ago(72 * time.Hour), Serves: true},
			{Name: "control", Wanted: true, PID: 714, Started: ago(72 * time.Hour), Serves: true},
		},
		Configuration: api.Configuration{File: "/etc/keepalived/keepalived.conf", Read: *ago(5 * time.Hour)},
		VRRP: &api.VRRP{Running: true, Instances: []api.Instance{web, mail, inside}, Trackers: []api.Tracker{
			{Kind: "track_script", Name: "queue", State: "down", Detail: "exited with status 1", Reported: ago(4 * time.Second), Users: []string{"mail"}, History: []api.Reported{
				{At: *ago(20 * time.Hour), State: "up"}, {At: *ago(9 * time.Hour), State: "down"}, {At: *ago(8 * time.Hour), State: "up"}, {At: *ago(2 * time.Hour), State: "down"},
			}},
			{Kind: "track_process", Name: "workers", State: "up", Number: number(5), Reported: ago(time.Hour), Users: []string{"web"}, History: []api.Reported{
				{At: *ago(30 * time.Hour), State: "up", Number: number(8)}, {At: *ago(12 * time.Hour), State: "down", Number: number(2)}, {At: *ago(time.Hour), State: "up", Number: number(5)},
			}},
		}},
		BFD: &api.BFD{Snapshot: api.Snapshot{At: now}, Sessions: []api.Session{
			{Name: "uplink", Neighbour: "192.0.2.254", State: "Up", RemoteState: "Up", Diagnostic: "No Diagnostic", RemoteDiag: "No Diagnostic", Tx: 0.3, Detection: 0.9, Heard: ago(200 * time.Millisecond), Sent: 9000, Received: 9000},
			{Name: "spare", Neighbour: "192.0.2.253", State: "Down", RemoteState: "Down", Diagnostic: "Control Detection Time Expired", Tx: 1, Detection: 3, Heard: ago(40 * time.Minute)},
		}},
		LVS: &api.LVS{Snapshot: api.Snapshot{At: now}, Running: true, Services: []api.VirtualServer{{
			Name: "[192.0.2.10]:tcp:80", Protocol: "TCP", Scheduler: "wlc", Up: true, Since: ago(72 * time.Hour), Quorum: 1, Weight: 2, Alive: 2,
			Servers: []api.RealServer{server("[10.0.0.1]:tcp:80", true, ""), server("[10.0.0.2]:tcp:80", false, "connection refused"), server("[10.0.0.3]:tcp:80", true, "")},
		}}},
	}}
	var past []history.Event
	happened := func(kind history.Kind, before time.Duration, name, from, to, cause, why string) {
		past = append(past, history.Event{ID: uint64(len(past) + 1), At: *ago(before), Kind: kind, Name: name, From: from, To: to, Cause: cause, Why: why})
	}
	event := func(before time.Duration, name, from, to, cause, why string) {
		happened(history.Router, before, name, from, to, cause, why)
	}
	event(20*time.Hour, "mail", "BACKUP", "MASTER", "master-down", "no advert from 192.0.2.1, with priority 150, for 3.6s")
	happened(history.Server, 18*time.Hour, "[192.0.2.10]:tcp:80 [10.0.0.1]:tcp:80", "up", "down", "", "HTTP_GET: connection refused")
	happened(history.Server, 17*time.Hour, "[192.0.2.10]:tcp:80 [10.0.0.1]:tcp:80", "down", "up", "", "")
	event(14*time.Hour, "mail", "MASTER", "BACKUP", "higher-priority", "192.0.2.1 has priority 150")
	event(5*time.Hour, "mail", "BACKUP", "FAULT", "link-down", "interface eth0 is down")
	event(4*time.Hour, "mail", "FAULT", "BACKUP", "fault-cleared", "")
	event(3*time.Hour, "mail", "BACKUP", "MASTER", "master-down", "no advert from 192.0.2.1, with priority 150, for 3.6s")
	happened(history.Session, 40*time.Minute, "spare", "Up", "Down", "", "Control Detection Time Expired")
	event(10*time.Minute, "inside", "BACKUP", "FAULT", "link-down", "interface eth1 is down")
	return s, past
}

// tab is a page in a browser.
type tab struct {
	*testing.T
	ctx context.Context

	mu      sync.Mutex
	console []string
}

// browse starts Chromium until the test ends.
func browse(t *testing.T) *tab {
	lab.Need(t, lab.Chromium)
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath("chromium"), chromedp.NoSandbox, chromedp.WindowSize(1180, 1400),
		chromedp.UserDataDir(t.TempDir()), chromedp.WSURLReadTimeout(4*time.Minute))
	ctx, end := context.WithTimeout(t.Context(), 10*time.Minute)
	t.Cleanup(end)
	ctx, end = chromedp.NewExecAllocator(ctx, options...)
	t.Cleanup(end)
	ctx, end = chromedp.NewContext(ctx)
	t.Cleanup(end)
	b := &tab{T: t, ctx: ctx}
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			b.mu.Lock()
			b.console = append(b.console, m.Text+" "+m.URL)
			b.mu.Unlock()
		}
	}()
	return b
}

// complaints returns the messages in the console of the page.
func (b *tab) complaints() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.console)
}

func (b *tab) do(actions ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.Fatalf("%v; console: %q", err, b.complaints())
	}
}

// open opens the page of a daemon.
func (b *tab) open(from sources, events *recorder) *web {
	b.Helper()
	w, err := listenTCP(&conf.HTTP{Listen: "127.0.0.1:0"})
	if err != nil {
		b.Fatal(err)
	}
	w.serve(handler(from, events, nil))
	b.Cleanup(w.close)
	b.do(chromedp.Navigate("http://" + w.listener.Addr().String() + "/"))
	return w
}

// value returns the value of an expression on the page.
func value[T any](b *tab, expression string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.Fatalf("%s: %v; console: %q", expression, err, b.complaints())
	}
	return v
}

// is fails the test unless a condition is true on the page.
func (b *tab) is(what, condition string) {
	b.Helper()
	if !value[bool](b, condition) {
		b.Errorf("%s: not %s", what, condition)
	}
}

// until waits until a condition is true on the page.
func (b *tab) until(condition string) {
	b.Helper()
	if _, err := chromedp.Run(b.ctx, chromedp.Poll[bool](condition, chromedp.WithPollingTimeout(4*time.Minute))); err != nil {
		b.Fatalf("%s: %v; console: %q; the page is\n%s", condition, err, b.complaints(), value[string](b, "document.body.innerText"))
	}
}

// scheme sets the preferred colour scheme: light or dark.
func (b *tab) scheme(name string) {
	b.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
	}); err != nil {
		b.Fatal(err)
	}
}

// picture writes the screen to docs/images, if that is requested.
func (b *tab) picture(name string) {
	b.Helper()
	if os.Getenv("KEEPALIVED_PICTURES") != "1" {
		return
	}
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join("../../docs/images", name), png, 0o644)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// row returns an expression for the row of an address.
func row(address string) string { return entry("addresses", address) }

// entry returns an expression for the row of a section that has a text.
func entry(section, text string) string {
	return fmt.Sprintf(`[...document.querySelectorAll("#%s tbody tr")].find((r) => r.textContent.includes(%q))`, section, text)
}

// TestPage checks the page in a browser: who serves each address, a failover as it
// happens, by keyboard, in dark and light, on a phone. With KEEPALIVED_PICTURES=1 it
// writes the pictures of docs/page.md.
func TestPage(t *testing.T) {
	s, past := farm()
	path := filepath.Join(t.TempDir(), "history")
	old, _, err := history.Open(path, halfHistory)
	if err == nil {
		err = old.Append(past)
	}
	if err != nil {
		t.Fatal(err)
	}
	old.Close()
	b := browse(t)
	b.scheme("light")
	from := of(s.now)
	events := newRecorder(from, path)
	go events.run(t.Context())
	w := b.open(from, events)
	b.until(`document.getElementById("live").textContent === "live"`)
	b.is("web", row("192.0.2.10/24")+`.textContent.includes("192.0.2.1, priority 150")`)
	b.is("mail", row("192.0.2.25/24")+`.textContent.includes("this node")`)
	b.is("inside", row("198.51.100.10/24")+`.textContent.includes("no node is known")`)
	b.is("the last day of mail", row("192.0.2.25/24")+`.querySelectorAll("svg rect").length === 7`)
	b.is("problems", `document.getElementById("problems").textContent.includes("interface eth1 is down")`)
	b.is("a pool", `document.getElementById("pools").textContent.includes("connection refused")`)
	b.is("a latency", `document.getElementById("pools").textContent.includes("2.34 ms")`)
	b.is("the last day of a server", entry("pools", "10.0.0.1")+`.querySelectorAll("svg rect").length === 4`)
	b.is("a server that has been down all day", entry("pools", "10.0.0.2")+`.querySelectorAll("svg rect").length === 2`)
	b.is("the reports of a tracker", entry("trackers", "queue")+`.querySelectorAll("svg rect").length === 6`)
	b.is("the numbers of a tracker", entry("trackers", "workers")+`.querySelector("svg").getAttribute("aria-label") === "5 now; 2 to 8, 2 changes" && `+entry("trackers", "workers")+`.querySelector("polyline").points.length === 6`)
	b.is("a session", entry("bfd", "uplink")+`.textContent.includes("900 ms, sent each 300 ms") && `+entry("bfd", "uplink")+`.querySelector(".good") !== null`)
	b.is("a session that is down", entry("bfd", "spare")+`.textContent.includes("Control Detection Time Expired") && `+entry("bfd", "spare")+`.querySelectorAll("svg rect").length === 3`)
	b.is("history", `document.getElementById("history").textContent.includes("no advert from 192.0.2.1")`)

	// A failover appears without a reload.
	s.change(0, "MASTER", "master-down", "no advert from 192.0.2.1, with priority 150, for 3.6s")
	events.poke()
	b.until(row("192.0.2.10/24") + `.textContent.includes("this node")`)
	b.until(`document.querySelector("#history tbody tr").textContent.includes("MASTER")`)

	// By keyboard: to the search field, to a router, and into it.
	b.do(chromedp.KeyEvent("/"))
	b.is("the search has the focus", `document.activeElement.id === "search"`)
	b.do(chromedp.KeyEvent("mail"))
	b.is("the search", `document.querySelectorAll("#addresses tbody tr").length === 1`)
	b.do(chromedp.KeyEvent(kb.Escape))
	b.is("the search is over", `document.querySelectorAll("#addresses tbody tr").length === 4`)
	value[any](b, `document.getElementById("summary-mail").focus()`)
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(`document.getElementById("router-mail").textContent.includes("150 - 10 (track_script queue")`)
	b.until(`document.getElementById("router-mail").textContent.includes("mail is MASTER for ")`)
	b.is("the focus stays", `document.activeElement.id === "summary-mail"`)

	const colour = `getComputedStyle(document.body).backgroundColor`
	b.picture("page-light.png")
	value[any](b, `document.getElementById("pools").scrollIntoView()`)
	b.picture("page-pools.png")
	value[any](b, `scrollTo(0, 0)`)
	light := value[string](b, colour)
	b.scheme("dark")
	if dark := value[string](b, colour); dark == light {
		t.Errorf("light and dark are %s", dark)
	}
	b.picture("page-dark.png")
	b.do(chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile))
	b.is("a phone needs no scrolling to the side", `document.documentElement.scrollWidth <= 390`)
	b.picture("page-phone.png")
	if list := b.complaints(); len(list) > 0 {
		t.Errorf("the console has %q", list)
	}

	// Outdated values are marked.
	w.close()
	b.until(`document.getElementById("live").textContent.startsWith("stale since ")`)
}

// TestPageOfMany checks that 4,000 routers can be searched while few of them are drawn,
// and that a name is never treated as markup.
func TestPageOfMany(t *testing.T) {
	s, _ := farm()
	one, err := json.Marshal(s.status.VRRP.Instances[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4000 {
		var r api.Instance
		if err := json.Unmarshal([]byte(strings.NewReplacer(`"web"`, fmt.Sprintf(`"V%d"`, i), "192.0.2.1", fmt.Sprintf("10.%d.%d.", i/250, i%250)).Replace(string(one))), &r); err != nil {
			t.Fatal(err)
		}
		s.status.VRRP.Instances = append(s.status.VRRP.Instances, r)
	}
	s.status.VRRP.Instances[0].Name = hostile
	s.status.VRRP.Instances[0].Fault = hostile
	s.status.VRRP.Trackers[0].Name = hostile
	s.status.LVS.Services[0].Name = hostile
	pool := s.status.LVS.Services[0].Servers
	pool[0].Intents = []api.Intent{{Kind: "weight", Value: 3}, {Kind: "drain"}}
	pool[2].Intents = []api.Intent{{Kind: "drain"}, {Kind: "disable"}}
	b := browse(t)
	from := of(s.now)
	b.open(from, newRecorder(from, filepath.Join(t.TempDir(), "history")))
	b.until(`document.querySelectorAll("#addresses tbody tr").length === 40`)
	b.is("a server that drains", entry("pools", "10.0.0.1")+`.textContent.includes("drains")`)
	b.is("a server that is disabled", entry("pools", "10.0.0.3")+`.textContent.includes("disabled")`)
	if n := value[int](b, `document.querySelectorAll("*").length`); n > 4000 {
		t.Errorf("%d elements", n)
	}
	b.is("names are names", row("192.0.2.10/24")+`.textContent.includes("<img src=x") && !document.querySelector("main img, main script") && document.title !== "taken"`)
	b.do(chromedp.KeyEvent("/"), chromedp.KeyEvent("V3999"))
	b.until(`document.querySelectorAll("#addresses tbody tr").length === 2`)
	if list := b.complaints(); len(list) > 0 {
		t.Errorf("the console has %q", list)
	}
}

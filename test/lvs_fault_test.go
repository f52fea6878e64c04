package test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/tool/lab"
)

// testFaults checks that no established connection and no healthy server is lost, and
// that the backup receives all adverts, while traffic runs and the health-check process,
// the table of the kernel and the configuration change.
func testFaults(t *testing.T) {
	web := netip.AddrPortFrom(addr("10.0.1.3"), 80)
	f := newFarm(t, pairGateway, 2, 3, byDR.Addr())
	var servers []*nginx
	for _, n := range f.servers {
		f.serveLines(n, linesPort)
		servers = append(servers, f.nginx(n.Name))
	}
	// The host may suspend this whole machine: the backup waits for longer than that.
	in := instance{Interval: 2 * time.Second, VIPs: []string{
		fmt.Sprintf("%v/16", byDR.Addr()), fmt.Sprintf("%v/16", byNAT.Addr()), fmt.Sprintf("%v/16", web.Addr()), fmt.Sprintf("%v/16 dev eth1", pairGateway.v4)}}
	config := func(weight int) string {
		text := config(in.at(200))
		for _, v := range []struct {
			to    netip.AddrPort
			kind  string
			check string
		}{
			{byDR, "DR", "TCP_CHECK {\nconnect_timeout 5\n}"},
			{byNAT, "NAT", "TCP_CHECK {\nconnect_timeout 5\n}"},
			{web, "NAT", "HTTP_GET {\nurl {\npath /\nstatus_code 200\n}\n}"},
		} {
			lines := []string{"protocol TCP", "lb_algo wrr", "lb_kind " + v.kind, "delay_loop 1", "delay_before_retry 1"}
			for _, n := range f.servers {
				lines = append(lines, server(fmt.Sprint(n.Addr(1), " ", v.to.Port()), fmt.Sprint("weight ", weight), v.check))
			}
			text += virtual(fmt.Sprint(v.to.Addr(), " ", v.to.Port()), lines...)
		}
		return text
	}
	director := f.directors[0]
	// The shortest interval that a watchdog may have.
	daemon := lab.Program{Name: ours.Name, Path: f.script(director.Name, "watched", "export WATCHDOG_USEC=10000000\nexec "+ours.Path+` "$@"`)}
	a := f.start(director.Name, daemon, config(1))
	f.awaitOwner(web.Addr(), 30*time.Second, "lb1")
	f.start("lb2", ours, configWith("", in.at(100)))
	const all = 3 * 3 // services and their servers
	awaitTable := func() {
		t.Helper()
		if !f.Until(30*time.Second, func() bool { return len(f.weights(director)) == all }) {
			t.Fatalf("the table is not whole:\n%s", f.proc(director, "ip_vs"))
		}
	}
	awaitTable()
	began := time.Now()

	sessions := []*session{f.open(f.client, byDR), f.open(f.client, byNAT)}
	echo := func(after string) {
		t.Helper()
		for _, e := range sessions {
			if err := e.echo(); err != nil {
				t.Fatalf("after %s a connection is lost: %v", after, err)
			}
		}
	}
	traffic := f.load(web)
	undisturbed := func(after string) {
		t.Helper()
		echo(after)
		traffic.more(after)
		if len(f.weights(director)) != all || a.Logged(began, "Removing service") || a.Logged(began, "Lost quorum") {
			t.Errorf("after %s a healthy server is lost:\n%s", after, f.proc(director, "ip_vs"))
		}
	}
	undisturbed("the start")

	successorAfter := func(what string, s unix.Signal) {
		t.Helper()
		old := checkersPid(a)
		f.awaitServing(a, old) // one that has just started may be silent for minutes
		f.must(unix.Kill(old, s))
		echo(what)
		if !f.Until(40*time.Second, func() bool { p := checkersPid(a); return p != 0 && p != old && lab.Alive(p) }) {
			t.Fatalf("no successor after %s", what)
		}
		undisturbed(what)
	}
	successorAfter("SIGKILL", unix.SIGKILL)
	successorAfter("SIGSTOP", unix.SIGSTOP)
	if !a.Logged(began, "has not responded") {
		t.Error("the watchdog is silent about a process that was stopped")
	}

	reloads, pace := 4, time.Duration(0)
	if nightly() {
		reloads, pace = 60, time.Second
	}
	for i := range reloads {
		at := time.Now()
		weight := 2 - i%2
		f.must(a.Reload(config(weight)))
		if !f.Until(30*time.Second, func() bool { return slices.Equal(f.weights(director), slices.Repeat([]int{weight}, all)) }) {
			t.Fatalf("reload %d has no effect:\n%s", i, f.proc(director, "ip_vs"))
		}
		echo("a reload")
		time.Sleep(time.Until(at.Add(pace)))
	}
	undisturbed("reloads")

	// A successor checks servers too, and changes the table of the kernel.
	servers[2].kill()
	if !f.Until(30*time.Second, func() bool { return len(f.weights(director)) == all-1 }) {
		t.Error("a dead server stays in the table")
	}
	traffic.forget() // connections to the dead server
	traffic.more("the end of a server")
	servers[2].start()
	awaitTable()

	at := time.Now()
	f.output(director, "ipvsadm", "-C")
	awaitTable()
	echo("ipvsadm -C")
	traffic.forget() // there was no service for a while
	traffic.more("ipvsadm -C")
	if !a.Logged(at, "was changed by another program; it is restored") {
		t.Error("nothing is reported of the repair")
	}
	f.silent(began, time.Now(), "lb2")
	if err := a.Stop(); err != nil {
		t.Error(err)
	}
	if left := len(f.weights(director)); left > 0 {
		t.Errorf("%d servers are left in the table", left)
	}
}

// awaitServing waits until a process of the daemon runs the configuration.
func (f *farm) awaitServing(d *lab.Daemon, pid int) {
	f.Helper()
	var text string
	if !f.Until(40*time.Second, func() bool {
		text, _ = f.runVerb(d, "status", "-o", "json")
		var s api.Status
		return json.Unmarshal([]byte(text), &s) == nil &&
			slices.ContainsFunc(s.Processes, func(p api.Process) bool { return p.PID == pid && p.Serves })
	}) {
		f.Fatalf("process %d does not serve: %s", pid, text)
	}
}

// loadPace is the time between two requests of a load: without it they would take the whole
// processor of the machine, and everything else would wait.
const loadPace = 50 * time.Millisecond

// load is a client that sends one request to nginx after another.
type load struct {
	farm *farm
	done chan struct{}
	wg   sync.WaitGroup

	mu       sync.Mutex
	answered int
	failure  error // the first one
	forgot   int   // how often forget was called
}

// load starts requests, which end with the scene.
func (f *farm) load(to netip.AddrPort) *load {
	l := &load{farm: f, done: make(chan struct{})}
	l.wg.Go(func() {
		for {
			select {
			case <-l.done:
				return
			default:
			}
			l.mu.Lock()
			begun := l.forgot
			l.mu.Unlock()
			_, err := f.get(f.client, netip.Addr{}, to)
			l.mu.Lock()
			switch {
			case err == nil:
				l.answered++
			case l.failure == nil && begun == l.forgot:
				l.failure = err
			}
			l.mu.Unlock()
			time.Sleep(loadPace)
		}
	})
	f.Cleanup(sync.OnceFunc(func() { close(l.done); l.wg.Wait() }))
	return l
}

// more waits for further answers, and fails if a request has failed since the last call
// of forget.
func (l *load) more(after string) {
	l.farm.Helper()
	state := func() (int, error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.answered, l.failure
	}
	const further = 5
	before, failure := state()
	var answered int
	enough := l.farm.Until(answerWait, func() bool {
		answered, failure = state()
		return failure != nil || answered >= before+further
	})
	switch {
	case failure != nil:
		l.farm.Fatalf("after %s a request fails: %v", after, failure)
	case !enough:
		l.farm.Fatalf("after %s no requests are answered", after)
	}
}

// forget discards past failures. A request in progress may fail, too.
func (l *load) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failure = nil
	l.forgot++
}

package checkd

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/checkd/table"
	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/kernel/kerneltest"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/policy"
	"keepalived-go/internal/proc/link"
	"keepalived-go/internal/proc/link/linktest"
	"keepalived-go/internal/proc/session"
	"keepalived-go/internal/proc/statefile"
	"keepalived-go/internal/proc/wire"
	"keepalived-go/lvs"
	"keepalived-go/lvs/ipvs"
	"keepalived-go/lvs/ipvs/ipvstest"
)

// These tests need no root: the kernel's table is in memory, and servers are on the
// loopback interface.

// read parses a configuration.
func read(t *testing.T, text string) *conf.Config {
	t.Helper()
	c, problems := conf.Load("k.conf", conf.Options{Unsaved: func(string) (string, bool) { return text, true }})
	for _, p := range problems {
		if p.Severity >= conf.Error {
			t.Fatal(p)
		}
	}
	return share(c).Config
}

// process is a daemon whose loop a test turns.
type process struct {
	*daemon
	t      *testing.T
	kernel *ipvstest.Kernel
	host   *kerneltest.Kernel
	ended  bool
}

// start starts with a configuration as run does.
func start(t *testing.T, text string, change func(*Options)) *process {
	t.Helper()
	k := ipvstest.New()
	host := kerneltest.New(kerneltest.Ethernet(2, "eth0"))
	return startOn(t, k, host, text, change)
}

func startOn(t *testing.T, k *ipvstest.Kernel, host *kerneltest.Kernel, text string, change func(*Options)) *process {
	t.Helper()
	o := Options{Host: host, Dial: func() (table.Conn, error) {
		c, err := k.Dial()
		if err != nil {
			return nil, err
		}
		return c, nil
	}}
	if change != nil {
		change(&o)
	}
	c := read(t, text)
	d, err := newDaemon(o, c)
	if err != nil {
		t.Fatal(err)
	}
	d.begin(c)
	p := &process{daemon: d, t: t, kernel: k, host: host}
	t.Cleanup(func() {
		if !p.ended {
			p.stop()
		}
	})
	return p
}

// until turns the loop until f returns true.
func (p *process) until(what string, f func() bool) {
	p.t.Helper()
	const patience = 2 * time.Minute // for a busy machine
	end := time.Now().Add(patience)
	for !f() {
		if time.Now().After(end) || p.err != nil {
			p.t.Fatalf("not within %v: %s (%v)", patience, what, p.err)
		}
		wake := time.AfterFunc(20*time.Millisecond, func() { p.loop.Post(func() {}) })
		p.turn()
		wake.Stop()
	}
}

func (p *process) reloadTo(text string) {
	p.t.Helper()
	done := false
	p.prepareReload(read(p.t, text), func() { done = true })
	p.until("the reload", func() bool { return done })
}

// stop ends the process as an order does.
func (p *process) stop() {
	p.daemon.stop()
	p.until("the table as it shall be left", func() bool { return p.released })
	p.finish()
	p.ended = true
}

// kill ends the process without cleaning up, as SIGKILL does, except for descriptors of
// the test itself.
func (p *process) kill() {
	p.until("the state to be written", func() bool { return !p.saver.Busy() })
	for _, c := range p.checks {
		p.retire(c)
	}
	p.daemon.table.Close() // otherwise it would repair the changes of the successor
	p.ended = true
}

// table returns the contents of the kernel's table, as lines.
func (p *process) table() string {
	p.t.Helper()
	c, err := p.kernel.Dial()
	if err != nil {
		p.t.Fatal(err)
	}
	defer c.Close()
	services, err := c.Services()
	if err != nil {
		p.t.Fatal(err)
	}
	var lines []string
	for _, s := range services {
		all, err := c.Destinations(s.ServiceID)
		if err != nil {
			p.t.Fatal(err)
		}
		var words []string
		for _, d := range all {
			words = append(words, fmt.Sprintf("%v=%d", d.Addr, d.Weight))
		}
		slices.Sort(words)
		lines = append(lines, fmt.Sprintf("%v: %s", s.ServiceID, strings.Join(words, " ")))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func (p *process) untilTable(want string) {
	p.t.Helper()
	p.until("the table is "+want, func() bool { return p.table() == want })
}

// server is a TCP server that can be closed and opened at its address.
type server struct {
	t *testing.T
	l net.Listener
}

func serve(t *testing.T) *server {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t, l}
	go s.accept(l)
	t.Cleanup(func() { s.l.Close() })
	return s
}

func (s *server) accept(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		c.Close()
	}
}

func (s *server) addr() netip.AddrPort { return s.l.Addr().(*net.TCPAddr).AddrPort() }

func (s *server) close() { s.l.Close() }

func (s *server) open() {
	s.t.Helper()
	l, err := net.Listen("tcp4", s.addr().String())
	if err != nil {
		s.t.Fatal(err)
	}
	s.l = l
	go s.accept(l)
}

// name returns the server as in messages.
func (s *server) name() string {
	return fmt.Sprintf("[127.0.0.1]:tcp:%d", s.addr().Port())
}

// real returns the block of a server with a check.
func (s *server) real(more string) string {
	return fmt.Sprintf("    real_server 127.0.0.1 %d {\n        weight 1\n        %s\n        TCP_CHECK {\n            connect_timeout 5\n        }\n    }\n", s.addr().Port(), more)
}

// virtual returns the block of a service with frequent checks.
func virtual(more string, servers ...string) string {
	return "virtual_server 10.0.0.1 80 {\n    protocol TCP\n    lb_algo rr\n    lb_kind NAT\n    delay_loop 0.02\n    warmup 0\n    retry 1\n    delay_before_retry 0.02\n" + more + "\n" + strings.Join(servers, "") + "}\n"
}

const vs = "[10.0.0.1]:tcp:80"

// TestServerFailsAndReturns checks that a server that fails is removed from the table,
// that the sorry server replaces the last one, and that everything returns.
func TestServerFailsAndReturns(t *testing.T) {
	log := logtest.Capture(t)
	a, b := serve(t), serve(t)
	p := start(t, virtual("sorry_server 127.0.0.9 9", a.real(""), b.real("")), nil)
	both := fmt.Sprintf("tcp 10.0.0.1:80: %v=1 %v=1", min(a.addr().String(), b.addr().String()), max(a.addr().String(), b.addr().String()))
	p.untilTable(both)
	if !log.InOrder("Gained quorum 1+0=1 <= 2 for VS "+vs, "Activating healthchecker for service "+a.name()+" for VS "+vs) {
		t.Errorf("start: %q", log.Lines())
	}
	p.until("the first results", func() bool { return p.checks[0].last.at != 0 && p.checks[1].last.at != 0 })
	a.close()
	p.untilTable(fmt.Sprintf("tcp 10.0.0.1:80: %v=1", b.addr()))
	b.close()
	p.untilTable("tcp 10.0.0.1:80: 127.0.0.9:9=1")
	if want := []string{
		"TCP_CHECK on service " + a.name() + " failed after 1 retries.", "Removing service " + a.name() + " from VS " + vs,
		"TCP_CHECK on service " + b.name() + " failed after 1 retries.", "Removing service " + b.name() + " from VS " + vs,
		"Lost quorum 1-0=1 > 0 for VS " + vs, "Adding sorry server [127.0.0.9]:tcp:9 to VS " + vs, "Removing alive servers from the pool for VS " + vs,
	}; !log.InOrder(want...) {
		t.Errorf("%q is not in this order in %q", want, log.Lines())
	}
	b.open()
	p.untilTable(fmt.Sprintf("tcp 10.0.0.1:80: %v=1", b.addr()))
	a.open()
	p.untilTable(both)
	if want := []string{
		"TCP connection to " + b.name() + " success.", "Adding service " + b.name() + " to VS " + vs, "Gained quorum 1+0=1 <= 1 for VS " + vs,
		"Removing sorry server [127.0.0.9]:tcp:9 from VS " + vs, "Adding alive servers to the pool for VS " + vs,
	}; !log.InOrder(want...) {
		t.Errorf("%q is not in this order in %q", want, log.Lines())
	}
	p.stop()
	if left := p.table(); left != "" {
		t.Errorf("left behind: %s", left)
	}
	if !log.InOrder("Shutting down service "+a.name()+" from VS "+vs, "Shutting down service "+b.name()+" from VS "+vs) {
		t.Errorf("the end: %q", log.Lines())
	}
}

// TestEndOfServers checks that the end names each server once, in the order of the
// configuration: with omega also those that are down, and "(inhibited)" those that
// inhibit_on_failure keeps in the table.
func TestEndOfServers(t *testing.T) {
	log := logtest.Capture(t)
	a, b := serve(t), serve(t)
	a.close()
	p := start(t, virtual("omega", a.real("inhibit_on_failure"), b.real("")), nil)
	p.until("the dead server", func() bool { return !p.checks[0].life.Up() && p.checks[1].last.at != 0 })
	p.stop()
	var end []string
	for _, line := range log.Lines() {
		if strings.HasPrefix(line, "Shutting down") {
			end = append(end, line)
		}
	}
	if want := []string{"Shutting down (inhibited) service " + a.name() + " from VS " + vs, "Shutting down service " + b.name() + " from VS " + vs}; !slices.Equal(end, want) {
		t.Errorf("%q, want %q", end, want)
	}
}

// TestWeightBeforeVerdict checks that the weight that a MISC_CHECK sets is logged before its
// own line, as in the C daemon, and that the subject of its mail is the state of the server,
// which another check keeps down.
func TestWeightBeforeVerdict(t *testing.T) {
	log := logtest.Capture(t)
	a := serve(t)
	a.close()
	misc := "MISC_CHECK {\n misc_dynamic\n misc_timeout 60\n misc_path \"/bin/sh -c 'exit 9'\"\n}"
	p := start(t, virtual("alpha", a.real("smtp_alert\n"+misc)), nil)
	p.until("both results", func() bool { return p.checks[0].last.at != 0 && p.checks[1].last.at != 0 })
	weight := "Changing weight from 1 to 7 for inactive service " + a.name() + " of VS " + vs
	if passed := "Misc check for [" + a.name() + " VS " + vs + "] by [/bin/sh] succeeded."; !log.InOrder(weight, passed) {
		t.Errorf("not first %q, then %q: %q", weight, passed, log.Lines())
	}
	n := notice{action: lvs.Action{Kind: lvs.CheckChanged, Up: true, Service: &p.services.Services[0], Server: &p.services.Services[0].Servers[0]}}
	if got := n.Event().Mail.Subject; !strings.HasSuffix(got, " - DOWN") {
		t.Errorf("a check that passes while another one fails: %q", got)
	}
	n.action.ServerChanged = true
	if got := n.Event().Mail.Subject; !strings.HasSuffix(got, " - UP") {
		t.Errorf("the last check that passes: %q", got)
	}
	p.until("no check runs", func() bool { return p.checks[0].attempt == nil })
}

// TestReload checks that a reload changes only what differs, and that checks keep their
// results, even in another place.
func TestReload(t *testing.T) {
	log := logtest.Capture(t)
	a, b := serve(t), serve(t)
	a.close()
	p := start(t, virtual("", a.real(""), b.real("")), nil)
	alone := fmt.Sprintf("tcp 10.0.0.1:80: %v=1", b.addr())
	p.untilTable(alone)
	requests := p.kernel.Requests()
	dead := p.checks[0]
	p.reloadTo(virtual("", b.real(""), a.real("")))
	if p.checks[1] != dead || dead.life.Up() {
		t.Error("the check of the dead server does not continue")
	}
	p.until("some turns", func() bool { return dead.life.State().Number > 20 })
	if n := p.kernel.Requests() - requests; n > 40 { // requests that read the table
		t.Errorf("%d requests for a reload that changes nothing", n)
	}
	if p.table() != alone {
		t.Errorf("the table after it: %s", p.table())
	}
	p.reloadTo(virtual("", strings.Replace(b.real(""), "weight 1", "weight 7", 1)))
	p.untilTable(fmt.Sprintf("tcp 10.0.0.1:80: %v=7", b.addr()))
	if want := "Changing weight from 1 to 7 for active service " + b.name() + " of VS " + vs; !log.InOrder(want) {
		t.Errorf("no line %q in %q", want, log.Lines())
	}
	if len(p.checks) != 1 || dead.timer.Running() || dead.attempt != nil {
		t.Error("the check of a removed server continues")
	}
	p.reloadTo("vrrp_script x {\n script /bin/true\n}\n")
	p.untilTable("")
}

// TestSuccessor checks that the successor of a killed process continues with its state:
// servers that are down stay out, nothing is announced, and the table stays the same.
func TestSuccessor(t *testing.T) {
	log := logtest.Capture(t)
	a, b := serve(t), serve(t)
	a.close()
	state := filepath.Join(t.TempDir(), "checkers.state")
	keep := func(o *Options) { o.StateFile = state }
	text := virtual("", a.real("alpha"), b.real(""))
	p := start(t, text, keep)
	alone := fmt.Sprintf("tcp 10.0.0.1:80: %v=1", b.addr())
	p.untilTable(alone)
	p.until("the first results", func() bool { return p.checks[0].last.at != 0 && p.checks[1].last.at != 0 })
	p.kill()

	before := len(log.Lines())
	next := startOn(t, p.kernel, p.host, text, keep)
	if next.checks[0].life.Up() || next.checks[0].life.State().Number == 0 {
		t.Error("the check of the dead server starts again")
	}
	next.until("its results", func() bool { return next.checks[0].last.at != 0 && next.checks[1].last.at != 0 })
	if next.table() != alone {
		t.Errorf("the table: %s", next.table())
	}
	for _, line := range log.Lines()[before:] {
		if strings.HasPrefix(line, "Gained quorum") || strings.HasPrefix(line, "Removing service") || strings.HasPrefix(line, "TCP") {
			t.Errorf("announced again: %s", line)
		}
	}
	next.kill()

	// The last one, which has nothing to serve, removes the leftovers.
	last := startOn(t, p.kernel, p.host, "global_defs {\n}\n", keep)
	last.untilTable("")
	last.stop()
	if _, err := os.Stat(state); !os.IsNotExist(err) {
		t.Errorf("the state file after an end in good order: %v", err)
	}
}

// TestSuccessorDoesNotFlush checks that a successor does not flush the table (lvs_flush),
// because its entries are in use.
func TestSuccessorDoesNotFlush(t *testing.T) {
	logtest.Capture(t)
	a := serve(t)
	state := filepath.Join(t.TempDir(), "checkers.state")
	keep := func(o *Options) { o.StateFile = state }
	text := "global_defs {\n    lvs_flush\n}\n" + virtual("", a.real(""))
	theirs := ipvs.Service{ServiceID: ipvs.AddrService(ipvs.TCP, netip.MustParseAddrPort("10.9.9.9:9")), Scheduler: "rr"}
	k, host := ipvstest.New(), kerneltest.New(kerneltest.Ethernet(2, "eth0"))
	add := func() {
		if err := k.Change(ipvs.Change{Op: ipvs.Add, Service: theirs}); err != nil {
			t.Fatal(err)
		}
	}
	add()
	ours := fmt.Sprintf("tcp 10.0.0.1:80: %v=1", a.addr())
	p := startOn(t, k, host, text, keep)
	p.untilTable(ours)
	p.kill()
	add()
	next := startOn(t, k, host, text, keep)
	next.until("its results", func() bool { return next.checks[0].last.at != 0 })
	if got := next.table(); got != ours+"\ntcp 10.9.9.9:9: " {
		t.Errorf("the table is %s", got)
	}
}

// TestKeepTable checks that with -I the table stays unchanged at the end.
func TestKeepTable(t *testing.T) {
	logtest.Capture(t)
	a := serve(t)
	p := start(t, virtual("", a.real("")), func(o *Options) { o.Keep = true })
	want := fmt.Sprintf("tcp 10.0.0.1:80: %v=1", a.addr())
	p.untilTable(want)
	p.stop()
	if got := p.table(); got != want {
		t.Errorf("left: %s", got)
	}
}

// TestSuspend checks that with ha_suspend no checks run while the machine does not have
// the address.
func TestSuspend(t *testing.T) {
	log := logtest.Capture(t)
	a := serve(t)
	a.close()
	p := start(t, virtual("ha_suspend", a.real("")), nil)
	p.until("a while", func() bool { return len(log.Lines()) > 0 })
	if p.checks[0].active {
		t.Error("the check is active")
	}
	address := kernel.Addr{Link: 2, Prefix: netip.MustParsePrefix("10.0.0.1/32")}
	p.host.SetAddr(address)
	p.untilTable("tcp 10.0.0.1:80: ")
	p.host.RemoveAddr(2, address.Prefix)
	p.until("the suspension", func() bool { return !p.checks[0].active })
	if !log.InOrder("Activating healthchecker for service "+a.name()+" for VS "+vs, "Deactivating healthchecker for service "+a.name()+" for VS "+vs) {
		t.Errorf("%q", log.Lines())
	}
	number := p.checks[0].life.State().Number
	a.open()
	for range 10 {
		p.loop.Post(func() {})
		p.turn()
	}
	if p.checks[0].life.State().Number != number || p.table() != "tcp 10.0.0.1:80: " {
		t.Error("a suspended check has gone on")
	}
}

// TestFileCheck checks that the weight follows a tracked file.
func TestFileCheck(t *testing.T) {
	logtest.Capture(t)
	a := serve(t)
	file := filepath.Join(t.TempDir(), "n")
	write := func(n string) {
		if err := os.WriteFile(file, []byte(n+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("3")
	text := "track_file f {\n    file " + file + "\n    weight 1\n}\n" + virtual("",
		strings.Replace(a.real(""), "        TCP_CHECK", "        FILE_CHECK {\n            track_file f\n            weight 2\n        }\n        TCP_CHECK", 1))
	p := start(t, text, nil)
	line := func(n int) string { return fmt.Sprintf("tcp 10.0.0.1:80: %v=%d", a.addr(), n) }
	p.untilTable(line(7))
	write("-1")
	p.untilTable(line(0))
	write("10")
	p.untilTable(line(21))
}

// TestSyncFollowsInstance checks that the synchronisation of connections follows the
// state of an instance that the VRRP process reports.
func TestSyncFollowsInstance(t *testing.T) {
	logtest.Capture(t)
	a := serve(t)
	p := start(t, "global_defs {\n    lvs_sync_daemon eth0 VI_1 id 9\n    lvs_timeouts tcp 33\n}\nvrrp_instance VI_1 {\n    interface eth0\n    virtual_router_id 5\n    virtual_ipaddress {\n        10.0.0.1\n    }\n}\n"+virtual("", a.real("")), nil)
	roles := func() string {
		c, err := p.kernel.Dial()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		var words []string
		all, err := c.Daemons()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			words = append(words, fmt.Sprintf("%v %d on %s", d.Role, d.ID, d.Interface))
		}
		return strings.Join(words, ", ")
	}
	report := func(master bool) {
		p.hear(&link.Event{From: "vrrp", Subject: policy.InstanceState.Of("VI_1"), Body: wire.Append(nil, master)})
	}
	p.until("a backup", func() bool { return roles() == "backup 9 on eth0" })
	report(true)
	p.until("a master", func() bool { return roles() == "master 9 on eth0" })
	report(false)
	p.until("a backup again", func() bool { return roles() == "backup 9 on eth0" })
	p.stop()
	if left := roles(); left != "" {
		t.Errorf("left: %s", left)
	}
}

// TestStateFile checks that a state file of another boot, of another version or with
// arbitrary contents does no harm.
func TestStateFile(t *testing.T) {
	this := statefile.Header{Version: stateVersion, Boot: "this"}
	if s, err := statefile.Decode[state]([]byte(`{"Version":1,"Boot":"another"}`), this); s != nil || err != nil {
		t.Errorf("of another boot: %+v, %v", s, err)
	}
	for _, text := range []string{"", "{", `{"Version":99,"Boot":"this"}`, "\x00\x01"} {
		if s, err := statefile.Decode[state]([]byte(text), this); s != nil || err == nil {
			t.Errorf("%q: %+v, %v", text, s, err)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"Version":1,"Boot":"b","Services":{"Services":[{"ID":{"Group":"w"},"Up":true,"Servers":[{"Addr":"10.0.0.1:80","Checks":[{"Key":"k","State":2}]}]}]},"Lives":[],"Endpoints":[{"Addr":"10.0.0.1:80","Protocol":6}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, _ := statefile.Decode[state](b, statefile.Header{Version: stateVersion, Boot: "b"}); s != nil {
			for _, e := range s.Endpoints {
				serviceIDOf(e)
			}
		}
	})
}

// TestResultIsInTheTableAtOnce checks that the result of a check is in the kernel's table
// at the end of the turn, unless the goroutine of the table is working at that moment.
func TestResultIsInTheTableAtOnce(t *testing.T) {
	logtest.Capture(t)
	p := start(t, quiet(1, 2, ""), nil)
	const without = "tcp 10.0.0.1:80: 10.1.0.2:80=2"
	const with = "tcp 10.0.0.1:80: 10.1.0.1:80=1 10.1.0.2:80=2"
	p.untilTable(with)
	at := 0
	for i := range 20 {
		up, want := i%2 == 1, without
		if up {
			want = with
		}
		p.step(lvs.Event{Kind: lvs.CheckResult, Check: 1, Up: up})
		p.flushNow()
		if p.table() == want {
			at++
		}
		p.untilTable(want)
	}
	if at < 10 {
		t.Errorf("%d of 20 results are in the table at the end of the turn", at)
	}
}

// TestStateInSlices checks that the state is collected in many turns, each with only some
// servers or checks, and is complete.
func TestStateInSlices(t *testing.T) {
	logtest.Capture(t)
	p := start(t, quiet(8, 120, ""), nil)
	taken, steps := p.state()
	s := taken.(*state)
	servers := func() (n int) {
		for i := range s.Services.Services {
			n += len(s.Services.Services[i].Servers)
		}
		return n
	}
	for _, step := range steps {
		n, lives := servers(), len(s.Lives)
		step()
		if n, lives = servers()-n, len(s.Lives)-lives; n >= 2*serversSlice || lives > checksSlice || n > 0 && lives > 0 {
			t.Errorf("one step takes up %d servers and %d checks", n, lives)
		}
	}
	if want := p.engine.Snapshot(); !reflect.DeepEqual(s.Services, want) {
		t.Errorf("the services are %+v, want %+v", s.Services, want)
	}
	if len(s.Lives) != 8*120*2 || len(s.Endpoints) != 8 {
		t.Errorf("%d checks and %d entries", len(s.Lives), len(s.Endpoints))
	}

	// A reload in between does no harm: the next state has its changes.
	_, steps = p.state()
	for i, step := range steps {
		if i == 2 {
			p.reload(newPlan(read(t, quiet(3, 2, "")), nil), nil)
		}
		step()
	}
}

// held is a load balancer that takes no changes until proceed is closed.
type held struct {
	table.Conn
	proceed chan struct{}
}

func (h held) Batch(changes []ipvs.Change) []error {
	<-h.proceed
	return h.Conn.Batch(changes)
}

// TestStartAwaitsTable checks that the start is reported once: when the kernel has the first
// table, or after a while if it does not answer.
func TestStartAwaitsTable(t *testing.T) {
	logtest.Capture(t)
	for name, answers := range map[string]bool{"answers": true, "hangs": false} {
		t.Run(name, func(t *testing.T) {
			proceed := make(chan struct{})
			p := start(t, virtual("", "real_server 192.0.2.1 80 {\n}"), func(o *Options) {
				dial := o.Dial
				o.Dial = func() (table.Conn, error) {
					c, err := dial()
					return held{c, proceed}, err
				}
			})
			parent, child := linktest.Pair(t)
			p.session = session.Begin(child, p.loop, session.Orders{Stop: func() {}})
			started := make(chan time.Time, 2)
			go func() {
				for {
					m, err := parent.Receive()
					if err != nil {
						return
					}
					if m.Kind == link.Started {
						started <- time.Now()
					}
				}
			}()
			begun := time.Now()
			p.awaitTable()
			released := begun
			if answers {
				p.loop.Post(func() {})
				p.turn() // by then a start that does not wait would have been reported
				released = time.Now()
				close(proceed)
			}
			p.until("the start", func() bool { return len(started) > 0 })
			switch at := <-started; {
			case answers && at.Before(released) && at.Sub(begun) < tableLatest:
				t.Error("the start is reported before the kernel has the table")
			case !answers && at.Sub(begun) < tableLatest:
				t.Errorf("the start is reported after %v", at.Sub(begun))
			}
			if !answers {
				close(proceed)
			}
			p.until("the table", func() bool { return p.table() != "" })
			p.stop()
			if len(started) > 0 {
				t.Error("the start is reported again")
			}
		})
	}
}

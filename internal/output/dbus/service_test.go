package dbus

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"keepalived-go/conf"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/tool/required"
)

// busName is the name of the service in these tests.
const busName = "org.keepalived.Test1"

// until waits until a condition holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// bus is a D-Bus daemon of the test, a client of it, and the signals that it has carried.
type bus struct {
	*testing.T
	socket string // of its address
	cmd    *exec.Cmd
	client *dbus.Conn

	mu      sync.Mutex
	signals []string
}

// newBus starts a bus that is the system bus of this process. A client listens before any
// other program finds it.
func newBus(t *testing.T) *bus {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		required.Missing(t, "dbus-daemon")
	}
	b := &bus{T: t, socket: filepath.Join(t.TempDir(), "bus")}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path="+b.socket)
	b.begin()
	t.Cleanup(func() { b.end() })
	return b
}

// begin starts the bus, for the first time or again.
func (b *bus) begin() {
	b.Helper()
	hidden := b.socket + ".hidden"
	config := b.socket + ".conf"
	b.must(os.WriteFile(config, []byte(`<busconfig><type>session</type><listen>unix:path=`+hidden+`</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow eavesdrop="true"/><allow send_destination="*" eavesdrop="true"/><allow own="*"/><deny own="org.keepalived.Denied"/></policy></busconfig>`), 0o600))
	b.cmd = exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address")
	out, err := b.cmd.StdoutPipe()
	b.must(err)
	b.must(b.cmd.Start())
	_, err = out.Read(make([]byte, 1)) // the bus listens
	b.must(err)
	go io.Copy(io.Discard, out)
	b.client, err = dbus.Connect("unix:path="+hidden, dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	b.must(err)
	b.must(b.client.AddMatchSignal(dbus.WithMatchPathNamespace("/org/keepalived")))
	carried := make(chan *dbus.Signal)
	b.client.Signal(carried)
	go func() {
		for c := range carried {
			if strings.HasPrefix(string(c.Path), "/org/keepalived") {
				b.mu.Lock()
				b.signals = append(b.signals, fmt.Sprint(strings.TrimPrefix(string(c.Path), "/org/keepalived/Vrrp1/"), " ", c.Name[strings.LastIndexByte(c.Name, '.')+1:], " ", c.Body))
				b.mu.Unlock()
			}
		}
	}()
	b.must(os.Rename(hidden, b.socket))
}

// end ends the bus, if it runs.
func (b *bus) end() {
	if b.cmd != nil {
		os.Remove(b.socket)
		b.cmd.Process.Kill()
		b.cmd.Wait()
		b.client.Close()
		b.cmd = nil
	}
}

func (b *bus) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// carried takes the signals so far: those that were sent before the call are among them.
func (b *bus) carried() []string {
	b.Helper()
	const last = "/org/keepalived/Vrrp1/test"
	b.must(b.client.Emit(last, "org.keepalived.Test.Last"))
	var all []string
	until(b.T, "the signal of the test", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		n := len(b.signals)
		if n == 0 || b.signals[n-1] != "test Last []" {
			return false
		}
		all, b.signals = b.signals[:n-1], nil
		return true
	})
	return all
}

// await waits until so many signals have come as there are wanted, and compares them.
func (b *bus) await(want ...string) {
	b.Helper()
	until(b.T, fmt.Sprintf("%d signals", len(want)), func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.signals) >= len(want)
	})
	if diff := cmp.Diff(want, b.carried(), cmpopts.EquateEmpty()); diff != "" {
		b.Fatalf("signals: -want +got\n%s", diff)
	}
}

// owned returns whether anyone has the name of the service.
func (b *bus) owned() (has bool) {
	b.Helper()
	b.must(b.client.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, busName).Store(&has))
	return has
}

// answer returns the result of a call at a path below /org/keepalived/Vrrp1, or its error.
func (b *bus) answer(path, method string, args ...any) string {
	ctx, end := context.WithTimeout(b.Context(), 20*time.Second)
	defer end()
	c := b.client.Object(busName, dbus.ObjectPath("/org/keepalived/Vrrp1/"+path)).CallWithContext(ctx, method, 0, args...)
	if err, ok := c.Err.(dbus.Error); ok {
		return fmt.Sprint(err.Name[strings.LastIndexByte(err.Name, '.')+1:], ": ", err.Error())
	}
	if c.Err != nil {
		return c.Err.Error()
	}
	return fmt.Sprint(c.Body...)
}

// tree returns the objects with their interfaces, as they are introspected.
func (b *bus) tree(path string) (all []string) {
	b.Helper()
	var text string
	b.must(b.client.Object(busName, dbus.ObjectPath(path)).Call(introspectable+".Introspect", 0).Store(&text))
	var n introspect.Node
	b.must(xml.Unmarshal([]byte(text), &n))
	var interfaces []string
	for _, i := range n.Interfaces {
		interfaces = append(interfaces, i.Name)
	}
	if len(interfaces) > 0 {
		all = append(all, path+": "+strings.Join(interfaces, " "))
	}
	for _, c := range n.Children {
		all = append(all, b.tree(strings.TrimSuffix(path, "/")+"/"+c.Name)...)
	}
	slices.Sort(all)
	return all
}

// daemon is what the service reports of.
type daemon struct {
	mu     sync.Mutex
	state  api.Status
	asked  int   // how often for its state
	busy   int   // how many answers still say that a reload is on its way
	fails  error // instead of an answer
	events []history.Event
	more   chan struct{}
}

// start is when the state of the daemon was taken first.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// newDaemon returns a daemon with virtual routers.
func newDaemon(routers ...api.Instance) *daemon {
	d := &daemon{more: make(chan struct{})}
	d.state.VRRP = &api.VRRP{Snapshot: api.Snapshot{At: start}, Instances: routers}
	return d
}

// set changes the state.
func (d *daemon) set(change func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	change()
}

// happen adds events, each one second after the last one.
func (d *daemon) happen(events ...history.Event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range events {
		e.ID = uint64(len(d.events) + 1)
		if e.At.IsZero() {
			e.At = start.Add(time.Duration(e.ID) * time.Second)
		}
		d.events = append(d.events, e)
	}
	close(d.more)
	d.more = make(chan struct{})
}

func (d *daemon) source() Source {
	return Source{
		State: func(ctx context.Context) (*api.Status, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.asked++; d.fails != nil {
				return nil, d.fails
			}
			state := d.state
			if d.state.VRRP != nil {
				vrrp := *d.state.VRRP
				state.VRRP = &vrrp
			}
			if d.busy > 0 {
				d.busy--
				state.VRRP, state.Configuration.Reloading = nil, true // what must not be used
			}
			return &state, ctx.Err()
		},
		Events: func(id uint64) ([]history.Event, <-chan struct{}) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return slices.Clone(d.events[min(id, uint64(len(d.events))):]), d.more
		},
	}
}

// serve runs a service until it is ended, or the test ends.
func (d *daemon) serve(t *testing.T, name string, do func(context.Context, *act.Act) ([]byte, error)) (end func(why error)) {
	ctx, cancel := context.WithCancelCause(context.Background())
	s := New(conf.DBus{ServiceName: name, NoInterface: "none"}, d.source(), do)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	end = func(why error) {
		cancel(why)
		<-done
	}
	t.Cleanup(func() { end(nil) })
	return end
}

// messages is a log.
type messages struct {
	slog.Handler
	mu  sync.Mutex
	all []string
}

func (m *messages) Enabled(context.Context, slog.Level) bool { return true }
func (m *messages) Handle(_ context.Context, r slog.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = append(m.all, r.Message)
	return nil
}

// count is how many messages have a text.
func (m *messages) count(text string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, line := range m.all {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// logged takes the log until the end of the test.
func logged(t *testing.T) *messages {
	m, before := &messages{}, slog.Default()
	slog.SetDefault(slog.New(m))
	t.Cleanup(func() { slog.SetDefault(before) })
	return m
}

// web, six and bare are virtual routers: of both families, with names that a path cannot
// have, and without an interface.
var (
	since = start.Add(-time.Minute)
	web   = api.Instance{Name: "VI-1.x y", Interface: "eth0.5", VRID: 51, Family: "inet", State: "MASTER", Since: &since}
	six   = api.Instance{Name: "VI_6", Interface: "br-ü", VRID: 255, Family: "inet6", State: "BACKUP", Since: &since}
	bare  = api.Instance{Name: "bare", VRID: 1, Family: "inet", State: "INIT", NotifyDeleted: true}
)

const webPath, sixPath, barePath = "Instance/eth0_5/51/IPv4", "Instance/br__/255/IPv6", "Instance/none/1/IPv4"

// introduced are the signals that report the three at the start.
var introduced = []string{"Vrrp VrrpStarted []", webPath + " VrrpStatusChange [2]", sixPath + " VrrpStatusChange [1]", barePath + " VrrpStatusChange [0]"}

// TestCalls checks which objects there are, what calls without an effect return, and how
// those that are wrong are refused.
func TestCalls(t *testing.T) {
	b := newBus(t)
	logged(t)
	newDaemon(web, six, bare).serve(t, busName, nil)
	b.await(introduced...)

	const all = "org.freedesktop.DBus.Peer org.freedesktop.DBus.Introspectable org.freedesktop.DBus.Properties "
	var want []string
	for path, has := range map[string]string{
		"Vrrp": vrrpInterface, webPath: instanceInterface, sixPath: instanceInterface, barePath: instanceInterface,
	} {
		want = append(want, "/org/keepalived/Vrrp1/"+path+": "+all+has)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, b.tree("/")); diff != "" {
		t.Errorf("objects: -want +got\n%s", diff)
	}

	const get, getAll, set = properties + ".Get", properties + ".GetAll", properties + ".Set"
	for _, c := range []struct {
		path, method string
		args         []any
		want         string
	}{
		{webPath, get, []any{instanceInterface, "Name"}, `"VI-1.x y"`},
		{webPath, get, []any{instanceInterface, "State"}, `@(us) [2, "Master"]`},
		{webPath, get, []any{"", "State"}, `@(us) [2, "Master"]`},
		{webPath, "Get", []any{"", "Name"}, `"VI-1.x y"`}, // the interface need not be named
		{sixPath, get, []any{instanceInterface, "State"}, `@(us) [1, "Backup"]`},
		{barePath, get, []any{instanceInterface, "State"}, `@(us) [0, "Init"]`},
		{sixPath, getAll, []any{instanceInterface}, `map[Name:"VI_6" State:@(us) [1, "Backup"]]`},
		{sixPath, getAll, []any{""}, `map[Name:"VI_6" State:@(us) [1, "Backup"]]`},
		{sixPath, getAll, []any{introspectable}, "map[]"},
		{"Vrrp", getAll, []any{vrrpInterface}, "map[]"},
		{webPath, "org.freedesktop.DBus.Peer.Ping", nil, ""},

		{webPath, get, []any{instanceInterface, "Priority"}, `UnknownProperty: "org.keepalived.Vrrp1.Instance" has no property "Priority"`},
		{webPath, get, []any{vrrpInterface, "Name"}, `UnknownProperty: "org.keepalived.Vrrp1.Vrrp" has no property "Name"`},
		{"Vrrp", get, []any{vrrpInterface, "Name"}, `UnknownProperty: "org.keepalived.Vrrp1.Vrrp" has no property "Name"`},
		{webPath, get, []any{instanceInterface}, "InvalidArgs: "},
		{webPath, get, []any{instanceInterface, []string{"Name"}}, "InvalidArgs: "},
		{webPath, get, []any{instanceInterface, "Name", "more"}, "InvalidArgs: "},
		{webPath, getAll, nil, "InvalidArgs: "},
		{webPath, set, []any{instanceInterface, "Name", dbus.MakeVariant("x")}, "PropertyReadOnly: no property can be set"},
		{"Vrrp", set, []any{vrrpInterface, "Name", dbus.MakeVariant("x")}, "PropertyReadOnly: no property can be set"},
		{webPath, set, []any{instanceInterface, "Name"}, "InvalidArgs: "},
		{webPath, instanceInterface + ".NoMethod", nil, "UnknownMethod: "},
		{webPath, "NoMethod", nil, "UnknownMethod: "},
		{webPath, vrrpInterface + ".ReloadConfig", nil, "UnknownInterface: "},
		{"Vrrp", instanceInterface + ".SendGarp", nil, "UnknownInterface: "},
		{webPath, instanceInterface + ".SendGarp", []any{"x"}, "InvalidArgs: "},
		{"Instance/eth0_5", getAll, []any{""}, "UnknownInterface: "}, // there is no object, but there are some below
		{"Instance/eth0_5/51/IPv6", getAll, []any{""}, "NoSuchObject: "},
	} {
		if got := b.answer(c.path, c.method, c.args...); got != c.want && (!strings.HasSuffix(c.want, ": ") || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s %s%q: %s; want %s", c.path, c.method, c.args, got, c.want)
		}
	}
	b.await() // nothing of it was a change
}

// TestIntrospect checks that what is introspected is what can be called and read.
func TestIntrospect(t *testing.T) {
	var tr tree
	tr.set(objectsOf(&api.Status{VRRP: &api.VRRP{Instances: []api.Instance{web}}}, "none"))
	for path, n := range tr.nodes {
		var text string
		out, err := n.introspect()
		if err == nil {
			text = out[0].(string)
		}
		if err != nil || !strings.HasPrefix(text, "<!DOCTYPE node") {
			t.Fatalf("%s: %v %s", path, err, text)
		}
		var d introspect.Node
		if err := xml.Unmarshal([]byte(text), &d); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if isObject := n.root || n.router != nil; !isObject {
			if len(d.Interfaces) > 0 {
				t.Errorf("%s has interfaces, and is no object", path)
			}
			continue
		}
		has := n.interfaces()
		if len(d.Interfaces) != len(has)+1 {
			t.Errorf("%s: %d interfaces are described besides Peer, of %d", path, len(d.Interfaces)-1, len(has))
		}
		for _, i := range d.Interfaces[1:] {
			var names []string
			for _, m := range i.Methods {
				names = append(names, m.Name)
				f, ok := n.LookupInterface(i.Name)
				if !ok {
					t.Fatalf("%s has no %s", path, i.Name)
				}
				method, ok := f.LookupMethod(m.Name)
				if !ok {
					t.Fatalf("%s has no %s.%s", path, i.Name, m.Name)
				}
				var described, real [2]string
				for _, a := range m.Args {
					if a.Direction == "in" {
						described[0] += a.Type
					} else {
						described[1] += a.Type
					}
				}
				for at := range method.NumArguments() {
					if v := method.ArgumentValue(at); v != dbus.Sender("") {
						real[0] += dbus.SignatureOf(v).String()
					}
				}
				for at := range method.NumReturns() {
					real[1] += dbus.SignatureOf(method.ReturnValue(at)).String()
				}
				if described != real {
					t.Errorf("%s.%s is described with %q, and has %q", i.Name, m.Name, described, real)
				}
			}
			if slices.Sort(names); !slices.Equal(names, slices.Sorted(maps.Keys(has[i.Name]))) {
				t.Errorf("%s: %q are described", i.Name, names)
			}
			values := n.values(i.Name)
			if len(i.Properties) != len(values) {
				t.Errorf("%s: %d properties are described, of %d", i.Name, len(i.Properties), len(values))
			}
			for _, p := range i.Properties {
				if of := values[p.Name].Signature().String(); of != p.Type || p.Access != "read" {
					t.Errorf("%s.%s is of type %s; described: %+v", i.Name, p.Name, of, p)
				}
			}
		}
	}
}

// TestActs checks that methods with an effect have an act done in the name of the client,
// and that a refusal is the error of the call.
func TestActs(t *testing.T) {
	b := newBus(t)
	logged(t)
	var mu sync.Mutex
	var acts []act.Act
	var refusal error
	newDaemon(web, six).serve(t, busName, func(ctx context.Context, a *act.Act) ([]byte, error) {
		if _, bounded := ctx.Deadline(); !bounded {
			t.Errorf("%v may take for ever", a)
		}
		mu.Lock()
		defer mu.Unlock()
		acts = append(acts, *a)
		return []byte("{}"), refusal
	})
	b.await(introduced[:3]...)
	by := act.By{UID: uint32(os.Getuid()), Over: "D-Bus", Name: b.client.Names()[0]}
	var want []act.Act
	for _, c := range []struct {
		path, method string
		kind         act.Kind
		name         string
	}{
		{"Vrrp", vrrpInterface + ".PrintData", act.Dump, ""},
		{"Vrrp", vrrpInterface + ".PrintStats", act.Stats, ""},
		{"Vrrp", vrrpInterface + ".PrintStatsClear", act.Clear, ""},
		{"Vrrp", vrrpInterface + ".ReloadConfig", act.Reload, ""},
		{"Vrrp", "ReloadConfig", act.Reload, ""},
		{webPath, instanceInterface + ".SendGarp", act.Announce, web.Name},
		{sixPath, instanceInterface + ".SendGarp", act.Announce, six.Name},
	} {
		for _, why := range []string{"", "there is no " + c.name} {
			mu.Lock()
			if refusal = nil; why != "" {
				refusal = act.Refuse(act.Unknown, "%s", why)
				why = "Failed: " + why
			}
			mu.Unlock()
			if got := b.answer(c.path, c.method); got != why {
				t.Errorf("%s %s: %q, want %q", c.path, c.method, got, why)
			}
			want = append(want, act.Act{Kind: c.kind, Name: c.name, By: by})
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(want, acts); diff != "" {
		t.Errorf("acts: -want +got\n%s", diff)
	}
	for _, a := range acts {
		if err := a.Check(); err != nil {
			t.Errorf("%v: %v", &a, err)
		}
	}
}

// TestUnknownClient checks that nothing is done for a client of whom the bus does not know
// who it is, or before there is a bus.
func TestUnknownClient(t *testing.T) {
	b := newBus(t)
	tr := tree{do: func(context.Context, *act.Act) ([]byte, error) {
		t.Error("it is done")
		return nil, nil
	}}
	sender := dbus.Sender(":1.99")
	if _, err := tr.does(act.Reload, "").Call(&sender); err == nil || !strings.Contains(err.Error(), "does not have its name") {
		t.Errorf("without a bus: %v", err)
	}
	tr.serve(b.client)
	if _, err := tr.does(act.Reload, "").Call(&sender); err == nil || !strings.Contains(err.Error(), ":1.99") {
		t.Errorf("without a client: %v", err)
	}
}

// TestSignals checks that changes are reported when they happen, once, and that objects
// appear and vanish with their virtual routers.
func TestSignals(t *testing.T) {
	b := newBus(t)
	log := logged(t)
	d := newDaemon(web, six, bare)
	d.happen(history.Event{Kind: history.Router, Name: web.Name, To: "BACKUP"}) // before the service: not reported
	d.busy = 2
	end := d.serve(t, busName, nil)
	b.await(introduced...)

	router := func(name, to string) history.Event {
		return history.Event{Kind: history.Router, Name: name, To: to}
	}
	old := router(web.Name, "MASTER")
	old.At = since // it is known by the state
	backup, master := web, six
	backup.State, master.State = "BACKUP", "MASTER"
	d.set(func() { d.state.VRRP.Instances = []api.Instance{backup, master, bare} })
	d.happen(old, history.Event{Kind: history.Notice, Name: web.Name, To: "MASTER"},
		router(web.Name, "FAULT"), router(six.Name, "MASTER"), router("nobody", "MASTER"), old,
		history.Event{Kind: history.Server, Name: web.Name, To: "down"}, router(web.Name, "BACKUP"))
	b.await(webPath+" VrrpStatusChange [3]", sixPath+" VrrpStatusChange [2]", webPath+" VrrpStatusChange [1]")
	const get = properties + ".Get"
	for path, want := range map[string]string{webPath: `@(us) [1, "Backup"]`, sixPath: `@(us) [2, "Master"]`} {
		if got := b.answer(path, get, instanceInterface, "State"); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}

	// A reload removes one that is reported as deleted and one that is not, moves one to
	// another interface, and adds one, whose state is reported as it enters it.
	next := start.Add(time.Hour)
	moved, more := six, api.Instance{Name: "more", Interface: "eth1", VRID: 2, Family: "inet", State: "BACKUP", Since: &next}
	moved.Interface, moved.State = "eth1", "MASTER"
	d.set(func() {
		d.busy = 1
		d.state.Configuration.Reloads++
		d.state.VRRP.At, d.state.VRRP.Instances = next, []api.Instance{moved, more}
	})
	read := history.Event{Kind: history.Configuration, To: "read"}
	d.happen(history.Event{Kind: history.Configuration, To: "refused"}, read)
	b.await(webPath+" VrrpStatusChange [3]", sixPath+" VrrpStatusChange [3]", barePath+" VrrpStatusChange [97]", "Vrrp VrrpReloaded []")
	later := router("more", "MASTER")
	later.At = next.Add(time.Second)
	d.happen(later)
	b.await("Instance/eth1/2/IPv4 VrrpStatusChange [2]")
	for path, want := range map[string]string{
		webPath: "NoSuchObject: ", sixPath: "NoSuchObject: ", barePath: "NoSuchObject: ",
		"Instance/eth1/255/IPv6": `@(us) [2, "Master"]`, "Instance/eth1/2/IPv4": `@(us) [2, "Master"]`,
	} {
		if got := b.answer(path, get, instanceInterface, "State"); !strings.HasPrefix(got, want) {
			t.Errorf("after the reload: %s: %s, want %s", path, got, want)
		}
	}
	if n := log.count("Deleted DBus object for instance"); n != 3 {
		t.Errorf("%d objects are logged as deleted", n)
	}

	// While the VRRP process does not answer its objects stay. Its successor introduces
	// them again.
	d.set(func() { d.state.VRRP.Stale, d.state.VRRP.Instances = "it does not answer", nil })
	d.happen(read)
	b.await()
	if got := b.answer("Instance/eth1/2/IPv4", get, instanceInterface, "Name"); got != `"more"` {
		t.Error(got)
	}
	again := next.Add(time.Minute)
	d.set(func() {
		d.state.VRRP.Stale, d.state.VRRP.At = "", again
		d.state.VRRP.Instances = []api.Instance{moved, more}
	})
	started := func(name string, at time.Time) history.Event {
		return history.Event{Kind: history.Process, Name: name, To: "started", At: at}
	}
	d.happen(started("checkers", again), started("vrrp", start), started("vrrp", next.Add(time.Second)))
	b.await("Vrrp VrrpStarted []", "Instance/eth1/255/IPv6 VrrpStatusChange [2]", "Instance/eth1/2/IPv4 VrrpStatusChange [1]")

	end(ErrStopping)
	b.await("Instance/eth1/255/IPv6 VrrpStatusChange [98]", "Instance/eth1/2/IPv4 VrrpStatusChange [98]", "Vrrp VrrpStopped []")
	if b.owned() {
		t.Error("the name is not given up")
	}
}

// TestWithoutVRRP checks that there is an object without virtual routers, that they appear
// when there are some, and that a service that ends with its process reports no end of the
// daemon.
func TestWithoutVRRP(t *testing.T) {
	b := newBus(t)
	logged(t)
	d := newDaemon()
	d.state.VRRP = nil
	d.state.Node.Instance = "my node"
	end := d.serve(t, busName, nil)
	b.await("my_node/Vrrp VrrpStarted []")
	d.set(func() { d.state.VRRP = &api.VRRP{Snapshot: api.Snapshot{At: start}, Instances: []api.Instance{web}} })
	d.happen(history.Event{Kind: history.Router, Name: web.Name, To: "MASTER", At: start})
	b.await("my_node/" + webPath + " VrrpStatusChange [2]")
	end(nil)
	b.await()
	if b.owned() {
		t.Error("the name is not given up")
	}
}

// TestBusReturns checks that the service waits for a bus, and that it introduces the
// virtual routers anew, as they are then, when the bus returns.
func TestBusReturns(t *testing.T) {
	b := newBus(t)
	b.end()
	log := logged(t)
	d := newDaemon(web, six)
	d.serve(t, busName, nil)
	until(t, "a message about the bus", func() bool { return log.count("trying again") >= 1 })
	b.begin()
	b.await(introduced[:3]...)
	b.end()
	until(t, "a message about its end", func() bool { return log.count("trying again") >= 2 })
	changed := web
	changed.State = "BACKUP"
	d.set(func() { d.state.VRRP.Instances = []api.Instance{changed, six} })
	d.happen(history.Event{Kind: history.Router, Name: web.Name, To: "BACKUP"})
	b.begin()
	b.await(introduced[0], webPath+" VrrpStatusChange [1]", introduced[2])
	d.happen(history.Event{Kind: history.Router, Name: web.Name, To: "MASTER"})
	b.await(webPath + " VrrpStatusChange [2]")
	if n := log.count("Acquired DBus bus " + busName); n != 2 {
		t.Errorf("the name is logged as acquired %d times", n)
	}
}

// TestNameTaken checks that the service waits for a name that another program has, and
// says so once.
func TestNameTaken(t *testing.T) {
	b := newBus(t)
	log := logged(t)
	if reply, err := b.client.RequestName(busName, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	d := newDaemon(web)
	d.serve(t, busName, nil)
	until(t, "a second attempt", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.asked >= 2
	})
	if n := log.count("another program has the name " + busName); n != 1 {
		t.Errorf("that the name is taken is logged %d times", n)
	}
	b.await()
	if _, err := b.client.ReleaseName(busName); err != nil {
		t.Fatal(err)
	}
	b.await(introduced[:2]...)
}

// TestNameDenied checks that a policy that denies the name is logged.
func TestNameDenied(t *testing.T) {
	newBus(t)
	log := logged(t)
	newDaemon(web).serve(t, "org.keepalived.Denied", nil)
	until(t, "a message about the name", func() bool { return log.count("org.keepalived.Denied") > 0 })
	if log.count("Acquired") > 0 {
		t.Error("the name is logged as acquired")
	}
}

// TestNoState checks that a daemon that does not answer is asked again, at the start and
// later.
func TestNoState(t *testing.T) {
	b := newBus(t)
	log := logged(t)
	d := newDaemon(web)
	d.fails = errors.New("no answer")
	d.serve(t, busName, nil)
	until(t, "a message about the state", func() bool { return log.count("no answer") >= 1 })
	if b.owned() {
		t.Error("the name is taken without a state")
	}
	d.set(func() { d.fails = nil })
	b.await(introduced[:2]...)
	d.set(func() { d.fails = errors.New("no answer either") })
	for _, e := range []history.Event{{Kind: history.Configuration, To: "read"}, {Kind: history.Process, Name: "vrrp", To: "started"}} {
		d.happen(e)
		until(t, "a message about the state", func() bool { return log.count("no answer either") >= 1 })
		d.set(func() { d.fails = nil })
		b.await(introduced[:2]...)
		d.set(func() { d.fails = errors.New("no answer either") })
		log.mu.Lock()
		log.all = nil
		log.mu.Unlock()
	}
}

package test

import (
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"
	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/tool/lab"
)

// busName is the name of the daemon on a bus.
const busName = "org.keepalived.Vrrp1"

// bus is a separate D-Bus daemon, and the signals that it has carried.
type bus struct {
	*scene
	address string
	cmd     *exec.Cmd
	conn    *dbus.Conn

	mu      sync.Mutex
	signals []string
}

// newBus starts a bus with the policy that is installed for the daemon, at the given
// address, unless it is empty.
func (s *scene) newBus(address string) *bus {
	s.Helper()
	lab.Need(s.T, lab.DBus, lab.Users)
	dir := s.TempDir()
	if address == "" {
		address = "unix:path=" + filepath.Join(dir, "bus")
	}
	policy, err := filepath.Abs("../packaging/dbus/org.keepalived.Vrrp1.conf")
	s.must(err)
	// No program finds the bus before its signals are recorded.
	hidden := filepath.Join(filepath.Dir(strings.TrimPrefix(address, "unix:path=")), "hidden")
	config := filepath.Join(dir, "bus.conf")
	s.must(os.WriteFile(config, []byte(`<busconfig><type>system</type><listen>unix:path=`+hidden+`</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><deny own="*"/><deny send_type="method_call"/><allow send_type="signal"/>
<allow send_requested_reply="true" send_type="method_return"/><allow send_requested_reply="true" send_type="error"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/>
<allow send_destination="org.freedesktop.DBus"/></policy>
<include>`+policy+`</include></busconfig>`), 0o644))
	b := &bus{scene: s, address: address, cmd: exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address")}
	out, err := b.cmd.StdoutPipe()
	s.must(err)
	s.must(b.cmd.Start())
	s.Cleanup(b.end)
	_, err = out.Read(make([]byte, 1)) // the bus listens
	s.must(err)
	b.conn, err = dbus.Connect("unix:path=" + hidden)
	s.must(err)
	s.must(b.conn.AddMatchSignal(dbus.WithMatchPathNamespace("/org/keepalived")))
	carried := make(chan *dbus.Signal, 1024)
	b.conn.Signal(carried)
	go func() {
		for c := range carried {
			early := strings.HasSuffix(c.Name, "VrrpStatusChange") && len(c.Body) == 1 && c.Body[0] != uint32(2) && c.Body[0] != uint32(3) && c.Body[0] != uint32(98)
			if !strings.HasPrefix(string(c.Path), "/org/keepalived") || early {
				continue // the time of the states before MASTER is not compared
			}
			b.mu.Lock()
			b.signals = append(b.signals, fmt.Sprint(c.Path, " ", c.Name, " ", c.Body))
			b.mu.Unlock()
		}
	}()
	s.must(os.Rename(hidden, strings.TrimPrefix(address, "unix:path=")))
	return b
}

// end ends the bus.
func (b *bus) end() {
	b.conn.Close()
	b.cmd.Process.Kill()
	b.cmd.Wait()
}

// on returns the program with the environment to use the bus.
func (b *bus) on(p lab.Program) lab.Program {
	p.Env = "DBUS_SYSTEM_BUS_ADDRESS=" + b.address
	return p
}

// carried returns the signals so far.
func (b *bus) carried() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.signals)
}

// await waits for a number of signals with a text.
func (b *bus) await(n int, text string) {
	b.Helper()
	count := func() (have int) {
		for _, s := range b.carried() {
			if strings.Contains(s, text) {
				have++
			}
		}
		return have
	}
	if !b.Until(15*time.Second, func() bool { return count() >= n }) {
		b.Fatalf("%d signals have %q, want %d:\n%s", count(), text, n, strings.Join(b.carried(), "\n"))
	}
}

// objects describes the objects at a path and below it.
func (b *bus) objects(path string) (all []string) {
	var text string
	if err := b.conn.Object(busName, dbus.ObjectPath(path)).Call("org.freedesktop.DBus.Introspectable.Introspect", 0).Store(&text); err != nil {
		return []string{path + ": " + err.Error()}
	}
	var n introspect.Node
	b.must(xml.Unmarshal([]byte(text), &n))
	for _, i := range n.Interfaces {
		for _, m := range i.Methods {
			all = append(all, fmt.Sprintf("%s %s.%s%v", path, i.Name, m.Name, m.Args))
		}
		for _, s := range i.Signals {
			all = append(all, fmt.Sprintf("%s %s signal %s%v", path, i.Name, s.Name, s.Args))
		}
		for _, p := range i.Properties {
			all = append(all, fmt.Sprintf("%s %s property %s %s %s", path, i.Name, p.Name, p.Type, p.Access))
		}
	}
	for _, c := range n.Children {
		all = append(all, b.objects(strings.TrimSuffix(path, "/")+"/"+c.Name)...)
	}
	slices.Sort(all)
	return all
}

// answer returns the result of a call, or the name of its error. The C daemon returns
// Name in another type than it declares, which is accepted.
func (b *bus) answer(path, method string, args ...any) string {
	c := b.conn.Object(busName, dbus.ObjectPath("/org/keepalived/Vrrp1/"+path)).Call(method, 0, args...)
	if err, ok := c.Err.(dbus.Error); ok {
		return fmt.Sprint(method, args, ": ", err.Name)
	}
	if len(c.Body) == 1 {
		if values, ok := c.Body[0].(map[string]dbus.Variant); ok {
			text := ""
			for _, name := range slices.Sorted(maps.Keys(values)) {
				text += fmt.Sprint(" ", name, " ", named([]any{values[name]}))
			}
			return fmt.Sprint(method, args, ":", text)
		}
	}
	return fmt.Sprint(method, args, ": ", named(c.Body), c.Err)
}

// named returns the text of a result. A structure of one string is written as the string.
func named(body []any) string {
	if len(body) == 1 {
		v, ok := body[0].(dbus.Variant)
		switch of := v.Signature().String(); {
		case ok && of == "(s)":
			body = v.Value().([]any)
		case ok && of == "s":
			body[0] = v.Value()
		}
	}
	return fmt.Sprint(body)
}

// TestDBus checks that the objects, their properties, the signals and the replies to
// calls are those of the C daemon, from the start over a reload to the end.
func TestDBus(t *testing.T) {
	differs(t, "is what it is compared with")
	t.Parallel()
	lab.Need(t, lab.Peer)
	two := []instance{
		{Name: "VI_1", Version: 2, VRID: 51},
		{Name: "VI-2.x", Version: 3, VRID: 52, State: "MASTER", VIPs: []string{"fe80::77/64"}},
	}
	seen := map[string][]string{}
	for _, p := range []lab.Program{lab.C(), ours} {
		s := newScene(t, "a")
		b := s.newBus("")
		d := s.start("a", b.on(p), configWith("enable_dbus", two[0].at(100), two[1].at(100)))
		b.await(2, "VrrpStatusChange [2]")
		masters := b.carried()
		slices.Sort(masters)
		all := append(append(masters, b.objects("/")...), "---")
		const get, set = "org.freedesktop.DBus.Properties.Get", "org.freedesktop.DBus.Properties.Set"
		for _, path := range []string{"Instance/eth0/51/IPv4", "Instance/eth0/52/IPv6"} {
			all = append(all,
				b.answer(path, get, "org.keepalived.Vrrp1.Instance", "Name"),
				b.answer(path, get, "org.keepalived.Vrrp1.Instance", "State"),
				b.answer(path, "org.freedesktop.DBus.Properties.GetAll", "org.keepalived.Vrrp1.Instance"),
				b.answer(path, "org.keepalived.Vrrp1.Instance.SendGarp"),
				b.answer(path, "org.keepalived.Vrrp1.Instance.NoMethod"),
				b.answer(path, "org.freedesktop.DBus.Peer.Ping"))
		}
		all = append(all,
			b.answer("Vrrp", "org.keepalived.Vrrp1.Vrrp.PrintData"),
			b.answer("Vrrp", "org.keepalived.Vrrp1.Vrrp.PrintStats"),
			b.answer("Vrrp", "org.keepalived.Vrrp1.Vrrp.PrintStatsClear"))
		for _, file := range []string{"keepalived.data", "keepalived.stats"} {
			if !s.Until(10*time.Second, func() bool { _, err := os.Stat(filepath.Join(d.Dir, file)); return err == nil }) {
				t.Errorf("%s has written no %s", p.Name, file)
			}
		}
		s.must(d.Configure(configWith("enable_dbus", two[1].at(100))))
		all = append(all, b.answer("Vrrp", "org.keepalived.Vrrp1.Vrrp.ReloadConfig"))
		b.await(1, "VrrpReloaded")
		all = append(append(all, "---"), b.objects("/")...)
		d.Signal(syscall.SIGTERM)
		b.await(1, "VrrpStopped")
		seen[p.Name] = append(append(all, "---"), b.carried()[len(masters):]...)
	}
	if diff := cmp.Diff(seen["upstream"], seen["ours"]); diff != "" {
		t.Errorf("-C daemon +ours\n%s", diff)
	}
}

// TestBusStartsLater checks that the daemon serves without a bus, connects to a bus that
// starts later or again, and accepts methods with an effect from root only.
func TestBusStartsLater(t *testing.T) {
	differs(t, "does not look for a bus again")
	t.Parallel()
	lab.Need(t, lab.User)
	s := newScene(t, "a")
	dir, err := os.MkdirTemp("", "keepalived-bus-") // a directory that other users can enter
	s.must(err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	s.must(os.Chmod(dir, 0o755))
	address := "unix:path=" + filepath.Join(dir, "bus")
	p := ours
	p.Env = "DBUS_SYSTEM_BUS_ADDRESS=" + address
	d := s.start("a", p, configWith("enable_dbus\nno_control_socket\ndbus_service_name org.keepalived.Vrrp1", instance{Name: "web"}.at(100)))
	s.awaitOwner(vip, 12*time.Second, "a")
	if !s.Until(10*time.Second, func() bool { return d.Logged(time.Time{}, "DBus: ") }) {
		t.Error("that there is no bus is not logged")
	}
	for range 2 {
		b := s.newBus(address)
		b.await(1, "VrrpStatusChange [2]")
		if got := b.answer("Instance/eth0/51/IPv4", "org.freedesktop.DBus.Properties.Get", "org.keepalived.Vrrp1.Instance", "State"); !strings.Contains(got, "Master") {
			t.Error(got)
		}
		call := exec.Command("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "dbus-send", "--bus="+address, "--print-reply",
			"--dest="+busName, "/org/keepalived/Vrrp1/Vrrp", "org.keepalived.Vrrp1.Vrrp.ReloadConfig")
		if out, err := call.CombinedOutput(); err == nil || !strings.Contains(string(out), "AccessDenied") {
			t.Errorf("another user has it reload: %v %s", err, out)
		}
		b.end()
		s.must(os.Remove(filepath.Join(dir, "bus")))
	}
	s.stays(vip, "a", 2*time.Second)
}

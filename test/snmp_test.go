package test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/required"
)

const snmpWords = "enable_snmp_vrrp\nenable_snmp_rfc\nenable_traps\nrouter_id R1\n"

// snmpd is a master agent of Net-SNMP on a node, and a receiver of its notifications.
type snmpd struct {
	*scene
	node, dir string
	agent     *exec.Cmd
}

// startSNMPD starts both in a directory of their own.
func (s *scene) startSNMPD(node string) *snmpd {
	s.Helper()
	for _, name := range []string{"snmpd", "snmptrapd", "snmpwalk"} {
		if _, err := exec.LookPath(name); err != nil {
			required.Missing(s.T, name)
		}
	}
	s.must(s.Node(node).IP("link set lo up"))
	m := &snmpd{scene: s, node: node, dir: s.TempDir()}
	config := fmt.Sprintf("master agentx\nagentXSocket unix:%s\nrwcommunity public 127.0.0.1\ntrap2sink 127.0.0.1:1162 public\n", m.socket())
	s.must(os.WriteFile(m.file("config"), []byte(config), 0o600))
	m.run("snmptrapd", "-f", "-C", "-n", "-Lf", m.file("traps"), "--disableAuthorization=yes", "-m", "", "-On", "udp:127.0.0.1:1162")
	m.begin()
	return m
}

func (m *snmpd) file(name string) string { return filepath.Join(m.dir, name) }
func (m *snmpd) socket() string          { return m.file("master") }

// run starts a program on the node, which ends with the test.
func (m *snmpd) run(name string, args ...string) *exec.Cmd {
	m.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "SNMP_PERSISTENT_DIR="+m.dir, "MIBS=")
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	m.must(m.Node(m.node).Go(func() {
		started <- c.Start()
		c.Wait()
	}))
	m.must(<-started)
	m.Cleanup(func() { c.Process.Kill() })
	return c
}

// begin starts the agent, and waits until it listens: a C daemon that does not find it tries
// again after 15 s, and sends nothing of what has happened until then.
func (m *snmpd) begin() {
	m.Helper()
	os.Remove(m.socket()) // of an agent that was killed
	m.agent = m.run("snmpd", "-f", "-C", "-c", m.file("config"), "-Lf", m.file("log"), "-p", m.file("pid"), "-m", "", "udp:127.0.0.1:1161")
	m.awaits("Timeticks", "snmpget", ".1.3.6.1.2.1.1.3.0")
}

// ask runs a program of Net-SNMP on the node.
func (m *snmpd) ask(name string, args ...string) string {
	out, _ := m.Node(m.node).Run(name, append([]string{"-v2c", "-c", "public", "-m", "", "-One", "-t", "2", "-r", "1", "127.0.0.1:1161"}, args...)...)
	return out
}

// awaits waits until a program of Net-SNMP prints a text.
func (m *snmpd) awaits(want, name string, args ...string) {
	m.Helper()
	var got string
	if !m.Until(30*time.Second, func() bool { got = m.ask(name, args...); return strings.Contains(got, want) }) {
		log, _ := os.ReadFile(m.file("log"))
		m.Fatalf("%s %v: no %q in\n%s\n%s", name, args, want, got, log)
	}
}

// walk returns every object of the three MIBs, with its value.
func (m *snmpd) walk() map[string]string {
	all := map[string]string{}
	for _, root := range []string{keepalivedMIB, vrrpMIB, vrrpv3MIB} {
		for line := range strings.Lines(m.ask("snmpwalk", root)) {
			if name, value, found := strings.Cut(strings.TrimSpace(line), " = "); found {
				all[name] = value
			}
		}
	}
	return all
}

// traps returns the notifications so far.
func (m *snmpd) traps() string {
	b, _ := os.ReadFile(m.file("traps"))
	return string(b)
}

func (m *snmpd) awaitTraps(what string, wants ...string) {
	m.Helper()
	if !m.Until(30*time.Second, func() bool {
		got := m.traps()
		return !slices.ContainsFunc(wants, func(w string) bool { return !strings.Contains(got, w) })
	}) {
		m.Errorf("%s: not all of %q in\n%s", what, wants, m.traps())
	}
}

const (
	keepalivedMIB = ".1.3.6.1.4.1.9586.100.5"
	vrrpMIB       = ".1.3.6.1.2.1.68"
	vrrpv3MIB     = ".1.3.6.1.2.1.207"
	instanceState = keepalivedMIB + ".2.3.1.4.1"
)

// snmpConfig returns a configuration with values for most objects.
func snmpConfig(socket, words string) string {
	return `global_defs {
	` + words + `
	snmp_socket unix:` + socket + `
	notification_email {
		a@example.com
	}
	notification_email_from me@example.com
	smtp_server 192.0.2.25
}
vrrp_script up {
	script /bin/true
	interval 1
	weight 5
}
vrrp_instance one {
	interface eth0
	virtual_router_id 10
	priority 150
	state MASTER
	authentication {
		auth_type PASS
		auth_pass hush
	}
	virtual_ipaddress {
		10.0.0.210/24 label eth0:1
		10.0.0.211
	}
	virtual_ipaddress_excluded {
		10.0.0.212
	}
	virtual_routes {
		10.20.0.0/16 via 10.0.0.1 dev eth0 metric 7 mtu 1400
	}
	virtual_rules {
		from 10.20.0.0/16 table 100 preference 200
	}
	track_script {
		up
	}
	smtp_alert
}
vrrp_instance two {
	interface eth0
	version 3
	virtual_router_id 11
	priority 100
	advert_int 1
	nopreempt
	virtual_ipaddress {
		2001:db8::11/64
		fe80::11
	}
}
`
}

// notAsC lists prefixes of objects that docs/differences.md names or that depend on the
// moment, the machine or the release.
var notAsC = []string{
	keepalivedMIB + ".1.1.", keepalivedMIB + ".1.12.", // version, and objects that 2.2.7 does not have
	keepalivedMIB + ".2.3.1.11.", keepalivedMIB + ".2.3.1.27.", keepalivedMIB + ".2.3.1.36.", keepalivedMIB + ".2.6.1.11.",
	keepalivedMIB + ".2.9.1.1", keepalivedMIB + ".2.9.1.3.", // resolved path, 10 to 12
	keepalivedMIB + ".2.8.1.33.",
	keepalivedMIB + ".3.3.1.51.", keepalivedMIB + ".3.3.1.52.2", // granularity of IPv6, hashed
	keepalivedMIB + ".3.3.1.54.3", keepalivedMIB + ".3.3.1.62.2", keepalivedMIB + ".3.3.1.63.2", // flags of another scheduler
	vrrpMIB + ".1.3.1.2.", vrrpMIB + ".1.3.1.7.", vrrpMIB + ".1.3.1.10.", vrrpMIB + ".1.3.1.13.",
	vrrpv3MIB + ".1.1.1.1.3.", vrrpv3MIB + ".1.1.1.1.4.", vrrpv3MIB + ".1.1.1.1.5.", vrrpv3MIB + ".1.1.1.1.12.", vrrpv3MIB + ".1.1.2.1.",
}

// TestSNMPAsC checks that the objects are those of the C daemon, except for the
// differences that docs/differences.md names.
func TestSNMPAsC(t *testing.T) {
	t.Parallel()
	differs(t, "is what is compared with")
	lab.Need(t, lab.Peer)
	s := newScene(t, "a")
	m := s.startSNMPD("a")
	walk := func(p lab.Program) map[string]string {
		d := s.start("a", p, snmpConfig(m.socket(), snmpWords))
		m.awaits("INTEGER: 2", "snmpget", instanceState)
		m.awaits("INTEGER: 2", "snmpget", keepalivedMIB+".2.3.1.4.2")
		m.awaits("INTEGER: 3", "snmpget", keepalivedMIB+".2.9.1.6.1") // the script has run
		m.awaits("INTEGER: 155", "snmpget", keepalivedMIB+".2.3.1.8.1")
		all := m.walk()
		s.must(d.Stop())
		m.awaits("No Such", "snmpget", instanceState)
		return all
	}
	theirs, own := walk(lab.C()), walk(ours)
	if len(theirs) < 150 {
		t.Fatalf("%d objects of the C daemon", len(theirs))
	}
	sameObjects(t, theirs, own)
}

// since240 are objects of real and virtual servers that 2.2.7 does not have.
var since240 = regexp.MustCompile(`^` + regexp.QuoteMeta(keepalivedMIB) + `\.3\.(3\.1\.7[2-8]|4\.1\.(5[6-9]|6[0-3]))\.`)

// trapProtocol is an object of notifications, which are about UDP if not about TCP with the C
// daemon: docs/differences.md.
var trapProtocol = regexp.MustCompile(regexp.QuoteMeta(keepalivedMIB+".3.3.1.8 = ") + `[^\t]*\t`)

// sameObjects asserts that the C daemon and ours have the same objects, but for notAsC.
func sameObjects(t *testing.T, theirs, own map[string]string) {
	t.Helper()
	excused := func(name string) bool {
		return since240.MatchString(name) || slices.ContainsFunc(notAsC, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	}
	for name, want := range theirs {
		if got := own[name]; got != want && !excused(name) {
			t.Errorf("%s is %q, with the C daemon %q", name, got, want)
		}
	}
	for name, got := range own {
		if theirs[name] == "" && !excused(name) {
			t.Errorf("%s is %q, and the C daemon does not have it", name, got)
		}
	}
}

// testPoolObjects checks that the objects of virtual and real servers are those of the C
// daemon.
func testPoolObjects(t *testing.T) {
	s := newScene(t, "a")
	m := s.startSNMPD("a")
	failing := filepath.Join(t.TempDir(), "failing")
	config := global("enable_snmp_checker", "enable_traps", "snmp_socket unix:"+m.socket(), "router_id R1", "lvs_timeouts tcp 900 tcpfin 30 udp 60", "smtp_server 192.0.2.25 2525", "smtp_connect_timeout 9", "notification_email {\n    ops@example.com\n}", "notification_email_from me@example.com") +
		group("g", "10.8.1.1 80", "10.8.1.2-4 81", "fwmark 9") +
		virtual("10.8.0.1 80", "protocol TCP", "lb_algo wrr", "lb_kind NAT", "delay_loop 7", "persistence_timeout 60", "persistence_granularity 255.255.255.0",
			"quorum 2", "hysteresis 1", "alpha", "omega", "virtualhost www.example.com", "quorum_up \"/usr/bin/true up\"", "quorum_down /usr/bin/true", "retry 2", "delay_before_retry 3", "warmup 1", "weight 4",
			"sorry_server 10.9.0.9 8080",
			server("10.9.0.1 80", "weight 3", "uthreshold 100", "lthreshold 10", "notify_up /usr/bin/true", "notify_down \"/usr/bin/true down\"", "inhibit_on_failure", "virtualhost one.example.com"),
			server("10.9.0.2 81", "smtp_alert", "alpha no", "delay_loop 9"),
			server("10.9.0.3 80", "alpha no", "TCP_CHECK {\n    connect_port 9\n    connect_ip 127.0.0.1\n    retry 0\n    connect_timeout 2\n    delay_loop 1\n    warmup 0\n}")) +
		virtual("group g", "protocol UDP", "lb_algo sh", "lb_kind DR", "hashed", "sh-port", "sh-fallback", server("10.9.1.1 0", "lvs_method TUN type gue port 6080"), server("10.9.1.2 0", "MISC_CHECK {\n    misc_path \"/usr/bin/test ! -e "+failing+"\"\n    retry 0\n    delay_loop 1\n    warmup 0\n}")) +
		virtual("fwmark 7", "lb_algo mh", "lb_kind TUN", "mh-port", "ops", "smtp_alert", server("10.9.2.1 0")) +
		virtual("2001:db8::1 443", "protocol SCTP", "lb_algo lc", "lb_kind DR", "ha_suspend", server("2001:db8:1::1 443"))
	traps := map[string][]string{}
	walk := func(p lab.Program) map[string]string {
		before := len(m.traps())
		var up net.Listener
		s.must(s.Node("a").Do(func() (err error) {
			up, err = net.Listen("tcp", "127.0.0.1:9")
			return err
		}))
		defer up.Close()
		go acceptAll(up, func(net.Conn) {})
		d := s.start("a", p, config)
		var got string
		await := func(n int, text string) {
			t.Helper()
			if !s.Until(30*time.Second, func() bool {
				got = m.traps()[before:]
				return strings.Count(got, text) == n
			}) {
				t.Errorf("%s has sent\n%s", p.Name, got)
			}
		}
		await(4, ".3.3.1.23 = INTEGER: 1") // each virtual server has its quorum
		up.Close()
		s.must(os.WriteFile(failing, nil, 0o600))
		await(2, ".3.4.1.6 = INTEGER: 2") // of the two servers whose checks fail
		for line := range strings.Lines(got) {
			if body, found := strings.CutPrefix(line, ".1.3.6.1.2.1.1.3.0"); found { // after its time
				_, body, _ = strings.Cut(body, "\t")
				if strings.Contains(body, keepalivedMIB) {
					traps[p.Name] = append(traps[p.Name], trapProtocol.ReplaceAllString(body, ""))
				}
			}
		}
		slices.Sort(traps[p.Name])
		all := m.walk()
		s.must(d.Stop())
		m.awaits("No Such", "snmpwalk", keepalivedMIB+".3.4.1.1")
		s.must(os.Remove(failing))
		return all
	}
	theirs, own := walk(lab.C()), walk(ours)
	if len(theirs) < 300 {
		t.Fatalf("%d objects of the C daemon", len(theirs))
	}
	sameObjects(t, theirs, own)
	if diff := cmp.Diff(traps["upstream"], traps["ours"]); diff != "" {
		t.Errorf("notifications: -C daemon +ours\n%s", diff)
	}
}

// TestSNMP checks that a master agent that is killed, hangs and returns does not disturb
// the daemon, and gets objects and notifications again.
func TestSNMP(t *testing.T) {
	t.Parallel()
	differs(t, "takes longer to connect again")
	s := newScene(t, "a")
	m := s.startSNMPD("a")
	pool := virtual("10.0.0.9 80", "protocol TCP", server("10.1.0.1 80"), server("10.1.0.2 80"))
	a := s.start("a", ours, snmpConfig(m.socket(), "no_control_socket\nenable_snmp_checker\n"+snmpWords)+pool)
	m.awaits("INTEGER: 2", "snmpget", instanceState)
	m.awaitTraps("start", keepalivedMIB+".2.10.0.2", vrrpMIB+".0.1", vrrpv3MIB+".0.1")

	base := keepalivedMIB + ".2.3.1.7.1"
	m.awaits("INTEGER: 99", "snmpset", base, "i", "99")
	m.awaits("INTEGER: 99", "snmpget", base)
	m.awaits("INTEGER: 104", "snmpget", keepalivedMIB+".2.3.1.8.1") // with the script
	m.awaits("wrongValue", "snmpset", base, "i", "255")
	m.awaits("notWritable", "snmpset", keepalivedMIB+".2.3.1.13.1", "i", "2")
	weight := keepalivedMIB + ".3.4.1.7.1.2"
	m.awaits("INTEGER: 1", "snmpget", weight)
	for _, n := range []string{"7", "0"} {
		m.awaits("INTEGER: "+n, "snmpset", weight, "i", n)
		m.awaits("INTEGER: "+n, "snmpget", weight)
	}
	for _, what := range []string{"priority one", "weight [10.0.0.9]:tcp:80 [10.1.0.2]:tcp:80", "drain [10.0.0.9]:tcp:80 [10.1.0.2]:tcp:80"} {
		if !a.Logged(a.Started, what+": asked for by uid 0, over SNMP") {
			t.Error("the log does not name the change: ", what)
		}
	}

	s.must(m.agent.Process.Signal(syscall.SIGSTOP))
	s.must(m.agent.Process.Kill())
	if !s.Until(10*time.Second, func() bool { return !lab.Alive(m.agent.Process.Pid) }) {
		t.Fatal("the master agent does not end")
	}
	s.must(s.Node("a").IP("link set eth0 down"))
	m.begin()
	m.awaits("INTEGER: 3", "snmpget", instanceState)
	m.awaitTraps("fault while it was away", "\t"+keepalivedMIB+".2.3.1.4 = INTEGER: 3")

	// Switched off by a reload, and on again.
	s.must(a.Reload(snmpConfig(m.socket(), "")))
	m.awaits("No Such", "snmpget", instanceState)
	s.must(a.Reload(snmpConfig(m.socket(), snmpWords)))
	m.awaits("INTEGER: 3", "snmpget", instanceState)
	s.must(a.Stop())
	m.awaitTraps("end", "\t"+keepalivedMIB+".2.3.1.4 = INTEGER: 5")
}

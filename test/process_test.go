package test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// comm returns the name of a process as ps -C and killall match it.
func comm(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(b))
}

func TestProcessNamesAndPidFiles(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	a := s.start("a", ours, config(instance{}.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	for _, pid := range a.Pids() {
		// A process that has just been executed has not set its name yet.
		if !s.Until(3*time.Second, func() bool { return comm(pid) == "keepalived" }) {
			t.Errorf("process %d is called %q, want keepalived: killall would miss it", pid, comm(pid))
		}
	}
	for name, pid := range map[string]int{"keepalived.pid": a.Pid(), "vrrp.pid": a.VRRPPid()} {
		b, err := os.ReadFile(filepath.Join(a.Dir, name))
		if err != nil || string(b) != strconv.Itoa(pid)+"\n" || pid == 0 {
			t.Errorf("%s: %q, %v; want %d", name, b, err, pid)
		}
	}
	s.must(a.Stop())
	if left, _ := filepath.Glob(filepath.Join(a.Dir, "*.pid")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestDaemonMode checks that without -n the parent goes to the background, and that
// default pid files are in /run.
func TestDaemonMode(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	n := s.Node("a")
	conf := filepath.Join(n.Dir, "k.conf")
	s.must(os.WriteFile(conf, []byte(config(instance{}.at(100))), 0o644))
	d, err := n.StartWith(ours, "-f", conf)
	s.must(err)
	if code := d.ExitCode(5 * time.Second); code != 0 {
		t.Fatalf("the starting process ended with %d: %s", code, d.LogText())
	}
	s.awaitOwner(vip, 3*time.Second, "a")
	for _, name := range []string{"vrrp.pid", "keepalived.pid"} {
		b, err := os.ReadFile(filepath.Join(n.Dir, "run", name))
		pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil || comm(pid) != "keepalived" {
			t.Errorf("/run/%s: %q, %v", name, b, err)
		}
		if name == "keepalived.pid" && pid > 0 {
			defer unix.Kill(pid, unix.SIGKILL)
			s.must(unix.Kill(pid, unix.SIGTERM))
			s.awaitOwner(vip, 2*time.Second)
			s.noProcessLeft("a")
			break
		}
	}
}

// TestSecondDaemonIsRefused checks that a second daemon with the same pid file refuses to
// start.
func TestSecondDaemonIsRefused(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	a := s.start("a", ours, config(instance{}.at(100)))
	s.awaitOwner(vip, 3*time.Second, "a")
	second, err := s.Node("a").StartIn(a.Dir, ours, config(instance{}.at(100)))
	s.must(err)
	if code := second.ExitCode(3 * time.Second); code < 0 {
		t.Error("the second runs")
	}
	if !second.Logged(time.Time{}, "already running") {
		t.Errorf("it logs: %s", second.LogText())
	}
	s.stays(vip, "a", time.Second)
	if !a.Running() {
		t.Error("the first ended")
	}
}

// TestInstanceName checks that the keyword instance determines the names of the pid
// files.
func TestInstanceName(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	n := s.Node("a")
	conf := filepath.Join(n.Dir, "k.conf")
	s.must(os.WriteFile(conf, []byte("instance foo\n"+config(instance{}.at(100))), 0o644))
	d, err := n.StartWith(ours, "-n", "-l", "-G", "-f", conf)
	s.must(err)
	s.daemons = append(s.daemons, d)
	s.awaitOwner(vip, 3*time.Second, "a")
	for _, name := range []string{"keepalived_foo.pid", "vrrp_foo.pid"} {
		if _, err := os.Stat(filepath.Join(n.Dir, "run", "keepalived", name)); err != nil {
			t.Error(err)
		}
	}
}

// TestNetNamespace checks that the daemon works in the namespace that net_namespace
// names, and changes nothing in the namespace in which it was started.
func TestNetNamespace(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	n := s.Node("a")
	s.must(n.IPBatch("netns add inner\nlink add veth0 type veth peer name eth9 netns inner\nlink set veth0 up\n"))
	inner := func(args string) string {
		out, err := n.Run("ip", append([]string{"-n", "inner"}, strings.Fields(args)...)...)
		s.must(err)
		return out
	}
	inner("link set lo up")
	inner("link set eth9 up")
	inner("addr add 10.50.0.1/16 dev eth9")
	in := instance{Iface: "eth9", VIPs: []string{"10.50.9.1/16"}}.at(100)
	conf := filepath.Join(n.Dir, "k.conf")
	s.must(os.WriteFile(conf, []byte("net_namespace inner\n"+config(in)), 0o644))
	d, err := n.StartWith(ours, "-n", "-l", "-G", "-f", conf)
	s.must(err)
	s.daemons = append(s.daemons, d)
	if !s.Until(5*time.Second, func() bool { return strings.Contains(inner("addr show eth9"), "10.50.9.1/16") }) {
		t.Fatal("the address is not in the namespace")
	}
	s.must(d.Stop())
	if strings.Contains(inner("addr show eth9"), "10.50.9.1") {
		t.Error("the address stayed in the namespace")
	}
	s.must(n.IP("netns del inner"))
}

// TestNoPrivileges checks that the error for an ordinary user names the missing
// privilege.
func TestNoPrivileges(t *testing.T) {
	t.Parallel()
	lab.Need(t, lab.User)
	s := newScene(t, "a")
	n := s.Node("a")
	s.must(os.Chmod(s.Dir, 0o755))
	work := filepath.Join(n.Dir, "user")
	s.must(os.Mkdir(work, 0o777))
	s.must(os.Chmod(work, 0o777))
	conf := filepath.Join(work, "k.conf")
	s.must(os.WriteFile(conf, []byte(config(instance{}.at(100))), 0o644))
	d, err := n.StartWith(lab.Program{Path: "/usr/bin/setpriv"}, "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
		ours.Path, "-n", "-l", "-G", "-f", conf, "-p", work+"/p", "-r", work+"/r", "-c", work+"/c", "-b", work+"/b")
	s.must(err)
	code := d.ExitCode(5 * time.Second)
	if code <= 0 {
		t.Errorf("exit code %d, want an error", code)
	}
	for _, want := range []string{"CAP_NET_ADMIN (to set addresses, to set virtual servers)", "CAP_NET_RAW ("} {
		if !underC && !strings.Contains(d.LogText(), want) {
			t.Errorf("the missing capability is not named:\n%s", d.LogText())
		}
	}
}

// TestUnusableConfigurationEnds checks that a daemon with an unusable configuration ends
// with exit code 2 and reports the reason.
func TestUnusableConfigurationEnds(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a")
	for name, c := range map[string]string{
		"duplicate VRID": config(instance{}.at(100), instance{Name: "VI_2", VIPs: []string{vip2.String()}}.at(100)),
		"no VRID":        "vrrp_instance VI_1 {\n    interface eth0\n    priority 100\n    virtual_ipaddress {\n        10.0.9.1\n    }\n}\n",
	} {
		d, err := s.Node("a").Start(ours, c)
		s.must(err)
		if code := d.ExitCode(5 * time.Second); code != 2 {
			t.Errorf("%s: exit code %d, want 2; log:\n%s", name, code, d.LogText())
		}
	}
}

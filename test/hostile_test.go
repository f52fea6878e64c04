package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// TestRunDirectory checks that a reload, the death of the VRRP process and a stop do not
// depend on the state of the run directory.
func TestRunDirectory(t *testing.T) {
	t.Parallel()
	differs(t, "has no state file")
	for name, spoil := range map[string]func(dir string) error{
		"full": func(dir string) error {
			f, err := os.Create(filepath.Join(dir, "filler"))
			if err != nil {
				return err
			}
			defer f.Close()
			for err == nil {
				_, err = f.Write(bytes.Repeat([]byte("x"), 4096))
			}
			return nil
		},
		"truncated": func(dir string) error {
			files, _ := filepath.Glob(filepath.Join(dir, "*.state"))
			if len(files) != 1 {
				return fmt.Errorf("state files: %v", files)
			}
			return os.Truncate(files[0], 0)
		},
		"gone": func(dir string) error { return unix.Unmount(dir, unix.MNT_DETACH) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "a")
			dir := filepath.Join(s.Node("a").Dir, "spoilt")
			s.must(os.Mkdir(dir, 0o755))
			// A node has its own mounts, which end with it.
			s.must(s.Node("a").Do(func() error { return unix.Mount("none", dir, "tmpfs", 0, "size=1m") }))
			in := instance{VIPs: []string{vip.String() + "/16"}}
			d := s.start("a", ours, config(in.at(150)), "-r", filepath.Join(dir, "vrrp.pid"))
			s.awaitOwner(vip, 10*time.Second, "a")
			child := children(d)
			if len(child) != 1 {
				t.Fatalf("children: %v", child)
			}
			s.must(s.Node("a").Do(func() error { return spoil(dir) }))

			in.VIPs = append(in.VIPs, vip2.String()+"/16")
			s.must(d.Reload(config(in.at(150))))
			s.awaitOwner(vip2, 10*time.Second, "a")
			s.awaitAdvert(time.Now(), 10*time.Second, "a")

			from := time.Now()
			s.must(unix.Kill(child[0], unix.SIGKILL))
			s.awaitLog(d, from, "died: Respawning", 10*time.Second)
			if !s.Until(20*time.Second, func() bool { c := children(d); return len(c) == 1 && c[0] != child[0] }) {
				t.Fatal("no successor")
			}
			s.awaitAdvert(time.Now().Add(time.Second), 20*time.Second, "a")
			s.awaitOwner(vip2, 20*time.Second, "a")
			s.must(d.Stop())
			s.awaitOwner(vip, 5*time.Second)
			s.awaitOwner(vip2, 5*time.Second)
		})
	}
}

// children returns the VRRP processes of d.
func children(d *lab.Daemon) (all []int) {
	for _, p := range d.Pids() {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", p)); err == nil && bytes.Contains(b, []byte("KEEPALIVED_CHILD=vrrp")) {
			all = append(all, p)
		}
	}
	return all
}

// TestBusyTables checks that while another program changes addresses as fast as it can,
// among 1,500 others, a daemon starts, serves, notices the loss of an address, fails over
// and stops, and that no process ends because of it.
func TestBusyTables(t *testing.T) {
	t.Parallel()
	s := newScene(t, "a", "b")
	node := s.Node("a")
	var batch strings.Builder
	batch.WriteString("link add busy0 type veth peer name busy1\nlink set busy0 up\n")
	for i := range 1500 {
		fmt.Fprintf(&batch, "addr add 10.200.%d.%d/32 dev busy0\n", i/250, i%250+1)
	}
	s.must(node.IPBatch(batch.String()))
	batch.Reset()
	for i := range 500 {
		fmt.Fprintf(&batch, "addr del 10.200.%d.%d/32 dev busy0\n", i/250, i%250+1)
		fmt.Fprintf(&batch, "addr add 10.200.%d.%d/32 dev busy0\n", i/250, i%250+1)
	}
	s.write("a", "batch", batch.String())
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for range 400 {
			select {
			case <-stop:
				return
			default:
				node.Run("ip", "-force", "-batch", s.path("a", "batch"))
			}
		}
	}()
	defer func() { close(stop); <-ended }()

	has := func(name string) func() bool {
		return func() bool { return s.shown(name, vip) != "" }
	}
	until := func(what string, f func() bool) {
		t.Helper()
		if !s.Until(40*time.Second, f) {
			t.Fatal(what)
		}
	}
	in := instance{VIPs: []string{vip.String() + "/16", vip2.String() + "/16"}}
	a := s.start("a", ours, config(in.at(150)))
	b := s.start("b", ours, config(in.at(100)))
	until("a does not serve", has("a"))
	child := a.VRRPPid()
	from := time.Now()
	s.must(node.IP("addr del " + vip2.String() + "/16 dev eth0"))
	s.awaitLog(a, from, vip2.String()+" removed from eth0", 20*time.Second)
	until("the address is not set again", func() bool { return has("a")() && s.shown("a", vip2) != "" })
	s.must(node.IP("link set eth0 down"))
	until("b does not take over", has("b"))
	s.must(node.IP("link set eth0 up"))
	until("a does not come back", func() bool { return has("a")() && !has("b")() })
	if p := a.VRRPPid(); p != child || a.Logged(a.Started, "died") {
		t.Errorf("the VRRP process was %d and is %d:\n%s", child, p, a.LogText())
	}
	s.must(a.Stop())
	until("a leaves its address behind", func() bool { return !has("a")() && s.shown("a", vip2) == "" })
	s.must(b.Stop())
}

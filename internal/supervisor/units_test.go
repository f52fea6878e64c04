package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestBackoff(t *testing.T) {
	var b backoff
	for i, want := range []time.Duration{0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60} {
		if got := b.after(time.Second); got != want*time.Second {
			t.Errorf("wait %v after death %d, want %v", got, i+1, want*time.Second)
		}
	}
	if got := b.after(wellAfter); got != 0 {
		t.Errorf("wait %v after a long run, want none", got)
	}
	for range 100 {
		b.after(0)
	}
	if got := b.after(0); got != backoffMax {
		t.Errorf("wait %v after a hundred deaths, want %v", got, backoffMax)
	}
}

func TestFilesFor(t *testing.T) {
	for _, tt := range []struct {
		name         string
		s            settings
		parent, vrrp string
		want         runFiles
	}{
		{"plain", settings{}, "", "",
			runFiles{"/run/keepalived.pid", "/run/vrrp.pid", "/run/keepalived.vrrp.state", "/run/keepalived.reload"}},
		{"use_pid_dir", settings{usePidDir: true}, "", "",
			runFiles{"/run/keepalived/keepalived.pid", "/run/keepalived/vrrp.pid", "/run/keepalived/keepalived.vrrp.state", "/run/keepalived/keepalived.reload"}},
		{"instance", settings{instance: "blue"}, "", "",
			runFiles{"/run/keepalived/keepalived_blue.pid", "/run/keepalived/vrrp_blue.pid", "/run/keepalived/keepalived_blue.vrrp.state", "/run/keepalived/keepalived_blue.reload"}},
		{"namespace", settings{namespace: "ns1"}, "", "",
			runFiles{"/run/keepalived/ns1/keepalived.pid", "/run/keepalived/ns1/vrrp.pid", "/run/keepalived/ns1/keepalived.vrrp.state", "/run/keepalived/ns1/keepalived.reload"}},
		{"instance in namespace", settings{namespace: "ns1", instance: "blue"}, "", "",
			runFiles{"/run/keepalived/ns1/keepalived_blue.pid", "/run/keepalived/ns1/vrrp_blue.pid", "/run/keepalived/ns1/keepalived_blue.vrrp.state", "/run/keepalived/ns1/keepalived_blue.reload"}},
		{"options win", settings{instance: "blue"}, "/tmp/p.pid", "/tmp/v.pid",
			runFiles{"/tmp/p.pid", "/tmp/v.pid", "/tmp/v.state", "/run/keepalived/keepalived_blue.reload"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := filesFor("/run", tt.s, tt.parent, tt.vrrp)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(runFiles{})); diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPidFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keepalived")
	path := filepath.Join(dir, "ns1", "keepalived.pid")
	umask := unix.Umask(0o177)
	p, err := lockPidFile(path, time.Now())
	unix.Umask(umask)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{dir: 0o755 | os.ModeDir, path: 0o644} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("mode of %s is %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	for _, pid := range []int{12345678, 7} { // the shorter leaves nothing of the longer
		if err := p.write(pid); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); string(got) != "7\n" || err != nil {
		t.Errorf("pid file holds %q, %v", got, err)
	}
	if _, err := lockPidFile(path, time.Now()); !errors.Is(err, errRunning) {
		t.Errorf("second lock: %v, want %v", err, errRunning)
	}
	// The second waits for the first to go.
	go func() {
		time.Sleep(50 * time.Millisecond)
		p.remove()
	}()
	second, err := lockPidFile(path, time.Now().Add(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	// It has locked the file that has the name, not the removed one.
	if err := second.write(8); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(path); string(got) != "8\n" || err != nil {
		t.Errorf("pid file holds %q, %v", got, err)
	}
	second.remove()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removed pid file: %v", err)
	}
}

func TestStalePidFileIsTakenOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keepalived.pid")
	if err := os.WriteFile(path, []byte("999999999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := lockPidFile(path, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer p.remove()
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v; want 0644", info.Mode(), err)
	}
}

// The C daemon up to release 2.2 writes its pid file and does not lock it.
func TestPidFileOfRunningDaemonWithoutLock(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("needs sleep(1)")
	}
	dir := t.TempDir()
	daemon := filepath.Join(dir, "keepalived") // what a process is named after
	if err := os.Symlink(sleep, daemon); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(daemon, "60")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	path := filepath.Join(dir, "keepalived.pid")
	if err := os.WriteFile(path, fmt.Appendln(nil, cmd.Process.Pid), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := tryLock(path); !errors.Is(err, errRunning) {
		t.Errorf("beside a running daemon: %v, want %v", err, errRunning)
	}
	// A killed one counts for nothing even before its parent has reaped it.
	cmd.Process.Kill()
	p, err := lockPidFile(path, time.Now().Add(10*time.Second))
	if err != nil {
		t.Errorf("after its death: %v", err)
	}
	p.remove()
	cmd.Wait()
}

// A link planted in a directory that others can write does not lead the
// daemon, which runs as root, to a file of somebody else.
func TestPidFileDoesNotFollowLinks(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, "keepalived.pid")); err != nil {
		t.Fatal(err)
	}
	if _, err := lockPidFile(filepath.Join(dir, "keepalived.pid"), time.Now()); err == nil {
		t.Error("a pid file that is a link is accepted")
	}
	if got, _ := os.ReadFile(victim); string(got) != "precious" {
		t.Errorf("the file behind the link holds %q", got)
	}
}

func TestSignalNumber(t *testing.T) {
	for name, want := range map[string]int{
		"STOP": 15, "RELOAD": 1, "DATA": 10, "STATS": 12, "STATS_CLEAR": 63, "JSON": 36,
	} {
		if got, ok := SignalNumber(name); got != want || !ok {
			t.Errorf("%s is %d, %v; want %d", name, got, ok, want)
		}
	}
	if n, ok := SignalNumber("TDATA"); ok {
		t.Errorf("TDATA is %d, want it unknown", n)
	}
}

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/proc"
	"keepalived-go/internal/tool/lab"
	"keepalived-go/internal/tool/required"
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
		want         []string // pid files of parent and VRRP process, state file, reload_file
	}{
		{"plain", settings{}, "", "",
			[]string{"/run/keepalived.pid", "/run/vrrp.pid", "/run/keepalived.vrrp.state", "/run/keepalived.reload"}},
		{"use_pid_dir", settings{usePidDir: true}, "", "",
			[]string{"/run/keepalived/keepalived.pid", "/run/keepalived/vrrp.pid", "/run/keepalived/keepalived.vrrp.state", "/run/keepalived/keepalived.reload"}},
		{"instance", settings{instance: "blue"}, "", "",
			[]string{"/run/keepalived/keepalived_blue.pid", "/run/keepalived/vrrp_blue.pid", "/run/keepalived/keepalived_blue.vrrp.state", "/run/keepalived/keepalived_blue.reload"}},
		{"namespace", settings{namespace: "ns1"}, "", "",
			[]string{"/run/keepalived/ns1/keepalived.pid", "/run/keepalived/ns1/vrrp.pid", "/run/keepalived/ns1/keepalived.vrrp.state", "/run/keepalived/ns1/keepalived.reload"}},
		{"instance in namespace", settings{namespace: "ns1", instance: "blue"}, "", "",
			[]string{"/run/keepalived/ns1/keepalived_blue.pid", "/run/keepalived/ns1/vrrp_blue.pid", "/run/keepalived/ns1/keepalived_blue.vrrp.state", "/run/keepalived/ns1/keepalived_blue.reload"}},
		{"options win", settings{instance: "blue"}, "/tmp/p.pid", "/tmp/v.pid",
			[]string{"/tmp/p.pid", "/tmp/v.pid", "/tmp/v.state", "/run/keepalived/keepalived_blue.reload"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := filesFor("/run", tt.s, tt.parent)
			pid, state := f.of(&proc.Role{Name: "vrrp"}, tt.vrrp)
			if diff := cmp.Diff(tt.want, []string{f.parentPid, pid, state, f.reloadMarker}); diff != "" {
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
	for _, pid := range []int{12345678, 7} { // the shorter number leaves no digit of the longer one
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
	// The second daemon waits until the first has ended.
	go func() {
		time.Sleep(50 * time.Millisecond)
		p.remove()
	}()
	second, err := lockPidFile(path, time.Now().Add(10*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	// It has locked the file that now has the name, not the removed one.
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

// TestNumberInPidFileDoesNotCount checks that the number in a pid file does not count,
// because any process may have it after a daemon was killed: only the lock does.
func TestNumberInPidFileDoesNotCount(t *testing.T) {
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		required.Missing(t, "sleep(1)")
	}
	for _, name := range []string{"keepalived", "keepalived-exporter", "keepalived_x.sh"} {
		dir := t.TempDir()
		program := filepath.Join(dir, name) // the process has the name of its program
		if err := os.Symlink(sleep, program); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(program, "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "keepalived.pid")
		if err := os.WriteFile(path, fmt.Appendln(nil, cmd.Process.Pid), 0o644); err != nil {
			t.Fatal(err)
		}
		p, err := lockPidFile(path, time.Now())
		if err != nil {
			t.Errorf("beside a %s: %v", name, err)
		}
		p.remove()
		cmd.Process.Kill()
		cmd.Wait()
	}
}

// TestPidFileMadeByOthers checks that any file with the name of the pid file is taken
// over or refused with a clear message.
func TestPidFileMadeByOthers(t *testing.T) {
	const stranger = 64_874
	path := ""
	make := func(mode os.FileMode) error {
		return errors.Join(os.WriteFile(path, []byte("12345\n"), mode), os.Chmod(path, mode))
	}
	for _, c := range []struct {
		name  string
		make  func() error
		same  bool   // the file is kept
		wrong string // part of the error
	}{
		{"ours", func() error { return make(0o644) }, true, ""},
		{"for all to write", func() error { return make(0o666) }, true, ""},
		{"with special bits", func() error { return make(0o644 | os.ModeSetuid | os.ModeSetgid) }, true, ""},
		{"of another group", func() error { return errors.Join(make(0o664), os.Chown(path, 0, stranger)) }, true, ""},
		{"of a stranger", func() error { return errors.Join(make(0o600), os.Chown(path, stranger, stranger)) }, false, ""},
		{"of a stranger, in a directory like /tmp", func() error {
			return errors.Join(os.Chmod(filepath.Dir(path), 0o777|os.ModeSticky), make(0o666), os.Chown(path, stranger, stranger))
		}, false, ""},
		{"with another name", func() error { return errors.Join(make(0o600), os.Link(path, path+".victim")) }, false, ""},
		{"FIFO", func() error { return unix.Mkfifo(path, 0o666) }, true, "is a FIFO, not a regular file: remove it"},
		{"directory", func() error { return os.Mkdir(path, 0o755) }, true, "is a directory, not a regular file: remove it"},
		{"link", func() error {
			return errors.Join(os.WriteFile(path+".victim", nil, 0o600), os.Symlink(path+".victim", path))
		}, true,
			"is a symbolic link, not a regular file: remove it"},
		{"link to nothing", func() error { return os.Symlink(path+".victim", path) }, true, "is a symbolic link, not a regular file: remove it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path = filepath.Join(t.TempDir(), "vrrp.pid")
			err := c.make()
			if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) {
				lab.Need(t, lab.Users) // to give a file to another user
			}
			if err != nil {
				t.Fatal(err)
			}
			before, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			held, err := unix.Open(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0) // so that its inode number is not used again
			if err != nil {
				t.Fatal(err)
			}
			defer unix.Close(held)
			p, err := lockPidFile(path, time.Now())
			defer p.remove()
			after, statErr := os.Lstat(path)
			if statErr != nil {
				t.Fatal(statErr)
			}
			if os.SameFile(before, after) != c.same {
				t.Errorf("the same file: %v, want %v", !c.same, c.same)
			}
			if victim, err := os.Stat(path + ".victim"); err == nil && victim.Mode() != 0o600 {
				t.Errorf("mode %v of another file, want it untouched", victim.Mode())
			}
			if c.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), c.wrong) {
					t.Errorf("error %v, want one with %q", err, c.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := p.write(7); err != nil {
				t.Fatal(err)
			}
			st := after.Sys().(*syscall.Stat_t)
			if text, _ := os.ReadFile(path); after.Mode() != 0o644 || int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid() || string(text) != "7\n" {
				t.Errorf("mode %v, owner %d:%d, text %q; want 0644, %d:%d, 7", after.Mode(), st.Uid, st.Gid, text, os.Geteuid(), os.Getegid())
			}
		})
	}
}

// TestPidFileLockedByAnotherUser checks that the message names the owner of a file that
// another user has locked.
func TestPidFileLockedByAnotherUser(t *testing.T) {
	lab.Need(t, lab.Users)
	path := filepath.Join(t.TempDir(), "keepalived.pid")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	if err := errors.Join(f.Chown(64_874, 0), unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock)); err != nil {
		t.Fatal(err)
	}
	if _, err := tryLock(path); !errors.Is(err, errRunning) || !strings.Contains(err.Error(), "belongs to user 64874") {
		t.Errorf("%v, want its owner and %v", err, errRunning)
	}
}

// TestPidFileIsTakenOnce checks that of many daemons that find one file of another user
// exactly one gets it.
func TestPidFileIsTakenOnce(t *testing.T) {
	lab.Need(t, lab.Users)
	for range 50 {
		path := filepath.Join(t.TempDir(), "keepalived.pid")
		if err := errors.Join(os.WriteFile(path, nil, 0o666), os.Chown(path, 64_874, 0)); err != nil {
			t.Fatal(err)
		}
		files := make(chan *os.File)
		for range 8 {
			go func() {
				f, err := tryLock(path)
				if err != nil && !errors.Is(err, errRunning) {
					t.Error(err)
				}
				files <- f
			}()
		}
		got := 0
		for range 8 {
			if f := <-files; f != nil {
				got++
				defer f.Close()
			}
		}
		if got != 1 {
			t.Fatalf("%d daemons hold the pid file, want 1", got)
		}
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

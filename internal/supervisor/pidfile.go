package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errRunning says that another daemon holds a pid file.
var errRunning = errors.New("daemon is already running")

// runFiles are the files of one daemon below /run.
type runFiles struct {
	parentPid, vrrpPid string
	vrrpState          string // what the VRRP process leaves to its successor
	reloadMarker       string // of a reload_file without a path
}

// filesFor returns the names of the files in dir (/run). A daemon with an
// instance name, a network namespace or use_pid_dir keeps them in
// dir/keepalived, below a directory of its own for each namespace. Explicit
// names (-p, -r) win; the state file goes with that of the VRRP process.
func filesFor(dir string, s settings, parentPid, vrrpPid string) runFiles {
	var suffix string
	if s.instance != "" {
		suffix = "_" + s.instance
	}
	if s.usePidDir || s.instance != "" || s.namespace != "" {
		dir = filepath.Join(dir, "keepalived", s.namespace)
	}
	f := runFiles{
		parentPid: filepath.Join(dir, "keepalived"+suffix+".pid"),
		vrrpPid:   filepath.Join(dir, "vrrp"+suffix+".pid"),
		vrrpState: filepath.Join(dir, "keepalived"+suffix+".vrrp.state"),

		reloadMarker: filepath.Join(dir, "keepalived"+suffix+".reload"),
	}
	if parentPid != "" {
		f.parentPid = parentPid
	}
	if vrrpPid != "" {
		f.vrrpPid = vrrpPid
		f.vrrpState = strings.TrimSuffix(vrrpPid, ".pid") + ".state"
	}
	return f
}

// pidFile is a pid file that this process has locked. The lock belongs to the
// open file: a child that inherits it keeps it after our death.
type pidFile struct {
	file *os.File
	path string
}

// lockPidFile creates path or takes over what a dead daemon has left there. It
// waits until deadline for the holder of the lock to end.
func lockPidFile(path string, deadline time.Time) (*pidFile, error) {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	for {
		f, err := tryLock(path)
		if !errors.Is(err, errRunning) || time.Now().After(deadline) {
			if err != nil {
				return nil, err
			}
			return &pidFile{f, path}, nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func tryLock(path string) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o644)
		if err != nil {
			return nil, fmt.Errorf("pid file: %w", err)
		}
		lock := unix.Flock_t{Type: unix.F_WRLCK}
		if err := unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &lock); err != nil {
			f.Close()
			if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
				return nil, errRunning
			}
			return nil, fmt.Errorf("lock pid file %s: %w", path, err)
		}
		// Between open and lock the holder may have removed the file: then we
		// have locked one without a name.
		ours, err := f.Stat()
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("pid file: %w", err)
		}
		if named, err := os.Lstat(path); err != nil || !os.SameFile(ours, named) {
			f.Close()
			continue
		}
		if heldWithoutLock(f) {
			f.Close()
			return nil, errRunning
		}
		return f, f.Chmod(0o644) // whatever the umask is
	}
}

// heldWithoutLock reports whether f names another running keepalived: releases
// up to 2.2 of the C daemon do not lock their pid files.
func heldWithoutLock(f *os.File) bool {
	b := make([]byte, len("4194304\n"))
	n, _ := f.ReadAt(b, 0)
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil || pid == os.Getpid() {
		return false
	}
	proc := filepath.Join("/proc", strconv.Itoa(pid))
	if _, err := os.Readlink(filepath.Join(proc, "exe")); err != nil {
		return false // nobody, or one that has ended and is not reaped yet
	}
	name, err := os.ReadFile(filepath.Join(proc, "comm"))
	return err == nil && strings.HasPrefix(string(name), processName)
}

func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	old := unix.Umask(0o022) // pid files are for everyone to read, whatever the umask is
	defer unix.Umask(old)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("directory of pid file: %w", err)
	}
	return nil
}

// write makes pid the content of the file.
func (p *pidFile) write(pid int) error {
	text := strconv.Itoa(pid) + "\n"
	if _, err := p.file.WriteAt([]byte(text), 0); err != nil {
		return fmt.Errorf("pid file: %w", err)
	}
	return p.file.Truncate(int64(len(text)))
}

// remove deletes the file and gives up the lock.
func (p *pidFile) remove() {
	if p == nil {
		return
	}
	os.Remove(p.path)
	p.file.Close()
}

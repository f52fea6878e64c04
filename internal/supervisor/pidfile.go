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

	"keepalived-go/internal/proc"
)

// errRunning means that another daemon holds a pid file.
var errRunning = errors.New("daemon is already running")

// stateDir is where a daemon keeps what survives the machine.
const stateDir = "/var/lib/keepalived"

// runFiles are the files of one daemon below /run.
type runFiles struct {
	parentPid    string
	reloadMarker string // of a reload_file without a path
	control      string // beginning of the names of those of the control process
	history      string // its file of events
	intents      string // what clients have asked for that is still in force

	dir, suffix string // of the others
}

// filesFor returns the names of the files in dir (/run). A daemon with an
// instance name, a network namespace or use_pid_dir keeps them in
// dir/keepalived, below a directory of its own for each namespace. An explicit
// name of the parent's pid file (-p) wins.
func filesFor(dir string, s settings, parentPid string) runFiles {
	var suffix string
	if s.instance != "" {
		suffix = "_" + s.instance
	}
	control := proc.Control(dir, s.namespace, s.instance, parentPid)
	if s.usePidDir || s.instance != "" || s.namespace != "" {
		dir = filepath.Join(dir, "keepalived", s.namespace)
	}
	f := runFiles{
		parentPid:    filepath.Join(dir, "keepalived"+suffix+".pid"),
		reloadMarker: filepath.Join(dir, "keepalived"+suffix+".reload"),
		dir:          dir,
		suffix:       suffix,
		control:      control,
		history:      filepath.Join(stateDir, s.namespace, "history"+suffix),
		intents:      filepath.Join(stateDir, s.namespace, "intents"+suffix),
	}
	if parentPid != "" {
		f.parentPid, f.history, f.intents = parentPid, control+".history", control+".intents"
	}
	return f
}

// of returns the names of the pid file of a role and of its file of state: what
// one process of the role leaves to the next. An explicit name of the pid file
// (-r) wins; the state file goes with it.
func (f runFiles) of(role *proc.Role, explicit string) (pid, state string) {
	switch {
	case explicit != "":
		return explicit, strings.TrimSuffix(explicit, ".pid") + ".state"
	case role.Attends:
		return f.control + ".pid", f.control + ".state"
	}
	return filepath.Join(f.dir, role.Name+f.suffix+".pid"), filepath.Join(f.dir, "keepalived"+f.suffix+"."+role.Name+".state")
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

// tryLock opens and locks the file path, and makes it what it would be had this
// process created it: a regular file of its own user and group, mode 0644 whatever the
// umask is. A file that anyone else made is replaced, since its maker may have it open, or
// another name for it, and could write it later. Only the lock proves that a daemon
// runs: the number in the file may be that of another process by now.
func tryLock(path string) (*os.File, error) {
	for {
		f, err := openPidFile(path)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrExist) {
			continue // removed or made in this moment
		}
		if err != nil {
			return nil, err
		}
		ours, err := lockAndLook(f, path)
		switch {
		case err != nil:
			f.Close()
			return nil, err
		case ours == nil: // locked in vain: the name is another's by now
			f.Close()
			continue
		case int(ours.Uid) != unix.Geteuid() || ours.Nlink != 1:
			// Only who holds the lock of the file with that name removes it.
			err := os.Remove(path)
			f.Close()
			if err != nil {
				return nil, fmt.Errorf("pid file of user %d: %w", ours.Uid, err)
			}
			continue
		}
		if err := errors.Join(f.Chown(unix.Geteuid(), unix.Getegid()), f.Chmod(0o644)); err != nil {
			f.Close()
			return nil, fmt.Errorf("pid file: %w", err)
		}
		return f, nil
	}
}

// openPidFile opens the file that is there, or makes one. Neither waits, as
// opening a FIFO does, and no link is followed.
func openPidFile(path string) (*os.File, error) {
	const flags = os.O_RDWR | unix.O_NOFOLLOW | unix.O_NONBLOCK
	// Not with O_CREATE: the kernel refuses that, to root too, for a file of
	// anyone else in a directory like /tmp (fs.protected_regular).
	f, err := os.OpenFile(path, flags, 0)
	if errors.Is(err, os.ErrNotExist) {
		f, err = os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, 0o644)
	}
	if err == nil || errors.Is(err, os.ErrExist) {
		return f, err
	}
	what := ""
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		what = kindOf(info.Mode())
	}
	if what != "" {
		return nil, notRegular(path, what)
	}
	if errors.Is(err, os.ErrNotExist) { // the directory
		return nil, fmt.Errorf("pid file: directory of %s: %v", path, unix.ENOENT)
	}
	return nil, fmt.Errorf("pid file: %w", err)
}

// lockAndLook locks f and returns what it is; nil if path names it no more.
func lockAndLook(f *os.File, path string) (*unix.Stat_t, error) {
	fd := int(f.Fd())
	var ours, named unix.Stat_t
	if err := unix.Fstat(fd, &ours); err != nil {
		return nil, fmt.Errorf("pid file %s: %w", path, err)
	}
	if ours.Mode&unix.S_IFMT != unix.S_IFREG {
		info, err := f.Stat()
		if err != nil {
			return nil, fmt.Errorf("pid file: %w", err)
		}
		return nil, notRegular(path, kindOf(info.Mode()))
	}
	lock := unix.Flock_t{Type: unix.F_WRLCK}
	switch err := unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &lock); {
	case err == unix.EAGAIN || err == unix.EACCES:
		if int(ours.Uid) != unix.Geteuid() && ours.Uid != 0 {
			return nil, fmt.Errorf("pid file %s belongs to user %d and is locked by a process of whoever may write it: %w, or remove the file", path, ours.Uid, errRunning)
		}
		return nil, errRunning
	case err != nil:
		return nil, fmt.Errorf("lock pid file %s: %w", path, err)
	}
	// Between open and lock the holder may have removed the file: then we have
	// locked one without a name.
	if err := unix.Lstat(path, &named); err != nil || named.Dev != ours.Dev || named.Ino != ours.Ino {
		return nil, nil
	}
	if err := unix.Fstat(fd, &ours); err != nil { // what it is now that it is locked
		return nil, fmt.Errorf("pid file %s: %w", path, err)
	}
	return &ours, nil
}

func notRegular(path, what string) error {
	return fmt.Errorf("pid file %s is %s, not a regular file: remove it or name another (-p, -r)", path, what)
}

func kindOf(mode os.FileMode) string {
	switch mode.Type() {
	case os.ModeSymlink:
		return "a symbolic link"
	case os.ModeDir:
		return "a directory"
	case os.ModeNamedPipe:
		return "a FIFO"
	case os.ModeSocket:
		return "a socket"
	}
	return "a device"
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

// remove deletes the file, unless another has its name by now, and gives up the
// lock.
func (p *pidFile) remove() {
	if p == nil {
		return
	}
	ours, err := p.file.Stat()
	if named, nameErr := os.Lstat(p.path); err == nil && nameErr == nil && os.SameFile(ours, named) {
		os.Remove(p.path)
	}
	p.file.Close()
}

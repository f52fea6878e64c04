package notify

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/status"
)

// fifoMode is that of the C daemon. Who reads a line takes it away from the
// others, so that only its owner may read.
const fifoMode = 0o600

// FIFO is a named pipe that is kept for the processes that write into it, and the
// script that reads it, if one is configured. It is open for as long as it is kept:
// so its writers come and go, and the lines and the script stay. Its methods may be
// called from any goroutine; none waits for a reader.
type FIFO struct {
	keyword string
	reader  *reader

	mu     sync.Mutex
	config conf.FIFO // with the path that is open; the path is empty when none is
	reason string    // why what is configured is not open
	fd     int       // -1: not open
	inode  unix.Stat_t
	made   bool // by us, so that it is removed when it is closed

	policy conf.ScriptPolicy
	retry  *time.Timer // nil: opening it is not tried again
}

// fifoRetry is how long a FIFO that could not be opened is left alone.
const fifoRetry = time.Second

// passes reports whether the cause lies in the moment, and not in the FIFO, that it cannot
// be opened: there are no descriptors, there is no memory or space, or the account
// could not be looked up.
func passes(err error) bool {
	for _, e := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOBUFS, unix.ENOSPC} {
		if errors.Is(err, e) {
			return true
		}
	}
	return script.Passes(err)
}

// NewFIFO returns the FIFO of the keyword notify_fifo, vrrp_notify_fifo or
// lvs_notify_fifo, which is open once it has been configured. Its script is run
// by runner.
func NewFIFO(keyword string, runner *script.Runner) *FIFO {
	return &FIFO{keyword: keyword, fd: -1, reader: &reader{runner: runner, keyword: keyword + "_script"}}
}

// Configure opens what c names. What is open already stays so, with the lines in
// it, and a script that is the same continues; another one is started when the old
// one has ended. What cannot be opened at the moment is tried again. The error is
// why there will be no FIFO or no script.
func (f *FIFO) Configure(c conf.FIFO, p conf.ScriptPolicy) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.configure(c, p)
}

// configure is Configure. The mutex is held.
func (f *FIFO) configure(c conf.FIFO, p conf.ScriptPolicy) error {
	f.stopRetry()
	f.policy = p
	if f.fd < 0 || f.config.Path != c.Path || f.config.User != c.User || f.config.Group != c.Group {
		f.close()
		f.reason = ""
		if c.Path != "" {
			if err := f.open(&c, p); err != nil {
				f.reason = err.Error()
				f.config = c
				f.reader.set(conf.Command{}, p, "")
				if passes(err) {
					f.retry = time.AfterFunc(fifoRetry, f.again)
					return fmt.Errorf("%s cannot be opened: %w; trying again every %v", f.keyword, err, fifoRetry)
				}
				return fmt.Errorf("%s is disabled: %w", f.keyword, err)
			}
		}
	}
	f.config = c
	command := c.Script
	if c.Path == "" {
		command = conf.Command{}
	}
	if err := f.reader.set(command, p, c.Path); err != nil {
		return fmt.Errorf("%s_script %s is disabled: %w", f.keyword, commandLine(&command), err)
	}
	return nil
}

func (f *FIFO) stopRetry() {
	if f.retry != nil {
		f.retry.Stop()
		f.retry = nil
	}
}

// again tries to open a FIFO that could not be opened.
func (f *FIFO) again() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.retry == nil {
		return // it was configured or closed meanwhile
	}
	before := f.reason
	err := f.configure(f.config, f.policy)
	switch {
	case f.reason == "":
		slog.Info(f.keyword + " " + f.config.Path + " is open now")
	case f.reason == before:
		return // that is known
	}
	if err != nil {
		slog.Error(err.Error())
	}
}

// open makes the FIFO, or opens the one that is there if it is ours or that of
// the configured user. No link is followed, and what is examined is what was
// opened.
func (f *FIFO) open(c *conf.FIFO, p conf.ScriptPolicy) error {
	owner, group, err := script.Account(c.User, c.Group, p)
	if err != nil {
		return fmt.Errorf("open %s: %w", c.Path, err)
	}
	made := false
	switch err := unix.Mkfifo(c.Path, fifoMode); {
	case err == nil:
		made = true
	case err != unix.EEXIST:
		return fmt.Errorf("make FIFO %s: %w", c.Path, err)
	}
	// Open for reading too: so there need be no reader, and none that goes away
	// takes the FIFO with it.
	fd, inode, err := openFIFO(c.Path, unix.O_RDWR, owner)
	if err == nil && made {
		if err = giveTo(fd, c.Path, owner, group); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		if made {
			unix.Unlink(c.Path) // the next attempt makes it, and gives it to its user
		}
		return err
	}
	f.fd, f.inode, f.made = fd, inode, made
	return nil
}

// openFIFO opens the FIFO that is at path, which must be ours or belong to owner.
// What is examined is what was opened.
func openFIFO(path string, mode int, owner uint32) (fd int, inode unix.Stat_t, err error) {
	fd, err = unix.Open(path, mode|unix.O_NONBLOCK|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err == unix.ELOOP {
		return -1, inode, fmt.Errorf("%s is a symbolic link, which is not followed; remove it or write another path", path)
	}
	if err != nil {
		return -1, inode, fmt.Errorf("open FIFO %s: %w", path, err)
	}
	if err = unix.Fstat(fd, &inode); err != nil {
		err = fmt.Errorf("examine %s: %w", path, err)
	} else if inode.Mode&unix.S_IFMT != unix.S_IFIFO {
		err = fmt.Errorf("%s is %s, not a FIFO; remove it or write another path", path, fileType(inode.Mode))
	} else if inode.Uid != uint32(unix.Geteuid()) && inode.Uid != owner {
		err = fmt.Errorf("FIFO %s belongs to user %d, who could read notifications for user %d; remove it or write that user after the path",
			path, inode.Uid, owner)
	}
	if err != nil {
		unix.Close(fd)
		return -1, inode, err
	}
	return fd, inode, nil
}

// giveTo gives a FIFO that was just made to its user.
func giveTo(fd int, path string, owner, group uint32) error {
	if err := unix.Fchmod(fd, fifoMode); err != nil { // whatever the umask
		return fmt.Errorf("set mode of FIFO %s: %w", path, err)
	}
	if err := unix.Fchown(fd, int(owner), int(group)); err != nil {
		return fmt.Errorf("give FIFO %s to user %d, group %d: %w", path, owner, group, err)
	}
	return nil
}

func fileType(mode uint32) string {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return "a regular file"
	case unix.S_IFDIR:
		return "a directory"
	}
	return "a device"
}

// Drained reports that no line is left for the script that reads them.
func (f *FIFO) Drained() bool {
	if running, _ := f.reader.status(); !running {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fd < 0 {
		return true
	}
	left, err := unix.IoctlGetInt(f.fd, unix.TIOCINQ)
	return err != nil || left == 0
}

// Close ends the script, closes the FIFO and removes it if we made it. It can be
// configured again.
func (f *FIFO) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopRetry()
	f.reader.set(conf.Command{}, conf.ScriptPolicy{}, "")
	f.close()
	f.config, f.reason = conf.FIFO{}, ""
}

func (f *FIFO) close() {
	if f.fd < 0 {
		return
	}
	var there unix.Stat_t // anyone else may have put something else in its place
	if err := unix.Lstat(f.config.Path, &there); f.made && err == nil &&
		there.Dev == f.inode.Dev && there.Ino == f.inode.Ino {
		unix.Unlink(f.config.Path)
	}
	unix.Close(f.fd)
	f.fd, f.made = -1, false
}

// Status is what the FIFO and its script do; the path is empty if none is
// configured. Who writes into it knows of the lines.
func (f *FIFO) Status() status.FIFO {
	f.mu.Lock()
	defer f.mu.Unlock()
	running, result := f.reader.status()
	return status.FIFO{
		Keyword: f.keyword, Path: f.config.Path, Disabled: f.reason,
		Script: commandLine(&f.config.Script), Running: running, Result: result,
	}
}

package supervisor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/readfile"
)

// schedule is the reload that reload_time_file asks for.
type schedule struct {
	path   string // empty: the configuration names no file
	repeat bool
	time   reloadTime
	at     time.Time // zero: nothing is scheduled

	watch *fileWatch    // nil: the directory cannot be watched
	alarm *alarm        // nil: none is needed so far
	wake  chan struct{} // the file has changed, or the clock may have been set
}

func newSchedule() *schedule { return &schedule{wake: make(chan struct{}, 1)} }

// configure takes up the words of a configuration and reads the file.
func (s *schedule) configure(path string, repeat bool) {
	s.repeat = repeat
	if path != s.path || path != "" && s.watch == nil {
		s.watch.close()
		s.path, s.watch = path, nil
		if path != "" {
			var err error
			if s.watch, err = watchFile(path, s.wake); err != nil {
				slog.Error(err.Error() + ": changes of reload_time_file are not seen until the next reload")
			}
		}
	}
	s.read()
}

// read reads the file and sets the time of the reload.
func (s *schedule) read() {
	line, err := s.line()
	if err != nil {
		slog.Error("reload_time_file: " + err.Error())
	}
	var at time.Time
	if err == nil && line != nil {
		if s.time, err = parseReloadTime(*line); err == nil {
			at, err = s.time.next(time.Now())
		}
		switch {
		case errors.Is(err, errPast):
			slog.Error("Reload date/time is in the past - ignoring")
		case err != nil:
			slog.Error(fmt.Sprintf("Invalid reload time %q specified - ignoring: %v", *line, err))
		}
	}
	s.set(at)
}

// line is the first line of the file; nil: there is no file.
func (s *schedule) line() (*string, error) {
	if s.path == "" {
		return nil, nil
	}
	const enough = 64 // more than any form has
	b, err := readfile.Head(s.path, enough)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return &line, nil
}

// set schedules a reload, or none at the zero time.
func (s *schedule) set(at time.Time) {
	show := func(t time.Time) string { return t.Local().Format(time.DateTime) }
	switch {
	case at.Equal(s.at):
	case at.IsZero():
		slog.Info("Cancelling reload scheduled for " + show(s.at))
	case s.at.IsZero():
		slog.Info("Scheduling reload for " + show(at))
	default:
		slog.Info("Reload time updated from " + show(s.at) + " to " + show(at))
	}
	s.at = at
	if s.alarm == nil {
		if at.IsZero() {
			return
		}
		var err error
		if s.alarm, err = newAlarm(s.wake); err != nil {
			slog.Error("schedule the reload: " + err.Error())
			return
		}
	}
	if err := s.alarm.set(at); err != nil {
		slog.Error("schedule the reload: " + err.Error())
	}
}

// woken looks at the file and the clock, and reports whether it is time to
// reload. A file whose reload has come is used up, unless it gives each day when
// to reload.
func (s *schedule) woken(now time.Time) (due bool) {
	if s.at.IsZero() || now.Before(s.at) {
		s.read()
		return false
	}
	s.at = time.Time{}
	if s.repeat {
		if !s.time.dated {
			s.read()
		}
	} else if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		slog.Error("remove reload_time_file: " + err.Error())
	}
	return true
}

func (s *schedule) close() {
	s.watch.close()
	s.alarm.close()
}

// fileWatch reports when a file may have changed.
type fileWatch struct{ f *os.File }

// watchFile watches the directory of path for what happens to that name.
func watchFile(path string, wake chan<- struct{}) (*fileWatch, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init", err)
	}
	f := os.NewFile(uintptr(fd), "inotify")
	dir := filepath.Dir(path)
	const events = unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE |
		unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR
	if _, err := unix.InotifyAddWatch(fd, dir, events); err != nil {
		f.Close()
		return nil, fmt.Errorf("watch directory %s: %w", dir, err)
	}
	go func() {
		name := filepath.Base(path)
		buf := make([]byte, 4096)
		for {
			n, err := f.Read(buf)
			if err != nil {
				return // closed
			}
			if concerns(buf[:n], name) {
				poke(wake)
			}
		}
	}()
	return &fileWatch{f}, nil
}

// concerns reports whether one of the inotify events is about name, or about
// the directory itself.
func concerns(events []byte, name string) bool {
	for len(events) >= unix.SizeofInotifyEvent {
		mask := binary.NativeEndian.Uint32(events[4:])
		end := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		if end > len(events) {
			return true
		}
		of, _, _ := bytes.Cut(events[unix.SizeofInotifyEvent:end], []byte{0})
		if string(of) == name || mask&(unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_Q_OVERFLOW) != 0 {
			return true
		}
		events = events[end:]
	}
	return false
}

func (w *fileWatch) close() {
	if w != nil {
		w.f.Close()
	}
}

func poke(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default: // it is to wake already
	}
}

// alarm goes off at a time of the wall clock, and when that is set: a time of
// day may come sooner then.
type alarm struct{ f *os.File }

func newAlarm(wake chan<- struct{}) (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("timerfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "timerfd")
	go func() {
		buf := make([]byte, 8)
		for {
			if _, err := f.Read(buf); err != nil && !errors.Is(err, unix.ECANCELED) {
				return // closed
			}
			poke(wake)
		}
	}()
	return &alarm{f}, nil
}

// set sets the time; the zero time sets none.
func (a *alarm) set(at time.Time) error {
	var spec unix.ItimerSpec
	if !at.IsZero() {
		spec.Value = unix.NsecToTimespec(at.UnixNano())
	}
	raw, err := a.f.SyscallConn()
	if err != nil {
		return err
	}
	var setErr error
	err = raw.Control(func(fd uintptr) {
		setErr = unix.TimerfdSettime(int(fd), unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &spec, nil)
	})
	return errors.Join(err, os.NewSyscallError("timerfd_settime", setErr))
}

func (a *alarm) close() {
	if a != nil {
		a.f.Close()
	}
}

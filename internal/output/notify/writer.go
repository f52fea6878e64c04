package notify

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/status"
)

// writer writes lines into a [FIFO] that the parent process keeps. It never waits
// for a reader. One goroutine has it.
type writer struct {
	keyword  string
	config   conf.FIFO // the path is empty when none is configured
	reason   string    // why what is configured is not open
	fd       int       // -1: not open
	written  uint64
	dropped  uint64
	dropping uint64 // lines dropped since it was found full or could not be opened; 0: it is not so

	policy conf.ScriptPolicy
	retry  time.Time // when opening it is tried again, if there is a line; zero: never
}

// configure opens what c names. What is open already stays so. The error is why
// there will be no lines.
func (w *writer) configure(c conf.FIFO, p conf.ScriptPolicy) error {
	same := w.config.Path == c.Path && w.config.User == c.User && w.config.Group == c.Group
	if same && w.fd >= 0 {
		return nil
	}
	w.close()
	w.config, w.policy = c, p
	if c.Path == "" {
		return nil
	}
	if err := w.open(); err != nil {
		return fmt.Errorf("%s %s is not written into: %w", w.keyword, c.Path, err)
	}
	return nil
}

func (w *writer) open() error {
	w.reason, w.retry = "", time.Time{}
	owner, _, err := script.Account(w.config.User, w.config.Group, w.policy)
	if err == nil {
		w.fd, _, err = openFIFO(w.config.Path, unix.O_WRONLY, owner)
	}
	if err != nil {
		w.reason = err.Error()
		// The parent may not have been able to make it, or to open it, so far.
		if passes(err) || errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ENXIO) {
			w.retry = time.Now().Add(fifoRetry)
		}
	}
	return err
}

// write writes one line, which ends in a newline. When the FIFO is full, or cannot be
// opened at the moment, the line is dropped, counted and, first and last, reported. The
// error is why it was dropped.
func (w *writer) write(line []byte) error {
	if w.fd < 0 && !w.retry.IsZero() && !time.Now().Before(w.retry) && w.open() == nil {
		slog.Info(fmt.Sprintf("%s %s is written into now: %d lines were dropped", w.keyword, w.config.Path, w.dropping),
			"fifo", w.config.Path, "dropped", w.dropping)
		w.dropping = 0
	}
	if w.fd < 0 {
		if !w.retry.IsZero() {
			w.dropped++
			w.dropping++
		}
		return errors.New(cmp.Or(w.reason, "it is not open"))
	}
	_, err := unix.Write(w.fd, line)
	for err == unix.EINTR {
		_, err = unix.Write(w.fd, line)
	}
	if errors.Is(err, unix.EAGAIN) {
		err = errors.New("full, because no process reads it")
	}
	switch {
	case err != nil:
		w.dropped++
		if w.dropping++; w.dropping == 1 {
			slog.Warn(fmt.Sprintf("%s %s is %v: lines are dropped until there is room", w.keyword, w.config.Path, err),
				"fifo", w.config.Path)
		}
	case w.dropping > 0:
		slog.Warn(fmt.Sprintf("%s %s is read again: %d lines were dropped", w.keyword, w.config.Path, w.dropping),
			"fifo", w.config.Path, "dropped", w.dropping)
		w.dropping = 0
		w.written++
	default:
		w.written++
	}
	return err
}

// close leaves the FIFO to who keeps it. It can be configured again.
func (w *writer) close() {
	if w.dropping > 0 {
		slog.Warn(fmt.Sprintf("%s %s is closed: %d lines were dropped", w.keyword, w.config.Path, w.dropping),
			"fifo", w.config.Path, "dropped", w.dropping)
		w.dropping = 0
	}
	if w.fd >= 0 {
		unix.Close(w.fd)
	}
	w.config, w.reason, w.fd, w.retry = conf.FIFO{}, "", -1, time.Time{}
}

// status is what has become of the lines; the path is empty if none is configured.
func (w *writer) status() status.FIFO {
	return status.FIFO{
		Keyword: w.keyword, Path: w.config.Path, Disabled: w.reason,
		Written: w.written, Dropped: w.dropped, Full: w.dropping > 0,
	}
}

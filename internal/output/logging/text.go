package logging

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lines writes lines as "Sun Nov 22 17:19:49 2026: text".
type lines struct {
	w   io.Writer
	buf []byte
}

func (l *lines) write(entries []entry) (lost int) {
	l.buf = l.buf[:0]
	for i := range entries {
		l.buf = appendLine(l.buf, &entries[i])
	}
	n, err := l.w.Write(l.buf)
	if err == nil {
		return 0
	}
	return max(1, bytes.Count(l.buf[n:], []byte{'\n'}))
}

func appendLine(b []byte, e *entry) []byte {
	if !e.time.IsZero() {
		b = e.time.AppendFormat(b, time.ANSIC)
		b = append(b, ": "...)
	}
	b = append(b, e.text...)
	return append(b, '\n')
}

// file is a log file. Once a second at most it looks whether its name still
// leads to the file it writes; if not (log rotation has renamed it), it opens
// the name again, in this process and without a signal.
type file struct {
	lines
	path    string
	flush   bool
	open    *os.File
	checked time.Time
}

const rotationCheck = time.Second

func openFile(path string, flush bool) (*file, error) {
	f := &file{path: path, flush: flush}
	return f, f.reopen()
}

func (f *file) reopen() error {
	// O_NONBLOCK: a FIFO must not wait for its reader.
	w, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return fmt.Errorf("log file: %w", err)
	}
	if f.open != nil {
		f.open.Close()
	}
	f.open, f.w, f.checked = w, w, time.Now()
	return nil
}

func (f *file) rotated() bool {
	if time.Since(f.checked) < rotationCheck {
		return false
	}
	f.checked = time.Now()
	ours, err := f.open.Stat()
	if err != nil {
		return true
	}
	named, err := os.Stat(f.path)
	return err != nil || !os.SameFile(ours, named)
}

func (f *file) write(entries []entry) (lost int) {
	if f.rotated() {
		_ = f.reopen() // without a new file the old one stays in use
	}
	lost = f.lines.write(entries)
	if f.flush && f.open.Sync() != nil {
		return len(entries)
	}
	return lost
}

// FileFor returns the log file of a process: path with suffix (as "_vrrp",
// empty for the parent) before its last dot.
func FileFor(path, suffix string) string {
	ext := filepath.Ext(path)
	return strings.TrimSuffix(path, ext) + suffix + ext
}

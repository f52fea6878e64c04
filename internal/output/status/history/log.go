package history

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Log is the file of events: one as JSON in each line, appended. When it is full it becomes
// the older half, under the same name with .1 appended, and another one begins. So the
// last events survive a restart, a crash, and a power cut.
type Log struct {
	path  string
	limit int64
	file  *os.File
	size  int64
}

// maxLine bounds a line that is read, in bytes; longer ones are skipped.
const maxLine = 64 << 10

// Open opens the file at path, of which each half may have limit bytes, and returns what
// it holds. A line that cannot be read, as the last one after a power cut, is left out.
func Open(path string, limit int64) (l *Log, past []Event, err error) {
	for _, name := range []string{path + ".1", path} {
		f, err := os.OpenFile(name, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		events, err := read(io.LimitReader(f, limit+maxLine))
		f.Close()
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		past = append(past, events...)
	}
	l = &Log{path: path, limit: limit}
	return l, past, l.begin()
}

// begin opens the newer half.
func (l *Log) begin() error {
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", l.path)
	}
	if err == nil && info.Sys().(*syscall.Stat_t).Uid != uint32(os.Geteuid()) {
		err = fmt.Errorf("%s belongs to another user, who could change it", l.path)
	}
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.size = f, info.Size()
	if last := make([]byte, 1); l.size > 0 {
		if _, err := f.ReadAt(last, l.size-1); err == nil && last[0] != '\n' {
			return l.write([]byte("\n")) // after half a line
		}
	}
	return nil
}

// read reads events, without lines that hold none.
func read(r io.Reader) (events []Event, err error) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = lines.ReadSlice('\n')
			}
			line = nil
		}
		var e Event
		if json.Unmarshal(line, &e) == nil && e.ID != 0 {
			events = append(events, e)
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				return events, nil
			}
			return events, err
		}
	}
}

// Append adds events, which are on the disk when it returns.
func (l *Log) Append(events []Event) error {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	for i := range events {
		if err := out.Encode(&events[i]); err != nil {
			return err
		}
	}
	if l.size > 0 && l.size+int64(b.Len()) > l.limit {
		if err := l.turn(); err != nil {
			return err
		}
	}
	return l.write(b.Bytes())
}

// turn makes the newer half the older one.
func (l *Log) turn() error {
	if err := os.Rename(l.path, l.path+".1"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l.file.Close()
	return l.begin()
}

// write writes lines, or none: half a line would spoil the next one.
func (l *Log) write(b []byte) error {
	if _, err := l.file.Write(b); err != nil {
		return errors.Join(err, l.file.Truncate(l.size))
	}
	l.size += int64(len(b))
	return unix.Fdatasync(int(l.file.Fd()))
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }

// Package readfile reads files that a configuration or a user names. What is
// there may be a FIFO, a device, or a file like /proc/kmsg, all of which can
// keep their reader waiting for ever; and it may have no end.
package readfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Patience is how long a file may keep its reader waiting that has no reason to.
const Patience = time.Second

// What is wrong with a file that keeps its reader waiting, and what to do about it.
const (
	Endless       = "the file keeps its reader waiting"
	EndlessRemedy = "name a regular file, or one whose writer closes it within a few seconds"
)

// ErrWaiting is the cause of the error of [Head] for such a file.
var ErrWaiting = errors.New("it keeps its reader waiting; name a regular file")

// Cause is the reason of an error of the os package, for a message that has the
// name of the file already.
func Cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// Open opens a file for reading. It does not wait for the writer of a FIFO, and
// all reads together take at most patience: what is later fails with
// [os.ErrDeadlineExceeded].
func Open(name string, patience time.Duration) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	// This fails where a file cannot wait.
	_ = f.SetReadDeadline(time.Now().Add(patience))
	return f, nil
}

// Head reads the first n bytes of a file, or what there is.
func Head(name string, n int64) ([]byte, error) {
	f, err := Open(name, Patience)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, n))
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = &fs.PathError{Op: "read", Path: name, Err: ErrWaiting}
	}
	return b, err
}

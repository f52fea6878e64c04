package readfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fifo makes a FIFO that a writer keeps open without writing.
func fifo(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	w, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return path
}

func TestWhatKeepsItsReaderWaiting(t *testing.T) {
	t.Parallel()
	f, err := Open(fifo(t), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a FIFO without news: %v", err)
	}
	if _, err := Head(fifo(t), 10); err == nil || !strings.Contains(err.Error(), "name a regular file") {
		t.Errorf("the head of a FIFO without news: %v", err)
	}
	if f, err := os.Open("/proc/kmsg"); err == nil { // as root, and with permission
		f.Close()
		// It begins with the kernel's messages so far.
		if _, err := Head("/proc/kmsg", 1<<30); err == nil {
			t.Error("/proc/kmsg has an end")
		}
	}
}

func TestHead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int64]string{4: "0123", 100: "0123456789"} {
		if got, err := Head(path, n); string(got) != want || err != nil {
			t.Errorf("Head(%d) = %q, %v", n, got, err)
		}
	}
	if got, err := Head("/dev/zero", 100); len(got) != 100 || err != nil {
		t.Errorf("/dev/zero: %d bytes, %v", len(got), err)
	}
	if _, err := Head(path+"x", 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestCause checks that the reason of a failure does not contain the name of the file.
func TestCause(t *testing.T) {
	_, err := Open(t.TempDir()+"/none", Patience)
	if got := Cause(err); got != syscall.ENOENT {
		t.Errorf("%v of %v", got, err)
	}
	if other := errors.New("other"); Cause(other) != other {
		t.Error("an error of another kind is changed")
	}
}

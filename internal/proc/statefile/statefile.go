// Package statefile reads and writes the small files in which a process leaves what
// its successor needs.
package statefile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// BootID identifies the present boot of the machine, which no state outlives. It is
// empty where the kernel does not show it: then every boot looks the same. It is read
// once: a reload does not wait for a file.
var BootID = sync.OnceValue(func() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(id))
})

// Read reads what a predecessor has left, limit bytes at most; nil if there is
// nothing, or path is empty. A file that others can write is refused.
func Read(path string, limit int64) ([]byte, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open state file: %w", err)
	}
	defer f.Close()
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return nil, fmt.Errorf("examine state file %s: %w", path, err)
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o022 != 0 || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return nil, fmt.Errorf("state file %s: not a regular file that only user %d can write; remove it", path, os.Geteuid())
	}
	if st.Size > limit {
		return nil, fmt.Errorf("state file %s: %d bytes are more than a state file can have; remove it", path, st.Size)
	}
	b, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return nil, fmt.Errorf("read state file: %w", err)
	}
	return b, nil
}

// Write replaces the file by what write writes. It can block as long as the file system does.
func Write(path string, write func(io.Writer) error) error {
	return replace(path, func(f *os.File) error {
		b := bufio.NewWriterSize(f, 64<<10)
		if err := write(b); err != nil {
			return err
		}
		return b.Flush()
	})
}

// WriteSynced replaces the file likewise, and returns when a power cut cannot undo that.
func WriteSynced(path string, b []byte) error {
	err := replace(path, func(f *os.File) error {
		if _, err := f.Write(b); err != nil {
			return err
		}
		return f.Sync()
	})
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// replace replaces the file when fill has filled its successor.
func replace(path string, fill func(*os.File) error) error {
	next := path + ".new"
	os.Remove(next) // of a predecessor
	f, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	err = fill(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(next, path)
	}
	if err != nil {
		os.Remove(next)
	}
	return err
}

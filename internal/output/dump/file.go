// Package dump puts dumps and copies of the configuration into files.
package dump

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Name adds to the name of a file the parts that distinguish daemons of one machine:
// keepalived.data becomes keepalived.NAMESPACE_INSTANCE.data.
func Name(name string, parts ...string) string {
	var of []string
	for _, p := range parts {
		if p != "" {
			of = append(of, p)
		}
	}
	if len(of) == 0 {
		return name
	}
	ext := filepath.Ext(name)
	return strings.TrimSuffix(name, ext) + "." + strings.Join(of, "_") + ext
}

// Replace makes text the content of path, as [Write].
func Replace(path string, text []byte) error {
	return Write(path, Text(func() []byte { return text }))
}

// Text returns what writes what view returns.
func Text(view func() []byte) func(*bufio.Writer) error {
	return func(w *bufio.Writer) error {
		_, err := w.Write(view())
		return err
	}
}

// Write makes what write writes the content of path. The file is a new one, with the mode
// that the umask leaves, and takes its place by renaming: no link is followed,
// and no reader sees half of it. The errors of the writer may wait: it keeps its first one.
func Write(path string, write func(*bufio.Writer) error) error {
	f, err := temporary(path)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // unless it has been renamed; also after a fault in write
	w := bufio.NewWriterSize(f, 64<<10)
	if err = write(w); err == nil {
		err = w.Flush()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// temporary opens a new file beside path.
func temporary(path string) (*os.File, error) {
	for range 100 {
		name := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+strconv.FormatUint(rand.Uint64(), 36))
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return nil, fmt.Errorf("no name for a temporary file is free in %s", filepath.Dir(path))
}

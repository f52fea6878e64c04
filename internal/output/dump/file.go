// Package dump puts dumps and copies of the configuration into files.
package dump

import (
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

// Replace makes text the content of path. The file is a new one, with the mode
// that the umask leaves, and takes its place by renaming: no link is followed,
// and no reader sees half of it.
func Replace(path string, text []byte) error {
	for range 100 {
		temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+strconv.FormatUint(rand.Uint64(), 36))
		f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o666)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			_, err = f.Write(text)
			if cerr := f.Close(); err == nil {
				err = cerr
			}
			if err == nil {
				err = os.Rename(temporary, path)
			}
			if err != nil {
				os.Remove(temporary)
			}
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
		return nil
	}
	return fmt.Errorf("write %s: no name for a temporary file is free in %s", path, filepath.Dir(path))
}

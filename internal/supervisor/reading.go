package supervisor

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/conf/view"
	"keepalived-go/internal/output/dump"
	"keepalived-go/internal/tool/report"
)

// beginReading creates the file of reload_file, or empties it: it shows
// that the configuration is being read.
func beginReading(path string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o644)
	if err != nil {
		return fmt.Errorf("reload_file: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("reload_file: %s is not a regular file", path)
	}
	if err := f.Truncate(0); err != nil {
		return fmt.Errorf("reload_file: %w", err)
	}
	return nil
}

// endReading removes it: everything has been read.
func endReading(path string) error {
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("reload_file: %w", err)
	}
	return nil
}

// saveConfiguration keeps a copy of the configuration that was read, expanded and
// with stars for secrets, in the directory of config_save_dir as number n of this
// process. The directory is made if it does not exist.
func saveConfiguration(dir string, n int, read []*conf.Statement) error {
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = os.Chmod(dir, 0o700) // whatever the umask is
	}
	if err != nil && !os.IsExist(err) {
		return fmt.Errorf("config_save_dir: %w", err)
	}
	text, err := view.Expanded(read)
	if err != nil {
		return fmt.Errorf("config_save_dir: %w", err)
	}
	return dump.Replace(filepath.Join(dir, fmt.Sprintf("keepalived.conf.%d.%d", os.Getpid(), n)), []byte(text))
}

// writeCheckLog writes what the test of a configuration found to the file of
// reload_check_config, as -t would.
func writeCheckLog(path, version string, ds conf.Diagnostics) error {
	if path == os.DevNull {
		return nil
	}
	var b bytes.Buffer
	if err := report.Write(&b, ds, report.Options{Version: version}); err != nil {
		return err
	}
	return dump.Replace(path, b.Bytes())
}

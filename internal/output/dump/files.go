package dump

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"keepalived-go/conf"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc/loop"
)

// Files are the names of the files into which a process writes its dumps.
type Files struct {
	// Process is what follows "keepalived" in the names or, where the configuration
	// names a file, before its extension: "_check", "_parent"; nothing for VRRP.
	Process string
	Dir     string // of files that the configuration does not name

	// Namespace and Instance are part of the name of the data with
	// data_use_instance.
	Namespace, Instance string
}

// Data is where the data go (SIGUSR1).
func (f *Files) Data(g *conf.Global) string {
	if g.StateDumpFile == "" && g.DataUseInst {
		return Name(f.path("", ".data"), f.Namespace, f.Instance)
	}
	return f.path(g.StateDumpFile, ".data")
}

// Stats is where the statistics go (SIGUSR2).
func (f *Files) Stats(g *conf.Global) string { return f.path(g.StatsDumpFile, ".stats") }

// JSON is where the JSON dump goes (SIGRTMIN+2).
func (f *Files) JSON(g *conf.Global) string { return f.path(g.JSONDumpFile, ".json") }

// Reload is where the data before ("pre") and after ("post") the nth reload go
// (config_save_dir); empty: nowhere.
func (f *Files) Reload(g *conf.Global, n int, when string) string {
	if g.ConfigSaveDir == "" {
		return ""
	}
	process := f.Process
	if process == "" {
		process = "_vrrp"
	}
	return fmt.Sprintf("%s/keepalived%s.%d.%d.%s", g.ConfigSaveDir, process, os.Getpid(), n, when)
}

func (f *Files) path(configured, ext string) string {
	if configured == "" {
		return filepath.Join(f.Dir, "keepalived"+f.Process+ext)
	}
	ext = filepath.Ext(configured)
	return strings.TrimSuffix(configured, ext) + f.Process + ext
}

// Save makes what write writes the content of path, on another goroutine, as [Write]. An error
// is logged, and a fault in write.
func Save(path string, write func(*bufio.Writer) error) {
	go func() {
		err := loop.Guard(func() {
			if err := Write(path, write); err != nil {
				slog.Error(err.Error())
			}
		})
		if err != nil {
			slog.Error(path + " is not written: " + err.Error())
		}
	}()
}

// Log logs what view returns, between other lines, on another goroutine.
func Log(to *logging.Logs, view func() []byte) {
	go func() { _ = loop.Guard(func() { to.InfoLines(string(view())) }) }() // a fault is logged
}

package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/tool/executable"
)

// fifoLab has FIFOs in a directory, and a script that writes what it reads into a file.
type fifoLab struct {
	t      *testing.T
	dir    string
	output string
	fifos
}

func newFIFOLab(t *testing.T) *fifoLab {
	t.Helper()
	dir := t.TempDir()
	l := &fifoLab{t: t, dir: dir, output: filepath.Join(dir, "output")}
	// The script ends when no process has the FIFO open. SIGTERM may come before it has
	// written what it has read.
	reader := "#!/bin/bash\ntrap '' TERM\nexec 3<\"$2\"\necho \"$1 begins\" >>" + l.output + "\n" +
		"while :; do read -r -t 0.2 part <&3; status=$?; line=$line$part\n[ $status -gt 128 ] && continue\n[ $status -ne 0 ] && exit 0\n" +
		"echo \"$1 reads $line\" >>" + l.output + "; line=; done\n"
	if err := executable.Write(l.path("reader"), reader); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.close(0) })
	return l
}

func (l *fifoLab) path(name string) string { return filepath.Join(l.dir, name) }

// fifo returns a FIFO with this name and a script with this argument. Without a name it
// returns none.
func (l *fifoLab) fifo(name, script string) conf.FIFO {
	c := conf.FIFO{Path: l.path(name)}
	if script != "" {
		c.Script = conf.Command{Args: []string{l.path("reader"), script}}
	}
	return c
}

// write writes a line into a FIFO, as a process does.
func (l *fifoLab) write(name, line string) {
	l.t.Helper()
	f, err := os.OpenFile(l.path(name), os.O_WRONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		l.t.Fatal(err)
	}
	defer f.Close()
	if _, err := fmt.Fprintln(f, line); err != nil {
		l.t.Fatal(err)
	}
}

// await waits until the scripts have written these lines.
func (l *fifoLab) await(lines ...string) {
	l.t.Helper()
	var all []string
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		text, _ := os.ReadFile(l.output)
		all = strings.Split(strings.TrimSpace(string(text)), "\n")
		if !slices.ContainsFunc(lines, func(line string) bool { return !slices.Contains(all, line) }) {
			return
		}
	}
	l.t.Fatalf("the scripts wrote %q, want %q", all, lines)
}

// left returns the names of the FIFOs in the directory.
func (l *fifoLab) left() (names []string) {
	entries, _ := os.ReadDir(l.dir)
	for _, e := range entries {
		if e.Type()&os.ModeNamedPipe != 0 {
			names = append(names, e.Name())
		}
	}
	return names
}

func (l *fifoLab) expectLeft(names ...string) {
	l.t.Helper()
	if got := l.left(); !slices.Equal(got, names) {
		l.t.Errorf("FIFOs %q, want %q", got, names)
	}
}

// TestFIFOsOverReloads checks that a FIFO that a reload removes exists, with its reader,
// until all processes have the new configuration, that a FIFO that it adds exists before,
// and that other FIFOs are not touched.
func TestFIFOsOverReloads(t *testing.T) {
	t.Parallel()
	l := newFIFOLab(t)
	g := &conf.Global{FIFO: l.fifo("a", "one"), VRRPFIFO: l.fifo("v", "vrrp")}
	l.take(1, g)
	l.retire(1)
	l.expectLeft("a", "v")
	l.await("one begins", "vrrp begins")

	l.take(2, &conf.Global{FIFO: l.fifo("b", "two"), VRRPFIFO: l.fifo("v", "vrrp")})
	l.expectLeft("a", "b", "v")
	l.write("a", "last words")
	l.write("v", "as before")
	l.await("two begins", "one reads last words", "vrrp reads as before")
	l.take(1, g) // a configuration whose reading took longer than that of the next one
	l.retire(1)
	l.expectLeft("a", "b", "v")
	if all := l.status(); len(all) != 2 || all[0].Path != l.path("b") || !all[0].Running || !all[1].Running {
		t.Errorf("status %+v", all)
	}
	l.retire(2)
	l.expectLeft("b", "v")

	// A path that moves to another keyword, and one that returns.
	l.take(3, &conf.Global{LVSFIFO: l.fifo("b", "lvs"), FIFO: l.fifo("a", "again")})
	l.await("lvs begins", "again begins")
	l.take(4, &conf.Global{LVSFIFO: l.fifo("b", "lvs"), FIFO: l.fifo("a", "again"), VRRPFIFO: l.fifo("v", "back")})
	l.await("back begins")
	l.retire(4)
	l.expectLeft("a", "b", "v")
	text, _ := os.ReadFile(l.output)
	for _, script := range []string{"one", "two", "vrrp", "lvs", "again", "back"} {
		if n := strings.Count(string(text), script+" begins"); n != 1 {
			t.Errorf("%s was started %d times", script, n)
		}
	}

	l.write("v", "the end")
	l.close(time.Minute)
	l.expectLeft()
	l.await("back reads the end")
	l.take(5, g) // too late
	l.expectLeft()
}

// TestReaderThatHangs checks that at the end a script that neither reads nor exits is
// killed and logged.
func TestReaderThatHangs(t *testing.T) {
	t.Parallel()
	l := newFIFOLab(t)
	hangs := l.path("hangs")
	if err := executable.Write(hangs, "#!/bin/bash\ntrap '' TERM\necho hangs >>"+l.output+"\nexec sleep 3600\n"); err != nil {
		t.Fatal(err)
	}
	l.take(1, &conf.Global{FIFO: conf.FIFO{Path: l.path("f"), Script: conf.Command{Args: []string{hangs}}}})
	l.await("hangs")
	l.write("f", "no process reads it")
	ended := make(chan struct{})
	go func() { l.close(100 * time.Millisecond); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the end of a script that hangs is waited for")
	}
	l.expectLeft()
}

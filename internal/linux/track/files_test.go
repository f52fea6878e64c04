package track

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/policy"
)

// watched is a set with its reports.
type watched struct {
	t       testing.TB
	set     *Set
	updates chan []Update
	status  map[string]policy.Status
}

func watch(t testing.TB, c *conf.Config) *watched {
	w := &watched{t: t, updates: make(chan []Update, 1000), status: make(map[string]policy.Status)}
	w.set = Start(Options{Report: func(u []Update) { w.updates <- u }})
	w.set.wait = time.Minute // the machine may be busy
	t.Cleanup(w.set.Close)
	w.configure(c)
	return w
}

func (w *watched) configure(c *conf.Config) []Update {
	var first []Update
	w.set.Configure(c, func(u []Update) { first = u })
	w.take(first)
	return first
}

func (w *watched) take(list []Update) {
	for _, u := range list {
		w.status[u.Name] = u.Status
	}
}

// await reads reports until the tracker has the wanted state.
func (w *watched) await(name, what string, ok func(policy.Status) bool) {
	w.t.Helper()
	for patience := time.After(time.Minute); !ok(w.status[name]); {
		select {
		case list := <-w.updates:
			w.take(list)
		case <-patience:
			w.t.Fatalf("%s: %+v, never %s", name, w.status[name], what)
		}
	}
}

func (w *watched) number(name string, n int) {
	w.t.Helper()
	w.await(name, fmt.Sprint(n), func(s policy.Status) bool { return s.Known && s.Number == n })
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func filesAt(paths ...string) *conf.Config {
	c := new(conf.Config)
	for i, p := range paths {
		c.Files = append(c.Files, &conf.TrackFile{Name: fmt.Sprintf("f%d", i), Path: p, Weight: 1})
	}
	return c
}

func TestFileIsKnownAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	write(t, path, "17\n")
	w := watch(t, filesAt(path, path+".missing"))
	want := map[string]policy.Status{
		"f0": {Known: true, Up: true, Number: 17, Cause: cause(conf.TrackedFile, "f0", "17")},
		"f1": {Known: true, Cause: cause(conf.TrackedFile, "f1", "0, as it does not exist")},
	}
	for name, s := range want {
		if w.status[name] != s {
			t.Errorf("%s: %+v, want %+v", name, w.status[name], s)
		}
	}
}

func TestFileChanges(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(t *testing.T, dir, path string)
		want int
	}{
		{"written", func(t *testing.T, _, path string) { write(t, path, "2") }, 2},
		{"emptied", func(t *testing.T, _, path string) { must(t, os.Truncate(path, 0)); write(t, path, "") }, 0},
		{"deleted", func(t *testing.T, _, path string) { must(t, os.Remove(path)) }, 0},
		{"deleted and written", func(t *testing.T, _, path string) { must(t, os.Remove(path)); write(t, path, "3") }, 3},
		{"another renamed over it", func(t *testing.T, dir, path string) {
			write(t, dir+"/new", "4")
			must(t, os.Rename(dir+"/new", path))
		}, 4},
		{"renamed away", func(t *testing.T, dir, path string) { must(t, os.Rename(path, dir+"/old")) }, 0},
		{"a hard link takes its place", func(t *testing.T, dir, path string) {
			write(t, dir+"/other", "5")
			must(t, os.Remove(path))
			must(t, os.Link(dir+"/other", path))
		}, 5},
		{"a symbolic link takes its place, and its target is written", func(t *testing.T, dir, path string) {
			must(t, os.Mkdir(dir+"/else", 0o755))
			write(t, dir+"/else/target", "6")
			must(t, os.Remove(path))
			must(t, os.Symlink("../../else/target", path))
			write(t, dir+"/else/target", "7")
		}, 7},
		{"its directory is replaced", func(t *testing.T, dir, path string) {
			must(t, os.Rename(filepath.Dir(path), dir+"/gone"))
			must(t, os.Mkdir(filepath.Dir(path), 0o755))
			write(t, path, "8")
		}, 8},
		{"its directory is deleted and made again", func(t *testing.T, _, path string) {
			must(t, os.RemoveAll(filepath.Dir(path)))
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			write(t, path, "9")
		}, 9},
		{"all above it is replaced", func(t *testing.T, dir, path string) {
			must(t, os.Rename(dir+"/a", dir+"/z"))
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			write(t, path, "10")
		}, 10},
		{"a file is where its directory was", func(t *testing.T, _, path string) {
			must(t, os.RemoveAll(filepath.Dir(path)))
			write(t, filepath.Dir(path), "11")
		}, 0},
		{"the one renamed away is written", func(t *testing.T, dir, path string) {
			must(t, os.Rename(filepath.Dir(path), dir+"/gone"))
			must(t, os.Mkdir(filepath.Dir(path), 0o755))
			write(t, path, "12")
			write(t, dir+"/gone/f", "99")
		}, 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := dir + "/a/b/f"
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			write(t, path, "1")
			w := watch(t, filesAt(path))
			w.number("f0", 1)
			c.do(t, dir, path)
			w.number("f0", c.want)
			// It is watched at its new place, too.
			must(t, os.RemoveAll(dir+"/a"))
			must(t, os.MkdirAll(filepath.Dir(path), 0o755))
			write(t, path, "42")
			w.number("f0", 42)
			write(t, path, "43")
			w.number("f0", 43)
		})
	}
}

func TestFileBelowSwappedLinks(t *testing.T) {
	// As a ConfigMap is mounted: f is a link to ..data/f, ..data is a link to v1, and
	// another link is renamed over ..data.
	dir := t.TempDir()
	for i, v := range []string{"v1", "v2"} {
		must(t, os.Mkdir(filepath.Join(dir, v), 0o755))
		write(t, filepath.Join(dir, v, "f"), fmt.Sprint(i+1))
	}
	must(t, os.Symlink("v1", dir+"/..data"))
	must(t, os.Symlink("..data/f", dir+"/f"))
	w := watch(t, filesAt(dir+"/f", dir+"/..data/f"))
	w.number("f0", 1)
	w.number("f1", 1)
	must(t, os.Symlink("v2", dir+"/..tmp"))
	must(t, os.Rename(dir+"/..tmp", dir+"/..data"))
	w.number("f0", 2)
	w.number("f1", 2)
	write(t, dir+"/v2/f", "3")
	w.number("f0", 3)
	w.number("f1", 3)
}

func TestLinkLoop(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Symlink("b", dir+"/a"))
	must(t, os.Symlink("a", dir+"/b"))
	w := watch(t, filesAt(dir+"/a"))
	w.number("f0", 0)
	must(t, os.Remove(dir+"/b"))
	write(t, dir+"/b", "5")
	w.number("f0", 5)
}

func TestMissingDirectoryAppears(t *testing.T) {
	dir := t.TempDir()
	w := watch(t, filesAt(dir+"/x/y/f", dir+"/x/y/g"))
	w.number("f0", 0)
	must(t, os.MkdirAll(dir+"/x/y", 0o755))
	write(t, dir+"/x/y/f", "5")
	write(t, dir+"/x/y/g", "6")
	w.number("f0", 5)
	w.number("f1", 6)
}

func TestUnusableFiles(t *testing.T) {
	log := logtest.Capture(t)
	dir := t.TempDir()
	must(t, syscall.Mkfifo(dir+"/fifo", 0o600))
	write(t, dir+"/words", "up and running")
	write(t, dir+"/huge", "5")
	w := watch(t, filesAt(dir+"/fifo", dir, dir+"/words", dir+"/huge"))
	for _, name := range []string{"f0", "f1", "f2"} {
		if s := w.status[name]; !s.Known || s.Number != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for range 2 { // logged once
		write(t, dir+"/huge", "99999999999\x1b[31m and more")
		w.await("f3", "kept", func(s policy.Status) bool { return s.Number == 5 && strings.Contains(s.Cause.Detail, "beyond") })
	}
	want := []string{
		"read track file f0: read " + dir + "/fifo: not a regular file - taken as 0",
		"read track file f1: read " + dir + ": not a regular file - taken as 0",
		"No number at the beginning of " + dir + "/words - taken as 0",
		`Invalid number 99999999999\x1b[31m read from ` + dir + "/huge - ignoring",
	}
	equalLines(t, log.Take(), want)
}

func TestInitFile(t *testing.T) {
	log := logtest.Capture(t)
	dir := t.TempDir()
	write(t, dir+"/there", "3")
	write(t, dir+"/over", "4")
	c := filesAt(dir+"/there", dir+"/over", dir+"/new", dir+"/no/dir")
	for i, init := range []conf.InitFile{conf.InitFileCreate, conf.InitFileOverwrite, conf.InitFileCreate, conf.InitFileOverwrite} {
		c.Files[i].Init, c.Files[i].InitValue = init, 10*(i+1)
	}
	w := watch(t, c)
	for i, want := range []int{3, 20, 30, 0} {
		w.number(fmt.Sprintf("f%d", i), want)
	}
	if text, _ := os.ReadFile(dir + "/over"); string(text) != "20\n" {
		t.Errorf("overwritten with %q", text)
	}
	if lines := log.Take(); len(lines) != 1 || !strings.HasPrefix(lines[0], "Unable to initialise track file f3: ") {
		t.Errorf("logged %q", lines)
	}
	// A reload writes nothing: the current number stays.
	write(t, dir+"/over", "5")
	w.number("f1", 5)
	w.configure(c)
	if text, _ := os.ReadFile(dir + "/over"); string(text) != "5" {
		t.Errorf("the reload wrote %q", text)
	}
}

func TestFilesAtReload(t *testing.T) {
	dir := t.TempDir()
	write(t, dir+"/a", "1")
	write(t, dir+"/b", "2")
	w := watch(t, filesAt(dir+"/a", dir+"/b"))
	again := filesAt(dir+"/a", dir+"/c")
	again.Files[0].Weight = 5
	if u := w.configure(again); len(u) != 1 || u[0].Name != "f1" || u[0].Status.Number != 0 {
		t.Errorf("reported %+v, want f1 alone", u)
	}
	write(t, dir+"/b", "3") // not watched any more
	write(t, dir+"/a", "4")
	write(t, dir+"/c", "5")
	w.number("f0", 4)
	w.number("f1", 5)
	w.configure(new(conf.Config))
	write(t, dir+"/a", "6")
	w.configure(filesAt(dir + "/a"))
	w.number("f0", 6)
	if n := w.status["f0"].Number; n != 6 {
		t.Errorf("number %d", n)
	}
}

// TestWatchesAreGivenUp checks that no watch is left of files that appeared and
// disappeared.
func TestWatchesAreGivenUp(t *testing.T) {
	dir := t.TempDir()
	w, err := newWatcher()
	must(t, err)
	defer w.close()
	var all []*file
	for i := range 50 {
		f := &file{conf: &conf.TrackFile{Path: fmt.Sprintf("%s/d%d/f", dir, i)}}
		all = append(all, f)
		w.add(f)
	}
	pump := func(done func() bool) {
		t.Helper()
		for !done() {
			select {
			case raw := <-w.raw:
				w.changes(raw)
			case <-time.After(time.Minute):
				t.Fatalf("%d directories are watched", len(w.dirs))
			}
		}
	}
	before := len(w.dirs)
	for i := range 50 {
		must(t, os.Mkdir(fmt.Sprintf("%s/d%d", dir, i), 0o755))
	}
	pump(func() bool { return len(w.dirs) == before+50 })
	for i := range 50 {
		must(t, os.Remove(fmt.Sprintf("%s/d%d", dir, i)))
	}
	pump(func() bool { return len(w.dirs) == before })
	for _, f := range all {
		w.remove(f)
	}
	if len(w.dirs) != 0 || len(w.byWD) != 0 || len(w.paths) != 0 {
		t.Errorf("left: %d directories, %d watches, %d paths", len(w.dirs), len(w.byWD), len(w.paths))
	}
}

// FuzzChanges checks that no bytes in place of events cause a panic, or the report of a
// file that is not watched.
func FuzzChanges(f *testing.F) {
	record := func(wd int32, mask uint32, name string) []byte {
		b := binary.NativeEndian.AppendUint32(nil, uint32(wd))
		b = binary.NativeEndian.AppendUint32(b, mask)
		b = binary.NativeEndian.AppendUint32(b, 0)
		b = binary.NativeEndian.AppendUint32(b, uint32(len(name)))
		return append(b, name...)
	}
	f.Add(record(1, syscall.IN_CREATE, "f\x00\x00\x00"))
	f.Add(append(record(1, syscall.IN_DELETE_SELF, ""), record(2, syscall.IN_MOVED_TO|syscall.IN_ISDIR, "d")...))
	f.Add(record(-1, syscall.IN_Q_OVERFLOW, ""))
	f.Add(record(1, syscall.IN_MODIFY, "f")[:12])
	f.Add([]byte("\x01\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\xff\xff\xff\xffname"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		w, err := newWatcher()
		must(t, err)
		defer w.close()
		dir := t.TempDir()
		known := make(map[*file]bool)
		for _, name := range []string{"/f", "/d/f", "/d"} {
			file := &file{conf: &conf.TrackFile{Path: dir + name}}
			known[file] = true
			w.add(file)
		}
		list := w.changes(raw)
		for _, c := range list {
			if !known[c.file] {
				t.Errorf("a change of %+v", c.file)
			}
			delete(known, c.file) // each only once
		}
	})
}

func TestOverflowReadsAll(t *testing.T) {
	w, err := newWatcher()
	must(t, err)
	defer w.close()
	dir := t.TempDir()
	a := &file{conf: &conf.TrackFile{Path: dir + "/a"}}
	b := &file{conf: &conf.TrackFile{Path: dir + "/b"}}
	w.add(a)
	w.add(b)
	overflow := make([]byte, syscall.SizeofInotifyEvent)
	overflow[0], overflow[1], overflow[2], overflow[3] = 0xff, 0xff, 0xff, 0xff
	overflow[5] = 0x40 // IN_Q_OVERFLOW
	list := w.changes(overflow)
	if len(list) != 2 || !slices.ContainsFunc(list, func(c fileChange) bool { return c.file == a }) {
		t.Errorf("%d files are read again, want 2", len(list))
	}
}

// BenchmarkFiles1000 changes one of 1,000 files in a directory, and waits for the report.
func BenchmarkFiles1000(b *testing.B) {
	dir := b.TempDir()
	var paths []string
	for i := range 1000 {
		paths = append(paths, fmt.Sprintf("%s/f%d", dir, i))
		write(b, paths[i], "0")
	}
	w := watch(b, filesAt(paths...))
	for n := 1; b.Loop(); n++ {
		i := n % len(paths)
		write(b, paths[i], fmt.Sprint(n))
		w.number(fmt.Sprintf("f%d", i), n)
	}
}

package notify

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/tool/lab"
)

func openFIFO(t *testing.T, c conf.FIFO) *FIFO {
	t.Helper()
	f := NewFIFO("notify_fifo", newRunner(t))
	t.Cleanup(f.Close)
	if err := f.Configure(c, conf.ScriptPolicy{}); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFIFOIsMadeReadAndRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	before := unix.Umask(0o177)
	f := openFIFO(t, conf.FIFO{Path: path})
	unix.Umask(before)
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := fs.ModeNamedPipe | 0o600; info.Mode() != want {
		t.Errorf("mode %v, want %v", info.Mode(), want)
	}

	f.Write([]byte("before there is a reader\n"))
	for _, line := range []string{"one", "two"} { // a reader comes, goes, and another one comes
		f.Write([]byte(line + "\n"))
		r, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		p := openPipe(t, path)
		if line == "one" {
			p.next(t)
		}
		if got := p.next(t); got != line {
			t.Errorf("read %q, want %q", got, line)
		}
		r.Close()
		p.f.Close()
	}

	f.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Errorf("FIFO is still there after Close: %v", err)
	}
	f.Write([]byte("into nothing\n"))
}

func TestFIFOThatIsThere(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		make func(path string) error
		err  string // empty: it is used, and still there after Close
	}{
		{"fifo", func(p string) error { return unix.Mkfifo(p, 0o600) }, ""},
		{"file", func(p string) error { return os.WriteFile(p, nil, 0o644) }, "is a regular file, not a FIFO; remove it"},
		{"dangling link", func(p string) error { return os.Symlink("nowhere", p) }, "is a symbolic link, which is not followed; remove it"},
		{"link to a fifo", func(p string) error { return os.Symlink("fifo", p) }, "is a symbolic link"},
		{"directory", func(p string) error { return os.Mkdir(p, 0o755) }, "is a directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(dir, c.name)
			if err := c.make(path); err != nil {
				t.Fatal(err)
			}
			f := NewFIFO("notify_fifo", newRunner(t))
			err := f.Configure(conf.FIFO{Path: path}, conf.ScriptPolicy{})
			if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
				t.Fatalf("error %v, want %q", err, c.err)
			}
			if got := f.Status().Disabled; (c.err == "") != (got == "") {
				t.Errorf("status says disabled: %q", got)
			}
			f.Write([]byte("line\n"))
			f.Close()
			if _, err := os.Lstat(path); err != nil {
				t.Errorf("not there after Close: %v", err)
			}
		})
	}
}

func TestFIFOOfAnotherUser(t *testing.T) {
	lab.Need(t, lab.Root)
	path := filepath.Join(t.TempDir(), "fifo")
	f := openFIFO(t, conf.FIFO{Path: path, User: "daemon", Group: "65534"})
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	if st.Uid != 1 || st.Gid != 65534 {
		t.Errorf("it belongs to %d:%d, want 1:65534", st.Uid, st.Gid)
	}
	f.Close()

	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(path, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	err := f.Configure(conf.FIFO{Path: path, User: "daemon"}, conf.ScriptPolicy{})
	if err == nil || !strings.Contains(err.Error(), "belongs to user 65534") {
		t.Errorf("error %v", err)
	}
	if err := f.Configure(conf.FIFO{Path: path}, conf.ScriptPolicy{User: "nobody"}); err != nil {
		t.Errorf("a FIFO of script_user was refused: %v", err)
	}
	err = f.Configure(conf.FIFO{Path: path, User: "no-such-user"}, conf.ScriptPolicy{})
	if err == nil || !strings.Contains(err.Error(), "no-such-user") {
		t.Errorf("error %v", err)
	}
}

func TestFullFIFODropsWholeLinesAndSaysSo(t *testing.T) {
	log := captureLog(t)
	path := filepath.Join(t.TempDir(), "fifo")
	f := openFIFO(t, conf.FIFO{Path: path})
	line := []byte(strings.Repeat("x", 99) + "\n")
	for f.Status().Dropped < 3 {
		f.Write(line)
	}
	log.expect(t, 1, "is full, nobody reads it")
	st := f.Status()
	if !st.Full {
		t.Error("status does not say that it is full")
	}
	p := openPipe(t, path)
	for range st.Written {
		if got := p.next(t); len(got) != 99 {
			t.Fatalf("torn line of %d bytes", len(got))
		}
	}
	f.Write([]byte("room again\n"))
	if got := p.next(t); got != "room again" {
		t.Errorf("read %q", got)
	}
	log.expect(t, 1, "is read again: 3 lines were dropped")
	if st := f.Status(); st.Full || st.Dropped != 3 {
		t.Errorf("status %+v", st)
	}
}

func TestWhatReplacedAFIFOIsNotRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	f := openFIFO(t, conf.FIFO{Path: path})
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := os.Lstat(path); err != nil {
		t.Error(err)
	}
}

func TestReaderDelay(t *testing.T) {
	var got []time.Duration
	for ends := 1; ends <= 7; ends++ {
		got = append(got, readerDelay(ends)/time.Second)
	}
	if want := []time.Duration{1, 2, 4, 8, 16, 30, 30}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := readerDelay(1 << 40); got != readerDelayMax {
		t.Errorf("after very many ends %v", got)
	}
}

// A script that reads is started with the path, goes on over a reload that does
// not touch it, is replaced without two at once, started again when it ends by
// itself, and told to end.
func TestFIFOScript(t *testing.T) {
	log := captureLog(t)
	said := newPipe(t)
	// A shell that gets a signal just before it waits sees it when the wait
	// ends: so neither opening the FIFO again nor reading waits for long.
	reader := shell(t, `
trap 'exit 0' TERM
trap 'echo "$1 ends" >'`+said.path+` EXIT
exec 3<"$2"
echo "$1 begins: $2" >`+said.path+`
while :; do
	read -r -t 0.2 line <&3; status=$?
	[ $status -gt 128 ] && continue # nothing has come
	[ $status -ne 0 ] && exit 0
	echo "$1 read $line" >`+said.path+`
	[ "$line" = die ] && exit 3
done`)
	path := filepath.Join(t.TempDir(), "fifo")
	c := conf.FIFO{Path: path, Script: command(reader, "first")}
	f := openFIFO(t, c)
	expect := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, said.nexts(t, len(want))); diff != "" {
			t.Fatalf("scripts said (-want +got):\n%s", diff)
		}
	}
	configure := func() {
		t.Helper()
		if err := f.Configure(c, conf.ScriptPolicy{}); err != nil {
			t.Fatal(err)
		}
	}
	expect("first begins: " + path)
	c.Pos.Line++
	c.Script.Pos.Line++
	configure() // the same
	f.Write([]byte("a\n"))
	expect("first read a")

	c.Script = command(reader, "second")
	configure()
	expect("first ends", "second begins: "+path)

	f.Write([]byte("die\n"))
	expect("second read die", "second ends", "second begins: "+path)
	log.expect(t, 1, "exited with status 3; starting it again in 1s")
	if st := f.Status(); !st.Running || st.Result != "exited with status 3" {
		t.Errorf("status %+v", st)
	}

	f.Close()
	expect("second ends")
}

func TestFIFOScriptThatCannotRun(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	f := NewFIFO("notify_fifo", newRunner(t))
	defer f.Close()
	err := f.Configure(conf.FIFO{Path: path, Script: command("/no/such/script")}, conf.ScriptPolicy{})
	if err == nil || !strings.Contains(err.Error(), "notify_fifo_script /no/such/script is disabled") {
		t.Errorf("error %v", err)
	}
	f.Write([]byte("line\n"))
	if st := f.Status(); st.Written != 1 || !strings.Contains(st.Result, "could not be started") {
		t.Errorf("status %+v", st)
	}
}

// A silent FIFO is there with its reader like the others; no event is written into
// it.
func TestSilentFIFO(t *testing.T) {
	dir := t.TempDir()
	all, silent := filepath.Join(dir, "all"), filepath.Join(dir, "silent")
	n := New(newRunner(t), "host")
	n.Configure(Config{FIFOs: []FIFOConfig{{Keyword: "notify_fifo", FIFO: conf.FIFO{Path: all}}, {Keyword: "other_fifo", FIFO: conf.FIFO{Path: silent}, Silent: true}}})
	n.Tell(Event{Line: "a line\n"})
	status := n.Status().FIFOs // the hub has come so far
	if len(status) != 2 || status[1].Path != silent {
		t.Errorf("FIFOs %+v", status)
	}
	for path, want := range map[string]string{all: "a line\n", silent: ""} {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		var b [100]byte
		got, _ := unix.Read(fd, b[:])
		unix.Close(fd)
		if s := string(b[:max(got, 0)]); s != want {
			t.Errorf("%s has %q, want %q", path, s, want)
		}
	}
	n.Close(time.Second)
}

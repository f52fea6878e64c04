package notify

import (
	"fmt"
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
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/tool/lab"
)

func keepFIFO(t *testing.T, c conf.FIFO) *FIFO {
	t.Helper()
	f := NewFIFO("notify_fifo", newRunner(t))
	t.Cleanup(f.Close)
	if err := f.Configure(c, conf.ScriptPolicy{}); err != nil {
		t.Fatal(err)
	}
	return f
}

// writeTo opens a FIFO for writing and closes it when the test ends.
func writeTo(t *testing.T, c conf.FIFO) *writer {
	t.Helper()
	w := &writer{keyword: "notify_fifo", fd: -1}
	t.Cleanup(w.close)
	if err := w.configure(c, conf.ScriptPolicy{}); err != nil {
		t.Fatal(err)
	}
	return w
}

func TestFIFOIsMadeReadAndRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	before := unix.Umask(0o177)
	f := keepFIFO(t, conf.FIFO{Path: path})
	unix.Umask(before)
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := fs.ModeNamedPipe | 0o600; info.Mode() != want {
		t.Errorf("mode %v, want %v", info.Mode(), want)
	}

	w := writeTo(t, conf.FIFO{Path: path})
	w.write([]byte("before there is a reader\n"))
	for _, line := range []string{"one", "two"} { // one reader closes the FIFO and another one opens it
		w.write([]byte(line + "\n"))
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
	w.close()
	w.write([]byte("into nothing\n"))
}

func TestFIFOThatIsThere(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name string
		make func(path string) error
		err  string // empty: the FIFO is used and still exists after Close
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
				t.Errorf("status is disabled: %q", got)
			}
			w := &writer{keyword: "notify_fifo", fd: -1}
			if err := w.configure(conf.FIFO{Path: path}, conf.ScriptPolicy{}); (err == nil) != (c.err == "") {
				t.Errorf("a writer: %v", err)
			}
			w.write([]byte("line\n"))
			w.close()
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
	f := keepFIFO(t, conf.FIFO{Path: path, User: "daemon", Group: "65534"})
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

func TestFullFIFODropsWholeLinesAndReportsIt(t *testing.T) {
	log := captureLog(t)
	path := filepath.Join(t.TempDir(), "fifo")
	keepFIFO(t, conf.FIFO{Path: path})
	w := writeTo(t, conf.FIFO{Path: path})
	line := []byte(strings.Repeat("x", 99) + "\n")
	for w.status().Dropped < 3 {
		w.write(line)
	}
	log.expect(t, 1, "is full, because no process reads it")
	st := w.status()
	if !st.Full {
		t.Error("status does not report that it is full")
	}
	p := openPipe(t, path)
	for range st.Written {
		if got := p.next(t); len(got) != 99 {
			t.Fatalf("torn line of %d bytes", len(got))
		}
	}
	w.write([]byte("room again\n"))
	if got := p.next(t); got != "room again" {
		t.Errorf("read %q", got)
	}
	log.expect(t, 1, "is read again: 3 lines were dropped")
	if st := w.status(); st.Full || st.Dropped != 3 {
		t.Errorf("status %+v", st)
	}
}

func TestReplacementOfFIFOIsNotRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	f := keepFIFO(t, conf.FIFO{Path: path})
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

// TestFIFOScript checks that a reader script starts with the path, keeps running over a
// reload that does not change it, is replaced without two at once, is started again when
// it exits by itself, and gets a signal at the end.
func TestFIFOScript(t *testing.T) {
	log := captureLog(t)
	written := newPipe(t)
	// A shell that gets a signal just before it waits sees it when the wait
	// ends: so neither opening the FIFO again nor reading waits for long.
	reader := shell(t, `
trap 'exit 0' TERM
trap 'echo "$1 ends" >'`+written.path+` EXIT
exec 3<"$2"
echo "$1 begins: $2" >`+written.path+`
while :; do
	read -r -t 0.2 line <&3; status=$?
	[ $status -gt 128 ] && continue # nothing has come
	[ $status -ne 0 ] && exit 0
	echo "$1 read $line" >`+written.path+`
	[ "$line" = die ] && exit 3
done`)
	path := filepath.Join(t.TempDir(), "fifo")
	c := conf.FIFO{Path: path, Script: command(reader, "first")}
	f := keepFIFO(t, c)
	w := writeTo(t, c)
	expect := func(want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, written.nexts(t, len(want))); diff != "" {
			t.Fatalf("scripts wrote (-want +got):\n%s", diff)
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
	w.write([]byte("a\n"))
	expect("first read a")

	c.Script = command(reader, "second")
	configure()
	expect("first ends", "second begins: "+path)

	w.write([]byte("die\n"))
	expect("second read die", "second ends", "second begins: "+path)
	log.expect(t, 1, "exited with status 3; restarting it in 1s")
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
	w := writeTo(t, conf.FIFO{Path: path})
	w.write([]byte("line\n"))
	if st := f.Status(); w.written != 1 || !strings.Contains(st.Result, "could not be started") {
		t.Errorf("status %+v", st)
	}
}

// TestWriterWithoutKeeper checks that a writer refuses a FIFO that no process keeps open:
// such a FIFO has no reader, and its lines would be outdated. Once another process keeps
// it, the next configuration opens it.
func TestWriterWithoutKeeper(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	w := &writer{keyword: "notify_fifo", fd: -1}
	defer w.close()
	for _, left := range []bool{false, true} {
		if left {
			if err := unix.Mkfifo(path, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		err := w.configure(conf.FIFO{Path: path}, conf.ScriptPolicy{})
		if err == nil || !strings.Contains(err.Error(), "notify_fifo "+path+" is not written into: open FIFO") {
			t.Errorf("left behind: %t: %v", left, err)
		}
		if st := w.status(); st.Disabled == "" || st.Path != path {
			t.Errorf("status %+v", st)
		}
		w.write([]byte("lost\n"))
	}
	keepFIFO(t, conf.FIFO{Path: path})
	if err := w.configure(conf.FIFO{Path: path}, conf.ScriptPolicy{}); err != nil {
		t.Error(err)
	}
	w.write([]byte("line\n"))
	if got := openPipe(t, path).next(t); got != "line" {
		t.Errorf("read %q", got)
	}
	if st := w.status(); st.Disabled != "" || st.Written != 1 {
		t.Errorf("status %+v", st)
	}
}

// TestWritersShareAFIFO checks that when one writer closes the FIFO, the other one and
// the reader script continue.
func TestWritersShareAFIFO(t *testing.T) {
	written := newPipe(t)
	reader := shell(t, `echo begins >`+written.path+`; while read -r l; do echo "read $l" >`+written.path+`; done <"$1"; echo ends >`+written.path)
	c := conf.FIFO{Path: filepath.Join(t.TempDir(), "fifo"), Script: command(reader)}
	f := keepFIFO(t, c)
	one, two := writeTo(t, c), writeTo(t, c)
	for _, step := range []func(){
		func() { one.write([]byte("a\n")) },
		func() { two.write([]byte("b\n")) },
		func() { one.close(); two.write([]byte("c\n")) },
		func() { two.close(); one = writeTo(t, c); one.write([]byte("d\n")) },
	} {
		step()
	}
	if diff := cmp.Diff([]string{"begins", "read a", "read b", "read c", "read d"}, written.nexts(t, 5)); diff != "" {
		t.Errorf("the script wrote (-want +got):\n%s", diff)
	}
	eventually(t, "nothing is left to be read", f.Drained)
	if st := f.Status(); !st.Running || st.Result != "" {
		t.Errorf("status %+v", st)
	}
}

// TestFIFOWithoutDescriptors checks that a FIFO that cannot be opened for lack of
// descriptors is opened later, both by the process that keeps it and by one that writes.
func TestFIFOWithoutDescriptors(t *testing.T) {
	c := conf.FIFO{Path: filepath.Join(t.TempDir(), "fifo")}
	f := NewFIFO("notify_fifo", newRunner(t))
	w := &writer{keyword: "notify_fifo", fd: -1}
	var full unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &full); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: full.Max}, nil); err != nil {
		t.Fatal(err)
	}
	kept, written := f.Configure(c, conf.ScriptPolicy{}), w.configure(c, conf.ScriptPolicy{})
	w.write([]byte("too early\n"))
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &full, nil); err != nil {
		t.Fatal(err)
	}
	if kept == nil || !strings.Contains(kept.Error(), "trying again") || written == nil || w.status().Dropped != 1 {
		t.Errorf("opened without descriptors: %v; %v, %+v", kept, written, w.status())
	}
	patience := lab.NewPatience(20 * time.Second)
	for w.status().Written == 0 && patience.Left() > 0 {
		time.Sleep(10 * time.Millisecond)
		w.write([]byte("line\n"))
	}
	if got := f.Status().Disabled; got != "" {
		t.Fatalf("still disabled: %s", got)
	}
	if got := openPipe(t, c.Path).next(t); got != "line" || w.status().Disabled != "" {
		t.Errorf("read %q; %+v", got, w.status())
	}
	w.close()
	f.Close()
	if _, err := os.Lstat(c.Path); !os.IsNotExist(err) {
		t.Errorf("the FIFO is there after Close: %v", err)
	}
}

func TestWhatPasses(t *testing.T) {
	for err, want := range map[error]bool{
		unix.EMFILE: true, unix.ENOSPC: true, unix.EACCES: false, unix.EROFS: false,
		&script.Problem{Code: script.Undecided}:   true, // the account could not be looked up
		&script.Problem{Code: script.UnknownUser}: false,
	} {
		if got := passes(fmt.Errorf("open FIFO: %w", err)); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// TestFIFOIsNotOpenedAfterClose checks that Close ends the attempts to open a FIFO.
func TestFIFOIsNotOpenedAfterClose(t *testing.T) {
	c := conf.FIFO{Path: filepath.Join(t.TempDir(), "fifo")}
	f := NewFIFO("notify_fifo", newRunner(t))
	f.config, f.retry = c, time.AfterFunc(time.Hour, f.again)
	f.Close()
	f.again() // the attempt had already begun
	if _, err := os.Lstat(c.Path); !os.IsNotExist(err) || f.fd >= 0 {
		t.Errorf("opened after Close: %v", err)
	}
}

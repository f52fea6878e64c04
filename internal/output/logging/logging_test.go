package logging

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// capture is a destination in memory.
type capture struct{ entries []entry }

func (c *capture) write(entries []entry) (lost int) {
	c.entries = append(c.entries, entries...)
	return 0
}

// flush fails the test if the logged lines are not written within seconds.
func flush(t *testing.T, l *Logs) {
	t.Helper()
	if !l.Flush(time.Now().Add(10 * time.Second)) {
		t.Fatal("log lines were not written within 10 s")
	}
}

// setup sets up logging without replacing the default logger of the test binary.
func setup(t *testing.T, o Options) (*Logs, *slog.Logger) {
	t.Helper()
	before := slog.Default()
	l, err := Setup(o)
	slog.SetDefault(before)
	if err != nil {
		t.Fatal(err)
	}
	return l, slog.New(l.Handler())
}

func TestHandlerKeepsTheContractOfSlog(t *testing.T) {
	var c *capture
	var l *Logs
	slogtest.Run(t, func(*testing.T) slog.Handler {
		c = &capture{}
		l = &Logs{queues: []*queue{newQueue(c)}, fields: true}
		return l.Handler()
	}, func(t *testing.T) map[string]any {
		flush(t, l)
		if len(c.entries) != 1 {
			t.Fatalf("%d entries, want one", len(c.entries))
		}
		return nested(c.entries[0])
	})
}

// nested gives e the structure that slogtest checks.
func nested(e entry) map[string]any {
	m := map[string]any{slog.LevelKey: e.level, slog.MessageKey: e.text}
	if !e.time.IsZero() {
		m[slog.TimeKey] = e.time
	}
	for _, f := range e.fields {
		in, path := m, strings.Split(f.key, ".")
		for _, group := range path[:len(path)-1] {
			if in[group] == nil {
				in[group] = map[string]any{}
			}
			in = in[group].(map[string]any)
		}
		in[path[len(path)-1]] = f.value
	}
	return m
}

func TestLines(t *testing.T) {
	at := time.Date(2026, 11, 2, 17, 19, 49, 0, time.Local)
	for _, tt := range []struct {
		name, text, console, syslog string
		level                       slog.Level
	}{
		{"information", "(VI_1) Entering MASTER STATE",
			"Mon Nov  2 17:19:49 2026: (VI_1) Entering MASTER STATE\n",
			"<30>Nov  2 17:19:49 Keepalived_vrrp[PID]: (VI_1) Entering MASTER STATE", slog.LevelInfo},
		{"detail is information to syslog", "(VI_1) setting VIPs.",
			"Mon Nov  2 17:19:49 2026: (VI_1) setting VIPs.\n",
			"<30>Nov  2 17:19:49 Keepalived_vrrp[PID]: (VI_1) setting VIPs.", LevelDetail},
		{"warning", "w", "Mon Nov  2 17:19:49 2026: w\n", "<28>Nov  2 17:19:49 Keepalived_vrrp[PID]: w", slog.LevelWarn},
		{"error", "e", "Mon Nov  2 17:19:49 2026: e\n", "<27>Nov  2 17:19:49 Keepalived_vrrp[PID]: e", slog.LevelError},
		{"debug", "d", "Mon Nov  2 17:19:49 2026: d\n", "<31>Nov  2 17:19:49 Keepalived_vrrp[PID]: d", slog.LevelDebug},
		{"a line break cannot forge a line", "name\nMon: forged\x1b[2J",
			"Mon Nov  2 17:19:49 2026: name Mon: forged [2J\n",
			"<30>Nov  2 17:19:49 Keepalived_vrrp[PID]: name Mon: forged [2J", slog.LevelInfo},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := entry{time: at, level: tt.level, text: oneLine(tt.text)}
			if got := string(appendLine(nil, &e)); got != tt.console {
				t.Errorf("console %q, want %q", got, tt.console)
			}
			s := newSyslog(Options{Ident: "Keepalived_vrrp"})
			want := strings.Replace(tt.syslog, "PID", fmt.Sprint(os.Getpid()), 1)
			if got := string(s.appendSyslog(nil, &e)); got != want {
				t.Errorf("syslog %q, want %q", got, want)
			}
		})
	}
}

func TestAttributesBecomeJournalFields(t *testing.T) {
	s := newSyslog(Options{Ident: "Keepalived_vrrp", Facility: Local0})
	got := string(s.appendJournal(nil, &entry{level: slog.LevelWarn, text: "(VI_1) lost", fields: []field{
		{"instance", "VI_1"}, {"peer.addr", "10.0.0.1"}, {"_pid", "7"}, {"12", "no name"}, {"trace", "a\nb"},
	}}))
	want := "MESSAGE=(VI_1) lost\nPRIORITY=4\nSYSLOG_FACILITY=16\nSYSLOG_IDENTIFIER=Keepalived_vrrp\n" +
		fmt.Sprintf("SYSLOG_PID=%d\n", os.Getpid()) +
		"INSTANCE=VI_1\nPEER_ADDR=10.0.0.1\nPID=7\n" +
		"TRACE\n\x03\x00\x00\x00\x00\x00\x00\x00a\nb\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("journal entry (-want +got):\n%s", diff)
	}
}

func TestTextLinesCarryNoAttributes(t *testing.T) {
	var b strings.Builder
	l, log := setup(t, Options{Console: &b})
	log.Info("(VI_1) Entering MASTER STATE", "instance", "VI_1")
	log.Log(t.Context(), LevelDetail, "not without -D")
	flush(t, l)
	if !strings.HasSuffix(b.String(), ": (VI_1) Entering MASTER STATE\n") {
		t.Errorf("console %q", b.String())
	}
	if strings.Contains(b.String(), "-D") {
		t.Errorf("a detail line is logged at level %v: %q", l.level, b.String())
	}
}

func TestParseFacility(t *testing.T) {
	for s, want := range map[string]Facility{
		"0": 16, "7": 23, "local0": 16, "local5": 21, "user": 1, "daemon": 3,
	} {
		if got, err := ParseFacility(s); got != want || err != nil {
			t.Errorf("%q is %d, %v; want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "8", "-1", "local", "local8", "local10", "Local1", "kern", "00"} {
		if got, err := ParseFacility(s); err == nil {
			t.Errorf("%q is %d, want an error", s, got)
		}
	}
}

func TestFileFor(t *testing.T) {
	for _, tt := range [][2]string{
		{"/var/log/keepalived.log", "/var/log/keepalived_vrrp.log"},
		{"/var/log/keepalived", "/var/log/keepalived_vrrp"},
		{"/var/log.d/keepalived", "/var/log.d/keepalived_vrrp"},
		{"a.b.c", "a.b_vrrp.c"},
	} {
		if got := FileFor(tt[0], "_vrrp"); got != tt[1] {
			t.Errorf("%s becomes %s, want %s", tt[0], got, tt[1])
		}
	}
}

// receiver returns the socket of a syslog daemon.
func receiver(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	return c
}

func next(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 4096)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(b[:n]), "]: ")
	return text
}

// TestFlushWaitsForTheJournal checks that Flush waits for the journal, which cannot
// assign what it reads after the end of a process to a service.
func TestFlushWaitsForTheJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	journal := receiver(t, path)
	s := newSyslog(Options{SyslogSocket: path})
	s.journal = true
	l := &Logs{}
	l.add(s)
	slog.New(l.Handler()).Info("last words")
	if l.Flush(time.Now().Add(50 * time.Millisecond)) {
		t.Error("flushed before the journal has read it")
	}
	next(t, journal)
	if !l.Flush(time.Now().Add(10 * time.Second)) {
		t.Error("not flushed though the journal has read it")
	}
}

// TestStuckSyslogDelaysNobody checks that a syslog daemon that does not read delays
// neither the caller nor the other destinations, and that it gets the number of lost
// lines when it reads again.
func TestStuckSyslogDelaysNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	daemon := receiver(t, path) // reads nothing for now
	var console strings.Builder
	l, log := setup(t, Options{Ident: "t", Syslog: true, SyslogSocket: path, Console: &console})

	const n = 3 * queueLen
	delayed := 0
	for i := range n {
		begin := time.Now()
		log.Info(fmt.Sprint("line ", i))
		if time.Since(begin) > patience {
			delayed++
		}
	}
	// This process may have had no processor for some calls, but not for each of them.
	if delayed > n/10 {
		t.Errorf("%d of %d log calls took longer than %v with a stuck syslog daemon", delayed, n, patience)
	}
	// After one wait all lines have left the queue: the second line that finds the socket
	// full is lost at once.
	flush(t, l)
	lost := l.Dropped()
	if lost == 0 {
		t.Fatalf("no line of %d was lost: the socket took them all", n)
	}

	received, reported := 0, 0
	take := func() (text string) {
		text = next(t, daemon)
		var lines int
		if _, err := fmt.Sscanf(text, "%d log messages were lost here", &lines); err == nil {
			reported += lines
		} else {
			received++
		}
		return text
	}
	for buffered := true; buffered; buffered = waiting(t, daemon) {
		take()
	}
	log.Info("after")
	if got := take(); got != "after" {
		t.Errorf("received %q, want the line after the jam", got)
	}
	take()
	if received+reported != n+1 {
		t.Errorf("%d lines received and %d reported as lost, of %d", received, reported, n+1)
	}
}

// waiting reports whether a datagram waits in c.
func waiting(t *testing.T, c *net.UnixConn) (waits bool) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		waits = n == 1 && err == nil
	})
	return waits
}

// TestStuckConsoleDelaysNobody checks that a console that does not read does not delay
// the other destinations.
func TestStuckConsoleDelaysNobody(t *testing.T) {
	r, w := io.Pipe() // without a reader
	t.Cleanup(func() { r.Close() })
	path := filepath.Join(t.TempDir(), "log")
	daemon := receiver(t, path)
	l, log := setup(t, Options{Ident: "t", Syslog: true, SyslogSocket: path, Console: w})
	for range 10 {
		log.Info("line")
		if got := next(t, daemon); got != "line" {
			t.Errorf("received %q", got)
		}
	}
	begin := time.Now()
	if l.Flush(time.Now().Add(50 * time.Millisecond)) {
		t.Error("flush of a stuck console reports that all was written")
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("flush took %v, 50 ms were allowed", took)
	}
}

func TestSyslogDaemonRestarted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	first := receiver(t, path)
	l, log := setup(t, Options{Ident: "t", Syslog: true, SyslogSocket: path})
	log.Info("one")
	next(t, first)
	first.Close()
	os.Remove(path)
	second := receiver(t, path)
	// Lines are held back at most for the pause between two connections.
	for deadline := time.Now().Add(10 * time.Second); ; {
		before := l.Dropped()
		log.Info("two")
		flush(t, l)
		if l.Dropped() == before {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no line reaches the new daemon within 10 s")
		}
	}
	if got := next(t, second); got != "two" {
		t.Errorf("received %q", got)
	}
}

func TestIdentChanges(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	daemon := receiver(t, path)
	l, log := setup(t, Options{Ident: "Keepalived", Syslog: true, SyslogSocket: path})
	l.SetIdent("Keepalived_blue")
	log.Info("x")
	b := make([]byte, 4096)
	n, err := daemon.Read(b)
	if err != nil || !strings.Contains(string(b[:n]), " Keepalived_blue[") {
		t.Errorf("received %q, %v", b[:n], err)
	}
}

// held is a writer that accepts the first text when it is released.
type held struct {
	begun, let chan struct{}
	texts      []string
}

func (h *held) Write(b []byte) (int, error) {
	if h.texts = append(h.texts, string(b)); len(h.texts) == 1 {
		close(h.begun)
		<-h.let
	}
	return len(b), nil
}

// TestBurstIsWrittenTogether checks that lines that arrive while another one is written
// are written together.
func TestBurstIsWrittenTogether(t *testing.T) {
	h := &held{begun: make(chan struct{}), let: make(chan struct{})}
	q := newQueue(&lines{w: h})
	q.push(&entry{text: "first"})
	<-h.begun
	for _, text := range []string{"a", "b", "c"} {
		q.push(&entry{text: text})
	}
	done := make(chan struct{})
	q.push(&entry{do: func(sink) { close(done) }})
	close(h.let)
	<-done
	if diff := cmp.Diff([]string{"first\n", "a\nb\nc\n"}, h.texts); diff != "" {
		t.Errorf("written (-want +got):\n%s", diff)
	}
}

func TestRenamedLogFileIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keepalived.log")
	f, err := openFile(path, true)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if f.write([]entry{{text: text}}) != 0 {
			t.Fatalf("%q is lost", text)
		}
	}
	write("old")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write("still old") // within the pause between two checks of the file
	f.checked = f.checked.Add(-rotationCheck)
	write("new")
	for name, want := range map[string]string{path + ".1": "old\nstill old\n", path: "new\n"} {
		if got, err := os.ReadFile(name); string(got) != want || err != nil {
			t.Errorf("%s holds %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestSetupKeepsWhatCanBeOpened(t *testing.T) {
	before := slog.Default()
	t.Cleanup(func() { slog.SetDefault(before) })
	var b strings.Builder
	l, err := Setup(Options{Console: &b, File: filepath.Join(t.TempDir(), "missing", "k.log")})
	if err == nil {
		t.Error("a log file in a missing directory opens")
	}
	slog.Info("to the console")
	flush(t, l)
	if !strings.Contains(b.String(), "to the console") {
		t.Errorf("console %q", b.String())
	}
}

func BenchmarkLog(b *testing.B) {
	l := &Logs{queues: []*queue{newQueue(&lines{w: io.Discard})}}
	log := slog.New(l.Handler())
	b.ReportAllocs()
	for b.Loop() {
		log.Info("(VI_1) Entering MASTER STATE", "instance", "VI_1")
	}
}

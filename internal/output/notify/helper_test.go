package notify

import (
	"bufio"
	"context"
	"flag"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/script"
)

var update = flag.Bool("update", false, "rewrite golden files")

// patience is how long tests wait for what must happen.
const patience = 20 * time.Second

// logs are the messages that were logged since [captureLog].
type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Enabled(context.Context, slog.Level) bool { return true }
func (l *logs) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *logs) WithGroup(string) slog.Handler            { return l }

func (l *logs) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.WriteString(r.Message + "\n")
	return nil
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// expect fails the test unless text was logged as often as counted.
func (l *logs) expect(t *testing.T, count int, text string) {
	t.Helper()
	if got := strings.Count(l.String(), text); got != count {
		t.Errorf("logged %d times, want %d: %s\nin:\n%s", got, count, text, l)
	}
}

func captureLog(t *testing.T) *logs {
	t.Helper()
	l := &logs{}
	before := slog.Default()
	slog.SetDefault(slog.New(l))
	t.Cleanup(func() { slog.SetDefault(before) })
	return l
}

func newRunner(t *testing.T) *script.Runner {
	t.Helper()
	r, err := script.NewRunner()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(5 * time.Second) })
	return r
}

// pipe is a FIFO of the test, to wait for what scripts say.
type pipe struct {
	path string
	f    *os.File
	r    *bufio.Reader
}

func openPipe(t *testing.T, path string) *pipe {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return &pipe{path, f, bufio.NewReader(f)}
}

func newPipe(t *testing.T) *pipe {
	t.Helper()
	path := filepath.Join(t.TempDir(), "said")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return openPipe(t, path)
}

// next waits for a line.
func (p *pipe) next(t *testing.T) string {
	t.Helper()
	p.f.SetReadDeadline(time.Now().Add(patience))
	line, err := p.r.ReadString('\n')
	if err != nil {
		t.Fatalf("no line came: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

// nexts waits for as many lines.
func (p *pipe) nexts(t *testing.T, n int) []string {
	t.Helper()
	lines := make([]string, n)
	for i := range lines {
		lines[i] = p.next(t)
	}
	return lines
}

// shell writes an executable script.
func shell(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.sh")
	if err := os.WriteFile(path, []byte("#!/bin/bash\n"+text+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually waits until ok; the test polls what has no event.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// Package logtest collects what a test logs.
package logtest

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Log is what has been logged. Any goroutine may log meanwhile.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Capture collects what is logged by [slog.Default] until the test ends.
func Capture(t testing.TB) *Log {
	l := &Log{}
	before := slog.Default()
	slog.SetDefault(slog.New(slog.NewTextHandler(l, nil)))
	t.Cleanup(func() { slog.SetDefault(before) })
	return l
}

// Write implements [io.Writer].
func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// String is all of it, with attributes.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Count is how often a text stands in it.
func (l *Log) Count(text string) int { return strings.Count(l.String(), text) }

// Lines are the messages, without attributes.
func (l *Log) Lines() []string { return messages(l.String()) }

// Take are the messages since the last call, which it forgets.
func (l *Log) Take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.buf.Reset()
	return messages(l.buf.String())
}

func messages(log string) (all []string) {
	for line := range strings.Lines(log) {
		_, text, ok := strings.Cut(line, "msg=")
		if !ok {
			continue
		}
		if quoted, err := strconv.QuotedPrefix(text); err == nil {
			text, _ = strconv.Unquote(quoted) // QuotedPrefix has parsed it
		} else {
			text, _, _ = strings.Cut(text, " ")
		}
		all = append(all, text)
	}
	return all
}

// InOrder reports whether the lines were logged in this order, with others between
// them.
func (l *Log) InOrder(lines ...string) bool {
	for _, line := range l.Lines() {
		if len(lines) > 0 && line == lines[0] {
			lines = lines[1:]
		}
	}
	return len(lines) == 0
}

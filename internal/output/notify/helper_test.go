package notify

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/tool/executable"
)

var update = flag.Bool("update", false, "rewrite golden files")

// patience is how long tests wait for a condition.
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

// expect fails the test unless text was logged count times.
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

// pipe is a FIFO of the test, from which it reads what scripts write.
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
	path := filepath.Join(t.TempDir(), "written")
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

// nexts waits for n lines.
func (p *pipe) nexts(t *testing.T, n int) []string {
	t.Helper()
	lines := make([]string, n)
	for i := range lines {
		lines[i] = p.next(t)
	}
	return lines
}

// shell writes an executable shell script and returns its path.
func shell(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.sh")
	if err := executable.Write(path, "#!/bin/bash\n"+text+"\n"); err != nil {
		t.Fatal(err)
	}
	return path
}

// eventually waits until ok returns true. It polls, for conditions that no event
// announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("did not happen: %s", what)
		}
	}
}

// happening is a change of a thing or of a group of things that a test reports. Its owner
// runs the script for the word, if it has one, and then the script for all words.
type happening struct {
	Group    bool
	Name     string
	Word     string
	Number   int
	To       *conf.Notify // the scripts of the owner; nil: FIFOs only
	FIFOOnly bool
}

const master, backup, stop = "MASTER", "BACKUP", "STOP"

func ownerOf(group bool, name string) Owner {
	if group {
		return Owner{Kind: "group", Name: name, Label: "group(" + name + ")"}
	}
	return Owner{Kind: "thing", Name: name, Label: "(" + name + ")"}
}

// scriptsOf returns the scripts that to configures, by word.
func scriptsOf(to *conf.Notify) map[string]Step {
	all := map[string]Step{}
	for word, s := range map[string]Step{
		master: {Keyword: "notify_master", Command: &to.Master}, backup: {Keyword: "notify_backup", Command: &to.Backup},
		stop: {Keyword: "notify_stop", Command: &to.Stop}, "": {Keyword: "notify", Command: &to.Any},
	} {
		if s.Command.Given() {
			all[word] = s
		}
	}
	return all
}

func (h happening) Event() Event {
	owner := ownerOf(h.Group, h.Name)
	e := Event{Owner: owner, Word: h.Word, State: true, Line: fmt.Sprintf("%s %q %s %d\n", owner.Kind, h.Name, h.Word, h.Number)}
	if h.To == nil || h.FIFOOnly {
		return e
	}
	scripts := scriptsOf(h.To)
	if s, ok := scripts[h.Word]; ok {
		e.Steps = append(e.Steps, s)
	}
	if s, ok := scripts[""]; ok {
		s.Extra = []string{owner.Kind, h.Name, h.Word, strconv.Itoa(h.Number)}
		e.Steps = append(e.Steps, s)
	}
	if h.To.SMTPAlert {
		e.Mail = Mail{Subject: h.Name + " is " + h.Word, Body: "so it is"}
	}
	return e
}

// configuration is the configuration of a test: things and groups of things, by name.
type configuration struct {
	Config
	things, groups map[string]*conf.Notify
}

// with returns a configuration with things named A, B and so on that have these scripts.
func with(to ...*conf.Notify) *configuration {
	c := &configuration{things: map[string]*conf.Notify{}, Config: Config{FIFOs: []FIFOConfig{{Keyword: "one_fifo"}, {Keyword: "two_fifo"}}}}
	for i, n := range to {
		c.things[string(rune('A'+i))] = n
	}
	return c
}

func (c *configuration) config() Config {
	out := c.Config
	out.FIFOs = slices.Clone(c.FIFOs)
	for group, all := range map[bool]map[string]*conf.Notify{true: c.groups, false: c.things} {
		for name, to := range all {
			out.Owners = append(out.Owners, Declared{Owner: ownerOf(group, name), Steps: slices.Collect(maps.Values(scriptsOf(to)))})
		}
	}
	slices.SortFunc(out.Owners, func(a, b Declared) int { return strings.Compare(a.Owner.Name, b.Owner.Name) })
	return out
}

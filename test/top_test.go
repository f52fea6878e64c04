package test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// display is a terminal with a program.
type display struct {
	*scene
	keyboard, line *os.File // the ends of the user and of the program
	before         unix.Termios
	program        *exec.Cmd

	mu  sync.Mutex
	all bytes.Buffer // the output of the program
}

// newDisplay runs keepalived top on a terminal.
func (s *scene) newDisplay(d *lab.Daemon, width, height uint16) *display {
	s.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	s.must(err)
	s.Cleanup(func() { keyboard.Close() })
	s.must(unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	s.must(err)
	line, err := os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	s.must(err)
	s.Cleanup(func() { line.Close() })
	v := &display{scene: s, keyboard: keyboard, line: line}
	v.resize(width, height)
	v.before = v.modes()
	v.program = exec.Command(ours.Path, "top", "-p", filepath.Join(d.Dir, "keepalived.pid"), "--timeout=60")
	v.program.Stdin, v.program.Stdout, v.program.Stderr = line, line, line
	v.program.Env = append(os.Environ(), "NO_COLOR=1", "TERM=xterm")
	v.program.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	s.must(v.program.Start())
	go func() {
		b := make([]byte, 4096)
		for {
			n, err := keyboard.Read(b)
			v.mu.Lock()
			v.all.Write(b[:n])
			v.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return v
}

func (v *display) modes() unix.Termios {
	t, err := unix.IoctlGetTermios(int(v.line.Fd()), unix.TCGETS)
	v.must(err)
	return *t
}

// resize changes the size of the terminal, of which the kernel notifies the program.
func (v *display) resize(width, height uint16) {
	v.must(unix.IoctlSetWinsize(int(v.keyboard.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width}))
}

func (v *display) press(keys string) {
	_, err := v.keyboard.WriteString(keys)
	v.must(err)
}

func (v *display) written() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.all.String()
}

// lines returns the lines of the last complete screen.
func (v *display) lines() []string {
	before, _, _ := cutLast(v.written(), "\x1b[J")
	_, screen, _ := cutLast(before, "\x1b[H")
	lines := strings.Split(screen, "\r\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\x1b[K")
	}
	return lines
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// shows waits until the screen has a number of lines, and a line has each of these texts.
func (v *display) shows(height int, texts ...string) {
	v.Helper()
	var lines []string
	if !v.Until(20*time.Second, func() bool {
		lines = v.lines()
		for _, line := range lines {
			all := true
			for _, text := range texts {
				all = all && strings.Contains(line, text)
			}
			if all {
				return len(lines) == height
			}
		}
		return false
	}) {
		v.Fatalf("no line with %q; %d lines:\n%s", texts, len(lines), strings.Join(lines, "\n"))
	}
}

// ends waits for the end of the program, which has restored the terminal.
func (v *display) ends(code int) {
	v.Helper()
	_ = v.program.Wait() // the exit code is checked below
	if got := v.program.ProcessState.ExitCode(); got != code {
		v.Errorf("exit status %d, want %d", got, code)
	}
	if now := v.modes(); now != v.before {
		v.Errorf("the terminal has %+v, before %+v", now, v.before)
	}
	if !v.Until(10*time.Second, func() bool { return strings.HasSuffix(v.written(), "\x1b[?25h\x1b[?1049l") }) {
		v.Error("the screen has not been given back")
	}
}

// TestTop checks that the live view on a terminal follows the daemon, runs acts after a
// confirmation, follows the size of the terminal, and restores the terminal.
func TestTop(t *testing.T) {
	t.Parallel()
	differs(t, "has no live view")
	s := newScene(t, "a")
	a := s.start("a", ours, config(instance{Name: "web", Version: 3}.at(150)))
	s.awaitOwner(vip, 12*time.Second, "a")

	s.prints(a, 1, "top", "keepalived top: it needs a terminal", "keepalived status shows the state as a text")

	v := s.newDisplay(a, 80, 24)
	v.shows(24, "> web", "MASTER", "this node", vip.String())
	v.shows(24, "router web:", "MASTER")
	v.press("h")
	v.shows(24, "Have web stay backup", "y/n")
	v.press("n")
	v.shows(24, "q quit")
	v.press("hy")
	v.shows(24, "> web", "BACKUP")
	v.shows(24, "router web: MASTER -> BACKUP")
	v.press("\r")
	v.shows(24, "web is BACKUP for ")
	v.press("\x1b")
	v.press("ry")
	v.shows(24, "> web", "MASTER", "this node")
	v.press("/nothing")
	v.shows(24, "Nothing contains")
	v.press("\x1b")
	v.resize(40, 10)
	v.shows(10, "> web", "MASTER")
	for _, line := range v.lines() {
		if len(line) > 40 {
			t.Errorf("more than 40 columns: %q", line)
		}
	}
	if c := regexp.MustCompile(`\x1b\[[0-9;]*m`).FindString(v.written()); c != "" {
		t.Errorf("there are colours: %q", c)
	}
	s.must(v.program.Process.Signal(syscall.SIGTERM))
	v.ends(128 + int(syscall.SIGTERM))

	v = s.newDisplay(a, 80, 24)
	v.shows(24, "> web", "MASTER")
	v.press("q")
	v.ends(0)

	v = s.newDisplay(a, 80, 24)
	v.shows(24, "> web", "MASTER")
	a.Kill()
	v.shows(24, "This is the state of ", "no daemon answers")
	v.press("\x03")
	v.ends(0)
}

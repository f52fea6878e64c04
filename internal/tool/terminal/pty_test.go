package terminal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is for what another goroutine or the kernel does.
const patience = 20 * time.Second

// pair is a pseudo-terminal: the end of its user, and that of a program.
type pair struct {
	*testing.T
	user, program *os.File
}

func newPair(t *testing.T) *pair {
	t.Helper()
	p := &pair{T: t}
	p.user = p.open("/dev/ptmx", os.O_RDWR)
	p.control(p.user, func(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0) })
	p.program = p.line(os.O_RDWR)
	return p
}

// line opens the end of the program once more.
func (p *pair) line(mode int) *os.File {
	p.Helper()
	var n int
	p.control(p.user, func(fd int) (err error) {
		n, err = unix.IoctlGetInt(fd, unix.TIOCGPTN)
		return err
	})
	return p.open(fmt.Sprint("/dev/pts/", n), mode)
}

func (p *pair) open(path string, mode int) *os.File {
	p.Helper()
	f, err := os.OpenFile(path, mode|unix.O_NOCTTY, 0)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { f.Close() })
	return f
}

// control leaves the file in the mode in which its deadlines work.
func (p *pair) control(f *os.File, do func(fd int) error) {
	p.Helper()
	c, err := f.SyscallConn()
	if err == nil {
		var failed error
		err = errors.Join(c.Control(func(fd uintptr) { failed = do(int(fd)) }), failed)
	}
	if err != nil {
		p.Fatal(err)
	}
}

func (p *pair) resize(width, height uint16) {
	p.Helper()
	p.control(p.user, func(fd int) error {
		return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: height, Col: width})
	})
}

func (p *pair) modes() unix.Termios {
	p.Helper()
	var now *unix.Termios
	p.control(p.user, func(fd int) (err error) { // both ends have the same
		now, err = unix.IoctlGetTermios(fd, unix.TCGETS)
		return err
	})
	return *now
}

// shows checks what comes next at the user's end.
func (p *pair) shows(want string) {
	p.Helper()
	if err := p.user.SetReadDeadline(time.Now().Add(patience)); err != nil {
		p.Fatal(err)
	}
	got := make([]byte, len(want))
	if n, err := io.ReadFull(p.user, got); err != nil || string(got) != want {
		p.Fatalf("the terminal has got %q, %v, want %q", got[:n], err, want)
	}
}

// untouched checks that the terminal has got nothing, and has the modes that it had.
func (p *pair) untouched(before unix.Termios) {
	p.Helper()
	if now := p.modes(); now != before {
		p.Errorf("the terminal has %+v, before %+v", now, before)
	}
	const mark = "mark"
	if _, err := p.program.WriteString(mark); err != nil {
		p.Fatal(err)
	}
	p.shows(mark)
}

func (p *pair) opened() *Terminal {
	p.Helper()
	t, err := Open(p.program, p.program)
	if err != nil {
		p.Fatal(err)
	}
	p.shows("\x1b[?1049h\x1b[?25l")
	return t
}

// TestOpen checks that a terminal is given back as it was, and that this may be done twice.
func TestOpen(t *testing.T) {
	p := newPair(t)
	before := p.modes()
	if before.Lflag&unix.ICANON == 0 || before.Lflag&unix.ECHO == 0 {
		t.Fatalf("a new terminal has %+v", before)
	}
	taken := p.opened()
	now := p.modes()
	if now.Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) != 0 || now.Iflag&unix.ICRNL != 0 {
		t.Errorf("it is not raw: %+v", now)
	}
	for range 2 {
		if err := taken.Close(); err != nil {
			t.Error(err)
		}
		p.shows("\x1b[?25h\x1b[?1049l")
		p.untouched(before)
	}
}

// TestNoTerminal checks that nothing is left of an attempt that failed.
func TestNoTerminal(t *testing.T) {
	p := newPair(t)
	before := p.modes()
	plain, err := os.Create(filepath.Join(t.TempDir(), "plain"))
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	for name, ends := range map[string][2]*os.File{
		"no output": {p.program, plain}, "no input": {plain, p.program}, "neither": {plain, plain},
	} {
		if taken, err := Open(ends[0], ends[1]); !errors.Is(err, unix.ENOTTY) || taken != nil {
			t.Errorf("%s: %v, %v", name, taken, err)
		}
		p.untouched(before)
	}
	if s, err := plain.Stat(); err != nil || s.Size() != 0 {
		t.Errorf("the file has %d bytes, %v", s.Size(), err)
	}

	// The size can be read and the modes can be set, but nothing can be written.
	if taken, err := Open(p.program, p.line(os.O_RDONLY)); !errors.Is(err, unix.EBADF) || taken != nil {
		t.Errorf("output that is only for reading: %v, %v", taken, err)
	}
	p.untouched(before)
}

// TestSize checks that each change of the size is seen.
func TestSize(t *testing.T) {
	p := newPair(t)
	taken := p.opened()
	for _, want := range [][2]int{{80, 24}, {200, 60}, {1, 1}, {0, 0}} {
		p.resize(uint16(want[0]), uint16(want[1]))
		if width, height, err := taken.Size(); err != nil || [2]int{width, height} != want {
			t.Errorf("%d×%d, %v, want %d", width, height, err, want)
		}
	}
}

// TestDraw checks that each line, and what is below, is cleared of what was there.
func TestDraw(t *testing.T) {
	p := newPair(t)
	taken := p.opened()
	for _, c := range []struct {
		lines []string
		want  string
	}{
		{[]string{"one", "", "drei ü"}, "\x1b[Hone\x1b[K\r\n\x1b[K\r\ndrei ü\x1b[K\x1b[J"},
		{[]string{"one"}, "\x1b[Hone\x1b[K\x1b[J"},
		{nil, "\x1b[H\x1b[K\x1b[J"},
	} {
		if err := taken.Draw(c.lines); err != nil {
			t.Error(err)
		}
		p.shows(c.want)
	}
}

// TestGone checks the errors when the user has closed the terminal.
func TestGone(t *testing.T) {
	p := newPair(t)
	taken := p.opened()
	ended := make(chan error, 1)
	go func() { ended <- taken.Keys(nil, func(key string) { t.Errorf("key %q", key) }) }()
	p.user.Close()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("the keys have ended without an error")
		}
	case <-time.After(patience):
		t.Fatal("the keys do not end")
	}
	if _, _, err := taken.Size(); err == nil {
		t.Error("it has a size")
	}
	if err := taken.Draw([]string{"x"}); err == nil {
		t.Error("it can be drawn on")
	}
	if err := taken.Close(); err == nil {
		t.Error("it has been given back")
	}
}

var names = map[string]string{"\x1b[A": "up", "\x1bOA": "up", "\x1b[5~": "page", "\x1b": "escape", "\r": "enter", "\x03": "interrupt"}

// typist types keys, in pieces of which each is read before the next one is there.
type typist struct {
	*testing.T
	out, in *os.File
	keys    chan string
	ended   chan error
}

// newTypist has keys read whose rests come within a time.
func newTypist(t *testing.T, wait time.Duration) *typist {
	t.Helper()
	in, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	y := &typist{T: t, out: out, in: in, keys: make(chan string, 4096), ended: make(chan error, 1)}
	go func() {
		y.ended <- (&Terminal{in: in, wait: wait}).Keys(names, func(key string) { y.keys <- key })
	}()
	t.Cleanup(func() {
		out.Close()
		<-y.ended
		in.Close()
	})
	return y
}

func (y *typist) types(pieces ...string) {
	y.Helper()
	fd := int(y.out.Fd())
	for _, piece := range pieces {
		if _, err := y.out.WriteString(piece); err != nil {
			y.Fatal(err)
		}
		for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			left, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
			if err != nil {
				y.Fatal(err)
			}
			if left == 0 {
				break
			}
			if time.Now().After(end) {
				y.Fatalf("%d bytes are not read", left)
			}
		}
	}
}

func (y *typist) gets(want ...string) {
	y.Helper()
	var got []string
	for range want {
		select {
		case key := <-y.keys:
			got = append(got, key)
		case <-time.After(patience):
			y.Fatalf("only %q, want %q", got, want)
		}
	}
	if !slices.Equal(got, want) {
		y.Errorf("%q, want %q", got, want)
	}
}

// TestKeys checks the names of keys, on a terminal.
func TestKeys(t *testing.T) {
	p := newPair(t)
	taken := p.opened()
	keys, ended := make(chan string, 16), make(chan error, 1)
	go func() { ended <- taken.Keys(names, func(key string) { keys <- key }) }()
	y := &typist{T: t, keys: keys}
	// A signal and the end of the input are keys here, and those without a name are left out.
	if _, err := p.user.WriteString("aü \x1b[A\x1b[5~\x1bOA\r\x03\x04\x1b[99~\xffz"); err != nil {
		t.Fatal(err)
	}
	y.gets("a", "ü", " ", "up", "page", "up", "enter", "interrupt", "z")
	if _, err := p.user.WriteString("\x1b"); err != nil {
		t.Fatal(err)
	}
	y.gets("escape")
	p.user.Close()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("the keys do not end")
	}
}

// TestKeysInPieces checks that a key which comes in pieces is that key.
func TestKeysInPieces(t *testing.T) {
	y := newTypist(t, time.Minute)
	for _, c := range []struct{ pieces, want []string }{
		{[]string{"\x1b", "[A"}, []string{"up"}},
		{[]string{"\x1b[", "A"}, []string{"up"}},
		{[]string{"\x1b", "O", "A"}, []string{"up"}},
		{[]string{"a\x1b", "[", "5", "~b"}, []string{"a", "page", "b"}},
		{[]string{"\xc3", "\xbc"}, []string{"ü"}},
		{[]string{"\xe2", "\x82", "\xacx"}, []string{"€", "x"}},
		{[]string{"\x1b\x1b", "[A"}, []string{"escape", "up"}},
		{[]string{"\x1b", "x"}, []string{"escape", "x"}},
		{[]string{"\xc3", "x"}, []string{"x"}},
		{[]string{"\x1b[" + strings.Repeat("1", longest)}, nil}, // not waited for
		{[]string{"y"}, []string{"y"}},
		{[]string{strings.Repeat("\x1b[A", 300)}, slices.Repeat([]string{"up"}, 300)}, // longer than the buffer
	} {
		y.types(c.pieces...)
		y.gets(c.want...)
	}
}

// TestKeysWithoutRest checks that what is only the beginning of a key is not waited for
// forever.
func TestKeysWithoutRest(t *testing.T) {
	y := newTypist(t, time.Millisecond)
	y.types("\x1b")
	y.gets("escape")
	y.types("\x1b[")
	y.gets("escape", "[")
	y.types("\xc3")
	y.types("q")
	y.gets("q")
}

// TestKeysEnd checks that the end of the input ends the keys, also within one.
func TestKeysEnd(t *testing.T) {
	for _, input := range []string{"", "a", "\x1b["} {
		y := newTypist(t, time.Minute)
		y.types(input)
		if input == "a" {
			y.gets("a")
		}
		y.out.Close()
		select {
		case err := <-y.ended:
			if err != io.EOF {
				t.Errorf("%q: %v", input, err)
			}
			y.ended <- err
		case <-time.After(patience):
			t.Fatalf("%q: the keys do not end", input)
		}
		if n := len(y.keys); n != 0 {
			t.Errorf("%q: %d keys too many", input, n)
		}
	}
}

// Package terminal gives a program the whole screen of a terminal, and each key as it is
// pressed.
package terminal

import (
	"cmp"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Escape sequences (ECMA-48 and xterm, which all terminals of today understand).
const (
	enter = "\x1b[?1049h\x1b[?25l" // the other screen, no cursor
	leave = "\x1b[?25h\x1b[?1049l"
	home  = "\x1b[H"
	rest  = "\x1b[K" // clears what is left of a line
	below = "\x1b[J" // clears what is below
)

const (
	// rests is how long the rest of a key may take that comes in pieces, as over a network or at
	// the end of the buffer. Escape itself is the beginning of a key without a rest.
	rests = 50 * time.Millisecond
	// longest is how long a key may be, in bytes.
	longest = 32
)

// Terminal is a terminal whose screen this program has.
type Terminal struct {
	in, out *os.File
	before  *term.State
	wait    time.Duration // for what is left of a key; 0: [rests]
}

// Open takes over the terminal that in and out are. It is an error if they are no terminal.
func Open(in, out *os.File) (*Terminal, error) {
	t := &Terminal{in: in, out: out}
	if _, _, err := term.GetSize(int(out.Fd())); err != nil {
		return nil, err
	}
	var err error
	if t.before, err = term.MakeRaw(int(in.Fd())); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(out, enter); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// Close gives the terminal back as it was. It may be called again.
func (t *Terminal) Close() error {
	_, err := io.WriteString(t.out, leave)
	if failed := term.Restore(int(t.in.Fd()), t.before); failed != nil {
		err = failed
	}
	return err
}

// Size is how many columns and lines the terminal has.
func (t *Terminal) Size() (width, height int, err error) { return term.GetSize(int(t.out.Fd())) }

// Draw shows lines from the top, none of which is longer than the terminal is wide.
func (t *Terminal) Draw(lines []string) error {
	_, err := io.WriteString(t.out, home+strings.Join(lines, rest+"\r\n")+rest+below)
	return err
}

// Keys calls press for each key, by the names that name has or as the letter that it is,
// until the terminal cannot be read, which is its error.
func (t *Terminal) Keys(name map[string]string, press func(key string)) error {
	b := make([]byte, 256)
	for input := ""; ; {
		n, err := t.in.Read(b)
		if err != nil {
			return err
		}
		for input += string(b[:n]); input != "" && !(begun(input) && t.more()); {
			var one string
			one, input = next(input)
			if named, known := name[one]; known {
				one = named
			} else if r, _ := utf8.DecodeRuneInString(one); r < ' ' || r == utf8.RuneError {
				continue // a key that is not used
			}
			press(one)
		}
	}
}

// more waits for more input, and is whether there is some, or its end.
func (t *Terminal) more() bool {
	for {
		fds := []unix.PollFd{{Fd: int32(t.in.Fd()), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(cmp.Or(t.wait, rests).Milliseconds()))
		if err != unix.EINTR {
			return n > 0
		}
	}
}

// begun is whether an input may be only the beginning of a key.
func begun(input string) bool {
	switch {
	case len(input) >= longest:
		return false
	case input[0] != '\x1b':
		return !utf8.FullRuneInString(input)
	case len(input) <= 2:
		return len(input) == 1 || input[1] == '[' || input[1] == 'O'
	}
	key, left := next(input)
	last := key[len(key)-1]
	return len(key) > 2 && left == "" && (last < '@' || last > '~')
}

// next is the first key of an input: an escape sequence or a letter.
func next(input string) (key, left string) {
	_, size := utf8.DecodeRuneInString(input)
	if len(input) > 2 && input[0] == '\x1b' && (input[1] == '[' || input[1] == 'O') {
		size = 3
		for size < len(input) && (input[size-1] < '@' || input[size-1] > '~') {
			size++
		}
	}
	return input[:size], input[size:]
}

package notify

import (
	"bytes"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"keepalived-go/conf"
)

// parrot is a connection to a server that says what it has in store, whatever is
// said to it. It counts what is read.
type parrot struct {
	net.Conn // nil: nothing else is called
	say      []byte
	endless  bool
	read     int
}

func (p *parrot) Read(b []byte) (int, error) {
	if p.endless {
		for i := range b {
			b[i] = p.say[(p.read+i)%len(p.say)]
		}
		p.read += len(b)
		return len(b), nil
	}
	if len(p.say) == 0 {
		return 0, errors.New("said all")
	}
	n := copy(b, p.say)
	p.say = p.say[n:]
	p.read += n
	return n, nil
}

func (*parrot) Write(b []byte) (int, error)      { return len(b), nil }
func (*parrot) Close() error                     { return nil }
func (*parrot) SetDeadline(time.Time) error      { return nil }
func (*parrot) SetReadDeadline(time.Time) error  { return nil }
func (*parrot) SetWriteDeadline(time.Time) error { return nil }
func (*parrot) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

const parrotPassword = "s3cret-pa55w0rd"

// deliverTo sends a mail to a parrot.
func deliverTo(p *parrot, user string) error {
	m := &mailer{hostname: "h", dial: func(context.Context, string, string) (net.Conn, error) { return p, nil }}
	s := complete(conf.Mail{Server: "127.0.0.1", To: []string{"a@example.org"}, User: user, Password: parrotPassword}, "r", "h")
	return m.deliver(context.Background(), &s, &alert{Mail: Mail{Subject: "s"}, date: time.Unix(0, 0)})
}

// TestEndlessReplies: a server that never ends what it says costs a few kilobytes
// and a sentence, whatever the form of it and wherever in the dialogue.
func TestEndlessReplies(t *testing.T) {
	for _, say := range []string{"x", "220", "220-more\r\n", "\r\n", "220 \x00", "220-" + strings.Repeat("y", 4000), "2"} {
		for _, before := range []string{"", "220 hello\r\n", "220 hello\r\n250 hello\r\n"} {
			p := &parrot{say: []byte(before + strings.Repeat(say, 1+(64<<10)/len(say))), endless: true}
			err := deliverTo(p, "")
			if err == nil {
				t.Errorf("%.20q after %q is taken for success", say, before)
				continue
			}
			if p.read > 8*maxReply {
				t.Errorf("%.20q after %q: %d bytes were read", say, before, p.read)
			}
			if len(err.Error()) > 4*maxShown {
				t.Errorf("%.20q after %q: the message has %d bytes", say, before, len(err.Error()))
			}
		}
	}
	err := deliverTo(&parrot{say: []byte("220-more\r\n"), endless: true}, "")
	if !errors.Is(err, errTooLong) {
		t.Errorf("an endless greeting: %v, want %v", err, errTooLong)
	}
}

// FuzzReplies: no reply panics, is read without end, shows the password, or makes
// a message of more than a line.
func FuzzReplies(f *testing.F) {
	for _, say := range []string{
		"220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n250 x\r\n221 x\r\n",
		"220 x\r\n250-x\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n235 x\r\n250 x\r\n",
		"220 x\r\n250-x\r\n250 AUTH LOGIN\r\n334 x\r\n334 x\r\n535 " + parrotPassword + "\r\n",
		"220 x\r\n250-x\r\n250 AUTH PLAIN\r\n" + parrotPassword + "\r\n",
		"554-no\r\n554 \x1b[31mno\r\n", "220", "", "220-x\r\n221 x\r\n", "-1 \r\n",
	} {
		f.Add([]byte(say), true)
		f.Add([]byte(say), false)
	}
	f.Fuzz(func(t *testing.T, say []byte, auth bool) {
		user := ""
		if auth {
			user = "me"
		}
		if bytes.Contains(say, []byte(parrotPassword[:4])) && !auth {
			return // said in clear before we have
		}
		p := &parrot{say: say}
		err := deliverTo(p, user)
		if err == nil {
			return
		}
		text := err.Error()
		if len(text) > 4*maxShown || strings.ContainsAny(text, "\n\r\x1b\x00") {
			t.Errorf("message of %d bytes: %q", len(text), text)
		}
	})
}

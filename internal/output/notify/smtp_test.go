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

// fixedReplies is a connection to a server that sends a fixed text whatever it receives. It
// counts the bytes that are read.
type fixedReplies struct {
	net.Conn // nil: no other method is called
	text     []byte
	endless  bool
	read     int
}

func (p *fixedReplies) Read(b []byte) (int, error) {
	if p.endless {
		for i := range b {
			b[i] = p.text[(p.read+i)%len(p.text)]
		}
		p.read += len(b)
		return len(b), nil
	}
	if len(p.text) == 0 {
		return 0, errors.New("end of text")
	}
	n := copy(b, p.text)
	p.text = p.text[n:]
	p.read += n
	return n, nil
}

func (*fixedReplies) Write(b []byte) (int, error)      { return len(b), nil }
func (*fixedReplies) Close() error                     { return nil }
func (*fixedReplies) SetDeadline(time.Time) error      { return nil }
func (*fixedReplies) SetReadDeadline(time.Time) error  { return nil }
func (*fixedReplies) SetWriteDeadline(time.Time) error { return nil }
func (*fixedReplies) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }

const replyPassword = "s3cret-pa55w0rd"

// deliverTo sends a mail over p.
func deliverTo(p *fixedReplies, user string) error {
	m := &mailer{hostname: "h", dial: func(context.Context, string, string) (net.Conn, error) { return p, nil }}
	s := complete(conf.Mail{Server: "127.0.0.1", To: []string{"a@example.org"}, User: user, Password: replyPassword}, "r", "h")
	return m.deliver(context.Background(), &s, &alert{Mail: Mail{Subject: "s"}, date: time.Unix(0, 0)})
}

// TestEndlessReplies checks that a reply without an end is refused with a short error
// after a few kilobytes, in any form and at any point of the dialogue.
func TestEndlessReplies(t *testing.T) {
	for _, reply := range []string{"x", "220", "220-more\r\n", "\r\n", "220 \x00", "220-" + strings.Repeat("y", 4000), "2"} {
		for _, before := range []string{"", "220 hello\r\n", "220 hello\r\n250 hello\r\n"} {
			p := &fixedReplies{text: []byte(before + strings.Repeat(reply, 1+(64<<10)/len(reply))), endless: true}
			err := deliverTo(p, "")
			if err == nil {
				t.Errorf("%.20q after %q is taken for success", reply, before)
				continue
			}
			if p.read > 8*maxReply {
				t.Errorf("%.20q after %q: %d bytes were read", reply, before, p.read)
			}
			if len(err.Error()) > 4*maxShown {
				t.Errorf("%.20q after %q: the message has %d bytes", reply, before, len(err.Error()))
			}
		}
	}
	err := deliverTo(&fixedReplies{text: []byte("220-more\r\n"), endless: true}, "")
	if !errors.Is(err, errTooLong) {
		t.Errorf("an endless greeting: %v, want %v", err, errTooLong)
	}
}

// FuzzReplies checks that no reply causes a panic, is read without end, shows the
// password, or makes a message of more than one line.
func FuzzReplies(f *testing.F) {
	for _, reply := range []string{
		"220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n250 x\r\n221 x\r\n",
		"220 x\r\n250-x\r\n250-AUTH PLAIN LOGIN\r\n250 8BITMIME\r\n235 x\r\n250 x\r\n",
		"220 x\r\n250-x\r\n250 AUTH LOGIN\r\n334 x\r\n334 x\r\n535 " + replyPassword + "\r\n",
		"220 x\r\n250-x\r\n250 AUTH PLAIN\r\n" + replyPassword + "\r\n",
		"554-no\r\n554 \x1b[31mno\r\n", "220", "", "220-x\r\n221 x\r\n", "-1 \r\n",
	} {
		f.Add([]byte(reply), true)
		f.Add([]byte(reply), false)
	}
	f.Fuzz(func(t *testing.T, reply []byte, auth bool) {
		user := ""
		if auth {
			user = "me"
		}
		if bytes.Contains(reply, []byte(replyPassword[:4])) && !auth {
			return // the server sent it before we did
		}
		p := &fixedReplies{text: reply}
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

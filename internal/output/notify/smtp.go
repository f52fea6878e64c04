package notify

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"
)

// session is a dialogue with an SMTP server (RFC 5321). It sends the commands of
// keepalived, in that order; net/smtp would begin with EHLO.
type session struct {
	*textproto.Conn
	in         *bounded // what Conn reads from
	conn       net.Conn
	server     string // its name, or its address
	encrypted  bool
	extensions map[string]string // offered, with their arguments
}

// deliver sends a to the server in s. It ends with ctx, or earlier.
func (m *mailer) deliver(ctx context.Context, s *settings, a *alert) error {
	addr := net.JoinHostPort(s.Server, fmt.Sprint(s.Port))
	dialCtx, cancel := context.WithTimeout(ctx, s.ConnectTimeout)
	defer cancel()
	conn, err := m.dial(dialCtx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", addr, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(dialogueTimeout))
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()

	c := &session{conn: conn, server: s.Server}
	c.over(conn)
	err = m.talk(c, s, a)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("%w (the server did not answer in time)", err)
	}
	return err
}

func (m *mailer) talk(c *session, s *settings, a *alert) error {
	if _, err := c.reply(220); err != nil {
		return fmt.Errorf("greeting of the server: %w", err)
	}
	if err := m.introduce(c, s); err != nil {
		return err
	}
	if _, err := c.command(250, "MAIL FROM:<%s>", envelopeAddress(s.From)); err != nil {
		return err
	}
	accepted := 0
	var refused error
	for _, to := range s.To {
		if _, err := c.command(25, "RCPT TO:<%s>", envelopeAddress(to)); err == nil {
			accepted++
		} else if refused = err; replyCode(err) == 0 {
			return err
		} else {
			slog.Warn(fmt.Sprintf("SMTP server %s refuses a recipient: %v", s.Server, err))
		}
	}
	if accepted == 0 {
		return refused
	}
	if _, err := c.command(354, "DATA"); err != nil {
		return err
	}
	w := c.DotWriter()
	if _, err := w.Write([]byte(a.message(s))); err != nil {
		return fmt.Errorf("send the message: %w", err)
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("send the message: %w", err)
	}
	if _, err := c.reply(250); err != nil {
		return fmt.Errorf("the message: %w", err)
	}
	c.command(221, "QUIT") // accepted is accepted, whatever is answered
	return nil
}

// introduce sends our name, and authenticates where that is configured.
func (m *mailer) introduce(c *session, s *settings) error {
	if !s.STARTTLS && s.User == "" {
		_, err := c.command(250, "HELO %s", s.HeloName)
		return err
	}
	if err := c.ehlo(s.HeloName); err != nil {
		return err
	}
	if s.STARTTLS {
		if err := m.encrypt(c, s); err != nil {
			return err
		}
	}
	if s.User != "" {
		return c.authenticate(s)
	}
	return nil
}

func (m *mailer) encrypt(c *session, s *settings) error {
	if _, ok := c.extensions["STARTTLS"]; !ok {
		return fmt.Errorf("%s does not offer STARTTLS, and mail is not sent in clear text", c.server)
	}
	if _, err := c.command(220, "STARTTLS"); err != nil {
		return err
	}
	t := tls.Client(c.conn, &tls.Config{ServerName: c.server, RootCAs: m.roots})
	if err := t.Handshake(); err != nil {
		return fmt.Errorf("STARTTLS with %s: %w", c.server, err)
	}
	// Anything read before is forgotten (RFC 3207, 4.2).
	c.over(t)
	c.encrypted = true
	return c.ehlo(s.HeloName)
}

func (c *session) ehlo(name string) error {
	text, err := c.command(250, "EHLO %s", name)
	if err != nil {
		return err
	}
	c.extensions = make(map[string]string)
	for _, line := range strings.Split(text, "\n")[1:] {
		word, rest, _ := strings.Cut(line, " ")
		c.extensions[strings.ToUpper(word)] = rest
	}
	return nil
}

// authenticate proves who we are by PLAIN (RFC 4616) or LOGIN, whichever the
// server offers. Neither hides the password, so the connection must, unless it
// does not leave this node.
func (c *session) authenticate(s *settings) error {
	if a, ok := c.conn.RemoteAddr().(*net.TCPAddr); !c.encrypted && !(ok && a.IP.IsLoopback()) {
		return fmt.Errorf("the password for %s is not sent in clear text: write smtp_starttls", c.server)
	}
	encode := base64.StdEncoding.EncodeToString
	mechanisms := strings.Fields(strings.ToUpper(c.extensions["AUTH"]))
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		return c.secret(235, "AUTH PLAIN", "AUTH PLAIN "+encode([]byte("\x00"+s.User+"\x00"+string(s.Password))))
	case slices.Contains(mechanisms, "LOGIN"):
		if _, err := c.command(334, "AUTH LOGIN"); err != nil {
			return err
		}
		if err := c.secret(334, "AUTH LOGIN, user", encode([]byte(s.User))); err != nil {
			return err
		}
		return c.secret(235, "AUTH LOGIN, password", encode([]byte(s.Password)))
	}
	return fmt.Errorf("%s offers neither AUTH PLAIN nor AUTH LOGIN", c.server)
}

// command sends a line and reads the answer, whose code must begin with or be
// the one expected. The error names the command.
func (c *session) command(expected int, format string, args ...any) (string, error) {
	line := fmt.Sprintf(format, args...)
	if err := c.PrintfLine("%s", line); err != nil {
		return "", fmt.Errorf("%s: %w", line, err)
	}
	text, err := c.reply(expected)
	if err != nil {
		return "", fmt.Errorf("%s: %w", line, err)
	}
	return text, nil
}

const (
	// maxReply bounds a reply of the server, all its lines together, in bytes. RFC
	// 5321 (4.5.3.1.5) allows 512 for a line; a reply to EHLO has some dozen.
	maxReply = 16 << 10
	// maxShown is how many bytes of a reply a message shows.
	maxShown = 256
)

// over has the dialogue go over conn from here on.
func (c *session) over(conn net.Conn) {
	c.in = &bounded{Conn: conn}
	c.Conn = textproto.NewConn(c.in)
}

// bounded is a connection of which no more can be read than is granted.
type bounded struct {
	net.Conn
	left int // bytes
}

var errTooLong = fmt.Errorf("the answer is longer than %d bytes", maxReply)

func (b *bounded) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, errTooLong
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// reply reads the server's answer, whose code must begin with or be the one
// expected. What the error shows of it is cut.
func (c *session) reply(expected int) (text string, err error) {
	c.in.left = maxReply
	_, text, err = c.ReadResponse(expected)
	var refused *textproto.Error
	var nonsense textproto.ProtocolError
	switch {
	case errors.As(err, &refused):
		err = &textproto.Error{Code: refused.Code, Msg: cut(refused.Msg)}
	case errors.As(err, &nonsense):
		err = textproto.ProtocolError(cut(string(nonsense)))
	}
	return text, err
}

// cut shortens what a server said to what a message shows, on one line.
func cut(text string) string {
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text), "?")
}

// secret is command for a line that no message shows, nor the reply of the server
// to it, for it might repeat it.
func (c *session) secret(expected int, what, line string) error {
	if err := c.PrintfLine("%s", line); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	_, err := c.reply(expected)
	var reply *textproto.Error
	var nonsense textproto.ProtocolError
	switch {
	case errors.As(err, &reply):
		err = &textproto.Error{Code: reply.Code, Msg: "refused"}
	case errors.As(err, &nonsense):
		err = errors.New("the answer is not an SMTP reply")
	}
	if err != nil {
		return fmt.Errorf("%s as configured: %w", what, err)
	}
	return nil
}

// replyCode is the code of the reply that err is; 0 if it is none.
func replyCode(err error) int {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return reply.Code
	}
	return 0
}

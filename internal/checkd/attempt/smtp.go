package attempt

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/checkd/life"
)

// SMTP is SMTP_CHECK: the server is good if it greets, answers HELO, and replies
// anything to QUIT. Each host block of the configuration is a check of its own.
type SMTP struct {
	Names
	*Connection
	Helo string // helo_name, default smtpchecker.keepalived.org
}

// smtpRun is one attempt.
type smtpRun struct {
	*SMTP
	connected bool
	step      int // of smtpSteps
	reply     smtpReply
	unsent    []byte
}

// smtpSteps are what is awaited, in turn. The last one takes any answer.
var smtpSteps = [...]struct {
	code         int
	what, remark string
}{
	{220, "Bad greeting banner", "greeting"},
	{250, "Bad HELO response", "HELO"},
	{0, "Bad quit response", "QUIT"},
}

func (k *SMTP) begin(a *Attempt, _ int) {
	a.run = &smtpRun{SMTP: k}
	k.connect(a, func(err error) string { return "Error connecting to server " + k.host() + why(err) })
}

// host is the server as the lines of this kind call it.
func (k *SMTP) host() string { return fmt.Sprintf("[%s]:%d", k.Addr, k.Port) }

func (r *smtpRun) ready(a *Attempt, events uint32) {
	if !r.connected {
		if err := sockErr(a.fd); err != nil {
			a.fail("Could not connect to server " + r.host() + why(err))
			return
		}
		if events&evWrite == 0 {
			return
		}
		r.connected = true
		a.wait(r.Timeout)
	}
	if !r.send(a) {
		return
	}
	for range 16 {
		n, err := unix.Read(a.fd, a.env.buf[:512])
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			return
		case err != nil:
			a.fail("Read error from server " + r.host() + why(err))
			return
		case n == 0:
			a.fail(fmt.Sprintf("Remote host %s has closed the connection (before its answer to %s)", r.host(), smtpSteps[r.step].remark))
			return
		}
		if !r.take(a, a.env.buf[:n]) {
			return
		}
	}
	a.again(evNews)
}

// take takes up what was read, and reports whether more is to be read.
func (r *smtpRun) take(a *Attempt, p []byte) bool {
	for len(p) > 0 {
		var done bool
		var err error
		p, done, err = r.reply.feed(p)
		step := smtpSteps[r.step]
		switch {
		case err == nil && !done:
			return true
		case step.code == 0: // whatever it is
			a.pass()
			return false
		case err != nil:
			a.fail(fmt.Sprintf("%s from server %s (%v)", step.what, r.host(), err))
			return false
		case r.reply.code != step.code:
			a.fail(fmt.Sprintf("%s from server %s (%+.80q)", step.what, r.host(), r.reply.first))
			return false
		}
		r.reply = smtpReply{}
		r.step++
		r.unsent = []byte("QUIT\r\n")
		if r.step == 1 {
			r.unsent = []byte("HELO " + r.Helo + "\r\n")
		}
		a.wait(r.Timeout)
		if !r.send(a) {
			return false
		}
	}
	return true
}

// send writes what has not been sent, and reports whether that was all.
func (r *smtpRun) send(a *Attempt) bool {
	for len(r.unsent) > 0 {
		n, err := unix.Write(a.fd, r.unsent)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return false // EPOLLOUT follows
		case err != nil:
			a.fail("Cannot send data to remote server " + r.host() + why(err))
			return false
		default:
			r.unsent = r.unsent[n:]
		}
	}
	return true
}

func (r *smtpRun) expire(a *Attempt) {
	switch {
	case !r.connected:
		a.fail("Connection timeout to server " + r.host())
	case len(r.unsent) > 0:
		a.fail("Send timeout to server " + r.host())
	default:
		a.fail("Read timeout from server " + r.host())
	}
}

// smtpReply reads one reply of a server, of one line or several, as it comes.
type smtpReply struct {
	code  int
	first []byte // beginning of the first line, for the log
	line  []byte // beginning of the line that has not ended

	size int
}

const (
	smtpLine = 128      // of a line that are kept
	smtpMost = 16 << 10 // longest reply
)

var (
	errReplyLong = fmt.Errorf("longer than %d bytes", smtpMost)
	errReply     = errors.New("not a reply")
)

// feed takes up bytes. It returns the bytes after the reply, and whether it is
// complete. An error is one of the reply, which is then of no use.
func (r *smtpReply) feed(p []byte) (rest []byte, done bool, err error) {
	for i, c := range p {
		if r.size++; r.size > smtpMost {
			return nil, false, errReplyLong
		}
		if c != '\n' {
			if len(r.line) < smtpLine {
				r.line = append(r.line, c)
			}
			continue
		}
		last, err := r.endLine()
		if err != nil || last {
			return p[i+1:], last, err
		}
	}
	return nil, false, nil
}

// endLine judges a line: three digits, then a hyphen if more lines follow, else
// a space or nothing.
func (r *smtpReply) endLine() (last bool, err error) {
	line := r.line
	r.line = nil
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	code := 0
	for i := range 3 {
		if i >= len(line) || line[i] < '0' || line[i] > '9' {
			return false, fmt.Errorf("%w: %+.80q", errReply, line)
		}
		code = code*10 + int(line[i]-'0')
	}
	if r.first == nil {
		r.code, r.first = code, line
	}
	switch {
	case code != r.code:
		return false, fmt.Errorf("%w: a line with %d follows one with %d", errReply, code, r.code)
	case len(line) == 3 || line[3] == ' ':
		return true, nil
	case line[3] == '-':
		return false, nil
	}
	return false, fmt.Errorf("%w: %+.80q", errReply, line)
}

func (k *SMTP) line(v *life.Verdict) string {
	if v.OK {
		return fmt.Sprintf("Remote SMTP server %s succeed on service.", k.host())
	}
	return "SMTP_CHECK " + v.Reason
}

// Longest is a timeout for the connection and for each answer.
func (k *SMTP) Longest() time.Duration { return time.Duration(1+len(smtpSteps)) * k.Timeout }

// Mail is in the words of the C daemon.
func (k *SMTP) Mail(v *life.Verdict) string {
	if v.Up {
		return serviceMail("CHECK", v)
	}
	return "=> CHECK failed on service : " + v.Reason + " <="
}

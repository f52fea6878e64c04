package logging

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	devLog        = "/dev/log"
	journalDevLog = "/run/systemd/journal/dev-log" // what /dev/log links to where the journal serves it
	journalSocket = "/run/systemd/journal/socket"  // the journal's own protocol

	// patience is how long a line waits for a full socket. After one has waited
	// in vain, none waits until one is taken again.
	patience = 100 * time.Millisecond
	// redialPause is the least time between two attempts to connect.
	redialPause = time.Second
)

// syslog sends datagrams to the syslog daemon, or to the journal.
type syslog struct {
	ident    string
	facility Facility
	socket   string
	journal  bool // speak the journal's protocol, with fields

	conn   *net.UnixConn // nil: not connected
	dialed time.Time
	stuck  bool
	buf    []byte
}

func newSyslog(o Options) *syslog {
	s := &syslog{ident: o.Ident, facility: o.Facility, socket: o.SyslogSocket}
	if s.facility == 0 {
		s.facility = Daemon
	}
	if s.socket == "" {
		s.socket = devLog
		if dst, err := filepath.EvalSymlinks(devLog); err == nil && dst == journalDevLog {
			s.socket, s.journal = journalSocket, true
		}
	}
	return s
}

func (s *syslog) write(entries []entry) (lost int) {
	for i := range entries {
		if s.writeOne(&entries[i]) != nil {
			lost++
		}
	}
	return lost
}

func (s *syslog) writeOne(e *entry) error {
	if s.journal {
		s.buf = s.appendJournal(s.buf[:0], e)
	} else {
		s.buf = s.appendSyslog(s.buf[:0], e)
	}
	fresh := s.conn == nil
	if err := s.connect(); err != nil {
		return err
	}
	err := s.send()
	if err == nil || fresh || errors.Is(err, unix.EAGAIN) || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	// The daemon was restarted: its socket is another one now.
	s.conn.Close()
	s.conn = nil
	if err := s.connect(); err != nil {
		return err
	}
	return s.send()
}

func (s *syslog) connect() error {
	if s.conn != nil {
		return nil
	}
	if time.Since(s.dialed) < redialPause {
		return unix.ENOTCONN
	}
	s.dialed = time.Now()
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: s.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	s.conn = conn
	return nil
}

func (s *syslog) send() error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return err
	}
	var deadline time.Time
	if !s.stuck {
		deadline = time.Now().Add(patience)
	}
	if err := s.conn.SetWriteDeadline(deadline); err != nil {
		return err
	}
	var werr error
	err = raw.Write(func(fd uintptr) bool {
		_, werr = unix.Write(int(fd), s.buf)
		return s.stuck || !errors.Is(werr, unix.EAGAIN)
	})
	if err == nil {
		err = werr
	}
	s.stuck = errors.Is(err, unix.EAGAIN) || errors.Is(err, os.ErrDeadlineExceeded)
	return err
}

// settle waits until the journal has read all that was sent to it, at most
// until deadline, and reports whether it has. The journal looks up in /proc
// which service a line is of: what it reads from a process that has ended,
// "journalctl -u" and "systemctl status" do not show.
func (s *syslog) settle(deadline time.Time) bool {
	if !s.journal || s.conn == nil {
		return true
	}
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return false
	}
	for {
		var unread int
		cerr := raw.Control(func(fd uintptr) { unread, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
		switch {
		case cerr != nil || err != nil:
			return false
		case unread == 0:
			return true
		case time.Now().After(deadline):
			return false
		}
		time.Sleep(time.Millisecond) // there is no event for it
	}
}

// appendSyslog appends e in the form that syslog(3) sends to its daemon on the
// same host.
func (s *syslog) appendSyslog(b []byte, e *entry) []byte {
	b = append(b, '<')
	b = strconv.AppendInt(b, int64(int(s.facility)<<3|severity(e.level)), 10)
	b = append(b, '>')
	t := e.time
	if t.IsZero() {
		t = time.Now()
	}
	b = t.AppendFormat(b, time.Stamp)
	b = append(b, ' ')
	b = append(b, s.ident...)
	b = append(b, '[')
	b = strconv.AppendInt(b, int64(os.Getpid()), 10)
	b = append(b, "]: "...)
	return append(b, e.text...)
}

// appendJournal appends e in the journal's native protocol (systemd,
// JOURNAL_NATIVE_PROTOCOL).
func (s *syslog) appendJournal(b []byte, e *entry) []byte {
	b = appendJournalField(b, "MESSAGE", e.text)
	b = appendJournalField(b, "PRIORITY", strconv.Itoa(severity(e.level)))
	b = appendJournalField(b, "SYSLOG_FACILITY", strconv.Itoa(int(s.facility)))
	b = appendJournalField(b, "SYSLOG_IDENTIFIER", s.ident)
	b = appendJournalField(b, "SYSLOG_PID", strconv.Itoa(os.Getpid()))
	for _, f := range e.fields {
		if name := journalName(f.key); name != "" {
			b = appendJournalField(b, name, f.value)
		}
	}
	return b
}

func appendJournalField(b []byte, name, value string) []byte {
	b = append(b, name...)
	if strings.IndexByte(value, '\n') < 0 {
		b = append(b, '=')
	} else {
		b = append(b, '\n')
		b = binary.LittleEndian.AppendUint64(b, uint64(len(value)))
	}
	b = append(b, value...)
	return append(b, '\n')
}

// journalName turns a key into a field name: upper case letters, digits and
// underscores, at most 64, beginning with a letter. It returns "" if nothing
// of that is left.
func journalName(key string) string {
	name := bytes.ToUpper([]byte(key))
	for i, c := range name {
		if (c < 'A' || c > 'Z') && (c < '0' || c > '9') {
			name[i] = '_'
		}
	}
	name = bytes.TrimLeft(name, "_0123456789")
	return string(name[:min(len(name), 64)])
}

func redirectStderr(f *os.File) error {
	return unix.Dup3(int(f.Fd()), syscall.Stderr, 0)
}

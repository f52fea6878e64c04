// Package link carries messages between the parent process and its children,
// over a socket pair.
//
// A message is a frame of package wire. Both ends are the same executable file.
package link

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/wire"
)

// Kind distinguishes messages.
type Kind uint8

const (
	// To a child.

	Begin      Kind = iota + 1 // Setup: how the process is to run; always the first message
	Configure                  // Config: the first configuration, then one for each reload
	Stop                       // end: send priority 0, remove addresses, exit
	DumpData                   // write the state dump (SIGUSR1)
	DumpStats                  // write the statistics dump (SIGUSR2)
	ClearStats                 // write the statistics dump, then clear
	DumpJSON                   // write the JSON dump

	// Between a process that asks, the parent, and the process that is asked.

	Ask    // Question: answer with a snapshot of the state
	Answer // Reply: a snapshot, or why there is none
	Act    // Order: change something
	Done   // Outcome: what has come of it

	Intend // Intents: all that the process is to heed from now on

	// From a child.

	Started  // the first configuration is running
	Reloaded // a later one is
	Alive    // the loop that owns the state is running; sent each second
	Reload   // anyone has sent SIGHUP to the child, who has no configuration of its own to read
	Changed  // what the child would answer to Ask has changed; the parent passes it on
	Ending   // addresses are given up; scripts have child_wait_time to end
	Failed   // Failure: the child gives up, and exits next

	// From a child to the parent, and from there to another child.

	Report // Event
)

// Message is one message; fields that its Kind does not name are zero.
type Message struct {
	Kind     Kind
	Setup    *Setup
	Config   *conf.Config
	Failure  *Failure
	Question *Question
	Reply    *Reply
	Event    *Event
	Order    *Order
	Outcome  *Outcome
	Intents  *Intents

	File *os.File // of Answer: what goes beside the message; nil: nothing does
}

// Failure is why a child gives up.
type Failure struct {
	Text     string
	ExitCode int // with which it exits
}

// Setup is what a child must know before its configuration.
type Setup struct {
	ProcessName string // name of the process as ps(1) shows it
	StateFile   string // where the process keeps what its successor needs
	DumpDir     string // directory of dump files that the configuration does not name

	// Of the running configuration: part of dump file names.
	InstanceName, NetNamespace string

	// Log settings, as of the parent; Ident and File are those of the child.
	Ident     string
	Syslog    bool
	Facility  int // syslog facility number
	Console   bool
	File      string // empty: none
	FlushFile bool
	Level     int // slog level

	NoSwap       bool // lock the memory of the process
	CoreDump     bool
	LogAddresses bool // -a
	Keep         bool // at the end: what the process has in the kernel (-V, -I)
	LogData      bool // -d

	ReloadMarker string // of a reload_file without a path, for dumps
	Socket       string // path of the control socket
	History      string // path of the file of events

	Intents []act.Intent // that the process is to heed from the start
}

// maxFrame bounds a message, against a length field gone wrong: 65,024 virtual
// routers take about 30 MB. Other messages than a configuration hold a few names.
const (
	maxFrame = 1 << 28
	maxSmall = 1 << 20
	maxEvent = 1 << 10
)

// Frame is an encoded message. The parent keeps the frame of the running
// configuration for the successor of a child that dies, in a memory file or one
// without a name: beside the heap, where it would weigh on the collector. It is shared: whoever
// is given it calls Hold, and each one who has it calls Close.
type Frame struct {
	file  *os.File
	users atomic.Int32
}

// NewFrame encodes m, into memory or, if dir is not empty, into a file without
// a name on the file system of that directory.
func NewFrame(m Message, dir string) (*Frame, error) {
	open := func() (*os.File, error) { return newMemoryFile("keepalived-message") }
	if dir != "" {
		open = func() (*os.File, error) { return newUnnamedFile(dir) }
	}
	f, err := open()
	if err != nil {
		return nil, fmt.Errorf("keep the configuration: %w", err)
	}
	if err := wire.WriteFrame(f, uint8(m.Kind), m.value()); err != nil {
		f.Close()
		return nil, fmt.Errorf("keep the configuration: %w", err)
	}
	frame := &Frame{file: f}
	return frame.Hold(), nil
}

// Hold counts another user of f, and returns f.
func (f *Frame) Hold() *Frame {
	f.users.Add(1)
	return f
}

// Close ends one use of f. The last one releases its memory and its descriptor.
func (f *Frame) Close() {
	if f.users.Add(-1) == 0 {
		f.file.Close()
	}
}

// Conn is one end of the pair.
type Conn struct {
	conn  *net.UnixConn
	r     *bufio.Reader
	files *files
	mu    sync.Mutex // serialises writes
}

// New takes over f, one end of a socketpair(2) of type SOCK_STREAM.
func New(f *os.File) (*Conn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, fmt.Errorf("take over socket: %w", err)
	}
	f.Close()
	u, ok := c.(*net.UnixConn)
	if !ok {
		c.Close()
		return nil, fmt.Errorf("take over socket: not a unix socket but %s", c.LocalAddr().Network())
	}
	in := &files{conn: u}
	return &Conn{conn: u, r: bufio.NewReader(in), files: in}, nil
}

// Send writes m and closes its File; it may be called from several goroutines.
func (c *Conn) Send(m Message) error {
	frame := appendFrame(nil, m)
	var beside []byte
	if m.File != nil {
		defer m.File.Close()
		beside = unix.UnixRights(int(m.File.Fd()))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// The descriptor goes with the first byte. A stream takes as much as it has room for.
	n, _, err := c.conn.WriteMsgUnix(frame, beside, nil)
	if err == nil && n < len(frame) {
		_, err = c.conn.Write(frame[n:])
	}
	return err
}

// SendFrame writes a message encoded before; f can be sent again.
func (c *Conn) SendFrame(f *Frame) error {
	size, err := f.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = io.Copy(c.conn, io.NewSectionReader(f.file, 0, size))
	return err
}

// Receive waits for the next message; io.EOF: the other process has ended.
func (c *Conn) Receive() (Message, error) {
	m, err := readMessage(c.r)
	if err == nil && m.Kind == Answer && m.Reply != nil && m.Reply.Refused == "" {
		if m.File = c.files.next(); m.File == nil {
			m.Reply.Refused = "the file of the snapshot has not come: too many are open"
		}
	}
	return m, err
}

func readMessage(r io.Reader) (Message, error) {
	kind, body, err := wire.ReadFrame(r, func(kind uint8) uint32 {
		switch Kind(kind) {
		case Configure:
			return maxFrame
		case Report:
			return maxEvent
		}
		return maxSmall
	})
	// A peer that ends with our messages unread resets the connection.
	if errors.Is(err, io.ErrUnexpectedEOF) || isReset(err) {
		err = io.EOF
	}
	if err != nil {
		return Message{}, err
	}
	m := Message{Kind: Kind(kind)}
	if err := decodeBody(body, &m); err != nil {
		return Message{}, fmt.Errorf("message of kind %d: %w", m.Kind, err)
	}
	return m, nil
}

// SetDeadline bounds the calls of Send and Receive.
func (c *Conn) SetDeadline(t time.Time) error { return c.conn.SetDeadline(t) }

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// body is the field of m that its kind names, as a pointer to it; nil: there is none.
func (m *Message) body() any {
	switch m.Kind {
	case Begin:
		return &m.Setup
	case Configure:
		return &m.Config
	case Failed:
		return &m.Failure
	case Ask:
		return &m.Question
	case Answer:
		return &m.Reply
	case Report:
		return &m.Event
	case Act:
		return &m.Order
	case Done:
		return &m.Outcome
	case Intend:
		return &m.Intents
	}
	return nil
}

// value is what body points to; nil: there is none.
func (m *Message) value() any {
	body := m.body()
	if body == nil {
		return nil
	}
	return reflect.ValueOf(body).Elem().Interface()
}

func appendFrame(b []byte, m Message) []byte {
	return wire.AppendFrame(b, uint8(m.Kind), m.value())
}

func decodeBody(body []byte, m *Message) error {
	to := m.body()
	switch {
	case to != nil:
		return wire.Decode(body, to)
	case len(body) != 0:
		return fmt.Errorf("unexpected body of %d bytes", len(body))
	}
	return nil
}

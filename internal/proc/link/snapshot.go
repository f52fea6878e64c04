package link

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// A snapshot of the state of a process is asked for with [Ask], under a number, and
// answered with a [Reply] beside which goes the descriptor of a file in memory. So the
// message is short, however long the snapshot is: orders and signs of life never wait for
// it, and the parent, which passes a question of one child on to another one under a number
// of its own, passes the answer back without a look at it. Who asks has one question at a
// time open to a process; a late answer to an earlier one is known by its number.

// Question asks for the state of a process.
type Question struct {
	ID uint32
	Of string // role whose process is asked, for the parent; empty: the parent itself; or Configuration
	// Since asks for what has changed at this time or later, in nanoseconds since 1970, and
	// nothing else that grows with the configuration; 0: for everything.
	Since int64
	// Brief asks for everything but what api.WriteVRRP leaves out then.
	Brief bool
}

// Configuration asks the parent for the text of the configuration in force, with stars for
// secrets.
const Configuration = "configuration"

// Reply is the answer to [Ask]. Its snapshot is the File of the message.
type Reply struct {
	ID      uint32 // of the question
	Refused string // why there is no snapshot; empty: there is one
}

// MaxSnapshot is how long a snapshot may be, in bytes: 65,024 virtual routers of
// 1,000 bytes.
const MaxSnapshot = 64 << 20

// Refusal is the message that answers the question id with the reason why there is no
// snapshot.
func Refusal(id uint32, why string) Message {
	return Message{Kind: Answer, Reply: &Reply{ID: id, Refused: why}}
}

// Snapshot is the message that answers the question id with what write writes. What prevents
// that is the reason of a refusal. The errors of the writer may wait: it keeps its first one.
func Snapshot(id uint32, write func(*bufio.Writer) error) Message {
	f, err := newMemoryFile("keepalived-snapshot")
	if err != nil {
		return Refusal(id, "keep the snapshot: "+err.Error())
	}
	out := bufio.NewWriterSize(&bounded{f, MaxSnapshot}, 64<<10)
	if err = write(out); err == nil {
		err = out.Flush()
	}
	if err != nil {
		f.Close()
		return Refusal(id, err.Error())
	}
	return Message{Kind: Answer, Reply: &Reply{ID: id}, File: f}
}

// Text is what [Snapshot] writes of a text that is there.
func Text(body []byte) func(*bufio.Writer) error {
	return func(w *bufio.Writer) error {
		_, err := w.Write(body)
		return err
	}
}

// bounded takes so many more bytes.
type bounded struct {
	io.Writer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, fmt.Errorf("snapshot: longer than %d bytes", MaxSnapshot)
	}
	return b.Writer.Write(p)
}

// Snapshot reads the snapshot that a message of kind [Answer] carries, once. The error says
// why there is none.
func (m *Message) Snapshot() ([]byte, error) {
	if m.Reply.Refused != "" {
		return nil, errors.New(m.Reply.Refused)
	}
	defer m.File.Close()
	size, err := m.File.Seek(0, io.SeekEnd)
	if err == nil && size > MaxSnapshot {
		err = fmt.Errorf("longer than %d bytes", MaxSnapshot)
	}
	var body []byte
	if err == nil {
		body = make([]byte, size)
		_, err = m.File.ReadAt(body, 0)
	}
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return body, nil
}

// Drop releases what goes beside a message that is not sent.
func (m *Message) Drop() {
	if m.File != nil {
		m.File.Close()
	}
}

// Package link carries messages between the parent process and its children,
// over a socket pair.
package link

import (
	"encoding/gob"
	"net"
	"os"
	"sync"

	"keepalived-go/conf"
)

// Kind tells messages apart.
type Kind uint8

const (
	// To a child.

	Configure  Kind = iota + 1 // Config: the first configuration, then one for each reload
	Stop                       // end: send priority 0, remove addresses, exit
	DumpData                   // write the state dump (SIGUSR1)
	DumpStats                  // write the statistics dump (SIGUSR2)
	ClearStats                 // write the statistics dump, then clear
	DumpJSON                   // write the JSON dump

	// From a child.

	Started  // the first configuration is running
	Reloaded // a later one is
	Alive    // the loop that owns the state is running; sent each second
	Failed   // Text: the child gives up; it exits with ExitCode next
)

// Message is one message; fields that its Kind does not name are zero.
type Message struct {
	Kind     Kind
	Config   *conf.Config
	Text     string
	ExitCode int
}

// Conn is one end of the pair.
type Conn struct {
	conn net.Conn
	dec  *gob.Decoder
	mu   sync.Mutex // guards enc
	enc  *gob.Encoder
}

// New takes over f, one end of a socketpair(2) of type SOCK_STREAM.
func New(f *os.File) (*Conn, error) {
	c, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	f.Close()
	return &Conn{conn: c, dec: gob.NewDecoder(c), enc: gob.NewEncoder(c)}, nil
}

// Send writes m; it may be called from several goroutines.
func (c *Conn) Send(m Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.enc.Encode(m)
}

// Receive waits for the next message; io.EOF says that the other process ended.
func (c *Conn) Receive() (Message, error) {
	var m Message
	err := c.dec.Decode(&m)
	return m, err
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

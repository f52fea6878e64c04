package controld

import (
	"context"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// clients is the listener of the socket. It knows who its clients are, and how many there
// are at a time; others wait.
type clients struct {
	*net.UnixListener
	room chan struct{} // a place for each
}

func newClients(l *net.UnixListener) *clients {
	return &clients{l, make(chan struct{}, maxClients)}
}

// conn is the connection of a client.
type conn struct {
	*net.UnixConn
	leave func()
}

// Accept waits for a client, and for room.
func (l *clients) Accept() (net.Conn, error) {
	l.room <- struct{}{}
	c, err := l.AcceptUnix()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &conn{c, sync.OnceFunc(func() { <-l.room })}, nil
}

// Close makes room for another one.
func (c *conn) Close() error {
	defer c.leave()
	return c.UnixConn.Close()
}

// credentials are those of the process that has connected, nil if the kernel does not
// tell.
func (c *conn) credentials() (cred *unix.Ucred) {
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		})
	}
	if err != nil {
		return nil
	}
	return cred
}

// peerKey is the key of the credentials of a client in the context of its connection.
type peerKey struct{}

// peerOf puts the credentials of a client into the context of its connection.
func peerOf(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*conn); ok {
		if cred := c.credentials(); cred != nil {
			return context.WithValue(ctx, peerKey{}, cred)
		}
	}
	return ctx
}

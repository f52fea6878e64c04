package controld

import (
	"context"
	"net"
	"net/http"
	"slices"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// clients is the listener of the socket. It knows how many clients there are at a time;
// others wait.
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

// Close releases the place for another client.
func (c *conn) Close() error {
	defer c.leave()
	return c.UnixConn.Close()
}

// right is what a client may do.
type right uint8

const (
	nothing right = iota
	mayRead
	mayAct
)

// peer is the process at the other end of the socket.
type peer struct {
	cred   *unix.Ucred
	groups []uint32 // all of them
	right  right
}

// rights is who may do what.
type rights struct {
	self          int // user of the daemon
	readers, acts int // groups; none: nobody but root and self
}

const noGroup = -1

// of returns what a process may do: root and the user of the daemon everything.
func (r *rights) of(p *peer) right {
	member := func(gid int) bool { return gid != noGroup && slices.Contains(p.groups, uint32(gid)) }
	switch {
	case p.cred.Uid == 0 || int(p.cred.Uid) == r.self || member(r.acts):
		return mayAct
	case member(r.readers):
		return mayRead
	}
	return nothing
}

// peer is who is connected, nil if the kernel does not report it.
func (c *conn) peer() (p *peer) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	_ = raw.Control(func(fd uintptr) { // an error leaves p nil
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err == nil {
			p = &peer{cred: cred, groups: append(peerGroups(fd), cred.Gid)}
		}
	})
	return p
}

// peerGroups are the supplementary groups of the process that has connected, as far as the
// kernel reports them (SO_PEERGROUPS, Linux 4.13).
func peerGroups(fd uintptr) (groups []uint32) {
	groups = make([]uint32, 32)
	for {
		size := uint32(4 * len(groups))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch need := int(size / 4); {
		case errno == 0:
			return groups[:need]
		case errno != unix.ERANGE || need <= len(groups) || need > maxGroups:
			return nil
		default:
			groups = make([]uint32, need)
		}
	}
}

// maxGroups is how many groups a process may have (NGROUPS_MAX).
const maxGroups = 65536

// peerKey is the key of the peer in the context of its connection.
type peerKey struct{}

// know puts the peer of a connection into its context.
func (r *rights) know(ctx context.Context, c net.Conn) context.Context {
	if c, ok := c.(*conn); ok {
		if p := c.peer(); p != nil {
			p.right = r.of(p)
			return context.WithValue(ctx, peerKey{}, p)
		}
	}
	return ctx
}

// peerOf is the process that asks; nil: it is not known.
func peerOf(ctx context.Context) *peer {
	p, _ := ctx.Value(peerKey{}).(*peer)
	return p
}

// readable serves those who may read.
func readable(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := peerOf(r.Context()); p == nil || p.right < mayRead {
			refuse(w, http.StatusForbidden, "only root, or a member of control_group or control_admin_group, may ask")
			return
		}
		h.ServeHTTP(w, r)
	})
}

package link

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// Pair returns both ends of a new connection: one for this process, one to
// hand to a child.
func Pair() (*Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("create socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "link")
	ours, err := New(os.NewFile(uintptr(fds[0]), "link"))
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// files reads a connection. It keeps the descriptors that come, in the order of the messages
// that they go with: the kernel ends a read after the bytes that one came with.
type files struct {
	conn    *net.UnixConn
	waiting []*os.File
	beside  [24]byte // room for one descriptor; the kernel closes those that have none
}

// maxWaiting bounds the descriptors that go with no message. A reader is behind by one.
const maxWaiting = 16

func (f *files) Read(b []byte) (int, error) {
	n, beside, _, _, err := f.conn.ReadMsgUnix(b, f.beside[:])
	switch {
	case errors.Is(err, io.EOF):
		return 0, io.EOF
	case err != nil:
		return 0, err
	}
	messages, err := unix.ParseSocketControlMessage(f.beside[:beside])
	if err != nil {
		return n, err
	}
	for i := range messages {
		fds, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			return n, err
		}
		for _, fd := range fds {
			file := os.NewFile(uintptr(fd), "message")
			if len(f.waiting) == maxWaiting {
				file.Close()
				continue
			}
			f.waiting = append(f.waiting, file)
		}
	}
	return n, nil
}

// next is the file of the message that was read last; nil: it has not come, because the
// process has no room for another descriptor.
func (f *files) next() *os.File {
	if len(f.waiting) == 0 {
		return nil
	}
	first := f.waiting[0]
	f.waiting = f.waiting[1:]
	return first
}

func newMemoryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), name), nil
}

// newUnnamedFile is gone with its last descriptor, as a memory file is.
func newUnnamedFile(dir string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create file in %s: %w", dir, err)
	}
	return os.NewFile(uintptr(fd), dir), nil
}

func isReset(err error) bool { return errors.Is(err, unix.ECONNRESET) }

// Package mmsg receives and sends many datagrams in one system call, by
// recvmmsg(2) and sendmmsg(2), for which x/sys has no wrapper.
package mmsg

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Header is struct mmsghdr; Go pads it as C does.
type Header struct {
	Msg unix.Msghdr
	N   uint32 // bytes received or sent
}

// The calls are made on the descriptor itself and never block. The kernel reads
// and writes through pointers inside the headers; they are Go pointers the
// collector sees.

// Receive receives as many datagrams as are there, and returns their number. The
// error is a unix.Errno, unix.EAGAIN if there are none.
func Receive(fd int, hdrs []Header) (int, error) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(hdrs))), uintptr(len(hdrs)), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case unix.EINTR:
			continue
		}
		return 0, errno
	}
}

// Send sends until all are taken or one is refused; the error is a unix.Errno,
// that of hdrs[n].
func Send(fd int, hdrs []Header) (n int, err error) {
	for n < len(hdrs) {
		taken, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd),
			uintptr(unsafe.Pointer(&hdrs[n])), uintptr(len(hdrs)-n), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			n += int(taken)
		case unix.EINTR:
		default:
			return n, errno
		}
	}
	return n, nil
}

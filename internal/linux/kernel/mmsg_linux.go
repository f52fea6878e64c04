package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2); Go pads it as C does.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32 // bytes received or sent
}

// Raw calls on descriptors that never block. The kernel reads and writes
// through pointers inside hdrs; they are Go pointers the collector sees.

func recvmmsg(fd int, hdrs []mmsghdr) (int, error) {
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

// sendmmsg sends until all are taken or one is refused; the error is that of
// hdrs[n].
func sendmmsg(fd int, hdrs []mmsghdr) (n int, err error) {
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

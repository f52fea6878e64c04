package kernel

import (
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/mmsg"
)

// Frame is an Ethernet frame to send.
type Frame struct {
	Data  []byte // from the destination address on
	Link  int    // index
	Proto uint16 // EtherType, as a number: 0x0806 is ARP
}

// OpenPacket returns a non-blocking socket for SendFrames. It is bound to no
// protocol, so that it never receives.
func OpenPacket() (fd int, err error) {
	fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open packet socket: %w", os.NewSyscallError("socket", err))
	}
	return fd, nil
}

// frameBatch is what sendmmsg reads.
type frameBatch struct {
	hdrs  [MaxBatch]mmsg.Header
	iovs  [MaxBatch]unix.Iovec
	names [MaxBatch]unix.RawSockaddrLinklayer
}

var frameBatches = sync.Pool{New: func() any {
	b := new(frameBatch)
	for i := range MaxBatch {
		h := &b.hdrs[i].Msg
		h.Iov = &b.iovs[i]
		h.SetIovlen(1)
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Namelen = unix.SizeofSockaddrLinklayer
	}
	return b
}}

// SendFrames sends the frames in order and returns how many were taken. If not
// all were, the error is that of frames[n]: unix.EAGAIN or unix.ENOBUFS when
// the socket's buffer or the link's queue is full, unix.ENETDOWN or unix.ENXIO
// when the link is down or gone. It allocates nothing.
func SendFrames(fd int, frames []Frame) (int, error) {
	b := frameBatches.Get().(*frameBatch)
	defer frameBatches.Put(b)
	sent := 0
	for sent < len(frames) {
		batch := frames[sent:min(sent+MaxBatch, len(frames))]
		for i, f := range batch {
			b.iovs[i].Base = unsafe.SliceData(f.Data)
			b.iovs[i].SetLen(len(f.Data))
			b.names[i] = unix.RawSockaddrLinklayer{
				Family:   unix.AF_PACKET,
				Protocol: networkOrder(f.Proto),
				Ifindex:  int32(f.Link),
			}
		}
		n, err := mmsg.Send(fd, b.hdrs[:len(batch)])
		for i := range batch {
			b.iovs[i].Base = nil // do not keep the caller's bytes alive
		}
		sent += n
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// networkOrder returns the number whose bytes in memory are v's, big end first.
func networkOrder(v uint16) uint16 {
	return native.Uint16([]byte{byte(v >> 8), byte(v)})
}

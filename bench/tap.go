package main

import (
	"encoding/binary"
	"math/bits"
	"net"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// tap reads the packets of an interface, with the times that the kernel gives them.
type tap struct {
	fd  int
	end atomic.Bool
}

// open opens a socket that receives the packets of an interface and a protocol that a filter
// accepts, with their times; with ETH_P_ALL those that are sent too (packet(7)).
func (t *tap) open(name string, protocol uint16, filter []bpf.Instruction) error {
	program, err := bpf.Assemble(filter)
	if err != nil {
		return err
	}
	link, err := net.InterfaceByName(name)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	raw := make([]unix.SockFilter, len(program))
	for i, ins := range program {
		raw[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]}); err != nil {
		unix.Close(fd)
		return err
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000}) // see read
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bits.ReverseBytes16(protocol), Ifindex: link.Index}); err != nil {
		unix.Close(fd)
		return err
	}
	t.fd = fd
	return nil
}

// read calls note with the beginning of each packet, its time, and whether it was sent, until
// close is called: it looks for that ten times a second at least.
func (t *tap) read(note func(b []byte, at time.Time, sent bool)) {
	runtime.LockOSThread()
	buf, oob := make([]byte, 128), make([]byte, 128)
	for !t.end.Load() {
		n, m, _, from, err := unix.Recvmsg(t.fd, buf, oob, 0)
		if err != nil {
			continue
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		note(buf[:n], received(oob[:m]), ok && link.Pkttype == unix.PACKET_OUTGOING)
	}
	unix.Close(t.fd)
}

func (t *tap) close() { t.end.Store(true) }

// received returns the time that came with a packet; without one, the present.
func received(oob []byte) time.Time {
	if all, err := unix.ParseSocketControlMessage(oob); err == nil && len(all) > 0 && len(all[0].Data) >= 16 {
		return time.Unix(int64(binary.NativeEndian.Uint64(all[0].Data)), int64(binary.NativeEndian.Uint64(all[0].Data[8:])))
	}
	return time.Now()
}

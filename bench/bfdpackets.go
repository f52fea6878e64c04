package main

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

const (
	bfdPort = 3784 // RFC 5881, section 4
	bfdDown = 1    // RFC 5880, section 4.1: Sta
)

// bfdPackets notes, for each session of a node, when its neighbour was heard last and when
// the node first announced that it is Down.
type bfdPackets struct {
	fd  int
	end atomic.Bool

	mu    sync.Mutex
	heard map[netip.Addr]time.Time // by the address of the neighbour
	down  map[netip.Addr]time.Time
}

// watchBFD watches the control packets on eth0 of a node.
func watchBFD(n *lab.Node) (*bfdPackets, error) {
	w := &bfdPackets{heard: map[netip.Addr]time.Time{}, down: map[netip.Addr]time.Time{}}
	err := n.Do(func() (err error) {
		w.fd, err = capture("eth0", unix.ETH_P_ALL, []bpf.Instruction{
			bpf.LoadAbsolute{Off: 9, Size: 1}, bpf.JumpIf{Val: unix.IPPROTO_UDP, SkipFalse: 4},
			bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: 2, Size: 2},
			bpf.JumpIf{Val: bfdPort, SkipFalse: 1},
			bpf.RetConstant{Val: 40}, bpf.RetConstant{Val: 0},
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("watch BFD: %w", err)
	}
	go w.read()
	return w, nil
}

func (w *bfdPackets) read() {
	runtime.LockOSThread()
	buf, oob := make([]byte, 64), make([]byte, 128)
	for !w.end.Load() {
		n, m, _, from, err := unix.Recvmsg(w.fd, buf, oob, 0)
		if err != nil {
			continue
		}
		w.note(buf[:n], received(oob[:m]), from.(*unix.SockaddrLinklayer).Pkttype == unix.PACKET_OUTGOING)
	}
	unix.Close(w.fd)
}

// note notes an IPv4 packet.
func (w *bfdPackets) note(b []byte, at time.Time, sent bool) {
	if len(b) < 20 || b[0]>>4 != 4 {
		return
	}
	control := int(b[0]&15)*4 + 8
	if len(b) < control+2 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !sent {
		w.heard[netip.AddrFrom4([4]byte(b[12:16]))] = at
		return
	}
	to := netip.AddrFrom4([4]byte(b[16:20]))
	if _, known := w.down[to]; !known && b[control+1]>>6 == bfdDown {
		w.down[to] = at
	}
}

// over returns how many sessions have been announced to be Down.
func (w *bfdPackets) over() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.down)
}

// silences returns how long each neighbour had been silent by then.
func (w *bfdPackets) silences() (all []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for a, at := range w.down {
		all = append(all, at.Sub(w.heard[a]))
	}
	return all
}

func (w *bfdPackets) close() { w.end.Store(true) }

// capture opens a socket that receives the packets of an interface and a protocol that a
// filter accepts, with their times; with ETH_P_ALL those that are sent too (packet(7)). A read
// ends after a tenth of a second at the latest.
func capture(name string, protocol uint16, filter []bpf.Instruction) (fd int, err error) {
	program, err := bpf.Assemble(filter)
	if err != nil {
		return -1, err
	}
	link, err := net.InterfaceByName(name)
	if err != nil {
		return -1, err
	}
	if fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return -1, err
	}
	raw := make([]unix.SockFilter, len(program))
	for i, ins := range program {
		raw[i] = unix.SockFilter{Code: ins.Op, Jt: ins.Jt, Jf: ins.Jf, K: ins.K}
	}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 100_000})
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: bits.ReverseBytes16(protocol), Ifindex: link.Index}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// received returns the time that came with a packet; without one, the present.
func received(oob []byte) time.Time {
	if all, err := unix.ParseSocketControlMessage(oob); err == nil && len(all) > 0 && len(all[0].Data) >= 16 {
		return time.Unix(int64(binary.NativeEndian.Uint64(all[0].Data)), int64(binary.NativeEndian.Uint64(all[0].Data[8:])))
	}
	return time.Now()
}

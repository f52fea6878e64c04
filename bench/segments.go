package main

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/lab"
)

// Flags of TCP (RFC 9293, section 3.1).
const (
	fin = 1
	syn = 2
	rst = 4
	ack = 16
)

// segment is a TCP segment received by the loopback interface of a node.
type segment struct {
	at    time.Time // from the kernel
	from  netip.AddrPort
	to    netip.AddrPort
	flags uint8
}

// segments records the segments that begin and end connections.
type segments struct {
	tap

	mu  sync.Mutex
	all []segment
}

// sampled accepts the segments to one port or the next one of every eighth address: of
// hundreds of thousands of segments a second, whose reading would disturb what is measured.
func sampled(port uint16) []bpf.Instruction {
	return []bpf.Instruction{
		bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: 2, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpLessThan, Val: uint32(port), SkipFalse: 1}, bpf.RetConstant{},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: uint32(port) + 1, SkipFalse: 1}, bpf.RetConstant{},
		bpf.LoadAbsolute{Off: 19, Size: 1}, bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: sampling - 1, SkipFalse: 1}, bpf.RetConstant{},
	}
}

// sampling is how many addresses one is chosen of.
const sampling = 8

// unsampled returns how many of something there are for all servers if there are n for those
// that sampled chooses.
func (s services) unsampled(n int) float64 {
	chosen := 0
	for i := range s.n {
		for j := range s.each {
			if s.real(i, j).Addr().As4()[3]%sampling == 0 {
				chosen++
			}
		}
	}
	return float64(n) * float64(s.n*s.each) / float64(chosen)
}

// sentFrom accepts the segments of an address.
func sentFrom(a netip.Addr) []bpf.Instruction {
	four := a.As4()
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 4},
		bpf.JumpIf{Val: binary.BigEndian.Uint32(four[:]), SkipTrue: 1}, bpf.RetConstant{},
	}
}

// watchSegments records the segments with SYN, FIN or RST that also, the continuation of a
// filter, does not refuse.
func watchSegments(n *lab.Node, also []bpf.Instruction) (*segments, error) {
	// TCP with one of the flags; the rest is not copied.
	filter := slices.Concat([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1}, bpf.JumpIf{Val: unix.IPPROTO_TCP, SkipTrue: 1}, bpf.RetConstant{},
		bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: 13, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: fin | syn | rst, SkipTrue: 1}, bpf.RetConstant{},
	}, also, []bpf.Instruction{bpf.RetConstant{Val: 40}})
	w := &segments{}
	if err := n.Do(func() error { return w.open("lo", unix.ETH_P_IP, filter) }); err != nil {
		return nil, fmt.Errorf("watch the loopback interface: %w", err)
	}
	go w.read(func(b []byte, at time.Time, _ bool) {
		s, ok := decodeSegment(b)
		if !ok {
			return
		}
		s.at = at
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all = append(w.all, s)
	})
	return w, nil
}

func decodeSegment(b []byte) (s segment, ok bool) {
	if len(b) < 20 {
		return s, false
	}
	head := int(b[0]&15) * 4
	if len(b) < head+14 {
		return s, false
	}
	port := func(i int) uint16 { return binary.BigEndian.Uint16(b[head+i:]) }
	s.from = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[12:16])), port(0))
	s.to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[16:20])), port(2))
	s.flags = b[head+13]
	return s, true
}

// take returns the segments recorded since the last call.
func (w *segments) take() []segment {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.all
	w.all = nil
	return all
}

// last returns the time of the last segment with all of these flags up to a time.
func (w *segments) last(flags uint8, until time.Time) (at time.Time, ok bool) {
	for _, s := range w.take() {
		if s.flags&flags == flags && !s.at.After(until) {
			at, ok = s.at, true
		}
	}
	return at, ok
}

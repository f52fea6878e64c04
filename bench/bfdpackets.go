package main

import (
	"fmt"
	"net/netip"
	"sync"
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
	tap

	mu    sync.Mutex
	heard map[netip.Addr]time.Time // by the address of the neighbour
	down  map[netip.Addr]time.Time
}

// watchBFD watches the control packets on eth0 of a node.
func watchBFD(n *lab.Node) (*bfdPackets, error) {
	w := &bfdPackets{heard: map[netip.Addr]time.Time{}, down: map[netip.Addr]time.Time{}}
	err := n.Do(func() error {
		return w.open("eth0", unix.ETH_P_ALL, []bpf.Instruction{
			bpf.LoadAbsolute{Off: 9, Size: 1}, bpf.JumpIf{Val: unix.IPPROTO_UDP, SkipFalse: 4},
			bpf.LoadMemShift{Off: 0}, bpf.LoadIndirect{Off: 2, Size: 2},
			bpf.JumpIf{Val: bfdPort, SkipFalse: 1},
			bpf.RetConstant{Val: 40}, bpf.RetConstant{Val: 0},
		})
	})
	if err != nil {
		return nil, fmt.Errorf("watch BFD: %w", err)
	}
	go w.read(w.note)
	return w, nil
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

// known returns how many neighbours have been heard.
func (w *bfdPackets) known() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.heard)
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

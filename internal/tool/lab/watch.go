package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// watch follows the addresses of a node by the events of its kernel.
type watch struct {
	lab    *Lab
	node   *Node
	socket *nl.KernelSocket
	events *nl.Events
	done   chan struct{}

	mu    sync.Mutex
	addrs map[addrKey]bool
}

type addrKey struct {
	link uint32
	addr netip.Addr
}

func openWatch(l *Lab, n *Node) (*watch, error) {
	w := &watch{lab: l, node: n, done: make(chan struct{}), addrs: map[addrKey]bool{}}
	err := n.Do(func() (err error) {
		// Addresses from before the lab are ignored.
		w.socket, err = nl.Open(unix.NETLINK_ROUTE, nl.Options{
			ReceiveBuffer: 64 << 20, Force: true,
			Groups: []uint32{unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR},
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("watch addresses of %s: %w", n.Name, err)
	}
	w.events = nl.NewEvents(w.socket, maxEvents, maxEvent)
	go w.read()
	return w, nil
}

// read runs on a thread of the highest priority, which waits for events itself. These
// messages have no time from the kernel, and a daemon with a high priority must not
// appear slow because it delays this thread. Nor may this thread delay the daemon: the
// first event of a burst wakes the thread, and it polls for the others every
// burstInterval.
func (w *watch) read() {
	defer close(w.done)
	runtime.LockOSThread()                          // never unlocked: the thread ends with its priority
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20) // refused to an ordinary user, who runs no measurements
	for {
		err := w.wait()
		for err == nil {
			var n int
			if n, err = w.drain(); n == 0 {
				break
			}
			burst := unix.NsecToTimespec(burstInterval.Nanoseconds())
			_ = unix.Nanosleep(&burst, nil)
		}
		switch {
		case errors.Is(err, fs.ErrClosed):
			return
		case err != nil:
			w.lab.fail(fmt.Errorf("addresses of %s: %w", w.node.Name, err))
			return
		}
	}
}

// burstInterval is the precision of the times of the later events of a burst.
const burstInterval = 100 * time.Microsecond

// wait returns when a message has arrived.
func (w *watch) wait() error {
	for {
		var n int
		var perr error
		err := w.socket.Control(func(fd int) error {
			const lookAgain = 100 // ms; closing the socket does not end a poll
			n, perr = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, lookAgain)
			return nil
		})
		switch {
		case err != nil:
			return err
		case perr != nil && perr != unix.EINTR:
			return perr
		case n > 0:
			return nil
		}
	}
}

// drain receives the messages that have arrived, in batches. It receives a whole batch
// before it reads the time, which is an upper bound for the arrival of each message.
func (w *watch) drain() (n int, err error) {
	for {
		var at time.Time
		got, err := w.events.ReadNow(func(m nl.Message) {
			if at.IsZero() {
				at = time.Now()
			}
			w.apply(at, m)
		})
		n += got
		if err != nil || got < maxEvents {
			return n, err
		}
	}
}

// maxEvents is the number of messages received at once; maxEvent is more than the size of
// a message about an address.
const (
	maxEvents = 64
	maxEvent  = 1 << 10
)

func (w *watch) apply(now time.Time, m nl.Message) {
	if len(m.Body) < unix.SizeofIfAddrmsg {
		return
	}
	// IFA_LOCAL is the address, if present; IFA_ADDRESS is the peer then.
	var local, address netip.Addr
	for attrs := m.Body[unix.SizeofIfAddrmsg:]; ; {
		typ, v, rest, ok := nl.NextAttr(attrs)
		if !ok {
			break
		}
		attrs = rest
		switch typ {
		case unix.IFA_LOCAL:
			local = nl.IP(m.Body[0], v)
		case unix.IFA_ADDRESS:
			address = nl.IP(m.Body[0], v)
		}
	}
	if !local.IsValid() {
		local = address
	}
	key := addrKey{binary.NativeEndian.Uint32(m.Body[4:]), local}
	e := Event{Time: now, Node: w.node, Kind: AddrAdded, Addr: local}
	w.mu.Lock()
	switch m.Type {
	case unix.RTM_NEWADDR:
		if w.addrs[key] {
			e.Kind = AddrUpdated
		}
		w.addrs[key] = true
	case unix.RTM_DELADDR:
		e.Kind = AddrRemoved
		delete(w.addrs, key)
	}
	w.mu.Unlock()
	w.lab.record(e)
}

func (w *watch) has(a netip.Addr) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for key := range w.addrs {
		if key.addr == a {
			return true
		}
	}
	return false
}

func (w *watch) close() {
	if w != nil {
		w.socket.Close()
		<-w.done
	}
}

package lab

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// watch follows the addresses of a node by its kernel's own events.
type watch struct {
	lab  *Lab
	node *Node
	conn *netlink.Conn
	done chan struct{}

	pending []byte // of drain

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
		w.conn, err = netlink.Dial(unix.NETLINK_ROUTE, &netlink.Config{
			Groups: unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR,
		})
		if err != nil {
			return err
		}
		// What was there before the lab began is of no interest.
		return setNetlinkBuffer(w.conn)
	})
	if err != nil {
		return nil, fmt.Errorf("watch addresses of %s: %w", n.Name, err)
	}
	go w.read()
	return w, nil
}

func setNetlinkBuffer(c *netlink.Conn) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	return rc.Control(func(fd uintptr) {
		const size = 64 << 20
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size) != nil {
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, size)
		}
	})
}

// read keeps a thread of the highest priority, which waits for events itself:
// these messages carry no time of the kernel's, and a daemon that runs at a
// high priority must not look slow because it delays who watches it. Nor must it
// be delayed by who watches it: the first event of a burst wakes the thread, and
// it looks for the others every burstInterval.
func (w *watch) read() {
	defer close(w.done)
	runtime.LockOSThread()                          // never unlocked: the thread ends with the priority
	_ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20) // refused to an ordinary user, who measures nothing
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
		case errors.Is(err, os.ErrClosed) || errors.Is(err, net.ErrClosed) || errors.Is(err, unix.EBADF):
			return
		case err != nil:
			w.lab.fail(fmt.Errorf("addresses of %s: %w", w.node.Name, err))
			return
		}
	}
}

// burstInterval is how exact the times of a burst's later events are.
const burstInterval = 100 * time.Microsecond

// wait returns when a message has come.
func (w *watch) wait() error {
	for {
		var n int
		var perr error
		err := w.control(func(fd int) {
			const lookAgain = 100 // ms; closing the socket does not end a poll
			n, perr = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, lookAgain)
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

func (w *watch) control(f func(fd int)) error {
	rc, err := w.conn.SyscallConn()
	if err != nil {
		return err
	}
	return rc.Control(func(fd uintptr) { f(int(fd)) })
}

// drain takes the messages that have come. All are received before any is looked
// at, so that they have the time at which they were there at the latest.
func (w *watch) drain() (n int, err error) {
	w.pending = w.pending[:0]
	type arrival struct {
		end  int // in pending
		time time.Time
	}
	var arrivals []arrival
	cerr := w.control(func(fd int) {
		for {
			start := len(w.pending)
			w.pending = slices.Grow(w.pending, maxEvent)
			var got int
			got, _, err = unix.Recvfrom(fd, w.pending[start:start+maxEvent], unix.MSG_DONTWAIT)
			switch err {
			case nil:
				w.pending = w.pending[:start+got]
				arrivals = append(arrivals, arrival{len(w.pending), time.Now()})
			case unix.EINTR:
			case unix.EAGAIN:
				err = nil
				return
			default:
				return
			}
		}
	})
	from := 0
	for _, a := range arrivals {
		var m netlink.Message
		if err := m.UnmarshalBinary(w.pending[from:a.end]); err != nil {
			return 0, err
		}
		w.apply(a.time, m)
		from = a.end
	}
	return len(arrivals), cmp.Or(err, cerr)
}

// maxEvent is more than a message about an address takes.
const maxEvent = 1 << 10

func (w *watch) apply(now time.Time, m netlink.Message) {
	if len(m.Data) < unix.SizeofIfAddrmsg {
		return
	}
	ad, err := netlink.NewAttributeDecoder(m.Data[unix.SizeofIfAddrmsg:])
	if err != nil {
		return
	}
	// IFA_LOCAL is the address, if there is one; IFA_ADDRESS then is the peer.
	var local, address netip.Addr
	for ad.Next() {
		switch ad.Type() {
		case unix.IFA_LOCAL:
			local, _ = netip.AddrFromSlice(ad.Bytes())
		case unix.IFA_ADDRESS:
			address, _ = netip.AddrFromSlice(ad.Bytes())
		}
	}
	if !local.IsValid() {
		local = address
	}
	key := addrKey{uint32(m.Data[4]) | uint32(m.Data[5])<<8, local}
	e := Event{Time: now, Node: w.node, Kind: AddrAdded, Addr: local}
	w.mu.Lock()
	switch m.Header.Type {
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
		w.conn.Close()
		<-w.done
	}
}

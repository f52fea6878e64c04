package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Conn makes requests of the kernel. It is for one goroutine at a time.
type Conn struct {
	fd    int
	port  uint32
	seq   uint32
	out   []byte
	in    []byte
	names names
}

// The kernel fills at most 32 KiB per dump message (netlink_recvmsg).
const connBuffer = 64 << 10

// The kernel answers before sendmsg returns; a missing answer is lost.
const answerTimeout = 5 * time.Second

// Dial opens a connection for requests. rcvbuf is the size of its receive
// buffer in bytes, 0 for the system's default; force exceeds the limit
// net.core.rmem_max where CAP_NET_ADMIN permits it.
func Dial(rcvbuf int, force bool) (*Conn, error) {
	fd, port, err := openNetlink(0, 0, rcvbuf, force)
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	timeout := unix.NsecToTimeval(int64(answerTimeout))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open netlink socket: %w", os.NewSyscallError("setsockopt", err))
	}
	// Connected, it hears the kernel alone.
	if err := unix.Connect(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("open netlink socket: %w", os.NewSyscallError("connect", err))
	}
	return &Conn{fd: fd, port: port, in: make([]byte, connBuffer), names: make(names)}, nil
}

// openNetlink opens an rtnetlink socket and returns its port.
func openNetlink(flags int, groups uint32, rcvbuf int, force bool) (fd int, port uint32, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|flags, unix.NETLINK_ROUTE)
	if err != nil {
		return -1, 0, os.NewSyscallError("socket", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	// An acknowledgement with a sentence, without our own request repeated,
	// and dumps that refuse what they do not understand.
	for _, option := range []int{unix.NETLINK_EXT_ACK, unix.NETLINK_CAP_ACK, unix.NETLINK_GET_STRICT_CHK} {
		if err := unix.SetsockoptInt(fd, unix.SOL_NETLINK, option, 1); err != nil {
			return -1, 0, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := setReceiveBuffer(fd, rcvbuf, force); err != nil {
		return -1, 0, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}); err != nil {
		return -1, 0, os.NewSyscallError("bind", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return -1, 0, os.NewSyscallError("getsockname", err)
	}
	if sa, ok := sa.(*unix.SockaddrNetlink); ok {
		port = sa.Pid
	}
	return fd, port, nil
}

// setReceiveBuffer sets the size of a socket's receive buffer; 0 leaves it.
// Where force is not permitted, as in a user namespace, it goes as far as
// net.core.rmem_max.
func setReceiveBuffer(fd, size int, force bool) error {
	if size == 0 {
		return nil
	}
	if force {
		err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, size)
		if !errors.Is(err, unix.EPERM) {
			return os.NewSyscallError("setsockopt", err)
		}
	}
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size))
}

// PortID is the connection's netlink port: events caused by its requests carry
// it in their PortID.
func (c *Conn) PortID() uint32 { return c.port }

// Close closes the connection.
func (c *Conn) Close() error { return os.NewSyscallError("close", unix.Close(c.fd)) }

func (c *Conn) send() error {
	return os.NewSyscallError("send", unix.Send(c.fd, c.out, 0))
}

// receive returns the next datagram; it is valid until the next call.
func (c *Conn) receive() ([]byte, error) {
	for {
		n, _, err := unix.Recvfrom(c.fd, c.in, unix.MSG_TRUNC)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil, fmt.Errorf("no answer within %v", answerTimeout)
		case err != nil:
			return nil, os.NewSyscallError("recvfrom", err)
		case n > len(c.in):
			return nil, fmt.Errorf("answer of %d bytes is longer than %d", n, len(c.in))
		}
		return c.in[:n], nil
	}
}

// ErrInterrupted comes with a list during whose reading others changed what it
// lists, again and again. What it names was there; what it does not name may be
// there all the same. Events tell what has changed since.
var ErrInterrupted = fmt.Errorf("interrupted by changes of others: %w", unix.EINTR)

// A dump that changes interrupt is repeated so many times: there may be a moment
// of quiet, and what one leaves out another is likely to name.
const dumpAttempts = 3

const skipStats = 1 << 3 // RTEXT_FILTER_SKIP_STATS

// Links returns all links of the namespace. With [ErrInterrupted] the list is
// right as far as it goes, and may name a link several times.
func (c *Conn) Links() ([]Link, error) {
	var links []Link
	first := 0 // of the last attempt
	err := c.dump(func() {
		first = len(links)
		var start int
		c.out, start = beginMessage(c.out[:0], unix.RTM_GETLINK, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, c.seq)
		c.out = appendLinkHeader(c.out, 0)
		c.out = appendAttrUint32(c.out, unix.IFLA_EXT_MASK, skipStats)
		c.out = endMessage(c.out, start)
	}, func(m message) {
		if l, ok := decodeLink(m.body, c.names); ok && m.typ == unix.RTM_NEWLINK {
			links = append(links, l)
		}
	})
	if err != nil {
		return links, fmt.Errorf("list links: %w", err)
	}
	return links[first:], nil
}

// Addrs returns all addresses of the namespace, the primary ones of a subnet
// before its secondary ones. With [ErrInterrupted] the list is right as far as it
// goes, and may name an address several times.
func (c *Conn) Addrs() ([]Addr, error) {
	var addrs []Addr
	first := 0 // of the last attempt
	err := c.dump(func() {
		first = len(addrs)
		var start int
		c.out, start = beginMessage(c.out[:0], unix.RTM_GETADDR, unix.NLM_F_REQUEST|unix.NLM_F_DUMP, c.seq)
		c.out = append(c.out, make([]byte, unix.SizeofIfAddrmsg)...) // of all families and links
		c.out = endMessage(c.out, start)
	}, func(m message) {
		if a, ok := decodeAddr(m.body, c.names); ok && m.typ == unix.RTM_NEWADDR {
			addrs = append(addrs, a)
		}
	})
	if err != nil {
		return addrs, fmt.Errorf("list addresses: %w", err)
	}
	return addrs[first:], nil
}

// ForeignAddrs are the addresses of each link, by its name, that do not have our
// mark, in the namespace of the caller; nil if the kernel does not tell.
func ForeignAddrs() map[string][]netip.Prefix {
	conn, err := Dial(0, false)
	if err != nil {
		return nil
	}
	defer conn.Close()
	links, err := conn.Links()
	if err != nil && !errors.Is(err, ErrInterrupted) {
		return nil
	}
	names := make(map[int]string, len(links))
	for _, l := range links {
		names[l.Index] = l.Name
	}
	addrs, err := conn.Addrs()
	if err != nil && !errors.Is(err, ErrInterrupted) {
		return nil
	}
	all := make(map[string][]netip.Prefix)
	for _, a := range addrs {
		if a.Proto != AddrProto {
			all[names[a.Link]] = append(all[names[a.Link]], a.Prefix)
		}
	}
	return all
}

// dump sends the request that encode puts together and hands every answer to
// yield; it begins again when the kernel says that the state changed between
// two parts.
func (c *Conn) dump(encode func(), yield func(message)) error {
	for range dumpAttempts {
		c.seq++
		encode()
		if err := c.send(); err != nil {
			return err
		}
		err := c.parts(yield)
		if !errors.Is(err, ErrInterrupted) {
			return err
		}
	}
	return ErrInterrupted
}

// parts reads the messages of one dump to its end.
func (c *Conn) parts(yield func(message)) error {
	interrupted := false
	for {
		b, err := c.receive()
		if err != nil {
			return err
		}
		for {
			m, rest, ok := nextMessage(b)
			if !ok {
				break
			}
			b = rest
			if m.seq != c.seq { // of a request given up before
				continue
			}
			// The last part too can say that it was interrupted.
			interrupted = interrupted || m.flags&unix.NLM_F_DUMP_INTR != 0
			switch m.typ {
			case unix.NLMSG_DONE, unix.NLMSG_ERROR:
				if len(m.body) > 0 {
					refused, err := ackError(m)
					if err != nil {
						return err
					}
					if refused != nil {
						return refused
					}
				}
				if interrupted {
					return ErrInterrupted
				}
				return nil
			default:
				yield(m)
			}
		}
	}
}

// linkName returns the name of a link for an error's text, "#7" if it is gone.
func (c *Conn) linkName(index int) string {
	name := fmt.Sprintf("#%d", index)
	c.seq++
	var start int
	c.out, start = beginMessage(c.out[:0], unix.RTM_GETLINK, unix.NLM_F_REQUEST, c.seq)
	c.out = appendLinkHeader(c.out, index)
	c.out = endMessage(c.out, start)
	if c.send() != nil {
		return name
	}
	for {
		b, err := c.receive()
		if err != nil {
			return name
		}
		m, _, ok := nextMessage(b)
		if !ok {
			return name
		}
		if m.seq != c.seq {
			continue
		}
		if l, ok := decodeLink(m.body, c.names); ok && m.typ == unix.RTM_NEWLINK {
			name = l.Name
		}
		return name
	}
}

// batch sends the changes in one datagram and stores the kernel's refusals in
// refused, which has the same length. Only the last is acknowledged: requests
// are served in order, so that its acknowledgement ends the batch, and
// refusals are reported in any case. The error says that the outcome is
// unknown.
func (c *Conn) batch(changes []Change, refused []*Error) error {
	if c.seq+uint32(len(changes)) >= addMark {
		c.seq = 0
	}
	first := c.seq + 1
	last := c.seq + uint32(len(changes))
	c.seq = last
	c.out = c.out[:0]
	for i, change := range changes {
		flags := uint16(unix.NLM_F_REQUEST)
		if i == len(changes)-1 {
			flags |= unix.NLM_F_ACK
		}
		seq := first + uint32(i)
		if change.Op == AddAddr {
			seq |= addMark
		}
		c.out = appendChange(c.out, change, flags, seq)
	}
	if err := c.send(); err != nil {
		return err
	}
	for {
		b, err := c.receive()
		if err != nil {
			return err
		}
		for {
			m, rest, ok := nextMessage(b)
			if !ok {
				break
			}
			b = rest
			seq := m.seq &^ addMark
			i := seq - first // wraps for older ones
			if m.typ != unix.NLMSG_ERROR || i >= uint32(len(changes)) {
				continue
			}
			if refused[i], err = ackError(m); err != nil {
				return err
			}
			if seq == last {
				return nil
			}
		}
	}
}

// addMark is set in the sequence numbers of requests to add an address, by
// which [Watch] knows the events they cause.
const addMark = 1 << 31

// appendChange appends the request for a change.
func appendChange(b []byte, change Change, flags uint16, seq uint32) []byte {
	typ := uint16(unix.RTM_NEWADDR)
	switch change.Op {
	case AddAddr:
		flags |= unix.NLM_F_CREATE | unix.NLM_F_EXCL
	case ReplaceAddr:
		flags |= unix.NLM_F_CREATE | unix.NLM_F_REPLACE
	case RemoveAddr:
		typ = unix.RTM_DELADDR
	}
	b, start := beginMessage(b, typ, flags, seq)
	b = appendAddr(b, change.Addr, change.Op == RemoveAddr)
	return endMessage(b, start)
}

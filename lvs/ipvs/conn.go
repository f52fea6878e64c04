package ipvs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// Options are those of [Dial]; the zero value serves.
type Options struct {
	// NetNS is a descriptor of the network namespace, which need not stay open; 0:
	// that of the caller's thread.
	NetNS int
}

// Conn makes requests of the load balancer of one network namespace. It is for one
// goroutine at a time.
type Conn struct {
	conn   *nl.Conn
	family *nl.Family
}

// receiveBuffer has room for the refusals of a batch, in bytes.
const receiveBuffer = 1 << 20

// Dial opens a connection. The error wraps [ErrNoModule] if the kernel has no IPVS,
// or its module is not loaded: see [LoadModule].
func Dial(o Options) (*Conn, error) {
	s, err := nl.Open(unix.NETLINK_GENERIC, nl.Options{NetNS: o.NetNS, ReceiveBuffer: receiveBuffer, Force: true})
	if err != nil {
		return nil, fmt.Errorf("open netlink socket: %w", err)
	}
	return NewConn(s)
}

// NewConn returns a connection that owns a socket of the family NETLINK_GENERIC
// from now on. It is for sockets that lead elsewhere than [Dial], as to a kernel in
// memory. The error is as that of Dial; the socket is closed then.
func NewConn(s nl.Socket) (*Conn, error) {
	conn := nl.NewConn(s)
	family, err := nl.FindFamily(conn, familyName)
	if err != nil {
		conn.Close()
		if errors.Is(err, unix.ENOENT) {
			err = fmt.Errorf("%w (%w)", ErrNoModule, err)
		}
		return nil, err
	}
	return &Conn{conn, family}, nil
}

// LoadModule has modprobe(8) load the module ip_vs. The error has what modprobe
// said. Modules of schedulers are loaded by the kernel itself.
func LoadModule(ctx context.Context) error {
	c := exec.CommandContext(ctx, "modprobe", "ip_vs")
	for _, path := range []string{"/sbin/modprobe", "/usr/sbin/modprobe"} {
		if _, err := os.Stat(path); err == nil {
			c.Path, c.Err = path, nil
			break
		}
	}
	c.WaitDelay = time.Second
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("modprobe ip_vs: %w: %.300q", err, out)
	}
	return nil
}

// Close closes the connection.
func (c *Conn) Close() error { return c.conn.Close() }

// do makes a request and hands the answers that can be decoded to yield.
func (c *Conn) do(m *Message, yield func(Message)) error {
	err := c.conn.Do(c.family.ID, 0, m.Append, func(a nl.Message) {
		if answer, ok := DecodeMessage(a.Body); ok && a.Type == c.family.ID {
			yield(answer)
		}
	})
	if err != nil {
		return refused(m, err)
	}
	return nil
}

// list asks for a list. If others change what is listed, again and again, the error
// wraps unix.EINTR, and the list is right as far as it goes.
func list[T any](c *Conn, m *Message, pick func(Message) *T) ([]T, error) {
	all, err := nl.List(c.conn, c.family.ID, m.Append, func(a nl.Message) (v T, ok bool) {
		answer, ok := DecodeMessage(a.Body)
		if !ok || a.Type != c.family.ID {
			return v, false
		}
		p := pick(answer)
		if p == nil {
			return v, false
		}
		return *p, true
	})
	if err != nil {
		return all, refused(m, err)
	}
	return all, nil
}

// Services lists the services, in no order.
func (c *Conn) Services() ([]ServiceState, error) {
	return list(c, &Message{Command: GetService}, func(m Message) *ServiceState { return m.Service })
}

// Service returns one service; the error wraps [ErrNoService] if there is none.
func (c *Conn) Service(id ServiceID) (s ServiceState, err error) {
	found := false
	m := &Message{Command: GetService, Service: &ServiceState{Service: Service{ServiceID: id}}}
	err = c.do(m, func(answer Message) {
		if answer.Service != nil {
			s, found = *answer.Service, true
		}
	})
	if err == nil && !found {
		err = fmt.Errorf("%v: the answer has none", m)
	}
	return s, err
}

// Destinations lists the destinations of a service, in no order; none if there is
// no such service.
func (c *Conn) Destinations(id ServiceID) ([]DestinationState, error) {
	m := &Message{Command: GetDest, Service: &ServiceState{Service: Service{ServiceID: id}}}
	return list(c, m, func(m Message) *DestinationState { return m.Destination })
}

// Destination returns one destination; the error wraps [ErrNoDestination] if there
// is none, or no such service.
func (c *Conn) Destination(id ServiceID, addr netip.AddrPort) (DestinationState, error) {
	all, err := c.Destinations(id)
	for _, d := range all {
		if d.Addr == addr {
			return d, nil
		}
	}
	if err == nil {
		err = fmt.Errorf("read destination %v of %v: %w", addr, id, ErrNoDestination)
	}
	return DestinationState{}, err
}

// Op is what a [Change] does.
type Op uint8

// What can be done with a service or destination.
const (
	Add    Op = iota // it must not be there
	Set              // change all but the identity of one that is there
	Remove           // a service with its destinations
)

// Change is a change of the table of services.
type Change struct {
	Op      Op
	Service Service

	// Destination is what is changed; nil: it is the service. Of the service its
	// identity counts alone then.
	Destination *Destination
}

// Message is the request that makes the change.
func (c *Change) Message() Message {
	m := Message{Service: &ServiceState{Service: c.Service}, Whole: c.Op != Remove}
	m.Command = [...]Command{NewService, SetService, DelService}[min(c.Op, Remove)]
	if c.Destination != nil {
		m.Destination = &DestinationState{Destination: *c.Destination}
		m.Command += NewDest - NewService
	}
	return m
}

// String prints what the change does, as "add service tcp 192.0.2.1:80".
func (c *Change) String() string { m := c.Message(); return m.String() }

// Apply makes one change.
func (c *Conn) Apply(change Change) error {
	m := change.Message()
	return c.do(&m, func(Message) {})
}

// batchSize is how many changes go into one datagram: more are hardly faster, and
// the socket has room for the refusals of so many, even where a larger receive
// buffer is not permitted.
const batchSize = 128

// Batch makes changes in their order, many at a time. It returns nil if all
// succeeded, else an error for each, nil for each that succeeded.
func (c *Conn) Batch(changes []Change) []error {
	var errs []error
	var answers [batchSize]*nl.Error
	for first := 0; first < len(changes); first += batchSize {
		part := changes[first:min(first+batchSize, len(changes))]
		refusals := answers[:len(part)]
		clear(refusals)
		err := c.conn.Batch(len(part), func(i int, b []byte) ([]byte, nl.Request) {
			m := part[i].Message()
			return m.Append(b), nl.Request{Type: c.family.ID}
		}, refusals)
		for i := range part {
			refusal := err // the outcome is not known
			if err == nil && refusals[i] != nil {
				refusal = refusals[i]
			}
			if refusal == nil {
				continue
			}
			if errs == nil {
				errs = make([]error, len(changes))
			}
			m := part[i].Message()
			errs[first+i] = refused(&m, refusal)
		}
	}
	return errs
}

// Timeouts reads the timeouts of connections.
func (c *Conn) Timeouts() (t Timeouts, err error) {
	err = c.do(&Message{Command: GetConfig}, func(m Message) {
		if m.Timeouts != nil {
			t = *m.Timeouts
		}
	})
	return t, err
}

// SetTimeouts sets the timeouts of connections; 0 leaves one as it is.
func (c *Conn) SetTimeouts(t Timeouts) error {
	return c.do(&Message{Command: SetConfig, Timeouts: &t}, func(Message) {})
}

// Daemons lists the synchronisation daemons, two at most.
func (c *Conn) Daemons() ([]Daemon, error) {
	return list(c, &Message{Command: GetDaemon}, func(m Message) *Daemon { return m.Daemon })
}

// StartDaemon starts a synchronisation daemon; the error wraps [ErrExists] if one of
// the role runs.
func (c *Conn) StartDaemon(d Daemon) error {
	return c.do(&Message{Command: NewDaemon, Daemon: &d}, func(Message) {})
}

// StopDaemon stops a synchronisation daemon, which d names by its role; the error
// wraps [ErrNoDaemon] if none runs.
func (c *Conn) StopDaemon(d Daemon) error {
	// A daemon that has not run yet ends with EINTR, which netlink does not answer.
	// So the answer is asked for with a second request, that changes nothing.
	messages := []Message{{Command: DelDaemon, Daemon: &d}, {Command: SetConfig}}
	var refusals [2]*nl.Error
	err := c.conn.Batch(len(messages), func(i int, b []byte) ([]byte, nl.Request) {
		return messages[i].Append(b), nl.Request{Type: c.family.ID}
	}, refusals[:])
	if err == nil && refusals[0] != nil {
		err = refusals[0]
	}
	if err != nil {
		return refused(&messages[0], err)
	}
	return nil
}

// Info asks for the version.
func (c *Conn) Info() (i Info, err error) {
	err = c.do(&Message{Command: GetInfo}, func(m Message) {
		if m.Info != nil {
			i = *m.Info
		}
	})
	return i, err
}

// Flush removes all services with their destinations.
func (c *Conn) Flush() error { return c.do(&Message{Command: Flush}, func(Message) {}) }

// Zero sets the counters of a service and its destinations to 0.
func (c *Conn) Zero(id ServiceID) error {
	return c.do(&Message{Command: Zero, Service: &ServiceState{Service: Service{ServiceID: id}}}, func(Message) {})
}

// ZeroAll sets all counters to 0.
func (c *Conn) ZeroAll() error { return c.do(&Message{Command: Zero}, func(Message) {}) }

package kernel

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
	"keepalived-go/lvs/ipvs"
)

// ofGeneric stands for the family of generic netlink that a connection is for.
const ofGeneric = 0

// DialIPVS opens a connection for requests about the table of virtual services, for
// an [Executor] of such entries. The error wraps [ipvs.ErrNoModule] if the kernel
// has no such table.
func DialIPVS(h Host) (*Conn, error) {
	// One socket makes batches, the other reads.
	var sockets [2]nl.Socket
	for i := range sockets {
		s, err := h.Netlink(unix.NETLINK_GENERIC, nl.Options{ReceiveBuffer: 1 << 20, Force: true})
		if err != nil {
			if i > 0 {
				sockets[0].Close()
			}
			return nil, fmt.Errorf("open netlink socket: %w", err)
		}
		sockets[i] = s
	}
	table, err := ipvs.NewConn(sockets[1])
	if err != nil {
		sockets[0].Close()
		return nil, err
	}
	return &Conn{Conn: nl.NewConn(sockets[0]), names: make(nl.Names), table: table}, nil
}

// Batch is that of [nl.Conn]; requests of generic netlink get their type.
func (c *Conn) Batch(n int, encode func(i int, b []byte) ([]byte, nl.Request), refused []*nl.Error) error {
	if c.table == nil {
		return c.Conn.Batch(n, encode, refused)
	}
	return c.Conn.Batch(n, func(i int, b []byte) ([]byte, nl.Request) {
		b, r := encode(i, b)
		if r.Type == ofGeneric {
			r.Type = c.table.FamilyID()
		}
		return b, r
	}, refused)
}

// Close closes the connection.
func (c *Conn) Close() error {
	if c.table == nil {
		return c.Conn.Close()
	}
	return errors.Join(c.Conn.Close(), c.table.Close())
}

// IPVS reads the entries of the table whose service is ours, each service before
// its destinations; with nil all of them. It is for connections of [DialIPVS]. If
// others change the table meanwhile, again and again, the error wraps unix.EINTR, and
// the list is right as far as it goes.
func (c *Conn) IPVS(ours func(ipvs.ServiceID) bool) ([]IPVS, error) {
	if c.table == nil {
		return nil, errors.New("list virtual services: the connection is for links and addresses")
	}
	services, err := c.table.Services()
	var all []IPVS
	for _, s := range services {
		if ours != nil && !ours(s.ServiceID) {
			continue
		}
		all = append(all, IPVS{Service: s.Service})
		destinations, derr := c.table.Destinations(s.ServiceID)
		err = errors.Join(err, derr)
		for _, d := range destinations {
			all = append(all, IPVS{ipvs.Service{ServiceID: s.ServiceID}, d.Destination})
		}
	}
	if err != nil {
		return all, fmt.Errorf("list virtual services: %w", err)
	}
	return all, nil
}

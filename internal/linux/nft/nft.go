// Package nft has what tables of nftables have in common: a connection whose changes
// are transactions of the kernel. Packets see all of the old rules or all of the new
// ones, and other tables are not touched.
package nft

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/google/nftables"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// chunk is how many elements one message has, which has 64 KiB at most.
	chunk = 500
	// room is for all messages of a transaction: 100,000 elements have 10 MiB.
	room = 64 << 20
)

// Conn is a connection to the nftables of a network namespace. The methods of
// [nftables.Conn] collect changes, and Commit carries them out.
type Conn struct{ *nftables.Conn }

// Dial opens a connection, in the network namespace with a descriptor; 0: this one.
func Dial(netns int) (*Conn, error) {
	c, err := nftables.New(nftables.AsLasting(), nftables.WithNetNSFd(netns), nftables.WithSockOptions(
		func(c *netlink.Conn) error { return errors.Join(c.SetWriteBuffer(room), c.SetReadBuffer(room)) }))
	if err != nil {
		return nil, remedied(err)
	}
	return &Conn{c}, nil
}

// Close closes the connection. The tables stay.
func (c *Conn) Close() error { return c.CloseLasting() }

// Commit carries out the changes collected, in one transaction: all or none of them.
// After an error the connection should be closed.
func (c *Conn) Commit() error { return remedied(c.Flush()) }

// Unsupported reports whether an error of this package means that the kernel lacks
// nftables, or a part of it, rather than that it refuses a change.
func Unsupported(err error) bool {
	for _, e := range []error{unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT, fs.ErrNotExist} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// remedied adds to an error what can be done about it.
func remedied(err error) error {
	switch {
	case err == nil:
		return nil
	case Unsupported(err):
		err = fmt.Errorf("%w (does the kernel have nf_tables for IPv4 and IPv6?)", err)
	case errors.Is(err, fs.ErrPermission):
		err = fmt.Errorf("%w (missing capability: CAP_NET_ADMIN)", err)
	}
	return fmt.Errorf("nftables: %w", err)
}

// RemoveTable removes a table, whether it is there or not.
func (c *Conn) RemoveTable(name string, f nftables.TableFamily) {
	c.DelTable(c.AddTable(&nftables.Table{Name: name, Family: f})) // it is there for sure once it has been added
}

// AddElements adds elements to a set or map.
func (c *Conn) AddElements(set *nftables.Set, all []nftables.SetElement) error {
	return inChunks(set, all, c.SetAddElements)
}

// RemoveElements removes elements from a set or map, all of which must be there.
func (c *Conn) RemoveElements(set *nftables.Set, all []nftables.SetElement) error {
	return inChunks(set, all, c.SetDeleteElements)
}

func inChunks(set *nftables.Set, all []nftables.SetElement, do func(*nftables.Set, []nftables.SetElement) error) error {
	for len(all) > 0 {
		n := min(chunk, len(all))
		if err := do(set, all[:n]); err != nil {
			return fmt.Errorf("nftables: set %s: %w", set.Name, err)
		}
		all = all[n:]
	}
	return nil
}

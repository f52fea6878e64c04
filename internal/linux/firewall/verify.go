package firewall

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// print identifies the rules of a table: other rules have other handles. The zero value
// is that of no table.
type print struct {
	flags   uint32 // of the table
	objects []object
}

// object is a chain, of which only the policy can change, or a rule.
type object struct {
	kind   uint16 // NFT_MSG_GETCHAIN or NFT_MSG_GETRULE
	policy uint32
	handle uint64
}

func (p print) equal(other print) bool {
	return p.flags == other.flags && slices.Equal(p.objects, other.objects)
}

// checker asks what the kernel's tables are.
type checker struct {
	conn *nl.Conn
	seen [2]uint32 // the generation of all rules in which each table was found to be as it was made
}

func (c *checker) close() {
	if c != nil {
		c.conn.Close()
	}
}

// checks opens the connection for reading.
func (b *tables) checks() (*checker, error) {
	if b.check == nil {
		conn, err := nl.Dial(unix.NETLINK_NETFILTER, nl.Options{})
		if err != nil {
			return nil, err
		}
		b.check = &checker{conn: conn}
	}
	return b.check, nil
}

// message is the type of a request of nftables.
func message(typ uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | typ }

// body returns the body of a request for a family: struct nfgenmsg, and attributes.
func body(ipv6 bool, attrs func(b []byte) []byte) func(b []byte) []byte {
	return func(b []byte) []byte {
		family := byte(unix.NFPROTO_IPV4)
		if ipv6 {
			family = unix.NFPROTO_IPV6
		}
		b = append(b, family, unix.NFNETLINK_V0, 0, 0)
		if attrs != nil {
			b = attrs(b)
		}
		return b
	}
}

// intact implements [backend]. It reads the table only if some rules of the namespace
// have changed since. While others change them, it is not known.
func (b *tables) intact(t *Table, entries map[Entry]Entry) (bool, error) {
	ok, err := b.verify(t, entries)
	if errors.Is(err, nl.ErrInterrupted) {
		return true, nil
	}
	return ok, err
}

func (b *tables) verify(t *Table, entries map[Entry]Entry) (bool, error) {
	c, err := b.checks()
	if err != nil {
		return false, err
	}
	n := index(t.IPv6)
	generation, err := c.generation()
	if err != nil {
		return false, b.broken(err)
	}
	if generation == c.seen[n] {
		return true, nil
	}
	p, err := b.readPrint(t)
	if err != nil {
		return false, err
	}
	if !p.equal(b.print[n]) {
		return false, nil
	}
	all := sorted(entries)
	for _, s := range b.sets(t) {
		want := map[string]bool{}
		for _, e := range s.elements(all) {
			want[string(e.Key)] = true
		}
		found, foreign := 0, false
		err := c.conn.Dump(message(unix.NFT_MSG_GETSETELEM), body(t.IPv6, func(b []byte) []byte {
			b = nl.AppendString(b, unix.NFTA_SET_ELEM_LIST_TABLE, t.Name)
			return nl.AppendString(b, unix.NFTA_SET_ELEM_LIST_SET, s.set.Name)
		}), func(m nl.Message) {
			decodeKeys(m.Body, func(key []byte) {
				found++
				foreign = foreign || !want[string(key)]
			})
		})
		if errors.Is(err, unix.ENOENT) { // as when another program removes the table before its rules are first read
			return false, nil
		}
		if err != nil {
			return false, b.broken(err)
		}
		if foreign || found != len(want) {
			return false, nil
		}
	}
	c.seen[n] = generation
	return true, nil
}

// broken closes the connection for reading, which may be the reason of an error.
func (b *tables) broken(err error) error {
	b.check.close()
	b.check = nil
	return fmt.Errorf("nftables: read rules: %w", err)
}

// generation is the number of the generation of all rules: each transaction has another
// one.
func (c *checker) generation() (n uint32, err error) {
	err = c.conn.Do(message(unix.NFT_MSG_GETGEN), 0, body(false, nil), func(m nl.Message) {
		eachAttr(m.Body, func(typ uint16, v []byte) {
			if typ == unix.NFTA_GEN_ID {
				n = number(v)
			}
		})
	})
	return n, err
}

// readPrint reads how the table is now.
func (b *tables) readPrint(t *Table) (p print, err error) {
	c, err := b.checks()
	if err != nil {
		return p, err
	}
	found := false
	err = c.conn.Dump(message(unix.NFT_MSG_GETTABLE), body(t.IPv6, nil), func(m nl.Message) {
		if name, flags := decodeTable(m.Body); name == t.Name {
			p.flags, found = flags, true
		}
	})
	for _, kind := range []uint16{unix.NFT_MSG_GETCHAIN, unix.NFT_MSG_GETRULE} {
		if err != nil || !found {
			break
		}
		err = c.conn.Dump(message(kind), body(t.IPv6, nil), func(m nl.Message) {
			if name, o := decodeObject(kind, m.Body); name == t.Name {
				p.objects = append(p.objects, o)
			}
		})
	}
	if err != nil {
		return print{}, b.broken(err)
	}
	return p, nil
}

const genLen = 4 // of struct nfgenmsg

// eachAttr calls f for the attributes of a message of nftables.
func eachAttr(body []byte, f func(typ uint16, v []byte)) {
	if len(body) < genLen {
		return
	}
	attrs(body[genLen:], f)
}

func attrs(b []byte, f func(typ uint16, v []byte)) {
	for {
		typ, v, rest, ok := nl.NextAttr(b)
		if !ok {
			return
		}
		b = rest
		f(typ, v)
	}
}

// number is a number in network order; a shorter value is 0.
func number(v []byte) uint32 {
	if len(v) < 4 {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

func decodeTable(body []byte) (name string, flags uint32) {
	eachAttr(body, func(typ uint16, v []byte) {
		switch typ {
		case unix.NFTA_TABLE_NAME:
			name = unix.ByteSliceToString(v)
		case unix.NFTA_TABLE_FLAGS:
			flags = number(v)
		}
	})
	return name, flags
}

// decodeObject decodes a chain or a rule, according to kind.
func decodeObject(kind uint16, body []byte) (table string, o object) {
	o.kind = kind
	eachAttr(body, func(typ uint16, v []byte) {
		chain := kind == unix.NFT_MSG_GETCHAIN
		switch {
		case typ == unix.NFTA_CHAIN_TABLE: // also NFTA_RULE_TABLE
			table = unix.ByteSliceToString(v)
		case (chain && typ == unix.NFTA_CHAIN_HANDLE || !chain && typ == unix.NFTA_RULE_HANDLE) && len(v) == 8:
			o.handle = binary.BigEndian.Uint64(v)
		case chain && typ == unix.NFTA_CHAIN_POLICY:
			o.policy = number(v)
		}
	})
	return table, o
}

// decodeKeys hands the keys of the elements in a message to f.
func decodeKeys(body []byte, f func(key []byte)) {
	eachAttr(body, func(typ uint16, list []byte) {
		if typ != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			return
		}
		attrs(list, func(_ uint16, element []byte) {
			attrs(element, func(typ uint16, key []byte) {
				if typ != unix.NFTA_SET_ELEM_KEY {
					return
				}
				attrs(key, func(typ uint16, v []byte) {
					if typ == unix.NFTA_DATA_VALUE {
						f(v)
					}
				})
			})
		})
	})
}

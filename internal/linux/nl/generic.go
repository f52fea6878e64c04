package nl

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Family is a family of generic netlink, as "IPVS", whose number the kernel gives
// out when it is registered.
type Family struct {
	Name    string
	ID      uint16 // the type of its messages
	Version uint8
	Groups  map[string]uint32 // its multicast groups, for [Options]
}

// GenericHeaderLen is the length of struct genlmsghdr in bytes.
const GenericHeaderLen = unix.GENL_HDRLEN

// Body returns the body of a command of the family, for [Conn.Do], [Conn.Dump],
// [List] and [Conn.Batch]: the generic header and what attrs appends, if it is not
// nil. The type of the request is the family's ID.
func (f *Family) Body(command uint8, attrs func(b []byte) []byte) func(b []byte) []byte {
	return func(b []byte) []byte {
		b = append(b, command, f.Version, 0, 0)
		if attrs != nil {
			b = attrs(b)
		}
		return b
	}
}

// Generic splits the body of a message of generic netlink; it is false if the
// message is too short.
func (m Message) Generic() (command uint8, attrs []byte, ok bool) {
	if len(m.Body) < GenericHeaderLen {
		return 0, nil, false
	}
	return m.Body[0], m.Body[GenericHeaderLen:], true
}

// FindFamily asks for a family by its name, on a connection of the family
// NETLINK_GENERIC. The error wraps unix.ENOENT if the kernel has none of that
// name, or its module is not loaded.
func FindFamily(c *Conn, name string) (*Family, error) {
	var f *Family
	control := Family{ID: unix.GENL_ID_CTRL, Version: 1}
	body := control.Body(unix.CTRL_CMD_GETFAMILY, func(b []byte) []byte {
		return AppendString(b, unix.CTRL_ATTR_FAMILY_NAME, name)
	})
	err := c.Do(control.ID, 0, body, func(m Message) {
		if found, ok := decodeFamily(m); ok && found.Name == name {
			f = &found
		}
	})
	if err == nil && f == nil {
		err = errors.New("the answer does not name it")
	}
	if err != nil {
		return nil, fmt.Errorf("generic netlink family %q: %w", name, err)
	}
	return f, nil
}

// Families lists the families of the kernel.
func Families(c *Conn) ([]Family, error) {
	control := Family{ID: unix.GENL_ID_CTRL, Version: 1}
	return List(c, control.ID, control.Body(unix.CTRL_CMD_GETFAMILY, nil), decodeFamily)
}

func decodeFamily(m Message) (f Family, ok bool) {
	command, attrs, ok := m.Generic()
	if !ok || command != unix.CTRL_CMD_NEWFAMILY {
		return f, false
	}
	for {
		typ, v, rest, ok := NextAttr(attrs)
		if !ok {
			return f, f.ID != 0
		}
		attrs = rest
		switch typ {
		case unix.CTRL_ATTR_FAMILY_NAME:
			f.Name = unix.ByteSliceToString(v)
		case unix.CTRL_ATTR_FAMILY_ID:
			if len(v) >= 2 {
				f.ID = native.Uint16(v)
			}
		case unix.CTRL_ATTR_VERSION:
			f.Version = uint8(Uint32(v))
		case unix.CTRL_ATTR_MCAST_GROUPS:
			f.Groups = decodeGroups(v)
		}
	}
}

// decodeGroups decodes a list of pairs of a name and a number.
func decodeGroups(list []byte) map[string]uint32 {
	groups := map[string]uint32{}
	for {
		_, group, rest, ok := NextAttr(list)
		if !ok {
			return groups
		}
		list = rest
		var name string
		var id uint32
		for {
			typ, v, rest, ok := NextAttr(group)
			if !ok {
				break
			}
			group = rest
			switch typ {
			case unix.CTRL_ATTR_MCAST_GRP_NAME:
				name = unix.ByteSliceToString(v)
			case unix.CTRL_ATTR_MCAST_GRP_ID:
				id = Uint32(v)
			}
		}
		groups[name] = id
	}
}

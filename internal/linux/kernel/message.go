package kernel

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Netlink messages are in the byte order of the host and padded to four bytes
// (netlink(7)). Encoders append to a buffer, decoders slice one: neither
// allocates.

var native = binary.NativeEndian

const attrTypeMask = 0x3fff // NLA_TYPE_MASK

func align4(n int) int { return (n + 3) &^ 3 }

// beginMessage appends a message header; endMessage must follow.
func beginMessage(b []byte, typ, flags uint16, seq uint32) (_ []byte, start int) {
	start = len(b)
	b = native.AppendUint32(b, 0) // length, set by endMessage
	b = native.AppendUint16(b, typ)
	b = native.AppendUint16(b, flags)
	b = native.AppendUint32(b, seq)
	b = native.AppendUint32(b, 0) // port: the kernel knows the sender
	return b, start
}

func endMessage(b []byte, start int) []byte {
	native.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// appendAttr appends one attribute with its padding.
func appendAttr(b []byte, typ uint16, value []byte) []byte {
	b = native.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = native.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, "\x00\x00\x00"[:align4(len(value))-len(value)]...)
}

func appendAttrUint32(b []byte, typ uint16, v uint32) []byte {
	b = native.AppendUint16(b, unix.SizeofRtAttr+4)
	b = native.AppendUint16(b, typ)
	return native.AppendUint32(b, v)
}

// appendAttrIP appends an attribute with an address of 4 or 16 bytes.
func appendAttrIP(b []byte, typ uint16, ip netip.Addr) []byte {
	if ip.Is4() {
		a := ip.As4()
		return appendAttr(b, typ, a[:])
	}
	a := ip.As16()
	return appendAttr(b, typ, a[:])
}

// appendAttrString appends an attribute with a string and its final NUL.
func appendAttrString(b []byte, typ uint16, s string) []byte {
	n := len(s) + 1
	b = native.AppendUint16(b, uint16(unix.SizeofRtAttr+n))
	b = native.AppendUint16(b, typ)
	b = append(b, s...)
	return append(b, "\x00\x00\x00\x00"[:1+align4(n)-n]...)
}

// message is one netlink message inside a receive buffer.
type message struct {
	typ, flags uint16
	seq, port  uint32
	body       []byte
}

// nextMessage splits the first message off b. It is false at the end of b and
// where the rest is not a message.
func nextMessage(b []byte) (m message, rest []byte, ok bool) {
	if len(b) < unix.NLMSG_HDRLEN {
		return message{}, nil, false
	}
	n := int(native.Uint32(b))
	if n < unix.NLMSG_HDRLEN || n > len(b) {
		return message{}, nil, false
	}
	m = message{
		typ:   native.Uint16(b[4:]),
		flags: native.Uint16(b[6:]),
		seq:   native.Uint32(b[8:]),
		port:  native.Uint32(b[12:]),
		body:  b[unix.NLMSG_HDRLEN:n],
	}
	return m, b[min(align4(n), len(b)):], true
}

// nextAttr splits the first attribute off b; the nesting and byte order bits
// of its type are removed.
func nextAttr(b []byte) (typ uint16, value, rest []byte, ok bool) {
	if len(b) < unix.SizeofRtAttr {
		return 0, nil, nil, false
	}
	n := int(native.Uint16(b))
	if n < unix.SizeofRtAttr || n > len(b) {
		return 0, nil, nil, false
	}
	typ = native.Uint16(b[2:]) & attrTypeMask
	return typ, b[unix.SizeofRtAttr:n], b[min(align4(n), len(b)):], true
}

// attrUint32 reads a 32-bit attribute; a shorter one reads as 0.
func attrUint32(v []byte) uint32 {
	if len(v) < 4 {
		return 0
	}
	return native.Uint32(v)
}

// attrIP reads an address of the family; the zero Addr if the length is wrong.
func attrIP(family byte, v []byte) netip.Addr {
	switch {
	case family == unix.AF_INET && len(v) == 4:
		return netip.AddrFrom4([4]byte(v))
	case family == unix.AF_INET6 && len(v) == 16:
		return netip.AddrFrom16([16]byte(v))
	}
	return netip.Addr{}
}

// names makes strings of attributes without allocating for those seen before:
// thousands of address messages carry the same label.
type names map[string]string

const maxNames = 4096

func (n names) of(v []byte) string {
	for len(v) > 0 && v[len(v)-1] == 0 {
		v = v[:len(v)-1]
	}
	if s, ok := n[string(v)]; ok {
		return s
	}
	if len(n) >= maxNames {
		clear(n)
	}
	s := string(v)
	n[s] = s
	return s
}

// Error is the kernel's refusal of a request: the error number and, when the
// kernel gave one, its sentence (extended acknowledgement). It wraps the
// number, so that errors.Is(err, unix.EEXIST) works.
type Error struct {
	Errno   unix.Errno
	Message string
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Errno.Error()
	}
	return e.Message + ": " + e.Errno.Error()
}

func (e *Error) Unwrap() error { return e.Errno }

// ackError decodes the body of an NLMSG_ERROR message, which follows every
// request that failed or asked for an acknowledgement, or of an NLMSG_DONE; nil
// is success.
func ackError(m message) (*Error, error) {
	if len(m.body) < 4 {
		return nil, fmt.Errorf("acknowledgement of %d bytes", len(m.body))
	}
	code := int32(native.Uint32(m.body))
	if code == 0 || m.typ == unix.NLMSG_DONE && code > 0 {
		return nil, nil
	}
	e := &Error{Errno: unix.Errno(-code)}
	if m.flags&unix.NLM_F_ACK_TLVS == 0 {
		return e, nil
	}
	// An error repeats the request's header, and its body too unless capped.
	tlvs := m.body[4:]
	if m.typ == unix.NLMSG_ERROR {
		skip := unix.NLMSG_HDRLEN
		if len(tlvs) >= 4 && m.flags&unix.NLM_F_CAPPED == 0 {
			skip = max(skip, align4(int(native.Uint32(tlvs))))
		}
		tlvs = tlvs[min(skip, len(tlvs)):]
	}
	for {
		typ, v, rest, ok := nextAttr(tlvs)
		if !ok {
			return e, nil
		}
		if typ == unix.NLMSGERR_ATTR_MSG {
			e.Message = unix.ByteSliceToString(v)
		}
		tlvs = rest
	}
}

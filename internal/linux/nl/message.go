package nl

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Netlink messages are in the byte order of the host and padded to four bytes
// (netlink(7)). Encoders append to a buffer, decoders slice one: neither
// allocates.

var native = binary.NativeEndian

// HeaderLen is the length of struct nlmsghdr in bytes.
const HeaderLen = unix.NLMSG_HDRLEN

const attrTypeMask = 0x3fff // NLA_TYPE_MASK

func align4(n int) int { return (n + 3) &^ 3 }

// Begin appends the header of a message that begins at start; [End] must follow.
func Begin(b []byte, typ, flags uint16, seq uint32) (_ []byte, start int) {
	start = len(b)
	b = native.AppendUint32(b, 0) // length, set by End
	b = native.AppendUint16(b, typ)
	b = native.AppendUint16(b, flags)
	b = native.AppendUint32(b, seq)
	b = native.AppendUint32(b, 0) // port: the kernel knows the sender
	return b, start
}

// End completes the message that begins at start.
func End(b []byte, start int) []byte {
	native.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// setHeader sets all of a header but the length.
func setHeader(b []byte, typ, flags uint16, seq uint32) {
	native.PutUint16(b[4:], typ)
	native.PutUint16(b[6:], flags)
	native.PutUint32(b[8:], seq)
}

// AppendAttr appends one attribute with its padding.
func AppendAttr(b []byte, typ uint16, value []byte) []byte {
	b = native.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = native.AppendUint16(b, typ)
	b = append(b, value...)
	return append(b, "\x00\x00\x00"[:align4(len(value))-len(value)]...)
}

// AppendUint32 appends an attribute with a number of 32 bits.
func AppendUint32(b []byte, typ uint16, v uint32) []byte {
	b = native.AppendUint16(b, unix.SizeofRtAttr+4)
	b = native.AppendUint16(b, typ)
	return native.AppendUint32(b, v)
}

// AppendIP appends an attribute with an address of 4 or 16 bytes.
func AppendIP(b []byte, typ uint16, ip netip.Addr) []byte {
	if ip.Is4() {
		a := ip.As4()
		return AppendAttr(b, typ, a[:])
	}
	a := ip.As16()
	return AppendAttr(b, typ, a[:])
}

// AppendString appends an attribute with a string and its final NUL.
func AppendString(b []byte, typ uint16, s string) []byte {
	n := len(s) + 1
	b = native.AppendUint16(b, uint16(unix.SizeofRtAttr+n))
	b = native.AppendUint16(b, typ)
	b = append(b, s...)
	return append(b, "\x00\x00\x00\x00"[:1+align4(n)-n]...)
}

// Message is one netlink message inside a receive buffer.
type Message struct {
	Type  uint16
	Flags uint16 // NLM_F_*

	// Seq and Port are those of the request that it answers or that caused it; 0
	// if there was none.
	Seq, Port uint32

	Body []byte
}

// Next splits the first message off b. It is false at the end of b and
// where the rest is not a message.
func Next(b []byte) (m Message, rest []byte, ok bool) {
	if len(b) < unix.NLMSG_HDRLEN {
		return Message{}, nil, false
	}
	n := int(native.Uint32(b))
	if n < unix.NLMSG_HDRLEN || n > len(b) {
		return Message{}, nil, false
	}
	m = Message{
		Type:  native.Uint16(b[4:]),
		Flags: native.Uint16(b[6:]),
		Seq:   native.Uint32(b[8:]),
		Port:  native.Uint32(b[12:]),
		Body:  b[unix.NLMSG_HDRLEN:n],
	}
	return m, b[min(align4(n), len(b)):], true
}

// NextAttr splits the first attribute off b; the nesting and byte order bits
// of its type are removed.
func NextAttr(b []byte) (typ uint16, value, rest []byte, ok bool) {
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

// Uint32 reads a 32-bit attribute; a shorter one reads as 0.
func Uint32(v []byte) uint32 {
	if len(v) < 4 {
		return 0
	}
	return native.Uint32(v)
}

// IP reads an address of the family, AF_INET or AF_INET6; the zero Addr if the length is wrong.
func IP(family byte, v []byte) netip.Addr {
	switch {
	case family == unix.AF_INET && len(v) == 4:
		return netip.AddrFrom4([4]byte(v))
	case family == unix.AF_INET6 && len(v) == 16:
		return netip.AddrFrom16([16]byte(v))
	}
	return netip.Addr{}
}

// Names makes strings of attributes without allocating for those seen before:
// thousands of address messages carry the same label.
type Names map[string]string

const maxNames = 4096

// Of returns the string of an attribute, without its final NUL.
func (n Names) Of(v []byte) string {
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

package nl

import (
	"fmt"

	"golang.org/x/sys/unix"
)

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

// Refusal decodes an NLMSG_ERROR, which follows every request that failed or asked
// for an acknowledgement, or the NLMSG_DONE at the end of a dump; nil is success.
// The error means that the message is none of these.
func (m Message) Refusal() (*Error, error) {
	if len(m.Body) < 4 {
		return nil, fmt.Errorf("acknowledgement of %d bytes", len(m.Body))
	}
	code := int32(native.Uint32(m.Body))
	if code == 0 || m.Type == unix.NLMSG_DONE && code > 0 {
		return nil, nil
	}
	e := &Error{Errno: unix.Errno(-code)}
	if m.Flags&unix.NLM_F_ACK_TLVS == 0 {
		return e, nil
	}
	// An error repeats the request's header, and its body too unless capped.
	tlvs := m.Body[4:]
	if m.Type == unix.NLMSG_ERROR {
		skip := unix.NLMSG_HDRLEN
		if len(tlvs) >= 4 && m.Flags&unix.NLM_F_CAPPED == 0 {
			skip = max(skip, align4(int(native.Uint32(tlvs))))
		}
		tlvs = tlvs[min(skip, len(tlvs)):]
	}
	for {
		typ, v, rest, ok := NextAttr(tlvs)
		if !ok {
			return e, nil
		}
		if typ == unix.NLMSGERR_ATTR_MSG {
			e.Message = unix.ByteSliceToString(v)
		}
		tlvs = rest
	}
}

package ipvs

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
)

// What errors.Is finds in errors of this package, beside fs.ErrPermission and the
// numbers of the system's errors.
var (
	ErrNoModule      = errors.New("the kernel has no IPVS, or its module ip_vs is not loaded")
	ErrExists        = errors.New("it exists already")
	ErrNoService     = errors.New("no such service")
	ErrNoDestination = errors.New("no such destination")
	ErrNoScheduler   = errors.New("no such scheduler or persistence engine")
	ErrNoDaemon      = errors.New("no such synchronisation daemon")
)

// Error is a refusal by the kernel.
type Error struct {
	Request string     // what was asked for, as "add service tcp 192.0.2.1:80"
	Kind    error      // ErrExists and so on; nil: none of them
	Errno   unix.Errno // the number of the system's error
	Message string     // the kernel's explanation, if it has one
}

func (e *Error) Error() string {
	text := e.Request + ": "
	if e.Message != "" {
		text += e.Message + ": "
	}
	if e.Kind != nil {
		return fmt.Sprintf("%s%v (%v)", text, e.Kind, e.Errno)
	}
	return text + e.Errno.Error()
}

// Unwrap returns the kind and the number.
func (e *Error) Unwrap() []error {
	if e.Kind == nil {
		return []error{e.Errno}
	}
	return []error{e.Kind, e.Errno}
}

// refused makes an Error of what the kernel has answered to m; other errors get the
// request in front.
func refused(m *Message, err error) error {
	var r *nl.Error
	if !errors.As(err, &r) {
		return fmt.Errorf("%v: %w", m, err)
	}
	e := &Error{Request: m.String(), Errno: r.Errno, Message: r.Message}
	switch r.Errno {
	case unix.EEXIST:
		e.Kind = ErrExists
	case unix.ESRCH:
		if e.Kind = ErrNoService; m.Daemon != nil {
			e.Kind = ErrNoDaemon
		}
	case unix.ENOENT:
		switch m.Command {
		case NewService, SetService:
			e.Kind = ErrNoScheduler
		case SetDest, DelDest:
			e.Kind = ErrNoDestination
		}
	}
	return e
}

// String prints what a request asks for, as "add service tcp 192.0.2.1:80".
func (m *Message) String() string {
	var verb string
	switch m.Command {
	case NewService, NewDest:
		verb = "add"
	case SetService, SetDest:
		verb = "change"
	case DelService, DelDest:
		verb = "remove"
	case NewDaemon:
		verb = "start"
	case DelDaemon:
		verb = "stop"
	case SetConfig:
		verb = "set"
	case Zero:
		return "zero the counters" + m.of(" of ")
	case Flush:
		return "flush the table of services"
	default:
		verb = "read"
	}
	switch {
	case m.Destination != nil:
		return fmt.Sprintf("%s destination %v%s", verb, m.Destination.Addr, m.of(" of "))
	case m.Command == GetDest:
		return "read destinations" + m.of(" of ")
	case m.Service != nil:
		return fmt.Sprintf("%s service %v", verb, m.Service.ServiceID)
	case m.Daemon != nil:
		return fmt.Sprintf("%s %v synchronisation daemon", verb, m.Daemon.Role)
	case m.Command == GetService:
		return "read services"
	case m.Command == GetDaemon:
		return "read synchronisation daemons"
	case m.Command == GetInfo:
		return "read the version"
	}
	return verb + " timeouts"
}

func (m *Message) of(word string) string {
	if m.Service == nil {
		return ""
	}
	return word + m.Service.ServiceID.String()
}

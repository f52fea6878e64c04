package attempt

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/checkd/life"
)

// Connection is where an attempt connects, and from where. It is that of the configuration,
// which converts to it.
type Connection conf.Connection

// Names are how the log calls what is checked.
type Names struct {
	Server  string // the real server, "[10.0.0.1]:tcp:80"
	Service string // the virtual server
}

// Longest is the longest that an attempt of one step takes: the timeout.
func (c *Connection) Longest() time.Duration { return c.Timeout }

// portFailed is a failed attempt to find out, with that protocol, whether a port is
// open.
func (n *Names) portFailed(protocol, why string) string {
	return protocol + " connection to " + n.Server + " failed." + why
}

// portLine is the sentence of such a check.
func (n *Names) portLine(protocol string, v *life.Verdict) string {
	if v.OK {
		return fmt.Sprintf("%s connection to %s success.", protocol, n.Server)
	}
	return sentence(v, fmt.Sprintf("%s_CHECK on service %s failed%s.", protocol, n.Server, after(v)))
}

// remote is the address family and the address.
func (c *Connection) remote() (family int, sa unix.Sockaddr, err error) {
	return sockaddr(c.Addr, c.Port)
}

func sockaddr(ip netip.Addr, port uint16) (family int, sa unix.Sockaddr, err error) {
	ip = ip.Unmap()
	if ip.Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Addr: ip.As4(), Port: int(port)}, nil
	}
	six := &unix.SockaddrInet6{Addr: ip.As16(), Port: int(port)}
	if zone := ip.Zone(); zone != "" {
		link, err := net.InterfaceByName(zone)
		if err != nil {
			return 0, nil, fmt.Errorf("interface %s: %w", zone, err)
		}
		six.ZoneId = uint32(link.Index)
	}
	return unix.AF_INET6, six, nil
}

// errLocal is a fault of our own host: it proves nothing about the server.
type errLocal struct {
	what string
	err  error
}

func (e *errLocal) Error() string { return e.what + ": " + e.err.Error() }
func (e *errLocal) Unwrap() error { return e.err }

// open returns a socket that does not block, bound as in c. Its errors are
// *errLocal.
func (c *Connection) open(kind, protocol int) (fd int, remote unix.Sockaddr, err error) {
	family, remote, err := c.remote()
	if err != nil {
		return -1, nil, &errLocal{"resolve", err}
	}
	fd, err = unix.Socket(family, kind|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return -1, nil, &errLocal{"create socket", err}
	}
	if err := c.prepare(fd, family, kind); err != nil {
		unix.Close(fd)
		return -1, nil, err
	}
	return fd, remote, nil
}

func (c *Connection) prepare(fd, family, kind int) error {
	if c.FWMark != 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, int(c.FWMark)); err != nil {
			return &errLocal{"set fwmark", err}
		}
	}
	if c.BindIf != "" {
		if err := unix.BindToDevice(fd, c.BindIf); err != nil {
			return &errLocal{"bind to interface " + c.BindIf, err}
		}
	}
	if !c.Bind.IsValid() && c.BindPort == 0 {
		return nil
	}
	ip := c.Bind
	switch {
	case ip.IsValid():
	case family == unix.AF_INET:
		ip = netip.IPv4Unspecified()
	default:
		ip = netip.IPv6Unspecified()
	}
	_, local, err := sockaddr(ip, c.BindPort)
	if err != nil {
		return &errLocal{"bind", err}
	}
	if kind == unix.SOCK_STREAM && c.BindPort == 0 {
		// The port is chosen at connect, where the same one can serve several
		// destinations.
		unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
	}
	if err := unix.Bind(fd, local); err != nil {
		return &errLocal{fmt.Sprintf("bind to %s port %d", ip, c.BindPort), err}
	}
	return nil
}

// shortage reports whether an error of connect or send comes from what our own
// host lacks.
func shortage(err error) bool {
	return exhausted(err) || isAny(err, unix.EADDRNOTAVAIL, unix.EADDRINUSE, unix.EAGAIN)
}

// exhausted reports whether an error means that our own host lacks what attempts to
// all destinations need. Ports are not among that: they are short for one destination.
func exhausted(err error) bool {
	return isAny(err, unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM)
}

func isAny(err error, all ...unix.Errno) bool {
	return slices.ContainsFunc(all, func(e unix.Errno) bool { return errors.Is(err, e) })
}

// sentence is that of a verdict: final if it changed the check, else what the
// attempt came to.
func sentence(v *life.Verdict, final string) string {
	if v.Changed() {
		return final
	}
	return v.Reason
}

// after is the part of a sentence with the number of failed retries.
func after(v *life.Verdict) string {
	if v.Retries == 0 {
		return ""
	}
	return fmt.Sprintf(" after %d retries", v.Retries)
}

func serviceMail(what string, v *life.Verdict) string {
	if v.Up {
		return "=> " + what + " succeed on service <="
	}
	return "=> " + what + " failed on service <="
}

// abort is a linger that makes close send RST: a check that ends a connection leaves none in
// TIME_WAIT, neither here nor at the server.
var abort = unix.Linger{Onoff: 1, Linger: 0}

// connect starts a TCP connection for a; the machine's ready follows. On failure
// it finishes with the reason that refuse makes of the error.
func (c *Connection) connect(a *Attempt, refuse func(error) string) {
	fd, remote, err := c.open(unix.SOCK_STREAM, 0)
	if err != nil {
		a.void("TCP socket", err)
		return
	}
	a.fd, a.reset = fd, true
	switch err := c.dial(fd, remote); {
	case err == nil:
		a.deadline = a.start + c.Timeout
		a.watch(evNews)
	case shortage(err):
		a.void("TCP connect", err)
	default:
		a.fail(refuse(err))
	}
}

// dial connects a socket that does not block, or begins to. Where the remote address
// is one of our own, the kernel may choose the remote port as the local one: the socket
// is then connected to itself, which proves that no other socket has that port.
func (c *Connection) dial(fd int, remote unix.Sockaddr) error {
	if err := unix.Connect(fd, remote); err != nil && err != unix.EINPROGRESS {
		return err
	}
	if c.Port < firstChosen && c.BindPort == 0 {
		return nil
	}
	local, err := syscall.Getsockname(fd) // unix.Getsockname asks for the protocol, too
	if err == nil && sameEndpoint(local, remote) {
		return unix.ECONNREFUSED
	}
	return err
}

// firstChosen is the first port that the kernel chooses for a socket at most, unless
// net.ipv4.ip_unprivileged_port_start is lowered.
const firstChosen = 1024

func sameEndpoint(a syscall.Sockaddr, b unix.Sockaddr) bool {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		b, four := b.(*unix.SockaddrInet4)
		return four && a.Port == b.Port && a.Addr == b.Addr
	case *syscall.SockaddrInet6:
		b, six := b.(*unix.SockaddrInet6)
		return six && a.Port == b.Port && a.Addr == b.Addr
	}
	return false
}

// datagram opens a connected datagram socket that gets every ICMP error,
// and sends payload. On failure it finishes with the reason that refuse makes of
// the error.
func (c *Connection) datagram(a *Attempt, payload []byte, refuse func(error) string) {
	fd, remote, err := c.open(unix.SOCK_DGRAM, 0)
	if err != nil {
		a.void("UDP socket", err)
		return
	}
	a.fd = fd
	c.exchange(a, remote, payload, refuse)
}

// exchange sends payload from the datagram socket of a, and waits for answers
// and errors.
func (c *Connection) exchange(a *Attempt, remote unix.Sockaddr, payload []byte, refuse func(error) string) {
	if _, six := remote.(*unix.SockaddrInet6); six {
		unix.SetsockoptInt(a.fd, unix.SOL_IPV6, unix.IPV6_RECVERR, 1)
	} else {
		unix.SetsockoptInt(a.fd, unix.SOL_IP, unix.IP_RECVERR, 1)
	}
	err := c.dial(a.fd, remote)
	if err == nil {
		_, err = unix.Write(a.fd, payload)
	}
	switch {
	case err == nil:
		a.deadline = a.start + c.Timeout
		a.watch(evRead)
	case shortage(err):
		a.void("send", err)
	default:
		a.fail(refuse(err))
	}
}

// sockErr is the error that a socket has met.
func sockErr(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		return err
	case n != 0:
		return unix.Errno(n)
	}
	return nil
}

// why is an error in brackets, to follow a sentence.
func why(err error) string { return " (" + err.Error() + ")" }

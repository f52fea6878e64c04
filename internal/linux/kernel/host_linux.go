package kernel

import (
	"net/netip"

	"keepalived-go/internal/linux/nl"
)

// Host is the Linux that a process asks: the [Machine], or one in memory (package
// kerneltest).
type Host interface {
	// Netlink opens a netlink socket, as [nl.Open] does.
	Netlink(family int, o nl.Options) (nl.Socket, error)

	// Raw opens a raw socket, as [OpenRaw] does.
	Raw(family, protocol, link int, o RawOptions) (PacketConn, error)

	// Frames opens a packet socket and returns a function that sends frames by it,
	// as [SendFrames] does.
	Frames() (send func([]Frame) (int, error), err error)

	// Groups lists the multicast groups of the links, as [Groups] does.
	Groups(family int) (map[Group]bool, error)

	// ReadSysctl returns a setting of the kernel, as [ReadSysctl] does.
	ReadSysctl(name ...string) (string, error)

	// SetSysctl changes a setting of the kernel, as [SetSysctl] does.
	SetSysctl(value string, name ...string) (changed bool, err error)
}

// PacketConn is a raw socket: see [RawSocket] for its methods.
type PacketConn interface {
	FD() int
	SetReceiveBuffer(size int) error
	Join(group netip.Addr) error
	Leave(group netip.Addr) error
	ReadBatch(dst []Datagram) (int, error)
	WriteBatch(msgs []Outgoing) (int, error)
	Close() error
}

// Machine is the Linux that this process runs on, in the network namespace of the
// calling thread.
var Machine Host = machine{}

type machine struct{}

func (machine) Netlink(family int, o nl.Options) (nl.Socket, error) {
	s, err := nl.Open(family, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (machine) Raw(family, protocol, link int, o RawOptions) (PacketConn, error) {
	s, err := OpenRaw(family, protocol, link, o)
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (machine) Frames() (func([]Frame) (int, error), error) {
	fd, err := OpenPacket()
	if err != nil {
		return nil, err
	}
	return func(frames []Frame) (int, error) { return SendFrames(fd, frames) }, nil
}

func (machine) Groups(family int) (map[Group]bool, error) { return Groups(family) }

func (machine) ReadSysctl(name ...string) (string, error) { return ReadSysctl(name...) }

func (machine) SetSysctl(value string, name ...string) (bool, error) {
	return SetSysctl(value, name...)
}

// Package kerneltest is a Linux in memory: links, addresses, their events, and
// sockets for packets. It needs no privileges, and does on request what a real
// kernel does rarely: it refuses, hangs, loses events, interrupts lists, and is
// changed by others.
//
// It speaks netlink in bytes, so that what talks to it is encoded and decoded as
// for a real kernel.
package kerneltest

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/kernel"
	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/linux/nl/nltest"
)

// Kernel is a Linux in memory. All methods may be called from any goroutine.
type Kernel struct {
	mu        sync.Mutex
	links     []kernel.Link
	addrs     []kernel.Addr
	routes    []kernel.Route
	rules     []kernel.Rule
	ports     uint32
	listeners []*socket
	conns     []*packetConn
	sent      []Packet
	sending   error // not nil: packets are refused
	frames    int
	lastFrame kernel.Frame

	refuse     func(op kernel.Op, a kernel.Addr) *nl.Error
	refuseRaw  error
	lastIndex  int // of the links made
	refuseLink func(l kernel.MadeLink) *nl.Error
	hang       chan struct{} // not nil: requests wait for its end
	waiting    int           // requests that do
	losing     bool
	interrupt  int
	sysctls    map[string]string // those set, by their names with slashes
	readOnly   bool              // they cannot be set
}

var _ kernel.Host = (*Kernel)(nil)

// New returns a kernel with the links, and no addresses.
func New(links ...kernel.Link) *Kernel { return &Kernel{links: links} }

// Ethernet is a link that is up and runs IPv4 and IPv6.
func Ethernet(index int, name string) kernel.Link {
	return kernel.Link{
		Index: index, Name: name, HardwareAddr: [6]byte{2, 0, 0, 0, 0, byte(index)}, MTU: 1500,
		Flags: unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_MULTICAST | unix.IFF_BROADCAST, IPv4: true, IPv6: true,
	}
}

// SetLink adds a link, or changes the one with its index.
func (k *Kernel) SetLink(l kernel.Link) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if i := slices.IndexFunc(k.links, func(have kernel.Link) bool { return have.Index == l.Index }); i >= 0 {
		k.links[i] = l
	} else {
		k.links = append(k.links, l)
	}
	k.report(unix.RTM_NEWLINK, unix.RTNLGRP_LINK, nl.Message{}, appendLink(nil, l))
}

// RemoveLink removes a link and its addresses.
func (k *Kernel) RemoveLink(index int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removeLink(index, nl.Message{})
}

// removeLink removes a link, with its addresses and the links above it, for the request
// m. It is reported to be down before its addresses are reported to be gone.
func (k *Kernel) removeLink(index int, m nl.Message) {
	for _, l := range slices.Clone(k.links) {
		if l.Base == index {
			k.removeLink(l.Index, m)
		}
	}
	for i := range k.links {
		if l := &k.links[i]; l.Index == index && l.Flags&unix.IFF_UP != 0 {
			l.Flags &^= unix.IFF_UP | unix.IFF_RUNNING | unix.IFF_LOWER_UP
			k.report(unix.RTM_NEWLINK, unix.RTNLGRP_LINK, nl.Message{}, appendLink(nil, *l))
		}
	}
	for _, a := range slices.Clone(k.addrs) {
		if a.Link == index {
			k.remove(a.Key(), nl.Message{})
		}
	}
	i := slices.IndexFunc(k.links, func(l kernel.Link) bool { return l.Index == index })
	gone := k.links[i]
	k.links = slices.Delete(k.links, i, i+1)
	maps.DeleteFunc(k.sysctls, func(name, _ string) bool { return strings.Contains(name, "/conf/"+gone.Name+"/") })
	k.report(unix.RTM_DELLINK, unix.RTNLGRP_LINK, m, appendLink(nil, gone))
}

// SetAddr sets an address as another program does.
func (k *Kernel) SetAddr(a kernel.Addr) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.set(a, false, nl.Message{Port: otherPrograms})
}

// RemoveAddr removes an address as another program does, and reports whether it
// was there.
func (k *Kernel) RemoveAddr(link int, p netip.Prefix) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.remove(kernel.Key{Link: link, Prefix: p}, nl.Message{Port: otherPrograms}) == 0
}

// otherPrograms is the port of other programs.
const otherPrograms = 1 << 20

// Addrs returns the addresses, those set first before the others.
func (k *Kernel) Addrs() []kernel.Addr {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.addrs)
}

// Has reports whether a link has an address.
func (k *Kernel) Has(link int, p netip.Prefix) bool {
	return slices.ContainsFunc(k.Addrs(), func(a kernel.Addr) bool { return a.Key() == kernel.Key{Link: link, Prefix: p} })
}

// Refuse has the kernel refuse changes of addresses with what f returns; where
// that is nil, or f is, it carries them out.
func (k *Kernel) Refuse(f func(op kernel.Op, a kernel.Addr) *nl.Error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse = f
}

// Hang has all requests wait until release is called, as while another program
// makes the kernel hold the lock of its network configuration: those of netlink, and
// those to open, join, leave and close a raw socket. Packets are sent and received.
func (k *Kernel) Hang() (release func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	hang := make(chan struct{})
	k.hang = hang
	return sync.OnceFunc(func() {
		k.mu.Lock()
		k.hang = nil
		k.mu.Unlock()
		close(hang)
	})
}

// Waiting is how many requests wait because of [Kernel.Hang].
func (k *Kernel) Waiting() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.waiting
}

// LoseEvents calls f. The events of what happens meanwhile are lost, as after an
// overrun of their receive buffers, and the listeners get the report of a loss.
func (k *Kernel) LoseEvents(f func()) {
	k.setLosing(true)
	defer k.setLosing(false)
	f()
}

func (k *Kernel) setLosing(on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.losing = on
}

// Interrupt has the next n lists report that changes have interrupted them. Such a
// list leaves out its last entry.
func (k *Kernel) Interrupt(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.interrupt = n
}

// lock locks k for a request, which waits while the kernel hangs.
func (k *Kernel) lock() {
	k.mu.Lock()
	for k.hang != nil {
		hang := k.hang
		k.waiting++
		k.mu.Unlock()
		<-hang
		k.mu.Lock()
		k.waiting--
	}
}

// SetSysctl changes a setting. Those of secondary addresses of IPv4 have an effect:
// net ipv4 conf LINK promote_secondaries.
func (k *Kernel) SetSysctl(value string, name ...string) (changed bool, err error) {
	k.lock()
	defer k.mu.Unlock()
	if k.readOnly {
		return false, fmt.Errorf("set sysctl %s: %w", strings.Join(name, "/"), unix.EROFS)
	}
	if k.sysctls == nil {
		k.sysctls = map[string]string{}
	}
	key := strings.Join(name, "/")
	changed = cmp.Or(k.sysctls[key], "0") != value
	k.sysctls[key] = value
	return changed, nil
}

// ReadSysctl returns a setting: 0 unless it was set.
func (k *Kernel) ReadSysctl(name ...string) (string, error) {
	k.lock()
	defer k.mu.Unlock()
	return cmp.Or(k.sysctls[strings.Join(name, "/")], "0"), nil
}

// RefuseSysctls has settings be read-only, as in many containers, or not.
func (k *Kernel) RefuseSysctls(refuse bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.readOnly = refuse
}

// SetForwarding has a link forward IPv6 packets, or not.
func (k *Kernel) SetForwarding(index int, on bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range k.links {
		if k.links[i].Index == index {
			k.links[i].Forwards6 = on
			k.report(unix.RTM_NEWNETCONF, unix.RTNLGRP_IPV6_NETCONF, nl.Message{}, appendForwarding(nil, k.links[i]))
		}
	}
}

func (k *Kernel) linkName(index int) string {
	i := slices.IndexFunc(k.links, func(l kernel.Link) bool { return l.Index == index })
	if i < 0 {
		return ""
	}
	return k.links[i].Name
}

// serve answers a datagram of s.
func (k *Kernel) serve(s *socket, b []byte) {
	k.lock()
	defer k.mu.Unlock()
	nltest.Serve(s.Socket, b, func(m nl.Message) *nl.Error { return k.answer(s, m) })
}

func errno(n unix.Errno) *nl.Error {
	if n == 0 {
		return nil
	}
	return &nl.Error{Errno: n}
}

// answer carries out one request; what it returns is its refusal.
func (k *Kernel) answer(s *socket, m nl.Message) *nl.Error {
	if refusal, ok := k.routing(s, m); ok {
		return refusal
	}
	if refusal, ok := k.making(m); ok {
		return refusal
	}
	switch m.Type {
	case unix.RTM_GETLINK:
		if m.Flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP {
			list(k, s, m, unix.RTM_NEWLINK, k.links, appendLink)
			return nil
		}
		for _, l := range k.links {
			if len(m.Body) >= unix.SizeofIfInfomsg && l.Index == int(native.Uint32(m.Body[4:])) {
				s.Deliver(nltest.Message(unix.RTM_NEWLINK, 0, m, appendLink(nil, l)))
				return nil
			}
		}
		return errno(unix.ENODEV)
	case unix.RTM_GETADDR:
		list(k, s, m, unix.RTM_NEWADDR, k.addrs, appendAddr)
		return nil
	case unix.RTM_NEWADDR, unix.RTM_DELADDR:
		a, ok := kernel.DecodeAddr(m.Body, nl.Names{})
		if !ok {
			return errno(unix.EINVAL)
		}
		op := kernel.Add
		switch {
		case m.Type == unix.RTM_DELADDR:
			op = kernel.Remove
		case m.Flags&unix.NLM_F_REPLACE != 0:
			op = kernel.Replace
		}
		if k.refuse != nil {
			if refusal := k.refuse(op, a); refusal != nil {
				return refusal
			}
		}
		if op == kernel.Remove {
			return errno(k.remove(a.Key(), m))
		}
		return k.set(a, op == kernel.Add, m)
	}
	return errno(unix.EOPNOTSUPP)
}

// list answers a request for a list.
func list[T any](k *Kernel, s *socket, m nl.Message, typ uint16, all []T, encode func([]byte, T) []byte) {
	interrupted := k.interrupt > 0
	if interrupted {
		k.interrupt--
		all = all[:max(0, len(all)-1)]
	}
	for _, v := range all {
		s.Deliver(nltest.Message(typ, unix.NLM_F_MULTI, m, encode(nil, v)))
	}
	s.Deliver(nltest.Done(m, interrupted))
}

// set adds or changes an address for the request m.
func (k *Kernel) set(a kernel.Addr, exclusive bool, m nl.Message) *nl.Error {
	sentence := func(n unix.Errno, text string) *nl.Error {
		if a.Prefix.Addr().Is4() {
			return &nl.Error{Errno: n, Message: "ipv4: " + text}
		}
		return &nl.Error{Errno: n}
	}
	at := slices.IndexFunc(k.links, func(l kernel.Link) bool { return l.Index == a.Link })
	if at < 0 {
		return sentence(unix.ENODEV, "Device not found")
	}
	i := slices.IndexFunc(k.addrs, func(have kernel.Addr) bool { return have.Key() == a.Key() })
	if i >= 0 && exclusive {
		return sentence(unix.EEXIST, "Address already assigned")
	}
	if a.Prefix.Addr().Is4() && a.Label == "" {
		a.Label = k.links[at].Name
	}
	if i >= 0 {
		a.Flags |= k.addrs[i].Flags & unix.IFA_F_SECONDARY
		k.addrs[i] = a
	} else {
		if slices.ContainsFunc(k.addrs, func(have kernel.Addr) bool { return sameSubnet(have, a) }) {
			a.Flags |= unix.IFA_F_SECONDARY
		}
		k.addrs = append(k.addrs, a)
	}
	k.reportAddr(unix.RTM_NEWADDR, a, m)
	return nil
}

func sameSubnet(a, b kernel.Addr) bool {
	return a.Link == b.Link && a.Prefix.Addr().Is4() && a.Prefix.Masked() == b.Prefix.Masked()
}

// remove removes an address for the request m.
func (k *Kernel) remove(key kernel.Key, m nl.Message) unix.Errno {
	i := slices.IndexFunc(k.addrs, func(a kernel.Addr) bool { return a.Key() == key })
	if i < 0 {
		return unix.EADDRNOTAVAIL
	}
	gone := k.addrs[i]
	k.addrs = slices.Delete(k.addrs, i, i+1)
	k.reportAddr(unix.RTM_DELADDR, gone, m)
	if gone.Flags&unix.IFA_F_SECONDARY != 0 {
		return 0
	}
	for i := 0; i < len(k.addrs); i++ {
		switch a := &k.addrs[i]; {
		case !sameSubnet(*a, gone):
		case k.sysctls["net/ipv4/conf/"+k.linkName(a.Link)+"/promote_secondaries"] == "1":
			a.Flags &^= unix.IFA_F_SECONDARY
			k.reportAddr(unix.RTM_NEWADDR, *a, m)
			return 0
		default:
			secondary := *a
			k.addrs = slices.Delete(k.addrs, i, i+1)
			k.reportAddr(unix.RTM_DELADDR, secondary, m)
			i--
		}
	}
	return 0
}

// reportAddr reports an address to the listeners. A kernel does not report who
// set or removed an IPv6 address.
func (k *Kernel) reportAddr(typ uint16, a kernel.Addr, m nl.Message) {
	if a.Prefix.Addr().Is4() {
		k.report(typ, unix.RTNLGRP_IPV4_IFADDR, m, appendAddr(nil, a))
	} else {
		k.report(typ, unix.RTNLGRP_IPV6_IFADDR, nl.Message{}, appendAddr(nil, a))
	}
}

// report sends the listeners of a group what m has caused.
func (k *Kernel) report(typ uint16, group uint32, m nl.Message, body []byte) {
	b := nltest.Message(typ, 0, m, body)
	for _, s := range k.listeners {
		switch {
		case !slices.Contains(s.groups, group), !s.wants(b):
		case k.losing:
			s.Lose()
		default:
			s.Deliver(b)
		}
	}
}

// Package ipvstest is the IPVS of a Linux kernel in memory, for tests that need no
// privileges. It refuses what the kernel refuses, and does on request what the
// kernel does rarely: it refuses other requests, hangs, interrupts lists, and is
// changed by others.
//
// It speaks netlink in bytes, so that what talks to it is encoded and decoded as
// for a real kernel. It forwards no packets.
package ipvstest

import (
	"encoding/binary"
	"math"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/linux/nl"
	"keepalived-go/internal/linux/nl/nltest"
	"keepalived-go/lvs/ipvs"
)

// Kernel is an IPVS in memory. All methods may be called from any goroutine.
type Kernel struct {
	mu       sync.Mutex
	loaded   bool
	ports    uint32
	services []*service
	daemons  []ipvs.Daemon
	timeouts ipvs.Timeouts

	refuse    func(ipvs.Message) error
	hang      chan struct{} // not nil: requests wait for its end
	waiting   int           // requests that do
	interrupt int
	requests  int

	// Interfaces are those on which daemons can be started. Set it before use.
	Interfaces []string
}

type service struct {
	ipvs.ServiceState
	destinations []ipvs.DestinationState
}

// maxName is the length of the names of schedulers, engines and interfaces, in
// bytes.
const maxName = 15

// schedulers are those of Linux 6.1, and engines its persistence engines.
var (
	schedulers = []string{"rr", "wrr", "lc", "wlc", "fo", "ovf", "lblc", "lblcr", "dh", "sh", "mh", "sed", "nq", "twos"}
	engines    = []string{"sip"}
)

// New returns a kernel with the module loaded and an empty table.
func New() *Kernel {
	return &Kernel{loaded: true, Interfaces: []string{"lo", "eth0"}, timeouts: ipvs.Timeouts{TCP: 900, TCPFin: 120, UDP: 300}}
}

// Dial opens a connection, as [ipvs.Dial] does.
func (k *Kernel) Dial() (*ipvs.Conn, error) { return ipvs.NewConn(k.Socket()) }

// Socket opens a socket of the family NETLINK_GENERIC.
func (k *Kernel) Socket() nl.Socket {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ports++
	var s *nltest.Socket
	s = nltest.NewSocket(k.ports, func(b []byte) { k.serve(s, b) })
	return s
}

// SetLoaded loads the module, or unloads it with all that it holds.
func (k *Kernel) SetLoaded(loaded bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.loaded = loaded
	if !loaded {
		k.services, k.daemons = nil, nil
	}
}

// Refuse has the kernel refuse requests with the number of an error, as unix.EPERM,
// that f returns; where that is nil, or f is, it serves them.
func (k *Kernel) Refuse(f func(request ipvs.Message) error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.refuse = f
}

// Hang has all requests wait until release is called.
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

// Waiting is how many datagrams of requests wait because of [Kernel.Hang].
func (k *Kernel) Waiting() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.waiting
}

// Interrupt marks the next n lists as interrupted by changes. Such a
// list leaves out its last entry.
func (k *Kernel) Interrupt(n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.interrupt = n
}

// Requests is how many requests have been served or refused.
func (k *Kernel) Requests() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.requests
}

// Change makes a change as another program does; the error is the kernel's number.
func (k *Kernel) Change(c ipvs.Change) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := c.Message()
	if n := k.change(m); n != 0 {
		return n
	}
	return nil
}

// SetStats sets what the kernel reports of a destination, or of the service if the
// address is the zero value; it does nothing if there is no such thing.
func (k *Kernel) SetStats(id ipvs.ServiceID, addr netip.AddrPort, c ipvs.Connections, s ipvs.Stats) {
	k.mu.Lock()
	defer k.mu.Unlock()
	svc := k.find(id)
	if svc == nil {
		return
	}
	if d := svc.find(addr); d != nil {
		d.Connections, d.Stats = c, s
	} else if !addr.IsValid() {
		svc.Stats = s
	}
}

func (k *Kernel) find(id ipvs.ServiceID) *service {
	i := slices.IndexFunc(k.services, func(s *service) bool { return s.ServiceID == id })
	if i < 0 {
		return nil
	}
	return k.services[i]
}

func (s *service) find(addr netip.AddrPort) *ipvs.DestinationState {
	i := slices.IndexFunc(s.destinations, func(d ipvs.DestinationState) bool { return d.Addr == addr })
	if i < 0 {
		return nil
	}
	return &s.destinations[i]
}

// familyID is the number of the family here.
const familyID = 0x21

// serve answers a datagram of s.
func (k *Kernel) serve(s *nltest.Socket, b []byte) {
	k.mu.Lock()
	for k.hang != nil {
		hang := k.hang
		k.waiting++
		k.mu.Unlock()
		<-hang
		k.mu.Lock()
		k.waiting--
	}
	defer k.mu.Unlock()
	nltest.Serve(s, b, func(m nl.Message) *nl.Error {
		if n := k.answer(s, m); n != 0 {
			return &nl.Error{Errno: n}
		}
		return nil
	})
}

// answer serves one request; what it returns is the number of its refusal.
func (k *Kernel) answer(s *nltest.Socket, m nl.Message) unix.Errno {
	if m.Type == unix.GENL_ID_CTRL {
		if !k.loaded {
			return unix.ENOENT
		}
		b := []byte{unix.CTRL_CMD_NEWFAMILY, 2, 0, 0}
		b = nl.AppendString(b, unix.CTRL_ATTR_FAMILY_NAME, "IPVS")
		b = nl.AppendAttr(b, unix.CTRL_ATTR_FAMILY_ID, binary.NativeEndian.AppendUint16(nil, familyID))
		b = nl.AppendUint32(b, unix.CTRL_ATTR_VERSION, 1)
		s.Deliver(nltest.Message(unix.GENL_ID_CTRL, 0, m, b))
		return 0
	}
	if m.Type != familyID || !k.loaded {
		return unix.ENOENT
	}
	r, ok := ipvs.DecodeMessage(m.Body)
	if !ok {
		return unix.EAFNOSUPPORT
	}
	k.requests++
	if k.refuse != nil {
		if err := k.refuse(r); err != nil {
			n, _ := err.(unix.Errno)
			return max(n, 1)
		}
	}
	dump := m.Flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP
	reply := func(a ipvs.Message) {
		a.Whole, a.State = true, true
		s.Deliver(nltest.Message(familyID, 0, m, a.Append(nil)))
	}
	list := func(all []ipvs.Message) unix.Errno {
		interrupted := k.interrupt > 0
		if interrupted {
			k.interrupt--
			all = all[:max(0, len(all)-1)]
		}
		for _, a := range all {
			a.Whole, a.State = true, true
			s.Deliver(nltest.Message(familyID, unix.NLM_F_MULTI, m, a.Append(nil)))
		}
		s.Deliver(nltest.Done(m, interrupted))
		return 0
	}
	switch r.Command {
	case ipvs.GetService:
		if dump {
			var all []ipvs.Message
			for _, svc := range k.services {
				all = append(all, ipvs.Message{Command: ipvs.NewService, Service: &svc.ServiceState})
			}
			return list(all)
		}
		if r.Service == nil {
			return unix.EINVAL
		}
		svc := k.find(r.Service.ServiceID)
		if svc == nil {
			return unix.ESRCH
		}
		reply(ipvs.Message{Command: ipvs.NewService, Service: &svc.ServiceState})
		return 0
	case ipvs.GetDest:
		if !dump {
			return unix.EOPNOTSUPP
		}
		var all []ipvs.Message
		if r.Service != nil {
			if svc := k.find(r.Service.ServiceID); svc != nil {
				for i := range svc.destinations {
					all = append(all, ipvs.Message{Command: ipvs.NewDest, Destination: &svc.destinations[i]})
				}
			}
		}
		return list(all)
	case ipvs.NewDaemon, ipvs.DelDaemon:
		if r.Daemon == nil {
			return unix.EINVAL
		}
		return k.daemon(r.Command, *r.Daemon)
	case ipvs.GetDaemon:
		var all []ipvs.Message
		for _, d := range k.daemons {
			all = append(all, ipvs.Message{Command: ipvs.NewDaemon, Daemon: &d})
		}
		return list(all)
	case ipvs.SetConfig:
		return k.configure(r.Timeouts)
	case ipvs.GetConfig:
		reply(ipvs.Message{Command: ipvs.SetConfig, Timeouts: &k.timeouts})
		return 0
	case ipvs.GetInfo:
		reply(ipvs.Message{Command: ipvs.SetInfo, Info: &ipvs.Info{Version: 0x010201, TableSize: 4096}})
		return 0
	case ipvs.Zero:
		for _, svc := range k.services {
			if r.Service == nil || svc.ServiceID == r.Service.ServiceID {
				svc.Stats = ipvs.Stats{}
				for i := range svc.destinations {
					svc.destinations[i].Stats = ipvs.Stats{}
				}
			}
		}
		if r.Service != nil && k.find(r.Service.ServiceID) == nil {
			return unix.ESRCH
		}
		return 0
	case ipvs.Flush:
		k.services = nil
		return 0
	}
	return k.change(r)
}

func (k *Kernel) configure(t *ipvs.Timeouts) unix.Errno {
	if t == nil {
		return 0
	}
	const limit = math.MaxInt32 / 100 // seconds; HZ is 100
	if max(t.TCP, t.TCPFin, t.UDP) > limit {
		return unix.EINVAL
	}
	for _, v := range [][2]*uint32{{&t.TCP, &k.timeouts.TCP}, {&t.TCPFin, &k.timeouts.TCPFin}, {&t.UDP, &k.timeouts.UDP}} {
		if *v[0] != 0 {
			*v[1] = *v[0]
		}
	}
	return 0
}

func (k *Kernel) daemon(c ipvs.Command, d ipvs.Daemon) unix.Errno {
	at := slices.IndexFunc(k.daemons, func(have ipvs.Daemon) bool { return have.Role == d.Role })
	switch {
	case d.Role != ipvs.Master && d.Role != ipvs.Backup, len(d.Interface) > maxName:
		return unix.EINVAL
	case c == ipvs.DelDaemon && at < 0:
		return unix.ESRCH
	case c == ipvs.DelDaemon:
		k.daemons = slices.Delete(k.daemons, at, at+1)
		return 0
	case k.hasMixed():
		return unix.EINVAL // the protocol has no connections across families
	case at >= 0:
		return unix.EEXIST
	case !slices.Contains(k.Interfaces, d.Interface):
		return unix.ENODEV
	}
	if !d.Group.IsValid() {
		d.Group = netip.AddrFrom4([4]byte{224, 0, 0, 81})
	}
	if d.Port == 0 {
		d.Port = 8848
	}
	if d.TTL == 0 {
		d.TTL = 1
	}
	switch {
	case d.MaxLen == 0 && d.Group.Is4():
		d.MaxLen = 1500 - 28 // of Ethernet, without headers
	case d.MaxLen == 0:
		d.MaxLen = 1500 - 48
	case d.Role == ipvs.Backup:
		d.MaxLen = max(d.MaxLen, 1024)
	}
	k.daemons = append(k.daemons, d)
	return 0
}

// change serves what changes the table.
func (k *Kernel) change(r ipvs.Message) unix.Errno {
	if r.Service == nil {
		return unix.EINVAL
	}
	id := r.Service.ServiceID
	if len(r.Service.Scheduler) > maxName || len(r.Service.Engine) > maxName {
		return unix.EINVAL
	}
	want := ipvs.ServiceState{Service: r.Service.Service.Normal()}
	svc := k.find(id)
	if r.Command == ipvs.NewService || r.Command == ipvs.SetService {
		switch {
		case !r.Whole:
			return unix.EINVAL
		case r.Command == ipvs.NewService && svc != nil:
			return unix.EEXIST
		case r.Command == ipvs.SetService && svc == nil:
			return unix.ESRCH
		case !slices.Contains(schedulers, want.Scheduler), want.Engine != "" && !slices.Contains(engines, want.Engine):
			return unix.ENOENT
		case id.AddressFamily() == ipvs.IPv6 && want.Mask > 128:
			return unix.EINVAL
		}
	} else if svc == nil {
		return unix.ESRCH
	}
	switch r.Command {
	case ipvs.NewService:
		k.services = append(k.services, &service{ServiceState: want})
	case ipvs.SetService:
		svc.Service = want.Service
	case ipvs.DelService:
		k.services = slices.DeleteFunc(k.services, func(s *service) bool { return s == svc })
	case ipvs.NewDest, ipvs.SetDest, ipvs.DelDest:
		if r.Destination == nil {
			return unix.EINVAL
		}
		return k.changeDestination(r.Command, svc, r.Destination.Destination.Normal())
	default:
		return unix.EOPNOTSUPP
	}
	return 0
}

// isMixed reports whether service and destination are of two families.
func isMixed(s *service, d ipvs.Destination) bool {
	return d.Addr.Addr().Is4() != (s.AddressFamily() == ipvs.IPv4)
}

func (k *Kernel) hasMixed() bool {
	return slices.ContainsFunc(k.services, func(s *service) bool {
		return slices.ContainsFunc(s.destinations, func(d ipvs.DestinationState) bool { return isMixed(s, d.Destination) })
	})
}

func (k *Kernel) changeDestination(c ipvs.Command, svc *service, d ipvs.Destination) unix.Errno {
	have := svc.find(d.Addr)
	if c == ipvs.DelDest {
		if have == nil {
			return unix.ENOENT
		}
		svc.destinations = slices.DeleteFunc(svc.destinations, func(s ipvs.DestinationState) bool { return s.Addr == d.Addr })
		return 0
	}
	mixed := isMixed(svc, d)
	switch {
	case mixed && (d.Forward != ipvs.Tunnel || len(k.daemons) > 0):
		return unix.EINVAL
	case d.Weight > math.MaxInt32, d.Lower > d.Upper:
		return unix.ERANGE
	case d.Tunnel.Type == ipvs.GUE && d.Tunnel.Port == 0:
		return unix.EINVAL
	case c == ipvs.NewDest && have != nil:
		return unix.EEXIST
	case c == ipvs.SetDest && have == nil:
		return unix.ENOENT
	}
	if have != nil {
		have.Destination = d
		return 0
	}
	svc.destinations = slices.Insert(svc.destinations, 0, ipvs.DestinationState{Destination: d})
	return 0
}

package status

import (
	"net/netip"
	"slices"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/proc/act"
)

// LVS is what the process of the health checks knows.
type LVS struct {
	At   time.Time    // when the snapshot was begun: what it holds is of then or a little later
	Conf *conf.Config // in force

	NetNamespace string // the process runs in; empty: that of its caller

	// Running: the checks have begun. Otherwise nothing has a state yet, and only
	// what is configured is known.
	Running bool

	Services []VirtualServer // in the order of the configuration
	Files    []TrackedFile   // those that a check follows, likewise
	Sessions []Session       // BFD sessions that a check follows, in the order of the checks

	Table         Table
	Notifications *Notifications // nil: nobody was to be notified of anything so far
	Loop          Loop
}

// VirtualServer is a virtual_server and its pool.
type VirtualServer struct {
	Conf *conf.VirtualServer

	Up        bool      // it has its quorum
	Since     time.Time // when Up last changed; zero: it never has
	Suspended bool      // its checks do not run: no address of it is on this machine

	// Quorum and Hysteresis are in force: they differ from the configured ones
	// where the servers have less weight together. The quorum is gained at Quorum +
	// Hysteresis, and lost below Quorum - Hysteresis.
	Quorum, Hysteresis int64
	Sum                int64 // of the weights of the servers that are up
	Alive              int   // servers that are up

	Traffic, SorryTraffic *Traffic // nil: the kernel was not asked, or does not have it

	Servers []RealServer // in the order of the configuration
}

// Traffic is what the kernel counts of a service or a server, and its rates a second.
type Traffic struct {
	Connections                  uint64
	InPackets, OutPackets        uint64
	InBytes, OutBytes            uint64
	ConnectionRate               uint64
	InPacketRate, OutPacketRate  uint64
	InByteRate, OutByteRate      uint64
	Active, Inactive, Persistent uint64 // connections of a server now
}

// Keep keeps what has gone up or down since t: of the services those that have, or a server of
// theirs; of these all servers, but only the checks of those that have.
func (s *LVS) Keep(t time.Time) {
	s.Services = slices.DeleteFunc(s.Services, func(v VirtualServer) bool {
		changed := !v.Since.Before(t)
		for i := range v.Servers {
			r := &v.Servers[i]
			if !r.Since.Before(t) {
				changed = true
			} else {
				r.Checks = nil
			}
		}
		return !changed
	})
}

// Sorry reports whether the sorry server has taken the place of the pool.
func (v *VirtualServer) Sorry() bool { return v.Conf.Sorry != nil && !v.Up }

// Name is the name of a server of v in messages.
func (v *VirtualServer) Name(r *RealServer) string { return v.Conf.Endpoint(r.Conf.Addr, r.Conf.Port) }

// RealServer is a real_server.
type RealServer struct {
	Conf *conf.RealServer

	Up     bool // no check of it is down
	InPool bool // clients are sent to it, if its weight is not 0
	Since  time.Time
	Weight int // effective
	Failed int // checks that are down or have not passed yet

	Intents []act.Intent // of operators about it, the one that counts last

	Traffic *Traffic // nil: as of VirtualServer

	Checks []Check // in the order of the configuration
}

// InTable reports whether the server is in the kernel's table.
func (r *RealServer) InTable() bool { return r.InPool || r.Conf.InhibitOnFail }

// Check is a health check of a real server.
type Check struct {
	Conf *conf.Check

	Disabled string // why it cannot be done, its server counts as up; empty: it can
	Active   bool   // it runs: it is not disabled, and its service is not suspended
	Up       bool   // it speaks for its server
	Known    bool   // an attempt has decided that
	Weight   int    // it adds to that of its server

	Attempts uint64        // so far
	Failures int           // in a row that are forgiven: retries spent
	Running  bool          // an attempt is on its way
	Next     time.Time     // when the next attempt begins; zero: none is planned
	Silent   time.Duration // for which a check has not run that should have; 0: it has

	Last Result
}

// Result is how an attempt has ended, or what was reported to a check without
// attempts.
type Result struct {
	At     time.Time // zero: none has ended yet
	OK     bool
	Reason string        // of a failure, or what a success has to report; may be empty
	Page   int           // of the urls of HTTP_GET and SSL_GET, from 0
	Took   time.Duration // from its begin to its end; 0: it was reported without an attempt
}

// TrackedFile is a track_file that checks follow.
type TrackedFile struct {
	Conf   *conf.TrackFile
	Number int // the file holds
}

// Session is a BFD session that checks follow.
type Session struct {
	Name      string
	Known, Up bool // as last reported
}

// State is the word for the state of the session.
func (s *Session) State() string {
	switch {
	case !s.Known:
		return "unknown"
	case s.Up:
		return "up"
	}
	return "down"
}

// Table is the state of the kernel's load balancer (IPVS).
type Table struct {
	Unreachable string // why the kernel cannot be asked; empty: it can
	Services    int    // that it shall hold
	Waiting     int    // services of which changes are still to be accepted

	Refusing int       // changes that the kernel refuses; they are tried again
	Refused  []Refusal // the first of them, sorted

	Repairs    uint64 // services that another program had changed
	LastRepair Repair // the last of them

	Timeouts Timeouts // that were set; zero: none was
	Daemons  []SyncRole
}

// Refusal is a change that the kernel refuses.
type Refusal struct {
	Change string // with the service and the destination
	Reason string
}

// Repair is a service that was restored after another program had changed it.
type Repair struct {
	At      time.Time // zero: there was none
	Service string
	Changes string // the first ones
}

// Timeouts are those of connections in the kernel; 0: not set by us.
type Timeouts struct{ TCP, TCPFin, UDP time.Duration }

// SyncRole is a synchronisation daemon that is wanted.
type SyncRole struct {
	Role      string // master or backup
	Interface string
	ID        uint8
	Group     netip.Addr // invalid: the kernel's default
}

// Configured is what the process of the health checks knows of c before it begins.
func Configured(c *conf.Config) *LVS {
	s := &LVS{Conf: c, Services: make([]VirtualServer, len(c.VirtualServers))}
	files, sessions := map[string]bool{}, map[string]bool{}
	for i, v := range c.VirtualServers {
		out := &s.Services[i]
		out.Conf, out.Servers = v, make([]RealServer, len(v.RealServers))
		for j, r := range v.RealServers {
			out.Servers[j].Conf, out.Servers[j].Checks = r, make([]Check, len(r.Checks))
			for k, check := range r.Checks {
				out.Servers[j].Checks[k].Conf = check
				switch {
				case check.File != nil:
					files[check.File.File] = true
				case check.BFD != nil && !sessions[check.BFD.Name]:
					sessions[check.BFD.Name] = true
					s.Sessions = append(s.Sessions, Session{Name: check.BFD.Name})
				}
			}
		}
	}
	for _, f := range c.Files {
		if files[f.Name] {
			s.Files = append(s.Files, TrackedFile{Conf: f})
		}
	}
	return s
}

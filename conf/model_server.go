package conf

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// Protocol is the transport protocol of a virtual server, by its IP protocol
// number.
type Protocol uint8

const (
	NoProtocol Protocol = 0 // of firewall marks
	TCP        Protocol = 6
	UDP        Protocol = 17
	SCTP       Protocol = 132
)

func (p Protocol) String() string {
	switch p {
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case SCTP:
		return "sctp"
	}
	return "none"
}

// VirtualServer is one virtual_server block with effective values. Exactly one
// of Addr, FWMark and Group is what it serves.
type VirtualServer struct {
	Pos Pos

	Addr     netip.Addr `view:"-"` // the title has it
	Port     uint16     `view:"-"` // of Addr; 0: every port, which needs persistence
	FWMark   uint32     `view:"-"`
	Group    string     `view:"-"` // of a ServerGroup that exists
	Family   Family     // of Addr; else of ip_family, the group or the real servers
	Protocol Protocol

	Scheduler string // default wlc
	Hashed    bool
	OnePacket bool // ops: each UDP datagram is scheduled by itself
	// Flag1 to Flag3 are the flags of the scheduler: sh-fallback and
	// mh-fallback are the first, sh-port and mh-port the second.
	Flag1, Flag2, Flag3 bool

	PersistenceEngine string        // sip, or empty
	Persistence       time.Duration // persistence_timeout, whole seconds; 0: none
	// Granularity is persistence_granularity as the kernel takes it: for IPv4 a
	// mask, for IPv6 a prefix length; 0: single addresses.
	Granularity uint32

	Forward       Forward // of real servers without their own
	HASuspend     bool
	Alpha         bool // real servers are down until a check succeeds
	Omega         bool // notify the end of everything at shutdown
	InhibitOnFail bool // inhibit_on_failure
	Quorum        uint32
	Hysteresis    uint32 // less than Quorum
	QuorumUp      Command
	QuorumDown    Command
	SMTPAlert     bool // default off
	VirtualHost   string
	Weight        int // of real servers without their own
	SNMPName      string
	Defaults      *CheckDefaults

	Sorry       *SorryServer  // nil: none
	RealServers []*RealServer // at least one
}

// String is the name of the virtual server in messages: [ADDR]:PROTOCOL:PORT,
// FWM MARK or [GROUP]:0.
func (v *VirtualServer) String() string {
	switch {
	case v.Group != "":
		return "[" + v.Group + "]:0"
	case v.Addr.IsValid():
		return endpoint(v.Addr, v.Protocol, v.Port)
	}
	return fmt.Sprintf("FWM %d", v.FWMark)
}

// Endpoint is the name in messages of a server of v.
func (v *VirtualServer) Endpoint(addr netip.Addr, port uint16) string {
	return endpoint(addr, v.Protocol, port)
}

// ServerName is the name of a real server of v among those of all virtual servers: that of
// v, a blank, and its own, as log lines have them.
func (v *VirtualServer) ServerName(r *RealServer) string {
	return v.String() + " " + v.Endpoint(r.Addr, r.Port)
}

func endpoint(addr netip.Addr, p Protocol, port uint16) string {
	b := append(make([]byte, 0, 64), '[')
	b = append(append(addr.AppendTo(b), "]:"...), p.String()...)
	return string(strconv.AppendUint(append(b, ':'), uint64(port), 10))
}

// ForwardMethod is how packets reach a real server.
type ForwardMethod uint8

const (
	ForwardNAT    ForwardMethod = iota
	ForwardDirect               // DR
	ForwardTunnel               // TUN
)

// TunnelType is the encapsulation of ForwardTunnel.
type TunnelType uint8

const (
	TunnelIPIP TunnelType = iota
	TunnelGUE
	TunnelGRE
)

// TunnelChecksum is whether the outer header has a checksum.
type TunnelChecksum uint8

const (
	NoChecksum TunnelChecksum = iota
	Checksum
	RemoteChecksum // GUE only
)

// Forward is lvs_method.
type Forward struct {
	Method   ForwardMethod
	Tunnel   TunnelType
	Port     uint16 // of TunnelGUE
	Checksum TunnelChecksum
}

// CheckDefaults are the settings of a virtual or real server for its checks. Each
// check has the effective values. Servers with the same settings share one.
type CheckDefaults struct {
	ConnectTimeout time.Duration // default 5 s
	DelayLoop      time.Duration // default 60 s
	// The others are -1 where nothing is said and the default depends on the
	// check.
	Retry            int
	DelayBeforeRetry time.Duration
	Warmup           time.Duration
}

// SorryServer stands in while there are too few real servers.
type SorryServer struct {
	Addr          netip.Addr
	Port          uint16
	Forward       Forward
	InhibitOnFail bool // sorry_server_inhibit
}

// RealServer is one real_server block. The addresses and ports of those of one
// virtual server differ.
type RealServer struct {
	Pos  Pos
	Addr netip.Addr `view:"-"`
	// Port is that of the virtual server unless given. It is always so without
	// NAT, and then 0 for a firewall mark.
	Port    uint16 `view:"-"`
	Forward Forward
	Weight  int // 0: no new connections
	// Above Upper connections it gets no new ones until there are less than
	// Lower; 0: no limit.
	Upper, Lower uint32

	InhibitOnFail bool
	Alpha         bool
	SMTPAlert     bool     // default on, unlike that of virtual servers
	NotifyUp      *Command // nil: none
	NotifyDown    *Command
	VirtualHost   string
	SNMPName      string
	Defaults      *CheckDefaults

	Checks []*Check
}

// StartsDown reports whether r counts as down until a check has succeeded (alpha).
func (r *RealServer) StartsDown() bool {
	return slices.ContainsFunc(r.Checks, func(c *Check) bool { return c.Alpha })
}

// ServerGroup is one virtual_server_group block.
type ServerGroup struct {
	Name    string
	Pos     Pos
	Entries []GroupEntry `view:"entries"`
}

// GroupEntry is a line of a virtual_server_group: the addresses First to Last,
// or a firewall mark.
type GroupEntry struct {
	First, Last netip.Addr // the same for one address; invalid for a mark
	Port        uint16     // 0: every port
	FWMark      uint32
	Family      Family // 0 for a mark without one
}

// TLSClient is the SSL block: how SSL_GET checks present themselves.
type TLSClient struct {
	Password             Secret // of Key
	CA, Certificate, Key string // paths; empty: none
}

// LVS are the settings of global_defs for the load balancer and the health checkers.
type LVS struct {
	// Timeouts of connections, whole seconds; 0: as the kernel has them.
	TCPTimeout, TCPFinTimeout, UDPTimeout time.Duration

	Flush       bool // lvs_flush: remove foreign services at start
	FlushOnStop FlushOnStop
	Sync        *SyncDaemon // nil: none

	LogAllFailures bool // checker_log_all_failures
	NoCheckMails   bool // no_checker_emails: mail on changes of real servers and services only
	InitNotifies   bool // rs_init_notifies: report the first UP of real servers too

	// Receive buffers: bytes, 0 for the kernel's default.
	NetlinkCmdRcvBuf, NetlinkMonitorRcvBuf           int
	NetlinkCmdRcvBufForce, NetlinkMonitorRcvBufForce bool
}

// FlushOnStop is lvs_flush_on_stop.
type FlushOnStop uint8

const (
	FlushNothing  FlushOnStop = iota // services are removed one by one, with their servers
	FlushServices                    // VS: services are removed without their servers
	FlushAll                         // everything is removed at once
)

// SyncDaemon is lvs_sync_daemon: connections are copied to the other node. With
// an instance, its master sends and the others receive; without one, both run.
type SyncDaemon struct {
	Interface string
	Instance  string // of a vrrp_instance; empty: none
	ID        int    // 0 to 255; -1: the VRID of the instance
	MaxLen    uint16 // of a message; 0: kernel's default
	Port      uint16 // 0: 8848
	TTL       uint8  // 0: 1
	Group     netip.Addr
}

package conf

import "time"

// Firewall is how packets to addresses that are not accepted, and packets that
// macvlans must not send, are dropped, and how groups of virtual servers are
// marked.
type Firewall struct {
	NFTables string // name of the table; empty: not asked for
	Priority int32  // of its chains; default -1
	IfIndex  bool   // nftables_ifindex
	Counters bool   // nftables_counters

	IPVSTable     string // nftables_ipvs: likewise, for marks
	IPVSPriority  int32  // default -1
	IPVSFirstMark uint32 // default 1000

	IPTables *IPTables // nil: not asked for
}

// IPTables is vrrp_iptables and vrrp_ipsets.
type IPTables struct {
	In, Out string // chains; Out may be empty
	// Sets are the names of address sets: IPv4, IPv6, IPv6 with interface, IGMP,
	// MLD, neighbour discovery. Empty: no sets are used.
	Sets []string
}

// SNMP is what the SNMP agent serves.
type SNMP struct {
	Socket string // of the master agent; empty: the agent's default, unix:/var/agentx/master
	// Traps are sent by what is enabled below.
	Traps, VRRP, RFCv2, RFCv3, Checker bool
	// Statistics older than this are read again; default 5 s.
	VirtualServerAge, RealServerAge time.Duration
}

// DBus is the D-Bus interface.
type DBus struct {
	Enabled     bool
	ServiceName string // default org.keepalived.Vrrp1
	NoInterface string // dbus_no_interface_name; default none
}

// ControlGroup is the default of Control.Group.
const ControlGroup = "keepalived"

// Control is the control socket.
type Control struct {
	Off   bool   // no_control_socket
	Group string // control_group: its members may read; default keepalived
	Admin string // control_admin_group: its members may act, too; empty: only root
	HTTP  HTTP
}

// HTTP is how the state is shown over TCP.
type HTTP struct {
	Listen    string // http_listen: address and port; empty: not at all
	Cert, Key string // http_tls_cert, http_tls_key: PEM files; empty: without TLS
	Token     Secret // http_token, which clients show; empty: they need none
}

// Reload is what goes with reading a configuration again.
type Reload struct {
	Check    bool   // reload_check_config: test it before the old one is given up
	CheckLog string // where the test reports; default /dev/null
	TimeFile string // reload_time_file; empty: none
	Repeat   bool   // reload_repeat: keep TimeFile
	Marker   bool   // reload_file: a file exists while the configuration is read
	// MarkerPath is that file; empty: keepalived.reload in the directory of pid
	// files.
	MarkerPath string
}

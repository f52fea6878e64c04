package conf

import (
	"cmp"
	"net/netip"
	"time"
)

// Config is a configuration as the daemon runs it: every value is effective,
// after defaults, inheritance and clamping. It travels from the parent to its
// children with encoding/gob.
type Config struct {
	Path   string `view:"-"` // as named on the command line
	Global Global

	Instances  []*VRRPInstance
	SyncGroups []*SyncGroup

	// What instances and sync groups may track, as far as any of them does.
	Scripts    []*Script
	Files      []*TrackFile
	Processes  []*TrackProcess
	BFDs       []*TrackBFD         `view:"-"` // part of BFDInstances
	Interfaces []InterfaceSettings `view:"interface"`

	StaticAddresses []StaticAddress
	StaticRoutes    []Route
	StaticRules     []Rule
	TrackGroups     []TrackGroup

	VirtualServers []*VirtualServer
	ServerGroups   []*ServerGroup
	TLSClient      *TLSClient `view:"SSL"` // nil: SSL_GET checks have no certificate

	BFDInstances []*BFDInstance

	// HasVirtualServers and HasBFD report whether the file asks for the health
	// checkers or for BFD.
	HasVirtualServers bool `view:"-"`
	HasBFD            bool `view:"-"`
}

// FirstNamespace means the network namespace of process 1. No namespace has such a
// name: it is a path.
const FirstNamespace = "/proc/1/ns/net"

// Global holds what global_defs and the words outside of blocks set for the
// whole daemon, as far as it is not inherited by the instances.
type Global struct {
	RouterID string

	NetNamespace string
	InstanceName string // instance: suffix of pid files, log ident, process names
	UsePidDir    bool
	ChildWait    time.Duration // child_wait_time; default 5 s; see ChildTime

	ProcessNames    bool   // process_names: default names for all processes
	ProcessName     string // explicit names; empty: none given
	VRRPProcessName string

	CheckerProcessName, BFDProcessName string

	StartupDelay      time.Duration // vrrp_startup_delay
	StopHandover      time.Duration // stop_handover; 0: a stop sends priority 0 at once
	DelayAfterBoot    time.Duration // vrrp_delay_after_boot
	LogUnknownVRIDs   bool
	DynamicInterfaces bool
	AllowIfChanges    bool // dynamic_interfaces allow_if_changes
	DefaultInterface  string

	VRRP, Checker, BFD ProcessLimits

	// Receive buffers: bytes, 0 for the kernel's default.
	NetlinkCmdRcvBuf, NetlinkMonitorRcvBuf           int
	NetlinkCmdRcvBufForce, NetlinkMonitorRcvBufForce bool
	RxBufPolicy                                      RxBufPolicy
	RxBufSize                                        int // with RxBufBytes
	RxBufMultiplier                                  int

	McastGroup4, McastGroup6 netip.Addr

	Umask       uint32
	UmaskSet    bool `view:"-"`
	RandomSeed  int64
	SeedSet     bool `view:"-"`
	DataUseInst bool // data_use_instance

	StateDumpFile, StatsDumpFile, JSONDumpFile string
	JSONVersion                                int

	Scripts                         ScriptPolicy
	Startup, Shutdown               Command       // startup_script, shutdown_script
	StartupTimeout, ShutdownTimeout time.Duration // default 10 s

	FIFO, VRRPFIFO, LVSFIFO FIFO
	StatesOnReload          bool // fifo_write_vrrp_states_on_reload
	Mail                    Mail

	// NetNamespaceIPVS is net_namespace_ipvs, by default NetNamespace. Without a name
	// it is [FirstNamespace].
	NetNamespaceIPVS    string
	NamespaceWithIPSets bool
	DisableLocalIGMP    bool
	// VMACPrefix and VMACAddrPrefix begin the names of macvlans of instances and
	// of single addresses; default vrrp.
	VMACPrefix, VMACAddrPrefix string

	// Where the names of iproute2 are; defaults /usr/share/iproute2 and
	// /etc/iproute2.
	IPRouteUsrDir, IPRouteEtcDir string

	Defaults InstanceDefaults `view:"-"` // shown where they are in force

	ConfigSaveDir string // config_save_dir; empty: nothing is saved
	TmpConfigDir  string // tmp_config_directory; empty: in memory
	Reload        Reload
	Firewall      Firewall
	SNMP          SNMP
	DBus          DBus
	Control       Control
	LVS           LVS

	// Receive buffer of the process events connector.
	ProcessRcvBuf      int
	ProcessRcvBufForce bool
}

// InstanceDefaults are the values of global_defs for instances without their own.
// The instances have them already; they are kept for those who want to see them.
type InstanceDefaults struct {
	Version          int // of IPv4 instances
	DownTimerAdverts int
	GARP             GARP

	LowerPriorityNoAdvert    bool
	HigherPrioritySendAdvert bool
	OwnerIgnoreAdverts       bool // by owners of their addresses
	CheckUnicastSource       bool
	SkipCheckAdvertAddresses bool
	Strict                   bool
	ChecksumAsV2             bool
	PriorityChanges          bool // vrrp_notify_priority_changes

	// smtp_alert, and what overrules it for VRRP and for the health checks.
	Alert, AlertVRRP, AlertChecker Switch
}

// ChildTime is how long processes and scripts have to end when the daemon is
// stopped: child_wait_time, 5 s where that is 0.
func (g *Global) ChildTime() time.Duration { return cmp.Or(g.ChildWait, defaultChildWait) }

const defaultChildWait = 5 * time.Second

// Switch is a boolean that may be left open.
type Switch uint8

const (
	SwitchUnset Switch = iota
	SwitchOff
	SwitchOn
)

// ProcessLimits are the scheduling and memory settings of one process.
type ProcessLimits struct {
	Priority    int  // nice value
	PrioritySet bool `view:"-"`
	NoSwap      bool
	RTPriority  int // SCHED_RR priority 1 to 99; 0: not real-time
	CPUAffinity []int
	RTTime      int64 // RLIMIT_RTTIME, microseconds; 0: DefaultRTTime
	// MaxAutoPriority and MinAutoPriorityDelay are max_auto_priority (-1 to 99)
	// and min_auto_priority_delay.
	MaxAutoPriority      int
	MinAutoPriorityDelay time.Duration
}

// DefaultRTTime is how many microseconds a real-time process may run without a
// pause. The C daemon's 10 ms are less than the start of a Go program may take.
const DefaultRTTime = 1_000_000

// RxBufPolicy is vrrp_rx_bufs_policy.
type RxBufPolicy uint8

const (
	RxBufDefault RxBufPolicy = iota
	RxBufMTU
	RxBufAdvert
	RxBufBytes
)

// Family is an address family.
type Family uint8

const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// VRRPInstance is one vrrp_instance block with effective values.
type VRRPInstance struct {
	Name string
	Pos  Pos

	Interface string // may be empty for unicast with a source address
	Version   int    // 2 or 3
	Family    Family `view:"family"`
	VRID      uint8
	Master    bool // state MASTER: the wanted initial state
	Priority  uint8

	AdvertInterval     time.Duration
	DownTimerAdverts   int
	NoPreempt          bool
	PreemptDelay       time.Duration
	TimerExpiredBackup int // timer_expired_backup: intervals of lateness; 0: off
	DontTrackPrimary   bool
	BFDPeers           []string // names of bfd_instance blocks whose neighbours are the peers
	OnDelete           OnDelete // of what has no on_external_delete of its own, and no no_track
	Strict             bool
	Accept             bool // whether the node answers packets to the addresses

	SourceIP      netip.Addr // mcast_src_ip or unicast_src_ip; zero: primary address of the interface
	TrackSourceIP bool
	Group         netip.Addr // multicast destination (mcast_dst_ip or the global group)
	Unicast       bool       `view:"unicast"`
	Peers         []Peer
	FaultNoPeer   bool // unicast_fault_no_peer
	TTL           uint8

	CheckUnicastSource       bool
	SkipCheckAdvertAddresses bool
	OwnerIgnoreAdverts       bool
	LowerPriorityNoAdvert    bool
	HigherPrioritySendAdvert bool
	ChecksumAsV2             bool
	OldUnicastChecksum       OldChecksum

	Auth Auth
	HMAC HMAC

	Addresses          []Address // virtual_ipaddress, in order
	Excluded           []Address // virtual_ipaddress_excluded and what did not fit an advert
	PromoteSecondaries bool

	GARP  *GARP // never nil; instances with equal settings share one
	Debug int

	Routing *Routing // virtual_routes and virtual_rules; nil: none
	Link    *Link    // how the interface is made; nil: it is there, in no VRF
	RxBuf   int      // kernel_rx_buf_size, bytes; 0: by vrrp_rx_bufs_policy

	Track  []Track // the trackers of the instance, in the order of the file
	Notify *Notify // nil: no one is notified
}

// Peer is one line of unicast_peer.
type Peer struct {
	Addr           netip.Addr
	MinTTL, MaxTTL uint8 // MaxTTL is 255 unless given
}

// OldChecksum is old_unicast_checksum.
type OldChecksum uint8

const (
	OldChecksumAuto OldChecksum = iota
	OldChecksumAlways
	OldChecksumNever
)

// Secret is text that no log, dump or message prints.
type Secret string

func (Secret) String() string   { return "********" }
func (Secret) GoString() string { return "********" }

// MarshalJSON keeps it out of dumps; encoding/gob is not affected.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"********"`), nil }

// AuthType is auth_type.
type AuthType uint8

const (
	AuthNone AuthType = iota
	AuthPass
	AuthAH
)

// Auth is an authentication block.
type Auth struct {
	Type     AuthType
	Password Secret // at most 8 bytes
}

// HMACMode is the mode of an auth_hmac block.
type HMACMode uint8

const (
	HMACOff HMACMode = iota
	HMACEnforce
	HMACPermissive
	HMACReceiveOnly
)

// HMAC is an auth_hmac block.
type HMAC struct {
	Mode      HMACMode
	SendKey   uint8
	Keys      map[uint8]Secret // decoded key bytes
	Window    time.Duration    // 0: derived from the advert interval
	Monotonic bool
}

// GARP is when and how often addresses are announced.
type GARP struct {
	Repeat        int           // garp_master_repeat
	Delay         time.Duration // garp_master_delay
	Refresh       time.Duration // garp_master_refresh
	RefreshRepeat int           // garp_master_refresh_repeat
	LowerRepeat   int           // garp_lower_prio_repeat
	LowerDelay    time.Duration // garp_lower_prio_delay
	Interval      time.Duration `view:"garp interval"` // garp_interval, or that of the garp_group of the interface
	NAInterval    time.Duration `view:"gna interval"`  // gna_interval, likewise
	// PacingGroup names the garp_group whose interfaces share one pace; empty:
	// the interface has a pace of its own.
	PacingGroup string    `view:"garp pace"`
	Extra       ExtraGARP // garp_extra_if
}

// ExtraGARP is how often addresses are announced on interfaces other than that
// of the instance.
type ExtraGARP struct {
	Period time.Duration // 0: never
	All    bool          // on other interfaces than macvlans too
}

// OnDelete is on_external_delete: what follows when another program removes an address,
// a route or a rule that a virtual router holds.
type OnDelete uint8

const (
	OnDeleteUnset   OnDelete = iota // as for the instance; with no_track nothing follows
	OnDeleteYield                   // it becomes backup, and sets it again when it is master
	OnDeleteRestore                 // it stays master, and sets it again
	OnDeleteFault                   // it is in FAULT until a reload
)

// Address is one line of virtual_ipaddress or virtual_ipaddress_excluded.
type Address struct {
	Prefix    netip.Prefix // address with prefix length
	Interface string       // dev; the interface of the instance unless given
	Broadcast netip.Addr   // zero: none; with brd + and -, computed
	Label     string
	Scope     uint8        // rtnetlink scope of an IPv4 address: 0 global, 200 site, 253 link, 254 host
	Peer      netip.Prefix // of full length, as Prefix is then; zero: none

	// NoDAD is that -nodad was written; virtual IPv6 addresses have no duplicate
	// address detection anyway.
	Home, NoDAD, MngTmpAddr, NoPrefixRoute, AutoJoin bool

	NoTrack      bool // no_track
	OnDelete     OnDelete
	UseVMAC      bool   // use_vmac: on a macvlan of its own
	PreferredLft uint32 // of an IPv6 address, seconds; ^uint32(0) is forever
	Pos          Pos
}

// LinkKind is what an instance makes on top of its interface.
type LinkKind uint8

const (
	LinkPlain  LinkKind = iota // nothing
	LinkVMAC                   // use_vmac: a macvlan
	LinkIPVLAN                 // use_ipvlan
)

// IPVLANMode is the mode of an ipvlan.
type IPVLANMode uint8

const (
	IPVLANBridge IPVLANMode = iota
	IPVLANPrivate
	IPVLANVEPA
)

// Link is what use_vmac, use_ipvlan and vrf declare for the interface of an instance.
type Link struct {
	Kind LinkKind
	Name string // empty: VMACPrefix, a dot and the VRID
	// MAC of LinkVMAC; with MACSet false it is that of the virtual router.
	MAC    [6]byte
	MACSet bool `view:"-"`
	// TransmitBase sends adverts from the interface below (vmac_xmit_base).
	TransmitBase bool
	// AddressVMACs makes macvlans for addresses on other interfaces
	// (use_vmac_addr).
	AddressVMACs bool

	NotifyMsg bool   // netlink_notify_msg
	Group     uint32 // group of links it belongs to; 0: that of the interface

	Address netip.Prefix // of LinkIPVLAN; zero: none
	Mode    IPVLANMode

	VRF string // routing domain of an instance without interface; empty: none
}

// SyncGroup is one vrrp_sync_group block. Members exist and belong to no other
// group.
type SyncGroup struct {
	Name           string
	Pos            Pos
	Members        []string
	TrackingWeight bool // sync_group_tracking_weight

	Track  []Track // apply to each member
	Notify *Notify // nil: no one is notified
}

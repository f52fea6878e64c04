// Package status is what a process of ours knows at one moment, as plain data:
// the loop of the process fills a snapshot, in slices, and views turn it into
// what people and programs read. A snapshot shares the configuration and the
// histories, whose entries nobody changes, and nothing else with the process it
// is of. So a view may take its time, on any goroutine.
//
// VRRP is the snapshot of the VRRP process, LVS that of the health checks. The
// states, reasons and counters of VRRP are the values of package vrrp; a snapshot
// holds no engine, no socket and nothing of the kernel.
package status

import (
	"cmp"
	"net/netip"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/vrrp"
)

// VRRP is what the VRRP process knows.
type VRRP struct {
	At   time.Time    // when the snapshot was begun: what it holds is of then or a little later
	Conf *conf.Config // in force

	NetNamespace string // the process runs in; empty: that of its caller
	MarkerPath   string // of reload_file without a path

	// Running: the engines have begun. Otherwise nothing has a state yet, and
	// only what is configured and what the machine has is known.
	Running          bool
	RealtimePriority int // to which a late loop has raised itself; 0: it has not

	Instances []Instance // in the order of the configuration
	Groups    []Group    // likewise, those that have members
	Sockets   []Socket   // in the order of their first instance

	Scripts   []Script // each in the order of the configuration
	Files     []File
	Processes []Process
	BFDs      []BFD

	Links []Link // all of the machine, by index

	Notifications *Notifications // nil: there has been no notification so far
	Unclaimed     []Unclaimed    // packets that reached no instance
	Neighbours    []Neighbour    // who sends adverts, in no order
	Unheard       uint64         // adverts of others for whom there was no room
	Loop          Loop
}

// Neighbour is another node that sends adverts of a virtual router.
type Neighbour struct {
	Interface string // on which they arrive; empty: on a socket of none
	Address   netip.Addr
	Instance  string // the virtual router here; empty: there is none
	Claim     []byte // of the last advert: see vrrp.ParseClaim
	First     time.Time
	Last      time.Time
	Adverts   uint64
}

// Loop is how well the event loop of a process has kept time since its start.
type Loop struct {
	Turns   uint64
	Longest time.Duration // turn: nothing else has its turn meanwhile
	Stalls  uint64        // turns that took longer than 50 ms
	Late    time.Duration // by how much a timer expired too late at most

	Lateness loop.Lateness // turns in which timers expired
}

// Instance is a virtual router.
type Instance struct {
	Conf  *conf.VRRPInstance
	Group string // its sync group; empty: none

	State   vrrp.State
	Wanted  vrrp.State // in which it is or into which it goes when it starts
	Since   time.Time  // when it entered State; zero: it has not entered any
	History []Change   // the last ones, oldest first
	Notices []Change   // what it has reported last without one: From and To are the state in which it was

	Faults     vrrp.Faults   // for which the engine does not serve
	Found      vrrp.Faults   // as last looked for: before the start too
	FaultCause string        // of the first of Found, in words
	WaitsFor   string        // the tracker that has to report before it starts; empty: none
	Obstacle   vrrp.Obstacle // what keeps a backup from being master that could be
	Hindrance  string        // the same in words; empty: nothing

	Priority   uint8      // effective
	Total      int        // Priority before it was brought into its range
	Tracks     bool       // the priority has followed trackers, even if there are none now
	Arithmetic string     // how Priority comes about, if Tracks
	Trackers   []Tracking // its own and those of its sync group

	Master         netip.Addr // who is master, in BACKUP; invalid: not known
	MasterPriority uint8      // of Master
	MasterInterval time.Duration
	MasterDown     time.Duration // after which a silent master counts as gone
	Timeout        time.Time     // when the timer ends that runs; zero: none runs

	Source   netip.Addr // of adverts; invalid: there is none
	Link     int        // index of the interface; 0: it does not exist, or none is configured
	Own      string     // name of the interface that is made for it; empty: none
	OwnUp    bool       // that is up
	Socket   int        // descriptor; -1: none is open
	Held     bool       // the addresses are to be in the kernel
	Listed   []Address  // in adverts
	Excluded []Address  // the others

	Routes, Rules []bool // of each line of the configuration: the kernel has it

	Rejection Rejection // the last that was reported
	Stats     vrrp.Stats
}

// Rejection is a packet that was dropped.
type Rejection struct {
	At     time.Time // zero: there was none
	From   netip.Addr
	Reason vrrp.Reject
}

// Change is a change of state.
type Change struct {
	At       time.Time
	From, To vrrp.State
	Reason   vrrp.Reason
	Code     string // stable name of what Reason does not name: of a fault, of a notice
	Why      string // the same in words
}

// Cause is the stable name of the cause.
func (c *Change) Cause() string { return cmp.Or(c.Code, c.Reason.String()) }

// Address is a virtual address.
type Address struct {
	Conf *conf.Address
	Link string // it is for; vrrp.51@eth0 is one that is made above another one
	Set  bool   // the kernel has it
}

// Tracking is a tracker in the view of an instance.
type Tracking struct {
	conf.Track
	Known    bool      // it has reported; without that Up does not count
	Up       bool      // success, quorum, carrier
	Disabled bool      // it cannot work, and does not count
	Fault    bool      // for it alone the instance would not serve
	Detail   string    // its last result, or why it is disabled
	At       time.Time // of this result; of a script, of its last run; zero: there is none
}

// User is an instance that a tracker counts for.
type User struct {
	Instance string
	Weight   int
	Reverse  bool
}

// Group is a sync group.
type Group struct {
	Conf    *conf.SyncGroup
	State   vrrp.State
	Faulty  int // members with a fault
	Waiting int // members that have not started
}

// Reported is something that a tracker has reported which differs from what it reported
// before.
type Reported struct {
	At           time.Time
	Up, Disabled bool // see Tracking
	Number       int  // in a file, or of processes that run
}

// Script is a vrrp_script.
type Script struct {
	Conf                *conf.Script
	Known, Up, Disabled bool       // see Tracking
	Detail              string     // likewise
	At                  time.Time  // likewise
	Count               int        // from 0 to rise + fall - 1, and up from rise on
	Running             bool       // now
	Past                []Reported // the last reports, oldest first
	Users               []User
}

// File is a vrrp_track_file.
type File struct {
	Conf   *conf.TrackFile
	Number int        // the file holds
	At     time.Time  // see Tracking
	Past   []Reported // the last reports, oldest first
	Users  []User
}

// Process is a vrrp_track_process.
type Process struct {
	Conf                      *conf.TrackProcess
	Count                     int        // that run
	Quorum                    bool       // as many as there should be
	At                        time.Time  // see Tracking
	ForkDelay, TerminateDelay bool       // a change counts when that is over
	Past                      []Reported // the last reports, oldest first
	Users                     []User
}

// BFD is a bfd_instance as a tracker.
type BFD struct {
	Conf  *conf.TrackBFD
	Up    bool
	At    time.Time  // see Tracking
	Past  []Reported // the last reports, oldest first
	Users []User
}

// Socket is a raw socket, which instances share.
type Socket struct {
	FD            int
	Interface     string // empty: none
	IPv6          bool
	AH            bool // protocol 51 rather than 112
	Multicast     bool
	Source        netip.Addr // of the first of its instances
	ReceiveBuffer int        // bytes wanted by that; 0: the kernel's default
	Users         []SocketUser
}

// SocketUser is an instance on a socket.
type SocketUser struct {
	Instance string
	VRID     uint8
}

// Link is a network interface.
type Link struct {
	Name  string
	Index int
	Flags LinkFlags
	MTU   int
	MAC   [6]byte // zero: it has none

	// The addresses that are not virtual, of IPv6 the link-local ones; the first
	// of each is the one that the kernel would send from.
	IPv4, IPv6 []netip.Addr

	Below      string    // the interface below, of a macvlan or ipvlan; empty: none
	BelowFlags LinkFlags // its flags
	Made       bool      // this daemon has made it

	Settings conf.InterfaceSettings // zero: none
	Delayed  bool                   // a change counts when its delay is over
	GARP     *conf.GARP             // of an instance on it that paces its announcements; nil: none does
	Users    []User
}

// LinkFlags are the flags of an interface that matter (netdevice(7)).
type LinkFlags struct {
	Up, Running, Broadcast, Loopback, PointToPoint, NoARP, Multicast bool
}

// Unclaimed counts packets that reached no instance.
type Unclaimed struct {
	Reason vrrp.Reject
	Count  uint64
}

// Notifications is the state of the notifications of a process.
type Notifications struct {
	Owners []Owner // in the order of the process
	FIFOs  []FIFO
	Mail   Mail // without a server: none is configured
}

// The kinds of owners.
const (
	KindInstance      = "VRRP Instance"
	KindGroup         = "VRRP Sync Group"
	KindVirtualServer = "Virtual Server"
	KindRealServer    = "Real Server"
)

// Owner is what runs scripts, such as an instance or a sync group.
type Owner struct {
	Kind             string // what it is, such as KindInstance
	Name             string
	Keyword, Command string    // what runs; empty: nothing
	Since            time.Time // when that was started
	Waiting          int       // changes that wait for their turn
	Overtaken        uint64    // changes whose scripts were not run because newer ones had come
	Last             Run
	Disabled         []DisabledScript
}

// CompareOwners orders groups before instances, virtual servers before real servers,
// and those of one kind by name.
func CompareOwners(a, b Owner) int {
	return cmp.Or(cmp.Compare(b.Kind, a.Kind), cmp.Compare(a.Name, b.Name))
}

// Run is a script that has ended.
type Run struct {
	Keyword, Command string // empty: none has ended
	Result           string // how it ended
	OK               bool
	Ended            time.Time
}

// Delivery is what has become of one report of a test.
type Delivery struct {
	Keyword string // by which it is configured, such as notify_master
	To      string // the command, the path of the FIFO, or the recipients of the mail
	Result  string
	OK      bool
	Took    time.Duration
}

// DisabledScript is a script that cannot be run, and why.
type DisabledScript struct{ Keyword, Command, Reason string }

// FIFO is a named pipe for programs.
type FIFO struct {
	Keyword  string
	Path     string
	Disabled string // why it is not open; empty: it is

	// Known to a process that writes into it.
	Written uint64 // lines
	Dropped uint64 // lines, because it was full
	Full    bool   // the last line was dropped

	// Known to the parent process, which keeps it.
	Script  string // that reads it; empty: none configured
	Running bool   // that script
	Result  string // how it ended last; empty: it never has
}

// Mail is the queue of mails.
type Mail struct {
	Server    string // empty: none is configured
	Waiting   int
	Sent      uint64
	Lost      uint64 // given up, or overtaken by newer ones in a full queue
	LastError string // why the last attempt failed; empty: it did not
}

package conf

import "time"

// Command is something that a configuration wants to run: a program and its
// arguments, and as whom.
type Command struct {
	Args []string // the program, then its arguments; empty: none configured
	// User and Group are as configured, names or numbers; empty: those of
	// script_user, and without that keepalived_script. Where there is no such
	// account it is the user of the daemon, but with Secure of ScriptPolicy
	// no one: the command is not run.
	User, Group string
	Pos         Pos
}

// Given reports whether there is a command at all.
func (c *Command) Given() bool { return len(c.Args) > 0 }

// ScriptPolicy is how all scripts are run.
type ScriptPolicy struct {
	User, Group string // script_user
	// Secure is enable_script_security: nothing is run as root that others than
	// root could change, and what names no user runs as keepalived_script or not
	// at all.
	Secure bool
	// SymlinkPaths is use_symlink_paths: paths are kept as written where they
	// lead over symbolic links.
	SymlinkPaths        bool
	SupplementaryGroups bool // set_supplementary_groups
}

// Script is one vrrp_script block.
type Script struct {
	Name     string
	Pos      Pos
	Command  Command
	Interval time.Duration // default 1 s
	Timeout  time.Duration // default Interval
	Weight   int           // -253 to 253; 0: failure is a fault
	Reverse  bool          // success is bad
	Rise     int           // successes that make it up, at least 1
	Fall     int           // failures that make it down, at least 1
	InitFail bool          // down until it has succeeded
}

// InitFile is init_file of a track_file block.
type InitFile uint8

const (
	InitFileOff       InitFile = iota
	InitFileCreate             // created where it does not exist
	InitFileOverwrite          // written again in any case
)

// TrackFile is one track_file (vrrp_track_file) block.
type TrackFile struct {
	Name      string
	Pos       Pos
	Path      string
	Weight    int // factor of the number in the file; 0: any number but 0 is a fault; default 1
	Reverse   bool
	Init      InitFile
	InitValue int // what init_file writes
}

// ParamMatch is param_match of a vrrp_track_process block.
type ParamMatch uint8

const (
	MatchExact   ParamMatch = iota // all arguments are the same; the default if there are any
	MatchNone                      // arguments do not matter; the default without any
	MatchInitial                   // as MatchPartial, and the last of them may be longer
	MatchPartial                   // the first arguments are the same; the process may have more
)

// TrackProcess is one vrrp_track_process block.
type TrackProcess struct {
	Name           string
	Pos            Pos
	Process        string   // name or path of the program
	Params         []string // its arguments
	Match          ParamMatch
	FullCommand    bool // compare the whole command line rather than the name
	Weight         int  // -254 to 254; 0: down is a fault
	Reverse        bool
	Quorum         int // fewest processes that are up; default 1
	QuorumMax      int // most processes that are up; -1: any number
	ForkDelay      time.Duration
	TerminateDelay time.Duration
}

// TrackBFD is what VRRP uses of one bfd_instance block.
type TrackBFD struct {
	Name    string
	Pos     Pos
	Weight  int
	Reverse bool
}

// Track is one line of a track_* block.
type Track struct {
	Kind    TrackKind
	Name    string // of the script, file, process, BFD session or interface
	Weight  int    // effective: that of the line, else that of what is tracked
	Reverse bool   // likewise
	Pos     Pos
}

// TrackKind is the kind of a tracked object.
type TrackKind uint8

const (
	TrackedInterface TrackKind = iota
	TrackedScript
	TrackedFile
	TrackedProcess
	TrackedBFD
)

// LinkBeat is how the carrier of an interface is polled.
type LinkBeat uint8

const (
	LinkBeatNone    LinkBeat = iota
	LinkBeatAuto             // the first of the others that the driver answers
	LinkBeatMII              // SIOCGMIIREG
	LinkBeatEthtool          // ETHTOOL_GLINK
	LinkBeatIoctl            // IFF_RUNNING of SIOCGIFFLAGS
)

// InterfaceSettings are the settings of one interface.
type InterfaceSettings struct {
	Name      string
	Pos       Pos
	LinkBeat  LinkBeat      `view:"link_beat"`  // linkbeat_interfaces, linkbeat_use_polling
	DownDelay time.Duration `view:"down_delay"` // interface_up_down_delays: how long a change must last
	UpDelay   time.Duration `view:"up_delay"`
}

// Notify is how an instance or sync group reports its changes of state.
type Notify struct {
	Any, Master, Backup, Fault, Stop Command

	// Of instances only.
	Deleted          Command // notify_deleted with a command
	MasterRxLowerPri Command
	SignalDeleted    bool // notify_deleted: report DELETED rather than FAULT when a reload removes it
	PriorityChanges  bool // notify_priority_changes, effective

	SMTPAlert bool // smtp_alert, effective; false without recipient or server
}

// FIFO is a notify_fifo, vrrp_notify_fifo or lvs_notify_fifo.
type FIFO struct {
	Path        string // empty: none
	User, Group string
	Script      Command // reads it; the path is appended to its arguments
	Pos         Pos
}

// Mail is how mail is sent.
type Mail struct {
	To             []string      // notification_email, as written: with a display name or without
	From           string        // empty: the user and the host that send it
	Server         string        // name or address; empty: none
	Port           int           // default 25
	HeloName       string        // empty: name of the host
	ConnectTimeout time.Duration // default 30 s
	NoFaults       bool          // no_email_faults

	// Not in keepalived: encryption and authentication.
	STARTTLS bool
	User     string
	Password Secret
}

// Package proc is what every process of ours has: its role, the way it begins,
// its exit codes, what is left of a crash.
//
// The parent runs one process of each role that the configuration has work for.
// A new kind of process is one [Role] in the table of cmd/keepalived: a row that
// reports how it differs from the others, and a function that runs it.
package proc

import (
	"strings"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/output/logging"
	"keepalived-go/internal/proc/link"
)

// Exit codes of the daemon and of its children (keepalived(8)).
const (
	ExitOK         = 0
	ExitFatal      = 1
	ExitConfig     = 2
	ExitPermission = 4
	ExitNoConfig   = 6
)

// Name is what ps(1) shows of a process that the configuration does not name.
const Name = "keepalived"

// Role is a kind of process that the parent starts.
type Role struct {
	// Name is the name of its pid file, without .pid, and part of the name of its
	// file of state. A child learns from the environment which role it has.
	Name string
	// Title is how log lines name the process, before the word "process".
	Title string
	// Suffix is what the name in the log, the name of the log file and the name given
	// by process_names get.
	Suffix string
	// Unit is what the process serves, in the singular, for the status.
	Unit string
	// Attends marks a process that serves the daemon itself rather than a part of the
	// configuration: nothing waits for it, and its end ends nothing.
	Attends bool
	// Leaves is what would stay in the kernel after a process that does not end in
	// good order. A successor with an empty configuration removes it. Empty:
	// nothing.
	Leaves string

	// Nice is the nice value of a process whose configuration asks for no
	// scheduling of its own, and Late is what may be late without it.
	Nice int
	Late string

	Capabilities []Capability // without which the daemon does not start
	Dumps        []link.Kind  // orders for dumps that the process carries out

	// Of is what the role takes from a configuration, without the name.
	Of func(*conf.Config) Share
	// Named is the name that a configuration gives the process; empty: none.
	Named func(*conf.Global) string

	// Run runs the process until it is asked to stop. An error ends the process: the
	// log and the parent get it.
	Run func(*Child) error
}

// Share is what the role takes from a configuration.
func (r *Role) Share(c *conf.Config) Share {
	s := r.Of(c)
	switch named := r.Named(&c.Global); {
	case named != "":
		s.ProcessName = named
	case c.Global.ProcessNames:
		s.ProcessName = Name + r.Suffix
	default:
		s.ProcessName = Name
	}
	return s
}

// Share is what one role takes from a configuration.
type Share struct {
	Units       int                // how much there is to serve
	Keeps       bool               // the process is wanted without that, too: it keeps something else
	ProcessName string             // as ps(1) shows it
	Limits      conf.ProcessLimits // scheduling, memory
	Config      *conf.Config       // what the process is sent
	// MayStay is how long after the end of a process the things that it Leaves may
	// stay in the kernel while no successor runs; 0: without limit.
	MayStay time.Duration
}

// Child is what a process knows of itself when it begins to run.
type Child struct {
	Link  *link.Conn // to the parent; the configuration comes first
	Setup *link.Setup
	Logs  *logging.Logs
}

// Capability is a capability (capabilities(7)) that a process needs.
type Capability struct {
	Bit  int    // as in linux/capability.h
	Name string // CAP_...
	For  string // what for: "to set addresses"
}

// Names lists the names of capabilities.
func Names(list []Capability) string {
	names := make([]string, len(list))
	for i, c := range list {
		names[i] = c.Name
	}
	return strings.Join(names, " ")
}

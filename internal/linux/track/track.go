// Package track watches what the priority of a virtual router depends on
// besides its interface – scripts, files, processes, polled links – and turns
// what they say into a priority or a fault.
//
// [Evaluate], [ScriptState], [ProcessState] and [Damper] are pure: they get the
// time as an argument and do nothing but compute. [Set] runs the trackers of a
// configuration and reports what changes.
package track

import (
	"keepalived-go/conf"
	"keepalived-go/vrrp"
)

// Status is what a tracker says now.
type Status struct {
	Known  bool // there has been a result; without one nothing below counts
	Up     bool // success, quorum, carrier; of files: the number is not 0
	Number int  // of files: what the file says; of processes: how many run

	// Disabled says that the tracker cannot work, as with a script that does not
	// exist: it is as if nobody tracked it.
	Disabled bool

	// Cause names the tracker, with its last result or why it is disabled.
	Cause vrrp.Cause
}

// Update is a new status of a tracker.
type Update struct {
	Kind   conf.TrackKind
	Name   string
	Status Status
}

// cause is the cause of a tracker's status.
func cause(kind conf.TrackKind, name, detail string) vrrp.Cause {
	return vrrp.Cause{Code: kind.String(), Object: name, Detail: detail}
}

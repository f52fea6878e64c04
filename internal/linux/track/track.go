// Package track watches what the priority of a virtual router depends on
// besides its interface: scripts, files, processes, polled links. Their results become
// a priority or a fault in package policy.
//
// [ScriptState], [ProcessState] and [Damper] are pure: they get the
// time as an argument and do nothing but compute. [Set] runs the trackers of a
// configuration and reports what changes.
package track

import (
	"keepalived-go/conf"
	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
)

// Update is a new status of a tracker.
type Update struct {
	Kind   conf.TrackKind
	Name   string
	Status policy.Status
}

// cause is the cause of a tracker's status.
func cause(kind conf.TrackKind, name, detail string) vrrp.Cause {
	return vrrp.Cause{Code: kind.String(), Object: name, Detail: detail}
}

package script

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Code is what keeps a program from being run.
type Code string

// Codes of a [Problem].
const (
	Empty         Code = "empty"          // there is no command
	Missing       Code = "missing"        // no such file, or its interpreter is not there
	NotAFile      Code = "not-a-file"     // a directory, a device
	NotExecutable Code = "not-executable" // for no one
	NoPermission  Code = "no-permission"  // for the user who is to run it
	Insecure      Code = "insecure"       // others than root could change what root would run
	UnknownUser   Code = "unknown-user"
	UnknownGroup  Code = "unknown-group"
	Undecided     Code = "undecided"     // the look-up failed: try again
	CannotBecome  Code = "cannot-become" // without root's rights nobody becomes someone else
)

// Problem is why a program cannot be run.
type Problem struct {
	Code    Code
	Path    string // of the component that is at fault; empty: no path is
	Message string
	Remedy  string // a command, or a line of the configuration; may be empty
}

// Insecure reports whether others than root could change what root would run.
func (p *Problem) Insecure() bool { return p.Code == Insecure }

// Passes reports whether the cause lies in the moment, and not in the program, that
// it cannot be run: the user of the program looks again.
func Passes(err error) bool {
	p, ok := errors.AsType[*Problem](err)
	return ok && p.Passes()
}

// Passes reports whether the look-up failed, and is made again.
func (p *Problem) Passes() bool { return p.Code == Undecided }

// Decides reports whether an error decides about what was looked for. Others,
// such as too many open files, no memory or a disk that fails, show only that the
// look-up did not succeed.
func Decides(err error) bool {
	for _, e := range [...]unix.Errno{unix.ENOENT, unix.ENOTDIR, unix.ELOOP, unix.EACCES, unix.EPERM, unix.ENAMETOOLONG, unix.EINVAL, unix.ENXIO, unix.ESRCH} {
		if errors.Is(err, e) {
			return true
		}
	}
	return isUnknown(err)
}

// unless returns code, or Undecided where err decides nothing.
func unless(err error, code Code) Code {
	if Decides(err) {
		return code
	}
	return Undecided
}

func (p *Problem) Error() string {
	if p.Remedy == "" {
		return p.Message
	}
	return p.Message + "; try: " + p.Remedy
}

// Package script runs the programs a configuration names: checks that it
// tracks, programs that report changes, readers of FIFOs.
//
// # Who decides what
//
// Whatever a look-up cannot answer is refused. A look-up that itself failed, as
// with too many open files, is [Undecided]: it is made again before the next start.
//
//   - As whom something runs, or whose a FIFO is: Program.setUser, for all of
//     them ([Resolve], [Account]). A user or group that cannot be found is a
//     [Problem]; so is, with enable_script_security, the lack of the default
//     user.
//   - Which file runs, and whether the user may: Program.follow, one component
//     after the other. A component that cannot be opened or examined is a
//     Problem.
//   - Whether root may run it (enable_script_security): walk.judgeOwner, for
//     every component. An access control list that cannot be read counts as one
//     that lets others write.
//   - What else root would run with it: Program.judge for interpreters,
//     Program.judgeGiven for what a command line hands on. A file whose first
//     bytes cannot be read is refused.
//   - When: [Check] for a configuration test and the lint, Resolve when a
//     configuration is taken, Runner before each start.
//   - Whether a FIFO that exists may be used: notify.FIFO.
package script

import (
	"fmt"
	"syscall"
	"time"
)

// Program is a command that can be run: its path is found, its user known, and
// with enable_script_security its path has been found safe. [Resolve] makes it;
// what was checked is checked again whenever it is started.
type Program struct {
	Path string   // absolute; what is executed
	Args []string // Args[0] is the name as configured

	UID, GID uint32
	Groups   []uint32 // supplementary groups; nil: none but GID

	// Connect is HOST:PORT of a test that a connection can be made, which needs no
	// process; "" is a program.
	Connect string

	// Shell means that the file is neither a binary nor begins with #!, so that
	// it is handed to /bin/sh.
	Shell  bool
	Secure bool // enable_script_security

	// Notes are for the log: what works, but better were otherwise.
	Notes []string
}

// Request asks a [Runner] to run a program once.
type Request struct {
	Program *Program
	Extra   []string // arguments after those of the program
	Env     []string // NAME=VALUE, besides the environment that all have

	// Timeout ends the run: SIGTERM to its process group, two seconds later
	// SIGKILL. 0 lets it run as long as it likes.
	Timeout time.Duration

	// Done is called once, when the run has ended or could not begin, on the
	// runner's thread, or on a goroutine of its own where the runner has refused
	// the run: it must not block.
	Done func(Result)
}

// Result is how a run ended.
type Result struct {
	Err      error          // it could not be started: nothing else is set
	Exit     int            // exit status, unless Signal is set
	Signal   syscall.Signal // that ended it; 0: it exited
	TimedOut bool
	Took     time.Duration
	Output   string // last line that it wrote, cut at 256 bytes, printable
}

// OK reports success: exit status 0 in time.
func (r *Result) OK() bool { return r.Err == nil && r.Exit == 0 && r.Signal == 0 && !r.TimedOut }

// String describes how it ended: "exited with status 1", "timed out",
// "killed by signal 9 (killed)", "could not be started: …".
func (r *Result) String() string {
	switch {
	case r.Err != nil:
		return fmt.Sprintf("could not be started: %v", r.Err)
	case r.TimedOut:
		return "timed out"
	case r.Signal != 0:
		return fmt.Sprintf("killed by signal %d (%v)", int(r.Signal), r.Signal)
	}
	return fmt.Sprintf("exited with status %d", r.Exit)
}

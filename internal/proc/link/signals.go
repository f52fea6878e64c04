package link

import (
	"os"
	"syscall"
)

// Signals that have no name in Go: real-time signals as the C library counts
// them.
const (
	SignalJSON       = syscall.Signal(36) // SIGRTMIN+2
	SignalStatsClear = syscall.Signal(63) // SIGRTMAX-1
)

// DumpSignals ask for a dump. The parent passes them on as a message; the VRRP
// process also takes them itself.
var DumpSignals = map[os.Signal]Kind{
	syscall.SIGUSR1:  DumpData,
	syscall.SIGUSR2:  DumpStats,
	SignalStatsClear: ClearStats,
	SignalJSON:       DumpJSON,
}

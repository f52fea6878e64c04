package supervisor

import (
	"log/slog"
	"os"
	"syscall"

	"keepalived-go/internal/link"
)

// Signals that have no name in Go: real-time signals as the C library counts
// them.
const (
	SignalJSON       = syscall.Signal(36) // SIGRTMIN+2
	SignalStatsClear = syscall.Signal(63) // SIGRTMAX-1
)

// signalNames are what --signum knows.
var signalNames = []struct {
	name   string
	signal syscall.Signal
}{
	{"STOP", syscall.SIGTERM},
	{"RELOAD", syscall.SIGHUP},
	{"DATA", syscall.SIGUSR1},
	{"STATS", syscall.SIGUSR2},
	{"STATS_CLEAR", SignalStatsClear},
	{"JSON", SignalJSON},
}

// SignalNumber returns the number of the signal that asks for name.
func SignalNumber(name string) (int, bool) {
	for _, s := range signalNames {
		if s.name == name {
			return int(s.signal), true
		}
	}
	return 0, false
}

// handledSignals are the signals that the parent handles. SIGPIPE is among
// them so that a console that has gone away does not end the daemon.
func handledSignals() []os.Signal {
	signals := []os.Signal{syscall.SIGINT, syscall.SIGPIPE}
	for _, s := range signalNames {
		signals = append(signals, s.signal)
	}
	return signals
}

func (s *supervisor) signal(sig os.Signal) {
	switch sig {
	case syscall.SIGINT:
		if !s.o.IgnoreSIGINT {
			s.stop(ExitOK)
		}
	case syscall.SIGTERM:
		s.stop(ExitOK)
	case syscall.SIGHUP:
		s.reload()
	case syscall.SIGUSR1:
		s.dumpData()
		s.forward(link.DumpData)
	case syscall.SIGUSR2:
		s.forward(link.DumpStats)
	case SignalStatsClear:
		s.forward(link.ClearStats)
	case SignalJSON:
		s.forward(link.DumpJSON)
	}
}

func (s *supervisor) forward(k link.Kind) {
	if s.vrrp == nil {
		slog.Warn("No VRRP process to write a dump")
		return
	}
	s.vrrp.post(link.Message{Kind: k})
}

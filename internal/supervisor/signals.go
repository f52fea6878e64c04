package supervisor

import (
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"keepalived-go/internal/proc"
	"keepalived-go/internal/proc/link"
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
	{"STATS_CLEAR", link.SignalStatsClear},
	{"JSON", link.SignalJSON},
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

// orders are the signals to the parent, by what they ask for. Of each signal one
// is kept until it is taken, so that no number of others pushes it out; the same
// signal meanwhile asks for the same.
type orders struct {
	stop   chan os.Signal
	reload chan os.Signal
	dumps  chan os.Signal
}

// takeOrders handles signals from here on.
func takeOrders(ignoreSIGINT bool) *orders {
	o := &orders{make(chan os.Signal), make(chan os.Signal), make(chan os.Signal)}
	signal.Notify(make(chan os.Signal, 1), proc.Meaningless...)
	if ignoreSIGINT {
		signal.Notify(make(chan os.Signal, 1), syscall.SIGINT)
	} else {
		keepOne(o.stop, syscall.SIGINT)
	}
	keepOne(o.stop, syscall.SIGTERM)
	keepOne(o.reload, syscall.SIGHUP)
	for sig := range link.DumpSignals {
		keepOne(o.dumps, sig)
	}
	return o
}

// keepOne passes a signal on to out.
func keepOne(out chan<- os.Signal, sig os.Signal) {
	own := make(chan os.Signal, 1)
	signal.Notify(own, sig)
	go func() {
		for sig := range own {
			out <- sig
		}
	}()
}

// unlessStopped works until work is done, or a stop is ordered: then ok is false, and
// the process is about to end while work may still be waiting for something.
func unlessStopped[T any](o *orders, work func() T) (result T, ok bool) {
	done := make(chan T, 1)
	go func() { done <- work() }()
	select {
	case result = <-done:
		return result, true
	case <-o.stop:
		slog.Info("Stopping")
		return result, false
	}
}

// dump posts an order for a dump to every process that has that dump.
func (s *supervisor) dump(k link.Kind) {
	if k == link.DumpData {
		s.dumpData()
	}
	taken := false
	for _, sl := range s.slots {
		if sl.serves() && slices.Contains(sl.role.Dumps, k) {
			sl.child.post(link.Message{Kind: k})
			taken = true
		}
	}
	for _, sl := range s.slots {
		if !taken && slices.Contains(sl.role.Dumps, k) {
			slog.Warn("No " + sl.role.Title + " process to write a dump")
		}
	}
}

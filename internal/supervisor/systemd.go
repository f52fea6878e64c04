package supervisor

import (
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// serviceManager reports our state to systemd, if it started us. Its methods do
// not wait: a goroutine sends.
type serviceManager struct {
	queue    chan string
	watchdog time.Duration // how often we must ping; 0: never
}

func newServiceManager() *serviceManager {
	m := &serviceManager{queue: make(chan string, 16)}
	if interval, err := daemon.SdWatchdogEnabled(false); err == nil {
		m.watchdog = interval
	}
	go func() {
		for state := range m.queue {
			// Without systemd there is no one to report to; a lost line is not worth
			// one of ours.
			_, _ = daemon.SdNotify(false, state)
		}
	}()
	return m
}

func (m *serviceManager) send(state string) {
	select {
	case m.queue <- state:
	default:
	}
}

func (m *serviceManager) ready(status string) {
	m.send(daemon.SdNotifyReady + "\nSTATUS=" + status)
}

func (m *serviceManager) reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return
	}
	m.send(fmt.Sprintf("%s\nMONOTONIC_USEC=%d\nSTATUS=Reloading", daemon.SdNotifyReloading, now.Nano()/1000))
}

func (m *serviceManager) stopping() {
	m.send(daemon.SdNotifyStopping + "\nSTATUS=Stopping")
}

func (m *serviceManager) status(text string) { m.send("STATUS=" + text) }

// alive pings the watchdog.
func (m *serviceManager) alive() {
	if m.watchdog > 0 {
		m.send(daemon.SdNotifyWatchdog)
	}
}

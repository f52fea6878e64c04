package supervisor

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// serviceManager reports our state to systemd, if it started us. Its methods do
// not wait: a goroutine sends. While systemd does not read, what it has not got is
// kept, and only that which something newer replaces is left out: systemd waits for
// the end of a start and of a reload.
type serviceManager struct {
	watchdog time.Duration // how often we must ping; 0: never
	news     chan struct{} // there is something to send; closed: nothing follows
	ended    chan struct{} // closed when all was sent

	mu      sync.Mutex
	waiting states
}

// states are what systemd is to get, in this order; an empty text is nothing.
type states [sdReports]string

const (
	sdReloading = iota
	sdReady
	sdStopping
	sdStatus
	sdPing
	sdReports
)

func newServiceManager() *serviceManager {
	m := &serviceManager{news: make(chan struct{}, 1), ended: make(chan struct{})}
	if interval, err := daemon.SdWatchdogEnabled(false); err == nil {
		m.watchdog = interval
	}
	go m.send()
	return m
}

// send sends what waits, until the end. Of failures one after another the first is logged.
func (m *serviceManager) send() {
	defer close(m.ended)
	failing := false
	for range m.news {
		m.mu.Lock()
		next := m.waiting
		m.waiting = states{}
		m.mu.Unlock()
		for _, state := range next {
			if state == "" {
				continue
			}
			_, err := daemon.SdNotify(false, state) // nothing, without systemd
			if err != nil && !failing {
				slog.Warn("report to systemd: " + err.Error())
			}
			failing = err != nil
		}
	}
}

// post has a text sent, in place of the ones of the kinds that it makes obsolete.
func (m *serviceManager) post(kind int, text string, obsolete ...int) {
	m.mu.Lock()
	for _, k := range obsolete {
		m.waiting[k] = ""
	}
	m.waiting[kind] = text
	m.mu.Unlock()
	select {
	case m.news <- struct{}{}:
	default: // it is known
	}
}

func (m *serviceManager) ready(text string) {
	m.post(sdReady, daemon.SdNotifyReady+"\nSTATUS="+text, sdStatus)
}

// end returns when systemd has got everything, or a time is up. Nothing may be reported after it.
func (m *serviceManager) end(limit time.Duration) {
	close(m.news)
	select {
	case <-m.ended:
	case <-time.After(limit):
	}
}

func (m *serviceManager) reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return
	}
	m.post(sdReloading, fmt.Sprintf("%s\nMONOTONIC_USEC=%d\nSTATUS=Reloading", daemon.SdNotifyReloading, now.Nano()/1000), sdReady, sdStatus)
}

func (m *serviceManager) stopping() {
	m.post(sdStopping, daemon.SdNotifyStopping+"\nSTATUS=Stopping", sdStatus)
}

func (m *serviceManager) status(text string) { m.post(sdStatus, "STATUS="+text) }

// alive pings the watchdog.
func (m *serviceManager) alive() {
	if m.watchdog > 0 {
		m.post(sdPing, daemon.SdNotifyWatchdog)
	}
}

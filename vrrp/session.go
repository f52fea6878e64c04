package vrrp

import (
	"net/netip"
	"time"
)

// Sessions of another protocol, such as BFD, notice within milliseconds that a
// neighbour is silent, where adverts take some intervals. One that watches the master
// shortens the timer of a backup, and nothing else: an advert that arrives sets it
// again, as always.

// sessionDown is the end of a session that was up.
//
// A backup acts only on the silence of the master that it believes in: a session that
// the neighbour has ended, or an administrator, or with anyone else, proves nothing. It
// then waits for Skew_Time of that silence, so that the backup with the highest
// priority is the first.
//
// A master sends an advert at once, whatever the reason: where only the session has
// failed, the backup at its other end hears that the master lives before it takes over.
func (i *Instance) sessionDown(t *turn, neighbor netip.Addr, silence time.Duration) {
	switch i.state {
	case Master:
		if i.answerZero.ask(t.now, answerZeroPause) {
			i.advertiseNow(t)
		}
	case Backup:
		if silence <= 0 || !i.watches(neighbor) || i.stopping || i.immediate || i.account.silence != 0 {
			return
		}
		if at := t.now + SkewTime(i.prio, silence); at < i.timer {
			i.account.silence, i.account.whole, i.timer = silence, i.timer, at
		}
	}
}

// sessionUp gives a backup the timer back that sessionDown has shortened.
func (i *Instance) sessionUp(neighbor netip.Addr) {
	if i.state == Backup && i.account.silence != 0 && i.watches(neighbor) {
		i.timer, i.account.silence = i.account.whole, 0
	}
}

// watches reports whether a session with neighbor watches the present master of a
// backup whose timer runs.
func (i *Instance) watches(neighbor netip.Addr) bool {
	return i.timer != never && i.master.IsValid() && neighbor.WithZone("") == i.master
}

// moveTimer moves a running master-down timer; after the end of a session only by
// short.
func (i *Instance) moveTimer(by, short time.Duration) {
	switch {
	case i.state != Backup || i.timer == never:
	case i.account.silence != 0:
		i.timer += short
		i.account.whole += by
	default:
		i.timer += by
	}
}

package vrrpd

import (
	"fmt"
	"log/slog"
	"time"

	"keepalived-go/internal/proc/act"
	"keepalived-go/vrrp"
)

// handOverAndStop ends the process for its parent: with stop_handover when its masters have handed
// over to another node, or when the time for that is over.
func (d *daemon) handOverAndStop() {
	if d.stopping || d.leaving.Running() {
		return
	}
	wait := d.conf.Global.StopHandover
	if wait == 0 || d.DontRelease || !d.handAllOver(wait) {
		d.stop()
	}
}

// handAllOver begins the switchovers of all masters, and reports whether one is on its way.
func (d *daemon) handAllOver(wait time.Duration) bool {
	open, begun := 0, false
	ended := func() {
		if open == 0 && begun { // the addresses stay until the others have announced theirs
			d.loop.Set(&d.leaving, d.loop.Now()+vrrp.Linger)
		}
	}
	for _, r := range d.routers {
		if r.engine.State() != vrrp.Master || r.handover != nil { // that of a group is for each member
			continue
		}
		open++
		a := &act.Act{Kind: act.Switchover, Name: r.conf.Name, Reason: "the daemon stops"}
		d.switchover(a, d.together(r), func(_ any, err error) {
			open--
			if err != nil && !begun { // what becomes of others is logged with their states
				slog.Warn("stop_handover: " + err.Error())
			}
			ended()
		})
	}
	if open == 0 {
		return false
	}
	begun = true
	slog.Info(fmt.Sprintf("Masters hand over to other nodes before the end, for %v at most", wait))
	d.loop.Set(&d.leaving, d.loop.Now()+wait)
	return true
}

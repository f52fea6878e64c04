package vrrp

import "time"

// stalledMaster is called before any event of a master: when its last advert
// is older than its peers wait, one of them serves by now, and an advert of
// ours would split the group. So it goes to BACKUP, and what follows is heard
// there.
func (i *Instance) stalledMaster(t *turn) {
	if i.state != Master || t.now-i.lastAdvert < i.patience() {
		return
	}
	i.stepBack(t)
}

// tooLate is the same for TimerExpiredBackup: a master that shall not take
// over from a peer (NoPreempt) gives way when an advert is so many intervals
// late, though its peers would have waited longer.
func (i *Instance) tooLate(t *turn) bool {
	limit, on := i.lateness(i.cfg.AdvertInterval)
	if !on || t.now-i.timer < limit {
		return false
	}
	i.stepBack(t)
	return true
}

// lateness is TimerExpiredBackup as a time.
func (i *Instance) lateness(interval time.Duration) (limit time.Duration, on bool) {
	n := i.cfg.TimerExpiredBackup
	return time.Duration(n) * interval, n > 0 && i.cfg.NoPreempt
}

// stepBack goes from MASTER to BACKUP without a word to the peers.
func (i *Instance) stepBack(t *turn) {
	late := t.now - min(i.timer, t.now)
	i.stalled(t, late)
	i.release(t)
	i.announceSecond = never
	i.enterBackup(t)
	i.become(t, Backup, Action{Reason: ReasonStall, Time: late})
}

// stalledBackup reports whether the timer is served so late that its expiry
// proves nothing: adverts may wait unread, or the master may have lived and
// died meanwhile. A stopped process that wakes first listens for a whole
// interval. TimerExpiredBackup makes it do so after a shorter stall.
func (i *Instance) stalledBackup(t *turn) bool {
	late, patience := t.now-i.timer, i.MasterDownInterval()
	limit := patience
	if l, on := i.lateness(i.masterInterval); on {
		limit = min(limit, l)
	}
	if late < limit {
		return false
	}
	i.stalled(t, late)
	i.immediate, i.wants = false, false
	i.timer, i.account.silence = t.now+patience, 0
	return true
}

// stalled counts and reports that the process was late.
func (i *Instance) stalled(t *turn, late time.Duration) {
	i.counts.Stalls++
	i.note(t, Action{Note: NoteStall, Time: late})
}

package vrrp

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
// over from a peer (NoPreempt) gives way when an advert is an interval late,
// though its peers would have waited longer.
func (i *Instance) tooLate(t *turn) bool {
	if !i.cfg.TimerExpiredBackup || !i.cfg.NoPreempt || t.now-i.timer < i.cfg.AdvertInterval {
		return false
	}
	i.stepBack(t)
	return true
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

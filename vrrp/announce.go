package vrrp

// Announcements are the gratuitous ARPs and unsolicited neighbour
// advertisements by which switches and hosts learn where an address is now:
// a set on becoming master and the same again after a delay, for those who
// missed the first; periodic ones when asked for; and sets after an advert of
// lower priority, whose sender has taught them something else.

// announce has count packets sent for each address.
func (i *Instance) announce(t *turn, count int, quiet bool) {
	if count > 0 {
		t.emit(Action{Kind: Announce, Instance: i, Count: count, Quiet: quiet})
	}
}

func (i *Instance) announceMastership(t *turn) {
	a := &i.cfg.Announce
	i.announce(t, a.Repeat, false)
	// A master that lost an address and returned keeps the time of its first
	// mastership.
	if a.Delay > 0 && a.Repeat > 0 && (i.announceSecond == never || i.announceSecond <= t.now) {
		i.announceSecond = t.now + a.Delay
	}
	i.scheduleRefresh(t)
}

func (i *Instance) scheduleRefresh(t *turn) {
	i.announceRefresh = never
	if i.cfg.Announce.Refresh > 0 && i.cfg.Announce.RefreshRepeat > 0 {
		i.announceRefresh = t.now + i.cfg.Announce.Refresh
	}
}

// announceAgainstLower follows an advert of lower priority. A pending second
// set keeps its time, or a stream of adverts would put it off for ever.
func (i *Instance) announceAgainstLower(t *turn) {
	a := &i.cfg.Announce
	i.announce(t, a.LowerRepeat, i.quiet)
	if a.LowerRepeat > 0 && a.LowerDelay > 0 && i.announceLower == never {
		i.announceLower = t.now + a.LowerDelay
	}
}

// expireAnnouncements makes one set of all that are due.
func (i *Instance) expireAnnouncements(t *turn) {
	a := &i.cfg.Announce
	count, quiet := 0, i.quiet
	if t.now >= i.announceSecond {
		i.announceSecond = never
		count, quiet = a.Repeat, false
	}
	if t.now >= i.announceLower {
		i.announceLower = never
		count = max(count, a.LowerRepeat)
	}
	if t.now >= i.announceRefresh {
		count, quiet = max(count, a.RefreshRepeat), false
		i.announceRefresh += a.Refresh
		if i.announceRefresh <= t.now {
			i.announceRefresh = t.now + a.Refresh
		}
	}
	i.announce(t, count, quiet)
}

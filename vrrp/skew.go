package vrrp

import "time"

// SkewTime returns the part of an interval by which a router of lower
// priority waits longer before it takes over: (256 - prio) * interval / 256
// (RFC 9568, 6.1). Version 2 uses an interval of one second whatever the
// advertisement interval is (RFC 3768, 6.1).
func SkewTime(prio uint8, interval time.Duration) time.Duration {
	return interval * time.Duration(256-int(prio)) / 256
}

// skew returns Skew_Time at the given priority.
func (i *Instance) skew(prio uint8) time.Duration {
	if i.cfg.Version == 2 {
		return SkewTime(prio, time.Second)
	}
	return SkewTime(prio, i.masterInterval)
}

// masterDown returns Master_Down_Interval at the given priority.
func (i *Instance) masterDown(prio uint8) time.Duration {
	return time.Duration(i.cfg.DownTimerAdverts)*i.masterInterval + i.skew(prio)
}

// MasterDownInterval returns how long a backup waits for an advert: a number
// of adverts, three by default, and Skew_Time (RFC 9568, 6.1). In version 3
// it rests on the interval that the master announces.
func (i *Instance) MasterDownInterval() time.Duration { return i.masterDown(i.prio) }

// Patience returns how long a master can be silent before its peers may take over:
// Master_Down_Interval without Skew_Time, so less than that of any of them.
func Patience(downTimerAdverts int, advertInterval time.Duration) time.Duration {
	return time.Duration(downTimerAdverts) * advertInterval
}

func (i *Instance) patience() time.Duration {
	return Patience(i.cfg.DownTimerAdverts, i.cfg.AdvertInterval)
}

// setPriority sets the effective priority. That of an address owner is fixed
// (RFC 9568, 5.2.4).
func (i *Instance) setPriority(t *turn, prio uint8) {
	if i.cfg.Priority == PriorityOwner || prio == 0 {
		return
	}
	prio = min(prio, PriorityOwner-1)
	if i.until != never {
		i.own = prio
		return
	}
	i.changePriority(t, prio)
}

// changePriority moves a running master-down timer by the difference of the
// two intervals, so that an election in progress goes the right way.
func (i *Instance) changePriority(t *turn, prio uint8) {
	if prio == i.prio {
		return
	}
	was := i.prio
	i.moveTimer(i.skew(prio)-i.skew(was), SkewTime(prio, i.account.silence)-SkewTime(was, i.account.silence))
	i.prio = prio
	i.note(t, Action{Note: NotePriorityEffective, Priority: prio, Count: int(was), Cause: t.cause})
}

package vrrp

import "time"

// Limit bounds how often a report is made that others can cause at will, such
// as by a forged packet: LimitBurst times at once, and then once in each
// LimitEvery. The zero value is ready.
type Limit struct {
	full   time.Duration // when the burst is whole again
	missed uint32
}

const (
	// LimitBurst is how many occurrences of one kind are reported at once: those of
	// an election at the usual intervals are.
	LimitBurst = 5
	// LimitEvery is the time for one more.
	LimitEvery = 10 * time.Second
)

// Take reports whether an occurrence at now, monotonic, is to be reported, and how
// many were not since the last that was.
func (l *Limit) Take(now time.Duration) (missed int, ok bool) {
	if l.full-now > (LimitBurst-1)*LimitEvery {
		if l.missed++; l.missed == 0 {
			l.missed--
		}
		return 0, false
	}
	l.full = max(l.full, now) + LimitEvery
	missed, l.missed = int(l.missed), 0
	return missed, true
}

// limits has one Limit for each kind of note, and of dropped packet.
type limits [int(numNotes) + int(numRejects)]Limit

// take is Take for the kind of a, a note that a packet has caused.
func (i *Instance) take(t *turn, a *Action) bool {
	if i.limits == nil {
		i.limits = &limits{}
	}
	kind := int(a.Note)
	if a.Note == NoteRejected {
		kind = int(numNotes) + int(a.Reject)
	}
	missed, ok := i.limits[kind].Take(t.now)
	a.Missed = missed
	return ok
}

// An answer is what a master sends because of another one's packet. The first
// is sent at once, or a split would last longer than it must; what would follow
// within a pause is one answer at its end, however many packets have come.
type answer struct {
	free  time.Duration // the end of the pause
	asked time.Duration // when it was asked for last
	due   bool          // it is due at the end of the pause
}

// ask reports whether to answer now.
func (a *answer) ask(now, pause time.Duration) bool {
	a.asked = now
	if now < a.free {
		a.due = true
		return false
	}
	a.free, a.due = now+pause, false
	return true
}

// deadline is when an answer is due.
func (a *answer) deadline() time.Duration {
	if !a.due {
		return never
	}
	return a.free
}

const (
	// answerLowerPause follows the advert and the announcements against an
	// advert of lower priority. Should the answer be lost, the regular adverts
	// do what it was to do.
	answerLowerPause = time.Second
	// answerZeroPause follows the advert against a priority 0. It is short,
	// because backups wait for their Skew_Time only.
	answerZeroPause = centisecond
)

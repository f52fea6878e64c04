package notify

import "time"

const (
	// maxWaiting is how many changes of one owner wait for their scripts.
	maxWaiting = 16
	// slowAfter is when a script that still runs is reported.
	slowAfter = 10 * time.Second
	// hungAfter is how long a newer change waits for a script before it is
	// ended.
	hungAfter = time.Minute
)

// stateChange is an event that scripts report.
type stateChange struct {
	word  string
	state bool
	at    time.Time // when it happened
	steps []Step    // at least one
}

// queue holds the changes that the scripts of one owner have not been run for yet, in order,
// and knows the one that runs: never are there two. It has no clock and runs
// nothing.
//
// When changes come faster than scripts end, the older ones are overtaken, so
// that the last script that is started always gets the last state.
type queue struct {
	waiting   []stateChange
	overtaken int // since the queue was last empty

	running  *Step  // nil: none
	word     string // of the change that it is run for
	rest     []Step
	started  time.Time
	reported bool // as slow
	ended    bool // it has been sent SIGTERM
}

// push adds c. A full queue makes room: a state overtakes everything that
// waits, anything else only its own kind.
func (q *queue) push(c stateChange) {
	if len(q.waiting) >= maxWaiting {
		kept := q.waiting[:0]
		for _, w := range q.waiting {
			if !c.state && w.word != c.word {
				kept = append(kept, w)
			}
		}
		q.overtaken += len(q.waiting) - len(kept)
		clear(q.waiting[len(kept):])
		q.waiting = kept
	}
	q.waiting = append(q.waiting, c)
}

// next returns the script to be started at now; nil while one runs, or when
// there is nothing to be reported.
func (q *queue) next(now time.Time) *Step {
	if q.running != nil {
		return nil
	}
	if len(q.rest) == 0 {
		if len(q.waiting) == 0 {
			return nil
		}
		q.word, q.rest = q.waiting[0].word, q.waiting[0].steps
		q.waiting[0] = stateChange{}
		if q.waiting = q.waiting[1:]; len(q.waiting) == 0 {
			q.waiting = nil
		}
	}
	q.running, q.rest = &q.rest[0], q.rest[1:]
	q.started, q.reported, q.ended = now, false, false
	return q.running
}

// done notes the end of the script that ran.
func (q *queue) done() { q.running = nil }

// caughtUp returns how many changes were overtaken since the queue was last
// empty, once it is empty again, and 0 until then.
func (q *queue) caughtUp() int {
	if len(q.waiting) > 0 {
		return 0
	}
	n := q.overtaken
	q.overtaken = 0
	return n
}

// idle reports that nothing runs and nothing waits.
func (q *queue) idle() bool { return q.running == nil && len(q.rest) == 0 && len(q.waiting) == 0 }

// isSlow reports, once per run, that the script runs for long.
func (q *queue) isSlow(now time.Time) bool {
	if q.running == nil || q.reported || now.Sub(q.started) < slowAfter {
		return false
	}
	q.reported = true
	return true
}

// isHung reports, once per run, that a newer change has waited for the script
// for too long.
func (q *queue) isHung(now time.Time) bool {
	if q.running == nil || q.ended || len(q.waiting) == 0 {
		return false
	}
	since := q.waiting[0].at
	if since.Before(q.started) {
		since = q.started
	}
	q.ended = now.Sub(since) >= hungAfter
	return q.ended
}

// hurry leaves only the last state waiting and reports, once per run, whether
// it waits for a script.
func (q *queue) hurry() bool {
	for i := len(q.waiting) - 1; i > 0; i-- {
		if q.waiting[i].state {
			q.overtaken += i
			q.waiting = q.waiting[i:]
			break
		}
	}
	if q.running == nil || q.ended || len(q.waiting) == 0 {
		return false
	}
	q.ended = true
	return true
}

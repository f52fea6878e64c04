package loop

import "time"

// A Timer calls its owner at a time. It is a field of its owner: to set, move and
// stop it allocates nothing, and costs the logarithm of how many run. The zero
// Timer does not run. Only the goroutine of the loop may touch it.
type Timer struct {
	// Expire is called with the time at which the loop looked, which is the
	// deadline or later. The timer does not run any more then.
	Expire func(at time.Duration)

	// Order decides which of several timers with one deadline expires first: the
	// one with the lower. Do not change it while the timer runs.
	Order int

	// Lead is how long before the deadline the loop is awake, to turn without a
	// pause until then: a processor at rest takes up to 0.2 ms to come back. Ahead,
	// unless it is nil, is called once in that time, for work that makes Expire
	// faster. Neither may make the timer late. Change Lead only before Set.
	Lead  time.Duration
	Ahead func()

	deadline time.Duration
	place    int // in the heap, from 1; 0: it does not run
}

// Running reports whether the timer is set and has not expired.
func (t *Timer) Running() bool { return t.place > 0 }

// Deadline is when the timer expires; [Never] if it does not run.
func (t *Timer) Deadline() time.Duration {
	if t.place == 0 {
		return Never
	}
	return t.deadline
}

// Set starts or moves a timer. Deadlines are absolute, by [Loop.Now]: those that
// follow from the previous deadline do not drift. One that is past is due in the
// next pass, also while timers expire: none keeps the others waiting.
func (l *Loop) Set(t *Timer, deadline time.Duration) {
	if l.pass >= 0 {
		deadline = max(deadline, l.pass+1)
	}
	switch {
	case t.place == 0:
		l.heap = append(l.heap, t)
		t.deadline, t.place = deadline, len(l.heap)
		l.heap.up(t.place - 1)
	case t.deadline != deadline:
		t.deadline = deadline
		l.heap.fix(t.place - 1)
	}
}

// Stop stops a timer that runs.
func (l *Loop) Stop(t *Timer) {
	if t.place > 0 {
		l.heap.remove(t.place - 1)
	}
}

// Next is the earliest deadline of all timers; [Never] if none runs.
func (l *Loop) Next() time.Duration {
	if len(l.heap) == 0 {
		return Never
	}
	return l.heap[0].deadline
}

// Due reports whether timers are late that the last call of [Loop.Expire] has left.
func (l *Loop) Due() bool { return len(l.heap) > 0 && l.heap[0].deadline <= l.meter.woke }

// Batch is how many timers one call of [Loop.Expire] serves at most. When more are
// due the loop turns without a pause: what the first have caused leaves, and what
// has arrived is read.
const Batch = 64

// Expire calls the timers that are due, in the order of their deadlines. It
// returns how late the first of them is; 0 if none was due.
func (l *Loop) Expire() (late time.Duration) {
	if len(l.heap) == 0 {
		return 0
	}
	at, due := l.meter.woke, l.heap[0].deadline
	if !l.idle {
		at = l.rest.now()
	}
	if at < due {
		return 0
	}
	l.pass = at
	n := 0
	for ; n < Batch && len(l.heap) > 0 && l.heap[0].deadline <= at; n++ {
		t := l.heap[0]
		l.heap.remove(0)
		t.Expire(at)
	}
	l.pass = -1
	if n < Batch {
		l.rested = at + l.Slack
	}
	l.meter.expired(at, due+l.Slack)
	return at - due
}

// timers is a binary heap by deadline and order.
type timers []*Timer

func (h timers) before(i, j int) bool {
	a, b := h[i], h[j]
	return a.deadline < b.deadline || a.deadline == b.deadline && a.Order < b.Order
}

func (h timers) swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i+1, j+1
}

func (h *timers) remove(i int) {
	gone, last := (*h)[i], len(*h)-1
	h.swap(i, last)
	(*h)[last] = nil
	*h = (*h)[:last]
	gone.place = 0
	if i < last {
		h.fix(i)
	}
}

// fix moves the timer at i to its place.
func (h timers) fix(i int) {
	if !h.up(i) {
		h.down(i)
	}
}

func (h timers) up(i int) (moved bool) {
	for i > 0 {
		parent := (i - 1) / 2
		if !h.before(i, parent) {
			break
		}
		h.swap(i, parent)
		i, moved = parent, true
	}
	return moved
}

func (h timers) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			return
		}
		if child+1 < len(h) && h.before(child+1, child) {
			child++
		}
		if !h.before(child, i) {
			return
		}
		h.swap(i, child)
		i = child
	}
}

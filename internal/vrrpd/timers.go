package vrrpd

import "time"

// timers is a binary heap of routers by deadline. Routers with the same
// deadline leave it in the order in which they were configured, so that each
// keeps its place within a burst and its adverts stay evenly spaced.
type timers []*router

func (t timers) before(a, b *router) bool {
	return a.deadline < b.deadline || a.deadline == b.deadline && a.order < b.order
}

// set arms, moves or (running false) removes the timer of r.
func (t *timers) set(r *router, deadline time.Duration, running bool) {
	switch {
	case !running && r.heapIndex < 0:
	case !running:
		t.remove(r)
	case r.heapIndex < 0:
		r.deadline = deadline
		r.heapIndex = len(*t)
		*t = append(*t, r)
		t.up(r.heapIndex)
	case r.deadline != deadline:
		r.deadline = deadline
		if !t.up(r.heapIndex) {
			t.down(r.heapIndex)
		}
	}
}

func (t *timers) remove(r *router) {
	i, last := r.heapIndex, len(*t)-1
	t.swap(i, last)
	(*t)[last] = nil
	*t = (*t)[:last]
	r.heapIndex = -1
	if i < last && !t.up(i) {
		t.down(i)
	}
}

func (t timers) swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].heapIndex, t[j].heapIndex = i, j
}

func (t timers) up(i int) (moved bool) {
	for i > 0 {
		parent := (i - 1) / 2
		if !t.before(t[i], t[parent]) {
			break
		}
		t.swap(i, parent)
		i, moved = parent, true
	}
	return moved
}

func (t timers) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(t) {
			return
		}
		if child+1 < len(t) && t.before(t[child+1], t[child]) {
			child++
		}
		if !t.before(t[child], t[i]) {
			return
		}
		t.swap(i, child)
		i = child
	}
}

package supervisor

import (
	"slices"
	"sync"

	"keepalived-go/internal/proc/link"
)

// outbox holds what a child has not taken yet. Nothing is lost in it, and it is
// bounded all the same: what is asked for again while it waits is there already,
// and of two configurations only the later one counts. It uses the frames in it.
type outbox struct {
	mu    sync.Mutex
	queue []any         // link.Message or *link.Frame, in order
	ready chan struct{} // there is something to take
	over  bool          // nobody will take anything any more
}

func newOutbox() *outbox { return &outbox{ready: make(chan struct{}, 1)} }

// put adds m and reports whether that is one more: it is not if it stands for
// one that waits.
func (o *outbox) put(m any) (more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f, ok := m.(*link.Frame); ok {
		f.Hold()
	}
	if o.over {
		discard(m)
		return true
	}
	i := slices.IndexFunc(o.queue, func(waiting any) bool { return sameOrder(waiting, m) })
	if i < 0 {
		o.queue = append(o.queue, m)
	} else {
		discard(o.queue[i])
		o.queue[i] = m // what was asked for since then comes after it, as was meant
	}
	poke(o.ready)
	return i < 0
}

// discard ends the use of m, which has been taken and sent, or will not be.
func discard(m any) {
	switch m := m.(type) {
	case link.Message:
		m.Drop()
	case *link.Frame:
		m.Close()
	}
}

// end discards what waits, and whatever comes.
func (o *outbox) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range o.queue {
		discard(m)
	}
	o.queue, o.over = nil, true
}

// take removes the first one; nil: there is none. Whoever takes it discards it.
func (o *outbox) take() any {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		return nil
	}
	m := o.queue[0]
	o.queue = slices.Delete(o.queue, 0, 1)
	return m
}

// sameOrder reports whether two messages ask for the same.
func sameOrder(a, b any) bool {
	x, isMessage := a.(link.Message)
	y, both := b.(link.Message)
	if isMessage && both && x.Kind == link.Report && y.Kind == link.Report {
		return link.SameSubject(x, y)
	}
	switch x.Kind { // each of these counts; who asks bounds their number
	case link.Answer, link.Act, link.Done:
		return false
	}
	return isMessage == both && x.Kind == y.Kind
}

package supervisor

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"keepalived-go/internal/proc/link"
)

// A process reports events for another; the slot keeps the last one of each
// subject for as long as the process runs.

// subject is what an event is about, among those of one process.
type subject struct{ to, name string }

// report takes up an event from the process of the slot.
func (sl *slot) report(e *link.Event) {
	if e == nil {
		return
	}
	e.From = sl.role.Name
	key := subject{e.To, e.Subject}
	_, known := sl.events[key]
	switch {
	case len(e.Body) == 0:
		delete(sl.events, key)
	case !known && len(sl.events) == link.MaxSubjects:
		slog.Error(fmt.Sprintf("%s reports of more than %d subjects: %s is left out", sl.process(), link.MaxSubjects, e.Subject))
		return
	default:
		if sl.events == nil {
			sl.events = make(map[subject]*link.Event)
		}
		sl.events[key] = e
	}
	sl.s.pass(e)
}

// pass posts an event to the process that it is for, if it runs.
func (s *supervisor) pass(e *link.Event) {
	for _, sl := range s.slots {
		if sl.role.Name == e.To && sl.serves() {
			sl.child.post(link.Message{Kind: link.Report, Event: e})
		}
	}
}

// catchUp posts to the process of the slot, which has just started, what others
// have reported for it.
func (sl *slot) catchUp() {
	for _, other := range sl.s.slots {
		for _, key := range inOrder(other.events) {
			if key.to == sl.role.Name {
				sl.child.post(link.Message{Kind: link.Report, Event: other.events[key]})
			}
		}
	}
}

// withdraw cancels at the other processes the reports of the process of the slot,
// which has ended.
func (sl *slot) withdraw() {
	events := sl.events
	sl.events = nil
	for _, key := range inOrder(events) {
		sl.s.pass(&link.Event{From: sl.role.Name, To: key.to, Subject: key.name})
	}
}

func inOrder(events map[subject]*link.Event) []subject {
	return slices.SortedFunc(maps.Keys(events), func(a, b subject) int {
		return cmp.Or(cmp.Compare(a.to, b.to), cmp.Compare(a.name, b.name))
	})
}

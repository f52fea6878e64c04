package vrrpd

import (
	"bufio"
	"slices"
	"time"

	"keepalived-go/internal/output/status"
	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/text"
	"keepalived-go/internal/proc/link"
)

// streamDepth is how many slices of a stream may be filled in before the first of them is
// written.
const streamDepth = 4

// stream is a snapshot whose routers are written while the next ones are filled in. The
// writer asks for each slice and gives its room back with that, so that a snapshot of tens of
// thousands of virtual routers needs the room of a few slices, and the loop never waits.
type stream struct {
	*filling
	left   []*router              // not filled in yet
	beyond bool                   // everything else is filled in
	filled chan []status.Instance // closed when there is no more
}

// answer sends the parent a snapshot, or the routers of one that have changed their state, or
// reported anything else, since a time.
func (d *daemon) answer(q link.Question) {
	if q.Since != 0 {
		since := time.Unix(0, q.Since)
		f := d.newFilling(true, beside{})
		f.routers = slices.DeleteFunc(f.routers, func(r *router) bool {
			n := len(r.notices)
			return r.lastTransition.Before(since) && (n == 0 || r.notices[n-1].At.Before(since))
		})
		d.session.Answer(q.ID, f.stream(nil).answer(false))
		return
	}
	d.askBeside(func(b beside) {
		f := d.newFilling(true, b)
		d.session.Answer(q.ID, f.stream(f.rest()).answer(q.Brief))
	})
}

// stream begins to fill in f. Besides the routers it has what the steps of rest fill in.
func (f *filling) stream(rest []func()) *stream {
	s := &stream{filling: f, left: f.routers, filled: make(chan []status.Instance, streamDepth)}
	f.loop.Slices(rest, func() {
		s.beyond = true
		s.end()
	})
	return s
}

// answer writes the JSON of the snapshot.
func (s *stream) answer(brief bool) func(*bufio.Writer) error {
	return func(w *bufio.Writer) error { return api.WriteVRRP(w, s.slices, s.out, brief) }
}

// data writes the text of the snapshot.
func (s *stream) data(w *bufio.Writer) error {
	text.WriteData(w, s.slices, s.out)
	return nil
}

// slices yields the routers, slice by slice. It is called beside the loop.
func (s *stream) slices(yield func([]status.Instance) bool) {
	for range streamDepth {
		s.ask(make([]status.Instance, min(snapshotSlice, len(s.routers))))
	}
	for some := range s.filled {
		if !yield(some) {
			return
		}
		s.ask(some[:cap(some)])
	}
}

// ask has the loop fill in the next slice.
func (s *stream) ask(room []status.Instance) { s.loop.Post(func() { s.fill(room) }) }

// fill fills in the next slice, if there is one.
func (s *stream) fill(room []status.Instance) {
	if n := min(len(room), len(s.left)); n > 0 {
		s.instances(room, s.left[:n])
		s.left = s.left[n:]
		s.filled <- room[:n] // there is room: no more slices are filled in than were asked for
		s.end()
	}
}

// end ends the stream when there is no more to fill in.
func (s *stream) end() {
	if len(s.left) == 0 && s.beyond {
		close(s.filled)
	}
}

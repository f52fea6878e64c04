package controld

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"keepalived-go/internal/packed"
	"keepalived-go/internal/proc/link"
)

const (
	// patience is how long an answer may take. A client waits for the open question, for the
	// rest and for its own: twice this and mostRest are shorter than client.Timeout.
	patience = 2 * time.Second
	// A process rests after an answer for as long as that took, within these bounds:
	// however many clients ask, it spends at most half of its time on answers.
	leastRest, mostRest = 20 * time.Millisecond, time.Second
	// packAfter is how long there has been no answer when the last ones are packed: shorter
	// than freeAfter, when the memory that this frees is given back.
	packAfter = 3 * time.Second
)

// kind is what a question asks for.
type kind int

const (
	news       kind = iota // what has changed; the recorder alone asks for that, and comes first
	everything             // those who want a brief answer share it
	brief                  // see link.Question
	kinds
)

// errUnheard means that the parent does not take what it is sent.
var errUnheard = errors.New("the parent process takes no questions")

// source is a process whose state is asked for. One question is open to it at a time.
// Clients that ask meanwhile wait for the next one, and share its answer: it was begun
// after they had asked.
type source struct {
	of   string // role; empty: the parent
	send func(link.Question) bool

	mu   sync.Mutex
	open *query             // nil: none
	next [kinds]*query      // nil: nobody waits for that
	id   uint32             // of the last question; those of different sources differ
	last [kinds]*lastAnswer // the last ones, but for news; that to everything is a brief one too
	rest time.Time          // before this no question is asked
	pack *time.Timer        // packs the last answers; nil: there has been none
}

// lastAnswer is one that is kept for when the process does not answer.
type lastAnswer struct {
	body   []byte // nil: it is packed
	packed packed.Text
}

// text is what the process has answered; nil if it has not.
func (a *lastAnswer) text() ([]byte, error) {
	switch {
	case a == nil:
		return nil, nil
	case a.body != nil:
		return a.body, nil
	}
	return a.packed.Open()
}

// packLast packs the last answers: those of thousands of virtual routers take megabytes.
func (s *source) packLast() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, a := range s.last {
		if a != nil && a.body != nil {
			a.packed, a.body = packed.Of(a.body), nil
		}
	}
}

// query is a question and those who wait for its answer.
type query struct {
	id    uint32
	kind  kind
	body  []byte // of the answer
	since int64  // see link.Question
	begun time.Time
	limit *time.Timer
	done  chan struct{} // closed when it has ended
	err   error
	also  *query // has the same answer; nil: none
}

// get returns the state of the process as JSON, everything or brief. After an error that is the last
// one known, if there is one.
func (s *source) get(ctx context.Context, k kind) (body []byte, err error) {
	s.mu.Lock()
	if s.next[k] == nil {
		s.next[k] = newQuery(k)
	}
	q := s.next[k]
	s.begin()
	s.mu.Unlock()
	if err := q.wait(ctx); err != nil {
		return nil, err
	}
	if q.err == nil {
		return q.body, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if body, err = s.last[k].text(); err != nil {
		return nil, err
	}
	return body, q.err
}

// since returns what has changed since a time, as get. Only the recorder asks.
func (s *source) since(ctx context.Context, t time.Time) ([]byte, error) {
	q := newQuery(news)
	q.since = t.UnixNano()
	s.mu.Lock()
	s.next[news] = q
	s.begin()
	s.mu.Unlock()
	if err := q.wait(ctx); err != nil {
		return nil, err
	}
	return q.body, q.err
}

func newQuery(k kind) *query { return &query{kind: k, done: make(chan struct{})} }

// wait waits for the end of q, or of ctx, whose error it returns.
func (q *query) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-q.done:
		return nil
	}
}

// begin asks the next question if there is one, none is open, and the process has rested.
func (s *source) begin() {
	if s.open != nil || s.next == [kinds]*query{} {
		return
	}
	now := time.Now()
	if now.Before(s.rest) {
		time.AfterFunc(s.rest.Sub(now), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.begin()
		})
		return
	}
	k := news
	for s.next[k] == nil {
		k++
	}
	q := s.next[k]
	s.open, s.next[k] = q, nil
	if k == everything {
		q.also, s.next[brief] = s.next[brief], nil
	}
	s.id += step
	q.id, q.begun = s.id, now
	q.limit = time.AfterFunc(patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open == q {
			err := fmt.Errorf("no answer within %v", patience)
			for k, waits := range s.next { // they need not wait for the same
				if s.next[k] = nil; waits != nil {
					waits.end(nil, err)
				}
			}
			s.end(err)
		}
	})
	if !s.send(link.Question{ID: q.id, Of: s.of, Since: q.since, Brief: q.kind == brief}) {
		s.end(errUnheard)
	}
}

// take takes up an answer, unless it is a late one.
func (s *source) take(m *link.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil || s.open.id != m.Reply.ID {
		m.Drop()
		return
	}
	body, err := m.Snapshot()
	if s.open.body = body; err == nil && s.open.kind != news {
		s.keep(body)
	}
	s.end(err)
}

// keep keeps the answer to the open question.
func (s *source) keep(body []byte) {
	s.last[brief] = &lastAnswer{body: body}
	if s.open.kind == everything {
		s.last[everything] = s.last[brief]
	}
	if s.pack == nil {
		s.pack = time.AfterFunc(packAfter, s.packLast)
	} else {
		s.pack.Reset(packAfter)
	}
}

// end ends the open question.
func (s *source) end(err error) {
	q, now := s.open, time.Now()
	s.open = nil
	s.rest = now.Add(min(max(now.Sub(q.begun), leastRest), mostRest))
	q.limit.Stop()
	if q.also != nil {
		q.also.end(q.body, err)
	}
	q.end(q.body, err)
	s.begin()
}

// end hands an answer, or why there is none, to those who wait for it.
func (q *query) end(body []byte, err error) {
	q.body, q.err = body, err
	close(q.done)
}

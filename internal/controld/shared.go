package controld

import (
	"context"
	"sync"

	"keepalived-go/internal/proc/loop"
)

// shared is a view of the state that is made for all clients that wait for it: one at a time. A client
// that asks meanwhile gets the next one, which is begun after that. So however many clients ask,
// no more than one processor works for them.
type shared struct {
	view func(context.Context) ([]byte, error)

	mu   sync.Mutex
	open *viewing // nil: none
	next *viewing // nil: no client waits
}

// viewing is a view in the making.
type viewing struct {
	done chan struct{} // closed when it has ended
	body []byte
	err  error
}

// get returns the view, which must not be changed.
func (s *shared) get(ctx context.Context) ([]byte, error) {
	s.mu.Lock()
	if s.next == nil {
		s.next = &viewing{done: make(chan struct{})}
	}
	v := s.next
	s.begin()
	s.mu.Unlock()
	select {
	case <-v.done:
		return v.body, v.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// begin makes the next view if anyone waits and none is made. What it asks has a time limit,
// so it needs none.
func (s *shared) begin() {
	if s.open != nil || s.next == nil {
		return
	}
	v := s.next
	s.open, s.next = v, nil
	go func() {
		if fault := loop.Guard(func() { v.body, v.err = s.view(context.Background()) }); fault != nil {
			v.err = fault
		}
		close(v.done)
		s.mu.Lock()
		defer s.mu.Unlock()
		s.open = nil
		s.begin()
	}()
}

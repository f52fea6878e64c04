package act

import (
	"context"
	"sync"
)

// maxOpen is how many acts an asker has open at a time; more are refused.
const maxOpen = 64

// Asker has acts done, and waits for their results. It may be used by several goroutines.
type Asker struct {
	send func(id uint32, a *Act) bool // false: the parent takes nothing

	mu   sync.Mutex
	last uint32
	open map[uint32]chan Result
}

// NewAsker returns an asker that sends acts with send, which does not wait.
func NewAsker(send func(id uint32, a *Act) bool) *Asker {
	return &Asker{send: send, open: map[uint32]chan Result{}}
}

// Do has the act done and returns its result as JSON. An error is a [Refusal]. If ctx ends
// first, the act may still be done.
func (k *Asker) Do(ctx context.Context, a *Act) ([]byte, error) {
	if err := a.Check(); err != nil {
		return nil, err
	}
	id, done, err := k.begin(a)
	if err != nil {
		return nil, err
	}
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		delete(k.open, id)
	}()
	select {
	case r := <-done:
		return r.Body, r.Err()
	case <-ctx.Done():
		return nil, Refuse(Unavailable, "%v has no result yet; it may still be done", a)
	}
}

func (k *Asker) begin(a *Act) (id uint32, done chan Result, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.open) == maxOpen {
		return 0, nil, Refuse(Unavailable, "%d other acts have no result yet", maxOpen)
	}
	k.last++
	if !k.send(k.last, a) {
		return 0, nil, Refuse(Unavailable, "the parent process takes nothing")
	}
	done = make(chan Result, 1)
	k.open[k.last] = done
	return k.last, done, nil
}

// Take takes up the result of the act id. A result for which no client waits is dropped.
func (k *Asker) Take(id uint32, r Result) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if done := k.open[id]; done != nil {
		done <- r
		delete(k.open, id)
	}
}

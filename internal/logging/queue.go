package logging

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// queueLen is how many lines wait for one destination: the burst of 1,000
// virtual routers that change their state.
const queueLen = 4096

// A sink writes entries to one destination. Only the goroutine of its queue
// calls it.
type sink interface {
	// write returns an error if e is lost.
	write(e *entry) error
}

// A queue feeds one sink.
type queue struct {
	sink    sink
	ch      chan entry
	dropped atomic.Uint64 // lines lost, in all
}

func newQueue(s sink) *queue {
	q := &queue{sink: s, ch: make(chan entry, queueLen)}
	go q.run()
	return q
}

// push adds e unless the queue is full. It never waits.
func (q *queue) push(e entry) {
	select {
	case q.ch <- e:
	default:
		q.dropped.Add(1)
	}
}

func (q *queue) run() {
	var reported uint64 // lost lines already told of
	for e := range q.ch {
		if e.do != nil {
			e.do(q.sink)
			continue
		}
		if err := q.sink.write(&e); err != nil {
			q.dropped.Add(1)
			continue
		}
		if lost := q.dropped.Load(); lost > reported {
			report := entry{time: time.Now(), level: slog.LevelWarn,
				text: fmt.Sprintf("%d log messages were lost here: not taken in time", lost-reported)}
			if q.sink.write(&report) == nil {
				reported = lost
			}
		}
	}
}

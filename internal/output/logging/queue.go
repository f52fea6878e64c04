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
	// write returns how many of the entries are lost.
	write(entries []entry) (lost int)
}

// A burst is written together: waking the goroutine and calling the kernel for
// each of a thousand lines takes processors that the burst itself needs.
const (
	maxBurst   = 256
	burstPause = time.Millisecond // between two looks at the queue
)

// A queue feeds one sink.
type queue struct {
	sink    sink
	ch      chan *entry
	dropped atomic.Uint64 // lines lost, in all
}

func newQueue(s sink) *queue {
	q := &queue{sink: s, ch: make(chan *entry, queueLen)}
	go q.run()
	return q
}

// push adds e unless the queue is full. It never waits.
func (q *queue) push(e *entry) {
	select {
	case q.ch <- e:
	default:
		q.dropped.Add(1)
	}
}

func (q *queue) run() {
	var reported uint64 // lost lines that have been reported
	var burst []entry
	for e := range q.ch {
		for burst = burst[:0]; e.do == nil; e = <-q.ch {
			if burst = append(burst, *e); len(burst) == maxBurst || len(q.ch) == 0 {
				break
			}
		}
		if len(burst) > 0 {
			lost := q.sink.write(burst)
			total := q.dropped.Add(uint64(lost))
			if total > reported && lost < len(burst) { // it takes lines again
				report := entry{time: time.Now(), level: slog.LevelWarn,
					text: fmt.Sprintf("%d log messages were lost here: the destination was too slow", total-reported)}
				if q.sink.write([]entry{report}) == 0 {
					reported = total
				}
			}
		}
		if e.do != nil {
			e.do(q.sink)
		} else {
			time.Sleep(burstPause)
		}
		clear(burst)
	}
}

package loop

import (
	"sync/atomic"
	"time"
)

// Patience is how long the loop stands still at most while it calls something aside.
const Patience = time.Millisecond

// Aside calls f, which may block. Usually it does not, and then no other goroutine has
// anything to do with it: a hand-over to one takes longer than most system calls, above
// all where its processor rests. If f takes longer than [Patience], another goroutine
// calls turn until f has returned or turn reports that the loop is at its end. So the
// state of the loop must be as between two turns when Aside is called, and it may be
// another one afterwards.
func (l *Loop) Aside(f func(), turn func() bool) {
	var back atomic.Bool
	done := make(chan struct{})
	standIn := time.AfterFunc(Patience, func() {
		defer close(done)
		for !back.Load() && turn() {
		}
	})
	f()
	if standIn.Stop() {
		return
	}
	back.Store(true)
	l.rest.wake()
	<-done
}

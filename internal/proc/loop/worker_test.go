package loop

import (
	"slices"
	"testing"
)

// TestWorker checks that a worker runs its work in order and in parallel with the loop,
// whatever one piece of work waits for, that the loop gets the ends in the same order,
// and that Close waits for the rest.
func TestWorker(t *testing.T) {
	kinds(t, func(t *testing.T, l *Loop) {
		w := l.NewWorker()
		free := make(chan struct{})
		var worked, known []int
		for i := range 10 {
			w.Do(func() {
				<-free
				worked = append(worked, i)
			}, func() { known = append(known, i) })
		}
		posted := false
		l.Post(func() { posted = true })
		for !posted {
			turn(t, l) // while the work waits
		}
		if len(known) > 0 {
			t.Errorf("%v is done before it could be", known)
		}
		close(free)
		for len(known) < 10 {
			turn(t, l)
		}
		last := false
		w.Do(func() { last = true }, nil)
		w.Close()
		want := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		if !last || !slices.Equal(worked, want) || !slices.Equal(known, want) {
			t.Errorf("worked %v, known %v, the last %t", worked, known, last)
		}
	})
}

package vrrpd

import (
	"cmp"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever is set, moved and removed, the heap yields the running timers by
// deadline, and those of one deadline in configuration order.
func TestTimersYieldInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		routers := make([]*router, 20)
		running := map[*router]bool{}
		for i := range routers {
			routers[i] = &router{order: i, heapIndex: -1}
		}
		var heap timers
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			r := rapid.SampledFrom(routers).Draw(t, "router")
			on := rapid.Bool().Draw(t, "running")
			heap.set(r, time.Duration(rapid.IntRange(1, 6).Draw(t, "deadline")), on)
			running[r] = on
		}
		var want, got []int
		byDeadline := slices.Clone(routers)
		slices.SortStableFunc(byDeadline, func(a, b *router) int { return cmp.Compare(a.deadline, b.deadline) })
		for _, r := range byDeadline {
			if running[r] {
				want = append(want, r.order)
			}
		}
		for len(heap) > 0 {
			got = append(got, heap[0].order)
			heap.remove(heap[0])
		}
		if !slices.Equal(got, want) {
			t.Errorf("routers leave the heap as %v, want %v", got, want)
		}
	})
}

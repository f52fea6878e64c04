package kernel

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// TestGiveBackMemory checks that pages of the program that were changed before they were
// protected, as a loader does, keep their contents.
func TestGiveBackMemory(t *testing.T) {
	exe, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer exe.Close()
	m, err := unix.Mmap(int(exe.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	was := m[0]
	m[0]++
	if err := unix.Mprotect(m, unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
	GiveBackMemory()
	if m[0] != was+1 {
		t.Errorf("the page has been dropped: %d, was %d", m[0], was+1)
	}
}

// TestTakenUp checks that what is let go of is so once, after the last of reloads that follow
// each other, and again after the next one.
func TestTakenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		defer func() { settled.timer = nil }()
		forgotten := make(chan string, 5)
		forget := func(what string) func() { return func() { forgotten <- what } }
		TakenUp(forget("1"))
		time.Sleep(settledTime - 1)
		TakenUp(forget("2"))
		TakenUp(forget("3"), forget("4"))
		time.Sleep(settledTime - 1)
		if n := len(forgotten); n > 0 {
			t.Errorf("%d forgotten too soon", n)
		}
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		TakenUp()
		time.Sleep(2 * settledTime)
		TakenUp(forget("5"))
		time.Sleep(2 * settledTime)
		synctest.Wait()
		close(forgotten)
		got := ""
		for what := range forgotten {
			got += what
		}
		if got != "345" {
			t.Errorf("%s are forgotten, want 345", got)
		}
	})
}

// TestLargeHeap checks that a large heap is collected more often once it has settled, unless
// it was already, and a small one is not.
func TestLargeHeap(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(taken))
	percent := func() int {
		is := debug.SetGCPercent(-1)
		debug.SetGCPercent(is)
		return is
	}
	Pages(nil).giveBack()
	if got := percent(); got != taken {
		t.Errorf("a small heap: %d %%", got)
	}
	heap := make([][]byte, largeHeap>>20)
	for i := range heap {
		heap[i] = make([]byte, 1<<20)
	}
	Pages(nil).giveBack()
	if got := percent(); got != large {
		t.Errorf("a large heap: %d %%", got)
	}
	debug.SetGCPercent(large / 2)
	Pages(nil).giveBack()
	if got := percent(); got != large/2 {
		t.Errorf("one that was collected often already: %d %%", got)
	}
	runtime.KeepAlive(heap)
}

package kernel

import (
	"os"
	"testing"

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

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// spare measures how much time of a machine with one processor nothing takes: by a process that
// counts while no other one runs (SCHED_IDLE, sched(7)). The accounts of the kernel are no
// measure there: a User-Mode Linux charges whole ticks, to whom it finds running at the tick, and
// a program whose timers follow ticks is found never or always.
type spare struct {
	counter *exec.Cmd
	count   *atomic.Uint64
	idle    float64 // counts a second of a machine that does nothing else
}

// counter is the first argument of this program as the process that counts; the second is the
// file in which it does.
const counter = "-counter"

// newSpare begins to measure on a machine that does nothing else yet.
func newSpare() (*spare, error) {
	dir, err := os.MkdirTemp("", "bench-spare")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "count")
	if err := os.WriteFile(path, make([]byte, os.Getpagesize()), 0o600); err != nil {
		return nil, err
	}
	s := &spare{}
	if s.count, err = counterIn(path); err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s.counter = exec.Command(self, counter, path)
	s.counter.Env = []string{"GOMAXPROCS=1"}
	s.counter.Stderr = os.Stderr
	s.counter.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.counter.Start(); err != nil {
		return nil, err
	}
	for end := time.Now().Add(10 * time.Second); s.count.Load() == 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			s.close()
			return nil, errors.New("the process that measures the spare time has not begun")
		}
	}
	s.idle = s.rate(3 * time.Second)
	return s, nil
}

func (s *spare) close() {
	s.counter.Process.Kill()
	s.counter.Wait()
}

func (s *spare) rate(d time.Duration) float64 {
	from, begun := s.count.Load(), time.Now()
	time.Sleep(d)
	return float64(s.count.Load()-from) / time.Since(begun).Seconds()
}

// taken returns how much time the others take within the next d.
func (s *spare) taken(d time.Duration) time.Duration {
	return time.Duration(float64(d) * max(0, 1-s.rate(d)/s.idle))
}

// counterIn maps the counter in a file.
func counterIn(path string) (*atomic.Uint64, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	page, err := unix.Mmap(int(f.Fd()), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return (*atomic.Uint64)(unsafe.Pointer(&page[0])), nil // it stays mapped until the end of the process
}

// runCounter counts, in a file, until the process is killed.
func runCounter(path string) error {
	count, err := counterIn(path)
	if err != nil {
		return err
	}
	runtime.LockOSThread()
	if err := unix.SchedSetAttr(0, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_IDLE}, 0); err != nil {
		return err
	}
	for {
		count.Add(1)
	}
}

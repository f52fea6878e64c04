package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// thread is an OS thread in its own namespaces. Sockets that it opens and programs that
// it starts belong to these namespaces.
type thread struct {
	netns *os.File
	inode uint64 // of the network namespace
	work  chan func()
	quit  chan struct{}
}

// newThread starts a thread that leaves the namespaces named by flags and runs setup in
// the new ones.
func newThread(flags int, setup func() error) (*thread, error) {
	t := &thread{work: make(chan func()), quit: make(chan struct{})}
	ready := make(chan error)
	go t.run(flags, setup, ready)
	if err := <-ready; err != nil {
		return nil, err
	}
	return t, nil
}

func (t *thread) run(flags int, setup func() error, ready chan<- error) {
	// Never unlocked: the thread must not serve other goroutines, and ends with this one.
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() {
		// The main thread cannot end, and the rest of the system takes its namespaces for
		// those of the process.
		go t.run(flags, setup, ready)
		<-t.quit
		runtime.UnlockOSThread()
		return
	}
	err := func() (err error) {
		if err := unix.Unshare(flags); err != nil {
			return fmt.Errorf("leave namespaces: %w", err)
		}
		if t.netns, err = os.Open("/proc/thread-self/ns/net"); err != nil {
			return err
		}
		var st unix.Stat_t
		if err := unix.Fstat(int(t.netns.Fd()), &st); err != nil {
			return err
		}
		t.inode = st.Ino
		return setup()
	}()
	ready <- err
	if err != nil {
		close(t.quit)
		return
	}
	for {
		select {
		case f := <-t.work:
			f()
		case <-t.quit:
			t.netns.Close()
			return
		}
	}
}

// do runs f on the thread. f must not block for long, because other calls wait.
func (t *thread) do(f func() error) error {
	done := make(chan error)
	select {
	case t.work <- func() { done <- f() }:
		return <-done
	case <-t.quit:
		return errors.New("lab is closed")
	}
}

func (t *thread) close() {
	if t != nil {
		close(t.quit)
	}
}

// runCommand starts c in the namespaces and waits for its end.
func (t *thread) runCommand(c *exec.Cmd) ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := t.do(c.Start); err != nil {
		return nil, err
	}
	if err := c.Wait(); err != nil {
		return out.Bytes(), fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, bytes.TrimSpace(out.Bytes()))
	}
	return out.Bytes(), nil
}

// ipBatch runs ip(8) commands, one per line.
func (t *thread) ipBatch(lines string) error {
	c := exec.Command("ip", "-batch", "-")
	c.Stdin = strings.NewReader(lines)
	_, err := t.runCommand(c)
	return err
}

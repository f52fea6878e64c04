package kernel

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// netnsDir is where ip-netns(8) keeps named namespaces.
const netnsDir = "/run/netns"

func openNetNS(name string) (*os.File, error) {
	if name == "" || name != filepath.Base(name) || name == ".." || name == "." {
		return nil, fmt.Errorf("network namespace %q: not a name in %s", name, netnsDir)
	}
	f, err := os.OpenFile(filepath.Join(netnsDir, name), os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO is none either
	if err != nil {
		return nil, fmt.Errorf("network namespace %s: %w", name, err)
	}
	return f, nil
}

// EnterNetNS moves the whole process, all threads it has and will have, into
// the named network namespace. Sockets that are open stay where they are.
func EnterNetNS(name string) error {
	f, err := openNetNS(name)
	if err != nil {
		return err
	}
	defer f.Close()
	_, _, errno := syscall.AllThreadsSyscall(unix.SYS_SETNS, f.Fd(), unix.CLONE_NEWNET, 0)
	if errno != 0 {
		return fmt.Errorf("enter network namespace %s: %w", name, os.NewSyscallError("setns", errno))
	}
	return nil
}

// InNetNS runs f on a thread of its own in the named network namespace and
// returns its error. Sockets that f opens, and processes it starts, stay there;
// goroutines that it starts do not.
func InNetNS(name string, f func() error) error {
	ns, err := openNetNS(name)
	if err != nil {
		return err
	}
	defer ns.Close()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("enter network namespace %s: %w", name, os.NewSyscallError("setns", err))
			return
		}
		done <- f()
	}()
	return <-done
}

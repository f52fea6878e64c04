package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// namespaceDir is where ip-netns(8) keeps the network namespaces.
const namespaceDir = "/run/netns"

// envNamespace marks a process that has entered its namespace.
const envNamespace = "KEEPALIVED_NETNS"

// enterNamespace goes into the network namespace name and executes this
// program again, so that all of its threads and children are there. It returns
// only on error.
func enterNamespace(name string) error {
	path := filepath.Join(namespaceDir, name)
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a FIFO is none either
	if err != nil {
		return fmt.Errorf("network namespace %s: %w", name, err)
	}
	runtime.LockOSThread() // the exec below ends all other threads
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err == unix.EPERM {
		return fmt.Errorf("enter network namespace %s: %w; run as root with CAP_SYS_ADMIN, under systemd with RestrictNamespaces=no as well", name, err)
	} else if err != nil {
		return fmt.Errorf("enter network namespace %s: %w", name, err)
	}
	program, err := ownProgram()
	if err != nil {
		return err
	}
	env := append(os.Environ(), envNamespace+"="+name)
	if err := unix.Exec(program, os.Args, env); err != nil {
		return fmt.Errorf("execute in network namespace %s: %w", name, err)
	}
	return nil
}

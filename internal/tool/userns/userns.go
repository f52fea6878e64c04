// Package userns makes an ordinary user root of a new user namespace, which permits what
// needs root in network and mount namespaces made there. The demo and the
// tests use it.
//
// There is one user, root, who is the caller outside. Files of any other user, those of
// the real root too, are not mapped there.
package userns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// entered marks the process that Run has started.
const entered = "KEEPALIVED_USER_NAMESPACE"

// Command makes c run in user, mount and network namespaces of its own.
func Command(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
}

// Run runs this program again, with the same arguments, in a user namespace, and
// returns its exit code. It returns false for a process that is root, as the one that it
// has started is. An error without an exit code means that the system does not permit it.
func Run() (code int, done bool, err error) {
	if os.Geteuid() == 0 {
		return 0, false, nil
	}
	self, err := os.Executable()
	if err != nil {
		return 0, false, err
	}
	c := exec.Command(self)
	c.Args = os.Args
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(os.Environ(), entered+"=1")
	Command(c)
	// It does not outlive this process, which is to say the thread that started it.
	runtime.LockOSThread()
	c.SysProcAttr.Pdeathsig = unix.SIGKILL
	// Signals are passed on; an interrupt of the terminal reaches both. The inner process
	// cleans up, and this one waits for it.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
	if err := c.Start(); err != nil {
		signal.Stop(signals)
		return 0, false, fmt.Errorf("enter a user namespace: %w", err)
	}
	go func() {
		for s := range signals {
			c.Process.Signal(s) // an error means that it has ended
		}
	}()
	err = c.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), true, nil
	}
	return 0, true, err
}

// Tests runs the tests of a package, of an ordinary user in a user namespace if the system
// permits one: tests that need root for what is theirs alone need no one to be root. Where
// it does not, these tests report that they miss it. TestMain hands its result to
// os.Exit.
func Tests(m interface{ Run() int }) int {
	if os.Getenv(entered) != "" {
		os.Unsetenv(entered)
		if err := prepare(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}
	code, done, err := Run()
	switch {
	case done && err == nil:
		return code
	case done:
		fmt.Fprintln(os.Stderr, err)
		return 1
	case err != nil:
		fmt.Fprintf(os.Stderr, "%v: tests of networks are skipped\n", err)
	}
	return m.Run()
}

// Full reports whether this process can become any user: whether it is root, and not
// of a user namespace with one user.
func Full() bool {
	if os.Geteuid() != 0 {
		return false
	}
	b, err := os.ReadFile("/proc/self/uid_map")
	var inside, outside, n uint64
	if _, bad := fmt.Sscan(string(b), &inside, &outside, &n); err != nil || bad != nil {
		return false
	}
	const nobody = 65534
	return inside+n > nobody
}

// prepare sets lo up in the network namespace of this process, and gives its mount
// namespace a /run that may be written.
func prepare() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("run", "/run", "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount /run: %w", err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	r, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	r.SetUint16(unix.IFF_UP)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, r); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	return nil
}

package demo

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

// inside marks the process that runs as root of its own user namespace.
const inside = "KEEPALIVED_DEMO_USER_NAMESPACE"

// enterUserNamespace lets an ordinary user be root in a user namespace of his
// own: it runs this program again there, and returns its exit code. It returns
// false where there is no need to.
func enterUserNamespace(args []string) (code int, done bool) {
	if os.Geteuid() == 0 || os.Getenv(inside) != "" {
		return 0, false
	}
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, "keepalived demo:", err)
		return 1, true
	}
	c := exec.Command(self, append([]string{"demo"}, args...)...)
	c.Stdin, c.Stdout, c.Stderr = os.Stdin, os.Stdout, os.Stderr
	c.Env = append(os.Environ(), inside+"=1")
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	// The terminal sends an interrupt to both; the inner one cleans up, and
	// this one waits for it. Other signals are passed on.
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	if err := c.Start(); err != nil {
		fmt.Fprintf(os.Stderr, "keepalived demo: enter a user namespace: %v\nRun it as root (sudo keepalived demo)%s\n", err, userNamespaceHint())
		return 1, true
	}
	go func() {
		for s := range signals {
			c.Process.Signal(s)
		}
	}()
	err = c.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode(), true
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "keepalived demo:", err)
		return 1, true
	}
	return 0, true
}

// userNamespaceHint names the setting that keeps ordinary users from user
// namespaces on this machine, if one is known.
func userNamespaceHint() string {
	for _, s := range []struct{ name, forbids, allow string }{
		{"kernel.unprivileged_userns_clone", "0", "1"},
		{"user.max_user_namespaces", "0", "10000"},
		{"kernel.apparmor_restrict_unprivileged_userns", "1", "0"},
	} {
		b, err := os.ReadFile("/proc/sys/" + strings.ReplaceAll(s.name, ".", "/"))
		if err == nil && strings.TrimSpace(string(b)) == s.forbids {
			return fmt.Sprintf(",\nor allow user namespaces: %s is %s here (sysctl -w %s=%s).", s.name, s.forbids, s.name, s.allow)
		}
	}
	return "."
}

package demo

import (
	"fmt"
	"os"
	"strings"

	"keepalived-go/internal/tool/userns"
)

// enterUserNamespace runs the demo of an ordinary user in a user namespace of its own,
// and returns its exit code. It returns false where there is no need to.
func enterUserNamespace() (code int, done bool) {
	code, done, err := userns.Run()
	switch {
	case err == nil:
		return code, done
	case done:
		fmt.Fprintln(os.Stderr, "keepalived demo:", err)
	default:
		fmt.Fprintf(os.Stderr, "keepalived demo: %v\nRun it as root (sudo keepalived demo)%s\n", err, userNamespaceHint())
	}
	return 1, true
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

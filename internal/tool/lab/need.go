package lab

import (
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/tool/userns"
)

// Requirement is a property of the machine that a test needs.
type Requirement string

// The requirements of tests.
const (
	Root     Requirement = "root, of a user namespace at least: namespaces with real links"
	Users    Requirement = "root of this machine: other users, their files, its scheduling"
	Peer     Requirement = "Debian's keepalived as the other node"
	Tshark   Requirement = "tshark"
	Nft      Requirement = "nft"
	Nginx    Requirement = "nginx"
	IPTables Requirement = "iptables and ipset"
	FRR      Requirement = "bfdd and zebra of FRR"
	Bird     Requirement = "bird"
	Chromium Requirement = "chromium"
	// Prometheus is the Prometheus server; packaging/test-deps unpacks it from Debian's
	// package.
	Prometheus Requirement = "prometheus"
	DBus       Requirement = "dbus-daemon"
	User       Requirement = "an unprivileged user"
	UML        Requirement = "linux.uml, the kernel of Debian's user-mode-linux, and root of this machine to boot it"
)

// FRRDir is the directory in which Debian installs the daemons of FRR.
const FRRDir = "/usr/lib/frr"

// Test is the part of testing.TB that Need uses. The demo of the daemon links this
// package, and must not link the testing package.
type Test interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Need skips the test, with the reason, unless the machine meets all requirements. In CI
// (KEEPALIVED_CI=1) no test may be skipped: the test fails instead.
func Need(t Test, all ...Requirement) {
	t.Helper()
	for _, r := range all {
		if Has(r) {
			continue
		}
		if os.Getenv("KEEPALIVED_CI") == "1" {
			t.Fatalf("this machine must have, but has not: %s", r)
		}
		t.Skipf("missing: %s", r) // in the form that package required expects
	}
}

// Has reports whether the machine meets a requirement.
func Has(r Requirement) bool {
	switch r {
	case Root:
		return canUnshare()
	case Users:
		return userns.Full()
	case Peer:
		return C().IsC()
	case FRR:
		_, err := exec.LookPath(FRRDir + "/bfdd")
		return err == nil
	case IPTables:
		for _, name := range []string{"iptables", "ip6tables", "ipset"} {
			if _, err := exec.LookPath(name); err != nil {
				return false
			}
		}
		return true
	case Tshark, Nft, Nginx, Bird, DBus, Chromium, Prometheus:
		_, err := exec.LookPath(string(r))
		return err == nil
	case UML:
		_, err := exec.LookPath("linux.uml")
		return err == nil && userns.Full()
	case User:
		_, err := exec.LookPath("setpriv")
		return err == nil && userns.Full()
	}
	return false
}

// canUnshare reports whether a thread may unshare its namespaces. It tries on a thread
// that ends with its goroutine.
func canUnshare() bool {
	ok := make(chan bool)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			defer runtime.UnlockOSThread() // the thread is unchanged: only geteuid was called
			ok <- os.Geteuid() == 0
			return
		}
		ok <- unix.Unshare(unix.CLONE_NEWNET|unix.CLONE_NEWNS) == nil
	}()
	return <-ok
}

package supervisor

import (
	"log/slog"
	"os"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

const corePatternFile = "/proc/sys/kernel/core_pattern"

// AllowCoreDumps makes this process and those it starts dump core on a crash.
func AllowCoreDumps() {
	unlimited := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unlimited); err != nil {
		slog.Warn("allow core dumps: " + err.Error())
	}
	debug.SetTraceback("crash") // a panic ends in SIGABRT
}

// setCorePattern sets the name of core files on this host and returns what
// sets it back.
func setCorePattern(pattern string) (restore func()) {
	old, err := os.ReadFile(corePatternFile)
	if err == nil {
		err = os.WriteFile(corePatternFile, []byte(pattern), 0)
	}
	if err != nil {
		slog.Warn("set core pattern: " + err.Error())
		return func() {}
	}
	return func() {
		if err := os.WriteFile(corePatternFile, old, 0); err != nil {
			slog.Warn("set core pattern back: " + err.Error())
		}
	}
}

// setProcessName sets the name that ps(1) and killall(1) know the process by.
// That is the name of its first thread, which the main goroutine keeps.
func setProcessName(name string) {
	b := append([]byte(name), 0)
	if err := unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&b[0])), 0, 0, 0); err != nil {
		slog.Warn("set process name: " + err.Error())
	}
}

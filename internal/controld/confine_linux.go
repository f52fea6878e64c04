package controld

import (
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"

	"github.com/elastic/go-seccomp-bpf"
	"github.com/landlock-lsm/go-landlock/landlock"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"
)

const (
	// maxFiles is how many descriptors the process may have: those of its clients, and some.
	maxFiles = maxClients + maxWeb + 64
	// maxHeap is how large the heap may become before the collector does all that it can,
	// in bytes: the answers of all processes as text, and decoded.
	maxHeap = 512 << 20
)

// confine takes from the process what serving does not need: every capability, files
// other than those in the directories of its socket, its history and its log, programs,
// networks unless network. It may read what is in the directories of certificates. What this
// kernel cannot refuse is left.
func confine(network bool, socket, history, log string, certificates []string) {
	debug.SetMemoryLimit(maxHeap)
	err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: maxFiles, Max: maxFiles})
	err = errors.Join(err, cap.NewSet().SetProc(), confineFiles(socket, history, log, certificates), confineCalls(network))
	if err != nil {
		slog.Warn(fmt.Sprintf("confine the control process: %v; it runs all the same", err))
	}
}

func confineFiles(socket, history, log string, certificates []string) error {
	dirs := []string{socket, history}
	if log != "" {
		dirs = append(dirs, filepath.Dir(log))
	}
	return landlock.V5.BestEffort().RestrictPaths(landlock.RWDirs(dirs...).IgnoreIfMissing(), landlock.RODirs(certificates...).IgnoreIfMissing())
}

// refused are the system calls that the process never makes.
var refused = []string{
	"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "mount", "umount2", "pivot_root", "chroot",
	"setns", "unshare", "bpf", "kexec_load", "init_module", "finit_module", "delete_module", "keyctl", "add_key", "request_key",
}

func confineCalls(network bool) error {
	calls := []seccomp.SyscallGroup{{Action: seccomp.ActionErrno, Names: refused}}
	// A socket that is of none of these families is refused.
	families := seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.NotEqual, Value: unix.AF_UNIX}}
	if network {
		families = append(families,
			seccomp.Condition{Argument: 0, Operation: seccomp.NotEqual, Value: unix.AF_INET},
			seccomp.Condition{Argument: 0, Operation: seccomp.NotEqual, Value: unix.AF_INET6})
	}
	calls = append(calls, seccomp.SyscallGroup{
		Action: seccomp.ActionErrno, NamesWithCondtions: []seccomp.NameWithConditions{{Name: "socket", Conditions: families}},
	})
	return seccomp.LoadFilter(seccomp.Filter{
		NoNewPrivs: true, Flag: seccomp.FilterFlagTSync, Policy: seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: calls},
	})
}

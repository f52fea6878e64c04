package named

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// withoutRights runs look on a thread that makes no use of its capabilities, as which root reads
// only what its user and groups may. A thread that cannot do without them looks with them.
func withoutRights(look func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var has, uses [2]unix.CapUserData // 32 capabilities each
		err := unix.Capget(&head, &has[0])
		if err == nil {
			for i := range has {
				uses[i] = has[i]
				uses[i].Effective = 0
			}
			err = unix.Capset(&head, &uses[0])
		}
		result := look()
		if err != nil || unix.Capset(&head, &has[0]) == nil {
			runtime.UnlockOSThread()
		} // else the thread ends with the goroutine
		done <- result
	}()
	return <-done
}

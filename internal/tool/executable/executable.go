// Package executable writes programs that tests run.
package executable

import (
	"os"
	"syscall"
)

// Write makes text the content of a file that may be run at once. While it is open for
// writing no other goroutine starts a process, which would have a copy of the descriptor
// until it runs its program: the kernel runs no file that is open for writing (ETXTBSY).
func Write(path, text string) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		return err
	}
	return os.Chmod(path, 0o755) // whatever the umask is
}

package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// selfExe is the file that runs, even when a package manager has put another in
// its place.
const selfExe = "/proc/self/exe"

// ownProgram returns the path by which this program is executed again. Without
// /proc that is the one that it was started by, as long as the same file is
// there: parent and child must be of one build.
func ownProgram() (string, error) {
	if _, err := os.Readlink(selfExe); err == nil {
		return selfExe, nil
	}
	p, err := startedBy()
	if err != nil {
		return "", err
	}
	var now unix.Stat_t
	if err := unix.Stat(p.path, &now); err != nil {
		return "", fmt.Errorf("without /proc, find this program: %s: %w", p.path, err)
	}
	if now.Dev != p.file.Dev || now.Ino != p.file.Ino || now.Mtim != p.file.Mtim {
		return "", fmt.Errorf("%s has been replaced, and without /proc the old one cannot be executed: restart keepalived", p.path)
	}
	return p.path, nil
}

// program is an executable file.
type program struct {
	path string
	file unix.Stat_t
}

// startedBy asks the kernel what it has executed. It must be called first in the
// directory in which the program was started.
var startedBy = sync.OnceValues(func() (p program, err error) {
	const execName = 31 // AT_EXECFN
	vector, err := unix.Auxv()
	if err != nil {
		return p, fmt.Errorf("find this program: %w", err)
	}
	for _, entry := range vector {
		if entry[0] == execName {
			// A string of the kernel's, above the stack; no pointer to anything of Go.
			p.path = unix.BytePtrToString(*(**byte)(unsafe.Pointer(&entry[1])))
		}
	}
	if p.path == "" {
		return p, errors.New("find this program: the kernel does not give its path")
	}
	if p.path, err = filepath.Abs(p.path); err != nil {
		return p, fmt.Errorf("find this program: %w", err)
	}
	if err := unix.Stat(p.path, &p.file); err != nil {
		return p, fmt.Errorf("find this program: %s: %w", p.path, err)
	}
	return p, nil
})

package kernel

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settledTime is how long after a start or a reload its memory is no longer needed.
const settledTime = 10 * time.Second

// GiveBackMemorySoon does GiveBackMemory once a start or a reload has settled.
func GiveBackMemorySoon() { time.AfterFunc(settledTime, GiveBackMemory) }

// GiveBackMemory returns to the system what a start or a reload took: free
// memory of the heap, and the pages of the program that only they ran. A page
// that is needed again comes back from the page cache.
func GiveBackMemory() {
	debug.FreeOSMemory()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uintptr
		var mode string
		line := lines.Text()
		if !strings.HasSuffix(line, " "+exe) {
			continue
		}
		// Only what is never written: dropping a changed page would undo it.
		if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n == 3 && (mode == "r-xp" || mode == "r--p") {
			unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}

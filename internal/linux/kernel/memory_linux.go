package kernel

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settledTime is how long after a start or a reload its memory is no longer needed.
const settledTime = 10 * time.Second

const (
	// GCPercent bounds how far the heap of a child grows beyond what is live. A child
	// allocates when it starts, reloads and changes state, hardly ever in between.
	GCPercent = 50
	// leastGrowth is by how much, in bytes, it may grow once a start has settled, however little
	// is live: a hundred TLS sessions a second would have it collected several times a second.
	leastGrowth = 8 << 20
)

// GiveBackMemorySoon does GiveBackMemory once a start or a reload of a child has settled.
func GiveBackMemorySoon() {
	time.AfterFunc(settledTime, func() {
		GiveBackMemory()
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		debug.SetGCPercent(int(max(GCPercent, 100*leastGrowth/max(1, live[0].Value.Uint64()))))
	})
}

// GiveBackMemory returns to the system what a start or a reload took: free
// memory of the heap, and the pages of the program that only they ran. A page
// that is needed again comes back from the page cache.
func GiveBackMemory() {
	debug.FreeOSMemory()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return
	}
	defer maps.Close()
	var from, to uintptr // a mapping of the program that it cannot write to; 0: another one
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		line := lines.Text()
		changed, isCount := strings.CutPrefix(line, "Anonymous:")
		switch {
		case isCount && from != 0 && strings.TrimSpace(changed) == "0 kB":
			// Dropping a changed page would undo the change: a loader writes addresses
			// into pages that are protected afterwards.
			unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
			from = 0
		case strings.HasSuffix(line, " "+exe):
			var mode string
			if n, _ := fmt.Sscanf(line, "%x-%x %s", &from, &to, &mode); n != 3 || mode != "r-xp" && mode != "r--p" {
				from = 0
			}
		case isCount:
			from = 0
		}
	}
}

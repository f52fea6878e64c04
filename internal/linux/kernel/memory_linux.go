package kernel

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// settledTime is how long after a start or a reload its memory is no longer needed.
	settledTime = 10 * time.Second
	// takingUp and taken are by how many per cent the heap may grow beyond what is live
	// before it is collected. What is allocated for a configuration stays, and a process that
	// has one allocates when it reloads and changes state, hardly ever in between.
	takingUp, taken = 400, 100
	// large is that once a start or a reload has settled, where at least largeHeap bytes are
	// live: memory counts more there than what a collection costs. SSL_GET, which allocates
	// with each check, would cost two per cent more on a small heap.
	large, largeHeap = 50, 8 << 20
)

// TakingUp prepares for a configuration being read or taken up: a usual one without a
// collection.
func TakingUp() { debug.SetGCPercent(takingUp) }

// TakenUp ends that. Once the start or reload has settled, it calls forget, which lets go of
// more, and does GiveBackMemory: of reloads that follow each other sooner, once after the last.
// Each of them uses the memory of the one before.
func TakenUp(forget ...func()) {
	debug.SetGCPercent(taken)
	settled.Lock()
	defer settled.Unlock()
	if settled.timer != nil {
		settled.timer.Stop()
	}
	settled.timer = time.AfterFunc(settledTime, func() {
		for _, f := range forget {
			f()
		}
		GiveBackMemory()
	})
}

var settled struct {
	sync.Mutex
	timer *time.Timer // runs, or has been; nil: never
}

// GiveBackMemory returns to the system what a start or a reload took: free
// memory of the heap, and the pages of the program that only they ran. A page
// that is needed again comes back from the page cache.
func GiveBackMemory() { ProgramPages().giveBack() }

// Pages are mappings of the program that a process does not write to.
type Pages []mapping

type mapping struct{ from, to uintptr }

// TakenUp is the same for a process that may not read /proc any more, at its start.
func (p Pages) TakenUp() {
	debug.SetGCPercent(taken)
	time.AfterFunc(settledTime, p.giveBack)
}

func (p Pages) giveBack() {
	debug.FreeOSMemory()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	if metrics.Read(live); live[0].Value.Kind() == metrics.KindUint64 && live[0].Value.Uint64() >= largeHeap {
		if before := debug.SetGCPercent(large); before != taken {
			debug.SetGCPercent(before) // the next one is being taken up, or it has a rule of its own
		}
	}
	for _, m := range p {
		unix.Syscall(unix.SYS_MADVISE, m.from, m.to-m.from, unix.MADV_DONTNEED)
	}
}

// ProgramPages reads which they are; none if /proc cannot be read.
func ProgramPages() (all Pages) {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return nil
	}
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil
	}
	defer maps.Close()
	var m mapping // of the program, that it cannot write to; zero: another one
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		line := lines.Text()
		changed, isCount := strings.CutPrefix(line, "Anonymous:")
		switch {
		case isCount && m != mapping{} && strings.TrimSpace(changed) == "0 kB":
			// Dropping a changed page would undo the change: a loader writes addresses
			// into pages that are protected afterwards.
			all = append(all, m)
			m = mapping{}
		case strings.HasSuffix(line, " "+exe):
			var mode string
			if n, _ := fmt.Sscanf(line, "%x-%x %s", &m.from, &m.to, &mode); n != 3 || mode != "r-xp" && mode != "r--p" {
				m = mapping{}
			}
		case isCount:
			m = mapping{}
		}
	}
	return all
}

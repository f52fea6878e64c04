package controld

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sort"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/internal/output/status/api"
	"keepalived-go/internal/output/status/history"
)

const (
	// halfHistory is how long each half of the file of events may be, in bytes: some
	// thousand events.
	halfHistory = 1 << 20
	// maxEvents is how many events are in memory, for clients.
	maxEvents = 4096
	// leastRoom is of how many things the history may know the state before it is looked
	// which of them there still are.
	leastRoom = 1024
	// What happens is collected for a moment before the processes are asked: that long at
	// least, and four times as long as the last answers have taken, up to a second. So while
	// thousands of servers start, four fifths of the time are left for that.
	leastPause, mostPause = 100 * time.Millisecond, time.Second
	// firstPause is as long before the first answers, which are about everything: at the start
	// of the daemon the other processes have the processors first.
	firstPause = 500 * time.Millisecond
	// freeAfter is how long nothing has changed when the memory that answers took, which may be
	// most of what this process has, is given back.
	freeAfter = 5 * time.Second
)

// recorder notes what happens: whenever a process reports that anything has changed, it
// asks for the state and compares it with the last one.
type recorder struct {
	sources sources
	wake    chan struct{} // anything has changed
	looked  time.Time     // since when changes are asked for
	room    int           // beyond which the history forgets what is not there any more

	turn    sync.Mutex // for the next two
	history history.Recorder
	log     *history.Log // nil: there is no file

	// listener gets what is known of what has changed, and what has happened; nil: nobody
	// listens.
	listener func(*api.Status, []history.Event)

	mu     sync.Mutex
	events []history.Event // the last ones, in their order
	more   chan struct{}   // closed when there are more
	failed bool            // the file could not be written
}

// newRecorder continues what is in the file at path.
func newRecorder(from sources, path string) *recorder {
	r := &recorder{sources: from, room: leastRoom, wake: make(chan struct{}, 1), more: make(chan struct{})}
	old := unix.Umask(0o022) // with the umask of the parent no user could enter the directory
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	unix.Umask(old)
	if err == nil {
		r.log, r.events, err = history.Open(path, halfHistory)
	}
	if err != nil {
		slog.Warn(fmt.Sprintf("history: %v; it is kept in memory alone", err))
	}
	r.history.Resume(r.events)
	r.looked = time.Unix(0, 1)
	if n := len(r.events); n > 0 {
		r.looked = r.events[n-1].At
	}
	r.trim()
	return r
}

// poke has the recorder look what has changed.
func (r *recorder) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run records until ctx ends.
func (r *recorder) run(ctx context.Context) {
	pause := firstPause
	var quiet <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-quiet:
			debug.FreeOSMemory()
			quiet = nil
			continue
		case <-r.wake:
		}
		time.Sleep(pause)
		begun := time.Now()
		r.look(ctx)
		pause = min(max(4*time.Since(begun), leastPause), mostPause)
		quiet = time.After(freeAfter)
	}
}

// look records what has happened since the last look.
func (r *recorder) look(ctx context.Context) {
	begun := time.Now()
	s, err := r.sources.since(ctx, r.looked)
	if err != nil {
		return // the next change wakes us again
	}
	all, err := s.whole()
	if err != nil {
		slog.Warn("history: " + err.Error())
		return
	}
	if !s.incomplete {
		r.looked = begun
	}
	full := false
	r.add(func() []history.Event {
		news := r.history.Step(all)
		if r.listener != nil {
			r.listener(all, news)
		}
		full = r.history.Size() > r.room
		return news
	})
	if full {
		r.forget(ctx)
	}
}

// forget has the history forget what a reload has removed.
func (r *recorder) forget(ctx context.Context) {
	s, err := r.sources.state(ctx, brief)
	if err != nil || s.incomplete {
		return // the next look tries again
	}
	all, err := s.whole()
	if err != nil {
		slog.Warn("history: " + err.Error())
		return
	}
	r.turn.Lock()
	defer r.turn.Unlock()
	r.history.Forget(all)
	r.room = max(leastRoom, 2*r.history.Size())
}

// stop records that the daemon stops.
func (r *recorder) stop() {
	r.add(func() []history.Event { return r.history.Stop(time.Now()) })
}

// add writes what has happened, by step, into the file, and hands it to the clients.
func (r *recorder) add(step func() []history.Event) {
	r.turn.Lock()
	defer r.turn.Unlock()
	news := step()
	if len(news) == 0 {
		return
	}
	if r.log != nil {
		err := r.log.Append(news)
		if err != nil && !r.failed {
			slog.Warn(fmt.Sprintf("history: %v; what happens now is in memory alone", err))
		}
		r.failed = err != nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, news...)
	r.trim()
	close(r.more)
	r.more = make(chan struct{})
}

func (r *recorder) trim() {
	if n := len(r.events) - maxEvents; n > 0 {
		r.events = append([]history.Event(nil), r.events[n:]...)
	}
}

// after returns the events after the one with the number id, and what is closed when
// there are more.
func (r *recorder) after(id uint64) ([]history.Event, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := sort.Search(len(r.events), func(i int) bool { return r.events[i].ID > id })
	return r.events[i:len(r.events):len(r.events)], r.more
}

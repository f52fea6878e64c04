package supervisor

import (
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/linux/script"
	"keepalived-go/internal/output/notify"
	"keepalived-go/internal/output/status"
)

// fifos are the FIFOs of the configuration with the scripts that read them. The
// processes write into them; several may write into one, and the end of one is
// nothing to its reader. So they are here.
//
// Its methods wait for the file system: they are called beside the loop.
type fifos struct {
	mu     sync.Mutex
	runner *script.Runner // nil: no FIFO was configured so far
	kept   []*keptFIFO
	number int // of the configuration taken up last
	closed bool
}

// keptFIFO is a FIFO, perhaps of an earlier configuration, into which processes
// write until they have taken up the next one.
type keptFIFO struct {
	*notify.FIFO
	keyword string
	config  conf.FIFO
	retired int // number of the configuration without it; 0: it is configured
}

const (
	// fifoPatience is how long a start, a reload and a stop wait for the file system.
	fifoPatience = 5 * time.Second
	// drainWait is how long readers have at a stop to read what was written, and
	// drainEvery how often that is looked at.
	drainWait  = time.Second
	drainEvery = 20 * time.Millisecond
)

// configuredFIFOs are the FIFOs that a configuration names.
func configuredFIFOs(g *conf.Global) []notify.FIFOConfig {
	all := []notify.FIFOConfig{
		{Keyword: "notify_fifo", FIFO: g.FIFO},
		{Keyword: "vrrp_notify_fifo", FIFO: g.VRRPFIFO},
		{Keyword: "lvs_notify_fifo", FIFO: g.LVSFIFO},
	}
	return slices.DeleteFunc(all, func(c notify.FIFOConfig) bool { return c.Path == "" })
}

// take opens the FIFOs of the configuration with this number, before the processes
// take it up; what it does not name any more is kept until [fifos.retire].
func (f *fifos) take(number int, g *conf.Global) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed || number < f.number {
		return
	}
	f.number = number
	want := configuredFIFOs(g)
	if f.runner == nil {
		if len(want) == 0 {
			return
		}
		f.runner = script.StartRunner()
	}
	before := f.kept
	f.kept = nil
	for i := range want {
		w := &want[i]
		if k := slices.IndexFunc(before, func(k *keptFIFO) bool { return k.is(w) }); k >= 0 {
			f.kept = append(f.kept, before[k])
			before = slices.Delete(before, k, k+1)
		} else {
			f.kept = append(f.kept, &keptFIFO{FIFO: notify.NewFIFO(w.Keyword, f.runner), keyword: w.Keyword})
		}
	}
	var retired []*keptFIFO
	for _, old := range before {
		if slices.ContainsFunc(want, func(w notify.FIFOConfig) bool { return w.Path == old.config.Path }) {
			old.Close() // another one is to have the path
			continue
		}
		if old.retired == 0 {
			old.retired = number
		}
		retired = append(retired, old)
	}
	for i, k := range f.kept {
		k.config, k.retired = want[i].FIFO, 0
		if err := k.Configure(k.config, g.Scripts); err != nil {
			slog.Error(err.Error())
		}
	}
	f.kept = append(f.kept, retired...)
}

// is reports whether k is what w names, perhaps with another script.
func (k *keptFIFO) is(w *notify.FIFOConfig) bool {
	return k.keyword == w.Keyword && k.config.Path == w.Path && k.config.User == w.User && k.config.Group == w.Group
}

// retire closes what the configuration with this number, which all processes have
// taken up, and those before it have removed.
func (f *fifos) retire(number int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = slices.DeleteFunc(f.kept, func(k *keptFIFO) bool {
		gone := k.retired != 0 && k.retired <= number
		if gone {
			k.Close()
		}
		return gone
	})
}

// close ends it all when no process writes any more: readers read what is left,
// are sent SIGTERM, and SIGKILL after wait.
func (f *fifos) close(wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for end := time.Now().Add(drainWait); time.Now().Before(end); time.Sleep(drainEvery) {
		if !slices.ContainsFunc(f.kept, func(k *keptFIFO) bool { return !k.Drained() }) {
			break
		}
	}
	for _, k := range f.kept {
		k.Close()
	}
	f.kept = nil
	if f.runner != nil {
		for _, name := range f.runner.Close(wait) {
			slog.Warn("script " + name + " was still running and has been killed")
		}
	}
}

// status is how the FIFOs that are configured and their readers are.
func (f *fifos) status() (all []status.FIFO) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range f.kept {
		if k.retired == 0 {
			all = append(all, k.Status())
		}
	}
	return all
}

// within calls work and waits for its end, at most so long. What it was to do is
// done late then, or never.
func within(d time.Duration, what string, work func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		work()
	}()
	select {
	case <-done:
	case <-time.After(d):
		slog.Error(fmt.Sprintf("%s takes longer than %v: not waited for", what, d))
	}
}

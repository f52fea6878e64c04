package track

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"keepalived-go/conf"
	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/policy"
)

// starve keeps the process from opening anything until feed is called. Tests that use it
// must not be parallel.
func starve(t *testing.T) (feed func()) {
	t.Helper()
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	must(t, unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 0, Max: limit.Max}, nil))
	feed = sync.OnceFunc(func() { unix.Prlimit(0, unix.RLIMIT_NOFILE, &limit, nil) })
	t.Cleanup(feed)
	return feed
}

// TestStarvedScript checks that a script that cannot be looked up for lack of descriptors
// is not disabled: it counts as failed, and runs as soon as it can be looked up.
func TestStarvedScript(t *testing.T) {
	log := logtest.Capture(t)
	synctest.Test(t, func(t *testing.T) {
		b := newSchedulerTest()
		defer b.close()
		feed := starve(t)
		first := b.configure(every(time.Second, "a"))
		if len(first) != 1 || first[0].Status.Disabled || first[0].Status.Known {
			t.Errorf("at first: %+v", first)
		}
		time.Sleep(1500 * time.Millisecond)
		synctest.Wait()
		failed := b.reported()
		if len(failed) != 1 || !failed[0].Status.Known || failed[0].Status.Up || failed[0].Status.Disabled {
			t.Errorf("while there are no descriptors: %+v", failed)
		}
		b.configure(every(time.Second, "a")) // a reload changes nothing
		if lines := log.Take(); len(lines) != 1 || !strings.HasPrefix(lines[0], "VRRP_Script(a) failed (could not be started: ") ||
			!strings.HasSuffix(lines[0], ": too many open files)") {
			t.Errorf("log: %q", lines)
		}
		feed()
		time.Sleep(time.Second)
		synctest.Wait()
		if up := b.reported(); len(up) != 1 || !up[0].Status.Up {
			t.Errorf("afterwards: %+v", up)
		}
		equalLines(t, log.Take(), []string{"VRRP_Script(a) succeeded"})
	})
}

// TestStarvedScriptIsMissing checks that a script that is later found to be missing is
// disabled, and not looked up again.
func TestStarvedScriptIsMissing(t *testing.T) {
	log := logtest.Capture(t)
	synctest.Test(t, func(t *testing.T) {
		b := newSchedulerTest()
		defer b.close()
		feed := starve(t)
		none := every(time.Second, "a")
		none.Command.Args = []string{"/none/such"}
		b.configure(none, every(2*time.Second, "b"))
		feed()
		time.Sleep(5500 * time.Millisecond)
		synctest.Wait()
		updates := b.reported()
		var last policy.Status
		for _, u := range updates {
			if u.Name == "a" {
				last = u.Status
			}
		}
		if !last.Disabled {
			t.Errorf("%+v", updates)
		}
		if n := strings.Count(strings.Join(log.Take(), "\n"), "Disabling track script a since not found/accessible"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		if len(b.events()) < 2 {
			t.Error("the other script does not run")
		}
	})
}

// TestStarvedFile checks that a file that cannot be opened for lack of descriptors keeps
// its value, or has none if it had none, and is read again every second.
func TestStarvedFile(t *testing.T) {
	log := logtest.Capture(t)
	f := newFiles(nil)
	open := func(name string) *file {
		path := filepath.Join(t.TempDir(), name)
		write(t, path, "7\n")
		return &file{conf: &conf.TrackFile{Name: name, Path: path}}
	}
	k, fresh := open("k"), open("fresh")
	f.read(k, false)
	feed := starve(t)
	for range 3 {
		if f.read(k, false) || k.status.Number != 7 || !k.status.Known {
			t.Errorf("known before: %+v", k.status)
		}
		if f.read(fresh, false) || fresh.status.Known {
			t.Errorf("not known before: %+v", fresh.status)
		}
	}
	feed()
	if f.poll == nil {
		t.Error("it is not read again")
	}
	if f.read(k, false); k.status.Number != 7 || k.state != readFine {
		t.Errorf("%+v", k)
	}
	if !f.read(fresh, false) || fresh.status.Number != 7 {
		t.Errorf("%+v", fresh.status)
	}
	if lines := log.Take(); len(lines) != 3 { // one line for each file, one that they are polled
		t.Errorf("log: %q", lines)
	}
}

// TestStarvedProcesses checks that processes that cannot be read for lack of descriptors
// are not taken for ended.
func TestStarvedProcesses(t *testing.T) {
	log := logtest.Capture(t)
	comm, err := os.ReadFile("/proc/self/comm")
	must(t, err)
	p := newProcesses(func([]Update) {}, 0, false)
	p.opened = true // there are no events
	c := &conf.Config{Processes: []*conf.TrackProcess{{Name: "me", Process: strings.TrimSpace(string(comm)), Match: conf.MatchNone, Quorum: 1, QuorumMax: -1}}}
	first := p.configure(c, new(sync.WaitGroup))
	if len(first) != 1 || !first[0].Status.Up {
		t.Fatalf("at first: %+v", first)
	}
	log.Take()
	feed := starve(t)
	for _, look := range []func(){p.scan, p.scan, func() { p.look(int32(os.Getpid())) }} {
		if look(); p.settle() != nil || !p.all[0].status.Up {
			t.Errorf("while there are no descriptors: %+v", p.all[0].status)
		}
		if p.wait() != scanEvery {
			t.Errorf("next look in %v", p.wait())
		}
	}
	feed()
	if lines := log.Take(); len(lines) != 1 || !strings.Contains(lines[0], "too many open files") {
		t.Errorf("log: %q", lines)
	}
	if p.scan(); p.unsure != nil || p.settle() != nil || p.all[0].count < 1 {
		t.Errorf("afterwards: %v %+v", p.unsure, p.all[0])
	}
}

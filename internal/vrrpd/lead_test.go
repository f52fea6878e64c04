package vrrpd

import (
	"testing"
	"testing/synctest"
	"time"

	"keepalived-go/internal/output/logging/logtest"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/vrrp"
)

// TestRehearse checks that the rehearsal of a take-over does not change the engine that
// will take over.
func TestRehearse(t *testing.T) {
	d := &daemon{loop: newTestLoop(t), byEngine: map[*vrrp.Instance]*router{}}
	c := owners(1).Instances[0]
	c.Priority = 100
	r := d.add(c, 0)
	d.step(r, d.loop.Now(), vrrp.Event{Kind: vrrp.Start})
	if r.timer.Lead != takeoverLead {
		t.Errorf("the timer of a backup has a lead of %v", r.timer.Lead)
	}
	before := r.engine.Stats()
	r.timer.Ahead()
	if r.engine.State() != vrrp.Backup || r.engine.Stats() != before {
		t.Errorf("the engine is %v, its counters %+v", r.engine.State(), r.engine.Stats())
	}
}

// TestBurst checks, for more take-overs at one time than a turn serves, that the adverts of all
// leave before an address is requested, and that what happened is reported afterwards, no
// more in one turn than a slice.
func TestBurst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logtest.Capture(t)
		const n = reportSlice + 72
		c := owners(n)
		for _, i := range c.Instances {
			i.Priority = 100
		}
		l, err := loop.NewVirtual()
		if err != nil {
			t.Fatal(err)
		}
		k := memoryKernel()
		d := startTestDaemonWith(t, c, Options{Host: k, Loop: l})
		reported := func() int { return log.Count("Entering MASTER STATE") }
		begun := d.addrs.begun
		turnUntil(t, d, "a request for addresses", func() bool { return d.addrs.begun > begun })
		if sent, lines := len(k.Sent(0)), reported(); sent != n || lines > 0 {
			t.Errorf("when addresses are requested %d of %d routers have advertised, %d are reported", sent, n, lines)
		}
		before := 0
		turnUntil(t, d, "all are reported", func() bool {
			lines := reported()
			if lines-before > reportSlice {
				t.Errorf("%d lines in one turn", lines-before)
			}
			before = lines
			return lines >= n
		})
		if before != n || len(d.unreported) != 0 {
			t.Errorf("%d lines, %d unreported", before, len(d.unreported))
		}
		turnUntil(t, d, "all addresses", masters(d))
	})
}

// TestAlwaysBehind checks that addresses are set, and what happened is reported, also where
// more timers are due at all times than one turn serves.
func TestAlwaysBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := logtest.Capture(t)
		l, err := loop.NewVirtual()
		if err != nil {
			t.Fatal(err)
		}
		c := owners(1)
		c.Instances[0].Priority = 100
		k := memoryKernel()
		d := startTestDaemonWith(t, c, Options{Host: k, Loop: l})
		var busy [loop.Batch + 1]loop.Timer
		for i := range busy {
			b := &busy[i]
			b.Expire = func(at time.Duration) {
				time.Sleep(10 * time.Microsecond) // it takes time
				l.Set(b, at)
			}
			l.Set(b, l.Now())
		}
		turnUntil(t, d, "an advert", func() bool { return len(k.Sent(0)) > 0 })
		sent := time.Now()
		turnUntil(t, d, "a master", func() bool { return masters(d)() && log.Count("Entering MASTER STATE") == 1 })
		if took := time.Since(sent); took > burstHaste+20*time.Millisecond {
			t.Errorf("it took %v", took)
		}
	})
}

func newTestLoop(t testing.TB) *loop.Loop {
	t.Helper()
	l, err := loop.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

package vrrpd

import (
	"testing"

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
	before := *r.engine.Stats()
	r.timer.Ahead()
	if r.engine.State() != vrrp.Backup || *r.engine.Stats() != before {
		t.Errorf("the engine is %v, its counters %+v", r.engine.State(), *r.engine.Stats())
	}
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

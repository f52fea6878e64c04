package vrrpd

import (
	"testing"
	"time"

	"keepalived-go/internal/policy"
	"keepalived-go/vrrp"
)

// Each take-over is rehearsed once, and the engine that is going to take over
// notices nothing.
func TestRehearse(t *testing.T) {
	c := owners(1).Instances[0]
	c.Priority = 100
	r := &router{engine: vrrp.New(policy.EngineConfig(c)), conf: c, heapIndex: -1}
	r.engine.Step(now(), vrrp.Event{Kind: vrrp.Start}, nil)
	d := &daemon{}
	if r.lead() != takeoverLead {
		t.Errorf("a backup has a lead of %v", r.lead())
	}
	for range 2 {
		r.deadline = now() + time.Minute
		d.rehearse(r)
		if d.rehearsed != r.deadline {
			t.Errorf("rehearsed is %v, want %v", d.rehearsed, r.deadline)
		}
		if n := testing.AllocsPerRun(1, func() { d.rehearse(r) }); n != 0 {
			t.Errorf("a second rehearsal of one take-over allocates %v times", n)
		}
	}
	if r.engine.State() != vrrp.Backup || *r.engine.Stats() != (vrrp.Stats{}) {
		t.Errorf("the engine is %v, its counters %+v", r.engine.State(), *r.engine.Stats())
	}
}

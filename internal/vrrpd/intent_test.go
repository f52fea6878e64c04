package vrrpd

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keepalived-go/conf"
	"keepalived-go/internal/proc/act"
	"keepalived-go/internal/proc/loop"
	"keepalived-go/vrrp"
)

// grouped returns a configuration of two masters in the sync group G and one outside it.
func grouped() *conf.Config {
	c := owners(3)
	c.SyncGroups = []*conf.SyncGroup{{Name: "G", Members: []string{c.Instances[0].Name, c.Instances[1].Name}}}
	for _, in := range c.Instances {
		in.Priority, in.AdvertInterval = 150, time.Second
	}
	return c
}

func states(d *daemon) (all []vrrp.State) {
	for _, r := range d.routers {
		all = append(all, r.engine.State())
	}
	return all
}

// intending runs f with a daemon in virtual time that starts with these intents.
func intending(t *testing.T, c *conf.Config, list []act.Intent, f func(t *testing.T, d *daemon)) {
	synctest.Test(t, func(t *testing.T) {
		quiet(t)
		l, err := loop.NewVirtual()
		if err != nil {
			t.Fatal(err)
		}
		f(t, startTestDaemonWith(t, c, Options{Host: memoryKernel(), Loop: l, Intents: list}))
	})
}

// after turns the loop for a duration.
func after(t *testing.T, d *daemon, wait time.Duration) {
	t.Helper()
	over := false
	time.AfterFunc(wait, func() { d.loop.Post(func() { over = true }) })
	turnUntil(t, d, "time", func() bool { return over })
}

// TestHold checks that a master that is held becomes backup with its sync group, and
// stays backup over a reload and in a successor until it is released.
func TestHold(t *testing.T) {
	c := grouped()
	intending(t, c, nil, func(t *testing.T, d *daemon) {
		turnUntil(t, d, "masters", masters(d))
		name := c.Instances[0].Name
		if got := acted(t, d, act.Act{Kind: act.Hold, Name: name, For: 60, Reason: "new kernel"}); !strings.Contains(got, name+" stays BACKUP for 1m0s; it has made way") {
			t.Error(got)
		}
		wait := func(what string, first, last vrrp.State) {
			t.Helper()
			turnUntil(t, d, what, func() bool { s := states(d); return s[0] == first && s[1] == first && s[2] == last })
		}
		wait("the group is backup", vrrp.Backup, vrrp.Master)
		after(t, d, time.Second)
		h := d.routers[0].history
		if last := h[len(h)-1]; last.Reason != vrrp.ReasonHeld || !strings.Contains(last.Why, "an operator holds this node") {
			t.Errorf("%+v", last)
		}
		c2 := grouped()
		c2.Instances[0].Priority = 160
		d.reloadTurn(c2)
		after(t, d, 10*time.Second)
		wait("after a reload", vrrp.Backup, vrrp.Master)
		if got := d.routers[0].engine.Hindrance(d.loop.Now()).Obstacle; got != vrrp.ObstacleHeld {
			t.Errorf("obstacle %v", got)
		}
		d.intend(nil)
		wait("released", vrrp.Master, vrrp.Master)
		if got := acted(t, d, act.Act{Kind: act.Hold, Name: "G"}); !strings.Contains(got, "G stays BACKUP until it is released") {
			t.Error(got)
		}
		wait("the group by its name", vrrp.Backup, vrrp.Master)
		if got := acted(t, d, act.Act{Kind: act.Hold, Name: "X"}); got != `no vrrp_instance or vrrp_sync_group is called "X"` {
			t.Error(got)
		}
	})
}

// TestHeldFromTheStart checks that a successor applies the intents of its predecessor
// before it can become master.
func TestHeldFromTheStart(t *testing.T) {
	c := grouped()
	intending(t, c, []act.Intent{
		{Kind: act.Hold, Name: c.Instances[2].Name}, {Kind: act.Switchover, Name: "G"}, {Kind: act.Priority, Name: c.Instances[2].Name, Value: 20},
	}, func(t *testing.T, d *daemon) {
		turnUntil(t, d, "the group serves", func() bool { s := states(d); return s[0] == vrrp.Master && s[1] == vrrp.Master })
		if r := d.routers[0].engine.Restraint(); r != vrrp.LeavesMasters {
			t.Errorf("restraint %v", r)
		}
		after(t, d, 10*time.Second)
		r := d.routers[2]
		if r.engine.State() != vrrp.Backup || len(r.history) != 1 || r.engine.Priority() != 170 {
			t.Errorf("%v, priority %d, %+v", r.engine.State(), r.engine.Priority(), r.history)
		}
	})
}

// TestAdjust checks that an operator can change the priority of a router that tracks
// nothing, and that its own priority returns when the change ends.
func TestAdjust(t *testing.T) {
	c := grouped()
	intending(t, c, nil, func(t *testing.T, d *daemon) {
		turnUntil(t, d, "masters", masters(d))
		name := c.Instances[2].Name
		prio := func(want uint8) {
			t.Helper()
			turnUntil(t, d, "priority", func() bool { return d.routers[2].engine.Priority() == want })
		}
		change := func(by int, want string) {
			t.Helper()
			if got := acted(t, d, act.Act{Kind: act.Priority, Name: name, Value: by}); !strings.Contains(got, want) {
				t.Errorf("%+d: %s, want %s", by, got, want)
			}
		}
		change(0, "the priority of "+name+" is 150, as configured")
		change(-60, "is 90: 150 - 60 (operator) = 90 until it is released")
		prio(90)
		change(-200, "is 1: 150 - 200 (operator) = -50, limited to 1 until it is released")
		prio(1)
		d.reloadTurn(grouped())
		prio(1)
		change(+10, "is 160: 150 + 10 (operator) = 160")
		prio(160)
		change(0, "is 150: 150")
		prio(150)
		owner := grouped()
		owner.Instances[2].Priority = vrrp.PriorityOwner
		d.reloadTurn(owner)
		change(1, "nothing changes its priority of 255")
	})
}

// TestSwitchoverAlone checks that a switchover without another node to take over changes
// nothing, that one with force ends the service, and that a router that cannot hand over
// refuses.
func TestSwitchoverAlone(t *testing.T) {
	c := grouped()
	intending(t, c, nil, func(t *testing.T, d *daemon) {
		name := c.Instances[2].Name
		turnUntil(t, d, "masters", masters(d))
		over := act.Act{Kind: act.Switchover, Name: name}
		if got := acted(t, d, over); !strings.Contains(got, "no other node has taken over "+name) || !strings.Contains(got, "--force") {
			t.Error(got)
		}
		if e := d.routers[2].engine; e.State() != vrrp.Master || e.Priority() != 150 || d.routers[2].handover != nil || len(d.Intents) != 0 {
			t.Errorf("%v, priority %d", e.State(), e.Priority())
		}
		if got := acted(t, d, act.Act{Kind: act.Switchover, Name: "G"}); !strings.Contains(got, "no other node has taken over G") {
			t.Error(got)
		}
		// A second switchover during the first, and a reload that ends the first.
		var first string
		d.act(&over, func(_ any, err error) { first = err.Error() })
		if got := acted(t, d, over); !strings.Contains(got, "is handing over already") {
			t.Error(got)
		}
		c2 := grouped()
		c2.Instances[2].Priority = 140
		d.reloadTurn(c2)
		if !strings.Contains(first, "no other node has taken over") || d.routers[2].engine.Priority() != 140 {
			t.Errorf("%s, priority %d", first, d.routers[2].engine.Priority())
		}
		over.Force = true
		if got := acted(t, d, over); !strings.Contains(got, "nobody had taken over "+name+", so this node has ended its service") {
			t.Error(got)
		}
		if e := d.routers[2].engine; e.State() != vrrp.Backup || e.Restraint() != vrrp.LeavesMasters {
			t.Errorf("%v, %v", e.State(), e.Restraint())
		}
		if got := acted(t, d, over); !strings.Contains(got, "is BACKUP; only a master can hand over") {
			t.Error(got)
		}
		turnUntil(t, d, "it returns, as nobody serves", masters(d))

		slow := grouped()
		slow.Instances[0].Priority = vrrp.PriorityOwner
		slow.Instances[2].AdvertInterval = 40 * time.Second
		d.intend(nil)
		d.reloadTurn(slow)
		turnUntil(t, d, "masters", masters(d))
		over.Force = false
		if got := acted(t, d, over); !strings.Contains(got, "as its adverts are so rare") {
			t.Error(got)
		}
		over.Name = "G"
		if got := acted(t, d, over); !strings.Contains(got, "owns its addresses, with priority 255") {
			t.Error(got)
		}
		over.Force = true
		if got := acted(t, d, over); !strings.Contains(got, "this node has ended its service") {
			t.Error(got)
		}
	})
}

package vrrp

import (
	"strings"
	"testing"
	"time"
)

// TestCauses checks the reason for each way into MASTER, as a code and in words, and that
// master-down is used only for a master that stopped sending.
func TestCauses(t *testing.T) {
	v2 := func(f func(*Config)) func(*Config) {
		return func(c *Config) {
			c.Version = 2
			if f != nil {
				f(c)
			}
		}
	}
	pass := v2(func(c *Config) { c.Auth, c.Key = AuthPass, key("secret") })
	// drop returns a function in which the instance receives and drops n adverts, one per
	// second.
	drop := func(n int, theirs func(*Config), change func(*Packet)) func(*rig) {
		return func(r *rig) {
			c := r.i.cfg
			if theirs != nil {
				theirs(&c)
			}
			for range n {
				p := packet(r.t, c, lowAddr, 200)
				if change != nil {
					change(p)
				}
				r.step(Event{Kind: Received, Packet: p})
				r.until(r.now + time.Second)
			}
		}
	}
	for _, c := range []struct {
		name   string
		config func(*Config)
		do     func(r *rig) // from the start on
		reason Reason
		words  string
	}{
		{"first start", nil, nil, ReasonNoMaster, "no master has been heard for 3.609s"},
		{"the owner", func(c *Config) { c.Priority = 255 }, nil, ReasonOwner, "the owner of the address becomes master at once"},
		{"the master fell silent", nil, func(r *rig) { r.hear(lowAddr, 200) },
			ReasonMasterDown, "no advert from 10.0.0.1, with priority 200, for 3.609s"},
		{"the master stopped", nil, func(r *rig) { r.hear(lowAddr, 200); r.hear(lowAddr, 0) },
			ReasonPriorityZero, "the master 10.0.0.1 has stopped"},
		{"a worse master lives", nil, func(r *rig) {
			for range 3 {
				r.hear(lowAddr, 50)
				r.until(r.now + time.Second)
			}
		}, ReasonPreempt, "the master 10.0.0.1 has the lower priority 50"},
		{"a better master has become the worse", nil, func(r *rig) {
			r.hear(lowAddr, 120)
			r.step(Event{Kind: PriorityChanged, Priority: 150})
			for range 3 {
				r.hear(lowAddr, 120)
				r.until(r.now + time.Second)
			}
		}, ReasonPreempt, "the master 10.0.0.1 has the lower priority 120"},
		{"after the preempt delay", func(c *Config) { c.PreemptDelay = 2 * time.Second }, func(r *rig) {
			for range 5 {
				r.hear(lowAddr, 50)
				r.until(r.now + time.Second)
			}
		}, ReasonPreempt, "the master 10.0.0.1 has the lower priority 50"},
		{"wrong password", pass, drop(3, func(c *Config) { c.Key = key("other") }, nil),
			ReasonRejected, "adverts of 10.0.0.1 have been dropped, 3 so far: wrong password"},
		{"no authentication", pass, drop(3, func(c *Config) { c.Auth = AuthNone }, nil),
			ReasonRejected, "adverts of 10.0.0.1 have been dropped, 3 so far: another type of authentication"},
		{"interval", v2(nil), drop(2, func(c *Config) { c.AdvertInterval = 2 * time.Second }, nil),
			ReasonRejected, "adverts of 10.0.0.1 have been dropped, 2 so far: another advertisement interval"},
		{"version", nil, drop(3, v2(nil), nil),
			ReasonRejected, "adverts of 10.0.0.1 have been dropped, 3 so far: another version"},
		{"checksum", nil, drop(3, nil, func(p *Packet) { p.message()[6]++ }),
			ReasonRejected, "adverts of 10.0.0.1 have been dropped, 3 so far: wrong checksum"},
		{"unicast against multicast", nil, drop(3, func(c *Config) { c.Unicast, c.Peers = true, []Peer{{Addr: addr(ownAddr)}} }, nil),
			ReasonRejected, "adverts of 10.0.0.1 have been dropped, 3 so far: another group, or unicast against multicast"},
		{"the master has got another password", pass, func(r *rig) {
			r.hear(lowAddr, 200)
			drop(2, func(c *Config) { c.Key = key("other") }, nil)(r)
		}, ReasonRejected, "adverts of 10.0.0.1 have been dropped, 2 so far: wrong password"},
		{"the master fell silent, and a stranger babbles", pass, func(r *rig) {
			r.hear(highAddr, 200)
			drop(2, func(c *Config) { c.Key = key("other") }, nil)(r)
		}, ReasonMasterDown, "no advert from 10.0.0.3, with priority 200, for 3.609s"},
		{"a firewall", nil, func(r *rig) { r.step(Event{Kind: SendStatus, Blocked: true}) },
			ReasonFirewall, "no adverts are heard, and a firewall on this machine blocks sent adverts"},
		{"a firewall that is gone", nil, func(r *rig) {
			r.step(Event{Kind: SendStatus, Blocked: true})
			r.step(Event{Kind: SendStatus})
		}, ReasonNoMaster, "no master has been heard for 3.609s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := base()
			if c.config != nil {
				c.config(&config)
			}
			r := newRig(t, config)
			r.step(Event{Kind: Start})
			if c.do != nil {
				c.do(r)
			}
			r.until(r.now + 4*time.Second)
			for _, a := range r.out {
				if a.Kind != Transition || a.To != Master {
					continue
				}
				if a.Reason != c.reason || a.Why() != c.words {
					t.Errorf("%v: %q, want %v: %q", a.Reason, a.Why(), c.reason, c.words)
				}
				return
			}
			t.Errorf("never master: %v", r.out)
		})
	}
}

// TestReasonsHaveWords checks that every other transition has an explanation.
func TestReasonsHaveWords(t *testing.T) {
	for r := ReasonStart; int(r) < len(reasonNames); r++ {
		switch r {
		case ReasonStart, ReasonShutdown, ReasonFault:
			continue // explained by its name, or by its cause
		}
		if a := (&Action{Reason: r, Addr: addr(lowAddr)}); a.Why() == "" {
			t.Errorf("%v has no words", r)
		}
	}
}

// TestPriorityCauses checks that a change of priority by the engine has a cause.
func TestPriorityCauses(t *testing.T) {
	c := base()
	r := newRig(t, c).in(Backup)
	c.Priority = 120
	r.step(Event{Kind: Reconfigure, Config: &c})
	r.want("notify priority-effective prio=120 count=100 cause=reload")
	r.step(Event{Kind: PriorityChanged, Priority: 90, Cause: Cause{Code: "track_script"}})
	r.want("notify priority-effective prio=90 count=120 cause=track_script")

	c = base()
	c.Priority = PriorityOwner
	r = newRig(t, c).in(Master)
	for range 5 {
		r.hear(lowAddr, PriorityOwner)
		r.until(r.now + time.Second)
	}
	if got := r.did(); !strings.Contains(got, "priority-effective prio=254 count=255 cause=owner-conflict") {
		t.Errorf("no concession: %s", got)
	}
}

// TestHindrances checks that a backup that could be master gives the reason why it is
// not.
func TestHindrances(t *testing.T) {
	for _, c := range []struct {
		name   string
		config func(*Config)
		do     func(r *rig)
		want   string
	}{
		{"nothing", nil, func(r *rig) { r.step(Event{Kind: Start}) }, ""},
		{"a better master", nil, func(r *rig) { r.step(Event{Kind: Start}); r.hear(lowAddr, 200) }, ""},
		{"start-up delay", nil, func(r *rig) {
			r.step(Event{Kind: Start, Hold: 10 * time.Second})
			r.until(4 * time.Second)
		}, "start-up delay, 6s left"},
		{"nopreempt", func(c *Config) { c.NoPreempt = true }, func(r *rig) {
			r.step(Event{Kind: Start})
			r.hear(lowAddr, 50)
		}, "nopreempt: 10.0.0.1 is master with priority 50"},
		{"preempt_delay", func(c *Config) { c.PreemptDelay = time.Minute }, func(r *rig) {
			r.step(Event{Kind: Start})
			r.hear(lowAddr, 50)
			r.until(2 * time.Second)
		}, "preempt_delay, 58s left: 10.0.0.1 is master with priority 50"},
		{"group", nil, func(r *rig) {
			other := base()
			other.Name = "other"
			o := New(other)
			NewSyncGroup("g", false, r.i, o)
			o.Step(0, Event{Kind: SourceChanged, Source: addr(ownAddr)}, nil)
			o.Step(0, Event{Kind: Start}, nil)
			r.step(Event{Kind: Start})
			o.Step(time.Second, Event{Kind: Received, Packet: packet(t, other, lowAddr, 200)}, nil)
			r.until(4 * time.Second)
		}, "its sync group: other hears the master 10.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := base()
			if c.config != nil {
				c.config(&config)
			}
			r := newRig(t, config)
			c.do(r)
			if got := r.i.Hindrance(r.now).String(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

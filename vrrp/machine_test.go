package vrrp

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// base returns the configuration that most tests vary: version 3, so that adverts have
// the interval; priority 100; one second.
func base() Config {
	return Config{
		Name: "x", VRID: 51, Version: 3, Priority: 100, AdvertInterval: time.Second,
		Addresses: []netip.Addr{addr("10.0.0.100")}, Group: group4,
		Announce: Announcements{Repeat: 5, LowerRepeat: 2},
	}
}

const (
	lowAddr  = "10.0.0.1"
	ownAddr  = "10.0.0.2"
	highAddr = "10.0.0.3"
)

// packet returns an advert of the node from, with configuration c.
func packet(t testing.TB, c Config, from string, prio uint8) *Packet {
	t.Helper()
	i := New(c)
	i.Step(0, Event{Kind: SourceChanged, Source: addr(from)}, nil)
	var p Packet
	peer, dst := -1, c.Group
	if c.Unicast {
		peer, dst = 0, c.Peers[0].Addr
	}
	b := i.Advert(peer, prio, time.Unix(1e9, 0))
	var r Reject
	if i.cfg.Family == IPv6 {
		r = ParseIPv6(addr(from), dst, i.cfg.TTL, b, &p)
	} else {
		r = ParseIPv4(b, &p)
	}
	if r != RejectNone {
		t.Fatalf("parse: %v", r)
	}
	return &p
}

// rig steps one instance and collects its actions.
type rig struct {
	t    testing.TB
	i    *Instance
	now  time.Duration
	wall time.Time
	out  []Action
}

func newRig(t testing.TB, c Config) *rig {
	r := &rig{t: t, i: New(c), wall: time.Unix(1e9, 0)}
	source := addr(ownAddr)
	if c.Family == IPv6 {
		source = addr("fe80::2")
	}
	r.step(Event{Kind: SourceChanged, Source: source})
	return r
}

func (r *rig) step(ev Event) {
	ev.Wall = r.wall
	r.out = r.i.Step(r.now, ev, r.out)
}

// advertise encodes the pending adverts, as a driver does, and discards all collected
// actions.
func (r *rig) advertise() {
	for _, a := range r.out {
		if a.Kind == SendAdvert {
			r.i.Advert(-1, a.Priority, r.wall)
		}
	}
	r.out = nil
}

// hear delivers an advert at the present time.
func (r *rig) hear(from string, prio uint8) {
	c := r.i.cfg
	c.Unicast, c.Peers = false, nil
	r.step(Event{Kind: Received, Packet: packet(r.t, c, from, prio)})
}

// until advances the time to at, and serves the timers when they are due.
func (r *rig) until(at time.Duration) {
	for {
		d, ok := r.i.Deadline()
		if !ok || d > at {
			r.now = at
			return
		}
		r.now = max(r.now, d)
		r.step(Event{Kind: Expiry})
	}
}

// in brings the instance into a state.
func (r *rig) in(s State) *rig {
	switch s {
	case Init:
		return r
	case Fault:
		r.step(Event{Kind: FaultsChanged, Faults: FaultLinkDown})
	}
	r.step(Event{Kind: Start})
	switch s {
	case Master:
		r.until(r.i.MasterDownInterval())
	case Stopped:
		r.step(Event{Kind: Shutdown})
	}
	if r.i.State() != s {
		r.t.Fatalf("in %v, want %v", r.i.State(), s)
	}
	r.out = nil
	return r
}

// did returns the collected actions, one per line, and discards them.
func (r *rig) did() string {
	var b strings.Builder
	for _, a := range r.out {
		b.WriteString(strings.TrimPrefix(a.String(), r.i.cfg.Name+" ") + "\n")
	}
	r.out = nil
	return b.String()
}

func (r *rig) want(what ...string) {
	r.t.Helper()
	want := strings.Join(what, "\n") + "\n"
	if len(what) == 0 {
		want = ""
	}
	if diff := cmp.Diff(want, r.did()); diff != "" {
		r.t.Errorf("actions at %v (-want +got):\n%s", r.now, diff)
	}
}

func (r *rig) wantDeadline(want time.Duration) {
	r.t.Helper()
	got, ok := r.i.Deadline()
	if !ok {
		got = -1
	}
	if got != want {
		r.t.Errorf("deadline %v, want %v", got, want)
	}
}

// The skew at priority 100 and an interval of one second.
const skew100 = 609375 * time.Microsecond

// TestStateTable has a row for each row of the state tables of RFC 9568, 6.4,
// and of what keepalived adds to them.
func TestStateTable(t *testing.T) {
	owner := func(c *Config) { c.Priority = PriorityOwner }
	for _, c := range []struct {
		name     string
		config   func(*Config)
		in       State
		do       func(*rig)
		want     []string
		state    State
		deadline time.Duration // from the event; -1: none; 0: not checked
	}{
		{
			name: "start", in: Init,
			do:    func(r *rig) { r.step(Event{Kind: Start}) },
			want:  []string{"transition INIT->BACKUP reason=start"},
			state: Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "start as owner", config: owner, in: Init,
			do: func(r *rig) {
				r.step(Event{Kind: Start})
				r.wantDeadline(0)
				r.step(Event{Kind: Expiry})
			},
			want: []string{
				"transition INIT->BACKUP reason=start",
				"notify master-down-expired", "send-advert prio=255", "set-addresses", "announce count=5",
				"transition BACKUP->MASTER reason=owner",
			},
			state: Master, deadline: time.Second,
		},
		{
			name: "start with a fault", in: Init,
			do: func(r *rig) {
				r.step(Event{Kind: FaultsChanged, Faults: FaultLinkDown, Cause: Cause{Code: "link-down"}})
				r.step(Event{Kind: Start})
			},
			want:  []string{"transition INIT->FAULT reason=fault"},
			state: Fault, deadline: -1,
		},
		{
			name: "start held", in: Init,
			do: func(r *rig) {
				r.step(Event{Kind: Start, Hold: 10 * time.Second})
				r.wantDeadline(10 * time.Second)
				r.hear(highAddr, 200)
				r.until(10 * time.Second)
			},
			want:  []string{"transition INIT->BACKUP reason=start", "notify hold-ended"},
			state: Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "stop before the start", in: Init,
			do:    func(r *rig) { r.step(Event{Kind: Shutdown}) },
			want:  []string{"transition INIT->STOP reason=shutdown"},
			state: Stopped, deadline: -1,
		},
		{
			name: "nothing is heard before the start", in: Init,
			do:    func(r *rig) { r.hear(highAddr, 200) },
			state: Init, deadline: -1,
		},

		{
			name: "backup: master down", in: Backup,
			do: func(r *rig) { r.until(4 * time.Second) },
			want: []string{
				"notify master-down-expired", "send-advert prio=100", "set-addresses", "announce count=5",
				"transition BACKUP->MASTER reason=no-master time=3.609375s",
			},
			state: Master,
		},
		{
			name: "backup: priority 0", in: Backup,
			do: func(r *rig) { r.hear(highAddr, 200); r.now += time.Second; r.hear(highAddr, 0) },
			want: []string{
				"notify master-changed prio=200 addr=10.0.0.3",
				"notify priority-zero-received addr=10.0.0.3",
			},
			state: Backup, deadline: skew100,
		},
		{
			name: "backup: higher priority", in: Backup,
			do:    func(r *rig) { r.now += time.Second; r.hear(lowAddr, 101) },
			want:  []string{"notify master-changed prio=101 addr=10.0.0.1"},
			state: Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "backup: the same priority, lower address", in: Backup,
			do:    func(r *rig) { r.now += time.Second; r.hear(lowAddr, 100) },
			want:  []string{"notify master-changed prio=100 addr=10.0.0.1"},
			state: Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "backup: lower priority", in: Backup,
			do:    func(r *rig) { r.now += time.Second; r.hear(highAddr, 99) },
			want:  []string{"notify lower-priority-discarded prio=99 addr=10.0.0.3"},
			state: Backup, deadline: 2*time.Second + skew100,
		},
		{
			name: "backup: lower priority, nopreempt", in: Backup,
			config: func(c *Config) { c.NoPreempt = true },
			do:     func(r *rig) { r.now += time.Second; r.hear(highAddr, 99) },
			want:   []string{"notify master-changed prio=99 addr=10.0.0.3", "notify no-preempt prio=99 addr=10.0.0.3"},
			state:  Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "backup: lower priority, preempt delay", in: Backup,
			config: func(c *Config) { c.PreemptDelay = 10 * time.Second },
			do:     func(r *rig) { r.now += time.Second; r.hear(highAddr, 99); r.now += time.Second; r.hear(highAddr, 99) },
			want: []string{
				"notify preempt-delay-started prio=99 addr=10.0.0.3 time=10s",
				"notify master-changed prio=99 addr=10.0.0.3",
			},
			state: Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "backup: preempt delay over", in: Backup,
			config: func(c *Config) { c.PreemptDelay = 2 * time.Second },
			do: func(r *rig) {
				for range 5 {
					r.hear(highAddr, 99)
					r.until(r.now + time.Second)
				}
			},
			want: []string{
				"notify preempt-delay-started prio=99 addr=10.0.0.3 time=2s",
				"notify master-changed prio=99 addr=10.0.0.3",
				"notify lower-priority-discarded prio=99 addr=10.0.0.3",
				"notify lower-priority-discarded prio=99 addr=10.0.0.3",
				"notify lower-priority-discarded prio=99 addr=10.0.0.3",
				"notify master-down-expired addr=10.0.0.3", "send-advert prio=100", "set-addresses", "announce count=5",
				"transition BACKUP->MASTER reason=preempt prio=99 addr=10.0.0.3",
			},
			state: Master,
		},
		{
			name: "backup: preempt delay over, begins anew after a better master", in: Backup,
			config: func(c *Config) { c.PreemptDelay = time.Second },
			do: func(r *rig) {
				r.hear(highAddr, 99)
				r.until(r.now + 1100*time.Millisecond)
				r.hear(highAddr, 99)
				r.hear(lowAddr, 200)
				r.out = nil
				r.hear(highAddr, 99)
			},
			want: []string{
				"notify preempt-delay-started prio=99 addr=10.0.0.3 time=1s",
				"notify master-changed prio=99 addr=10.0.0.3",
			},
			state: Backup, deadline: time.Second,
		},
		{
			name: "backup: preempt delay stopped by a better advert", in: Backup,
			config: func(c *Config) { c.PreemptDelay = 10 * time.Second },
			do:     func(r *rig) { r.hear(highAddr, 99); r.hear(lowAddr, 100) },
			want: []string{
				"notify preempt-delay-started prio=99 addr=10.0.0.3 time=10s",
				"notify master-changed prio=99 addr=10.0.0.3",
				"notify preempt-delay-stopped prio=100 addr=10.0.0.1",
				"notify master-changed prio=100 addr=10.0.0.1",
			},
			state: Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "backup: fault", in: Backup,
			do: func(r *rig) {
				r.step(Event{Kind: FaultsChanged, Faults: FaultLinkDown})
				r.step(Event{Kind: FaultsChanged, Faults: FaultNoSource})
			},
			want:  []string{"transition BACKUP->FAULT reason=fault"},
			state: Fault, deadline: -1,
		},
		{
			name: "backup: shutdown", in: Backup,
			do:    func(r *rig) { r.step(Event{Kind: Shutdown}) },
			want:  []string{"transition BACKUP->STOP reason=shutdown"},
			state: Stopped, deadline: -1,
		},
		{
			name: "backup: address lost", in: Backup,
			do:    func(r *rig) { r.step(Event{Kind: AddressLost}) },
			state: Backup,
		},
		{
			name: "backup: timer served too late", in: Backup,
			do:    func(r *rig) { r.now = 10 * time.Second; r.step(Event{Kind: Expiry}) },
			want:  []string{"notify stall time=6.390625s"},
			state: Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "backup: priority raised", in: Backup,
			do:    func(r *rig) { r.now += time.Second; r.step(Event{Kind: PriorityChanged, Priority: 228}) },
			want:  []string{"notify priority-effective prio=228 count=100"},
			state: Backup, deadline: 2*time.Second + skew100 - 500*time.Millisecond,
		},

		{
			name: "master: advert timer", in: Master,
			do:    func(r *rig) { r.until(r.now + time.Second) },
			want:  []string{"send-advert prio=100"},
			state: Master, deadline: time.Second,
		},
		{
			name: "master: priority 0", in: Master,
			do:    func(r *rig) { r.now += 400 * time.Millisecond; r.hear(lowAddr, 0) },
			want:  []string{"send-advert prio=100"},
			state: Master, deadline: time.Second,
		},
		{
			name: "master: higher priority", in: Master,
			do: func(r *rig) { r.hear(lowAddr, 101) },
			want: []string{
				"notify higher-priority-received prio=101 addr=10.0.0.1", "clear-addresses",
				"transition MASTER->BACKUP reason=higher-priority prio=101 addr=10.0.0.1",
			},
			state: Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "master: higher priority of another interval", in: Master,
			do: func(r *rig) {
				c := base()
				c.AdvertInterval = 100 * time.Millisecond
				r.step(Event{Kind: Received, Packet: packet(r.t, c, lowAddr, 101)})
			},
			want: []string{
				"notify higher-priority-received prio=101 addr=10.0.0.1", "clear-addresses",
				"notify interval-learned count=1000 addr=10.0.0.1 time=100ms",
				"transition MASTER->BACKUP reason=higher-priority prio=101 addr=10.0.0.1",
			},
			state: Backup, deadline: 300*time.Millisecond + skew100/10,
		},
		{
			name: "master: higher priority, answered", in: Master,
			config: func(c *Config) { c.HigherPrioritySendAdvert = true },
			do:     func(r *rig) { r.hear(lowAddr, 101) },
			want: []string{
				"notify higher-priority-received prio=101 addr=10.0.0.1", "send-advert prio=100", "clear-addresses",
				"transition MASTER->BACKUP reason=higher-priority prio=101 addr=10.0.0.1",
			},
			state: Backup,
		},
		{
			name: "master: the same priority, higher address", in: Master,
			do: func(r *rig) { r.hear(highAddr, 100) },
			want: []string{
				"notify higher-address-received prio=100 addr=10.0.0.3", "clear-addresses",
				"transition MASTER->BACKUP reason=higher-address prio=100 addr=10.0.0.3",
			},
			state: Backup,
		},
		{
			name: "master: the same priority, lower address", in: Master,
			do: func(r *rig) { r.hear(lowAddr, 100) },
			want: []string{
				"notify lower-priority-received prio=100 addr=10.0.0.1", "send-advert prio=100", "announce count=2",
			},
			state: Master,
		},
		{
			name: "master: lower priority", in: Master,
			do: func(r *rig) { r.now += 400 * time.Millisecond; r.hear(highAddr, 99) },
			want: []string{
				"notify lower-priority-received prio=99 addr=10.0.0.3", "send-advert prio=100", "announce count=2",
			},
			state: Master, deadline: 600 * time.Millisecond,
		},
		{
			name: "master: lower priority, not answered", in: Master,
			config: func(c *Config) { c.LowerPriorityNoAdvert = true },
			do:     func(r *rig) { r.hear(highAddr, 99) },
			want:   []string{"notify lower-priority-received prio=99 addr=10.0.0.3", "announce count=2"},
			state:  Master,
		},
		{
			name: "master: own address", in: Master,
			do:    func(r *rig) { r.hear(ownAddr, 100); r.hear(ownAddr, 200) },
			want:  []string{"notify own-address-received prio=100 addr=10.0.0.2"},
			state: Master,
		},
		{
			name: "master: address lost", in: Master,
			do: func(r *rig) { r.step(Event{Kind: AddressLost}) },
			want: []string{
				"send-advert prio=0", "notify priority-zero-sent", "clear-addresses",
				"transition MASTER->BACKUP reason=address-lost",
			},
			state: Backup, deadline: skew100,
		},
		{
			name: "master: shutdown", in: Master,
			do: func(r *rig) { r.step(Event{Kind: Shutdown}) },
			want: []string{
				"send-advert prio=0", "notify priority-zero-sent", "clear-addresses",
				"transition MASTER->STOP reason=shutdown",
			},
			state: Stopped, deadline: -1,
		},
		{
			name: "master: fault", in: Master,
			do: func(r *rig) {
				r.step(Event{Kind: FaultsChanged, Faults: FaultTracker, Cause: Cause{Code: "script", Detail: "chk exited with status 1"}})
			},
			want: []string{
				"send-advert prio=0", "notify priority-zero-sent", "clear-addresses",
				"transition MASTER->FAULT reason=fault cause=script",
			},
			state: Fault, deadline: -1,
		},
		{
			name: "master: stalled, then an expiry", in: Master,
			do: func(r *rig) { r.now += 10 * time.Second; r.step(Event{Kind: Expiry}) },
			want: []string{
				"notify stall time=9s", "clear-addresses", "transition MASTER->BACKUP reason=stall time=9s",
			},
			state: Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "master: stalled, then an advert", in: Master,
			do: func(r *rig) { r.now += 10 * time.Second; r.hear(highAddr, 99) },
			want: []string{
				"notify stall time=9s", "clear-addresses", "transition MASTER->BACKUP reason=stall time=9s",
				"notify lower-priority-discarded prio=99 addr=10.0.0.3",
			},
			state: Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "master: late, but its peers still wait", in: Master,
			do:    func(r *rig) { r.now += 2900 * time.Millisecond; r.step(Event{Kind: Expiry}) },
			want:  []string{"send-advert prio=100"},
			state: Master, deadline: time.Second,
		},
		{
			name: "master: late with timer_expired_backup", in: Master,
			config: func(c *Config) { c.NoPreempt, c.TimerExpiredBackup = true, 1 },
			do:     func(r *rig) { r.now += 2 * time.Second; r.step(Event{Kind: Expiry}) },
			want: []string{
				"notify stall time=1s", "clear-addresses", "transition MASTER->BACKUP reason=stall time=1s",
			},
			state: Backup,
		},
		{
			name: "master: priority changed", in: Master,
			do: func(r *rig) {
				r.step(Event{Kind: PriorityChanged, Priority: 80})
				r.until(r.now + time.Second)
			},
			want:  []string{"notify priority-effective prio=80 count=100", "send-advert prio=80"},
			state: Master,
		},
		{
			name: "owner: priority fixed", config: owner, in: Master,
			do:    func(r *rig) { r.step(Event{Kind: PriorityChanged, Priority: 80}) },
			state: Master,
		},
		{
			name: "owner: another one with a higher address", config: owner, in: Master,
			do: func(r *rig) { r.hear(highAddr, 255) },
			want: []string{
				"notify owner-conflict prio=255 count=1 addr=10.0.0.3",
				"notify higher-address-received prio=255 addr=10.0.0.3", "clear-addresses",
				"transition MASTER->BACKUP reason=higher-address prio=255 addr=10.0.0.3",
			},
			state: Backup,
		},
		{
			name: "owner: another one that yields", config: owner, in: Master,
			do: func(r *rig) {
				r.hear(lowAddr, 255)
				r.out = slices.DeleteFunc(r.out, func(a Action) bool { return a.Kind != Notify })
				r.until(r.now + 3500*time.Millisecond)
				r.out = slices.DeleteFunc(r.out, func(a Action) bool { return a.Kind == SendAdvert })
			},
			want: []string{
				"notify owner-conflict prio=255 addr=10.0.0.1",
				"notify lower-priority-received prio=255 addr=10.0.0.1",
			},
			state: Master,
		},
		{
			name: "owner: ignores adverts", in: Master,
			config: func(c *Config) { owner(c); c.OwnerIgnoreAdverts = true },
			do:     func(r *rig) { r.hear(highAddr, 255) },
			state:  Master,
		},

		{
			name: "fault: cleared", in: Fault,
			do:    func(r *rig) { r.step(Event{Kind: FaultsChanged}) },
			want:  []string{"transition FAULT->BACKUP reason=fault-cleared"},
			state: Backup, deadline: 3*time.Second + skew100,
		},
		{
			name: "fault: cleared, as owner", config: owner, in: Fault,
			do: func(r *rig) { r.step(Event{Kind: FaultsChanged}); r.until(0) },
			want: []string{
				"transition FAULT->BACKUP reason=fault-cleared",
				"notify master-down-expired", "send-advert prio=255", "set-addresses", "announce count=5",
				"transition BACKUP->MASTER reason=owner",
			},
			state: Master,
		},
		{
			name: "fault: adverts are not heard", in: Fault,
			do:    func(r *rig) { r.hear(highAddr, 200) },
			state: Fault, deadline: -1,
		},
		{
			name: "fault: one of two reasons gone", in: Fault,
			do: func(r *rig) {
				r.step(Event{Kind: FaultsChanged, Faults: FaultLinkDown | FaultNoSource})
				r.step(Event{Kind: FaultsChanged, Faults: FaultNoSource})
			},
			state: Fault, deadline: -1,
		},
		{
			name: "fault: shutdown", in: Fault,
			do:    func(r *rig) { r.step(Event{Kind: Shutdown}) },
			want:  []string{"transition FAULT->STOP reason=shutdown"},
			state: Stopped, deadline: -1,
		},
		{
			name: "stopped for good", in: Stopped,
			do: func(r *rig) {
				r.step(Event{Kind: Start})
				r.step(Event{Kind: FaultsChanged, Faults: FaultLinkDown})
				r.step(Event{Kind: Reconfigure, Config: &Config{Name: "x", Priority: 7}})
				r.step(Event{Kind: Expiry})
				r.step(Event{Kind: Shutdown})
				r.hear(highAddr, 200)
			},
			state: Stopped, deadline: -1,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := base()
			if c.config != nil {
				c.config(&config)
			}
			r := newRig(t, config).in(c.in)
			c.do(r)
			r.want(c.want...)
			if r.i.State() != c.state {
				t.Errorf("in %v, want %v", r.i.State(), c.state)
			}
			switch {
			case c.deadline > 0:
				r.wantDeadline(r.now + c.deadline)
			case c.deadline < 0:
				r.wantDeadline(-1)
			}
		})
	}
}

// TestIntervals checks the formulas of RFC 3768 and RFC 9568, 6.1.
func TestIntervals(t *testing.T) {
	for _, c := range []struct {
		version uint8
		prio    uint8
		advert  time.Duration
		down    int
		want    time.Duration
	}{
		{2, 100, time.Second, 0, 3609375 * time.Microsecond},
		{2, 255, time.Second, 0, 3003906250 * time.Nanosecond},
		{2, 1, time.Second, 0, 3996093750 * time.Nanosecond},
		{2, 100, 2 * time.Second, 0, 6609375 * time.Microsecond}, // the skew is that of one second
		{2, 100, time.Second, 5, 5609375 * time.Microsecond},
		{3, 100, time.Second, 0, 3609375 * time.Microsecond},
		{3, 100, 2 * time.Second, 0, 7218750 * time.Microsecond},
		{3, 100, 10 * time.Millisecond, 0, 36093750 * time.Nanosecond},
		{3, 254, 40950 * time.Millisecond, 0, 3*40950*time.Millisecond + 40950*time.Millisecond*2/256},
	} {
		i := New(Config{Version: c.version, Priority: c.prio, AdvertInterval: c.advert, DownTimerAdverts: c.down})
		if got := i.MasterDownInterval(); got != c.want {
			t.Errorf("version %d, priority %d, %v: %v, want %v", c.version, c.prio, c.advert, got, c.want)
		}
	}
}

// TestNoDrift checks that deadlines follow one another by the interval, however late each
// is served, and that a missed advert is not sent later.
func TestNoDrift(t *testing.T) {
	r := newRig(t, base()).in(Master)
	first, _ := r.i.Deadline()
	for n := range 100 {
		want := first + time.Duration(n)*time.Second
		r.wantDeadline(want)
		r.now = want + time.Duration(n)*9*time.Millisecond
		r.step(Event{Kind: Expiry})
	}
	r.now, _ = r.i.Deadline()
	r.now += 1500 * time.Millisecond
	r.step(Event{Kind: Expiry})
	r.wantDeadline(r.now + time.Second)
}

// TestLearnedIntervalEnds checks that a master uses its own interval again, and so does
// an instance that leaves FAULT.
func TestLearnedIntervalEnds(t *testing.T) {
	slow := base()
	slow.AdvertInterval = 2 * time.Second
	r := newRig(t, base()).in(Backup)
	own := r.i.MasterDownInterval()
	check := func(when string, want time.Duration) {
		t.Helper()
		if got := r.i.MasterDownInterval(); got != want {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	r.step(Event{Kind: Received, Packet: packet(t, slow, highAddr, 200)})
	check("learnt", 2*own)
	r.until(2 * own)
	check("as master", own)
	r.step(Event{Kind: Received, Packet: packet(t, slow, highAddr, 200)})
	check("yielded", 2*own)
	r.step(Event{Kind: FaultsChanged, Faults: FaultLinkDown})
	r.step(Event{Kind: FaultsChanged})
	check("after FAULT", own)
}

func TestAnnouncements(t *testing.T) {
	c := base()
	c.Announce = Announcements{Repeat: 5, Delay: 5 * time.Second, Refresh: 20 * time.Second, RefreshRepeat: 1, LowerRepeat: 2, LowerDelay: 3 * time.Second}
	r := newRig(t, c).in(Backup)
	got := map[time.Duration]int{}
	collect := func() {
		for _, a := range r.out {
			if a.Kind == Announce {
				got[r.now] += a.Count
			}
		}
		r.out = nil
	}
	run := func(to time.Duration) {
		for {
			d, ok := r.i.Deadline()
			if !ok || d > to {
				break
			}
			r.until(d)
			collect()
		}
		r.until(to)
	}
	start := r.i.MasterDownInterval()
	run(start + 30*time.Second)
	r.hear(lowAddr, 50)
	collect()
	run(start + 31*time.Second)
	r.hear(lowAddr, 50) // does not delay the second set
	collect()
	run(start + 45*time.Second)
	want := map[time.Duration]int{
		start: 5, start + 5*time.Second: 5, start + 20*time.Second: 1,
		start + 30*time.Second: 2, start + 31*time.Second: 2, start + 33*time.Second: 2,
		start + 40*time.Second: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("announcements (-want +got):\n%s", diff)
	}
}

func TestReconfigure(t *testing.T) {
	master := func(r *rig) { r.in(Master); r.now += 400 * time.Millisecond }
	backup := func(r *rig) {
		r.in(Backup)
		r.hear(highAddr, 200)
		r.out = nil
		r.now += 400 * time.Millisecond
	}
	for _, c := range []struct {
		name     string
		from     func(*rig)
		change   func(*Config)
		want     []string
		deadline time.Duration // from now
	}{
		{"nothing, as master", master, func(c *Config) {}, nil, 600 * time.Millisecond},
		{"nothing, as backup", backup, func(c *Config) {}, nil, 2600*time.Millisecond + skew100},
		{"equal values in other slices", master, func(c *Config) { c.Addresses = slices.Clone(c.Addresses) }, nil, 600 * time.Millisecond},
		{"shorter interval", master, func(c *Config) { c.AdvertInterval = 500 * time.Millisecond }, nil, 100 * time.Millisecond},
		{"much shorter interval", master, func(c *Config) { c.AdvertInterval = 100 * time.Millisecond },
			[]string{"send-advert prio=100"}, 100 * time.Millisecond},
		{"longer interval, once", master, func(c *Config) { c.AdvertInterval = 5 * time.Second }, nil, 600 * time.Millisecond},
		{"addresses", master, func(c *Config) { c.Addresses = []netip.Addr{addr("10.0.0.9")} },
			[]string{"set-addresses", "announce count=5"}, 600 * time.Millisecond},
		{"addresses, as backup", backup, func(c *Config) { c.Addresses = nil }, nil, 2600*time.Millisecond + skew100},
		{"priority", master, func(c *Config) { c.Priority = 50 },
			[]string{"notify priority-effective prio=50 count=100 cause=reload"}, 600 * time.Millisecond},
		{"priority, as backup", backup, func(c *Config) { c.Priority = 228 },
			[]string{"notify priority-effective prio=228 count=100 cause=reload"}, 2100*time.Millisecond + skew100},
		{"own interval while another's is learnt", backup, func(c *Config) { c.AdvertInterval = 3 * time.Second }, nil, 2600*time.Millisecond + skew100},
		{"more missed adverts", backup, func(c *Config) { c.DownTimerAdverts = 5 }, nil, 4600*time.Millisecond + skew100},
		{"password", master, func(c *Config) { c.Version, c.Auth, c.Key = 2, AuthPass, key("x") }, nil, 600 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, base())
			c.from(r)
			state, to := r.i.State(), base()
			c.change(&to)
			r.step(Event{Kind: Reconfigure, Config: &to})
			r.want(c.want...)
			r.wantDeadline(r.now + c.deadline)
			if r.i.State() != state {
				t.Errorf("in %v, was %v", r.i.State(), state)
			}
			// The packet equals that of a new instance with the new configuration.
			fresh := newRig(t, to)
			fresh.i.ipid = r.i.ipid
			got, want := r.i.Advert(-1, r.i.Priority(), time.Time{}), fresh.i.Advert(-1, fresh.i.Priority(), time.Time{})
			if diff := cmp.Diff(fmt.Sprintf("%x", want), fmt.Sprintf("%x", got)); diff != "" {
				t.Errorf("packet (-want +got):\n%s", diff)
			}
		})
	}
}

// TestReconfigurePeers checks that the state of a peer is kept when its place in the list
// changes.
func TestReconfigurePeers(t *testing.T) {
	c := base()
	c.Unicast = true
	c.Peers = []Peer{{Addr: addr(lowAddr), MaxTTL: 255}}
	old := c
	old.OldUnicastChecksum, old.Peers = OldChecksumAlways, []Peer{{Addr: addr(ownAddr)}}
	r := newRig(t, c).in(Backup)
	r.step(Event{Kind: Received, Packet: packet(t, old, lowAddr, 200)})
	r.out = nil
	c.Peers = []Peer{{Addr: addr(highAddr), MaxTTL: 255}, {Addr: addr(lowAddr), MaxTTL: 255}}
	r.step(Event{Kind: Reconfigure, Config: &c})
	r.step(Event{Kind: Received, Packet: packet(t, old, lowAddr, 200)})
	r.want() // the peer is not detected again
	a := append([]byte(nil), r.i.Advert(0, 100, time.Time{})[lenIPv4:]...)
	b := r.i.Advert(1, 100, time.Time{})[lenIPv4:]
	if r.i.oldChecksum(0) || !r.i.oldChecksum(1) || string(a) == string(b) {
		t.Errorf("% x and % x", a, b)
	}
}

// TestReconfigureAH checks that neither a new address nor a new key restarts the
// sequence, which peers would take for a replay.
func TestReconfigureAH(t *testing.T) {
	c := base()
	c.Version, c.Auth, c.Key = 2, AuthAH, key("one")
	r := newRig(t, c).in(Master)
	for want := byte(1); want < 5; want++ {
		if got := r.i.Advert(-1, 100, time.Time{})[lenIPv4+11]; got != want {
			t.Errorf("sequence %d, want %d", got, want)
		}
		c.Key[7]++
		r.step(Event{Kind: Reconfigure, Config: &c})
	}
}

// TestReconfigureHold checks that the start-up delay continues over a reload.
func TestReconfigureHold(t *testing.T) {
	r := newRig(t, base())
	r.step(Event{Kind: Start, Hold: 10 * time.Second})
	c := base()
	c.AdvertInterval = 2 * time.Second
	r.step(Event{Kind: Reconfigure, Config: &c})
	r.wantDeadline(10 * time.Second)
	// Not even a fault in between shortens or lengthens the delay.
	r.step(Event{Kind: FaultsChanged, Faults: FaultLinkDown})
	r.step(Event{Kind: FaultsChanged})
	r.wantDeadline(10 * time.Second)
	r.step(Event{Kind: FaultsChanged, Faults: FaultLinkDown})
	r.until(11 * time.Second)
	r.step(Event{Kind: FaultsChanged})
	r.wantDeadline(11*time.Second + 2*(3*time.Second+skew100))
}

// TestOwnerNoMore checks that an owner that has yielded takes its new priority.
func TestOwnerNoMore(t *testing.T) {
	c := base()
	c.Priority = PriorityOwner
	r := newRig(t, c).in(Master)
	for range 4 { // the other owner, with the lower address, does not yield
		r.hear(lowAddr, PriorityOwner)
		r.until(r.now + time.Second)
	}
	if r.i.Priority() != PriorityOwner-1 {
		t.Fatalf("priority %d, want 254", r.i.Priority())
	}
	c.Priority = 120
	r.step(Event{Kind: Reconfigure, Config: &c})
	if r.i.Priority() != 120 {
		t.Errorf("priority %d, want 120", r.i.Priority())
	}
}

// TestReconfigureTracking checks that the change of the priority by trackers is kept.
func TestReconfigureTracking(t *testing.T) {
	r := newRig(t, base()).in(Backup)
	r.step(Event{Kind: PriorityChanged, Priority: 80})
	to := base()
	to.Priority = 150
	r.step(Event{Kind: Reconfigure, Config: &to})
	if got := r.i.Priority(); got != 130 {
		t.Errorf("priority %d, want 130", got)
	}
	to.Priority = PriorityOwner
	r.step(Event{Kind: Reconfigure, Config: &to})
	if got := r.i.Priority(); got != PriorityOwner {
		t.Errorf("priority %d, want 255", got)
	}
}

func TestResume(t *testing.T) {
	for _, c := range []struct {
		name     string
		resume   Snapshot
		faults   Faults
		want     []string
		deadline time.Duration
	}{
		{"in time", Snapshot{State: Master, LastAdvert: 9500 * time.Millisecond, AdvertDeadline: 10500 * time.Millisecond, MasterInterval: time.Second}, 0,
			[]string{"set-addresses", "announce count=1", "transition INIT->MASTER reason=resumed"}, 10500 * time.Millisecond},
		{"overdue", Snapshot{State: Master, LastAdvert: 7100 * time.Millisecond, AdvertDeadline: 8100 * time.Millisecond, MasterInterval: time.Second}, 0,
			[]string{"set-addresses", "announce count=1", "transition INIT->MASTER reason=resumed"}, 10 * time.Second},
		{"too late", Snapshot{State: Master, LastAdvert: 7 * time.Second, MasterInterval: time.Second}, 0,
			[]string{"clear-addresses", "transition INIT->BACKUP reason=start"}, 13*time.Second + skew100},
		{"too late for the predecessor's interval", Snapshot{State: Master, LastAdvert: 9500 * time.Millisecond, MasterInterval: 100 * time.Millisecond}, 0,
			[]string{"clear-addresses", "transition INIT->BACKUP reason=start"}, 13*time.Second + skew100},
		{"from another boot", Snapshot{State: Master, LastAdvert: 11 * time.Second}, 0,
			[]string{"clear-addresses", "transition INIT->BACKUP reason=start"}, 13*time.Second + skew100},
		{"a backup", Snapshot{State: Backup, LastAdvert: 9500 * time.Millisecond}, 0,
			[]string{"clear-addresses", "transition INIT->BACKUP reason=start"}, 13*time.Second + skew100},
		{"with a fault", Snapshot{State: Master, LastAdvert: 9500 * time.Millisecond}, FaultLinkDown,
			[]string{"clear-addresses", "transition INIT->FAULT reason=fault"}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, base())
			r.now = 10 * time.Second
			r.step(Event{Kind: FaultsChanged, Faults: c.faults})
			c.resume.IPID = 7
			r.step(Event{Kind: Start, Resume: &c.resume})
			r.want(c.want...)
			r.wantDeadline(c.deadline)
			if b := r.i.Advert(-1, 100, time.Time{}); b[5] != 8 {
				t.Errorf("identification %d, want 8", b[5])
			}
		})
	}
}

// TestAHExhausted checks that an instance ceases to be master at the last sequence
// number, and starts with 1 when it becomes master again.
func TestAHExhausted(t *testing.T) {
	c := base()
	c.Version, c.Auth = 2, AuthAH
	r := newRig(t, c).in(Master)
	r.i.ah.sequence = 1<<32 - 2
	r.until(r.now + time.Second)
	r.i.Advert(-1, 100, time.Time{})
	r.out = nil
	r.until(r.now + time.Second)
	r.want("notify sequence-exhausted", "clear-addresses", "transition MASTER->BACKUP reason=sequence-exhausted")
	r.until(r.now + 4*time.Second)
	b := r.i.Advert(-1, 100, time.Time{})
	if r.i.State() != Master || b[lenIPv4+11] != 1 {
		t.Errorf("%v, sequence % x", r.i.State(), b[lenIPv4+8:lenIPv4+12])
	}
}

package vrrp

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pair is two instances that a test steps together.
type pair struct {
	t    *testing.T
	now  time.Duration
	a, b *Instance
	out  []Action
}

func newPair(t *testing.T) *pair {
	p := &pair{t: t}
	c := base()
	c.Announce = Announcements{}
	for n, i := range []**Instance{&p.a, &p.b} {
		c.Name = string(rune('a' + n))
		*i = New(c)
		p.step(*i, Event{Kind: SourceChanged, Source: addr(ownAddr)})
	}
	return p
}

func (p *pair) step(i *Instance, ev Event) { p.out = i.Step(p.now, ev, p.out) }

// until advances the time for both.
func (p *pair) until(at time.Duration) {
	for {
		due, next := (*Instance)(nil), at
		for _, i := range []*Instance{p.a, p.b} {
			if d, ok := i.Deadline(); ok && d <= next {
				due, next = i, d
			}
		}
		if due == nil {
			p.now = at
			return
		}
		p.now = max(p.now, next)
		p.step(due, Event{Kind: Expiry})
	}
}

// want compares the transitions, adverts of priority 0 and changes of addresses. Regular
// adverts are left out.
func (p *pair) want(want ...string) {
	p.t.Helper()
	var got []string
	for _, a := range p.out {
		if a.Kind == Notify || a.Kind == SendAdvert && a.Priority != 0 {
			continue
		}
		got = append(got, a.String())
	}
	p.out = nil
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(got, "\n")); diff != "" {
		p.t.Errorf("actions (-want +got):\n%s", diff)
	}
}

func TestGroupLastMemberTakesAll(t *testing.T) {
	p := newPair(t)
	g := NewSyncGroup("g", false, p.a, p.b)
	p.step(p.a, Event{Kind: Start})
	p.now = 500 * time.Millisecond
	p.step(p.b, Event{Kind: Start})
	p.want("group-transition g INIT->BACKUP", "a transition INIT->BACKUP reason=start", "b transition INIT->BACKUP reason=start")
	// The first expiry starts the timer again; the second makes both masters.
	p.until(500*time.Millisecond + p.b.MasterDownInterval())
	p.want("b set-addresses", "b transition BACKUP->MASTER reason=no-master time=3.609375s",
		"a set-addresses", "a transition BACKUP->MASTER reason=group", "group-transition g BACKUP->MASTER")
	if g.State() != Master || p.a.Group() != g || len(g.Members()) != 2 {
		t.Errorf("%v, %v", g.State(), g.Members())
	}
	// A better master in the network of one member.
	higher := packet(t, base(), highAddr, 200)
	p.step(p.b, Event{Kind: Received, Packet: higher})
	p.want("b clear-addresses", "b transition MASTER->BACKUP reason=higher-priority prio=200 addr=10.0.0.3",
		"a clear-addresses", "a transition MASTER->BACKUP reason=group", "group-transition g MASTER->BACKUP")
	// It keeps both members from becoming master.
	for range 10 {
		p.until(p.now + time.Second)
		p.step(p.b, Event{Kind: Received, Packet: higher})
	}
	p.want()
}

// TestGroupWishesLapse checks that a member that receives adverts of a better master
// again no longer has a wish to become master that could make the group change.
func TestGroupWishesLapse(t *testing.T) {
	p := newPair(t)
	NewSyncGroup("g", false, p.a, p.b)
	p.step(p.a, Event{Kind: Start})
	p.step(p.b, Event{Kind: Start})
	higher := packet(t, base(), highAddr, 200)
	listen := func(i *Instance, seconds int) {
		for range seconds {
			p.until(p.now + time.Second)
			p.step(i, Event{Kind: Received, Packet: higher})
		}
	}
	listen(p.b, 5) // a receives nothing and would become master
	p.out = nil
	p.step(p.a, Event{Kind: Received, Packet: higher})
	listen(p.a, 5) // now b receives nothing, and a does
	p.want()
}

func TestGroupWithAHeldMember(t *testing.T) {
	p := newPair(t)
	NewSyncGroup("g", false, p.a, p.b)
	p.step(p.a, Event{Kind: Start})
	p.step(p.b, Event{Kind: Start, Hold: 20 * time.Second})
	p.until(20 * time.Second)
	p.out = nil
	p.until(24 * time.Second)
	p.want("b set-addresses", "b transition BACKUP->MASTER reason=no-master time=3.609375s",
		"a set-addresses", "a transition BACKUP->MASTER reason=group", "group-transition g BACKUP->MASTER")
}

func TestGroupAddressLost(t *testing.T) {
	p := newPair(t)
	NewSyncGroup("g", false, p.a, p.b)
	p.step(p.a, Event{Kind: Start})
	p.step(p.b, Event{Kind: Start})
	p.until(5 * time.Second)
	p.out = nil
	p.step(p.a, Event{Kind: AddressLost})
	p.want("a send-advert prio=0", "a clear-addresses", "a transition MASTER->BACKUP reason=address-lost",
		"b send-advert prio=0", "b clear-addresses", "b transition MASTER->BACKUP reason=group", "group-transition g MASTER->BACKUP")
	p.until(5*time.Second + skew100)
	p.want("a set-addresses", "a transition BACKUP->MASTER reason=no-master time=609.375ms",
		"b set-addresses", "b transition BACKUP->MASTER reason=group", "group-transition g BACKUP->MASTER")
}

func TestGroupShutdown(t *testing.T) {
	p := newPair(t)
	NewSyncGroup("g", false, p.a, p.b)
	p.step(p.a, Event{Kind: FaultsChanged, Faults: FaultLinkDown})
	p.step(p.a, Event{Kind: Start})
	p.step(p.b, Event{Kind: Start})
	p.want("group-transition g INIT->FAULT", "a transition INIT->FAULT reason=fault", "b transition INIT->FAULT reason=fault")
	// The end of the member with the fault does not release the other.
	p.step(p.a, Event{Kind: Shutdown})
	p.step(p.b, Event{Kind: Shutdown})
	p.want("a transition FAULT->STOP reason=shutdown", "b transition FAULT->STOP reason=shutdown", "group-transition g FAULT->STOP")
}

func TestGroupResume(t *testing.T) {
	young := &Snapshot{State: Master, LastAdvert: 9 * time.Second, AdvertDeadline: 10 * time.Second, MasterInterval: time.Second}
	old := &Snapshot{State: Master, LastAdvert: 5 * time.Second, MasterInterval: time.Second}
	t.Run("both", func(t *testing.T) {
		p := newPair(t)
		NewSyncGroup("g", false, p.a, p.b)
		p.now = 9500 * time.Millisecond
		p.step(p.a, Event{Kind: Start, Resume: young})
		p.step(p.b, Event{Kind: Start, Resume: young})
		p.want("a set-addresses", "a announce count=1", "a transition INIT->MASTER reason=resumed",
			"b set-addresses", "b announce count=1", "b transition INIT->MASTER reason=resumed", "group-transition g INIT->MASTER")
	})
	t.Run("one only", func(t *testing.T) {
		p := newPair(t)
		NewSyncGroup("g", false, p.a, p.b)
		p.now = 9500 * time.Millisecond
		p.step(p.a, Event{Kind: Start, Resume: young})
		p.step(p.b, Event{Kind: Start, Resume: old})
		p.want("a set-addresses", "a announce count=1", "a transition INIT->MASTER reason=resumed",
			"b clear-addresses", "group-transition g INIT->BACKUP", "b transition INIT->BACKUP reason=start",
			"a clear-addresses", "a transition MASTER->BACKUP reason=group")
	})
}

// TestRegroup checks the effect of a reload on the groups of running instances.
func TestRegroup(t *testing.T) {
	running := func(t *testing.T) *pair {
		p := newPair(t)
		p.step(p.a, Event{Kind: Start})
		p.step(p.b, Event{Kind: Start})
		p.until(5 * time.Second)
		p.out = nil
		return p
	}
	t.Run("joined in agreement", func(t *testing.T) {
		p := running(t)
		for range 2 { // twice, as each reload does it again
			g := NewSyncGroup("g", false, p.a, p.b)
			p.until(p.now + time.Millisecond)
			if g.State() != Master {
				t.Errorf("group is %v", g.State())
			}
		}
		p.want()
	})
	t.Run("joined in disagreement", func(t *testing.T) {
		p := running(t)
		p.step(p.b, Event{Kind: Received, Packet: packet(t, base(), highAddr, 200)})
		p.out = nil
		NewSyncGroup("g", false, p.a, p.b)
		if d, ok := p.a.Deadline(); !ok || d > p.now {
			t.Errorf("deadline %v, want at once", d)
		}
		p.until(p.now)
		p.want("a clear-addresses", "a transition MASTER->BACKUP reason=group")
	})
	t.Run("joined with a fault", func(t *testing.T) {
		p := running(t)
		p.step(p.b, Event{Kind: FaultsChanged, Faults: FaultTracker})
		p.out = nil
		NewSyncGroup("g", false, p.a, p.b)
		p.until(p.now)
		p.want("a send-advert prio=0", "a clear-addresses", "a transition MASTER->FAULT reason=group")
	})
	t.Run("a new member among masters", func(t *testing.T) {
		p := newPair(t)
		p.step(p.a, Event{Kind: Start})
		p.until(5 * time.Second)
		p.out = nil
		g := NewSyncGroup("g", false, p.a, p.b)
		p.step(p.b, Event{Kind: Start})
		p.until(p.now + time.Second)
		p.want("b transition INIT->BACKUP reason=start", "b set-addresses", "b transition BACKUP->MASTER reason=group")
		if g.State() != Master {
			t.Errorf("group is %v", g.State())
		}
	})
	t.Run("dissolved with a fault", func(t *testing.T) {
		p := running(t)
		g := NewSyncGroup("g", false, p.a, p.b)
		p.step(p.b, Event{Kind: FaultsChanged, Faults: FaultTracker})
		p.out = nil
		g.Dissolve()
		p.until(p.now)
		p.want("a transition FAULT->BACKUP reason=fault-cleared")
		if p.a.Group() != nil || p.b.State() != Fault || len(g.Members()) != 0 {
			t.Errorf("b is %v", p.b.State())
		}
	})
	t.Run("moved to another group", func(t *testing.T) {
		p := running(t)
		g := NewSyncGroup("g", false, p.a, p.b)
		h := NewSyncGroup("h", true, p.b)
		p.until(p.now)
		if len(g.Members()) != 1 || p.b.Group() != h || !h.TrackingWeight() || h.Name() != "h" {
			t.Errorf("%v, %v", g.Members(), h.Members())
		}
		p.want()
	})
}

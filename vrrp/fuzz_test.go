package vrrp

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

func addVectors(f *testing.F, family Family) {
	for _, v := range vectors {
		if (v.config.Family == IPv6) != (family == IPv6) {
			continue
		}
		b := unhex(f, v.rest)
		if family == IPv4 {
			ip := v.ip
			if ip == "" {
				ip = "45c0002800010000ff7000000a090001e0000012"
			}
			b = append(unhex(f, ip), b...)
			b[3] = byte(len(b))
		}
		f.Add(b)
	}
}

// FuzzParseIPv4 checks that an accepted packet lies within the input and that its
// accessors do not panic.
func FuzzParseIPv4(f *testing.F) {
	addVectors(f, IPv4)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		if ParseIPv4(b, &p) != RejectNone {
			return
		}
		if len(p.IPHeader)+len(p.Payload) > len(b) || !bytes.HasPrefix(b, p.IPHeader) ||
			!bytes.HasPrefix(b[len(p.IPHeader):], p.Payload) {
			t.Fatalf("%x is not in %x", p.Payload, b)
		}
		p.VRID()
		if b := p.Claim(); b != nil {
			ParseClaim(b, false)
		}
		for _, c := range fuzzConfigs {
			if c.Family == IPv6 {
				continue
			}
			c.VRID = p.VRID() // pass the first check
			hear(t, c, &p)
		}
	})
}

// FuzzParseIPv6 does the same with an IPv6 payload.
func FuzzParseIPv6(f *testing.F) {
	addVectors(f, IPv6)
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		if ParseIPv6(addr("fe80::1"), group6, 255, b, &p) != RejectNone {
			return
		}
		if b := p.Claim(); b != nil {
			ParseClaim(b, true)
		}
		for _, c := range fuzzConfigs {
			if c.Family != IPv6 {
				continue
			}
			c.VRID = p.VRID()
			hear(t, c, &p)
		}
	})
}

// fuzzConfigs covers all paths through the validation.
var fuzzConfigs = []Config{
	{Version: 2, Group: group4, Addresses: []netip.Addr{addr("10.0.0.100")}},
	{Version: 2, Group: group4, Auth: AuthPass, Key: key("secret12")},
	{Version: 2, Group: group4, Auth: AuthAH, Key: key("secret12")},
	{Version: 3, Group: group4, Addresses: []netip.Addr{addr("10.0.0.100")}, NoPreempt: true},
	{Version: 3, Group: group4, HMAC: HMAC{Mode: HMACPermissive, SendKey: 1, Keys: map[uint8][]byte{1: vectorKey()}}},
	{Version: 3, Unicast: true, Peers: []Peer{{Addr: addr("10.0.0.1"), MaxTTL: 255}, {Addr: addr("10.0.0.3"), MaxTTL: 255}}, PreemptDelay: time.Second},
	{Version: 3, Priority: 255, Group: group4},
	{Version: 3, Family: IPv6, Group: group6, Addresses: []netip.Addr{addr("fe80::100")}},
	{Version: 2, Family: IPv6, Group: group6},
	{Version: 3, Family: IPv6, Group: group6, HMAC: HMAC{Mode: HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: vectorKey()}}},
}

// hear delivers p to a backup and to a master, and checks that each of them accepts the
// packet or counts it as rejected, once.
func hear(t *testing.T, c Config, p *Packet) {
	for _, s := range []State{Backup, Master} {
		r := newRig(t, c).in(s)
		r.step(Event{Kind: Received, Packet: p})
		st := r.i.Stats()
		n := st.AdvertsReceived
		for _, k := range st.Rejected {
			n += k
		}
		if n != 1 {
			t.Fatalf("counted %d times: %+v", n, st)
		}
	}
}

// FuzzStep reads events from bytes and steps a group of two instances and one outside it.
// It checks that the actions are always consistent with the states.
func FuzzStep(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 1, 1, 0, 0, 2, 0, 255, 0, 255, 0, 255})
	f.Add([]byte{3, 11, 0, 21, 0, 31, 0, 0, 250, 42, 200, 9, 99, 10, 1, 20, 0, 7, 1, 8, 0})
	f.Add([]byte{6, 1, 0, 0, 255, 2, 255, 2, 1, 0, 100, 0, 100, 5, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 {
			return
		}
		pick := int(b[0])
		b = b[1:]
		world := newWorld(t, fuzzConfigs[pick%len(fuzzConfigs)])
		for len(b) >= 2 {
			world.happen(int(b[0]), b[1])
			b = b[2:]
		}
	})
}

// world checks the actions of three instances.
type world struct {
	t     *testing.T
	now   time.Duration
	all   []*Instance
	group *SyncGroup
	state map[*Instance]State
	holds map[*Instance]bool
}

func newWorld(t *testing.T, c Config) *world {
	w := &world{t: t, group: NewSyncGroup("", false), state: map[*Instance]State{}, holds: map[*Instance]bool{}}
	source := addr(ownAddr)
	if c.Family == IPv6 {
		source = addr("fe80::2")
	}
	for _, name := range []string{"x", "y", "z"} {
		c.Name = name
		i := New(c)
		w.all = append(w.all, i)
		w.step(i, Event{Kind: SourceChanged, Source: source})
	}
	w.group = NewSyncGroup("g", false, w.all[:2]...)
	return w
}

// happen applies one event to one of the instances.
func (w *world) happen(what int, value byte) {
	i := w.all[what/10%3]
	c := i.cfg
	switch what % 10 {
	case 0: // time passes
		end := w.now + time.Duration(value)*20*time.Millisecond
		for n := 0; ; n++ {
			due, at := (*Instance)(nil), end
			for _, k := range w.all {
				if d, ok := k.Deadline(); ok && d <= at {
					due, at = k, d
				}
			}
			if due == nil {
				break
			}
			if n > 10000 {
				w.t.Fatalf("timers do not advance beyond %v", w.now)
			}
			w.now = max(w.now, at)
			w.step(due, Event{Kind: Expiry})
		}
		w.now = end
	case 1:
		w.step(i, Event{Kind: Start, Hold: time.Duration(value&1) * time.Second})
	case 2, 3:
		from := addr([]string{lowAddr, ownAddr, highAddr}[what%3])
		if c.Family == IPv6 {
			from = addr([]string{"fe80::1", "fe80::2", "fe80::3"}[what%3])
		}
		c.Unicast = false
		if !c.Group.IsValid() {
			c.Group = group4
		}
		s := New(c)
		s.Step(0, Event{Kind: SourceChanged, Source: from}, nil)
		var p Packet
		wall := time.Unix(1e9, 0).Add(w.now)
		if s.cfg.Family == IPv6 {
			ParseIPv6(from, c.Group, 255, s.Advert(-1, value, wall), &p)
		} else {
			ParseIPv4(s.Advert(-1, value, wall), &p)
		}
		w.step(i, Event{Kind: Received, Packet: &p})
	case 4:
		w.step(i, Event{Kind: PriorityChanged, Priority: value})
	case 5:
		w.step(i, Event{Kind: FaultsChanged, Faults: Faults(value & 3)})
	case 6:
		w.step(i, Event{Kind: AddressLost})
	case 7:
		c.Priority = max(value, 1)
		c.AdvertInterval = time.Duration(1+value%3) * time.Second
		w.step(i, Event{Kind: Reconfigure, Config: &c})
	case 8: // the process is suspended
		w.now += time.Duration(value) * 100 * time.Millisecond
		w.step(i, Event{Kind: Expiry})
	case 9:
		switch value % 8 {
		case 0:
			w.step(i, Event{Kind: Shutdown})
		case 1:
			w.group.Dissolve()
		case 2:
			w.group = NewSyncGroup("g", false, w.all...)
		case 3:
			w.group.Remove(i)
		case 4:
			w.step(i, Event{Kind: HandOver, Force: value&8 != 0})
		case 5, 6, 7:
			w.step(i, Event{Kind: Restrain, Restraint: Restraint(value%8 - 5)})
		}
	}
}

func (w *world) step(i *Instance, ev Event) {
	ev.Wall = time.Unix(1e9, 0).Add(w.now)
	for _, a := range i.Step(w.now, ev, nil) {
		if a.Instance == nil {
			if a.Kind != GroupTransition || a.Group == nil || a.From == a.To {
				w.t.Fatalf("%+v", a)
			}
			continue
		}
		switch a.Kind {
		case Transition:
			if a.From != w.state[a.Instance] || a.From == a.To {
				w.t.Fatalf("%v, but it was %v", a, w.state[a.Instance])
			}
			w.state[a.Instance] = a.To
		case SetAddresses:
			w.holds[a.Instance] = true
		case ClearAddresses:
			w.holds[a.Instance] = false
		case SendAdvert:
			peer := -1
			if a.Instance.cfg.Unicast {
				peer = 0
			}
			if b := a.Instance.Advert(peer, a.Priority, ev.Wall); b == nil {
				w.t.Fatalf("%v: no packet", a)
			}
		}
		_ = a.String()
	}
	for _, i := range w.all {
		if i.state != w.state[i] || w.holds[i] != (i.state == Master || i.Lingers()) {
			w.t.Fatalf("%s is %v, reported as %v, and holds its addresses: %v", i.cfg.Name, i.state, w.state[i], w.holds[i])
		}
		if i.prio == 0 || i.state == Fault != (i.faults != 0) && (i.state == Backup || i.state == Master || i.state == Fault) && !i.unsettled() {
			w.t.Fatalf("%s is %v with priority %d and faults %v", i.cfg.Name, i.state, i.prio, i.faults)
		}
	}
	masters, others := 0, 0
	for _, m := range w.group.Members() {
		switch m.state {
		case Master:
			masters++
		case Backup, Fault:
			others++
		}
	}
	if masters > 0 && others > 0 && !w.group.dirty && w.started() {
		w.t.Fatalf("a group of %d masters and %d others", masters, others)
	}
}

func (w *world) started() bool {
	for _, m := range w.group.Members() {
		if m.state == Init {
			return false
		}
	}
	return true
}

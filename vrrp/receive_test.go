package vrrp

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// TestRejects has one row for each reason to drop a packet, in the order of
// the checks: every packet fails its own check and, where that is possible,
// later ones too.
func TestRejects(t *testing.T) {
	v2 := func(c *Config) { c.Version = 2 }
	pass := func(c *Config) { c.Version, c.Auth, c.Key = 2, AuthPass, key("secret") }
	ah := func(c *Config) { c.Version, c.Auth, c.Key = 2, AuthAH, key("secret") }
	signed := func(c *Config) {
		c.HMAC = HMAC{Mode: HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: vectorKey(), 2: vectorKey()}}
	}
	unicast := func(c *Config) {
		c.Unicast, c.Peers = true, []Peer{{Addr: addr(lowAddr), MinTTL: 250, MaxTTL: 254}}
		c.TTL = 252
	}
	both := func(f ...func(*Config)) func(*Config) {
		return func(c *Config) {
			for _, f := range f {
				f(c)
			}
		}
	}
	message := func(f func(m []byte)) func(*Packet) { return func(p *Packet) { f(p.message()) } }

	for _, c := range []struct {
		name   string
		ours   func(*Config) // on both sides
		theirs func(*Config) // then on the sender only
		change func(*Packet)
		want   Reject
		count  int
	}{
		{"accepted", nil, nil, nil, RejectNone, 0},
		{"accepted, version 2", v2, nil, nil, RejectNone, 0},
		{"accepted, password", pass, nil, nil, RejectNone, 0},
		{"accepted, AH", ah, nil, nil, RejectNone, 0},
		{"accepted, signed", signed, nil, nil, RejectNone, 0},
		{"another virtual router", nil, func(c *Config) { c.VRID = 52 }, nil, RejectVRID, 0},
		{"another family", nil, nil, func(p *Packet) { p.Src = addr("fe80::1") }, RejectFamily, 0},
		{"own address", nil, nil, func(p *Packet) { p.Src = addr(ownAddr) }, RejectOwnAddress, 0},
		{"AH where none is", v2, ah, nil, RejectAuthMismatch, 2},
		{"none where AH is", ah, func(c *Config) { c.Auth = AuthNone }, nil, RejectAuthMismatch, 0},
		{"count beyond the end", nil, nil, message(func(m []byte) { m[3] = 2 }), RejectLength, 12},
		{"no authentication data", v2, nil, func(p *Packet) { p.Payload = p.Payload[:12] }, RejectLength, 12},
		{"TTL 254", nil, func(c *Config) { c.TTL = 254 }, nil, RejectTTL, 254},
		{"version 2 for 3", nil, v2, nil, RejectVersion, 2},
		{"version 3 for 2", v2, func(c *Config) { c.Version = 3 }, func(p *Packet) { p.Payload = append(p.Payload, make([]byte, 8)...) }, RejectVersion, 3},
		{"version 15", nil, nil, message(func(m []byte) { m[0] = 0xf1 }), RejectVersion, 15},
		{"signed by no peer", both(signed, unicast), nil, func(p *Packet) { p.Src = addr(highAddr) }, RejectHMACNotPeer, 0},
		{"not signed", signed, func(c *Config) { c.HMAC.Mode = HMACReceiveOnly }, nil, RejectHMACMissing, 0},
		{"trailer of another type", signed, nil, message(func(m []byte) { m[12] = 2 }), RejectHMACMalformed, 2},
		{"reserved field of the trailer", signed, nil, message(func(m []byte) { m[15] = 1 }), RejectHMACMalformed, 1},
		{"signed long ago", signed, nil, message(func(m []byte) { binary.BigEndian.PutUint32(m[16:], 1e9-6) }), RejectHMACStale, 5},
		{"signed in the future", signed, nil, message(func(m []byte) { binary.BigEndian.PutUint32(m[16:], 1e9+6) }), RejectHMACStale, 5},
		{"signed a little ago, but not so", signed, nil, message(func(m []byte) { binary.BigEndian.PutUint32(m[16:], 1e9-5) }), RejectHMACInvalid, 1},
		{"key unknown", signed, nil, message(func(m []byte) { m[13] = 3 }), RejectHMACUnknownKey, 3},
		{"code of another key id", signed, nil, message(func(m []byte) { m[13] = 2 }), RejectHMACInvalid, 2},
		{"signed by another source", signed, nil, func(p *Packet) { p.Src = addr(highAddr) }, RejectHMACInvalid, 1},
		{"signed, nobody asked", nil, signed, nil, RejectTotalLength, 40},
		{"authentication type 3", v2, nil, message(func(m []byte) { m[4] = 3 }), RejectAuthType, 3},
		{"password where none is", v2, pass, nil, RejectAuthMismatch, 1},
		{"no password", pass, v2, message(func(m []byte) { m[4] = 0 }), RejectAuthMismatch, 0},
		{"wrong password", pass, func(c *Config) { c.Key = key("Secret") }, nil, RejectPassword, 0},
		{"wrong AH key", ah, func(c *Config) { c.Key = key("Secret") }, nil, RejectAHDigest, 0},
		{"AH with IP options", ah, nil, func(p *Packet) { p.IPHeader = append(p.IPHeader, 0, 0, 0, 0) }, RejectAHDigest, 0},
		{"AH from elsewhere", ah, nil, func(p *Packet) { p.Src = addr(highAddr) }, RejectAHSPI, 0},
		{"version 2 interval", v2, func(c *Config) { c.AdvertInterval = 2 * time.Second }, nil, RejectInterval, 2},
		{"version 3 interval of zero", nil, nil, message(func(m []byte) { m[4], m[5] = 0xf0, 0 }), RejectInterval, 0},
		{"type 2", nil, nil, message(func(m []byte) { m[0] = 0x32 }), RejectType, 2},
		{"too long", nil, nil, func(p *Packet) { p.Payload = append(p.Payload, 0, 0) }, RejectTotalLength, 14},
		{"checksum", nil, nil, message(func(m []byte) { m[2]++ }), RejectChecksum, 0},
		{"checksum, version 2", v2, nil, message(func(m []byte) { m[2]++ }), RejectChecksum, 0},
		{"unicast to multicast", nil, func(c *Config) { unicast(c); c.Peers = []Peer{{Addr: addr(ownAddr)}}; c.TTL = 255 }, nil, RejectDestination, 0},
		{"multicast to unicast", unicast, func(c *Config) { c.Unicast, c.TTL = false, 255 }, nil, RejectDestination, 0},
		{"another group", nil, func(c *Config) { c.Group = addr("224.1.101.33") }, nil, RejectDestination, 0},
		{"owner", func(c *Config) { c.OwnerIgnoreAdverts, c.Priority = true, 255 }, nil, nil, RejectOwner, 0},
		{"no peer", both(unicast, func(c *Config) { c.CheckUnicastSource = true; c.Peers[0].Addr = addr(highAddr) }), nil, nil, RejectNotPeer, 0},
		{"TTL above the peer's", unicast, func(c *Config) { c.TTL = 255 }, nil, RejectPeerTTL, 255},
		{"TTL below the peer's", unicast, func(c *Config) { c.TTL = 249 }, nil, RejectPeerTTL, 249},
		{"accepted, unicast", unicast, nil, nil, RejectNone, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours := base()
			if c.ours != nil {
				c.ours(&ours)
			}
			theirs := ours
			if theirs.Unicast {
				theirs.Peers = []Peer{{Addr: addr(ownAddr)}}
			}
			if c.theirs != nil {
				c.theirs(&theirs)
			}
			p := packet(t, theirs, lowAddr, 200)
			if c.change != nil {
				c.change(p)
			}
			r := newRig(t, ours).in(Backup)
			r.step(Event{Kind: Received, Packet: p})
			s := r.i.Stats()
			if c.want == RejectNone {
				if s.AdvertsReceived == 0 {
					t.Fatalf("rejected: %v", s.Rejected)
				}
				return
			}
			if s.Rejected[c.want] == 0 || s.AdvertsReceived != 0 {
				t.Fatalf("not rejected as %v: %v", c.want, s.Rejected)
			}
			for _, a := range r.out {
				if a.Note == NoteRejected && a.Count != c.count {
					t.Errorf("count %d, want %d", a.Count, c.count)
				}
			}
		})
	}
}

// TestRejectNotes checks that each cause is reported once, with the contents of the
// packet, until the state or the master changes.
func TestRejectNotes(t *testing.T) {
	r := newRig(t, base()).in(Backup)
	other := base()
	other.Version = 2
	for range 3 {
		r.step(Event{Kind: Received, Packet: packet(t, other, lowAddr, 200)})
	}
	r.want("notify rejected reject=version_err prio=200 count=2 addr=10.0.0.1")
	r.hear(highAddr, 200)
	r.step(Event{Kind: Received, Packet: packet(t, other, lowAddr, 200)})
	r.want("notify master-changed prio=200 addr=10.0.0.3",
		"notify rejected reject=version_err prio=200 count=2 addr=10.0.0.1")
	r.until(r.now + 10*time.Second)
	r.out = nil
	r.step(Event{Kind: Received, Packet: packet(t, other, lowAddr, 200)})
	r.want("notify rejected reject=version_err prio=200 count=2 addr=10.0.0.1")
	if n := r.i.Stats().Rejected[RejectVersion]; n != 5 {
		t.Errorf("counted %d, want 5", n)
	}
}

func TestAddressLists(t *testing.T) {
	one, two, three := addr("10.0.0.100"), addr("10.0.0.101"), addr("10.0.0.102")
	for _, c := range []struct {
		name         string
		ours, theirs []netip.Addr
		skip         bool
		want         string
	}{
		{"equal", []netip.Addr{one, two}, []netip.Addr{one, two}, false, ""},
		{"in another order", []netip.Addr{one, two}, []netip.Addr{two, one}, false, ""},
		{"fewer", []netip.Addr{one, two}, []netip.Addr{one}, false, "notify address-count-mismatch count=1 addr=10.0.0.1"},
		{"none", []netip.Addr{one, two}, nil, false, "notify address-count-mismatch addr=10.0.0.1"},
		{"others", []netip.Addr{one, two}, []netip.Addr{one, three}, false, "notify address-mismatch addr=10.0.0.101"},
		{"others, not looked at", []netip.Addr{one, two}, []netip.Addr{one, three}, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ours, theirs := base(), base()
			ours.Addresses, theirs.Addresses = c.ours, c.theirs
			r := newRig(t, ours).in(Backup)
			r.hear(lowAddr, 200) // master from here on
			r.out = nil
			r.i.cfg.SkipCheckAdvertAddresses = c.skip
			for range 2 {
				r.step(Event{Kind: Received, Packet: packet(t, theirs, lowAddr, 200)})
			}
			if c.want == "" {
				r.want()
			} else {
				r.want(c.want)
			}
			if n := r.i.Stats().AdvertsReceived; n != 3 {
				t.Errorf("%d adverts used, want 3", n)
			}
		})
	}
}

// sender is a master whose packets a test receives one by one.
type sender struct {
	t        testing.TB
	i        *Instance
	priority uint8
}

func newSender(t testing.TB, c Config, from string) sender {
	i := New(c)
	i.Step(0, Event{Kind: SourceChanged, Source: addr(from)}, nil)
	return sender{t, i, 200}
}

func (s sender) next(wall time.Time) *Packet {
	var p Packet
	b := append([]byte(nil), s.i.Advert(-1, s.priority, wall)...)
	if r := ParseIPv4(b, &p); r != RejectNone {
		s.t.Fatal(r)
	}
	return &p
}

// TestAHReplay checks that one number is kept for all senders, and that a number that was
// received is never accepted again: not from another master, not after priority 0, not
// after a fault, not as master.
func TestAHReplay(t *testing.T) {
	c := base()
	c.Version, c.Auth, c.Key = 2, AuthAH, key("secret")
	a, b := newSender(t, c, lowAddr), newSender(t, c, highAddr)
	r := newRig(t, c).in(Backup)
	// number is the number of the instance at the end of each step.
	for n, step := range []struct {
		do       func() // before the packet
		from     sender
		sequence uint32
		priority uint8
		accepted bool
		number   uint32
	}{
		{nil, a, 1000, 200, true, 1000}, // the first one received may have any number
		{nil, a, 1000, 200, false, 1000},
		{nil, a, 500, 200, false, 1000},
		{nil, b, 700, 200, false, 1000}, // another master has no sequence of its own
		{nil, b, 1001, 200, true, 1001},
		{nil, a, 1001, 200, false, 1001},
		{nil, b, 1002, 0, true, 1002}, // the sender stops
		{nil, b, 600, 200, false, 1002},
		{nil, a, 1002, 200, false, 1002},
		{func() { r.until(r.now + time.Second) }, b, 900, 0, false, 1003}, // this instance has sent 1003
		{nil, a, 1002, 200, false, 1003},
		{nil, a, 1003, 50, true, 1004}, // two masters that count in step accept each other's adverts
		{nil, a, 1010, 50, true, 1010}, // the next advert of this instance will have a greater number
		{nil, b, 1012, 200, true, 1012},
		{func() {
			r.step(Event{Kind: FaultsChanged, Faults: FaultLinkDown})
			r.step(Event{Kind: FaultsChanged})
		}, a, 1000, 200, false, 1012},
		{func() {
			d := c
			d.Priority = 90
			r.step(Event{Kind: Reconfigure, Config: &d})
		}, a, 1012, 200, false, 1012},
		{nil, a, 1013, 200, true, 1013},
	} {
		if step.do != nil {
			step.do()
			r.advertise()
		}
		step.from.i.ah.sequence = step.sequence - 1
		step.from.priority = step.priority
		before := r.i.Stats()
		r.step(Event{Kind: Received, Packet: step.from.next(time.Time{})})
		r.advertise()
		accepted, refused := r.i.counts.AdvertsReceived-before.AdvertsReceived, r.i.Stats().Rejected[RejectAHReplayed]-before.Rejected[RejectAHReplayed]
		if accepted+refused != 1 || (accepted == 1) != step.accepted {
			t.Errorf("step %d: accepted %d, refused %d, want %v", n, accepted, refused, step.accepted)
		}
		if got := r.i.Snapshot().AHSequence; got != step.number {
			t.Errorf("step %d: number %d, want %d", n, got, step.number)
		}
	}
}

// TestAHFollows checks that a master continues above the numbers that it has received.
func TestAHFollows(t *testing.T) {
	c := base()
	c.Version, c.Auth, c.Key = 2, AuthAH, key("secret")
	a := newSender(t, c, lowAddr)
	a.i.ah.sequence = 500
	r := newRig(t, c).in(Backup)
	r.step(Event{Kind: Received, Packet: a.next(time.Time{})})
	r.until(5 * time.Second)
	b := r.i.Advert(-1, 100, time.Time{})
	if got := binary.BigEndian.Uint32(b[lenIPv4+8:]); got != 502 {
		t.Errorf("sequence %d, want 502", got)
	}
}

// TestAHLowerPriority checks that a master that receives an advert of lower priority
// continues above its number: otherwise the common backups would accept the other master.
func TestAHLowerPriority(t *testing.T) {
	c := base()
	c.Version, c.Auth, c.Key = 2, AuthAH, key("secret")
	r := newRig(t, c).in(Master)
	r.i.Advert(-1, 100, time.Time{})
	a := newSender(t, c, lowAddr)
	a.i.ah.sequence = 500
	r.step(Event{Kind: PriorityChanged, Priority: 201}) // the sender has 200
	r.step(Event{Kind: Received, Packet: a.next(time.Time{})})
	b := r.i.Advert(-1, 201, time.Time{})
	if got := binary.BigEndian.Uint32(b[lenIPv4+8:]); got != 502 {
		t.Errorf("sequence %d, want 502", got)
	}
}

// TestAHTTL checks that the authentication covers the TTL of multicast packets, and not
// that of unicast packets, which routers change.
func TestAHTTL(t *testing.T) {
	c := base()
	c.Version, c.Auth, c.Key = 2, AuthAH, key("secret")
	unicast := c
	unicast.Unicast, unicast.Peers = true, []Peer{{Addr: addr(ownAddr), MaxTTL: 255}}
	for _, v := range []struct {
		config Config
		want   Reject
	}{
		{c, RejectAHDigest},
		{unicast, RejectNone},
	} {
		p := packet(t, v.config, lowAddr, 200)
		p.IPHeader[8] = 254
		if v.config.Unicast {
			p.TTL = 254
		}
		r := newRig(t, v.config).in(Backup)
		r.step(Event{Kind: Received, Packet: p})
		if got := r.i.Stats(); v.want == RejectNone && got.AdvertsReceived != 1 || v.want != RejectNone && got.Rejected[v.want] != 1 {
			t.Errorf("unicast %v: %+v", v.config.Unicast, got)
		}
	}
}

func TestHMACClockSkew(t *testing.T) {
	c := base()
	c.HMAC = HMAC{Mode: HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: vectorKey()}, Window: 10 * time.Second}
	r := newRig(t, c).in(Backup)
	a := newSender(t, c, lowAddr)
	r.step(Event{Kind: Received, Packet: a.next(time.Unix(1e9+5, 0))})
	r.step(Event{Kind: Received, Packet: a.next(time.Unix(1e9+7, 0))})
	r.step(Event{Kind: Received, Packet: a.next(time.Unix(1e9+8, 0))})
	r.want("notify master-changed prio=200 addr=10.0.0.1", "notify clock-skew addr=10.0.0.1 time=7s")
}

func TestHMACSequence(t *testing.T) {
	wall := time.Unix(1e9, 0)
	c := base()
	c.HMAC = HMAC{Mode: HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: vectorKey()}}
	sequence := func(p *Packet) uint64 { return binary.BigEndian.Uint64(p.message()[16:]) }
	s := newSender(t, c, lowAddr)
	start := sequence(s.next(wall))
	for _, step := range []struct {
		name string
		wall time.Time
		want uint64
	}{
		{"the same instant", wall, start + 1},
		{"a clock set back", wall.Add(-time.Second), start + 2},
		{"a second later", wall.Add(time.Second), start + 1<<32},
		{"half a second later", wall.Add(1500 * time.Millisecond), start + 1<<32 + 1<<31},
		{"a clock set back by more than the window", wall.Add(-10 * time.Second), start - 10<<32},
	} {
		if got := sequence(s.next(step.wall)); got != step.want {
			t.Errorf("%s: %x, want %x", step.name, got, step.want)
		}
	}
	s.i.cfg.HMAC.Monotonic = true
	before := s.i.hmac.sequence
	if got := sequence(s.next(wall.Add(-time.Hour))); got != before+1 {
		t.Errorf("monotonic: %x, want %x", got, before+1)
	}
}

func TestHMACReplay(t *testing.T) {
	c := base()
	c.HMAC = HMAC{Mode: HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: vectorKey()}}
	wall := time.Unix(1e9, 0)
	r := newRig(t, c).in(Backup)
	a := newSender(t, c, lowAddr)
	first, second := a.next(wall), a.next(wall)
	replays := func(want uint64) {
		t.Helper()
		if got := r.i.Stats().Rejected[RejectHMACReplayed]; got != want {
			t.Fatalf("%d replays, want %d", got, want)
		}
	}
	r.step(Event{Kind: Received, Packet: second})
	r.step(Event{Kind: Received, Packet: first})
	replays(1)
	// Three other sources leave the first in the list of four; the fourth replaces it.
	for _, from := range []string{"10.0.0.4", "10.0.0.5", "10.0.0.6"} {
		r.step(Event{Kind: Received, Packet: newSender(t, c, from).next(wall)})
	}
	r.step(Event{Kind: Received, Packet: second})
	replays(2)
	for _, from := range []string{"10.0.0.7", "10.0.0.8", "10.0.0.9", "10.0.0.10"} {
		r.step(Event{Kind: Received, Packet: newSender(t, c, from).next(wall)})
	}
	r.step(Event{Kind: Received, Packet: second})
	replays(2)
}

// TestHMACReplayWindow checks that the number of a source is removed once packets signed
// at its time are too old for our clock, and not before, even if the clock of the source
// is ahead.
func TestHMACReplayWindow(t *testing.T) {
	c := base()
	c.HMAC = HMAC{Mode: HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: vectorKey()}} // window: 5 s
	r := newRig(t, c).in(Backup)
	a := newSender(t, c, lowAddr)
	start := r.wall
	recording := a.next(start.Add(4 * time.Second))
	for _, step := range []struct {
		at   time.Duration
		p    *Packet
		want Reject
	}{
		{0, recording, RejectNone},
		{6 * time.Second, recording, RejectHMACReplayed},
		{9 * time.Second, recording, RejectHMACReplayed},
		{10 * time.Second, recording, RejectHMACStale},
		// The clock of the sender has been set back.
		{11 * time.Second, newSender(t, c, lowAddr).next(start.Add(11*time.Second - 3*time.Second)), RejectNone},
	} {
		r.now, r.wall = step.at, start.Add(step.at)
		before := r.i.Stats()
		r.step(Event{Kind: Received, Packet: step.p})
		got := RejectNone
		after := r.i.Stats()
		for n := range after.Rejected {
			if after.Rejected[n] != before.Rejected[n] {
				got = Reject(n)
			}
		}
		if got != step.want {
			t.Errorf("at %v: %v, want %v", step.at, got, step.want)
		}
	}
}

func TestHMACModes(t *testing.T) {
	keys := map[uint8][]byte{1: vectorKey()}
	for _, c := range []struct {
		ours         HMACMode
		plain, valid bool // whether the packet is accepted
	}{
		{HMACOff, true, false},
		{HMACEnforce, false, true},
		{HMACPermissive, true, true},
		{HMACReceiveOnly, true, true},
	} {
		ours, plain, signed := base(), base(), base()
		ours.HMAC = HMAC{Mode: c.ours, SendKey: 1, Keys: keys}
		signed.HMAC = HMAC{Mode: HMACEnforce, SendKey: 1, Keys: keys}
		for sender, want := range map[*Config]bool{&plain: c.plain, &signed: c.valid} {
			r := newRig(t, ours).in(Backup)
			r.step(Event{Kind: Received, Packet: packet(t, *sender, lowAddr, 200)})
			if got := r.i.Stats().AdvertsReceived == 1; got != want {
				t.Errorf("mode %d, sender's mode %d: accepted %v, want %v", c.ours, sender.HMAC.Mode, got, want)
			}
		}
		r := newSender(t, ours, lowAddr)
		signs := len(r.next(time.Unix(1e9, 0)).Payload) > lenVRRP+4
		if want := c.ours == HMACEnforce || c.ours == HMACPermissive; signs != want {
			t.Errorf("mode %d signs %v, want %v", c.ours, signs, want)
		}
	}
}

// TestStatsAreACopy checks that counters that have been handed over stay as they were, and
// that they can begin again.
func TestStatsAreACopy(t *testing.T) {
	r := newRig(t, base()).in(Backup)
	drop := func() { r.step(Event{Kind: Received, Packet: &Packet{}}) }
	none := r.i.Stats()
	drop()
	one := r.i.Stats()
	drop()
	if a, b, c := none.Rejected[RejectShort], one.Rejected[RejectShort], r.i.Stats().Rejected[RejectShort]; a != 0 || b != 1 || c != 2 {
		t.Errorf("%d, %d and %d packets dropped, want 0, 1 and 2", a, b, c)
	}
	if r.i.ClearStats(); r.i.Stats() != (Stats{}) {
		t.Errorf("cleared: %+v", r.i.Stats())
	}
	drop()
	if r.i.Stats() != one {
		t.Errorf("%+v after one dropped packet, want %+v", r.i.Stats(), one)
	}
}

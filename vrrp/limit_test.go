package vrrp

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	var l Limit
	reported, missed := 0, 0
	for at := time.Duration(0); at < time.Minute; at += time.Millisecond {
		if n, ok := l.Take(at); ok {
			reported++
			missed += n
		}
	}
	// The burst, and one line for each ten seconds after it.
	if want := LimitBurst + 5; reported != want {
		t.Errorf("reported %d, want %d", reported, want)
	}
	if n, ok := l.Take(10 * time.Minute); !ok || reported+missed+n != 60000 {
		t.Errorf("reported %d and counted %d of 60000", reported, missed+n)
	}
	for n := range LimitBurst {
		if _, ok := l.Take(time.Hour + time.Duration(n)); !ok {
			t.Error("the whole burst is not available again after an hour")
		}
	}
}

// TestFlood checks that the number of actions and notes that packets of another node can
// cause depends on the time that passes, not on the number of packets.
func TestFlood(t *testing.T) {
	const (
		packets = 20000
		every   = time.Millisecond
		lasts   = packets * every
	)
	v2 := func(c *Config) { c.Version = 2 }
	ah := func(c *Config) { c.Version, c.Auth, c.Key = 2, AuthAH, key("secret") }
	pass := func(c *Config) { c.Version, c.Auth, c.Key = 2, AuthPass, key("secret") }
	signed := func(c *Config) {
		c.HMAC = HMAC{Mode: HMACEnforce, SendKey: 1, Keys: map[uint8][]byte{1: vectorKey()}}
	}
	unicast := func(c *Config) { c.Unicast, c.Peers = true, []Peer{{Addr: addr(ownAddr)}} }
	prio := func(p uint8) func(*Config) { return func(c *Config) { c.Priority = p } }
	odd := func(f func(c *Config)) func(int) func(*Config) { return func(int) func(*Config) { return f } }
	for _, f := range []struct {
		name   string
		ours   func(*Config)
		theirs func(n int) func(*Config) // for the n-th packet
		change func(p *Packet)
	}{
		{"lower priority", nil, odd(prio(50)), nil},
		{"lower priority, version 2", v2, odd(prio(50)), nil},
		{"lower priority, nopreempt", func(c *Config) { c.NoPreempt = true }, odd(prio(50)), nil},
		{"priority 0", nil, odd(prio(0)), nil},
		{"higher priority", nil, odd(prio(200)), nil},
		{"equal priority", nil, odd(prio(100)), nil},
		{"two owners", prio(255), odd(prio(255)), nil},
		{"owner and lower by turns", prio(255), func(n int) func(*Config) { return prio([]uint8{255, 10}[n%2]) }, nil},
		{"higher and lower by turns", nil, func(n int) func(*Config) { return prio([]uint8{50, 200, 0}[n%3]) }, nil},
		{"preempt delay started and stopped", func(c *Config) { c.PreemptDelay = time.Minute },
			func(n int) func(*Config) { return prio([]uint8{50, 200}[n%2]) }, nil},
		{"another interval each time", nil, func(n int) func(*Config) {
			return func(c *Config) { c.Priority, c.AdvertInterval = 200, time.Duration(1+n%50)*100*time.Millisecond }
		}, nil},
		{"interval, version 2", v2, odd(func(c *Config) { c.AdvertInterval = 9 * time.Second }), nil},
		{"number of addresses", nil, odd(func(c *Config) { c.Addresses = nil; c.Priority = 200 }), nil},
		{"other addresses", nil, odd(func(c *Config) {
			c.Addresses = []netip.Addr{addr("10.9.9.9")}
			c.Priority = 200
		}), nil},
		{"wrong password", pass, odd(func(c *Config) { c.Key = key("other") }), nil},
		{"wrong AH key", ah, odd(func(c *Config) { c.Key = key("other") }), nil},
		{"replays of AH", ah, odd(prio(200)), nil},
		{"no authentication", pass, odd(func(c *Config) { c.Auth = AuthNone }), nil},
		{"version", nil, odd(v2), nil},
		{"TTL", nil, odd(func(c *Config) { c.TTL = 3 }), nil},
		{"checksum", nil, odd(func(*Config) {}), func(p *Packet) { p.message()[6]++ }},
		{"type", nil, odd(func(*Config) {}), func(p *Packet) { p.message()[0]++ }},
		{"length", nil, odd(func(*Config) {}), func(p *Packet) { p.message()[3] = 9 }},
		{"unsigned", signed, odd(func(c *Config) { c.HMAC = HMAC{} }), nil},
		{"signed wrongly", signed, odd(func(*Config) {}), func(p *Packet) { p.message()[20]++ }},
		{"replays of HMAC", signed, odd(prio(200)), nil},
		{"unicast", nil, odd(unicast), nil},
		{"our own address", nil, odd(func(*Config) {}), func(p *Packet) { p.Src = addr(ownAddr) }},
		{"all kinds by turns", nil, func(n int) func(*Config) {
			return func(c *Config) {
				c.Priority = uint8(n * 37)
				c.AdvertInterval = time.Duration(1+n%7) * time.Second
				switch n % 5 {
				case 0:
					c.Version = 2
				case 1:
					c.TTL = 9
				case 2:
					c.Addresses = nil
				}
			}
		}, nil},
	} {
		for _, in := range []State{Backup, Master} {
			t.Run(fmt.Sprintf("%s, %v", f.name, in), func(t *testing.T) {
				ours := base()
				ours.Announce.LowerDelay = 5 * time.Second
				if f.ours != nil {
					f.ours(&ours)
				}
				r := newRig(t, ours)
				r.in(in)
				// A few packets of each kind are enough, because they can be received
				// repeatedly, except with AH and HMAC, where repetitions are the flood.
				var kinds []*Packet
				for n := range 210 {
					theirs := ours
					f.theirs(n)(&theirs)
					from := []string{lowAddr, highAddr, "10.0.0.77"}[n%3]
					p := packet(t, theirs, from, theirs.Priority)
					if f.change != nil {
						f.change(p)
					}
					kinds = append(kinds, p)
				}
				end := r.now + lasts
				notes, did := map[string]int{}, map[ActionKind]int{}
				missed, quiet := 0, 0
				for n := 0; r.now < end; n++ {
					r.step(Event{Kind: Received, Packet: kinds[n%len(kinds)]})
					r.until(r.now + every)
					for _, a := range r.out {
						did[a.Kind]++
						if a.Kind == Notify {
							notes[fmt.Sprint(a.Note, " ", a.Reject)]++
							missed += a.Missed
						}
						if a.Quiet {
							quiet++
						}
					}
					r.out = r.out[:0]
				}
				changes := did[Transition]
				if changes > int(2*lasts/time.Second) {
					t.Errorf("%d changes of state", changes)
				}
				for note, n := range notes {
					if most := LimitBurst + int(lasts/LimitEvery) + changes; n > most {
						t.Errorf("%d × %s, want at most %d", n, note, most)
					}
				}
				// Regular adverts, an answer a second, and answers to priority 0.
				most := int(2*lasts/time.Second) + int(lasts/answerZeroPause) + changes + 2
				if did[SendAdvert] > most {
					t.Errorf("%d adverts, want at most %d", did[SendAdvert], most)
				}
				if most := 2*int(lasts/time.Second) + 2*changes + 2; did[Announce] > most {
					t.Errorf("%d sets of announcements, want at most %d", did[Announce], most)
				}
				if loud := did[Announce] - quiet; loud > LimitBurst+2*int(lasts/LimitEvery)+2*changes+2 {
					t.Errorf("%d sets of announcements are worth a line", loud)
				}
				t.Logf("%v %v, %d not reported", did, notes, missed)
			})
		}
	}
}

// TestAnswers checks that the first answer is sent at once, and that packets within the
// next second have one common answer at its end, with an advert if none has been sent
// since.
func TestAnswers(t *testing.T) {
	c := base()
	c.AdvertInterval = 3 * time.Second
	r := newRig(t, c).in(Master)
	r.hear(lowAddr, 50)
	r.want("notify lower-priority-received prio=50 addr=10.0.0.1", "send-advert prio=100", "announce count=2")
	start := r.now
	r.now += 300 * time.Millisecond
	r.hear(lowAddr, 50)
	r.now += 300 * time.Millisecond
	r.hear(lowAddr, 50)
	r.want("notify lower-priority-received prio=50 addr=10.0.0.1", "notify lower-priority-received prio=50 addr=10.0.0.1")
	r.wantDeadline(start + time.Second)
	r.until(start + 2*time.Second)
	r.want("send-advert prio=100", "announce count=2")
	r.hear(lowAddr, 50)
	r.want("notify lower-priority-received prio=50 addr=10.0.0.1", "send-advert prio=100", "announce count=2")
	r.now = start + 2900*time.Millisecond
	r.hear(lowAddr, 50)
	r.out = nil
	r.until(start + 4*time.Second)
	// The regular advert, which was due, is a sufficient answer.
	r.want("send-advert prio=100", "announce count=2")
}

// TestFloodOfGroup checks that the members of a sync group, which answer together, do so
// at most once a second too.
func TestFloodOfGroup(t *testing.T) {
	const members, packets = 8, 5000
	now := time.Duration(0)
	var all []*Instance
	for n := range members {
		c := base()
		c.Name, c.VRID = fmt.Sprint(n), uint8(n+1)
		all = append(all, New(c))
	}
	NewSyncGroup("g", false, all...)
	var out []Action
	for _, m := range all {
		m.Step(now, Event{Kind: SourceChanged, Source: addr(ownAddr)}, nil)
	}
	for _, m := range all {
		m.Step(now, Event{Kind: Start}, nil)
	}
	serve := func(to time.Duration) {
		for {
			due, at := (*Instance)(nil), to+1
			for _, m := range all {
				if d, ok := m.Deadline(); ok && d < at {
					due, at = m, d
				}
			}
			if due == nil {
				now = to
				return
			}
			now = max(now, at)
			out = due.Step(now, Event{Kind: Expiry}, out)
		}
	}
	serve(10 * time.Second)
	if all[0].State() != Master {
		t.Fatal("not master")
	}
	p := packet(t, all[0].cfg, lowAddr, 50)
	out = nil
	start := now
	for range packets {
		out = all[0].Step(now, Event{Kind: Received, Packet: p}, out)
		serve(now + time.Millisecond)
	}
	seconds := int((now-start)/time.Second) + 1
	did := map[ActionKind]int{}
	for _, a := range out {
		did[a.Kind]++
	}
	// Regular adverts of each member, and an answer of each a second.
	if most := 2 * members * seconds; did[SendAdvert] > most {
		t.Errorf("%d adverts in %d s, want at most %d", did[SendAdvert], seconds, most)
	}
	if most := members * seconds; did[Announce] > most || did[Announce] < members {
		t.Errorf("%d sets of announcements in %d s, want at most %d", did[Announce], seconds, most)
	}
}

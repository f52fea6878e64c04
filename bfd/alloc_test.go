package bfd

import "testing"

// TestSteadyStateDoesNotAllocate checks that a received packet and a sent packet allocate
// nothing, with any authentication.
func TestSteadyStateDoesNotAllocate(t *testing.T) {
	for kind := AuthNone; kind < numAuthTypes; kind++ {
		s := newSteady(t, kind)
		if n := testing.AllocsPerRun(1000, s.round); n != 0 {
			t.Errorf("%v: %v allocations in a round", kind, n)
		}
		if s.ends[0].State() != Up || s.ends[1].State() != Up {
			t.Errorf("%v: not Up", kind)
		}
	}
}

func BenchmarkRound(b *testing.B) {
	for _, kind := range []AuthType{AuthNone, AuthMeticulousSHA1} {
		b.Run(kind.String(), func(b *testing.B) {
			s := newSteady(b, kind)
			b.ReportAllocs()
			for b.Loop() {
				s.round()
			}
		})
	}
}

// steady is two sessions that are Up. A round is one packet of each.
type steady struct {
	ends [2]*at
	buf  []byte
}

func newSteady(t testing.TB, kind AuthType) *steady {
	s := &steady{buf: make([]byte, 0, MaxControl)}
	for i := range s.ends {
		c := Config{Discriminator: uint32(i + 1), DesiredMinTx: 10 * ms, RequiredMinRx: 10 * ms, MinTTL: 255, Seed: uint64(i)}
		if kind != AuthNone {
			c.Auth = authOf(kind)
		}
		s.ends[i] = begin(t, c)
		s.ends[i].out = make([]Action, 0, 16)
	}
	for range 300 {
		s.round()
	}
	return s
}

func (s *steady) round() {
	for i, e := range s.ends {
		next, _ := e.Deadline()
		for _, o := range s.ends {
			o.now = max(o.now, next)
		}
		e.step(Event{Kind: Expiry})
		other := s.ends[1-i]
		for _, a := range e.out {
			if a.Kind == SendControl {
				s.buf = e.AppendControl(s.buf[:0], a)
				var p Packet
				if Parse(s.buf, &p) == RejectNone {
					other.out = other.Step(other.now, Event{Kind: Received, Packet: &p, TTL: 255}, other.out[:0])
					for _, x := range other.out {
						if x.Kind == SendControl && Parse(other.AppendControl(s.buf[:0], x), &p) == RejectNone {
							e.out = e.Step(e.now, Event{Kind: Received, Packet: &p, TTL: 255}, e.out[:0])
							break
						}
					}
				}
				break
			}
		}
	}
}

package bfd

import (
	"bytes"
	"testing"
	"time"
)

// FuzzParse checks that an accepted packet lies within the input, is the same after
// encoding, and causes no panic in any session.
func FuzzParse(f *testing.F) {
	for _, s := range []State{AdminDown, Down, Init, Up} {
		p := theirs(s)
		f.Add(p.Append(nil))
		for kind := AuthPassword; kind < numAuthTypes; kind++ {
			a := authOf(kind)
			f.Add(a.sign(p.Append(nil), 0, 5))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		if Parse(b, &p) != RejectNone {
			return
		}
		if p.Auth.Type == AuthNone && !bytes.Equal(p.Append(nil), b[:lenControl]) && b[3] == lenControl {
			t.Fatalf("%x becomes %x", b, p.Append(nil))
		}
		for kind := AuthNone; kind < numAuthTypes; kind++ {
			c := ours()
			if kind != AuthNone {
				c.Auth = authOf(kind)
			}
			a := begin(t, c)
			a.hear(p).hear(p)
			for range 50 { // a received interval may be one microsecond
				if d, runs := a.Deadline(); runs {
					a.now = max(a.now, d)
					a.step(Event{Kind: Expiry})
				}
			}
		}
	})
}

// FuzzSession checks the invariants of a session after any sequence of events.
func FuzzSession(f *testing.F) {
	f.Add([]byte{2, 1, 2, 2, 2, 3, 0, 9, 0, 200, 3, 1, 4, 0, 9, 0})
	f.Add([]byte{2, 2, 8, 1, 0, 50, 2, 0x83, 9, 2, 0, 255})
	f.Fuzz(func(t *testing.T, script []byte) {
		c := ours()
		c.EchoTx = 30 * ms
		a := begin(t, c)
		for ; len(script) >= 2; script = script[2:] {
			kind, arg := EventKind(script[0]%10), script[1]
			ev := Event{Kind: kind, TTL: 255, Diag: Diag(arg & 7), Echo: Echo{Discriminator: 0x11, Sequence: uint32(arg)}}
			switch kind {
			case Expiry:
				a.now += time.Duration(arg) * ms
			case Received:
				p := theirs(State(arg & 3))
				p.Poll, p.Final, p.Demand = arg&4 != 0, arg&12 == 8, arg&16 != 0
				if p.State == Init || p.State == Up || arg&32 == 0 {
					p.YourDiscriminator = 0x11
				}
				if arg&64 != 0 {
					p.RequiredMinRx, p.RequiredMinEchoRx = 0, 5*ms
				}
				ev.Packet = &p
			case Reconfigure:
				n := ours()
				n.DesiredMinTx, n.Demand, n.Passive = time.Duration(arg)*ms, arg&1 != 0, arg&2 != 0
				ev.Config = &n
			}
			a.step(ev)
			control := 0
			for _, x := range a.out {
				if x.Kind == SendControl {
					control++
					var p Packet
					if r := Parse(a.AppendControl(nil, x), &p); r != RejectNone && !(r == RejectYourDiscriminator && a.RemoteDiscriminator() == 0) {
						t.Fatalf("sends a packet that every receiver refuses: %v", r)
					}
				}
			}
			if control > 1 {
				t.Fatalf("%d packets in one step", control)
			}
			if d, runs := a.Deadline(); runs && a.State() == Up && a.detect == never && !a.quiet {
				t.Fatal("Up and nothing is waited for", d)
			}
			if (a.State() == Up || a.State() == Init) && a.RemoteDiscriminator() == 0 {
				t.Fatal(a.State(), "without a neighbour")
			}
		}
	})
}
